"""Showing texts that somebody else wrote, as text and nothing else."""

from __future__ import annotations

import re

from dermassist.hidden import hidden_shown

#: Longest name that a page shows in full.
LONGEST = 120
#: What Streamlit makes links of after it has taken away the backslashes, which so do not help. A
#: word joiner, which cannot be seen, parts what it looks for.
_ADDRESS = re.compile(r"(?<=www)(?=\.)|(?=://)|(?=@)", re.IGNORECASE)
_WORD_JOINER = "\u2060"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&@/])")


def visible(text: str, *, longest: int = LONGEST) -> str:
    """Return one line in which every character can be seen; hidden ones as code points.

    Args:
        text: such as a file's name.
        longest: characters to keep; a longer text loses its middle.
    """
    shown = hidden_shown(text)
    if len(shown) <= longest:
        return shown
    half = (longest - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"


def escaped(text: str, *, longest: int = LONGEST) -> str:
    """Return ``visible`` text that Markdown prints as it is, and that makes no link."""
    inert = _ADDRESS.sub(_WORD_JOINER, visible(text, longest=longest))
    return _MARKDOWN.sub(r"\\\1", inert)


def unbroken(text: str) -> str:
    """Return a text in which no line breaks between a number and its per cent sign."""
    return text.replace(" %", "\u00a0%")
