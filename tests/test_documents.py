"""Numbers in the documents are generated, and every file they name is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.measured import read_measured
from dermassist.model.bundle import bundle_directory, read_bundle

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_generated_blocks_are_up_to_date(path: Path, generate: ModuleType) -> None:
    text = path.read_text(encoding="utf-8")
    has_blocks = "<!-- generated:" in text
    assert has_blocks == (str(path.relative_to(ROOT)) in generate.DOCUMENTS)
    assert generate.rendered(text) == text, "run  make docs"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith(("http", "mailto"))]
    missing = [link for link in local if not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize(("name", "tta"), [("plain", False), ("tta", True)])
def test_kept_answers_are_those_that_the_model_was_measured_by(name: str, tta: bool) -> None:
    table = PredictionTable.read(ROOT / "results" / "ship" / f"{name}.csv")
    measured = read_measured(read_bundle(bundle_directory(None, tta=tta)).manifest)
    assert measured is not None
    counts = np.zeros((7, 7), int)
    np.add.at(counts, (table.labels, table.probabilities.argmax(axis=1)), 1)
    assert counts.tolist() == [list(row) for row in measured.report.confusion]
