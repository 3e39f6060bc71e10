"""The protocols by name; apart from what they do, because the command line loads this first."""

from __future__ import annotations

from enum import StrEnum


class Protocol(StrEnum):
    """How images are divided.

    ``LESION``: five folds, no lesion in two parts. ``PAPER``: the paper's 80:20 split of images,
    which leaks lesions, and whose test part also selects. ``SOURCE``: one source is left out.
    """

    LESION = "lesion"
    PAPER = "paper"
    SOURCE = "source"
