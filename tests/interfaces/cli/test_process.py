"""The installed program as a process of its own: what only a process shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dermassist
from dermassist.interfaces.cli.exit_status import ExitStatus

from ...unit.data.fake_dataverse import LISTING_PATH, FakeDataverse, silence

SCRIPT = Path(sys.executable).with_name("dermassist")
HEAVY = ("cv2", "onnxruntime", "torch", "numpy", "PIL", "sklearn", "streamlit", "lightning")

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the program is not installed here")


def call(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(  # type: ignore[call-overload,no-any-return] # options of many types
        command, text=True, timeout=300, check=False, **{"capture_output": True, **options}
    )


def python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, text=True, timeout=300, check=False, capture_output=True)


def needs_of(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what a distribution with these extras asks for, each with the extras of its own."""
    try:
        requirements = map(Requirement, metadata.requires(name) or [])
    except metadata.PackageNotFoundError:
        return
    for each in requirements:
        asked = ({"extra": extra} for extra in ("", *extras))
        if each.marker is None or any(map(each.marker.evaluate, asked)):
            yield canonicalize_name(each.name), frozenset(each.extras)


def installed_with(*extras: str) -> set[str]:
    """Return the distributions that an installation with these extras brings along."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [("dermassist", frozenset(extras))]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += needs_of(*one)
    return {name for name, _ in found}


def modules_of_extras() -> list[str]:
    """Return the names by which what only the extras bring is imported."""
    extras = metadata.metadata("dermassist").get_all("Provides-Extra") or []
    only = installed_with(*extras) - installed_with()
    owners = metadata.packages_distributions().items()
    return sorted(name for name, own in owners if set(map(canonicalize_name, own)) <= only)


def test_importing_the_package_loads_nothing_heavy() -> None:
    done = python("import sys, dermassist; dermassist.Diagnosis; print(*sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")
    assert not set(HEAVY) & set(done.stdout.split())


def test_showing_help_loads_nothing_heavy() -> None:
    code = """
import sys
from dermassist.interfaces.cli import _run
for arguments in (["--help"], ["analyze", "--help"], ["data", "fetch", "--help"]):
    assert _run(arguments) == 0
print("MODULES", *sys.modules)
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")
    loaded = set(done.stdout.rpartition("MODULES")[2].split())
    assert "dermassist.interfaces.cli.analyze" in loaded
    assert not {*HEAVY, "ssl", "http.client", "dermassist.data.fetch"} & loaded


def test_answering_needs_none_of_the_extras(
    photos: Path, sample_bundle: Path, tmp_path: Path
) -> None:
    extras = modules_of_extras()
    assert {"torch", "sklearn", "pandas", "sqlalchemy", "fontTools", "torchmetrics"} <= {*extras}
    assert not {"numpy", "cv2", "PIL", "onnxruntime", "rich", "typer"} & {*extras}
    labels = tmp_path / "labels.csv"
    labels.write_text("image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nb,1,0,0,0,0,0,0\ne,0,1,0,0,0,0,0\n")
    model = ["--model", str(sample_bundle)]
    out, csv = str(tmp_path / "out"), str(tmp_path / "table.csv")
    commands = [
        ["analyze", str(photos / "b.png"), "--out", out, *model],
        ["predict", str(photos), "--csv", csv, *model],
        ["evaluate", "--images", str(photos), "--labels", str(labels), *model],
        ["doctor", *model],
    ]
    code = f"""
import json, sys
for name in {extras!r}:
    sys.modules[name] = None
from dermassist.interfaces.cli import _run
print("STATUSES", *[int(_run(command)) for command in json.loads(sys.argv[1])])
"""
    done = python(code, json.dumps(commands))
    assert done.stderr == ""
    assert done.stdout.rpartition("STATUSES")[2].split() == ["0"] * 4


def test_the_module_is_the_program() -> None:
    command = [sys.executable, "-m", "dermassist", "--version"]
    done = subprocess.run(command, text=True, timeout=300, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"dermassist {dermassist.__version__}\n" == call("--version").stdout
    # The one that was installed is the one that is here.
    assert metadata.version("dermassist") == dermassist.__version__


def test_program_answers_an_image(photo: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    done = call("analyze", photo, "--model", tiny_bundle, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Predicted Category: ")
    assert (tmp_path / "out" / "gradcam_overlay.png").stat().st_size > 0


def test_program_refuses_what_is_no_image(tiny_bundle: Path, tmp_path: Path) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear patient")
    done = call("analyze", letter, "--model", tiny_bundle, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"dermassist: {letter}: is not an image")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_interrupted_program_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "no_proxy": "*"}
    with FakeDataverse() as server:
        server.script(LISTING_PATH, silence)
        command = [str(SCRIPT), "data", "fetch", str(tmp_path / "ham"), "--mirror", server.url]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        deadline = time.monotonic() + 120
        while not server.requests and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "dermassist: interrupted\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_an_error(sample_bundle: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = call(
            "doctor",
            "--model",
            sample_bundle,
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 9
    assert done.stderr.startswith("dermassist: the output: No space left on device")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_reader_that_has_gone_is_no_crash(sample_bundle: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = call(
            "doctor",
            "--model",
            sample_bundle,
            capture_output=False,
            stdout=writing,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (9, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_is_json_whatever_the_terminal_takes(
    photo: Path, sample_bundle: Path, tmp_path: Path, encoding: str
) -> None:
    named = photo.rename(tmp_path / "caf\u00e9 \u75e3.jpg")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    options = ("--model", sample_bundle, "--out", tmp_path / "out", "--json")
    done = call("analyze", named, *options, env=environment, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["image"]["name"] == named.name
    named.unlink()
    done = call("analyze", named, *options, env=environment, encoding=encoding)
    assert named.name in json.loads(done.stderr)["error"]["message"]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout here")
def test_a_table_on_standard_output_is_appended_where_the_shell_appends(
    photos: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    place = tmp_path / "all.csv"
    place.write_text("mine\n")
    command = ("predict", photos / "b.png", "--model", tiny_bundle, "--csv")
    # By the name of the file itself as well, which the shell has opened before.
    for csv in ("/dev/stdout", place):
        with place.open("a") as output:
            done = call(
                *(*command, csv), capture_output=False, stdout=output, stderr=subprocess.PIPE
            )
        assert done.returncode == 0, done.stderr
        assert "1 of 1 images answered" in done.stderr
    mine, *rows = place.read_text().splitlines()
    assert mine == "mine"
    assert [row.partition(",")[0] for row in rows] == ["image", "b"] * 2


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="there is no /dev/stdout here")
def test_a_table_and_json_cannot_share_standard_output(
    photos: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    command = ("predict", photos / "b.png", "--model", tiny_bundle, "--json", "--csv")
    done = call(*command, "/dev/stdout", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (ExitStatus.CONFIG, "")
    error = json.loads(done.stderr)["error"]
    assert error["message"] == (
        "--csv /dev/stdout: is standard output, where --json writes too; name a file for the table"
    )
    done = call(*command, "/dev/stderr", cwd=tmp_path)
    assert json.loads(done.stdout)["answered"] == 1
    # Both are thrown away.
    with Path(os.devnull).open("w") as nothing:
        done = call(
            *(*command, os.devnull), capture_output=False, stdout=nothing, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (0, "")
