"""Whole trainings of two recipes on a tiny data set: made once, resumed, tested once, tabulated."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from benchmarks import full_training
from benchmarks.full_result import FullRun, stand
from safetensors.torch import save_file
from sklearn.metrics import accuracy_score, f1_score

from dermassist import trial as trial_module
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.split import Part, make_splits, read_splits, write_splits
from dermassist.diagnosis import DIAGNOSES
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.model.network import MobileNetV2
from dermassist.pooling import read_predictions
from dermassist.training.run import sole_training_in
from dermassist.trial import Bench, answer_trial, train_trial

from ...conftest import write_synthetic_ham10000

if TYPE_CHECKING:
    from dermassist.data.protocol import Trial
    from dermassist.training.run import RunSettings

RECIPE = """
[model]
dropout = {dropout}

[preprocessing]
size_px = 32

[optimisation]
epochs = 1
batch_size = 8
ema_decay = 0.0
precision = "float32"
"""
NAMES = [f"{arm}-seed{seed}" for seed in (0, 1, 2) for arm in ("found", "default")]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, splits, recipes and start weights; do not change it."""
    place = tmp_path_factory.mktemp("material")
    write_synthetic_ham10000(
        place / "ham", lesions_per_class=16, size=(64, 64), mask_size=None, folder="images"
    )
    write_splits(make_splits(read_ham10000(place / "ham").records, seed=0), place / "splits.json")
    (place / "best.toml").write_text(RECIPE.format(dropout=0.4))
    (place / "default.toml").write_text(RECIPE.format(dropout=0.2) + "label_smoothing = 0.3\n")
    torch.manual_seed(0)
    save_file(MobileNetV2().state_dict(), place / "start.safetensors")
    return place


def call(monkeypatch: pytest.MonkeyPatch, material: Path, here: Path, *more: str) -> int:
    arguments = {
        "--found": material / "best.toml",
        "--default": material / "default.toml",
        "--data": material / "ham",
        "--splits": material / "splits.json",
        "--init": material / "start.safetensors",
        "--runs": here / "runs",
        "--results": here / "results",
        "--cache": here / "cache",
        "--workers": 0,
    }
    flat = [str(part) for pair in arguments.items() for part in pair]
    monkeypatch.setattr(sys, "argv", ["full_training", *flat, *more])
    return full_training.main()


class Rehearsal:
    """Trains and tests one training for real; the other five are made of its answers.

    A network takes most of a minute to be exported; what is real of one is real of all.
    """

    real = "found-seed0"

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.stop_at: int | None = None

    def train(self, trial: Trial, bench: Bench, settings: RunSettings) -> bool:
        self.trained.append(trial.name)
        if len(self.trained) == self.stop_at:
            return False
        return train_trial(trial, bench, settings) if trial.name == self.real else True

    def answer(
        self, trial: Trial, bench: Bench, run: Path, results: Path, *, advance: object
    ) -> None:
        if trial.name == self.real:
            answer_trial(trial, bench, run, results)
            return
        table = PredictionTable.read(results / f"{self.real}.csv")
        turned = np.roll(table.probabilities, bench.recipe.optimisation.seed + 1, axis=1)
        text = replace(table, probabilities=turned).to_csv()
        digest = hashlib.sha256(text.encode()).hexdigest()
        origin = {**trial.origin, **bench.start_origin}
        training = {"config": bench.recipe.to_dict(), "weights": "last", "origin": origin}
        stated = {"training": training, "predictions_sha256": digest}
        (results / f"{trial.name}.csv").write_text(text)
        (results / f"{trial.name}.json").write_text(json.dumps(stated))


