"""A trained network that a new one learns from, on the same views."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dermassist.errors import ConfigError
from dermassist.imaging import Preprocessing
from dermassist.model.bundle import read_bundle
from dermassist.model.graph import network_from_graph
from dermassist.model.network import MobileNetV2, enlarge
from dermassist.training.seen import check_same_part


class Teacher:
    """Answers views as the runtime would: enlarged by the same factor as when it serves.

    Attributes:
        sha256: of the bundle that it was read from.
    """

    def __init__(self, network: MobileNetV2, preprocessing: Preprocessing, *, sha256: str) -> None:
        self.network = network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # untyped overload in torch
        self.enlargement = preprocessing.seen_px / preprocessing.size_px
        self.sha256 = sha256

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Return logits ``(N, 7)`` of standardised views ``(N, 3, S, S)``."""
        self.network.to(pixels.device)
        side = round(pixels.shape[-1] * self.enlargement)
        logits: Tensor = self.network(enlarge(pixels, side))
        return logits


def read_teacher(bundle: Path, origin: Mapping[str, Any], preprocessing: Preprocessing) -> Teacher:
    """Read a teacher from a model bundle.

    Args:
        bundle: its folder.
        origin: of the training that it will teach.
        preprocessing: of that training.

    Raises:
        BundleError: the bundle is missing or was changed.
        ConfigError: it was trained on other images, which the new network may be tested on, or
            takes its input standardised in another way.
    """
    read = read_bundle(bundle)
    own = read.manifest.training.get("origin", {})
    check_same_part(own, origin, where=bundle, what="a teacher")
    theirs = read.manifest.preprocessing
    if (theirs.mean, theirs.std, theirs.steps) != (
        preprocessing.mean,
        preprocessing.std,
        preprocessing.steps,
    ):
        raise ConfigError(f"{bundle}: the teacher was trained with other preprocessing")
    return Teacher(network_from_graph(read.graph), theirs, sha256=read.sha256)
