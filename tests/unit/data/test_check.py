from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dermassist.data.archive import extract_archive, find_extraction
from dermassist.data.check import DataFindings, check_ham10000
from dermassist.data.ham10000 import read_ham10000
from dermassist.diagnosis import CODES
from dermassist.errors import DataError

Make = Callable[..., Path]


def said(findings: DataFindings) -> str:
    return "\n".join(findings.lines(listed=2))


def test_counts(make_ham10000: Make) -> None:
    # Every third lesion, from the first, has two images.
    findings = check_ham10000(make_ham10000(lesions_per_class=4, mask_size=(64, 64)))
    assert findings.complete
    assert (findings.images, findings.lesions, findings.masks) == (42, 28, 42)
    assert findings.by_class == dict.fromkeys(CODES, 6)
    assert list(findings.by_source.items()) == [("vidir_molemax", 21), ("vidir_modern", 21)]
    assert findings.pixel_aspect == 1.0
    assert "squeezed" not in said(findings)


def test_masks_may_be_missing(make_ham10000: Make) -> None:
    findings = check_ham10000(make_ham10000(lesions_per_class=1))
    assert (findings.masks, findings.complete) == (0, True)


def test_squeezed_images_are_noticed(make_ham10000: Make) -> None:
    findings = check_ham10000(make_ham10000(lesions_per_class=1, mask_size=(80, 60)))
    assert findings.complete
    assert findings.pixel_aspect == pytest.approx(4 / 3)
    assert "a pixel is 1.333 times as wide as high" in said(findings)


def test_missing_images(make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1)
    for k in (1, 4, 9):
        (place / "images" / f"ISIC_{k:07d}.jpg").unlink()
    findings = check_ham10000(place)
    assert findings.missing == ("ISIC_0000001", "ISIC_0000004", "ISIC_0000009")
    assert not findings.complete
    assert "  missing (3): ISIC_0000001; ISIC_0000004 and 1 more" in said(findings)
    assert "Incomplete" in said(findings)


@pytest.mark.parametrize("kind", ["image", "mask"])
@pytest.mark.parametrize("which", [0, 5])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_damaged_files_are_findings(
    make_ham10000: Make, kind: str, which: int, share: float
) -> None:
    place = make_ham10000(lesions_per_class=1, mask_size=(320, 240))
    path = {
        "image": place / "images" / f"ISIC_{which:07d}.jpg",
        "mask": place / "masks" / f"ISIC_{which:07d}_segmentation.png",
    }[kind]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    findings = check_ham10000(place)
    assert not findings.complete
    (reason,) = findings.unreadable
    assert path.name in reason
    # The others still show that the images are squeezed.
    assert findings.pixel_aspect == pytest.approx(4 / 3)


def test_a_fetched_folder_with_an_unreadable_file_is_to_be_deleted(
    make_ham10000: Make, tmp_path: Path
) -> None:
    place = make_ham10000(lesions_per_class=1, mask_size=(64, 64))
    fetched = place / "HAM10000_images_part_1"
    shutil.make_archive(str(tmp_path / "images"), "zip", place / "images")
    shutil.rmtree(place / "images")
    extract_archive(tmp_path / "images.zip", fetched, fingerprint="images")
    damaged = fetched / "ISIC_0000005.jpg"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    # Of the right size, so a fetch would take the folder for whole as long as it is there.
    assert find_extraction(fetched, fingerprint="images") is not None
    findings = check_ham10000(place)
    assert findings.damaged_folders == {str(fetched): True}
    assert findings.lines(listed=2)[-1] == (
        f"Incomplete: delete {fetched}, then run  dermassist data fetch  to get what is unreadable."
    )
    assert "missing" not in said(findings)


def test_unreadable_files_of_a_folder_from_elsewhere_come_from_there(make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1, mask_size=(64, 64))
    (place / "images" / "ISIC_0000004.jpg").unlink()
    (place / "images" / "ISIC_0000005.jpg").write_bytes(b"")
    findings = check_ham10000(place)
    assert findings.damaged_folders == {str(place / "images"): False}
    assert findings.lines(listed=2)[-2:] == [
        "Incomplete: run  dermassist data fetch  to get what is missing.",
        (
            f"Incomplete: copy what is unreadable in {place / 'images'} again from where that "
            "folder came from;  dermassist data fetch  did not make it."
        ),
    ]


def test_data_set_of_nothing_but_damaged_files_is_still_described(make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1, mask_size=(64, 64))
    for path in (place / "images").iterdir():
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    findings = check_ham10000(place)
    assert len(findings.unreadable) == findings.images == 14
    with pytest.raises(DataError, match="unknown whether the images are squeezed"):
        read_ham10000(place)


def test_files_are_not_opened_where_not_asked_for(make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1)
    for path in (place / "images").iterdir():
        path.write_bytes(b"")
    findings = check_ham10000(place, decode=False)
    assert findings.complete
    assert "not decoded" in said(findings)


def test_contradicting_proportions_are_refused(make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1, mask_size=(64, 64))
    Image.new("L", (80, 60), 255).save(place / "masks" / "ISIC_0000000_segmentation.png")
    with pytest.raises(DataError, match=r"from 1\.000 to 1\.333"):
        check_ham10000(place)


def test_findings_are_plain_json(make_ham10000: Make) -> None:
    place = make_ham10000(lesions_per_class=1)
    (place / "images" / "ISIC_0000000.jpg").unlink()
    findings = check_ham10000(place)
    read = json.loads(json.dumps(findings.to_dict(), allow_nan=False))
    assert read == findings.to_dict()
    assert read["directory"] == str(place)
    assert (read["complete"], read["missing"]) == (False, ["ISIC_0000000"])


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no HAM10000_metadata"):
        check_ham10000(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        check_ham10000(tmp_path / "absent")
