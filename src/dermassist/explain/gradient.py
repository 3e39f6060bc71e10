"""Grad-CAM by gradients, for any layer of the network. Needs the ``train`` extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray

from dermassist.diagnosis import Diagnosis
from dermassist.imaging import Preprocessing
from dermassist.model.network import FEATURE_LAYERS, MobileNetV2, enlarge


def gradient_grad_cam(
    network: MobileNetV2,
    view: NDArray[np.uint8],
    diagnosis: Diagnosis,
    *,
    preprocessing: Preprocessing,
    layer: int = FEATURE_LAYERS - 1,
) -> NDArray[np.float32]:
    """Return Grad-CAM at one feature layer (Selvaraju et al., ICCV 2017), through captum.

    Args:
        network: put into eval mode for the computation; modes and gradients are left as found.
        view: ``(size, size, 3)`` uint8 from ``to_view``.
        diagnosis: whose logit is explained.
        preprocessing: holds the normalisation and the enlargement.
        layer: 0 is the stem, 18 the last feature map.

    Returns:
        ``(rows, columns)`` float32, never negative.

    Raises:
        ValueError: there is no such layer.
    """
    if not 0 <= layer < FEATURE_LAYERS:
        raise ValueError(f"layer must be 0 to {FEATURE_LAYERS - 1}, got {layer}")
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    pixels = (torch.from_numpy(view.copy()).float() / 255.0 - mean) / std
    # Gradients must reach the layer also where every parameter before it is frozen.
    seen = enlarge(pixels.permute(2, 0, 1)[None], preprocessing.seen_px)
    batch = seen.to(network.head.weight.device).requires_grad_()
    with _evaluating(network):
        attribution = LayerGradCam(network, network.features[layer]).attribute(
            batch, target=diagnosis.index, relu_attributions=True
        )
    return np.asarray(attribution[0, 0].detach().cpu().numpy(), np.float32)


@contextmanager
def _evaluating(network: MobileNetV2) -> Iterator[None]:
    """Put the network into eval mode, and every module back into its own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
