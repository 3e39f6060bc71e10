"""From trained weights to the ONNX graph that every front end runs."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from dermassist.imaging import Preprocessing
from dermassist.model.network import EvidenceNetwork, MobileNetV2, enlarge

OPSET = 20


class ServingNetwork(nn.Module):
    """The network with its preprocessing constants inside: uint8 RGB in, logits and maps out.

    Input ``image`` ``(N, size, size, 3)`` uint8. Outputs ``logits`` ``(N, 7)`` and ``maps``
    ``(N, 7, grid, grid)``; see ``EvidenceNetwork`` and ``Preprocessing``.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, network: MobileNetV2, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.evidence = EvidenceNetwork(network)
        self.seen_px = preprocessing.seen_px
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        self.register_buffer("scale", (1.0 / (255.0 * std)).view(1, 3, 1, 1))
        self.register_buffer("offset", (-mean / std).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and maps."""
        answer: tuple[Tensor, Tensor] = self.evidence(self.standardise(image))
        return answer

    def standardise(self, image: Tensor) -> Tensor:
        """Return what the first convolution sees, ``(N, 3, seen, seen)``."""
        pixels = image.permute(0, 3, 1, 2).float()
        return enlarge(pixels * self.scale + self.offset, self.seen_px)


class LogitNetwork(nn.Module):
    """The same without maps: the bare forward pass that benchmarks compare with."""

    def __init__(self, serving: ServingNetwork) -> None:
        super().__init__()
        self.serving = serving

    def forward(self, image: Tensor) -> Tensor:
        """Return logits ``(N, 7)``."""
        logits: Tensor = self.serving.evidence.network(self.serving.standardise(image))
        return logits


def export_graph(network: MobileNetV2, preprocessing: Preprocessing) -> bytes:
    """Return the ONNX graph of a trained network, with maps."""
    return to_onnx(
        ServingNetwork(network, preprocessing).eval(),
        size_px=preprocessing.size_px,
        outputs=("logits", "maps"),
    )


def to_onnx(module: nn.Module, *, size_px: int, outputs: tuple[str, ...]) -> bytes:
    """Export a module whose one input is ``image`` ``(N, size, size, 3)`` uint8, N free."""
    example = torch.zeros((2, size_px, size_px, 3), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter warns of deprecations inside its own dependencies.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module,
            (example,),
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes={"image": {0: torch.export.Dim("N", min=1)}},
            verbose=False,
        )
        model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    _forget_origin(model)
    content: bytes = model.SerializeToString()
    return content


def _forget_origin(model: onnx.ModelProto) -> None:
    """Remove stack traces and file names that the exporter writes into the graph."""
    del model.metadata_props[:]
    model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
