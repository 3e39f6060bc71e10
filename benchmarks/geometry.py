"""How should a field of any shape reach the network's square, and how far do answers move?

Three questions, all answered on the validation part, never on the test fold:

1. To which side should the square be enlarged before the first convolution? And what do a blur,
   which enlarging brings along, and the mean over flips do instead or besides?
2. How good are the answers when the square is a centre crop, the whole field (letterbox), or
   something between, and with which fill?
3. How far do the answers for one image move when it was cropped, padded or resized beforehand?

    python benchmarks/geometry.py --data HAM10000 --out results/geometry.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
from benchmarks.own_trial import trial_of_model
from numpy.typing import NDArray

from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.split import read_splits
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.temperature import apply_temperature, fit_temperature
from dermassist.imaging import Fill, Preprocessing, read_image, to_field, to_view
from dermassist.inference.classifier import Classifier
from dermassist.inference.export import export_graph
from dermassist.model.bundle import Bundle
from dermassist.model.graph import network_from_graph
from dermassist.storage import write_text

Image = NDArray[np.uint8]
#: The side of the square itself, and enlargements of it.
NETWORK_SIDES_PX = (224, 256, 288, 320)
FITS = (0.0, 0.25, 0.5, 0.75, 1.0)
BATCH = 32
SERVED_PX = 224
#: Stability is measured on every fourth image: it takes 30 passes.
STABILITY_STEP = 4


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=Path, default=Path("splits/ham10000.json"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results/geometry.json"))
    arguments = parser.parse_args()
    classifier = Classifier.load(arguments.model)
    dataset = read_ham10000(arguments.data)
    splits = read_splits(arguments.splits)
    trial = trial_of_model(classifier.manifest, dataset.records, splits)
    records = trial.validation
    images = [_true_proportions(record, dataset.pixel_aspect) for record in records]
    labels = np.array([record.diagnosis.index for record in records])
    document = {
        "graph_sha256": classifier.manifest.files["model.onnx"].sha256,
        "part": f"validation of fold {trial.origin['fold']}, {len(records)} images",
        "chosen": {
            "fit": classifier.manifest.preprocessing.fit,
            "fill": classifier.manifest.preprocessing.fill,
            "network_px": classifier.manifest.preprocessing.seen_px,
        },
        "enlargements": [
            row for s in NETWORK_SIDES_PX for row in _enlargement(images, labels, classifier, s)
        ],
        "choices": [_choice(images, labels, classifier, s) for s in _settings(classifier)],
        "stability_images": len(images[::STABILITY_STEP]),
        "stability": _stability(images[::STABILITY_STEP], classifier),
    }
    write_text(arguments.out, json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


def _true_proportions(record: Record, pixel_aspect: float) -> Image:
    """Return the whole image as a user would bring it, 4:3 at 450 px height."""
    if record.path is None:
        raise SystemExit(f"{record.image_id} is missing")
    return to_field(read_image(record.path).pixels, 450, pixel_aspect=pixel_aspect)


def _settings(classifier: Classifier) -> list[Preprocessing]:
    """Return every fit; the fill matters only where there is something to fill."""
    base = classifier.manifest.preprocessing
    fills: tuple[Fill, ...] = get_args(Fill)
    return [
        replace(base, fit=fit, fill=fill) for fit in FITS for fill in (fills if fit else fills[:1])
    ]


def _enlargement(
    images: Sequence[Image], labels: NDArray[np.int64], classifier: Classifier, side_px: int
) -> list[dict[str, Any]]:
    """Export the same network for another side and measure its answers to each variant."""
    how = replace(classifier.manifest.preprocessing, network_px=side_px)
    graph = export_graph(network_from_graph(classifier.bundle.graph), how)
    manifest = replace(classifier.manifest, preprocessing=how)
    enlarged = Classifier(Bundle.unwritten(classifier.bundle.directory, manifest, graph))
    return [
        {
            "network_px": side_px,
            "variant": name,
            **_measured(labels, _logits(images, enlarged, how, variant)),
        }
        for name, variant in VARIANTS.items()
    ]


def _choice(
    images: Sequence[Image], labels: NDArray[np.int64], classifier: Classifier, how: Preprocessing
) -> dict[str, Any]:
    measured = _measured(labels, _logits(images, classifier, how))
    return {"fit": how.fit, "fill": how.fill if how.fit else "none needed", **measured}


def _measured(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> dict[str, float]:
    fit = fit_temperature(labels, logits)
    chances = apply_temperature(logits, temperature=fit.temperature)
    overall = measure(labels, chances).overall
    return {
        "accuracy": float(overall.accuracy),
        "balanced_accuracy": float(overall.balanced_accuracy),
        "macro_f1": float(overall.macro_f1),
        "log_loss": fit.loss_after,
    }


def _as_they_are(views: Image) -> list[Image]:
    return [views]


def _blurred(views: Image) -> list[Image]:
    return [np.stack([np.asarray(cv2.GaussianBlur(v, (0, 0), 0.5), np.uint8) for v in views])]


def _flipped(views: Image) -> list[Image]:
    flips = (views, views[:, ::-1], views[:, :, ::-1], views[:, ::-1, ::-1])
    return [np.ascontiguousarray(flip) for flip in flips]


#: From views ``(N, size, size, 3)`` to those whose logits are averaged.
Variant = Callable[[Image], list[Image]]
VARIANTS: dict[str, Variant] = {
    "as it is": _as_they_are,
    "blurred by 0.5 px": _blurred,
    "mean over four flips": _flipped,
}


def _logits(
    images: Sequence[Image],
    classifier: Classifier,
    how: Preprocessing,
    variant: Variant = _as_they_are,
) -> NDArray[np.float64]:
    rows = []
    for start in range(0, len(images), BATCH):
        views = [
            to_view(to_field(i, how.size_px), how).pixels for i in images[start : start + BATCH]
        ]
        answers = [classifier.run(shown)[0] for shown in variant(np.stack(views))]
        rows.append(np.mean(answers, axis=0))
    return np.concatenate(rows).astype(np.float64)


def _stability(images: Sequence[Image], classifier: Classifier) -> list[dict[str, Any]]:
    """Compare the answers for changed images with those for the originals."""
    temperature = classifier.manifest.temperature or 1.0
    rows = []
    for fit in (0.0, 0.5, 1.0):
        how = replace(classifier.manifest.preprocessing, fit=fit)
        original = apply_temperature(_logits(images, classifier, how), temperature=temperature)
        for name, change in CHANGES.items():
            changed = _logits([change(image) for image in images], classifier, how)
            moved = apply_temperature(changed, temperature=temperature)
            distance = np.abs(moved - original).sum(axis=1) / 2
            same = (moved.argmax(axis=1) == original.argmax(axis=1)).mean()
            rows.append(
                {
                    "fit": fit,
                    "change": name,
                    "mean_probability_moved": float(distance.mean()),
                    "p95_probability_moved": float(np.quantile(distance, 0.95)),
                    "same_diagnosis": float(same),
                }
            )
    return rows


def _centre(image: Image, aspect: float) -> Image:
    """Crop the centre to an aspect ratio (width over height)."""
    height, width = image.shape[:2]
    wide, high = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - wide) // 2, (height - high) // 2
    return np.ascontiguousarray(image[top : top + high, left : left + wide])


def _pad_to_square(image: Image) -> Image:
    height, width = image.shape[:2]
    bar = (width - height) // 2
    padded = cv2.copyMakeBorder(image, bar, width - height - bar, 0, 0, cv2.BORDER_CONSTANT)
    return np.asarray(padded, np.uint8)


def _resize(image: Image, factor: float) -> Image:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def _squeeze(image: Image) -> Image:
    side = image.shape[0]
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _decode_reduced(image: Image) -> Image:
    """Return what serving reads of the picture as a JPEG file."""
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return read_image(encoded.tobytes(), reduce_to_px=SERVED_PX).pixels


def _recompress(image: Image) -> Image:
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "cropped to a square": lambda image: _centre(image, 1.0),
    "cropped to 3:2": lambda image: _centre(image, 1.5),
    "cropped by a tenth on every side": lambda image: _centre(
        image[45:405, 60:540], image.shape[1] / image.shape[0]
    ),
    "padded to a square with black bars": _pad_to_square,
    "enlarged twice": lambda image: _resize(image, 2.0),
    "reduced to half": lambda image: _resize(image, 0.5),
    "JPEG quality 95, decoded at half scale": _decode_reduced,
    "JPEG quality 75": _recompress,
    "squeezed to a square (wrong proportions)": _squeeze,
}

if __name__ == "__main__":
    main()
