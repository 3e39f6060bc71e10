"""A bundle is read whole and unchanged, or refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermassist.errors import BundleError
from dermassist.model.bundle import read_bundle, write_bundle
from dermassist.model.manifest import Manifest, QualityReference, ReferralRule

from ...conftest import tiny_graph, tiny_manifest


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    manifest = tiny_manifest(
        referral=ReferralRule(0.07, 0.95, {"sensitivity": 0.9}),
        training={"origin": {"fold": 0}},
        metrics={"accuracy": 0.5},
    )
    written = write_bundle(tmp_path / "b", manifest, {"model.onnx": tiny_graph()})
    read = read_bundle(tmp_path / "b")
    assert read.manifest == written.manifest
    assert (read.graph, read.sha256) == (written.graph, written.sha256)
    assert isinstance(read.manifest.quality_reference, QualityReference)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(["manifest.json", "model.onnx"]), data=st.data())
def test_any_changed_bit_is_refused(
    tiny_bundle: Path, tmp_path: Path, name: str, data: st.DataObject
) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tiny_bundle, copy)
    content = bytearray((copy / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(copy)


def test_unmeasured_values_say_so() -> None:
    text = tiny_manifest(temperature=None, metrics=None).to_json()
    written = json.loads(text)
    assert written["temperature"] == written["metrics"] == "not measured"
    assert Manifest.from_json(text, where="here").temperature is None


def test_other_labels_are_refused() -> None:
    swapped = replace(tiny_manifest(), labels=("nv", "akiec", "bcc", "bkl", "df", "mel", "vasc"))
    with pytest.raises(BundleError, match="labels must be"):
        Manifest.from_json(swapped.to_json(), where="here")


def test_a_failed_write_leaves_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "b"
    write_bundle(place, tiny_manifest(name="old"), {"model.onnx": tiny_graph()})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dermassist.model.bundle.write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_bundle(place, tiny_manifest(name="new"), {"model.onnx": tiny_graph(seed=1)})
    monkeypatch.undo()
    assert read_bundle(place).manifest.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
