"""The page for the patient, without technical words; it is handed out alone."""

from __future__ import annotations

from dermassist.diagnosis import Diagnosis
from dermassist.explain.words import percent, percents_apart
from dermassist.measured import FEW_IMAGES, ConfidenceBin, Measured
from dermassist.outcome import Outcome, OutcomeSource
from dermassist.report.clinical import plain_words
from dermassist.report.content import Block, Bullets, Facts, Headline, Paragraph, Section
from dermassist.report.finding import Evidence
from dermassist.results import Assessment, Prediction
from dermassist.sample import SAMPLE_WORDS, is_sample

PATIENT_TITLE = "In plain words, for the patient"
_NO_SPOT = "The picture may not show a spot at all; do not rely on the program's answer."
_UNLIKE = "The picture is unlike those that the program learned from; its answer may be wrong."
_ANY_PICTURE = (
    "The program gives one of its seven answers to every picture, also to one that shows no spot."
)
_MISTAKES = "Such programs make mistakes, also when sure."
_SHOW_IT = "If the spot changes or worries you, show it to a doctor in any case."
_KNOWN_FROM: dict[OutcomeSource, str] = {
    "histology": "It is now known from an examination of its tissue that the spot is",
    "clinician": "A doctor has found that the spot is",
    "follow-up": "It is now known from watching it over time that the spot is",
}


def patient_page(
    assessment: Assessment, evidence: Evidence, spot: Facts, outcome: Outcome | None = None
) -> Section:
    """Return the page: first what is known of the spot by now, then what spoils the answer.

    Args:
        assessment: of the picture.
        evidence: what the sentences rest on.
        spot: whose and which spot it is.
        outcome: what it turned out to be, if that is known; then the page gives no numbers of the
            program, which answered without knowing.
    """
    warnings = _picture_warnings(assessment)
    if outcome is not None:
        blocks = (*_known(outcome), *warnings, *_compared(outcome, evidence.prediction))
    else:
        blocks = (*warnings, *_answered(assessment, evidence))
    return Section(PATIENT_TITLE, (spot, *blocks))


def _picture_warnings(assessment: Assessment) -> tuple[Block, ...]:
    """Say in plain words what the report's other pages say of the picture."""
    quality, info = assessment.quality, assessment.image
    sentences = [SAMPLE_WORDS] if is_sample(info.sha256) else []
    if quality.stands_out is False:
        sentences.append(_NO_SPOT)
    elif quality.remarks:
        sentences.append(_UNLIKE)
    if quality.remarks:
        # Each begins with what it is, in a word or two.
        named = (remark.partition(":")[0].rstrip(".") for remark in quality.remarks)
        listed = ", ".join(name[:1].lower() + name[1:] for name in named)
        sentences.append(f"Noted of the picture: {listed}.")
    warning = (Paragraph(" ".join(sentences), "warning"),) if sentences else ()
    reading = " ".join(info.notes)
    notes = (Paragraph(f"Noted when the picture was read: {reading}", "plain"),) if reading else ()
    return (*warning, *notes)


def _answered(assessment: Assessment, evidence: Evidence) -> tuple[Block, ...]:
    prediction = evidence.prediction
    return (
        *_referral_warning(prediction),
        Paragraph(
            "A computer program looked at a picture of this spot on your skin, taken with a "
            "special magnifier. It learned from thousands of such pictures. It cannot examine "
            "you and knows nothing else about you.",
            "plain",
        ),
        Headline("The program's answer", prediction.diagnosis.full_name),
        *_worth(assessment, evidence.known.measured),
        Paragraph(_referral(prediction), "plain"),
        Paragraph("What this means for you:", "plain"),
        Bullets(
            (
                f"This page is not a diagnosis. {_MISTAKES}",
                "Your doctor decides what the spot is. Talk with them about this page.",
                _SHOW_IT,
            ),
            "plain",
        ),
    )


