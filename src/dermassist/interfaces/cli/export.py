"""``dermassist export``: from a training run to a model bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.errors import ConfigError
from dermassist.interfaces.cli.option import (
    DEFAULT_SPLITS,
    DataFolder,
    Json,
    SplitFile,
    given,
)
from dermassist.interfaces.cli.output import progress, say, say_json
from dermassist.interfaces.cli.requirement import require_training

if TYPE_CHECKING:
    from dermassist.imaging import Preprocessing
    from dermassist.model.bundle import Bundle
    from dermassist.model.network import MobileNetV2

#: Hexadecimal digits of a hash that a default version shows.
_VERSION_DIGITS = 12


def export(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a finished  dermassist train  run, or of a model to export anew.",
            readable=False,
        ),
    ],
    data: DataFolder,
    out: Annotated[
        Path,
        typer.Option(help="Folder of the bundle; one that is there is replaced.", readable=False),
    ],
    *,
    weights: Annotated[
        str, typer.Option(help="'last' epoch, or 'best' by validation macro F1.")
    ] = "last",
    name: Annotated[str, typer.Option(help="Name of the model.")] = "dermassist-mobilenetv2",
    version: Annotated[
        str | None,
        typer.Option(help="Version of the model; by default one that names its network's hash."),
    ] = None,
    network_px: Annotated[
        int | None,
        typer.Option(help="Side the network looks at; by default what the run was trained for."),
    ] = None,
    flips: Annotated[
        bool,
        typer.Option("--flips", help="Answer with the mean over four mirrored views."),
    ] = False,
    splits: SplitFile = DEFAULT_SPLITS,
    as_json: Json = False,
) -> None:
    """Export a trained network to ONNX, calibrate it on validation images, write the bundle."""
    require_training("Exporting")
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415 - keeps --help fast
    from dermassist.data.split import Part, read_splits, select  # noqa: PLC0415
    from dermassist.publication import Material, Origin, publish  # noqa: PLC0415

    if weights not in {"last", "best"}:
        raise ConfigError(f"--weights must be last or best, got {weights!r}")
    _check_place(out)
    if _is_bundle(run) and given(context, "weights"):
        raise ConfigError(f"{run}: is a model, which holds one network; leave --weights out")
    (record, read_network), drawn = _trained(run, weights), read_splits(splits)
    origin = record.get("origin", {})
    if (origin.get("protocol"), origin.get("splits_sha256")) != ("lesion", drawn.sha256):
        raise ConfigError(f"{run}: was not trained on the lesion-grouped splits of {splits}")
    network, preprocessing = read_network()
    if network_px is not None:
        preprocessing = replace(preprocessing, network_px=network_px)
    if flips:
        preprocessing = replace(preprocessing, flips=True)
    if version is None:
        version = _default_version(network, preprocessing)
    dataset = read_ham10000(data)
    train, validation = (
        select(dataset.records, drawn.image_ids(part, test_fold=origin["fold"]))
        for part in (Part.TRAIN, Part.VALIDATION)
    )
    created = datetime.now(UTC).isoformat(timespec="seconds")
    with progress("Calibrating", len(train) + len(validation)) as advance:
        bundle = publish(
            network,
            preprocessing,
            Origin(name, version, created, record),
            out,
            material=Material(train, validation, dataset.pixel_aspect),
            advance=advance,
        )
    if as_json:
        temperature = bundle.manifest.temperature
        say_json({"bundle": str(out), "sha256": bundle.sha256, "temperature": temperature})
    else:
        _say_bundle(bundle)


#: Reads a network, and how its images are prepared.
_Network = Callable[[], "tuple[MobileNetV2, Preprocessing]"]


def _trained(folder: Path, weights: str) -> tuple[dict[str, Any], _Network]:
    """Read how a run was trained, or the run that a bundle was made of; its network comes later."""
    from dermassist.model.bundle import read_bundle  # noqa: PLC0415
    from dermassist.model.graph import network_from_graph  # noqa: PLC0415
    from dermassist.training.run import read_record  # noqa: PLC0415

    if _is_bundle(folder):
        bundle = read_bundle(folder)
        manifest = bundle.manifest
        return manifest.training, lambda: (network_from_graph(bundle.graph), manifest.preprocessing)
    record = {**read_record(folder), "weights": weights}
    return record, lambda: _network_of_run(folder, record)


def _is_bundle(folder: Path) -> bool:
    from dermassist.model.bundle import MANIFEST_NAME  # noqa: PLC0415

    return (folder / MANIFEST_NAME).is_file()


def _default_version(network: MobileNetV2, preprocessing: Preprocessing) -> str:
    """Return a version that no other network has, nor this one with other preprocessing.

    The graph's own hash is not known before the bundle is written, which bears the version.
    """
    digest = hashlib.sha256(repr(preprocessing).encode())
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.cpu().numpy().tobytes())
    return f"0-{digest.hexdigest()[:_VERSION_DIGITS]}"


def _network_of_run(folder: Path, record: Mapping[str, Any]) -> tuple[MobileNetV2, Preprocessing]:
    from dermassist.config import TrainingConfig  # noqa: PLC0415
    from dermassist.model.network import MobileNetV2  # noqa: PLC0415
    from dermassist.model.weights import load_weights, read_weights  # noqa: PLC0415
    from dermassist.training.run import check_finished  # noqa: PLC0415

    recipe = TrainingConfig.from_dict(record["config"], where=str(folder))
    check_finished(folder, record, epochs=recipe.optimisation.epochs_to_run)
    network = MobileNetV2(dropout=recipe.model.dropout)
    load_weights(network, read_weights(folder / f"{record['weights']}_model.pth"))
    return network.eval(), recipe.preprocessing


def _check_place(out: Path) -> None:
    """Refuse a place where no bundle can be written, or only over something else, notes too.

    Raises:
        ConfigError: the folder holds something else, or it is no folder.
        OSError: it cannot be written.
    """
    from dermassist.storage import check_folder_writable, holds_nothing_but  # noqa: PLC0415

    if out.exists() and not (out.is_dir() and holds_nothing_but(out, _bundle_names(out))):
        raise ConfigError(f"{out}: holds something else than a model; name a new folder with --out")
    # Before the images are read and answered, not after it.
    check_folder_writable(out)


def _bundle_names(folder: Path) -> set[str]:
    """Return the names of a bundle's files; none where there is no manifest of ours."""
    from dermassist.errors import BundleError  # noqa: PLC0415
    from dermassist.model.bundle import MANIFEST_NAME  # noqa: PLC0415
    from dermassist.model.manifest import Manifest  # noqa: PLC0415

    path = folder / MANIFEST_NAME
    if not path.is_file():
        return set()
    try:
        manifest = Manifest.from_json(path.read_bytes().decode(), where=str(path))
    except (BundleError, UnicodeDecodeError):
        return set()
    return {MANIFEST_NAME, *manifest.files}


def _say_bundle(bundle: Bundle) -> None:
    manifest = bundle.manifest
    fitted = manifest.temperature is not None
    temperature = f"{manifest.temperature:.3f}" if fitted else "not measured"
    say(
        f"Wrote {manifest.name} {manifest.version} to {bundle.directory}, "
        f"temperature {temperature}."
    )
    say(f"sha256 {bundle.sha256}")