@pytest.mark.slow
def test_a_stopped_comparison_goes_on_and_tests_each_training_once(
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = Rehearsal()
    monkeypatch.setattr(trial_module, "train_trial", bench.train)
    monkeypatch.setattr(trial_module, "answer_trial", bench.answer)
    bench.stop_at = 3
    assert call(monkeypatch, material, tmp_path) == 130
    assert "run the same command to go on" in capsys.readouterr().err
    halfway = json.loads((tmp_path / "results/full.json").read_text())
    assert (halfway["trainings"], halfway["trainings_in_all"]) == (2, 6)
    tested = tmp_path / "results/full/found-seed0.csv"
    before = tested.stat().st_mtime_ns

    bench.stop_at = None
    with sole_training_in(tmp_path / "runs/default-seed1"):
        assert call(monkeypatch, material, tmp_path) == 1
    said = capsys.readouterr()
    assert "default-seed1: another process is at it" in said.out
    assert "1 of 6 are still with another process" in said.err
    assert bench.trained == [*NAMES[:3], *(name for name in NAMES[2:] if name != "default-seed1")]
    shared = json.loads((tmp_path / "results/full.json").read_text())
    assert shared["trainings"] == 5
    assert call(monkeypatch, material, tmp_path) == 0
    assert bench.trained[-1] == "default-seed1"
    assert tested.stat().st_mtime_ns == before
    assert call(monkeypatch, material, tmp_path) == 0
    assert len(bench.trained) == 7
    _check_results(material, tmp_path / "results")

    (tmp_path / "other.toml").write_text(RECIPE.format(dropout=0.3))
    assert call(monkeypatch, material, tmp_path, "--found", str(tmp_path / "other.toml")) == 1
    assert "made with another recipe" in capsys.readouterr().err
    torch.manual_seed(1)
    save_file(MobileNetV2().state_dict(), tmp_path / "other.safetensors")
    other_start = ("--init", str(tmp_path / "other.safetensors"))
    for changed, words in (
        (other_start, "started from start.safetensors"),
        (("--fold", "1"), "its fold is 0, not 1"),
    ):
        assert call(monkeypatch, material, tmp_path, *changed) == 1
        assert words in capsys.readouterr().err


def test_what_a_search_has_seen_is_not_tested(
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = tmp_path / "search" / "best.toml"
    found.parent.mkdir()
    found.write_text((material / "best.toml").read_text())
    origin = {"protocol": "lesion", "fold": 1, "splits_sha256": "of another file"}
    study = found.with_name("study.json")
    study.write_text(json.dumps({"declaration": {"origin": origin}}))
    monkeypatch.setattr(full_training, "run_trial", lambda *_, **__: pytest.fail("trained"))
    assert call(monkeypatch, material, tmp_path, "--found", str(found)) == 1
    assert "the search's fold was 1, not 0" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def _check_results(material: Path, results: Path) -> None:
    splits = read_splits(material / "splits.json")
    test = set(splits.image_ids(Part.TEST, test_fold=0))
    document = json.loads((results / "full.json").read_text())
    assert [f"{row['arm']}-seed{row['seed']}" for row in document["runs"]] == NAMES
    for name, row in zip(NAMES, document["runs"], strict=True):
        table = PredictionTable.read(results / "full" / f"{name}.csv")
        assert set(table.images) == test
        predicted = table.probabilities.argmax(axis=1)
        assert row["accuracy"] == pytest.approx(accuracy_score(table.labels, predicted))
        assert row["macro_f1"] == pytest.approx(
            f1_score(table.labels, predicted, labels=np.unique(table.labels), average="macro")
        )
        made = json.loads((results / "full" / f"{name}.json").read_text())["training"]
        arm, seed = name.split("-seed")
        assert made["config"]["model"]["dropout"] == {"found": 0.4, "default": 0.2}[arm]
        assert made["config"]["optimisation"]["seed"] == int(seed)
        # Of the other recipe come the hyperparameters alone.
        assert made["config"]["optimisation"]["label_smoothing"] == 0.05
    real = json.loads((results / "full" / f"{Rehearsal.real}.json").read_text())["training"]
    assert (real["weights"], real["origin"]["compared_as"]) == ("last", "found")
    assert (real["origin"]["protocol"], real["origin"]["fold"]) == ("lesion", 0)
    means, difference = document["means"], document["differences"]["macro_f1"]
    assert difference["value"] == pytest.approx(
        means["found"]["macro_f1"] - means["default"]["macro_f1"]
    )
    assert "found - default" in (results / "full.md").read_text()
    assert (results / "full.png").read_bytes().startswith(b"\x89PNG")


def test_the_published_figures_are_those_of_the_published_answers() -> None:
    place = Path(__file__).parents[3] / "results" / "memetic"
    published = json.loads((place / "full.json").read_text())
    assert published["trainings"] == len(published["runs"]) >= 4
    for row in published["runs"]:
        table = read_predictions(f"{row['arm']}-seed{row['seed']}", place / "full")
        predicted = table.probabilities.argmax(axis=1)
        assert row["accuracy"] == pytest.approx(accuracy_score(table.labels, predicted))
        assert row["macro_f1"] == pytest.approx(f1_score(table.labels, predicted, average="macro"))


def run_of(arm: str, seed: int, right: int) -> FullRun:
    """Return a training that names the first ``right`` of seven images correctly, one a class."""
    labels = np.arange(7)
    said = np.where(labels < right, labels, (labels + 1) % 7)
    nothing = np.zeros((7, 7), dtype=bool)
    images = tuple(f"image{place}" for place in labels)
    return FullRun(arm, seed, PredictionTable(images, labels, np.eye(7)[said], nothing[0], nothing))


def records() -> list[Record]:
    return [
        Record(f"image{place}", f"lesion{place}", diagnosis, "histo", None, "male", "back", "here")
        for place, diagnosis in enumerate(DIAGNOSES)
    ]


def test_the_difference_is_of_seeds_that_both_have() -> None:
    runs = [run_of("found", 0, 7), run_of("default", 0, 3), run_of("found", 1, 1)]
    standing = stand(runs, records())
    assert standing.means["found"]["accuracy"] == pytest.approx((1.0 + 1 / 7) / 2)
    assert standing.differences["accuracy"].value == pytest.approx(4 / 7)
    assert standing.differences["accuracy"].low > 0.0
    assert stand([runs[0], run_of("default", 1, 3)], records()).differences == {}


def test_a_whole_recipe_is_compared_as_written(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def stopped(_trial: Trial, bench: Bench, _settings: RunSettings) -> bool:
        seen.append(bench.recipe)
        return len(seen) < 2

    monkeypatch.setattr(trial_module, "train_trial", stopped)
    monkeypatch.setattr(trial_module, "answer_trial", lambda *_, **__: None)
    monkeypatch.setattr(full_training, "write_standing", lambda *_, **__: None)
    assert call(monkeypatch, material, tmp_path, "--as-written") == 130
    assert [recipe.optimisation.label_smoothing for recipe in seen] == [0.05, 0.3]


def test_a_recipe_is_not_compared_with_itself(
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, material, tmp_path, "--found", str(material / "default.toml")) == 1
    assert "has the hyperparameters of" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seeds", [["0", "1"], ["0", "1", "1"], ["0", "1", "-2"]])
def test_fewer_than_three_seeds_are_refused(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: list[str]
) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, material, tmp_path, "--seeds", *seeds)
    assert not list(tmp_path.iterdir())
