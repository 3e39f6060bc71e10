"""A protocol's trials are trained once, tested once and pooled; a tiny data set, a few steps."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from dermassist import publication
from dermassist.data.ham10000 import read_ham10000
from dermassist.data.split import Part, Splits, make_splits, read_splits, write_splits
from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation import bootstrap, conformal, decision, report, summary
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.subgroup import MINIMUM_CLASS_IMAGES
from dermassist.interfaces.cli import _run
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import read_bundle
from dermassist.model.network import MobileNetV2
from dermassist.pooling import ProtocolFigures
from dermassist.training.run import sole_training_in
from dermassist.trial import Ended

from ...conftest import tiny_graph, write_synthetic_ham10000
from .conftest import Outcome, Run

RECIPE = """
[preprocessing]
size_px = 32

[optimisation]
epochs = 1
batch_size = 8
ema_decay = 0.0
precision = "float32"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, splits, recipe and start weights; do not change it."""
    place = tmp_path_factory.mktemp("material")
    write_synthetic_ham10000(
        place / "ham", lesions_per_class=24, size=(64, 64), mask_size=None, folder="images"
    )
    write_splits(make_splits(read_ham10000(place / "ham").records, seed=0), place / "splits.json")
    (place / "recipe.toml").write_text(RECIPE)
    torch.manual_seed(0)
    save_file(MobileNetV2().state_dict(), place / "start.safetensors")
    return place


@pytest.fixture(autouse=True, scope="module")
def few_resamples() -> Iterator[None]:
    """Intervals are tested elsewhere; few resamples are enough here."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (report, summary, conformal, decision):
            for function in vars(module).values():
                defaults = getattr(function, "__kwdefaults__", None) or {}
                if "resamples" in defaults:
                    patch.setitem(defaults, "resamples", bootstrap.RESAMPLES // 50)
        yield


@pytest.fixture(autouse=True)
def tiny_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the export, which takes 10 s; the one of ``finished`` is a real one."""
    monkeypatch.setattr(publication, "export_graph", lambda *_: tiny_graph(size_px=32))
    monkeypatch.setattr(publication, "_check_agreement", lambda *_: {"images": 0})


def arguments(material: Path, *given: str, init: Path | None = None) -> list[str]:
    return [
        *("protocol", "--config", str(material / "recipe.toml"), *given),
        *("--data", str(material / "ham"), "--splits", str(material / "splits.json")),
        *("--init", str(init or material / "start.safetensors"), "--workers", "0"),
    ]


def call(run: Run, material: Path, *given: str, init: Path | None = None) -> Outcome:
    return run(*arguments(material, *given, init=init))


@pytest.fixture(scope="module")
def finished(material: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which fold 0 was trained, exported as it is and tested; do not change it."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("DERMASSIST_CACHE", raising=False)
        assert _run(arguments(material, "lesion", "--only", "fold0")) == 0
    return place


@pytest.fixture
def fold0(run: Run, finished: Path) -> None:
    """Fold 0, finished, in the test's own folder."""
    shutil.copytree(finished, Path(), dirs_exist_ok=True)


def test_folds_are_tested_once_and_pooled(run: Run, material: Path) -> None:
    splits: Splits = read_splits(material / "splits.json")
    first = call(run, material, "lesion", "--only", "fold1", "--json")
    assert first.status == 0, first.err
    assert first.json["trials"] == ["fold1"]
    assert first.json["trials_of_protocol"] == 5
    assert "tested before" not in first.err
    table = Path("results/lesion/fold1.csv")
    written = table.stat().st_mtime_ns
    assert set(PredictionTable.read(table).images) == set(splits.image_ids(Part.TEST, test_fold=1))

    both = call(run, material, "lesion", "--only", "fold1", "--only", "fold2", "--json")
    assert both.status == 0, both.err
    assert table.stat().st_mtime_ns == written
    assert both.json["trials"] == ["fold1", "fold2"]
    assert json.loads(Path("results/lesion.json").read_text()) == both.json
    pooled = [PredictionTable.read(Path(f"results/lesion/fold{fold}.csv")) for fold in (1, 2)]
    labels = np.concatenate([part.labels for part in pooled])
    predicted = np.concatenate([part.probabilities.argmax(axis=1) for part in pooled])
    overall = both.json["report"]["summary"]["overall"]
    assert overall["accuracy"]["value"] == pytest.approx(accuracy_score(labels, predicted))
    assert overall["balanced_accuracy"]["value"] == pytest.approx(
        balanced_accuracy_score(labels, predicted)
    )
    assert both.json["report"]["summary"]["images"] == len(labels)
    for name in ("confusion.png", "roc.png", "reliability.png"):
        with Image.open(Path("results/lesion") / name) as picture:
            assert min(picture.size) > 500
    figures = ProtocolFigures.read(Path("results/lesion.json"))
    assert figures.to_dict() == both.json
    for part, trial in zip(pooled, figures.each, strict=True):
        assert trial.summary.images == len(part.labels)
        assert trial.summary.overall.accuracy.value == pytest.approx(
            accuracy_score(part.labels, part.probabilities.argmax(axis=1))
        )
    # What the networks said before their temperatures, from what they said after.
    raw = []
    for fold, part in zip((1, 2), pooled, strict=True):
        fitted = json.loads(Path(f"results/lesion/fold{fold}.json").read_text())["temperature"]
        powers = part.probabilities ** (fitted or 1.0)
        raw.append(powers / powers.sum(axis=1, keepdims=True))
    expected = expected_calibration_error(labels, np.concatenate(raw))
    assert figures.error_before.value == pytest.approx(expected, abs=1e-3)
    assert figures.error_after.value == pytest.approx(
        overall["calibration_error"]["value"], abs=1e-9
    )

    # Trials of two recipes, or of other weights or teachers, are never pooled.
    for changed in (("--weights", "best"), ("--teachers", "runs/lesion")):
        outcome = call(run, material, "lesion", "--only", "fold3", *changed)
        assert outcome.status == ExitStatus.DATA
        assert "fold1.json: was made with another recipe, other weights" in outcome.complaint
    torch.manual_seed(1)
    save_file(MobileNetV2().state_dict(), Path("other.safetensors"))
    outcome = call(run, material, "lesion", "--only", "fold3", init=Path("other.safetensors"))
    assert outcome.status == ExitStatus.DATA
    assert "fold1.json: started from start.safetensors" in outcome.complaint
    # Nor may a fold start from weights that have learned from its test images.
    outcome = call(
        *(run, material, "lesion", "--only", "fold3", "--results", "new", "--runs", "new_runs"),
        init=Path("runs/lesion/fold1/last_model.pth"),
    )
    assert outcome.status == ExitStatus.CONFIG
    assert "same part of the same split; its fold is 1, not 3" in outcome.complaint
    Path("other.toml").write_text(RECIPE.replace("batch_size = 8", "batch_size = 16"))
    outcome = call(run, material, "lesion", "--only", "fold3", "--config", "other.toml")
    assert outcome.status == ExitStatus.DATA
    assert not Path("runs/lesion/fold3").exists()
    assert json.loads(Path("results/lesion.json").read_text()) == both.json


def test_trials_go_on_from_their_own_networks(
    run: Run, material: Path, fold0: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("on.toml").write_text(RECIPE + 'scheduler = "constant"\naveraged_share = 1.0\n')
    second = ("--config", "on.toml", "--results", "second", "--runs", "second_runs")
    lesion = Path("runs/lesion")
    outcome = call(run, material, "lesion", "--only", "fold0", *second, init=lesion)
    assert outcome.status == 0, outcome.err
    first = json.loads((lesion / "fold0" / "run.json").read_text())
    origin = json.loads(Path("second/lesion/fold0.json").read_text())["training"]["origin"]
    digest = hashlib.sha256((lesion / "fold0" / "last_model.pth").read_bytes()).hexdigest()
    assert origin["initial_weights"] == f"last_model.pth, sha256 {digest}"
    assert origin["continues"] == {
        "config": first["config"],
        "origin": first["origin"],
        "precision": first["precision"],
    }

    # A trial without a network of its own to go on from, or with an unfinished one.
    outcome = call(run, material, "lesion", "--only", "fold1", *second, init=lesion)
    assert outcome.status == ExitStatus.DATA
    assert "fold1: holds no training run" in outcome.complaint
    shutil.copytree(lesion / "fold0", lesion / "fold1")
    stopped = {**first, "epochs_in_weights": 0}
    (lesion / "fold1" / "run.json").write_text(json.dumps(stopped))
    (lesion / "fold1" / "checkpoints" / "last.ckpt").unlink()
    outcome = call(run, material, "lesion", "--only", "fold1", *second, init=lesion)
    assert outcome.status == ExitStatus.DATA
    assert "fold1: its weights are not those of a finished training" in outcome.complaint
    (lesion / "fold1" / "run.json").write_text(json.dumps(first))
    outcome = call(run, material, "lesion", "--only", "fold1", *second, init=lesion)
    assert outcome.status == ExitStatus.CONFIG
    assert "same part of the same split; its fold is 0, not 1" in outcome.complaint
    # One whose first training had another recipe is not pooled with the others.
    other = {**first, "origin": {**first["origin"], "fold": 1}}
    other["config"] = {**first["config"], "model": {"dropout": 0.5, "frozen_layers": 0}}
    (lesion / "fold1" / "run.json").write_text(json.dumps(other))
    outcome = call(run, material, "lesion", "--only", "fold1", *second, init=lesion)
    assert outcome.status == ExitStatus.DATA
    assert "networks that these trials started from are of different recipes" in outcome.complaint


def test_processes_share_the_trials_out(
    run: Run, material: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sole_training_in(Path("runs/lesion/fold3")):
        outcome = call(run, material, "lesion", "--only", "fold3")
        assert outcome.status == ExitStatus.DATA
        assert "fold3: another process is at it" in outcome.err
        assert "no trial is tested yet" in outcome.err
        both = call(run, material, "lesion", "--only", "fold3", "--only", "fold4", "--json")
    assert both.status == 0, both.err
    assert both.json["trials"] == ["fold4"]
    assert not list(Path("runs/lesion/fold3").glob("checkpoints"))
    after = call(run, material, "lesion", "--only", "fold3", "--json")
    assert after.json["trials"] == ["fold3", "fold4"]

    aside = [Path(f"fold4.{ending}") for ending in ("csv", "json")]
    for path in aside:
        Path("results/lesion", path.name).rename(path)

    def same_command(*_: object, **__: object) -> Ended:
        """Stand for one that tests fold4, which is not asked for, while this one is at fold0."""
        for path in aside:
            path.rename(Path("results/lesion", path.name))
        return Ended.ELSEWHERE

    with monkeypatch.context() as patch:
        patch.setattr("dermassist.trial.run_trial", same_command)
        joined = call(run, material, "lesion", "--only", "fold0", "--json")
    assert joined.status == 0, joined.err
    assert joined.json["trials"] == ["fold3", "fold4"]

    def other_command(*_: object, **__: object) -> Ended:
        """Stand for one with another recipe, which tests fold4 while this one is at fold0."""
        path = Path("results/lesion/fold4.json")
        description = json.loads(path.read_text())
        description["training"]["config"]["optimisation"]["batch_size"] = 16
        path.write_text(json.dumps(description))
        return Ended.ELSEWHERE

    pooled = Path("results/lesion.json").read_bytes()
    monkeypatch.setattr("dermassist.trial.run_trial", other_command)
    mixed = call(run, material, "lesion", "--only", "fold0")
    assert mixed.status == ExitStatus.DATA
    assert "fold4.json: was made with another recipe" in mixed.err
    assert Path("results/lesion.json").read_bytes() == pooled


def test_what_was_tested_names_its_training_and_cannot_be_changed(
    run: Run, material: Path, fold0: None
) -> None:
    description = json.loads(Path("results/lesion/fold0.json").read_text())
    origin = description["training"]["origin"]
    assert (origin["protocol"], origin["fold"]) == ("lesion", 0)
    assert description["training"]["config"]["optimisation"]["batch_size"] == 8

    # Its graph is the network's own.
    assert description["training"]["onnx_agreement"]["images"] > 0

    # Nobody must take answers that were there before for new ones.
    said = "tested before, not trained again; give another --results and --runs to train"
    assert call(run, material, "lesion", "--only", "fold0").err == f"fold0: {said}\n"

    table = Path("results/lesion/fold0.csv")
    table.write_text(table.read_text().replace(f",{CODES[0]},", f",{CODES[1]},", 1))
    outcome = call(run, material, "lesion", "--only", "fold0")
    assert outcome.status == ExitStatus.DATA
    assert "was changed after it was written" in outcome.err


def test_figures_that_do_not_follow_from_their_rows_are_refused(
    run: Run, material: Path, fold0: None
) -> None:
    path = Path("results/lesion.json")
    document = json.loads(path.read_text())
    document["report"]["summary"]["overall"]["macro_f1"]["value"] += 0.01
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="contradicts its own rows: macro_f1 is stated as"):
        ProtocolFigures.read(path)
    del document["each"]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="holds no figures of a protocol"):
        ProtocolFigures.read(path)
    path.write_bytes(b"\xff" * 10_000)
    with pytest.raises(DataError, match="holds no figures of a protocol") as caught:
        ProtocolFigures.read(path)
    assert len(str(caught.value)) < 300
    path.write_text(json.dumps({"report": {}, "trials_of_protocol": 5}))
    Path("results/lesion/fold0.json").write_bytes(b"\xff" * 10_000)
    outcome = call(run, material, "lesion", "--only", "fold0")
    assert outcome.status == ExitStatus.DATA
    assert "does not say how it was trained" in outcome.err
    assert len(outcome.err) < 500


def test_a_source_is_scored_by_classes_with_enough_images(run: Run, material: Path) -> None:
    sources = sorted({record.source for record in read_ham10000(material / "ham").records})
    outcome = call(run, material, "source", "--only", sources[0], "--json")
    assert outcome.status == 0, outcome.err
    figures = ProtocolFigures.read(Path("results/source.json"))
    (only,) = figures.each
    assert (only.name, figures.trials_of_protocol) == (sources[0], len(sources))
    for row in only.summary.classes:
        assert row.scored == (row.images >= MINIMUM_CLASS_IMAGES)
    assert len(only.summary.not_scored) > 0


def test_the_papers_protocol_says_what_it_is(run: Run, material: Path) -> None:
    outcome = call(run, material, "paper", "--weights", "best")
    assert outcome.status == 0, outcome.err
    assert "lesions leak" in outcome.err
    assert "1 of 1 trials" in outcome.out
    assert "Balanced accuracy" in outcome.out
    assert "fitted on the images that it reports" in outcome.out
    assert "Referral at the threshold" not in outcome.out
    assert "Brier score" in outcome.out
    rows = [line.partition("  ")[0] for line in outcome.lines]
    assert "Expected calibration error (15 bins)" not in rows
    assert "The same if perfectly calibrated" not in rows


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("lesion", "--only", "fold9"), "--only must name trials among fold0"),
        (("paper", "--weights", "lucky"), "--weights must be last or best"),
    ],
)
def test_wrong_arguments_are_refused_before_training(
    run: Run, material: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    outcome = call(run, material, *arguments)
    assert outcome.status == ExitStatus.CONFIG
    assert complaint in outcome.complaint
    assert list(Path().iterdir()) == []


def test_what_is_no_result_of_a_protocol_is_not_replaced(run: Run, material: Path) -> None:
    Path("results").mkdir()
    for content in ('{"protocol": "x", "bootstrap_seed": 0, "report": {}}', "notes"):
        Path("results/paper.json").write_text(content)
        outcome = call(run, material, "paper")
        assert outcome.status == ExitStatus.CONFIG
        assert outcome.complaint == (
            "results/paper.json: exists and is no result of a protocol; give another --results, or "
            "remove it"
        )
        assert Path("results/paper.json").read_text() == content
    assert not Path("runs").exists()


def test_pooled_answers_are_called_so_and_each_networks_error_is_told(
    run: Run, material: Path
) -> None:
    outcome = call(run, material, "lesion", "--only", "fold1", "--only", "fold2")
    assert outcome.status == 0, outcome.err
    figures = ProtocolFigures.read(Path("results/lesion.json"))
    own = [trial.summary.overall.calibration_error.value for trial in figures.each]
    assert "Overall, answers of 2 networks pooled" in outcome.lines
    assert "Expected calibration error (15 bins), answers of 2 networks pooled" in outcome.lines
    told = f"A network's own calibration error is {np.mean(own):.3f} in the mean"
    assert any(line.startswith(told) for line in outcome.lines)
    overall, after = (
        next(line for line in outcome.lines if line.startswith(label))
        for label in ("Expected calibration error (15 bins)  ", "With temperature")
    )
    assert overall.partition(")")[2].split() == after.removeprefix("With temperature").split()


def test_every_trial_learns_from_its_own_teacher(run: Run, material: Path, fold0: None) -> None:
    taught = call(
        *(run, material, "lesion", "--only", "fold0", "--teachers", "runs/lesion"),
        *("--runs", "pupils", "--results", "taught"),
    )
    assert taught.status == 0, taught.err
    description = json.loads(Path("taught/lesion/fold0.json").read_text())
    teacher = read_bundle(Path("runs/lesion/fold0/model"))
    assert description["training"]["origin"]["teacher"] == teacher.sha256
    # Fold 1 has no teacher there: none is made up.
    outcome = call(
        *(run, material, "lesion", "--only", "fold1", "--teachers", "runs/lesion"),
        *("--runs", "pupils", "--results", "taught"),
    )
    assert outcome.status == ExitStatus.MODEL
    assert "runs/lesion/fold1/model: holds no model" in outcome.complaint


def test_a_model_that_was_trained_before_answers_its_trial(
    run: Run, material: Path, fold0: None
) -> None:
    given = ("--model", "runs/lesion/fold0/model", "--runs", "unused", "--results", "again")
    outcome = call(run, material, "lesion", "--only", "fold0", *given)
    assert outcome.status == 0, outcome.err
    for name in ("lesion.json", "lesion/fold0.csv", "lesion/fold0.json"):
        assert (Path("again") / name).read_bytes() == (Path("results") / name).read_bytes()
    assert not Path("unused").exists()
    # What was tested is left as it is, and a message says so.
    outcome = call(run, material, "lesion", "--only", "fold0", *given)
    assert "fold0: tested before" in outcome.err


def test_a_model_of_another_trial_or_recipe_is_refused_before_anything_is_written(
    run: Run, material: Path, fold0: None, tmp_path: Path
) -> None:
    given = ("--model", "runs/lesion/fold0/model", "--results", "again")
    for arguments in (("lesion", "--only", "fold1"), ("source",)):
        outcome = call(run, material, *arguments, *given)
        assert outcome.status == ExitStatus.CONFIG
        assert "was trained on none of the trials asked for" in outcome.complaint
    other = tmp_path / "start.safetensors"
    save_file({k: v + 1 for k, v in MobileNetV2().state_dict().items()}, other)
    outcome = call(run, material, "lesion", "--only", "fold0", *given, init=other)
    assert outcome.status == ExitStatus.DATA
    assert "runs/lesion/fold0/model: started from start.safetensors" in outcome.complaint
    outcome = call(run, material, "lesion", "--only", "fold0", *given, "--weights", "best")
    assert outcome.status == ExitStatus.DATA
    assert "runs/lesion/fold0/model: was made with another recipe, other weights" in (
        outcome.complaint
    )
    assert not Path("again").exists()
