"""``dermassist predict``: many images into one table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.errors import ConfigError
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.option import Json, Model, SqueezedFrom, Tta, pixel_aspect_of
from dermassist.interfaces.cli.output import NOTICE, progress, remark, say, say_json

if TYPE_CHECKING:
    from dermassist.batch import FileOutcome
    from dermassist.inference.classifier import Classifier


@dataclass(frozen=True)
class _Outcome:
    """What became of all files.

    Attributes:
        files: in order, as far as the run came.
        asked: how many files there were.
        table: where the rows were written; ``None`` where they were not.
        passed_over: files that were not taken for images.
    """

    files: Sequence[FileOutcome]
    asked: int
    table: Path | None
    passed_over: Sequence[Path]

    @property
    def answered(self) -> int:
        """How many rows there are."""
        return sum(outcome.prediction is not None for outcome in self.files)

    @property
    def failures(self) -> dict[str, str]:
        """Why a file was not answered, by its path."""
        return {str(one.path): one.error for one in self.files if one.error is not None}

    @property
    def interrupted(self) -> bool:
        """Whether some files had no turn."""
        return len(self.files) < self.asked

    @property
    def status(self) -> ExitStatus:
        """What scripts are told."""
        if self.interrupted:
            return ExitStatus.INTERRUPTED
        return ExitStatus.SOME_FAILED if self.failures else ExitStatus.OK


def predict(
    paths: Annotated[list[str], typer.Argument(help="Images, folders and glob patterns.")],
    *,
    csv: Annotated[
        Path, typer.Option("--csv", help="Table to write, in the ISIC 2018 form.", readable=False)
    ],
    batch_size: Annotated[
        int, typer.Option(min=1, max=512, help="Images in one forward pass.")
    ] = 2,
    squeezed_from: SqueezedFrom = None,
    model: Model = None,
    tta: Tta = False,
    as_json: Json = False,
) -> None:
    """Answer many images into a CSV file; unreadable ones are listed and do not stop the rest."""
    from dermassist.batch import check_table_place, find_images  # noqa: PLC0415
    from dermassist.inference.classifier import Classifier  # noqa: PLC0415
    from dermassist.storage import (  # noqa: PLC0415
        check_writable,
        is_standard_output,
        is_stream,
    )

    if as_json and is_standard_output(csv):
        raise ConfigError(
            f"--csv {csv}: is standard output, where --json writes too; name a file for the table"
        )
    found = find_images(paths)
    images = found.images
    check_table_place(csv, images)
    aspect = pixel_aspect_of(squeezed_from) or 1.0
    classifier = Classifier.load(model, threads=1, tta=tta)
    # A place that cannot be written to is told before the work, not after it.
    check_writable(csv)
    files = _answer(images, classifier, batch_size=batch_size, pixel_aspect=aspect)
    table = _table_place(csv, files, asked=len(images))
    if table is not None:
        _write(table, files)
    outcome = _Outcome(files, asked=len(images), table=table, passed_over=found.passed_over)
    if as_json:
        say_json(_to_dict(outcome, csv))
    else:
        # Where the table goes into a stream, that may be standard output.
        _say(outcome, csv, beside=is_stream(csv))
    if outcome.status is not ExitStatus.OK:
        raise typer.Exit(outcome.status)


def _answer(
    images: Sequence[Path], classifier: Classifier, *, batch_size: int, pixel_aspect: float
) -> list[FileOutcome]:
    """Answer files as far as the user lets it.

    Raises:
        KeyboardInterrupt: before any was answered.
    """
    from dermassist.batch import predict_files  # noqa: PLC0415

    outcomes: list[FileOutcome] = []
    with progress("Images", len(images)) as advance:
        try:
            for outcome in predict_files(
                images, classifier, batch_size=batch_size, pixel_aspect=pixel_aspect
            ):
                outcomes.append(outcome)
                advance()
        except KeyboardInterrupt:
            # Hours of answers are worth more than a table that is whole.
            if all(outcome.prediction is None for outcome in outcomes):
                raise
    return outcomes


def _table_place(csv: Path, outcomes: Sequence[FileOutcome], *, asked: int) -> Path | None:
    """Return where to write the table so that no better one is lost; ``None`` for nowhere.

    A table without rows replaces none, and one that was interrupted goes beside an earlier one.
    """
    from dermassist.storage import is_stream  # noqa: PLC0415

    if not csv.is_file() or is_stream(csv):
        return csv
    if all(outcome.prediction is None for outcome in outcomes):
        return None
    if len(outcomes) == asked or csv.stat().st_size == 0:
        return csv
    # What an earlier interruption left is kept as well.
    numbers = ("" if number == 1 else f"-{number}" for number in count(1))
    places = (csv.with_name(f"{csv.stem}.partial{number}{csv.suffix}") for number in numbers)
    return next(place for place in places if not os.path.lexists(place))


def _write(csv: Path, outcomes: Sequence[FileOutcome]) -> None:
    from dermassist.batch import render_isic_csv  # noqa: PLC0415
    from dermassist.storage import write_bytes  # noqa: PLC0415

    # A file's name may hold bytes that are no text; the table shows them escaped.
    write_bytes(csv, render_isic_csv(outcomes).encode(errors="backslashreplace"))


def _notes(outcome: _Outcome, csv: Path) -> list[str]:
    from dermassist.batch import row_name  # noqa: PLC0415

    notes = [_passed_over(outcome.passed_over)] if outcome.passed_over else []
    notes += [one.note for one in outcome.files if one.note is not None]
    notes += [
        f"an apostrophe was put before {one.path.stem!r}: spreadsheets would run it as a formula"
        for one in outcome.files
        if one.prediction is not None and row_name(one.path) != one.path.stem
    ]
    if outcome.table is None:
        notes.append(f"nothing was answered: the earlier {csv} stays as it was")
    if outcome.interrupted:
        turns = f"{len(outcome.files)} of {outcome.asked} images had their turn"
        stays = "" if outcome.table == csv else f"; the earlier {csv} stays as it was"
        notes.append(f"interrupted: {outcome.table} is partial, {turns}{stays}")
    return notes


def _passed_over(files: Sequence[Path]) -> str:
    """Say how many files were not taken for images, by their endings."""
    endings = Counter(path.suffix.lower() or "no ending" for path in files)
    counts = ", ".join(f"{count} with {ending}" for ending, count in sorted(endings.items()))
    return f"passed over as no images: {counts}; those that are images can be named outright"


def _to_dict(outcome: _Outcome, csv: Path) -> dict[str, Any]:
    return {
        "csv": None if outcome.table is None else str(outcome.table),
        "answered": outcome.answered,
        "failed": outcome.failures,
        "interrupted": outcome.interrupted,
        "notes": _notes(outcome, csv),
    }


def _say(outcome: _Outcome, csv: Path, *, beside: bool) -> None:
    tell = remark if beside else say
    for reason in outcome.failures.values():
        remark(f"not answered: {reason}")
    for note in _notes(outcome, csv):
        remark(note)
    written = "no table written" if outcome.table is None else f"table written to {outcome.table}"
    tell(f"{outcome.answered} of {outcome.asked} images answered; {written}.")
    tell(NOTICE)
