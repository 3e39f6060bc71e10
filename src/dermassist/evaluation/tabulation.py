"""A report's tables: what stands in them and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dermassist.diagnosis import ISIC_2018_ORDER, Diagnosis
from dermassist.evaluation.subgroup import MINIMUM_CLASS_IMAGES, SMALL_GROUP_LESIONS
from dermassist.evaluation.table import Table, format_estimate, format_number

if TYPE_CHECKING:
    from dermassist.evaluation.bootstrap import Estimate
    from dermassist.evaluation.report import EvaluationReport
    from dermassist.evaluation.subgroup import Subgroup
    from dermassist.evaluation.summary import ClassSummary, Summary

_OVERALL_ROWS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "macro_auc": "Macro AUC (one versus rest)",
    "melanoma_sensitivity_at_90": "Melanoma sensitivity at 90 % specificity",
    "melanoma_sensitivity_at_95": "Melanoma sensitivity at 95 % specificity",
    "malignancy_auc": "Malignancy AUC",
    "malignancy_sensitivity_at_90": "Malignancy sensitivity at 90 % specificity",
    "malignancy_sensitivity_at_95": "Malignancy sensitivity at 95 % specificity",
    "brier_score": "Brier score (0 to 2)",
    "log_loss": "Log loss (nats)",
    "calibration_error": "Expected calibration error (15 bins)",
}
_SUBGROUP_COLUMNS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "malignancy_auc": "Malignancy AUC",
    "calibration_error": "Calibration error",
}
_ATTRIBUTE_TITLES = {
    "sex": "Sex",
    "age_band": "Age (years)",
    "body_site": "Body site",
    "source": "Source",
    "dx_type": "Diagnosed by",
}
SMALL_MARK = " (small)"
MISTAKES_SHOWN = 10


def overall_table(
    report: EvaluationReport, *, title: str = "Overall", calibration: bool = True
) -> Table:
    """Return one row per figure of merit, and what chance alone does to the calibration error.

    Args:
        report: the evaluation.
        title: heading.
        calibration: False leaves the calibration error out, as where the temperature was fitted on
            these images.
    """
    overall, chance = report.summary.overall, report.calibration_reference
    rows = [
        (label, format_estimate(getattr(overall, name)))
        for name, label in _OVERALL_ROWS.items()
        if calibration or name != "calibration_error"
    ]
    low, high = format_number(chance.low), format_number(chance.high)
    if calibration:
        rows.append(
            ("The same if perfectly calibrated", f"{format_number(chance.mean)} [{low}, {high}]")
        )
    return Table(title, ("Measure", "Value [95 % interval]"), tuple(rows), _notes(report.summary))


def class_table(
    report: EvaluationReport, *, title: str = "By class", intervals: bool = True
) -> Table:
    """Return the paper's Table III, in its order of rows, with AUC, images and averages.

    Args:
        report: the evaluation.
        title: heading.
        intervals: write ``value [low, high]`` instead of the value alone.
    """
    by_code = {row.code: row for row in report.summary.classes}
    rows = [_class_row(by_code[code], intervals=intervals) for code in ISIC_2018_ORDER]
    return Table(
        title,
        ("Class", "Precision", "Recall", "F1-Score", "AUC", "Images"),
        (*rows, *_average_rows(report.summary, intervals=intervals)),
        _notes(report.summary),
    )


def confusion_table(report: EvaluationReport, *, title: str = "Confusion matrix") -> Table:
    """Return image counts, the true class in rows and the predicted class in columns."""
    codes = [code.upper() for code in report.classes]
    rows = [
        (code, *(str(count) for count in counts), str(sum(counts)))
        for code, counts in zip(codes, report.confusion, strict=True)
    ]
    return Table(title, ("True \\ predicted", *codes, "Images"), tuple(rows))


def mistake_table(report: EvaluationReport, *, title: str = "Most frequent mistakes") -> Table:
    """Return the confusions that take the largest shares of a diagnosis, the largest first.

    A diagnosis without images has none.
    """
    mistakes = [
        (count / sum(counts), count, sum(counts), true, predicted)
        for true, counts in zip(report.classes, report.confusion, strict=True)
        for predicted, count in zip(report.classes, counts, strict=True)
        if predicted != true and count > 0
    ]
    # Ties keep the order of the classes.
    ranked = sorted(mistakes, key=lambda mistake: -mistake[0])[:MISTAKES_SHOWN]
    rows = tuple(
        (
            str(Diagnosis.from_code(true)),
            str(Diagnosis.from_code(predicted)),
            f"{count} of {images}",
            format_number(share),
        )
        for share, count, images, true, predicted in ranked
    )
    return Table(title, ("True", "Answered as", "Images", "Share"), rows)


def subgroup_table(report: EvaluationReport, attribute: str, *, title: str | None = None) -> Table:
    """Return one row per value of an attribute; values with few lesions are marked as small.

    Args:
        report: the evaluation.
        attribute: ``sex``, ``age_band``, ``body_site``, ``source`` or ``dx_type``.
        title: heading; the attribute if absent.
    """
    name = _ATTRIBUTE_TITLES.get(attribute, attribute)
    groups = report.subgroups_of(attribute)
    header = (name, "Images", "Lesions", *_SUBGROUP_COLUMNS.values(), "Classes averaged")
    return Table(
        title or f"By {name[0].lower()}{name[1:]}",
        header,
        tuple(_subgroup_row(group) for group in groups),
        _subgroup_notes(groups),
    )


def _class_row(row: ClassSummary, *, intervals: bool) -> tuple[str, ...]:
    measures = row.measures
    columns = (measures.precision, measures.recall, measures.f1, measures.auc)
    cells = (_cell(estimate, intervals=intervals) for estimate in columns)
    return (str(Diagnosis.from_code(row.code)), *cells, str(row.images))


def _average_rows(summary: Summary, *, intervals: bool) -> list[tuple[str, ...]]:
    o = summary.overall
    macro = (o.macro_precision, o.balanced_accuracy, o.macro_f1, o.macro_auc)
    weighted = (o.weighted_precision, o.weighted_recall, o.weighted_f1)
    images = str(sum(row.images for row in summary.classes if row.scored))
    return [
        ("Macro average", *(_cell(e, intervals=intervals) for e in macro), images),
        ("Weighted average", *(_cell(e, intervals=intervals) for e in weighted), "", images),
    ]


def _subgroup_row(group: Subgroup) -> tuple[str, ...]:
    summary = group.summary
    return (
        group.value + SMALL_MARK * group.small,
        str(summary.images),
        str(summary.lesions),
        *(format_estimate(getattr(summary.overall, name)) for name in _SUBGROUP_COLUMNS),
        ", ".join(code.upper() for code in summary.scored) or "none",
    )


def _cell(estimate: Estimate, *, intervals: bool) -> str:
    return format_estimate(estimate) if intervals else format_number(estimate.value)


def _notes(summary: Summary) -> tuple[str, ...]:
    intervals = (
        f"95 % intervals: percentiles over {summary.resamples} resamples of {summary.lesions} "
        f"lesions ({summary.images} images); of calibration errors, which chance raises, the same "
        "mirrored at the value, too narrow: they hold the truth in fewer than 95 % of samples. "
        "Without an interval: every resample repeats the value, or it is undefined in more than a "
        "tenth of them."
    )
    notes = [intervals]
    if summary.not_scored:
        notes.append(f"Not in the images, so not scored: {_listed(summary.not_scored)}.")
    if summary.never_predicted:
        notes.append(f"Never predicted, so without precision: {_listed(summary.never_predicted)}.")
    notes += [
        f"{code.upper()} is missing from {count} resamples, which are left out where it counts."
        for code, count in summary.missed.items()
    ]
    return tuple(notes)


def _subgroup_notes(groups: tuple[Subgroup, ...]) -> tuple[str, ...]:
    averaging = (
        f"Averages over classes use classes with at least {MINIMUM_CLASS_IMAGES} images in the "
        "group; compare groups only where the same classes are averaged."
    )
    small = f"Small: fewer than {SMALL_GROUP_LESIONS} lesions; too few to conclude from."
    return (averaging, small) if any(group.small for group in groups) else (averaging,)


def _listed(codes: tuple[str, ...]) -> str:
    return ", ".join(code.upper() for code in codes)
