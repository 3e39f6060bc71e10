from __future__ import annotations

import pytest
import torch

from dermassist.model.network import (
    FEATURE_CHANNELS,
    FEATURE_LAYERS,
    STAGES,
    MobileNetV2,
    StridedDepthwise,
    freeze_layers,
    frozen_modules,
)


def parameters_by_hand(classes: int) -> int:
    """Sum table 2 of the MobileNetV2 paper: no biases, two per batch norm channel."""
    total = 3 * 32 * 9 + 2 * 32
    channels = 32
    for expansion, out, blocks, _ in STAGES:
        for _ in range(blocks):
            hidden = channels * expansion
            expand = channels * hidden + 2 * hidden if expansion != 1 else 0
            total += expand + hidden * 9 + 2 * hidden + hidden * out + 2 * out
            channels = out
    total += channels * 1280 + 2 * 1280
    return total + 1280 * classes + classes


def test_the_number_of_parameters_is_the_papers_table() -> None:
    # torchvision documents 3,504,872 for its 1,000 classes.
    assert parameters_by_hand(1000) == 3_504_872
    assert sum(p.numel() for p in MobileNetV2().parameters()) == parameters_by_hand(7)


def test_table_2_of_the_paper() -> None:
    assert [tuple(stage) for stage in STAGES] == [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    assert FEATURE_LAYERS == 19


@pytest.mark.parametrize(("size", "grid"), [(32, 1), (64, 2), (224, 7)])
def test_features_are_a_thirty_second_of_the_image(size: int, grid: int) -> None:
    with torch.inference_mode():
        features = MobileNetV2().eval().features(torch.zeros(1, 3, size, size))
    assert features.shape == (1, FEATURE_CHANNELS, grid, grid)


def test_activations_are_cut_at_six() -> None:
    with torch.inference_mode():
        features = MobileNetV2().eval().features(torch.full((1, 3, 32, 32), 1e4))
    assert 0.0 <= float(features.min()) <= float(features.max()) <= 6.0


@pytest.mark.parametrize("count", [-1, 20])
def test_an_impossible_number_of_frozen_layers_is_refused(count: int) -> None:
    for function in (freeze_layers, frozen_modules):
        with pytest.raises(ValueError, match=f"frozen_layers must be 0 to 19, got {count}"):
            function(MobileNetV2(), count)


@pytest.fixture
def strided() -> StridedDepthwise:
    """A layer as the network has four."""
    torch.manual_seed(0)
    return StridedDepthwise(16, 16, 3, stride=2, padding=1, groups=16, bias=False)


def gradients(
    layer: torch.nn.Conv2d, x: torch.Tensor, upstream: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of a layer by its input and its weight."""
    seen = x.clone().requires_grad_()
    by_input, by_weight = torch.autograd.grad(layer(seen), (seen, layer.weight), upstream)
    return by_input, by_weight


def test_every_strided_depthwise_layer_is_one_that_trains_fast() -> None:
    layers = [m for m in MobileNetV2().modules() if isinstance(m, torch.nn.Conv2d)]
    found = [type(m) is StridedDepthwise for m in layers]
    assert found == [m.groups > 1 and m.stride == (2, 2) for m in layers]
    assert sum(found) == 4


@pytest.mark.parametrize("size", [8, 9])
def test_in_bfloat16_its_gradient_by_the_input_is_the_one_of_float32(
    strided: StridedDepthwise, size: int
) -> None:
    # Numbers that bfloat16 holds exactly, so that only what is computed differs.
    x = torch.randn(2, 16, size, size).bfloat16().float()
    with torch.no_grad():
        strided.weight.copy_(strided.weight.bfloat16().float())
    upstream = torch.randn(2, 16, (size + 1) // 2, (size + 1) // 2).bfloat16()
    by_input, by_weight = gradients(strided, x, upstream.float())
    with torch.autocast("cpu", torch.bfloat16):
        answered = strided(x)
        mixed_input, mixed_weight = gradients(strided, x, upstream)
    assert answered.dtype == torch.bfloat16
    assert torch.equal(answered, strided(x).bfloat16())
    assert torch.equal(mixed_input, by_input.bfloat16().float())
    assert torch.allclose(mixed_weight, by_weight, rtol=1e-2, atol=1e-2)


def test_a_frozen_strided_layer_passes_gradients_on(strided: StridedDepthwise) -> None:
    x = torch.randn(2, 16, 8, 8, requires_grad=True)
    strided.weight.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        strided(x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert strided.weight.grad is None
