"""The grid trained more than once: how far its tables agree, and the mean of them."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.table_build import MEAN_NAME, PIXELS, TABLE_NAME
from benchmarks.table_replay import Table, read_table
from scipy.stats import spearmanr

from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def average(results: Path) -> None:
    """Write the mean of the tables in a folder, and what one of them says of another.

    Raises:
        ValueError: there are fewer than two tables, they are of different grids, or their trainings
            did not see the same pixels.
    """
    paths = [results / TABLE_NAME, *sorted(results.glob("table-seed*.csv"))]
    if len(paths) < 2:
        raise ValueError(f"{results}: has one table; make another with  build --seed 1")
    _check_pixels(paths)
    tables = {path.name: read_table(path) for path in paths}
    mean = mean_of(list(tables.values()))
    about = agreement(tables)
    about["tables_sha256"] = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }
    write_text(results / MEAN_NAME, _to_csv(mean))
    text = json.dumps(about, indent=1) + "\n"
    write_text((results / MEAN_NAME).with_suffix(".about.json"), text)
    print(text, end="")


def _check_pixels(paths: Sequence[Path]) -> None:
    said = {}
    for path in paths:
        about = json.loads(path.with_suffix(".about.json").read_text(encoding="utf-8"))
        said[path.name] = about.get(PIXELS)
    if None in said.values() or len(set(said.values())) > 1:
        raise ValueError(
            f"the trainings did not see the same pixels, or do not say which ({said}); train the "
            "grid anew with each seed"
        )


def mean_of(tables: list[Table]) -> Table:
    """Return the table whose scores are the means of the others'.

    Raises:
        ValueError: they are of different grids.
    """
    levels = tables[0].levels
    if any(table.levels != levels for table in tables):
        raise ValueError("the tables are of different grids")
    return Table(levels, np.mean([table.macro_f1 for table in tables], axis=0))


def agreement(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return how far repetitions of the same trainings agree.

    ``spearman`` is over all points, and over the best tenth of the one that comes first; the place
    in the one that comes second is that of the first one's best point, from 1. ``sd`` is the
    standard deviation of one training's macro F1 about its point's mean.
    """
    pairs = []
    for (first, one), (second, other) in itertools.permutations(tables.items(), 2):
        a, b = one.macro_f1.ravel(), other.macro_f1.ravel()
        best = np.argsort(-a, kind="stable")[: a.size // 10]
        pairs.append(
            {
                "first": first,
                "second": second,
                "spearman": float(spearmanr(a, b).statistic),
                "spearman_of_best_tenth": float(spearmanr(a[best], b[best]).statistic),
                "place_of_best": int((b > b[best[0]]).sum()) + 1,
            }
        )
    scores = np.array([table.macro_f1 for table in tables.values()])
    return {
        "points": scores[0].size,
        "sd": float(np.sqrt(scores.var(axis=0, ddof=1).mean())),
        "pairs": pairs,
    }


def _to_csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.levels, "macro_f1"])
    for place, point in zip(
        np.ndindex(table.macro_f1.shape), itertools.product(*table.levels.values()), strict=True
    ):
        writer.writerow([*point, round(float(table.macro_f1[place]), 6)])
    return text.getvalue()
