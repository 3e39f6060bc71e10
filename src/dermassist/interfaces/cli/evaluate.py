"""``dermassist evaluate``: how good the answers are, with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
    from dermassist.decisions import DecisionMeasures
    from dermassist.evaluation.localisation import LocalisationSummary
    from dermassist.evaluation.report import EvaluationReport
    from dermassist.evaluation.table import Table
    from dermassist.inference.classifier import Classifier
    from dermassist.model.bundle import Bundle

DEFAULT_SEED = 0


@dataclass(frozen=True)
class _Measured:
    """All that was measured of one set of answers."""

    report: EvaluationReport
    heatmaps: LocalisationSummary | None
    decisions: DecisionMeasures


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
        typer.Option(
            envvar=DATA_VARIABLE, help="Folder that holds HAM10000, with --splits.", readable=False
        ),
    ] = None,
    splits: Annotated[
        SplitFile | None, typer.Option("--splits", help="Split file.", readable=False)
    ] = None,
    fold: Fold = 0,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    images: Annotated[
        Path | None, typer.Option(help="Folder of any test set's images.", readable=False)
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Its labels: ISIC 2018 form or HAM10000's metadata.", readable=False),
    ] = None,
    squeezed_from: SqueezedFrom = None,
    save: Annotated[
        Path | None, typer.Option(help="JSON file for the whole report.", readable=False)
    ] = None,
    store: Annotated[bool, typer.Option(help="Store the report in the model's manifest.")] = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a gallery of the worst mistakes with their heatmaps.", readable=False
        ),
    ] = None,
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
    from dermassist.decisions import measure_decisions  # noqa: PLC0415
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
    decisions = measure_decisions(answers, classifier.manifest, random=random)
    measured = _Measured(report, heatmaps, decisions)
    document = _document(classifier, subject, measured, seed=seed)
    if save is not None:
        write_text(save, json.dumps(document, indent=1) + "\n")
    if errors is not None:
        from dermassist.gallery import write_gallery  # noqa: PLC0415

        write_gallery(answers, errors, scale=classifier.manifest.evidence_scale)
    if store:
        _store(classifier.bundle, document, decisions)
    if as_json:
        say_json(document)
    else:
        _say_measured(document, measured)


def _outside(images: Path | None, labels: Path | None, aspect: float | None) -> _Subject:
    from dermassist.data.ham10000 import locate  # noqa: PLC0415
    from dermassist.data.label import read_labels  # noqa: PLC0415

    if images is None or labels is None:
        raise ConfigError("--images and --labels go together")
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; check the name")
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
    classifier: Classifier, subject: _Subject, measured: _Measured, *, seed: int
) -> dict[str, Any]:
    from dermassist.evaluation.document import to_document  # noqa: PLC0415

    return {
        "protocol": subject.description,
        "bootstrap_seed": seed,
        "graph_sha256": classifier.manifest.files["model.onnx"].sha256,
        "report": measured.report.to_dict(),
        "heatmaps": to_document(measured.heatmaps),
        "decisions": to_document(measured.decisions),
    }


def _store(bundle: Bundle, document: dict[str, Any], decisions: DecisionMeasures) -> None:
    """Rewrite the manifest alone: the other files are as their hashes say."""
    from dataclasses import replace  # noqa: PLC0415

    from dermassist.decisions import with_measures  # noqa: PLC0415
    from dermassist.model.bundle import MANIFEST_NAME  # noqa: PLC0415
    from dermassist.storage import write_text  # noqa: PLC0415

    measured = replace(with_measures(bundle.manifest, decisions), metrics=document)
    write_text(bundle.directory / MANIFEST_NAME, measured.to_json())


def _say_measured(document: dict[str, Any], measured: _Measured) -> None:
    from dermassist.evaluation.table import render_text  # noqa: PLC0415

    say(f"Evaluated on: {document['protocol']}")
    for table in _tables(measured):
        say("")
        say(render_text(table))


def _tables(measured: _Measured) -> Iterator[Table]:
    from dermassist.evaluation.decision_tabulation import (  # noqa: PLC0415
        calibration_table,
        heatmap_table,
        referral_table,
        set_table,
    )
    from dermassist.evaluation.tabulation import (  # noqa: PLC0415
        class_table,
        confusion_table,
        overall_table,
    )

    report, decisions = measured.report, measured.decisions
    yield overall_table(report)
    yield class_table(report)
    yield confusion_table(report)
    yield calibration_table(decisions.error_before, decisions.error_after)
    if decisions.referral is not None:
        yield referral_table(decisions.referral)
    if decisions.sets is not None:
        yield set_table(decisions.sets)
    if measured.heatmaps is not None:
        yield heatmap_table(measured.heatmaps)
