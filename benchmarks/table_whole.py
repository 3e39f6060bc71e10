"""How well the order of short trainings agrees with that of whole ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.averaging import module_with, read_both
from benchmarks.small_budget import (
    CHECKPOINT_NAME,
    Budgeted,
    Images,
    Outcome,
    Place,
    answer,
    describe,
    finished_earlier,
    imagenet_start,
    keep,
    run_budgeted,
)
from benchmarks.table_build import FOLD
from benchmarks.table_rank import SEARCHED, agreement_of, to_markdown

from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import read_ham10000
from dermassist.data.protocol import lesion_trial
from dermassist.data.split import read_splits
from dermassist.errors import DataError
from dermassist.evaluation.metrics import measure
from dermassist.lock import InUseError
from dermassist.storage import write_text
from dermassist.training.run import sole_training_in
from dermassist.tuning.declaration import read_declaration
from dermassist.tuning.space import with_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.table_build import Material

    from dermassist.data.cache import FieldCache
    from dermassist.data.ham10000 import Record

#: The order of fewer points says nothing.
_LEAST_POINTS = 3


@dataclass(frozen=True, eq=False)
class Answered:
    """A whole training's answers to the validation images.

    Attributes:
        whole: by the weights that it leaves, averaged over its last steps.
        plain: by those that nothing was averaged into.
    """

    whole: Outcome
    plain: Outcome


@dataclass(frozen=True, eq=False)
class WholeTrainings:
    """What every whole training needs."""

    images: Images
    cache: FieldCache
    place: Place
    workers: int

    def answered(self, job: Budgeted) -> Answered | None:
        """Return what a training has left behind, or None where it is not finished."""
        found = [finished_earlier(each, self.images, self.place) for each in (job, _plain(job))]
        return None if found[0] is None or found[1] is None else Answered(found[0], found[1])

    def train(self, job: Budgeted) -> None:
        """Train, or go on where it was stopped, and answer with either kind of weights.

        Raises:
            DataError: another training's checkpoints or answers are there, or the checkpoint that
                holds the plain weights is gone.
            InUseError: another process is at this training.
        """
        outcome = run_budgeted(job, self.images, self.cache, self.place, workers=self.workers)
        folder, plain = self.place.runs / job.name, _plain(job)
        with sole_training_in(folder):
            if finished_earlier(plain, self.images, self.place) is None:
                weights = read_both(folder / CHECKPOINT_NAME)["plain"]
                module = module_with(job.recipe, weights)
                answers = answer(module, self.images.answered, self.cache)
                kept = replace(outcome, probabilities=answers)
                keep(self.place.kept(plain), kept, describe(plain, self.images))


def _plain(job: Budgeted) -> Budgeted:
    return replace(job, name=f"{job.name}-plain")


def whole(material: Material, results: Path) -> bool:
    """Train the ranked points with the whole recipe; write how the short trainings' order agrees.

    The points are those of ``rank.json``; the recipe is what ``dermassist train`` would be given
    with them. Each training's answers to the validation images are kept in the results' folder
    ``whole`` as it ends, and the table is written anew. Stopped, the same command goes on; started
    twice, the two share the trainings out.

    Args:
        material: where everything is.
        results: folder of the tables.

    Returns:
        Whether all are trained; False where another process is still at some.

    Raises:
        DataError: there are no ranked points, or a folder holds another training.
    """
    ranked = _read_ranked(results)
    recipe = read_declaration(SEARCHED).recipe
    dataset = read_ham10000(material.data)
    trial = lesion_trial(dataset.records, read_splits(material.splits), fold=FOLD)
    cache = open_cache(
        (*trial.train, *trial.validation),
        recipe.preprocessing,
        material.cache,
        pixel_aspect=dataset.pixel_aspect,
    )
    images = Images(trial.train, trial.validation, trial.validation)
    trainings = WholeTrainings(
        images, cache, Place(material.kept, results / "whole"), material.workers
    )
    jobs = [
        Budgeted(
            f"point-{number:02d}",
            with_params(recipe, params),
            lambda: imagenet_start(material.init, trial.origin),
            begins_from="ImageNet",
        )
        for number, params in enumerate(ranked["params"])
    ]
    for number in dealt(len(jobs)):
        print(f"{jobs[number].name}: {ranked['params'][number]}", flush=True)
        try:
            trainings.train(jobs[number])
        except InUseError:
            print(f"{jobs[number].name}: another process is at it", flush=True)
        # Another process may have finished some in the meantime.
        answered = [trainings.answered(job) for job in jobs]
        _write(stand(ranked, answered, trainings.images.answered), results)
    return None not in answered


def dealt(count: int) -> list[int]:
    """Return places so that the first half of them is spread over all."""
    return [*range(0, count, 2), *range(1, count, 2)]


def stand(
    ranked: Mapping[str, Any], answered: Sequence[Answered | None], records: Sequence[Record]
) -> dict[str, Any]:
    """Return the scores of the points that are trained, and how their orders agree.

    Args:
        ranked: what ``rank`` wrote.
        answered: the trainings of its points, in its order; None is not finished yet.
        records: the answered images.
    """
    labels = np.array([record.diagnosis.index for record in records])
    done = {place: each for place, each in enumerate(answered) if each is not None}
    scores = {
        name: [values[place] for place in done] for name, values in ranked["macro_f1"].items()
    }
    scores |= {
        kind: [
            float(measure(labels, getattr(each, kind).probabilities).overall.macro_f1)
            for each in done.values()
        ]
        for kind in ("plain", "whole")
    }
    agreement = {}
    if len(done) >= _LEAST_POINTS:
        agreement = {
            name: agreement_of(values, scores["whole"])
            for name, values in scores.items()
            if name != "whole"
        }
    return {
        "points": len(done),
        "points_in_all": len(answered),
        "params": [ranked["params"][place] for place in done],
        "macro_f1": scores,
        "agreement_with_whole": agreement,
    }


def _read_ranked(results: Path) -> dict[str, Any]:
    path = results / "rank.json"
    try:
        ranked: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: holds no ranked points; make them with  rank") from error
    return ranked


def _write(document: Mapping[str, Any], results: Path) -> None:
    if not document["points"]:
        return
    write_text(results / "whole.json", json.dumps(document, indent=1) + "\n")
    said = f"{document['points']} of {document['points_in_all']} points are trained in whole.\n\n"
    table = to_markdown(document, against="whole")
    write_text(results / "whole.md", f"{said}{table}{_beside_plain(document)}")


def _beside_plain(document: Mapping[str, Any]) -> str:
    """Say how the short trainings' orders agree with that of the plain weights."""
    if not document["agreement_with_whole"]:
        return ""
    scores = document["macro_f1"]
    orders = {
        name: agreement_of(values, scores["plain"])["spearman"]
        for name, values in scores.items()
        if name not in {"plain", "whole"}
    }
    told = ", ".join(f"{name} {order:.2f}" for name, order in orders.items())
    return f"\nSpearman with *plain*, which averages nothing as they do: {told}.\n"
