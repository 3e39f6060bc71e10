"""What is said about the seven diagnoses in general, sentence by sentence with its source.

No sentence describes the image at hand, and none advises a treatment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dermassist.diagnosis import Diagnosis


@dataclass(frozen=True)
class Source:
    """Where a sentence can be checked; ``text`` is what the list of sources prints."""

    key: str
    text: str


HAM10000 = Source(
    "HAM10000",
    "Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset, a large collection of multi-source "
    "dermatoscopic images of common pigmented skin lesions. Sci Data 5, 180161 (2018). "
    "doi:10.1038/sdata.2018.161",
)
GRAD_CAM = Source(
    "Grad-CAM",
    "Selvaraju RR, Cogswell M, Das A, et al. Grad-CAM: visual explanations from deep networks via "
    "gradient-based localization. ICCV 2017, 618-626. doi:10.1109/ICCV.2017.74",
)
TEMPERATURE = Source(
    "Temperature",
    "Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017, "
    "PMLR 70, 1321-1330.",
)


@dataclass(frozen=True)
class Statement:
    """A sentence and where it comes from; ``None`` marks a rule of this program, not a finding."""

    text: str
    source: Source | None = None


_BENIGN_ADVICE = Statement(
    "This class is benign. Such an answer does not exclude a malignant lesion: one that changes, "
    "or that worries its bearer or reader, should be assessed by a dermatologist."
)
_MALIGNANT_ADVICE = Statement(
    "This class counts as malignant here: the lesion should be assessed by a dermatologist, "
    "whatever the confidence."
)

_PARTICULARS: dict[Diagnosis, tuple[str, ...]] = {
    Diagnosis.AKIEC: (
        (
            "Some authors regard these lesions as precursors rather than as carcinomas; it is "
            "agreed that they may progress to invasive squamous cell carcinoma."
        ),
        "Actinic keratoses are more common on the face, Bowen's disease on other body sites.",
    ),
    Diagnosis.BCC: ("It appears in flat, nodular, pigmented and cystic variants.",),
    Diagnosis.BKL: (
        (
            "Lichen-planus-like keratoses can look like melanoma in dermatoscopy and are often "
            "biopsied or excised to be certain."
        ),
    ),
    Diagnosis.DF: ("It is the rarest class of the data set: 115 of 10,015 images.",),
    Diagnosis.MEL: ("In the data set the class includes melanoma in situ.",),
    Diagnosis.NV: ("The variants may differ much from each other in dermatoscopy.",),
    Diagnosis.VASC: ("It is a rare class of the data set: 142 of 10,015 images.",),
}

#: For the patient: what the class is, without technical words.
_PLAIN: dict[Diagnosis, str] = {
    Diagnosis.AKIEC: (
        "Actinic keratosis and Bowen's disease are changes in the upper layer of the skin, mostly "
        "caused by sunlight. They can turn into skin cancer."
    ),
    Diagnosis.BCC: (
        "Basal cell carcinoma is a common skin cancer. It rarely spreads to other parts of the "
        "body, but it keeps growing where it is if nothing is done."
    ),
    Diagnosis.BKL: (
        "Benign keratoses are growths or flat marks of the skin, many of them from age or "
        "sunlight; they are usually harmless."
    ),
    Diagnosis.DF: (
        "A dermatofibroma is a small growth, usually harmless and sometimes left by a small injury."
    ),
    Diagnosis.MEL: (
        "Melanoma is a skin cancer of the cells that make pigment. Found early, it can be cured."
    ),
    Diagnosis.NV: ("A melanocytic nevus is a mole: a growth of pigment cells, usually harmless."),
    Diagnosis.VASC: (
        "Vascular lesions are spots made of small blood vessels, or of a little blood in the skin."
    ),
}

#: What the answer cannot be used for.
LIMITS: tuple[Statement, ...] = (
    Statement(
        "The model knows seven diagnoses. It answers an image of anything else with one of them."
    ),
    Statement(
        "Invasive squamous cell carcinoma, Merkel cell carcinoma and other cancers of the skin are "
        "not among the seven: such a lesion is given one of their names, possibly a benign one."
    ),
    Statement(
        "No melanoma without pigment, under a nail, in the eye or on a mucous membrane was among "
        "the images that it learned from.",
        HAM10000,
    ),
    Statement(
        "It learned from dermatoscopic images of pigmented lesions from Austria and Australia.",
        HAM10000,
    ),
    Statement(
        "The images that it learned from come from four sources. Networks of its kind that were "
        "trained without one of these erred more on that source, and their probabilities were "
        "further off. Expect the same from other cameras and clinics."
    ),
    Statement("Photographs taken without a dermatoscope were neither learned nor tested."),
    Statement(
        "The data set does not record skin tone, so performance by skin tone was not measured."
    ),
    Statement(
        "Two thirds of its images show melanocytic nevi (6,705 of 10,015). Probabilities refer to "
        "this mix of cases, which a practice need not have.",
        HAM10000,
    ),
    Statement(
        "A heatmap shows where the network found evidence. It is not an outline of the lesion and "
        "names no structure.",
        GRAD_CAM,
    ),
)


#: As the report lists and numbers them, from 1.
SOURCES: tuple[Source, ...] = (HAM10000, GRAD_CAM, TEMPERATURE)


def cited(statement: Statement, sources: Sequence[Source] = SOURCES) -> str:
    """Return the sentence with the number of its source, if it has one, on the same line."""
    if statement.source is None:
        return statement.text
    return f"{statement.text}\u00a0[{sources.index(statement.source) + 1}]"


def interpretation(diagnosis: Diagnosis) -> tuple[Statement, ...]:
    """Return what a clinician should know about a class, its advice last."""
    particulars = (Statement(text, HAM10000) for text in _PARTICULARS[diagnosis])
    advice = _MALIGNANT_ADVICE if diagnosis.malignant else _BENIGN_ADVICE
    return (Statement(diagnosis.summary, HAM10000), *particulars, advice)


def plain_words(diagnosis: Diagnosis) -> Statement:
    """Return what a class is, for a reader without medical training."""
    return Statement(_PLAIN[diagnosis], HAM10000)
