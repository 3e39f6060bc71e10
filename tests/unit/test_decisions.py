"""Rules come from validation lesions; each half serves one purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from dermassist.answering import Answers
from dermassist.data.calibration_part import calibration_lesions
from dermassist.data.ham10000 import Record
from dermassist.decisions import (
    DecisionMeasures,
    fit_decisions,
    measure_decisions,
    with_measures,
)
from dermassist.diagnosis import CODES, DIAGNOSES, MALIGNANT
from dermassist.errors import DataError
from dermassist.evaluation.conformal import images_needed
from dermassist.evaluation.document import from_document, to_document
from dermassist.inference.classifier import Classifier
from dermassist.model.bundle import Bundle

from ..conftest import tiny_graph, tiny_manifest

IS_MALIGNANT = np.array([diagnosis in MALIGNANT for diagnosis in DIAGNOSES])


def answers_from(logits: np.ndarray, labels: np.ndarray, *, temperature: float = 1.0) -> Answers:
    """Return answers for made-up images of as many lesions."""
    records = tuple(
        Record(f"I{k}", f"L{k}", DIAGNOSES[label], "histo", None, "male", "back", "x")
        for k, label in enumerate(labels.tolist())
    )
    count = len(labels)
    return Answers(
        records=records,
        logits=logits,
        probabilities=softmax(logits / temperature, axis=1),
        evidence=np.zeros((count, 7, 2, 2), np.float32),
        to_image=np.tile(np.eye(2, 3), (count, 1, 1)),
        sizes=np.full((count, 2), 64),
    )


def noisy_answers(count: int, *, seed: int = 0, scale: float = 1.0) -> Answers:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 7, count)
    return answers_from(scale * (np.eye(7)[labels] * 2.0 + random.normal(0, 1, (count, 7))), labels)


def halves(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    chosen = calibration_lesions(answers.records)
    calibrates = np.array([record.lesion_id in chosen for record in answers.records])
    return np.flatnonzero(~calibrates), np.flatnonzero(calibrates)


def changed(answers: Answers, where: np.ndarray) -> Answers:
    """Return the answers with other logits at some images."""
    logits = answers.logits.copy()
    logits[where] = np.roll(logits[where], 1, axis=1)
    return answers_from(logits, answers.labels)


def test_temperature_is_the_likeliest_on_its_half() -> None:
    answers = noisy_answers(400, scale=3.0)
    fitting, _ = halves(answers)
    logits, labels = answers.logits[fitting], answers.labels[fitting]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]))

    best = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    assert fit_decisions(answers).temperature == pytest.approx(np.exp(best.x), rel=1e-3)


def test_over_confident_logits_are_cooled() -> None:
    honest = fit_decisions(noisy_answers(400)).temperature
    proud = fit_decisions(noisy_answers(400, scale=3.0)).temperature
    assert honest is not None
    assert proud == pytest.approx(3 * honest, rel=1e-6)


def test_temperature_that_images_do_not_determine_is_not_called_measured() -> None:
    labels = np.tile(np.arange(7), 4)
    assert fit_decisions(answers_from(np.eye(7)[labels], labels)).temperature is None


def test_threshold_refers_a_little_more_than_the_promised_share_of_all_lesions() -> None:
    answers = noisy_answers(400)
    rules = fit_decisions(answers)
    assert rules.referral.target_sensitivity == 0.95
    assert rules.temperature is not None
    malignancy = softmax(answers.logits / rules.temperature, axis=1)[:, IS_MALIGNANT].sum(axis=1)
    malignant = IS_MALIGNANT[answers.labels]
    lesions = len(np.unique(answers.lesions[malignant]))
    asked = np.ceil(0.95 * (lesions + 1)) / lesions
    scores = np.sort(malignancy[malignant])
    missed = int(np.floor((1.0 - asked) * len(scores) + 1e-9))
    assert rules.referral.threshold == pytest.approx(scores[missed], abs=1e-12)


def test_rules_say_of_the_images_that_chose_them_what_is_served() -> None:
    # As the network gives them: the image that defines a threshold must reach it when served too.
    drawn = noisy_answers(400)
    answers = answers_from(drawn.logits.astype(np.float32).astype(np.float64), drawn.labels)
    rules = fit_decisions(answers)
    manifest = tiny_manifest(
        temperature=rules.temperature, referral=rules.referral, conformal=rules.conformal
    )
    model = Classifier(Bundle.unwritten(Path(), manifest, tiny_graph()), threads=1)
    served = [model.to_prediction(row.astype(np.float32)) for row in answers.logits]
    malignancies = {p.referral.malignancy for p in served if p.referral is not None}
    assert rules.referral.threshold in malignancies
    for diagnosis in DIAGNOSES:
        chances = {prediction.probability(diagnosis) for prediction in served}
        assert rules.conformal.thresholds[diagnosis.code] in chances


def test_each_half_serves_one_purpose() -> None:
    answers = noisy_answers(400)
    fitting, calibrating = halves(answers)
    rules = fit_decisions(answers)

    other_sets = fit_decisions(changed(answers, calibrating))
    assert other_sets.temperature == rules.temperature
    assert other_sets.conformal.thresholds != rules.conformal.thresholds

    other_rules = fit_decisions(changed(answers, fitting))
    assert other_rules.temperature != rules.temperature


def test_sets_hold_the_truth_on_new_lesions() -> None:
    coverages = []
    for seed in range(10):
        rules = fit_decisions(noisy_answers(1400, seed=seed))
        manifest = replace(tiny_manifest(), conformal=rules.conformal)
        new = noisy_answers(1400, seed=1000 + seed)
        assert rules.temperature is not None
        tempered = answers_from(new.logits, new.labels, temperature=rules.temperature)
        sets = measure_decisions(tempered, manifest, rng=np.random.default_rng(0)).sets
        assert sets is not None
        coverages.append(sets.coverage.value)
    assert np.mean(coverages) == pytest.approx(0.9, abs=0.015)


def test_classes_with_too_few_lesions_are_named_and_take_what_all_lesions_give() -> None:
    few = 2 * images_needed(0.9) - 2
    labels = np.concatenate([np.repeat(np.arange(6), 40), np.full(few, 6)])
    logits = np.eye(7)[labels] * 2.0 + np.random.default_rng(0).normal(0, 1, (len(labels), 7))
    answers = answers_from(logits, labels)
    rules = fit_decisions(answers)
    rule = rules.conformal
    assert rule.not_guaranteed == (CODES[6],)
    assert rule.calibration_lesions == dict(zip(CODES, [20] * 6 + [few // 2], strict=True))
    _, calibrating = halves(answers)
    assert rules.temperature is not None
    chances = softmax(logits / rules.temperature, axis=1)[calibrating, labels[calibrating]]
    left_out = int(0.1 * (len(calibrating) + 1)) - 1
    assert rule.thresholds[CODES[6]] == pytest.approx(np.sort(chances)[left_out])
    assert min(rule.thresholds[code] for code in CODES[:6]) > 0.0


def test_one_lesion_a_diagnosis_cannot_calibrate() -> None:
    labels = np.arange(7)
    with pytest.raises(DataError, match="at least two lesions"):
        fit_decisions(answers_from(np.eye(7), labels))


def test_measures_are_those_counted_by_hand_and_reach_the_manifest() -> None:
    rules = fit_decisions(noisy_answers(400))
    manifest = replace(tiny_manifest(), referral=rules.referral, conformal=rules.conformal)
    new = noisy_answers(300, seed=7)
    measures = measure_decisions(new, manifest, rng=np.random.default_rng(0))

    malignant = IS_MALIGNANT[new.labels]
    referred = new.probabilities[:, IS_MALIGNANT].sum(axis=1) >= rules.referral.threshold
    assert measures.referral is not None
    assert measures.referral.sensitivity.value == pytest.approx(referred[malignant].mean())
    assert measures.referral.specificity.value == pytest.approx((~referred[~malignant]).mean())
    members = new.probabilities >= np.array([rules.conformal.thresholds[c] for c in CODES])
    assert measures.sets is not None
    assert measures.sets.mean_size.value == pytest.approx(members.sum(axis=1).mean())
    assert measures.sets.coverage.value == pytest.approx(members[np.arange(300), new.labels].mean())

    written = with_measures(manifest, measures)
    assert written.referral is not None
    assert written.conformal is not None
    assert written.referral.measured == to_document(measures.referral)
    assert written.conformal.measured == to_document(measures.sets)
    assert from_document(DecisionMeasures, to_document(measures)) == measures


def repeated(answers: Answers, times: int) -> Answers:
    """Return answers for as many images of each image's lesion, all alike."""
    names = [(record, copy) for record in answers.records for copy in range(times)]
    return Answers(
        records=tuple(replace(r, image_id=f"{r.image_id}-{copy}") for r, copy in names),
        logits=np.repeat(answers.logits, times, axis=0),
        probabilities=np.repeat(answers.probabilities, times, axis=0),
        evidence=np.repeat(answers.evidence, times, axis=0),
        to_image=np.repeat(answers.to_image, times, axis=0),
        sizes=np.repeat(answers.sizes, times, axis=0),
    )


