"""Where every test must run, one that is skipped fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.skip(reason="needs what is not here")
def test_by_mark(): ...

def test_by_call():
    pytest.skip("needs what is not here")

@pytest.mark.skip(reason="root may read every file")
def test_allowed(): ...

@pytest.mark.xfail(strict=True)
def test_known():
    raise ValueError
"""


@pytest.mark.parametrize(
    ("asked", "status", "closing"),
    [("", 0, "3 skipped, 1 xfailed"), ("1", 1, "1 failed, 1 skipped, 1 xfailed, 1 error")],
)
def test_a_skipped_test_fails_where_none_may_be(
    asked: str, status: int, closing: str, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ("-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DERMASSIST_NO_SKIPS": asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert closing in done.stdout.splitlines()[-1]
    said = "skipped, but DERMASSIST_NO_SKIPS is set"
    failed = [name for name in ("mark", "call", "allowed") if f"_{name}: {said}" in done.stdout]
    assert failed == (["mark", "call"] if asked else [])
