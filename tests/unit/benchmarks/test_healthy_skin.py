from __future__ import annotations

import numpy as np
import pytest
from benchmarks.healthy_skin import MARGIN_PX, SMALLEST_PX, Skin, _of_skin, mirrored, skin_beside

SKIN = (225, 180, 165)


def field_and_mask(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return skin 300 x 224 px with a lesion in all but the last ``columns``."""
    field = np.full((224, 300, 3), SKIN, np.uint8)
    field[:, : 300 - columns] = (110, 60, 45)
    mask = np.zeros((448, 600), bool)
    mask[:, : 2 * (300 - columns)] = True
    return field, mask


@pytest.mark.parametrize("columns", [80, 120])
def test_the_largest_square_beside_a_lesion_is_taken_whole(columns: int) -> None:
    patch = skin_beside(*field_and_mask(columns))
    assert patch is not None
    assert np.all(patch == SKIN)
    side = patch.shape[0]
    assert patch.shape == (side, side, 3)
    # Squares have an odd side, so one pixel may be left over.
    assert columns - MARGIN_PX - 1 <= side <= columns - MARGIN_PX


def test_where_too_little_skin_is_left_there_is_no_patch() -> None:
    assert skin_beside(*field_and_mask(SMALLEST_PX + MARGIN_PX - 2)) is None


def test_dark_corners_are_no_skin() -> None:
    field, mask = field_and_mask(120)
    field[:, 290:] = 5
    patch = skin_beside(field, mask)
    assert patch is not None
    assert patch.min() > 60
    assert patch.shape[0] <= 120 - 10 - 2 * MARGIN_PX


def test_a_view_is_filled_with_mirror_images() -> None:
    patch = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    view = mirrored(patch, 13)
    assert view.shape == (13, 13, 3)
    assert np.array_equal(view[4:9, 4:9], patch)
    assert np.array_equal(view[4:9, 9:13], patch[:, :0:-1])
    assert np.array_equal(view[:4, 4:9], patch[3::-1])


def test_a_patch_larger_than_the_view_is_cut() -> None:
    patch = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    assert np.array_equal(mirrored(patch, 4), patch[:4, :4])


def test_shares_of_skin_are_counted() -> None:
    def skin(number: int, **values: object) -> Skin:
        plain = {"found_none": False, "remarked": False, "confidence": 0.5, "answer": 5}
        return Skin(**{"lesion": f"L{number}", "referred": False, **plain, **values})  # type: ignore[arg-type]

    document = _of_skin(
        [
            skin(0, found_none=True, remarked=True, confidence=0.95),
            skin(1, confidence=0.95, referred=True),
            skin(2, remarked=True, confidence=0.95, answer=4),
            skin(3),
        ]
    )
    shares = {
        name: document[name]["value"]  # type: ignore[index]
        for name in ("called_no_lesion", "sure", "sure_without_remark", "referred")
    }
    assert shares == {
        "called_no_lesion": 0.25,
        "sure": 0.75,
        "sure_without_remark": 0.25,
        "referred": 0.25,
    }
    assert document["views"] == 4
    assert document["answers"] == {
        "akiec": 0, "bcc": 0, "bkl": 0, "df": 0, "mel": 1, "nv": 3, "vasc": 0,
    }  # fmt: skip
