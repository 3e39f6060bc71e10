from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.metrics import Metrics, measure, scored_classes

if TYPE_CHECKING:
    from collections.abc import Callable

MEL = CODES.index("mel")
Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]
#: Classes whose images a test takes away.
DF, VASC = CODES.index("df"), CODES.index("vasc")


def sensitivity_at(
    positive: NDArray[np.bool_], score: NDArray[np.float64], specificity: float
) -> float:
    rate, sensitivity, _ = oracle.roc_curve(positive, score, drop_intermediate=False)
    return float(sensitivity[1 - rate >= specificity - 1e-12].max())


def test_every_figure_is_that_of_scikit_learn(answers: Answers) -> None:
    labels, chances, _ = answers
    predicted = chances.argmax(axis=1)
    malignant = np.isin(labels, [CODES.index(code) for code in ("mel", "bcc", "akiec")])
    risk = chances[:, [CODES.index(code) for code in ("mel", "bcc", "akiec")]].sum(axis=1)

    measured = measure(labels, chances)

    report = oracle.precision_recall_fscore_support
    macro = report(labels, predicted, average="macro", zero_division=np.nan)
    weighted = report(labels, predicted, average="weighted", zero_division=np.nan)
    expected = {
        "accuracy": oracle.accuracy_score(labels, predicted),
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, predicted),
        "macro_precision": macro[0],
        "macro_f1": macro[2],
        "weighted_precision": weighted[0],
        "weighted_recall": weighted[1],
        "weighted_f1": weighted[2],
        "macro_auc": oracle.roc_auc_score(labels, chances, multi_class="ovr", average="macro"),
        "malignancy_auc": oracle.roc_auc_score(malignant, risk),
        "melanoma_sensitivity_at_90": sensitivity_at(labels == MEL, chances[:, MEL], 0.90),
        "melanoma_sensitivity_at_95": sensitivity_at(labels == MEL, chances[:, MEL], 0.95),
        "malignancy_sensitivity_at_90": sensitivity_at(malignant, risk, 0.90),
        "malignancy_sensitivity_at_95": sensitivity_at(malignant, risk, 0.95),
        "brier_score": oracle.brier_score_loss(
            labels, chances, labels=range(7), scale_by_half=False
        ),
        "log_loss": oracle.log_loss(labels, chances, labels=range(7)),
    }
    for name, value in expected.items():
        assert getattr(measured.overall, name) == pytest.approx(value), name
    assert set(expected) | {"calibration_error"} == {f.name for f in fields(measured.overall)}
    assert np.array_equal(measured.confusion, oracle.confusion_matrix(labels, predicted))
    for place in range(7):
        area = oracle.roc_auc_score(labels == place, chances[:, place])
        assert measured.per_class.auc[place] == pytest.approx(area)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weights_are_repetitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(7), rng.integers(0, 7, 23))
    chances = rng.dirichlet(np.ones(7), size=30)
    times = np.append(np.ones(7, dtype=int), rng.integers(0, 4, 23))

    weighted = measure(labels, chances, weights=times)
    repeated = measure(np.repeat(labels, times), np.repeat(chances, times, axis=0))

    assert_equal_metrics(weighted, repeated)


def test_a_batch_of_weights_equals_one_call_each(answers: Answers) -> None:
    labels, chances, _ = answers
    weights = np.random.default_rng(3).integers(0, 3, (4, len(labels)))

    batch = measure(labels, chances, weights=weights)

    for place, row in enumerate(weights):
        single = measure(labels, chances, weights=row)
        for part in ("overall", "per_class"):
            for name, value in vars(getattr(single, part)).items():
                found = getattr(getattr(batch, part), name)[place]
                assert np.allclose(found, value, equal_nan=True), name


def test_an_absent_class_is_left_out_of_averages_and_is_nan_itself(answers: Answers) -> None:
    labels, chances, _ = answers
    kept = (labels != DF) & (labels != VASC)
    labels, chances = labels[kept], chances[kept]
    predicted = chances.argmax(axis=1)
    assert {DF, VASC} & set(predicted), "some images must be mistaken for an absent class"

    measured = measure(labels, chances)

    present = [c for c in range(7) if c not in {DF, VASC}]
    assert np.array_equal(np.flatnonzero(scored_classes(labels)), present)
    for values in vars(measured.per_class).values():
        assert np.isnan(values[[DF, VASC]]).all()
        assert not np.isnan(values[present]).any()
    f1 = oracle.f1_score(labels, predicted, labels=present, average="macro")
    recalls = oracle.recall_score(labels, predicted, labels=present, average="macro")
    assert measured.overall.macro_f1 == pytest.approx(f1)
    assert measured.overall.balanced_accuracy == pytest.approx(recalls)
    assert measured.overall.accuracy == pytest.approx((labels == predicted).mean())


def test_a_resample_without_a_class_has_no_averages(answers: Answers) -> None:
    labels, chances, _ = answers
    weights = np.stack([np.ones(len(labels)), labels != DF])

    overall = measure(labels, chances, weights=weights).overall

    for name in ("balanced_accuracy", "macro_precision", "macro_f1", "macro_auc"):
        assert np.array_equal(np.isnan(getattr(overall, name)), [False, True]), name
    for name in ("accuracy", "malignancy_auc", "log_loss", "calibration_error"):
        assert not np.isnan(getattr(overall, name)).any(), name


def test_a_minimum_of_images_takes_rare_classes_out(
    make_answers: Callable[..., Answers],
) -> None:
    labels, chances, _ = make_answers(300)
    common = np.bincount(labels, minlength=7) >= 20
    assert 0 < common.sum() < 7

    measured = measure(labels, chances, minimum_images=20)

    assert np.array_equal(~np.isnan(measured.per_class.recall), common)
    assert np.array_equal(~np.isnan(measured.per_class.auc), common)
    recalls = oracle.recall_score(labels, chances.argmax(axis=1), average=None)
    assert measured.overall.balanced_accuracy == pytest.approx(recalls[common].mean())


def test_malignancy_needs_enough_images_on_both_sides() -> None:
    labels = np.array([MEL] * 3 + [CODES.index("nv")] * 9)
    chances = np.random.default_rng(0).dirichlet(np.ones(7), size=12)

    assert not np.isnan(measure(labels, chances, minimum_images=3).overall.malignancy_auc)
    assert np.isnan(measure(labels, chances, minimum_images=4).overall.malignancy_auc)
    assert np.isnan(measure(labels, chances, minimum_images=4).overall.melanoma_sensitivity_at_90)


def test_the_first_of_equal_probabilities_is_predicted() -> None:
    chances = np.array([[0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0]])

    assert measure([1], chances).overall.accuracy == 1
    assert measure([4], chances).overall.accuracy == 0


def test_answers_that_do_not_fit_together_are_refused(answers: Answers) -> None:
    labels, chances, _ = answers
    with pytest.raises(DataError, match=r"shape \(399, 7\), got \(400, 7\)"):
        measure(labels[1:], chances)
    with pytest.raises(DataError, match="weights must end in one number per image"):
        measure(labels, chances, weights=[1, 2])
    with pytest.raises(ConfigError, match="minimum_images must be at least 1"):
        measure(labels, chances, minimum_images=0)


def assert_equal_metrics(first: Metrics, second: Metrics) -> None:
    for part in ("overall", "per_class"):
        for name, value in vars(getattr(first, part)).items():
            other = getattr(getattr(second, part), name)
            assert np.allclose(value, other, equal_nan=True), name
    assert np.array_equal(first.confusion, second.confusion)
