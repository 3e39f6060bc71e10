"""Published checksums of files, and those computed here to compare."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dermassist.data.progress import SILENT, Progress

if TYPE_CHECKING:
    from pathlib import Path

_LABELS = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
_HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Checksum:
    """A digest in lower-case hex; ``algorithm`` is md5, sha1, sha256 or sha512."""

    algorithm: str
    value: str

    @classmethod
    def from_published(cls, kind: object, value: object) -> Checksum | None:
        """Read a checksum as archives publish it, such as ``("SHA-256", "9F86...")``.

        Returns:
            None where there is nothing to compare with: an unknown kind, or a value that is no
            digest of that kind (archives put words such as "Not available" there).
        """
        algorithm = re.sub(r"[-_ ]", "", str(kind)).lower()
        digest = str(value).strip().lower()
        if len(digest) != _HEX_DIGITS.get(algorithm) or not re.fullmatch("[0-9a-f]+", digest):
            return None
        return cls(algorithm, digest)

    @property
    def label(self) -> str:
        """The algorithm as people write it: ``SHA-256``."""
        return _LABELS[self.algorithm]

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


def file_checksum(path: Path, algorithm: str, *, progress: Progress = SILENT) -> Checksum:
    """Compute a file's checksum with one of the algorithms that :class:`Checksum` names.

    Raises:
        OSError: the file cannot be read.
    """
    # It guards against damage, not against an attacker: MD5 may serve where policy bans it.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    progress.start(f"Verifying {path.name}", total_bytes=path.stat().st_size)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                progress.advance(len(chunk))
    finally:
        progress.finish()
    return Checksum(algorithm, digest.hexdigest())
