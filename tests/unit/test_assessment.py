from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import dermassist
from dermassist.assessment import assess
from dermassist.errors import ImageError
from dermassist.imaging import read_image
from dermassist.inference.classifier import Classifier


def noon() -> datetime:
    return datetime(2026, 7, 1, 12, 0, 0, 999, tzinfo=UTC)


def test_an_assessment_holds_everything_that_was_asked_for(
    lesion: NDArray[np.uint8], classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "lesion.png"
    Image.fromarray(lesion).save(path)
    assessment = assess(path, classifier=classifier, clock=noon)

    assert assessment.created == "2026-07-01T12:00:00+00:00"
    assert (assessment.image.name, assessment.image.width, assessment.image.height) == (
        "lesion.png",
        600,
        450,
    )
    assert assessment.image.sha256 == read_image(path).sha256
    assert assessment.model == classifier.info
    assert assessment.prediction == classifier.predict(lesion)
    assert assessment.quality.short_side_px == 450
    json.dumps(assessment.to_dict(), allow_nan=False)


def test_a_clock_without_an_offset_shows_local_time(
    lesion: NDArray[np.uint8], classifier: Classifier
) -> None:
    naive = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - as datetime.now gives it
    said = assess(lesion, classifier=classifier, clock=lambda: naive).created
    created = datetime.fromisoformat(said)
    assert created.utcoffset() is not None
    assert created.astimezone().replace(tzinfo=None) == naive
    ahead = noon().astimezone(timezone(timedelta(hours=5)))
    assert assess(lesion, classifier=classifier, clock=lambda: ahead).created.endswith("+05:00")


def test_the_evidence_lies_on_the_original_image(
    lesion: NDArray[np.uint8], classifier: Classifier
) -> None:
    to_image = assess(lesion, classifier=classifier).explanation.to_image

    # A 600 x 450 image: the view is the centred 450 x 450, seven cells of 450 / 7 pixels.
    cell = 450 / 7
    np.testing.assert_allclose(to_image[:, :2], np.eye(2) * cell, rtol=0.01)
    np.testing.assert_allclose(to_image[:, 2], [75 + cell / 2 - 0.5, cell / 2 - 0.5], atol=1.5)


def test_what_was_read_before_is_not_read_again(
    lesion: NDArray[np.uint8], classifier: Classifier
) -> None:
    raster = read_image(lesion, name="chosen")
    assessment = assess(raster, classifier=classifier, clock=noon)

    assert assessment.image.name == "chosen"
    assert assessment.prediction == classifier.predict(lesion)


def test_a_given_name_is_used(lesion: NDArray[np.uint8], classifier: Classifier) -> None:
    assert assess(lesion, classifier=classifier, name="case 7").image.name == "case 7"


def test_a_squeezed_image_is_stretched_only_when_that_is_said(
    lesion: NDArray[np.uint8], classifier: Classifier
) -> None:
    squeezed = np.asarray(Image.fromarray(lesion).resize((450, 450), Image.Resampling.BOX))
    said = assess(squeezed, classifier=classifier, pixel_aspect=4 / 3).prediction
    unsaid = assess(squeezed, classifier=classifier).prediction
    true = assess(lesion, classifier=classifier).prediction

    np.testing.assert_allclose(said.probabilities, true.probabilities, atol=0.02)
    assert said != unsaid


def test_bad_input_is_refused(classifier: Classifier) -> None:
    with pytest.raises(ImageError, match="not an image"):
        assess(b"no image", classifier=classifier)


def test_the_package_offers_it(lesion: NDArray[np.uint8], classifier: Classifier) -> None:
    assert dermassist.assess is assess
    assert set(dir(dermassist)) >= {"assess", "Classifier", "Diagnosis", "__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'magic'"):
        dermassist.magic  # noqa: B018 - asking is the test


def test_a_name_that_is_given_is_that_of_the_result(
    lesion: NDArray[np.uint8], classifier: Classifier
) -> None:
    for image in (lesion, read_image(lesion, name="before")):
        assert assess(image, classifier=classifier, name="given").image.name == "given"
