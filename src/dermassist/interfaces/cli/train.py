"""``dermassist train``: from HAM10000 to weights."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.data.protocol_name import Protocol
from dermassist.errors import ConfigError
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.option import (
    DEFAULT_CACHE,
    DEFAULT_SPLITS,
    INIT_VARIABLE,
    CacheFolder,
    DataFolder,
    Fold,
    Json,
    SplitFile,
)
from dermassist.interfaces.cli.output import progress, remark, say, say_json
from dermassist.interfaces.cli.requirement import require_training

if TYPE_CHECKING:
    from torch import Tensor

    from dermassist.data.ham10000 import Record
    from dermassist.data.protocol import Trial
    from dermassist.data.split import Splits
    from dermassist.training.run import TrainingOutcome

IMAGENET = "imagenet"
RESUME_HINT = "Training was stopped; run the same command to resume it."
ALREADY_FINISHED = "This run was finished before; nothing was left to train."


def train(
    config: Annotated[
        Path, typer.Option(help="Recipe, a TOML file such as configs/ship.toml.", readable=False)
    ],
    data: DataFolder,
    out: Annotated[
        Path, typer.Option(help="Folder of this run; a killed run resumes from it.", readable=False)
    ],
    *,
    init: Annotated[
        str,
        typer.Option(
            envvar=INIT_VARIABLE,
            help="Weights to start from: a file, or 'imagenet' to download torchvision's.",
        ),
    ] = IMAGENET,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Model bundle, trained on the same part, whose answers are learned too.",
            readable=False,
        ),
    ] = None,
    splits: SplitFile = DEFAULT_SPLITS,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="'lesion' and 'source' do not leak lesions; 'paper' does, as the paper does."
        ),
    ] = Protocol.LESION,
    fold: Fold = 0,
    source: Annotated[
        str | None, typer.Option(help="Source to leave out under --protocol source.")
    ] = None,
    cache: CacheFolder = DEFAULT_CACHE,
    workers: Annotated[int, typer.Option(min=0, help="Processes that augment images.")] = 1,
    devices: Annotated[int, typer.Option(min=1, help="Processes or GPUs to train on.")] = 1,
    accelerator: Annotated[
        str, typer.Option(help="auto, cpu, gpu, or another one that Lightning knows.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Train a network; run the same command again to resume one that was stopped."""
    require_training("Training")
    from dermassist.config import read_config  # noqa: PLC0415 - keeps --help fast
    from dermassist.data.cache import open_cache  # noqa: PLC0415
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415
    from dermassist.data.split import read_splits  # noqa: PLC0415
    from dermassist.training.hardware import check_accelerator  # noqa: PLC0415
    from dermassist.training.run import (  # noqa: PLC0415
        Parts,
        RunSettings,
        Start,
        sole_training_in,
    )
    from dermassist.training.run import train as run_training  # noqa: PLC0415
    from dermassist.training.teacher import read_teacher  # noqa: PLC0415

    check_accelerator(accelerator, devices=devices)
    recipe, drawn = read_config(config), read_splits(splits)
    dataset = read_ham10000(data)
    trial = _trial(protocol, dataset.records, drawn, fold=fold, source=source)
    parts = Parts(trial.train, trial.validation)
    weights = initial_weights(init, trial.origin)
    taught = read_teacher(teacher, trial.origin, recipe.preprocessing) if teacher else None
    start = Start(weights, taught)
    with progress("Decoding", len(dataset.records)) as advance:
        fields = open_cache(
            dataset.records,
            recipe.preprocessing,
            cache,
            pixel_aspect=dataset.pixel_aspect,
            progress=lambda _done, _total: advance(),
        )
    # Lightning draws its bars on standard output, where only a person wants them.
    watched = sys.stdout.isatty() and not as_json
    settings = RunSettings(
        out,
        workers=workers,
        devices=devices,
        accelerator=accelerator,
        progress=watched,
        tell=None if watched or as_json else remark,
    )
    origin = {**trial.origin, **start_origin(init)}
    with sole_training_in(out):
        before = _checkpoint_time(out)
        try:
            outcome = run_training(recipe, parts, fields, settings, start=start, origin=origin)
        except OSError:
            # Such as a full disk; the finished epochs before it are kept.
            if _checkpoint_time(out) is not None and not as_json:
                remark(RESUME_HINT)
            raise
    # Every epoch writes a checkpoint, so the same one means that nothing was left to train.
    _say_outcome(outcome, trained=_checkpoint_time(out) != before, as_json=as_json)


