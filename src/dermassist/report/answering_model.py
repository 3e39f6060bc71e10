"""Whether a manifest is that of the model that answered."""

from __future__ import annotations

import numpy as np

from dermassist.diagnosis import Diagnosis
from dermassist.model.bundle import GRAPH_NAME
from dermassist.model.manifest import Manifest
from dermassist.results import Assessment, Explanation, ModelInfo, Prediction
from dermassist.softmax import softmax

#: What probabilities may differ by that the same logits and temperature give.
_ROUNDING = 1e-6


def same_model(assessment: Assessment, manifest: Manifest) -> bool:
    """Tell whether a manifest is that of the model that answered, whatever was measured since.

    Name and version are what someone typed, and the hash of a manifest changes with every
    measurement. So everything that decided the answer is compared as far as the assessment tells
    it: the graph's hash, where it was written down; the temperature, by probabilities and logits;
    the rules for referral and sets; the grid and the colour scale of the evidence.

    Args:
        assessment: of any image.
        manifest: of the model that may have answered.
    """
    model = assessment.model
    return (
        (model.name, model.version) == (manifest.name, manifest.version)
        and _same_graph(model, manifest)
        and _same_temperature(assessment.prediction, manifest)
        and _same_rules(assessment.prediction, manifest)
        and _same_evidence(assessment.explanation, manifest)
    )


def _same_graph(model: ModelInfo, manifest: Manifest) -> bool:
    entry = manifest.files.get(GRAPH_NAME)
    return model.graph_sha256 is None or entry is None or model.graph_sha256 == entry.sha256


def _same_temperature(prediction: Prediction, manifest: Manifest) -> bool:
    if prediction.calibrated is not (manifest.temperature is not None):
        return False
    scaled = np.array(prediction.logits) / (manifest.temperature or 1.0)
    return np.allclose(softmax(scaled), prediction.probabilities, rtol=0.0, atol=_ROUNDING)


def _same_rules(prediction: Prediction, manifest: Manifest) -> bool:
    """Compare thresholds as they were copied into the answer, and the set with what they give."""
    referral, rule = prediction.referral, manifest.referral
    if (referral is None) is not (rule is None):
        return False
    if referral is not None and rule is not None:
        stated = (referral.threshold, referral.target_sensitivity)
        if stated != (rule.threshold, rule.target_sensitivity):
            return False
    members, sets = prediction.prediction_set, manifest.conformal
    if members is None or sets is None:
        return members is None and sets is None
    codes = {diagnosis.code for diagnosis in members.not_guaranteed}
    return (members.coverage, codes) == (sets.coverage, set(sets.not_guaranteed)) and all(
        (prediction.probability(d) >= sets.thresholds[d.code]) is (d in members.diagnoses)
        for d in Diagnosis
    )


def _same_evidence(explanation: Explanation, manifest: Manifest) -> bool:
    grid, flips = manifest.preprocessing.grid, manifest.preprocessing.flips
    return (
        explanation.evidence.shape[1:] == (grid, grid)
        and explanation.scale == manifest.evidence_scale
        and (explanation.shift == 0.0) is flips
    )
