"""Whole trainings of ranked points: shared out, resumed, answered by both kinds of weights."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from benchmarks import sampler_table, table_whole
from benchmarks.averaging import module_with, read_both
from benchmarks.small_budget import Outcome, answer, run_budgeted
from benchmarks.table_whole import Answered, dealt, stand
from safetensors.torch import save_file

from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.split import make_splits, write_splits
from dermassist.diagnosis import DIAGNOSES
from dermassist.model.network import MobileNetV2
from dermassist.training.run import sole_training_in
from dermassist.tuning.declaration import read_declaration

from ...conftest import write_synthetic_ham10000

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.small_budget import Budgeted, Images, Place

    from dermassist.config import TrainingConfig
    from dermassist.data.cache import FieldCache

RESULTS = Path(__file__).parents[3] / "results" / "memetic"
RECIPE = """
[preprocessing]
size_px = 32

[optimisation]
epochs = 1
batch_size = 8
learning_rate = 0.01
ema_decay = 0.9
precision = "float32"
"""
SEARCH = 'recipe = "recipe.toml"\n[space]\ndropout = { low = 0.0, high = 0.6 }\n'
DROPOUTS = (0.1, 0.2, 0.3, 0.4)
RANKED = {
    "params": [{"dropout": value} for value in DROPOUTS],
    "macro_f1": {"table": [0.5, 0.4, 0.3, 0.2], "search": [0.2, 0.5, 0.4, 0.3]},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, splits, a search, start weights and ranked points."""
    write_synthetic_ham10000(
        tmp_path / "ham", lesions_per_class=16, size=(64, 64), mask_size=None, folder="images"
    )
    splits = make_splits(read_ham10000(tmp_path / "ham").records, seed=0)
    write_splits(splits, tmp_path / "splits.json")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "search.toml").write_text(SEARCH)
    torch.manual_seed(0)
    save_file(MobileNetV2().state_dict(), tmp_path / "start.safetensors")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "rank.json").write_text(json.dumps(RANKED))
    monkeypatch.setattr(table_whole, "SEARCHED", tmp_path / "search.toml")
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, place: Path) -> int:
    arguments = {
        "--data": place / "ham",
        "--splits": place / "splits.json",
        "--init": place / "start.safetensors",
        "--runs": place / "runs",
        "--results": place / "results",
        "--cache": place / "cache",
        "--workers": 0,
    }
    flat = [str(part) for pair in arguments.items() for part in pair]
    monkeypatch.setattr(sys, "argv", ["sampler_table", "whole", *flat])
    return sampler_table.main()


