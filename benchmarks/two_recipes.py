"""The recipe of the network that ships beside the one of other protocols: the same test images.

    python -m benchmarks.two_recipes

Networks of ``configs/ship.toml`` and of ``configs/swift.toml`` were trained on the same images of
each lesion-grouped fold. It needs ``results/ship/lesion`` and ``results/lesion``, as ``dermassist
protocol`` writes them, and no images. Writes ``two_recipes.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.variant import MEASURES, signed

from dermassist.data.split import FOLDS, read_splits
from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.prediction_table import pooled
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.interfaces.cli.option import DEFAULT_SPLITS
from dermassist.pooling import read_predictions
from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dermassist.evaluation.array import FloatArray
    from dermassist.evaluation.bootstrap import Bootstrap
    from dermassist.evaluation.prediction_table import PredictionTable

_SEED = 0


def main() -> None:
    """Compare, and write figures and table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    splits = read_splits(options.splits)
    shipped, swift = (
        pooled([read_predictions(f"fold{k}", folder, splits=splits) for k in range(FOLDS)])
        for folder in (options.results / "ship" / "lesion", options.results / "lesion")
    )
    lesion_of = {a.image_id: a.lesion_id for a in splits.assignments}
    drawn = compare(shipped, swift, lesion_of)
    document = {name: to_document(drawn.estimate(name)) for name in drawn.values}
    write_text(options.results / "two_recipes.json", json.dumps(document, indent=1) + "\n")
    text = render_markdown(to_table(drawn, images=len(shipped.images)))
    write_text(options.results / "two_recipes.md", text + "\n")


def compare(
    shipped: PredictionTable, swift: PredictionTable, lesion_of: Mapping[str, str]
) -> Bootstrap:
    """Return every measure of both, and ``difference/``, *swift* less *ship*, by lesion.

    Args:
        shipped: answers of networks of the one recipe.
        swift: of the other, to the same images in any order.
        lesion_of: the lesion of each image.

    Raises:
        DataError: the answers are to other images.
    """
    place = {image: k for k, image in enumerate(swift.images)}
    if set(place) != set(shipped.images):
        raise DataError("the two recipes answered other images; test them on the same folds")
    same = [place[image] for image in shipped.images]
    answers = {"ship": shipped.probabilities, "swift": swift.probabilities[same]}

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        own = {
            name: measure(shipped.labels, chances, weights=weights).overall
            for name, chances in answers.items()
        }
        values = {f"{name}/{key}": getattr(own[name], key) for name in own for key in MEASURES}
        return values | {
            f"difference/{key}": values[f"swift/{key}"] - values[f"ship/{key}"] for key in MEASURES
        }

    lesions = np.array([lesion_of[image] for image in shipped.images])
    return bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_SEED))


def to_table(drawn: Bootstrap, *, images: int) -> Table:
    """Return both recipes' figures and their difference."""
    rows = [
        (f"`{name}.toml`", *(format_estimate(drawn.estimate(f"{name}/{key}")) for key in MEASURES))
        for name in ("ship", "swift")
    ]
    differences = (signed(drawn.estimate(f"difference/{key}")) for key in MEASURES)
    note = (
        f"{images} test images of {FOLDS} folds, 95 % intervals by lesion, differences image by "
        "image. One training for each fold: the intervals do not hold the scatter of seeds."
    )
    header = ("Recipe", *MEASURES.values())
    rows.append(("`swift.toml` less `ship.toml`", *differences))
    return Table(f"{FOLDS} networks of each recipe, answers pooled", header, tuple(rows), (note,))


if __name__ == "__main__":
    main()
