"""What giving up early would have lost on the table of real trainings, and what it would save."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.table_build import TABLE_NAME
from scipy.stats import spearmanr

from dermassist.storage import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RESULT_NAME = "pruning.json"
#: Share of the candidates that a rule gives up.
RULES = {"worst_quarter": 0.25, "median": 0.5}


def judge(results: Path) -> None:
    """Write for each epoch but the last how well it tells the last, and whom the rules give up."""
    scores = read_epochs(results / TABLE_NAME)
    epochs = [_epoch(scores, epoch) for epoch in range(scores.shape[1] - 1)]
    text = json.dumps({"trainings": len(scores), "epochs": epochs}, indent=1) + "\n"
    write_text(results / RESULT_NAME, text)
    print(text, end="")


def read_epochs(path: Path) -> NDArray[np.float64]:
    """Return the macro F1 after every epoch, shape ``(trainings, epochs)``."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("after_epoch_")]
    return np.array([[float(row[name]) for name in names] for row in rows])


def _epoch(scores: NDArray[np.float64], epoch: int) -> dict[str, Any]:
    now, last = scores[:, epoch], scores[:, -1]
    best = np.argsort(-last, kind="stable")[: len(last) // 10]
    rules = {}
    for name, share in RULES.items():
        lost = now < np.quantile(now, share)
        rules[name] = {
            "given_up": int(lost.sum()),
            "of_best_tenth": int(lost[best].sum()),
            "best_tenth": len(best),
        }
    spearman = float(spearmanr(now, last).statistic)
    return {"epoch": epoch + 1, "spearman_with_last": spearman, "rules": rules}
