"""What a search leaves behind: the best recipe, every trial, and pictures of the search."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from optuna.trial import FrozenTrial, TrialState

from dermassist.storage import write_text
from dermassist.tuning.memetic import plan_of
from dermassist.tuning.objective import ERROR_KEY
from dermassist.tuning.retry import retry_of
from dermassist.tuning.space import with_params

if TYPE_CHECKING:
    from optuna import Study

    from dermassist.config import TrainingConfig
    from dermassist.tuning.declaration import Declaration

BEST_NAME = "best.toml"
TRIALS_NAME = "trials.csv"
STUDY_NAME = "study.json"


@dataclass(frozen=True)
class Best:
    """The candidate with the highest score.

    Attributes:
        number: of its trial.
        score: macro F1 of its proxy training on validation.
        params: its point of the space.
        recipe: the whole recipe with these values, not the proxy's.
    """

    number: int
    score: float
    params: dict[str, Any]
    recipe: TrainingConfig


def best_of(study: Study, declaration: Declaration) -> Best | None:
    """Return the best finished candidate, the first among equals; None where none is finished."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scored = [(trial.value, -trial.number) for trial in complete if trial.value is not None]
    if not scored:
        return None
    score, negative = max(scored)
    params = {name: study.trials[-negative].params[name] for name in declaration.space}
    return Best(-negative, score, params, with_params(declaration.recipe, params))


def write_results(study: Study, declaration: Declaration, directory: Path) -> Best | None:
    """Write ``trials.csv`` and ``study.json`` and, once there is a best, ``best.toml``.

    Raises:
        OSError: the folder cannot be written to.
    """
    best = best_of(study, declaration)
    trials = study.get_trials(deepcopy=False)
    write_text(directory / TRIALS_NAME, _to_csv([_row(trial, declaration) for trial in trials]))
    write_text(directory / STUDY_NAME, _to_json(study, declaration, best))
    if best is not None:
        write_text(directory / BEST_NAME, to_toml(best))
    return best


def to_toml(best: Best) -> str:
    """Return the best recipe as a file that ``dermassist train --config`` reads."""
    origin = (
        f"# Found by dermassist tune: trial {best.number}. Its short training reached a macro F1\n"
        f"# of {best.score:.4f} on validation lesions. A whole training's score is another.\n\n"
    )
    return origin + tomli_w.dumps(best.recipe.to_dict())


def _row(trial: FrozenTrial, declaration: Declaration) -> dict[str, Any]:
    """Return one line of the table; None is an empty field."""
    plan = plan_of(trial)
    return {
        "trial": trial.number,
        "state": trial.state.name,
        "macro_f1": trial.value,
        **{name: trial.params.get(name) for name in declaration.space},
        "epochs": len(trial.intermediate_values),
        "seconds": trial.duration.total_seconds() if trial.duration is not None else None,
        "generation": plan.generation if plan is not None else None,
        "origin": plan.origin.value if plan is not None else None,
        "move_from": plan.move.base if plan is not None and plan.move is not None else None,
        "retry_of": retry_of(trial),
        "error": trial.user_attrs.get(ERROR_KEY),
    }


def _to_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _to_json(study: Study, declaration: Declaration, best: Best | None) -> str:
    trials = study.get_trials(deepcopy=False)
    document = {
        "study": study.study_name,
        "declaration": declaration.to_dict(),
        "trials": dict(Counter(trial.state.name for trial in trials)),
        "best": best and {"trial": best.number, "macro_f1": best.score, "params": best.params},
        "scores_by_epoch": {
            trial.number: list(trial.intermediate_values.values()) for trial in trials
        },
    }
    return json.dumps(document, indent=1) + "\n"
