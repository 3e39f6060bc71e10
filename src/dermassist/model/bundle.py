"""A model on disk: one folder with a graph and the manifest that vouches for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Self

from dermassist.errors import BundleError, ConfigError
from dermassist.model.manifest import FileEntry, Manifest
from dermassist.storage import replacing_folder, write_bytes, write_text

MANIFEST_NAME = "manifest.json"
GRAPH_NAME = "model.onnx"
TTA_FOLDER = "tta"


@dataclass(frozen=True)
class Bundle:
    """A verified model.

    Attributes:
        directory: holds the files.
        manifest: what the model says of itself.
        graph: the verified bytes of the ONNX graph.
        sha256: hash of the manifest's file, and through it of every file.
    """

    directory: Path
    manifest: Manifest
    graph: bytes
    sha256: str

    @classmethod
    def unwritten(cls, directory: Path, manifest: Manifest, graph: bytes) -> Self:
        """Return a model that is on no disk yet; its hash is that of the file to be written."""
        return cls(directory, manifest, graph, _hash(manifest.to_json().encode()))


def default_directory() -> Path:
    """Return the folder of the model that ships inside the package."""
    return Path(str(resources.files("dermassist") / "bundle"))


def bundle_directory(directory: str | Path | None, *, tta: bool) -> Path:
    """Return the folder of the bundle that is meant, by default the one that ships.

    Args:
        directory: of any bundle.
        tta: the variant that ships for test-time augmentation.

    Raises:
        ConfigError: both are given.
    """
    if directory is None:
        return default_directory() / TTA_FOLDER if tta else default_directory()
    if tta:
        raise ConfigError(
            "either a model's folder or tta can be given: tta names the one that ships"
        )
    return Path(directory)


def read_bundle(directory: Path | None = None) -> Bundle:
    """Read and verify a bundle, by default the one that ships.

    A folder inside a bundle's may hold a variant that uses the same graph otherwise: files that
    are not beside its manifest are looked for beside the bundle's.

    Raises:
        BundleError: a file is missing or differs from its hash, or the manifest is malformed.
    """
    place = directory or default_directory()
    path = place / MANIFEST_NAME
    try:
        # Bytes, because text mode would read other line ends as if nothing had changed.
        written = path.read_bytes()
        text = written.decode("utf-8")
    except FileNotFoundError:
        raise BundleError(
            f"{place}: holds no model ({MANIFEST_NAME} is missing); "
            "install dermassist again or name another folder"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: cannot be read ({error})") from error
    manifest = Manifest.from_json(text, where=str(path))
    contents = {
        name: _verified(_place_of(name, place), entry) for name, entry in manifest.files.items()
    }
    if GRAPH_NAME not in contents:
        raise BundleError(f"{path}: names no {GRAPH_NAME}; install the model again")
    # Not of what this version would write: an earlier one's file lacks what it did not know.
    return Bundle(place, manifest, contents[GRAPH_NAME], _hash(written))


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Write a bundle; an earlier one at the same place is replaced only when all is written.

    Args:
        directory: of the bundle.
        manifest: its ``files`` are filled in here.
        files: contents by file name; ``model.onnx`` among them.

    Raises:
        BundleError: the graph is missing.
        OSError: the disk is full or the folder cannot be written.
    """
    if GRAPH_NAME not in files:
        raise BundleError(f"a bundle needs {GRAPH_NAME}")
    entries = {name: FileEntry(_hash(content), len(content)) for name, content in files.items()}
    complete = replace(manifest, files=entries)
    text = complete.to_json()
    with replacing_folder(directory) as staging:
        for name, content in files.items():
            write_bytes(staging / name, content)
        write_text(staging / MANIFEST_NAME, text)
    return Bundle(directory, complete, files[GRAPH_NAME], _hash(text.encode()))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place_of(name: str, place: Path) -> Path:
    shared = place.parent / name
    is_variant = (place.parent / MANIFEST_NAME).is_file() and shared.is_file()
    return shared if is_variant and not (place / name).exists() else place / name


def _verified(path: Path, entry: FileEntry) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error}); install the model again") from error
    if len(content) != entry.bytes or _hash(content) != entry.sha256:
        raise BundleError(
            f"{path}: does not match its hash in {MANIFEST_NAME}; install the model again"
        )
    return content
