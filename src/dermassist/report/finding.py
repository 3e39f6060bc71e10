"""Sentences on one answer: how sure, how reliable, what it means for referral."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dermassist.diagnosis import Diagnosis
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.conformal import SetSummary
from dermassist.explain.caution import (
    NOT_HARMLESS,
    OUTSIDE_THE_SET,
    melanoma_outside_words,
    missed_words,
    named_anyway_words,
    referral_range_words,
)
from dermassist.explain.words import percent, percents_apart, score, set_caveat
from dermassist.measured import FEW_IMAGES, KnownFigures, Measured
from dermassist.model.manifest import Manifest
from dermassist.report.clinical import TEMPERATURE, Statement, cited
from dermassist.report.content import Bar, Bars
from dermassist.results import ModelInfo, Prediction, Referral

NOT_MEASURED = "not measured"
UNREADABLE = (
    "Some figures measured of this model were written by another version of DermAssist and cannot "
    'be read by this one; they are called "not measured" here.'
)
MALIGNANT_SUM = "Malignant classes together (MEL, BCC, AKIEC)"


def not_at_hand(model: ModelInfo) -> str:
    """Say why nothing is known of the model that answered."""
    return (
        f"The image was answered by {model.name} {model.version}, which is not at hand: what was "
        'measured of it is called "not measured" here.'
    )


@dataclass(frozen=True)
class Evidence:
    """What the sentences rest on.

    Attributes:
        prediction: of the image.
        manifest: of the model, or ``None`` where it is not at hand.
        known: what was measured of the model.
    """

    prediction: Prediction
    manifest: Manifest | None
    known: KnownFigures


def estimate_words(estimate: Estimate) -> str:
    """Return a share with its 95 % interval, in words."""
    value = percent(estimate.value)
    if math.isnan(estimate.value):
        return value
    if math.isnan(estimate.low):
        return f"{value} (too few lesions for an interval)"
    if estimate.repeated:
        # Every resample repeats it, which says nothing about how sure it is.
        return f"{value} (without exception, so no interval could be drawn)"
    return f"{value} (95 % interval {percent(estimate.low)} to {percent(estimate.high)})"


def confidence_score(prediction: Prediction) -> str:
    """Return the paper's form of the confidence: ``0.92 (92 %)``."""
    return f"{score(prediction.confidence)} ({percent(prediction.confidence)})"


def reliability(diagnosis: Diagnosis, measured: Measured | None) -> tuple[str, ...]:
    """Say how answers with this class fared in the model's own test."""
    if measured is None:
        return (f"Reliability: {NOT_MEASURED} for this model.",)
    row = measured.of_class(diagnosis)
    missed = missed_words(diagnosis, measured)
    sentences = [
        _precision_words(diagnosis, measured),
        *((missed,) if missed else ()),
        _recall_words(diagnosis, measured),
    ]
    if 0 < row.lesions < FEW_IMAGES:
        sentences.append(f"Only {row.lesions} test lesions were of this class; this says little.")
    if measured.protocol:
        sentences.append(f"Tested on: {measured.protocol}.")
    return tuple(sentences)


def calibration(evidence: Evidence) -> str:
    """Say whether the probabilities were fitted to observed frequencies, and how well."""
    if not evidence.prediction.calibrated:
        text = "The probabilities are not calibrated: a temperature was not measured for this model"
        return cited(Statement(f"{text}.", TEMPERATURE))
    sentence = cited(
        Statement("The probabilities were calibrated on validation lesions.", TEMPERATURE)
    )
    if evidence.known.measured is None:
        return f"{sentence} Calibration error in the test: {NOT_MEASURED}."
    error = evidence.known.measured.report.summary.overall.calibration_error
    return f"{sentence} Expected calibration error in the test: {estimate_words(error)}."


def prediction_set(evidence: Evidence) -> tuple[str, ...]:
    """Say which diagnoses are in the set, with which promise, and how it was kept."""
    members = evidence.prediction.prediction_set
    if members is None:
        return (f"Prediction set: {NOT_MEASURED} for this model.",)
    names = ", ".join(str(diagnosis) for diagnosis in members.diagnoses) or "none"
    share = percent(members.coverage)
    text = (
        f"Prediction set ({share}): {names}. Such sets were calibrated to hold the true diagnosis "
        f"of {share} of lesions of each class."
    )
    if members.not_guaranteed:
        codes = ", ".join(diagnosis.code.upper() for diagnosis in members.not_guaranteed)
        text += f" This is not guaranteed for {codes}: too few calibration lesions."
    sets = evidence.known.sets
    cautions = (
        set_caveat(evidence.prediction),
        OUTSIDE_THE_SET,
        melanoma_outside_words(evidence.prediction, sets),
        named_anyway_words(evidence.prediction, sets),
    )
    return (text, " ".join(caution for caution in cautions if caution), _set_worth(sets))


