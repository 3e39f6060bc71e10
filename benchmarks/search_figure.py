"""Draw one memetic search of two parameters: where every trial came from and what it found.

Run  python -m benchmarks.search_figure  from the root of the repository; it writes
``docs/images/memetic-search.png``. The error that is minimised is made up.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.distributions import BaseDistribution, FloatDistribution

from dermassist.storage import replacing
from dermassist.tuning import MemeticSampler, plan_of
from dermassist.tuning.figure import GAIN_COLOUR, draw_origins, shade_generations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from optuna.trial import FrozenTrial

SPACE: Mapping[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.6),
}


def error(params: Mapping[str, Any]) -> float:
    """Return a bowl with ripples whose minimum is 0."""
    rate = math.log10(params["learning_rate"]) + 3.1
    drop = (params["dropout"] - 0.22) * 5.0 + 0.3 * rate
    ripples = 2.0 - math.cos(4.0 * rate) - math.cos(5.0 * drop)
    return float(0.08 * rate**2 + 0.06 * drop**2 + 0.03 * ripples)


def search(*, trials: int, seed: int) -> list[FrozenTrial]:
    """Return the trials of one search."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=MemeticSampler(seed=seed))
    for _ in range(trials):
        trial = study.ask(dict(SPACE))
        study.tell(trial, error(trial.params))
    return study.get_trials()


def draw(trials: list[FrozenTrial]) -> Figure:
    """Return the map of a search beside its course."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_landscape(left)
    _draw_moves(left, trials)
    draw_origins(left, trials, x=[t.params["learning_rate"] for t in trials],
                 y=[t.params["dropout"] for t in trials])  # fmt: skip
    left.set(xlabel="learning rate", ylabel="dropout", title="Where the trials lie")
    values = [trial.value or 0.0 for trial in trials]
    right.step(range(len(trials)), np.minimum.accumulate(values), color="#555555", where="post")
    shade_generations(right, trials)
    draw_origins(right, trials, x=[trial.number for trial in trials], y=values)
    right.set(xlabel="trial", ylabel="error", title="What they found; line: the best so far")
    right.set_yscale("log")
    left.legend(loc="upper left", fontsize=8)
    return figure


def _draw_landscape(axes: Axes) -> None:
    rates, drops = np.logspace(-5, -1, 120), np.linspace(0.0, 0.6, 120)
    height = [[error({"learning_rate": r, "dropout": d}) for r in rates] for d in drops]
    axes.contourf(rates, drops, height, levels=18, cmap="Greys_r", alpha=0.55)
    axes.set_xscale("log")


def _draw_moves(axes: Axes, trials: list[FrozenTrial]) -> None:
    """Draw an arrow for every move that was a gain, from its base."""
    for trial in trials:
        plan = plan_of(trial)
        if plan is None or plan.move is None:
            continue
        base = trials[plan.move.base]
        if (trial.value or 0.0) < (base.value or 0.0):
            ends = [(t.params["learning_rate"], t.params["dropout"]) for t in (base, trial)]
            axes.annotate(
                "", ends[1], ends[0], arrowprops={"arrowstyle": "->", "color": GAIN_COLOUR}
            )


def main() -> None:
    """Search, draw and write the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/memetic-search.png"))
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figure = draw(search(trials=options.trials, seed=options.seed))
    with replacing(options.out) as temporary:
        figure.savefig(temporary, dpi=110, metadata={"Software": None})
    print(options.out)


if __name__ == "__main__":
    main()
