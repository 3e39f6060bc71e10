from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dermassist.batch import FileOutcome, find_images, predict_files, render_isic_csv
from dermassist.diagnosis import CODES
from dermassist.errors import DataError, ImageError
from dermassist.imaging import View
from dermassist.inference.classifier import Classifier
from dermassist.results import Prediction


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(*patterns: str | Path) -> list[str]:
    return [path.name for path in find_images([str(pattern) for pattern in patterns])]


def test_folder_gives_its_images_sorted_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a/x.png", "a/y.tiff", "notes.txt", "c.jpg.bak", "a/b/z.webp")
    assert found(tmp_path) == ["z.webp", "x.png", "y.tiff", "b.JPG"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", ".hidden.jpg", ".cache/b.jpg", "sub/._c.jpg", "sub/.d/e.jpg")
    assert found(tmp_path) == ["a.jpg"]
    assert found(tmp_path / "*.jpg") == ["a.jpg"]
    assert found(tmp_path / "**" / "*.jpg") == ["a.jpg"]


def test_hidden_folder_that_is_named_itself_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, ".cache/b.jpg")
    assert found(tmp_path / ".cache") == ["b.jpg"]


def test_file_named_outright_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    touch(tmp_path, "scan.dat", ".hidden.jpg")
    assert found(tmp_path / "scan.dat", tmp_path / ".hidden.jpg") == ["scan.dat", ".hidden.jpg"]


def test_patterns_take_images_only(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.txt", "c.png", "d/e.png")
    assert found(tmp_path / "*") == ["a.jpg", "c.png"]


def test_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].jpg", "a1.jpg", "b.jpg")
    assert found(tmp_path / "a[1].jpg") == ["a[1].jpg"]
    assert found(tmp_path / "a[12].jpg") == ["a1.jpg"]


def test_absent_file_is_kept_to_be_reported(tmp_path: Path) -> None:
    assert found(tmp_path / "absent.jpg") == ["absent.jpg"]


def test_name_too_long_for_a_file_is_kept_to_be_reported(tmp_path: Path) -> None:
    assert found(tmp_path / f"{'a' * 300}.jpg") == [f"{'a' * 300}.jpg"]


def test_file_named_twice_stands_once_where_it_came_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")
    monkeypatch.chdir(tmp_path)
    assert found("b.jpg", tmp_path, "./b.jpg", "sub/../a.jpg", "*.jpg") == [
        "b.jpg",
        "a.jpg",
        "c.jpg",
    ]


def test_two_names_of_one_picture_are_two_rows(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    assert found(tmp_path) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("other", ["a.png", "sub/a.jpg"])
def test_files_that_would_share_a_row_are_refused(tmp_path: Path, other: str) -> None:
    touch(tmp_path, "a.jpg", other)
    with pytest.raises(DataError, match="would share the row 'a'") as caught:
        find_images([str(tmp_path)])
    assert str(tmp_path / "a.jpg") in str(caught.value)
    assert str(tmp_path / other) in str(caught.value)


def test_nothing_found_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    for pattern in (tmp_path, tmp_path / "*.jpg"):
        with pytest.raises(DataError, match="holds no images; check the name"):
            find_images([str(pattern)])


def test_a_folder_that_may_not_be_read_is_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg")
    # Root may read every folder, so whoever runs the test is refused here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DataError, match="no permission to look into it; change its permissions"):
        find_images([str(tmp_path)])


def test_no_names_give_no_images() -> None:
    assert find_images([]) == ()


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{k}.png" for k in range(7)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_every_file_gets_its_own_answer(
    classifier: Classifier, images: list[Path], batch_size: int
) -> None:
    outcomes = list(predict_files(images, classifier, batch_size=batch_size))
    assert [outcome.path for outcome in outcomes] == images
    for outcome in outcomes:
        assert outcome.error is None
        assert outcome.prediction is not None
        expected = classifier.predict(outcome.path)
        np.testing.assert_allclose(outcome.prediction.logits, expected.logits, atol=1e-4)


