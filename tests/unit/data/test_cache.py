from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dermassist.data.cache import PIXELS_NAME, cache_name, open_cache
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.errors import DataError, ImageError
from dermassist.imaging import Preprocessing, apply_steps, read_image, to_field

SMALL = Preprocessing(size_px=32)
CLEANED = Preprocessing(size_px=32, steps=("hair", "brightness", "smoothing"))


@pytest.fixture
def records(make_ham10000: Callable[..., Path]) -> tuple[Record, ...]:
    return read_ham10000(make_ham10000(lesions_per_class=1, size=(96, 72))).records


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("nothing may be decoded again")


@pytest.mark.parametrize("preprocessing", [SMALL, CLEANED], ids=["plain", "cleaned"])
@pytest.mark.parametrize("pixel_aspect", [1.0, 4 / 3])
def test_a_field_is_what_decoding_and_cleaning_give(
    records: tuple[Record, ...], tmp_path: Path, preprocessing: Preprocessing, pixel_aspect: float
) -> None:
    cache = open_cache(records, preprocessing, tmp_path, pixel_aspect=pixel_aspect)

    for record in records:
        assert record.path is not None
        pixels = read_image(record.path, reduce_to_px=32).pixels
        field = apply_steps(to_field(pixels, 32, pixel_aspect=pixel_aspect), preprocessing.steps)
        np.testing.assert_array_equal(cache.field(record.image_id), field)
    assert cache.field(records[0].image_id).shape == ((32, 43, 3), (32, 57, 3))[pixel_aspect > 1]


def test_opening_again_decodes_nothing(
    records: tuple[Record, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    first = open_cache(
        records, SMALL, tmp_path, pixel_aspect=1.0, progress=lambda *call: calls.append(call)
    )
    assert calls == [(k, len(records)) for k in range(1, len(records) + 1)]

    monkeypatch.setattr("dermassist.data.cache.read_image", refuse)
    second = open_cache(records, SMALL, tmp_path, pixel_aspect=1.0)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert (first.offsets, first.shapes) == (second.offsets, second.shapes)


def test_another_process_gets_the_file_and_not_its_pixels(
    records: tuple[Record, ...], tmp_path: Path
) -> None:
    cache = open_cache(records, SMALL, tmp_path, pixel_aspect=1.0)
    sent = pickle.dumps(cache)
    # Names and places of the fields, far less than what they hold.
    assert len(sent) < 0.2 * cache.pixels.nbytes
    received = pickle.loads(sent)
    np.testing.assert_array_equal(received.pixels, cache.pixels)
    with pytest.raises(ValueError, match="read-only"):
        received.pixels[0] = 1
    in_memory = dataclasses.replace(cache, pixels=np.array(cache.pixels))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(in_memory)).field(records[0].image_id),
        cache.field(records[0].image_id),
    )


def test_fields_cannot_be_changed(records: tuple[Record, ...], tmp_path: Path) -> None:
    cache = open_cache(records, SMALL, tmp_path, pixel_aspect=1.0)
    with pytest.raises(ValueError, match="read-only"):
        cache.field(records[0].image_id)[0, 0, 0] = 1


def test_the_name_changes_with_all_that_changes_pixels_and_with_nothing_else(
    records: tuple[Record, ...],
) -> None:
    name = cache_name(records, SMALL, pixel_aspect=1.0)
    assert cache_name(records, SMALL, pixel_aspect=1.0) == name

    others = {
        cache_name(records, Preprocessing(size_px=64), pixel_aspect=1.0),
        cache_name(records, CLEANED, pixel_aspect=1.0),
        cache_name(records, dataclasses.replace(SMALL, steps=("hair",)), pixel_aspect=1.0),
        cache_name(records, SMALL, pixel_aspect=4 / 3),
        cache_name(records[1:], SMALL, pixel_aspect=1.0),
    }
    assert len(others) == 5
    assert name not in others
    # How the square is cut and normalised comes after the field.
    cut = dataclasses.replace(SMALL, fit=1.0, fill="black", mean=(0.0, 0.0, 0.0))
    assert cache_name(records, cut, pixel_aspect=1.0) == name


def test_a_replaced_image_of_the_same_size_is_decoded_anew(
    records: tuple[Record, ...], tmp_path: Path
) -> None:
    first = cache_name(records, SMALL, pixel_aspect=1.0)
    path = records[0].path
    assert path is not None
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\0")
    assert cache_name(records, SMALL, pixel_aspect=1.0) != first


@pytest.mark.parametrize("damage", ["cut", "removed", "emptied"])
def test_an_incomplete_cache_is_made_again(
    records: tuple[Record, ...], tmp_path: Path, damage: str
) -> None:
    pixels = open_cache(records, SMALL, tmp_path, pixel_aspect=1.0).pixels.copy()
    (stored,) = tmp_path.glob(f"*/{PIXELS_NAME}")
    kept = {"cut": stored.read_bytes()[:-1], "removed": b"", "emptied": b""}[damage]
    stored.unlink()
    if damage != "removed":
        stored.write_bytes(kept)

    again = open_cache(records, SMALL, tmp_path, pixel_aspect=1.0)
    np.testing.assert_array_equal(again.pixels, pixels)


def test_an_unreadable_image_leaves_no_cache(records: tuple[Record, ...], tmp_path: Path) -> None:
    path = records[-1].path
    assert path is not None
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match=path.name):
        open_cache(records, SMALL, tmp_path / "cache", pixel_aspect=1.0)
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_a_missing_image_is_said_before_anything_is_decoded(
    records: tuple[Record, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermassist.data.cache.read_image", refuse)
    without = (*records[:-1], dataclasses.replace(records[-1], path=None))
    with pytest.raises(DataError, match=f"image {records[-1].image_id} is missing"):
        open_cache(without, SMALL, tmp_path, pixel_aspect=1.0)


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images to decode"):
        open_cache((), SMALL, tmp_path, pixel_aspect=1.0)
