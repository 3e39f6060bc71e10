from __future__ import annotations

import errno
import io
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dermassist import Classifier, assess, storage
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.explain.caution import (
    SUBJECT_NOT_CHECKED,
    missed_words,
    referral_line,
    set_warning,
)
from dermassist.explain.overlay import render_heatmap, render_overlay
from dermassist.explain.words import set_caveat
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.measured import KnownFigures, read_figures
from dermassist.model.bundle import read_bundle, write_bundle
from dermassist.model.manifest import ConformalRule, ReferralRule
from dermassist.results import Assessment, Prediction
from dermassist.sample import sample_path
from dermassist.storage import turn_in

from .conftest import Run

WRITTEN = {"assessment.json", "gradcam_output.png", "gradcam_overlay.png"}
# Section XI.A of the paper, with the two facts that differ from image to image left open.
PAPER = (
    r"Predicted Category: (?P<name>[A-Z][A-Za-z ]+) \((?P<code>[A-Z]+)\)\n"
    r"Confidence Score: (?P<share>[01]\.\d\d) \((?P<percent>\d+)%\)\n"
    r"Grad-CAM Heatmap: Generated Successfully\n"
    r"Heatmap File: gradcam_output\.png\n"
    r"Overlay Image: gradcam_overlay\.png\n"
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read_assessment(folder: Path) -> Assessment:
    return Assessment.from_dict(json.loads((folder / "assessment.json").read_text("utf-8")))


def test_paper_lines_come_first_and_tell_the_answer(
    run: Run, photo: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle)
    assert (outcome.status, outcome.err) == (0, "")
    said = re.match(PAPER, outcome.out)
    assert said is not None
    prediction = classifier.predict(photo)
    assert said["name"] == prediction.diagnosis.full_name
    assert said["code"] == prediction.diagnosis.code.upper()
    assert float(said["share"]) == pytest.approx(prediction.confidence, abs=0.00501)
    assert float(said["percent"]) == pytest.approx(100 * prediction.confidence, abs=0.501)


def test_paper_lines_come_first_for_the_sample_too(run: Run, tiny_bundle: Path) -> None:
    outcome = run("analyze", "--sample", "--model", tiny_bundle)
    assert outcome.status == 0
    assert re.match(PAPER, outcome.out)
    assert sum("drawn by a program" in line for line in outcome.lines) == 1


def test_all_seven_probabilities_are_listed_in_falling_order(
    run: Run, photo: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle)
    listed = re.findall(r"^ +([\d.]+) %  (.+)$", outcome.out, re.MULTILINE)
    expected = classifier.predict(photo).ranked
    assert [name for _, name in listed] == [str(diagnosis) for diagnosis, _ in expected]
    # To one decimal below 10 %, else to whole numbers.
    assert [float(share) for share, _ in listed] == pytest.approx(
        [100 * probability for _, probability in expected], abs=0.501
    )


@pytest.fixture
def sure_bundle(tiny_bundle: Path, photo: Path, classifier: Classifier, tmp_path: Path) -> Path:
    """The tiny model, made nearly certain of the photo, with a rule for referral and for sets."""
    first, second, *_ = sorted(classifier.predict(photo).logits, reverse=True)
    bundle = read_bundle(tiny_bundle)
    manifest = replace(
        bundle.manifest,
        temperature=(first - second) / 9.0,
        referral=ReferralRule(0.0004, 0.95),
        conformal=ConformalRule(0.9, dict.fromkeys(CODES, 0.5), ("df", "vasc")),
    )
    write_bundle(tmp_path / "sure", manifest, {"model.onnx": bundle.graph})
    return tmp_path / "sure"


def test_no_share_is_rounded_to_certainty(run: Run, photo: Path, sure_bundle: Path) -> None:
    outcome = run("analyze", photo, "--model", sure_bundle)
    prediction = Classifier.load(sure_bundle).predict(photo)
    assert 0.9992 < prediction.confidence < 0.9999
    assert f"  more than 99.9 %  {prediction.diagnosis}" in outcome.lines
    assert sum(line.startswith("   less than 0.1 %  ") for line in outcome.lines) == 6
    assert re.search(r" 0\.0 ?%|\D0 ?%|100(\.0)? ?%", outcome.out) is None
    (referral,) = (line for line in outcome.lines if line.startswith("Referral "))
    # Both are less than 0.1 %, which would not tell them apart.
    shares = re.fullmatch(r".*have (0\.0\d+) %, the threshold is (0\.0\d+) %\..*", referral)
    assert shares is not None
    assert shares[1] != shares[2]


def test_classes_without_a_promise_are_named_beside_the_set(
    run: Run, photo: Path, sure_bundle: Path, tiny_bundle: Path
) -> None:
    outcome = run("analyze", photo, "--model", sure_bundle)
    predicted = Classifier.load(sure_bundle).predict(photo).diagnosis
    assert (
        f"Prediction set (90 %): {predicted}. Not guaranteed for DF, VASC: too few calibration "
        "lesions." in outcome.lines
    )
    unmeasured = run("analyze", photo, "--model", tiny_bundle).lines
    assert "Prediction set: not measured for this model." in unmeasured
    assert "Referral threshold: not measured for this model." in unmeasured


def test_what_app_and_report_say_beside_an_answer_is_said_here_too(run: Run) -> None:
    outcome = run("analyze", "--sample")
    prediction, known = assess_sample()
    for sentence in (
        referral_line(prediction),
        missed_words(prediction.diagnosis, known.measured),
        set_warning(prediction, known.sets),
        SUBJECT_NOT_CHECKED,
    ):
        assert sentence is not None
        assert sentence in outcome.lines


def assess_sample() -> tuple[Prediction, KnownFigures]:
    classifier = Classifier.load()
    prediction = classifier.predict(sample_path())
    assert not prediction.diagnosis.malignant
    return prediction, read_figures(classifier.manifest)


@pytest.mark.parametrize("empty", [True, False])
def test_a_set_without_the_answer_is_explained_right_after_it(
    run: Run, photo: Path, tiny_bundle: Path, tmp_path: Path, classifier: Classifier, empty: bool
) -> None:
    predicted = classifier.predict(photo).diagnosis
    thresholds = dict.fromkeys(CODES, 1.0 if empty else 0.0) | {predicted.code: 1.0}
    bundle = read_bundle(tiny_bundle)
    manifest = replace(bundle.manifest, conformal=ConformalRule(0.9, thresholds, ()))
    write_bundle(tmp_path / "strict", manifest, {"model.onnx": bundle.graph})
    outcome = run("analyze", photo, "--model", tmp_path / "strict")
    (place,) = (k for k, line in enumerate(outcome.lines) if line.startswith("Prediction set"))
    assert (outcome.lines[place] == "Prediction set (90 %): none.") is empty
    assert str(predicted) not in outcome.lines[place]
    caveat = set_caveat(Classifier.load(tmp_path / "strict").predict(photo))
    assert caveat is not None
    assert outcome.lines[place + 1] == caveat


def test_a_set_with_the_answer_needs_no_more_words(
    run: Run, photo: Path, sure_bundle: Path
) -> None:
    outcome = run("analyze", photo, "--model", sure_bundle)
    assert "The answer itself" not in outcome.out
    assert "The set is empty" not in outcome.out


def test_a_notice_says_what_it_is_not(run: Run, photo: Path, tiny_bundle: Path) -> None:
    assert run("analyze", photo, "--model", tiny_bundle).lines[-1].endswith("Not a diagnosis.")


def test_files_are_written_and_nothing_else(run: Run, photo: Path, tiny_bundle: Path) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "results/of today")
    assert outcome.status == 0
    assert names(Path("results/of today")) == WRITTEN
    assert names(Path()) == {"results"}


