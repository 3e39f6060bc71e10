from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermassist.data.mask import read_mask
from dermassist.errors import DataError

LESION = np.zeros((9, 12), np.bool_)
LESION[2:7, 3:11] = True
LESION[4, 0] = True


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "RGBA"])
def test_lesion_is_true_in_every_kind_of_png(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.where(LESION, 255, 0).astype(np.uint8))
    grey.convert(mode).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, LESION)


def test_losses_at_the_border_do_not_matter(tmp_path: Path) -> None:
    values = np.where(LESION, 200, 90).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), LESION)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_mask_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (200, 300), np.uint8) * 255
    encoded = io.BytesIO()
    Image.fromarray(noise).save(encoded, "PNG")
    content = encoded.getvalue()
    (tmp_path / "mask.png").write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"^lesion mask .*mask\.png: "):
        read_mask(tmp_path / "mask.png")


def test_missing_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mask\.png: no such file"):
        read_mask(tmp_path / "mask.png")
