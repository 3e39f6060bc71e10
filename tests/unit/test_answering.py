from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermassist.answering import (
    BATCH_SIZE,
    Answers,
    answer_records,
    check_masks,
    evaluate_answers,
    measure_heatmaps,
)
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.diagnosis import Diagnosis
from dermassist.errors import DataError, ImageError
from dermassist.explain.activation_map import signed_heatmap
from dermassist.inference.classifier import Classifier

Make = Callable[..., Path]
SIDE = 64


@pytest.fixture
def records(make_ham10000: Make) -> tuple[Record, ...]:
    """Records of 28 drawings of 64 x 64 px with centred round masks."""
    place = make_ham10000(lesions_per_class=3, mask_size=(SIDE, SIDE))
    return read_ham10000(place).records


def test_answers_are_those_of_each_image_alone(
    records: tuple[Record, ...], classifier: Classifier
) -> None:
    assert len(records) > BATCH_SIZE
    answers = answer_records(records, classifier)
    assert answers.records == records
    for i, record in enumerate(records):
        assert record.path is not None
        alone = classifier.answer(record.path)
        np.testing.assert_allclose(answers.logits[i], alone.prediction.logits, atol=1e-4)
        np.testing.assert_allclose(
            answers.probabilities[i], alone.prediction.probabilities, atol=1e-5
        )
        np.testing.assert_allclose(answers.evidence[i], alone.explanation.evidence, atol=1e-4)
        np.testing.assert_array_equal(answers.to_image[i], alone.explanation.to_image)
        assert answers.sizes[i].tolist() == [SIDE, SIDE]
    assert answers.labels.tolist() == [record.diagnosis.index for record in records]
    assert answers.lesions.tolist() == [record.lesion_id for record in records]


def test_pixel_aspect_reaches_every_image(
    records: tuple[Record, ...], classifier: Classifier
) -> None:
    answers = answer_records(records[:3], classifier, pixel_aspect=4 / 3)
    for i, record in enumerate(records[:3]):
        assert record.path is not None
        alone = classifier.predict(record.path, pixel_aspect=4 / 3)
        np.testing.assert_allclose(answers.logits[i], alone.logits, atol=1e-4)


def test_progress_counts_every_image_once(
    records: tuple[Record, ...], classifier: Classifier
) -> None:
    steps: list[int] = []
    answer_records(records, classifier, advance=steps.append)
    assert steps == [16, 12]


def test_no_records_and_missing_images_are_refused(
    records: tuple[Record, ...], classifier: Classifier
) -> None:
    with pytest.raises(DataError, match="no labelled images"):
        answer_records((), classifier)
    gone = [replace(records[0], path=None), records[1], replace(records[2], path=None)]
    with pytest.raises(DataError, match="2 have no file, ISIC_0000000 first; add the files"):
        answer_records(gone, classifier)


def test_unreadable_image_is_named(records: tuple[Record, ...], classifier: Classifier) -> None:
    assert records[4].path is not None
    records[4].path.write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"ISIC_0000004\.jpg: is not an image"):
        answer_records(records, classifier)


def test_evaluation_counts_right_answers_and_lesions(
    records: tuple[Record, ...], classifier: Classifier
) -> None:
    answers = answer_records(records, classifier)
    report = evaluate_answers(answers, rng=np.random.default_rng(0))
    right = np.mean(answers.probabilities.argmax(axis=1) == answers.labels)
    assert report.summary.overall.accuracy.value == pytest.approx(right)
    assert (report.summary.images, report.summary.lesions) == (28, 21)
    assert {group.value for group in report.subgroups_of("sex")} >= {"male", "female"}


