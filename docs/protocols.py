"""What is said of the lesion-grouped folds, of sources left out, and of all protocols together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from docs import saved, sources
from docs.paper import PAPER_ACCURACY, PAPER_MACRO_F1

from dermassist.evaluation.decision_tabulation import (
    calibration_table,
    own_errors,
    pooled_title,
    referral_table,
    set_table,
)
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
#: Recipes, as tables name them.
SHIP, SETTLE, SWIFT = "`ship.toml`", "`ship.toml`, then `settle.toml`", "`swift.toml`"
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "calibration_error")


def protocol_comparison() -> str:
    """The few numbers of every protocol, beside those of others."""
    header = (
        *("Protocol", "Recipe", "Images", "Accuracy", "Balanced accuracy", "Macro F1", "AUC"),
        *("ECE of all answers together", "ECE of a network's own answers, mean"),
    )
    shipped = saved.protocol(saved.SHIPPED_LESION)
    rows: list[tuple[str, ...]] = [_row(f"lesion, {_pooled(shipped)} pooled", SHIP, shipped)]
    rows += [
        _with_recipe(
            (*_compared("lesion, fold 0: the network that ships", t.summary), _mean_own_error([t])),
            SHIP,
        )
        for t in shipped.each
        if t.name == "fold0"
    ]
    for name, recipe in (("settled/lesion", SETTLE), ("lesion", SWIFT)):
        other = saved.protocol(name)
        rows.append(_row(f"lesion, {_pooled(other)} pooled", recipe, other))
    for name, label in (
        ("source", "source left out"),
        ("paper", "paper: leaks (38 % of the test lesions were trained on)"),
    ):
        if (saved.ROOT / "results" / f"{name}.json").is_file():
            figures = saved.protocol(name)
            pooled = "" if figures.trials_of_protocol == 1 else f", {_pooled(figures)} pooled"
            row = _row(f"{label}{pooled}", SWIFT, figures)
            # The temperature of the paper's was fitted on images that it reports.
            rows.append((*row[:-2], "", "") if name == "paper" else row)
        else:
            rows.append((label, SWIFT, *[NOT_MEASURED] * (len(header) - 2)))
    rows += [
        ("the paper's own claim, image-level", *[""] * 2, PAPER_ACCURACY, "", PAPER_MACRO_F1)
        + ("",) * 3,
        (PEER, "", "1734", "0.836", "0.803", "0.741", *[""] * 3),
    ]
    title = "One MobileNetV2, no test-time augmentation, values with 95 % intervals by lesion"
    notes = (
        (
            "ECE, the expected calibration error: where answers of several networks are pooled, "
            "their errors partly cancel. You use one network, so the last column is yours."
        ),
        saved.error_intervals(),
        "The row of the paper's split has no ECE: its temperature was fitted on what it reports.",
    )
    return render_markdown(Table(title, header, tuple(rows), notes))


def _row(label: str, recipe: str, figures: ProtocolFigures) -> tuple[str, ...]:
    cells = _compared(label, figures.report.summary)
    return _with_recipe((*cells, _mean_own_error(figures.each)), recipe)


def _with_recipe(cells: tuple[str, ...], recipe: str) -> tuple[str, ...]:
    return (cells[0], recipe, *cells[1:])


def _mean_own_error(trials: Sequence[TrialFigures]) -> str:
    errors = [trial.summary.overall.calibration_error.value for trial in trials]
    return f"{np.mean(errors):.3f}"


def lesion_protocol() -> str:
    """Every table of the lesion-grouped folds, with the recipe of the network that ships."""
    figures = saved.protocol(saved.SHIPPED_LESION)
    return "\n\n".join(
        [_each(figures), _own_errors(figures), _every_table(figures), subgroups(figures.report)]
    )


def lesion_swift() -> str:
    """The lesion-grouped folds with the recipe of the other protocols."""
    figures = saved.protocol("lesion")
    report = figures.report
    title = f"Overall{pooled_title(len(figures.each))}"
    error = report.summary.overall.calibration_error
    tables = (
        overall_table(report, title=title),
        class_table(report),
        confusion_table(report),
        calibration_table(figures.error_before, error, networks=len(figures.each)),
    )
    return "\n\n".join(
        [_each(figures), _own_errors(figures), *(render_markdown(table) for table in tables)]
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
            sources.gap_table(figures),
            sources.referral_by_source(),
            sources.class_images(figures),
            _each(figures),
            _own_errors(figures),
            _every_table(figures),
        ]
    )


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


def subgroups(report: EvaluationReport) -> str:
    """Every figure by sex, age, body site, source and way of diagnosis."""
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
