"""A case book opens where it may, once however many open it, and says why where it may not."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from dermassist.cases import CaseBook
from dermassist.cases.database import FILE_NAME
from dermassist.errors import CaseError

from .made import assessment_of, image_bytes
from .processes import started


def save_one(book: CaseBook) -> str:
    image = image_bytes()
    return book.save(assessment_of(image), image).case_id


def test_processes_that_open_a_new_book_at_once_share_it(folder: Path) -> None:
    with started("open", folder, processes=4) as openers:
        assert [opener.finish() for opener in openers] == [["opened"]] * 4
    with CaseBook.open(folder) as book:
        assert book.count() == 0


@pytest.mark.parametrize("name", ["a?b=c", "50%20", "#1", "ünï cödé", "a;b:c@d"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    with CaseBook.open(tmp_path / name) as book:
        case_id = save_one(book)
    assert [path.name for path in (tmp_path / name).iterdir()] == [FILE_NAME]
    with CaseBook.open(tmp_path / name) as again:
        assert again.load(case_id).case_id == case_id


@pytest.mark.parametrize("kind", [Path, str])
def test_a_relative_folder_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Path] | type[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with CaseBook.open(kind("book")) as book:
        monkeypatch.chdir(tmp_path / "elsewhere")
        book._engine.dispose()
        save_one(book)
        assert book.count() == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_sqlite_url_is_kept_as_safely_as_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mine.db"
    with CaseBook.open(tmp_path / "unused", f"sqlite:///{path}") as book:
        save_one(book)
        with book._engine.connect() as connection:
            settings = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
            ]
        assert settings == ["wal", 2, 1, 1]
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
def test_a_book_that_would_be_forgotten_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(CaseError, match="a case book needs a file"):
        CaseBook.open(tmp_path, url)


@pytest.mark.parametrize(
    "url", ["nonsense://user:opensesame@host/x", "user:opensesame@host", "x://u:opensesame@[h/x"]
)
def test_a_password_is_in_no_message(tmp_path: Path, url: str) -> None:
    with pytest.raises(CaseError) as caught:
        CaseBook.open(tmp_path, url)
    assert "opensesame" not in str(caught.value)


def test_another_programs_database_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / FILE_NAME) as database:
        database.execute("CREATE TABLE diary (entry)")
    with pytest.raises(CaseError, match="database of another program"):
        CaseBook.open(folder)
    with sqlite3.connect(folder / FILE_NAME) as database:
        names = database.execute("SELECT name FROM sqlite_schema").fetchall()
    assert names == [("diary",)]


def test_what_lies_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    (tmp_path / "book" / FILE_NAME).mkdir(parents=True)
    for folder in ("file", "book"):
        with pytest.raises(CaseError, match=f"{folder}.*cannot be opened"):
            CaseBook.open(tmp_path / folder)
    assert (tmp_path / "file").read_text() == "here first"


def test_a_book_without_its_version_is_refused(folder: Path) -> None:
    CaseBook.open(folder).close()
    with sqlite3.connect(folder / FILE_NAME) as database:
        database.execute("DELETE FROM dermassist_book")
    with pytest.raises(CaseError, match="schema version None"):
        CaseBook.open(folder)


def test_a_record_changed_from_outside_is_refused_and_hides_no_other(folder: Path) -> None:
    with CaseBook.open(folder) as book:
        damaged, whole = save_one(book), save_one(book)
        with sqlite3.connect(folder / FILE_NAME) as database:
            damage = "UPDATE dermassist_case SET assessment = ? WHERE case_id = ?"
            for text in ("{", "{}", "[]", '{"schema_version": 9}'):
                database.execute(damage, (text, damaged))
                database.commit()
                for ask in (book.load, book.image):
                    with pytest.raises(CaseError, match=f"the record of case {damaged} was chang"):
                        ask(damaged)
        assert {summary.case_id for summary in book.search()} == {damaged, whole}
        assert book.load(whole).case_id == whole
        book.delete(damaged)
        assert book.count() == 1


@pytest.mark.parametrize(
    "damage",
    [
        "summary = '{'",
        "summary = '[]'",
        "summary = json_remove(summary, '$.confidence')",
        "summary = json_set(summary, '$.confidence', 'high')",
        "summary = json_set(summary, '$.malignancy', -1)",
        "summary = json_set(summary, '$.patient_id', 7)",
        "diagnosis = 'wart'",
        "outcome = '{}'",
        "saved_at = 'yesterday'",
        "saved_at = x'00'",
    ],
)
def test_a_damaged_record_is_listed_as_such_and_hides_no_other(folder: Path, damage: str) -> None:
    with CaseBook.open(folder) as book:
        damaged, whole = save_one(book), save_one(book)
        before = {summary.case_id: summary for summary in book.search()}
        with sqlite3.connect(folder / FILE_NAME) as database:
            database.execute(f"UPDATE dermassist_case SET {damage} WHERE case_id = ?", (damaged,))
        found = {summary.case_id: summary for summary in book.search()}
        assert found.keys() == before.keys()
        assert found[whole] == before[whole]
        assert not found[whole].damage
        assert f"the record of case {damaged} was changed" in found[damaged].damage
        assert found[damaged].diagnosis is None
        saved_at = "" if "saved_at" in damage else before[damaged].saved_at
        assert found[damaged].saved_at == saved_at
        assert book.holds(damaged)
        book.delete(damaged)
        assert not book.holds(damaged)


def test_what_another_version_adds_to_a_record_damages_nothing(folder: Path) -> None:
    with CaseBook.open(folder) as book:
        save_one(book)
        before = book.search()
        with sqlite3.connect(folder / FILE_NAME) as database:
            database.execute("UPDATE dermassist_case SET summary = json_set(summary, '$.x', 1)")
        assert book.search() == before
