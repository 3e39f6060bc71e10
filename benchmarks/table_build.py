"""Train the declared grid and write it as a table."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.training_row import grid_of, trained

from dermassist.interfaces.cli.tune import prepare_candidates
from dermassist.storage import write_text
from dermassist.tuning.declaration import read_declaration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.training_row import Row

    from dermassist.training.proxy import ProxyPlan
    from dermassist.tuning.declaration import Declaration

DECLARED = Path(__file__).with_name("table.toml")
TABLE_NAME = "table.csv"
#: The mean of that table and those of other seeds.
MEAN_NAME = "table-mean.csv"
#: The lesion-grouped fold whose validation lesions score; its test lesions are never read.
FOLD = 0
_SAID_EVERY = 5
#: Where a table says which pixels its trainings saw.
PIXELS = "pixels_sha256"


@dataclass(frozen=True)
class Material:
    """Where everything is, and how much of the machine to use.

    Attributes:
        data: folder that holds HAM10000.
        splits: split file.
        cache: folder for decoded images.
        init: start weights.
        kept: the file that keeps finished trainings; of whole ones, the folder of checkpoints.
        workers: processes, each with one thread; of whole trainings, those that augment images.
    """

    data: Path
    splits: Path
    cache: Path
    init: str
    kept: Path
    workers: int

    def prepared(self, declaration: Declaration) -> tuple[Declaration, ProxyPlan]:
        """Decode the images of a declaration, and let it say which they are."""
        return prepare_candidates(
            declaration,
            data=self.data,
            splits=self.splits,
            fold=FOLD,
            init=self.init,
            cache=self.cache,
        )


def pixels_of(plan: ProxyPlan) -> str:
    """Return a hash of what trainings see, which names of images do not tell."""
    digest, cache = hashlib.sha256(), plan.open_cache()
    for record in (*plan.parts.train, *plan.parts.validation):
        digest.update(np.ascontiguousarray(cache.field(record.image_id)).tobytes())
    return digest.hexdigest()


def table_name(seed: int) -> str:
    """Return the file of the grid's trainings with a seed; the declared one's is ``table.csv``."""
    return TABLE_NAME if seed == declared_seed() else f"table-seed{seed}.csv"


def declared_seed() -> int:
    """Return the seed of the declared trainings."""
    return read_declaration(DECLARED).recipe.optimisation.seed


def build(material: Material, results: Path, *, seed: int | None = None) -> None:
    """Train what is missing, then write the table and what it is about.

    Args:
        material: what to train on, and where to keep it.
        results: folder of the table.
        seed: of the trainings, instead of the declared one: the same grid on the same images by
            other chance (start of the head, order, views, dropout).
    """
    declared = read_declaration(DECLARED)
    if seed is None:
        seed = declared.recipe.optimisation.seed
    optimisation = replace(declared.recipe.optimisation, seed=seed)
    recipe = replace(declared.recipe, optimisation=optimisation)
    declaration, plan = material.prepared(replace(declared, recipe=recipe))
    grid = grid_of(declaration)
    # In an order of chance, so that the time that is left can be told from the time that passed.
    order = np.random.default_rng(0).permutation(len(grid))
    rows = trained(
        declaration,
        plan,
        [grid[place] for place in order],
        kept=material.kept,
        workers=material.workers,
        watch=say_progress,
    )
    path = results / table_name(seed)
    about = json.dumps(_about(declaration, plan, rows), indent=1) + "\n"
    write_text(path, _to_csv(rows))
    write_text(path.with_suffix(".about.json"), about)
    best = max(rows, key=lambda row: row.score)
    print(f"{len(rows)} trainings in {path}; best {best.score:.4f}: {best.params}")


def say_progress(done: int, total: int, seconds: float) -> None:
    """Print how many trainings are there, and about how long the others will take."""
    if done == 0:
        print(f"{total} trainings are missing", flush=True)
    elif done % _SAID_EVERY == 0 or done == total:
        left = (total - done) * seconds / done
        print(f"{done} of {total}, {left / 60:.0f} minutes left", flush=True)


def _to_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    epochs = [f"after_epoch_{k + 1}" for k in range(len(rows[0].macro_f1))]
    writer.writerow([*rows[0].params, "macro_f1", *epochs, "seconds"])
    for row in sorted(rows, key=lambda each: each.point):
        writer.writerow([*row.point, row.score, *row.macro_f1, row.seconds])
    return text.getvalue()


def _about(declaration: Declaration, plan: ProxyPlan, rows: Sequence[Row]) -> dict[str, object]:
    return {
        "declaration": declaration.to_dict(),
        PIXELS: pixels_of(plan),
        "train_images": len(plan.parts.train),
        "validation_images": len(plan.parts.validation),
        "trainings": len(rows),
        "training_hours": round(sum(row.seconds for row in rows) / 3600, 2),
    }
