"""A report's figures as PNG or SVG bytes; the same report gives the same bytes.

Colours are Okabe and Ito's, which readers with any colour vision can tell apart ("Color Universal
Design", 2008); lines differ in dash as well. No global state of matplotlib is touched.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import numpy as np

from dermassist.diagnosis import Diagnosis
from dermassist.errors import ConfigError, MissingExtraError
from dermassist.evaluation.report import MALIGNANCY, ROC_GRID
from dermassist.evaluation.table import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dermassist.evaluation.report import EvaluationReport

ImageFormat = Literal["png", "svg"]

_CLASS_STYLES = {
    "mel": ("#D55E00", "-"),
    "nv": ("#0072B2", "-"),
    "bcc": ("#009E73", "-"),
    "akiec": ("#E69F00", "--"),
    "bkl": ("#56B4E9", "--"),
    "df": ("#CC79A7", "--"),
    "vasc": ("#7A6A00", ":"),
    MALIGNANCY: ("#000000", "-"),
}
_ACCURACY_COLOUR, _COUNT_COLOUR, _GREY = "#0072B2", "#BBBBBB", "#555555"
#: Above this share of a row a cell is dark, and its text white.
_DARK = 0.7
_DOTS_PER_INCH = 150


def render_confusion_matrix(
    report: EvaluationReport, *, image_format: ImageFormat = "png"
) -> bytes:
    """Draw counts, coloured by the share of the true class that each cell holds.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: the format is neither ``png`` nor ``svg``.
    """
    figure = _new_figure(width=6.2, height=5.4)
    axes = figure.add_subplot()
    counts = np.array(report.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        _write_cell(
            axes, (row, column), count=int(counts[row, column]), share=float(shares[row, column])
        )
    labels = [code.upper() for code in report.classes]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axes, label="Share of the true class", fraction=0.046)
    return _to_bytes(figure, image_format)


def render_roc(report: EvaluationReport, *, image_format: ImageFormat = "png") -> bytes:
    """Draw one-versus-rest ROC curves of the classes, and that of malignancy, as steps.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: the format is neither ``png`` nor ``svg``.
    """
    figure = _new_figure(width=6.2, height=5.6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    for line in report.roc:
        colour, dashes = _CLASS_STYLES[line.name]
        axes.step(
            ROC_GRID,
            line.sensitivity,
            where="post",
            color=colour,
            linestyle=dashes,
            linewidth=2.4 if line.name == MALIGNANCY else 1.6,
            label=_roc_label(report, line.name),
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("Sensitivity")
    axes.legend(loc="lower right", frameon=False, fontsize=9, title="Area [95 % interval]")
    axes.spines[["top", "right"]].set_visible(False)
    return _to_bytes(figure, image_format)


def render_reliability(report: EvaluationReport, *, image_format: ImageFormat = "png") -> bytes:
    """Draw accuracy against confidence per bin, and how many images each bin holds.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ConfigError: the format is neither ``png`` nor ``svg``.
    """
    figure = _new_figure(width=5.6, height=6.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    bins = report.reliability
    width = bins.edges[1] - bins.edges[0]
    above.bar(
        bins.edges[:-1], bins.accuracy, width, align="edge", color=_ACCURACY_COLOUR, alpha=0.35
    )
    above.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    above.plot(bins.confidence, bins.accuracy, "o", color=_ACCURACY_COLOUR, markersize=5)
    above.set(ylim=(0, 1.02), xlim=(0, 1), ylabel="Accuracy")
    above.text(
        0.03, 0.97, _reliability_text(report), transform=above.transAxes, va="top", fontsize=9
    )
    below.bar(
        bins.edges[:-1], bins.count, width, align="edge", color=_COUNT_COLOUR, edgecolor="white"
    )
    below.set(ylabel="Images", xlabel="Confidence: probability of the predicted class")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return _to_bytes(figure, image_format)


def _new_figure(*, width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches, that no global registry knows."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 (an optional library)
    except ImportError as error:
        raise MissingExtraError("Drawing figures", extra="tune") from error
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415 (the same)

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
    return Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout=layout)


def _to_bytes(figure: Figure, image_format: ImageFormat) -> bytes:
    if image_format not in {"png", "svg"}:
        raise ConfigError(f"a figure's format must be png or svg, got {image_format!r}")
    import matplotlib as mpl  # noqa: PLC0415 (an optional library)

    # Without these, a PNG names matplotlib's version and an SVG the date and random identifiers.
    metadata = {"Software": None} if image_format == "png" else {"Date": None, "Creator": None}
    target = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "dermassist"}):
        figure.savefig(target, format=image_format, metadata=metadata)
    return target.getvalue()


def _write_cell(axes: Axes, place: tuple[int, int], *, count: int, share: float) -> None:
    row, column = place
    colour = "white" if share > _DARK else "black"
    text = f"{count}\n{share:.0%}" if count else "0"
    axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)


def _roc_label(report: EvaluationReport, name: str) -> str:
    if name == MALIGNANCY:
        title, area = "Malignant (sum)", report.summary.overall.malignancy_auc
    else:
        title, place = name.upper(), Diagnosis.from_code(name).index
        area = report.summary.classes[place].measures.auc
    value, low, high = (format_number(v) for v in (area.value, area.low, area.high))
    return f"{title}  {value} [{low}, {high}]"


def _reliability_text(report: EvaluationReport) -> str:
    error, chance = report.summary.overall.calibration_error, report.calibration_reference
    return (
        f"Expected calibration error {format_number(error.value)}\n"
        f"if perfectly calibrated {format_number(chance.mean)} "
        f"[{format_number(chance.low)}, {format_number(chance.high)}]"
    )
