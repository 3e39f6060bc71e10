"""A training that was killed ends as one that was not."""

from __future__ import annotations

import errno
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import Tensor

from dermassist.config import ModelSection, OptimisationSection, TrainingConfig
from dermassist.data.cache import FieldCache, open_cache
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import ConfigError, DataError
from dermassist.imaging import Preprocessing
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import WeightsError, read_weights
from dermassist.training import hardware
from dermassist.training import module as training_module
from dermassist.training import run as run_module
from dermassist.training.checkpoint import WholeCheckpointIO, read_epochs
from dermassist.training.fingerprint import hash_images
from dermassist.training.module import SELECTION_METRIC, LesionModule
from dermassist.training.run import (
    EPOCHS_KEY,
    IMAGES_KEY,
    Parts,
    RunSettings,
    Start,
    TrainingOutcome,
    check_finished,
    read_record,
    train,
)
from dermassist.training.seen import RECORD_NAME, SAME_SPLIT, check_start

EPOCHS = 3
PREPROCESSING = Preprocessing(size_px=32)
HEAD = "classifier.1.weight"
NORM_MEAN = "features.0.1.running_mean"

if sys.platform != "win32":
    import resource

Material = tuple[Parts, FieldCache]

pytestmark = pytest.mark.slow


class DieIn(lightning.Callback):
    """Dies in the middle of an epoch, as a killed process would."""

    def __init__(self, epoch: int, error: type[BaseException] = RuntimeError) -> None:
        self.epoch = epoch
        self.error = error

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise self.error


