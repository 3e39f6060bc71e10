"""``dermassist protocol``: every trial of a protocol, trained, tested once, pooled."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.data.protocol_name import Protocol
from dermassist.errors import ConfigError, DataError
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.option import (
    DEFAULT_CACHE,
    DEFAULT_SPLITS,
    INIT_VARIABLE,
    CacheFolder,
    DataFolder,
    Json,
    SplitFile,
)
from dermassist.interfaces.cli.output import progress, remark, say, say_json, say_lines
from dermassist.interfaces.cli.place import check_replaceable, holds_keys
from dermassist.interfaces.cli.requirement import require_training
from dermassist.interfaces.cli.train import (
    IMAGENET,
    RESUME_HINT,
    initial_weights,
    start_origin,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from dermassist.config import TrainingConfig
    from dermassist.data.cache import FieldCache
    from dermassist.data.ham10000 import Ham10000
    from dermassist.data.protocol import Trial
    from dermassist.model.bundle import Bundle
    from dermassist.training.run import RunSettings
    from dermassist.trial import Bench

DEFAULT_RUNS = Path("runs")
DEFAULT_RESULTS = Path("results")
BOOTSTRAP_SEED = 0


def protocol(
    name: Annotated[Protocol, typer.Argument(help="lesion, paper or source.")],
    config: Annotated[
        Path, typer.Option(help="Recipe, a TOML file such as configs/ship.toml.", readable=False)
    ],
    data: DataFolder,
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Train and test this trial alone: fold0 to fold4, or a source's name."),
    ] = None,
    runs: Annotated[
        Path,
        typer.Option(
            help="Receives RUNS/PROTOCOL/TRIAL, from which a killed run resumes.", readable=False
        ),
    ] = DEFAULT_RUNS,
    results: Annotated[
        Path,
        typer.Option(
            help="Receives PROTOCOL.json, figures and each trial's predictions.", readable=False
        ),
    ] = DEFAULT_RESULTS,
    init: Annotated[
        str,
        typer.Option(
            envvar=INIT_VARIABLE,
            help="Weights to start from, 'imagenet', or RUNS/PROTOCOL of an earlier call; then "
            "each trial goes on from its own network.",
        ),
    ] = IMAGENET,
    teachers: Annotated[
        Path | None,
        typer.Option(
            help="RUNS/PROTOCOL of an earlier call; each trial's network teaches its own trial.",
            readable=False,
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A bundle that was trained on one of the trials by this recipe: it answers that "
            "trial's test images, and none is trained for them.",
            readable=False,
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="'last' epoch, or 'best' by validation macro F1.")
    ] = "last",
    splits: SplitFile = DEFAULT_SPLITS,
    cache: CacheFolder = DEFAULT_CACHE,
    workers: Annotated[int, typer.Option(min=0, help="Processes that augment images.")] = 1,
    as_json: Json = False,
) -> None:
    """Train and test every trial of a protocol that is not done yet, then pool their answers.

    Started twice, the two share the trials out: neither takes one that the other is at.
    """
    require_training("Training")
    from dermassist.config import read_config  # noqa: PLC0415 - keeps --help fast
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415
    from dermassist.data.protocol import trials  # noqa: PLC0415
    from dermassist.data.split import read_splits  # noqa: PLC0415
    from dermassist.pooling import check_tested, check_trained, is_tested  # noqa: PLC0415
    from dermassist.training.run import RunSettings  # noqa: PLC0415
    from dermassist.trial import Bench, answer_with, described_training  # noqa: PLC0415

    if weights not in {"last", "best"}:
        raise ConfigError(f"--weights must be last or best, got {weights!r}")
    dataset = read_ham10000(data)
    every = trials(name, dataset.records, read_splits(splits))
    wanted = _wanted(every, only)
    place = results / name.value
    check_replaceable(
        *(results / f"{name.value}.json", "result of a protocol", _is_result),
        remedy="give another --results",
    )
    if name is Protocol.PAPER:
        remark("The paper's protocol: lesions leak into its test part, which also selects.")
    tested = [trial for trial in every if is_tested(trial, place)]
    recipe = read_config(config)
    check = partial(
        check_tested, results=place, recipe=recipe, weights=weights, taught=teachers is not None
    )
    due = [trial for trial in wanted if trial not in tested]
    starts = _starts(init, (*tested, *wanted)) if due else {}
    check(tested, starts=starts)
    ready = _ready(model or [], wanted)
    for trial, bundle in ready:
        check_trained(
            described_training(bundle.manifest),
            trial,
            where=bundle.directory,
            recipe=recipe,
            weights=weights,
            taught=teachers is not None,
            start=starts[trial.name]["initial_weights"] if starts else None,
        )
    for trial in (trial for trial in wanted if trial not in due):
        remark(
            f"{trial.name}: tested before, not trained again; give another --results and --runs "
            "to train"
        )
    for trial, bundle in ready:
        if trial in due:
            with progress(trial.name, len(trial.test)) as advance:
                answer_with(
                    bundle, trial, place, pixel_aspect=dataset.pixel_aspect, advance=advance
                )
            due.remove(trial)
    if due:
        fields = _decode(recipe, dataset, cache)
        # All are read before the first training: the last may not fit either.
        read = _read_starts(init, due)
        for trial in due:
            bench = Bench(
                recipe=recipe,
                cache=fields,
                pixel_aspect=dataset.pixel_aspect,
                initial_weights=read[trial.name],
                start_origin=starts[trial.name],
                weights=weights,
                teachers=teachers,
            )
            watched = sys.stdout.isatty() and not as_json
            run = RunSettings(
                runs / name.value / trial.name,
                workers=workers,
                progress=watched,
                tell=None if watched or as_json else partial(_remark_of, trial.name),
            )
            _run_trial(trial, bench, run, place)
    # Another command may have tested some in the meantime, with a recipe of its own.
    tested = [trial for trial in every if is_tested(trial, place)]
    check(tested, starts=_starts(init, tested) if starts else {})
    if not tested:
        raise DataError("no trial is tested yet; other processes are at those asked for")
    _report(tested, place, results / f"{name.value}.json", of=len(every), as_json=as_json)


def _run_trial(trial: Trial, bench: Bench, run: RunSettings, place: Path) -> None:
    from dermassist.trial import Ended, run_trial  # noqa: PLC0415

    images = len(trial.train) + len(trial.validation) + len(trial.test)
    ended = run_trial(trial, bench, run, place, watching=progress(trial.name, images))
    if ended is Ended.STOPPED:
        remark(RESUME_HINT)
        raise typer.Exit(ExitStatus.INTERRUPTED)
    if ended is Ended.ELSEWHERE:
        remark(f"{trial.name}: another process is at it; left to that one.")


def _remark_of(trial: str, line: str) -> None:
    remark(f"{trial}: {line}")


def _is_result(path: Path) -> bool:
    return holds_keys(path, "trials_of_protocol", "report")


def _wanted(every: Sequence[Trial], only: list[str] | None) -> list[Trial]:
    names = [trial.name for trial in every]
    unknown = set(only or ()) - set(names)
    if unknown:
        raise ConfigError(f"--only must name trials among {', '.join(names)}, got {min(unknown)}")
    return [trial for trial in every if not only or trial.name in only]


def _ready(models: Sequence[Path], wanted: Sequence[Trial]) -> list[tuple[Trial, Bundle]]:
    """Return models that were trained before, each with its trial."""
    from dermassist.model.bundle import read_bundle  # noqa: PLC0415

    ready = []
    for path in models:
        bundle = read_bundle(path)
        origin = bundle.manifest.training.get("origin", {})
        of = [t for t in wanted if all(origin.get(k) == v for k, v in t.origin.items())]
        if not of:
            raise ConfigError(f"--model {path}: was trained on none of the trials asked for")
        ready.append((of[0], bundle))
    return ready


def _starts(init: str, trials: Iterable[Trial]) -> dict[str, dict[str, Any]]:
    """Return what trials' records say of their start weights, if they start as told."""
    inits = {trial.name: _init_of(init, trial) for trial in trials}
    said = {own: start_origin(own) for own in dict.fromkeys(inits.values())}
    return {name: said[own] for name, own in inits.items()}


