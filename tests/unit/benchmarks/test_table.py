"""The table of real trainings, and the contest on it."""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks import table_build, table_pruning, table_rank, table_replay, training_row
from benchmarks.contender import CONTENDERS, MEMETIC
from benchmarks.contest import paired_differences, scored
from benchmarks.jsonl import append_line, read_lines, sole_writer_of
from benchmarks.table_build import DECLARED, MEAN_NAME, PIXELS, TABLE_NAME, Material, table_name
from benchmarks.table_mean import average, mean_of
from benchmarks.table_pruning import read_epochs, search, toll_of
from benchmarks.table_replay import Table, read_table, replay, run_contest
from benchmarks.training_row import Row, grid_of, read_rows, trained

from dermassist.config import read_config
from dermassist.data.ham10000 import Record
from dermassist.diagnosis import Diagnosis
from dermassist.errors import ConfigError
from dermassist.lock import InUseError
from dermassist.training.run import Parts
from dermassist.tuning.declaration import Declaration, proxied, read_declaration
from dermassist.tuning.space import hyperparameters_of, with_params

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dermassist.config import TrainingConfig

RESULTS = Path(__file__).parents[3] / "results" / "memetic"
RECORD = Record("image", "lesion", Diagnosis.NV, "histo", None, "male", "back", "here")
LEVELS = {"a": (0.1, 0.2, 0.3), "b": (1.0, 2.0), "c": (8.0, 16.0, 32.0, 64.0)}


def written(folder: Path, *, leave_out: int = 0) -> Path:
    """Write a small table whose best point is the last level of each parameter."""
    points = [(a, b, c) for a in LEVELS["a"] for b in LEVELS["b"] for c in LEVELS["c"]]
    lines = [[*point, 0.01 * place, 9.0] for place, point in enumerate(points)]
    path = folder / TABLE_NAME
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*LEVELS, "macro_f1", "seconds"], *lines[leave_out:]])
    return path


def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    append_line(path, {"place": 1})
    with path.open("ab") as file:
        file.write(b'{"place": 2, "cut')
    assert read_lines(path) == [{"place": 1}]
    append_line(path, {"place": 3})
    assert read_lines(path) == [{"place": 1}, {"place": 3}]


def test_finished_trainings_are_kept_and_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declaration = read_declaration(DECLARED)
    points = grid_of(declaration)[:5]
    asked: list[Mapping[str, Any]] = []

    def rows(_: object, __: object, missing: Sequence[Mapping[str, Any]], *, workers: int) -> Any:
        assert workers == 2
        return killed_after_two(missing)

    def killed_after_two(missing: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
        for count, point in enumerate(missing):
            if count == 2:
                raise KeyboardInterrupt
            asked.append(point)
            yield Row(declaration.name, point, (0.1, 0.2 + len(asked)), 1.0)

    def run() -> list[Row]:
        return trained(
            declaration,
            None,  # type: ignore[arg-type] # no worker is started
            points,
            kept=tmp_path / "rows.jsonl",
            workers=2,
            watch=lambda *_: None,
        )

    monkeypatch.setattr(training_row, "_rows", rows)
    with sole_writer_of(tmp_path / "rows.jsonl"), pytest.raises(InUseError, match="adds to rows"):
        run()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run()
    finished = run()
    assert asked == points
    assert [row.params for row in finished] == points
    assert [row.score for row in finished] == [0.2 + k for k in range(1, 6)]


@dataclass(frozen=True)
class SlowPlan:
    """Trainings that note when they begin, and then take a minute."""

    notes: Path

    def prepare(self) -> SlowTraining:
        return SlowTraining(self.notes)


@dataclass(frozen=True)
class SlowTraining:
    notes: Path

    def __call__(self, config: TrainingConfig, report: Callable[[int, float], bool]) -> float:
        with self.notes.open("a") as file:
            file.write(f"{config.model.dropout}\n")
        if config.model.dropout == 0.1:
            report(0, 0.5)
            return 0.5
        time.sleep(60.0)
        raise AssertionError("was not stopped")


@pytest.mark.slow
def test_an_interrupted_table_trains_nothing_more(tmp_path: Path) -> None:
    declaration = read_declaration(DECLARED)
    points = [{"dropout": value} for value in (0.1, 0.2, 0.3, 0.4, 0.5)]
    plan: Any = SlowPlan(tmp_path / "notes")

    def interrupted(done: int, _missing: int, _seconds: float) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(
            declaration,
            plan,
            points,
            kept=tmp_path / "rows.jsonl",
            workers=1,
            watch=interrupted,
        )
    # The one that was under way was cut off, and none that waited began.
    assert not multiprocessing.active_children()
    assert len((tmp_path / "notes").read_text().split()) <= 2
    assert [
        row.params for row in read_rows(tmp_path / "rows.jsonl", declaration.name).values()
    ] == [{"dropout": 0.1}]


def test_a_range_has_no_levels() -> None:
    with pytest.raises(ConfigError, match="learning_rate needs choices"):
        grid_of(read_declaration(RESULTS.parents[1] / "configs/search.toml"))


def test_a_table_is_read_level_by_level(tmp_path: Path) -> None:
    table = read_table(written(tmp_path))
    assert table.levels == LEVELS
    assert table.macro_f1.shape == (3, 2, 4)
    assert table.macro_f1[1, 0, 2] == pytest.approx(0.01 * (8 + 2))
    assert table.problem.evaluate({"a": 1, "b": 0, "c": 2}) == pytest.approx(1.0 - 0.10)


def test_points_to_train_longer_span_the_table_from_its_best_to_its_worst() -> None:
    points = grid_of(read_declaration(DECLARED))
    table = read_table(RESULTS / TABLE_NAME)
    chosen = table_rank.spread(table, points, 5)
    scores = [score for _, score in chosen]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[-1]) == (table.macro_f1.max(), table.macro_f1.min())
    ranks = [int((table.macro_f1 > score).sum()) for score in scores]
    assert ranks == pytest.approx([0, 90, 180, 269, 359], abs=1)
    assert all(point in points for point, _ in chosen)


