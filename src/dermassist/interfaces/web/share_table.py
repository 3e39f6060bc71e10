"""Tables of probabilities: sorted as numbers, read as the words of everywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dermassist.explain.words import percent


def share_table(
    rows: Sequence[Mapping[str, Any]], shares: Sequence[str], *, pictures: Sequence[str] = ()
) -> Any:
    """Return a table for ``st.dataframe``.

    Streamlit's own formats would round a probability to 0.0 % or 100.0 %.

    Args:
        rows: cells by column.
        shares: columns of probabilities, 0 to 1, shown by ``percent``; nothing where there is none.
        pictures: columns that are drawn and need no words.
    """
    # Streamlit takes the words of its tables from it; the first page need not wait for it.
    import pandas as pd  # noqa: PLC0415

    words = {**dict.fromkeys(shares, percent), **dict.fromkeys(pictures, _nothing)}
    return pd.DataFrame(rows).style.format(words, na_rep="")


def _nothing(_: object) -> str:
    return ""
