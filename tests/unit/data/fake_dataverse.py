"""A Dataverse on the loopback interface that can be told to misbehave, and other stand-ins."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from dermassist.data.transport import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

LISTING_PATH = "/api/datasets/:persistentId/versions/:latest-published"


@dataclass
class Waits:
    """A sleep that only writes down how long it should have been."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, wait_s: float) -> None:
        self.seconds.append(wait_s)


@dataclass
class RecordedProgress:
    """A progress that keeps, for each task, its name, total, start and the bytes it advanced."""

    tasks: list[list[Any]] = field(default_factory=list)
    finished: int = 0

    def start(self, task: str, *, total_bytes: int | None, done_bytes: int = 0) -> None:
        self.tasks.append([task, total_bytes, done_bytes, 0])

    def advance(self, count_bytes: int) -> None:
        self.tasks[-1][3] += count_bytes

    def finish(self) -> None:
        self.finished += 1


def impatient(tries: int = 4, timeout_s: float = 5.0, sleep: Waits | None = None) -> RetryPolicy:
    """Return a policy for tests: nobody really sleeps."""
    return RetryPolicy(tries=tries, timeout_s=timeout_s, sleep=sleep or Waits())


class FakeDataverse:
    """Serves a list of files and their contents; ``script`` tells how the next requests go wrong.

    ``requests`` holds the path (with query) and headers of everything that was asked for.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.contents: dict[str, bytes] = {}
        self.entries: list[dict[str, Any]] = []
        self.listing: bytes | None = None
        self.released = threading.Event()
        self._scripts: dict[str, list[Reply]] = defaultdict(list)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def publish(self, label: str, content: bytes, **data_file: object) -> str:
        """List a file, described truthfully except for ``data_file``, and return its path."""
        number = 3000 + len(self.entries)
        described = {
            "id": number,
            "filename": label,
            "filesize": len(content),
            "checksum": {"type": "MD5", "value": hashlib.md5(content).hexdigest()},
        }
        self.entries.append(
            {"label": label, "restricted": False, "dataFile": described | data_file}
        )
        path = f"/api/access/datafile/{number}"
        self.contents[path] = content
        return path

    def publish_table(self, label: str, original: bytes, converted: bytes) -> str:
        """Put a table into the list as Dataverse does when it has converted one."""
        path = self.publish(
            label,
            original,
            filesize=len(converted) - len(converted.partition(b"\n")[0]) - 1,
            tabularData=True,
            originalFileFormat="text/csv",
            originalFileName=f"{label.partition('.')[0]}.csv",
            originalFileSize=len(original),
        )
        self.contents[f"{path}?format=original"] = original
        self.contents[path] = converted
        return f"{path}?format=original"

    def script(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for a path so, one after the other; then properly."""
        self._scripts[path] += replies

    def unscript(self) -> None:
        """Answer properly from now on."""
        self._scripts.clear()

    def paths(self) -> list[str]:
        """Return what was asked for, without the list of files."""
        return [path for path, _ in self.requests if not path.startswith(LISTING_PATH)]

    def ranges(self) -> list[str | None]:
        """Return the Range header of each request."""
        return [headers.get("range") for _, headers in self.requests]

    def answer(self, handler: _Handler) -> None:
        path = handler.path
        self.requests.append((path, {k.lower(): v for k, v in handler.headers.items()}))
        if path.startswith(f"{LISTING_PATH}?"):
            path = LISTING_PATH
        replies = self._scripts[path]
        reply = replies.pop(0) if replies else properly
        body = self._listing() if path == LISTING_PATH else self.contents.get(path)
        if body is None:
            reply, body = (
                status(404, b'{"status":"ERROR","message":"File not found for given id."}'),
                b"",
            )
        reply(handler, body)

    def _listing(self) -> bytes:
        if self.listing is not None:
            return self.listing
        version = {"versionNumber": 4, "versionMinorNumber": 0, "files": self.entries}
        return json.dumps({"status": "OK", "data": version}).encode()

    def asked_persistent_id(self) -> str:
        """Return the persistent identifier that the first request for the list named."""
        return parse_qs(urlsplit(self.requests[0][0]).query)["persistentId"][0]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.fake.answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def first_byte(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0


class _Server(ThreadingHTTPServer):
    fake: FakeDataverse
    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is tested."""


if TYPE_CHECKING:
    Reply = Callable[[_Handler, bytes], None]


def properly(handler: _Handler, body: bytes) -> None:
    """Send the file, or its rest from the byte that was asked for."""
    start = handler.first_byte()
    if start and start >= len(body):
        handler.head(416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
        return
    headers = {"Content-Length": str(len(body) - start)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    handler.head(206 if start else 200, headers)
    handler.wfile.write(body[start:])


def without_range(handler: _Handler, body: bytes) -> None:
    """Send the whole file whatever was asked for."""
    handler.head(200, {"Content-Length": str(len(body))})
    handler.wfile.write(body)


def other_range(handler: _Handler, body: bytes) -> None:
    """Send a part that was not asked for."""
    handler.head(206, {"Content-Range": f"bytes 1-{len(body) - 1}/{len(body)}"})
    handler.wfile.write(body[1:])


def unmeasured(handler: _Handler, body: bytes) -> None:
    """Send the whole file without saying how long it is."""
    handler.head(200, {})
    handler.wfile.write(body)


def broken_off(after: int, *, measured: bool = True) -> Reply:
    """Close the connection after so many bytes of what was to be sent."""

    def reply(handler: _Handler, body: bytes) -> None:
        start = handler.first_byte()
        headers = {"Content-Length": str(len(body) - start)} if measured else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        handler.head(206 if start else 200, headers)
        handler.wfile.write(body[start : start + after])

    return reply


def reset(handler: _Handler, body: bytes) -> None:
    """Send half of the file, then reset the connection."""
    handler.head(200, {"Content-Length": str(len(body))})
    handler.wfile.write(body[: len(body) // 2])
    linger_none = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
    handler.connection.close()


def silence(handler: _Handler, body: bytes) -> None:
    """Answer nothing until the server is closed."""
    handler.server.fake.released.wait(10)


def silence_after(count: int) -> Reply:
    """Send so many bytes, then nothing until the server is closed."""

    def reply(handler: _Handler, body: bytes) -> None:
        handler.head(200, {"Content-Length": str(len(body))})
        handler.wfile.write(body[:count])
        handler.wfile.flush()
        handler.server.fake.released.wait(10)

    return reply


def status(code: int, text: bytes = b"", **headers: str) -> Reply:
    """Answer with a status; headers are given with underscores for hyphens."""

    def reply(handler: _Handler, body: bytes) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.head(code, named | {"Content-Length": str(len(text))})
        handler.wfile.write(text)

    return reply


def instead(content: bytes) -> Reply:
    """Send another file."""
    return lambda handler, body: without_range(handler, content)


def unmeasured_instead(content: bytes) -> Reply:
    """Send another file without saying how long it is."""
    return lambda handler, body: unmeasured(handler, content)
