"""What to say of images that a click on the page kept from being answered."""

from __future__ import annotations

from collections.abc import Sequence

from dermassist.interfaces.web.text import visible

#: Names that are listed; of more the number is enough.
_MOST_NAMED = 10


def unanswered_words(names: Sequence[str], done: int) -> str | None:
    """Return which images were not answered, or ``None`` where all were.

    Args:
        names: of all images that were given, in order.
        done: how many of them were answered or refused.
    """
    left = names[done:]
    if not left:
        return None
    listed = ", ".join(visible(name, longest=60) for name in left[:_MOST_NAMED])
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    were = "image was" if len(left) == 1 else "images were"
    return (
        f"Stopped after {done} of {len(names)} images, because the page was used meanwhile. "
        f"{len(left)} {were} not answered: {listed}{more}. Choose again what was not answered."
    )
