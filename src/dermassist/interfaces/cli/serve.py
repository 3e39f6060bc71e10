"""``dermassist app``: the browser app on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from dermassist.interfaces.cli.option import Tta
from dermassist.interfaces.cli.output import say


def serve(
    *,
    address: Annotated[
        str, typer.Option(help="Address to listen on; one that others reach needs a password.")
    ] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    tta: Tta = False,
) -> None:
    """Start the app, which sends nothing but to its case book's database. Ctrl-C ends it."""
    from dermassist.interfaces.app_server import (  # noqa: PLC0415 - fast --help
        check_startable,
        shown_address,
    )
    from dermassist.interfaces.app_server import serve as serve_app  # noqa: PLC0415
    from dermassist.interfaces.app_settings import cases_folder, model_folder  # noqa: PLC0415
    from dermassist.model.bundle import bundle_directory  # noqa: PLC0415

    model = bundle_directory(model_folder(), tta=True) if tta else None
    # Before the address is named: it would be that of nothing.
    check_startable(address, port, model=model)
    place = f"http://{shown_address(address)}:{port}"
    say(f"Open {place} in a browser. Cases are kept in {cases_folder()}.")
    status = serve_app(address=address, port=port, model=model)
    if status:
        raise typer.Exit(status)
