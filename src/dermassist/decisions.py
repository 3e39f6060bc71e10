"""From probabilities to decisions: rules fitted on validation lesions, then measured on others.

Half of the validation lesions fit the temperature; the other half calibrates the prediction sets
(``dermassist.data.calibration_part``), which depend on nothing else that it fits. All of them
choose the referral threshold, which neither depends on the sets nor they on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dermassist.answering import Answers
from dermassist.data.calibration_part import calibration_lesions
from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import Estimate, bootstrap
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.conformal import (
    SetSummary,
    estimate_sets,
    fit_conformal_sets,
    one_image_per_lesion,
)
from dermassist.evaluation.decision import (
    ReferralMeasures,
    SourceReferral,
    estimate_referral,
    estimate_referral_by_source,
    fit_referral_threshold,
)
from dermassist.evaluation.document import to_document
from dermassist.evaluation.malignancy import malignant_probability
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.temperature import apply_temperature, fit_temperature
from dermassist.model.manifest import ConformalRule, Manifest, ReferralRule

TARGET_SENSITIVITY = 0.95
SET_COVERAGE = 0.9
#: Chooses one image of every calibration lesion.
_LESION_SEED = 0


@dataclass(frozen=True)
class DecisionRules:
    """What turns logits into decisions.

    Attributes:
        temperature: ``None`` where the images did not determine one.
        referral: threshold on the summed malignant probability.
        conformal: prediction sets.
    """

    temperature: float | None
    referral: ReferralRule
    conformal: ConformalRule


@dataclass(frozen=True)
class DecisionMeasures:
    """What a model's rules do on lesions that chose none of them.

    Attributes:
        error_before: expected calibration error without the temperature.
        error_after: with it.
        referral: ``None`` where the model has no threshold.
        sets: ``None`` where the model has no prediction sets.
    """

    error_before: Estimate
    error_after: Estimate
    referral: ReferralMeasures[Estimate] | None
    sets: SetSummary | None


def fit_decisions(answers: Answers) -> DecisionRules:
    """Fit all rules on validation answers.

    Raises:
        DataError: too few images, or no malignant or no benign one.
        MissingExtraError: crepes is not installed.
    """
    kept_apart = calibration_lesions(answers.records)
    calibrates = np.array([record.lesion_id in kept_apart for record in answers.records])
    if calibrates.all():
        raise DataError("validation needs at least two lesions of a diagnosis to calibrate on")
    fitting = ~calibrates
    labels, logits = answers.labels, answers.logits
    fit = fit_temperature(labels[fitting], logits[fitting])
    # At the limit the images tell nothing about confidence, so nothing is called calibrated.
    temperature = None if fit.at_limit else fit.temperature
    probabilities = apply_temperature(logits, temperature=temperature or 1.0)
    referral = fit_referral_threshold(
        labels, probabilities, sensitivity=TARGET_SENSITIVITY, groups=answers.lesions
    )
    sets = _fit_sets(labels[calibrates], probabilities[calibrates], answers.lesions[calibrates])
    return DecisionRules(temperature, ReferralRule(referral.threshold, TARGET_SENSITIVITY), sets)


def measure_decisions(
    answers: Answers, manifest: Manifest, *, rng: np.random.Generator
) -> DecisionMeasures:
    """Measure a model's rules on answers that chose none of them, with intervals by lesion."""
    labels, probabilities, lesions = answers.labels, answers.probabilities, answers.lesions
    without = apply_temperature(answers.logits, temperature=1.0)
    errors = bootstrap(
        lambda weights: {
            "before": expected_calibration_error(labels, without, weights=weights),
            "after": expected_calibration_error(labels, probabilities, weights=weights),
        },
        groups=lesions,
        rng=rng,
    )
    rule, sets = manifest.referral, manifest.conformal
    return DecisionMeasures(
        error_before=errors.estimate("before", grows=True),
        error_after=errors.estimate("after", grows=True),
        referral=None
        if rule is None
        else estimate_referral(labels, refers(rule, probabilities), groups=lesions, rng=rng),
        sets=None
        if sets is None
        else estimate_sets(members(sets, probabilities), labels, groups=lesions, rng=rng),
    )


def measure_sources(
    answers: Answers, manifest: Manifest, *, rng: np.random.Generator
) -> tuple[SourceReferral, ...]:
    """Measure the referral threshold on each source of the answered images.

    Returns:
        Nothing without a threshold, or where all images are of one source.
    """
    rule = manifest.referral
    sources = np.array([record.source for record in answers.records])
    if rule is None or len(np.unique(sources)) < 2:
        return ()
    return estimate_referral_by_source(
        answers.labels,
        refers(rule, answers.probabilities),
        sources=sources,
        groups=answers.lesions,
        rng=rng,
    )


def prediction_table(answers: Answers, manifest: Manifest) -> PredictionTable:
    """Return each image's answer, with what the model's rules say of it.

    Raises:
        DataError: the model has no referral threshold or no prediction sets.
    """
    referral, conformal = rules_of(manifest)
    return PredictionTable(
        images=tuple(record.image_id for record in answers.records),
        labels=answers.labels,
        probabilities=answers.probabilities,
        referred=refers(referral, answers.probabilities),
        sets=members(conformal, answers.probabilities),
    )


def rules_of(manifest: Manifest) -> tuple[ReferralRule, ConformalRule]:
    """Return a model's rules for referral and for sets.

    Raises:
        DataError: it lacks one.
    """
    referral, conformal = manifest.referral, manifest.conformal
    if referral is None or conformal is None:
        raise DataError(
            f"{manifest.name} {manifest.version}: has no referral threshold or no prediction sets"
        )
    return referral, conformal


def with_measures(manifest: Manifest, measures: DecisionMeasures) -> Manifest:
    """Return the manifest with what was measured written beside each rule."""
    referral, conformal = manifest.referral, manifest.conformal
    if referral is not None and measures.referral is not None:
        referral = replace(referral, measured=to_document(measures.referral))
    if conformal is not None and measures.sets is not None:
        conformal = replace(conformal, measured=to_document(measures.sets))
    return replace(manifest, referral=referral, conformal=conformal)


def refers(rule: ReferralRule, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which images ``(n,)`` a threshold refers, given ``(n, 7)`` probabilities."""
    return malignant_probability(probabilities) >= rule.threshold


def members(rule: ConformalRule, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which diagnoses are in the set of each image ``(n, 7)``."""
    return probabilities >= np.array([rule.thresholds[code] for code in CODES])


def _fit_sets(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], lesions: NDArray[np.str_]
) -> ConformalRule:
    single = one_image_per_lesion(lesions, rng=np.random.default_rng(_LESION_SEED))
    fitted = fit_conformal_sets(labels[single], probabilities[single], coverage=SET_COVERAGE)
    return ConformalRule(
        coverage=fitted.coverage,
        thresholds=dict(zip(CODES, fitted.minimum_probability, strict=True)),
        calibration_lesions=dict(zip(CODES, fitted.calibration_images, strict=True)),
        not_guaranteed=fitted.too_small,
    )
