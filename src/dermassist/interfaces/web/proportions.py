"""Square files that another program squeezed: what they were squeezed from."""

from __future__ import annotations

import streamlit as st

from dermassist.assessment import assess
from dermassist.interfaces.web.resources import model
from dermassist.results import Assessment

#: Width over height before, by what the user chooses.
PROPORTIONS = {
    "were square from the start": 1.0,
    "were squeezed from 4:3": 4 / 3,
    "were squeezed from 3:2": 3 / 2,
    "were squeezed from 16:9": 16 / 9,
}


def proportions_field(key: str) -> float:
    """Return the proportions that square files of this session had, width over height."""
    chosen: str = st.selectbox(
        "Square files",
        list(PROPORTIONS),
        key=key,
        # Silently back at its default after a look at another page, it would distort answers.
        persist_state="session",
        help=(
            "A lesion's shape is diagnostic. Some data sets come as squares into which whole "
            "photographs were squeezed; they are answered in their old proportions. Files that are "
            "not square are never stretched."
        ),
    )
    return PROPORTIONS[chosen]


def assess_file(content: bytes, *, name: str, proportions: float) -> Assessment:
    """Assess an encoded image; a square one in the proportions that it had.

    Args:
        content: of the file.
        name: of the file.
        proportions: width over height that a square file had before.

    Raises:
        ImageError: it cannot be read or is refused.
    """
    classifier = model().classifier
    raster = classifier.read(content, name=name)
    aspect = raster.aspect_before_squeezing(proportions)
    return assess(raster, classifier=classifier, pixel_aspect=aspect)
