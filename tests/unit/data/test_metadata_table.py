from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermassist.data.metadata_table import to_comma_separated
from dermassist.errors import DataError

COLUMNS = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset"]
HEADER = ",".join(COLUMNS)
ROW = "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp,vidir_modern"


def test_comma_separated_table_stays_as_it_is() -> None:
    table = f"{HEADER}\r\n{ROW}\r\n".encode()
    assert to_comma_separated(table) is table


def test_table_that_dataverse_converted_is_written_with_commas() -> None:
    converted = (
        "lesion_id\timage_id\tdx\tdx_type\tage\tsex\tlocalization\tdataset\n"
        '"HAM_0000118"\t"ISIC_0027419"\t"bkl"\t"histo"\t80.0\t"male"\t"scalp"\t"vidir_modern"\n'
        '"HAM_1"\t"ISIC_1"\t"nv"\t"consensus"\t\t"unknown"\t"hand, left"\t"rosendahl"\n'
    )
    assert to_comma_separated(converted.encode()).decode() == (
        f'{HEADER}\n{ROW}\nHAM_1,ISIC_1,nv,consensus,,unknown,"hand, left",rosendahl\n'
    )


def test_byte_order_mark_and_other_columns_are_no_trouble() -> None:
    table = f"\ufeff{HEADER},more\n{ROW},x\n".encode()
    assert to_comma_separated(table) is table


CELLS = st.text("a,;\"' \té", max_size=4)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(CELLS, min_size=8, max_size=8), min_size=1, max_size=3))
def test_no_cell_is_lost_between_tabs_and_commas(rows: list[list[str]]) -> None:
    table = io.StringIO(newline="")
    csv.writer(table, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *rows])
    written = to_comma_separated(table.getvalue().encode()).decode()
    assert list(csv.reader(io.StringIO(written, newline=""))) == [COLUMNS, *rows]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"", "lacks lesion_id, image_id"),
        (b"\xff\xfe\x00", "no table of text"),
        (b"<html>log in</html>\n", "its first line is '<html>log in</html>'"),
        (HEADER.replace(",dataset", "").encode() + b"\n", "lacks dataset"),
        (HEADER.encode() + b"\n", "it has no rows"),
        (f"{HEADER}\n{ROW}\n{ROW},more\n".encode(), "row 3 has not 8 cells"),
        (f"{HEADER}\n{ROW}\nHAM_1,ISIC_1\n".encode(), "row 3 has not 8 cells"),
        (f'{HEADER}\n"HAM_1,ISIC_1\n'.encode(), "no table of text"),
    ],
)
def test_damaged_table_is_refused(table: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        to_comma_separated(table)
