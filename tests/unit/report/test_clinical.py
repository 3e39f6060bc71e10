from __future__ import annotations

import pytest

from dermassist.diagnosis import Diagnosis
from dermassist.report.clinical import (
    HAM10000,
    LIMITS,
    SOURCES,
    Statement,
    cited,
    interpretation,
    plain_words,
)

TREATMENTS = ("cryo", "surg", "laser", "cream", "fluorouracil", "imiquimod", "prescri", "excision")


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_every_clinical_sentence_has_its_source(diagnosis: Diagnosis) -> None:
    *facts, advice = interpretation(diagnosis)

    assert len(facts) >= 2
    assert all(statement.source is HAM10000 for statement in facts)
    assert plain_words(diagnosis).source is HAM10000
    assert advice.source is None
    assert "assessed by a dermatologist" in advice.text


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_advice_follows_malignancy(diagnosis: Diagnosis) -> None:
    advice = interpretation(diagnosis)[-1].text

    assert ("counts as malignant" in advice) == diagnosis.malignant


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_no_treatment_is_advised(diagnosis: Diagnosis) -> None:
    statements = (*interpretation(diagnosis), plain_words(diagnosis), *LIMITS)

    for statement in statements:
        assert not any(word in statement.text.lower() for word in TREATMENTS)


def test_what_the_model_cannot_know_is_said_whatever_it_answers() -> None:
    limits = " ".join(limit.text for limit in LIMITS)
    assert "Invasive squamous cell carcinoma" in limits
    assert "No melanoma without pigment, under a nail" in limits


def test_citations_number_the_list_of_sources() -> None:
    assert cited(Statement("A.", SOURCES[1])) == "A.\u00a0[2]"
    assert cited(Statement("A.")) == "A."
