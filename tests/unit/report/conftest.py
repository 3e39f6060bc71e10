"""One answered image, with a model that was measured and one that was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.diagnosis import CODES, Diagnosis
from dermassist.evaluation.calibration import reliability_by_answer
from dermassist.evaluation.conformal import estimate_sets
from dermassist.evaluation.decision import estimate_referral
from dermassist.evaluation.document import to_document
from dermassist.evaluation.localisation import Localisation, summarise_localisation
from dermassist.evaluation.malignancy import malignant_probability
from dermassist.evaluation.report import build_report as evaluate
from dermassist.imaging import Preprocessing, RasterImage
from dermassist.model.manifest import ConformalRule, Manifest, QualityReference, ReferralRule
from dermassist.results import (
    Assessment,
    Explanation,
    ImageInfo,
    ImageQuality,
    ModelInfo,
    Prediction,
    PredictionSet,
    Referral,
)
from dermassist.sample import draw_lesion

LESION_SHA256 = "ab" * 32
CREATED = "2026-01-02T10:20:30+00:00"
RESAMPLES = 50
TEMPERATURE = 1.4
#: Probabilities from which on a diagnosis is in the set.
SET_THRESHOLDS = {**dict.fromkeys(CODES, 0.5), "mel": 0.1, "nv": 0.01}


def probabilities_of(top: Diagnosis, confidence: float) -> tuple[float, ...]:
    """Return probabilities whose rest falls off over the other diagnoses."""
    rest = np.array([0.5, 0.25, 0.125, 0.0625, 0.0375, 0.025]) * (1.0 - confidence)
    others = iter(rest.tolist())
    return tuple(confidence if code == top.code else next(others) for code in CODES)


def make_assessment(**changes: Any) -> Assessment:
    """Return a fixed answer for ``draw_lesion(default_rng(7))``, 600 x 450."""
    top: Diagnosis = changes.pop("top", Diagnosis.MEL)
    shares = probabilities_of(top, changes.pop("confidence", 0.72))
    malignancy = sum(shares[d.index] for d in Diagnosis if d.malignant)
    members = sorted(
        (d for d in Diagnosis if shares[d.index] >= SET_THRESHOLDS[d.code]),
        key=lambda d: -shares[d.index],
    )
    defaults: dict[str, Any] = {
        "image": ImageInfo("lesion.jpg", 600, 450, LESION_SHA256),
        "prediction": Prediction(
            probabilities=shares,
            logits=tuple((TEMPERATURE * np.log(shares)).tolist()),
            calibrated=True,
            referral=Referral(malignancy, 0.12, 0.95),
            prediction_set=PredictionSet(tuple(members), 0.9, (Diagnosis.DF,)),
        ),
        "explanation": make_explanation(),
        "quality": ImageQuality(450, 120.5, 148.2, 0.0),
        "model": ModelInfo("dermassist-mobilenetv2", "1.0", "cd" * 32),
        "created": CREATED,
    }
    return Assessment(**{**defaults, **changes})


def make_explanation() -> Explanation:
    """Return evidence that peaks in the middle, over the central square of 600 x 450."""
    rows, columns = np.mgrid[:7, :7] - 3.0
    bump = 6.0 * np.exp(-(rows**2 + columns**2) / 3.0) - 0.5
    evidence = np.stack([bump * (1.0 if code == "mel" else -0.3) for code in CODES])
    to_image = np.array([[450 / 7, 0.0, 75.0 + 450 / 14 - 0.5], [0.0, 450 / 7, 450 / 14 - 0.5]])
    return Explanation(evidence.astype(np.float32), to_image, 5.0)


def make_manifest(**changes: Any) -> Manifest:
    """Return a manifest in which nothing was measured."""
    defaults: dict[str, Any] = {
        "name": "dermassist-mobilenetv2",
        "version": "1.0",
        "created": CREATED,
        "licence": "CC BY-NC 4.0",
        "attribution": "Trained on HAM10000 (doi:10.1038/sdata.2018.161), CC BY-NC 4.0.",
        "architecture": {},
        "preprocessing": Preprocessing(),
        "files": {},
        "evidence_scale": make_explanation().scale,
    }
    return Manifest(**{**defaults, **changes})


def ruled_manifest() -> Manifest:
    """Return the manifest of the model that ``make_assessment`` stands for, before any test."""
    return make_manifest(
        temperature=TEMPERATURE,
        referral=ReferralRule(0.12, 0.95),
        conformal=ConformalRule(0.9, SET_THRESHOLDS, ("df",)),
    )


def measured_answers(images: int = 700) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and probabilities of a fairly good model."""
    random = np.random.default_rng(5)
    labels = np.arange(images) % len(CODES)
    logits = random.normal(0.0, 1.0, (images, len(CODES)))
    logits[np.arange(images), labels] += 2.0
    shares = np.exp(logits)
    return labels, shares / shares.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def measured_manifest() -> Manifest:
    """A manifest in which everything was measured, on made-up answers."""
    labels, shares = measured_answers()
    random = np.random.default_rng(0)
    lesions = np.arange(len(labels)) // 2
    report = evaluate(labels, shares, groups=lesions, rng=random, resamples=RESAMPLES)
    referral = estimate_referral(
        labels,
        malignant_probability(shares) >= 0.12,
        groups=lesions,
        rng=random,
        resamples=RESAMPLES,
    )
    thresholds = np.array([SET_THRESHOLDS[code] for code in CODES])
    sets = estimate_sets(
        shares >= thresholds, labels, groups=lesions, rng=random, resamples=RESAMPLES
    )
    pointing = (np.full(len(labels), share) for share in (0.9, 0.6, 0.8, 0.5, 0.1, 0.1, 0.25))
    heatmaps = summarise_localisation(Localisation(*pointing), groups=lesions, rng=random)
    return replace(
        ruled_manifest(),
        quality_reference=QualityReference((5.0, 3000.0), (60.0, 220.0), 0.05),
        referral=ReferralRule(0.12, 0.95, to_document(referral)),
        conformal=ConformalRule(0.9, SET_THRESHOLDS, ("df",), to_document(sets)),
        metrics={
            "protocol": "lesion-grouped fold 0, test part, 700 images of 350 lesions",
            "report": report.to_dict(),
            "heatmaps": to_document(heatmaps),
            "answered": to_document(reliability_by_answer(labels, shares)),
        },
    )


@pytest.fixture
def picture() -> RasterImage:
    """The image that ``make_assessment`` speaks of."""
    return RasterImage(draw_lesion(np.random.default_rng(7)), 600, 450, sha256=LESION_SHA256)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: datetime(2026, 1, 3, 9, 0, 0, tzinfo=UTC)


def unreferred(assessment: Assessment) -> Assessment:
    """Return the assessment of a model without threshold, sets and temperature."""
    prediction = replace(
        assessment.prediction,
        logits=tuple(np.log(assessment.prediction.probabilities).tolist()),
        referral=None,
        prediction_set=None,
        calibrated=False,
    )
    return replace(assessment, prediction=prediction)
