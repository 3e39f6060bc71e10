"""The one use case that every front end calls: an image in, an assessment out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from dermassist.imaging import ImageSource, RasterImage
from dermassist.inference.classifier import Classifier
from dermassist.quality import judge_quality
from dermassist.results import Assessment, ImageInfo


def _now() -> datetime:
    return datetime.now(UTC)


def _with_offset(moment: datetime) -> datetime:
    """Take a time without an offset for the local one, as ``datetime.now`` gives it."""
    return moment.astimezone() if moment.tzinfo is None else moment


def _stretching(pixel_aspect: float) -> tuple[str, ...]:
    if pixel_aspect == 1.0:
        return ()
    return (f"Answered as {pixel_aspect:.2f} times as wide as the file shows it: it was squeezed.",)


def assess(
    image: ImageSource | RasterImage,
    *,
    classifier: Classifier | None = None,
    name: str | None = None,
    pixel_aspect: float = 1.0,
    clock: Callable[[], datetime] = _now,
) -> Assessment:
    """Assess one dermatoscopic image.

    Args:
        image: path, encoded bytes, RGB array or Pillow image. Give the file or its bytes, not its
            pixels, where answers are to be comparable: a JPEG file at least twice as large as
            needed is decoded at a reduced scale, and its answer differs from its pixels'.
        classifier: a loaded model; by default the one that ships is loaded, so pass one when
            assessing more than one image.
        name: what the result calls the image; the file's name by default.
        pixel_aspect: width of a pixel divided by its height; 4/3 for a 4:3 image that was
            squeezed to a square.
        clock: gives the time of the assessment; local time where it states no offset.

    Returns:
        Probabilities, evidence, image quality, and which model answered.

    Raises:
        ImageError: the image cannot be read or is refused.
        ConfigError: ``pixel_aspect`` is not from 1/4 to 4.
        BundleError: the model is missing or was changed.
    """
    model = classifier if classifier is not None else Classifier.load()
    size_px = model.manifest.preprocessing.size_px
    raster = model.read(image, name=name)
    answer = model.answer(raster, pixel_aspect=pixel_aspect)
    return Assessment(
        image=ImageInfo(
            name=name or raster.name,
            width=raster.width,
            height=raster.height,
            sha256=raster.sha256,
            notes=(*raster.notes, *_stretching(pixel_aspect)),
        ),
        prediction=answer.prediction,
        explanation=answer.explanation,
        quality=judge_quality(
            answer.view.pixels, raster, model.manifest.quality_reference, size_px=size_px
        ),
        model=model.info,
        created=_with_offset(clock()).isoformat(timespec="seconds"),
    )
