"""Evidence is drawn where the network saw it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermassist.diagnosis import Diagnosis
from dermassist.explain.activation_map import peak, signed_heatmap
from dermassist.imaging.geometry import FEATURE_STRIDE_PX
from dermassist.model.network import MobileNetV2
from dermassist.results import Explanation

SIDE = 224
CELLS = SIDE // FEATURE_STRIDE_PX
#: The view is the image; cells tile it.
TILES = np.array([[32.0, 0.0, 15.5], [0.0, 32.0, 15.5]])


def evidence_at(row: int, column: int) -> Explanation:
    maps = np.zeros((7, CELLS, CELLS), np.float32)
    maps[Diagnosis.MEL.index, row, column] = 5.0
    return Explanation(maps, TILES, 5.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_position_sees_around_a_multiple_of_the_stride(seed: int) -> None:
    """Measured by gradients, away from the borders, where padding would cut the field."""
    torch.manual_seed(seed)
    image = torch.zeros(1, 3, 288, 288, requires_grad=True)
    MobileNetV2().features.eval()(image + torch.rand(1, 3, 288, 288))[0, :, 4, 4].sum().backward()
    assert image.grad is not None
    field = image.grad[0].double().pow(2).sum(0).numpy()
    for side in (0, 1):
        centre = field.sum(side) @ np.arange(288) / field.sum()
        assert centre == pytest.approx(4 * FEATURE_STRIDE_PX, abs=7.5)
        assert abs(centre - (4 * FEATURE_STRIDE_PX + 15.5)) > 8.0


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 3), (2, 5), (6, 6)])
def test_a_position_is_drawn_where_it_sees(row: int, column: int) -> None:
    x, y = peak(evidence_at(row, column), Diagnosis.MEL)
    assert (x, y) == (FEATURE_STRIDE_PX * column, FEATURE_STRIDE_PX * row)
    drawn = signed_heatmap(evidence_at(row, column), Diagnosis.MEL, width=SIDE, height=SIDE)
    assert drawn[int(y), int(x)] == drawn.max() == 5.0


def test_even_evidence_is_drawn_even_and_only_inside_the_view() -> None:
    maps = np.full((7, CELLS, CELLS), 2.0, np.float32)
    beside = TILES + np.array([[0.0, 0.0, 100.0], [0.0, 0.0, 0.0]])
    drawn = signed_heatmap(Explanation(maps, beside, 5.0), Diagnosis.NV, width=424, height=SIDE)
    seen = ~np.isnan(drawn)
    assert seen[:, 100:324].all()
    assert not seen[:, :100].any()
    assert not seen[:, 324:].any()
    np.testing.assert_allclose(drawn[seen], 2.0, rtol=1e-6)


def test_averaged_over_mirrored_copies_a_position_is_drawn_in_its_cells_middle() -> None:
    explanation = replace(evidence_at(2, 5), shift=0.0)
    assert peak(explanation, Diagnosis.MEL) == (5 * 32 + 15.5, 2 * 32 + 15.5)
    drawn = signed_heatmap(explanation, Diagnosis.MEL, width=SIDE, height=SIDE)
    rows, columns = np.nonzero(drawn == drawn.max())
    assert (rows.mean(), columns.mean()) == (2 * 32 + 15.5, 5 * 32 + 15.5)
    # So that an image and its mirror image have mirrored heatmaps.
    mirrored = replace(explanation, evidence=explanation.evidence[:, ::-1, ::-1])
    turned = signed_heatmap(mirrored, Diagnosis.MEL, width=SIDE, height=SIDE)
    np.testing.assert_allclose(turned[::-1, ::-1], drawn, atol=1e-5)
