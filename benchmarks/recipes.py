"""The recipes of the lesion-grouped folds beside that of the network that ships: the same images.

    python -m benchmarks.recipes

Networks of each recipe were trained on the same images of every fold. It needs the answers that
``dermassist protocol`` leaves in ``results``, and no images. Writes ``recipes.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.kept_answers import read_folds
from benchmarks.variant import MEASURES, signed

from dermassist.data.split import FOLDS, read_splits
from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.interfaces.cli.option import DEFAULT_SPLITS
from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dermassist.evaluation.array import FloatArray
    from dermassist.evaluation.bootstrap import Bootstrap
    from dermassist.evaluation.prediction_table import PredictionTable

#: Where the answers of each recipe are; each is compared with the first.
ANSWERS = {"ship": "ship/lesion", "settle": "settled/lesion", "swift": "lesion"}
NAMES = {
    "ship": "`ship.toml`",
    "settle": "`ship.toml`, then `settle.toml`",
    "swift": "`swift.toml`",
}
_SEED = 0


def main() -> None:
    """Compare, and write figures and table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    splits = read_splits(options.splits)
    answers = {name: read_folds(options.results / place, splits) for name, place in ANSWERS.items()}
    drawn = compare(answers, {a.image_id: a.lesion_id for a in splits.assignments})
    document = {name: to_document(drawn.estimate(name)) for name in drawn.values}
    write_text(options.results / "recipes.json", json.dumps(document, indent=1) + "\n")
    text = render_markdown(to_table(drawn, images=len(answers["ship"].images)))
    write_text(options.results / "recipes.md", text + "\n")


def compare(answers: Mapping[str, PredictionTable], lesion_of: Mapping[str, str]) -> Bootstrap:
    """Return every measure of each, and its ``difference`` from the first's, by lesion.

    Args:
        answers: by recipe, to the same images in any order.
        lesion_of: the lesion of each image.

    Raises:
        DataError: the answers are to different images.
    """
    (base, first), *_ = answers.items()
    chances = {}
    for name, table in answers.items():
        place = {image: k for k, image in enumerate(table.images)}
        if set(place) != set(first.images):
            raise DataError("the recipes answered other images; test them on the same folds")
        chances[name] = table.probabilities[[place[image] for image in first.images]]

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        own = {
            name: measure(first.labels, each, weights=weights).overall
            for name, each in chances.items()
        }
        values = {f"{name}/{key}": getattr(own[name], key) for name in own for key in MEASURES}
        return values | {
            f"{name}/difference/{key}": values[f"{name}/{key}"] - values[f"{base}/{key}"]
            for name in own
            for key in MEASURES
        }

    lesions = np.array([lesion_of[image] for image in first.images])
    return bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_SEED))


def to_table(drawn: Bootstrap, *, images: int) -> Table:
    """Return each recipe's figures and how they differ from the first's."""
    base, *others = ANSWERS
    rows = [
        (NAMES[name], *(format_estimate(drawn.estimate(f"{name}/{key}")) for key in MEASURES))
        for name in ANSWERS
    ]
    rows += [
        (
            f"{NAMES[name]}, less {NAMES[base]}",
            *(signed(drawn.estimate(f"{name}/difference/{key}")) for key in MEASURES),
        )
        for name in others
    ]
    note = (
        f"{images} test images of {FOLDS} folds, 95 % intervals by lesion, differences image by "
        "image. One training for each fold: the intervals do not hold the scatter of seeds."
    )
    header = ("Recipe", *MEASURES.values())
    return Table(f"{FOLDS} networks of each recipe, answers pooled", header, tuple(rows), (note,))


if __name__ == "__main__":
    main()
