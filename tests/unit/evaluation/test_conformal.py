from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError, MissingExtraError
from dermassist.evaluation.conformal import (
    ConformalSets,
    fit_conformal_sets,
    images_needed,
    measure_sets,
    one_image_per_lesion,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), coverage=st.sampled_from([0.8, 0.9, 0.95]))
def test_the_minimum_is_the_conformal_order_statistic(seed: int, coverage: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, size=150, p=[0.02, 0.05, 0.06, 0.07, 0.1, 0.2, 0.5])
    chances = rng.multinomial(20, rng.dirichlet(np.ones(7), size=150)) / 20

    fitted = fit_conformal_sets(labels, chances, coverage=coverage)

    of_all = np.sort(chances[np.arange(150), labels])[::-1]
    together = of_all[math.ceil(151 * coverage - 1e-9) - 1]
    for place in range(7):
        given_chances = np.sort(chances[labels == place, place])[::-1]
        rank = math.ceil((len(given_chances) + 1) * coverage - 1e-9)
        expected = given_chances[rank - 1] if rank <= len(given_chances) else together
        assert fitted.minimum_probability[place] == expected
        assert fitted.calibration_images[place] == len(given_chances)


def test_every_class_is_covered_on_new_images(make_answers: Callable[..., Answers]) -> None:
    coverages = []
    for seed in range(40):
        labels, chances, _ = make_answers(1200, seed=seed)
        fitted = fit_conformal_sets(labels[:600], chances[:600])
        measured = measure_sets(fitted.predict(chances[600:]), labels[600:])
        coverages.append(measured.class_coverage)

    mean = np.nanmean(coverages, axis=0)

    assert np.all(mean > 0.87), mean
    assert mean[CODES.index("nv")] == pytest.approx(0.9, abs=0.012)


@pytest.mark.parametrize(("coverage", "needed"), [(0.9, 9), (0.95, 19), (0.8, 4), (0.5, 1)])
def test_a_class_is_too_small_just_below_the_images_needed(coverage: float, needed: int) -> None:
    labels = np.repeat([0, 1, 2], [needed, needed - 1, 30])
    chances = np.random.default_rng(0).dirichlet(np.ones(7), size=len(labels))

    fitted = fit_conformal_sets(labels, chances, coverage=coverage)

    assert images_needed(coverage) == needed
    assert fitted.too_small == ("bcc", "df", "mel", "nv", "vasc")
    assert fitted.minimum_probability[0] == chances[:needed, 0].min() > 0
    of_all = np.sort(chances[np.arange(len(labels)), labels])[::-1]
    together = of_all[math.ceil((len(labels) + 1) * coverage - 1e-9) - 1]
    small = [CODES.index(code) for code in fitted.too_small]
    assert [fitted.minimum_probability[place] for place in small] == [together] * 5


def test_too_few_images_in_all_leave_nothing_out() -> None:
    labels = np.zeros(8, np.int64)
    chances = np.random.default_rng(0).dirichlet(np.ones(7), size=8)
    fitted = fit_conformal_sets(labels, chances)
    assert fitted.minimum_probability == (0.0,) * 7
    assert fitted.predict(np.eye(7)).all()
    # one more, and the smallest of them is what all must reach
    more = np.vstack([chances, np.eye(7)[0]])
    assert fit_conformal_sets([*labels, 0], more).minimum_probability == (chances[:, 0].min(),) * 7


def test_sets_can_be_empty_single_or_larger() -> None:
    sets = ConformalSets(0.9, (0.5,) * 7, (20,) * 7)
    chances = np.array([[0.6, 0.4, 0, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0, 0, 0], [1 / 7] * 7])

    members = sets.predict(chances)
    measured = measure_sets(members, [0, 2, 0])

    assert members.sum(axis=1).tolist() == [1, 2, 0]
    assert measured.coverage == pytest.approx(1 / 3)
    assert measured.class_coverage[0] == 0.5
    assert measured.class_coverage[2] == 0
    assert np.isnan(measured.class_coverage[1])
    assert measured.named == pytest.approx([2 / 3, 1 / 3, 0, 0, 0, 0, 0])
    assert measured.mean_size == 1
    assert measured.single == measured.empty == pytest.approx(1 / 3)


def test_by_lesion_every_lesion_counts_once() -> None:
    sets = np.eye(7, dtype=bool)[[0, 0, 1, 1, 1]]
    measured = measure_sets(sets, [0, 0, 0, 1, 1], groups=["a", "a", "b", "c", "d"])

    assert measured.coverage == pytest.approx(4 / 5)
    assert measured.lesion_coverage == pytest.approx(3 / 4)
    assert measured.class_coverage[0] == pytest.approx(2 / 3)
    assert measured.class_lesion_coverage[0] == pytest.approx(1 / 2)
    assert measured.class_lesion_coverage[1] == 1.0
    assert np.isnan(measured.class_lesion_coverage[2])


def test_weights_are_repetitions(answers: Answers) -> None:
    labels, chances, _ = answers
    sets = fit_conformal_sets(labels, chances).predict(chances)
    times = np.random.default_rng(0).integers(0, 3, len(labels))

    weighted = measure_sets(sets, labels, weights=times[None])
    repeated = measure_sets(np.repeat(sets, times, axis=0), np.repeat(labels, times))

    for name, value in vars(repeated).items():
        assert np.allclose(getattr(weighted, name)[0], value, equal_nan=True), name


def test_one_random_image_of_every_lesion_is_taken() -> None:
    lesions = np.array(["a", "b", "a", "a", "c", "b"])

    draws = [one_image_per_lesion(lesions, rng=np.random.default_rng(s)) for s in range(30)]

    for draw in draws:
        assert sorted(lesions[draw]) == ["a", "b", "c"]
        assert np.all(np.diff(draw) > 0)
    assert {int(place) for draw in draws for place in draw} == set(range(6))
    assert np.array_equal(draws[3], one_image_per_lesion(lesions, rng=np.random.default_rng(3)))


def test_sets_survive_json(answers: Answers) -> None:
    labels, chances, _ = answers
    fitted = fit_conformal_sets(labels, chances, coverage=0.95)

    document = json.loads(json.dumps(fitted.to_dict(), allow_nan=False))

    assert ConformalSets.from_dict(document) == fitted
    assert document["too_small"] == list(fitted.too_small) != []
    assert list(document["minimum_probability"]) == list(CODES)


@pytest.mark.parametrize("change", [{"coverage": None}, {"minimum_probability": {"nv": 0.1}}])
def test_a_damaged_document_is_refused(answers: Answers, change: dict[str, Any]) -> None:
    document = fit_conformal_sets(*answers[:2]).to_dict() | change

    with pytest.raises(DataError, match="prediction sets"):
        ConformalSets.from_dict(document)


def test_fitting_without_the_library_names_the_extra(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "crepes", None)

    with pytest.raises(MissingExtraError, match=r"dermassist\[train\]"):
        fit_conformal_sets(*answers[:2])


def test_a_coverage_in_percent_is_refused(answers: Answers) -> None:
    with pytest.raises(ConfigError, match="coverage must lie between 0 and 1"):
        fit_conformal_sets(*answers[:2], coverage=90)
