"""Who reaches the app: by the socket and the names in the request, whatever was configured."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dermassist.errors import ConfigError
from dermassist.interfaces.app_settings import (
    PASSWORD_VARIABLE,
    check_address,
    is_loopback,
    password,
)

#: "Policy violation", RFC 6455, section 7.4.1.
_POLICY_VIOLATION = 1008
#: A name or an address, IPv6 in brackets, and perhaps a port: RFC 9110, section 7.2.
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+)(?::[0-9]*)?")


class Guard:
    """Refuses what comes over a network, or for another name, while no password is set.

    Streamlit knows the address that it was configured with. Another server, such as
    ``uvicorn app:app --host 0.0.0.0``, listens where it was told to.

    A page of somebody else may also get the user's own browser to ask: under a name of its own that
    it lets point to this machine (DNS rebinding), or over a WebSocket, which browsers open to any
    place. So the name asked for must be this machine's own, and a WebSocket must be opened by a
    page of the app itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 403 with what to do about it."""
        refusal = _refusal(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
        else:
            answer = PlainTextResponse(f"The app is not served here: {refusal}.", 403)
            await answer(scope, receive, send)


def _refusal(scope: Scope) -> str | None:
    """Return why a connection is refused, or ``None``."""
    # Of the accepted connection: never "every address".
    address, *_ = scope.get("server") or (None,)
    headers = Headers(scope=scope)
    try:
        if not is_loopback(address):
            check_address(address)
        _check_host(headers)
        if scope["type"] == "websocket":
            _check_origin(headers)
    except ConfigError as error:
        return str(error)
    return None


def _check_host(headers: Headers) -> None:
    """Refuse to be asked for by another name than this machine's own, without a password.

    Raises:
        ConfigError: another name, none, or several, and no password is set.
    """
    hosts = headers.getlist("host")
    named = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if named is not None and is_loopback(named["name"].lower()):
        return
    if password() is None:
        asked = ", ".join(hosts) or "no name"
        raise ConfigError(
            f"it was asked for as {asked!r:.100}, which may lead other pages to the case book; "
            f"open it as localhost, or set {PASSWORD_VARIABLE} first"
        )


def _check_origin(headers: Headers) -> None:
    """Refuse what another page opens, which Streamlit would compare with an address from outside.

    Raises:
        ConfigError: the browser names another page than one of the app.
    """
    for origin in headers.getlist("origin"):
        # RFC 6454, section 7: scheme and place, nothing else; or "null".
        place = origin.partition("://")[2]
        if place.lower() != headers.get("host", "").lower():
            raise ConfigError(f"a page of {origin!r:.100} opened it, not one of the app")


GUARD = Middleware(Guard)
