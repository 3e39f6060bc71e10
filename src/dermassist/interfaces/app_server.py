"""Starting the app: one process, on this machine alone unless told otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from dermassist.errors import MissingExtraError
from dermassist.interfaces.app_settings import (
    LARGEST_UPLOAD_MB,
    MODEL_VARIABLE,
    check_address,
    password,
)

PROGRAM = Path(__file__).parent / "web" / "program.py"
SERVED = PROGRAM.with_name("asgi.py")
DEFAULT_ADDRESS = "localhost"
DEFAULT_PORT = 8501
#: As in ``.streamlit/config.toml``, which ``streamlit run app.py`` reads.
OPTIONS: dict[str, str | int | bool] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": LARGEST_UPLOAD_MB,
    "theme.light.primaryColor": "#0b5563",
    "theme.dark.primaryColor": "#6cc5d4",
    "theme.font": "sans-serif",
}


def check_startable(address: str) -> None:
    """Refuse to start the app where it could not run, or would be open to anybody.

    Raises:
        MissingExtraError: the extra ``app`` is not installed.
        ConfigError: the address is open to others and no password is set, or the one that is set
            is refused.
    """
    if any(find_spec(name) is None for name in ("streamlit", "sqlalchemy", "fpdf")):
        raise MissingExtraError("The app", extra="app")
    check_address(address)
    # On this machine's own address too: every page would fail on one that is too short.
    password()


def serve(
    *, address: str = DEFAULT_ADDRESS, port: int = DEFAULT_PORT, model: Path | None = None
) -> int:
    """Run the app until it is stopped; return its exit status.

    Args:
        address: to listen on.
        port: to listen on.
        model: folder of a bundle; by default what ``DERMASSIST_MODEL`` names, or what ships.

    Raises:
        MissingExtraError: the extra ``app`` is not installed.
        ConfigError: the address is open to others and no password is set, or the one that is set
            is refused.
    """
    check_startable(address)
    chosen = {} if model is None else {MODEL_VARIABLE: str(model)}
    started = command(address=address, port=port)
    try:
        # Its words are our own.
        return subprocess.run(started, check=False, env={**os.environ, **chosen}).returncode  # noqa: S603
    except KeyboardInterrupt:
        return 0


def command(*, address: str, port: int) -> list[str]:
    """Return the command that runs the app."""
    options = {**OPTIONS, "server.address": address, "server.port": port}
    flags = [f"--{name}={_written(value)}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(SERVED), *flags]


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
