from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermassist.diagnosis import Diagnosis
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.conformal import SetSummary
from dermassist.evaluation.decision import SourceReferral
from dermassist.explain.caution import (
    NOT_HARMLESS,
    OUTSIDE_THE_SET,
    melanoma_outside_words,
    missed_words,
    named_anyway_words,
    referral_line,
    referral_range_words,
    set_warning,
)
from dermassist.explain.words import percent
from dermassist.measured import Measured, read_measured, read_referral, read_sets
from dermassist.model.manifest import Manifest
from dermassist.results import Prediction, PredictionSet, Referral

from ..report.conftest import (
    make_assessment,
    measured_answers,
    unreferred,
)


def answered(top: Diagnosis, confidence: float = 0.6, *members: Diagnosis) -> Prediction:
    prediction = make_assessment(top=top, confidence=confidence).prediction
    return replace(prediction, prediction_set=PredictionSet(members, 0.9))


@pytest.fixture(scope="session")
def sets(measured_manifest: Manifest) -> SetSummary:
    found = read_sets(measured_manifest)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("top", "confidence", "begins"),
    [
        (Diagnosis.MEL, 0.9, "Referral advised: the malignant"),
        (Diagnosis.NV, 0.6, "Referral advised, although the most probable diagnosis is benign:"),
        (Diagnosis.NV, 0.999, "Referral threshold not reached:"),
    ],
)
def test_referral_is_told_in_one_line(top: Diagnosis, confidence: float, begins: str) -> None:
    prediction = answered(top, confidence)
    line = referral_line(prediction)
    assert line is not None
    assert line.startswith(begins)
    assert f"have {percent(prediction.malignancy)}, the threshold is 12 %" in line
    assert (NOT_HARMLESS in line) is (confidence == 0.999)


@pytest.mark.parametrize("advised", [True, False])
def test_what_misses_the_threshold_by_little_does_not_read_as_if_it_reached_it(
    advised: bool,
) -> None:
    malignancy, threshold = sorted((0.030577, 0.030628), reverse=advised)
    referral = Referral(malignancy, threshold, 0.95)
    line = referral_line(replace(answered(Diagnosis.NV), referral=referral))
    assert line is not None
    assert f"have {100 * malignancy:.3f} %, the threshold is {100 * threshold:.3f} %" in line


def test_without_a_threshold_nothing_is_advised() -> None:
    assert referral_line(unreferred(make_assessment()).prediction) is None


def test_malignant_lesions_behind_a_benign_answer_are_counted(measured_manifest: Manifest) -> None:
    labels, shares = measured_answers()
    nevi = labels[shares.argmax(axis=1) == Diagnosis.NV.index]
    malignant = int(np.isin(nevi, [d.index for d in Diagnosis if d.malignant]).sum())
    melanomas = int((nevi == Diagnosis.MEL.index).sum())
    assert 0 < melanomas < malignant < len(nevi)

    measured = read_measured(measured_manifest)
    assert missed_words(Diagnosis.NV, measured) == (
        f"Of the {len(nevi)} test images answered with Melanocytic Nevus (NV), {malignant} "
        f"({percent(malignant / len(nevi))}) showed a malignant lesion, {melanomas} of them a "
        "melanoma."
    )
    assert missed_words(Diagnosis.MEL, measured) is None
    assert missed_words(Diagnosis.NV, None) is None


def test_a_class_that_was_never_answered_has_nothing_to_count(measured_manifest: Manifest) -> None:
    measured = read_measured(measured_manifest)
    assert measured is not None
    nv = Diagnosis.NV.index
    confusion = tuple(
        tuple(0 if column == nv else count for column, count in enumerate(row))
        for row in measured.report.confusion
    )
    never = replace(measured, report=replace(measured.report, confusion=confusion))
    assert missed_words(Diagnosis.NV, never) is None


def test_what_lies_outside_the_set_is_counted_and_not_excluded(sets: SetSummary) -> None:
    with_melanoma = answered(Diagnosis.NV, 0.6, Diagnosis.NV, Diagnosis.MEL)
    outside = percent(1.0 - sets.lesion_coverage.value)
    assert set_warning(with_melanoma, sets) == (
        f"{OUTSIDE_THE_SET} In the test, the true diagnosis of {outside} of the lesions was "
        "outside."
    )
    assert set_warning(with_melanoma, None) == OUTSIDE_THE_SET


def test_a_set_without_melanoma_says_how_often_melanomas_had_such_sets(sets: SetSummary) -> None:
    lacking = answered(Diagnosis.NV, 0.6, Diagnosis.NV)
    share = percent(1.0 - sets.class_coverage[Diagnosis.MEL.index].value)
    words = melanoma_outside_words(lacking, sets)
    assert words is not None
    assert f"in the test, {share} of the melanoma images had such sets" in words
    assert words in str(set_warning(lacking, sets))
    assert melanoma_outside_words(lacking, None) == (
        "Melanoma is not in this set, which does not exclude it."
    )


def test_a_diagnosis_that_nearly_every_set_names_is_said_to_be_one(sets: SetSummary) -> None:
    named = tuple(
        replace(each, value={Diagnosis.AKIEC: 0.946, Diagnosis.NV: 0.97}.get(diagnosis, 0.89))
        for diagnosis, each in zip(Diagnosis, sets.named, strict=True)
    )
    measured = replace(sets, named=named)
    both = answered(Diagnosis.NV, 0.6, Diagnosis.NV, Diagnosis.AKIEC, Diagnosis.MEL)
    words = named_anyway_words(both, measured)
    # Neither the answer itself nor one that is named a little less often.
    assert words == (
        "In the test, 95 % of all sets named Actinic Keratoses (AKIEC): that this one does tells "
        "little."
    )
    assert str(set_warning(both, measured)).endswith(words)
    assert named_anyway_words(answered(Diagnosis.NV, 0.6, Diagnosis.NV), measured) is None
    assert named_anyway_words(both, None) is None


def test_without_a_set_there_is_no_warning_of_it() -> None:
    prediction = replace(answered(Diagnosis.NV), prediction_set=None)
    assert set_warning(prediction, None) is None


def told_apart(manifest: Manifest, *sources: tuple[str, int, float]) -> Measured:
    """Return what was measured, with sources of so many benign images and such a specificity."""
    measured, referral = read_measured(manifest), read_referral(manifest)
    assert measured is not None
    assert referral is not None
    return replace(
        measured,
        referral_by_source=tuple(
            SourceReferral(
                name, 9, benign, replace(referral, specificity=Estimate(left, left, left, 9))
            )
            for name, benign, left in sources
        ),
    )


def test_referral_depends_on_where_images_come_from(measured_manifest: Manifest) -> None:
    measured = told_apart(
        measured_manifest, ("a", 700, 0.97), ("b", 200, 0.25), ("c", 80, 0.5), ("few", 19, 0.01)
    )
    words = referral_range_words(measured)
    assert words is not None
    assert "in the 3 sources of the test, 3.0 % to 75 % of the benign images were referred" in words


def test_nothing_is_said_of_sources_that_were_not_told_apart(measured_manifest: Manifest) -> None:
    assert referral_range_words(None) is None
    assert referral_range_words(told_apart(measured_manifest)) is None
    assert referral_range_words(told_apart(measured_manifest, ("a", 700, 0.97))) is None
