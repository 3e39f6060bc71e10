from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import ImageError
from dermassist.evaluation.calibration import ReliabilityBins
from dermassist.explain.activation_map import peak
from dermassist.explain.words import (
    PARTS,
    evidence_parts,
    explain_in_words,
    half_evidence_share,
    percent,
    percents_apart,
    score,
    set_caveat,
)
from dermassist.measured import Measured, read_measured
from dermassist.results import Assessment, Explanation, PredictionSet

from ..report.conftest import (
    make_assessment,
    make_manifest,
    measured_answers,
)

WIDTH = HEIGHT = 90
STRUCTURES = (
    "network",
    "border",
    "asymmetr",
    "streak",
    "veil",
    "globule",
    "dots",
    "colour",
    "blue",
)


def explanation(
    grid: NDArray[np.floating], *, side: int = WIDTH, shift: float = 0.0
) -> Explanation:
    """Return evidence that covers a square image exactly, the same for every class."""
    step = side / grid.shape[0]
    to_image = np.array([[step, 0.0, step / 2 - 0.5], [0.0, step, step / 2 - 0.5]])
    stacked = np.stack([grid] * len(CODES)).astype(np.float32)
    return Explanation(stacked, to_image, 5.0, shift)


def answered(grid: NDArray[np.floating]) -> Assessment:
    assessment = make_assessment(explanation=explanation(grid))
    return replace(assessment, image=replace(assessment.image, width=WIDTH, height=HEIGHT))


@pytest.fixture(scope="module")
def measured() -> Measured:
    from dermassist.evaluation.report import build_report

    labels, shares = measured_answers(210)
    report = build_report(
        labels,
        shares,
        groups=np.arange(len(labels)),
        rng=np.random.default_rng(0),
        resamples=20,
    )
    found = read_measured(make_manifest(metrics={"report": report.to_dict()}))
    assert found is not None
    return found


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("column", range(3))
def test_names_the_third_that_holds_the_evidence(row: int, column: int) -> None:
    grid = np.full((9, 9), -1.0)
    grid[3 * row + 1, 3 * column + 1] = 2.0

    words = explain_in_words(answered(grid))

    assert words.location.endswith(f"(100 %) lies in the {PARTS[row][column]}.")
    assert words.concentration is not None
    assert "It is concentrated: half of it lies on 1.2 %" in words.concentration


def test_parts_agree_with_counting_pixels() -> None:
    """A 7 x 7 grid straddles thirds of 90 px; painting each cell's pixels counts the same."""
    grid = np.random.default_rng(1).normal(size=(7, 7))
    side = 210
    painted = np.repeat(np.repeat(np.maximum(grid, 0), 30, axis=0), 30, axis=1)
    expected = painted.reshape(3, 70, 3, 70).sum(axis=(1, 3)) / painted.sum()

    parts = evidence_parts(explanation(grid, side=side), Diagnosis.NV, width=side, height=side)

    np.testing.assert_allclose(parts, expected, atol=1e-6)


def test_parts_lie_where_the_heatmap_is_drawn() -> None:
    """A position half a cell above and left of its cell counts there, and where its peak is."""
    grid = np.zeros((7, 7))
    grid[2, 2] = 1.0
    shifted = explanation(grid, side=210, shift=0.5)

    parts = evidence_parts(shifted, Diagnosis.NV, width=210, height=210)

    # Drawn from 45 to 75 px both ways; the first third ends at 70.
    assert parts[0, 0] == pytest.approx((25 / 30) ** 2)
    assert parts[1, 1] == pytest.approx((5 / 30) ** 2)
    x, y = peak(shifted, Diagnosis.NV)
    assert (x < 70, y < 70) == (True, True)


@given(
    npst.arrays(np.float32, (7, 7), elements=st.floats(-8, 8, width=32)),
    st.integers(40, 3000),
    st.integers(40, 3000),
    st.floats(0.1, 500),
    st.floats(-300, 300),
)
def test_parts_add_up_to_one_wherever_the_view_lies(
    grid: NDArray[np.float32], width: int, height: int, step: float, offset: float
) -> None:
    to_image = np.array([[step, 0.0, offset], [0.0, step * 0.7, -offset]])
    placed = Explanation(np.stack([grid] * len(CODES)), to_image, 5.0)

    parts = evidence_parts(placed, Diagnosis.MEL, width=width, height=height)

    if grid.max() > 0:
        assert parts.sum() == pytest.approx(1.0)
        assert (parts >= 0).all()
    else:
        assert np.isnan(parts).all()