def test_more_images_of_the_same_lesions_change_no_rule() -> None:
    # Of their 133 malignant lesions 128 must be referred; counted by image it would be 127.
    once = noisy_answers(320)
    first, again = fit_decisions(once), fit_decisions(repeated(once, 4))
    assert again.referral.threshold == pytest.approx(first.referral.threshold, rel=1e-9)
    assert again.conformal.thresholds == pytest.approx(first.conformal.thresholds, rel=1e-9)
    assert again.conformal.calibration_lesions == first.conformal.calibration_lesions
    assert again.conformal.not_guaranteed == first.conformal.not_guaranteed


def test_more_images_of_the_same_lesions_narrow_no_interval_of_the_rules() -> None:
    once = noisy_answers(300)
    rules = fit_decisions(once)
    manifest = replace(tiny_manifest(), referral=rules.referral, conformal=rules.conformal)

    def widths(answers: Answers) -> list[float]:
        measured = measure_decisions(answers, manifest, rng=np.random.default_rng(0))
        assert measured.referral is not None
        assert measured.sets is not None
        figures = (
            *(measured.error_before, measured.error_after),
            *(measured.referral.specificity, measured.sets.coverage),
        )
        return [figure.high - figure.low for figure in figures]

    assert widths(repeated(once, 4)) == pytest.approx(widths(once), rel=1e-6)


def test_a_model_without_rules_has_nothing_measured_of_them() -> None:
    bare = replace(tiny_manifest(), referral=None, conformal=None)
    measures = measure_decisions(noisy_answers(60), bare, rng=np.random.default_rng(0))
    assert (measures.referral, measures.sets) == (None, None)
    assert with_measures(bare, measures) == bare
    assert from_document(DecisionMeasures, to_document(measures)) == measures
