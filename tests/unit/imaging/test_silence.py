from __future__ import annotations

import threading
import warnings

import pytest
from PIL import Image

from dermassist.imaging.silence import pillow_silenced


def warn_as(module: str) -> None:
    warnings.warn_explicit("odd", UserWarning, "file.py", 1, module=module)


def test_only_pillow_is_silenced() -> None:
    with pillow_silenced():
        warn_as("PIL.TiffImagePlugin")
        with pytest.raises(UserWarning, match="odd"):
            warn_as("numpy.lib")
    with pytest.raises(UserWarning, match="odd"):
        warn_as("PIL.TiffImagePlugin")


def test_an_error_ends_the_silence() -> None:
    before = list(warnings.filters)
    with pytest.raises(KeyError), pillow_silenced():
        raise KeyError
    assert list(warnings.filters) == before


def test_readers_that_overlap_restore_the_filters_only_at_the_end() -> None:
    before = list(warnings.filters)
    entered, may_leave = threading.Event(), threading.Event()

    def read_slowly() -> None:
        with pillow_silenced():
            entered.set()
            may_leave.wait(10)

    first = pillow_silenced()
    first.__enter__()
    other = threading.Thread(target=read_slowly)
    other.start()
    assert entered.wait(10)
    first.__exit__(None, None, None)  # the first to come is the first to go
    warn_as("PIL.Image")  # the other still reads in silence
    may_leave.set()
    other.join()

    assert list(warnings.filters) == before


def test_pillow_warns_where_it_is_expected_to() -> None:
    """If Pillow moved its warnings elsewhere, the filter would silence nothing."""
    assert Image.DecompressionBombWarning.__module__.startswith("PIL.")
