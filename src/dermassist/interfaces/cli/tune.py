"""``dermassist tune``: a memetic search for the recipe's hyperparameters."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from dermassist.interfaces.cli.requirement import require_search, require_training
from dermassist.interfaces.cli.train import IMAGENET, describe_init, initial_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dermassist.data.ham10000 import Record
    from dermassist.training.proxy import ProxyPlan
    from dermassist.tuning.declaration import Declaration
    from dermassist.tuning.result import Best
    from dermassist.tuning.search import SearchOutcome, SearchSettings

RESUME_HINT = "The search was stopped; run the same command to resume it."
NONE_FINISHED = "No candidate has finished yet, so there is no best recipe."


def tune(
    config: Annotated[
        Path, typer.Option(help="Search, a TOML file such as configs/search.toml.", readable=False)
    ],
    data: DataFolder,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of this search; a killed search resumes from it.", readable=False
        ),
    ],
    *,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Optuna storage for many machines: a database, or grpc://host:port; by default "
            "an SQLite file in the folder.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Candidates to train at a time.")] = 1,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Candidates in all, instead of the file's number.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the search, instead of the file's.")
    ] = None,
    init: Annotated[
        str, typer.Option(envvar=INIT_VARIABLE, help="Weights to start from, or 'imagenet'.")
    ] = IMAGENET,
    splits: SplitFile = DEFAULT_SPLITS,
    fold: Fold = 0,
    cache: CacheFolder = DEFAULT_CACHE,
    accelerator: Annotated[
        str, typer.Option(help="auto, cpu, gpu, or another one that Lightning knows.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Search for better hyperparameters; run the same command again to resume."""
    require_search("Searching")
    require_training("Searching")
    import optuna  # noqa: PLC0415 - keeps --help fast

    from dermassist.interfaces.cli.search_bar import SearchBar  # noqa: PLC0415
    from dermassist.training.hardware import check_accelerator  # noqa: PLC0415
    from dermassist.tuning.declaration import read_declaration  # noqa: PLC0415 - loads optuna
    from dermassist.tuning.search import SearchSettings, run_search  # noqa: PLC0415
    from dermassist.tuning.study import check_storage  # noqa: PLC0415

    # This command says itself what it does, and with --json nothing but its result.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check_accelerator(accelerator)
    declaration = _overridden(read_declaration(config), trials=trials, seed=seed)
    settings = SearchSettings(out, storage=storage, workers=workers)
    if storage is not None:
        check_storage(settings.place)
    declaration, plan = prepare_candidates(
        declaration, data=data, splits=splits, fold=fold, init=init, cache=cache
    )
    plan = replace(plan, accelerator=accelerator, threads=_threads(workers))
    with SearchBar(lines=not as_json) as bar:
        settings = replace(settings, watch=bar.show)
        outcome = run_search(declaration, settings, prepare=plan.prepare)
    _say_outcome(outcome, declaration, settings, as_json=as_json)


def _overridden(declaration: Declaration, *, trials: int | None, seed: int | None) -> Declaration:
    search = declaration.search
    if trials is not None:
        search = replace(search, trials=trials)
    if seed is not None:
        search = replace(search, seed=seed)
    return replace(declaration, search=search)


def prepare_candidates(
    declaration: Declaration, *, data: Path, splits: Path, fold: int, init: str, cache: Path
) -> tuple[Declaration, ProxyPlan]:
    """Find and decode the candidates' images, and let the declaration say which they are.

    The test fold's images are neither decoded nor handed on.
    """
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415 - keeps --help fast
    from dermassist.data.protocol import lesion_trial  # noqa: PLC0415
    from dermassist.data.split import read_splits  # noqa: PLC0415
    from dermassist.data.subset import stratified_subset  # noqa: PLC0415
    from dermassist.training.proxy import ProxyPlan  # noqa: PLC0415
    from dermassist.training.run import Parts  # noqa: PLC0415
    from dermassist.tuning.declaration import proxied  # noqa: PLC0415

    dataset = read_ham10000(data)
    trial = lesion_trial(dataset.records, read_splits(splits), fold=fold)
    proxy = declaration.proxy
    images = proxy.images or len(trial.train)
    subset = stratified_subset(trial.train, images=images, seed=proxy.seed)
    plan = ProxyPlan(
        Parts(subset, trial.validation),
        proxied(declaration.recipe, proxy).preprocessing,
        cache,
        dataset.pixel_aspect,
        read_weights=partial(initial_weights, init, trial.origin),
    )
    # Read once here, so that weights that cannot be are refused before anything is decoded.
    plan.read_weights()
    origin = {
        **trial.origin,
        "initial_weights": describe_init(init),
        "train_images_sha256": _digest(subset),
    }
    with progress("Decoding", len(subset) + len(trial.validation)) as advance:
        plan.open_cache(progress=lambda _done, _total: advance())
    return replace(declaration, origin=origin), plan


def _digest(records: Iterable[Record]) -> str:
    return hashlib.sha256("\n".join(record.image_id for record in records).encode()).hexdigest()


def _threads(workers: int) -> int:
    """Share the machine's processors out among the workers."""
    return max(1, (os.cpu_count() or 1) // workers)


def _say_outcome(
    outcome: SearchOutcome, declaration: Declaration, settings: SearchSettings, *, as_json: bool
) -> None:
    from dermassist.tuning.figure import write_figures  # noqa: PLC0415 - loads matplotlib
    from dermassist.tuning.result import BEST_NAME, write_results  # noqa: PLC0415
    from dermassist.tuning.search import standing_of  # noqa: PLC0415

    best = write_results(outcome.study, declaration, settings.directory)
    write_figures(outcome.study, declaration.space, settings.directory)
    standing = standing_of(outcome.study, declaration)
    recipe = settings.directory / BEST_NAME
    if as_json:
        say_json(
            {
                "study": outcome.study.study_name,
                "finished": outcome.finished,
                "trials": standing.finished,
                "best_trial": best and best.number,
                "best_macro_f1": best and best.score,
                "best_params": best and best.params,
                "best_config": best and str(recipe),
            }
        )
    else:
        say(f"{standing.finished} of {standing.trials} candidates finished.")
        _say_best(best, recipe)
    if not outcome.finished:
        remark(RESUME_HINT)
        raise typer.Exit(ExitStatus.INTERRUPTED)


def _say_best(best: Best | None, recipe: Path) -> None:
    if best is None:
        say(NONE_FINISHED)
        return
    say(f"Best: trial {best.number}, macro F1 {best.score:.3f} on validation in a short training")
    for name, value in best.params.items():
        say(f"  {name} = {value:.4g}")
    say(f"Train it with  dermassist train --config {recipe}")
