"""Real short trainings as rows of a file: which are there, and making those that are missing."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.jsonl import append_line, read_lines, sole_writer_of
from optuna.distributions import CategoricalDistribution

from dermassist.errors import ConfigError
from dermassist.training.proxy import ProxyPlan, ProxyTraining
from dermassist.tuning.declaration import proxied
from dermassist.tuning.space import with_params

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from dermassist.tuning.declaration import Declaration

    Point = tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One finished training.

    Attributes:
        study: name of the declaration that it belongs to; another one makes the row worthless.
        params: values by parameter.
        macro_f1: on validation after every epoch; the last one is the score.
        seconds: it took.
    """

    study: str
    params: Mapping[str, Any]
    macro_f1: tuple[float, ...]
    seconds: float

    @property
    def point(self) -> Point:
        """Return the values in the order of the parameters."""
        return tuple(self.params.values())

    @property
    def score(self) -> float:
        """Return the macro F1 after the last epoch."""
        return self.macro_f1[-1]


def grid_of(declaration: Declaration) -> list[dict[str, Any]]:
    """Return every combination of the levels of a space of choices.

    Raises:
        ConfigError: a parameter has a range instead of levels.
    """
    levels = []
    for name, distribution in declaration.space.items():
        if not isinstance(distribution, CategoricalDistribution):
            raise ConfigError(f"{name} needs choices, its levels, got {distribution}")
        levels.append(distribution.choices)
    return [
        dict(zip(declaration.space, values, strict=True)) for values in itertools.product(*levels)
    ]


def read_rows(path: Path, study: str) -> dict[Point, Row]:
    """Return the finished trainings of one declaration."""
    rows = (
        Row(line["study"], line["params"], tuple(line["macro_f1"]), line["seconds"])
        for line in read_lines(path)
        if line["study"] == study
    )
    return {row.point: row for row in rows}


def trained(
    declaration: Declaration,
    plan: ProxyPlan,
    points: Sequence[Mapping[str, Any]],
    *,
    kept: Path,
    workers: int,
    watch: Callable[[int, int, float], None],
) -> list[Row]:
    """Return a row for every point, training those that the file does not hold yet.

    Args:
        declaration: of the trainings, with its origin.
        plan: what a worker process needs.
        points: values by parameter, in the order of the space.
        kept: the file; each row is added as soon as it is there.
        workers: processes, each with one thread.
        watch: told how many of the missing rows are there, of how many, and the seconds passed.

    Raises:
        InUseError: another process adds to the file.
    """
    with sole_writer_of(kept):
        done = read_rows(kept, declaration.name)
        missing = [dict(point) for point in points if tuple(point.values()) not in done]
        begun = time.monotonic()
        watch(0, len(missing), 0.0)
        for count, row in enumerate(_rows(declaration, plan, missing, workers=workers), start=1):
            append_line(kept, asdict(row))
            done[row.point] = row
            watch(count, len(missing), time.monotonic() - begun)
    return [done[tuple(point.values())] for point in points]


_training: ProxyTraining | None = None


def _rows(
    declaration: Declaration,
    plan: ProxyPlan,
    points: Sequence[Mapping[str, Any]],
    *,
    workers: int,
) -> Iterator[Row]:
    if not points:
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_prepare, initargs=(plan,)) as pool:
        futures = [pool.submit(_row, declaration, point) for point in points]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            # Else they would go on with what they have been handed, hear no Ctrl-C, and their
            # results would be lost.
            for worker in multiprocessing.active_children():
                worker.kill()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _prepare(plan: ProxyPlan) -> None:
    global _training  # noqa: PLW0603 - a pool's processes have no other place for what they prepare
    _training = plan.prepare()


def _row(declaration: Declaration, point: Mapping[str, Any]) -> Row:
    if _training is None:
        raise RuntimeError("this process was not prepared")
    config = proxied(with_params(declaration.recipe, point), declaration.proxy)
    scores: list[float] = []

    def report(_epoch: int, score: float) -> bool:
        scores.append(round(score, 6))
        return False

    begun = time.monotonic()
    _training(config, report)
    return Row(declaration.name, point, tuple(scores), round(time.monotonic() - begun, 2))
