"""What is said of the lesion-grouped folds, of sources left out, and of all protocols together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from docs import saved
from docs.paper import PAPER_ACCURACY, PAPER_MACRO_F1

from dermassist.decisions import SET_COVERAGE
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.decision_tabulation import (
    calibration_table,
    own_errors,
    pooled_title,
    referral_table,
    set_table,
)
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.evaluation.tabulation import (
    class_table,
    confusion_table,
    overall_table,
    subgroup_table,
)
from dermassist.model.manifest import NOT_MEASURED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dermassist.evaluation.report import EvaluationReport
    from dermassist.evaluation.summary import Summary
    from dermassist.pooling import ProtocolFigures, TrialFigures


PEER = (
    "claim of [a four-network ensemble with ResNet50 and DenseNet121](https://github.com/"
    "Cureeeeeeee/CNN-Based-Skin-Lesion-Classification-for-Early-Skin-Cancer-Detection), "
    "lesion-grouped"
)
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "calibration_error")


def protocol_comparison() -> str:
    """The few numbers of every protocol, beside those of others."""
    header = (
        *("Protocol", "Images", "Accuracy", "Balanced accuracy", "Macro F1", "AUC"),
        *("ECE of all answers together", "ECE of a network's own answers, mean"),
    )
    rows: list[tuple[str, ...]] = []
    lesion = saved.protocol("lesion")
    label = f"lesion, {_pooled(lesion)} pooled"
    rows.append((*_compared(label, lesion.report.summary), _mean_own_error(lesion.each)))
    rows += [
        (*_compared(f"lesion, {trial.name} alone", trial.summary), _mean_own_error([trial]))
        for trial in lesion.each
        if trial.name == "fold0"
    ]
    for name, label in (
        ("source", "source left out"),
        ("paper", "paper: leaks (38 % of the test lesions were trained on)"),
    ):
        if (saved.ROOT / "results" / f"{name}.json").is_file():
            figures = saved.protocol(name)
            pooled = "" if figures.trials_of_protocol == 1 else f", {_pooled(figures)} pooled"
            compared = _compared(f"{label}{pooled}", figures.report.summary)
            # Its temperature was fitted on images that it reports.
            rows.append(
                (*compared[:-1], "", "")
                if name == "paper"
                else (*compared, _mean_own_error(figures.each))
            )
        else:
            rows.append((label, *[NOT_MEASURED] * (len(header) - 1)))
    rows += [
        ("the paper's own claim, image-level", "", PAPER_ACCURACY, "", PAPER_MACRO_F1, *[""] * 3),
        (PEER, "1734", "0.836", "0.803", "0.741", *[""] * 3),
    ]
    title = "One MobileNetV2, no test-time augmentation, values with 95 % intervals by lesion"
    notes = (
        (
            "ECE, the expected calibration error: together, errors of different networks cancel. "
            "Who uses a network has the error of one: the last column is the mean over networks."
        ),
        saved.error_intervals(),
        "The row of the paper's split has no ECE: its temperature was fitted on what it reports.",
    )
    return render_markdown(Table(title, header, tuple(rows), notes))


def _mean_own_error(trials: Sequence[TrialFigures]) -> str:
    errors = [trial.summary.overall.calibration_error.value for trial in trials]
    return f"{np.mean(errors):.3f}"


def lesion_protocol() -> str:
    """Every table of the lesion-grouped folds."""
    figures = saved.protocol("lesion")
    return "\n\n".join(
        [_each(figures), _own_errors(figures), _every_table(figures), _subgroups(figures.report)]
    )


def _own_errors(figures: ProtocolFigures) -> str:
    """The calibration error of a network, which pooling several of them hides."""
    own = [trial.summary.overall.calibration_error.value for trial in figures.each]
    return own_errors(own, figures.report.summary.overall.calibration_error.value)


def source_protocol() -> str:
    """Every table of the left-out sources."""
    if not (saved.ROOT / "results" / "source.json").is_file():
        return NOT_MEASURED
    figures = saved.protocol("source")
    return "\n\n".join(
        [
            _gap(figures),
            _class_images(figures),
            _each(figures),
            _own_errors(figures),
            _every_table(figures),
        ]
    )


def _class_images(figures: ProtocolFigures) -> str:
    """How many images of each class every source has."""
    rows = tuple(
        (trial.name, *(str(row.images) for row in trial.summary.classes)) for trial in figures.each
    )
    header = ("Source", *(row.code.upper() for row in figures.report.summary.classes))
    return render_markdown(Table("Images of each class", header, rows))


def source_gap() -> str:
    """What leaving a source out costs, in a sentence."""
    path = saved.ROOT / "results" / "source.json"
    figures = saved.protocol("source") if path.is_file() else None
    if figures is None or len(figures.each) < figures.trials_of_protocol:
        return f"How the model does on images from other cameras: {NOT_MEASURED}."
    left_out, seen = figures.report.summary.overall, saved.protocol("lesion").report.summary.overall
    worst = min(figures.each, key=lambda trial: trial.summary.overall.accuracy.value)
    of_worst = worst.summary.overall
    same_images = _seen_sources()[worst.name].overall
    return (
        "**Expect less from other cameras.** Of images from a source that was left out of "
        f"training, {left_out.accuracy.value:.0%} were answered right, "
        f"{seen.accuracy.value:.0%} by networks that had seen the source (balanced accuracy "
        f"{left_out.balanced_accuracy.value:.2f} and "
        f"{seen.balanced_accuracy.value:.2f}). Worst is {worst.name}: "
        f"{of_worst.accuracy.value:.0%} instead of {same_images.accuracy.value:.0%}, and a "
        f"calibration error of {of_worst.calibration_error.value:.2f} instead of "
        f"{_seen_calibration_error(worst.name):.2f}. Of malignant images "
        f"{figures.referral.sensitivity.value:.0%} were referred, but also "
        f"{1.0 - figures.referral.specificity.value:.0%} of the benign ones; prediction sets held "
        f"the true diagnosis of {figures.sets.lesion_coverage.value:.0%} of the lesions instead of "
        f"{SET_COVERAGE:.0%}."
    )


def _gap(figures: ProtocolFigures) -> str:
    """The same images, answered by networks that had seen their source and by one that had not."""
    seen = _seen_sources()
    rows = []
    for trial in figures.each:
        overall, before = trial.summary.overall, seen[trial.name].overall
        cells = [
            f"{getattr(each, name).value:.3f}"
            for name in ("accuracy", "balanced_accuracy")
            for each in (before, overall)
        ]
        errors = (_seen_calibration_error(trial.name), overall.calibration_error.value)
        cells += [f"{error:.3f}" for error in errors]
        rows.append((trial.name, str(trial.summary.images), *cells))
    header = (
        "Source",
        "Images",
        *(
            f"{label}, {state}"
            for label in ("Accuracy", "Balanced accuracy", "ECE")
            for state in ("seen", "left out")
        ),
    )
    note = (
        "Seen: by the networks of the lesion-grouped folds, which saw other lesions of the source. "
        "Averages over classes with at least 20 images. Calibration errors are of single networks: "
        "seen, the mean of the five, each on its part of the source; chance raises it more, since "
        "such a part has a fifth of the images."
    )
    return render_markdown(Table("The same images", header, tuple(rows), (note,)))


def _seen_calibration_error(source: str) -> float:
    """Return the calibration error on a source of a network that had seen it, mean of the folds'.

    Each of the lesion-grouped networks answers its own part of the source; pooled, errors of
    different networks would cancel, which those of the one that had not seen it cannot.
    """
    images = set(PredictionTable.read(saved.ROOT / "results" / "source" / f"{source}.csv").images)
    errors = []
    for path in sorted((saved.ROOT / "results" / "lesion").glob("fold*.csv")):
        table = PredictionTable.read(path)
        inside = np.array([image in images for image in table.images])
        errors.append(expected_calibration_error(table.labels[inside], table.probabilities[inside]))
    return float(np.mean(errors))


def _seen_sources() -> dict[str, Summary]:
    groups = saved.protocol("lesion").report.subgroups_of("source")
    return {group.value: group.summary for group in groups}


def _every_table(figures: ProtocolFigures) -> str:
    report, networks = figures.report, len(figures.each)
    tables = (
        overall_table(report, title=f"Overall{pooled_title(networks)}"),
        class_table(report),
        confusion_table(report),
        calibration_table(
            figures.error_before, report.summary.overall.calibration_error, networks=networks
        ),
        referral_table(figures.referral),
        set_table(figures.sets),
    )
    return "\n\n".join(render_markdown(table) for table in tables)


def _subgroups(report: EvaluationReport) -> str:
    attributes = dict.fromkeys(group.attribute for group in report.subgroups)
    return "\n\n".join(render_markdown(subgroup_table(report, name)) for name in attributes)


def _each(figures: ProtocolFigures) -> str:
    header = ("Trial", "Images", "Accuracy", "Balanced accuracy", "Macro F1", "AUC", "ECE")
    rows = tuple(
        (
            *_compared(trial.name, trial.summary),
            ", ".join(code.upper() for code in trial.summary.scored),
        )
        for trial in figures.each
    )
    title = f"{_pooled(figures)}, each by its own network"
    return render_markdown(Table(title, (*header, "Classes averaged"), rows))


def _compared(label: str, summary: Summary) -> tuple[str, ...]:
    cells = (format_estimate(getattr(summary.overall, name)) for name in COMPARED)
    return (label, str(summary.images), *cells)


def _pooled(figures: ProtocolFigures) -> str:
    done, of = len(figures.each), figures.trials_of_protocol
    unit = "folds" if figures.protocol == "lesion" else "sources"
    return f"{of} {unit}" if done == of else f"{done} of {of} {unit}"