def _read_starts(init: str, due: Sequence[Trial]) -> dict[str, dict[str, Tensor]]:
    """Return the weights that trials start from; a file that several share is read once."""
    inits = {trial.name: _init_of(init, trial) for trial in due}
    read = {
        own: initial_weights(own, *(trial.origin for trial in due if inits[trial.name] == own))
        for own in dict.fromkeys(inits.values())
    }
    return {name: read[own] for name, own in inits.items()}


def _init_of(init: str, trial: Trial) -> str:
    """Return what a trial starts from: of the runs of an earlier call, its own.

    Raises:
        DataError: its run is not there, or not finished.
    """
    from dermassist.config import TrainingConfig  # noqa: PLC0415
    from dermassist.training.run import (  # noqa: PLC0415
        LAST_WEIGHTS_NAME,
        check_finished,
        read_record,
    )

    if init == IMAGENET or not Path(init).is_dir():
        return init
    run = Path(init) / trial.name
    record = read_record(run)
    if "config" not in record:
        raise DataError(f"{run}: its record does not say how it was trained")
    earlier = TrainingConfig.from_dict(record["config"], where=str(run))
    check_finished(run, record, epochs=earlier.optimisation.epochs_to_run)
    return str(run / LAST_WEIGHTS_NAME)


def _decode(recipe: TrainingConfig, dataset: Ham10000, cache: Path) -> FieldCache:
    from dermassist.data.cache import open_cache  # noqa: PLC0415

    with progress("Decoding", len(dataset.records)) as advance:
        return open_cache(
            dataset.records,
            recipe.preprocessing,
            cache,
            pixel_aspect=dataset.pixel_aspect,
            progress=lambda _done, _total: advance(),
        )


