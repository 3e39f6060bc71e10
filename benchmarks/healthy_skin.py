"""What the model says of healthy skin, and how often it says that it found no lesion.

    python -m benchmarks.healthy_skin --data HAM10000

HAM10000 has no picture of healthy skin. So the largest square of skin beside a lesion, outside its
mask and away from dark corners, is mirrored until it fills a view: true skin at true scale and
sharpness, without a lesion. Masks are not exact, so some of it is pigmented; what is found of clear
skin is rather more. The lesions' own views tell how often the same is said where it is
wrong. On the test fold of the model that ships; what counts as no lesion was chosen beforehand, on
the training images (its limit) and on validation (its measure).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from benchmarks.own_trial import trial_of_model
from numpy.typing import NDArray

from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.mask import read_mask
from dermassist.data.split import read_splits
from dermassist.diagnosis import CODES
from dermassist.evaluation.array import BoolArray, FloatArray
from dermassist.evaluation.bootstrap import Estimate, bootstrap
from dermassist.evaluation.document import to_document
from dermassist.imaging import RasterImage, read_image, to_field
from dermassist.inference.classifier import Classifier
from dermassist.interfaces.cli.option import DEFAULT_SPLITS
from dermassist.quality import judge_quality
from dermassist.results import ImageQuality
from dermassist.storage import write_text

#: A smaller square of skin would be repeated too often to look like skin.
SMALLEST_PX = 60
#: Around the mask, whose rim is not exact.
MARGIN_PX = 7
#: Darker is the shadow of the dermatoscope's tube.
DARKEST = 60
SURE = 0.9
_SEED = 0


@dataclass(frozen=True)
class Skin:
    """One view without a lesion.

    Attributes:
        lesion: beside which it lies.
        found_none: whether it was said that no lesion was found.
        remarked: whether anything was remarked on.
        confidence: of the answer, 0 to 1.
        answer: its place among the seven.
        referred: whether referral was advised.
    """

    lesion: str
    found_none: bool
    remarked: bool
    confidence: float
    answer: int
    referred: bool


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--out", type=Path, default=Path("results/healthy_skin.json"))
    options = parser.parse_args()
    dataset, classifier = read_ham10000(options.data), Classifier.load()
    splits = read_splits(options.splits)
    trial = trial_of_model(classifier.manifest, dataset.records, splits)
    document = measured(trial.test, classifier, pixel_aspect=dataset.pixel_aspect)
    write_text(options.out, json.dumps(document, indent=1) + "\n")


def measured(
    records: Sequence[Record], classifier: Classifier, *, pixel_aspect: float
) -> dict[str, object]:
    """Return what is said of lesions, and of the skin beside them.

    Args:
        records: with images and masks.
        classifier: the model.
        pixel_aspect: of the images.
    """
    size = classifier.manifest.preprocessing.size_px
    found_none, skins = [], []
    for record in records:
        if record.path is None or record.mask_path is None:
            raise SystemExit(f"{record.image_id} lacks its image or its mask")
        raster = read_image(record.path, reduce_to_px=size)
        view = classifier.view(raster, pixel_aspect=pixel_aspect).pixels
        found_none.append(_judged(view, classifier).stands_out is False)
        aspect = pixel_aspect * raster.pixel_aspect
        field = to_field(raster.pixels, size, pixel_aspect=aspect)
        patch = skin_beside(field, read_mask(record.mask_path))
        if patch is not None:
            skins.append(_answered(mirrored(patch, size), record.lesion_id, classifier))
    return {
        "model": {"version": classifier.info.version, "graph_sha256": classifier.info.graph_sha256},
        "limit": getattr(classifier.manifest.quality_reference, "contrast", None),
        "lesions": _of_lesions(records, np.array(found_none)),
        "skin": _of_skin(skins),
    }


def skin_beside(field: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """Return the largest square of a field that shows skin alone, or ``None`` if it is small.

    Args:
        field: ``(height, width, 3)`` uint8 RGB.
        mask: of the lesion, of the same proportions.
    """
    height, width = field.shape[:2]
    lesion = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    dark = cv2.cvtColor(field, cv2.COLOR_RGB2GRAY) < DARKEST
    span = 2 * MARGIN_PX + 1
    taken = cv2.dilate(lesion | dark.astype(np.uint8), np.ones((span, span), np.uint8))
    # Beyond the picture there is no skin.
    free = cv2.copyMakeBorder(1 - taken, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    # In chessboard distance, what is nearer than d to a pixel is a square of 2 d - 1 pixels.
    distance = cv2.distanceTransform(free, cv2.DIST_C, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(distance.argmax(), distance.shape)
    reach = int(distance[row, column]) - 1
    if 2 * reach + 1 < SMALLEST_PX:
        return None
    return field[row - reach : row + reach + 1, column - reach : column + reach + 1]


def mirrored(patch: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a view ``(size, size, 3)`` filled with a patch and its mirror images."""
    missing = max(size - patch.shape[0], 0)
    before = missing // 2
    edges = ((before, missing - before),) * 2
    return np.pad(patch, (*edges, (0, 0)), mode="symmetric")[:size, :size]


