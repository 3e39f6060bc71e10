"""From a finished training to a model bundle: export, calibrate on validation, describe, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dermassist.answering import Answers, answer_records
from dermassist.data.ham10000 import Record
from dermassist.decisions import fit_decisions
from dermassist.errors import BundleError, DataError
from dermassist.imaging import Preprocessing
from dermassist.inference.classifier import Classifier
from dermassist.inference.export import ServingNetwork, export_graph
from dermassist.model.bundle import GRAPH_NAME, Bundle, write_bundle
from dermassist.model.manifest import Manifest, QualityReference
from dermassist.model.network import MobileNetV2
from dermassist.quality import measure_quality
from dermassist.selfcheck import sample_record
from dermassist.softmax import softmax

LICENCE = "CC BY-NC 4.0"
ATTRIBUTION = (
    "Trained on HAM10000: Tschandl, P., Rosendahl, C., Kittler, H. The HAM10000 dataset, a large "
    "collection of multi-source dermatoscopic images of common pigmented skin lesions. "
    "Sci Data 5, 180161 (2018), doi:10.1038/sdata.2018.161. CC BY-NC 4.0."
)
#: Quantile of the strongest evidence of validation images at which heatmap colours saturate.
EVIDENCE_QUANTILE = 0.95
#: In logits; a network without any evidence must not have its noise drawn as some.
SMALLEST_EVIDENCE_SCALE = 0.1
AGREEMENT_IMAGES = 100
LARGEST_DISAGREEMENT = 1e-4
QUALITY_QUANTILES = (0.01, 0.99)
_LIBRARIES = ("torch", "lightning", "onnx", "onnxscript", "onnxruntime", "opencv-python-headless")


@dataclass(frozen=True)
class Origin:
    """Where a network comes from, as its manifest will say.

    Attributes:
        name: of the model.
        version: of the model.
        created: ISO 8601 time.
        training: configuration, split hash, fold, seeds and the like, in plain JSON types.
    """

    name: str
    version: str
    created: str
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Material:
    """Images that describe a model: those it learned from, and those that calibrate it.

    Attributes:
        train: training records.
        validation: validation records, of other lesions.
        pixel_aspect: of the data set.
    """

    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    pixel_aspect: float = 1.0


def publish(
    network: MobileNetV2,
    preprocessing: Preprocessing,
    origin: Origin,
    directory: Path,
    *,
    material: Material,
    advance: Callable[[int], None] | None = None,
) -> Bundle:
    """Write the bundle of a trained network.

    Temperature, referral threshold, prediction sets and the heatmaps' colour scale come from
    validation images, the range of image quality from training images. No test image is touched.

    Args:
        network: trained.
        preprocessing: that it was trained with.
        origin: what the manifest says of it.
        directory: of the bundle.
        material: training and validation images.
        advance: called with the number of images read since the last call.
    """
    graph = export_graph(network, preprocessing)
    draft = Manifest(
        name=origin.name,
        version=origin.version,
        created=origin.created,
        licence=LICENCE,
        attribution=ATTRIBUTION,
        architecture=_architecture(network, preprocessing),
        preprocessing=preprocessing,
        files={},
        training=origin.training,
        libraries={name: metadata.version(name) for name in _LIBRARIES},
    )
    classifier = Classifier(Bundle.unwritten(directory, draft, graph))
    answers = answer_records(
        material.validation, classifier, pixel_aspect=material.pixel_aspect, advance=advance
    )
    # What the graph and PyTorch must agree on is one view's answer.
    single = replace(draft, preprocessing=replace(preprocessing, flips=False))
    agreement = _check_agreement(
        network, Classifier(Bundle.unwritten(directory, single, graph)), material
    )
    described = replace(
        _calibrate(draft, answers),
        training={**origin.training, "onnx_agreement": agreement},
        quality_reference=_quality_reference(material, classifier, advance),
    )
    finished = Classifier(Bundle.unwritten(directory, described, graph))
    return write_bundle(
        directory, replace(described, sample=sample_record(finished)), {GRAPH_NAME: graph}
    )


def _check_agreement(
    network: MobileNetV2, classifier: Classifier, material: Material
) -> dict[str, Any]:
    """Compare the graph with PyTorch on validation images.

    Raises:
        BundleError: their probabilities differ by more than ``LARGEST_DISAGREEMENT``.
    """
    records = material.validation[:AGREEMENT_IMAGES]
    views = np.stack(
        [
            classifier.view(record.path, pixel_aspect=material.pixel_aspect).pixels
            for record in records
            if record.path is not None
        ]
    )
    serving = ServingNetwork(network, classifier.manifest.preprocessing).eval()
    with torch.inference_mode():
        expected = serving(torch.from_numpy(views))[0].numpy().astype(np.float64)
    given = classifier.run(views)[0].astype(np.float64)
    difference = float(np.abs(softmax(given) - softmax(expected)).max())
    if not difference <= LARGEST_DISAGREEMENT:
        raise BundleError(
            f"the exported graph and PyTorch differ by {difference:.1e} in probability, more than "
            f"{LARGEST_DISAGREEMENT:.0e}; do not ship it"
        )
    return {"images": len(views), "largest_difference_in_probability": difference}


def _architecture(network: MobileNetV2, preprocessing: Preprocessing) -> dict[str, Any]:
    size, seen, grid = preprocessing.size_px, preprocessing.seen_px, preprocessing.grid
    enlarged = f"enlarged to {seen} and " if seen != size else ""
    return {
        "name": "MobileNetV2 1.0, global average pooling, dropout, linear layer of 7",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "input": f"image: uint8 (N, {size}, {size}, 3), RGB; {enlarged}normalised inside the graph",
        "outputs": f"logits: float32 (N, 7); maps: float32 (N, 7, {grid}, {grid})",
    }


def _calibrate(draft: Manifest, answers: Answers) -> Manifest:
    rules = fit_decisions(answers)
    return replace(
        draft,
        temperature=rules.temperature,
        evidence_scale=_evidence_scale(answers),
        referral=rules.referral,
        conformal=rules.conformal,
    )


def _evidence_scale(answers: Answers) -> float:
    """Return the evidence that only the strongest maps of validation images exceed, in logits."""
    predicted = answers.logits.argmax(axis=1)
    shown = answers.evidence[np.arange(len(predicted)), predicted]
    strongest = shown.reshape(len(shown), -1).max(axis=1)
    return max(float(np.quantile(strongest, EVIDENCE_QUANTILE)), SMALLEST_EVIDENCE_SCALE)


def _quality_reference(
    material: Material,
    classifier: Classifier,
    advance: Callable[[int], None] | None,
) -> QualityReference:
    measures = []
    for record in material.train:
        if record.path is not None:
            view = classifier.view(record.path, pixel_aspect=material.pixel_aspect).pixels
            quality = measure_quality(view, short_side_px=view.shape[0])
            measures.append(
                (
                    quality.sharpness,
                    quality.brightness,
                    quality.overexposed_share,
                    quality.contrast,
                )
            )
        if advance is not None:
            advance(1)
    if not measures:
        raise DataError("no training image is there to say what image quality is usual")
    sharpness, brightness, overexposed, contrast = np.array(measures, np.float64).T
    return QualityReference(
        sharpness=_range(sharpness),
        brightness=_range(brightness),
        overexposed_share=float(np.quantile(overexposed, QUALITY_QUANTILES[1])),
        contrast=float(np.quantile(contrast, QUALITY_QUANTILES[0])),
    )


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, QUALITY_QUANTILES)
    return float(low), float(high)
