"""Bad input: one sentence on standard error, the right status, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from PIL import Image

from dermassist.interfaces.cli import exit_status
from dermassist.interfaces.cli.app import app
from dermassist.interfaces.cli.data import data_app
from dermassist.interfaces.cli.exit_status import ExitStatus, status_of

from .conftest import Outcome, Run


def absent(place: Path, photo: Path) -> Path:
    return place / "absent.jpg"


def folder(place: Path, photo: Path) -> Path:
    (place / "folder.jpg").mkdir()
    return place / "folder.jpg"


def empty(place: Path, photo: Path) -> Path:
    (place / "empty.jpg").touch()
    return place / "empty.jpg"


def truncated(place: Path, photo: Path) -> Path:
    content = photo.read_bytes()
    (place / "truncated.jpg").write_bytes(content[: len(content) // 2])
    return place / "truncated.jpg"


def not_an_image(place: Path, photo: Path) -> Path:
    (place / "letter.jpg").write_text("Dear patient")
    return place / "letter.jpg"


def bomb(place: Path, photo: Path) -> Path:
    """Write a PNG whose few bytes declare 60000 x 60000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    (place / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return place / "bomb.png"


def too_small(place: Path, photo: Path) -> Path:
    Image.new("RGB", (200, 63)).save(place / "small.png")
    return place / "small.png"


# What the sentence must say beside the file's name: the reason, then the remedy.
REFUSED: dict[Callable[[Path, Path], Path], tuple[str, str]] = {
    absent: ("no such file", "check the name"),
    folder: ("is a folder", "name a file in it"),
    empty: ("empty", "copy it again"),
    truncated: ("cut short", "copy it again"),
    not_an_image: ("not an image", "give a JPEG"),
    bomb: ("pixels", "smaller copy"),
    too_small: ("200 x 63", "give a larger original"),
}


@pytest.fixture
def model(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "model"))


@pytest.fixture(params=list(REFUSED), ids=lambda make: make.__name__)
def refused(
    request: pytest.FixtureRequest, tmp_path: Path, photo: Path
) -> tuple[Path, tuple[str, str]]:
    place = tmp_path / "input"
    place.mkdir()
    return request.param(place, photo), REFUSED[request.param]


def assert_nothing_written() -> None:
    assert list(Path().iterdir()) == []


def test_refused_image(run: Run, refused: tuple[Path, tuple[str, str]], tiny_bundle: Path) -> None:
    path, (reason, remedy) = refused
    outcome = run("analyze", path, "--model", tiny_bundle)
    assert outcome.status == ExitStatus.IMAGE
    assert path.name in outcome.complaint
    assert reason in outcome.complaint
    assert remedy in outcome.complaint
    assert_nothing_written()


def test_refused_image_as_json(
    run: Run, refused: tuple[Path, tuple[str, str]], tiny_bundle: Path
) -> None:
    path, (reason, remedy) = refused
    error = run("analyze", path, "--model", tiny_bundle, "--json").json_error
    assert (error["status"], error["name"]) == (ExitStatus.IMAGE, "IMAGE")
    assert all(part in error["message"] for part in (path.name, reason, remedy))
    assert_nothing_written()


def every_command() -> Iterator[Callable[..., None]]:
    for group in (app, data_app):
        for command in group.registered_commands:
            assert command.callback is not None
            yield command.callback


def test_typer_judges_no_path_before_our_own_readers_do() -> None:
    """Or a file without permission would be a usage error without a remedy."""
    paths = [
        (command.__name__, name, option)
        for command in every_command()
        for name, hint in get_type_hints(command, include_extras=True).items()
        for option in getattr(hint, "__metadata__", ())
        if Path in {hint.__origin__, *get_args(hint.__origin__)}
    ]
    assert len(paths) >= 20
    assert [(command, name) for command, name, option in paths if option.readable] == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_image_without_permission(run: Run, photo: Path, tiny_bundle: Path) -> None:
    photo.chmod(0)
    outcome = run("analyze", photo, "--model", tiny_bundle)
    assert outcome.status == ExitStatus.IMAGE
    assert "no permission" in outcome.complaint
    assert_nothing_written()


