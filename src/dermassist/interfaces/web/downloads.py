"""Downloads at addresses that no redrawing of a page changes.

Streamlit's own download buttons get a new address at every redrawing, and the old one ends before
the browser knows the new one: whoever clicks soon after a change gets an error and no file. It
also drops a finished file once two redrawings of anybody have ended, fetched or not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from weakref import WeakValueDictionary

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dermassist.errors import DermAssistError

FOLDER = "downloads"
_OFFERED = "downloads"
_TOKEN_BYTES = 32


@dataclass(frozen=True, eq=False)
class File:
    """A file to be made: its name, its media type, and what makes it."""

    name: str
    media_type: str
    make: Callable[[], bytes]


class Offer:
    """A download of one session; ``file`` is replaced whenever the page is drawn anew."""

    def __init__(self, file: File) -> None:
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.file = file


#: By token, as long as a session holds them.
_OFFERS: WeakValueDictionary[str, Offer] = WeakValueDictionary()


def offer(key: str, file: File) -> Offer:
    """Let this session's user download a file; made when asked for, from then on this one.

    Args:
        key: tells the downloads of a session apart; the same key keeps its address.
        file: what is offered.
    """
    offered: dict[str, Offer] = st.session_state.setdefault(_OFFERED, {})
    if key in offered:
        offered[key].file = file
    else:
        offered[key] = Offer(file)
        _OFFERS[offered[key].token] = offered[key]
    return offered[key]


def download_link(label: str, offered: Offer) -> None:
    """Draw a link that saves the offered file."""
    name = offered.file.name
    # Relative, so that it also holds behind a proxy; ``download`` keeps the page where it is.
    address = f"{FOLDER}/{offered.token}/{name}"
    st.html(
        f'<a class="download" href="{escape(address)}" download="{escape(name)}">'
        f"{escape(label)}</a>"
    )


def withdraw_all() -> None:
    """End this session's offers, with all that they hold in memory."""
    st.session_state.pop(_OFFERED, None)


async def _deliver(request: Request) -> Response:
    offered = _OFFERS.get(request.path_params["token"])
    if offered is None:
        return PlainTextResponse("This download has ended. Open the page again.", 404)
    file = offered.file
    try:
        content = await run_in_threadpool(file.make)
    except DermAssistError as error:
        return PlainTextResponse(str(error), 409)
    headers = {
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=file.media_type, headers=headers)


ROUTE = Route(f"/{FOLDER}/{{token}}/{{name}}", _deliver)