def _trial(
    protocol: Protocol,
    records: Sequence[Record],
    splits: Splits,
    *,
    fold: int,
    source: str | None,
) -> Trial:
    from dermassist.data.protocol import (  # noqa: PLC0415
        lesion_trial,
        paper_trial,
        source_trial,
    )

    if (source is not None) != (protocol is Protocol.SOURCE):
        raise ConfigError("--source goes with --protocol source, which leaves that source out")
    if source is not None:
        return source_trial(records, splits, source=source)
    if protocol is Protocol.PAPER:
        remark("The paper's protocol: lesions leak into its test part, which also selects.")
        return paper_trial(records, splits)
    return lesion_trial(records, splits, fold=fold)


def initial_weights(init: str, *origins: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read the weights that ``--init`` names.

    Args:
        init: ``imagenet``, or a file.
        origins: of the trainings that will start from them, which none may leak into.
    """
    from dermassist.model.weights import read_imagenet_weights, read_weights  # noqa: PLC0415
    from dermassist.training.seen import check_start  # noqa: PLC0415

    for origin in origins if init != IMAGENET else ():
        check_start(Path(init), origin)
    return read_imagenet_weights() if init == IMAGENET else read_weights(Path(init))


def describe_init(init: str) -> str:
    """Name the start weights by what they are, not by where they lay."""
    if init == IMAGENET:
        return "torchvision's ImageNet-1k weights"
    try:
        digest = hashlib.sha256(Path(init).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{init}: cannot be read as start weights ({error.strerror})") from error
    return f"{Path(init).name}, sha256 {digest}"


def start_origin(init: str) -> dict[str, Any]:
    """Return what a training's record says of its start; of a run, how that was trained as well."""
    from dermassist.training.seen import earlier_training  # noqa: PLC0415

    said: dict[str, Any] = {"initial_weights": describe_init(init)}
    earlier = None if init == IMAGENET else earlier_training(Path(init))
    if earlier is not None:
        told = ("config", "origin", "precision")
        said["continues"] = {name: earlier[name] for name in told if name in earlier}
    return said


def _checkpoint_time(out: Path) -> int | None:
    from dermassist.training.run import CHECKPOINT_FOLDER  # noqa: PLC0415 - loads Lightning

    path = out / CHECKPOINT_FOLDER / "last.ckpt"
    return path.stat().st_mtime_ns if path.is_file() else None


def _say_outcome(outcome: TrainingOutcome, *, trained: bool, as_json: bool) -> None:
    if as_json:
        # Not a number before the first validation, which JSON cannot say.
        best = outcome.best_macro_f1
        say_json(
            {
                "best_weights": str(outcome.best_weights),
                "last_weights": str(outcome.last_weights),
                "best_validation_macro_f1": None if math.isnan(best) else best,
                "epochs": outcome.epochs,
                "finished": outcome.finished,
                "trained": trained,
            }
        )
    elif outcome.finished:
        say(f"Finished {outcome.epochs} epochs." if trained else ALREADY_FINISHED)
        say(f"Best validation macro F1: {outcome.best_macro_f1:.3f}, in {outcome.best_weights}")
        say(f"Last epoch: {outcome.last_weights}")
    else:
        remark(RESUME_HINT)
    if not outcome.finished:
        raise typer.Exit(ExitStatus.INTERRUPTED)
