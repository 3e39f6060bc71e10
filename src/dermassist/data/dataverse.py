"""What a Dataverse archive publishes about a data set: its files, their sizes and checksums.

Sources: Dataverse guides, "Native API" (dataset versions) and "Data Access API". An uploaded table
is kept as it was and also converted to tab-separated text. The listing's ``filesize`` is that of
the converted text without the header line which is added when it is sent, so it cannot be checked;
the listing's checksum and ``originalFileSize`` are those of the upload, which ``format=original``
delivers (github.com/IQSS/dataverse, threads 5321 and 7275). Hence the upload is downloaded here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dermassist.data.checksum import Checksum
from dermassist.data.download import Source
from dermassist.data.transport import PATIENT, RetryPolicy, check_url, open_url, read_chunk, retry
from dermassist.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

HARVARD_DATAVERSE = "https://dataverse.harvard.edu"
_LONGEST_LISTING_BYTES = 32 * 2**20


@dataclass(frozen=True)
class RemoteFile:
    """One file of a published data set.

    ``names``: what it is called; a converted table also has, first, the name of its upload.
    ``restricted``: the archive gives it to authorised accounts only.
    """

    names: tuple[str, ...]
    source: Source
    restricted: bool = False


@dataclass(frozen=True)
class Listing:
    """A published version of a data set, ``version`` as in ``4.0``, and its files."""

    persistent_id: str
    version: str
    files: tuple[RemoteFile, ...]


def read_listing(
    persistent_id: str, *, base_url: str = HARVARD_DATAVERSE, policy: RetryPolicy = PATIENT
) -> Listing:
    """Ask a Dataverse for the latest published version of a data set.

    Args:
        persistent_id: such as ``doi:10.7910/DVN/DBW86T``.
        base_url: the installation's home, http(s), without ``/api``.
        policy: patience with the server.

    Raises:
        DownloadError: the archive cannot be reached, refuses, or does not answer as Dataverse does.
    """
    base_url = base_url.rstrip("/")
    check_url(base_url)
    query = urlencode({"persistentId": persistent_id})
    url = f"{base_url}/api/datasets/:persistentId/versions/:latest-published?{query}"
    body = retry(lambda: _read_body(url, policy.timeout_s), policy=policy)
    try:
        version = _member(json.loads(body), "data", dict)
        entries = _member(version, "files", list)
        files = tuple(_to_remote_file(entry, base_url) for entry in entries)
    except (_SchemaError, ValueError, RecursionError) as error:
        start = body[:60].decode("ascii", errors="replace")
        raise DownloadError(
            f"{url} did not answer with a Dataverse file list ({error}); the answer begins "
            f"{start!r}. Check the address, or try again later."
        ) from error
    number = f"{version.get('versionNumber', '?')}.{version.get('versionMinorNumber', '?')}"
    return Listing(persistent_id, number, files)


class _SchemaError(Exception):
    """The archive's JSON lacks something or has it in another form."""


def _read_body(url: str, timeout_s: float) -> bytes:
    body = bytearray()
    with open_url(url, timeout_s=timeout_s) as response:
        while chunk := read_chunk(response, url):
            body += chunk
            if len(body) > _LONGEST_LISTING_BYTES:
                raise DownloadError(
                    f"{url} sends more than a file list can hold: check the address."
                )
    return bytes(body)


def _to_remote_file(entry: object, base_url: str) -> RemoteFile:
    data_file = _member(entry, "dataFile", dict)
    url = f"{base_url}/api/access/datafile/{_member(data_file, 'id', int)}"
    label = _label(entry, data_file)
    names: tuple[str, ...] = (label,)
    size_key = "filesize"
    if data_file.get("tabularData") is True or "originalFileFormat" in data_file:
        url, size_key = f"{url}?format=original", "originalFileSize"
        original = data_file.get("originalFileName")
        names = (original, label) if isinstance(original, str) else names
    source = Source(url, _size_bytes(data_file, size_key), _checksum(data_file))
    restricted = isinstance(entry, dict) and entry.get("restricted") is True
    return RemoteFile(names, source, restricted)


def _label(entry: object, data_file: Mapping[str, Any]) -> str:
    """Return the name that the archive's pages show, or else the file's own."""
    if isinstance(entry, dict) and isinstance(entry.get("label"), str):
        return str(entry["label"])
    return str(_member(data_file, "filename", str))


def _checksum(data_file: Mapping[str, Any]) -> Checksum | None:
    published = data_file.get("checksum")
    if isinstance(published, dict):
        return Checksum.from_published(published.get("type"), published.get("value"))
    return Checksum.from_published("MD5", data_file.get("md5"))


def _size_bytes(data_file: Mapping[str, Any], key: str) -> int | None:
    if data_file.get(key) is None:
        return None
    size_bytes: int = _member(data_file, key, int)
    if size_bytes < 0:
        raise _SchemaError(f"{key!r} is {size_bytes}")
    return size_bytes


def _member(parent: object, key: str, kind: type) -> Any:
    """Return ``parent[key]``, which must be there and of that kind."""
    if not isinstance(parent, dict) or key not in parent:
        raise _SchemaError(f"{key!r} is missing")
    value = parent[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _SchemaError(f"{key!r} is {value!r:.60}")
    return value
