"""MobileNetV2 with the paper's classification head.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
table 2; the head is section VII-B of the DermAssist paper. Tensor names are torchvision's
(``features.*`` and ``classifier.1.*``), so its published weight files load as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

INPUT_CHANNELS = 3
STEM_CHANNELS = 32
FEATURE_CHANNELS = 1280


class Stage(NamedTuple):
    """One row of table 2 of the MobileNetV2 paper."""

    expansion: int
    channels: int
    blocks: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
#: Stem, the inverted residual blocks and the last convolution: what ``frozen_layers`` counts.
FEATURE_LAYERS = 2 + sum(stage.blocks for stage in STAGES)


class _InputGradientInFloat32(torch.autograd.Function):
    """A convolution whose gradient by its input is computed in float32, whatever it computes in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: Any, padding: Any, groups: int) -> Any:
        ctx.save_for_backward(x, weight)
        ctx.settings = (stride, padding, groups)
        return nn.functional.conv2d(x, weight, None, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        by_input = by_weight = None
        if ctx.needs_input_grad[0]:
            # Of the input its shape and layout are looked at here, not a number.
            like = torch.empty_like(x, dtype=torch.float32)
            exact = _gradients(gradient.float(), like, weight.float(), *ctx.settings, by="input")
            by_input = exact.to(x.dtype)
        if ctx.needs_input_grad[1]:
            by_weight = _gradients(gradient, x, weight, *ctx.settings, by="weight")
        return by_input, by_weight, None, None, None


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: Any, padding: Any, groups: int, *, by: str
) -> Tensor:
    """Return the gradient of a convolution by its ``input`` or its ``weight``."""
    both: list[Tensor] = torch.ops.aten.convolution_backward(
        *(gradient, x, weight, None, stride, padding, (1, 1), False, (0, 0), groups),
        (by == "input", by == "weight", False),
    )
    return both[0 if by == "input" else 1]


class StridedDepthwise(nn.Conv2d):
    """A depthwise convolution with a stride, whose training in bfloat16 is fast on a processor.

    There, PyTorch's gradient by the input of such a layer is many times slower in bfloat16 than in
    float32, and four of them took a third of a training step (``docs/experiments.md``). It is taken
    in float32 here. Outside of training under autocast on a processor this is PyTorch's layer.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x``."""
        on_processor = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if not (on_processor and torch.is_grad_enabled()):
            return super().forward(x)
        dtype = torch.get_autocast_dtype("cpu")
        apply: Any = _InputGradientInFloat32.apply
        filtered: Tensor = apply(
            x.to(dtype), self.weight.to(dtype), self.stride, self.padding, self.groups
        )
        return filtered


def _convolution(
    channels_in: int, channels_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return convolution, batch norm and ReLU6."""
    layer = StridedDepthwise if groups > 1 and stride > 1 else nn.Conv2d
    return nn.Sequential(
        layer(
            channels_in,
            channels_out,
            kernel,
            stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand, filter per channel, project linearly; add the input where shapes allow it."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_convolution(channels_in, hidden))
        layers += [
            _convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, ``(N, channels_out, H / stride, W / stride)``."""
        filtered: Tensor = self.conv(x)
        return x + filtered if self.residual else filtered


def _feature_layers() -> list[nn.Module]:
    layers: list[nn.Module] = [_convolution(INPUT_CHANNELS, STEM_CHANNELS, kernel=3, stride=2)]
    channels = STEM_CHANNELS
    for stage in STAGES:
        for block in range(stage.blocks):
            stride = stage.stride if block == 0 else 1
            layers.append(
                InvertedResidual(channels, stage.channels, stride=stride, expansion=stage.expansion)
            )
            channels = stage.channels
    layers.append(_convolution(channels, FEATURE_CHANNELS))
    return layers


class MobileNetV2(nn.Module):
    """MobileNetV2 width 1.0 with global average pooling, dropout and one linear layer.

    Input: ``(N, 3, H, W)`` float, RGB normalised with the ImageNet mean and standard deviation;
    H and W multiples of 32. Output: logits ``(N, classes)``.
    """

    def __init__(self, *, classes: int = 7, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = nn.Sequential(*_feature_layers())
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURE_CHANNELS, classes))
        self._initialise()

    @property
    def head(self) -> nn.Linear:
        """The linear layer."""
        return cast("nn.Linear", self.classifier[1])

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(N, classes)``."""
        pooled = self.features(x).mean(dim=(2, 3))
        logits: Tensor = self.classifier(pooled)
        return logits

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)


class EvidenceNetwork(nn.Module):
    """The same network, answering with its seven class activation maps as well.

    The head is applied at every position before pooling, which is the same linear map, so
    ``maps`` ``(N, classes, H/32, W/32)`` is signed evidence in logits and
    ``logits == maps.mean((2, 3)) + bias`` holds exactly (Zhou et al., CVPR 2016, equation 2;
    Selvaraju et al., ICCV 2017, section 3: Grad-CAM of the last feature map is ``relu(maps) / Z``).
    """

    def __init__(self, network: MobileNetV2) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and maps."""
        head = self.network.head
        maps = nn.functional.conv2d(self.network.features(x), head.weight[:, :, None, None])
        return maps.mean(dim=(2, 3)) + head.bias, maps


def enlarge(pixels: Tensor, side_px: int) -> Tensor:
    """Return views ``(N, C, S, S)`` enlarged linearly to ``(N, C, side, side)``, or as they are."""
    if pixels.shape[-1] == side_px:
        return pixels
    return nn.functional.interpolate(
        pixels, size=(side_px, side_px), mode="bilinear", align_corners=False
    )


def freeze_layers(network: MobileNetV2, count: int) -> None:
    """Let all feature layers learn but the first ``count`` (0 to ``FEATURE_LAYERS``).

    Their batch norms must also be kept in eval mode; see ``frozen_modules``.

    Raises:
        ValueError: ``count`` is outside 0 to ``FEATURE_LAYERS``.
    """
    frozen = frozen_modules(network, count)
    for layer in network.features.children():
        layer.requires_grad_(layer not in frozen)


def frozen_modules(network: MobileNetV2, count: int) -> list[nn.Module]:
    """Return the first ``count`` feature layers, whose batch norms do not follow the data."""
    if not 0 <= count <= FEATURE_LAYERS:
        raise ValueError(f"frozen_layers must be 0 to {FEATURE_LAYERS}, got {count}")
    return list(network.features.children())[:count]
