from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from http.client import HTTPMessage
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from dermassist.data import transport
from dermassist.data.transport import (
    RetryPolicy,
    TemporaryDownloadError,
    check_url,
    open_url,
    read_chunk,
    retry,
)
from dermassist.errors import DownloadError

from .fake_dataverse import FakeDataverse, Waits, impatient, silence, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDataverse]:
    monkeypatch.setenv("no_proxy", "*")
    with FakeDataverse() as fake:
        yield fake


def read(url: str, *, timeout_s: float = 5.0) -> bytes:
    body = b""
    with open_url(url, timeout_s=timeout_s) as response:
        while chunk := read_chunk(response, url):
            body += chunk
    return body


def failing(times: int, *, asked_wait_s: float = 0.0) -> Callable[[], str]:
    left = [times]

    def action() -> str:
        if left[0] > 0:
            left[0] -= 1
            raise TemporaryDownloadError("It rains.", asked_wait_s=asked_wait_s)
        return "done"

    return action


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dataverse.harvard.edu",
        "ftp://dataverse.harvard.edu/",
        "file:///etc/passwd",
        "data:text/plain,hello",
        "https://",
        "http://[::1",
        "http://localhost:99999",
        "http://localhost:0",
        "https://dataverse.harvard.edu/a b",
        "https://dataverse.harvard.edu/\r\nHost: other",
        "https://dätaverse.example/",
    ],
)
def test_only_http_addresses_are_accepted(url: str) -> None:
    with pytest.raises(DownloadError, match="is not an address to download from"):
        check_url(url)
    with pytest.raises(DownloadError), open_url(url, timeout_s=1):
        pass


@pytest.mark.parametrize("url", ["http://localhost:8080", "HTTPS://dataverse.harvard.edu/a?b=c"])
def test_http_addresses_are_accepted(url: str) -> None:
    check_url(url)


def test_program_names_itself(server: FakeDataverse) -> None:
    server.contents["/a"] = b"hello"
    assert read(f"{server.url}/a") == b"hello"
    assert server.requests[0][1]["user-agent"].startswith("dermassist/")
    assert "range" not in server.requests[0][1]


def test_redirects_are_followed_with_the_range(server: FakeDataverse) -> None:
    server.contents |= {"/a": b"", "/b": b"", "/c": b"0123456789"}
    server.script("/a", status(303, Location=f"{server.url}/b"))
    server.script("/b", status(302, Location="/c"))
    with open_url(f"{server.url}/a", timeout_s=5, first_byte=4) as response:
        assert read_chunk(response, "") == b"456789"
    assert server.ranges() == ["bytes=4-"] * 3


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:text/plain,a"])
def test_redirect_away_from_http_is_refused(server: FakeDataverse, target: str) -> None:
    server.contents["/a"] = b""
    server.script("/a", status(302, Location=target))
    with pytest.raises(DownloadError) as refused:
        read(f"{server.url}/a")
    assert not isinstance(refused.value, TemporaryDownloadError)


def test_redirect_from_https_to_http_is_refused() -> None:
    request = urllib.request.Request("https://dataverse.harvard.edu/a")
    body = BytesIO(b"moved")
    with pytest.raises(DownloadError, match="never from https to http"):
        transport._SafeRedirect().redirect_request(
            request, body, 302, "Found", HTTPMessage(), "http://dataverse.harvard.edu/a"
        )
    assert body.closed


def test_endless_redirects_end(server: FakeDataverse) -> None:
    server.contents["/a"] = b""
    server.script("/a", *[status(302, Location="/a")] * 20)
    with pytest.raises(DownloadError, match="302"):
        read(f"{server.url}/a")
    assert len(server.requests) < 15


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 501])
def test_refusal_is_final_and_quotes_the_server(server: FakeDataverse, code: int) -> None:
    server.contents["/a"] = b""
    server.script("/a", status(code, b'{"message": "Ask the\\n owner."}'))
    with pytest.raises(DownloadError, match=rf"{code} \(.+\): Ask the owner\. Check") as refused:
        read(f"{server.url}/a")
    assert not isinstance(refused.value, TemporaryDownloadError)