def test_without_out_files_go_to_a_folder_of_their_own(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    run("analyze", photo, "--model", tiny_bundle)
    assert names(Path()) == {"dermassist-results"}
    assert names(Path("dermassist-results")) == WRITTEN


def test_assessment_reads_back_as_the_same_answer(
    run: Run, photo: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    run("analyze", photo, "--model", tiny_bundle, "--out", "out")
    read = read_assessment(Path("out"))
    expected = assess(photo, classifier=classifier)
    assert read.image == expected.image
    assert read.model == expected.model
    assert read.quality == expected.quality
    assert read.prediction.diagnosis is expected.prediction.diagnosis
    assert read.prediction.probabilities == pytest.approx(
        expected.prediction.probabilities, abs=1e-6
    )
    np.testing.assert_allclose(
        read.explanation.evidence, expected.explanation.evidence, atol=1.1e-5
    )
    np.testing.assert_array_equal(read.explanation.to_image, expected.explanation.to_image)
    assert read.explanation.scale == expected.explanation.scale


def pixels(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(("code", "signed"), [(None, False), ("mel", True), ("VASC", False)])
def test_pictures_show_what_was_asked_for(
    run: Run,
    photo: Path,
    tiny_bundle: Path,
    classifier: Classifier,
    code: str | None,
    signed: bool,
) -> None:
    explain = [] if code is None else ["--explain", code]
    options = [*explain, *(["--signed"] if signed else [])]
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "out", *options)
    assert outcome.status == 0
    answer = assess(photo, classifier=classifier)
    shown = answer.prediction.diagnosis if code is None else Diagnosis.from_code(code)
    with Image.open(photo) as image:
        original = np.asarray(image.convert("RGB"))
    heatmap = render_heatmap(answer.explanation, shown, width=320, height=240, signed=signed)
    overlay = render_overlay(original, answer.explanation, shown, info=answer.image, signed=signed)
    for name, expected in (("gradcam_output.png", heatmap), ("gradcam_overlay.png", overlay)):
        drawn = pixels((Path("out") / name).read_bytes()).astype(int)
        # Sums over threads differ in the last bit, which may move a colour by one step of 256.
        assert np.abs(drawn - pixels(expected).astype(int)).max() <= 8


def test_signed_and_unsigned_pictures_differ(run: Run, photo: Path, tiny_bundle: Path) -> None:
    for folder, options in (("plain", ()), ("signed", ("--signed",))):
        run("analyze", photo, "--model", tiny_bundle, "--out", folder, *options)
    for name in ("gradcam_output.png", "gradcam_overlay.png"):
        assert (Path("plain") / name).read_bytes() != (Path("signed") / name).read_bytes()


def test_explaining_another_diagnosis_is_said_and_changes_no_answer(
    run: Run, photo: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    predicted = classifier.predict(photo).diagnosis
    other = next(d for d in Diagnosis if d is not predicted)
    outcome = run("analyze", photo, "--model", tiny_bundle, "--explain", other.code)
    assert outcome.lines[0] == f"Predicted Category: {predicted}"
    assert f"Both pictures explain {other}, as asked, not the prediction." in outcome.lines
    same = run("analyze", photo, "--model", tiny_bundle, "--explain", predicted.code)
    assert "as asked" not in same.out


def test_squeezed_image_is_stretched_back(
    run: Run, tmp_path: Path, drawing: NDArray[np.uint8], tiny_bundle: Path, classifier: Classifier
) -> None:
    squeezed = tmp_path / "squeezed.png"
    Image.fromarray(drawing).resize((256, 256), Image.Resampling.BOX).save(squeezed)
    outcomes = {}
    for folder, options in (("as-is", ()), ("stretched", ("--squeezed-from", "4:3"))):
        run("analyze", squeezed, "--model", tiny_bundle, "--out", folder, *options)
        outcomes[folder] = read_assessment(Path(folder)).prediction.probabilities
    for folder, aspect in (("as-is", 1.0), ("stretched", 4 / 3)):
        expected = classifier.predict(squeezed, pixel_aspect=aspect).probabilities
        assert outcomes[folder] == pytest.approx(expected, abs=1e-6)
    assert outcomes["as-is"] != pytest.approx(outcomes["stretched"], abs=1e-6)


def test_what_is_no_square_is_not_stretched_and_said_so(
    run: Run, photo: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    options = ("--model", tiny_bundle, "--out", "out", "--squeezed-from", "4:3")
    outcome = run("analyze", photo, *options)
    said = "Not stretched: lesion.jpg has 320 x 240 pixels, so it is no square."
    assert (outcome.status, outcome.err) == (0, f"{said}\n")
    read = read_assessment(Path("out"))
    assert read.image.notes == ()
    expected = classifier.predict(photo).probabilities
    assert read.prediction.probabilities == pytest.approx(expected, abs=1e-6)
    assert run("analyze", photo, *options, "--json").json["notes"] == [said]


def test_json_is_the_assessment_and_where_the_files_are(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "out", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    answer = outcome.json
    assert {name: Path(place) for name, place in answer.pop("files").items()} == {
        name: Path("out") / name for name in WRITTEN
    }
    assert answer["explained"] == answer["prediction"]["diagnosis"]
    assert answer.pop("notes") == []
    assert answer == json.loads(Path("out/assessment.json").read_text("utf-8"))


def test_json_names_the_diagnosis_that_is_explained(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    options = ("--explain", "df", "--signed", "--out", "out", "--json")
    outcome = run("analyze", photo, "--model", tiny_bundle, *options)
    assert (outcome.json["explained"], outcome.json["signed"]) == ("df", True)
    saved = json.loads(Path("out/assessment.json").read_text("utf-8"))
    assert (saved["explained"], saved["signed"]) == ("df", True)
    assert (
        read_assessment(Path("out")).prediction.diagnosis.code == saved["prediction"]["diagnosis"]
    )


def test_earlier_results_are_replaced(
    run: Run, photo: Path, photos: Path, tiny_bundle: Path
) -> None:
    run("analyze", photos / "b.png", "--model", tiny_bundle, "--out", "out")
    run("analyze", photo, "--model", tiny_bundle, "--out", "out")
    assert names(Path("out")) == WRITTEN
    assert read_assessment(Path("out")).image.name == "lesion.jpg"


def test_a_folder_never_holds_the_results_of_two_images(
    run: Run, photo: Path, photos: Path, tiny_bundle: Path
) -> None:
    where = ("--model", tiny_bundle, "--out", "out")
    assert run("analyze", photos / "b.png", *where, "--pdf", "--name", "Anna Alpha").status == 0
    Path("out/letter.pdf").write_text("mine")
    outcome = run("analyze", photo, *where)
    assert outcome.status == 0
    assert outcome.err == "Removed from out: DermAssist_Report.pdf of another image.\n"
    assert names(Path("out")) == {*WRITTEN, "letter.pdf"}
    assert Path("out/letter.pdf").read_text() == "mine"
    assert run("analyze", photo, *where).err == ""

    # A report of the same image stays, and so does one that no analysis stands beside.
    assert run("analyze", photo, *where, "--pdf").status == 0
    report = Path("out/DermAssist_Report.pdf").read_bytes()
    assert run("analyze", photo, *where).err == ""
    assert Path("out/DermAssist_Report.pdf").read_bytes() == report
    Path("downloads").mkdir()
    Path("downloads/DermAssist_Report.pdf").write_bytes(report)
    assert run("analyze", photo, "--model", tiny_bundle, "--out", "downloads").err == ""
    assert Path("downloads/DermAssist_Report.pdf").read_bytes() == report


def test_a_folder_never_holds_two_answers_to_one_image(
    run: Run, tmp_path: Path, drawing: NDArray[np.uint8], tiny_bundle: Path
) -> None:
    square = tmp_path / "square.png"
    Image.fromarray(drawing).resize((256, 256), Image.Resampling.BOX).save(square)
    bundle = read_bundle(tiny_bundle)
    # The same probabilities, under another name that a report prints.
    renamed = replace(bundle.manifest, version="1")
    write_bundle(tmp_path / "renamed", renamed, {"model.onnx": bundle.graph})
    where = ("analyze", square, "--out", "out", "--model")
    said = "Removed from out: DermAssist_Report.pdf of another answer to this image."
    for other in ((tiny_bundle, "--squeezed-from", "4:3"), (tmp_path / "renamed",)):
        assert run(*where, tiny_bundle, "--pdf").status == 0
        outcome = run(*where, *other)
        assert (outcome.status, outcome.err) == (0, f"{said}\n")
        assert names(Path("out")) == WRITTEN
    assert run(*where, tiny_bundle, "--pdf").status == 0
    assert run(*where, tmp_path / "renamed", "--json").json["notes"] == [said]


def test_a_report_never_lies_beside_pictures_of_something_else(
    run: Run, photo: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    where = ("analyze", photo, "--out", "out", "--model", tiny_bundle)
    predicted = classifier.predict(photo).diagnosis.code
    other = next(code for code in CODES if code != predicted)
    said = (
        "Removed from out: DermAssist_Report.pdf of an analysis whose pictures showed something "
        "else."
    )
    for first, second in (((), ("--explain", other)), ((), ("--signed",)), (("--signed",), ())):
        assert run(*where, "--pdf", *first).err == ""
        outcome = run(*where, *second)
        assert (outcome.status, outcome.err) == (0, f"{said}\n")
        assert names(Path("out")) == WRITTEN
    assert run(*where, "--pdf").status == 0
    # The predicted diagnosis is what is drawn anyway.
    assert run(*where, "--explain", predicted).err == ""
    assert "DermAssist_Report.pdf" in names(Path("out"))


def test_replacing_the_report_of_something_else_is_said(
    run: Run, photo: Path, photos: Path, tiny_bundle: Path
) -> None:
    where = ("--model", tiny_bundle, "--out", "out", "--pdf")
    place = "out/DermAssist_Report.pdf"
    assert run("analyze", photos / "b.png", *where, "--name", "Anna Alpha").err == ""
    outcome = run("analyze", photo, *where)
    said = f"Replaced the report of another image at {place}."
    assert (outcome.status, outcome.err) == (0, f"{said}\n")
    outcome = run("analyze", photo, *where, "--name", "Berta Beta", "--json")
    same = f"Replaced the report of this image at {place}, with the details that it bore."
    assert (outcome.err, outcome.json["notes"]) == ("", [same])
    assert run("analyze", photo, *where, "--name", "Cora Gamma").err == f"{same}\n"
    outcome = run("analyze", photo, *where, "--signed")
    other = "an analysis whose pictures showed something else"
    assert outcome.err == f"Replaced the report of {other} at {place}.\n"
    # Nothing tells of what a report is that lies there alone.
    Path("out/assessment.json").unlink()
    Path("out/gradcam_output.png").unlink()
    Path("out/gradcam_overlay.png").unlink()
    assert run("analyze", photo, *where).err == f"Replaced another report at {place}.\n"


def test_what_earlier_versions_saved_showed_the_prediction(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    where = ("analyze", photo, "--out", "out", "--model", tiny_bundle)
    run(*where, "--pdf")
    assessment = Path("out/assessment.json")
    values = json.loads(assessment.read_text("utf-8"))
    del values["explained"], values["signed"]
    assessment.write_text(json.dumps(values))
    assert run(*where).err == ""
    assert "DermAssist_Report.pdf" in names(Path("out"))


@pytest.mark.parametrize("name", ["gradcam_overlay.png", "assessment.json"])
def test_the_image_is_never_replaced_by_a_result(
    run: Run, photo: Path, tiny_bundle: Path, name: str
) -> None:
    Path("out").mkdir()
    image = photo.rename(Path("out") / name)
    before = image.read_bytes()
    outcome = run("analyze", image, "--model", tiny_bundle, "--out", "../here/out")
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == (f"out/{name}: would be replaced by a result; name another folder")
    assert (names(Path("out")), image.read_bytes()) == ({name}, before)
    # In another folder it is an image like others.
    assert run("analyze", image, "--model", tiny_bundle, "--out", "other").status == 0


@pytest.mark.parametrize(
    ("name", "content", "what"),
    # Its content would be a long name of a test.
    ids=["other", "nested", "heatmap", "overlay", "report"],
    argvalues=[
        ("assessment.json", b'{"prediction": "rain"}', "assessment that  analyze  wrote"),
        ("assessment.json", b"[" * 200_000, "assessment that  analyze  wrote"),
        ("gradcam_output.png", b"mine", "picture of an assessment beside it"),
        ("gradcam_overlay.png", b"mine", "picture of an assessment beside it"),
        ("DermAssist_Report.pdf", b"%PDF-1.7 mine", "DermAssist report"),
    ],
)
def test_what_is_no_result_is_never_replaced(
    run: Run, photo: Path, tiny_bundle: Path, name: str, content: bytes, what: str
) -> None:
    place = Path("out") / name
    place.parent.mkdir()
    place.write_bytes(content)
    outcome = run("analyze", photo, "--model", tiny_bundle, "--pdf", "--out", "out")
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == (
        f"out/{name}: exists and is no {what}; name another folder, or remove it"
    )
    assert (names(Path("out")), place.read_bytes()) == ({name}, content)


def test_what_is_no_report_is_not_removed_with_an_earlier_answer(
    run: Run, photo: Path, photos: Path, tiny_bundle: Path
) -> None:
    where = ("--model", tiny_bundle, "--out", "out")
    run("analyze", photos / "b.png", *where)
    Path("out/DermAssist_Report.pdf").write_bytes(b"%PDF-1.7 mine")
    assert run("analyze", photo, *where).status == ExitStatus.CONFIG
    assert Path("out/DermAssist_Report.pdf").read_bytes() == b"%PDF-1.7 mine"


def test_empty_files_may_be_replaced(run: Run, photo: Path, tiny_bundle: Path) -> None:
    Path("out").mkdir()
    for name in WRITTEN:
        (Path("out") / name).touch()
    assert run("analyze", photo, "--model", tiny_bundle, "--out", "out").status == 0


def test_an_assessment_of_ours_with_impossible_numbers_is_replaced(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    where = ("analyze", photo, "--out", "out", "--model", tiny_bundle)
    run(*where)
    assessment = Path("out/assessment.json")
    values = json.loads(assessment.read_text("utf-8"))
    values["prediction"]["probabilities"] = dict.fromkeys(CODES, 10**400)
    assessment.write_text(json.dumps(values))
    assert run(*where).status == 0


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_replaced_result_keeps_its_permissions(run: Run, photo: Path, tiny_bundle: Path) -> None:
    where = ("analyze", photo, "--pdf", "--out", "out", "--model", tiny_bundle)
    run(*where)
    for path in Path("out").iterdir():
        path.chmod(0o600)
    assert run(*where, "--patient-id", "4711").status == 0
    assert {path.stat().st_mode & 0o777 for path in Path("out").iterdir()} == {0o600}


@pytest.mark.parametrize("options", [(), ("--pdf",)])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_disk_that_fails_at_any_file_changes_none(
    run: Run,
    photo: Path,
    photos: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    number: int,
) -> None:
    where = ("--model", tiny_bundle, "--out", "out")
    run("analyze", photo, *where, "--pdf", "--name", "Anna Alpha")
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    calls: list[int] = []
    sync = os.fsync

    def failing(handle: int) -> None:
        calls.append(handle)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    outcome = run("analyze", photos / "b.png", *where, *options)
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert "No space left" in outcome.complaint
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX alone")
def test_two_analyses_into_one_folder_have_their_turns(
    run: Run, photo: Path, photos: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second, which ends while the first writes, must find all that the first has written."""
    where = ("--model", tiny_bundle, "--out", "out")
    run("analyze", photo, *where)
    second: list[threading.Thread] = []
    write = storage.write_together

    def writing(*arguments: Any, **options: Any) -> None:
        if not second:
            second.append(threading.Thread(target=other_analysis))
            second[0].start()
            second[0].join(timeout=0.5)
            assert second[0].is_alive()
        write(*arguments, **options)

    def other_analysis() -> None:
        with turn_in(Path("out")):
            found.update(names(Path("out")))

    found: set[str] = set()
    monkeypatch.setattr(storage, "write_together", writing)
    assert run("analyze", photos / "b.png", *where, "--pdf").status == 0
    second[0].join(timeout=60)
    assert found == names(Path("out")) == {*WRITTEN, "DermAssist_Report.pdf"}


def test_sums_in_another_order_are_no_other_answer(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    where = ("analyze", photo, "--out", "out", "--model", tiny_bundle)
    assert run(*where, "--pdf").status == 0
    assessment = Path("out/assessment.json")
    values = json.loads(assessment.read_text("utf-8"))
    shares = values["prediction"]["probabilities"]
    values["prediction"]["probabilities"] = {code: s + 1e-7 for code, s in shares.items()}
    assessment.write_text(json.dumps(values))
    assert run(*where).err == ""
    assert Path("out/DermAssist_Report.pdf").exists()


def test_an_earlier_report_is_kept_where_the_analysis_fails(
    run: Run, photo: Path, tiny_bundle: Path, fill_disk: Callable[[], None]
) -> None:
    where = ("--model", tiny_bundle, "--out", "out")
    assert run("analyze", photo, *where, "--pdf").status == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    assert run("analyze", "absent.jpg", *where).status != 0
    fill_disk()
    assert run("analyze", photo, *where).status != 0
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.parametrize(
    "options", [("--paper", "Nonsense"), ("--paper", "A4"), ("--patient-page",)]
)
def test_what_shapes_a_report_needs_one(
    run: Run, photo: Path, tiny_bundle: Path, options: tuple[str, ...]
) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle, *options)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == f"{options[0]}: for the PDF report alone; add --pdf"
    assert names(Path()) == set()


def test_remarks_of_quality_and_reading_are_said(
    run: Run, tmp_path: Path, tiny_bundle: Path
) -> None:
    dark = tmp_path / "dark.png"
    Image.new("RGB", (70, 70), (9, 9, 9)).save(dark)
    outcome = run("analyze", dark, "--model", tiny_bundle)
    assert outcome.status == 0
    said = [line for line in outcome.lines if line.startswith("Image: ")]
    assert any("70 pixels" in line for line in said)
    assert any("Dark" in line for line in said)
    last = outcome.lines.index(said[-1])
    assert outcome.lines[last + 1].startswith("Probabilities"), "they come before what they are of"


@pytest.mark.parametrize("name", ["spot on back.jpg", "Fleck_Rücken_痣.jpg", "two\nlines.jpg"])
def test_any_file_name_is_answered(
    run: Run, photo: Path, tmp_path: Path, tiny_bundle: Path, name: str
) -> None:
    named = photo.rename(tmp_path / name)
    outcome = run("analyze", named, "--model", tiny_bundle, "--json")
    assert outcome.status == 0
    assert outcome.json["image"]["name"] == name