def _judged(view: NDArray[np.uint8], classifier: Classifier) -> ImageQuality:
    size = view.shape[0]
    raster = RasterImage(view, size, size, sha256="")
    return judge_quality(view, raster, classifier.manifest.quality_reference, size_px=size)


def _answered(view: NDArray[np.uint8], lesion: str, classifier: Classifier) -> Skin:
    size = view.shape[0]
    prediction = classifier.predict(RasterImage(view, size, size, sha256=""))
    quality = _judged(view, classifier)
    if prediction.referral is None or quality.stands_out is None:
        raise SystemExit("the model has no referral threshold, or no limit of contrast")
    return Skin(
        lesion=lesion,
        found_none=not quality.stands_out,
        remarked=bool(quality.remarks),
        confidence=prediction.confidence,
        answer=prediction.diagnosis.index,
        referred=prediction.referral.advised,
    )


def _of_lesions(records: Sequence[Record], found_none: BoolArray) -> dict[str, object]:
    lesions = np.array([record.lesion_id for record in records])
    diagnosed = np.array([record.diagnosis.index for record in records])
    by_class = {
        code: {"images": int(own.sum()), "called_no_lesion": int(found_none[own].sum())}
        for code, own in ((code, diagnosed == place) for place, code in enumerate(CODES))
    }
    share = _share(found_none, lesions)
    return {
        "images": len(records),
        "called_no_lesion": to_document(share),
        "by_class": by_class,
    }


def _of_skin(skins: Sequence[Skin]) -> dict[str, object]:
    lesions = np.array([skin.lesion for skin in skins])
    sure = np.array([skin.confidence > SURE for skin in skins])
    silent = ~np.array([skin.remarked for skin in skins])
    answers = np.bincount([skin.answer for skin in skins], minlength=len(CODES))
    shares: Mapping[str, BoolArray] = {
        "called_no_lesion": np.array([skin.found_none for skin in skins]),
        "sure": sure,
        "sure_without_remark": sure & silent,
        "referred": np.array([skin.referred for skin in skins]),
    }
    return {
        "views": len(skins),
        **{name: to_document(_share(own, lesions)) for name, own in shares.items()},
        "answers": dict(zip(CODES, answers.tolist(), strict=True)),
    }


def _share(chosen: BoolArray, lesions: NDArray[np.str_]) -> Estimate:
    """Return the share of images, with an interval by lesion."""
    said = chosen.astype(np.float64)

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        return {"share": (weights * said).sum(axis=-1) / weights.sum(axis=-1)}

    drawn = bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_SEED))
    return drawn.estimate("share")


if __name__ == "__main__":
    main()