def test_spread_evidence_is_called_spread() -> None:
    words = explain_in_words(answered(np.ones((9, 9))))

    assert "is spread over the image; the largest share (11 %)" in words.location
    assert words.concentration is not None
    assert "widely spread: half of it lies on 51 %" in words.concentration


def test_no_evidence_is_said_and_nothing_else_is_made_up() -> None:
    words = explain_in_words(answered(np.full((7, 7), -0.5)))

    assert words.location.startswith("At no position of the image")
    assert words.concentration is None


@given(npst.arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 9)))
def test_half_of_the_evidence_by_brute_force(values: NDArray[np.float64]) -> None:
    share = half_evidence_share(values)

    if values.max() == 0:
        assert math.isnan(share)
        return
    count = round(share * values.size)
    best = np.sort(values)[::-1]
    assert best[:count].sum() >= 0.5 * best.sum() * (1 - 1e-9)
    assert best[: count - 1].sum() < 0.5 * best.sum()


def test_margin_to_the_second_class() -> None:
    words = explain_in_words(make_assessment(confidence=0.72))

    assert words.margin == (
        "Melanoma (MEL) has a probability of 72 %, 58 percentage points more than the next, "
        "Actinic Keratoses (AKIEC) (14 %)."
    )


def test_another_class_is_explained_beside_the_answer() -> None:
    words = explain_in_words(make_assessment(confidence=0.72), diagnosis=Diagnosis.AKIEC)

    assert "the model's answer is Melanoma (MEL) with 72 %" in words.margin
    assert words.validation is None


def test_says_not_measured_without_an_evaluation() -> None:
    assert "was not measured" in (explain_in_words(make_assessment()).validation or "")


def of_answers(counts: dict[str, int], rights: dict[str, int], measured: Measured) -> Measured:
    """Return a model whose test had, in the bin of 72 %, these answers, so many of them right."""
    bins, place = measured.report.reliability, 10
    assert bins.edges[place] < 0.72 <= bins.edges[place + 1]

    def of(code: str) -> ReliabilityBins:
        count, right = [0] * 15, [math.nan] * 15
        if counts.get(code):
            count[place], right[place] = counts[code], rights[code] / counts[code]
        return replace(bins, count=tuple(count), accuracy=tuple(right))

    return replace(measured, answered=tuple(of(code) for code in CODES))


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (
            {"nv": 500, "mel": 40, "bkl": 60},
            "right for 50 % of the 40 test images answered with Melanoma (MEL) and a confidence",
        ),
        (
            {"nv": 500, "mel": 4, "bkl": 56},
            (
                "right for 50 % of the 60 test images answered with another diagnosis than "
                "Melanocytic Nevus (NV) and a confidence"
            ),
        ),
        (
            {"nv": 500, "mel": 2, "bkl": 2},
            (
                "right for 50 % of the 4 test images answered with another diagnosis than "
                "Melanocytic Nevus (NV) and a confidence between 67 % and 73 %; so few images say "
                "little."
            ),
        ),
        ({"nv": 500}, "No test image was answered with another diagnosis than Melanocytic Nevus"),
        (
            {"mel": 19, "nv": 2},
            (
                "right for 47 % of the 19 test images answered with Melanoma (MEL) and a "
                "confidence between 67 % and 73 %; so few images say little."
            ),
        ),
    ],
)
def test_an_answer_is_compared_with_its_like_and_not_with_the_commonest(
    counts: dict[str, int], said: str, measured: Measured
) -> None:
    rights = {code: count // 2 if code != "nv" else count for code, count in counts.items()}
    like = of_answers(counts, rights, measured)
    words = explain_in_words(make_assessment(confidence=0.72), measured=like)
    assert words.validation is not None
    assert said in words.validation


@pytest.mark.parametrize("confidence", [0.4001, 0.55, 0.72, 0.9])
def test_without_figures_of_each_answer_all_are_compared_and_that_is_said(
    confidence: float, measured: Measured
) -> None:
    labels, shares = measured_answers(210)
    top, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    number = math.ceil(confidence * 15)
    members = (top > (number - 1) / 15) & (top <= number / 15)
    earlier = replace(measured, answered=None)

    words = explain_in_words(make_assessment(confidence=confidence), measured=earlier)

    assert words.validation is not None
    expected = f"{percent(float(right[members].mean()))} of the {members.sum()} test images"
    assert expected in words.validation
    assert words.validation.endswith("; answers of one diagnosis alone were not counted.")
    assert ("say little" in words.validation) == (members.sum() < 20)


def test_confidence_that_no_test_image_had(measured: Measured) -> None:
    bins = measured.report.reliability
    empty = replace(bins, count=(0,) * len(bins.count))
    unlike = replace(measured, report=replace(measured.report, reliability=empty), answered=None)

    words = explain_in_words(make_assessment(), measured=unlike)

    assert words.validation is not None
    assert words.validation.startswith("No test image was answered with a confidence")


def test_where_no_lesion_is_found_no_figure_of_lesions_is_given(measured: Measured) -> None:
    assessment = make_assessment()
    none_found = replace(assessment, quality=replace(assessment.quality, stands_out=False))
    words = explain_in_words(none_found, measured=measured)
    assert words.validation == (
        "How often answers are right where no lesion is found was not measured."
    )


def test_outline_measures_how_much_lies_on_the_lesion() -> None:
    grid = np.full((9, 9), -1.0)
    grid[:, :3] = 1.0
    outline = np.zeros((HEIGHT, WIDTH), bool)
    outline[:, :45] = True

    words = explain_in_words(answered(grid), outline=outline)

    assert words.lesion == (
        "100 % of it lies inside the outline of the lesion, which takes up 50 % of the area the "
        "model looked at."
    )
    assert words.lesion in words.text


def test_without_an_outline_nothing_is_said_of_the_lesion() -> None:
    words = explain_in_words(make_assessment())

    assert words.lesion is None
    assert "lesion" not in words.location


def test_refuses_the_outline_of_another_image() -> None:
    with pytest.raises(ImageError, match="outline is 10 x 20 pixels, the image 600 x 450"):
        explain_in_words(make_assessment(), outline=np.zeros((20, 10), bool))


def test_refuses_an_outline_of_numbers_that_would_be_taken_for_places() -> None:
    mask = np.zeros((450, 600), np.uint8)
    mask[100:200] = 255
    with pytest.raises(ImageError, match=r"outline holds uint8; .* mask > 0"):
        # What a program without type checks does with the mask that Pillow or OpenCV read.
        explain_in_words(make_assessment(), outline=mask)  # type: ignore[arg-type]


def test_no_structure_is_ever_named(measured: Measured) -> None:
    for diagnosis in Diagnosis:
        text = explain_in_words(make_assessment(), diagnosis=diagnosis, measured=measured).text
        assert not any(word in text.lower() for word in STRUCTURES)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.0004, "less than 0.1 %"),
        (0.031, "3.1 %"),
        (0.0994, "9.9 %"),
        (0.0996, "10 %"),
        (0.923, "92 %"),
        (0.9951, "99.5 %"),
        (0.9996, "more than 99.9 %"),
        (math.nan, "not measured"),
    ],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (0.030577, 0.030628, ("3.058 %", "3.063 %")),
        (0.03, 0.12, ("3.0 %", "12 %")),
        (0.12, 0.12, ("12 %", "12 %")),
        (0.0001, 0.0002, ("0.01 %", "0.02 %")),
        (0.9995, 0.9996, ("99.95 %", "99.96 %")),
        (math.nan, math.nan, ("not measured", "not measured")),
    ],
)
def test_shares_that_are_compared_read_apart(
    one: float, other: float, words: tuple[str, str]
) -> None:
    assert percents_apart(one, other) == words