def _report(tested: Sequence[Trial], place: Path, path: Path, *, of: int, as_json: bool) -> None:
    import numpy as np  # noqa: PLC0415

    from dermassist.evaluation.decision_tabulation import (  # noqa: PLC0415
        calibration_table,
        own_errors,
        pooled_title,
        referral_table,
        set_table,
    )
    from dermassist.evaluation.table import render_text  # noqa: PLC0415
    from dermassist.evaluation.tabulation import class_table, overall_table  # noqa: PLC0415
    from dermassist.pooling import summarise_trials, write_figures  # noqa: PLC0415
    from dermassist.storage import write_text  # noqa: PLC0415

    rng = np.random.default_rng(BOOTSTRAP_SEED)
    figures = summarise_trials(tested, place, of=of, rng=rng)
    write_figures(figures.report, place)
    write_text(path, json.dumps(figures.to_dict(), indent=1) + "\n")
    if as_json:
        say_json(figures.to_dict())
        return
    names = ", ".join(trial.name for trial in tested)
    say(f"{len(tested)} of {of} trials, answers pooled: {names}")
    networks, error = len(figures.each), figures.report.summary.overall.calibration_error
    chosen_here = figures.protocol == Protocol.PAPER.value
    tables = [
        overall_table(
            figures.report,
            title=f"Overall{pooled_title(networks)}",
            calibration=not chosen_here,
        ),
        class_table(figures.report),
    ]
    if chosen_here:
        say(
            "Its temperature, threshold and sets were fitted on the images that it reports: read no"
        )
        say("calibration error from it; what they do is not shown.")
    else:
        tables += [
            calibration_table(figures.error_before, error, networks=networks),
            referral_table(figures.referral),
            set_table(figures.sets),
        ]
    for table in tables:
        say("")
        say_lines(render_text(table))
    if networks > 1:
        own = [trial.summary.overall.calibration_error.value for trial in figures.each]
        say("")
        say(own_errors(own, error.value))
    say("")
    say(f"Written to {path}, pictures to {place}")
