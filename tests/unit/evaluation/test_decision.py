from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.decision import (
    estimate_referral,
    fit_referral_threshold,
    measure_referral,
)
from dermassist.evaluation.malignancy import malignant_probability

MEL, BCC, NV = (CODES.index(code) for code in ("mel", "bcc", "nv"))
Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]


def with_risk(risks: list[float]) -> NDArray[np.float64]:
    """Probabilities whose malignant sum, all of it melanoma, is given."""
    chances = np.zeros((len(risks), 7))
    chances[:, MEL] = risks
    chances[:, NV] = 1 - chances[:, MEL]
    return chances


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=30).filter(
        lambda images: len({malignant for malignant, _ in images}) == 2
    ),
    st.sampled_from([0.5, 0.75, 0.9, 0.95]),
)
def test_the_threshold_is_the_highest_that_refers_enough(
    images: list[tuple[bool, int]], wanted: float
) -> None:
    malignant, eighths = (np.array(column) for column in zip(*images, strict=True))
    risks = eighths / 8
    labels = np.where(malignant, BCC, NV)

    fit = fit_referral_threshold(labels, with_risk(list(risks)), sensitivity=wanted)

    enough = [
        score for score in np.unique(risks) if (risks[malignant] >= score).mean() >= wanted - 1e-12
    ]
    assert fit.threshold == max(enough)
    assert fit.sensitivity == pytest.approx((risks[malignant] >= fit.threshold).mean())
    assert fit.specificity == pytest.approx((risks[~malignant] < fit.threshold).mean())
    assert fit.sensitivity >= wanted - 1e-12
    assert (fit.malignant_images, fit.benign_images) == (malignant.sum(), (~malignant).sum())


def test_images_that_tie_with_the_threshold_are_referred() -> None:
    labels = [MEL, MEL, NV, NV]
    fit = fit_referral_threshold(labels, with_risk([0.8, 0.4, 0.4, 0.1]), sensitivity=0.9)

    assert fit.threshold == 0.4
    assert fit.sensitivity == 1
    assert fit.specificity == 0.5
    assert measure_referral(labels, with_risk([0.4] * 4), threshold=0.4).referred == 1


def test_a_sensitivity_reached_exactly_is_enough() -> None:
    labels = [MEL] * 20 + [NV]
    risks = [*np.linspace(0.99, 0.5, 19), 0.01, 0.02]

    fit = fit_referral_threshold(labels, with_risk(risks), sensitivity=0.95)

    assert fit.threshold == 0.5
    assert fit.sensitivity == pytest.approx(0.95)


def test_a_further_lesion_is_found_with_the_promised_probability() -> None:
    # 40 malignant lesions and one more, exchangeable: on the mean over draws the promise holds
    # with the correction and fails without it.
    random = np.random.default_rng(3)
    labels = [MEL] * 40 + [NV]
    found = {True: 0, False: 0}
    draws = 2500
    for _ in range(draws):
        risks, further = [*random.uniform(0.1, 1.0, 40), 0.05], random.uniform(0.1, 1.0)
        for corrected in found:
            groups = np.arange(41) if corrected else None
            fit = fit_referral_threshold(labels, with_risk(risks), sensitivity=0.95, groups=groups)
            found[corrected] += further >= fit.threshold
    noise = 3 * np.sqrt(0.95 * 0.05 / draws)
    assert found[True] / draws == pytest.approx(0.95, abs=noise)
    assert found[False] / draws < 0.95 - noise


def test_images_of_one_lesion_count_once_in_the_correction() -> None:
    labels = [MEL] * 40 + [NV]
    risks = [*np.linspace(0.99, 0.6, 40), 0.1]
    alone = fit_referral_threshold(labels, with_risk(risks), groups=np.arange(41))
    paired = fit_referral_threshold(labels, with_risk(risks), groups=np.arange(41) // 2)
    # Of 40 lesions 39 must be found, of 20 all.
    assert alone.threshold == pytest.approx(risks[38])
    assert paired.threshold == pytest.approx(risks[39])


def test_what_was_fitted_is_measured_again_on_the_same_data(answers: Answers) -> None:
    labels, chances, _ = answers

    fit = fit_referral_threshold(labels, chances)
    found = measure_referral(labels, chances, threshold=fit.threshold)

    assert found.sensitivity == fit.sensitivity >= 0.95
    assert found.specificity == pytest.approx(fit.specificity)
    referred = (found.sensitivity * fit.malignant_images) + (
        (1 - found.specificity) * fit.benign_images
    )
    assert found.referred == pytest.approx(referred / len(labels))


def test_melanomas_are_counted_on_their_own() -> None:
    labels = [MEL, MEL, BCC, NV]

    found = measure_referral(labels, with_risk([0.9, 0.1, 0.9, 0.9]), threshold=0.5)

    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.melanoma_sensitivity == 0.5
    assert found.specificity == 0


def test_what_has_no_images_is_not_claimed() -> None:
    found = measure_referral([NV, NV], with_risk([0.9, 0.1]), threshold=0.5)

    assert np.isnan([found.sensitivity, found.melanoma_sensitivity]).all()
    assert found.specificity == found.referred == 0.5


def test_intervals_hold_the_value(answers: Answers) -> None:
    labels, chances, lesions = answers

    estimates = estimate_referral(
        labels,
        malignant_probability(chances) >= 0.3,
        groups=lesions,
        rng=np.random.default_rng(0),
        resamples=200,
    )

    found = measure_referral(labels, chances, threshold=0.3)
    for name, estimate in vars(estimates).items():
        assert estimate.value == getattr(found, name)
        assert estimate.low < estimate.value < estimate.high


def test_one_sided_data_and_wrong_settings_are_refused(answers: Answers) -> None:
    labels, chances, _ = answers
    with pytest.raises(DataError, match="malignant and benign images to be chosen on, got 0 and 2"):
        fit_referral_threshold([NV, NV], with_risk([0.1, 0.2]))
    with pytest.raises(ConfigError, match="sensitivity must lie between 0 and 1"):
        fit_referral_threshold(labels, chances, sensitivity=95)
    with pytest.raises(ConfigError, match="threshold must be a probability"):
        measure_referral(labels, chances, threshold=50)
