"""Training on two images at once: mixup and CutMix."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dermassist.config import Mixing


class MixedBatch(NamedTuple):
    """A batch each of whose views shows two images.

    Attributes:
        views: ``(N, S, S, 3)``, uint8 or float 0 to 255.
        partners: position ``(N,)`` of the image that each was mixed with.
        share: of the first image, 0 to 1; the partner has the rest.
    """

    views: Tensor
    partners: Tensor
    share: float


def mix(views: Tensor, how: Mixing, alpha: float) -> MixedBatch | None:
    """Mix every view of a batch with another one; chance comes from torch's own generator.

    Args:
        views: ``(N, S, S, 3)`` uint8.
        how: ``mixup`` blends two images (Zhang et al., ICLR 2018, equation 1), ``cutmix`` pastes
            a rectangle of the other one (Yun et al., ICCV 2019, equations 1 and 2).
        alpha: both parameters of the beta distribution of the share; above 0.

    Returns:
        ``None`` for ``none``, which draws nothing.
    """
    if how == "none":
        return None
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    partners = torch.randperm(len(views))
    others = views[partners]
    if how == "mixup":
        return MixedBatch(share * views.float() + (1.0 - share) * others.float(), partners, share)
    top, bottom, left, right = _draw_box(views.shape[1], share)
    pasted = views.clone()
    pasted[:, top:bottom, left:right] = others[:, top:bottom, left:right]
    covered = (bottom - top) * (right - left) / (views.shape[1] * views.shape[2])
    return MixedBatch(pasted, partners, 1.0 - covered)


def _draw_box(side: int, share: float) -> tuple[int, int, int, int]:
    """Draw a square that covers ``1 - share`` of a view, cut off at its borders."""
    half = side * math.sqrt(1.0 - share) / 2.0
    bounds = []
    for centre in (torch.rand(2) * side).tolist():
        bounds += [max(0, round(centre - half)), min(side, round(centre + half))]
    return bounds[0], bounds[1], bounds[2], bounds[3]
