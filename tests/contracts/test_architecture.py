"""The house's rules, checked by import-linter, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "lightning", "streamlit", "optuna", "sklearn", "scipy", "matplotlib", "pandas")


def test_import_contracts_are_kept() -> None:
    program = str(Path(sys.executable).with_name("lint-imports"))
    ended = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


def test_no_package_is_empty() -> None:
    for package in (ROOT / "src").rglob("__init__.py"):
        assert any(path != package for path in package.parent.rglob("*.py")), package


def _imported_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in ended.stdout.split()}


def test_the_package_root_loads_nothing_heavy() -> None:
    loaded = _imported_by("import dermassist")
    assert loaded.isdisjoint({*HEAVY, "numpy", "cv2", "onnxruntime", "PIL", "typer"})


@pytest.mark.parametrize("names", ["Classifier, assess", "Prediction", "Diagnosis"])
def test_the_runtime_loads_no_training_library(names: str) -> None:
    assert _imported_by(f"from dermassist import {names}").isdisjoint(HEAVY)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import dermassist

    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        _ = dermassist.Oracle
