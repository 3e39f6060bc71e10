from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dermassist.cases import CaseBook


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "book"


@pytest.fixture
def book(folder: Path) -> Iterator[CaseBook]:
    with CaseBook.open(folder) as opened:
        yield opened
