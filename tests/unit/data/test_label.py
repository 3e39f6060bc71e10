from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermassist.data.label import names_lesions, read_labels
from dermassist.diagnosis import Diagnosis
from dermassist.errors import DataError

ISIC = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def test_isic_form(table: Path) -> None:
    table.write_text(f"{ISIC}\nISIC_1,1.0,0.0,0.0,0.0,0.0,0.0,0.0\nISIC_2,0,0,0,1,0,0,0\n")
    first, second = read_labels(table)
    assert (first.image_id, first.diagnosis) == ("ISIC_1", Diagnosis.MEL)
    assert (second.image_id, second.diagnosis) == ("ISIC_2", Diagnosis.AKIEC)
    assert first.lesion_id != second.lesion_id
    assert (first.age, first.sex, first.path) == (None, "unknown", None)


@given(st.permutations(list(Diagnosis)), st.permutations(ISIC.split(",")))
def test_columns_may_stand_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[Diagnosis], columns: list[str]
) -> None:
    rows = []
    for k, diagnosis in enumerate(order):
        cells = dict.fromkeys(columns, "0") | {diagnosis.name: "1", "image": f"I{k}"}
        rows.append(",".join(cells[column] for column in columns))
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    path.write_text("\n".join([",".join(columns), *rows]) + "\n")
    assert [record.diagnosis for record in read_labels(path)] == order


def test_further_columns_and_a_byte_order_mark_are_allowed(table: Path) -> None:
    table.write_text(f"\ufeff{ISIC},UNK\r\nI,0,1,0,0,0,0,0,0\r\n", encoding="utf-8")
    (record,) = read_labels(table)
    assert record.diagnosis is Diagnosis.NV


@pytest.mark.parametrize("separator", [",", "\t"])
def test_ham10000_form(table: Path, separator: str) -> None:
    text = f"{HAM}\nHAM_7,ISIC_1,bcc,histo,80.0,male,face\nHAM_7,ISIC_2,bcc,histo,,,\n"
    table.write_text(text.replace(",", separator))
    first, second = read_labels(table)
    assert (first.lesion_id, second.lesion_id) == ("HAM_7", "HAM_7")
    assert (first.diagnosis, first.age, first.localization) == (Diagnosis.BCC, 80.0, "face")
    assert (second.age, second.sex) == (None, "unknown")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("I,1,1,0,0,0,0,0", "line 2: exactly one diagnosis must be 1"),
        ("I,0,0,0,0,0,0,0", "line 2: exactly one diagnosis must be 1"),
        ("I,0.7,0.3,0,0,0,0,0", "line 2: exactly one diagnosis must be 1"),
        ("I,1,-1,1,0,0,0,0", "line 2: exactly one diagnosis must be 1"),
        ("I,1,nan,0,0,0,0,0", "line 2: exactly one diagnosis must be 1"),
        ("I,yes,0,0,0,0,0,0", "line 2: the diagnoses must be 0 or 1"),
        ("I,,1,0,0,0,0,0", "line 2: the diagnoses must be 0 or 1"),
        ("I,1,0,0", "line 2: the row has not as many cells"),
        # One zero too many moved the mark from melanoma to nevus.
        ("I,0,1,0,0,0,0,0,0", "line 2: the row has not as many cells"),
        ("A,1,0,0,0,0,0,0\n ,1,0,0,0,0,0,0", "line 3: image is empty"),
        ("A,1,0,0,0,0,0,0\n.jpg,1,0,0,0,0,0,0\n\n,,,", "line 5: the row has not as many cells"),
        ("A,1,0,0,0,0,0,0\nA,0,1,0,0,0,0,0", "line 3: image A stands in line 2 already"),
        ("A,1,0,0,0,0,0,0\nA.png,1,0,0,0,0,0,0", "line 3: image A stands in line 2 already"),
        ("", "holds no rows"),
    ],
)
def test_malformed_rows_are_named(table: Path, rows: str, reason: str) -> None:
    table.write_text(f"{ISIC}\n{rows}\n")
    with pytest.raises(DataError, match=reason) as caught:
        read_labels(table)
    assert str(table) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [(ISIC, "I,1,0,0,0,0,0,0", "MEL"), (HAM, "HAM_7,I,bcc,histo,,,", "dx")],
)
def test_a_column_that_stands_twice_is_refused(
    table: Path, header: str, row: str, name: str
) -> None:
    table.write_text(f"{header},{name}\n{row},0\n")
    with pytest.raises(DataError, match=rf"labels\.csv: has 2 columns called {name}; keep one"):
        read_labels(table)
    # A spreadsheet writes empty columns, which nothing reads.
    table.write_text(f"{header},,\n{row},,\n")
    assert len(read_labels(table)) == 1


