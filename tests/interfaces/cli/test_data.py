from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dermassist.data.fetch import fetch_ham10000
from dermassist.data.ham10000 import read_ham10000
from dermassist.data.split import Part, read_splits
from dermassist.interfaces.cli.exit_status import ExitStatus

from ...unit.data.fake_dataverse import FakeDataverse, impatient, instead
from .conftest import Run

Make = Callable[..., Path]


def test_complete_data_set(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=3, size=(80, 64), mask_size=(80, 64))
    outcome = run("data", "check", place)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.lines == [
        f"{place}: 28 images of 21 lesions in the metadata",
        "  classes: akiec 4, bcc 4, bkl 4, df 4, mel 4, nv 4, vasc 4",
        "  sources: vidir_molemax 21, vidir_modern 7",
        "  lesion masks: 28",
        "Complete: every image is there and readable.",
    ]


def test_missing_and_unreadable_images_are_named(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=2)
    images = place / "images"
    (images / "ISIC_0000003.jpg").unlink()
    content = (images / "ISIC_0000005.jpg").read_bytes()
    (images / "ISIC_0000005.jpg").write_bytes(content[:-400])
    outcome = run("data", "check", place)
    assert outcome.status == ExitStatus.CHECK_FAILED
    assert "  missing (1): ISIC_0000003" in outcome.lines
    unreadable = f"  unreadable (1): {images / 'ISIC_0000005.jpg'}: "
    assert any(line.startswith(unreadable) for line in outcome.lines)
    assert outcome.lines[-2].startswith("Incomplete: run  dermassist data fetch")
    assert outcome.lines[-1].startswith(f"Incomplete: copy what is unreadable in {images} again")
    findings = run("data", "check", place, "--json").json
    assert findings["complete"] is False
    assert findings["missing"] == ["ISIC_0000003"]


def test_quick_check_decodes_nothing(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1)
    for path in (place / "images").iterdir():
        path.write_bytes(b"no image")
    outcome = run("data", "check", place, "--quick")
    assert outcome.status == 0
    assert outcome.lines[-1] == "Complete: every image is there (not decoded)."
    assert run("data", "check", place).status == ExitStatus.CHECK_FAILED


def test_long_lists_are_cut_short_for_people_only(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=3)
    for path in (place / "images").iterdir():
        path.unlink()
    outcome = run("data", "check", place)
    (missing,) = [line for line in outcome.lines if "missing" in line and "(28)" in line]
    assert missing.count("ISIC_") == 20
    assert missing.endswith(" and 8 more")
    assert len(run("data", "check", place, "--json").json["missing"]) == 28


def test_folder_without_a_data_set(run: Run, tmp_path: Path) -> None:
    for place, reason in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "metadata")):
        outcome = run("data", "check", place)
        assert outcome.status == ExitStatus.DATA
        assert str(place) in outcome.complaint
        assert reason in outcome.complaint


def test_split_file_is_verified_on_reading(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=12)
    outcome = run("data", "split", place, "--out", "splits/ham.json", "--seed", 3)
    assert outcome.status == 0
    assert "leaks lesions" in outcome.err
    splits = read_splits(Path("splits/ham.json"))
    assert splits.seed == 3
    assert f"sha256 {splits.sha256}" in outcome.lines
    records = read_ham10000(place).records
    assert [row.image_id for row in splits.assignments] == [r.image_id for r in records]
    lesion = {record.image_id: record.lesion_id for record in records}
    for fold in range(5):
        parts = [{lesion[i] for i in splits.image_ids(p, test_fold=fold)} for p in Part]
        assert sum(map(len, parts)) == len(set().union(*parts)) == len(set(lesion.values()))


def test_a_split_file_replaces_nothing_but_one(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=12)
    metadata = place / "HAM10000_metadata.csv"
    before = metadata.read_bytes()
    outcome = run("data", "split", place, "--out", metadata)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint.endswith("is no split file; name another file, or remove it")
    assert metadata.read_bytes() == before


def test_same_seed_gives_the_same_split(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=12)
    digests = [
        run("data", "split", place, "--out", f"{k}.json", "--seed", seed, "--json").json["sha256"]
        for k, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]
    assert Path("0.json").read_bytes() == Path("1.json").read_bytes()


