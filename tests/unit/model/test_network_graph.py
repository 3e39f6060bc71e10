"""The network: its tensors, its export, and its maps."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from dermassist.diagnosis import DIAGNOSES
from dermassist.explain.activation_map import grad_cam
from dermassist.explain.gradient import gradient_grad_cam
from dermassist.imaging import Preprocessing
from dermassist.inference.classifier import Classifier
from dermassist.inference.export import ServingNetwork, export_graph
from dermassist.model.bundle import Bundle
from dermassist.model.graph import network_from_graph
from dermassist.model.network import FEATURE_LAYERS, EvidenceNetwork, MobileNetV2, freeze_layers
from dermassist.model.weights import WeightsError, read_weights, write_weights
from dermassist.softmax import softmax

from ...conftest import tiny_manifest

#: torchvision's mobilenet_v2 has 3,504,872 parameters with its layer of 1,280 x 1,000 + 1,000.
PARAMETERS = 3_504_872 - 1_281_000 + 1280 * 7 + 7
SMALL = Preprocessing(size_px=64)
ENLARGED = Preprocessing(size_px=64, network_px=96)


@pytest.fixture(scope="module")
def network() -> MobileNetV2:
    """A network whose batch norms are not the identity."""
    torch.manual_seed(1)
    made = MobileNetV2()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.uniform_(module.bias, -0.2, 0.4)
            module.running_mean = torch.empty(module.num_features).uniform_(-0.2, 0.2)
            module.running_var = torch.empty(module.num_features).uniform_(0.5, 1.5)
    nn.init.normal_(made.head.weight, std=0.3)
    return made.eval()


@pytest.fixture(scope="module")
def graph(network: MobileNetV2) -> bytes:
    return export_graph(network, SMALL)


@pytest.fixture(scope="module")
def views() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)


def test_it_has_the_published_number_of_parameters(network: MobileNetV2) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS


def test_its_tensors_are_named_as_in_the_imagenet_file(network: MobileNetV2) -> None:
    place = os.environ.get("DERMASSIST_INIT")
    if not place or not Path(place).is_file():
        pytest.skip("DERMASSIST_INIT does not name a weights file")
    stored = {name: value.shape for name, value in read_weights(Path(place)).items()}
    own = {
        name: value.shape
        for name, value in network.state_dict().items()
        if name.startswith("features.")
    }
    own = {name: shape for name, shape in own.items() if name in stored or "batches" not in name}
    assert own == {name: shape for name, shape in stored.items() if name.startswith("features.")}


def test_maps_do_not_change_the_logits(network: MobileNetV2) -> None:
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        logits, maps = EvidenceNetwork(network)(x)
        torch.testing.assert_close(logits, network(x), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(logits - network.head.bias, maps.mean((2, 3)))


def test_the_graph_answers_as_pytorch_does(
    network: MobileNetV2, graph: bytes, views: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    classifier = Classifier(
        Bundle.unwritten(Path(), tiny_manifest(preprocessing=SMALL), graph), threads=1
    )
    with torch.inference_mode():
        logits, maps = ServingNetwork(network, SMALL).eval()(torch.from_numpy(views))
    given_logits, given_maps = classifier.run(views)
    given = softmax(given_logits.astype(np.float64))
    np.testing.assert_allclose(given, softmax(logits.double().numpy()), atol=1e-4)
    np.testing.assert_allclose(given_maps, maps.numpy(), rtol=1e-3, atol=1e-3)


def test_an_enlarging_graph_looks_at_the_enlarged_view(
    network: MobileNetV2, views: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    graph = export_graph(network, ENLARGED)
    bundle = Bundle.unwritten(Path(), tiny_manifest(preprocessing=ENLARGED), graph)
    classifier = Classifier(bundle, threads=1)
    # OpenCV's linear resizing has the same pixel centres; levels stay fractions here.
    enlarged = np.stack([cv2.resize(view.astype(np.float32), (96, 96)) for view in views])
    mean, std = np.array(ENLARGED.mean, np.float32), np.array(ENLARGED.std, np.float32)
    seen = torch.from_numpy((enlarged / 255.0 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = network(seen).numpy()
    logits, maps = classifier.run(views)
    assert maps.shape == (5, 7, 3, 3)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3)
    answer = classifier.answer(views[0])
    by_gradient = gradient_grad_cam(
        network_from_graph(graph), views[0], DIAGNOSES[0], preprocessing=ENLARGED
    )
    np.testing.assert_allclose(grad_cam(answer.explanation, DIAGNOSES[0]), by_gradient, atol=1e-5)
    # Three cells of 64 / 3 px share the view: the middle one's centre is the view's.
    x, y = answer.explanation.to_image @ np.array([1.0, 1.0, 1.0])
    assert (x, y) == pytest.approx((31.5, 31.5))


def test_closed_form_and_gradients_agree_at_the_last_layer(
    network: MobileNetV2, graph: bytes, views: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    classifier = Classifier(
        Bundle.unwritten(Path(), tiny_manifest(preprocessing=SMALL), graph), threads=1
    )
    rebuilt = network_from_graph(graph)
    for view, diagnosis in zip(views, DIAGNOSES, strict=False):
        closed = grad_cam(classifier.answer(view).explanation, diagnosis)
        for torch_network in (network, rebuilt):
            by_gradient = gradient_grad_cam(torch_network, view, diagnosis, preprocessing=SMALL)
            np.testing.assert_allclose(closed, by_gradient, atol=1e-5)


def test_gradients_leave_the_network_as_it_was(network: MobileNetV2) -> None:
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    view = np.zeros((64, 64, 3), np.uint8)
    gradient_grad_cam(network, view, DIAGNOSES[0], preprocessing=SMALL, layer=5)
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    network.eval()


@pytest.mark.parametrize("count", [0, 3, FEATURE_LAYERS])
def test_frozen_layers_do_not_learn(count: int) -> None:
    network = MobileNetV2()
    freeze_layers(network, count)
    learns = [any(p.requires_grad for p in layer.parameters()) for layer in network.features]
    assert learns == [False] * count + [True] * (FEATURE_LAYERS - count)


def test_a_pickle_with_code_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"weight": Path("/")}, path)
    with pytest.raises(WeightsError, match="not opened"):
        read_weights(path)


def test_weights_are_read_as_they_were_written(network: MobileNetV2, tmp_path: Path) -> None:
    write_weights(network, tmp_path / "w.pth")
    read = read_weights(tmp_path / "w.pth")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(read[name], value, rtol=0, atol=0)
