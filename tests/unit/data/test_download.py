from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermassist.data import download as module
from dermassist.data.checksum import Checksum
from dermassist.data.download import Outcome, Source, download
from dermassist.errors import DataError, DownloadError

from .fake_dataverse import (
    FakeDataverse,
    RecordedProgress,
    Waits,
    broken_off,
    impatient,
    instead,
    other_range,
    reset,
    silence,
    silence_after,
    status,
    unmeasured,
    unmeasured_instead,
    without_range,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .fake_dataverse import Reply

CONTENT = bytes(range(256)) * 64
PATH = "/file"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDataverse]:
    monkeypatch.setenv("no_proxy", "*")
    with FakeDataverse() as fake:
        fake.contents[PATH] = CONTENT
        yield fake


@pytest.fixture
def source(server: FakeDataverse) -> Source:
    return Source(f"{server.url}{PATH}", len(CONTENT), md5(CONTENT))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "a.zip"


def md5(content: bytes) -> Checksum:
    return Checksum("md5", hashlib.md5(content).hexdigest())


def part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def assert_arrived(path: Path) -> None:
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_file_arrives_verified(source: Source, path: Path) -> None:
    progress = RecordedProgress()
    done = download(source, path, policy=impatient(), progress=progress)
    assert_arrived(path)
    assert done.path == path
    assert done.outcome is Outcome.DOWNLOADED
    assert done.verification.size_bytes == len(CONTENT)
    assert done.verification.checksum == md5(CONTENT)
    assert str(done.verification) == "size and MD5 verified"
    assert progress.tasks == [
        ["Downloading a.zip", len(CONTENT), 0, len(CONTENT)],
        ["Verifying a.zip.part", len(CONTENT), 0, len(CONTENT)],
    ]
    assert progress.finished == 2


def test_present_file_is_verified_and_not_asked_for(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    put(path, CONTENT)
    done = download(source, path, policy=impatient())
    assert done.outcome is Outcome.PRESENT
    assert done.verification.checksum == md5(CONTENT)
    assert server.requests == []


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"?", b""])
def test_damaged_file_is_replaced(source: Source, path: Path, damaged: bytes) -> None:
    put(path, damaged)
    assert download(source, path, policy=impatient()).outcome is Outcome.DOWNLOADED
    assert_arrived(path)