class Watch(lightning.Callback):
    """Notes the learning rate of every epoch, and the head that was validated."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.heads: list[Tensor] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.rates.append(float(trainer.optimizers[0].param_groups[0]["lr"]))

    def on_validation_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        assert isinstance(pl_module, LesionModule)
        self.heads.append(pl_module.network.head.weight.detach().clone())


def make_config(*, frozen_layers: int = 0, **changes: Any) -> TrainingConfig:
    settings = {
        "epochs": EPOCHS,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "ema_decay": 0.5,
        "precision": "float32",
    }
    return TrainingConfig(
        model=ModelSection(frozen_layers=frozen_layers),
        preprocessing=PREPROCESSING,
        optimisation=OptimisationSection(**{**settings, **changes}),
    )


@pytest.fixture
def material(make_ham10000: Callable[..., Path], tmp_path: Path) -> Material:
    dataset = read_ham10000(make_ham10000(lesions_per_class=2, size=(64, 64)))
    cache = open_cache(dataset.records, PREPROCESSING, tmp_path / "cache", pixel_aspect=1.0)
    return Parts(dataset.records[::2], dataset.records[1::2]), cache


def start_weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return MobileNetV2().state_dict()


def run(
    config: TrainingConfig,
    material: Material,
    directory: Path,
    *callbacks: lightning.Callback,
    workers: int = 0,
) -> TrainingOutcome:
    settings = RunSettings(directory, workers=workers, accelerator="cpu", progress=False)
    return train(config, *material, settings, start=Start(start_weights()), callbacks=callbacks)


def settings_in(directory: Path) -> RunSettings:
    return RunSettings(directory, workers=0, accelerator="cpu", progress=False)


def assert_same_weights(one: TrainingOutcome, other: TrainingOutcome) -> None:
    for kind in ("last_weights", "best_weights"):
        mine, theirs = (read_weights(getattr(outcome, kind)) for outcome in (one, other))
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            torch.testing.assert_close(value, theirs[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("scheduler", "averaging", "workers", "dies_in"),
    [
        ("one_cycle", {"ema_decay": 0.5}, 0, 1),
        ("one_cycle", {}, 1, 2),
        ("one_cycle", {"ema_decay": 0.5}, 0, 0),
        ("plateau", {"ema_decay": 0.5}, 0, 2),
        ("plateau", {}, 0, 1),
        ("constant", {"averaged_share": 1.0}, 0, 1),
        ("constant", {"averaged_share": 0.5}, 0, 2),
    ],
)
def test_a_killed_run_resumes_to_the_same_weights(
    material: Material,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str,
    averaging: dict[str, Any],
    workers: int,
    dies_in: int,
) -> None:
    # Without patience the plateau schedule acts within these few epochs.
    monkeypatch.setattr(training_module, "PLATEAU_PATIENCE", 0)
    config = make_config(scheduler=scheduler, warmup_share=0.5, **{"ema_decay": 0.0, **averaging})
    steady, before, after = Watch(), Watch(), Watch()
    whole = run(config, material, tmp_path / "whole", steady, workers=workers)
    with pytest.raises(RuntimeError):
        run(config, material, tmp_path / "killed", before, DieIn(dies_in), workers=workers)
    resumed = run(config, material, tmp_path / "killed", after, workers=workers)

    assert (resumed.finished, resumed.epochs) == (True, EPOCHS)
    assert [*before.rates[:dies_in], *after.rates] == steady.rates
    assert len(set(steady.rates)) > 1
    assert resumed.best_macro_f1 == whole.best_macro_f1
    assert_same_weights(whole, resumed)


class Steps(lightning.Callback):
    """Notes the head after every step, and a batch norm's mean."""

    def __init__(self) -> None:
        self.heads: list[Tensor] = []
        self.means: list[Tensor] = []

    def on_train_batch_end(
        self, _trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        assert isinstance(pl_module, LesionModule)
        self.heads.append(pl_module.network.head.weight.detach().clone())
        self.means.append(pl_module.network.state_dict()[NORM_MEAN].clone())


@pytest.mark.parametrize("share", [1e-6, 0.5, 1.0])
def test_the_weights_of_the_last_steps_are_averaged_evenly(
    material: Material, tmp_path: Path, share: float
) -> None:
    steps, watch = Steps(), Watch()
    config = make_config(ema_decay=0.0, averaged_share=share, scheduler="constant")
    outcome = run(config, material, tmp_path / "run", steps, watch)

    first = len(steps.heads) - max(1, round(share * len(steps.heads)))
    last = read_weights(outcome.last_weights)
    torch.testing.assert_close(last[HEAD], torch.stack(steps.heads[first:]).mean(0))
    torch.testing.assert_close(last[NORM_MEAN], torch.stack(steps.means[first:]).mean(0))
    assert (steps.heads[0] != steps.heads[-1]).any()
    # What is validated before that are the weights themselves, afterwards the mean so far.
    each = len(steps.heads) // EPOCHS
    for epoch, validated in enumerate(watch.heads, start=1):
        so_far = steps.heads[min(first, each * epoch - 1) : each * epoch]
        torch.testing.assert_close(validated, torch.stack(so_far).mean(0))


def test_a_run_killed_twice_resumes_too(material: Material, tmp_path: Path) -> None:
    config = make_config()
    whole = run(config, material, tmp_path / "whole")
    for epoch in (1, 2):
        with pytest.raises(RuntimeError):
            run(config, material, tmp_path / "killed", DieIn(epoch))

    assert_same_weights(whole, run(config, material, tmp_path / "killed"))


def test_ctrl_c_returns_to_the_caller_and_leaves_what_a_run_resumes_from(
    material: Material, tmp_path: Path
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    stopped = run(make_config(), material, tmp_path / "run", DieIn(1, KeyboardInterrupt))

    assert (stopped.finished, stopped.epochs) == (False, 1)
    assert signal.getsignal(signal.SIGINT) is handler
    assert read_weights(stopped.last_weights).keys() == start_weights().keys()
    whole = run(make_config(), material, tmp_path / "whole")
    assert_same_weights(whole, run(make_config(), material, tmp_path / "run"))


def test_ctrl_c_in_the_first_epoch_leaves_a_checkpoint_to_start_others_from(
    material: Material, tmp_path: Path
) -> None:
    stopped = run(make_config(), material, tmp_path / "run", DieIn(0, KeyboardInterrupt))
    weights = read_weights(tmp_path / "run" / "checkpoints" / "interrupted.ckpt")

    assert (stopped.finished, stopped.epochs) == (False, 0)
    assert start_weights().keys() <= weights.keys()
    assert (weights[HEAD] != start_weights()[HEAD]).any()


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_selected_and_last_weights_are_those_of_their_epochs(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ema_decay: float
) -> None:
    scores = [0.2, 0.9, 0.4]

    def give_scores(self: LesionModule) -> None:
        self.log(SELECTION_METRIC, scores[self.current_epoch])

    monkeypatch.setattr(LesionModule, "on_validation_epoch_end", give_scores)
    watch = Watch()
    outcome = run(make_config(ema_decay=ema_decay), material, tmp_path / "run", watch)

    assert outcome.best_macro_f1 == pytest.approx(0.9)
    assert len(watch.heads) == EPOCHS
    torch.testing.assert_close(read_weights(outcome.best_weights)[HEAD], watch.heads[1])
    torch.testing.assert_close(read_weights(outcome.last_weights)[HEAD], watch.heads[2])
    assert (watch.heads[1] != watch.heads[2]).any()


def test_a_moved_run_keeps_its_best_epoch(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = [0.9, 0.2, 0.4]

    def give_scores(self: LesionModule) -> None:
        self.log(SELECTION_METRIC, scores[self.current_epoch])

    monkeypatch.setattr(LesionModule, "on_validation_epoch_end", give_scores)
    watch = Watch()
    with pytest.raises(RuntimeError):
        run(make_config(), material, tmp_path / "here", watch, DieIn(2))
    (tmp_path / "here").rename(tmp_path / "there")
    outcome = run(make_config(), material, tmp_path / "there", watch)
    assert outcome.best_macro_f1 == pytest.approx(0.9)
    torch.testing.assert_close(read_weights(outcome.best_weights)[HEAD], watch.heads[0])
    # Finished and moved again, it still knows.
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    again = run(make_config(), material, tmp_path / "elsewhere")
    assert again.best_macro_f1 == pytest.approx(0.9)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_last_one(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(make_config(stop_after=1), material, tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = path.read_bytes()

    def half(target: Path, _content: object) -> None:
        with target.open("wb") as file:
            file.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KeyboardInterrupt):
        WholeCheckpointIO().save_checkpoint({}, path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_ctrl_c_while_validating_saves_no_weights_of_another_kind(
    material: Material, tmp_path: Path
) -> None:
    class StopInValidation(lightning.Callback):
        def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

    stopped = run(make_config(), material, tmp_path / "run", StopInValidation())
    assert not stopped.finished
    assert not (tmp_path / "run" / "checkpoints" / "interrupted.ckpt").exists()


def test_a_run_goes_on_with_as_many_devices(material: Material, tmp_path: Path) -> None:
    config = make_config(stop_after=1)
    run(config, material, tmp_path / "run")
    path = tmp_path / "run" / RECORD_NAME
    record = json.loads(path.read_text(encoding="utf-8"))
    settings = RunSettings(tmp_path / "run", devices=2, accelerator="cpu", progress=False)
    with pytest.raises(ConfigError, match="another number of devices"):
        train(config, *material, settings, start=Start(start_weights()))
    # Records of earlier versions do not say it: as many as are given, from then on.
    del record["devices"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert run(config, material, tmp_path / "run").finished
    assert read_record(tmp_path / "run")["devices"] == 1


def test_a_network_starts_only_from_runs_of_its_own_part(
    material: Material, tmp_path: Path
) -> None:
    origin = {"protocol": "lesion", "splits_sha256": "a", "fold": 1}
    settings = settings_in(tmp_path / "run")
    outcome = train(
        make_config(stop_after=1), *material, settings, start=Start(start_weights()), origin=origin
    )
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    for weights in (outcome.last_weights, checkpoint):
        check_start(weights, origin)
        for name in SAME_SPLIT:
            with pytest.raises(ConfigError, match=f"same part of the same split; its {name} is"):
                check_start(weights, {**origin, name: "other"})
    alone = tmp_path / "downloads" / "weights.pth"
    check_start(alone, origin)
    (tmp_path / "run" / RECORD_NAME).write_text("{}")
    with pytest.raises(DataError, match="is no record of a training"):
        check_start(checkpoint, origin)
    (tmp_path / "run" / RECORD_NAME).write_bytes(b"\xff" * 10_000)
    with pytest.raises(DataError, match="is no record of a training") as caught:
        check_start(checkpoint, origin)
    assert len(str(caught.value)) < len(str(tmp_path)) + 300


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_frozen_layers_stay_bit_identical(
    material: Material, tmp_path: Path, ema_decay: float
) -> None:
    config = make_config(frozen_layers=5, ema_decay=ema_decay, epochs=1)
    outcome = run(config, material, tmp_path / "run")
    trained, start = read_weights(outcome.last_weights), start_weights()

    frozen = [name for name in start if name.startswith(tuple(f"features.{i}." for i in range(5)))]
    assert any("running_mean" in name for name in frozen)
    for name in frozen:
        torch.testing.assert_close(trained[name], start[name], rtol=0, atol=0)
    for name in set(start) - set(frozen):
        assert (trained[name] != start[name]).any(), name


class WatchLayers(lightning.Callback):
    """Notes two early layers at the start of every epoch, and how many images it shows."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []
        self.images: list[int] = []

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        assert isinstance(pl_module, LesionModule)
        features = pl_module.network.features
        self.states.append({k: v.clone() for k, v in features[:3].state_dict().items()})
        self.images.append(0)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, _: int
    ) -> None:
        self.images[-1] += len(batch[1])


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_layers_learn_until_they_are_frozen_and_from_when_they_are_not(
    material: Material, tmp_path: Path, ema_decay: float
) -> None:
    third = 1 / 3
    phases = ((third, 0), (third, 2), (third, 0))
    watch = WatchLayers()
    run(make_config(freezing=phases, ema_decay=ema_decay), material, tmp_path / "run", watch)

    last = read_weights(tmp_path / "run" / "last_model.pth")
    early = [name for name in watch.states[0] if name.startswith(("0.", "1."))]
    late = [name for name in watch.states[0] if name.startswith("2.")]
    assert any("running_mean" in name for name in early)
    for name in early:
        assert (watch.states[0][name] != watch.states[1][name]).any(), name
        torch.testing.assert_close(watch.states[1][name], watch.states[2][name], rtol=0, atol=0)
        assert (last[f"features.{name}"] != watch.states[2][name]).any(), name
    for name in late:
        assert (watch.states[1][name] != watch.states[2][name]).any(), name


def test_a_run_killed_with_layers_frozen_on_the_way_resumes_alike(
    material: Material, tmp_path: Path
) -> None:
    config = make_config(freezing=((2 / 3, 0), (1 / 3, 4)), class_cap=1)
    whole = run(config, material, tmp_path / "whole")
    for epoch in (1, 2):
        with pytest.raises(RuntimeError):
            run(config, material, tmp_path / "killed", DieIn(epoch))
    assert_same_weights(whole, run(config, material, tmp_path / "killed"))


def test_an_epoch_shows_no_more_of_a_class_than_the_recipe_allows(
    material: Material, tmp_path: Path
) -> None:
    parts, _ = material
    classes = len({record.diagnosis for record in parts.train})
    assert len(parts.train) > classes
    watch = WatchLayers()
    run(make_config(class_cap=1, batch_size=classes), material, tmp_path / "run", watch)
    assert watch.images == [classes] * EPOCHS


def test_validation_may_be_asked_less_often(material: Material, tmp_path: Path) -> None:
    watch = Watch()
    outcome = run(make_config(epochs=4, validate_every=2), material, tmp_path / "run", watch)
    assert outcome.finished
    # One batch of validation after the second epoch, one after the last.
    assert len(watch.heads) == 2
    torch.testing.assert_close(read_weights(outcome.last_weights)[HEAD], watch.heads[1])


def test_freezing_on_the_way_is_for_one_device(material: Material, tmp_path: Path) -> None:
    settings = RunSettings(tmp_path / "run", devices=2, accelerator="cpu", progress=False)
    config = make_config(freezing=((0.5, 0), (0.5, 2)))
    with pytest.raises(ConfigError, match="freezing is for one device"):
        train(config, *material, settings, start=Start(start_weights()))
    assert not (tmp_path / "run").exists()


def test_a_schedule_cut_short_follows_the_whole_one(material: Material, tmp_path: Path) -> None:
    whole, cut = Watch(), Watch()
    run(make_config(), material, tmp_path / "whole", whole)
    outcome = run(make_config(stop_after=2), material, tmp_path / "cut", cut)

    assert (outcome.finished, outcome.epochs) == (True, 2)
    assert cut.rates == whole.rates[:2]


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_smallest_trainings_run(material: Material, tmp_path: Path, epochs: int) -> None:
    # A warm-up of exactly one step must not divide by zero.
    config = make_config(epochs=epochs, batch_size=8, warmup_share=0.5)
    assert run(config, material, tmp_path / "run").finished


def test_a_finished_run_is_not_trained_further(material: Material, tmp_path: Path) -> None:
    first = run(make_config(epochs=1), material, tmp_path / "run")
    before = read_weights(first.last_weights)
    again = run(make_config(epochs=1), material, tmp_path / "run")

    assert (again.finished, again.epochs) == (True, 1)
    for name, value in read_weights(again.last_weights).items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_folder_of_another_training_is_refused_and_stays(
    material: Material, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    run(make_config(epochs=1), material, directory)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    parts, cache = material
    others = [
        (make_config(epochs=2), material),
        (make_config(epochs=1), (Parts(parts.train[1:], parts.validation), cache)),
    ]
    for config, other in others:
        with pytest.raises(
            ConfigError, match="another configuration, other data or another number"
        ):
            run(config, other, directory)
    assert {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()} == before


def test_a_run_from_before_a_setting_existed_goes_on(material: Material, tmp_path: Path) -> None:
    config = make_config(epochs=1)
    run(config, material, tmp_path / "run")
    path = tmp_path / "run" / RECORD_NAME
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["config"]["augmentation"]["blur"]
    path.write_text(json.dumps(record), encoding="utf-8")

    assert run(config, material, tmp_path / "run").finished
    softer = replace(config, augmentation=replace(config.augmentation, blur=0.01))
    with pytest.raises(ConfigError, match="another configuration"):
        run(softer, material, tmp_path / "run")


def test_the_record_says_what_was_trained(material: Material, tmp_path: Path) -> None:
    config = make_config(epochs=1)
    run(config, material, tmp_path / "run")
    record = read_record(tmp_path / "run")

    assert TrainingConfig.from_dict(record["config"]) == config
    assert record["train_images"] == len(material[0].train)
    with pytest.raises(DataError, match="holds no training run"):
        read_record(tmp_path)


def test_no_images_are_refused(material: Material) -> None:
    with pytest.raises(ConfigError, match="at least one training and one validation image"):
        Parts((), material[0].validation)


def test_weights_that_do_not_fit_are_refused(material: Material, tmp_path: Path) -> None:
    weights = start_weights()
    del weights["features.3.conv.0.0.weight"]
    settings = settings_in(tmp_path / "run")
    with pytest.raises(WeightsError, match=r"do not fit: 1 feature tensors"):
        train(make_config(), *material, settings, start=Start(weights))


def test_a_start_that_fails_leaves_its_folder_to_the_corrected_one(
    material: Material, tmp_path: Path
) -> None:
    unfit = start_weights()
    del unfit["features.3.conv.0.0.weight"]
    settings, config = settings_in(tmp_path / "run"), make_config(epochs=1)
    with pytest.raises(WeightsError):
        train(config, *material, settings, start=Start(unfit), origin={"initial_weights": "unfit"})
    right = {"initial_weights": "right"}
    outcome = train(config, *material, settings, start=Start(start_weights()), origin=right)
    assert outcome.finished
    assert read_record(tmp_path / "run")["origin"] == right


def test_an_accelerator_that_is_not_there_is_refused_before_anything_is_written(
    material: Material, tmp_path: Path
) -> None:
    settings = replace(settings_in(tmp_path / "run"), accelerator="cuda:0")
    with pytest.raises(ConfigError, match="got 'cuda:0'"):
        train(make_config(), *material, settings, start=Start(start_weights()))
    assert not (tmp_path / "run").exists()


def check(directory: Path) -> None:
    check_finished(directory, read_record(directory), epochs=EPOCHS)


def test_a_run_is_finished_when_its_weights_are_those_of_the_last_epoch(
    material: Material, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    weights = directory / "last_model.pth"
    refusal = r"are not those of a finished training \(%d of 3 epochs are done\); run the same"
    with pytest.raises(RuntimeError):
        run(make_config(), material, directory, DieIn(0))
    with pytest.raises(DataError, match=refusal % 0):
        check(directory)
    run(make_config(), material, directory, DieIn(1, KeyboardInterrupt))
    with pytest.raises(DataError, match=refusal % 1):
        check(directory)
    of_ctrl_c = weights.read_bytes()
    # Killed, it has learned another epoch, of which the weights know nothing.
    with pytest.raises(RuntimeError):
        run(make_config(), material, directory, DieIn(2))
    assert weights.read_bytes() == of_ctrl_c
    with pytest.raises(DataError, match=refusal % 2):
        check(directory)
    run(make_config(), material, directory)
    check(directory)
    assert read_record(directory)[EPOCHS_KEY] == EPOCHS
    # Ctrl-C before a finished run has found out that it is finished.
    again = run(make_config(), material, directory, DieAtOnce())
    assert not again.finished
    check(directory)
    # A checkpoint of the last epoch is not enough: the weights are written after it.
    record = read_record(directory)
    (directory / RECORD_NAME).write_text(json.dumps({**record, EPOCHS_KEY: 1}), encoding="utf-8")
    with pytest.raises(DataError, match=refusal % 3):
        check(directory)


class DieAtOnce(lightning.Callback):
    """Is Ctrl-C while a training gets ready."""

    def setup(self, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt


def test_of_a_run_of_an_earlier_version_the_checkpoint_says_whether_it_is_finished(
    material: Material, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    checkpoints = directory / "checkpoints"

    def forget() -> None:
        record = read_record(directory)
        del record[EPOCHS_KEY]
        (directory / RECORD_NAME).write_text(json.dumps(record), encoding="utf-8")

    run(make_config(), material, directory, DieIn(2, KeyboardInterrupt))
    forget()
    with pytest.raises(DataError, match=r"\(2 of 3 epochs are done\)"):
        check(directory)
    # Resumed by this version and killed, its weights are still old.
    with pytest.raises(RuntimeError):
        run(make_config(), material, directory, DieIn(2))
    assert read_record(directory)[EPOCHS_KEY] == 0
    run(make_config(), material, directory)
    forget()
    check(directory)
    torch.save({"epoch": "three"}, checkpoints / "last.ckpt")
    with pytest.raises(WeightsError, match=r"last\.ckpt: is no checkpoint of a training"):
        check(directory)
    # Without checkpoints nothing says that it is not.
    shutil.rmtree(checkpoints)
    check(directory)


class FillDisk(lightning.Callback):
    """Lets no file grow beyond 1 MB from an epoch on, which the system reports as a full disk."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.current_epoch == self.epoch:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_ends_a_training_as_such_and_it_resumes(
    material: Material, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "run"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            run(make_config(), material, directory, FillDisk(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert Path(caught.value.filename) in {
        directory / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")
    }
    # What could not be saved besides does not stand in for what ended the training.
    assert "interrupted.ckpt: cannot be written (File too large)" in caplog.text
    assert read_epochs(directory / "checkpoints" / "last.ckpt") == 1
    whole = run(make_config(), material, tmp_path / "whole")
    assert_same_weights(whole, run(make_config(), material, directory))


def relabelled(records: Sequence[Record]) -> tuple[Record, ...]:
    first, *rest = records
    other = DIAGNOSES[(first.diagnosis.index + 1) % len(DIAGNOSES)]
    return (replace(first, diagnosis=other), *rest)


def test_other_images_under_the_same_names_are_no_resumption(
    material: Material, tmp_path: Path
) -> None:
    config, directory = make_config(epochs=1), tmp_path / "run"
    run(config, material, directory)
    parts, cache = material
    brighter = FieldCache(255 - np.asarray(cache.pixels), cache.offsets, cache.shapes)
    squeezed = open_cache(
        (*parts.train, *parts.validation), PREPROCESSING, tmp_path / "other", pixel_aspect=4 / 3
    )
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    others = [
        (Parts(relabelled(parts.train), parts.validation), cache),
        (Parts(parts.train, relabelled(parts.validation)), cache),
        (parts, brighter),
        (parts, squeezed),
    ]
    for other in others:
        with pytest.raises(ConfigError, match="other images or labels that bear the same names"):
            run(config, other, directory)
    assert {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()} == before
    # A record of an earlier version does not say which images; from then on it does.
    record = read_record(directory)
    del record[IMAGES_KEY]
    (directory / RECORD_NAME).write_text(json.dumps(record), encoding="utf-8")
    assert run(config, material, directory).finished
    assert read_record(directory)[IMAGES_KEY] == hash_images(parts.train, parts.validation, cache)


def test_every_epoch_learns_in_its_own_size(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    standardise = LesionModule.standardise

    def note(self: LesionModule, views: Tensor) -> Tensor:
        if self.training:
            sizes.append(views.shape[1])
        return standardise(self, views)

    monkeypatch.setattr(LesionModule, "standardise", note)
    config = make_config(resolutions=((2 / 3, 32), (1 / 3, 64)))
    run(config, material, tmp_path / "run")

    steps = len(sizes) // EPOCHS
    assert steps > 0
    np.testing.assert_array_equal(sizes, [32] * 2 * steps + [64] * steps)


def test_a_log_gets_a_line_every_epoch(material: Material, tmp_path: Path) -> None:
    lines: list[str] = []
    settings = replace(settings_in(tmp_path / "run"), tell=lines.append)
    config = make_config(epochs=4, validate_every=2)
    outcome = train(config, *material, settings, start=Start(start_weights()))
    numbers = [line.partition(" after ")[0] for line in lines]
    assert numbers == [f"epoch {epoch} of 4" for epoch in (1, 2, 3, 4)]
    assert all(re.search(r" min, training loss \d\.\d{3}", line) for line in lines)
    # Every second epoch was validated.
    scores = [line.partition("validation macro F1 ")[2] for line in lines]
    assert [bool(score) for score in scores] == [False, True, False, True]
    assert max(scores) == f"{outcome.best_macro_f1:.3f}"


def test_the_record_says_in_which_precision_it_was_trained(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is trained here: what is told is told before the first step.
    monkeypatch.setattr(lightning.Trainer, "fit", lambda *_, **__: pytest.fail("goes no further"))
    machine = {"faster": "32-true"}
    monkeypatch.setattr(run_module, "trainer_precision", lambda *_: machine["faster"])
    expected = [["32-true"], ["32-true"], ["32-true", "bf16-mixed"], ["32-true", "bf16-mixed"]]
    for place, told in enumerate(expected):
        machine["faster"] = "bf16-mixed" if place == 2 else "32-true"
        with pytest.raises(pytest.fail.Exception):
            run(make_config(), material, tmp_path / "run")
        assert read_record(tmp_path / "run")["precision"] == told


def test_a_gpu_that_is_left_aside_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "computes_bfloat16", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert hardware.trainer_precision("mixed") == "bf16-mixed"
    assert hardware.trainer_precision("mixed", "cpu") == "32-true"
    assert hardware.trainer_precision("float32") == "32-true"
