from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dermassist.diagnosis import Diagnosis
from dermassist.explain.overlay import MIN_SIDE_PX, render_heatmap

from ..report.conftest import make_explanation


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_the_title_of_a_narrow_picture_is_not_cut(diagnosis: Diagnosis, signed: bool) -> None:
    size = {"width": MIN_SIDE_PX, "height": 400}
    drawn = render_heatmap(make_explanation(), diagnosis, **size, signed=signed)
    with Image.open(io.BytesIO(drawn)) as picture:
        below = np.asarray(picture.convert("L"))[400:]
    title = below[: int(len(below) * 0.4)]
    assert title.min() < 128
    assert (title[:, -MIN_SIDE_PX // 40 :] == 255).all()
