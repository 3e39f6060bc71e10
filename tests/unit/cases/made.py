"""Made-up assessments."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from dermassist.diagnosis import Diagnosis
from dermassist.results import (
    Assessment,
    Explanation,
    ImageInfo,
    ImageQuality,
    ModelInfo,
    Prediction,
    Referral,
)


def image_bytes(seed: int = 0, size: int = 2000) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def assessment_of(
    image: bytes,
    *,
    name: str = "lesion.jpg",
    diagnosis: Diagnosis = Diagnosis.NV,
    threshold: float | None = 0.5,
) -> Assessment:
    probabilities = np.full(7, 0.04)
    probabilities[diagnosis.index] = 0.76
    prediction = Prediction(tuple(probabilities.tolist()), (0.0,) * 7, calibrated=True)
    if threshold is not None:
        rule = Referral(prediction.malignancy, threshold, 0.95)
        prediction = replace(prediction, referral=rule)
    return Assessment(
        image=ImageInfo(name, 600, 450, hashlib.sha256(image).hexdigest()),
        prediction=prediction,
        explanation=Explanation(np.zeros((7, 2, 2), np.float32), np.eye(2, 3), 4.0),
        quality=ImageQuality(450, 100.0, 120.0, 0.0),
        model=ModelInfo("tiny", "0", "0" * 64),
        created="2026-01-01T00:00:00+00:00",
    )
