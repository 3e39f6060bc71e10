"""``dermassist evaluate``: how good the answers are, with intervals."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.errors import ConfigError
from dermassist.interfaces.cli.evaluation_subject import Subject, labelled_folder, part_of_fold
from dermassist.interfaces.cli.option import (
    DATA_VARIABLE,
    DEFAULT_SPLITS,
    Fold,
    Json,
    Model,
    SqueezedFrom,
    Tta,
    given,
    pixel_aspect_of,
)
from dermassist.interfaces.cli.output import progress, say, say_json, say_lines
from dermassist.interfaces.cli.place import check_replaceable, holds_keys

if TYPE_CHECKING:
    from dermassist.answering import Answers
    from dermassist.data.ham10000 import Record
    from dermassist.decisions import DecisionMeasures
    from dermassist.evaluation.calibration import ReliabilityBins
    from dermassist.evaluation.decision import SourceReferral
    from dermassist.evaluation.localisation import LocalisationSummary
    from dermassist.evaluation.report import EvaluationReport
    from dermassist.evaluation.table import Table
    from dermassist.inference.classifier import Classifier
    from dermassist.model.manifest import Manifest

DEFAULT_SEED = 0
_TABLE_START = b"image,true,"
CHOSEN_HERE = (
    "The model's temperature, referral threshold and prediction sets were fitted on these images: "
    "what they do here is not what they do on others"
)
LESIONS_NOT_NAMED = (
    "The labels name no lesions, so each image counts as one: intervals are too narrow if several "
    "images show the same lesion. A column lesion_id names them."
)


@dataclass(frozen=True)
class _Measured:
    """All that was measured of one set of answers."""

    report: EvaluationReport
    heatmaps: LocalisationSummary | None
    decisions: DecisionMeasures
    answered: tuple[ReliabilityBins, ...]
    by_source: tuple[SourceReferral, ...]


@dataclass(frozen=True)
class _Places:
    """Where results go that the user asked for: report, each image's answer, gallery, manifest."""

    save: Path | None
    answers: Path | None
    errors: Path | None
    store: Path | None


def evaluate(
    context: typer.Context,
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar=DATA_VARIABLE,
            help="Folder that holds HAM10000; --splits says which images test.",
            readable=False,
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help=f"Split file; by default {DEFAULT_SPLITS}.", readable=False),
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
    answers: Annotated[
        Path | None,
        typer.Option(help="CSV file for each image's answer.", readable=False),
    ] = None,
    store: Annotated[bool, typer.Option(help="Store the report in the model's manifest.")] = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Folder for a gallery of the worst mistakes with their heatmaps.", readable=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = DEFAULT_SEED,
    model: Model = None,
    tta: Tta = False,
    as_json: Json = False,
) -> None:
    """Evaluate a model on its test fold, or on any labelled folder (--images and --labels)."""
    from dermassist.answering import answer_records, check_masks  # noqa: PLC0415 - fast --help
    from dermassist.inference.classifier import Classifier  # noqa: PLC0415
    from dermassist.model.bundle import MANIFEST_NAME  # noqa: PLC0415

    labelled = images is not None or labels is not None
    if labelled:
        _check_no_fold(context)
    classifier = Classifier.load(model, tta=tta)
    aspect = pixel_aspect_of(squeezed_from)
    if labelled:
        subject = _with_lesions_told(labelled_folder(images, labels, aspect))
    else:
        subject = part_of_fold(data, splits, classifier, fold=fold, part=part, aspect=aspect)
        if not subject.is_test_fold:
            subject = replace(subject, description=f"{subject.description}. {CHOSEN_HERE}.")
    if aspect is not None:
        _check_squares(subject.records)
    if store and not subject.is_test_fold:
        raise ConfigError("--store takes the test fold of the splits that the model names")
    manifest = classifier.bundle.directory / MANIFEST_NAME
    places = _Places(save, answers, errors, manifest if store else None)
    _check_places(places, classifier.manifest)
    check_masks(subject.records)
    with progress("Images", len(subject.records)) as advance:
        answered = answer_records(
            subject.records,
            classifier,
            pixel_aspect=subject.dataset.pixel_aspect,
            advance=advance,
        )
    measured = _measure(answered, classifier, seed=seed)
    document = _document(classifier, subject, measured, seed=seed)
    _write(places, answered, document, classifier.manifest)
    if as_json:
        say_json(document)
    else:
        _say_measured(document, measured, chosen_here=not labelled and not subject.is_test_fold)
    if places.store is not None:
        _store(places.store, classifier.manifest, document, measured.decisions)


def _with_lesions_told(subject: Subject) -> Subject:
    """Add to the description that lesions are not named, where they are not."""
    from dermassist.data.label import names_lesions  # noqa: PLC0415

    if names_lesions(subject.records):
        return subject
    return replace(subject, description=f"{subject.description} {LESIONS_NOT_NAMED}")


def _check_places(places: _Places, manifest: Manifest) -> None:
    """Find out before the work, not after it, whether its results may be written."""
    from dermassist.storage import check_folder_writable, check_writable  # noqa: PLC0415

    _check_apart(places)
    if places.save is not None:
        check_replaceable(places.save, "report of an evaluation", _is_report)
        check_writable(places.save)
    if places.answers is not None:
        from dermassist.decisions import rules_of  # noqa: PLC0415

        rules_of(manifest)
        check_replaceable(places.answers, "table of answers of an evaluation", _is_table)
        check_writable(places.answers)
    if places.errors is not None:
        from dermassist.gallery import check_gallery_place  # noqa: PLC0415

        check_gallery_place(places.errors)
        check_folder_writable(places.errors)
    if places.store is not None:
        check_writable(places.store)