@given(st.floats(0.001, 1), st.floats(0.001, 1))
def test_only_equal_shares_read_alike(one: float, other: float) -> None:
    words = percents_apart(one, other)
    assert (words[0] == words[1]) is (one == other)


@given(st.floats(0, 1))
def test_percent_never_rounds_to_certainty(share: float) -> None:
    assert (percent(share) == "100 %") == (share == 1.0)
    assert (percent(share) == "0 %") == (share == 0.0)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.00"),
        (0.0004, "less than 0.001"),
        (0.004, "0.004"),
        (0.72, "0.72"),
        (0.9951, "0.995"),
        (0.9996, "more than 0.999"),
        (1.0, "1.00"),
    ],
)
def test_score(share: float, text: str) -> None:
    assert score(share) == text


@given(st.floats(0, 1))
def test_score_never_rounds_to_certainty(share: float) -> None:
    assert (score(share) == "1.00") == (share == 1.0)
    assert (score(share) == "0.00") == (share == 0.0)


def test_a_caveat_is_said_where_the_set_lacks_the_answer() -> None:
    prediction = make_assessment(top=Diagnosis.NV, confidence=0.6).prediction
    assert set_caveat(replace(prediction, prediction_set=None)) is None
    for members, words in (
        ((Diagnosis.NV,), None),
        ((Diagnosis.MEL,), "Melanocytic Nevus (NV), is not in the set"),
        ((), "The set is empty"),
    ):
        assert prediction.diagnosis is Diagnosis.NV
        said = set_caveat(replace(prediction, prediction_set=PredictionSet(members, 0.9)))
        assert (said is None) is (words is None)
        assert words is None or words in str(said)