@pytest.mark.parametrize(
    ("lesions", "reason"), [(3, "21 lesions are too few"), (8, "too few images of a diagnosis")]
)
def test_too_few_lesions_to_split(run: Run, make_ham10000: Make, lesions: int, reason: str) -> None:
    place = make_ham10000(lesions_per_class=lesions)
    outcome = run("data", "split", place, "--out", "splits.json")
    assert outcome.status == ExitStatus.DATA
    assert reason in outcome.complaint
    assert not Path("splits.json").exists()


def zipped(folder: Path, names: list[str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.write(folder / name, name)
    return target.getvalue()


def publish(server: FakeDataverse, place: Path) -> str:
    """Publish a synthetic data set as its home does; return the second archive's path."""
    images = sorted(path.name for path in (place / "images").iterdir())
    table = (place / "HAM10000_metadata.csv").read_bytes().replace(b"\r\n", b"\n")
    server.publish_table("HAM10000_metadata.tab", table, table.replace(b",", b"\t"))
    server.publish("HAM10000_images_part_1.zip", zipped(place / "images", images[:5]))
    second = server.publish("HAM10000_images_part_2.zip", zipped(place / "images", images[5:]))
    masks = sorted(path.name for path in (place / "masks").iterdir())
    label = "HAM10000_segmentations_lesion_tschandl.zip"
    server.publish(label, zipped(place / "masks", masks))
    return second


def test_fetched_data_set_passes_its_check(
    run: Run, make_ham10000: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    place = make_ham10000(lesions_per_class=1, mask_size=(64, 64))
    with FakeDataverse() as server:
        publish(server, place)
        outcome = run("data", "fetch", "ham", "--mirror", server.url)
        assert (outcome.status, outcome.err) == (0, "")
        asked = len(server.paths())
        again = run("data", "fetch", "ham", "--mirror", server.url, "--json")
        assert len(server.paths()) == asked
    assert [line.partition(":")[0] for line in outcome.lines[:4]] == [
        "images-1",
        "images-2",
        "metadata",
        "masks",
    ]
    assert "CC BY-NC 4.0" in outcome.out
    assert {part["part"] for part in again.json["parts"]} == {
        "images-1",
        "images-2",
        "metadata",
        "masks",
    }
    assert run("data", "check", "ham").status == 0
    fetched = {r.image_id: r for r in read_ham10000(Path("ham")).records}
    for record in read_ham10000(place).records:
        ours, theirs = fetched[record.image_id].path, record.path
        assert ours is not None
        assert theirs is not None
        assert ours.read_bytes() == theirs.read_bytes()


def test_archive_that_is_not_what_was_published(
    run: Run, make_ham10000: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    place = make_ham10000(lesions_per_class=1, mask_size=(64, 64))
    with FakeDataverse() as server:
        path = publish(server, place)
        wrong = hashlib.sha256(b"x").digest() * (len(server.contents[path]) // 32 + 1)
        lie = instead(wrong[: len(server.contents[path])])
        server.script(path, *[lie] * 9)
        outcome = run("data", "fetch", "ham", "--mirror", server.url)
    assert outcome.status == ExitStatus.DOWNLOAD
    assert f"{server.url}{path} sent is not the published file" in outcome.complaint


def test_server_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    patient = fetch_ham10000.__kwdefaults__ or {}
    monkeypatch.setattr(fetch_ham10000, "__kwdefaults__", {**patient, "policy": impatient()})
    outcome = run("data", "fetch", "ham", "--mirror", "http://127.0.0.1:1", "--json")
    assert outcome.status == ExitStatus.DOWNLOAD
    assert "127.0.0.1:1" in outcome.json_error["message"]


def test_metadata_of_other_columns(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "HAM10000_metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], ["1", "2"]])
    outcome = run("data", "check", tmp_path, "--json")
    assert outcome.status == ExitStatus.DATA
    assert "lesion_id" in json.loads(outcome.err)["error"]["message"]


def test_a_seed_out_of_range_is_no_fault_of_the_images(run: Run, make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=10)
    outcome = run("data", "split", place, "--out", "splits.json", "--seed", -1)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == "seed must be from 0 to 4294967290, got -1"
    assert not Path("splits.json").exists()
