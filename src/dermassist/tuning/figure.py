"""Pictures of a search: its course, its generations, its points, what mattered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from dermassist.storage import replacing
from dermassist.tuning.memetic import Origin, plan_of
from dermassist.tuning.memetic.encoding import Dimension, SearchSpace

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from optuna import Study

    from dermassist.tuning.space import Space

#: Colour, shape and name of each origin; the colours are told apart with any colour vision.
ORIGIN_STYLE = {
    Origin.START: ("#000000", "s", "first point"),
    Origin.CHILD: ("#0072B2", "o", "child"),
    Origin.MOVE: ("#D55E00", "^", "move of a climb"),
}
GAIN_COLOUR = "#D55E00"
_SCORE_LABEL = "macro F1 on validation, short training"
#: Fewer trials say nothing about which parameter matters.
_ENOUGH_FOR_IMPORTANCES = 8
_DOTS_PER_INCH = 110


def write_figures(study: Study, space: Space, directory: Path) -> None:
    """Draw what the finished trials allow to be drawn.

    Raises:
        OSError: the folder cannot be written to.
    """
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        return
    _write(history_figure(trials), directory / "history.png")
    _write(generations_figure(trials), directory / "generations.png")
    _write(parallel_figure(complete, space), directory / "parallel_coordinates.png")
    scores = {trial.value for trial in complete}
    if len(complete) >= _ENOUGH_FOR_IMPORTANCES and len(scores) > 1:
        _write(importances_figure(study), directory / "importances.png")


def history_figure(trials: Sequence[FrozenTrial]) -> Figure:
    """Draw every trial's score and the best so far."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for state, colour, name in (
        (TrialState.COMPLETE, "#0072B2", "finished"),
        (TrialState.PRUNED, "#999999", "given up early"),
    ):
        own = [t for t in trials if t.state == state and t.value is not None]
        axes.scatter([t.number for t in own], [_score(t) for t in own], s=20, c=colour, label=name)
    _draw_best_so_far(axes, trials)
    axes.set(xlabel="trial", ylabel=_SCORE_LABEL, title="Course of the search")
    _legend_below(figure)
    return figure


def generations_figure(trials: Sequence[FrozenTrial]) -> Figure:
    """Draw generations, where each trial came from, and the moves of the local search.

    A line leads from a climb's best point to each of its moves; an arrow is a move that gained.
    """
    figure = Figure(figsize=(9.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    shown = [t for t in trials if t.state.is_finished() and t.value is not None]
    shade_generations(axes, shown)
    _draw_climbs(axes, shown)
    _draw_best_so_far(axes, trials)
    draw_origins(axes, shown, x=[t.number for t in shown], y=[_score(t) for t in shown])
    axes.set(xlabel="trial", ylabel=_SCORE_LABEL, title="Generations and local search")
    _legend_below(figure)
    return figure


def parallel_figure(complete: Sequence[FrozenTrial], space: Space) -> Figure:
    """Draw every finished trial as a line through its parameter values, coloured by its score."""
    cube = SearchSpace(space)
    scores = np.array([_score(trial) for trial in complete])
    norm = Normalize(scores.min(), scores.max())
    colours = ScalarMappable(norm, cmap="viridis")
    figure = Figure(figsize=(1.6 * cube.size + 2.0, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for place in np.argsort(scores):
        colour = colours.to_rgba(scores[place])
        axes.plot(range(cube.size), cube.encode(complete[place].params), color=colour, alpha=0.7)
    for place, dimension in enumerate(cube.dimensions):
        _draw_scale(axes, place, dimension)
    axes.set_xticks(range(cube.size), [name.replace("_", "\n") for name in cube.names])
    axes.set_yticks([])
    axes.set(ylim=(-0.02, 1.02), xlim=(-0.4, cube.size - 0.4), title="Where the trials lie")
    axes.spines[:].set_visible(False)
    figure.colorbar(colours, ax=axes, label=_SCORE_LABEL)
    return figure


def importances_figure(study: Study) -> Figure:
    """Draw how much each parameter matters for being among the best trials.

    Source: Watanabe, Bansal, Hutter, "PED-ANOVA: efficiently quantifying hyperparameter importance
    in arbitrary subspaces", IJCAI 2023.
    """
    importances = get_param_importances(study)
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    names = list(reversed(importances))
    bars = axes.barh(names, [importances[name] for name in names], color="#0072B2")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel="share of the importance (PED-ANOVA)", xlim=(0.0, 1.1), title="What mattered")
    return figure


def draw_origins(
    axes: Axes, trials: Sequence[FrozenTrial], *, x: Sequence[float], y: Sequence[float]
) -> None:
    """Draw trials at places ``(x, y)``, marked by where they came from.

    Trials that were given up early are hollow: their score is that of fewer epochs.
    """
    origins = [plan.origin if (plan := plan_of(t)) else Origin.START for t in trials]
    pruned = [trial.state == TrialState.PRUNED for trial in trials]
    for origin, (colour, marker, name) in ORIGIN_STYLE.items():
        for early, face, edge in ((False, colour, "white"), (True, "white", colour)):
            own = [i for i, each in enumerate(origins) if each == origin and pruned[i] is early]
            axes.scatter(
                [x[i] for i in own],
                [y[i] for i in own],
                c=face,
                edgecolors=edge,
                marker=marker,
                s=22,
                label=None if early else name,
                linewidths=0.9 if early else 0.5,
                zorder=3,
            )
    if any(pruned):
        axes.scatter([], [], c="white", edgecolors="#555555", s=22, label="hollow: given up early")


def shade_generations(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    """Shade every second generation, from its first trial to its last."""
    of = np.array([plan.generation if (plan := plan_of(t)) else 0 for t in trials])
    for generation in range(1, int(of.max(initial=0)) + 1, 2):
        inside = [t.number for t, own in zip(trials, of, strict=True) if own == generation]
        if inside:
            axes.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color="#EEEEEE", zorder=0)


def _draw_climbs(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    by_number = {trial.number: trial for trial in trials}
    for trial in trials:
        plan = plan_of(trial)
        base = by_number.get(plan.move.base) if plan is not None and plan.move else None
        if base is None:
            continue
        ends = (base.number, _score(base)), (trial.number, _score(trial))
        if _score(trial) > _score(base):
            axes.annotate(
                "", ends[1], ends[0], arrowprops={"arrowstyle": "->", "color": GAIN_COLOUR}
            )
        else:
            axes.plot(*zip(*ends, strict=True), color="#BBBBBB", linewidth=0.6, zorder=1)


def _draw_best_so_far(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = np.maximum.accumulate([_score(trial) for trial in complete])
    numbers = [trial.number for trial in complete]
    axes.step(numbers, best, color="#555555", where="post", label="best so far", zorder=2)


def _draw_scale(axes: Axes, place: int, dimension: Dimension) -> None:
    """Draw one parameter's axis with its ends, or with all its values where they are few."""
    axes.axvline(place, color="#333333", linewidth=0.8)
    few = dimension.cells is not None and dimension.cells <= 8
    marks = [dimension.middle(cell) for cell in range(dimension.cells or 0)] if few else [0.0, 1.0]
    for mark in marks:
        text = f"{dimension.from_unit(mark):g}"
        axes.text(place + 0.04, mark, text, fontsize=8, va="center", zorder=4)


def _legend_below(figure: Figure) -> None:
    """Put the legend where it covers no trial."""
    figure.legend(loc="outside lower center", ncols=5, fontsize=8, frameon=False)


def _score(trial: FrozenTrial) -> float:
    return float("nan") if trial.value is None else trial.value


def _write(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH, metadata={"Software": None})
