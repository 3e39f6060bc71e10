"""How well the order of short trainings agrees with that of longer ones."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.table_build import DECLARED, TABLE_NAME, say_progress
from benchmarks.table_replay import read_table
from benchmarks.training_row import grid_of, trained
from scipy.stats import PermutationMethod, kendalltau, pearsonr, rankdata

from dermassist.storage import write_text
from dermassist.tuning.declaration import ProxySection, read_declaration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.table_build import Material
    from benchmarks.table_replay import Table

    from dermassist.tuning.declaration import Declaration

SEARCHED = Path("configs/search.toml")
#: All training images of the fold, at about half the serving size.
LONGER = ProxySection(images=0, size_px=128, epochs=6)
_PERMUTATIONS = 99_999


def rank(material: Material, results: Path, *, configurations: int) -> None:
    """Train some of the table's points as the search would, and longer; write how they agree.

    The points are spread evenly over the ranks of the table, from its best to its worst. Each
    training is kept in the material's file as it ends, so a stopped command goes on.
    """
    path = results / TABLE_NAME
    if not path.exists():
        print(
            f"skipped: there is no {path}; make it with  python -m benchmarks.sampler_table build"
        )
        return
    declaration = read_declaration(DECLARED)
    chosen = spread(read_table(path), grid_of(declaration), configurations)
    ways = {"search": read_declaration(SEARCHED).proxy, "longer": LONGER}
    scores = {"table": [score for _, score in chosen]}
    for name, proxy in ways.items():
        print(f"{name}: {proxy}", flush=True)
        points = [point for point, _ in chosen]
        scores[name] = _scores(replace(declaration, proxy=proxy), material, points)
    agreement = {name: agreement_of(scores[name], scores["longer"]) for name in ("table", "search")}
    document = {
        "trainings": {"table": asdict(declaration.proxy)}
        | {name: asdict(proxy) for name, proxy in ways.items()},
        "params": [point for point, _ in chosen],
        "macro_f1": scores,
        "agreement_with_longer": agreement,
    }
    write_text(results / "rank.json", json.dumps(document, indent=1) + "\n")
    table = to_markdown(document)
    write_text(results / "rank.md", table)
    print(table)


def to_markdown(document: Mapping[str, Any], *, against: str = "longer") -> str:
    """Return the scores of every point, and how the orders agree, as a table.

    Args:
        document: as ``rank`` and ``table_whole.whole`` write it.
        against: the score whose order the others are compared with.
    """
    scores, agreement = document["macro_f1"], document[f"agreement_with_{against}"]
    header = [*document["params"][0], *(f"macro F1, {name}" for name in scores)]
    rows = [
        [
            *(f"{value:g}" for value in point.values()),
            *(f"{own[place]:.3f}" for own in scores.values()),
        ]
        for place, point in enumerate(document["params"])
    ]
    blank = [""] * (len(header) - len(scores) - 1)
    measures = {"spearman": "Spearman", "spearman_p": "p", "kendall": "Kendall"}
    for key, label in measures.items() if agreement else ():
        values = [f"{agreement[name][key]:.2g}" if name in agreement else "" for name in scores]
        rows.append([f"**{label}, with {against}**", *blank, *values])
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def spread(
    table: Table, points: Sequence[Mapping[str, Any]], count: int
) -> list[tuple[dict[str, Any], float]]:
    """Return ``count`` points with their macro F1, spread evenly over the table's ranks."""
    scored = [(dict(point), table.score(point)) for point in points]
    ranked = sorted(scored, key=lambda each: each[1], reverse=True)
    places = np.linspace(0, len(ranked) - 1, count).round().astype(int)
    return [ranked[place] for place in places]


def _scores(
    declaration: Declaration, material: Material, points: Sequence[Mapping[str, Any]]
) -> list[float]:
    declared, plan = material.prepared(declaration)
    rows = trained(
        declared,
        plan,
        points,
        kept=material.kept,
        workers=material.workers,
        watch=say_progress,
    )
    return [row.score for row in rows]


def agreement_of(short: Sequence[float], longer: Sequence[float]) -> dict[str, float]:
    """Return rank correlations of two scores of the same points.

    The p is Spearman's, two-sided, by permutations: all of them for up to eight points, and 99,999
    drawn ones for more. SciPy's own formula is for many points; of three it says 0.
    """
    # Spearman's correlation is Pearson's of the ranks.
    permuting = PermutationMethod(n_resamples=_PERMUTATIONS, rng=np.random.default_rng(0))
    spearman = pearsonr(rankdata(short), rankdata(longer), method=permuting)
    return {
        "spearman": float(spearman.statistic),
        "spearman_p": float(spearman.pvalue),
        "kendall": float(kendalltau(short, longer).statistic),
    }
