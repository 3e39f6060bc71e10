"""Getting the network back out of an exported graph, so that one file serves every purpose."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor

from dermassist.errors import BundleError
from dermassist.model.network import MobileNetV2

_PREFIX = "evidence.network."


def network_from_graph(graph: bytes) -> MobileNetV2:
    """Rebuild the network that answers exactly as the graph does, in eval mode.

    The exporter folds every batch norm into its convolution. Here the folded scale stays in the
    convolution and the folded offset becomes the batch norm's, whose statistics are set to the
    identity. Gradients are those of the exported network; training on from here is not sensible,
    because the statistics are gone.

    Raises:
        BundleError: the graph is not an export of this network.
    """
    try:
        model = onnx.load_from_string(graph)
    except DecodeError as error:
        raise BundleError(
            f"the graph is no ONNX file ({error}); install the model again"
        ) from error
    values = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    network = MobileNetV2()
    state = _identity_norms(network)
    try:
        for node in model.graph.node:
            if node.op_type == "Conv" and node.input[1].startswith(_PREFIX):
                _restore(node, values, state)
        for name in ("classifier.1.weight", "classifier.1.bias"):
            state[name] = _tensor(values[_PREFIX + name])
        network.load_state_dict(state)
    except (KeyError, IndexError, RuntimeError) as error:
        raise BundleError(f"the graph is not an export of this network ({error})") from error
    return network.eval()


def _restore(
    node: onnx.NodeProto,
    values: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]],
    state: dict[str, Tensor],
) -> None:
    """Copy one convolution's weight, and its bias into the batch norm that follows it."""
    name = node.input[1].removeprefix(_PREFIX)
    stem, position, _ = name.rsplit(".", 2)
    state[name] = _tensor(values[node.input[1]])
    state[f"{stem}.{int(position) + 1}.bias"] = _tensor(values[node.input[2]])


def _identity_norms(network: MobileNetV2) -> dict[str, Tensor]:
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            state[f"{name}.weight"].fill_(1.0)
            state[f"{name}.running_mean"].zero_()
            state[f"{name}.running_var"].fill_(1.0 - module.eps)
    return state


def _tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
    return torch.from_numpy(array.copy())
