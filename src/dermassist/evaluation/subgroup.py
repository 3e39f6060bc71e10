"""The same figures by sex, age band, body site, source and way of diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from dermassist.errors import DataError
from dermassist.evaluation.array import checked_groups, checked_labels, checked_probabilities
from dermassist.evaluation.bootstrap import RESAMPLES
from dermassist.evaluation.summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

UNKNOWN = "unknown"
#: First year of each age band.
AGE_BANDS = (0, 30, 45, 60, 75)
#: Within a subgroup a class with fewer images than this is not scored.
MINIMUM_CLASS_IMAGES = 20
#: A subgroup with fewer lesions than this is flagged: read its figures as anecdotes.
SMALL_GROUP_LESIONS = 30


@dataclass(frozen=True)
class Metadata:
    """What is known of each image besides its diagnosis; a column that is ``None`` is left out.

    In a column, ``None``, nan and empty texts are "unknown".
    """

    sex: Sequence[str | None] | None = None
    age_years: Sequence[float | None] | None = None
    body_site: Sequence[str | None] | None = None
    source: Sequence[str | None] | None = None
    #: How the diagnosis was made: histopathology, follow-up, consensus, confocal microscopy.
    dx_type: Sequence[str | None] | None = None

    def columns(self, *, images: int) -> dict[str, NDArray[np.str_]]:
        """Return attribute name to one value per image ``(n,)``; ages become bands.

        Raises:
            DataError: a column of another length, or an age that is no number of years.
        """
        columns = {}
        for field in fields(self):
            values = getattr(self, field.name)
            if values is None:
                continue
            if len(values) != images:
                raise DataError(f"{field.name} must have {images} values, got {len(values)}")
            name, text = (
                ("age_band", age_band) if field.name == "age_years" else (field.name, _text)
            )
            columns[name] = np.array([text(value) for value in values])
        return columns


@dataclass(frozen=True)
class Subgroup:
    """The figures of the images that share one value of one attribute."""

    attribute: str
    value: str
    summary: Summary

    @property
    def small(self) -> bool:
        """Whether there are too few lesions to conclude anything."""
        return self.summary.lesions < SMALL_GROUP_LESIONS


def age_band(age_years: float | None) -> str:
    """Return the band of an age, such as ``45-59`` or ``75+``; ``None`` and nan are unknown.

    Raises:
        DataError: a negative or infinite age.
    """
    if age_years is None or np.isnan(age_years):
        return UNKNOWN
    if not 0 <= age_years < np.inf:
        raise DataError(f"an age must be a number of years of at least 0, got {age_years}")
    place = int(np.searchsorted(AGE_BANDS, age_years, side="right")) - 1
    first = AGE_BANDS[place]
    return f"{first}-{AGE_BANDS[place + 1] - 1}" if place + 1 < len(AGE_BANDS) else f"{first}+"


def summarise_subgroups(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike,
    metadata: Metadata,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Subgroup, ...]:
    """Summarise every value of every attribute; classes below 20 images there are not scored.

    Args:
        y_true: labels ``(n,)``.
        probabilities: ``(n, 7)``.
        groups: lesion of each image ``(n,)``.
        metadata: columns of ``n`` values.
        rng: source of the resamples.
        resamples: number of resamples for each subgroup.

    Returns:
        Subgroups by attribute, then by value with "unknown" last.

    Raises:
        DataError: arrays or columns that do not fit together.
    """
    labels = checked_labels(y_true)
    chances = checked_probabilities(probabilities, images=len(labels))
    lesions = checked_groups(groups, images=len(labels))
    return tuple(
        Subgroup(
            attribute,
            value,
            summarise(
                labels[members],
                chances[members],
                groups=lesions[members],
                rng=rng,
                resamples=resamples,
                minimum_images=MINIMUM_CLASS_IMAGES,
            ),
        )
        for attribute, column in metadata.columns(images=len(labels)).items()
        for value, members in _members(column)
    )


def _members(column: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    for value in sorted(set(column.tolist()), key=lambda value: (value == UNKNOWN, value)):
        yield value, np.flatnonzero(column == value)


def _text(value: object) -> str:
    missing = value is None or value == "" or (isinstance(value, float) and np.isnan(value))
    return UNKNOWN if missing else str(value)
