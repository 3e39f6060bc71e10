"""What may spoil an answer stands before it, and what limits it beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dermassist import Classifier, assess
from dermassist.diagnosis import Diagnosis
from dermassist.explain.caution import (
    SUBJECT_NOT_CHECKED,
    missed_words,
    referral_line,
    set_warning,
)
from dermassist.explain.words import percent, set_caveat
from dermassist.interfaces.web.charts import TEXT_COLOUR, probability_chart
from dermassist.interfaces.web.file_name import file_name
from dermassist.measured import read_figures
from dermassist.results import Assessment, Prediction, PredictionSet, Referral
from dermassist.sample import sample_path

from ...conftest import PATIENCE_S
from .conftest import Open
from .page import in_order

SCRIPT = """
import streamlit as st
from dermassist.interfaces.web.answer_view import show_answer
show_answer(st.session_state["assessment"])
"""
NOT_A_DIAGNOSIS = "Not a diagnosis: a clinician decides."
MEL, NV, DF = Diagnosis.MEL, Diagnosis.NV, Diagnosis.DF


@pytest.fixture
def sample(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> Assessment:
    """The sample, answered by the model that ships, whose figures are known."""
    monkeypatch.delenv("DERMASSIST_MODEL")
    # The made-up predictions of these tests follow no model's temperature and rules.
    monkeypatch.setattr(
        "dermassist.interfaces.web.known.same_model",
        lambda assessment, manifest: assessment.model.version == manifest.version,
    )
    return assess(sample_path(), classifier=Classifier.load())


def prediction_of(diagnosis: Diagnosis, *, advised: bool = False, **changed: object) -> Prediction:
    shares = [0.02] * 7
    shares[diagnosis.index] = 0.88
    threshold = 0.01 if advised else 0.95
    made = Prediction(
        probabilities=tuple(shares),
        logits=(0.0,) * 7,
        calibrated=True,
        prediction_set=PredictionSet((diagnosis,), 0.9, (DF,)),
    )
    referral = Referral(made.malignancy, threshold, 0.95)
    return replace(made, **{"referral": referral, **changed})  # type: ignore[arg-type]


def drawn(assessment: Assessment) -> AppTest:
    app = AppTest.from_string(SCRIPT, default_timeout=PATIENCE_S)
    app.session_state["assessment"] = assessment
    app.run()
    assert not app.exception
    return app


def unbroken_texts(app: AppTest) -> list[str]:
    return [text.replace("\u00a0%", " %").replace("\\", "") for text in in_order(app)]


def test_the_answer_is_told_in_the_order_of_its_weight(sample: Assessment) -> None:
    remarked = replace(
        sample,
        prediction=prediction_of(NV),
        quality=replace(sample.quality, remarks=("Blurred: very.",), stands_out=True),
        image=replace(sample.image, notes=("Turned upright.",)),
    )
    known = read_figures(Classifier.load().manifest)
    line, missed = referral_line(remarked.prediction), missed_words(NV, known.measured)
    warning = set_warning(remarked.prediction, known.sets)
    assert line is not None
    assert missed is not None
    assert warning is not None
    head, _, rest = line.partition(": ")
    app = drawn(remarked)
    said = unbroken_texts(app)
    begins = [
        "Blurred: very.",
        "Turned upright.",
        str(NV),
        NOT_A_DIAGNOSIS,
        percent(0.88),
        f"**{head}:** {rest} The threshold was chosen on validation lesions",
        missed,
        f"**Prediction set (90 %):** {NV}",
        warning,
        "Not guaranteed for DF: too few lesions",
        f":small[{SUBJECT_NOT_CHECKED}]",
    ]
    places = [next(k for k, text in enumerate(said) if text.startswith(begin)) for begin in begins]
    assert places == sorted(places)
    # In the size of a text, not of a caption.
    captions = " ".join(caption.value for caption in app.caption)
    assert not any(word in captions for word in ("Not guaranteed", "diagnosis", "excluded"))
    assert "annot be excluded" not in " ".join(said)


def test_the_referral_says_what_it_was_measured_to_do_and_no_number_twice(
    sample: Assessment,
) -> None:
    app = drawn(replace(sample, prediction=prediction_of(MEL, advised=True)))
    (box,) = [each.value for each in app.warning if "threshold" in each.value]
    assert box.startswith("**Referral advised:** the malignant diagnoses together")
    assert "(sensitivity)" in box
    assert "(specificity)" in box
    assert box.count("1.0\u00a0%") == box.count("92\u00a0%") == 1


def test_below_the_threshold_is_a_quiet_box(sample: Assessment) -> None:
    quality = replace(sample.quality, stands_out=True)
    app = drawn(replace(sample, prediction=prediction_of(NV), quality=quality))
    (box,) = app.info
    assert box.value.startswith("**Referral threshold not reached:**")
    assert "This does not exclude a malignant lesion." in box.value


def test_no_box_reassures_where_no_lesion_was_found(sample: Assessment) -> None:
    quality = replace(sample.quality, stands_out=False)
    app = drawn(replace(sample, prediction=prediction_of(NV), quality=quality))
    assert not app.info
    assert any("Referral threshold not reached" in each.value for each in app.markdown)
    advised = drawn(replace(sample, prediction=prediction_of(NV, advised=True), quality=quality))
    assert any("Referral advised, although" in each.value for each in advised.warning)


def test_a_malignant_answer_has_no_count_of_missed_ones(sample: Assessment) -> None:
    app = drawn(replace(sample, prediction=prediction_of(MEL)))
    assert "showed a malignant lesion" not in " ".join(in_order(app))


@pytest.mark.parametrize(
    ("calibrated", "label"), [(True, "Confidence"), (False, "Confidence (not calibrated)")]
)
def test_only_what_is_not_calibrated_says_so(
    sample: Assessment, calibrated: bool, label: str
) -> None:
    app = drawn(replace(sample, prediction=prediction_of(NV, calibrated=calibrated)))
    assert app.metric[0].label == label


def test_a_set_without_the_answer_is_warned_of_before_what_it_lacks(sample: Assessment) -> None:
    prediction = prediction_of(NV, prediction_set=PredictionSet((MEL,), 0.9))
    caveat = set_caveat(prediction)
    assert caveat is not None
    said = unbroken_texts(drawn(replace(sample, prediction=prediction)))
    outside = next(text for text in said if text.startswith("A diagnosis outside the set"))
    assert said.index(caveat) < said.index(outside)


def test_an_answer_of_another_model_gets_no_figures_of_this_one(sample: Assessment) -> None:
    other = replace(sample.model, version="0.0.other", sha256="0" * 64, graph_sha256="0" * 64)
    said = " ".join(in_order(drawn(replace(sample, prediction=prediction_of(NV), model=other))))
    assert "on test lesions: not measured" in said
    assert "test images answered" not in said
    assert "in the test" not in said.lower()
    assert "A diagnosis outside the set is not excluded." in said


def test_the_charts_words_have_the_colour_of_the_pages_text() -> None:
    chart = probability_chart(prediction_of(NV)).to_dict()
    words = next(layer for layer in chart["layer"] if layer["mark"]["type"] == "text")
    assert words["mark"]["color"] == TEXT_COLOUR == "currentColor"
    assert words["encoding"]["y"]["axis"]["labelColor"] == TEXT_COLOUR


@pytest.mark.parametrize(
    ("image_name", "case_id", "name"),
    [
        ("lesion.jpg", "c6ef5677-1111", "DermAssist_Report_lesion_c6ef5677.pdf"),
        ("synthetic_lesion.jpg", None, "DermAssist_Report_synthetic_lesion.pdf"),
        ("../<b> ü.png", "c6ef5677-1111", "DermAssist_Report__b__c6ef5677.pdf"),
        (f"{'n' * 200}.png", None, f"DermAssist_Report_{'n' * 60}.pdf"),
    ],
)
def test_names_of_files_are_safe(image_name: str, case_id: str | None, name: str) -> None:
    assert file_name(image_name, case_id, ".pdf", begin="DermAssist_Report") == name


def test_a_name_without_a_beginning() -> None:
    assert file_name("a.png", "c6ef5677-1111", ".pdf") == "a_c6ef5677.pdf"