def _set_worth(sets: SetSummary | None) -> str:
    if sets is None:
        return f"How many sets hold the true diagnosis in the test: {NOT_MEASURED}."
    return (
        f"In the test, sets held the true diagnosis of {estimate_words(sets.lesion_coverage)} of "
        f"the lesions and {estimate_words(sets.coverage)} of the images."
    )


def referral_advice(evidence: Evidence) -> tuple[str, ...]:
    """Say whether the malignant probability reaches the threshold, and what that is worth."""
    referral = evidence.prediction.referral
    if referral is None:
        together = percent(evidence.prediction.malignancy)
        return (f"{MALIGNANT_SUM}: {together}. Referral threshold: {NOT_MEASURED} for this model.",)
    relation, advice = _relation(referral)
    malignancy, threshold = percents_apart(referral.malignancy, referral.threshold)
    sentence = (
        f"{MALIGNANT_SUM}: {malignancy}. This {relation} the referral threshold of {threshold}, "
        "which was chosen on validation lesions for a sensitivity of "
        f"{percent(referral.target_sensitivity)}. {advice}"
    )
    if evidence.known.referral is None:
        worth = f"Sensitivity and specificity of the threshold in the test: {NOT_MEASURED}."
    else:
        worth = (
            "In the test, the threshold had a sensitivity of "
            f"{estimate_words(evidence.known.referral.sensitivity)} and a specificity of "
            f"{estimate_words(evidence.known.referral.specificity)}."
        )
    by_source = referral_range_words(evidence.known.measured)
    return sentence, worth if by_source is None else f"{worth} {by_source}"


def referral_value(prediction: Prediction) -> str:
    """Return the referral advice in a word or two."""
    if prediction.referral is None:
        return NOT_MEASURED
    return "Advised" if prediction.referral.advised else "Threshold not reached"


def probability_bars(prediction: Prediction) -> Bars:
    """Return the seven probabilities, most probable first, and the malignant sum."""
    members = prediction.prediction_set.diagnoses if prediction.prediction_set else ()
    bars = [
        Bar(
            label=str(diagnosis),
            share=share,
            text=_short(share),
            tag=_tag(diagnosis, in_set=diagnosis in members),
            strong=diagnosis is prediction.diagnosis,
        )
        for diagnosis, share in prediction.ranked
    ]
    referral = prediction.referral
    threshold = None if referral is None else referral.threshold
    together = prediction.malignancy
    total = Bar(
        "MEL, BCC and AKIEC together",
        together,
        _short(together),
        tag="" if threshold is None else "line: threshold",
        mark=threshold,
    )
    return Bars((*bars, total))


def _precision_words(diagnosis: Diagnosis, measured: Measured) -> str:
    answered = sum(row[diagnosis.index] for row in measured.report.confusion)
    if answered == 0:
        return f"In the test the model never answered {diagnosis}."
    share = estimate_words(measured.of_class(diagnosis).measures.precision)
    return (
        f"In the test, the model was right for {share} of the {answered:,} images that it answered "
        f"with {diagnosis}."
    )


def _recall_words(diagnosis: Diagnosis, measured: Measured) -> str:
    row = measured.of_class(diagnosis)
    if not row.scored:
        return f"How many cases of it are recognised: {NOT_MEASURED}, too few test images show it."
    share = estimate_words(row.measures.recall)
    return (
        f"Of the {row.images:,} test images that show it ({row.lesions:,} lesions), the model "
        f"recognised {share}."
    )


def _relation(referral: Referral) -> tuple[str, str]:
    if referral.advised:
        return "reaches", "An assessment by a dermatologist is advised."
    return "is below", NOT_HARMLESS


def _short(share: float) -> str:
    return percent(share).replace("less than", "<").replace("more than", ">")


def _tag(diagnosis: Diagnosis, *, in_set: bool) -> str:
    parts = (["malignant"] if diagnosis.malignant else []) + (["in the set"] if in_set else [])
    return ", ".join(parts)