def test_denied_image_whoever_runs_the_test(
    run: Run, photo: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == photo.name:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    outcome = run("analyze", photo, "--model", tiny_bundle)
    assert outcome.status == ExitStatus.IMAGE
    assert "lesion.jpg: no permission to read it; change its permissions" in outcome.complaint


def test_neither_image_nor_sample_and_both(run: Run, photo: Path, tiny_bundle: Path) -> None:
    for arguments in ((), (photo, "--sample")):
        outcome = run("analyze", *arguments, "--model", tiny_bundle)
        assert outcome.status == ExitStatus.CONFIG
        assert outcome.complaint == "give one image, or --sample"
    assert_nothing_written()


def test_file_in_the_way_of_the_folder(run: Run, photo: Path, tiny_bundle: Path) -> None:
    Path("taken").write_text("mine")
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "taken")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith("taken: ")
    assert "check the place" in outcome.complaint
    assert [path.read_text() for path in Path().iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["gradcam_output.png", "gradcam_overlay.png", "assessment.json"])
def test_folder_in_the_way_of_a_file(run: Run, photo: Path, tiny_bundle: Path, name: str) -> None:
    blocker = Path("out") / name
    blocker.mkdir(parents=True)
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "out")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert outcome.complaint.startswith(f"{blocker}: Is a directory")
    assert list(Path("out").iterdir()) == [blocker]


def test_full_disk_leaves_earlier_results_alone(
    run: Run, photo: Path, tiny_bundle: Path, fill_disk: Callable[[], None]
) -> None:
    run("analyze", photo, "--model", tiny_bundle, "--out", "out")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("out").iterdir()}
    fill_disk()
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "out", "--explain", "df")
    assert outcome.status == ExitStatus.CANNOT_WRITE
    assert "No space left" in outcome.complaint
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("out").iterdir()}
    assert after == before


def test_unknown_diagnosis(run: Run, photo: Path, tiny_bundle: Path) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle, "--explain", "melanom")
    assert outcome.status == ExitStatus.CONFIG
    assert "--explain" in outcome.complaint
    assert "'melanom'" in outcome.complaint
    assert "akiec, bcc, bkl, df, mel, nv, vasc" in outcome.complaint
    assert_nothing_written()


@pytest.mark.parametrize(
    "text",
    [
        "4",
        "4:3:2",
        "0:3",
        "4:0",
        "-4:3",
        "-4:-3",
        "a:b",
        "nan:1",
        "inf:1",
        "1:inf",
        "9:1",
        "1:9",
        "",
    ],
)
def test_proportions_that_are_none(run: Run, photo: Path, tiny_bundle: Path, text: str) -> None:
    options = ("--csv", "t.csv", "--model", tiny_bundle, f"--squeezed-from={text}")
    outcome = run("predict", photo, *options)
    assert outcome.status == ExitStatus.CONFIG
    assert "--squeezed-from must look like 4:3" in outcome.complaint
    assert repr(text) in outcome.complaint
    assert_nothing_written()


def damage_graph(model: Path) -> None:
    content = bytearray((model / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (model / "model.onnx").write_bytes(content)


def damage_manifest(model: Path) -> None:
    manifest = model / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"temperature": 1.5', '"temperature": 1.6'))


def remove_graph(model: Path) -> None:
    (model / "model.onnx").unlink()


def remove_manifest(model: Path) -> None:
    (model / "manifest.json").unlink()


def remove_model(model: Path) -> None:
    shutil.rmtree(model)


DAMAGES = [damage_graph, damage_manifest, remove_graph, remove_manifest, remove_model]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["analyze", "predict", "doctor"])
def test_damaged_model(
    run: Run, photo: Path, model: Path, damage: Callable[[Path], None], command: str
) -> None:
    damage(model)
    arguments: dict[str, tuple[str | Path, ...]] = {
        "analyze": (photo,),
        "predict": (photo, "--csv", "t.csv"),
        "doctor": (),
    }
    outcome = run(command, *arguments[command], "--model", model, "--json")
    assert outcome.status == ExitStatus.MODEL
    assert str(model) in outcome.json_error["message"]
    assert "install" in outcome.json_error["message"]
    assert_nothing_written()


def test_model_that_is_a_file(run: Run, photo: Path, tiny_bundle: Path) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle / "model.onnx")
    assert outcome.status == ExitStatus.MODEL
    assert "model.onnx" in outcome.complaint


