"""Starting the app: one process, on this machine alone unless told otherwise."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from dermassist.errors import ConfigError, MissingExtraError
from dermassist.interfaces.app_settings import (
    LARGEST_UPLOAD_MB,
    MODEL_VARIABLE,
    check_address,
    model_folder,
    password,
)
from dermassist.model.bundle import read_bundle

PROGRAM = Path(__file__).parent / "web" / "program.py"
SERVED = PROGRAM.with_name("asgi.py")
SERVER = "dermassist.interfaces.web.server"
#: Whether a process can become another one, which keeps its number and gets its signals.
BECOMES_THE_APP = os.name == "posix"
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


def check_startable(address: str, port: int, *, model: Path | None = None) -> None:
    """Refuse to start the app where it could not run, or would be open to anybody.

    Args:
        address: to listen on.
        port: to listen on.
        model: folder of a bundle; by default what ``DERMASSIST_MODEL`` names, or what ships.

    Raises:
        MissingExtraError: the extra ``app`` is not installed.
        BundleError: the model is missing, changed or of another schema.
        ConfigError: the address is open to others and no password is set, the one that is set is
            refused, or something listens at the address and port already.
    """
    if any(find_spec(name) is None for name in ("streamlit", "sqlalchemy", "fpdf")):
        raise MissingExtraError("The app", extra="app")
    check_address(address)
    # On this machine's own address too: every page would fail on one that is too short.
    password()
    # The app loads it with the first image, which is late to learn that there is none.
    read_bundle(model or model_folder())
    _check_free(address, port)


def _check_free(address: str, port: int) -> None:
    try:
        socket.create_connection((shown_address(address).strip("[]"), port), timeout=1.0).close()
    except OSError:
        return
    raise ConfigError(
        f"something listens at port {port} of {shown_address(address)} already, perhaps this app; "
        "choose another --port"
    )


def serve(
    *, address: str = DEFAULT_ADDRESS, port: int = DEFAULT_PORT, model: Path | None = None
) -> int:
    """Run the app until it is stopped; return its exit status.

    On POSIX this process becomes the app and the function does not return: whoever ends it by a
    signal ends the app, and no server stays behind.

    Args:
        address: to listen on.
        port: to listen on.
        model: folder of a bundle; by default what ``DERMASSIST_MODEL`` names, or what ships.

    Raises:
        MissingExtraError: the extra ``app`` is not installed.
        BundleError, ConfigError: as for ``check_startable``.
    """
    check_startable(address, port, model=model)
    chosen = {} if model is None else {MODEL_VARIABLE: str(model)}
    started = command(address=address, port=port)
    environment = {**os.environ, **chosen}
    if BECOMES_THE_APP:
        # What was said is lost with this program otherwise, where it goes to a file or a pipe.
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(started[0], started, environment)  # noqa: S606 - its words are our own
    try:
        return subprocess.run(started, check=False, env=environment).returncode  # noqa: S603 - the same
    except KeyboardInterrupt:
        return 0


def command(*, address: str, port: int) -> list[str]:
    """Return the command that runs the app."""
    options = {
        **OPTIONS,
        "server.address": address,
        "server.port": port,
        # Where it is not set, Streamlit asks a server on the Internet for this machine's address.
        "browser.serverAddress": shown_address(address),
    }
    flags = [f"--{name}={_written(value)}" for name, value in options.items()]
    return [sys.executable, "-m", SERVER, str(SERVED), *flags]


def shown_address(address: str) -> str:
    """Return an address as it stands in a URL; a name of this machine for every address."""
    try:
        given = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address
    if given.is_unspecified:
        return DEFAULT_ADDRESS
    return f"[{given}]" if given.version == 6 else str(given)


def _written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
