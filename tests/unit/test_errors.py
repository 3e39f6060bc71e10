from __future__ import annotations

import pickle

import pytest

from dermassist import errors
from dermassist.errors import DermAssistError, MissingExtraError

CLASSES = [value for value in vars(errors).values() if isinstance(value, type)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_one_of_ours_and_documented(kind: type) -> None:
    assert issubclass(kind, DermAssistError)
    assert kind.__doc__


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("The PDF report", extra="report")

    assert 'pip install "dermassist[report]"' in str(error)
    assert str(error).startswith("The PDF report needs")


def test_errors_cross_process_borders() -> None:
    error = pickle.loads(pickle.dumps(MissingExtraError("Tuning", extra="tune")))

    assert (error.feature, error.extra) == ("Tuning", "tune")
    assert "dermassist[tune]" in str(error)
