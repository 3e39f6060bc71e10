from __future__ import annotations

import pytest

from dermassist.diagnosis import CODES, DIAGNOSES, ISIC_2018_ORDER, MALIGNANT, Diagnosis


def test_the_order_is_that_of_the_network() -> None:
    assert CODES == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert [diagnosis.index for diagnosis in DIAGNOSES] == list(range(7))


def test_three_are_malignant_or_precursors() -> None:
    assert MALIGNANT == (Diagnosis.AKIEC, Diagnosis.BCC, Diagnosis.MEL)


def test_the_challenge_orders_the_same_seven_differently() -> None:
    assert ISIC_2018_ORDER == ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc")
    assert sorted(ISIC_2018_ORDER) == sorted(CODES)


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_every_diagnosis_is_found_by_its_code_in_any_case(diagnosis: Diagnosis) -> None:
    assert Diagnosis.from_code(f" {diagnosis.code.upper()}\n") is diagnosis
    assert str(diagnosis).endswith(f"({diagnosis.code.upper()})")
    assert diagnosis.summary.endswith(".")


@pytest.mark.parametrize("code", ["", "scc", "melanoma"])
def test_another_code_is_refused_with_those_that_are_known(code: str) -> None:
    with pytest.raises(ValueError, match=f"unknown diagnosis '{code}': expected one of akiec, bcc"):
        Diagnosis.from_code(code)
