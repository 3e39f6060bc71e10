"""The larger networks of the paper's Table IV, from MONAI, with ImageNet weights where there are.

With the first stride that their papers give, torchvision's published weights fit after renaming.
ResNet50's bottlenecks halve the image in their 3 x 3 convolution, as torchvision's do, not in the
first one as in the paper. Neither has dropout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from monai.networks.nets.densenet import DenseNet121
from monai.networks.nets.resnet import resnet50
from torch import Tensor, nn

from dermassist.diagnosis import CODES
from dermassist.errors import BundleError
from dermassist.model.weights import WeightsError, read_weights

BackboneName = Literal["resnet50", "densenet121"]
URLS: dict[BackboneName, str] = {
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "densenet121": "https://download.pytorch.org/models/densenet121-a639ec97.pth",
}
_HEADS = ("fc.", "class_layers.out.", "classifier.")
#: torchvision's file says ``denselayer1.norm.1.weight``, its network ``denselayer1.norm1.weight``.
_DENSE_LAYER = re.compile(r"(denselayer\d+)\.(norm|conv)\.?([12])\.")


def make_backbone(name: BackboneName) -> nn.Module:
    """Return a network of seven classes with random weights; input ``(N, 3, H, W)``."""
    network: nn.Module
    if name == "resnet50":
        network = resnet50(
            spatial_dims=2,
            n_input_channels=3,
            num_classes=len(CODES),
            conv1_t_stride=2,  # as in the paper; MONAI's own default is 1
            bias_downsample=False,
        )
    else:
        network = DenseNet121(spatial_dims=2, in_channels=3, out_channels=len(CODES))
    return network


def load_torchvision(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy torchvision's tensors into a backbone, all but the head.

    Raises:
        WeightsError: a tensor is missing or has another shape.
    """
    renamed = {_DENSE_LAYER.sub(r"\1.layers.\2\3.", name): value for name, value in state.items()}
    own = network.state_dict()
    fitting = {
        name: value
        for name, value in renamed.items()
        if not name.startswith(_HEADS) and name in own and own[name].shape == value.shape
    }
    missing = [
        name
        for name in own
        if name not in fitting and not name.startswith(_HEADS) and "num_batches" not in name
    ]
    if missing:
        raise WeightsError(f"{len(missing)} tensors are missing or differ, {missing[0]} first")
    network.load_state_dict(fitting, strict=False)


def describe_file(weights: Path) -> str:
    """Return what a network begins from that is given a file."""
    return f"ImageNet ({weights.name})"


def start_backbone(name: BackboneName, weights: Path | None) -> tuple[nn.Module, str]:
    """Return a network and what it starts from, in words for the table.

    Args:
        name: which.
        weights: torchvision's file; without it, the file is downloaded, and where that fails
            training starts from scratch.

    Raises:
        WeightsError: a file was given that does not fit or cannot be read.
    """
    network = make_backbone(name)
    if weights is not None:
        load_torchvision(network, read_weights(weights))
        return network, describe_file(weights)
    try:
        state = torch.hub.load_state_dict_from_url(
            URLS[name], map_location="cpu", check_hash=True, weights_only=True, progress=False
        )
    except (OSError, RuntimeError) as error:
        print(f"{name}: ImageNet weights cannot be had ({error}); training starts from scratch")
        return network, "from scratch"
    try:
        load_torchvision(network, state)
    except BundleError as error:
        raise WeightsError(f"{URLS[name]}: {error}") from error
    return network, "ImageNet"
