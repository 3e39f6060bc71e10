"""What giving up early would have lost on the table of real trainings, and what it would save.

The rules of a search are followed, trial by trial, over candidates of the table in an order of
chance: the same rule objects, looking after the same epochs.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import optuna
from benchmarks.table_build import TABLE_NAME
from optuna.trial import TrialState

from dermassist.storage import write_text
from dermassist.tuning.declaration import Pruning
from dermassist.tuning.study import pruner

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RESULT_NAME = "pruning.json"
#: Searches that are followed, each of as many candidates as ``configs/search.toml`` asks for.
ORDERS = 100
CANDIDATES = 60


@dataclass(frozen=True)
class Toll:
    """What a rule did, in all orders together.

    Attributes:
        rule: its name in a search file.
        candidates: that were begun.
        given_up: of these.
        of_best_tenth: candidates among the best tenth of the table, by their last epoch.
        of_best_tenth_given_up: of these.
        best_given_up: share of searches whose best candidate was given up.
        epochs_saved: share of all epochs that were not trained.
    """

    rule: str
    candidates: int
    given_up: int
    of_best_tenth: int
    of_best_tenth_given_up: int
    best_given_up: float
    epochs_saved: float


def judge(results: Path, *, orders: int = ORDERS) -> None:
    """Follow every rule over as many searches of chance, and write what it did."""
    scores = read_epochs(results / TABLE_NAME)
    rules = [name for name in get_args(Pruning) if name != "none"]
    tolls = [asdict(toll_of(name, scores, orders=orders)) for name in rules]
    document = {"trainings": len(scores), "searches": orders, "rules": tolls}
    text = json.dumps(document, indent=1) + "\n"
    write_text(results / RESULT_NAME, text)
    print(text, end="")


def read_epochs(path: Path) -> NDArray[np.float64]:
    """Return the macro F1 after every epoch, shape ``(trainings, epochs)``."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("after_epoch_")]
    return np.array([[float(row[name]) for name in names] for row in rows])


def toll_of(rule: Pruning, scores: NDArray[np.float64], *, orders: int) -> Toll:
    """Return what a rule did in searches of ``CANDIDATES`` candidates drawn from the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    epochs = scores.shape[1]
    good = np.zeros(len(scores), bool)
    good[np.argsort(-scores[:, -1], kind="stable")[: len(scores) // 10]] = True
    random = np.random.default_rng(0)
    drawn = np.array([random.permutation(len(scores))[:CANDIDATES] for _ in range(orders)])
    lasted = np.array([search(rule, scores[own]) for own in drawn])
    lost = lasted < epochs
    best = scores[drawn, -1].argmax(axis=1)
    return Toll(
        rule,
        candidates=drawn.size,
        given_up=int(lost.sum()),
        of_best_tenth=int(good[drawn].sum()),
        of_best_tenth_given_up=int((good[drawn] & lost).sum()),
        best_given_up=float(lost[np.arange(orders), best].mean()),
        epochs_saved=float(1.0 - lasted.sum() / (drawn.size * epochs)),
    )


def search(rule: Pruning, scores: NDArray[np.float64]) -> list[int]:
    """Return after how many epochs each candidate ended, one after the other.

    Args:
        rule: by which candidates are given up; after the last epoch there is nothing to give up.
        scores: after every epoch, shape ``(candidates, epochs)``, in the order of the search.
    """
    study = optuna.create_study(direction="maximize", pruner=pruner(rule))
    lasted = []
    for course in scores.tolist():
        trial = study.ask()
        for epoch, score in enumerate(course, start=1):
            trial.report(score, epoch - 1)
            if epoch < len(course) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, course[-1])
        lasted.append(epoch)
    return lasted
