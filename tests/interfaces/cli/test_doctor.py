from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from dermassist.interfaces.cli import doctor, requirement
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import read_bundle, write_bundle

from .conftest import Run

ROOT = Path(__file__).parents[3]


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


def test_extras_are_those_of_the_project_file() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extra, names in doctor.optional().items():
        wanted = {
            re.split(r"[<>=]", line)[0]
            for line in stated["optional-dependencies"][extra]
            if not line.startswith("dermassist[")
        }
        assert wanted <= set(names)


def test_nothing_that_a_feature_needs_goes_unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would be said to be installed where the feature refuses to work."""
    asked: dict[str, tuple[str, ...]] = {}
    monkeypatch.setattr(
        requirement,
        "_require",
        lambda feature, libraries, *, extra: asked.update({extra: libraries}),
    )
    for require in (
        requirement.require_report,
        requirement.require_search,
        requirement.require_training,
    ):
        require("It")
    assert set(asked) == {"report", "tune", "train"}
    of_module = metadata.packages_distributions()
    # What another library of the same extra brings along cannot be missing alone.
    brought = {"fontTools", "sqlalchemy"}
    for extra, modules in asked.items():
        named = {name.lower() for name in doctor.optional()[extra]}
        for module in set(modules) - brought:
            assert named & {name.lower().replace("_", "-") for name in of_module[module]}, module


def test_without_an_installation_no_extra_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", absent)
    assert set(doctor.optional().values()) == {()}


def test_a_source_distribution_holds_what_its_commands_need() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    included = set(build["targets"]["sdist"]["include"])
    # Unanchored, a pattern matches in every folder.
    assert all(re.fullmatch(r"/[^/*]+", name) for name in included)
    assert [name for name in included if not (ROOT / name[1:]).exists()] == []
    commands = "".join((ROOT / name).read_text("utf-8") for name in ("Makefile", "README.md"))
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    used = {name for name in folders if re.search(rf"\b{name}/|:= .*\b{name}\b", commands)}
    assert {"benchmarks", "configs", "src", "tests"} <= used
    # What make itself fills is none of the sources.
    wanted = {*used, "splits", "results"} - {"demo", "dist", "build", "runs"}
    assert {f"/{name}" for name in (*wanted, ".importlinter", "MODEL_CARD.md")} <= included


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
