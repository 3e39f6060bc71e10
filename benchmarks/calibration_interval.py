"""How often the interval of a calibration error holds the true one, where that is known.

    python -m benchmarks.calibration_interval

Images are drawn with the confidences that the five folds answered with, and are right as often as
the confidence says, less a known amount; so the true error is known. Every sample gets the interval
that tables print and, beside it, the percentiles of its resamples. It needs ``results/lesion`` as
``dermassist protocol lesion`` writes it, and no images.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dermassist.data.split import FOLDS
from dermassist.diagnosis import CODES
from dermassist.evaluation.bootstrap import bootstrap
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.prediction_table import PredictionTable, pooled
from dermassist.evaluation.table import Table, render_markdown
from dermassist.pooling import table_path
from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dermassist.evaluation.array import FloatArray, IntArray

#: Of a subgroup, a source, a fold, all folds.
SIZES = (184, 902, 2003, 10015)
ERRORS = (0.0, 0.01, 0.02, 0.04)
_SEED = 0


def main() -> None:
    """Draw, count, and write ``calibration_interval.json`` and ``.md``."""
    options = _options()
    folder = options.results / "lesion"
    tables = [PredictionTable.read(table_path(folder, f"fold{fold}")) for fold in range(FOLDS)]
    probabilities = pooled(tables).probabilities
    rows = [
        {"images": size, "error": error, **_held(probabilities, size, error, options)}
        for size in SIZES
        for error in ERRORS
    ]
    document = {"samples": options.samples, "resamples": options.resamples, "rows": rows}
    write_text(options.results / "calibration_interval.json", json.dumps(document, indent=1) + "\n")
    table = _table(rows, options.samples)
    write_text(options.results / "calibration_interval.md", render_markdown(table) + "\n")
    print(render_markdown(table))


def drawn(
    probabilities: FloatArray, size: int, error: float, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, float]:
    """Return labels and probabilities of a sample, and the true calibration error behind it.

    Args:
        probabilities: to draw from ``(n, 7)``.
        size: of the sample.
        error: by how much less often than its confidence an answer is right, 0 to 1.
        rng: source of the draws.
    """
    chosen = probabilities[rng.integers(len(probabilities), size=size)]
    answered, confidence = chosen.argmax(axis=1), chosen.max(axis=1)
    right = np.clip(confidence - error, 0.0, 1.0)
    is_right = rng.random(size) < right
    labels = np.where(is_right, answered, (answered + 1) % len(CODES))
    return labels, chosen, float((confidence - right).mean())


def _held(
    probabilities: FloatArray, size: int, error: float, options: argparse.Namespace
) -> dict[str, float]:
    """Return the shares of samples whose two intervals held the true error."""
    rng = np.random.default_rng([_SEED, size, round(1000 * error)])
    held: list[list[bool]] = []
    for _ in range(options.samples):
        labels, chances, true = drawn(probabilities, size, error, rng)
        found = bootstrap(
            partial(_error, labels=labels, chances=chances),
            groups=np.arange(size),
            rng=rng,
            resamples=options.resamples,
        )
        intervals = (found.estimate("error", grows=grows) for grows in (True, False))
        held.append([each.low <= true <= each.high for each in intervals])
    printed, percentiles = np.mean(held, axis=0)
    return {"printed": float(printed), "percentiles": float(percentiles)}


def _error(weights: FloatArray, *, labels: IntArray, chances: FloatArray) -> dict[str, FloatArray]:
    return {"error": expected_calibration_error(labels, chances, weights=weights)}


def _table(rows: Sequence[dict[str, float]], samples: int) -> Table:
    return Table(
        "How often a 95 % interval holds the true calibration error",
        ("Images", "True error", "As printed", "Percentiles"),
        tuple(
            (
                f"{row['images']:,}",
                f"{row['error']:.2f}",
                f"{row['printed']:.2f}",
                f"{row['percentiles']:.2f}",
            )
            for row in rows
        ),
        (f"{samples} made-up samples a row, with the confidences of the five folds.",),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    main()