@pytest.mark.slow
def test_ranked_points_are_trained_once_and_answered_with_both_weights(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[str] = []
    stop_at: int | None = 3
    seen: dict[str, tuple[Images, FieldCache]] = {}

    def counted(
        job: Budgeted, images: Images, cache: FieldCache, where: Place, *, workers: int
    ) -> Outcome:
        begun.append(job.name)
        seen[job.name] = (images, cache)
        if len(begun) == stop_at:
            raise KeyboardInterrupt
        return run_budgeted(job, images, cache, where, workers=workers)

    monkeypatch.setattr(table_whole, "run_budgeted", counted)
    # Networks this small answer one class to everything, and so do all alike.
    compared = {"spearman": 0.5, "spearman_p": 0.25, "kendall": 0.125}
    monkeypatch.setattr(table_whole, "agreement_of", lambda *_: compared)
    assert call(monkeypatch, place) == 130
    assert "run the same command to go on" in capsys.readouterr().err
    halfway = json.loads((place / "results/whole.json").read_text())
    assert (halfway["points"], halfway["points_in_all"]) == (2, 4)
    # Every other point comes first; of two there is no order worth a number.
    assert [each["dropout"] for each in halfway["params"]] == [0.1, 0.3]
    assert halfway["macro_f1"]["table"] == [0.5, 0.3]
    assert halfway["agreement_with_whole"] == {}
    assert "Spearman" not in (place / "results/whole.md").read_text()
    kept = {path: path.stat().st_mtime_ns for path in (place / "results/whole").iterdir()}
    assert len(kept) == 4

    stop_at = None
    with sole_training_in(place / "runs/point-03"):
        assert call(monkeypatch, place) == 1
    said = capsys.readouterr()
    assert "point-03: another process is at it" in said.out
    assert "still at some" in said.err
    assert json.loads((place / "results/whole.json").read_text())["points"] == 3
    assert call(monkeypatch, place) == 0
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    document = json.loads((place / "results/whole.json").read_text())
    assert document["points"] == 4
    assert set(document["agreement_with_whole"]) == {"table", "search", "plain"}
    told = (place / "results/whole.md").read_text()
    assert told.startswith("4 of 4 points")
    assert "| **Spearman, with whole** | 0.5 | 0.5 | 0.5 |  |" in told
    assert told.endswith("averages nothing as they do: table 0.50, search 0.50.\n")

    # What was kept are the answers of the two kinds of weights, of validation images alone.
    images, cache = seen["point-00"]
    assert {r.lesion_id for r in images.answered}.isdisjoint(r.lesion_id for r in images.train)
    recipe = _recipe(place)
    recipe = replace(recipe, model=replace(recipe.model, dropout=DROPOUTS[0]))
    weights = read_both(place / "runs/point-00/last.ckpt")
    kept_answers = []
    for kind, name in (("averaged", "point-00"), ("plain", "point-00-plain")):
        with np.load(place / f"results/whole/{name}.npz") as content:
            expected = answer(module_with(recipe, weights[kind]), images.answered, cache)
            np.testing.assert_allclose(content["probabilities"], expected, atol=1e-6)
            kept_answers.append(content["probabilities"])
    averaged, plain = kept_answers
    assert not np.allclose(averaged, plain, atol=1e-4)


def _recipe(place: Path) -> TrainingConfig:
    return read_declaration(place / "search.toml").recipe


def test_without_ranked_points_nothing_is_read_or_trained(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "results/rank.json").unlink()
    assert call(monkeypatch, place) == 1
    assert "make them with  rank" in capsys.readouterr().err
    assert not (place / "cache").exists()


def test_a_training_whose_plain_weights_are_gone_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Outcome(np.full((1, 7), 1 / 7), "ImageNet", 1)
    monkeypatch.setattr(table_whole, "run_budgeted", lambda *_, **__: nothing)
    assert call(monkeypatch, place) == 1
    assert "holds no averaged weights beside plain ones" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 2, 9, 10])
def test_any_first_half_of_the_points_is_spread_over_all(count: int) -> None:
    order = dealt(count)
    assert sorted(order) == list(range(count))
    first = sorted(order[: (count + 1) // 2])
    assert all(later - earlier == 2 for earlier, later in itertools.pairwise(first))


def outcome(right: int) -> Outcome:
    """Return answers to one image a class, the first ``right`` of them right."""
    labels = np.arange(7)
    return Outcome(np.eye(7)[np.where(labels < right, labels, (labels + 1) % 7)], "ImageNet", 1)


def answered(rights: Sequence[int | None]) -> list[Answered | None]:
    return [
        None if right is None else Answered(outcome(right), outcome(right + 2)) for right in rights
    ]


def test_orders_are_compared_over_the_trained_points_alone() -> None:
    records = [
        Record(f"image{place}", f"lesion{place}", diagnosis, "histo", None, "male", "back", "here")
        for place, diagnosis in enumerate(DIAGNOSES)
    ]
    document = stand(RANKED, answered([3, None, 5, 1]), records)
    assert (document["points"], document["points_in_all"]) == (3, 4)
    assert document["params"] == [{"dropout": value} for value in (0.1, 0.3, 0.4)]
    # By hand: the table's order is 1 2 3, the search's 3 1 2, the whole one's 2 1 3.
    agreement = document["agreement_with_whole"]
    assert agreement["table"]["spearman"] == pytest.approx(0.5)
    assert agreement["search"]["spearman"] == pytest.approx(0.5)
    assert agreement["table"]["kendall"] == pytest.approx(1 / 3)
    whole = document["macro_f1"]["whole"]
    assert whole[1] > whole[0] > whole[2]
    assert agreement["plain"]["spearman"] == pytest.approx(1.0)
    assert document["macro_f1"]["plain"][2] == whole[0]
