from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermassist.report import font
from dermassist.report.font import BUNDLED_ONLY, MAIN, Font, FontCollection
from dermassist.report.typesetting import Line, printable, unprintable, visual_runs, wrap


def units(text: str) -> float:
    """Every character is one wide."""
    return float(len(text))


def shown(line: str, *, rtl: bool = False) -> list[str]:
    return [run.text for run in visual_runs(Line(line, rtl), BUNDLED_ONLY)]


@pytest.mark.parametrize(
    "text",
    [
        "Müller-Lüdenscheidt",
        "Αλέξανδρος Κωνσταντινόπουλος",
        "Владимир Ђорђевић",
        "İğdır Şükrü Çağlayan",  # noqa: RUF001 - Turkish
        "Nguyễn Thị Ánh",
        "محمد عبد الله",
        "דוד בן־גוריון",
        "अनुराधा क्षत्रिय",
        "สมชาย ใจดี",
        "Արամ Խաչատրյան",
        "გიორგი",
        "± × • – “x” €",  # noqa: RUF001 - typographic signs
    ],
)
def test_bundled_fonts_print_these(text: str) -> None:
    assert unprintable(text, BUNDLED_ONLY) == ()
    assert printable(text, BUNDLED_ONLY) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u202eb", "a[U+202E]b"),
        ("a\u200bb\ufeff", "a[U+200B]b[U+FEFF]"),
        ("a\x07b", "a[U+0007]b"),
        ("王明!", "[U+738B U+660E]!"),
        ("😀", "[U+1F600]"),
        ("x\u200cy", "x[U+200C]y"),
        ("می\u200cروم", "می\u200cروم"),
        ("soft\u00adhyphen", "soft[U+00AD]hyphen"),
        ("a\r\nb\tc", "a\nb c"),
        ("92 %", "92\u00a0%"),
    ],
)
def test_what_cannot_be_seen_is_printed_as_code_points(text: str, expected: str) -> None:
    assert printable(text, BUNDLED_ONLY) == expected


@given(st.text())
def test_every_character_is_printed_or_reported(text: str) -> None:
    result = printable(text, BUNDLED_ONLY)

    for character in unprintable(text, BUNDLED_ONLY):
        assert f"U+{ord(character):04X}" in result
    for character in result:
        assert (
            character == "\n"
            or character in "\u200c\u200d"
            or character.isprintable()
            or (unicodedata.category(character) == "Zs")
        )


@given(st.text(st.sampled_from("abc déf王明\n\u00a0"), max_size=80), st.integers(1, 12))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    lines = wrap(text, width, units)

    assert all(units(line.text) <= width for line in lines)
    assert "".join(line.text for line in lines).replace(" ", "") == text.replace("\n", "").replace(
        " ", ""
    )


def test_breaks_between_words_and_inside_too_long_ones() -> None:
    lines = wrap("one three abcdefghij\n\nend", 5, units)

    assert [line.text for line in lines] == ["one", "three", "abcde", "fghij", "", "end"]


def test_marks_stay_with_their_letter() -> None:
    lines = wrap("क्ष" * 6, 4, units)

    assert all(unicodedata.category(line.text[0])[0] != "M" for line in lines)


def test_no_break_before_per_cent() -> None:
    lines = wrap(printable("about 92 % of it", BUNDLED_ONLY), 9, units)

    assert [line.text for line in lines] == ["about", "92\u00a0% of", "it"]


def test_left_to_right_is_one_run() -> None:
    assert shown("plain Ελληνικά текст 12.5 (x)") == ["plain Ελληνικά текст 12.5 (x)"]


def test_embedded_numbers_keep_their_direction() -> None:
    """UAX 9: in a left-to-right line, ARABIC 123 ARABIC is read from the right."""
    line = "say אבג 123 גבא end"

    assert shown(line) == ["say ", "גבא", " ", "123", " ", "אבג", " end"]


def test_right_to_left_paragraphs_start_at_the_right() -> None:
    runs = visual_runs(Line("אבג abc", rtl=True), BUNDLED_ONLY)

    assert (runs[0].text, runs[0].rtl) == ("abc", False)
    assert "".join(run.text for run in runs if run.rtl).strip() == "אבג"


