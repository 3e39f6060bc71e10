"""Names of files to download: they tell image and case, and are safe on every system."""

from __future__ import annotations

import re
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_STEM = 60


def file_name(image_name: str, case_id: str | None, suffix: str, *, begin: str = "") -> str:
    """Return a file name such as ``DermAssist_Report_lesion_c6ef5677.pdf``.

    Args:
        image_name: of the image that was answered; its stem is used.
        case_id: in the case book; ``None`` for what is not kept there.
        suffix: with its dot.
        begin: what kind of file it is.
    """
    stem = _UNSAFE.sub("_", Path(image_name).stem)[:_LONGEST_STEM]
    parts = (begin, stem, (case_id or "")[:8])
    return "_".join(part for part in parts if part) + suffix
