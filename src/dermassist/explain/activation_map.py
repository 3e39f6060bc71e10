"""Class activation maps in the geometry of the image.

With global average pooling and one linear layer, the logit of class c is the mean over positions
of ``sum_k w_ck A_k`` plus a bias (Zhou et al., CVPR 2016, equation 2). Its gradient with respect
to ``A_k`` is ``w_ck / Z`` everywhere, so Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and
2) at the last feature map is ``relu(sum_k w_ck A_k) / Z``: no gradients are needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermassist.diagnosis import Diagnosis
from dermassist.results import Explanation


def grad_cam(explanation: Explanation, diagnosis: Diagnosis) -> NDArray[np.float32]:
    """Return Grad-CAM at the last feature map, ``(rows, columns)`` float32, never negative."""
    evidence = explanation.evidence[diagnosis.index]
    return np.asarray(np.maximum(evidence, 0.0) / evidence.size, np.float32)


def signed_heatmap(
    explanation: Explanation, diagnosis: Diagnosis, *, width: int, height: int
) -> NDArray[np.float32]:
    """Return the signed evidence for one diagnosis at every pixel of the upright image.

    Args:
        explanation: of the image.
        diagnosis: which of the seven maps.
        width: of the image in px, as ``ImageInfo`` gives it.
        height: of the image in px.

    Returns:
        ``(height, width)`` float32 in logits, bilinear between the middles of what the positions
        see; NaN where the network did not look (outside its square view).
    """
    evidence = explanation.evidence[diagnosis.index]
    rows, columns = evidence.shape
    (scale_x, _, left), (_, scale_y, top) = explanation.to_image
    x = (np.arange(width) - left) / scale_x
    y = (np.arange(height) - top) / scale_y
    heatmap = np.asarray(
        _interpolation(y + explanation.shift, rows)
        @ evidence
        @ _interpolation(x + explanation.shift, columns).T,
        np.float32,
    )
    # A cell reaches half a cell beyond its centre.
    heatmap[:, (x < -0.5) | (x > columns - 0.5)] = np.nan
    heatmap[(y < -0.5) | (y > rows - 0.5), :] = np.nan
    return heatmap


def peak(explanation: Explanation, diagnosis: Diagnosis) -> tuple[float, float]:
    """Return where the evidence is strongest: ``(x, y)`` in pixels of the upright image."""
    evidence = explanation.evidence[diagnosis.index]
    row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
    shift = explanation.shift
    x, y = explanation.to_image @ np.array([column - shift, row - shift, 1.0])
    return float(x), float(y)


def _interpolation(positions: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Return weights ``(positions, count)`` that interpolate linearly between whole numbers.

    Beyond the outer centres the outer cell's value holds. Unlike OpenCV's warp, whose positions
    are multiples of 1/32, this is exact, which shows where seven cells cover a large image.
    """
    inside = np.clip(positions, 0.0, count - 1.0)
    distance = np.abs(inside[:, None] - np.arange(count))
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)