def test_agreement_of_orders_is_written_beside_the_scores_it_is_of() -> None:
    longer = [0.7, 0.6, 0.65, 0.5]
    scores = {"table": [0.5, 0.4, 0.3, 0.2], "search": [0.2, 0.3, 0.4, 0.5], "longer": longer}
    document = {
        "params": [{"learning_rate": 1e-3 * (place + 1), "batch_size": 32} for place in range(4)],
        "macro_f1": scores,
        "agreement_with_longer": {
            name: table_rank.agreement_of(scores[name], longer) for name in ("table", "search")
        },
    }
    lines = table_rank.to_markdown(document).splitlines()
    assert lines[0] == (
        "| learning_rate | batch_size | macro F1, table | macro F1, search | macro F1, longer |"
    )
    assert lines[2] == "| 0.001 | 32 | 0.500 | 0.200 | 0.700 |"
    # By hand: ranks 4 3 2 1 and 4 2 3 1; squared differences add up to 2, 1 - 6 * 2 / (4 * 15).
    assert lines[6].startswith("| **Spearman, with longer** |  | 0.8 | -0.8 |")
    # Of the 24 orders of four, 1 agrees fully, 3 as well as this, and as many the other way round.
    assert lines[7].startswith("| **p, with longer** |  | 0.33 | 0.33 |")
    assert lines[8].startswith("| **Kendall, with longer** |  | 0.67 | -0.67 |")
    assert {line.count("|") for line in lines} == {6}


def test_a_table_with_a_hole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="23 lines are no full grid"):
        read_table(written(tmp_path, leave_out=1))


def test_every_sampler_searches_the_table_and_the_memetic_one_exhausts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    table = read_table(path)
    monkeypatch.setattr(table_replay, "EVALUATIONS", 24)
    courses = run_contest(path, seeds=(1, 2))
    assert courses.shape == (len(CONTENDERS), 2, 24)
    assert (np.diff(courses) <= 0.0).all()
    assert (courses >= 1.0 - table.macro_f1.max()).all()
    # 24 points and none twice: after 24 trials the best one has been seen.
    best = courses[list(CONTENDERS).index(MEMETIC), :, -1]
    assert best == pytest.approx(1.0 - table.macro_f1.max())