@pytest.mark.parametrize(
    "text",
    [b"<html>No</html>", b"[]", b'{"message"', b"\xff", b"[" * 4096, b'{"message":"\\u001b"}'],
)
def test_what_else_a_refusal_says_is_left_out(server: FakeDataverse, text: bytes) -> None:
    server.contents["/a"] = b""
    server.script("/a", status(404, text))
    with pytest.raises(DownloadError, match=r"/a answered 404 \(Not Found\)\. Check the address"):
        read(f"{server.url}/a")


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_overload_may_pass(server: FakeDataverse, code: int) -> None:
    server.contents["/a"] = b""
    server.script("/a", status(code, Retry_After="7"), status(code, Retry_After="Fri, 1 Jan 2027"))
    for asked_wait_s in (7, 0):
        with pytest.raises(TemporaryDownloadError) as failure:
            read(f"{server.url}/a")
        assert failure.value.asked_wait_s == asked_wait_s


def test_silence_ends_in_time(server: FakeDataverse) -> None:
    server.contents["/a"] = b""
    server.script("/a", silence)
    with pytest.raises(TemporaryDownloadError, match="did not answer in time"):
        read(f"{server.url}/a", timeout_s=0.05)


def test_untrusted_certificate_is_final() -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    error = transport._broken("https://mirror.example", urllib.error.URLError(refused))
    assert not isinstance(error, TemporaryDownloadError)
    assert "self-signed certificate" in str(error)


def test_nobody_listening_may_pass(server: FakeDataverse) -> None:
    with FakeDataverse() as closed:
        url = closed.url
    with pytest.raises(TemporaryDownloadError, match="The connection to"):
        read(url)


def test_retry_returns_what_the_action_returns_and_doubles_its_pauses() -> None:
    waits = Waits()
    assert retry(failing(3), policy=impatient(tries=4, sleep=waits)) == "done"
    assert waits.seconds == [1.0, 2.0, 4.0]


def test_retry_gives_up_without_a_last_pause() -> None:
    waits = Waits()
    with pytest.raises(DownloadError, match=r"It rains\. Gave up after 3 tries; run "):
        retry(failing(3), policy=impatient(tries=3, sleep=waits))
    assert waits.seconds == [1.0, 2.0]


def test_pauses_have_a_limit() -> None:
    policy = RetryPolicy(first_wait_s=1, longest_wait_s=10)
    assert [policy.wait_s(failures) for failures in (1, 2, 4, 5, 500)] == [1, 2, 8, 10, 10]


def test_retry_waits_as_long_as_the_server_asks() -> None:
    waits = Waits()
    retry(failing(2, asked_wait_s=30), policy=impatient(sleep=waits))
    assert waits.seconds == [30, 30]


def test_retry_does_not_disturb_a_server_that_wants_a_long_pause() -> None:
    waits = Waits()
    with pytest.raises(DownloadError, match="a pause of 3600 s"):
        retry(failing(1, asked_wait_s=3600), policy=impatient(sleep=waits))
    assert waits.seconds == []


def test_tries_are_counted_anew_after_one_that_came_further() -> None:
    lengths = iter([0, 10, 10, 20, 20, 30, 25, 30])
    reached = [0]

    def action() -> None:
        reached[0] = next(lengths)
        raise TemporaryDownloadError("It rains.")

    with pytest.raises(DownloadError, match="Gave up after 3 tries"):
        retry(action, policy=impatient(tries=3), reached=lambda: reached[0])
    assert list(lengths) == []


def test_other_errors_are_not_retried() -> None:
    calls: list[int] = []

    def action() -> None:
        calls.append(1)
        raise DownloadError("No.")

    with pytest.raises(DownloadError, match=r"^No\.$"):
        retry(action, policy=impatient())
    assert calls == [1]


@pytest.mark.parametrize(("tries", "timeout_s"), [(0, 1.0), (1, 0.0)])
def test_impossible_policy_is_refused(tries: int, timeout_s: float) -> None:
    with pytest.raises(DownloadError, match="tries of at least 1"):
        RetryPolicy(tries=tries, timeout_s=timeout_s)
