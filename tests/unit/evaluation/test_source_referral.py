"""What a threshold does on each source."""

from __future__ import annotations

import numpy as np
import pytest

from dermassist.evaluation.decision import estimate_referral, estimate_referral_by_source
from dermassist.evaluation.decision_tabulation import source_referral_table
from dermassist.evaluation.document import to_document

#: Of two sources: one easy, one hard. AKIEC is 0, BKL is 2, MEL is 4, NV is 5.
LABELS = np.array([4, 5, 5, 5, 5, 0, 4, 5, 2, 5])
REFERRED = np.array([1, 0, 0, 0, 1, 1, 0, 1, 1, 0], bool)
SOURCES = np.array(["easy"] * 5 + ["hard"] * 5)
LESIONS = np.arange(10)


def test_each_source_has_its_own_shares_by_hand() -> None:
    easy, hard = estimate_referral_by_source(
        LABELS, REFERRED, sources=SOURCES, groups=LESIONS, rng=np.random.default_rng(0)
    )
    assert (easy.source, easy.malignant_images, easy.benign_images) == ("easy", 1, 4)
    assert (easy.measures.sensitivity.value, easy.measures.specificity.value) == (1.0, 0.75)
    assert (hard.source, hard.malignant_images, hard.benign_images) == ("hard", 2, 3)
    assert hard.measures.sensitivity.value == pytest.approx(1 / 2)
    assert hard.measures.specificity.value == pytest.approx(1 / 3)


def test_a_source_is_measured_as_if_it_were_alone() -> None:
    one, _ = estimate_referral_by_source(
        LABELS, REFERRED, sources=SOURCES, groups=LESIONS, rng=np.random.default_rng(3)
    )
    first = SOURCES == "easy"
    alone = estimate_referral(
        LABELS[first], REFERRED[first], groups=LESIONS[first], rng=np.random.default_rng(3)
    )
    assert to_document(one.measures) == to_document(alone)


def test_a_source_without_malignant_images_has_no_sensitivity() -> None:
    labels = np.where(SOURCES == "easy", 5, LABELS)
    easy, hard = estimate_referral_by_source(
        labels, REFERRED, sources=SOURCES, groups=LESIONS, rng=np.random.default_rng(0)
    )
    assert np.isnan(easy.measures.sensitivity.value)
    first, second = source_referral_table((easy, hard)).rows
    assert first[:4] == ("easy", "0", "n/a", "5")
    assert second[:2] == ("hard", "2")
