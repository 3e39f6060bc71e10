"""Which images an epoch shows, and in which order."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from dermassist.config import LARGEST_SEED
from dermassist.training import module
from dermassist.training.dataset import EpochOrder, shown_positions


@given(labels=st.lists(st.integers(0, 3), min_size=1), cap=st.integers(1, 5), epoch=st.integers(0))
def test_no_label_is_shown_more_often_than_allowed(labels: list[int], cap: int, epoch: int) -> None:
    shown = shown_positions(labels, cap=cap, seed=1, epoch=epoch % 1000)
    assert shown == sorted(set(shown))
    counts = Counter(labels)
    assert Counter(labels[k] for k in shown) == {k: min(n, cap) for k, n in counts.items()}


def test_every_epoch_draws_anew_and_the_same_epoch_alike() -> None:
    labels = [0] * 100 + [1] * 3
    first, again, second = (
        shown_positions(labels, cap=10, seed=0, epoch=epoch) for epoch in (4, 4, 5)
    )
    assert first == again
    assert first != second
    assert [k for k in first if labels[k] == 1] == [100, 101, 102]


def test_an_order_among_some_images_deals_out_those_alone() -> None:
    among = [3, 5, 8, 13, 21, 34]
    orders = [
        list(EpochOrder(40, seed=0, epoch=2, rank=rank, world_size=2, among=among))
        for rank in (0, 1)
    ]
    assert [len(order) for order in orders] == [3, 3]
    assert sorted(orders[0] + orders[1]) == among


def test_the_largest_seed_leaves_room_for_every_epoch() -> None:
    orders = [list(EpochOrder(5, seed=LARGEST_SEED, epoch=epoch)) for epoch in (0, 10**6)]
    assert [sorted(order) for order in orders] == [[0, 1, 2, 3, 4]] * 2
    torch.manual_seed(LARGEST_SEED * module._EPOCH_SEED_STRIDE + 10**6)
