from __future__ import annotations

import dataclasses
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermassist.diagnosis import CODES, DIAGNOSES, Diagnosis
from dermassist.results import (
    RECEPTIVE_SHIFT,
    Assessment,
    Explanation,
    ImageInfo,
    ImageQuality,
    ModelInfo,
    Prediction,
    PredictionSet,
    Referral,
)

PROBABILITIES = (0.05, 0.1, 0.2, 0.01, 0.3, 0.3, 0.04)

REFERRAL = {"malignancy": 0.45, "threshold": 0.4, "target_sensitivity": 0.95}
SET = {"coverage": 0.9, "diagnoses": ["mel"], "not_guaranteed": []}


def make_prediction(*, full: bool = True) -> Prediction:
    return Prediction(
        probabilities=PROBABILITIES,
        logits=(0.0, 1.0, 2.0, -3.0, 2.5, 2.5, -1.0),
        calibrated=full,
        referral=Referral(0.45, 0.4, 0.95) if full else None,
        prediction_set=PredictionSet((Diagnosis.MEL, Diagnosis.NV), 0.9, (Diagnosis.DF,))
        if full
        else None,
    )


def make_assessment(*, full: bool = True) -> Assessment:
    random = np.random.default_rng(0)
    return Assessment(
        image=ImageInfo("lesion.jpg", 600, 450, "ab" * 32, ("a note",)),
        prediction=make_prediction(full=full),
        explanation=Explanation(
            evidence=random.normal(0, 3, (7, 7, 7)).astype(np.float32),
            to_image=np.array([[64.3, 0.0, 31.6], [0.0, 64.3, -1.5]]),
            scale=8.5,
        ),
        quality=ImageQuality(450, 120.5, 160.25, 0.001, ("Dark.",)),
        model=ModelInfo("tiny", "1", "cd" * 32),
        created="2026-01-01T00:00:00+00:00",
    )


def test_the_first_of_equal_probabilities_is_the_diagnosis() -> None:
    prediction = make_prediction()

    assert prediction.diagnosis is Diagnosis.MEL
    assert prediction.confidence == 0.3
    assert [d for d, _ in prediction.ranked][:3] == [Diagnosis.MEL, Diagnosis.NV, Diagnosis.BKL]


def test_malignancy_adds_akiec_bcc_and_mel() -> None:
    assert make_prediction().malignancy == pytest.approx(0.05 + 0.1 + 0.3)


@given(
    values=st.lists(st.floats(0.001, 1), min_size=7, max_size=7),
)
def test_ranking_is_a_sorted_permutation(values: list[float]) -> None:
    total = sum(values)
    prediction = Prediction(tuple(v / total for v in values), (0.0,) * 7, calibrated=True)
    ranked = prediction.ranked

    assert {d for d, _ in ranked} == set(DIAGNOSES)
    assert [p for _, p in ranked] == sorted(prediction.probabilities, reverse=True)
    assert ranked[0] == (prediction.diagnosis, prediction.confidence)


@pytest.mark.parametrize(("malignancy", "advised"), [(0.39, False), (0.4, True), (0.41, True)])
def test_referral_is_advised_from_the_threshold_on(malignancy: float, advised: bool) -> None:
    assert Referral(malignancy, threshold=0.4, target_sensitivity=0.95).advised is advised


@pytest.mark.parametrize("full", [True, False])
def test_an_assessment_survives_json(full: bool) -> None:
    original = make_assessment(full=full)
    text = json.dumps(original.to_dict(), allow_nan=False)
    read = Assessment.from_dict(json.loads(text))

    assert read.prediction == original.prediction
    assert (read.image, read.quality, read.model, read.created) == (
        original.image,
        original.quality,
        original.model,
        original.created,
    )
    np.testing.assert_allclose(read.explanation.evidence, original.explanation.evidence, atol=6e-6)
    np.testing.assert_array_equal(read.explanation.to_image, original.explanation.to_image)
    assert read.explanation.scale == original.explanation.scale
    assert read.explanation.evidence.dtype == np.float32
    # What was read is written again without a further change.
    assert json.dumps(read.to_dict()) == text


def test_json_names_every_diagnosis_by_its_code() -> None:
    values = make_assessment().to_dict()

    assert values["schema_version"] == 1
    assert values["prediction"]["diagnosis"] == "mel"
    assert values["prediction"]["diagnosis_name"] == "Melanoma (MEL)"
    assert tuple(values["prediction"]["probabilities"]) == CODES
    assert tuple(values["explanation"]["evidence"]) == CODES
    assert values["prediction"]["referral"]["advised"] is True
    assert values["prediction"]["prediction_set"]["diagnoses"] == ["mel", "nv"]


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema_version must be 1, got 2"):
        Assessment.from_dict({**make_assessment().to_dict(), "schema_version": 2})


def test_a_missing_part_is_refused() -> None:
    values = make_assessment().to_dict()
    del values["prediction"]
    with pytest.raises(KeyError, match="prediction"):
        Assessment.from_dict(values)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"mel": 1.7}, "must lie in 0..1"),
        ({"mel": -0.1, "nv": 0.65}, "must lie in 0..1"),
        ({"mel": float("nan")}, "must lie in 0..1"),
        ({"mel": 0.302}, "must add up to 1"),
        ({"mel": 0.0}, "must add up to 1"),
    ],
)
def test_what_are_no_probabilities_is_refused(changed: dict[str, float], reason: str) -> None:
    values = make_prediction().to_dict()
    values["probabilities"].update(changed)
    with pytest.raises(ValueError, match=reason):
        Prediction.from_dict(values)


