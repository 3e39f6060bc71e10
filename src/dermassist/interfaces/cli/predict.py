"""``dermassist predict``: many images into one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.option import Json, Model, SqueezedFrom, Tta, pixel_aspect_of
from dermassist.interfaces.cli.output import NOTICE, progress, remark, say, say_json


def predict(
    paths: Annotated[list[str], typer.Argument(help="Images, folders and glob patterns.")],
    *,
    csv: Annotated[
        Path, typer.Option("--csv", help="Table to write, in the ISIC 2018 form.", readable=False)
    ],
    batch_size: Annotated[int, typer.Option(min=1, max=512)] = 2,
    squeezed_from: SqueezedFrom = None,
    model: Model = None,
    tta: Tta = False,
    as_json: Json = False,
) -> None:
    """Answer many images into a CSV file; unreadable ones are listed and do not stop the rest."""
    from dermassist.batch import find_images, predict_files, render_isic_csv  # noqa: PLC0415
    from dermassist.inference.classifier import Classifier  # noqa: PLC0415
    from dermassist.storage import replacing  # noqa: PLC0415

    images = find_images(paths)
    aspect = pixel_aspect_of(squeezed_from) or 1.0
    classifier = Classifier.load(model, threads=1, tta=tta)
    outcomes = []
    # Entered first: a place that cannot be written to is told before the work, not after it.
    with replacing(csv) as table, progress("Images", len(images)) as advance:
        for outcome in predict_files(
            images, classifier, batch_size=batch_size, pixel_aspect=aspect
        ):
            outcomes.append(outcome)
            advance()
        # A file's name may hold bytes that are no text; the table shows them escaped.
        table.write_bytes(render_isic_csv(outcomes).encode(errors="backslashreplace"))
    failures = [outcome for outcome in outcomes if outcome.error is not None]
    answered = len(outcomes) - len(failures)
    if as_json:
        failed = {str(outcome.path): outcome.error for outcome in failures}
        say_json({"csv": str(csv), "answered": answered, "failed": failed})
    else:
        for outcome in failures:
            remark(f"not answered: {outcome.error}")
        say(f"{answered} of {len(outcomes)} images answered; table written to {csv}.")
        say(NOTICE)
    if failures:
        raise typer.Exit(ExitStatus.SOME_FAILED)
