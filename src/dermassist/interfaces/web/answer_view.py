"""The answer to one image in words and numbers, and what must stand beside it."""

from __future__ import annotations

import streamlit as st

from dermassist.explain.caution import (
    SUBJECT_NOT_CHECKED,
    missed_words,
    referral_line,
    referral_range_words,
    set_warning,
)
from dermassist.explain.words import percent, set_caveat
from dermassist.interfaces.web.charts import probability_chart, probability_words
from dermassist.interfaces.web.known import figures_of, manifest_of, measured_of
from dermassist.interfaces.web.resources import model
from dermassist.interfaces.web.text import escaped, unbroken
from dermassist.report import UNREADABLE, not_at_hand
from dermassist.results import Assessment, Prediction, Referral

NOT_A_DIAGNOSIS = "Not a diagnosis: a clinician decides."


def show_answer(assessment: Assessment, *, seconds: float | None = None) -> None:
    """Draw the answer, first what may spoil it.

    Args:
        assessment: of the image.
        seconds: that the answer took, if known.
    """
    for remark in (*assessment.quality.remarks, *assessment.image.notes):
        st.warning(escaped(remark, longest=400), icon=":material/visibility:")
    _show_diagnosis(assessment.prediction)
    _show_referral(assessment)
    missed = missed_words(assessment.prediction.diagnosis, measured_of(assessment))
    if missed is not None:
        st.markdown(unbroken(missed))
    st.altair_chart(
        probability_chart(assessment.prediction),
        width="stretch",
        alt=probability_words(assessment.prediction),
    )
    _show_set(assessment)
    st.markdown(f":small[{SUBJECT_NOT_CHECKED}]")
    _show_origin(assessment, seconds)


def _show_diagnosis(prediction: Prediction) -> None:
    st.subheader(str(prediction.diagnosis), anchor=False)
    st.markdown(escaped(prediction.diagnosis.summary, longest=400))
    st.markdown(NOT_A_DIAGNOSIS)
    confidence, malignant = st.columns(2)
    label = "Confidence" if prediction.calibrated else "Confidence (not calibrated)"
    confidence.metric(label, percent(prediction.confidence))
    malignant.metric("MEL, BCC and AKIEC together", percent(prediction.malignancy))


def _show_referral(assessment: Assessment) -> None:
    line, referral = referral_line(assessment.prediction), assessment.prediction.referral
    if line is None or referral is None:
        st.info("A referral threshold was not measured for this model.")
        return
    head, _, rest = line.partition(": ")
    text = unbroken(f"**{head}:** {rest} {_threshold_words(assessment, referral)}")
    if referral.advised:
        st.warning(text)
    elif assessment.quality.stands_out is False:
        # Nothing reassures where no lesion was found.
        st.markdown(text)
    else:
        st.info(text)


def _threshold_words(assessment: Assessment, referral: Referral) -> str:
    """Say how the threshold was chosen, and what it did on test lesions."""
    chosen = (
        "The threshold was chosen on validation lesions to find "
        f"{percent(referral.target_sensitivity)} of the malignant ones."
    )
    # The answer stands without the figures of another version.
    known = figures_of(assessment)
    measured, by_source = known.referral, referral_range_words(known.measured)
    if measured is None:
        return f"{chosen} Its sensitivity and specificity on test lesions: not measured."
    return (
        f"{chosen} On test lesions it found {percent(measured.sensitivity.value)} of the "
        f"malignant images (sensitivity) and left {percent(measured.specificity.value)} of the "
        f"benign ones unreferred (specificity).{'' if by_source is None else f' {by_source}'}"
    )


def _show_set(assessment: Assessment) -> None:
    prediction, members = assessment.prediction, assessment.prediction.prediction_set
    if members is None:
        st.markdown("**Prediction set:** not measured for this model.")
        return
    names = ", ".join(str(diagnosis) for diagnosis in members.diagnoses) or "none of the seven"
    title = unbroken(f"Prediction set ({percent(members.coverage)})")
    st.markdown(f"**{title}:** {names}")
    caveat = set_caveat(prediction)
    if caveat is not None:
        st.warning(caveat)
    warning = set_warning(prediction, figures_of(assessment).sets)
    if warning is not None:
        st.markdown(unbroken(warning))
    if members.not_guaranteed:
        small = ", ".join(diagnosis.code.upper() for diagnosis in members.not_guaranteed)
        st.markdown(f"Not guaranteed for {small}: too few lesions to calibrate on.")


def _show_origin(assessment: Assessment, seconds: float | None) -> None:
    if manifest_of(assessment) is None:
        st.warning(escaped(not_at_hand(assessment.model), longest=400))
    elif model().known.unreadable is not None:
        st.warning(UNREADABLE)
    took = f", answered in {seconds:.2f} s" if seconds is not None else ""
    st.caption(
        f"{escaped(assessment.image.name)}, {assessment.image.width} x {assessment.image.height} "
        f"pixels{took}. Model {escaped(assessment.model.name)} {escaped(assessment.model.version)}."
    )
