from __future__ import annotations

from dataclasses import replace

import pytest

from dermassist.diagnosis import CODES
from dermassist.errors import BundleError
from dermassist.inference.classifier import Classifier
from dermassist.model.bundle import Bundle
from dermassist.model.manifest import Manifest
from dermassist.sample import sample_path
from dermassist.selfcheck import TOLERANCE, SampleCheck, check_sample, sample_record


@pytest.fixture(scope="module")
def record(classifier: Classifier) -> dict[str, object]:
    return sample_record(classifier)


def storing(classifier: Classifier, sample: dict[str, object] | None) -> Classifier:
    manifest: Manifest = replace(classifier.manifest, sample=sample)
    bundle = classifier.bundle
    return Classifier(Bundle.unwritten(bundle.directory, manifest, bundle.graph), threads=1)


def test_record_names_the_sample_and_its_probabilities(
    classifier: Classifier, record: dict[str, object]
) -> None:
    expected = classifier.predict(sample_path())
    assert record == {
        "file": "synthetic_lesion.jpg",
        "probabilities": dict(zip(CODES, expected.probabilities, strict=True)),
    }


def test_the_model_that_ships_answers_as_it_did_when_it_was_made() -> None:
    assert check_sample(Classifier.load(threads=1)).passed


def test_own_answer_passes(classifier: Classifier, record: dict[str, object]) -> None:
    check = check_sample(storing(classifier, record))
    assert check.deviation < 1e-6
    assert check.passed


@pytest.mark.parametrize("code", CODES)
def test_any_probability_that_differs_fails(
    classifier: Classifier, record: dict[str, object], code: str
) -> None:
    stored = record["probabilities"]
    assert isinstance(stored, dict)
    changed = {**stored, code: stored[code] - 0.01}
    check = check_sample(storing(classifier, {**record, "probabilities": changed}))
    assert check.deviation == pytest.approx(0.01, abs=1e-6)
    assert not check.passed


def test_another_temperature_fails(classifier: Classifier, record: dict[str, object]) -> None:
    manifest = replace(classifier.manifest, sample=record, temperature=1.0)
    bundle = Bundle.unwritten(classifier.bundle.directory, manifest, classifier.bundle.graph)
    assert not check_sample(Classifier(bundle, threads=1)).passed


@pytest.mark.parametrize("deviation", [float("nan"), TOLERANCE * 1.001])
def test_what_is_not_within_the_tolerance_has_not_passed(deviation: float) -> None:
    assert not SampleCheck(deviation, TOLERANCE).passed
    assert SampleCheck(TOLERANCE, TOLERANCE).passed


@pytest.mark.parametrize(
    "sample", [None, {"file": "other.jpg", "probabilities": dict.fromkeys(CODES, 0.1)}]
)
def test_model_without_this_sample_proves_nothing(
    classifier: Classifier, sample: dict[str, object] | None
) -> None:
    with pytest.raises(BundleError, match=r"stores no answer for synthetic_lesion\.jpg"):
        check_sample(storing(classifier, sample))
