"""Which font has which character: the bundled ones first, then those installed on the system."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from numpy.typing import NDArray

_FOLDER = Path(str(resources.files("dermassist.report") / "fonts"))
_SCRIPTS = ("Arabic", "Hebrew", "Devanagari", "Thai", "Armenian", "Georgian")
#: Where systems keep fonts; those that do not exist are passed over.
SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path.home() / ".local/share/fonts",
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path.home() / "Library/Fonts",
    Path("C:/Windows/Fonts"),
    Path.home() / "AppData/Local/Microsoft/Windows/Fonts",
)
_SUFFIXES = {".ttf", ".ttc", ".otf", ".otc"}
#: Families with many characters or of one large script; their files are looked into first.
_PREFERRED = (
    "notosanscjk",
    "sourcehansans",
    "droidsansfallback",
    "wqy",
    "msyh",
    "pingfang",
    "hiragino",
    "simsun",
    "malgun",
    "nirmala",
    "arialuni",
    "notosans",
    "dejavusans",
)
#: Font files that are opened at most in one search, which bounds its time.
MOST_FILES = 300
_RESTRICTED, _NO_SUBSETTING = 0x0002, 0x0100


@dataclass(frozen=True)
class Font:
    """A font file; in a collection, its first font."""

    path: Path
    bold: Path | None = None

    def has(self, text: str) -> bool:
        """Whether the font has a glyph for every character."""
        return characters_of(self.path).issuperset(text)

    def file(self, text: str, *, bold: bool) -> Path:
        """Return the file that prints a text: the bold one where that is wanted and has it all."""
        if bold and self.bold is not None and characters_of(self.bold).issuperset(text):
            return self.bold
        return self.path


#: The typeface of the report.
MAIN = Font(_FOLDER / "NotoSans-Regular.ttf", bold=_FOLDER / "NotoSans-Bold.ttf")
BUNDLED = (MAIN, *(Font(_FOLDER / f"NotoSans{script}-Regular.ttf") for script in _SCRIPTS))


@dataclass(frozen=True)
class FontCollection:
    """Fonts in the order in which they are asked for a character.

    Attributes:
        fonts: the first is the typeface of the report.
        folders: searched for a font with characters that none of these has.
    """

    fonts: tuple[Font, ...] = BUNDLED
    folders: tuple[Path, ...] = field(default=SYSTEM_FOLDERS)

    def font_for(self, character: str) -> Font | None:
        """Return the first font that has the character."""
        return next((font for font in self.fonts if font.has(character)), None)

    def extended(self, characters: Iterable[str]) -> FontCollection:
        """Return a collection with installed fonts for characters that are missing here."""
        missing = frozenset(c for c in set(characters) if self.font_for(c) is None)
        if not missing:
            return self
        found = tuple(Font(path) for path in search(missing, self.folders))
        return FontCollection((*self.fonts, *found), self.folders)


#: Without any search, for reports that must not depend on the system.
BUNDLED_ONLY = FontCollection(folders=())


@lru_cache(maxsize=32)
def characters_of(path: Path) -> frozenset[str]:
    """Return the characters of a font that is in use."""
    return frozenset(map(chr, coverage(path).tolist()))


@lru_cache(maxsize=1024)
def coverage(path: Path) -> NDArray[np.uint32]:
    """Return the code points of a font in rising order; none if it cannot or must not be used."""
    try:
        with path.open("rb") as file, TTFont(file, lazy=True, fontNumber=0) as font:
            outlines = "glyf" in font or "CFF " in font
            rights = font["OS/2"].fsType if "OS/2" in font else 0
            if not outlines or rights & 0x000F == _RESTRICTED or rights & _NO_SUBSETTING:
                return np.empty(0, np.uint32)
            return np.array(sorted(font.getBestCmap() or ()), np.uint32)
    except (TTLibError, OSError, LookupError, ValueError, AssertionError, struct.error):
        # Systems have damaged and exotic font files, which are no reason to print nothing.
        return np.empty(0, np.uint32)


@lru_cache(maxsize=256)
def search(characters: frozenset[str], folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return installed fonts that have some of the characters, the most useful first.

    At most ``MOST_FILES`` files are looked into, those of well-known families first.
    """
    wanted = np.array(sorted(map(ord, characters)), np.uint32)
    found = []
    for path in installed(folders)[:MOST_FILES]:
        had = np.isin(wanted, coverage(path), assume_unique=True)
        if had.any():
            found.append(path)
            wanted = wanted[~had]
        if not wanted.size:
            break
    return tuple(found)


@lru_cache(maxsize=8)
def installed(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the font files below some folders, well-known families first, upright and regular."""
    files = {
        path
        for folder in folders
        # os.path, because pathlib's own test raises in a home that may not be entered.
        if os.path.isdir(folder)  # noqa: PTH112
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
    }
    return tuple(sorted(files, key=_usefulness))


def _usefulness(path: Path) -> tuple[int, bool, str]:
    name = path.stem.lower().replace("-", "").replace("_", "").replace(" ", "")
    rank = next((i for i, family in enumerate(_PREFERRED) if name.startswith(family)), 99)
    styled = any(style in name for style in ("bold", "italic", "oblique", "mono", "condensed"))
    return rank, styled, str(path)
