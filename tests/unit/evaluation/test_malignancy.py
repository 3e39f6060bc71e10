from __future__ import annotations

import numpy as np
import pytest

from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation.malignancy import (
    is_malignant,
    malignancy_curve,
    malignant_probability,
)
from dermassist.evaluation.ranking import area_under_curve


def test_malignant_is_the_sum_of_mel_bcc_and_akiec() -> None:
    chances = np.array([[0.01, 0.02, 0.05, 0.10, 0.04, 0.50, 0.28]])

    assert malignant_probability(chances) == pytest.approx([0.07])
    assert is_malignant(np.arange(7)).tolist() == [
        code in {"mel", "bcc", "akiec"} for code in CODES
    ]


def test_confusing_malignant_classes_with_each_other_does_not_matter() -> None:
    akiec, bcc, nv = (CODES.index(code) for code in ("akiec", "bcc", "nv"))
    chances = np.eye(7)[[bcc, akiec, nv]]

    assert area_under_curve(malignancy_curve([akiec, bcc, nv], chances)) == 1


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"\(images, 7\), got \(1, 2\)"):
        malignant_probability([[0.5, 0.5]])