def test_direction_is_that_of_the_paragraph() -> None:
    lines = wrap("אבג abc\nabc אבג", 40, units)

    assert [line.rtl for line in lines] == [True, False]


@given(st.text(st.sampled_from("ab אבג12(مح)")))
def test_runs_hold_every_character_once(text: str) -> None:
    for rtl in (False, True):
        assert sorted("".join(shown(text, rtl=rtl))) == sorted(text)


def test_only_what_joins_or_stacks_is_shaped() -> None:
    shaped = {
        text: visual_runs(Line(text), BUNDLED_ONLY)[0].shaped
        for text in ("abc", "Ωж", "محمد", "שלום", "क्ष", "e\u0332")
    }

    assert list(shaped.values()) == [False, False, True, True, True, True]


def test_bold_is_used_where_it_has_the_characters() -> None:
    assert MAIN.file("Melanoma", bold=True).name == "NotoSans-Bold.ttf"
    assert MAIN.file("Меланома", bold=True).name == "NotoSans-Regular.ttf"
    assert MAIN.file("Melanoma", bold=False).name == "NotoSans-Regular.ttf"


def test_installed_fonts_are_found_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font at all")
    (tmp_path / "empty.otf").touch()
    thai = tmp_path / "deep" / "thai.ttf"
    thai.parent.mkdir()
    thai.write_bytes((MAIN.path.parent / "NotoSansThai-Regular.ttf").read_bytes())
    collection = FontCollection((MAIN,), (tmp_path,))

    extended = collection.extended("abcไทย王")

    assert extended.fonts == (MAIN, Font(thai))
    assert unprintable("ไทย王", extended) == ("王",)
    assert collection.extended("abc") is collection


def cut_short(table: bytes) -> bytes:
    return table[:9]


def with_more_segments(table: bytes) -> bytes:
    """Return a table of characters that states more segments than it holds."""
    return table[:26] + b"\1" + table[27:]


@pytest.mark.parametrize(("table", "damage"), [("OS/2", cut_short), ("cmap", with_more_segments)])
def test_a_font_with_a_damaged_table_is_passed_over(
    tmp_path: Path, table: str, damage: Callable[[bytes], bytes]
) -> None:
    from fontTools.ttLib import TTFont
    from fontTools.ttLib.tables.DefaultTable import DefaultTable

    path = tmp_path / "damaged.ttf"
    with TTFont(MAIN.path.parent / "NotoSansThai-Regular.ttf") as copy:
        damaged = DefaultTable(table)
        damaged.data = damage(copy.getTableData(table))
        copy[table] = damaged
        copy.save(path)

    assert font.coverage(path).size == 0


def test_a_folder_that_may_not_be_entered_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat, home = os.stat, tmp_path / "home"

    def refused(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(home)):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **options)

    # Whoever runs the tests as root may enter every folder.
    monkeypatch.setattr(os, "stat", refused)

    assert font.installed((home / "fonts",)) == ()


def test_fonts_that_forbid_embedding_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fontTools.ttLib import TTFont

    for name, rights in (("restricted", 0x0002), ("no_subset", 0x0100), ("editable", 0x0008)):
        with TTFont(MAIN.path.parent / "NotoSansThai-Regular.ttf") as copy:
            copy["OS/2"].fsType = rights
            copy.save(tmp_path / f"{name}.ttf")

    sizes = {path.stem: font.coverage(path).size for path in tmp_path.iterdir()}

    assert sizes["restricted"] == sizes["no_subset"] == 0
    assert sizes["editable"] > 80


def test_well_known_families_are_asked_first(tmp_path: Path) -> None:
    for name in ("Zapf-Bold", "Zapf", "DroidSansFallbackFull", "NotoSansCJK-Regular"):
        (tmp_path / f"{name}.ttf").touch()

    names = [path.stem for path in font.installed((tmp_path,))]

    assert names == ["NotoSansCJK-Regular", "DroidSansFallbackFull", "Zapf", "Zapf-Bold"]
