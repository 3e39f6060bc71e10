"""The short trainings of ablation and Table IV: resumed, answered once, tabulated."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import variant
from benchmarks.ablation import STEPS
from benchmarks.backbone import BackboneName, load_torchvision, make_backbone
from benchmarks.refinement import REFINEMENTS
from benchmarks.screening import IDEAS
from benchmarks.small_budget import (
    Budgeted,
    Images,
    Outcome,
    Place,
    describe,
    finished_earlier,
    keep,
    run_budgeted,
)
from benchmarks.table_four import FOUND, LABELS, Row, at_budget, write_rows
from benchmarks.variant import BASE, Comparison, Trained, complete, write_table
from torch import Tensor, nn

from dermassist.config import ModelSection, OptimisationSection, TrainingConfig, read_config
from dermassist.data.cache import FieldCache, open_cache
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.protocol import lesion_trial
from dermassist.data.split import make_splits, write_splits
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.summary import summarise
from dermassist.imaging import Preprocessing
from dermassist.lock import InUseError
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import WeightsError
from dermassist.training.run import sole_training_in
from dermassist.training.teacher import Teacher

ROOT = Path(__file__).parents[3]
RECIPE = TrainingConfig(
    preprocessing=Preprocessing(size_px=32),
    optimisation=OptimisationSection(epochs=2, batch_size=4, ema_decay=0.5, precision="float32"),
)


class Small(nn.Module):
    """A network without any named layer that MobileNetV2 has."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(3, 4, 3, stride=4)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 7)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.norm(self.filters(x)).mean(dim=(2, 3))
        logits: Tensor = self.head(pooled)
        return logits


def at(folder: Path) -> Place:
    return Place(folder / "runs", folder / "answers")


def small() -> tuple[nn.Module, str]:
    return Small(), "chance"


@pytest.fixture
def material(make_ham10000: Callable[..., Path], tmp_path: Path) -> tuple[Images, FieldCache]:
    records = read_ham10000(make_ham10000(lesions_per_class=2, size=(64, 64))).records
    cache = open_cache(records, RECIPE.preprocessing, tmp_path / "cache", pixel_aspect=1.0)
    return Images(records[::2], records[1::2], records[1::2]), cache