def test_damaged_file_stays_until_a_better_one_is_there(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    put(path, b"damaged")
    server.script(PATH, status(404))
    with pytest.raises(DownloadError):
        download(source, path, policy=impatient())
    assert path.read_bytes() == b"damaged"


def test_broken_transfer_continues_where_it_ended(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, broken_off(1000), broken_off(500))
    waits, progress = Waits(), RecordedProgress()
    done = download(source, path, policy=impatient(sleep=waits), progress=progress)
    assert_arrived(path)
    assert done.outcome is Outcome.RESUMED
    assert server.ranges() == [None, "bytes=1000-", "bytes=1500-"]
    assert waits.seconds == [1.0, 1.0]
    assert [task[2:] for task in progress.tasks[:3]] == [
        [0, 1000],
        [1000, 500],
        [1500, len(CONTENT) - 1500],
    ]


def test_next_call_continues_what_the_last_had_to_leave(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, broken_off(1000))
    with pytest.raises(DownloadError, match=r"ended 15,384 bytes early\. Gave up after 1 try; run"):
        download(source, path, policy=impatient(tries=1))
    assert part_of(path).read_bytes() == CONTENT[:1000]
    assert not path.exists()
    assert download(source, path, policy=impatient()).outcome is Outcome.RESUMED
    assert server.ranges() == [None, "bytes=1000-"]
    assert_arrived(path)


def test_interruption_by_the_user_leaves_what_arrived(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    class Interrupting(RecordedProgress):
        def advance(self, count_bytes: int) -> None:
            raise KeyboardInterrupt

    server.script(PATH, silence_after(1000))
    with pytest.raises(KeyboardInterrupt):
        download(source, path, policy=impatient(), progress=Interrupting())
    assert part_of(path).read_bytes() == CONTENT[:1000]
    assert not path.exists()
    assert download(source, path, policy=impatient()).outcome is Outcome.RESUMED
    assert_arrived(path)


def test_reset_connection_is_tried_again(server: FakeDataverse, source: Source, path: Path) -> None:
    server.script(PATH, reset)
    download(source, path, policy=impatient())
    assert_arrived(path)
    assert len(server.requests) == 2


def test_silent_server_is_left_in_time(server: FakeDataverse, source: Source, path: Path) -> None:
    server.script(PATH, silence, silence_after(1000))
    download(source, path, policy=impatient(tries=20, timeout_s=0.25))
    assert_arrived(path)
    # A busy machine may fall silent once more.
    assert server.ranges()[:3] == [None, None, "bytes=1000-"]


def test_endlessly_silent_server_is_given_up(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, silence, silence)
    with pytest.raises(DownloadError, match=r"did not answer in time\. Gave up after 2 tries"):
        download(source, path, policy=impatient(tries=2, timeout_s=0.05))


@pytest.mark.parametrize("reply", [without_range, unmeasured])
def test_server_without_ranges_begins_anew(
    server: FakeDataverse, source: Source, path: Path, reply: Reply
) -> None:
    put(part_of(path), b"x" * 1000)
    server.script(PATH, reply)
    assert download(source, path, policy=impatient()).outcome is Outcome.DOWNLOADED
    assert_arrived(path)


def test_server_that_breaks_off_and_knows_no_ranges_is_given_up(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    first_half_again = unmeasured_instead(CONTENT[:8000])
    server.script(PATH, *[first_half_again] * 9)
    with pytest.raises(DownloadError, match="Gave up after 4 tries"):
        download(source, path, policy=impatient(tries=4))
    assert len(server.requests) == 4


def test_another_range_than_asked_is_not_used(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    put(part_of(path), CONTENT[:1000])
    server.script(PATH, other_range)
    download(source, path, policy=impatient())
    assert server.ranges() == ["bytes=1000-", None]
    assert_arrived(path)


def test_refused_range_begins_anew(server: FakeDataverse, source: Source, path: Path) -> None:
    put(part_of(path), CONTENT[:1000])
    server.script(PATH, status(416))
    download(source, path, policy=impatient())
    assert server.ranges() == ["bytes=1000-", None]
    assert_arrived(path)


def test_part_that_is_too_long_begins_anew(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    put(part_of(path), CONTENT + b"?")
    download(source, path, policy=impatient())
    assert server.ranges() == [None]
    assert_arrived(path)


def test_complete_part_is_only_verified(server: FakeDataverse, source: Source, path: Path) -> None:
    put(part_of(path), CONTENT)
    download(source, path, policy=impatient())
    assert server.requests == []
    assert_arrived(path)


def test_part_of_another_file_is_deleted_in_the_end(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    put(part_of(path), b"x" * 1000)
    with pytest.raises(DownloadError, match="It is deleted; run the command again"):
        download(source, path, policy=impatient())
    assert list(path.parent.iterdir()) == []
    download(source, path, policy=impatient())
    assert_arrived(path)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_wrong_content_is_deleted(
    server: FakeDataverse, source: Source, path: Path, algorithm: str
) -> None:
    checksum = Checksum(algorithm, hashlib.new(algorithm, CONTENT).hexdigest())
    server.script(PATH, instead(CONTENT[:-1] + b"?"))
    with pytest.raises(DownloadError, match=f"instead of {checksum.value}"):
        download(replace(source, checksum=checksum), path, policy=impatient())
    assert list(path.parent.iterdir()) == []
    assert (
        download(replace(source, checksum=checksum), path, policy=impatient()).verification.checksum
        == checksum
    )


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT + b"?", b"<html>log in</html>"])
def test_server_that_offers_another_size_is_refused(
    server: FakeDataverse, source: Source, path: Path, other: bytes
) -> None:
    put(part_of(path), CONTENT[:1000])
    server.script(PATH, instead(other))
    with pytest.raises(DownloadError, match=rf"offers {len(other):,} bytes where 16,384 are publ"):
        download(source, path, policy=impatient())
    assert len(server.requests) == 1
    assert part_of(path).read_bytes() == CONTENT[:1000]
    assert not path.exists()


def test_rest_of_a_file_of_another_size_is_refused(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.contents[PATH] = CONTENT * 2
    put(part_of(path), CONTENT[:1000])
    with pytest.raises(DownloadError, match="offers 32,768 bytes"):
        download(source, path, policy=impatient())


def test_server_that_sends_more_than_published_is_stopped(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, unmeasured_instead(CONTENT * 100))
    progress = RecordedProgress()
    with pytest.raises(DownloadError, match=r"sends more than 16,384 bytes.*is deleted"):
        download(source, path, policy=impatient(), progress=progress)
    assert list(path.parent.iterdir()) == []
    assert progress.tasks[0][3] <= len(CONTENT)
    assert progress.finished == 1


def test_server_that_promises_more_than_it_sends_is_asked_for_the_rest(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, broken_off(1000, measured=False))
    download(source, path, policy=impatient())
    assert server.ranges() == [None, "bytes=1000-"]
    assert_arrived(path)


@pytest.mark.parametrize("code", [401, 403, 404])
def test_refusal_is_not_tried_again(
    server: FakeDataverse, source: Source, path: Path, code: int
) -> None:
    put(part_of(path), CONTENT[:1000])
    server.script(PATH, status(code))
    with pytest.raises(DownloadError, match=f"answered {code}"):
        download(source, path, policy=impatient())
    assert len(server.requests) == 1
    assert part_of(path).read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("code", [202, 204])
def test_other_success_is_no_file(
    server: FakeDataverse, source: Source, path: Path, code: int
) -> None:
    server.script(PATH, status(code))
    with pytest.raises(DownloadError, match=f"answered {code} instead of a file"):
        download(source, path, policy=impatient())
    assert list(path.parent.iterdir()) == []


def test_overloaded_server_is_asked_again_with_pauses(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, status(503), status(429, Retry_After="5"), status(502))
    waits = Waits()
    download(source, path, policy=impatient(sleep=waits))
    assert waits.seconds == [1.0, 5.0, 4.0]
    assert_arrived(path)


def test_redirect_to_storage_is_followed_and_resumed(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.contents["/storage?signature=1"] = CONTENT
    moved = status(303, Location=f"{server.url}/storage?signature=1")
    server.script(PATH, moved, moved)
    server.script("/storage?signature=1", broken_off(1000))
    download(source, path, policy=impatient())
    assert server.ranges() == [None, None, "bytes=1000-", "bytes=1000-"]
    assert_arrived(path)


def test_address_that_is_not_http_is_refused(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    with pytest.raises(DownloadError, match="is not an address"):
        download(Source(secret.as_uri(), None, None), path, policy=impatient())
    assert not path.exists()


@pytest.mark.parametrize(
    ("size_bytes", "checksum", "said"),
    [
        (None, None, "not verified, since neither a size nor a checksum is published"),
        (len(CONTENT), None, "size verified; no checksum is published"),
        (None, md5(CONTENT), "MD5 verified"),
    ],
)
def test_what_was_not_published_is_not_called_verified(
    source: Source, path: Path, size_bytes: int | None, checksum: Checksum | None, said: str
) -> None:
    done = download(Source(source.url, size_bytes, checksum), path, policy=impatient())
    assert str(done.verification) == said
    assert done.verification.size_bytes == len(CONTENT)
    assert_arrived(path)


def test_file_of_which_nobody_tells_the_size_arrives(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, unmeasured)
    progress = RecordedProgress()
    download(Source(source.url, None, None), path, policy=impatient(), progress=progress)
    assert progress.tasks == [["Downloading a.zip", None, 0, len(CONTENT)]]
    assert_arrived(path)


def test_short_transfer_of_a_file_without_published_size_is_noticed(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    server.script(PATH, broken_off(1000))
    progress = RecordedProgress()
    download(Source(source.url, None, None), path, policy=impatient(), progress=progress)
    assert server.ranges() == [None, "bytes=1000-"]
    assert [task[1] for task in progress.tasks] == [len(CONTENT), len(CONTENT)]
    assert_arrived(path)


def test_complete_part_without_published_size_begins_anew(
    server: FakeDataverse, source: Source, path: Path
) -> None:
    put(part_of(path), CONTENT)
    download(Source(source.url, None, None), path, policy=impatient())
    assert server.ranges() == [f"bytes={len(CONTENT)}-", None]
    assert_arrived(path)


def test_file_without_published_size_cannot_fill_the_disk(
    server: FakeDataverse, source: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONGEST_UNANNOUNCED_BYTES", 5000)
    server.script(PATH, unmeasured)
    with pytest.raises(DownloadError, match="sends more than 5,000 bytes"):
        download(Source(source.url, None, None), path, policy=impatient())


def test_empty_file_arrives(server: FakeDataverse, source: Source, path: Path) -> None:
    server.contents[PATH] = b""
    download(Source(source.url, 0, md5(b"")), path, policy=impatient())
    assert path.read_bytes() == b""


def test_full_disk_is_told_before_anything_is_written(
    source: Source, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(part_of(path), CONTENT[:1000])
    full = SimpleNamespace(free=len(CONTENT) - 1001)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(
        DataError, match=r"To download a\.zip, 15,384 bytes are needed .* 15,383 are"
    ):
        download(source, path, policy=impatient())
    assert part_of(path).read_bytes() == CONTENT[:1000]
    full.free += 1
    download(source, path, policy=impatient())
    assert_arrived(path)


def test_place_that_cannot_be_written_is_named(source: Source, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(DataError, match=r"Cannot read or write .*taken"):
        download(source, tmp_path / "taken" / "a.zip", policy=impatient())


MISHAPS = st.one_of(
    st.builds(broken_off, st.integers(0, len(CONTENT)), measured=st.booleans()),
    st.sampled_from([reset, without_range, other_range, unmeasured, status(503), status(416)]),
    st.sampled_from([instead(CONTENT[:-1] + b"?"), instead(b"<html>"), status(404)]),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mishaps=st.lists(MISHAPS, max_size=6), begun=st.integers(0, len(CONTENT)))
def test_whatever_happens_a_file_in_its_place_is_the_published_one(
    server: FakeDataverse, source: Source, path: Path, mishaps: list[Reply], begun: int
) -> None:
    shutil.rmtree(path.parent, ignore_errors=True)
    put(part_of(path), CONTENT[:begun])
    server.unscript()
    server.script(PATH, *mishaps)
    try:
        download(source, path, policy=impatient(tries=3))
    except DownloadError:
        assert not path.exists()
    else:
        assert_arrived(path)
    server.unscript()
    download(source, path, policy=impatient())
    assert_arrived(path)
