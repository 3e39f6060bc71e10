"""HTTP as a download needs it: http(s) only, a time limit on every wait, failures told apart.

A failure that may pass is a :class:`TemporaryDownloadError`, and :func:`retry` tries again with
growing pauses; any other is a plain :class:`~dermassist.errors.DownloadError` and ends the work.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from typing import IO, TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit

from dermassist import __version__
from dermassist.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Result = TypeVar("_Result")

# Harvard's firewall refuses the names that Python's HTTP clients give themselves.
_USER_AGENT = f"dermassist/{__version__}"
_CHUNK_BYTES = 1 << 18
_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class TemporaryDownloadError(DownloadError):
    """A failure that may pass; ``asked_wait_s`` is how long the server asked to be left alone."""

    def __init__(self, message: str, *, asked_wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.asked_wait_s = asked_wait_s


class RangeRefusedError(TemporaryDownloadError):
    """The server cannot continue where the file at hand ends; it has to be begun anew."""


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a download is.

    ``tries`` (at least 1) is how many may fail in a row, counted anew after each that came further.
    The pause between them doubles from ``first_wait_s`` up to ``longest_wait_s``; ``timeout_s``
    bounds each single wait for the server.
    """

    tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.tries < 1 or self.timeout_s <= 0:
            raise DownloadError(
                "A download needs tries of at least 1 and a timeout_s above 0, "
                f"got {self.tries} and {self.timeout_s}."
            )

    def wait_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row (1 or more), in seconds."""
        return min(self.first_wait_s * 2.0 ** (failures - 1), self.longest_wait_s)


PATIENT = RetryPolicy()


def retry(
    action: Callable[[], _Result], *, policy: RetryPolicy, reached: Callable[[], int] = lambda: 0
) -> _Result:
    """Do ``action`` until it succeeds, pausing after each temporary failure.

    Args:
        action: what to do; it raises TemporaryDownloadError when another try may help.
        policy: how often and how slowly.
        reached: how far the work has come. A try that came further than any before starts the
            count of tries anew, so a long file may break off any number of times.

    Raises:
        DownloadError: the tries are used up, or the server asks for a pause beyond the policy's.
    """
    failures, furthest = 0, reached()
    while True:
        try:
            return action()
        except TemporaryDownloadError as failure:
            failures = 1 if reached() > furthest else failures + 1
            furthest = max(furthest, reached())
            if failures >= policy.tries:
                tries = "1 try" if failures == 1 else f"{failures} tries"
                raise DownloadError(
                    f"{failure} Gave up after {tries}; run the command again later."
                ) from failure
            if failure.asked_wait_s > policy.longest_wait_s:
                raise DownloadError(
                    f"{failure} The server asks for a pause of {failure.asked_wait_s:.0f} s: "
                    "run the command again after that."
                ) from failure
            policy.sleep(max(policy.wait_s(failures), failure.asked_wait_s))


def check_url(url: str) -> None:
    """Refuse an address that is not plain http or https.

    Raises:
        DownloadError: another scheme, no host, an impossible port, or unescaped characters.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise DownloadError(
            f"{url!r} is not an address to download from: give one that begins with https:// or "
            "http:// and names a host."
        )


@contextmanager
def open_url(url: str, *, timeout_s: float, first_byte: int = 0) -> Iterator[HTTPResponse]:
    """Ask for a resource from ``first_byte`` on (0 = all of it) and close it afterwards.

    Redirects are followed to http(s) addresses, never from https down to http.

    Raises:
        RangeRefusedError: there is nothing at ``first_byte``.
        TemporaryDownloadError: no answer, a broken connection or a status that may pass.
        DownloadError: any other refusal.
    """
    check_url(url)
    headers = {"User-Agent": _USER_AGENT} | (
        {"Range": f"bytes={first_byte}-"} if first_byte else {}
    )
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - check_url: http(s) only
    try:
        # urllib declares no type for what its own HTTP handlers return.
        response = cast("HTTPResponse", _opener().open(request, timeout=timeout_s))
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error) from error
    except (OSError, HTTPException) as error:
        raise _broken(url, error) from error
    with response:
        yield response


def read_chunk(response: HTTPResponse, url: str) -> bytes:
    """Read what has arrived of a response's body (up to 256 KiB); empty bytes at its end.

    Raises:
        TemporaryDownloadError: the connection broke, fell silent or ended before the body did.
    """
    try:
        chunk = response.read1(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _broken(url, error) from error
    if not chunk and response.length:
        raise TemporaryDownloadError(
            f"The connection to {url} ended {response.length:,} bytes early."
        )
    return chunk


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s) addresses, without giving up encryption on the way."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            fp.close()
            raise DownloadError(
                f"{req.full_url} leads on to {newurl:.100}, which is not followed: only http and "
                "https are, and never from https to http."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # urllib's ready-made opener also reads file:, ftp: and data: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _SafeRedirect(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(url: str, error: urllib.error.HTTPError) -> DownloadError:
    said = _server_message(error)
    message = f"{url} answered {error.code} ({error.reason}){said}."
    if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeRefusedError(message)
    if error.code in _PASSING:
        asked = error.headers.get("Retry-After", "")
        asked_wait_s = float(asked) if asked.isdecimal() else 0.0
        return TemporaryDownloadError(message, asked_wait_s=asked_wait_s)
    return DownloadError(f"{message} Check the address, or try again later.")


def _server_message(error: urllib.error.HTTPError) -> str:
    """Return what the server's JSON says about an error, as ``: text``, or nothing."""
    try:
        said = json.loads(error.read(4096))["message"]
    except (OSError, HTTPException, ValueError, TypeError, KeyError, RecursionError):
        return ""
    text = " ".join(str(said).split())[:200].rstrip(".")
    return f": {text}" if text.isprintable() else ""


def _broken(url: str, error: Exception) -> DownloadError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError | InvalidURL):
        return DownloadError(f"{url} cannot be trusted or reached: {reason}.")
    if isinstance(reason, TimeoutError):
        return TemporaryDownloadError(f"{url} did not answer in time.")
    text = str(reason) or type(reason).__name__
    return TemporaryDownloadError(f"The connection to {url} failed ({text}).")