@pytest.mark.parametrize("bad", [{0}, {6}, {2, 3}, {0, 1, 2}, set(range(7))])
def test_unreadable_files_keep_their_place(
    classifier: Classifier, images: list[Path], bad: set[int]
) -> None:
    for k in bad:
        images[k].write_bytes(b"no image")
    outcomes = list(predict_files(images, classifier, batch_size=3))
    assert [outcome.path for outcome in outcomes] == images
    for k, outcome in enumerate(outcomes):
        assert (outcome.prediction is None) is (k in bad)
        assert (outcome.error is not None) is (k in bad)
        if outcome.prediction is not None:
            expected = classifier.predict(images[k]).logits
            np.testing.assert_allclose(outcome.prediction.logits, expected, atol=1e-4)
        if outcome.error is not None:
            assert outcome.error.startswith(f"{images[k]}: ")


def test_pixel_aspect_holds_for_every_file(classifier: Classifier, images: list[Path]) -> None:
    for outcome in predict_files(images[:2], classifier, pixel_aspect=4 / 3):
        assert outcome.prediction is not None
        stretched = classifier.predict(outcome.path, pixel_aspect=4 / 3).logits
        np.testing.assert_allclose(outcome.prediction.logits, stretched, atol=1e-4)
        assert stretched != pytest.approx(classifier.predict(outcome.path).logits, abs=1e-4)


def test_no_files_give_no_answers(classifier: Classifier) -> None:
    assert list(predict_files([], classifier)) == []


class SlowestFirst:
    """A classifier whose first image is decoded only after the second one was."""

    def __init__(self) -> None:
        self.second_is_decoded = threading.Event()

    def view(self, path: Path, *, pixel_aspect: float) -> View:
        if path.name == "1":
            self.second_is_decoded.set()
        elif not self.second_is_decoded.wait(timeout=30):
            raise ImageError("the second image was not decoded meanwhile")
        return View(np.full((32, 32, 3), int(path.name), np.uint8), np.eye(2, 3))

    def run(self, views: NDArray[np.uint8]) -> tuple[NDArray[np.float32], None]:
        return views[:, 0, 0, :1].astype(np.float32), None

    def to_prediction(self, logits: NDArray[np.float32]) -> Prediction:
        return Prediction((1.0,) + (0.0,) * 6, tuple(logits.tolist()), calibrated=False)


def test_batches_are_worked_on_side_by_side_and_answered_in_order() -> None:
    paths = [Path("0"), Path("1")]
    stub: Callable[..., Classifier] = SlowestFirst  # type: ignore[assignment] # stands for one
    outcomes = list(predict_files(paths, stub(), batch_size=1))
    assert [o.prediction.logits if o.prediction else o.error for o in outcomes] == [(0.0,), (1.0,)]


@given(
    st.lists(st.floats(-20, 20), min_size=7, max_size=7),
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1
    ).filter(lambda text: text.strip(". ") != ""),
)
def test_rows_read_back_as_probabilities(logits: list[float], stem: str) -> None:
    shifted = np.exp(np.array(logits) - max(logits))
    probabilities = tuple((shifted / shifted.sum()).tolist())
    prediction = Prediction(probabilities, tuple(logits), calibrated=True)
    text = render_isic_csv([FileOutcome(Path(f"{stem}.jpg"), prediction, None)])
    ((name, *values),) = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert name == stem
    by_code = dict(
        zip(text.splitlines()[0].lower().split(",")[1:], map(float, values), strict=True)
    )
    assert [by_code[code] for code in CODES] == pytest.approx(probabilities, abs=5.1e-7)
    assert sum(by_code.values()) == pytest.approx(1.0, abs=1e-5)


def test_header_and_left_out_failures() -> None:
    text = render_isic_csv([FileOutcome(Path("a.jpg"), None, "unreadable")])
    assert text == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
