"""What ``test_bundle_integrity`` leaves open: places, swaps and malformed manifests."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dermassist.diagnosis import CODES
from dermassist.errors import BundleError
from dermassist.inference.classifier import Classifier
from dermassist.model.bundle import Bundle, read_bundle, write_bundle
from dermassist.model.manifest import ConformalRule, Manifest, ReferralRule

from ...conftest import tiny_graph, tiny_manifest

GRAPH = {"model.onnx": tiny_graph()}


def rehashed(change: Callable[[dict[str, Any]], object]) -> str:
    """A manifest changed by someone who knows how its hash is made."""
    body = json.loads(tiny_manifest().to_json())
    body.pop("sha256")
    change(body)
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def test_an_unchanged_manifest_passes_the_rehashing_helper() -> None:
    text = rehashed(lambda body: None)
    assert text == tiny_manifest().to_json()
    assert Manifest.from_json(text, where="here") == tiny_manifest()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body.update(schema_version=2), "schema version 2, this program reads 1"),
        (lambda body: body.update(labels=["nv"]), "labels must be akiec, .* got nv"),
        (lambda body: body.pop("name"), "malformed"),
        (lambda body: body.pop("temperature"), "malformed"),
        (lambda body: body.update(surplus=1), "unknown keys surplus"),
        (lambda body: body.update(preprocessing="none"), "malformed"),
        (lambda body: body["preprocessing"].update(size_px=100), "multiple of 32"),
        (lambda body: body["preprocessing"].update(magic=1), "malformed"),
        (lambda body: body.update(files=[]), "malformed"),
        (lambda body: body.update(files={"model.onnx": "abc"}), "malformed"),
        (lambda body: body.update(temperature=0), "temperature must be above 0, got 0"),
        (lambda body: body.update(temperature="hot"), "malformed"),
        (lambda body: body.update(evidence_scale=-1.0), "evidence_scale must be above 0"),
        (
            lambda body: body.update(conformal={"coverage": 0.9, "thresholds": {"mel": 0.1}}),
            "conformal.thresholds must name akiec",
        ),
        *(
            (
                lambda body, value=value: body.update(
                    referral={"threshold": value, "target_sensitivity": 0.95}
                ),
                r"referral\.threshold must lie in 0\.\.1",
            )
            for value in (7, "0.5", None, True)
        ),
        (
            lambda body: body.update(
                conformal={"coverage": "x", "thresholds": dict.fromkeys(CODES, 0.1)}
            ),
            r"conformal\.coverage must lie in 0\.\.1",
        ),
        (
            lambda body: body.update(
                conformal={"coverage": 0.9, "thresholds": dict.fromkeys(CODES, "a")}
            ),
            r"conformal\.thresholds\.akiec must lie in 0\.\.1",
        ),
        (
            lambda body: body.update(sample={"file": "synthetic_lesion.jpg", "probabilities": {}}),
            r"sample\.probabilities\.akiec must lie in 0\.\.1",
        ),
    ],
)
def test_a_malformed_manifest_is_refused_even_with_a_right_hash(
    change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    with pytest.raises(BundleError, match=f"^here: .*{reason}"):
        Manifest.from_json(rehashed(change), where="here")


def test_what_is_wrong_in_a_manifest_is_told_in_few_words() -> None:
    referral = {"threshold": "x" * 100_000, "target_sensitivity": 0.9}
    with pytest.raises(BundleError, match=r"must lie in 0\.\.1") as caught:
        Manifest.from_json(rehashed(lambda body: body.update(referral=referral)), where="here")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "7", '"text"', "{}", "{", "[" * 100_000, '{"sha256": 1}']
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"^here: is not a model manifest"):
        Manifest.from_json(text, where="here")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace('"temperature": 1.5', '"temperature": 1.50'),
        lambda text: text.replace(" ", "  ", 1),
        lambda text: text + "\n",
    ],
    ids=["line ends", "another spelling of a number", "a blank", "a line"],
)
def test_a_change_that_keeps_every_value_is_refused_as_well(
    tiny_bundle: Path, tmp_path: Path, change: Callable[[str], str]
) -> None:
    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    path = copy / "manifest.json"
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode())
    with pytest.raises(BundleError, match="was changed after it was written; install"):
        read_bundle(copy)


def test_a_manifest_from_before_a_setting_existed_is_read() -> None:
    manifest = Manifest.from_json(
        rehashed(lambda body: body["preprocessing"].pop("network_px")), where="here"
    )
    assert manifest.preprocessing.network_px == 0


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx"])
def test_a_missing_file_is_named(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"copy.*{name}.*; ?install"):
        read_bundle(copy)


def test_a_folder_or_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent: holds no model .*manifest\.json is missing"):
        read_bundle(tmp_path / "absent")
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(tmp_path)


def test_a_bundle_without_a_graph_is_neither_written_nor_read(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"a bundle needs model\.onnx"):
        write_bundle(tmp_path / "bundle", tiny_manifest(), {"notes.txt": b"x"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "manifest.json").write_text(tiny_manifest().to_json(), encoding="utf-8")
    with pytest.raises(BundleError, match=r"names no model\.onnx"):
        read_bundle(tmp_path)


def test_every_rule_survives_the_file(tmp_path: Path) -> None:
    manifest = tiny_manifest(
        referral=ReferralRule(0.1, 0.95),
        conformal=ConformalRule(0.9, dict.fromkeys(CODES, 0.25), ("df",), {"size": 1.5}),
        metrics={"accuracy": 0.8, "classes": ["mel"]},
        libraries={"torch": "2"},
        training={"fold": 0},
        sample={"file": "x.jpg", "probabilities": dict.fromkeys(CODES, 0.1)},
    )
    written = write_bundle(tmp_path / "bundle", manifest, {**GRAPH, "notes.txt": b"more"})
    read = read_bundle(tmp_path / "bundle")

    assert read == written
    assert dataclasses.replace(read.manifest, files={}) == manifest
    assert read.manifest.files["notes.txt"].bytes == 4
    text = (tmp_path / "bundle" / "manifest.json").read_bytes()
    assert read.sha256 == hashlib.sha256(text).hexdigest()
    assert Bundle.unwritten(tmp_path, read.manifest, read.graph).sha256 == read.sha256


def test_the_hash_of_an_earlier_version_s_bundle_is_that_of_its_file(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    def as_it_was(body: dict[str, Any]) -> None:
        body.update(json.loads((tiny_bundle / "manifest.json").read_bytes()))
        del body["sha256"], body["preprocessing"]["network_px"]

    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    (copy / "manifest.json").write_bytes(rehashed(as_it_was).encode())
    read = read_bundle(copy)
    assert read.manifest == read_bundle(tiny_bundle).manifest
    assert read.sha256 == hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest()
    assert Classifier(read, threads=1).info.sha256 == read.sha256


def test_what_is_not_measured_says_so_in_the_file() -> None:
    body = json.loads(tiny_manifest(temperature=None, quality_reference=None).to_json())
    unmeasured = {name for name, value in body.items() if value == "not measured"}

    assert unmeasured == {
        "temperature",
        "quality_reference",
        "referral",
        "conformal",
        "metrics",
        "sample",
    }


def test_a_model_from_before_contrast_was_measured_is_still_read() -> None:
    def as_it_was(body: dict[str, Any]) -> None:
        del body["quality_reference"]["contrast"]
        body["quality_reference"]["lesion_share"] = 0.01

    reference = Manifest.from_json(rehashed(as_it_was), where="here").quality_reference
    assert reference == tiny_manifest().quality_reference


def test_an_earlier_bundle_is_replaced_as_a_whole(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    write_bundle(place, tiny_manifest(), {**GRAPH, "old.txt": b"old"})
    write_bundle(place, tiny_manifest(version="2"), GRAPH)

    assert read_bundle(place).manifest.version == "2"
    assert sorted(path.name for path in place.iterdir()) == ["manifest.json", "model.onnx"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_earlier_bundle_comes_back_when_the_swap_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bundle"
    write_bundle(place, tiny_manifest(version="1"), GRAPH)
    rename = Path.replace

    def fail_for_staged(self: Path, target: Path) -> Path:
        if target == place and not self.name.endswith(".old"):
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", fail_for_staged)
    with pytest.raises(OSError, match="Permission"):
        write_bundle(place, tiny_manifest(version="2"), GRAPH)
    monkeypatch.undo()
    assert read_bundle(place).manifest.version == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_a_written_bundle(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_bundle(tmp_path / "bundle", tiny_manifest(), GRAPH)
    finally:
        os.umask(before)
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "bundle" / "model.onnx").stat().st_mode & 0o777 == 0o644


def test_a_variant_shares_the_graph_of_the_bundle_around_it(tmp_path: Path) -> None:
    outer = write_bundle(tmp_path / "outer", tiny_manifest(), GRAPH)
    variant = dataclasses.replace(outer.manifest, version="variant", temperature=3.0)
    place = outer.directory / "variant"
    place.mkdir()
    (place / "manifest.json").write_text(variant.to_json(), encoding="utf-8", newline="")

    read = read_bundle(place)
    assert (read.graph, read.manifest) == (outer.graph, variant)
    assert read.sha256 != outer.sha256
    # The graph must still be the one that the variant vouches for.
    graph = outer.directory / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b" ")
    with pytest.raises(BundleError, match="does not match its hash"):
        read_bundle(place)
    graph.unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(place)


def test_a_folder_beside_no_bundle_takes_no_graph_from_around_it(tmp_path: Path) -> None:
    outer = write_bundle(tmp_path / "outer", tiny_manifest(), GRAPH)
    place = outer.directory / "variant"
    place.mkdir()
    (place / "manifest.json").write_text(outer.manifest.to_json(), encoding="utf-8", newline="")
    (outer.directory / "manifest.json").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(place)
