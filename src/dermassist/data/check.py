"""What of HAM10000 is there, and what is missing or unreadable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dermassist.data.archive import was_extracted
from dermassist.data.ham10000 import Record, measure_pixel_aspect, read_ham10000
from dermassist.data.mask import read_mask
from dermassist.diagnosis import CODES
from dermassist.errors import DataError, ImageError
from dermassist.imaging import read_image

_DECODERS = 2


@dataclass(frozen=True)
class DataFindings:
    """What a folder holds.

    Attributes:
        directory: that was looked into.
        images: rows of the metadata.
        lesions: different lesions among them.
        by_class: rows by diagnosis code, in the order of ``Diagnosis``.
        by_source: rows by source.
        masks: rows with a lesion mask.
        missing: images without a file.
        unreadable: images, or masks, whose file cannot be decoded, with the reason.
        damaged_folders: folders of such files, and whether ``fetch_ham10000`` unpacked them.
        decoded: whether files were opened at all.
        pixel_aspect: see ``Ham10000``.
    """

    directory: Path
    images: int
    lesions: int
    by_class: dict[str, int]
    by_source: dict[str, int]
    masks: int
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    damaged_folders: dict[str, bool]
    decoded: bool
    pixel_aspect: float

    @property
    def complete(self) -> bool:
        """Whether every image of the metadata is there and readable."""
        return not self.missing and not self.unreadable

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            **vars(self),
            "directory": str(self.directory),
            "missing": list(self.missing),
            "unreadable": list(self.unreadable),
            "complete": self.complete,
        }

    def lines(self, *, listed: int) -> list[str]:
        """Return sentences for a person, naming at most ``listed`` bad files of each kind."""
        lines = [
            f"{self.directory}: {self.images} images of {self.lesions} lesions in the metadata",
            f"  classes: {_counts(self.by_class)}",
            f"  sources: {_counts(self.by_source)}",
            f"  lesion masks: {self.masks}",
        ]
        if self.pixel_aspect != 1.0:
            lines.append(
                f"  images are squeezed: the masks show that a pixel is {self.pixel_aspect:.3f} "
                "times as wide as high; they will be stretched back"
            )
        lines += _listing("missing", self.missing, listed)
        lines += _listing("unreadable", self.unreadable, listed)
        if self.complete:
            how = "there and readable" if self.decoded else "there (not decoded)"
            lines.append(f"Complete: every image is {how}.")
        lines += [f"Incomplete: {remedy}." for remedy in self._remedies()]
        return lines

    def _remedies(self) -> Iterator[str]:
        if self.missing:
            yield "run  dermassist data fetch  to get what is missing"
        for folder, fetched in self.damaged_folders.items():
            if fetched:
                # As long as it is there, a fetch compares no more than names and sizes.
                yield f"delete {folder}, then run  dermassist data fetch  to get what is unreadable"
            else:
                yield (
                    f"copy what is unreadable in {folder} again from where that folder came from;  "
                    "dermassist data fetch  did not make it"
                )


def check_ham10000(directory: Path, *, decode: bool = True) -> DataFindings:
    """Look a data set through.

    Args:
        directory: as for ``read_ham10000``.
        decode: open every image and mask, which takes a minute or two.

    Raises:
        DataError: the folder or its metadata is missing or not HAM10000's, or images and masks
            disagree about proportions.
    """
    # Proportions are measured below, where damaged files are findings and stop nothing.
    records = read_ham10000(directory, pixel_aspect=1.0).records
    failures = _unreadable(records) if decode else {}
    classes = Counter(record.diagnosis.code for record in records)
    return DataFindings(
        directory=directory,
        images=len(records),
        lesions=len({record.lesion_id for record in records}),
        by_class={code: classes[code] for code in CODES},
        by_source=dict(Counter(record.source for record in records).most_common()),
        masks=sum(record.mask_path is not None for record in records),
        missing=tuple(record.image_id for record in records if record.path is None),
        unreadable=tuple(failures.values()),
        damaged_folders={str(path.parent): was_extracted(path.parent) for path in failures},
        decoded=decode,
        pixel_aspect=measure_pixel_aspect(records) or 1.0,
    )


def _unreadable(records: Sequence[Record]) -> dict[Path, str]:
    """Return why files cannot be decoded."""
    images = [record.path for record in records if record.path is not None]
    masks = [record.mask_path for record in records if record.mask_path is not None]
    return {**_failures(images, _image_failure), **_failures(masks, _mask_failure)}


def _failures(paths: Sequence[Path], probe: Callable[[Path], str | None]) -> dict[Path, str]:
    with ThreadPoolExecutor(_DECODERS) as pool:
        reasons = pool.map(probe, paths)
        return {path: why for path, why in zip(paths, reasons, strict=True) if why is not None}


def _image_failure(path: Path) -> str | None:
    try:
        read_image(path)
    except ImageError as error:
        return str(error)
    return None


def _mask_failure(path: Path) -> str | None:
    try:
        read_mask(path)
    except DataError as error:
        return str(error)
    return None


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _listing(kind: str, names: Sequence[str], listed: int) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - listed} more" if len(names) > listed else ""
    return [f"  {kind} ({len(names)}): {'; '.join(names[:listed])}{more}"]
