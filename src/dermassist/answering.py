"""Answering a labelled set of images, and measuring the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermassist.data.ham10000 import Record
from dermassist.data.mask import read_mask
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import DataError
from dermassist.evaluation.localisation import (
    LocalisationSummary,
    measure_localisation,
    summarise_localisation,
)
from dermassist.evaluation.report import EvaluationReport, build_report
from dermassist.evaluation.subgroup import Metadata
from dermassist.explain.activation_map import signed_heatmap
from dermassist.imaging import read_image
from dermassist.imaging.geometry import rescale_map
from dermassist.inference.classifier import Classifier
from dermassist.results import RECEPTIVE_SHIFT, Explanation
from dermassist.softmax import softmax

BATCH_SIZE = 16


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said of labelled images, in the order of ``records``.

    Attributes:
        records: with their true diagnoses.
        logits: ``(n, 7)``.
        probabilities: ``(n, 7)``, after the model's temperature.
        evidence: ``(n, 7, rows, columns)``.
        to_image: ``(n, 2, 3)``, as ``Explanation.to_image``.
        sizes: ``(n, 2)``, width and height of each image in px.
        shift: as ``Explanation.shift``.
    """

    records: tuple[Record, ...]
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    evidence: NDArray[np.float32]
    to_image: NDArray[np.float64]
    sizes: NDArray[np.int64]
    shift: float = RECEPTIVE_SHIFT

    @property
    def labels(self) -> NDArray[np.int64]:
        """True diagnoses ``(n,)``, 0 to 6."""
        return np.array([record.diagnosis.index for record in self.records], np.int64)

    @property
    def lesions(self) -> NDArray[np.str_]:
        """Lesion of each image ``(n,)``."""
        return np.array([record.lesion_id for record in self.records])


def answer_records(
    records: Sequence[Record],
    classifier: Classifier,
    *,
    pixel_aspect: float = 1.0,
    advance: Callable[[int], None] | None = None,
) -> Answers:
    """Answer every record's image.

    Args:
        records: each with an image file.
        classifier: the model.
        pixel_aspect: of all images.
        advance: called with the number of images answered since the last call.

    Raises:
        DataError: a record has no image.
        ImageError: an image cannot be read.
        ConfigError: ``pixel_aspect`` is not from 1/4 to 4.
    """
    if not records:
        raise DataError("there are no labelled images to answer")
    missing = [record.image_id for record in records if record.path is None]
    if missing:
        raise DataError(
            f"of {len(records)} labelled images {len(missing)} have no file, {missing[0]} first; "
            "add the files, or take the rows out of the labels"
        )
    batches = []
    for start in range(0, len(records), BATCH_SIZE):
        paths = [record.path for record in records[start : start + BATCH_SIZE]]
        batches.append(_answer_batch(paths, classifier, pixel_aspect))
        if advance is not None:
            advance(len(paths))
    logits, evidence, to_image, sizes = zip(*batches, strict=True)
    joined = np.concatenate(logits).astype(np.float64)
    return Answers(
        records=tuple(records),
        logits=joined,
        probabilities=softmax(joined / (classifier.manifest.temperature or 1.0)),
        evidence=np.concatenate(evidence),
        to_image=np.concatenate(to_image),
        sizes=np.concatenate(sizes),
        shift=classifier.evidence_shift,
    )


def evaluate_answers(answers: Answers, *, rng: np.random.Generator) -> EvaluationReport:
    """Return every metric of the answers, with 95 % intervals resampled by lesion."""
    records = answers.records
    return build_report(
        answers.labels,
        answers.probabilities,
        groups=answers.lesions,
        rng=rng,
        metadata=metadata_of(records),
    )


def metadata_of(records: Sequence[Record]) -> Metadata:
    """Return what the records say beside diagnosis and lesion, in their order."""
    return Metadata(
        sex=[record.sex for record in records],
        age_years=[record.age for record in records],
        body_site=[record.localization for record in records],
        source=[record.source for record in records],
        dx_type=[record.dx_type for record in records],
    )


def check_masks(records: Sequence[Record]) -> None:
    """Read every mask, to refuse one before images are answered that cannot be measured with it.

    Raises:
        DataError: a mask is damaged or empty.
    """
    for record in records:
        if record.mask_path is not None:
            _lesion(record)


def measure_heatmaps(answers: Answers, *, rng: np.random.Generator) -> LocalisationSummary:
    """Compare the predicted diagnosis' heatmaps, and a centred Gaussian, with lesion masks.

    Raises:
        DataError: no record has a mask, or a mask is damaged or empty.
    """
    masked = [i for i, record in enumerate(answers.records) if record.mask_path is not None]
    if not masked:
        raise DataError("no image has a lesion mask, so heatmaps cannot be measured")
    measured = measure_localisation(_heatmaps_and_masks(answers, masked))
    return summarise_localisation(measured, groups=answers.lesions[masked], rng=rng)


def _answer_batch(
    paths: Sequence[Path | None], classifier: Classifier, pixel_aspect: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    size_px = classifier.manifest.preprocessing.size_px
    rasters = [read_image(path, reduce_to_px=size_px) for path in paths if path is not None]
    views = [classifier.view(raster, pixel_aspect=pixel_aspect) for raster in rasters]
    logits, evidence = classifier.run(np.stack([view.pixels for view in views]))
    to_image = np.stack([classifier.grid_to_image(view) for view in views])
    sizes = np.array([(raster.width, raster.height) for raster in rasters], np.int64)
    return logits, evidence, to_image, sizes


def _heatmaps_and_masks(
    answers: Answers, chosen: Sequence[int]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield each heatmap in its mask's geometry; what the network did not see has no evidence."""
    for i in chosen:
        mask = _lesion(answers.records[i])
        height, width = mask.shape
        image_width, image_height = answers.sizes[i]
        to_mask = rescale_map(
            answers.to_image[i], scale_x=width / image_width, scale_y=height / image_height
        )
        explanation = Explanation(answers.evidence[i], to_mask, scale=1.0, shift=answers.shift)
        predicted = DIAGNOSES[int(answers.probabilities[i].argmax())]
        heatmap = signed_heatmap(explanation, predicted, width=width, height=height)
        yield np.maximum(np.nan_to_num(heatmap, nan=0.0), 0.0), mask


def _lesion(record: Record) -> NDArray[np.bool_]:
    if record.mask_path is None:
        raise DataError(f"{record.image_id}: has no lesion mask")
    mask = read_mask(record.mask_path)
    if not mask.any():
        raise DataError(f"{record.mask_path}: the lesion mask is empty; remove or replace it")
    return mask
