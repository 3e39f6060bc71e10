"""How to take an image, and how to read an answer."""

from __future__ import annotations

import streamlit as st

from dermassist.diagnosis import DIAGNOSES
from dermassist.interfaces.web.resources import model
from dermassist.report.clinical import (
    GRAD_CAM,
    HAM10000,
    LIMITS,
    TEMPERATURE,
    Source,
    Statement,
    cited,
    interpretation,
)
from dermassist.report.clinical import SOURCES as REPORT_SOURCES

#: Requirements of this program, each of which its own measurements or code bear out.
IMAGE_RULES = """
- Use a dermatoscope. The model has seen nothing else; it cannot tell that a photograph is none, and
  answers it all the same.
- One lesion, in the middle, with some skin around it. The network sees the centred square of the
  image: what lies outside is dimmed in the pictures.
- In focus and evenly lit. The app says so when an image is blurred, dark, bright or over-exposed
  beyond 99 % of the training images, and when its middle hardly stands out from its rim, as on
  healthy skin. It does not say so of all healthy skin.
- At least 224 pixels on the shorter side; below 64 an image is refused.
- The proportions of the camera. An image that another program squeezed to a square has lost the
  lesion's shape; say under "Square files" what it was squeezed from.
- No frames: black bars around an image change the answer.
- As few hairs, bubbles and rulers over the lesion as can be; the model that ships does not remove
  them.
"""
CONFORMAL = Source(
    "Conformal",
    "Vovk V. Conditional validity of inductive conformal predictors. ACML 2012, PMLR 25, 475-490.",
)
READING: dict[str, tuple[Statement, ...]] = {
    "Probabilities": (
        Statement(
            "Of all answers given with 80 %, about 80 % should be right: that is what calibrated "
            "means.",
            TEMPERATURE,
        ),
        Statement(
            "It was measured on the mix of lesions in the data set, of which two thirds are nevi; "
            "among your patients the mix is another.",
            HAM10000,
        ),
        Statement(
            "Where rare diagnoses weighed more in training, as in the recipes here, they are given "
            "too much probability, common ones too little."
        ),
    ),
    "Referral threshold": (
        Statement(
            "MEL, BCC and AKIEC together, against a threshold that was chosen on validation "
            "lesions to find 95 % of the malignant ones. What it finds and what it costs on other "
            "lesions stands beside the answer. Below the threshold is not the same as harmless."
        ),
    ),
    "Prediction set": (
        Statement(
            "The diagnoses that fit best. It does not exclude the others. It is made so that nine "
            "of ten sets hold the true diagnosis, for each diagnosis by itself.",
            CONFORMAL,
        ),
        Statement(
            "Not so for the diagnoses named beside it: too few of their lesions were there to "
            "calibrate on. How many sets do was measured; see the page Model. A large set means: "
            "the model does not know. An empty one means: no diagnosis is probable enough; do not "
            "rely on the answer. A diagnosis that nearly every set names is said to be one."
        ),
    ),
    "Heatmap": (
        Statement("Where the network found evidence for one diagnosis, in logits.", GRAD_CAM),
        Statement(
            "The colours have the same scale for every image, so an image that shows through "
            "undisturbed means little evidence. It is not an outline of the lesion and names no "
            "structure. How often its strongest point lies on the lesion was measured; see the "
            "page Model."
        ),
    ),
}
#: The report's, with its numbers, and what only this page needs.
SOURCES: tuple[Source, ...] = (*REPORT_SOURCES, CONFORMAL)


def _reading() -> dict[str, tuple[Statement, ...]]:
    """Return how to read an answer, with what is known of the loaded model."""
    measured = model().known.measured is not None
    how = "was measured: see the page Model" if measured else "was not measured"
    trust = Statement(f"How true that is for this model {how}.")
    definition, *others = READING["Probabilities"]
    return {**READING, "Probabilities": (definition, trust, *others)}


def guide_page() -> None:
    """Show the guide."""
    st.title("Guide", anchor=False)
    st.header("An image that can be assessed", anchor=False)
    st.markdown(IMAGE_RULES)
    st.header("Reading an answer", anchor=False)
    for title, statements in _reading().items():
        st.subheader(title, anchor=False)
        st.markdown(" ".join(cited(each, SOURCES) for each in statements))
    st.header("The seven diagnoses", anchor=False)
    for diagnosis in DIAGNOSES:
        kind = "counted as malignant" if diagnosis.malignant else "benign"
        with st.expander(f"{diagnosis}, {kind}"):
            for statement in interpretation(diagnosis):
                st.markdown(f"- {cited(statement)}")
    st.header("Limits", anchor=False)
    for limit in LIMITS:
        st.markdown(f"- {cited(limit)}")
    st.header("Sources", anchor=False)
    for number, source in enumerate(SOURCES, start=1):
        st.markdown(f"[{number}] {source.text}")
