from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dermassist.assessment import assess
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import BundleError, ConfigError, ImageError
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.decision import estimate_referral_by_source
from dermassist.evaluation.document import to_document
from dermassist.evaluation.malignancy import malignant_probability
from dermassist.explain.caution import (
    OUTSIDE_THE_SET,
    SUBJECT_NOT_CHECKED,
    missed_words,
    referral_line,
)
from dermassist.explain.words import percent
from dermassist.imaging import Preprocessing, RasterImage, read_image
from dermassist.inference.classifier import Classifier
from dermassist.measured import FEW_IMAGES, SOURCES_KEY, read_measured
from dermassist.model.manifest import ConformalRule, FileEntry, Manifest, ReferralRule
from dermassist.outcome import SOURCES, Outcome, OutcomeSource
from dermassist.patient import PatientDetails
from dermassist.quality import NO_LESION_FOUND
from dermassist.report import UNREADABLE, ReportContent, ReportOptions, build_report
from dermassist.report.answering_model import same_model
from dermassist.report.closing import SUMMARY_TITLE
from dermassist.report.content import (
    Bars,
    Block,
    Facts,
    Figures,
    Headline,
    Paragraph,
    Signature,
    Table,
    texts,
    time_words,
)
from dermassist.report.finding import estimate_words
from dermassist.results import Assessment, PredictionSet, Referral
from dermassist.sample import SAMPLE_WORDS, sample_path

from .conftest import (
    CREATED,
    LESION_SHA256,
    SET_THRESHOLDS,
    make_assessment,
    make_manifest,
    measured_answers,
    ruled_manifest,
    unreferred,
)

PAPER_SECTIONS = (
    "Patient Information",
    "Image Details",
    "Model Classification Result",
    "Confidence Level",
    "Explainable AI (Grad-CAM) Visualizations",
    SUMMARY_TITLE,
)


def said(content: ReportContent, title: str) -> str:
    return "\n".join(texts(content.section(title)))


def test_has_the_sections_of_the_paper_in_order(picture: RasterImage) -> None:
    content = build_report(make_assessment(), None, image=picture)

    assert tuple(section.title for section in content.sections) == PAPER_SECTIONS
    assert "Table I" in said(content, PAPER_SECTIONS[-1])


def test_what_was_not_measured_says_so(picture: RasterImage) -> None:
    content = build_report(unreferred(make_assessment()), make_manifest(), image=picture)

    assert "Reliability: not measured" in said(content, "Model Classification Result")
    confidence = said(content, "Confidence Level")
    assert "not calibrated" in confidence
    assert "Prediction set: not measured" in confidence
    assert "Referral threshold: not measured" in confidence
    assert "not measured" in said(content, "Image Details")
    assert "not measured" in said(content, "Explainable AI (Grad-CAM) Visualizations")
    assert said(content, SUMMARY_TITLE).count("not measured") == 4


