from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation.calibration import calibration_reference
from dermassist.evaluation.consistency import contradictions
from dermassist.evaluation.ranking import roc_curve
from dermassist.evaluation.report import MALIGNANCY, ROC_GRID, EvaluationReport, build_report
from dermassist.evaluation.subgroup import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]


def build(answers: Answers, *, seed: int = 0) -> EvaluationReport:
    labels, chances, lesions = answers
    return build_report(
        labels,
        chances,
        groups=lesions,
        rng=np.random.default_rng(seed),
        metadata=Metadata(sex=["male", "female"] * (len(labels) // 2)),
        resamples=60,
    )


def test_a_report_survives_json(answers: Answers) -> None:
    report = build(answers)

    text = json.dumps(report.to_dict(), allow_nan=False)
    again = EvaluationReport.from_dict(json.loads(text))

    assert json.dumps(again.to_dict()) == text
    assert again.summary == report.summary
    assert again.confusion == report.confusion
    assert [group.value for group in again.subgroups_of("sex")] == ["female", "male"]
    assert again.subgroups_of("source") == ()


def test_the_same_generator_gives_the_same_report(answers: Answers) -> None:
    first, same, other = (build(answers, seed=seed).to_dict() for seed in (1, 1, 2))

    assert first == same
    assert first["summary"]["overall"] != other["summary"]["overall"]
    assert first["confusion"] == other["confusion"]


def test_arrays_are_left_as_they_were(answers: Answers) -> None:
    copies = tuple(array.copy() for array in answers)

    build(answers)

    for array, copy in zip(answers, copies, strict=True):
        assert np.array_equal(array, copy)


def test_roc_lines_are_points_of_the_curves(answers: Answers) -> None:
    labels, chances, _ = answers

    report = build(answers)

    assert [line.name for line in report.roc] == [*CODES, MALIGNANCY]
    for place, line in enumerate(report.roc[:7]):
        curve = roc_curve(labels == place, chances[:, place])
        for rate, sensitivity in zip(ROC_GRID[::20], line.sensitivity[::20], strict=True):
            allowed = curve.false_positive_rate <= rate + 1e-9
            assert sensitivity == curve.sensitivity[allowed].max()


def test_the_reference_is_drawn_for_these_probabilities(answers: Answers) -> None:
    _, chances, _ = answers

    reference = build(answers).calibration_reference

    expected = calibration_reference(chances, rng=np.random.default_rng(9), simulations=500)
    assert reference.simulations == 60
    assert reference.mean == pytest.approx(expected.mean, abs=0.006)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "evaluate again"),
        ({"classes": ["mel", "nv"]}, "evaluate again"),
        ({"confusion": None}, "confusion: expected a list"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_a_document_of_another_form_is_refused(
    answers: Answers, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        EvaluationReport.from_dict(build(answers).to_dict() | change)


def test_what_was_computed_contradicts_nothing(make_answers: Callable[..., Answers]) -> None:
    labels, chances, lesions = make_answers(200, seed=4)
    some = labels != CODES.index("df")

    assert contradictions(build((labels, chances, lesions))) == ()
    assert contradictions(build((labels[some], chances[some], lesions[some]))) == ()


@pytest.mark.parametrize(
    "name",
    ["accuracy", "balanced_accuracy", "macro_f1", "weighted_precision", "macro_auc"],
)
def test_an_edited_average_is_found(answers: Answers, name: str) -> None:
    report = build(answers)
    overall = report.summary.overall
    better = replace(getattr(overall, name), value=getattr(overall, name).value + 0.001)
    summary = replace(report.summary, overall=replace(overall, **{name: better}))

    found = contradictions(replace(report, summary=summary))

    assert len(found) == 1
    assert found[0].startswith(f"{name} is stated as {better.value:.6f}")


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_an_edited_row_is_found(answers: Answers, name: str) -> None:
    report = build(answers)
    row = report.summary.classes[4]
    better = replace(getattr(row.measures, name), value=0.999)
    rows = list(report.summary.classes)
    rows[4] = replace(row, measures=replace(row.measures, **{name: better}))

    found = contradictions(replace(report, summary=replace(report.summary, classes=tuple(rows))))

    assert any("mel is stated as 0.999000" in sentence for sentence in found)
