"""What must stand beside an answer, so that nobody takes it for more than it is.

Every number here was counted on test images; what was not measured is left out or called so.
"""

from __future__ import annotations

import math

from dermassist.diagnosis import Diagnosis
from dermassist.evaluation.conformal import SetSummary
from dermassist.explain.words import percent, percents_apart
from dermassist.measured import FEW_IMAGES, Measured
from dermassist.results import Prediction

#: The network has no way to say that an image shows none of the seven.
SUBJECT_NOT_CHECKED = (
    "Whether the image shows a lesion was not checked, beyond whether anything stands out from its "
    "rim: the model names one of its seven diagnoses for healthy skin, for a photograph without a "
    "dermatoscope and for anything else as well."
)
#: A diagnosis that so many sets name is told from others by none of them.
NAMED_ANYWAY_SHARE = 0.9
OUTSIDE_THE_SET = "A diagnosis outside the set is not excluded."
NOT_HARMLESS = "This does not exclude a malignant lesion."


def referral_line(prediction: Prediction) -> str | None:
    """Say first and in one line whether referral is advised; ``None`` without a threshold."""
    referral = prediction.referral
    if referral is None:
        return None
    together, threshold = percents_apart(referral.malignancy, referral.threshold)
    shares = (
        f"the malignant diagnoses together (MEL, BCC, AKIEC) have {together}, the threshold is "
        f"{threshold}"
    )
    if not referral.advised:
        return f"Referral threshold not reached: {shares}. {NOT_HARMLESS}"
    if prediction.diagnosis.malignant:
        return f"Referral advised: {shares}."
    return f"Referral advised, although the most probable diagnosis is benign: {shares}."


def missed_words(diagnosis: Diagnosis, measured: Measured | None) -> str | None:
    """Say how many answers with a benign diagnosis were given to malignant lesions in the test.

    Returns:
        ``None`` for a malignant diagnosis, and where nothing was measured or answered so.
    """
    if measured is None or diagnosis.malignant:
        return None
    answered = [row[diagnosis.index] for row in measured.report.confusion]
    if not sum(answered):
        return None
    malignant = sum(answered[other.index] for other in Diagnosis if other.malignant)
    melanomas = answered[Diagnosis.MEL.index]
    return (
        f"Of the {sum(answered):,} test images answered with {diagnosis}, {malignant:,} "
        f"({percent(malignant / sum(answered))}) showed a malignant lesion, {melanomas:,} of them "
        "a melanoma."
    )


def referral_range_words(measured: Measured | None) -> str | None:
    """Say how much the share of referred benign images depends on where images come from.

    Returns:
        ``None`` where fewer than two sources with enough benign images were told apart.
    """
    if measured is None:
        return None
    shares = [
        1.0 - each.measures.specificity.value
        for each in measured.referral_by_source
        if each.benign_images >= FEW_IMAGES
    ]
    if len(shares) < 2:
        return None
    return (
        f"It depends on where images come from: in the {len(shares)} sources of the test, "
        f"{percent(min(shares))} to {percent(max(shares))} of the benign images were referred."
    )


def set_warning(prediction: Prediction, sets: SetSummary | None) -> str | None:
    """Say that a diagnosis outside the prediction set is not excluded, and how often it was true.

    Where the set names a diagnosis that nearly all sets do, that is said as well.

    Args:
        prediction: with or without a set.
        sets: what was measured of such sets.

    Returns:
        ``None`` without a set.
    """
    if prediction.prediction_set is None:
        return None
    sentence = OUTSIDE_THE_SET
    if sets is not None and not math.isnan(sets.lesion_coverage.value):
        outside = percent(1.0 - sets.lesion_coverage.value)
        sentence += f" In the test, the true diagnosis of {outside} of the lesions was outside."
    more = (melanoma_outside_words(prediction, sets), named_anyway_words(prediction, sets))
    return " ".join((sentence, *(words for words in more if words is not None)))


def melanoma_outside_words(prediction: Prediction, sets: SetSummary | None) -> str | None:
    """Say that melanoma is not in the set, and how often the sets of melanomas lacked it.

    Returns:
        ``None`` where it is in the set, or there is no set.
    """
    members = prediction.prediction_set
    if members is None or Diagnosis.MEL in members.diagnoses:
        return None
    words = "Melanoma is not in this set, which does not exclude it"
    covered = math.nan if sets is None else sets.class_coverage[Diagnosis.MEL.index].value
    if math.isnan(covered):
        return f"{words}."
    return f"{words}: in the test, {percent(1.0 - covered)} of the melanoma images had such sets."


def named_anyway_words(prediction: Prediction, sets: SetSummary | None) -> str | None:
    """Say which diagnoses of the set nearly every set names: their being there tells little.

    Returns:
        ``None`` where there are none but the answer itself, or nothing was measured.
    """
    members = prediction.prediction_set
    if members is None or sets is None:
        return None
    shares = {
        diagnosis: sets.named[diagnosis.index].value
        for diagnosis in members.diagnoses
        if diagnosis is not prediction.diagnosis
    }
    sentences = [
        f"In the test, {percent(share)} of all sets named {diagnosis}: that this one does tells "
        "little."
        for diagnosis, share in shares.items()
        if share >= NAMED_ANYWAY_SHARE
    ]
    return " ".join(sentences) or None
