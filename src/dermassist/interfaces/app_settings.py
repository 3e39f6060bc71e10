"""What the app takes from its surroundings."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
from pathlib import Path

from dermassist.errors import ConfigError

PASSWORD_VARIABLE = "DERMASSIST_PASSWORD"  # noqa: S105 - a variable's name
PASSWORD_FILE_VARIABLE = "DERMASSIST_PASSWORD_FILE"  # noqa: S105 - a variable's name
CASES_VARIABLE = "DERMASSIST_CASES"
CASES_URL_VARIABLE = "DERMASSIST_CASES_URL"
MODEL_VARIABLE = "DERMASSIST_MODEL"
#: Megabytes of one upload.
LARGEST_UPLOAD_MB = 30
#: Uploads of one batch.
LARGEST_BATCH = 200
#: Images that one session has at hand under Analyse, and may choose there at once.
MOST_ANALYSED = 20
SHORTEST_PASSWORD = 8


def password() -> str | None:
    """Return the password that the app asks for, if one is set.

    Raises:
        ConfigError: the file that holds it cannot be read, or it is too short to keep anyone out.
    """
    path = os.environ.get(PASSWORD_FILE_VARIABLE)
    try:
        given = Path(path).read_text(encoding="utf-8").strip() if path else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{PASSWORD_FILE_VARIABLE}: cannot be read ({error})") from error
    given = given if given is not None else os.environ.get(PASSWORD_VARIABLE)
    if given is None:
        return None
    if len(given) < SHORTEST_PASSWORD:
        raise ConfigError(f"the password must have at least {SHORTEST_PASSWORD} characters")
    return given


def is_password(given: str, *, wanted: str) -> bool:
    """Compare in a time that does not tell how much was right."""
    digests = (hashlib.sha256(text.encode()).digest() for text in (given, wanted))
    return hmac.compare_digest(*digests)


def is_loopback(address: str | None) -> bool:
    """Tell whether only this machine can reach an address; ``None`` is every address."""
    if address is None:
        return False
    if address == "localhost":
        return True
    try:
        given = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    # A socket for both versions of IP names IPv4 addresses in the form of IPv6.
    return (getattr(given, "ipv4_mapped", None) or given).is_loopback


def check_address(address: str | None) -> None:
    """Refuse to be reached from other machines without a password.

    Raises:
        ConfigError: the address is not this machine's own, and no password is set.
    """
    if not is_loopback(address) and password() is None:
        raise ConfigError(
            f"{address or 'every address'}: other machines could read the case book; set "
            f"{PASSWORD_VARIABLE} or {PASSWORD_FILE_VARIABLE} first, or use localhost"
        )


def model_folder() -> Path | None:
    """Return the folder that ``DERMASSIST_MODEL`` names; ``None`` means the model that ships."""
    given = os.environ.get(MODEL_VARIABLE)
    return Path(given) if given else None


def cases_folder() -> Path:
    """Return the folder of the case book: ``DERMASSIST_CASES``, or the user's data folder."""
    given = os.environ.get(CASES_VARIABLE)
    if given:
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "dermassist" / "cases"
