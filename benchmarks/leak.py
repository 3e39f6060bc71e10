"""What the paper's split gains by its leak: the same images, answered with it and without.

    python -m benchmarks.leak

Every test image of the paper's split was also answered by a network of the lesion-grouped folds
that had seen neither it nor its lesion. The two answers are compared image by image, apart for the
images whose lesion has another image in the paper's training part. It needs ``results/paper`` and
``results/lesion``, as ``dermassist protocol`` writes them, and no images.

The leak is not the only difference: the paper's network is the best of its validated epochs by
macro F1 on the images that test it, and learned from more images; the folds' are those of the last
epoch. Each is one training, and the intervals by lesion do not hold the scatter of seeds.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.kept_answers import read_folds

from dermassist.data.split import FOLDS, Part, read_splits
from dermassist.diagnosis import Diagnosis
from dermassist.evaluation.bootstrap import bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.interfaces.cli.option import DEFAULT_SPLITS
from dermassist.pooling import read_predictions
from dermassist.storage import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dermassist.data.split import Splits
    from dermassist.evaluation.array import BoolArray, FloatArray, IntArray
    from dermassist.evaluation.bootstrap import Bootstrap

_SEED = 0


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images with two answers each.

    Attributes:
        labels: ``(n,)``.
        lesions: names ``(n,)``.
        leaking: ``(n,)``, whether another image of the lesion is in the paper's training part.
        answers: probabilities ``(n, 7)``: by the network of the paper's split (``with``), and by
            the one that had not seen the lesion (``without``).
    """

    labels: IntArray
    lesions: NDArray[np.str_]
    leaking: BoolArray
    answers: dict[str, FloatArray]

    def of(self, chosen: BoolArray) -> Pairs:
        """Return some of the images."""
        answers = {name: own[chosen] for name, own in self.answers.items()}
        return Pairs(self.labels[chosen], self.lesions[chosen], self.leaking[chosen], answers)


def main() -> None:
    """Compare, and write ``leak.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    splits = read_splits(options.splits)
    paper = read_predictions("paper", options.results / "paper", splits=splits)
    pairs = pair(paper, read_folds(options.results / "lesion", splits), splits)
    groups = {"all": pairs, "leaking": pairs.of(pairs.leaking), "clean": pairs.of(~pairs.leaking)}
    document = {
        "trained_images": {"with": _trained_by_paper(splits), "without": _trained_by_fold(splits)},
        **{name: _document(own) for name, own in groups.items()},
    }
    write_text(options.results / "leak.json", json.dumps(document, indent=1) + "\n")


def _trained_by_paper(splits: Splits) -> int:
    return len(splits.paper_image_ids(Part.TRAIN))


def _trained_by_fold(splits: Splits) -> float:
    counts = [len(splits.image_ids(Part.TRAIN, test_fold=k)) for k in range(FOLDS)]
    return float(np.mean(counts))


def pair(paper: PredictionTable, lesion: PredictionTable, splits: Splits) -> Pairs:
    """Return the paper's test images with both answers."""
    lesion_of = {a.image_id: a.lesion_id for a in splits.assignments}
    trained = {lesion_of[image] for image in splits.paper_image_ids(Part.TRAIN)}
    place = {image: k for k, image in enumerate(lesion.images)}
    same = [place[image] for image in paper.images]
    lesions = np.array([lesion_of[image] for image in paper.images])
    return Pairs(
        labels=paper.labels,
        lesions=lesions,
        leaking=np.isin(lesions, sorted(trained)),
        answers={"with": paper.probabilities, "without": lesion.probabilities[same]},
    )


def compare(pairs: Pairs) -> Bootstrap:
    """Return each measure with the leak, without it, and the difference, by lesion."""

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        own = {name: _measures(pairs, name, weights) for name in pairs.answers}
        return {
            **{f"{name}/{key}": value for name, each in own.items() for key, value in each.items()},
            **{f"difference/{key}": own["with"][key] - own["without"][key] for key in own["with"]},
        }

    return bootstrap(statistic, groups=pairs.lesions, rng=np.random.default_rng(_SEED))


def _measures(pairs: Pairs, name: str, weights: FloatArray) -> dict[str, FloatArray]:
    measured = measure(pairs.labels, pairs.answers[name], weights=weights)
    return {
        "accuracy": measured.overall.accuracy,
        "macro_f1": measured.overall.macro_f1,
        "melanoma_recall": measured.per_class.recall[..., Diagnosis.MEL.index],
    }


def _document(pairs: Pairs) -> dict[str, object]:
    drawn = compare(pairs)
    estimates = {name: to_document(drawn.estimate(name)) for name in drawn.values}
    return {"images": len(pairs.labels), "lesions": len(set(pairs.lesions)), **estimates}


if __name__ == "__main__":
    main()
