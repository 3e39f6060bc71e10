"""Saved results that the documents quote."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.report import EvaluationReport
from dermassist.model.bundle import read_bundle
from dermassist.model.manifest import NOT_MEASURED
from dermassist.pooling import ProtocolFigures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROOT = Path(__file__).parent.parent
#: The lesion-grouped folds with the recipe of the network that ships; ``protocol`` finds them.
SHIPPED_LESION = "ship/lesion"
#: Protocols and the network that ships are measured on at least as many images.
COUNTED_IMAGES = 2003


def metrics() -> tuple[dict[str, Any], EvaluationReport]:
    """Return what the model that ships was measured to do, and the report within."""
    stored = read_bundle().manifest.metrics
    if stored is None:
        sys.exit("the bundled model has not been evaluated; run  dermassist evaluate --store")
    return stored, EvaluationReport.from_dict(stored["report"])


def answers() -> PredictionTable:
    """Return what the model that ships said of each image of the test fold."""
    return PredictionTable.read(ROOT / "results" / "ship" / "plain.csv")


def protocol(name: str) -> ProtocolFigures:
    """Return the figures of a protocol."""
    return ProtocolFigures.read(ROOT / "results" / f"{name}.json")


def result(name: str) -> dict[str, Any]:
    """Return what a benchmark has written."""
    document: dict[str, Any] = json.loads((ROOT / "results" / f"{name}.json").read_text())
    return document


def written(name: str) -> str:
    """Return the table that a benchmark has written as Markdown."""
    path = ROOT / "results" / f"{name}.md"
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else NOT_MEASURED


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of words; ``render_markdown`` sets columns for numbers."""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def check_model(name: str, graph_sha256: str) -> None:
    """Refuse a benchmark's result that is of another model than the one that ships."""
    if graph_sha256 != read_bundle().manifest.files["model.onnx"].sha256:
        sys.exit(f"results/{name}.json is of another model; run  benchmarks.{name}")


def error_intervals() -> str:
    """Say how often the interval of a calibration error holds the truth, as it was counted."""
    # A truth of 0, which the interval holds least often, is none that was found here.
    held = [
        row["printed"]
        for row in result("calibration_interval")["rows"]
        if row["error"] > 0 and row["images"] >= COUNTED_IMAGES
    ]
    return (
        "The interval of a calibration error is too narrow: in made-up samples with a known error "
        f"it held that error in {100 * min(held):.0f} to {100 * max(held):.0f} % of cases, not in "
        "95 %."
    )
