"""Every front end gives the same assessment of the same image.

To add a front end, write a function that assesses an image file with a model folder, and name it
in ``FRONT_ENDS``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from dermassist import Assessment, Classifier, assess
from dermassist.cases import CaseBook
from dermassist.interfaces.cli import _run
from dermassist.sample import draw_lesion, sample_path

FrontEnd = Callable[[Path, Path, Path], Assessment]


def library(image: Path, model: Path, out: Path) -> Assessment:
    return assess(image, classifier=Classifier.load(model))


def library_from_bytes(image: Path, model: Path, out: Path) -> Assessment:
    return assess(image.read_bytes(), classifier=Classifier.load(model), name=image.name)


def command_line(image: Path, model: Path, out: Path) -> Assessment:
    assert _run(["analyze", str(image), "--model", str(model), "--out", str(out)]) == 0
    return Assessment.from_dict(json.loads((out / "assessment.json").read_text("utf-8")))


def browser_app(image: Path, model: Path, out: Path) -> Assessment:
    settings = {"DERMASSIST_MODEL": str(model), "DERMASSIST_CASES": str(out / "cases")}
    script = "from dermassist.interfaces.web.screens.analyse import analyse_page\nanalyse_page()"
    st.cache_resource.clear()
    with patch.dict(os.environ, settings):
        app = AppTest.from_string(script, default_timeout=60).run()
        app.file_uploader[0].upload(image.name, image.read_bytes(), "image/png").run()
        assert not app.exception
    st.cache_resource.clear()
    with CaseBook.open(out / "cases") as book:
        (summary,) = book.search()
        return book.load(summary.case_id).assessment


FRONT_ENDS: tuple[FrontEnd, ...] = (library_from_bytes, command_line, browser_app)


def large_jpeg(folder: Path) -> Path:
    """Write one that is decoded at a reduced scale."""
    pixels = draw_lesion(np.random.default_rng(1), width=1000, height=750)
    Image.fromarray(pixels).save(folder / "large.jpg")
    return folder / "large.jpg"


def turned_jpeg(folder: Path) -> Path:
    """Write one that lies on its side and says so."""
    pixels = draw_lesion(np.random.default_rng(2), width=240, height=180)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / "turned.jpg", exif=exif)
    return folder / "turned.jpg"


def grey_png(folder: Path) -> Path:
    pixels = draw_lesion(np.random.default_rng(3), width=90, height=140)
    Image.fromarray(pixels).convert("L").save(folder / "grey.png")
    return folder / "grey.png"


def bundled_sample(folder: Path) -> Path:
    return sample_path()


def assert_same(given: Assessment, expected: Assessment) -> None:
    assert given.image == expected.image
    assert given.model == expected.model
    assert given.quality == expected.quality
    assert given.prediction.calibrated == expected.prediction.calibrated
    assert given.prediction.referral == expected.prediction.referral
    assert given.prediction.prediction_set == expected.prediction.prediction_set
    for name in ("probabilities", "logits"):
        values = getattr(given.prediction, name), getattr(expected.prediction, name)
        np.testing.assert_allclose(*values, atol=1e-5, rtol=0, err_msg=name)
    np.testing.assert_array_equal(given.explanation.to_image, expected.explanation.to_image)
    assert given.explanation.scale == expected.explanation.scale
    # Saved assessments keep five decimals of the evidence.
    np.testing.assert_allclose(given.explanation.evidence, expected.explanation.evidence, atol=2e-5)


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    "draw",
    [large_jpeg, turned_jpeg, grey_png, bundled_sample],
    ids=lambda function: function.__name__,
)
def test_same_answer(
    front_end: FrontEnd, draw: Callable[[Path], Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    image = draw(tmp_path)
    expected = library(image, tiny_bundle, tmp_path / "library")
    assert_same(front_end(image, tiny_bundle, tmp_path / "out"), expected)
    # The quick way to a prediction is the same way.
    prediction = Classifier.load(tiny_bundle).predict(image)
    np.testing.assert_allclose(
        prediction.probabilities, expected.prediction.probabilities, atol=1e-6
    )