def test_reliability_is_that_of_the_class(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    labels, shares = measured_answers()
    answers = shares.argmax(axis=1)
    mel = Diagnosis.MEL.index
    precision = (labels[answers == mel] == mel).mean()
    recall = (answers[labels == mel] == mel).mean()

    content = build_report(make_assessment(), measured_manifest, image=picture)

    text = said(content, "Model Classification Result")
    assert f"the model was right for {precision:.0%}".replace("%", " %") in text
    assert f"of the {(answers == mel).sum()} images that it answered with Melanoma" in text
    assert f"the model recognised {recall:.0%}".replace("%", " %") in text
    assert "95 % interval" in text
    assert "lesion-grouped fold 0" in text


def test_referral_threshold_comes_with_its_worth(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    labels, shares = measured_answers()
    malignant = np.isin(labels, [d.index for d in Diagnosis if d.malignant])
    referred = shares[:, [d.index for d in Diagnosis if d.malignant]].sum(axis=1) >= 0.12
    specificity = (~referred[~malignant]).mean()

    content = build_report(make_assessment(), measured_manifest, image=picture)

    text = said(content, "Confidence Level")
    assert "This reaches the referral threshold of 12 %" in text
    assert "An assessment by a dermatologist is advised." in text
    assert f"specificity of {specificity:.0%}".replace("%", " %") in text


@pytest.mark.parametrize("top", [Diagnosis.NV, Diagnosis.MEL])
def test_referral_stands_beside_the_answer(picture: RasterImage, top: Diagnosis) -> None:
    for confidence, stands_out in ((0.6, True), (0.999, top is Diagnosis.MEL)):
        assessment = make_assessment(top=top, confidence=confidence)
        content = build_report(assessment, None, image=picture)
        headline, referral, *_ = content.section("Model Classification Result").blocks
        assert isinstance(headline, Headline)
        assert f"it {'counts as malignant' if top.malignant else 'is benign'}" in headline.remark
        assert isinstance(referral, Paragraph)
        assert referral.text == referral_line(assessment.prediction)
        assert (referral.role == "warning") is stands_out


def test_a_benign_answer_says_how_often_it_was_a_cancer(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    def said_of(top: Diagnosis) -> str:
        content = build_report(make_assessment(top=top), measured_manifest, image=picture)
        return said(content, "Model Classification Result")

    missed = missed_words(Diagnosis.NV, read_measured(measured_manifest))
    assert missed is not None
    assert missed in said_of(Diagnosis.NV)
    assert "showed a malignant lesion" not in said_of(Diagnosis.MEL)


def test_a_diagnosis_outside_the_set_is_not_excluded(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    def said_of(top: Diagnosis) -> str:
        assessment = make_assessment(top=top, confidence=0.95)
        return said(build_report(assessment, measured_manifest, image=picture), "Confidence Level")

    for top in (Diagnosis.NV, Diagnosis.MEL):
        assert OUTSIDE_THE_SET in said_of(top)
        assert ("Melanoma is not in this set" in said_of(top)) is (top is Diagnosis.NV)


def test_a_known_outcome_stands_before_the_answer(picture: RasterImage) -> None:
    def first(outcome: Outcome | None) -> object:
        options = ReportOptions(outcome=outcome)
        content = build_report(make_assessment(), None, image=picture, options=options)
        return content.section("Model Classification Result").blocks[0]

    known = first(Outcome(Diagnosis.MEL, "histology"))
    assert isinstance(known, Paragraph)
    assert known.text.startswith("Outcome recorded: Melanoma (MEL), histology.")
    assert isinstance(first(None), Headline)


def test_prediction_sets_come_with_their_worth(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    labels, shares = measured_answers()
    held = shares[np.arange(len(labels)), labels] >= [SET_THRESHOLDS[CODES[k]] for k in labels]
    # Two images a lesion, so both count alike here.
    content = build_report(make_assessment(), measured_manifest, image=picture)
    text = said(content, "Confidence Level")
    share = f"{held.mean():.0%}".replace("%", " %")
    assert f"In the test, sets held the true diagnosis of {share} (95 % interval" in text
    unmeasured = build_report(make_assessment(), ruled_manifest(), image=picture)
    assert "sets hold the true diagnosis in the test: not measured" in said(
        unmeasured, "Confidence Level"
    )


@pytest.mark.parametrize(
    ("members", "caveat"),
    [
        ((Diagnosis.MEL, Diagnosis.NV), None),
        ((Diagnosis.NV, Diagnosis.BKL), "The answer itself, Melanoma (MEL), is not in the set"),
        ((), "The set is empty"),
    ],
)
def test_a_set_without_the_answer_is_explained(
    picture: RasterImage, members: tuple[Diagnosis, ...], caveat: str | None
) -> None:
    assessment = make_assessment()
    sets = PredictionSet(members, 0.9)
    changed = replace(assessment, prediction=replace(assessment.prediction, prediction_set=sets))
    text = said(build_report(changed, None, image=picture), "Confidence Level")
    assert ("not exclude it." in text or "excludes none" in text) is (caveat is not None)
    assert caveat is None or caveat in text


def test_a_model_that_is_not_at_hand_is_named(
    picture: RasterImage, measured_manifest: Manifest
) -> None:
    section = "Model Classification Result"
    text = said(build_report(make_assessment(), None, image=picture), section)
    assert "answered by dermassist-mobilenetv2 1.0, which is not at hand" in text
    known = build_report(make_assessment(), measured_manifest, image=picture)
    assert "not at hand" not in said(known, section)


def test_every_page_says_whose_it_is(picture: RasterImage) -> None:
    def footer(**details: Any) -> str:
        patient = PatientDetails(**details)
        return build_report(make_assessment(), None, image=picture, patient=patient).footer

    assert footer(patient_id="4711", name="Eva").startswith("Patient 4711 | image abababababab | ")
    assert footer(name="Eva").startswith("Patient Eva | ")
    assert footer(name="E" * 60).startswith(f"Patient {'E' * 37}... | image ")
    assert footer().startswith("image abababababab | ")


def test_a_patient_reads_how_often_such_answers_were_right(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    assessment = make_assessment()
    measured = read_measured(measured_manifest)
    assert measured is not None
    answer = assessment.prediction.diagnosis
    cases = measured.confidence_bin(assessment.prediction.confidence, answer)
    assert cases.images >= FEW_IMAGES
    assert cases.other_than is not None
    options = ReportOptions(patient_page=True)

    def page(manifest: Manifest | None) -> str:
        content = build_report(assessment, manifest, image=picture, options=options)
        assert content.patient_page is not None
        return "\n".join(texts(content.patient_page))

    counted = (
        f"about {100 * cases.right:.0f} of 100 answers other than “{cases.other_than.full_name}” "
        "that it gave about as surely were right"
    )
    assert counted in page(measured_manifest)
    earlier = {k: v for k, v in (measured_manifest.metrics or {}).items() if k != "answered"}
    assert "of 100 answers that it gave" in page(replace(measured_manifest, metrics=earlier))
    assert "of 100 pictures that it answers like this, it expects about 72" in page(None)


def test_the_threshold_is_told_to_depend_on_the_source(
    picture: RasterImage, measured_manifest: Manifest
) -> None:
    labels, shares = measured_answers()
    by_source = estimate_referral_by_source(
        labels,
        malignant_probability(shares) >= 0.12,
        sources=np.where(labels == Diagnosis.NV.index, "nevi", "others"),
        groups=np.arange(len(labels)) // 2,
        rng=np.random.default_rng(0),
    )
    metrics = {**(measured_manifest.metrics or {}), SOURCES_KEY: to_document(by_source)}
    nevi, others = (1.0 - each.measures.specificity.value for each in by_source)

    def text(manifest: Manifest) -> str:
        return said(build_report(make_assessment(), manifest, image=picture), "Confidence Level")

    told = f"{percent(min(nevi, others))} to {percent(max(nevi, others))} of the benign images"
    assert told in text(replace(measured_manifest, metrics=metrics))
    assert "where images come from" not in text(measured_manifest)


def test_below_the_threshold_nothing_is_excluded(picture: RasterImage) -> None:
    assessment = make_assessment(top=Diagnosis.NV, confidence=0.99)

    text = said(build_report(assessment, None, image=picture), "Confidence Level")

    assert "is below the referral threshold" in text
    assert "does not exclude a malignant lesion" in text


def test_bars_are_the_seven_probabilities_and_the_malignant_sum(
    picture: RasterImage,
) -> None:
    assessment = make_assessment()
    content = build_report(assessment, None, image=picture)
    (bars,) = (b for b in content.section("Confidence Level").blocks if isinstance(b, Bars))

    *single, total = bars.bars
    assert [bar.share for bar in single] == sorted(assessment.prediction.probabilities)[::-1]
    assert single[0].strong
    assert single[0].tag == "malignant, in the set"
    assert total.share == pytest.approx(assessment.prediction.malignancy)
    assert (total.mark, total.tag) == (0.12, "line: threshold")


def test_table_i_has_the_rows_of_the_paper(picture: RasterImage) -> None:
    options = ReportOptions(heatmap_files=("gradcam_output.png",))
    content = build_report(make_assessment(), None, image=picture, options=options)
    blocks = content.section(SUMMARY_TITLE).blocks
    (table,) = (block for block in blocks if isinstance(block, Table))

    rows = {row[0]: row[1] for row in table.rows}
    assert rows["Predicted Class"] == "Melanoma (MEL)"
    assert rows["Confidence Score"] == "72 %"
    assert rows["Grad-CAM Status"] == "Successful"
    assert rows["Heatmap Files"] == "gradcam_output.png"
    assert rows["Referral"] == "Advised"
    assert any(isinstance(block, Signature) for block in blocks)


def test_another_diagnosis_can_be_explained(picture: RasterImage) -> None:
    content = build_report(make_assessment(), None, image=picture, explain=Diagnosis.BCC)

    text = said(content, "Explainable AI (Grad-CAM) Visualizations")
    assert "The pictures explain Basal Cell Carcinoma (BCC), as asked" in text
    assert "heatmap for Basal Cell Carcinoma (BCC)" in text


def test_pictures_show_the_evidence_where_it_is(picture: RasterImage) -> None:
    content = build_report(make_assessment(), None, image=picture)
    blocks = content.section("Explainable AI (Grad-CAM) Visualizations").blocks
    (figures,) = (block for block in blocks if isinstance(block, Figures))
    original, heatmap, overlay = (
        np.asarray(Image.open(io.BytesIO(figure.picture)), np.int64) for figure in figures.figures
    )

    assert np.abs(original - picture.pixels).mean() < 6
    brightness = heatmap.sum(axis=2)[:, 80:520]
    row, column = np.unravel_index(brightness.argmax(), brightness.shape)
    assert abs(row - 225) < 30
    assert abs(column + 80 - 300) < 30
    assert np.abs(heatmap[:, :70] - 128).max() < 12
    assert overlay[:, :70].mean() < 0.6 * original[:, :70].mean()


def test_patient_is_printed_as_stated(picture: RasterImage) -> None:
    patient = PatientDetails(
        patient_id="P-1", name="Şükrü", age_years=57, sex="male", remarks="<b>x</b>\nline 2"
    )

    text = said(
        build_report(make_assessment(), None, image=picture, patient=patient),
        "Patient Information",
    )

    for value in ("P-1", "Şükrü", "57 years", "male", "<b>x</b>\nline 2"):
        assert value in text
    assert text.count("not stated") == 1


def test_names_add_no_lines_to_the_report(picture: RasterImage) -> None:
    assessment = make_assessment()
    forged = replace(
        assessment,
        image=replace(assessment.image, name="a.jpg\nSHA-256 0000.jpg"),
        model=replace(assessment.model, name="one\u2028two", version="1\n2"),
    )
    options = ReportOptions(patient_page=True)

    content = build_report(forged, None, image=picture, options=options)

    read = tuple(texts(content))
    assert [text for text in read if "SHA-256 0000" in text] == [
        "a.jpg<U+000A>SHA-256 0000.jpg"
    ] * 2
    assert sum("one<U+2028>two 1<U+000A>2" in text for text in read) > 1
    assert not any(name in text for text in read for name in ("one\u2028two", "1\n2"))


def test_patient_page_only_where_wanted(picture: RasterImage) -> None:
    with_page = build_report(
        make_assessment(), None, image=picture, options=ReportOptions(patient_page=True)
    )

    assert build_report(make_assessment(), None, image=picture).patient_page is None
    page = "\n".join(texts(with_page.patient_page))
    assert "This page is not a diagnosis" in page
    assert "logit" not in page
    assert "Grad-CAM" not in page


def test_the_patient_page_tells_whose_spot_it_is_and_warns_first(
    picture: RasterImage,
) -> None:
    patient = PatientDetails(patient_id="4711", name="Eva", body_site="left arm")
    options = ReportOptions(patient_page=True)

    def page(top: Diagnosis, confidence: float) -> tuple[Block, ...]:
        content = build_report(
            make_assessment(top=top, confidence=confidence),
            None,
            image=picture,
            patient=patient,
            options=options,
        )
        assert content.patient_page is not None
        return content.patient_page.blocks

    spot, warning, *_ = page(Diagnosis.NV, 0.6)
    assert isinstance(spot, Facts)
    assert dict(spot.rows)["Patient"] == "4711 Eva"
    assert dict(spot.rows)["Place on the body"] == "left arm"
    assert spot.figure is not None
    assert isinstance(warning, Paragraph)
    assert warning.role == "warning"
    assert "looked at by a skin doctor" in warning.text
    assert "usually harmless, but other kinds" in warning.text
    assert "usually harmless" not in "".join(texts(page(Diagnosis.MEL, 0.9)[1]))
    assert "looked at by a skin doctor" not in "".join(texts(page(Diagnosis.NV, 0.999)))
    assert "[1]" not in "".join(texts(page(Diagnosis.NV, 0.999)))


def blocks_of_patient_page(
    assessment: Assessment,
    picture: RasterImage,
    *,
    manifest: Manifest | None = None,
    outcome: Outcome | None = None,
) -> tuple[Block, ...]:
    options = ReportOptions(patient_page=True, outcome=outcome)
    content = build_report(assessment, manifest, image=picture, options=options)
    assert content.patient_page is not None
    return content.patient_page.blocks


def with_remarks(
    assessment: Assessment, *remarks: str, stands_out: bool, notes: tuple[str, ...] = ()
) -> Assessment:
    quality = replace(assessment.quality, remarks=remarks, stands_out=stands_out)
    return replace(assessment, quality=quality, image=replace(assessment.image, notes=notes))


def test_the_patient_page_says_first_what_spoils_the_answer(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    answer = make_assessment(top=Diagnosis.NV, confidence=0.97)
    blurred = with_remarks(
        answer, "Blurred: less sharp than 99 %.", stands_out=True, notes=("It was squeezed.",)
    )
    _, warning, note, *rest = blocks_of_patient_page(blurred, picture, manifest=measured_manifest)
    assert isinstance(warning, Paragraph)
    assert warning.role == "warning"
    assert warning.text.endswith("its answer may be wrong. Noted of the picture: blurred.")
    assert isinstance(note, Paragraph)
    assert note.text == "Noted when the picture was read: It was squeezed."
    assert "usually harmless" in "".join(texts(tuple(rest)))
    plain = blocks_of_patient_page(answer, picture, manifest=measured_manifest)
    assert "Noted" not in "".join(texts(plain))


@pytest.mark.parametrize("confidence", [0.97, 0.999])
def test_a_patient_is_told_not_to_rely_on_a_picture_without_a_spot(
    measured_manifest: Manifest, picture: RasterImage, confidence: float
) -> None:
    answer = make_assessment(top=Diagnosis.NV, confidence=confidence)
    empty = with_remarks(answer, NO_LESION_FOUND, "Dark: darker.", stands_out=False)
    _, warning, *rest = blocks_of_patient_page(empty, picture, manifest=measured_manifest)
    assert isinstance(warning, Paragraph)
    assert "may not show a spot at all; do not rely on the program's answer" in warning.text
    assert warning.text.endswith("Noted of the picture: no lesion found, dark.")
    said_after = "".join(texts(tuple(rest)))
    assert "a mole" not in said_after
    assert "of 100" not in said_after
    assert "also to one that shows no spot" in said_after
    assert "not mean that the spot is harmless" in said_after


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("found", [*Diagnosis, None])
def test_the_patient_page_says_what_is_known_instead_of_what_was_guessed(
    measured_manifest: Manifest,
    picture: RasterImage,
    source: OutcomeSource,
    found: Diagnosis | None,
) -> None:
    answer = make_assessment(top=Diagnosis.NV, confidence=0.97)
    outcome = Outcome(found, source, "a note between clinicians")
    _, known, *rest = blocks_of_patient_page(
        answer, picture, manifest=measured_manifest, outcome=outcome
    )
    assert isinstance(known, Headline)
    assert known.label.endswith("the spot is")
    named = "None of the seven kinds" if found is None else found.full_name
    assert known.text.startswith(named)
    said_after = "".join(texts(tuple(rest)))
    assert "of 100" not in said_after
    assert "note between" not in said_after
    assert ("a mole" in said_after) is (found is Diagnosis.NV)
    assert ("That was the same." in said_after) is (found is Diagnosis.NV)
    assert "It answered: Melanocytic Nevus. That was" in said_after
    assert "visit to a skin doctor" not in said_after


def test_a_visit_that_was_advised_is_told_beside_an_outcome(picture: RasterImage) -> None:
    blocks = blocks_of_patient_page(
        make_assessment(), picture, outcome=Outcome(Diagnosis.NV, "clinician")
    )
    assert "It advised a visit to a skin doctor." in "".join(texts(blocks))


def test_two_numbers_that_are_compared_are_told_apart(picture: RasterImage) -> None:
    answer = make_assessment(top=Diagnosis.NV, confidence=0.99)
    close = answer.prediction.malignancy + 5e-5
    prediction = replace(
        answer.prediction, referral=Referral(answer.prediction.malignancy, close, 0.95)
    )
    content = build_report(
        replace(answer, prediction=prediction),
        None,
        image=picture,
        options=ReportOptions(patient_page=True),
    )
    text = said(content, "Confidence Level")
    assert ": 0.788 %. This is below the referral threshold of 0.793 %" in text
    page = "".join(texts(content.patient_page))
    assert "gives 0.788 % to the three kinds" in page
    assert "From 0.793 % on" in page


def test_whether_the_image_shows_a_lesion_was_not_checked(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    for manifest in (None, measured_manifest):
        content = build_report(make_assessment(), manifest, image=picture)
        assert SUBJECT_NOT_CHECKED in said(content, "Image Details")


@pytest.mark.parametrize(
    ("stands_out", "judged"),
    [(True, "Sharpness, exposure and contrast are within"), (None, "Sharpness and exposure are")],
)
def test_only_what_was_judged_is_called_within_the_range(
    measured_manifest: Manifest, picture: RasterImage, stands_out: bool | None, judged: str
) -> None:
    assessment = make_assessment()
    quality = replace(assessment.quality, stands_out=stands_out)
    content = build_report(replace(assessment, quality=quality), measured_manifest, image=picture)
    assert judged in said(content, "Image Details")


def test_quality_remarks_and_reading_notes_are_shown(picture: RasterImage) -> None:
    assessment = make_assessment()
    blurred = replace(
        assessment,
        quality=replace(assessment.quality, remarks=("Blurred: less sharp.",)),
        image=replace(assessment.image, notes=("Transparent parts were laid on white.",)),
    )

    text = said(build_report(blurred, None, image=picture), "Image Details")

    assert "Image quality: Blurred: less sharp." in text
    assert "Transparent parts were laid on white." in text


def test_bears_the_time_of_the_assessment_unless_given_a_clock(
    picture: RasterImage, clock: Callable[[], datetime]
) -> None:
    assessment = make_assessment()

    assert build_report(assessment, None, image=picture).created == CREATED
    later = build_report(assessment, None, image=picture, clock=clock)
    assert later.created == "2026-01-03T09:00:00+00:00"


def test_a_saved_case_makes_the_same_report(
    picture: RasterImage, measured_manifest: Manifest
) -> None:
    assessment = make_assessment()
    noisy = np.random.default_rng(3).normal(size=(7, 7, 7)).astype(np.float32)
    assessment = replace(assessment, explanation=replace(assessment.explanation, evidence=noisy))
    saved = Assessment.from_dict(json.loads(json.dumps(assessment.to_dict())))

    assert build_report(assessment, measured_manifest, image=picture) == build_report(
        saved, measured_manifest, image=picture
    )


def test_refuses_the_numbers_of_another_model(picture: RasterImage) -> None:
    with pytest.raises(BundleError, match=r"manifest is that of dermassist-mobilenetv2 2\.0"):
        build_report(make_assessment(), make_manifest(version="2.0"), image=picture)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 1.5},
        {"temperature": None},
        {"evidence_scale": 6.0},
        {"referral": None},
        {"referral": ReferralRule(0.13, 0.95)},
        {"conformal": None},
        {"conformal": ConformalRule(0.9, {**SET_THRESHOLDS, "nv": 0.2}, ("df",))},
        {"conformal": ConformalRule(0.9, SET_THRESHOLDS, ("vasc",))},
        {"preprocessing": Preprocessing(network_px=256)},
        {"preprocessing": Preprocessing(flips=True)},
        {"files": {"model.onnx": FileEntry("ee" * 32, 1)}},
        {"version": "1.1"},
    ],
)
def test_refuses_the_numbers_of_another_model_of_the_same_name(
    measured_manifest: Manifest, picture: RasterImage, change: dict[str, Any]
) -> None:
    answer = make_assessment()
    answer = replace(answer, model=replace(answer.model, graph_sha256="ff" * 32))
    own = replace(measured_manifest, files={"model.onnx": FileEntry("ff" * 32, 1)})
    other = replace(own, **change)

    assert same_model(answer, own)
    assert not same_model(answer, other)
    with pytest.raises(BundleError, match=r"answered by dermassist-mobilenetv2 1\.0, but"):
        build_report(answer, other, image=picture)


def test_a_later_measurement_makes_no_other_model(measured_manifest: Manifest) -> None:
    unmeasured = replace(
        measured_manifest,
        created="2020-01-01T00:00:00+00:00",
        metrics=None,
        referral=ReferralRule(0.12, 0.95),
        quality_reference=None,
        files={"model.onnx": FileEntry("ee" * 32, 1)},
    )
    # This answer was kept before the graph's hash was written down.
    assert same_model(make_assessment(), unmeasured)
    assert same_model(make_assessment(), measured_manifest)


def test_a_model_s_own_answers_are_known_as_its_own(classifier: Classifier) -> None:
    answer = assess(sample_path(), classifier=classifier)
    saved = Assessment.from_dict(json.loads(json.dumps(answer.to_dict())))

    assert same_model(answer, classifier.manifest)
    assert same_model(saved, classifier.manifest)


@pytest.mark.parametrize(
    "metrics", [{"report": {}}, {"report": {"schema": "of tomorrow"}}, {"heatmaps": {"x": 1}}]
)
def test_metrics_of_another_version_are_not_measured(
    measured_manifest: Manifest, picture: RasterImage, metrics: dict[str, Any]
) -> None:
    other = replace(measured_manifest, metrics=metrics)

    content = build_report(make_assessment(), other, image=picture)

    text = said(content, "Model Classification Result")
    assert "Reliability: not measured" in text
    assert UNREADABLE in text


def test_a_referral_measured_by_another_version_is_not_measured(
    measured_manifest: Manifest, picture: RasterImage
) -> None:
    other = replace(measured_manifest, referral=ReferralRule(0.12, 0.95, {"sensitivity": 1}))

    content = build_report(make_assessment(), other, image=picture)

    text = said(content, "Confidence Level")
    assert "Sensitivity and specificity of the threshold in the test: not measured." in text
    assert UNREADABLE in said(content, "Model Classification Result")
    readable = build_report(make_assessment(), measured_manifest, image=picture)
    assert UNREADABLE not in said(readable, "Model Classification Result")


def test_refuses_pixels_of_another_size(picture: RasterImage) -> None:
    with pytest.raises(ImageError, match="not the image that was assessed"):
        build_report(make_assessment(), None, image=replace(picture, height=449))


def test_refuses_another_file_of_the_same_size(tmp_path: Path, picture: RasterImage) -> None:
    path = tmp_path / "other.png"
    Image.fromarray(picture.pixels).save(path)

    with pytest.raises(ImageError, match="instead of abababababab"):
        build_report(make_assessment(), None, image=path)
    with pytest.raises(ImageError, match="give the original file"):
        build_report(make_assessment(), None, image=path.read_bytes())


@pytest.mark.parametrize("kind", ["array", "pillow", "read", "bytes", "bytearray"])
def test_refuses_another_picture_of_the_same_size_in_whatever_form(kind: str) -> None:
    shown = sample_path().read_bytes()
    assessment = assess(shown, classifier=Classifier.load())
    other = np.full((450, 600, 3), 128, np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(other).save(encoded, "PNG")
    forms: dict[str, Any] = {
        "array": other,
        "pillow": Image.fromarray(other),
        "read": read_image(other),
        "bytes": encoded.getvalue(),
        "bytearray": bytearray(encoded.getvalue()),
    }
    with pytest.raises(ImageError, match="not the image that was assessed"):
        build_report(assessment, None, image=forms[kind])


def test_takes_what_was_assessed_in_the_form_that_was(picture: RasterImage) -> None:
    classifier = Classifier.load()
    forms: list[Any] = [
        sample_path().read_bytes(),
        picture.pixels,
        Image.fromarray(picture.pixels),
        read_image(sample_path()),
    ]
    for form in forms:
        assessment = assess(form, classifier=classifier)
        assert build_report(assessment, None, image=form).sections


def test_refuses_unknown_paper() -> None:
    with pytest.raises(ConfigError, match="paper must be one of A4, Letter, got 'A5'"):
        ReportOptions(paper="A5")


@pytest.mark.parametrize(
    ("created", "words"),
    [
        ("2026-01-02T10:20:30+00:00", "2026-01-02 10:20:30 (UTC+00:00)"),
        ("2026-01-02T10:20:30-03:30", "2026-01-02 10:20:30 (UTC-03:30)"),
        ("2026-01-02T10:20:30", "2026-01-02 10:20:30"),
        ("yesterday", "yesterday"),
    ],
)
def test_time_words(created: str, words: str) -> None:
    assert time_words(created) == words


def test_nothing_is_called_certain(picture: RasterImage) -> None:
    content = build_report(
        make_assessment(confidence=0.996),
        None,
        image=picture,
        options=ReportOptions(patient_page=True),
    )

    assert "0.996 (99.6 %)" in said(content, "Confidence Level")
    plain = "\n".join(texts(content.patient_page))
    assert "of 100 pictures that it answers like this, it expects more than 99 answers" in plain
    assert "100 answers" not in plain


def test_a_share_without_exception_has_no_interval() -> None:
    for share in (0.0, 1.0):
        words = estimate_words(Estimate(share, share, share, 1000))
        assert words == f"{share:.0%} (without exception, so no interval could be drawn)".replace(
            "%", " %"
        )
    assert estimate_words(Estimate(0.9, 0.9, 0.9, 1000)) == "90 % (95 % interval 90 % to 90 %)"


def test_the_sample_is_called_synthetic() -> None:
    assessment = assess(sample_path(), classifier=Classifier.load())
    content = build_report(assessment, None, image=sample_path())
    assert SAMPLE_WORDS in said(content, "Image Details")
    drawn_again = replace(read_image(sample_path()), sha256=LESION_SHA256)
    other = build_report(make_assessment(), None, image=drawn_again)
    assert SAMPLE_WORDS not in said(other, "Image Details")
