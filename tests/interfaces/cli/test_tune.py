"""A search from the command line: tiny trainings, a result that  train  takes, errors up front."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dermassist.config import read_config
from dermassist.data.ham10000 import read_ham10000
from dermassist.data.split import Part, make_splits, read_splits, write_splits
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.tune import prepare_candidates
from dermassist.model.network import MobileNetV2
from dermassist.tuning.declaration import read_declaration

from ...conftest import write_synthetic_ham10000
from .conftest import Outcome, Run

RECIPE = """
[preprocessing]
size_px = 32

[optimisation]
epochs = 3
batch_size = 8
ema_decay = 0.0
precision = "float32"
"""
SEARCH = """
recipe = "recipe.toml"

[space]
learning_rate = { low = 1e-4, high = 1e-2, log = true }
frozen_layers = { low = 0, high = 18 }

[proxy]
images = 60
size_px = 32
epochs = 1
seed = 0

[search]
trials = 3
seed = 0
pruning = "none"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, splits and start weights; do not change it.

    The images are 4:3 ones that were squeezed to squares, as their masks tell.
    """
    place = tmp_path_factory.mktemp("material")
    write_synthetic_ham10000(
        place / "ham", lesions_per_class=14, size=(64, 64), mask_size=(80, 60), folder="images"
    )
    write_splits(make_splits(read_ham10000(place / "ham").records, seed=0), place / "splits.json")
    torch.manual_seed(0)
    save_file(MobileNetV2().state_dict(), place / "start.safetensors")
    return place


def tune(run: Run, material: Path, *arguments: str, search: str = SEARCH) -> Outcome:
    Path("recipe.toml").write_text(RECIPE)
    Path("search.toml").write_text(search)
    return run(
        *("tune", "--config", "search.toml", "--out", "found", "--cache", "cache"),
        *("--data", material / "ham", "--splits", material / "splits.json"),
        *("--init", material / "start.safetensors", *arguments),
    )


def test_search_resumes_and_its_best_is_a_recipe(run: Run, material: Path) -> None:
    first = tune(run, material, "--trials", "2")
    assert first.status == 0, first.err
    # Where no bar can be drawn, a line for every candidate.
    assert [line.partition(",")[0] for line in first.err.splitlines()] == [
        f"{finished} of 2 candidates finished" for finished in (0, 1, 2)
    ]
    rows = read_trials()
    assert [row["state"] for row in rows] == ["COMPLETE"] * 2

    more = tune(run, material, "--trials", "3")
    assert more.status == 0, more.err
    again = read_trials()
    assert again[:2] == rows
    assert len(again) == 3
    best = max(again, key=lambda row: float(row["macro_f1"]))
    recipe = read_config(Path("found/best.toml"))
    assert recipe.optimisation.learning_rate == pytest.approx(float(best["learning_rate"]))
    assert recipe.model.frozen_layers == int(best["frozen_layers"])
    assert recipe.optimisation.epochs == 3
    study = json.loads(Path("found/study.json").read_text())
    assert study
    for picture in ("history.png", "generations.png", "parallel_coordinates.png"):
        assert Path("found", picture).read_bytes().startswith(b"\x89PNG")


def test_candidates_see_no_test_image_and_true_proportions(run: Run, material: Path) -> None:
    Path("recipe.toml").write_text(RECIPE)
    Path("search.toml").write_text(SEARCH)
    _, plan = prepare_candidates(
        read_declaration(Path("search.toml")),
        data=material / "ham",
        splits=material / "splits.json",
        fold=2,
        init=str(material / "start.safetensors"),
        cache=Path("cache"),
    )
    splits = read_splits(material / "splits.json")
    train, validation = (
        {record.image_id for record in records}
        for records in (plan.parts.train, plan.parts.validation)
    )
    # The proxy learns from a drawn part of the training images, of about 60.
    assert train < set(splits.image_ids(Part.TRAIN, test_fold=2))
    assert len(train) == pytest.approx(60, abs=7)
    assert validation == set(splits.image_ids(Part.VALIDATION, test_fold=2))
    shapes = plan.open_cache().shapes
    assert shapes == dict.fromkeys(train | validation, (32, 43))


def read_trials() -> list[dict[str, str]]:
    with Path("found/trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("low = 1e-4, high = 1e-2", "low = 1e-2, high = 1e-4", "learning_rate"),
        ("frozen_layers", "frozen_layer", "frozen_layer"),
        ("trials = 3", "trials = 0", "trials"),
        ('recipe = "recipe.toml"', 'recipe = "absent.toml"', "absent.toml"),
    ],
)
def test_a_wrong_search_is_refused_before_any_training(
    run: Run, material: Path, before: str, after: str, complaint: str
) -> None:
    outcome = tune(run, material, search=SEARCH.replace(before, after))
    assert outcome.status == ExitStatus.CONFIG
    assert complaint in outcome.complaint
    assert not Path("found").exists()
    assert not Path("cache").exists()


def test_unreachable_storage_is_refused_before_any_training(run: Run, material: Path) -> None:
    outcome = tune(run, material, "--storage", "sqlite:////no/such/folder/study.db")
    assert outcome.status == ExitStatus.CONFIG
    assert "/no/such/folder" in outcome.complaint
    assert not Path("cache").exists()


def test_an_accelerator_that_is_not_there_is_refused_before_any_training(
    run: Run, material: Path
) -> None:
    outcome = tune(run, material, "--accelerator", "cuda:0")
    assert outcome.status == ExitStatus.CONFIG
    assert "accelerator must be one that this machine has, auto or cpu" in outcome.complaint
    assert not Path("found").exists()
    assert not Path("cache").exists()