@pytest.mark.slow
def test_any_network_is_trained_once_and_its_answers_are_kept(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    job, place = Budgeted("small", RECIPE, small), at(tmp_path)
    with sole_training_in(place.runs / "small"), pytest.raises(InUseError):
        run_budgeted(job, *material, place, workers=0)
    first = run_budgeted(job, *material, place, workers=0)
    assert first.probabilities.shape == (len(material[0].answered), 7)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert first.started_from == "chance"
    assert first.parameters == sum(p.numel() for p in Small().parameters())

    def never() -> tuple[nn.Module, str]:
        raise AssertionError("it was trained again")

    # The answers alone are enough: a fresh checkout has no checkpoints.
    elsewhere = replace(place, runs=tmp_path / "elsewhere")
    again = run_budgeted(replace(job, start=never), *material, elsewhere, workers=0)
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    other = replace(RECIPE, optimisation=replace(RECIPE.optimisation, seed=1))
    with pytest.raises(DataError, match=r"another training's; give another --answers"):
        run_budgeted(replace(job, recipe=other), *material, place, workers=0)
    nothing_yet = replace(place, answers=tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"another training's; give another --runs"):
        run_budgeted(replace(job, recipe=other), *material, nothing_yet, workers=0)
    for changed, words in (
        (replace(job, network="another"), "another training's"),
        (
            replace(job, begins_from="ImageNet (a.pth)"),
            r"began from chance, not ImageNet \(a.pth\)",
        ),
    ):
        with pytest.raises(DataError, match=words):
            finished_earlier(changed, material[0], place)
    assert finished_earlier(replace(job, begins_from="chance"), material[0], place) is not None
    fewer = replace(material[0], answered=material[0].answered[1:])
    with pytest.raises(DataError, match=r"another training's; give another --answers"):
        finished_earlier(job, fewer, place)


def test_answers_from_before_a_setting_existed_are_the_same_trainings(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    images, place = material[0], at(tmp_path)
    job = Budgeted("small", RECIPE, small)
    description = describe(job, images)
    del description["recipe"]["augmentation"]["blur"]
    keep(place.kept(job), _guesses(images.answered, 0), description)
    found = finished_earlier(job, images, place)
    assert found is not None
    np.testing.assert_array_equal(
        found.probabilities.astype(np.float32),
        _guesses(images.answered, 0).probabilities.astype(np.float32),
    )
    content = place.kept(job).read_bytes()
    for damaged in (content[: len(content) // 2], b"", content.replace(b"training", b"draining")):
        place.kept(job).write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged"):
            finished_earlier(job, images, place)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "cut_off_by"), [(Small, KeyboardInterrupt), (MobileNetV2, RuntimeError)]
)
def test_a_stopped_training_ends_as_one_that_was_not(
    material: tuple[Images, FieldCache],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: Callable[[], nn.Module],
    cut_off_by: type[BaseException],
) -> None:
    def start() -> tuple[nn.Module, str]:
        torch.manual_seed(7)
        return network(), "chance"

    job = Budgeted("job", RECIPE, start)
    whole = run_budgeted(job, *material, at(tmp_path / "whole"), workers=0)

    step = torch.optim.AdamW.step
    calls = iter(range(1000))

    def dying(self: torch.optim.AdamW, closure: Callable[[], float] | None = None) -> object:
        # In the second epoch.
        if next(calls) == len(material[0].train) // 4 + 1:
            raise cut_off_by
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", dying)
    with pytest.raises(cut_off_by):
        run_budgeted(job, *material, at(tmp_path / "killed"), workers=0)
    assert (tmp_path / "killed" / "runs" / "job").is_dir()
    assert not at(tmp_path / "killed").kept(job).exists()
    other = replace(job, start=lambda: (network(), "ImageNet"))
    with pytest.raises(DataError, match="began from chance, now it would from ImageNet"):
        run_budgeted(other, *material, at(tmp_path / "killed"), workers=0)
    resumed = run_budgeted(job, *material, at(tmp_path / "killed"), workers=0)
    np.testing.assert_allclose(resumed.probabilities, whole.probabilities, rtol=0, atol=1e-6)


def test_what_only_mobilenet_can_do_is_refused_for_others(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    frozen = replace(RECIPE, model=ModelSection(frozen_layers=3))
    decayed = replace(RECIPE, optimisation=replace(RECIPE.optimisation, layer_decay=0.9))
    for recipe, complaint in ((frozen, "frozen layers"), (decayed, "layer_decay")):
        job = Budgeted(complaint, recipe, small)
        with pytest.raises(ConfigError, match=complaint):
            run_budgeted(job, *material, at(tmp_path), workers=0)


def _as_torchvision(name: BackboneName, network: nn.Module) -> dict[str, Tensor]:
    """Return other tensors under the names of torchvision's files."""
    renamed = {}
    for key, value in network.state_dict().items():
        mapped = key.replace("class_layers.out.", "classifier.")
        if name == "densenet121":
            for part in ("norm1", "norm2", "conv1", "conv2"):
                mapped = mapped.replace(f".layers.{part}.", f".{part[:-1]}.{part[-1]}.")
        changed = torch.full_like(value, 0.5) if value.is_floating_point() else value
        renamed[mapped] = changed
    for head in ("fc", "classifier"):
        if f"{head}.weight" in renamed:
            renamed[f"{head}.weight"] = torch.zeros(1000, renamed[f"{head}.weight"].shape[1])
            renamed[f"{head}.bias"] = torch.zeros(1000)
    return renamed


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_torchvisions_files_fit_the_backbones(name: BackboneName) -> None:
    network = make_backbone(name)
    published = {"resnet50": 25_557_032, "densenet121": 7_978_856}
    state = _as_torchvision(name, network)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    learned = sum(v.numel() for k, v in state.items() if not k.endswith(statistics))
    # torchvision states these counts for its own networks with their 1000 classes.
    assert learned == published[name]

    load_torchvision(network, state)
    for key, value in network.state_dict().items():
        head = key.startswith(("fc.", "class_layers.out."))
        if value.is_floating_point():
            assert bool((value == 0.5).all()) is not head, key
    state.pop(next(key for key in state if "conv" in key))
    with pytest.raises(WeightsError, match="1 tensors are missing or differ"):
        load_torchvision(network, state)


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_the_backbones_shrink_an_image_as_their_papers_say(name: BackboneName) -> None:
    network = make_backbone(name).eval()
    seen = {"resnet50": "layer4", "densenet121": "features"}[name]
    shapes: list[torch.Size] = []
    network.get_submodule(seen).register_forward_hook(
        lambda _module, _given, output: shapes.append(output.shape)
    )
    with torch.inference_mode():
        network(torch.zeros(1, 3, 224, 224))
    # Table 1 of either paper: 7 x 7 positions of an image of 224 x 224.
    assert shapes == [(1, {"resnet50": 2048, "densenet121": 1024}[name], 7, 7)]


def _records(material: tuple[Images, FieldCache]) -> tuple[Record, ...]:
    return material[0].answered


def _guesses(records: tuple[Record, ...], seed: int) -> Outcome:
    chances = np.random.default_rng(seed).dirichlet(np.ones(7), len(records))
    return Outcome(chances, "chance", 10)


def test_the_ablation_subtracts_the_base_seed_by_seed(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    records = _records(material)
    labels = np.array([record.diagnosis.index for record in records])
    finished = [
        Trained(name, seed, _guesses(records, seed + 10 * place))
        for place, name in enumerate((BASE, "no-flips"))
        for seed in (0, 1)
    ]
    write_table(STEPS, finished, records, RECIPE, tmp_path)
    document = json.loads((tmp_path / "ablation.json").read_text())

    loss = [measure(labels, each.outcome.probabilities).overall.log_loss for each in finished]
    means = [float(np.mean(loss[:2])), float(np.mean(loss[2:]))]
    assert document["base"]["log_loss"]["value"] == pytest.approx(means[0])
    found = document["differences"]["no-flips"]["log_loss"]
    assert found["value"] == pytest.approx(means[1] - means[0])
    assert found["low"] < found["value"] < found["high"]
    text = (tmp_path / "ablation.md").read_text()
    assert "| without flips | " in text
    assert "32 px, 2 epochs" in text


@pytest.mark.parametrize("comparison", [STEPS, IDEAS, REFINEMENTS], ids=lambda each: each.name)
def test_every_variant_changes_the_base_and_only_its_own_part(comparison: Comparison) -> None:
    base = read_config(ROOT / "benchmarks" / "small.toml")
    changed = [variant.change(base) for variant in comparison.variants if not variant.taught]
    assert base not in changed
    assert len(set(map(str, changed))) == len(changed)
    for recipe in changed:
        parts = ("model", "preprocessing", "augmentation", "optimisation", "distillation")
        differing = [part for part in parts if getattr(recipe, part) != getattr(base, part)]
        assert len(differing) == 1
    epochs = {(recipe.optimisation.epochs, recipe.optimisation.class_cap) for recipe in changed}
    assert epochs == {(base.optimisation.epochs, base.optimisation.class_cap)}
    assert len({variant.name for variant in comparison.variants}) == len(comparison.variants)


def test_a_variant_is_tabulated_once_it_has_every_seed(
    material: tuple[Images, FieldCache], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = _records(material)
    guess = _guesses(records, 0)
    done = [Trained(BASE, 0, guess), Trained("no-flips", 0, guess), Trained(BASE, 1, guess)]
    assert complete(done, [0, 1]) == [done[0], done[2]]
    assert complete(done, [0]) == done
    write_table(STEPS, done[1:2], records, RECIPE, tmp_path)
    assert "no table yet" in capsys.readouterr().out
    assert not (tmp_path / "ablation.md").exists()


def test_a_table_is_not_replaced_by_one_with_fewer_variants(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    records = _records(material)
    guess = _guesses(records, 0)
    done = [Trained(BASE, 0, guess), Trained("no-flips", 0, guess)]
    write_table(STEPS, done, records, RECIPE, tmp_path)
    before = (tmp_path / "ablation.json").read_bytes()
    with pytest.raises(DataError, match="also compares no-flips, whose trainings are not at hand"):
        write_table(STEPS, done[:1], records, RECIPE, tmp_path)
    assert (tmp_path / "ablation.json").read_bytes() == before
    write_table(STEPS, done, records, RECIPE, tmp_path)


def test_kept_answers_make_the_table_without_training(
    make_ham10000: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = make_ham10000(lesions_per_class=16, size=(64, 64))
    records = read_ham10000(data).records
    splits = make_splits(records, seed=0)
    write_splits(splits, tmp_path / "splits.json")
    trial = lesion_trial(records, splits, fold=0)
    base = read_config(ROOT / "benchmarks" / "small.toml")
    images = Images(trial.train, trial.validation, trial.validation)
    flipless = next(v for v in STEPS.variants if v.name == "no-flips").change(base)
    for name, recipe in ((BASE, base), ("no-flips", flipless)):
        job = Budgeted(f"{name}-seed0", recipe, small)
        kept = at(tmp_path).kept(job)
        keep(kept, _guesses(trial.validation, len(name)), describe(job, images))
    monkeypatch.setattr(variant, "run_budgeted", lambda *_, **__: pytest.fail("trained"))
    parser = argparse.ArgumentParser()
    variant.add_comparison_options(parser, STEPS)
    place = ["--data", data, "--splits", tmp_path / "splits.json", "--results", tmp_path]
    place += ["--answers", tmp_path / "answers", "--runs", tmp_path / "runs", "--recipe"]
    arguments = [*map(str, place), str(ROOT / "benchmarks" / "small.toml"), "--seeds", "0", "1"]
    variant.compare(STEPS, parser.parse_args([*arguments, "--only"]))

    text = (tmp_path / "ablation.md").read_text()
    assert "| without flips | " in text
    assert "seeds 0;" in text
    assert "without rotation" not in text
    assert "no table yet" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--only no-such: no such variant"):
        variant.compare(STEPS, parser.parse_args([*arguments, "--only", "no-such"]))


@pytest.mark.slow
def test_a_teachers_answers_change_what_is_learned(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    def start() -> tuple[nn.Module, str]:
        torch.manual_seed(7)
        return MobileNetV2(), "chance"

    torch.manual_seed(1)
    teacher = Teacher(MobileNetV2(), RECIPE.preprocessing, sha256="0" * 64)
    alone, taught = Budgeted("job", RECIPE, start), Budgeted("job", RECIPE, start, teacher=teacher)
    first = run_budgeted(alone, *material, at(tmp_path / "alone"), workers=0)
    second = run_budgeted(taught, *material, at(tmp_path / "taught"), workers=0)
    # A training that is repeated ends within 1e-6 (above).
    assert np.abs(first.probabilities - second.probabilities).max() > 1e-4
    with pytest.raises(DataError, match="another training's"):
        finished_earlier(taught, material[0], at(tmp_path / "alone"))
    with pytest.raises(ConfigError, match="teacher"):
        run_budgeted(replace(taught, name="small", start=small), *material, at(tmp_path), workers=0)


def test_table_four_says_what_is_not_there(
    material: tuple[Images, FieldCache], tmp_path: Path
) -> None:
    records = _records(material)
    outcome = _guesses(records, 0)
    summary = summarise(
        np.array([record.diagnosis.index for record in records]),
        outcome.probabilities,
        groups=np.array([record.lesion_id for record in records]),
        rng=np.random.default_rng(0),
        resamples=20,
    )
    write_rows(
        [Row("resnet50", replace(outcome, started_from="from scratch"), summary)], RECIPE, tmp_path
    )
    lines = (tmp_path / "table_four.md").read_text().splitlines()
    row = {label: next(line for line in lines if label in line) for label in LABELS.values()}
    assert "| from scratch |" in row[LABELS["resnet50"]]
    assert f"{summary.overall.accuracy.value:.3f} [" in row[LABELS["resnet50"]]
    assert "no search result was given" in row[LABELS[FOUND]]
    assert "not trained yet" in row[LABELS["densenet121"]]
    assert not any(character.isdigit() for character in row[LABELS["densenet121"]].split("|")[2])


def test_a_found_recipe_keeps_the_budget() -> None:
    base = read_config(ROOT / "benchmarks" / "small.toml")
    found = TrainingConfig(
        model=ModelSection(dropout=0.4, frozen_layers=4),
        optimisation=OptimisationSection(
            epochs=99, batch_size=16, learning_rate=2e-4, weight_decay=0.2
        ),
    )
    given = at_budget(found, base)
    assert given.model == found.model
    assert (given.optimisation.epochs, given.preprocessing) == (8, base.preprocessing)
    assert given.optimisation.learning_rate == 2e-4
    assert (given.optimisation.batch_size, given.optimisation.weight_decay) == (16, 0.2)