def _worth(assessment: Assessment, measured: Measured | None) -> tuple[Block, ...]:
    """Say what the answer means and how sure it is, unless there may be no spot to answer for."""
    prediction = assessment.prediction
    if assessment.quality.stands_out is False:
        return (Paragraph(_ANY_PICTURE, "plain"),)
    return (
        Paragraph(plain_words(prediction.diagnosis).text, "plain"),
        Paragraph(_confidence(prediction, measured), "plain"),
    )


def _known(outcome: Outcome) -> tuple[Block, ...]:
    label, found = _KNOWN_FROM[outcome.source], outcome.diagnosis
    if found is None:
        # The remarks are notes between clinicians.
        return (
            Headline(label, "None of the seven kinds that the program knows"),
            Paragraph("Your doctor can tell you what it is.", "plain"),
        )
    return (Headline(label, found.full_name), Paragraph(plain_words(found).text, "plain"))


def _compared(outcome: Outcome, prediction: Prediction) -> tuple[Block, ...]:
    """Say what the program answered, beside what is known."""
    return (
        Paragraph(_past_answer(outcome.diagnosis, prediction), "plain"),
        Paragraph("What this means for you:", "plain"),
        Bullets(
            (
                "Talk with your doctor about what was found and what it means for you.",
                _MISTAKES,
                _SHOW_IT,
            ),
            "plain",
        ),
    )


def _past_answer(found: Diagnosis | None, prediction: Prediction) -> str:
    agreed = "the same" if found is prediction.diagnosis else "another answer"
    text = (
        "A computer program looked at a picture of the spot, without knowing this. It answered: "
        f"{prediction.diagnosis.full_name}. That was {agreed}."
    )
    if prediction.referral is not None and prediction.referral.advised:
        text += " It advised a visit to a skin doctor."
    return text


def _referral_warning(prediction: Prediction) -> tuple[Block, ...]:
    """Say before the answer what matters most; nothing where no visit is advised."""
    if prediction.referral is None or not prediction.referral.advised:
        return ()
    text = (
        "Please have this spot looked at by a skin doctor. The program cannot rule out skin cancer."
    )
    if not prediction.diagnosis.malignant:
        text += (
            " The kind that it found most likely is usually harmless, but other kinds, some of "
            "them cancer, are possible."
        )
    return (Paragraph(text, "warning"),)


def _confidence(prediction: Prediction, measured: Measured | None) -> str:
    share = percent(prediction.confidence)
    second, next_share = prediction.ranked[1]
    runner_up = f"Its second choice is {second.full_name}, with {percent(next_share)}."
    cases = None
    if measured is not None:
        cases = measured.confidence_bin(prediction.confidence, prediction.diagnosis)
    if cases is not None and cases.images >= FEW_IMAGES:
        # What was counted, which need not be what the program expects of itself.
        return (
            f"The program says that it is {share} sure. In a test with other pictures, "
            f"{_of_hundred(cases.right)} of 100 {_like(cases)} that it gave about as surely were "
            f"right. {runner_up}"
        )
    if prediction.calibrated:
        return (
            f"The program says that it is {share} sure: of 100 pictures that it answers like this, "
            f"it expects {_of_hundred(prediction.confidence)} answers to be right. {runner_up}"
        )
    return (
        f"The program says that it is {share} sure, but nobody has measured how far this number "
        f"can be trusted. {runner_up}"
    )


def _like(cases: ConfidenceBin) -> str:
    if cases.answer is not None:
        return f"answers “{cases.answer.full_name}”"
    return (
        "answers"
        if cases.other_than is None
        else f"answers other than “{cases.other_than.full_name}”"
    )


def _of_hundred(share: float) -> str:
    """Never promise all of them."""
    count = round(100 * share)
    return "more than 99" if count == 100 else f"about {count}"


def _referral(prediction: Prediction) -> str:
    referral = prediction.referral
    together, threshold = percent(prediction.malignancy), ""
    if referral is not None:
        together, threshold = percents_apart(referral.malignancy, referral.threshold)
    text = f"The program gives {together} to the three kinds that are, or can become, skin cancer."
    if referral is None:
        return f"{text} From which number on a doctor should look was not measured."
    text += f" From {threshold} on it advises a visit to a skin doctor."
    if referral.advised:
        return text
    return f"{text} A lower number does not mean that the spot is harmless."
