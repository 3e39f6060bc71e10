"""Two trainings of a fold, compared on its validation images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.kept_answers import keep_validation
from benchmarks.settling import FIRST, SECOND, read_kept, write

from dermassist.data.ham10000 import Record
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import make_splits
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import DataError
from dermassist.evaluation.array import FloatArray


@pytest.fixture(scope="module")
def trial() -> Trial:
    records = tuple(
        Record(f"I{k}", f"L{k}", DIAGNOSES[k % 7], "histo", None, "male", "back", "here")
        for k in range(700)
    )
    return lesion_trial(records, make_splits(records, seed=0), fold=1)


def said(trial: Trial, *, right: int) -> FloatArray:
    """Logits that name the first so many images rightly, and the others one class off."""
    labels = np.array([record.diagnosis.index for record in trial.validation])
    named = np.where(np.arange(len(labels)) < right, labels, (labels + 1) % 7)
    return np.asarray(3.0 * np.eye(7)[named])


def test_both_networks_are_compared_image_by_image(trial: Trial, tmp_path: Path) -> None:
    images = len(trial.validation)
    logits = {FIRST: said(trial, right=images - 20), SECOND: said(trial, right=images - 5)}
    path = tmp_path / "settling" / "fold1.npz"
    keep_validation(path, trial, first=logits[FIRST], second=logits[SECOND])
    fold = read_kept(path, trial)
    for name in (FIRST, SECOND):
        np.testing.assert_array_equal(fold[name].logits, logits[name])
        assert fold[name].lesions.tolist() == [r.lesion_id for r in trial.validation]
    write([fold], tmp_path)

    document = json.loads((tmp_path / "settling.json").read_text())
    assert document[f"{FIRST}/accuracy"]["value"] == pytest.approx(1 - 20 / images)
    assert document[f"{SECOND}/accuracy"]["value"] == pytest.approx(1 - 5 / images)
    assert document[f"{SECOND}/difference/accuracy"]["value"] == pytest.approx(15 / images)
    assert document[f"{SECOND}/difference/log_loss"]["high"] < 0.0
    table = (tmp_path / "settling.md").read_text()
    assert f"+{15 / images:.3f} [" in table
    assert f"{images} answers to validation images of 1 folds" in table


def test_answers_to_other_images_are_refused(trial: Trial, tmp_path: Path) -> None:
    path = tmp_path / "fold1.npz"
    keep_validation(path, trial, first=said(trial, right=9), second=said(trial, right=9))
    with pytest.raises(DataError, match="to other images than fold1's validation"):
        read_kept(path, replace(trial, validation=trial.validation[::-1]))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        read_kept(path, trial)
