"""The gallery shows the answers that were most wrong, and nothing half-written."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermassist.answering import Answers, answer_records
from dermassist.data.ham10000 import read_ham10000
from dermassist.errors import ConfigError, DataError
from dermassist.gallery import worst_mistakes, write_gallery
from dermassist.inference.classifier import Classifier

Make = Callable[..., Path]


@pytest.fixture
def answers(make_ham10000: Make, classifier: Classifier) -> Answers:
    return answer_records(read_ham10000(make_ham10000(lesions_per_class=3)).records, classifier)


class Pictures(HTMLParser):
    """The images and headings of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.sources.append(str(dict(attrs)["src"]))


def test_mistakes_are_the_wrong_answers_worst_first(answers: Answers) -> None:
    mistakes = worst_mistakes(answers)
    wrong = np.flatnonzero(answers.probabilities.argmax(axis=1) != answers.labels)
    assert sorted(mistake.index for mistake in mistakes) == wrong.tolist()
    assert len(mistakes) > 3
    given = [mistake.true_probability for mistake in mistakes]
    assert given == sorted(given)
    for mistake in mistakes:
        assert mistake.probability == answers.probabilities[mistake.index].max()
        truth = mistake.record.diagnosis
        assert mistake.true_probability == answers.probabilities[mistake.index, truth.index]
        assert mistake.predicted is not truth


def test_gallery_holds_a_page_a_table_and_two_pictures_a_mistake(
    answers: Answers, tmp_path: Path
) -> None:
    place = tmp_path / "gallery"
    mistakes = write_gallery(answers, place, scale=4.0, shown=3)
    page = Pictures((place / "index.html").read_text())
    assert len(page.sources) == 6
    assert {path.name for path in place.iterdir()} == {"index.html", "mistakes.csv", *page.sources}
    for source in page.sources:
        with Image.open(place / source) as picture:
            assert min(picture.size) > 60
    with (place / "mistakes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [mistake.record.image_id for mistake in mistakes]
    assert [row["true"] for row in rows] == [m.record.diagnosis.code for m in mistakes]


def test_both_pictures_of_a_mistake_differ(answers: Answers, tmp_path: Path) -> None:
    write_gallery(answers, tmp_path / "gallery", scale=0.5, shown=1)
    answer, truth = sorted((tmp_path / "gallery").glob("*.png"))
    assert answer.read_bytes() != truth.read_bytes()


def test_a_hostile_image_name_is_text_not_markup(answers: Answers, tmp_path: Path) -> None:
    name = "../<script>alert(1)</script>"
    records = tuple(replace(record, image_id=name) for record in answers.records)
    write_gallery(replace(answers, records=records), tmp_path / "gallery", scale=4.0, shown=2)
    page = (tmp_path / "gallery" / "index.html").read_text()
    assert "script" not in Pictures(page).tags
    assert "&lt;script&gt;" in page
    assert [path.name for path in tmp_path.iterdir() if path.name != "ham10000"] == ["gallery"]


def test_no_probability_is_called_none_or_all(answers: Answers, tmp_path: Path) -> None:
    wrong = np.eye(7)[(answers.labels + 1) % 7]
    sure = replace(answers, probabilities=wrong * (1.0 - 7e-6) + 1e-6)
    write_gallery(sure, tmp_path / "gallery", scale=4.0, shown=1)
    page = (tmp_path / "gallery" / "index.html").read_text()
    assert re.findall(r"<figcaption>.*: (.*)</figcaption>", page) == [
        "more than 99.9 %",
        "less than 0.1 %",
    ]


def test_an_earlier_gallery_is_replaced_and_nothing_else_is(
    answers: Answers, tmp_path: Path
) -> None:
    place = tmp_path / "gallery"
    write_gallery(answers, place, scale=4.0, shown=3)
    write_gallery(answers, place, scale=4.0, shown=1)
    assert len(list(place.glob("*.png"))) == 2

    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="something else than a gallery"):
        write_gallery(answers, thesis, scale=4.0)
    assert (thesis / "chapter.txt").read_text() == "years of work"

    # What a file manager leaves behind is nobody's.
    for name in (".DS_Store", "desktop.ini"):
        (place / name).write_bytes(b"folder view")
    write_gallery(answers, place, scale=4.0, shown=1)
    assert not {".DS_Store", "desktop.ini"} & {path.name for path in place.iterdir()}

    # Nor is a gallery that somebody has put something into.
    for kept in (place / "notes.md", place / "plots" / "roc.png"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("mine")
        with pytest.raises(ConfigError, match="something else than a gallery"):
            write_gallery(answers, place, scale=4.0)
        assert kept.read_text() == "mine"
        kept.unlink()


def test_nothing_is_left_when_an_image_is_gone(answers: Answers, tmp_path: Path) -> None:
    gone = replace(answers, records=tuple(replace(r, path=None) for r in answers.records))
    with pytest.raises(DataError, match="the image is missing"):
        write_gallery(gone, tmp_path / "gallery", scale=4.0)
    assert not (tmp_path / "gallery").exists()
    with pytest.raises(ConfigError, match="at least 1"):
        write_gallery(answers, tmp_path / "gallery", scale=4.0, shown=0)
