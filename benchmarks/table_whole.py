"""How well the order of short trainings agrees with that of whole ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.small_budget import (
    Budgeted,
    Images,
    Outcome,
    Place,
    finished_earlier,
    imagenet_start,
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
from dermassist.tuning.declaration import read_declaration
from dermassist.tuning.space import with_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.table_build import Material

    from dermassist.data.ham10000 import Record

#: The order of fewer points says nothing.
_LEAST_POINTS = 3


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
    images = Images(trial.train, trial.validation, trial.validation)
    cache = open_cache(
        (*trial.train, *trial.validation),
        recipe.preprocessing,
        material.cache,
        pixel_aspect=dataset.pixel_aspect,
    )
    place = Place(material.kept, results / "whole")
    jobs = [
        Budgeted(
            f"point-{number:02d}",
            with_params(recipe, params),
            lambda: imagenet_start(material.init),
            begins_from="ImageNet",
        )
        for number, params in enumerate(ranked["params"])
    ]
    outcomes = [finished_earlier(job, images, place) for job in jobs]
    for number in dealt(len(jobs)):
        job = jobs[number]
        try:
            print(f"{job.name}: {ranked['params'][number]}", flush=True)
            run_budgeted(job, images, cache, place, workers=material.workers)
        except InUseError:
            print(f"{job.name}: another process is at it", flush=True)
        # Another process may have finished some in the meantime.
        outcomes = [finished_earlier(each, images, place) for each in jobs]
        _write(ranked, outcomes, trial.validation, results)
    return None not in outcomes


def dealt(count: int) -> list[int]:
    """Return places so that the first half of them is spread over all."""
    return [*range(0, count, 2), *range(1, count, 2)]


def stand(
    ranked: Mapping[str, Any], outcomes: Sequence[Outcome | None], records: Sequence[Record]
) -> dict[str, Any]:
    """Return the scores of the points that are trained, and how their orders agree.

    Args:
        ranked: what ``rank`` wrote.
        outcomes: of its points, in its order; None is not trained yet.
        records: the answered images.
    """
    labels = np.array([record.diagnosis.index for record in records])
    scores: dict[str, list[float]] = {name: [] for name in (*ranked["macro_f1"], "whole")}
    params = []
    for number, outcome in enumerate(outcomes):
        if outcome is None:
            continue
        params.append(ranked["params"][number])
        for name, values in ranked["macro_f1"].items():
            scores[name].append(values[number])
        overall = measure(labels, outcome.probabilities).overall
        scores["whole"].append(float(overall.macro_f1))
    agreement = {}
    if len(params) >= _LEAST_POINTS:
        agreement = {
            name: agreement_of(values, scores["whole"])
            for name, values in scores.items()
            if name != "whole"
        }
    return {
        "points": len(params),
        "points_in_all": len(outcomes),
        "params": params,
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


def _write(
    ranked: Mapping[str, Any],
    outcomes: Sequence[Outcome | None],
    records: Sequence[Record],
    results: Path,
) -> None:
    document = stand(ranked, outcomes, records)
    if not document["points"]:
        return
    write_text(results / "whole.json", json.dumps(document, indent=1) + "\n")
    said = f"{document['points']} of {document['points_in_all']} points are trained in whole.\n\n"
    write_text(results / "whole.md", said + to_markdown(document, against="whole"))
