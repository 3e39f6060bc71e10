"""Charts, drawn in the browser, with words for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from dermassist.evaluation.report import MALIGNANCY, ROC_GRID, EvaluationReport
from dermassist.evaluation.table import format_number
from dermassist.explain.words import percent
from dermassist.results import Prediction

#: Told apart by any colour vision, and by the words beside them.
MALIGNANT_COLOUR, BENIGN_COLOUR = "#b35806", "#2166ac"
#: That of the page's text, which can be read in the light and in the dark; the browser fills it in.
TEXT_COLOUR = "currentColor"
#: Stands out from white and from black.
POINT_COLOUR = "#3a8ec8"
_DIAGONAL = [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]


def probability_chart(prediction: Prediction) -> alt.LayerChart:
    """Return bars of the seven probabilities, the largest first."""
    rows = [
        {
            "diagnosis": str(diagnosis) + (" · malignant" if diagnosis.malignant else ""),
            "probability": probability,
            "kind": "malignant" if diagnosis.malignant else "benign",
            "label": percent(probability),
        }
        for diagnosis, probability in prediction.ranked
    ]
    axis = alt.Axis(labelLimit=300, labelColor=TEXT_COLOUR)
    base = _chart(rows).encode(
        y=alt.Y("diagnosis:N", sort=None, title=None, axis=axis),
        x=alt.X(
            "probability:Q",
            scale=alt.Scale(domain=[0, 1.4]),
            axis=None,
        ),
    )
    scale = alt.Scale(domain=["malignant", "benign"], range=[MALIGNANT_COLOUR, BENIGN_COLOUR])
    bars = base.mark_bar().encode(color=alt.Color("kind:N", scale=scale, legend=None))
    labels = base.mark_text(align="left", dx=4, color=TEXT_COLOUR).encode(text="label:N")
    chart: alt.LayerChart = (bars + labels).properties(height=230)
    return chart


def probability_words(prediction: Prediction) -> str:
    """Return the same in words."""
    return "; ".join(f"{diagnosis}: {percent(share)}" for diagnosis, share in prediction.ranked)


def confusion_chart(report: EvaluationReport) -> alt.LayerChart:
    """Return counts, the true class in rows."""
    codes = [code.upper() for code in report.classes]
    rows: list[dict[str, Any]] = [
        {
            "true": true,
            "predicted": predicted,
            "images": count,
            "share": count / max(1, sum(counts)),
        }
        for true, counts in zip(codes, report.confusion, strict=True)
        for predicted, count in zip(codes, counts, strict=True)
    ]
    base = _chart(rows).encode(
        x=alt.X(
            "predicted:N",
            sort=codes,
            title="Predicted",
            axis=alt.Axis(labelAngle=0, labelOverlap=False),
        ),
        y=alt.Y("true:N", sort=codes, title="True"),
    )
    cells = base.mark_rect().encode(
        color=alt.Color("share:Q", scale=alt.Scale(scheme="blues"), legend=None)
    )
    numbers = base.mark_text().encode(
        text="images:Q",
        color=alt.condition("datum.share > 0.5", alt.value("white"), alt.value("black")),
    )
    chart: alt.LayerChart = (cells + numbers).properties(height=380)
    return chart


def roc_chart(report: EvaluationReport) -> alt.LayerChart:
    """Return a curve for each class and for malignancy."""
    rows = [
        {"rate": float(rate), "sensitivity": value, "class": line.name.upper()}
        for line in report.roc
        for rate, value in zip(ROC_GRID, line.sensitivity, strict=True)
    ]
    lines = (
        _chart(rows)
        .mark_line()
        .encode(
            x=alt.X("rate:Q", title="False positive rate"),
            y=alt.Y("sensitivity:Q", title="Sensitivity"),
            color=alt.Color("class:N", scale=alt.Scale(scheme="tableau10"), title=None),
            strokeDash=alt.StrokeDash("class:N", title=None),
        )
    )
    chart: alt.LayerChart = (_diagonal() + lines).properties(height=360)
    return chart


def roc_words(report: EvaluationReport) -> str:
    """Return the area under each curve in words."""
    areas = {row.code.upper(): row.measures.auc.value for row in report.summary.classes}
    areas[MALIGNANCY.upper()] = report.summary.overall.malignancy_auc.value
    listed = "; ".join(f"{name}: {format_number(area)}" for name, area in areas.items())
    return f"Sensitivity against false positive rate. Areas under the curves: {listed}."


def reliability_chart(report: EvaluationReport) -> alt.LayerChart:
    """Return the share of right answers by confidence."""
    bins = report.reliability
    rows = [
        {"confidence": confidence, "right": right, "images": count}
        for confidence, right, count in zip(bins.confidence, bins.accuracy, bins.count, strict=True)
        if count > 0
    ]
    points = (
        _chart(rows)
        .mark_circle(color=POINT_COLOUR, opacity=1.0)
        .encode(
            x=alt.X("confidence:Q", title="Confidence", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("right:Q", title="Share right", scale=alt.Scale(domain=[0, 1])),
            size=alt.Size("images:Q", title="Images"),
        )
    )
    chart: alt.LayerChart = (_diagonal() + points).properties(height=360)
    return chart


def reliability_words(report: EvaluationReport) -> str:
    """Return the same in words, a bin after the other."""
    bins = report.reliability
    listed = "; ".join(
        f"at {percent(confidence)}, {percent(right)} of {count} images"
        for confidence, right, count in zip(bins.confidence, bins.accuracy, bins.count, strict=True)
        if count > 0
    )
    return f"Share of right answers by mean confidence: {listed}."


def _diagonal() -> alt.Chart:
    chart: alt.Chart = (
        _chart(_DIAGONAL).mark_line(strokeDash=[4, 4], color="grey").encode(x="x:Q", y="y:Q")
    )
    return chart


def _chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=list(rows)))  # type: ignore[no-untyped-call] # altair's own
