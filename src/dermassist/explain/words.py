"""An answer in words, from measured quantities only.

Nothing here names a structure of the lesion: the network measures where evidence lies, not what
is to be seen there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from dermassist.diagnosis import Diagnosis
from dermassist.errors import ImageError
from dermassist.explain.activation_map import signed_heatmap
from dermassist.measured import FEW_IMAGES, ConfidenceBin, Measured
from dermassist.results import Assessment, Explanation, Prediction

#: The image in thirds, as it is seen.
PARTS = (
    ("upper left", "upper middle", "upper right"),
    ("middle left", "centre", "middle right"),
    ("lower left", "lower middle", "lower right"),
)
#: Half of evenly spread evidence would need half of the area.
CONCENTRATED_SHARE = 0.10
SPREAD_SHARE = 0.25
#: Decimals of a percentage that tell any two shares apart.
_MOST_DECIMALS = 20


@dataclass(frozen=True)
class Words:
    """Sentences about one diagnosis of one image; ``None`` where there is nothing to say.

    Attributes:
        diagnosis: which the evidence is for.
        location: in which part of the image the evidence lies.
        concentration: how small an area holds half of it.
        margin: the probability beside that of the next diagnosis.
        validation: how often answers of such confidence were right in the test.
        lesion: how much of the evidence lies inside the outline that was given.
    """

    diagnosis: Diagnosis
    location: str
    concentration: str | None
    margin: str
    validation: str | None
    lesion: str | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that there is to say, in order."""
        parts = (self.location, self.concentration, self.lesion, self.margin, self.validation)
        return tuple(part for part in parts if part is not None)

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def explain_in_words(
    assessment: Assessment,
    *,
    diagnosis: Diagnosis | None = None,
    measured: Measured | None = None,
    outline: NDArray[np.bool_] | None = None,
) -> Words:
    """Say where the evidence lies, how clear the answer is, and how often such answers are right.

    Args:
        assessment: of the image.
        diagnosis: which to explain; the predicted one by default.
        measured: the model's evaluation; without it the last sentence says "not measured".
        outline: true on the lesion, ``(height, width)`` of the upright image.

    Raises:
        ImageError: the outline is of another size than the image, or holds anything but booleans.
    """
    prediction, explanation = assessment.prediction, assessment.explanation
    shown = diagnosis or prediction.diagnosis
    width, height = assessment.image.width, assessment.image.height
    return Words(
        diagnosis=shown,
        location=_location(evidence_parts(explanation, shown, width=width, height=height), shown),
        concentration=_concentration(explanation.evidence[shown.index]),
        margin=_margin(prediction, shown),
        validation=_validation(assessment, measured) if shown is prediction.diagnosis else None,
        lesion=None if outline is None else _lesion(assessment, shown, outline),
    )


def evidence_parts(
    explanation: Explanation, diagnosis: Diagnosis, *, width: int, height: int
) -> NDArray[np.float64]:
    """Return which shares of the evidence for a diagnosis lie in which thirds of the image.

    Args:
        explanation: of the image.
        diagnosis: which of the seven maps.
        width: of the image in px.
        height: of the image in px.

    Returns:
        ``(3, 3)``, rows from above, adding up to 1; nan where there is no evidence for it.
        A position that straddles two thirds counts for each by its area there.
    """
    positive = np.maximum(explanation.evidence[diagnosis.index].astype(np.float64), 0.0)
    rows, columns = positive.shape
    to_image = explanation.to_image
    shift = explanation.shift
    down = _overlap(rows, shift, scale=to_image[1, 1], offset=to_image[1, 2], side=height)
    across = _overlap(columns, shift, scale=to_image[0, 0], offset=to_image[0, 2], side=width)
    total = positive.sum()
    return np.asarray(down @ positive @ across.T / (total if total > 0.0 else np.nan))


def half_evidence_share(evidence: NDArray[np.floating]) -> float:
    """Return the smallest share of positions that holds half of the positive evidence.

    Args:
        evidence: signed, of any shape.

    Returns:
        0 to 1; nan where nothing is positive.
    """
    falling = np.sort(np.maximum(evidence.astype(np.float64), 0.0), axis=None)[::-1]
    if not falling[0] > 0.0:
        return math.nan
    running = np.cumsum(falling)
    # Rounding must not ask for one position more where half is met exactly.
    needed = int(np.argmax(running >= 0.5 * running[-1] * (1.0 - 1e-12))) + 1
    return needed / falling.size


def set_caveat(prediction: Prediction) -> str | None:
    """Return what must be said beside a prediction set that is empty or lacks the answer itself.

    Membership is a matter of each class's own threshold: an answer that is the most probable one
    can still be less probable than cases of its class usually are.
    """
    members = prediction.prediction_set
    if members is None or prediction.diagnosis in members.diagnoses:
        return None
    if not members.diagnoses:
        return (
            "The set is empty: no diagnosis is as probable as cases of it usually are. That "
            "excludes none of them."
        )
    return (
        f"The answer itself, {prediction.diagnosis}, is not in the set: it is less probable than "
        "cases of it usually are. That does not exclude it."
    )


def percent(share: float) -> str:
    """Return a share, 0 to 1, for a person: ``92 %``, ``3.1 %``, ``less than 0.1 %``.

    Never shows 0 % or 100 % for what is not exactly 0 or 1; nan is ``not measured``.
    """
    if math.isnan(share):
        return "not measured"
    if share in {0.0, 1.0}:
        return f"{share:.0%}".replace("%", " %")
    if share < 0.001:
        return "less than 0.1 %"
    if share > 0.999:
        return "more than 99.9 %"
    value = 100.0 * share
    digits = 1 if value < 9.95 or value >= 99.0 else 0
    return f"{value:.{digits}f} %"


