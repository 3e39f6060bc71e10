"""From any text to lines of runs: what can be printed, where lines break, which way they run.

Nothing is dropped: a character that no font has, or that cannot be seen, is printed as its code
point in brackets. Lines are reordered by the Unicode Bidirectional Algorithm (UAX 9, rule L2).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby

from fpdf.bidi import BidiParagraph, auto_detect_base_direction
from fpdf.enums import TextDirection

from dermassist.report.font import MAIN, Font, FontCollection, characters_of

#: Controls, invisible formats, surrogates, private use, not assigned, line separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
#: Scripts whose letters join, stack or reorder; between Hebrew and the extensions of Vedic.
_SHAPED = re.compile("[\u0590-\u109f\u1200-\u1cff\ua800-\uabff\ufb1d-\ufdff\ufe70-\ufefc]")
#: East Asian writing, which may break between any two characters.
_IDEOGRAPHS = (
    "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff"
)
#: Spaces that may become a line break.
_SPACES = " \u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u205f\u3000"
_TRAILING = re.compile(f"[{_SPACES}]+$")
_PIECES = re.compile(f"[{_SPACES}]+|[{_IDEOGRAPHS}]|[^{_SPACES}{_IDEOGRAPHS}]+")
#: A number keeps its per cent sign.
_PERCENT = re.compile(r"(?<=\d) %")

Measure = Callable[[str], float]


@dataclass(frozen=True)
class Run:
    """Text of one font and one direction, in the order of reading."""

    text: str
    font: Font
    rtl: bool

    @cached_property
    def shaped(self) -> bool:
        """Whether glyphs depend on their neighbours."""
        marked = any(unicodedata.category(character)[0] == "M" for character in self.text)
        return self.rtl or marked or _SHAPED.search(self.text) is not None


@dataclass(frozen=True)
class Line:
    """One line in the order of reading; ``rtl`` is the direction of its paragraph."""

    text: str
    rtl: bool = False


def printable(text: str, fonts: FontCollection) -> str:
    """Return the text with everything that cannot be printed as code points in brackets."""
    if _is_plain(text):
        return _PERCENT.sub("\u00a0%", text)
    parts = []
    for seen, pairs in groupby(_judged(_composed(text), fonts), key=lambda pair: pair[0]):
        group = "".join(character for _, character in pairs)
        parts.append(group if seen else _code_points(group))
    return _PERCENT.sub("\u00a0%", "".join(parts))


def unprintable(text: str, fonts: FontCollection) -> tuple[str, ...]:
    """Return the characters that are printed as code points, in order, each once."""
    return tuple(dict.fromkeys(c for seen, c in _judged(_composed(text), fonts) if not seen))


def wrap(text: str, width: float, measure: Measure) -> tuple[Line, ...]:
    """Break a text into lines no wider than a width.

    Args:
        text: printable; its line breaks are kept.
        width: in the unit of ``measure``.
        measure: gives the width of a word, or of the space between words.

    Returns:
        Lines in the order of reading, at least one. Words wider than a line are cut. A paragraph
        runs from right to left if its first letter does.
    """
    return tuple(
        Line(line, rtl=auto_detect_base_direction(paragraph) == TextDirection.RTL)
        for paragraph in text.split("\n")
        for line in _wrapped(paragraph, width, measure)
    )


def visual_runs(line: Line, fonts: FontCollection) -> tuple[Run, ...]:
    """Return the runs of a printable line from left to right."""
    text = line.text
    if not text:
        return ()
    if not line.rtl and _is_plain(text):
        return (Run(text, MAIN, rtl=False),)
    chosen = _fonts_of(text, fonts)
    ordered = _visual_order(text, rtl=line.rtl)
    keyed = [(level % 2 == 1, chosen[place], text[place]) for place, level in ordered]
    runs = []
    for (backwards, font), group in groupby(keyed, key=lambda item: item[:2]):
        seen = "".join(character for *_, character in group)
        runs.append(Run(seen[::-1] if backwards else seen, font, rtl=backwards))
    return tuple(runs)


@lru_cache(maxsize=1)
def _plain_characters() -> frozenset[str]:
    """Return what needs none of this module: seen, in the main font, left to right, unmarked."""
    return frozenset(
        character
        for character in characters_of(MAIN.path)
        if unicodedata.category(character) not in _UNSEEN | {"Mn", "Mc", "Me"}
        and unicodedata.bidirectional(character) not in _RIGHT_TO_LEFT
    ) | {"\n"}


def _is_plain(text: str) -> bool:
    return _plain_characters().issuperset(text)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", " "))


def _judged(text: str, fonts: FontCollection) -> Iterator[tuple[bool, str]]:
    """Yield for each character whether it is printed as it is."""
    previous = ""
    for character in text:
        joins = character in _JOINERS and _SHAPED.match(previous) is not None
        if character == "\n" or joins:
            yield True, character
        elif unicodedata.category(character) in _UNSEEN:
            yield False, character
        else:
            yield fonts.font_for(character) is not None, character
        previous = character


def _code_points(characters: str) -> str:
    return "[" + " ".join(f"U+{ord(character):04X}" for character in characters) + "]"


def _wrapped(paragraph: str, width: float, measure: Measure) -> Iterator[str]:
    line, used = "", 0.0
    for piece in _PIECES.findall(paragraph):
        needed = measure(piece)
        if piece[0] in _SPACES or used + needed <= width:
            line, used = line + piece, used + needed
            continue
        if kept := _TRAILING.sub("", line):
            yield kept
        line = piece
        while (used := measure(line)) > width and len(line) > 1:
            cut = _longest_fit(line, width, measure)
            yield line[:cut]
            line = line[cut:]
    yield _TRAILING.sub("", line)


def _longest_fit(word: str, width: float, measure: Measure) -> int:
    """Return how many characters of a word fit, at least one, without parting marks."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(word[:middle]) <= width else (low, middle - 1)
    cut = low
    while cut > 1 and unicodedata.category(word[cut])[0] == "M":
        cut -= 1
    return cut if cut > 1 else low


def _visual_order(line: str, *, rtl: bool) -> list[tuple[int, int]]:
    """Return place and embedding level of each character, from left to right."""
    if not rtl and not any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in line):
        return [(place, 0) for place in range(len(line))]
    base = TextDirection.RTL if rtl else TextDirection.LTR
    paragraph = BidiParagraph(line, base_direction=base, preserve_bn_chars=True)
    return [
        (character.character_index, character.embedding_level)
        for character in paragraph.get_reordered_characters()
    ]


def _fonts_of(line: str, fonts: FontCollection) -> list[Font]:
    """Return the font of each character; marks and joiners stay with their letter."""
    chosen: list[Font] = []
    for character in line:
        follows = character in _JOINERS or unicodedata.category(character)[0] == "M"
        if chosen and follows and (character in _JOINERS or chosen[-1].has(character)):
            chosen.append(chosen[-1])
        else:
            chosen.append(fonts.font_for(character) or MAIN)
    return chosen
