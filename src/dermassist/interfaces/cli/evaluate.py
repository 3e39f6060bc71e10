"""``dermassist evaluate``: how good the answers are, with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.errors import ConfigError, DataError
from dermassist.interfaces.cli.option import (
    DATA_VARIABLE,
    Fold,
    Json,
    Model,
    SplitFile,
    SqueezedFrom,
    pixel_aspect_of,
)
from dermassist.interfaces.cli.output import progress, say, say_json

if TYPE_CHECKING:
    from dermassist.data.ham10000 import Ham10000, Record
    from dermassist.data.split import Splits
    from dermassist.evaluation.localisation import LocalisationSummary
    from dermassist.evaluation.report import EvaluationReport
    from dermassist.inference.classifier import Classifier
    from dermassist.model.bundle import Bundle

DEFAULT_SEED = 0


@dataclass(frozen=True)
class _Subject:
    """What is evaluated: some records of a data set, and how they were chosen."""

    dataset: Ham10000
    records: tuple[Record, ...]
    description: str
    is_test_fold: bool


def evaluate(
    *,
    data: Annotated[
        Path | None,
        typer.Option(envvar=DATA_VARIABLE, help="Folder that holds HAM10000, with --splits."),
    ] = None,
    splits: Annotated[SplitFile | None, typer.Option("--splits", help="Split file.")] = None,
    fold: Fold = 0,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    images: Annotated[Path | None, typer.Option(help="Folder of any test set's images.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Its labels: ISIC 2018 form or HAM10000's metadata.")
    ] = None,
    squeezed_from: SqueezedFrom = None,
    save: Annotated[Path | None, typer.Option(help="JSON file for the whole report.")] = None,
    store: Annotated[bool, typer.Option(help="Store the report in the model's manifest.")] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = DEFAULT_SEED,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Evaluate a model on its test fold, or on any labelled folder (--images and --labels)."""
    import numpy as np  # noqa: PLC0415 - keeps --help fast

    from dermassist.answering import (  # noqa: PLC0415
        answer_records,
        evaluate_answers,
        measure_heatmaps,
    )
    from dermassist.inference.classifier import Classifier  # noqa: PLC0415
    from dermassist.storage import write_text  # noqa: PLC0415

    classifier = Classifier.load(model)
    aspect = pixel_aspect_of(squeezed_from)
    if images is not None or labels is not None:
        subject = _outside(images, labels, aspect)
    else:
        subject = _fold(data, splits, classifier, fold=fold, part=part, aspect=aspect)
    if store and not subject.is_test_fold:
        raise ConfigError("--store takes the test fold of the splits that the model names")
    with progress("Images", len(subject.records)) as advance:
        answers = answer_records(
            subject.records,
            classifier,
            pixel_aspect=subject.dataset.pixel_aspect,
            advance=advance,
        )
    random = np.random.default_rng(seed)
    report = evaluate_answers(answers, random=random)
    has_masks = any(record.mask_path is not None for record in subject.records)
    heatmaps = measure_heatmaps(answers, random=random) if has_masks else None
    document = _document(classifier, subject, report, heatmaps, seed=seed)
    if save is not None:
        write_text(save, json.dumps(document, indent=1) + "\n")
    if store:
        _store(classifier.bundle, document)
    if as_json:
        say_json(document)
    else:
        _say_report(document, report, heatmaps)


def _outside(images: Path | None, labels: Path | None, aspect: float | None) -> _Subject:
    from dermassist.data.ham10000 import locate  # noqa: PLC0415
    from dermassist.data.label import read_labels  # noqa: PLC0415

    if images is None or labels is None:
        raise ConfigError("--images and --labels go together")
    if not images.is_dir():
        raise DataError(f"{images}: no such folder")
    dataset = locate(read_labels(labels), images, pixel_aspect=aspect)
    description = (
        f"{labels}, {len(dataset.records)} images. Whether the model has seen any of them in "
        "training is not known here."
    )
    return _Subject(dataset, dataset.records, description, is_test_fold=False)


