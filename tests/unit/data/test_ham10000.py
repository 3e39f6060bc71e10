from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dermassist.data.ham10000 import (
    METADATA_COLUMNS,
    read_ham10000,
    read_metadata,
)
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.errors import DataError
from dermassist.imaging.decoding import IMAGE_SUFFIXES

HEADER = ",".join((*METADATA_COLUMNS, "dataset"))
ROW = "HAM_1,ISIC_1,nv,histo,45.0,male,back,rosendahl"


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "HAM10000_metadata.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# Layouts.


@pytest.mark.parametrize("folder", ["images", ".", "HAM10000_images_part_1"])
def test_every_layout_gives_the_same_records(
    make_ham10000: Callable[..., Path], folder: str
) -> None:
    directory = make_ham10000(lesions_per_class=3, folder="images")
    if folder != "images":
        _move(directory / "images", directory / folder)
    dataset = read_ham10000(directory)

    assert Counter(record.diagnosis for record in dataset.records) == dict.fromkeys(DIAGNOSES, 4)
    for record in dataset.records:
        assert record.path is not None
        assert record.path.stem == record.image_id
        assert record.mask_path is None
    assert dataset.pixel_aspect == 1.0


def _move(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        path.rename(target / path.name)
    source.rmdir()


def test_the_official_two_folders_are_read_together(make_ham10000: Callable[..., Path]) -> None:
    directory = make_ham10000(lesions_per_class=3)
    second = directory / "HAM10000_images_part_2"
    second.mkdir()
    for path in sorted((directory / "images").iterdir())[::2]:
        path.rename(second / path.name)
    (directory / "images").rename(directory / "HAM10000_images_part_1")
    # What macOS leaves in archives looks like images and is none.
    (second / "._ISIC_0000000.jpg").write_bytes(b"resource fork")

    records = read_ham10000(directory).records
    folders = Counter(record.path.parent.name for record in records if record.path is not None)
    assert folders == {"HAM10000_images_part_1": 14, "HAM10000_images_part_2": 14}


def test_an_image_that_is_there_twice_must_be_the_same(make_ham10000: Callable[..., Path]) -> None:
    directory = make_ham10000(lesions_per_class=3)
    name = "ISIC_0000003.jpg"
    copies = directory / "copies"
    copies.mkdir()
    (copies / name).write_bytes((directory / "images" / name).read_bytes())
    assert all(record.path for record in read_ham10000(directory).records)

    (copies / name).write_bytes((directory / "images" / "ISIC_0000004.jpg").read_bytes())
    with pytest.raises(DataError, match=r"are both called ISIC_0000003 and differ; remove one"):
        read_ham10000(directory)
    # What belongs to no record is nobody's business.
    (copies / name).rename(copies / "thumbnail.jpg")
    (directory / "thumbnail.png").write_bytes(b"another")
    assert all(record.path for record in read_ham10000(directory).records)


def test_images_are_found_by_every_ending_that_predict_reads(
    make_ham10000: Callable[..., Path],
) -> None:
    others = {".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm"}
    assert {".jpg", ".jpeg"} | others == IMAGE_SUFFIXES
    place = make_ham10000(lesions_per_class=1, folder="images")
    first = place / "images" / "ISIC_0000000.jpg"
    with Image.open(first) as image:
        image.save(first.with_suffix(".TIF"), format="TIFF")
    first.unlink()
    assert read_ham10000(place).records[0].path == first.with_suffix(".TIF")


def test_images_without_a_file_are_kept_and_marked(make_ham10000: Callable[..., Path]) -> None:
    directory = make_ham10000(lesions_per_class=3)
    (directory / "images" / "ISIC_0000003.jpg").unlink()
    missing = [r.image_id for r in read_ham10000(directory).records if r.path is None]

    assert missing == ["ISIC_0000003"]


def test_details_of_a_record(make_ham10000: Callable[..., Path]) -> None:
    first, second = read_ham10000(make_ham10000(lesions_per_class=3)).records[:2]

    assert (first.image_id, first.lesion_id) == ("ISIC_0000000", "HAM_000000")
    assert first.diagnosis is Diagnosis.AKIEC
    assert first.age is None
    assert (first.sex, first.localization, first.source) == ("male", "back", "vidir_molemax")
    assert second.lesion_id == first.lesion_id


# Squeezed images.


def test_squares_with_masks_of_four_to_three_were_squeezed(
    make_ham10000: Callable[..., Path],
) -> None:
    directory = make_ham10000(lesions_per_class=2, size=(64, 64), mask_size=(600, 450))
    dataset = read_ham10000(directory)

    assert dataset.pixel_aspect == pytest.approx(4 / 3)
    assert all(record.mask_path is not None for record in dataset.records)


@pytest.mark.parametrize(
    ("size", "mask_size"), [((64, 64), None), ((64, 64), (224, 224)), ((80, 64), (600, 480))]
)
def test_true_proportions_are_not_stretched(
    make_ham10000: Callable[..., Path], size: tuple[int, int], mask_size: tuple[int, int] | None
) -> None:
    directory = make_ham10000(lesions_per_class=2, size=size, mask_size=mask_size)
    assert read_ham10000(directory).pixel_aspect == 1.0


def test_what_is_said_counts_more_than_what_is_measured(
    make_ham10000: Callable[..., Path],
) -> None:
    directory = make_ham10000(lesions_per_class=2, size=(64, 64), mask_size=(600, 450))
    assert read_ham10000(directory, pixel_aspect=1.0).pixel_aspect == 1.0


def test_contradicting_proportions_are_refused(make_ham10000: Callable[..., Path]) -> None:
    directory = make_ham10000(lesions_per_class=2, size=(64, 64), mask_size=(600, 450))
    Image.new("L", (450, 450)).save(directory / "masks" / "ISIC_0000000_segmentation.png")
    with pytest.raises(DataError, match=r"disagree about proportions \(from 1\.000 to 1\.333\)"):
        read_ham10000(directory)


def test_proportions_are_measured_on_what_can_be_read(make_ham10000: Callable[..., Path]) -> None:
    directory = make_ham10000(lesions_per_class=1, size=(64, 64), mask_size=(600, 450))
    for path in (directory / "masks").iterdir():
        Image.new("L", (600, 450)).save(path, "PCX")
    with pytest.raises(DataError, match="images or masks are damaged"):
        read_ham10000(directory)


# What is refused, with the line.


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no HAM10000_metadata\.csv; run"):
        read_ham10000(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_ham10000(tmp_path / "absent")


@pytest.mark.parametrize("column", METADATA_COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    kept = [name for name in METADATA_COLUMNS if name != column]
    path = table(tmp_path, ",".join(kept), ",".join(["x"] * len(kept)))
    with pytest.raises(DataError, match=f"has no column {column}; is it HAM10000's metadata"):
        read_metadata(path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("HAM_2,ISIC_2,scc,histo,45,male,back,x", "line 3: unknown diagnosis 'scc'"),
        ("HAM_2,ISIC_2,,histo,45,male,back,x", "line 3: unknown diagnosis ''"),
        (",ISIC_2,nv,histo,45,male,back,x", "line 3: lesion_id is empty"),
        ("HAM_2,  ,nv,histo,45,male,back,x", "line 3: image_id is empty"),
        ("HAM_2,ISIC_2,nv,histo,old,male,back,x", "line 3: .*'old'"),
        ("HAM_2,ISIC_2,nv,histo,nan,male,back,x", "line 3: age must be from 0 .* got 'nan'"),
        ("HAM_2,ISIC_2,nv,histo,-1,male,back,x", "line 3: age must be from 0 .* got '-1'"),
        ("HAM_2,ISIC_2,nv,histo,inf,male,back,x", "line 3: age must be from 0 .* got 'inf'"),
        ("HAM_2,ISIC_2,nv", "line 3: the row has not as many cells"),
        ("HAM_2,ISIC_2,nv,histo,45,male,back,x,y", "line 3: the row has not as many cells"),
        ("HAM_2,ISIC_1,nv,histo,45,male,back,x", "line 3: image ISIC_1 stands in line 2 already"),
        ("HAM_1,ISIC_2,mel,histo,45,male,back,x", "lesion HAM_1 is nv in image ISIC_1 and mel in"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_metadata(table(tmp_path, HEADER, ROW, row))


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 2 columns called dx; keep one of them"):
        read_metadata(table(tmp_path, f"{HEADER},dx", f"{ROW},mel"))


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER, "", ROW, "", "HAM_2,ISIC_2,scc,histo,45,male,back,x")
    with pytest.raises(DataError, match="line 5: unknown diagnosis 'scc'"):
        read_metadata(path)


@pytest.mark.parametrize("content", [b"", HEADER.encode(), b"\xff\xfe\x00", b"a,b\n\0,\xe9\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "HAM10000_metadata.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"HAM10000_metadata\.csv: "):
        read_metadata(path)


def test_tabs_a_byte_order_mark_and_missing_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "HAM10000_metadata"
    rows = [(*METADATA_COLUMNS,), ("HAM_1", "ISIC_1", "NV", "", "unknown", "", "")]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter="\t").writerows(rows)
    (record,) = read_metadata(path)

    assert record.diagnosis is Diagnosis.NV
    assert record.age is None
    assert {record.dx_type, record.sex, record.localization, record.source} == {"unknown"}


def test_the_reader_changes_nothing_on_disk(
    make_ham10000: Callable[..., Path], tmp_path: Path
) -> None:
    directory = make_ham10000(lesions_per_class=1)
    copy = shutil.copytree(directory, tmp_path / "copy")
    read_ham10000(directory)

    assert sorted(p.relative_to(directory) for p in directory.rglob("*")) == sorted(
        p.relative_to(copy) for p in copy.rglob("*")
    )
