"""More images of the same lesions say no more of other lesions, so they narrow no interval."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist import pooling
from dermassist.data.ham10000 import Record
from dermassist.data.protocol import Trial
from dermassist.diagnosis import DIAGNOSES
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.conformal import estimate_sets
from dermassist.evaluation.decision import estimate_referral
from dermassist.evaluation.localisation import Localisation, summarise_localisation
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.subgroup import Metadata, summarise_subgroups
from dermassist.evaluation.summary import summarise

from .conftest import draw_answers

LESIONS = 300
RESAMPLES = 300
MELANOMA = 4
ORIGIN = {"protocol": "lesion", "splits_sha256": "s"}


def drawn(images: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and probabilities of lesions that each have so many images, all alike."""
    labels, chances, _ = draw_answers(LESIONS)
    return np.repeat(labels, images), np.repeat(chances, images, axis=0)


def widths(estimates: Iterator[Estimate]) -> list[float]:
    return [estimate.high - estimate.low for estimate in estimates]


def estimated(images: int) -> Iterator[Estimate]:
    """Yield a figure of everything that gives intervals, from so many images of each lesion."""
    labels, chances = drawn(images)
    lesions = np.repeat(np.arange(LESIONS), images)
    shares = np.repeat(np.random.default_rng(1).random(LESIONS), images)
    likely = chances > 0.1

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    whole = summarise(labels, chances, groups=lesions, rng=rng(), resamples=RESAMPLES)
    yield whole.overall.accuracy
    (everyone,) = summarise_subgroups(
        labels,
        chances,
        groups=lesions,
        metadata=Metadata(sex=["male"] * len(labels)),
        rng=rng(),
        resamples=RESAMPLES,
    )
    yield everyone.summary.overall.accuracy
    yield estimate_referral(
        labels, likely[:, MELANOMA], groups=lesions, rng=rng(), resamples=RESAMPLES
    ).specificity
    yield estimate_sets(likely, labels, groups=lesions, rng=rng(), resamples=RESAMPLES).coverage
    heatmaps = Localisation(*[shares] * 7)
    yield summarise_localisation(
        heatmaps, groups=lesions, rng=rng(), resamples=RESAMPLES
    ).averages.peak


def test_more_images_of_the_same_lesions_narrow_no_interval() -> None:
    assert widths(estimated(4)) == pytest.approx(widths(estimated(1)), rel=1e-9)


def write_trial(results: Path, images: int) -> Trial:
    """Write the predictions of one tested trial, and how they were made."""
    labels, chances = drawn(images)
    records = tuple(
        Record(f"I{k}", f"L{k // images}", DIAGNOSES[label], "histo", None, "male", "back", "x")
        for k, label in enumerate(labels.tolist())
    )
    likely = chances > 0.1
    names = tuple(record.image_id for record in records)
    table = PredictionTable(names, labels, chances, likely[:, MELANOMA], likely).to_csv()
    description = {
        "training": {"config": {}, "weights": "last"},
        "temperature": 1.5,
        "predictions_sha256": hashlib.sha256(table.encode()).hexdigest(),
    }
    results.mkdir()
    pooling.table_path(results, "fold0").write_text(table)
    pooling.description_path(results, "fold0").write_text(json.dumps(description))
    return Trial("fold0", ORIGIN, train=(), validation=(), test=records)


def pooled(results: Path, images: int) -> Iterator[Estimate]:
    trial = write_trial(results, images)
    figures = pooling.summarise_trials([trial], results, of=1, rng=np.random.default_rng(0))
    yield figures.report.summary.overall.accuracy
    yield figures.error_before
    yield figures.error_after
    yield figures.referral.specificity
    yield figures.sets.coverage
    yield figures.each[0].summary.overall.accuracy


def test_more_images_of_the_same_lesions_narrow_no_pooled_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in vars(pooling).values():
        defaults = getattr(function, "__kwdefaults__", None) or {}
        if "resamples" in defaults:
            monkeypatch.setitem(defaults, "resamples", RESAMPLES)
    one, four = (widths(pooled(tmp_path / str(images), images)) for images in (1, 4))
    # Simulations of perfect calibration draw more for more images, so that later resamples are
    # others. Intervals by image would be half as wide.
    assert four == pytest.approx(one, rel=0.2)
