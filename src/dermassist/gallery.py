"""The worst mistakes of a model as pictures: where it looked when it was sure and wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from dermassist.answering import Answers
from dermassist.data.ham10000 import Record
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.errors import ConfigError, DataError
from dermassist.explain.overlay import render_overlay
from dermassist.explain.words import percent
from dermassist.imaging import read_image
from dermassist.results import Explanation
from dermassist.storage import FILE_MANAGER_FILES, replacing_folder, write_bytes, write_text

TABLE_NAME = "mistakes.csv"
PAGE_NAME = "index.html"
_OWN_NAMES = FILE_MANAGER_FILES | {TABLE_NAME, PAGE_NAME}
_PICTURE = re.compile(r"\d{5,}_(answer|truth)\.png")
SHOWN = 24


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Attributes:
        index: place of the image among the answers.
        record: the image.
        predicted: what was answered.
        probability: of the answer, 0 to 1.
        true_probability: of the true diagnosis, 0 to 1.
    """

    index: int
    record: Record
    predicted: Diagnosis
    probability: float
    true_probability: float


def worst_mistakes(answers: Answers) -> tuple[Mistake, ...]:
    """Return every wrong answer, the least probable truth first (the largest log loss)."""
    labels, predicted = answers.labels, answers.probabilities.argmax(axis=1)
    rows = np.arange(len(labels))
    truth = answers.probabilities[rows, labels]
    wrong = np.flatnonzero(predicted != labels)
    ordered = wrong[np.argsort(truth[wrong], kind="stable")]
    return tuple(
        Mistake(
            index=i,
            record=answers.records[i],
            predicted=DIAGNOSES[predicted[i]],
            probability=float(answers.probabilities[i, predicted[i]]),
            true_probability=float(truth[i]),
        )
        for i in ordered.tolist()
    )


def write_gallery(
    answers: Answers, directory: Path, *, scale: float, shown: int = SHOWN
) -> tuple[Mistake, ...]:
    """Write a page with the worst mistakes, their heatmaps, and a table of all mistakes.

    Each picture stands twice: with the evidence for the answer, and with that for the true
    diagnosis. The page is one folder of plain files that opens without a server.

    Args:
        answers: of labelled images.
        directory: receives the gallery; an earlier gallery there is replaced.
        scale: evidence in logits at which colours saturate.
        shown: how many mistakes get pictures, at least 1.

    Returns:
        All mistakes, worst first.

    Raises:
        ConfigError: the folder holds something else, or ``shown`` is below 1.
        DataError: an image is gone.
        OSError: the folder cannot be written.
    """
    if shown < 1:
        raise ConfigError(f"the number of mistakes to show must be at least 1, got {shown}")
    check_gallery_place(directory)
    mistakes = worst_mistakes(answers)
    with replacing_folder(directory) as staging:
        for mistake in mistakes[:shown]:
            for name, picture in _pictures(answers, mistake, scale).items():
                write_bytes(staging / name, picture)
        write_text(staging / TABLE_NAME, _table(mistakes))
        write_text(staging / PAGE_NAME, _page(mistakes, len(answers.records), shown))
    return mistakes


def check_gallery_place(directory: Path) -> None:
    """Refuse a folder that holds what no gallery put there: a gallery replaces the whole of it.

    Raises:
        ConfigError: it does, or it is no folder.
    """
    if directory.exists() and not _is_gallery(directory):
        raise ConfigError(f"{directory}: holds something else than a gallery; name a new folder")


def _is_gallery(directory: Path) -> bool:
    return directory.is_dir() and all(
        file.is_file() and (file.name in _OWN_NAMES or _PICTURE.fullmatch(file.name))
        for file in directory.iterdir()
    )


def _pictures(answers: Answers, mistake: Mistake, scale: float) -> dict[str, bytes]:
    if mistake.record.path is None:
        raise DataError(f"{mistake.record.image_id}: the image is missing")
    i = mistake.index
    raster = read_image(mistake.record.path)
    explanation = Explanation(answers.evidence[i], answers.to_image[i], scale, answers.shift)
    return {
        _picture_name(mistake, kind): render_overlay(
            raster.pixels, explanation, diagnosis, info=raster
        )
        for kind, diagnosis in _explained(mistake).items()
    }


def _explained(mistake: Mistake) -> dict[str, Diagnosis]:
    return {"answer": mistake.predicted, "truth": mistake.record.diagnosis}


def _picture_name(mistake: Mistake, kind: str) -> str:
    # Numbered, because an image's name is the data set's and may not be a safe file name.
    return f"{mistake.index:05d}_{kind}.png"


def _table(mistakes: Sequence[Mistake]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("image", "lesion", "true", "predicted", "p_true", "p_predicted", "source"))
    for mistake in mistakes:
        record = mistake.record
        table.writerow(
            (
                record.image_id,
                record.lesion_id,
                record.diagnosis.code,
                mistake.predicted.code,
                f"{mistake.true_probability:.6f}",
                f"{mistake.probability:.6f}",
                record.source,
            )
        )
    return text.getvalue()


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Worst mistakes</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
        padding: 0 1rem }}
section {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem;
           margin: 2rem 0; border-top: 1px solid }}
h2 {{ grid-column: 1 / -1; font-size: 1.1rem; margin: .5rem 0 0 }}
figure {{ margin: 0 }} img {{ width: 100% }}
</style>
<h1>Worst mistakes</h1>
<p>{wrong} of {total} answers are wrong; shown are the {shown} that gave the true diagnosis the
least probability. All are in <a href="{table}">{table}</a>. Colours have the same scale in every
picture.
{sections}
</html>
"""
_SECTION = """<section>
<h2>{name}: {truth}, answered {answer}</h2>
<figure><img src="{answer_picture}" alt="Evidence for {answer}" loading="lazy">
<figcaption>{answer}: {probability}</figcaption></figure>
<figure><img src="{truth_picture}" alt="Evidence for {truth}" loading="lazy">
<figcaption>{truth}: {true_probability}</figcaption></figure>
</section>"""


def _page(mistakes: Sequence[Mistake], total: int, shown: int) -> str:
    sections = "\n".join(_section(mistake) for mistake in mistakes[:shown])
    return _PAGE.format(
        wrong=len(mistakes),
        total=total,
        shown=min(shown, len(mistakes)),
        table=TABLE_NAME,
        sections=sections,
    )


def _section(mistake: Mistake) -> str:
    return _SECTION.format(
        name=escape(mistake.record.image_id),
        truth=escape(str(mistake.record.diagnosis)),
        answer=escape(str(mistake.predicted)),
        answer_picture=_picture_name(mistake, "answer"),
        truth_picture=_picture_name(mistake, "truth"),
        probability=percent(mistake.probability),
        true_probability=percent(mistake.true_probability),
    )
