"""What a clone brings along: line ends, pinned versions, and how make sets all up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Stands for a Python of the version that the file beside it names, and notes what it is asked.
PYTHON = f"""#!/bin/sh
here=$(dirname "$0")
echo "$*" >> asked
case "$*" in
  "-c "*)
    version="sys.version_info = $(cat "$here/version")"
    exec '{sys.executable}' -c "import sys; $version; sys.modules['pip'] = sys; $2" ;;
  "-m venv "*)
    case "$*" in *--clear*) rm -rf .venv ;; esac
    mkdir -p .venv/bin && cp "$0" "$here/version" .venv/bin && [ ! -e no-pip ] || exit 1
    echo '#!/bin/sh' > .venv/bin/dermassist && chmod +x .venv/bin/dermassist
    touch .venv/bin/activate ;;
  *" freeze "*) printf 'onnx==1.0\\nonnxruntime==9.9\\nonnxruntime-extra==1\\ntorch==2.0+cpu\\n' ;;
esac
"""

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that calls make in a folder with a stand-in for Python 3.11."""
    if os.name != "posix" or shutil.which("make") is None:
        pytest.skip("needs make and a POSIX shell")
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "version").write_text("(3, 11)")
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "asked").write_text("")
        return subprocess.run(
            ["make", "PYTHON=./python", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return call


def installs(folder: Path) -> list[str]:
    """Return what pip was asked to install, call by call."""
    lines = (folder / "asked").read_text().splitlines()
    return [line.split(" install --quiet ")[1] for line in lines if " install " in line]


def test_an_environment_is_made_and_filled_once(make: Make, tmp_path: Path) -> None:
    first = make("demo")
    assert (first.returncode, first.stderr) == (0, "")
    assert installs(tmp_path) == ["-c constraints.txt -e ."]
    assert make("demo").returncode == 0
    assert installs(tmp_path) == []


def test_too_old_a_python_is_refused_and_nothing_left(make: Make, tmp_path: Path) -> None:
    (tmp_path / "version").write_text("(3, 10)")
    outcome = make("demo")
    assert outcome.returncode != 0
    assert "Python 3.11 or later is needed: make PYTHON=python3.12" in outcome.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_half_made_environment_is_made_anew(make: Make, tmp_path: Path) -> None:
    # As Debian's Python does without its package for environments.
    (tmp_path / "no-pip").touch()
    assert make("demo").returncode != 0
    assert (tmp_path / ".venv/bin/python").exists()
    (tmp_path / "no-pip").unlink()
    assert make("demo").returncode == 0
    assert installs(tmp_path) == ["-c constraints.txt -e ."]


@pytest.mark.parametrize("spoil", ["older", "gone"])
def test_an_environment_that_does_not_work_any_more_is_made_anew(
    make: Make, tmp_path: Path, spoil: str
) -> None:
    assert make("demo").returncode == 0
    (tmp_path / ".venv/lib-of-old").touch()
    if spoil == "older":
        (tmp_path / ".venv/bin/version").write_text("(3, 9)")
    else:
        (tmp_path / ".venv/bin/python").unlink()
        (tmp_path / ".venv/bin/python").symlink_to("/no/python")
    assert make("demo").returncode == 0
    assert installs(tmp_path) == ["-c constraints.txt -e ."]
    assert not (tmp_path / ".venv/lib-of-old").exists()


def test_an_environment_stays_where_none_better_can_be_made(make: Make, tmp_path: Path) -> None:
    assert make("demo").returncode == 0
    for place in (".venv/bin/version", "version"):
        (tmp_path / place).write_text("(3, 9)")
    assert "Python 3.11 or later is needed" in make("demo").stderr
    assert (tmp_path / ".venv/bin/activate").exists()


def test_an_index_for_pytorch_gives_pytorch_alone(make: Make, tmp_path: Path) -> None:
    # pytest is none of the stand-in's.
    make("test", "TORCH_INDEX=https://example.org/cpu")
    assert installs(tmp_path) == [
        "-c constraints.txt --no-deps --index-url https://example.org/cpu torch",
        "-c constraints.txt -e .[app,train,dev]",
    ]


MARKED = ' ; sys_platform != "darwin" or platform_machine == "arm64"'


def test_pins_are_for_the_systems_that_they_are_built_for(make: Make, tmp_path: Path) -> None:
    (line,) = (
        line
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line.startswith("onnxruntime==")
    )
    assert line.endswith(MARKED)
    # And stay so when all is pinned anew.
    assert make("lock").returncode == 0
    assert (tmp_path / "constraints.txt").read_text().splitlines() == [
        "onnx==1.0",
        f"onnxruntime==9.9{MARKED}",
        "onnxruntime-extra==1",
        "torch==2.0",
    ]


@pytest.mark.parametrize("line_ends", ["true", "input", "false"])
def test_a_clone_holds_the_bytes_that_were_committed(tmp_path: Path, line_ends: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    contents = {
        "manifest.json": b'{\n "name": "tiny"\n}\n',
        "table.csv": b"a,b\n1,2\n",
        "LICENSE": b"Text\nof it\n",
        # To git these look like text.
        **{
            f"file.{kind}": b"bytes\r\nof\nit\r\n" for kind in ("pdf", "png", "onnx", "safetensors")
        },
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    shutil.copy(ROOT / ".gitattributes", tmp_path / ".gitattributes")

    def git(*arguments: str) -> None:
        # As an installation for Windows is set up, with none of this machine's own settings.
        settings = ("core.autocrlf=" + line_ends, "user.name=a", "user.email=a@example.org")
        options = [part for setting in settings for part in ("-c", setting)]
        place = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        subprocess.run(["git", *options, *arguments], cwd=tmp_path, env=place, check=True)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "all")
    for name in contents:
        (tmp_path / name).unlink()
    git("checkout", "--quiet", "--", ".")
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents
