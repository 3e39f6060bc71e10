"""Lesions are taken from the splits that the answers were made with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import leak, recipes

from dermassist.data.split import read_splits, write_splits
from dermassist.errors import DataError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("main", "answers"), [(leak.main, "paper/paper"), (recipes.main, "ship/lesion/fold0")]
)
def test_answers_of_other_splits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], answers: str
) -> None:
    drawn = read_splits(ROOT / "splits" / "ham10000.json")
    # One lesion fewer, as after another clean-up of the metadata.
    first = drawn.assignments[0].lesion_id
    kept = tuple(a for a in drawn.assignments if a.lesion_id != first)
    other = replace(drawn, assignments=kept)
    write_splits(other, tmp_path / "other.json")
    for folder in ("paper", "lesion", "ship", "settled"):
        shutil.copytree(ROOT / "results" / folder, tmp_path / folder)
    options = ["--splits", str(tmp_path / "other.json"), "--results", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["benchmark", *options])
    described = tmp_path / f"{answers}.json"
    stated = json.loads(described.read_text())["training"]["origin"]["splits_sha256"]
    with pytest.raises(DataError) as caught:
        main()
    assert str(caught.value) == (
        f"{described}: was made with the splits {stated[:12]}, not {other.sha256[:12]}; "
        "name the file of those"
    )
