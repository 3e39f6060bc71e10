"""What artifact handling does to images that need it and to images that do not.

    python benchmarks/artifact.py --data HAM10000 --out results/artifact.json

Clean images are training images of fold 0 that show no hair to the eye: 80 were looked through,
none of which had served to set the steps' limits. Hair is then drawn on the same images, which
tells how much of the damage is undone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dermassist.data.ham10000 import Ham10000, read_ham10000
from dermassist.data.split import Part, read_splits, select
from dermassist.imaging import STEPS, read_image, to_field
from dermassist.imaging.artifact import correct_brightness, hair_mask, remove_hair
from dermassist.storage import write_text

Image = NDArray[np.uint8]
SIZE_PX = 224
HAIRS = 12
VISIBLE_LEVELS = 8
#: Of every 72nd training image from the 37th on, the first 80 were looked at, enlarged to 180 px.
# fmt: off
WITHOUT_HAIR = (
    33761, 30124, 30227, 32636, 31953, 30521, 24900, 32695, 33568, 24932, 24375, 25644,
    31056, 30517, 32087, 31771, 26689, 30174, 26715, 30545, 31296, 28241, 28942, 28691,
    24629, 30939, 32105, 27443, 30433, 27581, 30641, 30886, 29447, 31921, 25604, 32023,
    28843, 33712, 25990, 32623, 34237, 33792,
)
# fmt: on


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--splits", type=Path, default=Path("splits/ham10000.json"))
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("results/artifact.json"))
    arguments = parser.parse_args()
    dataset = read_ham10000(arguments.data)
    train = read_splits(arguments.splits).image_ids(Part.TRAIN, test_fold=0)
    step = max(1, len(train) // arguments.count)
    fields = _fields(dataset, train[::step])
    clean = _fields(dataset, [f"ISIC_{number:07d}" for number in WITHOUT_HAIR])
    document = {
        "images": len(fields),
        "clean_images": len(clean),
        "clean_share_with_hair_found": float(np.mean([hair_mask(f).any() for f in clean])),
        "share_with_hair_found": float(np.mean([hair_mask(f).any() for f in fields])),
        "share_with_brightness_changed": float(
            np.mean([correct_brightness(f) is not f for f in fields])
        ),
        "clean": {name: _change(clean, name) for name in STEPS},
        "all": {name: _change(fields, name) for name in STEPS},
        "drawn_hair": _drawn_hair(clean),
    }
    write_text(arguments.out, json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


def _fields(dataset: Ham10000, image_ids: Sequence[str]) -> list[Image]:
    return [
        to_field(read_image(record.path).pixels, SIZE_PX, pixel_aspect=dataset.pixel_aspect)
        for record in select(dataset.records, image_ids)
        if record.path is not None
    ]


def _change(images: list[Image], step: str) -> dict[str, float]:
    differences = [np.abs(STEPS[step](image).astype(int) - image) for image in images]
    return {
        "mean_grey_levels_changed": float(np.mean([d.mean() for d in differences])),
        "share_of_pixels_changed_visibly": float(
            np.mean([(d.max(axis=2) > VISIBLE_LEVELS).mean() for d in differences])
        ),
    }


def _drawn_hair(images: list[Image]) -> dict[str, Any]:
    """Draw hairs on clean images and measure the error under them before and after removal."""
    rng = np.random.default_rng(0)
    before, after, found = [], [], []
    for image in images:
        hairy, drawn = _draw_hair(image, rng)
        under = drawn > 0
        before.append(np.abs(hairy[under].astype(int) - image[under]).mean())
        after.append(np.abs(remove_hair(hairy)[under].astype(int) - image[under]).mean())
        found.append((hair_mask(hairy)[under] > 0).mean())
    return {
        "mean_error_before": float(np.mean(before)),
        "mean_error_after": float(np.mean(after)),
        "share_of_hair_pixels_found": float(np.mean(found)),
    }


def _draw_hair(image: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Return the image with curved dark lines, and a mask of them."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    for _ in range(HAIRS):
        start, bend, end = rng.uniform((0, 0), (width, height), (3, 2))
        t = np.linspace(0.0, 1.0, 40)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        points = np.rint(curve).astype(np.int32)[:, None]
        cv2.polylines(mask, [points], isClosed=False, color=255, thickness=int(rng.integers(1, 3)))
    hairy = image.copy()
    hairy[mask > 0] = (hairy[mask > 0] * 0.25 + np.array([12, 10, 8])).astype(np.uint8)
    return hairy, mask


if __name__ == "__main__":
    main()