def test_without_a_table_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(tmp_path)
    assert "sampler_table build" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_fresh_seeds_leave_the_declared_contest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    monkeypatch.setattr(table_replay, "SEEDS", (1, 2))
    monkeypatch.setattr(table_replay, "FRESH_SEEDS", (3, 4, 5))
    monkeypatch.setattr(table_replay, "EVALUATIONS", 24)
    monkeypatch.setattr(table_replay, "_LOOKS", (12, 24))
    replay(tmp_path)
    declared = (tmp_path / "table.json").read_text()
    replay(tmp_path, fresh=True)
    assert (tmp_path / "table.json").read_text() == declared
    assert json.loads(declared)["seeds"] == [1, 2]
    assert json.loads((tmp_path / "table-fresh.json").read_text())["seeds"] == [3, 4, 5]
    assert "3 seeds" in (tmp_path / "table-fresh.md").read_text()


def test_another_seed_is_of_the_trainings_and_leaves_their_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Declaration] = []

    class Decoded(Material):
        def prepared(self, declaration: Declaration) -> Any:
            asked.append(declaration)
            parts = Parts((RECORD,), (RECORD,))
            cache = SimpleNamespace(field=lambda _: np.zeros((2, 2, 3), np.uint8))
            return declaration, SimpleNamespace(parts=parts, open_cache=lambda: cache)

    def rows(declaration: Declaration, *_: object, **__: object) -> list[Row]:
        return [Row(declaration.name, point, (0.1,), 1.0) for point in grid_of(declaration)]

    monkeypatch.setattr(table_build, "trained", rows)
    material = Decoded(tmp_path, tmp_path, tmp_path, "imagenet", tmp_path / "rows", 1)
    for seed in (None, 1):
        table_build.build(material, tmp_path, seed=seed)
    declared, other = asked
    assert (declared, declared.name) == (read_declaration(DECLARED), asked[0].name)
    assert other.name != declared.name
    assert (declared.recipe.optimisation.seed, other.recipe.optimisation.seed) == (0, 1)
    assert proxied(other.recipe, other.proxy).optimisation.seed == 1
    assert other.proxy == declared.proxy
    assert {path.name for path in tmp_path.glob("table*.csv")} == {TABLE_NAME, "table-seed1.csv"}


def test_tables_of_other_seeds_are_averaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = read_table(written(tmp_path))
    with pytest.raises(ValueError, match="has one table"):
        average(tmp_path)
    # The other seed turns the first one's order round, but for its best point.
    lines = list(csv.reader((tmp_path / TABLE_NAME).read_text().splitlines()))
    last = len(lines) - 1
    for place, line in enumerate(lines[1:-1], start=1):
        line[3] = str(0.01 * (last - 1 - place))
    with (tmp_path / table_name(1)).open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    seen = {TABLE_NAME: "a", table_name(1): "b"}
    for pixels in ({}, seen, dict.fromkeys(seen, "a")):
        for name in seen:
            about_table = {PIXELS: pixels[name]} if pixels else {}
            (tmp_path / name).with_suffix(".about.json").write_text(json.dumps(about_table))
        if len(set(pixels.values())) != 1:
            with pytest.raises(ValueError, match="did not see the same pixels"):
                average(tmp_path)
    average(tmp_path)
    mean = read_table(tmp_path / MEAN_NAME)
    assert mean.levels == LEVELS
    assert mean.macro_f1.ravel()[:-1] == pytest.approx(0.01 * (last - 2) / 2)
    assert mean.macro_f1.ravel()[-1] == first.macro_f1.max()

    about = json.loads((tmp_path / MEAN_NAME).with_suffix(".about.json").read_text())
    one, other = about["pairs"]
    assert (one["first"], one["second"]) == (TABLE_NAME, "table-seed1.csv")
    assert one["spearman"] == other["spearman"] < -0.5
    assert (one["place_of_best"], other["place_of_best"]) == (1, 1)
    # The second best of the first is the worst of the other.
    assert one["spearman_of_best_tenth"] == pytest.approx(1.0)
    gaps = 0.01 * np.abs(2 * np.arange(1, last) - last)
    assert about["sd"] == pytest.approx(np.sqrt((gaps**2 / 2).sum() / last))
    digest = hashlib.sha256((tmp_path / TABLE_NAME).read_bytes()).hexdigest()
    assert about["tables_sha256"][TABLE_NAME] == digest


def test_tables_of_different_grids_have_no_mean(tmp_path: Path) -> None:
    table = read_table(written(tmp_path))
    other = Table({**LEVELS, "a": (0.1, 0.2, 0.4)}, table.macro_f1)
    with pytest.raises(ValueError, match="different grids"):
        mean_of([table, other])