def answers_with(records: tuple[Record, ...], *, at: tuple[int, int]) -> Answers:
    """Return answers whose evidence for the predicted melanoma lies in one of 2 x 2 cells."""
    count = len(records)
    evidence = np.full((count, 7, 2, 2), -1.0, np.float32)
    evidence[:, Diagnosis.MEL.index, at[0], at[1]] = 3.0
    # Melanoma is predicted; evidence for the others must not be looked at.
    evidence[:, Diagnosis.NV.index, 0, 0] = 9.0
    logits = np.zeros((count, 7))
    logits[:, Diagnosis.MEL.index] = 1.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cell = SIDE / 2
    to_image = np.array([[cell, 0.0, cell / 2 - 0.5], [0.0, cell, cell / 2 - 0.5]])
    return Answers(
        records=records,
        logits=logits,
        probabilities=probabilities,
        evidence=evidence,
        to_image=np.tile(to_image, (count, 1, 1)),
        sizes=np.full((count, 2), SIDE),
    )


def with_masks(records: tuple[Record, ...], folder: Path, box: tuple[int, ...]) -> None:
    """Replace every mask by one rectangle, left, top, right, bottom in 0..1, at double scale."""
    left, top, right, bottom = (2 * SIDE * edge // 4 for edge in box)
    values = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    values[top:bottom, left:right] = 255
    for record in records:
        assert record.mask_path is not None
        Image.fromarray(values).save(record.mask_path)


@pytest.mark.parametrize(
    ("at", "box", "inside"),
    [
        ((0, 0), (0, 0, 2, 2), 1.0),
        ((0, 1), (2, 0, 4, 2), 1.0),
        ((1, 0), (0, 2, 2, 4), 1.0),
        ((0, 1), (0, 2, 2, 4), 0.0),
        ((1, 1), (0, 0, 2, 2), 0.0),
    ],
)
def test_peak_is_sought_where_the_evidence_for_the_prediction_lies(
    records: tuple[Record, ...],
    tmp_path: Path,
    at: tuple[int, int],
    box: tuple[int, ...],
    inside: float,
) -> None:
    with_masks(records, tmp_path, box)
    measured = measure_heatmaps(answers_with(records, at=at), rng=np.random.default_rng(0))
    assert measured.images == len(records)
    assert measured.averages.peak.value == inside
    assert measured.averages.mask_area.value == pytest.approx(0.25)


def test_energy_is_that_of_the_drawn_heatmap(
    records: tuple[Record, ...], classifier: Classifier
) -> None:
    answers = answer_records(records[:4], classifier)
    measured = measure_heatmaps(answers, rng=np.random.default_rng(0))
    shares = []
    for record in records[:4]:
        assert record.path is not None
        assert record.mask_path is not None
        alone = classifier.answer(record.path)
        drawn = signed_heatmap(
            alone.explanation, alone.prediction.diagnosis, width=SIDE, height=SIDE
        )
        positive = np.maximum(drawn.astype(float), 0.0)
        inside = np.asarray(Image.open(record.mask_path)) > 127
        shares.append(positive[inside].sum() / positive.sum())
    assert measured.averages.energy.value == pytest.approx(np.mean(shares), abs=1e-3)


def test_images_without_a_mask_are_left_out(records: tuple[Record, ...], tmp_path: Path) -> None:
    some = tuple(replace(r, mask_path=None) if k % 2 else r for k, r in enumerate(records))
    measured = measure_heatmaps(answers_with(some, at=(0, 0)), rng=np.random.default_rng(0))
    assert measured.images == len(records) / 2
    none = tuple(replace(record, mask_path=None) for record in records)
    with pytest.raises(DataError, match="no image has a lesion mask"):
        measure_heatmaps(answers_with(none, at=(0, 0)), rng=np.random.default_rng(0))


def test_empty_and_damaged_masks_are_named(records: tuple[Record, ...]) -> None:
    random, answers = np.random.default_rng(0), answers_with(records, at=(0, 0))
    path = records[3].mask_path
    assert path is not None
    Image.new("L", (SIDE, SIDE)).save(path)
    for measured in (
        partial(measure_heatmaps, answers, rng=random),
        partial(check_masks, records),
    ):
        with pytest.raises(DataError, match=r"0003_segmentation\.png: the lesion mask is empty"):
            measured()
    check_masks((*records[:3], replace(records[3], mask_path=None)))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"lesion mask .*ISIC_0000003_segmentation\.png: "):
        measure_heatmaps(answers, rng=random)