def test_probabilities_that_another_program_rounded_are_read() -> None:
    values = make_prediction().to_dict()
    values["probabilities"]["mel"] = 0.3009
    assert Prediction.from_dict(values).confidence == 0.3009


def test_a_logit_that_is_not_finite_is_refused() -> None:
    values = make_prediction().to_dict()
    values["logits"]["nv"] = float("inf")
    with pytest.raises(ValueError, match="logits must be finite"):
        Prediction.from_dict(values)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"to_image": []}, r"to_image must have the shape \(2, 3\), got \(0,\)"),
        ({"to_image": [[1.0, 0.0], [0.0, 1.0]]}, "to_image must have the shape"),
        ({"to_image": [[1.0, 0.0, float("nan")], [0.0, 1.0, 0.0]]}, "must be finite"),
        ({"evidence": {key: [1.0, 2.0] for key in CODES}}, r"rows, columns\), got \(7, 2\)"),
        ({"evidence": {key: [[]] for key in CODES}}, r"rows, columns\), got \(7, 1, 0\)"),
        ({"evidence": {key: [[float("inf")]] for key in CODES}}, "must be finite"),
        ({"scale": 0.0}, "scale must be above 0"),
        ({"scale": float("nan")}, "scale must be above 0"),
        ({"shift": float("nan")}, "shift must be finite"),
    ],
)
def test_what_is_no_explanation_is_refused(changed: dict[str, object], reason: str) -> None:
    values = {**make_assessment().explanation.to_dict(), **changed}
    with pytest.raises(ValueError, match=reason):
        Explanation.from_dict(values)


@pytest.mark.parametrize(
    ("part", "changed", "reason"),
    [
        ("prediction", {"referral": {**REFERRAL, "malignancy": 0.0}}, "must be the malignant"),
        ("prediction", {"referral": {**REFERRAL, "malignancy": math.nan}}, "must lie in"),
        ("prediction", {"referral": {**REFERRAL, "threshold": 7.0}}, "threshold must lie in 0..1"),
        ("prediction", {"referral": {**REFERRAL, "target_sensitivity": -1}}, "must lie in 0..1"),
        ("prediction", {"referral": {**REFERRAL, "threshold": None}}, "kind"),
        ("prediction", {"prediction_set": {**SET, "coverage": 9}}, "coverage must lie in 0..1"),
        ("prediction", {"prediction_set": {**SET, "diagnoses": 5}}, "kind"),
        ("prediction", {"probabilities": 5}, "kind"),
        ("prediction", {"logits": {**dict.fromkeys(CODES, 0.0), "mel": [1]}}, "kind"),
        *(
            ("prediction", {"calibrated": value}, "calibrated must be true or false, got")
            for value in ("false", 0, 1, None)
        ),
        ("quality", {"sharpness": None}, "kind"),
        ("quality", {"sharpness": -1.0}, "sharpness must lie in"),
        ("quality", {"brightness": 256.0}, "brightness must lie in 0..255"),
        ("quality", {"overexposed_share": 10**400}, "kind"),
        ("quality", {"contrast": math.inf}, "contrast must lie in"),
        ("quality", {"stands_out": "no"}, "stands_out must be true, false or null"),
        ("quality", {"remarks": "Dark."}, "must be a list of texts"),
        ("quality", {"short_side_px": 0}, "must be a whole number above 0"),
        ("image", {"width": -3}, "must be a whole number above 0"),
        ("image", {"height": 450.5}, "must be a whole number above 0"),
        ("image", {"name": None}, "image.name must be a text"),
        ("image", {"notes": [1]}, "image.notes must be a text"),
        ("model", {"sha256": 5}, "model.sha256 must be a text"),
        ("explanation", {"evidence": 5}, "kind"),
        ("explanation", {"scale": []}, "kind"),
    ],
)
def test_what_is_of_another_kind_or_range_is_refused_as_documented(
    part: str, changed: dict[str, object], reason: str
) -> None:
    values = make_assessment().to_dict()
    values[part] = {**values[part], **changed}
    with pytest.raises(ValueError, match=reason):
        Assessment.from_dict(values)


@pytest.mark.parametrize("part", ["image", "prediction", "explanation", "quality", "model"])
@pytest.mark.parametrize("instead", [None, 5, "text", []])
def test_a_part_that_is_no_table_is_refused(part: str, instead: object) -> None:
    with pytest.raises(ValueError, match="kind"):
        Assessment.from_dict({**make_assessment().to_dict(), part: instead})


def test_the_graph_s_hash_is_written_where_it_is_known() -> None:
    plain = make_assessment()
    known = dataclasses.replace(plain, model=ModelInfo("tiny", "1", "cd" * 32, "ef" * 32))

    assert set(plain.to_dict()["model"]) == {"name", "version", "sha256"}
    assert known.to_dict()["model"]["graph_sha256"] == "ef" * 32
    assert Assessment.from_dict(known.to_dict()).model == known.model
    assert Assessment.from_dict(plain.to_dict()).model.graph_sha256 is None


def test_results_are_frozen_and_can_be_pickled() -> None:
    assessment = make_assessment()
    with pytest.raises(dataclasses.FrozenInstanceError):
        assessment.created = "later"  # type: ignore[misc] # wrong on purpose
    assert pickle.loads(pickle.dumps(assessment)).prediction == assessment.prediction


def test_explanations_kept_before_mirrored_answers_existed_have_the_shift_they_had() -> None:
    explanation = make_assessment().explanation
    values = {**explanation.to_dict(), "shift": 0.0}
    assert Explanation.from_dict(values).shift == 0.0
    del values["shift"]
    assert Explanation.from_dict(values).shift == RECEPTIVE_SHIFT == 15.5 / 32
