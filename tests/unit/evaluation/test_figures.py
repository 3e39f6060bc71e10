from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, MissingExtraError
from dermassist.evaluation.figures import (
    render_confusion_matrix,
    render_reliability,
    render_roc,
)
from dermassist.evaluation.report import EvaluationReport, build_report

if TYPE_CHECKING:
    from collections.abc import Callable

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]
FIGURES = [render_confusion_matrix, render_roc, render_reliability]


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    """A report in which one class is absent."""
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 4, 5, 6], size=120)
    chances = rng.dirichlet(np.ones(7), size=120)
    return build_report(labels, chances, groups=np.arange(120), rng=rng, resamples=20)


@pytest.mark.parametrize("render", FIGURES)
def test_the_same_report_gives_the_same_bytes(
    render: Callable[..., bytes], report: EvaluationReport
) -> None:
    before, open_figures = dict(mpl.rcParams), plt.get_fignums()

    png, svg = render(report), render(report, image_format="svg")

    assert svg == render(report, image_format="svg")
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert min(image.size) >= 800
        assert set(image.info) <= {"dpi"}
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"dc:date" not in svg
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == open_figures


def test_confusion_cells_are_darker_where_more_of_the_class_lies(
    report: EvaluationReport,
) -> None:
    certain = np.repeat(np.arange(7), 3)
    chances = np.eye(7)[certain]
    right = build_report(
        certain, chances, groups=np.arange(21), rng=np.random.default_rng(0), resamples=2
    )

    def ink(report: EvaluationReport) -> float:
        with Image.open(io.BytesIO(render_confusion_matrix(report))) as image:
            grey = np.asarray(image.convert("L"))[:, : image.width * 3 // 4]
        return float((grey < 90).mean())

    assert ink(right) > 3 * ink(report) > 0


def test_labels_are_written(report: EvaluationReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")

    confusion = render_confusion_matrix(report, image_format="svg").decode()
    roc = render_roc(report, image_format="svg").decode()
    reliability = render_reliability(report, image_format="svg").decode()

    for code in CODES:
        assert f">{code.upper()}<" in confusion
        assert f">{code.upper()}  " in roc
    area = report.summary.overall.malignancy_auc
    assert f"Malignant (sum)  {area.value:.3f} [{area.low:.3f}, {area.high:.3f}]" in roc
    assert "DF  n/a [n/a, n/a]" in roc
    error = report.summary.overall.calibration_error.value
    assert f"Expected calibration error {error:.3f}" in reliability


def test_another_format_is_refused(report: EvaluationReport) -> None:
    with pytest.raises(ConfigError, match="png or svg, got 'gif'"):
        render_roc(report, image_format="gif")  # type: ignore[arg-type]  # what a user may type


@pytest.mark.parametrize("render", FIGURES)
def test_without_matplotlib_the_extra_is_named(
    render: Callable[..., bytes], report: EvaluationReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(MissingExtraError, match=r"dermassist\[tune\]"):
        render(report)
