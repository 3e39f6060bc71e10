from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dermassist import Classifier
from dermassist.diagnosis import Diagnosis
from dermassist.interfaces.cli.exit_status import ExitStatus

from .conftest import Run

HEADER = ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]


def read_table(path: Path) -> dict[str, list[float]]:
    """Read a table in the ISIC 2018 form with another reader's eyes."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    assert header == HEADER
    return {name: [float(value) for value in values] for name, *values in rows}


def probabilities(classifier: Classifier, path: Path, **options: float) -> list[float]:
    prediction = classifier.predict(path, **options)
    return [prediction.probability(Diagnosis[code]) for code in HEADER[1:]]


def test_table_holds_each_image_s_own_probabilities(
    run: Run, photos: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.lines[0] == "5 of 5 images answered; table written to table.csv."
    table = read_table(Path("table.csv"))
    for path in photos.iterdir():
        expected = probabilities(classifier, path)
        assert table[path.stem] == pytest.approx(expected, abs=1e-6)


def test_rows_are_probabilities(run: Run, photos: Path, tiny_bundle: Path) -> None:
    run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    rows = np.array(list(read_table(Path("table.csv")).values()))
    assert rows.min() >= 0.0
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-5)


def test_rows_stand_in_the_order_of_the_input(run: Run, photos: Path, tiny_bundle: Path) -> None:
    given = [photos / name for name in ("c.tif", "a.webp", "e.jpg")]
    run("predict", *given, "--csv", "table.csv", "--model", tiny_bundle)
    assert list(read_table(Path("table.csv"))) == ["c", "a", "e"]


def test_folders_are_sorted_and_searched_through(run: Run, photos: Path, tiny_bundle: Path) -> None:
    (photos / "more").mkdir()
    (photos / "d.JPG").rename(photos / "more" / "d.JPG")
    run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert list(read_table(Path("table.csv"))) == ["a", "b", "c", "e", "d"]


def test_files_folders_and_patterns_mix(run: Run, photos: Path, tiny_bundle: Path) -> None:
    (photos / "more").mkdir()
    (photos / "d.JPG").rename(photos / "more" / "d.JPG")
    given = (photos / "e.jpg", photos / "more", photos / "[bc].*")
    run("predict", *given, "--csv", "table.csv", "--model", tiny_bundle)
    assert list(read_table(Path("table.csv"))) == ["e", "d", "b", "c"]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_batch_size_changes_nothing(
    run: Run, photos: Path, tiny_bundle: Path, classifier: Classifier, batch_size: int
) -> None:
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", batch_size)
    assert run("predict", photos, *options).status == 0
    table = read_table(Path("table.csv"))
    for path in photos.iterdir():
        assert table[path.stem] == pytest.approx(probabilities(classifier, path), abs=1e-6)


def test_squeezed_images_are_stretched_back(
    run: Run, photos: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    squeezed = photos / "b.png"
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--squeezed-from", "4:3")
    run("predict", squeezed, *options)
    expected = probabilities(classifier, squeezed, pixel_aspect=4 / 3)
    assert read_table(Path("table.csv"))["b"] == pytest.approx(expected, abs=1e-6)
    assert expected != pytest.approx(probabilities(classifier, squeezed), abs=1e-6)


def test_unreadable_files_are_listed_and_stop_nothing(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    (photos / "b.png").write_bytes(b"")
    given = (photos, photos / "absent.jpg")
    outcome = run("predict", *given, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.SOME_FAILED
    complaints = outcome.err.splitlines()
    assert [line.partition(": ")[0] for line in complaints] == ["not answered", "not answered"]
    assert "b.png" in complaints[0]
    assert "empty" in complaints[0]
    assert "absent.jpg" in complaints[1]
    assert outcome.lines[0].startswith("4 of 6 images answered")
    assert list(read_table(Path("table.csv"))) == ["a", "c", "d", "e"]


def test_nothing_readable_leaves_a_table_without_rows(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    for path in photos.iterdir():
        path.write_bytes(b"no image")
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.SOME_FAILED
    assert len(outcome.err.splitlines()) == 5
    assert read_table(Path("table.csv")) == {}


def test_existing_table_is_replaced(run: Run, photos: Path, tiny_bundle: Path) -> None:
    Path("table.csv").write_text("an older and much longer table\n" * 1000)
    run("predict", photos / "a.webp", "--csv", "table.csv", "--model", tiny_bundle)
    assert list(read_table(Path("table.csv"))) == ["a"]
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_existing_table_is_kept_when_the_run_fails(
    run: Run, photos: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("table.csv").write_text("mine")
    run_graph = Classifier.run
    calls: list[int] = []

    def failing(self: Classifier, views: np.ndarray) -> object:
        calls.append(len(views))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_graph(self, views)

    monkeypatch.setattr(Classifier, "run", failing)
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", 2)
    assert run("predict", photos, *options).status == 130
    assert Path("table.csv").read_text() == "mine"
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_table_in_a_folder_that_is_not_there_yet(run: Run, photos: Path, tiny_bundle: Path) -> None:
    run("predict", photos, "--csv", "new/table.csv", "--model", tiny_bundle)
    assert len(read_table(Path("new/table.csv"))) == 5


def test_table_that_cannot_be_written(run: Run, photos: Path, tiny_bundle: Path) -> None:
    Path("table.csv").mkdir()
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert "table.csv" in outcome.complaint
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_two_files_of_one_stem_are_refused(run: Run, photos: Path, tiny_bundle: Path) -> None:
    shutil.copy(photos / "b.png", photos / "e.png")
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    for part in ("e.jpg", "e.png", "'e'", "different files"):
        assert part in outcome.complaint
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("pattern", ["*.jpeg", "no-images-in-here"])
def test_name_that_holds_no_images(run: Run, tiny_bundle: Path, pattern: str, photos: Path) -> None:
    Path("no-images-in-here").mkdir()
    outcome = run("predict", photos, pattern, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    assert outcome.complaint.startswith(f"{pattern}: holds no images; check the name")
    assert not Path("table.csv").exists()


def test_json_says_what_was_done(run: Run, photos: Path, tiny_bundle: Path) -> None:
    (photos / "b.png").write_bytes(b"")
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle, "--json")
    assert outcome.status == ExitStatus.SOME_FAILED
    assert outcome.err == ""
    answer = outcome.json
    assert (answer["csv"], answer["answered"]) == ("table.csv", 4)
    assert list(answer["failed"]) == [str(photos / "b.png")]
    assert "empty" in answer["failed"][str(photos / "b.png")]


@pytest.mark.parametrize(
    "name", ["spot on back.jpg", "Fleck_Rücken_痣.jpg", "two\nlines, one.jpg", '"quoted".jpg']
)
def test_any_name_keeps_its_stem(run: Run, photos: Path, tiny_bundle: Path, name: str) -> None:
    (photos / "e.jpg").rename(name)
    assert run("predict", name, "--csv", "table.csv", "--model", tiny_bundle).status == 0
    assert list(read_table(Path("table.csv"))) == [Path(name).stem]


def test_name_with_a_leading_dash(run: Run, photos: Path, tiny_bundle: Path) -> None:
    (photos / "e.jpg").rename("-e.jpg")
    options = ("--csv", "table.csv", "--model", tiny_bundle)
    assert run("predict", *options, "--", "-e.jpg").status == 0
    assert list(read_table(Path("table.csv"))) == ["-e"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX file names may hold any byte")
def test_name_that_is_no_text_is_shown_escaped(run: Run, photos: Path, tiny_bundle: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    try:
        (photos / "e.jpg").rename(odd)
    except OSError:
        pytest.skip("this file system takes text only")
    assert run("predict", odd, "--csv", "table.csv", "--model", tiny_bundle).status == 0
    assert list(read_table(Path("table.csv"))) == ["caf\\udce9"]
