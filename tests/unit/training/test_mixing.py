from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from dermassist.config import Mixing
from dermassist.training.mixing import mix

SIDE = 16


def levels(count: int) -> Tensor:
    """Views of one level each, so that every pixel tells which image it is from."""
    levels = torch.arange(1, count + 1, dtype=torch.uint8) * 10
    return levels.view(-1, 1, 1, 1).expand(count, SIDE, SIDE, 3).clone()


def test_nothing_is_drawn_where_nothing_is_mixed() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert mix(levels(4), "none", 1.0) is None
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("how", [name for name in get_args(Mixing) if name != "none"])
@pytest.mark.parametrize("seed", range(8))
def test_the_share_says_how_much_of_a_view_is_the_first_image(how: Mixing, seed: int) -> None:
    torch.manual_seed(seed)
    views = levels(6)
    before = views.clone()
    mixed = mix(views, how, 1.0)
    assert mixed is not None
    assert torch.equal(views, before)
    assert sorted(mixed.partners.tolist()) == list(range(6))
    assert 0.0 <= mixed.share <= 1.0
    mean = mixed.views.float().mean((1, 2, 3))
    first, second = before[:, 0, 0, 0].float(), before[mixed.partners, 0, 0, 0].float()
    torch.testing.assert_close(mean, mixed.share * first + (1.0 - mixed.share) * second)


def test_a_pasted_rectangle_holds_the_partner_and_nothing_else() -> None:
    torch.manual_seed(1)
    mixed = mix(levels(3), "cutmix", 1.0)
    assert mixed is not None
    assert mixed.views.dtype == torch.uint8
    for position, view in enumerate(mixed.views):
        partner = int(mixed.partners[position])
        pasted = view[:, :, 0] != 10 * (position + 1)
        assert (view[:, :, 0][pasted] == 10 * (partner + 1)).all()
        rows, columns = pasted.any(1).sum(), pasted.any(0).sum()
        assert pasted.sum() == rows * columns


def test_a_rectangle_may_lie_anywhere_and_covers_what_was_drawn() -> None:
    middle, below, right, shares, whole = (SIDE - 1) / 2, [], [], [], 0
    for seed in range(300):
        torch.manual_seed(seed)
        drawn = float(torch.distributions.Beta(1.0, 1.0).sample())
        torch.manual_seed(seed)
        mixed = mix(levels(2), "cutmix", 1.0)
        assert mixed is not None
        shares.append(mixed.share)
        rows, columns = torch.nonzero(mixed.views[0, :, :, 0] == 20, as_tuple=True)
        # Half of the pairs stay as they are, and some rectangles are smaller than a pixel.
        if len(rows) == 0 or mixed.share == 0.0:
            continue
        below.append(float(rows.float().mean()) > middle)
        right.append(float(columns.float().mean()) > middle)
        if min(*rows, *columns) > 0 and max(*rows, *columns) < SIDE - 1:
            whole += 1
            # Rounding its two ends changes a side by a pixel at most.
            side = SIDE * math.sqrt(1.0 - drawn)
            assert abs(math.sqrt(len(rows)) - side) <= 1.0
    # A half is drawn in the mean, and the borders cut some off.
    assert 0.5 < sum(shares) / len(shares) < 0.75
    assert whole > 10
    assert len(below) > 100
    for sides in (below, right):
        assert 0.3 < sum(sides) / len(sides) < 0.7


@pytest.mark.parametrize("how", ["mixup", "cutmix"])
def test_the_same_seed_mixes_alike(how: Mixing) -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        mixed = mix(levels(5), how, 0.4)
        assert mixed is not None
        made.append(mixed)
    assert torch.equal(made[0].views, made[1].views)
    assert made[0].share == made[1].share