def _fold(
    data: Path | None,
    splits: Path | None,
    classifier: Classifier,
    *,
    fold: int,
    part: str,
    aspect: float | None,
) -> _Subject:
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415
    from dermassist.data.split import Part, read_splits, select  # noqa: PLC0415
    from dermassist.interfaces.cli.option import DEFAULT_SPLITS  # noqa: PLC0415

    if data is None:
        raise ConfigError(f"give --data (or set {DATA_VARIABLE}), or --images and --labels")
    if part not in {"test", "validation"}:
        raise ConfigError(f"--part must be test or validation, got {part!r}")
    drawn = read_splits(splits or DEFAULT_SPLITS)
    _check_unseen(classifier.manifest.training.get("origin", {}), drawn, fold=fold)
    dataset = read_ham10000(data, pixel_aspect=aspect)
    records = select(dataset.records, drawn.image_ids(Part(part), test_fold=fold))
    description = (
        f"lesion-grouped fold {fold}, {part} part, {len(records)} images of "
        f"{len({record.lesion_id for record in records})} lesions, splits {drawn.sha256[:12]}"
    )
    return _Subject(dataset, records, description, is_test_fold=part == "test")


def _check_unseen(origin: Mapping[str, Any], drawn: Splits, *, fold: int) -> None:
    """Refuse a fold that the model may have been trained on."""
    if origin.get("protocol") != "lesion":
        raise ConfigError(
            "this model does not say that it was trained on lesion-grouped splits, so no fold is "
            "known to be new to it; use --images and --labels with images that are"
        )
    stated = (origin.get("splits_sha256"), origin.get("fold"))
    if stated != (drawn.sha256, fold):
        raise ConfigError(
            f"this model was trained with fold {stated[1]} of splits {str(stated[0])[:12]} as test "
            f"fold, so fold {fold} of splits {drawn.sha256[:12]} may hold images it was trained "
            "on; give that fold and those splits"
        )


def _document(
    classifier: Classifier,
    subject: _Subject,
    report: EvaluationReport,
    heatmaps: LocalisationSummary | None,
    *,
    seed: int,
) -> dict[str, Any]:
    from dermassist.evaluation.document import to_document  # noqa: PLC0415

    return {
        "protocol": subject.description,
        "bootstrap_seed": seed,
        "graph_sha256": classifier.manifest.files["model.onnx"].sha256,
        "report": report.to_dict(),
        "heatmaps": None if heatmaps is None else to_document(heatmaps),
    }


def _store(bundle: Bundle, document: dict[str, Any]) -> None:
    """Rewrite the manifest alone: the other files are as their hashes say."""
    from dataclasses import replace  # noqa: PLC0415

    from dermassist.model.bundle import MANIFEST_NAME  # noqa: PLC0415
    from dermassist.storage import write_text  # noqa: PLC0415

    measured = replace(bundle.manifest, metrics=document)
    write_text(bundle.directory / MANIFEST_NAME, measured.to_json())


def _say_report(
    document: dict[str, Any], report: EvaluationReport, heatmaps: LocalisationSummary | None
) -> None:
    from dermassist.evaluation.table import format_estimate, render_text  # noqa: PLC0415
    from dermassist.evaluation.tabulation import (  # noqa: PLC0415
        class_table,
        confusion_table,
        overall_table,
    )

    say(f"Evaluated on: {document['protocol']}")
    for table in (overall_table(report), class_table(report), confusion_table(report)):
        say("")
        say(render_text(table))
    if heatmaps is not None:
        averages = heatmaps.averages
        say("")
        say(f"Heatmaps of the predicted diagnosis against lesion masks ({heatmaps.images} images):")
        say(f"  peak inside the mask      {format_estimate(averages.peak)}")
        say(f"  of a centred Gaussian     {format_estimate(averages.gaussian_peak)}")
        say(f"  evidence inside the mask  {format_estimate(averages.energy)}")
        say(f"  of a centred Gaussian     {format_estimate(averages.gaussian_energy)}")
