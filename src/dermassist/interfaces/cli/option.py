"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermassist.errors import ConfigError

DATA_VARIABLE = "DERMASSIST_DATA"
INIT_VARIABLE = "DERMASSIST_INIT"
CACHE_VARIABLE = "DERMASSIST_CACHE"

Json = Annotated[bool, typer.Option("--json", help="Write one JSON object instead of text.")]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model", help="Folder of a model bundle; by default the one that ships.", readable=False
    ),
]
Tta = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="The model that averages four mirrored views, at four times the work; MODEL_CARD.md "
        "compares the two.",
    ),
]
SqueezedFrom = Annotated[
    str | None,
    typer.Option(
        "--squeezed-from",
        metavar="W:H",
        help="True proportions of images that were squeezed to squares, such as 4:3; others stay.",
    ),
]
DataFolder = Annotated[
    Path,
    typer.Option(
        "--data", envvar=DATA_VARIABLE, help="Folder that holds HAM10000.", readable=False
    ),
]
CacheFolder = Annotated[
    Path,
    typer.Option(
        "--cache",
        envvar=CACHE_VARIABLE,
        help="Folder for decoded images (about 2 GB), reused.",
        readable=False,
    ),
]
SplitFile = Annotated[Path, typer.Option("--splits", help="Split file.", readable=False)]
Fold = Annotated[int, typer.Option("--fold", min=0, max=4, help="Fold that is the test fold.")]

#: Proportions of photographs; what the geometry accepts.
SQUEEZED_RANGE = (0.25, 4.0)
DEFAULT_SPLITS = Path("splits/ham10000.json")
DEFAULT_CACHE = Path("runs/cache")


def pixel_aspect_of(squeezed_from: str | None) -> float | None:
    """Return a pixel's width over its height for squares squeezed from ``W:H``, or ``None``.

    Raises:
        ConfigError: the text is not two positive numbers with a colon between them, or one is
            more than four times the other.
    """
    if squeezed_from is None:
        return None
    try:
        width, height = (float(part) for part in squeezed_from.split(":"))
        aspect = width / height if min(width, height) > 0.0 else 0.0
    except ValueError:
        aspect = 0.0
    low, high = SQUEEZED_RANGE
    if not low <= aspect <= high:
        raise ConfigError(
            f"--squeezed-from must look like 4:3, from 1:4 to 4:1, got {squeezed_from!r}"
        )
    return aspect


def given(context: typer.Context, *names: str) -> tuple[str, ...]:
    """Return which of these parameters stand on the command line, as ``--their-option``.

    What comes from a default or from the environment does not count.
    """
    # By its name, because Typer does not export the enumeration.
    sources = ((name, context.get_parameter_source(name)) for name in names)
    return tuple(
        f"--{name.replace('_', '-')}"
        for name, source in sources
        if source is not None and source.name == "COMMANDLINE"
    )
