from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.report import EvaluationReport, build_report
from dermassist.evaluation.subgroup import Metadata
from dermassist.evaluation.table import (
    Table,
    format_estimate,
    format_number,
    render_markdown,
    render_text,
)
from dermassist.evaluation.tabulation import (
    class_table,
    confusion_table,
    mistake_table,
    overall_table,
    subgroup_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]
#: Half a unit of the third digit, of the average itself and of the rows it is taken over.
ROUNDING = 0.001 + 1e-9
TABLE = Table("Title", ("Name", "A", "B"), (("one", "1", ""), ("three", "30", "x|y")), ("Note.",))


@pytest.fixture
def report(make_answers: Callable[..., Answers]) -> EvaluationReport:
    labels, chances, lesions = make_answers(900)
    return build_report(
        labels,
        chances,
        groups=lesions,
        rng=np.random.default_rng(0),
        metadata=Metadata(
            sex=["male", "female"] * 450, dx_type=["histo"] * 890 + ["confocal"] * 10
        ),
        resamples=40,
    )


def read_markdown(text: str) -> dict[str, list[str]]:
    """Return the cells of each row of a Markdown table by its first cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0]: row[1:] for row in rows[:1] + rows[2:]}


def numbers(cells: list[str]) -> list[float]:
    return [float(cell.split(" ")[0]) for cell in cells]


@pytest.mark.parametrize("intervals", [True, False])
def test_every_average_in_the_class_table_equals_what_its_rows_give(
    report: EvaluationReport, intervals: bool
) -> None:
    rows = read_markdown(render_markdown(class_table(report, intervals=intervals)))

    header = rows.pop("Class")
    macro, weighted = rows.pop("Macro average"), rows.pop("Weighted average")
    table = np.array([numbers(cells) for cells in rows.values()])
    images = table[:, header.index("Images")]
    assert len(table) == 7
    assert int(macro[-1]) == int(weighted[-1]) == images.sum()
    for place, name in enumerate(header[:-1]):
        assert float(macro[place].split(" ")[0]) == pytest.approx(
            table[:, place].mean(), abs=ROUNDING
        ), name
        if name != "AUC":
            assert float(weighted[place].split(" ")[0]) == pytest.approx(
                table[:, place] @ images / images.sum(), abs=ROUNDING
            ), name
    assert weighted[header.index("AUC")] == ""


def test_the_overall_table_agrees_with_the_class_and_confusion_tables(
    report: EvaluationReport,
) -> None:
    overall = read_markdown(render_markdown(overall_table(report)))
    classes = read_markdown(render_markdown(class_table(report)))
    counts = read_markdown(render_markdown(confusion_table(report)))

    counts.pop("True \\ predicted")
    matrix = np.array([[int(cell) for cell in cells] for cells in counts.values()])
    assert np.array_equal(matrix[:, :-1].sum(axis=1), matrix[:, -1])
    accuracy = np.trace(matrix[:, :-1]) / matrix[:, -1].sum()
    recall = (np.diag(matrix) / matrix[:, -1]).mean()
    assert numbers(overall["Accuracy"])[0] == pytest.approx(accuracy, abs=ROUNDING)
    assert numbers(overall["Balanced accuracy"])[0] == pytest.approx(recall, abs=ROUNDING)
    assert overall["Balanced accuracy"][0] == classes["Macro average"][1]
    assert overall["Macro F1"][0] == classes["Macro average"][2]
    assert overall["Weighted F1"][0] == classes["Weighted average"][2]
    assert overall["Accuracy"][0] == classes["Weighted average"][1]


def test_the_class_table_has_the_rows_and_columns_of_the_paper(report: EvaluationReport) -> None:
    table = class_table(report)

    assert table.header[:4] == ("Class", "Precision", "Recall", "F1-Score")
    assert [row[0] for row in table.rows[:7]] == [
        "Melanoma (MEL)",
        "Melanocytic Nevus (NV)",
        "Basal Cell Carcinoma (BCC)",
        "Actinic Keratoses (AKIEC)",
        "Benign Keratosis (BKL)",
        "Dermatofibroma (DF)",
        "Vascular Lesion (VASC)",
    ]
    by_name = {row[0]: row for row in table.rows}
    mel = report.summary.classes[CODES.index("mel")]
    assert by_name["Melanoma (MEL)"][2] == format_estimate(mel.measures.recall)
    assert by_name["Melanoma (MEL)"][-1] == str(mel.images)


def test_what_is_missing_is_named_below_the_table(answers: Answers) -> None:
    labels, chances, lesions = answers
    chances = chances.copy()
    chances[:, CODES.index("bcc")] = 0
    chances /= chances.sum(axis=1, keepdims=True)
    kept = labels != CODES.index("df")
    kept[np.flatnonzero(labels == CODES.index("vasc"))[1:]] = False
    report = build_report(
        labels[kept],
        chances[kept],
        groups=lesions[kept],
        rng=np.random.default_rng(0),
        resamples=50,
    )

    table = class_table(report)
    text = render_text(table)

    rows = {row[0]: row for row in table.rows}
    assert rows["Dermatofibroma (DF)"][1:5] == ("n/a",) * 4
    assert rows["Basal Cell Carcinoma (BCC)"][1] == "n/a"
    assert rows["Macro average"][1] == "n/a"
    assert "Not in the images, so not scored: DF." in text
    assert "Never predicted, so without precision: BCC." in text
    assert f"VASC is missing from {report.summary.missed['vasc']} resamples" in text
    assert "resamples of" in table.notes[0]


def test_the_most_frequent_mistakes_are_those_of_the_confusion_matrix(
    report: EvaluationReport,
) -> None:
    rows = mistake_table(report).rows
    shares = [float(row[3]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    names = [str(Diagnosis.from_code(code)) for code in report.classes]
    for true, predicted, images, share in rows:
        counts = report.confusion[names.index(true)]
        assert true != predicted
        assert images == f"{counts[names.index(predicted)]} of {sum(counts)}"
        assert float(share) == pytest.approx(
            counts[names.index(predicted)] / sum(counts), abs=5.1e-4
        )
    listed = {row[:2] for row in rows}
    others = [
        count / sum(counts)
        for true, counts in zip(names, report.confusion, strict=True)
        for predicted, count in zip(names, counts, strict=True)
        if predicted != true and (true, predicted) not in listed
    ]
    assert len(rows) == 10
    assert max(others) <= shares[-1] + 5e-4


def test_subgroups_show_their_size_and_the_classes_averaged(report: EvaluationReport) -> None:
    by_sex, by_type = subgroup_table(report, "sex"), subgroup_table(report, "dx_type")

    assert by_sex.title == "By sex"
    assert [row[:2] for row in by_sex.rows] == [("female", "450"), ("male", "450")]
    assert [row[0] for row in by_type.rows] == ["confocal (small)", "histo"]
    assert by_type.rows[0][4:7] == ("n/a",) * 3
    assert by_type.rows[0][-1] == "none"
    assert "NV" in by_type.rows[1][-1].split(", ")
    assert any(note.startswith("Small: fewer than 30 lesions") for note in by_type.notes)
    assert not any(note.startswith("Small") for note in by_sex.notes)


def test_text_is_aligned() -> None:
    assert render_text(TABLE).splitlines() == [
        "Title",
        "",
        "Name    A    B",
        "--------------",
        "one     1",
        "three  30  x|y",
        "",
        "  Note.",
    ]


def test_markdown_escapes_what_would_break_the_table() -> None:
    assert render_markdown(TABLE).splitlines() == [
        "**Title**",
        "",
        "| Name | A | B |",
        "| --- | ---: | ---: |",
        "| one | 1 |  |",
        r"| three | 30 | x\|y |",
        "",
        "- Note.",
    ]


def test_a_table_without_notes_ends_with_its_last_row() -> None:
    table = Table("T", ("N", "A"), (("a", "1"),))

    assert render_text(table).endswith("a  1")
    assert render_markdown(table).endswith("| a | 1 |")


def test_numbers_have_fixed_digits_and_nan_says_so() -> None:
    nan = float("nan")
    assert format_number(0.12345) == "0.123"
    assert format_number(nan) == "n/a"
    assert format_estimate(Estimate(0.5, 0.25, 0.75, 9), digits=2) == "0.50 [0.25, 0.75]"
    assert format_estimate(Estimate(0.5, nan, nan, 9)) == "0.500"
    assert format_estimate(Estimate(nan, nan, nan, 0)) == "n/a"
    assert format_estimate(Estimate(1.0, 1.0, 1.0, 9)) == "1.000"
    assert format_estimate(Estimate(0.0, 0.0, 0.0, 9)) == "0.000"
    assert format_estimate(Estimate(1.0, 0.9, 1.0, 9)) == "1.000 [0.900, 1.000]"
    assert format_estimate(Estimate(0.5, 0.5, 0.5, 9)) == "0.500 [0.500, 0.500]"


def test_rows_must_fit_the_header() -> None:
    with pytest.raises(DataError, match="must have 2 cells"):
        Table("T", ("N", "A"), (("a", "1", "2"),))
