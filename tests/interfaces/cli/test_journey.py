"""Train, export, evaluate and analyse through the command line, on a tiny synthetic data set."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dermassist.data.cache import FieldCache
from dermassist.data.split import Part, Splits, read_splits
from dermassist.imaging import Preprocessing
from dermassist.inference.classifier import Classifier
from dermassist.interfaces.cli import train as train_command
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.export import _default_version
from dermassist.model.bundle import Bundle, read_bundle
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import read_weights, write_weights
from dermassist.publication import Material
from dermassist.training.run import Parts, TrainingOutcome, sole_training_in

from ...conftest import tiny_manifest
from .conftest import Outcome, Run

Make = Callable[..., Path]

RECIPE = """
[preprocessing]
size_px = 32

[augmentation]
rotation_degrees = 20.0

[optimisation]
epochs = 2
batch_size = 16
learning_rate = 0.01
ema_decay = 0.0
precision = "float32"
"""


@pytest.fixture
def place(run: Run, make_ham10000: Make) -> Path:
    """A folder with data, splits, a recipe and start weights."""
    here = Path.cwd()
    data = make_ham10000(lesions_per_class=24, size=(80, 64))
    assert run("data", "split", data, "--out", "splits.json").status == 0
    Path("recipe.toml").write_text(RECIPE)
    torch.manual_seed(0)
    torch.save(MobileNetV2().state_dict(), "start.pth")
    data.rename(here / "data")
    return here


@pytest.fixture
def squeezed(run: Run, make_ham10000: Make) -> Splits:
    """As ``place``, of 4:3 images that were squeezed to squares; returns the splits."""
    make_ham10000(mask_size=(80, 60)).rename("data")
    assert run("data", "split", "data", "--out", "splits.json").status == 0
    Path("recipe.toml").write_text(RECIPE)
    write_weights(MobileNetV2(), Path("start.pth"))
    return read_splits(Path("splits.json"))


def assert_of_fold(parts: Parts | Material, splits: Splits, fold: int) -> None:
    """Check that what trains and what chooses are those parts of the fold, whole and alone."""
    for part, records in ((Part.TRAIN, parts.train), (Part.VALIDATION, parts.validation)):
        wanted = splits.image_ids(part, test_fold=fold)
        assert sorted(record.image_id for record in records) == sorted(wanted)


def train(run: Run, *options: object) -> Outcome:
    where = ("--data", "data", "--splits", "splits.json", "--out", "run", "--cache", "cache")
    recipe = ("--config", "recipe.toml", "--init", "start.pth", "--workers", 0)
    with warnings.catch_warnings():
        # Lightning and its dependencies warn of their own ways.
        warnings.simplefilter("ignore")
        return run("train", *where, *recipe, *options)


def export(run: Run, *options: object) -> Outcome:
    where = ("run", "--data", "data", "--splits", "splits.json", "--out", "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run("export", *where, *options)


@pytest.mark.slow
def test_from_images_to_an_explained_answer(run: Run, place: Path) -> None:
    trained = train(run, "--json")
    assert (trained.status, trained.err) == (0, "")
    assert trained.json["finished"]
    assert trained.json["epochs"] == 2
    assert Path(trained.json["best_weights"]).name == "best_model.pth"

    exported = export(run, "--name", "walk", "--version", "1", "--json")
    assert exported.status == 0
    bundle = read_bundle(Path("model"))
    assert exported.json["sha256"] == bundle.sha256
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == ("walk", "1")
    assert exported.json["temperature"] == manifest.temperature
    assert manifest.temperature is None or 0.05 < manifest.temperature < 20.0
    assert manifest.preprocessing.size_px == 32
    assert manifest.training["origin"]["fold"] == 0

    evaluated = run(
        "evaluate", "--data", "data", "--splits", "splits.json", "--model", "model", "--store"
    )
    assert evaluated.status == 0
    assert read_bundle(Path("model")).manifest.metrics is not None

    image = next((place / "data" / "images").iterdir())
    analysed = run("analyze", image, "--model", "model", "--out", "out")
    assert (analysed.status, analysed.err) == (0, "")
    assert analysed.lines[0].startswith("Predicted Category: ")
    read = json.loads(Path("out/assessment.json").read_text("utf-8"))
    assert read["model"]["name"] == "walk"
    assert read["prediction"]["calibrated"] is (manifest.temperature is not None)

    checked = run("doctor", "--model", "model")
    assert checked.status == 0

    checkpoint = Path("run/checkpoints/last.ckpt").read_bytes()
    again = train(run)
    assert again.status == 0
    assert again.lines[0] == train_command.ALREADY_FINISHED
    assert Path("run/checkpoints/last.ckpt").read_bytes() == checkpoint

    other = train(run, "--fold", 1)
    assert other.status == ExitStatus.CONFIG
    assert "another configuration, other data or another number" in other.err


@pytest.mark.slow
def test_a_model_is_exported_anew_for_another_size(run: Run, place: Path) -> None:
    assert train(run).status == 0
    assert export(run, "--version", "1").status == 0
    first = read_bundle(Path("model"))
    larger = ("--out", "larger", "--network-px", 64, "--version", "2")
    where = ("--data", "data", "--splits", "splits.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run("export", "model", *where, *larger).status == 0
    second = read_bundle(Path("larger"))
    assert (second.manifest.version, second.manifest.preprocessing.network_px) == ("2", 64)
    assert second.manifest.training["config"] == first.manifest.training["config"]
    assert second.manifest.training["origin"] == first.manifest.training["origin"]
    image = next((place / "data" / "images").iterdir())
    assert Classifier(second).answer(image).explanation.evidence.shape == (7, 2, 2)
    # The same weights at the size they were trained for answer as before.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same = run("export", "model", *where, "--out", "same", "--version", "3")
    assert same.status == 0
    given = Classifier.load("same").predict(image).logits
    assert given == pytest.approx(Classifier(first).predict(image).logits, abs=1e-3)


def test_unfit_start_weights(run: Run, place: Path) -> None:
    Path("start.pth").write_bytes(b"no weights")
    outcome = train(run)
    assert outcome.status == ExitStatus.MODEL
    assert outcome.complaint.startswith("start.pth: ")
    outcome = train(run, "--init", "absent.pth")
    assert outcome.status == ExitStatus.MODEL
    assert "absent.pth: no such weights file" in outcome.complaint


def test_unknown_key_in_the_recipe(run: Run, place: Path) -> None:
    Path("recipe.toml").write_text(RECIPE.replace("epochs", "epoch"))
    outcome = train(run)
    assert outcome.status == ExitStatus.CONFIG
    assert "recipe.toml" in outcome.complaint
    assert "epoch'" in outcome.complaint
    assert not Path("run").exists()


def test_stopped_training_says_how_to_go_on(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Path("run/best_model.pth"), Path("run/last_model.pth")
    stopped = TrainingOutcome(*weights, best_macro_f1=float("nan"), epochs=0, finished=False)
    monkeypatch.setattr("dermassist.training.run.train", lambda *_, **__: stopped)
    outcome = train(run)
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err.splitlines()[-1] == train_command.RESUME_HINT
    outcome = train(run, "--json")
    assert outcome.status == 130
    assert (outcome.json["finished"], outcome.json["best_validation_macro_f1"]) == (False, None)


def test_a_training_sees_no_test_image_and_true_proportions(
    run: Run, squeezed: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Parts, FieldCache]] = []

    def take(_recipe: object, parts: Parts, fields: FieldCache, *_: object, **__: object) -> Any:
        given.append((parts, fields))
        return TrainingOutcome(Path(), Path(), best_macro_f1=0.5, epochs=2, finished=True)

    monkeypatch.setattr("dermassist.training.run.train", take)
    outcome = train(run, "--fold", 2)
    assert outcome.status == 0, outcome.err
    ((parts, fields),) = given
    assert_of_fold(parts, squeezed, fold=2)
    assert set(fields.shapes.values()) == {(32, 43)}


def test_a_full_disk_is_named_and_how_to_go_on(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Path("run/checkpoints/last.ckpt")

    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(checkpoint))

    monkeypatch.setattr("dermassist.training.run.train", fill)
    said = f"{checkpoint}: No space left on device; check the place, its permissions and the free"
    # Before the first checkpoint there is nothing to resume.
    outcome = train(run)
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith(said)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    outcome = train(run)
    assert outcome.status == ExitStatus.CANNOT_WRITE
    hint, complaint = outcome.err.splitlines()
    assert hint == train_command.RESUME_HINT
    assert complaint.startswith(f"dermassist: {said}")
    assert train(run, "--json").json_error["message"].startswith(said)


def test_an_accelerator_that_is_not_there_is_refused_before_images_are_decoded(
    run: Run, place: Path
) -> None:
    outcome = train(run, "--accelerator", "cuda:0")
    assert outcome.status == ExitStatus.CONFIG
    assert "accelerator must be one that this machine has, auto or cpu" in outcome.complaint
    assert not Path("cache").exists()
    assert not Path("run").exists()


def test_two_trainings_never_share_a_folder(
    run: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermassist.training.run.train", lambda *_, **__: pytest.fail("trained"))
    with sole_training_in(Path("run")):
        outcome = train(run)
    assert outcome.status == ExitStatus.CONFIG
    assert "run: another process trains here" in outcome.complaint
    # What Lightning begins for further devices works in the first one's folder.
    with sole_training_in(Path("run")), monkeypatch.context() as second:
        second.setenv("LOCAL_RANK", "1")
        with sole_training_in(Path("run")):
            pass


def test_exporting_what_is_no_run(run: Run, place: Path) -> None:
    outcome = export(run)
    assert outcome.status == ExitStatus.DATA
    assert "run: holds no training run" in outcome.complaint
    assert not Path("model").exists()


def test_exporting_an_unfinished_run(run: Run, place: Path) -> None:
    drawn = json.loads(Path("splits.json").read_text())["sha256"]
    origin = {"protocol": "lesion", "splits_sha256": drawn, "fold": 0}
    Path("run").mkdir()
    # As Ctrl-C leaves them: weights that could be exported.
    shutil.copy("start.pth", "run/last_model.pth")
    config = {"preprocessing": {"size_px": 32}, "optimisation": {"epochs": 3}}
    record = {"config": config, "origin": origin, "epochs_in_weights": 2}
    Path("run/run.json").write_text(json.dumps(record))
    outcome = export(run)
    assert outcome.status == ExitStatus.DATA
    assert outcome.complaint == (
        "run: its weights are not those of a finished training (2 of 3 epochs are done); "
        "run the same  dermassist train  command again"
    )
    assert not Path("model").exists()


def put_run(splits: Splits, *, fold: int) -> None:
    """Put a finished run, whose best weights are not its last."""
    origin = {"protocol": "lesion", "splits_sha256": splits.sha256, "fold": fold}
    config = {"preprocessing": {"size_px": 32}, "optimisation": {"epochs": 3}}
    record = {"config": config, "origin": origin, "epochs_in_weights": 3}
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps(record))
    for name in ("last", "best"):
        write_weights(MobileNetV2(), Path(f"run/{name}_model.pth"))


@pytest.mark.parametrize("weights", ["last", "best"])
def test_an_export_has_the_weights_asked_for_and_sees_no_test_image(
    run: Run, squeezed: Splits, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    put_run(squeezed, fold=2)
    given: list[tuple[MobileNetV2, Material]] = []

    def take(network: MobileNetV2, *_: object, material: Material, **__: object) -> Bundle:
        given.append((network, material))
        return Bundle.unwritten(Path("model"), tiny_manifest(), b"")

    monkeypatch.setattr("dermassist.publication.publish", take)
    outcome = export(run, "--weights", weights)
    assert outcome.status == 0, outcome.err
    ((network, material),) = given
    assert_of_fold(material, squeezed, fold=2)
    assert material.pixel_aspect == pytest.approx(4 / 3)
    wanted = read_weights(Path(f"run/{weights}_model.pth"))
    torch.testing.assert_close(network.state_dict(), wanted)


def test_a_model_has_one_network_to_export(run: Run, place: Path, tiny_bundle: Path) -> None:
    where = ("--data", "data", "--splits", "splits.json", "--out", "model")
    outcome = run("export", tiny_bundle, *where, "--weights", "best")
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint.endswith("is a model, which holds one network; leave --weights out")
    # Without it the next reason is another one: this model names no splits.
    outcome = run("export", tiny_bundle, *where)
    assert "was not trained on the lesion-grouped splits" in outcome.complaint


def test_the_default_version_tells_networks_apart() -> None:
    torch.manual_seed(0)
    first, second = MobileNetV2(), MobileNetV2()
    small, large = Preprocessing(size_px=32), Preprocessing(size_px=32, network_px=64)
    versions = [_default_version(n, p) for n in (first, second) for p in (small, large)]
    assert len(set(versions)) == 4
    assert versions[0] == _default_version(first, small)
    assert all(re.fullmatch(r"0-[0-9a-f]{12}", version) for version in versions)


def test_exporting_never_replaces_a_folder_of_something_else(run: Run, place: Path) -> None:
    Path("model").mkdir()
    Path("model/thesis.txt").write_text("mine")
    outcome = export(run)
    assert outcome.status == ExitStatus.CONFIG
    assert "holds something else than a model" in outcome.complaint
    assert Path("model/thesis.txt").read_text() == "mine"


def put_web_app(model: Path, _bundle: Path) -> None:
    model.mkdir()
    (model / "manifest.json").write_text('{"name": "shop", "start_url": "/"}')
    (model / "index.html").write_text("mine")


def put_lone_manifest(model: Path, _bundle: Path) -> None:
    model.mkdir()
    (model / "manifest.json").write_text('{"name": "shop", "start_url": "/"}')


def put_notes_beside(model: Path, bundle: Path) -> None:
    shutil.copytree(bundle, model)
    (model / "notes.txt").write_text("mine")


def put_variant_within(model: Path, bundle: Path) -> None:
    shutil.copytree(bundle, model)
    (model / "tta").mkdir()
    shutil.copy(bundle / "manifest.json", model / "tta")


def put_file(model: Path, _bundle: Path) -> None:
    model.write_text("mine")


def contents(folder: Path) -> dict[Path, bytes]:
    files = [folder] if folder.is_file() else [p for p in folder.rglob("*") if p.is_file()]
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "put", [put_web_app, put_lone_manifest, put_notes_beside, put_variant_within, put_file]
)
def test_exporting_replaces_nothing_but_a_bundle_s_own_files(
    run: Run, tiny_bundle: Path, put: Callable[[Path, Path], None]
) -> None:
    put(Path("model"), tiny_bundle)
    before = contents(Path("model"))
    outcome = run("export", "run", "--data", "data", "--out", "model")
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint.startswith("model: holds something else than a model; name a new")
    assert contents(Path("model")) == before


def test_exporting_replaces_a_bundle_and_an_empty_folder(run: Run, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle, "model")
    Path("model/.DS_Store").touch()
    Path("empty").mkdir()
    for out in ("model", "empty", "new"):
        # The next thing that is missing is the run.
        outcome = run("export", "run", "--data", "data", "--out", out)
        assert "run: holds no training run" in outcome.complaint


def test_a_bundle_s_place_that_cannot_be_written_is_told_before_the_work(run: Run) -> None:
    Path("taken").write_text("mine")
    outcome = run("export", "run", "--data", "data", "--out", "taken/model")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith("taken")


@pytest.mark.parametrize("origin", [{}, {"protocol": "paper", "splits_sha256": "x", "fold": 0}])
def test_exporting_what_was_trained_on_leaking_splits(
    run: Run, place: Path, origin: dict[str, object]
) -> None:
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps({"config": {}, "origin": origin}))
    outcome = export(run)
    assert outcome.status == ExitStatus.CONFIG
    assert "was not trained on the lesion-grouped splits of splits.json" in outcome.complaint


@pytest.mark.parametrize("missing", ["torch", "lightning", "onnx"])
@pytest.mark.parametrize("command", ["train", "export"])
def test_missing_extra_is_one_sentence_with_the_remedy(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    options = {
        "train": ("--config", "c.toml", "--data", "data", "--out", "run"),
        "export": ("run", "--data", "data", "--out", "model"),
    }[command]
    outcome = run(command, *options)
    assert outcome.status == ExitStatus.MISSING_EXTRA
    assert "libraries of 'train'" in outcome.complaint
    assert outcome.complaint.endswith('run  pip install "dermassist[train]"')
    assert run(command, *options, "--json").json_error["name"] == "MISSING_EXTRA"