UNUSABLE = (
    (("no-such-command",), "no-such-command", "dermassist --help"),
    (("analyze", "--no-such-option"), "--no-such-option", "dermassist analyze --help"),
    (("predict", "a.jpg"), "--csv", "dermassist predict --help"),
    (("predict", "--csv", "t.csv"), "'paths'", "dermassist predict --help"),
    (("predict", "a.jpg", "--csv", "t.csv", "--batch-size", "0"), "--batch-size", "predict --help"),
    (("evaluate", "--fold", "5"), "--fold", "dermassist evaluate --help"),
    (("data", "nothing"), "nothing", "dermassist data --help"),
)


@pytest.mark.parametrize(("arguments", "named", "hint"), UNUSABLE)
def test_wrong_usage(run: Run, arguments: tuple[str, ...], named: str, hint: str) -> None:
    outcome = run(*arguments)
    assert outcome.status == ExitStatus.USAGE
    assert named in outcome.complaint
    assert hint in outcome.complaint
    error = run(*arguments, "--json").json_error
    assert error["name"] == "USAGE"


@pytest.mark.parametrize("arguments", [(), ("data",)])
def test_no_arguments_show_the_commands(run: Run, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert outcome.status == ExitStatus.USAGE
    shown = outcome.out + outcome.err
    assert "fetch" in shown if arguments else "analyze" in shown
    assert "dermassist: " not in shown


def raising(error: BaseException) -> Callable[..., None]:
    def replacement(*arguments: object, **options: object) -> None:
        raise error

    return replacement


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    from dermassist.inference.classifier import Classifier

    monkeypatch.setattr(Classifier, "load", raising(error))


def test_unexpected_error_is_one_sentence(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division\nby zero"))
    outcome = run("analyze", photo)
    assert outcome.status == ExitStatus.UNEXPECTED
    assert "ZeroDivisionError: division by zero" in outcome.complaint
    assert "DERMASSIST_DEBUG=1" in outcome.complaint
    assert run("analyze", photo, "--json").json_error["name"] == "UNEXPECTED"


def test_no_name_in_a_complaint_commands_the_terminal(run: Run, tiny_bundle: Path) -> None:
    outcome = run("analyze", "\x1b]0;owned\x07\u202egnp.jpg", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.IMAGE
    assert outcome.complaint.startswith("<U+001B>]0;owned<U+0007><U+202E>gnp.jpg: ")


def test_traceback_is_shown_where_asked_for(
    run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMASSIST_DEBUG", "1")
    fail_with(monkeypatch, ZeroDivisionError("zero"))
    outcome = run("analyze", photo)
    assert outcome.status == ExitStatus.UNEXPECTED
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("dermassist: unexpected")


def test_interruption(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    outcome = run("analyze", photo)
    assert (outcome.status, outcome.complaint) == (130, "interrupted")
    assert run("analyze", photo, "--json").json_error["name"] == "INTERRUPTED"
    assert_nothing_written()


def test_every_error_of_the_package_has_a_status() -> None:
    from dermassist import errors
    from dermassist.model.weights import WeightsError

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    concrete: set[type[errors.DermAssistError]] = {
        kind
        for kind in (*kinds, WeightsError)
        if issubclass(kind, errors.DermAssistError) and kind is not errors.DermAssistError
    }
    for kind in concrete:
        error = kind.__new__(kind)
        assert status_of(error) is not ExitStatus.UNEXPECTED, kind
    assert status_of(errors.DownloadError("x")) is ExitStatus.DOWNLOAD


def test_statuses_stay_what_scripts_rely_on() -> None:
    assert {status.name: int(status) for status in exit_status.ExitStatus} == {
        "OK": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "IMAGE": 3,
        "DATA": 4,
        "DOWNLOAD": 5,
        "MODEL": 6,
        "CONFIG": 7,
        "MISSING_EXTRA": 8,
        "CANNOT_WRITE": 9,
        "SOME_FAILED": 10,
        "CHECK_FAILED": 11,
        "INTERRUPTED": 130,
    }


def test_help_is_no_error(run: Run) -> None:
    commands = [
        info.name or info.callback.__name__ for info in app.registered_commands if info.callback
    ]
    assert {"analyze", "predict", "train", "evaluate", "export", "doctor"} <= set(commands)
    parts = [info.callback.__name__ for info in data_app.registered_commands if info.callback]
    outcome = run("--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert all(command in outcome.out for command in [*commands, "data"])
    for command in (*commands, "data", *(f"data {part}" for part in parts)):
        shown: Outcome = run(*command.split(), "--help")
        assert (shown.status, shown.err) == (0, "")
        # as Typer shows an option that is declared twice over
        assert "Annotated" not in shown.out