def percents_apart(one: float, other: float) -> tuple[str, str]:
    """Return two shares, 0 to 1, that are compared: as ``percent`` does, or with more decimals.

    Both get as many as it takes to tell them apart; only equal shares read alike.
    """
    words = percent(one), percent(other)
    decimals = 1
    while words[0] == words[1] and abs(one - other) > 0.0 and decimals < _MOST_DECIMALS:
        decimals += 1
        words = _percent(one, decimals), _percent(other, decimals)
    return words


def _percent(share: float, decimals: int) -> str:
    return f"{100 * Decimal(share):.{decimals}f} %"


def score(share: float) -> str:
    """Return a share, 0 to 1, as a number with two decimals, or more where two would overstate.

    Never shows 0.00 or 1.00 for what is not exactly 0 or 1: ``0.92``, ``0.996``, ``more than
    0.999``.
    """
    text = f"{share:.2f}"
    if text not in {"0.00", "1.00"} or share in {0.0, 1.0}:
        return text
    if share < 0.001:
        return "less than 0.001"
    return "more than 0.999" if share > 0.999 else f"{share:.3f}"


def _overlap(
    cells: int, shift: float, *, scale: float, offset: float, side: int
) -> NDArray[np.float64]:
    """Return the share of each cell, where it is drawn, in each third of a side, ``(3, cells)``."""
    borders = np.linspace(-0.5, side - 0.5, 4)
    # What lies beyond the image, where a view was padded, belongs to its outer thirds.
    borders[[0, -1]] = -np.inf, np.inf
    starts = scale * (np.arange(cells) - 0.5 - shift) + offset
    ends = starts + scale
    inside = np.minimum(ends, borders[1:, None]) - np.maximum(starts, borders[:-1, None])
    return np.asarray(np.maximum(inside, 0.0) / scale)


def _location(parts: NDArray[np.float64], diagnosis: Diagnosis) -> str:
    if np.isnan(parts).any():
        return f"At no position of the image did the model find evidence for {diagnosis}."
    row, column = np.unravel_index(int(parts.argmax()), parts.shape)
    share, place = float(parts[row, column]), PARTS[row][column]
    if share > 0.5:
        return f"Most of the evidence for {diagnosis} ({percent(share)}) lies in the {place}."
    return (
        f"The evidence for {diagnosis} is spread over the image; the largest share "
        f"({percent(share)}) lies in the {place}."
    )


def _concentration(evidence: NDArray[np.float32]) -> str | None:
    share = half_evidence_share(evidence)
    if math.isnan(share):
        return None
    manner = "moderately concentrated"
    if share <= CONCENTRATED_SHARE:
        manner = "concentrated"
    elif share > SPREAD_SHARE:
        manner = "widely spread"
    return f"It is {manner}: half of it lies on {percent(share)} of the area the model looked at."


def _margin(prediction: Prediction, shown: Diagnosis) -> str:
    (first, highest), (second, next_highest), *_ = prediction.ranked
    own = prediction.probability(shown)
    if shown is not first:
        return (
            f"{shown} has a probability of {percent(own)}; the model's answer is {first} with "
            f"{percent(highest)}."
        )
    points = 100.0 * (highest - next_highest)
    distance = f"{points:.0f}" if points >= 9.5 else f"{points:.1f}"
    return (
        f"{first} has a probability of {percent(highest)}, {distance} percentage points more than "
        f"the next, {second} ({percent(next_highest)})."
    )


def _validation(assessment: Assessment, measured: Measured | None) -> str:
    prediction = assessment.prediction
    if assessment.quality.stands_out is False:
        return "How often answers are right where no lesion is found was not measured."
    if measured is None:
        return "How often answers of such confidence are right was not measured for this model."
    cases = measured.confidence_bin(prediction.confidence, prediction.diagnosis)
    between = f"a confidence between {percent(cases.low)} and {percent(cases.high)}"
    about = f"answered with {_named(cases)}{between}"
    if cases.images == 0:
        return f"No test image was {about}, so nothing was measured for such answers."
    right = f"The answer was right for {percent(cases.right)} of the {cases.images:,} test images "
    few = "; so few images say little" if cases.images < FEW_IMAGES else ""
    if cases.answer is None and cases.other_than is None:
        few += "; answers of one diagnosis alone were not counted"
    return f"{right}{about}{few}."


def _named(cases: ConfidenceBin) -> str:
    """Say which answers these test images were given, before their confidence."""
    if cases.answer is not None:
        return f"{cases.answer} and "
    return "" if cases.other_than is None else f"another diagnosis than {cases.other_than} and "


def _lesion(assessment: Assessment, shown: Diagnosis, outline: NDArray[np.bool_]) -> str | None:
    info = assessment.image
    if outline.shape != (info.height, info.width):
        raise ImageError(
            f"{info.name}: the outline is {outline.shape[1]} x {outline.shape[0]} pixels, the "
            f"image {info.width} x {info.height}; give the outline of this image"
        )
    # Numbers would be taken for places in the image.
    if outline.dtype != np.bool_:
        raise ImageError(
            f"{info.name}: the outline holds {outline.dtype}; give booleans, such as mask > 0"
        )
    evidence = signed_heatmap(assessment.explanation, shown, width=info.width, height=info.height)
    seen = ~np.isnan(evidence)
    positive = np.maximum(np.nan_to_num(evidence, nan=0.0), 0.0, dtype=np.float64)
    total = positive.sum()
    if not total > 0.0:
        return None
    share, area = float(positive[outline].sum() / total), float((outline & seen).sum() / seen.sum())
    return (
        f"{percent(share)} of it lies inside the outline of the lesion, which takes up "
        f"{percent(area)} of the area the model looked at."
    )
