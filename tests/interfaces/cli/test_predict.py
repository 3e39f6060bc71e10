from __future__ import annotations

import csv
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermassist import Classifier, batch
from dermassist.batch import render_isic_csv
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


OLDER = f"{','.join(HEADER)}\n" + "older,0.9,0.1,0,0,0,0,0\n" * 1000


def test_existing_table_is_replaced(run: Run, photos: Path, tiny_bundle: Path) -> None:
    Path("table.csv").write_text(OLDER)
    run("predict", photos / "a.webp", "--csv", "table.csv", "--model", tiny_bundle)
    assert list(read_table(Path("table.csv"))) == ["a"]
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_existing_table_is_kept_where_nothing_was_answered(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    Path("table.csv").write_text(OLDER)
    for path in photos.iterdir():
        path.write_bytes(b"no image")
    options = ("--csv", "table.csv", "--model", tiny_bundle)
    outcome = run("predict", photos, *options)
    assert outcome.status == ExitStatus.SOME_FAILED
    assert outcome.lines[0] == "0 of 5 images answered; no table written."
    assert "nothing was answered: the earlier table.csv stays as it was" in outcome.err
    assert run("predict", photos, *options, "--json").json["csv"] is None
    assert Path("table.csv").read_text() == OLDER


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that lets the user press Ctrl-C in the n-th forward pass."""

    def at(number: int) -> None:
        run_graph = Classifier.run
        calls: list[int] = []

        def failing(self: Classifier, views: np.ndarray) -> object:
            calls.append(len(views))
            if len(calls) == number:
                raise KeyboardInterrupt
            return run_graph(self, views)

        monkeypatch.setattr(Classifier, "run", failing)
        # One after the other, so that a number says which.
        monkeypatch.setattr("dermassist.batch.answer._MOST_WORKERS", 1)

    return at


def test_what_was_answered_is_kept_when_the_run_is_interrupted(
    run: Run,
    photos: Path,
    tiny_bundle: Path,
    classifier: Classifier,
    interrupted: Callable[[int], None],
) -> None:
    interrupted(2)
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", 2)
    outcome = run("predict", photos, *options)
    assert outcome.status == ExitStatus.INTERRUPTED
    assert outcome.lines[0] == "2 of 5 images answered; table written to table.csv."
    assert "interrupted: table.csv is partial, 2 of 5 images had their turn" in outcome.err
    table = read_table(Path("table.csv"))
    assert list(table) == ["a", "b"]
    assert table["b"] == pytest.approx(probabilities(classifier, photos / "b.png"), abs=1e-6)
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_interruption_is_told_in_json(
    run: Run, photos: Path, tiny_bundle: Path, interrupted: Callable[[int], None]
) -> None:
    interrupted(2)
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", 2, "--json")
    outcome = run("predict", photos, *options)
    assert outcome.status == ExitStatus.INTERRUPTED
    assert (outcome.json["interrupted"], outcome.json["answered"]) == (True, 2)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program be told to end twice over, as timeout does it, after two answers."""
    answering = batch.predict_files

    def stopping(*arguments: Any, **options: Any) -> Iterator[batch.FileOutcome]:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, "it would end at once"
        for number, outcome in enumerate(answering(*arguments, **options)):
            if number == 2:
                signal.raise_signal(signal.SIGTERM)
            yield outcome

    def rendering(outcomes: Iterable[batch.FileOutcome]) -> str:
        signal.raise_signal(signal.SIGTERM)
        return render_isic_csv(outcomes)

    monkeypatch.setattr(batch, "predict_files", stopping)
    monkeypatch.setattr(batch, "render_isic_csv", rendering)


@pytest.mark.usefixtures("stopped")
def test_what_was_answered_is_kept_when_the_program_is_told_to_end(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.INTERRUPTED
    assert outcome.lines[0] == "2 of 5 images answered; table written to table.csv."
    assert list(read_table(Path("table.csv"))) == ["a", "b"]
    assert [path.name for path in Path().iterdir()] == ["table.csv"]
    # Afterwards the signal does what it did before.
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_existing_table_is_kept_when_interrupted_before_any_answer(
    run: Run, photos: Path, tiny_bundle: Path, interrupted: Callable[[int], None]
) -> None:
    Path("table.csv").write_text(OLDER)
    interrupted(1)
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert (outcome.status, outcome.complaint) == (130, "interrupted")
    assert Path("table.csv").read_text() == OLDER
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_existing_table_is_kept_when_a_later_run_is_interrupted(
    run: Run, photos: Path, tiny_bundle: Path, interrupted: Callable[[int], None]
) -> None:
    Path("table.csv").write_text(OLDER)
    Path("table.partial.csv").write_text("mine")
    interrupted(2)
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", 2)
    outcome = run("predict", photos, *options)
    assert outcome.status == ExitStatus.INTERRUPTED
    assert outcome.lines[0] == "2 of 5 images answered; table written to table.partial-2.csv."
    assert outcome.err == (
        "interrupted: table.partial-2.csv is partial, 2 of 5 images had their turn; the earlier "
        "table.csv stays as it was\n"
    )
    assert list(read_table(Path("table.partial-2.csv"))) == ["a", "b"]
    assert Path("table.csv").read_text() == OLDER
    assert Path("table.partial.csv").read_text() == "mine"
    assert len(list(Path().iterdir())) == 3


def test_json_names_the_partial_table(
    run: Run, photos: Path, tiny_bundle: Path, interrupted: Callable[[int], None]
) -> None:
    Path("table.csv").write_text(OLDER)
    interrupted(2)
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", 2, "--json")
    assert run("predict", photos, *options).json["csv"] == "table.partial.csv"
    assert list(read_table(Path("table.partial.csv"))) == ["a", "b"]


def test_an_empty_file_is_no_earlier_table(
    run: Run, photos: Path, tiny_bundle: Path, interrupted: Callable[[int], None]
) -> None:
    Path("table.csv").touch()
    interrupted(2)
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--batch-size", 2)
    run("predict", photos, *options)
    assert list(read_table(Path("table.csv"))) == ["a", "b"]
    assert [path.name for path in Path().iterdir()] == ["table.csv"]


def test_an_image_is_never_replaced_by_a_table(run: Run, photos: Path, tiny_bundle: Path) -> None:
    first, *others = sorted(photos.iterdir())
    before = first.read_bytes()
    # As  --csv *.jpg  is spelled out by the shell, and a folder that holds the target itself.
    for images in (others, [photos]):
        outcome = run("predict", *images, "--csv", first, "--model", tiny_bundle)
        assert outcome.status == ExitStatus.CONFIG
        assert "name another file for the table" in outcome.complaint
        assert first.read_bytes() == before


def test_a_file_of_something_else_is_never_replaced(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    Path("thesis.csv").write_text("mine")
    outcome = run("predict", photos, "--csv", "thesis.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.CONFIG
    assert "thesis.csv: exists and is no table of answers" in outcome.complaint
    assert Path("thesis.csv").read_text() == "mine"


def test_labels_of_the_same_form_are_never_replaced(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    labels = f"{','.join(HEADER)}\nb,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
    Path("GroundTruth.csv").write_text(labels)
    outcome = run("predict", photos, "--csv", "GroundTruth.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint.startswith("GroundTruth.csv: holds labels, not answers")
    assert Path("GroundTruth.csv").read_text() == labels


@pytest.mark.skipif(os.name != "posix", reason="links and pipes are POSIX's")
def test_a_link_to_a_table_stays_a_link(run: Run, photos: Path, tiny_bundle: Path) -> None:
    Path("real.csv").write_text(OLDER)
    Path("link.csv").symlink_to("real.csv")
    run("predict", photos, "--csv", "link.csv", "--model", tiny_bundle)
    assert Path("link.csv").is_symlink()
    assert len(read_table(Path("real.csv"))) == 5


@pytest.mark.skipif(os.name != "posix", reason="links and pipes are POSIX's")
def test_a_pipe_takes_the_table_and_nothing_else(run: Run, photos: Path, tiny_bundle: Path) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()), daemon=True)
    reader.start()
    outcome = run("predict", photos, "--csv", "pipe", "--model", tiny_bundle)
    reader.join(timeout=60)
    assert (outcome.status, outcome.out) == (0, "")
    assert "5 of 5 images answered" in outcome.err
    Path("table.csv").write_text(read[0])
    assert len(read_table(Path("table.csv"))) == 5
    assert Path("pipe").is_fifo()


def test_what_goes_wrong_with_one_file_is_told_and_stops_nothing(
    run: Run, photos: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Classifier.read

    def failing(self: Classifier, image: Path) -> object:
        if image.name == "c.tif":
            raise RuntimeError("odd decoder")
        return read(self, image)

    monkeypatch.setattr(Classifier, "read", failing)
    outcome = run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.SOME_FAILED
    assert "c.tif: unexpected RuntimeError: odd decoder" in outcome.err
    assert list(read_table(Path("table.csv"))) == ["a", "b", "d", "e"]


def test_squares_alone_are_stretched_and_the_others_named(
    run: Run, photos: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    options = ("--csv", "table.csv", "--model", tiny_bundle, "--squeezed-from", "4:3")
    outcome = run("predict", photos, *options)
    table = read_table(Path("table.csv"))
    for path in photos.iterdir():
        square = path.stem in {"b", "c"}
        expected = probabilities(classifier, path, pixel_aspect=4 / 3 if square else 1.0)
        assert table[path.stem] == pytest.approx(expected, abs=1e-6)
    said = outcome.err.splitlines()
    assert len(said) == 3
    assert said[0] == (
        f"not stretched: {photos / 'a.webp'} has 128 x 96 pixels, so it is no square"
    )
    assert run("predict", photos, *options, "--json").json["notes"] == said


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


def test_files_that_are_passed_over_are_counted(run: Run, photos: Path, tiny_bundle: Path) -> None:
    for name in ("f.heic", "g.HEIC", "scan", "labels.csv", ".hidden.heic"):
        (photos / name).touch()
    options = ("--csv", "table.csv", "--model", tiny_bundle)
    outcome = run("predict", photos, *options)
    said = (
        "passed over as no images: 2 with .heic, 1 with no ending; those that are images can be "
        "named outright"
    )
    assert (outcome.status, outcome.err) == (0, f"{said}\n")
    assert outcome.lines[0].startswith("5 of 5 images answered")
    assert run("predict", photos, *options, "--json").json["notes"] == [said]


def test_jpegs_of_rarer_endings_are_answered(
    run: Run, photos: Path, tiny_bundle: Path, classifier: Classifier
) -> None:
    for name in ("e.jpe", "d.jfif"):
        next(photos.glob(f"{name[0]}.*")).rename(photos / name)
    assert run("predict", photos, "--csv", "table.csv", "--model", tiny_bundle).err == ""
    table = read_table(Path("table.csv"))
    for name in ("e.jpe", "d.jfif"):
        expected = probabilities(classifier, photos / name)
        assert table[name[0]] == pytest.approx(expected, abs=1e-6)


def test_name_with_a_leading_dash(run: Run, photos: Path, tiny_bundle: Path) -> None:
    (photos / "e.jpg").rename("-e.jpg")
    options = ("--csv", "table.csv", "--model", tiny_bundle)
    assert run("predict", *options, "--", "-e.jpg").status == 0
    assert list(read_table(Path("table.csv"))) == ["'-e"]


def test_a_name_that_a_spreadsheet_would_run_is_made_a_text_and_said_so(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    (photos / "e.jpg").rename("=1+1.jpg")
    options = ("--csv", "table.csv", "--model", tiny_bundle)
    outcome = run("predict", "=1+1.jpg", *options)
    said = "an apostrophe was put before '=1+1': spreadsheets would run it as a formula"
    assert (outcome.status, outcome.err) == (0, f"{said}\n")
    assert list(read_table(Path("table.csv"))) == ["'=1+1"]
    assert run("predict", "=1+1.jpg", *options, "--json").json["notes"] == [said]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX file names may hold control characters")
def test_no_name_commands_the_terminal_or_looks_like_another_line(
    run: Run, photos: Path, tiny_bundle: Path
) -> None:
    odd = "\x1b]0;owned\x07\n3 of 3 images answered; table written to ok.csv..jpg"
    Path(odd).write_bytes(b"no image")
    options = ("--csv", "t\x1b.csv", "--model", tiny_bundle)
    outcome = run("predict", odd, photos / "e.jpg", *options)
    assert outcome.status == ExitStatus.SOME_FAILED
    (complaint,) = outcome.err.splitlines()
    assert complaint.startswith(
        "not answered: <U+001B>]0;owned<U+0007><U+000A>3 of 3 images answered; table written"
    )
    assert outcome.lines[0] == "1 of 2 images answered; table written to t<U+001B>.csv."
    # What programs read keeps the name.
    assert list(run("predict", odd, photos / "e.jpg", *options, "--json").json["failed"]) == [odd]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX file names may hold any byte")
def test_name_that_is_no_text_is_shown_escaped(run: Run, photos: Path, tiny_bundle: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    try:
        (photos / "e.jpg").rename(odd)
    except OSError:
        pytest.skip("this file system takes text only")
    assert run("predict", odd, "--csv", "table.csv", "--model", tiny_bundle).status == 0
    assert list(read_table(Path("table.csv"))) == ["caf\\udce9"]