def test_isic_form_may_name_lesions(table: Path) -> None:
    rows = ["A,1,0,0,0,0,0,0,L1", "B,1,0,0,0,0,0,0, L1 ", "C,0,1,0,0,0,0,0,L2"]
    table.write_text("\n".join([f"{ISIC},lesion_id", *rows]) + "\n")
    records = read_labels(table)
    assert [record.lesion_id for record in records] == ["L1", "L1", "L2"]
    assert names_lesions(records)
    table.write_text("\n".join([ISIC, *(row.rpartition(",")[0] for row in rows)]) + "\n")
    assert not names_lesions(read_labels(table))
    table.write_text(f"{ISIC},lesion_id\nA,1,0,0,0,0,0,0,\n")
    with pytest.raises(DataError, match="line 2: lesion_id is empty"):
        read_labels(table)


def test_a_lesion_has_one_diagnosis(table: Path) -> None:
    told = "lesion L is mel in image A and nv in image B; make them agree"
    table.write_text(f"{ISIC},lesion_id\nA,1,0,0,0,0,0,0,L\nB,0,1,0,0,0,0,0,L\n")
    with pytest.raises(DataError, match=told):
        read_labels(table)
    table.write_text(f"{HAM}\nL,A,mel,histo,,,\nL,B,nv,histo,,,\n")
    with pytest.raises(DataError, match=told):
        read_labels(table)


@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".tif", ".webp"])
def test_images_may_be_named_with_the_ending_of_their_file(table: Path, ending: str) -> None:
    table.write_text(f"{ISIC}\nISIC_1{ending},1,0,0,0,0,0,0\nv1.5,1,0,0,0,0,0,0\n")
    assert [record.image_id for record in read_labels(table)] == ["ISIC_1", "v1.5"]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"image,MEL,NV\nI,1,0\n"])
def test_other_tables_are_refused_with_what_is_wanted(table: Path, content: bytes) -> None:
    table.write_bytes(content)
    with pytest.raises(DataError, match=r"neither the columns image, AKIEC, .* nor lesion_id, "):
        read_labels(table)


@pytest.mark.parametrize("header", [ISIC, HAM])
@pytest.mark.parametrize(("separator", "words"), [(";", "semicolons"), ("|", "bars")])
def test_another_separator_is_named(table: Path, header: str, separator: str, words: str) -> None:
    table.write_text(f"\ufeff{header}\n".replace(",", separator), encoding="utf-8")
    with pytest.raises(DataError, match=f"columns are separated by {words}; save it as CSV with"):
        read_labels(table)


def test_isic_form_with_tabs_is_told_so(table: Path) -> None:
    table.write_text(f"{ISIC}\nI,0,1,0,0,0,0,0\n".replace(",", "\t"))
    with pytest.raises(DataError, match="columns are separated by tabs"):
        read_labels(table)


def test_a_closed_file_is_told_so(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, *_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    # Root may read every file, so whoever runs the test is refused here.
    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(DataError, match=r"labels\.csv: no permission to read it; change its perm"):
        read_labels(table)


def test_what_is_no_table_is_refused(table: Path, tmp_path: Path) -> None:
    table.write_bytes(b"\xff\xfe\x00\x01" * 9)
    for path, reason in ((table, "save it as CSV in UTF-8"), (tmp_path, "is a folder")):
        with pytest.raises(DataError, match=reason):
            read_labels(path)
    with pytest.raises(DataError, match=r"absent\.csv: no such label file"):
        read_labels(tmp_path / "absent.csv")
