"""``dermassist data``: fetch HAM10000, check what is there, draw splits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.option import Json
from dermassist.interfaces.cli.output import remark, say, say_json, say_lines
from dermassist.interfaces.cli.place import check_replaceable, holds_keys

data_app = typer.Typer(help="Fetch, check and split HAM10000.", no_args_is_help=True)

_LISTED = 20


@data_app.command()
def fetch(
    directory: Annotated[Path, typer.Argument(help="Folder to fetch into.", readable=False)],
    *,
    mirror: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Dataverse to fetch from; by default its home, Harvard's."
        ),
    ] = None,
    keep_archives: Annotated[bool, typer.Option(help="Keep archives after unpacking.")] = False,
    as_json: Json = False,
) -> None:
    """Download HAM10000 (about 3 GB) from its official home, verify and unpack it."""
    from dermassist.data.dataverse import HARVARD_DATAVERSE  # noqa: PLC0415 - keeps --help fast
    from dermassist.data.fetch import fetch_ham10000  # noqa: PLC0415
    from dermassist.interfaces.cli.transfer import TransferBar  # noqa: PLC0415

    with TransferBar() as bar:
        report = fetch_ham10000(
            directory,
            base_url=mirror or HARVARD_DATAVERSE,
            keep_archives=keep_archives,
            progress=bar,
        )
    if as_json:
        parts = [{"part": str(part.part), "path": str(part.path)} for part in report.parts]
        say_json({"directory": str(report.directory), "parts": parts})
    else:
        for part in report.parts:
            say(str(part))
        say_lines(report.licence_note)


@data_app.command()
def check(
    directory: Annotated[Path, typer.Argument(help="Folder that holds HAM10000.", readable=False)],
    *,
    quick: Annotated[bool, typer.Option(help="Do not decode the images.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is there, what is missing or unreadable, and count classes, lesions and sources."""
    from dermassist.data.check import check_ham10000  # noqa: PLC0415 - keeps --help fast

    findings = check_ham10000(directory, decode=not quick)
    if as_json:
        say_json(findings.to_dict())
    else:
        for line in findings.lines(listed=_LISTED):
            say(line)
    if not findings.complete:
        raise typer.Exit(ExitStatus.CHECK_FAILED)


@data_app.command()
def split(
    directory: Annotated[Path, typer.Argument(help="Folder that holds HAM10000.", readable=False)],
    *,
    out: Annotated[Path, typer.Option(help="Split file to write.", readable=False)],
    seed: Annotated[int, typer.Option(help="Of the random generator.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw five lesion-grouped folds and the paper's image-level split."""
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415 - keeps --help fast
    from dermassist.data.split import make_splits, write_splits  # noqa: PLC0415

    check_replaceable(out, "split file", lambda path: holds_keys(path, "seed", "rows"))
    splits = make_splits(read_ham10000(directory).records, seed=seed)
    write_splits(splits, out)
    if as_json:
        say_json({"splits": str(out), "sha256": splits.sha256, "images": len(splits.assignments)})
    else:
        say(f"Wrote {len(splits.assignments)} images to {out}")
        say(f"sha256 {splits.sha256}")
    remark("The paper's split leaks lesions; it is there for comparison only.")