def _check_apart(places: _Places) -> None:
    """Refuse one place for two results: the later one would replace the earlier."""
    taken: dict[str, str] = {}
    for option, place in vars(places).items():
        if place is None:
            continue
        other = taken.setdefault(os.path.realpath(place), option)
        if other != option:
            raise ConfigError(
                f"--{other} and --{option} both name {place}; give each a place of its own"
            )


def _write(
    places: _Places, answered: Answers, document: dict[str, Any], manifest: Manifest
) -> None:
    from dermassist.storage import write_text  # noqa: PLC0415

    if places.save is not None:
        write_text(places.save, json.dumps(document, indent=1) + "\n")
    if places.answers is not None:
        from dermassist.decisions import prediction_table  # noqa: PLC0415

        write_text(places.answers, prediction_table(answered, manifest).to_csv())
    if places.errors is not None:
        from dermassist.gallery import write_gallery  # noqa: PLC0415

        write_gallery(answered, places.errors, scale=manifest.evidence_scale)


def _is_report(path: Path) -> bool:
    """Tell whether ``--save`` wrote it; what ``protocol`` writes holds a report too."""
    return holds_keys(path, "protocol", "bootstrap_seed", "report")


def _is_table(path: Path) -> bool:
    """Tell whether ``--answers`` wrote it; beside a trial's table lies how it was made."""
    description = path.with_suffix(".json")
    if description.is_file() and holds_keys(description, "trial", "predictions_sha256"):
        return False
    with path.open("rb") as file:
        return file.read(len(_TABLE_START)) == _TABLE_START


def _check_squares(records: Iterable[Record]) -> None:
    """Refuse to stretch what was not squeezed to a square; damaged images are told when read."""
    from dermassist.imaging import declared_size  # noqa: PLC0415 - keeps --help fast

    for path in (record.path for record in records if record.path is not None):
        width, height = declared_size(path) or (0, 0)
        if width != height:
            raise ConfigError(
                f"{path}: has {width} x {height} pixels, so it was not squeezed to a square; leave "
                "--squeezed-from out, or evaluate such images apart"
            )


def _check_no_fold(context: typer.Context) -> None:
    """Refuse what chooses a fold's images beside images that are named themselves."""
    others = given(context, "data", "splits", "fold", "part")
    if others:
        raise ConfigError(
            f"{' and '.join(others)}: for a fold of HAM10000, but --images and --labels name other "
            "images; give one or the other"
        )


def _measure(answers: Answers, classifier: Classifier, *, seed: int) -> _Measured:
    import numpy as np  # noqa: PLC0415

    from dermassist.answering import evaluate_answers, measure_heatmaps  # noqa: PLC0415
    from dermassist.decisions import measure_decisions, measure_sources  # noqa: PLC0415
    from dermassist.evaluation.calibration import reliability_by_answer  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    report = evaluate_answers(answers, rng=rng)
    has_masks = any(record.mask_path is not None for record in answers.records)
    heatmaps = measure_heatmaps(answers, rng=rng) if has_masks else None
    return _Measured(
        report,
        heatmaps,
        measure_decisions(answers, classifier.manifest, rng=rng),
        reliability_by_answer(answers.labels, answers.probabilities),
        measure_sources(answers, classifier.manifest, rng=rng),
    )


def _document(
    classifier: Classifier, subject: Subject, measured: _Measured, *, seed: int
) -> dict[str, Any]:
    from dermassist.evaluation.document import to_document  # noqa: PLC0415
    from dermassist.measured import ANSWERED_KEY, SOURCES_KEY  # noqa: PLC0415

    return {
        "protocol": subject.description,
        "bootstrap_seed": seed,
        "graph_sha256": classifier.manifest.files["model.onnx"].sha256,
        "report": measured.report.to_dict(),
        "heatmaps": to_document(measured.heatmaps),
        "decisions": to_document(measured.decisions),
        ANSWERED_KEY: to_document(measured.answered),
        SOURCES_KEY: to_document(measured.by_source),
    }


def _store(
    path: Path, manifest: Manifest, document: dict[str, Any], decisions: DecisionMeasures
) -> None:
    """Rewrite the manifest alone: the other files are as their hashes say."""
    from dermassist.decisions import with_measures  # noqa: PLC0415
    from dermassist.storage import write_text  # noqa: PLC0415

    measured = replace(with_measures(manifest, decisions), metrics=document)
    write_text(path, measured.to_json())


def _say_measured(document: dict[str, Any], measured: _Measured, *, chosen_here: bool) -> None:
    from dermassist.evaluation.table import render_text  # noqa: PLC0415

    say(f"Evaluated on: {document['protocol']}")
    if chosen_here:
        say("Read no calibration error from it; decisions are not shown.")
    for table in _tables(measured, decisions=not chosen_here):
        say("")
        say_lines(render_text(table))


def _tables(measured: _Measured, *, decisions: bool) -> Iterator[Table]:
    from dermassist.evaluation.decision_tabulation import (  # noqa: PLC0415
        calibration_table,
        heatmap_table,
        referral_table,
        set_table,
        source_referral_table,
    )
    from dermassist.evaluation.tabulation import (  # noqa: PLC0415
        class_table,
        confusion_table,
        overall_table,
    )

    report = measured.report
    yield overall_table(report, calibration=decisions)
    yield class_table(report)
    yield confusion_table(report)
    if decisions:
        does = measured.decisions
        yield calibration_table(does.error_before, report.summary.overall.calibration_error)
        if does.referral is not None:
            yield referral_table(does.referral)
        if measured.by_source:
            yield source_referral_table(measured.by_source)
        if does.sets is not None:
            yield set_table(does.sets)
    if measured.heatmaps is not None:
        yield heatmap_table(measured.heatmaps)
