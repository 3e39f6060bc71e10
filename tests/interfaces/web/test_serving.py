"""Both ways to start serve the pages and the downloads, to this machine alone."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dermassist.interfaces.app_server import command

from ...conftest import PATIENCE_S

ROOT = Path(__file__).parents[3]
Start = Callable[[int], list[str]]


def installed(port: int) -> list[str]:
    return command(address="localhost", port=port)


def by_its_name(port: int) -> list[str]:
    return [str(Path(sys.executable).with_name("dermassist")), "app", f"--port={port}"]


def from_the_clone(port: int) -> list[str]:
    return [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]


def by_another_server(port: int) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "app:app", "--host=0.0.0.0", f"--port={port}"]


def network_address() -> str | None:
    """Return an address of this machine that others may reach, if there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Of the documentation's own network; nothing is sent.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


@contextmanager
def served(start: Start, cases: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen(
        start(port),
        cwd=ROOT,
        env={**os.environ, "DERMASSIST_CASES": str(cases)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until_healthy(port, process)
            yield port, process
        finally:
            process.kill()


def wait_until_healthy(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            assert get(port, "_stcore/health")[0] == 200
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the app did not start")


def is_served(port: int) -> bool:
    try:
        return get(port, "_stcore/health")[0] == 200
    except OSError:
        return False


def get(port: int, path: str, *, host: str = "localhost") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/{path}", timeout=PATIENCE_S) as response:
            return int(response.status), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def addresses_listened_on(port: int) -> set[str]:
    """Return the addresses in the kernel's own hexadecimal form."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    places = (row[1].split(":") for row in rows if row[3] == "0A")
    return {address for address, at in places if int(at, 16) == port}


@pytest.mark.slow
@pytest.mark.parametrize("start", [installed, from_the_clone], ids=lambda start: start.__name__)
def test_pages_and_downloads_are_served_to_this_machine_alone(start: Start, tmp_path: Path) -> None:
    with served(start, tmp_path / "cases") as (port, process):
        status, page = get(port, "")
        assert status == 200
        assert b"<html" in page
        assert get(port, "downloads/guessed/DermAssist_Report.pdf") == (
            404,
            b"This download has ended. Open the page again.",
        )
        loopback = {"0100007F", "00000000000000000000000001000000"}
        listening = addresses_listened_on(port)
        assert listening
        assert listening <= loopback
        process.send_signal(signal.SIGINT)
        # It ends by itself: a negative status would be that of a signal.
        assert process.wait(timeout=PATIENCE_S) >= 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(
    ("ending", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)]
)
def test_whoever_ends_the_program_ends_the_app(
    ending: signal.Signals, status: int, tmp_path: Path
) -> None:
    with served(by_its_name, tmp_path / "cases") as (port, process):
        process.send_signal(ending)
        assert process.wait(timeout=PATIENCE_S) == status
        assert not is_served(port)


@pytest.mark.slow
def test_a_page_of_another_name_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DERMASSIST_PASSWORD", "DERMASSIST_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    with served(installed, tmp_path / "cases") as (port, _):
        for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
            assert asked_as(port, host) == 200
        # A name of its own that somebody lets point to this machine.
        assert asked_as(port, f"evil.example:{port}") == 403
        own = f"http://localhost:{port}"
        assert asked_as(port, f"localhost:{port}", origin=own) == 101
        assert asked_as(port, f"localhost:{port}", origin="http://evil.example") == 403


def asked_as(port: int, host: str, *, origin: str | None = None) -> int:
    """Return the status of a request under a name; with an origin, of a WebSocket."""
    headers = {"Host": host}
    if origin is not None:
        headers |= {
            "Origin": origin,
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "c2l4dGVlbiBieXRlcyEhIQ==",
        }
    connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/_stcore/stream" if origin else "/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.slow
def test_another_server_on_every_address_serves_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = network_address()
    if address is None or address.startswith("127."):
        pytest.skip("needs a network address of this machine")
    for name in ("DERMASSIST_PASSWORD", "DERMASSIST_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    with served(by_another_server, tmp_path / "cases") as (port, _):
        assert get(port, "")[0] == 200
        for path in ("", "_stcore/health", "downloads/guessed/DermAssist_Report.pdf"):
            status, said = get(port, path, host=address)
            assert status == 403
            assert b"set DERMASSIST_PASSWORD" in said
