"""How well the order of short trainings agrees with that of longer ones."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.table_build import DECLARED, say_progress
from benchmarks.training_row import grid_of, read_rows, trained
from scipy.stats import kendalltau, spearmanr

from dermassist.storage import write_text
from dermassist.tuning.declaration import ProxySection, read_declaration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.table_build import Material
    from benchmarks.training_row import Row

    from dermassist.tuning.declaration import Declaration

SEARCHED = Path("configs/search.toml")
#: All training images of the fold, at about half the serving size.
LONGER = ProxySection(images=0, size_px=128, epochs=6)


def rank(material: Material, results: Path, *, configurations: int) -> None:
    """Train some of the table's points as the search would, and longer; write how they agree.

    The points are spread evenly over the ranks of the table, from its best to its worst.
    """
    table, _ = material.prepared(read_declaration(DECLARED))
    short = read_rows(material.rows, table.name)
    if len(short) < len(grid_of(table)):
        print(
            f"skipped: {material.rows} holds {len(short)} of the table's trainings; make the rest "
            "with  python -m benchmarks.sampler_table build"
        )
        return
    ranked = sorted(short.values(), key=lambda row: row.score, reverse=True)
    places = np.linspace(0, len(ranked) - 1, configurations).round().astype(int)
    chosen = [ranked[place] for place in places]
    ways = {"search": read_declaration(SEARCHED).proxy, "longer": LONGER}
    scores = {"table": [row.score for row in chosen]}
    for name, proxy in ways.items():
        print(f"{name}: {proxy}", flush=True)
        scores[name] = _scores(replace(table, proxy=proxy, origin={}), material, chosen)
    agreement = {name: _agreement(scores[name], scores["longer"]) for name in ("table", "search")}
    document = {
        "trainings": {"table": asdict(table.proxy)}
        | {name: asdict(proxy) for name, proxy in ways.items()},
        "params": [dict(row.params) for row in chosen],
        "macro_f1": scores,
        "agreement_with_longer": agreement,
    }
    write_text(results / "rank.json", json.dumps(document, indent=1) + "\n")
    print(json.dumps(agreement, indent=1))


def _scores(declaration: Declaration, material: Material, chosen: Sequence[Row]) -> list[float]:
    declared, plan = material.prepared(declaration)
    rows = trained(
        declared,
        plan,
        [row.params for row in chosen],
        kept=material.rows,
        workers=material.workers,
        watch=say_progress,
    )
    return [row.score for row in rows]


def _agreement(short: Sequence[float], longer: Sequence[float]) -> dict[str, float]:
    """Return rank correlations with the two-sided p of the first."""
    spearman = spearmanr(short, longer)
    return {
        "spearman": float(spearman.statistic),
        "spearman_p": float(spearman.pvalue),
        "kendall": float(kendalltau(short, longer).statistic),
    }
