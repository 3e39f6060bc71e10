from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dermassist.evaluation

FORBIDDEN = ("scipy", "sklearn", "torch", "pandas", "crepes", "matplotlib")


def test_every_module_imports_with_numpy_alone() -> None:
    names = [path.stem for path in Path(dermassist.evaluation.__path__[0]).glob("[a-z]*.py")]
    program = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(f'dermassist.evaluation.{name}')\n"
        f"print(*(name for name in {FORBIDDEN} if name in sys.modules))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert len(names) > 10
    assert result.stdout.strip() == ""


def test_fitted_sets_are_used_without_the_library_that_fits_them() -> None:
    program = (
        "import sys\n"
        "from dermassist.evaluation.conformal import ConformalSets\n"
        "sets = ConformalSets(0.9, (0.2,) * 7, (50,) * 7)\n"
        "print(sets.predict([[0.5, 0.5, 0, 0, 0, 0, 0]]).sum(), 'crepes' in sys.modules)\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert result.stdout.split() == ["2", "False"]
