from __future__ import annotations

import csv
import io
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dermassist.batch import (
    FileOutcome,
    Found,
    answer,
    check_table_place,
    find_images,
    predict_files,
    render_isic_csv,
    row_name,
)
from dermassist.batch.search import COMPANION_SUFFIXES
from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError, ImageError
from dermassist.imaging import RasterImage, View
from dermassist.imaging.decoding import IMAGE_SUFFIXES
from dermassist.inference.classifier import Classifier
from dermassist.results import Prediction


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(*patterns: str | Path) -> list[str]:
    return [path.name for path in find_images([str(pattern) for pattern in patterns]).images]


def passed_over(*patterns: str | Path) -> list[str]:
    return [path.name for path in find_images([str(pattern) for pattern in patterns]).passed_over]


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


def shut_off(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Refuse to look into folders of these names, whoever runs the test."""
    scan = os.scandir

    def refusing(place: str | Path) -> object:
        if Path(place).name in names:
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name not in names)


def test_folders_below_that_may_not_be_read_are_kept_to_be_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier: Classifier
) -> None:
    touch(tmp_path, "a.jpg", "b/shut/x.jpg", "c/shut/y.jpg", "d/.hidden/z.jpg", "d/e.jpg")
    shut_off(monkeypatch, "shut", ".hidden")
    assert found(tmp_path) == ["a.jpg", "shut", "shut", "e.jpg"]
    images = find_images([str(tmp_path)]).images
    reasons = [outcome.error or "" for outcome in predict_files(images, classifier)]
    for place in ("b", "c"):
        said = f"{tmp_path / place / 'shut'}: no permission to look into it; change its permissions"
        assert said in reasons


def test_a_folder_with_nothing_but_a_closed_one_is_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "shut/x.jpg")
    shut_off(monkeypatch, "shut")
    assert found(tmp_path) == ["shut"]


def test_a_folder_that_vanishes_or_fails_meanwhile_is_kept_to_be_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg", "gone/x.jpg")
    shut_off(monkeypatch, "gone")
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    assert found(tmp_path) == ["a.jpg", "gone"]


@pytest.mark.skipif(os.name != "posix", reason="making links may need a permission elsewhere")
class TestLinks:
    def test_linked_folders_are_searched(self, tmp_path: Path) -> None:
        touch(tmp_path, "here/a.jpg", "there/b.jpg", "there/deep/c.jpg", "further/d.jpg")
        (tmp_path / "here/link").symlink_to(tmp_path / "there")
        (tmp_path / "there/link").symlink_to("../further")
        assert [str(path) for path in find_images([str(tmp_path / "here")]).images] == [
            str(tmp_path / "here" / name)
            for name in ("a.jpg", "link/b.jpg", "link/deep/c.jpg", "link/link/d.jpg")
        ]

    def test_each_folder_is_searched_once_under_its_own_name(self, tmp_path: Path) -> None:
        touch(tmp_path, "z/a.jpg", "b.jpg")
        for name in ("first", "second"):
            (tmp_path / name).symlink_to("z")
        assert find_images([str(tmp_path)]).images == (tmp_path / "b.jpg", tmp_path / "z/a.jpg")

    def test_links_that_lead_round_in_circles_end(self, tmp_path: Path) -> None:
        touch(tmp_path, "in/a.jpg", "in/deep/b.jpg", "c.jpg")
        (tmp_path / "in/self").symlink_to(".")
        (tmp_path / "in/deep/up").symlink_to(tmp_path)
        assert sorted(found(tmp_path / "in")) == ["a.jpg", "b.jpg", "c.jpg"]

    def test_a_pattern_that_runs_in_a_circle_names_each_file_once(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.jpg", "b/c.jpg")
        (tmp_path / "b/self").symlink_to(".")
        assert found(tmp_path / "**/*.jpg") == ["a.jpg", "c.jpg"]

    def test_a_link_and_what_it_leads_to_are_one_folder(self, tmp_path: Path) -> None:
        touch(tmp_path, "here/a.jpg", "there/b.jpg")
        (tmp_path / "here/link").symlink_to("../there")
        both = find_images([str(tmp_path / "here"), str(tmp_path / "there")]).images
        assert both == (tmp_path / "here/a.jpg", tmp_path / "here/link/b.jpg")

    def test_hidden_links_are_left_out(self, tmp_path: Path) -> None:
        touch(tmp_path, "here/a.jpg", "there/b.jpg")
        (tmp_path / "here/.link").symlink_to("../there")
        (tmp_path / "here/.gone.jpg").symlink_to("nowhere.jpg")
        assert found(tmp_path / "here") == ["a.jpg"]

    def test_links_to_closed_folders_are_kept_to_be_reported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        touch(tmp_path, "here/a.jpg", "there/b.jpg")
        (tmp_path / "here/shut").symlink_to("../there")
        shut_off(monkeypatch, "shut")
        assert found(tmp_path / "here") == ["a.jpg", "shut"]

    def test_image_links_whose_file_is_gone_are_kept_to_be_reported(
        self, tmp_path: Path, classifier: Classifier
    ) -> None:
        (tmp_path / "a.jpg").symlink_to("gone.jpg")
        (tmp_path / "round.png").symlink_to("round.png")
        (tmp_path / "notes.txt").symlink_to("gone.txt")
        for pattern in (tmp_path, tmp_path / "*"):
            assert found(pattern) == ["a.jpg", "round.png"]
        images = find_images([str(tmp_path)]).images
        gone, loops = (outcome.error or "" for outcome in predict_files(images, classifier))
        assert gone == f"{tmp_path / 'a.jpg'}: is a link whose file is gone; mend the link"
        assert loops.startswith(f"{tmp_path / 'round.png'}: ")

    def test_a_link_into_a_closed_folder_stops_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        touch(tmp_path, "b.jpg")
        (tmp_path / "a.jpg").symlink_to("/closed/a.jpg")
        ask = os.stat

        def refusing(place: str | Path, *rest: Any, **options: Any) -> os.stat_result:
            # Whoever runs the test may look into every folder.
            if str(place) == str(tmp_path / "a.jpg") and options.get("follow_symlinks", True):
                raise PermissionError(13, "Permission denied", str(place))
            return ask(place, *rest, **options)

        monkeypatch.setattr(os, "stat", refusing)
        assert found(tmp_path) == ["a.jpg", "b.jpg"]

    def test_what_is_gone_takes_no_row_from_others(self, tmp_path: Path) -> None:
        touch(tmp_path, "b/x.jpg")
        (tmp_path / "a").mkdir()
        (tmp_path / "a/x.jpg").symlink_to("gone.jpg")
        assert found(tmp_path) == ["x.jpg", "x.jpg"]
        touch(tmp_path, "c/x.jpg")
        with pytest.raises(DataError, match="would share the row 'x'"):
            find_images([str(tmp_path)])


def test_an_empty_name_is_not_taken_for_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"a name is empty.*or  \.  for the current folder"):
        find_images(["a.jpg", ""])
    assert found(".") == ["a.jpg"]


def test_no_names_give_no_images() -> None:
    assert find_images([]) == Found((), ())


def test_every_ending_of_a_jpeg_is_an_image_s(tmp_path: Path) -> None:
    for ending in ("jpg", "jpeg", "jpe", "jfif", "JFIF"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"of {ending}.{ending}", "JPEG")
    images = find_images([str(tmp_path)]).images
    assert len(images) == 5
    assert {row_name(path) for path in images} == {path.stem for path in tmp_path.iterdir()}
    touch(tmp_path, "of jfif.png")
    with pytest.raises(DataError, match="would share the row 'of jfif'"):
        find_images([str(tmp_path)])


def test_every_ending_of_an_image_is_one_that_pillow_reads() -> None:
    assert set(Image.registered_extensions()) >= IMAGE_SUFFIXES
    assert not IMAGE_SUFFIXES & COMPANION_SUFFIXES


def test_files_of_other_endings_are_passed_over_and_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.heic", "sub/c.DCM", "sub/scan", "d.jpg.bak")
    # Hidden, a folder, and what lies beside images.
    touch(tmp_path, ".e.heic", ".f/g.heic", "h.heic/i.jpg", "j.csv", "k.JSON", "Thumbs.db")
    assert found(tmp_path) == ["a.jpg", "i.jpg"]
    assert passed_over(tmp_path) == ["b.heic", "d.jpg.bak", "c.DCM", "scan"]
    assert passed_over(tmp_path / "*") == ["b.heic", "d.jpg.bak"]
    assert passed_over(tmp_path, tmp_path / "*") == passed_over(tmp_path)
    assert passed_over(tmp_path / "sub/scan", tmp_path) == ["b.heic", "d.jpg.bak", "c.DCM"]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{k}.png" for k in range(7)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("batch_size", [0, -1])
def test_an_impossible_batch_size_is_refused(classifier: Classifier, batch_size: int) -> None:
    # At the call, as long as nobody asks for an outcome.
    with pytest.raises(ConfigError, match=f"batch_size must be at least 1, got {batch_size}"):
        predict_files([], classifier, batch_size=batch_size)


def test_an_impossible_pixel_aspect_is_refused(classifier: Classifier) -> None:
    # At the call, instead of as the fault of every square file.
    with pytest.raises(ConfigError, match=r"pixel_aspect must be from 0\.25 to 4\.0, got 5\.0"):
        predict_files([], classifier, pixel_aspect=5.0)


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


def test_pixel_aspect_holds_for_every_square(classifier: Classifier, images: list[Path]) -> None:
    for outcome in predict_files(images[:2], classifier, pixel_aspect=4 / 3):
        assert outcome.note is None
        assert outcome.prediction is not None
        stretched = classifier.predict(outcome.path, pixel_aspect=4 / 3).logits
        np.testing.assert_allclose(outcome.prediction.logits, stretched, atol=1e-4)
        assert stretched != pytest.approx(classifier.predict(outcome.path).logits, abs=1e-4)


def test_what_is_no_square_is_not_stretched_and_said_so(
    classifier: Classifier, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 64, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.png", exif=turned)
    upright, lying = predict_files(
        [tmp_path / "a.png", tmp_path / "b.png"], classifier, pixel_aspect=4 / 3
    )
    assert (
        upright.note
        == f"not stretched: {tmp_path / 'a.png'} has 64 x 80 pixels, so it is no square"
    )
    assert lying.note is not None
    for outcome in (upright, lying):
        assert outcome.prediction is not None
        as_is = classifier.predict(outcome.path).logits
        np.testing.assert_allclose(outcome.prediction.logits, as_is, atol=1e-4)


@pytest.mark.parametrize("place", ["read", "run"])
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_whatever_goes_wrong_with_one_file_stops_no_other(
    tiny_bundle: Path,
    images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    batch_size: int,
) -> None:
    bad = images[4]
    Image.new("RGB", (64, 64), (255, 0, 255)).save(bad)
    classifier = Classifier.load(tiny_bundle, threads=1)
    read, run = classifier.read, classifier.run

    def failing_read(path: Path) -> RasterImage:
        if path == bad:
            raise MemoryError("no room")
        return read(path)

    def failing_run(views: NDArray[np.uint8]) -> object:
        if any((view == (255, 0, 255)).all() for view in views):
            raise MemoryError("no room")
        return run(views)

    if place == "read":
        monkeypatch.setattr(classifier, "read", failing_read)
    else:
        monkeypatch.setattr(classifier, "run", failing_run)
    outcomes = list(predict_files(images, classifier, batch_size=batch_size))
    assert [outcome.path for outcome in outcomes] == images
    assert [outcome.path for outcome in outcomes if outcome.prediction is None] == [bad]
    assert outcomes[4].error == f"{bad}: unexpected MemoryError: no room"


class Crowd:
    """A classifier that counts how many images are decoded at the same time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def read(self, path: Path) -> RasterImage:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return RasterImage(np.zeros((64, 64, 3), np.uint8), 64, 64, sha256="")

    def view(self, raster: RasterImage, *, pixel_aspect: float) -> View:
        return View(raster.pixels, np.eye(2, 3))

    def run(self, views: NDArray[np.uint8]) -> tuple[NDArray[np.float32], None]:
        return np.zeros((len(views), 7), np.float32), None

    def to_prediction(self, logits: NDArray[np.float32]) -> Prediction:
        return Prediction((1.0,) + (0.0,) * 6, tuple(logits.tolist()), calibrated=False)


# Each of the images has 64 x 64 pixels.
@pytest.mark.parametrize(("room", "most"), [(1, 1), (64 * 64, 1), (2 * 64 * 64 + 1, 2)])
def test_no_more_pixels_are_decoded_at_a_time_than_there_is_room_for(
    images: list[Path], monkeypatch: pytest.MonkeyPatch, room: int, most: int
) -> None:
    monkeypatch.setattr(answer, "_MOST_PIXELS", room)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    crowd = Crowd()
    stands_for_one: Any = crowd
    outcomes = list(predict_files(images, stands_for_one, batch_size=1))
    assert all(outcome.prediction is not None for outcome in outcomes)
    assert 1 <= crowd.most <= most


def test_who_stops_taking_answers_waits_for_no_more_than_are_under_way(
    images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    seen: list[str] = []

    class Noting(Crowd):
        def read(self, path: Path) -> RasterImage:
            seen.append(path.name)
            time.sleep(0.05)
            return super().read(path)

    stands_for_one: Any = Noting()
    answers = predict_files(images, stands_for_one, batch_size=1)
    next(answers)
    answers.close()  # type: ignore[attr-defined] # as an interruption does
    assert len(seen) < len(images)


@pytest.mark.parametrize("stem", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\uff1d1"])
def test_a_name_that_a_spreadsheet_would_run_is_made_a_text(stem: str) -> None:
    prediction = Prediction((1.0,) + (0.0,) * 6, (0.0,) * 7, calibrated=True)
    text = render_isic_csv([FileOutcome(Path(f"{stem}.jpg"), prediction, None)])
    _, row = csv.reader(io.StringIO(text))
    assert row[0] == f"'{stem}" == row_name(Path(f"{stem}.jpg"))


def test_an_inert_name_is_no_other_file_s(tmp_path: Path) -> None:
    touch(tmp_path, "=1.jpg", "'=1.jpg")
    with pytest.raises(DataError, match="would share the row"):
        find_images([str(tmp_path)])


def test_a_table_may_take_the_place_of_nothing_or_of_a_table(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    check_table_place(table, [tmp_path / "a.jpg"])
    table.touch()
    check_table_place(table, [tmp_path / "a.jpg"])
    # One answer is so sure that it is rounded to a label's values, though not to its digits.
    sure = ",".join(["1.000000", *["0.000000"] * 6])
    for row in ("a,0.4,0.6,0,0,0,0,0", f"a,{sure}"):
        table.write_text(f"image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n{row}\n")
        check_table_place(table, [tmp_path / "a.jpg"])


@pytest.mark.parametrize("rows", ["a,0.0,1.0,0.0,0.0,0.0,0.0,0.0", "a,,,,,,,\nb,1,0,0,0,0,0,0"])
def test_a_table_takes_the_place_of_no_labels(tmp_path: Path, rows: str) -> None:
    labels = tmp_path / "ground_truth.csv"
    labels.write_text(f"image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n{rows}\n")
    with pytest.raises(ConfigError, match="holds labels, not answers; name another file"):
        check_table_place(labels, [])


@pytest.mark.parametrize(
    "content",
    [
        *(b"\xff\xd8\xff\xe0", b"mine", b"image,MEL,NV\na,1,0\n"),
        pytest.param(b"x" * 200_000, id="long line"),
        b"image,MEL,NV,BCC,AKIEC,BKL,DF,VASC,lesion_id\na,0.4,0.6,0,0,0,0,0,l\n",
    ],
)
def test_a_table_takes_the_place_of_nothing_else(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "a.jpg"
    place.write_bytes(content)
    with pytest.raises(ConfigError, match="exists and is no table of answers; name another file"):
        check_table_place(place, [])


def test_a_table_takes_the_place_of_no_image_that_it_is_about(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a.jpg")
    for place in (tmp_path / "a.jpg", tmp_path / "b" / ".." / "a.jpg", tmp_path / "link.csv"):
        with pytest.raises(ConfigError, match="is one of the images; name another file"):
            check_table_place(place, [tmp_path / "a.jpg"])
    with pytest.raises(ConfigError, match="is one of the images"):
        check_table_place(tmp_path / "absent.jpg", [tmp_path / "absent.jpg"])


def test_a_name_that_no_file_can_have_is_told_as_such(classifier: Classifier) -> None:
    (outcome,) = predict_files([Path(f"{'x' * 300}.jpg")], classifier)
    assert outcome.error is not None
    assert "unexpected" not in outcome.error
    assert "cannot be read" in outcome.error


def test_no_files_give_no_answers(classifier: Classifier) -> None:
    assert list(predict_files([], classifier)) == []


class SlowestFirst:
    """A classifier whose first image is decoded only after the second one was."""

    def __init__(self) -> None:
        self.second_is_decoded = threading.Event()

    def read(self, path: Path) -> RasterImage:
        if path.name == "1":
            self.second_is_decoded.set()
        elif not self.second_is_decoded.wait(timeout=30):
            raise ImageError("the second image was not decoded meanwhile")
        pixels = np.full((32, 32, 3), int(path.name), np.uint8)
        return RasterImage(pixels, 32, 32, sha256="")

    def view(self, raster: RasterImage, *, pixel_aspect: float) -> View:
        return View(raster.pixels, np.eye(2, 3))

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
    # Written out anew: OWASP's list of what begins a formula, with its full-width forms.
    runs = stem[0] in {*"=+-@", "\uff1d", "\uff0b", "\uff0d", "\uff20"}
    assert name == ("'" + stem if runs else stem)
    by_code = dict(
        zip(text.splitlines()[0].lower().split(",")[1:], map(float, values), strict=True)
    )
    assert [by_code[code] for code in CODES] == pytest.approx(probabilities, abs=5.1e-7)
    assert sum(by_code.values()) == pytest.approx(1.0, abs=1e-5)


def test_header_and_left_out_failures() -> None:
    text = render_isic_csv([FileOutcome(Path("a.jpg"), None, "unreadable")])
    assert text == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
