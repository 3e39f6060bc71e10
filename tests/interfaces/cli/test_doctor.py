from __future__ import annotations

import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import read_bundle, write_bundle

from .conftest import Run


@pytest.fixture
def altered_bundle(sample_bundle: Path, tmp_path: Path) -> Path:
    """A sound bundle whose stored answer is not what its graph says."""
    bundle = read_bundle(sample_bundle)
    assert bundle.manifest.sample is not None
    stored = dict(bundle.manifest.sample["probabilities"])
    stored["mel"] += 0.002
    sample = {**bundle.manifest.sample, "probabilities": stored}
    manifest = replace(bundle.manifest, sample=sample)
    write_bundle(tmp_path / "altered", manifest, {"model.onnx": bundle.graph})
    return tmp_path / "altered"


def test_sound_installation_is_proved(run: Run, sample_bundle: Path) -> None:
    outcome = run("doctor", "--model", sample_bundle)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"  numpy {metadata.version('numpy')}" in outcome.lines
    assert f"  onnxruntime {metadata.version('onnxruntime')}" in outcome.lines
    assert f"  sha256 {read_bundle(sample_bundle).sha256}" in outcome.lines
    assert "Model tiny 0" in outcome.lines
    assert f"  in {sample_bundle}" in outcome.lines
    assert outcome.lines[-1].startswith("Healthy: the sample's stored probabilities")


def test_json_says_the_same(run: Run, sample_bundle: Path) -> None:
    outcome = run("doctor", "--model", sample_bundle, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    findings = outcome.json
    assert findings["healthy"] is True
    assert findings["sample_deviation"] <= findings["sample_tolerance"] == 1e-3
    assert findings["versions"]["numpy"] == metadata.version("numpy")
    assert set(findings["extras"]) == {"report", "tune", "app", "train"}
    assert findings["model"] == {
        "name": "tiny",
        "version": "0",
        "sha256": read_bundle(sample_bundle).sha256,
        "folder": str(sample_bundle),
    }


def test_another_answer_is_not_healthy(run: Run, altered_bundle: Path) -> None:
    outcome = run("doctor", "--model", altered_bundle)
    assert outcome.status == ExitStatus.CHECK_FAILED
    assert re.search(r"NOT healthy: .* by 2\.00e-03 \(allowed 1e-03\)", outcome.lines[-1])
    assert "install dermassist again" in outcome.lines[-1]


def test_another_answer_is_not_healthy_as_json(run: Run, altered_bundle: Path) -> None:
    outcome = run("doctor", "--model", altered_bundle, "--json")
    assert outcome.status == ExitStatus.CHECK_FAILED
    assert outcome.json["healthy"] is False
    assert outcome.json["sample_deviation"] == pytest.approx(0.002, abs=1e-5)


def test_model_without_a_stored_answer_proves_nothing(run: Run, tiny_bundle: Path) -> None:
    outcome = run("doctor", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.MODEL
    assert "stores no answer for synthetic_lesion.jpg" in outcome.err
    assert "ealthy" not in outcome.out


def test_versions_are_said_even_where_the_model_is_missing(run: Run) -> None:
    outcome = run("doctor", "--model", "nowhere")
    assert outcome.status == ExitStatus.MODEL
    assert f"  numpy {metadata.version('numpy')}" in outcome.lines
    assert outcome.err.startswith("dermassist: nowhere: holds no model")
    assert run("doctor", "--model", "nowhere", "--json").json_error["name"] == "MODEL"


def test_missing_extra_is_named(
    run: Run, sample_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version

    def without_optuna(name: str) -> str:
        if name == "optuna":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_optuna)
    outcome = run("doctor", "--model", sample_bundle)
    assert outcome.status == 0
    assert "  extra 'tune': missing optuna" in outcome.lines


def test_the_variant_for_mirrored_views_is_sound_too(run: Run) -> None:
    outcome = run("doctor", "--tta", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.json["healthy"] is True
    assert outcome.json["model"]["version"].endswith("-tta")


def test_a_model_and_the_variant_cannot_both_be_meant(run: Run, sample_bundle: Path) -> None:
    Image.new("RGB", (64, 64)).save("one.png")
    outcome = run("predict", "one.png", "--csv", "table.csv", "--tta", "--model", sample_bundle)
    assert outcome.status == ExitStatus.CONFIG
    assert "either a model's folder or tta" in outcome.complaint
    assert not Path("table.csv").exists()
