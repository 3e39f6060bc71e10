"""The command line, called in the test's own process, and things to call it with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dermassist.inference.classifier import Classifier
from dermassist.interfaces.cli import _run
from dermassist.model.bundle import read_bundle, write_bundle
from dermassist.sample import draw_lesion
from dermassist.selfcheck import sample_record


@dataclass(frozen=True)
class Outcome:
    """What a user sees of one call."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object on one line and nothing else."""
        assert self.out.endswith("}\n")
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def json_error(self) -> Any:
        """Standard error, which must be one JSON object, with nothing on standard output."""
        assert self.out == ""
        assert self.err.count("\n") == 1
        error: dict[str, Any] = json.loads(self.err)
        assert set(error) == {"error"}
        assert error["error"]["status"] == self.status
        return error["error"]

    @property
    def complaint(self) -> str:
        """The one sentence on standard error, with nothing on standard output."""
        assert self.out == ""
        assert self.err.count("\n") == 1
        assert self.err.startswith("dermassist: ")
        assert "Traceback" not in self.err
        return self.err.removeprefix("dermassist: ").rstrip("\n")


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that calls ``dermassist`` with arguments, in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    for name in ("DERMASSIST_DATA", "DERMASSIST_INIT", "DERMASSIST_CACHE", "DERMASSIST_DEBUG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str | Path | int) -> Outcome:
        capsys.readouterr()
        status = _run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(status), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def drawing() -> NDArray[np.uint8]:
    """A small drawn lesion, 320 x 240."""
    return draw_lesion(np.random.default_rng(7), width=320, height=240)


@pytest.fixture
def photo(tmp_path: Path, drawing: NDArray[np.uint8]) -> Path:
    """The drawn lesion as a JPEG file."""
    path = tmp_path / "lesion.jpg"
    Image.fromarray(drawing).save(path, quality=92)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five small drawings, of different sizes and kinds."""
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(3)
    for name, size in (
        ("e.jpg", (96, 72)),
        ("b.png", (64, 64)),
        ("d.JPG", (72, 96)),
        ("a.webp", (128, 96)),
        ("c.tif", (80, 80)),
    ):
        Image.fromarray(draw_lesion(random, width=size[0], height=size[1])).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def sample_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with its answer for the bundled sample; do not change it."""
    bundle = read_bundle(tiny_bundle)
    sample = sample_record(Classifier(bundle, threads=1))
    directory = tmp_path_factory.mktemp("sample") / "bundle"
    write_bundle(directory, replace(bundle.manifest, sample=sample), {"model.onnx": bundle.graph})
    return directory


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which no assessment can be written: the disk is full."""
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "assessment" in path.name:
            raise OSError(28, "No space left on device", str(path))
        return write(path, content)

    return lambda: monkeypatch.setattr(Path, "write_bytes", full)
