from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermassist.errors import PatientError
from dermassist.patient import LENGTH_LIMITS, SEXES, PatientDetails


def test_nothing_has_to_be_stated() -> None:
    assert not PatientDetails().stated
    assert PatientDetails(age_years=0).stated


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"patient_id": "a" * 65}, "Patient ID has 65 characters, more than 64"),
        ({"remarks": "a" * 4001}, "Remarks has 4001 characters"),
        ({"name": "a\nb"}, "Name holds the control character U\\+000A"),
        ({"body_site": "a\x00b"}, "Body site holds the control character U\\+0000"),
        ({"remarks": "a\x1bb"}, "Remarks holds the control character U\\+001B"),
        ({"remarks": "a\ud800b"}, "half of a surrogate pair U\\+D800"),
        ({"name": 7}, "Name must be text"),
        ({"age_years": -1}, "age must be whole years from 0 to 130, got -1"),
        ({"age_years": 131}, "got 131"),
        ({"age_years": True}, "got True"),
        ({"age_years": 4.5}, "got 4.5"),
        ({"sex": "f"}, "sex must be one of female, male, other, unknown"),
    ],
)
def test_refuses_with_field_and_reason(values: dict[str, Any], words: str) -> None:
    with pytest.raises(PatientError, match=words):
        PatientDetails(**values)


def test_texts_are_composed_and_trimmed_and_lines_kept() -> None:
    details = PatientDetails(name="  Mu\u0308ller\t", remarks="one\r\ntwo\rthree")

    assert details.name == "M\u00fcller"
    assert details.remarks == "one\ntwo\nthree"


def test_any_script_and_invisible_formats_are_kept() -> None:
    name = "محمد \u202e王小明\u200b 😀"

    assert PatientDetails(name=name).name == name


def test_unknown_keys_are_named() -> None:
    with pytest.raises(PatientError, match="shoe_size"):
        PatientDetails.from_dict({"shoe_size": 42})


_texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=30)


@given(_texts, _texts, st.none() | st.integers(0, 130), st.none() | st.sampled_from(SEXES))
def test_reads_what_it_wrote(name: str, remarks: str, age: int | None, sex: str | None) -> None:
    details = PatientDetails(name=name, remarks=remarks, age_years=age, sex=sex)

    assert PatientDetails.from_dict(details.to_dict()) == details


def test_every_text_has_a_limit() -> None:
    texts = {key for key, value in PatientDetails().to_dict().items() if value == ""}

    assert texts == set(LENGTH_LIMITS)
