"""Characters that cannot be seen, in texts that somebody else wrote."""

from __future__ import annotations

import unicodedata

#: Of characters that command a terminal, or reorder or hide what stands beside them.
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def hidden_shown(text: str) -> str:
    """Return one line in which every character can be seen: ``a<U+001B>b``.

    A file's name may hold any character, and must neither command a terminal nor look like more
    lines.
    """
    return "".join(
        f"<U+{ord(c):04X}>" if unicodedata.category(c) in _HIDDEN_CATEGORIES else c for c in text
    )
