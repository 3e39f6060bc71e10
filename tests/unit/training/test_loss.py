from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dermassist.config import DistillationSection, OptimisationSection, read_config
from dermassist.diagnosis import CODES
from dermassist.training.loss import LesionLoss, class_weights, distillation_loss

CONFIGS = Path(__file__).parents[3] / "configs"
COUNTS = [30, 50, 100, 10, 110, 670, 30]


def settings(**changes: float) -> OptimisationSection:
    plain = {"class_weight_power": 0.0, "label_smoothing": 0.0, "logit_adjustment": 0.0}
    return OptimisationSection(**{**plain, **changes})  # type: ignore[arg-type] # floats all


def test_without_adjustments_it_is_cross_entropy() -> None:
    logits, labels = torch.randn(9, 7), torch.arange(9) % 7
    given = LesionLoss(settings(), class_counts=COUNTS)(logits, labels)
    torch.testing.assert_close(given, nn.functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("weighted_smoothing", [True, False])
def test_a_weighted_smoothed_shifted_batch_by_hand(weighted_smoothing: bool) -> None:
    logits = np.array(
        [[0.3, -1.2, 0.8, 0.0, 2.0, 1.1, -0.4], [1.0] * 7, [-2.0, 0.5, 0.1, 1.5, 0.0, -0.3, 0.9]]
    )
    labels, smoothing = [5, 3, 0], 0.1
    counts = np.array(COUNTS, float)
    # One over the root of each frequency; the mean over all images is 1.
    raw = counts**-0.5
    weights = raw * counts.sum() / (raw * counts).sum()
    shifted = logits + 0.7 * np.log(counts / counts.sum())
    surprise = np.log(np.exp(shifted).sum(1, keepdims=True)) - shifted
    targets = np.full((3, 7), smoothing / 7)
    targets[range(3), labels] += 1.0 - smoothing
    by_target = weights if weighted_smoothing else weights[labels][:, None]
    # The mean is over the weights of the labels, also of what smoothing gives other classes.
    expected = (by_target * targets * surprise).sum() / weights[labels].sum()

    section = settings(
        class_weight_power=0.5,
        label_smoothing=smoothing,
        weighted_smoothing=weighted_smoothing,
        logit_adjustment=0.7,
    )
    loss = LesionLoss(section, class_counts=COUNTS)
    given = loss(torch.tensor(logits).float(), torch.tensor(labels))
    assert float(given) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("weighted_smoothing", "told"),
    [
        (True, {"nv": 0.778, "df": 0.066, "vasc": 0.059, "akiec": 0.036}),
        (False, {"nv": 0.957, "df": 0.007, "vasc": 0.007, "akiec": 0.007, "mel": 0.007}),
    ],
)
def test_what_a_certain_nevus_is_answered_with_at_the_least_loss(
    weighted_smoothing: bool, told: dict[str, float]
) -> None:
    """The numbers in the docstring of ``LesionLoss``."""
    shipped = read_config(CONFIGS / "ship.toml").optimisation
    section = replace(shipped, weighted_smoothing=weighted_smoothing)
    images = {
        "akiec": 327,
        "bcc": 514,
        "bkl": 1099,
        "df": 115,
        "mel": 1113,
        "nv": 6705,
        "vasc": 142,
    }
    loss = LesionLoss(section, class_counts=[images[code.lower()] for code in CODES])
    logits = torch.zeros(1, 7, requires_grad=True)
    nevus = torch.tensor([[code.lower() for code in CODES].index("nv")])
    optimiser = torch.optim.LBFGS(
        [logits], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-12
    )

    def step() -> float:
        optimiser.zero_grad()
        given = loss(logits, nevus)
        given.backward()
        return float(given.detach())

    optimiser.step(step)  # type: ignore[no-untyped-call] # untyped in torch
    found = dict(zip((code.lower() for code in CODES), logits.softmax(1)[0].tolist(), strict=True))
    assert {code: found[code] for code in told} == pytest.approx(told, abs=1e-3)


def test_full_adjustment_makes_even_logits_answer_with_the_frequencies() -> None:
    # Equation 10 of Menon et al.: with no evidence at all the loss is that of the class shares.
    logits = torch.zeros(7, 7)
    labels = torch.arange(7)
    given = LesionLoss(settings(logit_adjustment=1.0), class_counts=COUNTS)(logits, labels)
    shares = [count / sum(COUNTS) for count in COUNTS]
    assert float(given) == pytest.approx(-sum(math.log(share) for share in shares) / 7, rel=1e-5)


def test_the_adjustment_is_no_weight_of_the_network() -> None:
    assert not LesionLoss(settings(), class_counts=COUNTS).state_dict()


def test_class_weights_have_mean_one_over_the_images() -> None:
    weights = class_weights(COUNTS, power=0.6)
    mean = sum(float(w) * n for w, n in zip(weights, COUNTS, strict=True)) / sum(COUNTS)
    assert mean == pytest.approx(1.0, rel=1e-5)
    assert float(weights[3] / weights[5]) == pytest.approx(67**0.6, rel=1e-4)


def test_images_that_an_epoch_shows_stand_for_those_that_it_does_not() -> None:
    every, capped = (class_weights(COUNTS, power=0.6, cap=cap).double() for cap in (0, 100))
    counts = torch.tensor(COUNTS, dtype=torch.float64)
    shown = counts.clamp(max=100)
    assert float((capped * shown).sum() / shown.sum()) == pytest.approx(1.0, rel=1e-5)
    # What all images of a class count together keeps its share.
    expected = every * counts / counts.sum()
    torch.testing.assert_close(capped * shown / shown.sum(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(class_weights(COUNTS, power=0.6, cap=670).double(), every)


def test_a_class_without_images_weighs_nothing() -> None:
    weights = class_weights([0, 5, 20], power=0.5, cap=10)
    assert float(weights[0]) == 0.0
    assert torch.isfinite(weights).all()


def test_a_pupil_that_answers_like_its_teacher_has_nothing_to_learn() -> None:
    logits = torch.randn(5, 7)
    section = DistillationSection()
    torch.testing.assert_close(distillation_loss(logits, logits, section), torch.tensor(0.0))
    # Adding the same to every logit changes no probability.
    torch.testing.assert_close(
        distillation_loss(logits, logits + 3.0, section), torch.tensor(0.0), atol=1e-6, rtol=0
    )


def test_distillation_by_hand() -> None:
    student, teacher = torch.zeros(1, 2), torch.tensor([[math.log(9.0) * 2.0, 0.0]])
    # At temperature 2 the teacher says 9/10 and 1/10, the student 1/2 each.
    expected = 4.0 * (0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5))
    given = distillation_loss(student, teacher, DistillationSection(temperature=2.0))
    assert float(given) == pytest.approx(expected, rel=1e-5)
