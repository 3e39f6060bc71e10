"""Who reaches the app: by the socket itself, whatever was configured about it."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dermassist.errors import ConfigError
from dermassist.interfaces.app_settings import check_address, is_loopback

#: "Policy violation", RFC 6455, section 7.4.1.
_POLICY_VIOLATION = 1008


class Guard:
    """Refuses what comes over a network while no password is set.

    Streamlit knows the address that it was configured with. Another server, such as
    ``uvicorn app:app --host 0.0.0.0``, listens where it was told to.
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
    if is_loopback(address):
        return None
    try:
        check_address(address)
    except ConfigError as error:
        return str(error)
    return None


GUARD = Middleware(Guard)