def test_the_rules_are_followed_candidate_by_candidate() -> None:
    """Twelve that go on, then one that starts badly and ends best, then one that starts well."""
    steady = [[0.1 * k, 0.1 * k, 0.1 * k] for k in range(1, 13)]
    late, early = [0.0, 0.05, 2.0], [1.0, 1.15, 0.0]
    assert search("worst_quarter", np.array([*steady, late, early])) == [3] * 12 + [2, 3]
    # A candidate below the middle: given up by the median alone.
    below = [0.5, 0.55, 3.0]
    assert search("median", np.array([*steady, below])) == [3] * 12 + [2]
    assert search("worst_quarter", np.array([*steady, below])) == [3] * 13
    # Bad ones in a row do not raise the bar for the next.
    many = np.array([*steady, *[late] * 8, below])
    assert search("worst_quarter", many)[-1] == 3


def test_the_toll_of_a_rule_is_counted_over_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_pruning, "CANDIDATES", 40)
    rising = np.linspace(0.0, 1.0, 40)
    faithful = np.stack([rising, rising, rising], axis=1)
    toll = toll_of("worst_quarter", faithful, orders=3)
    assert (toll.candidates, toll.of_best_tenth) == (120, 12)
    assert (toll.of_best_tenth_given_up, toll.best_given_up) == (0, 0.0)
    assert toll.epochs_saved == pytest.approx(toll.given_up / 360)
    turned = np.stack([rising, -rising, rising], axis=1)
    assert toll_of("worst_quarter", turned, orders=3).best_given_up > 0.5


def test_the_published_tolls_are_of_the_published_table() -> None:
    published = json.loads((RESULTS / "pruning.json").read_text())
    scores = read_epochs(RESULTS / TABLE_NAME)
    assert published["trainings"] == len(scores)
    assert [rule["rule"] for rule in published["rules"]] == ["worst_quarter", "median"]
    for rule in published["rules"]:
        assert rule["candidates"] == table_pruning.ORDERS * table_pruning.CANDIDATES
        assert rule == asdict(toll_of(rule["rule"], scores, orders=table_pruning.ORDERS))


def test_the_published_search_is_the_declared_one_and_its_best_is_the_best() -> None:
    place = RESULTS / "search"
    study = json.loads((place / "study.json").read_text())
    declared = json.loads(json.dumps(read_declaration(place / "search.toml").to_dict()))
    searched = {key: value for key, value in study["declaration"].items() if key != "origin"}
    assert searched == {key: value for key, value in declared.items() if key != "origin"}
    with (place / "trials.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["state"] == "COMPLETE"]
    assert len(rows) == study["trials"]["COMPLETE"]
    best = max(rows, key=lambda row: float(row["macro_f1"]))
    assert int(best["trial"]) == study["best"]["trial"]
    found = hyperparameters_of(read_config(place / "best.toml"))
    assert found == study["best"]["params"]
    assert found["learning_rate"] == float(best["learning_rate"])
    # Nothing but these five differs from the recipe that it started from.
    started = read_declaration(place / "search.toml").recipe
    assert with_params(started, found) == read_config(place / "best.toml")


def test_ranks_and_paired_differences_are_those_of_the_values() -> None:
    # Lower is better: the champion wins twice, ties once, loses once.
    values = np.array([[0.1, 0.2, 0.3, 0.6], [0.2, 0.4, 0.3, 0.5]])
    champion, other = scored(values, problem="p", contenders=("M", "O"), champion="M")
    assert (champion.mean_rank, other.mean_rank) == (1.375, 1.625)
    assert champion.median == pytest.approx(0.25)
    (difference,) = paired_differences(values, contenders=("M", "O"), champion="M")
    assert difference.mean == pytest.approx(0.05)
    assert difference.low < difference.mean < difference.high


def test_the_published_table_is_the_declared_grid_and_the_contest_is_about_it() -> None:
    path = RESULTS / TABLE_NAME
    table: Table = read_table(path)
    declared = {
        name: tuple(sorted(float(level) for level in distribution.choices))  # type: ignore[attr-defined] # all are choices
        for name, distribution in read_declaration(DECLARED).space.items()
    }
    assert table.levels == declared
    assert table.macro_f1.size == 360
    published = json.loads((RESULTS / "table.json").read_text())
    assert published["table_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    about = json.loads((RESULTS / "table.about.json").read_text())
    assert about["trainings"] == table.macro_f1.size
