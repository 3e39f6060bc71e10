from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dermassist import publication
from dermassist.answering import Answers, answer_records
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.decisions import fit_decisions
from dermassist.errors import BundleError, DataError
from dermassist.imaging import Preprocessing
from dermassist.inference.classifier import Classifier
from dermassist.inference.export import ServingNetwork
from dermassist.model.bundle import Bundle, read_bundle
from dermassist.model.network import MobileNetV2
from dermassist.publication import Material, Origin, publish
from dermassist.quality import measure_quality
from dermassist.selfcheck import check_sample

from ..conftest import tiny_graph, tiny_manifest

Make = Callable[..., Path]
ORIGIN = Origin("name", "7", "2026-01-01T00:00:00+00:00", {"seed": 3})
PREPROCESSING = Preprocessing(size_px=32)


@pytest.fixture
def material(make_ham10000: Make) -> Material:
    """Two halves of a synthetic data set of 56 drawings."""
    records = read_ham10000(make_ham10000(lesions_per_class=6)).records
    return Material(train=records[::2], validation=records[1::2])


@pytest.fixture
def tiny_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the export, whose agreement with PyTorch is then not asked for."""
    monkeypatch.setattr(publication, "export_graph", lambda *_: tiny_graph(size_px=32))
    monkeypatch.setattr(publication, "_check_agreement", lambda *_: {"images": 0})


@pytest.fixture
def published(tiny_export: None, material: Material, tmp_path: Path) -> Bundle:
    place = tmp_path / "new" / "bundle"
    return publish(MobileNetV2(), PREPROCESSING, ORIGIN, place, material=material)


def answers_of(material: Material) -> Answers:
    manifest = tiny_manifest(preprocessing=PREPROCESSING, temperature=None)
    classifier = Classifier(Bundle.unwritten(Path(), manifest, tiny_graph(size_px=32)), threads=1)
    return answer_records(material.validation, classifier)


def test_written_bundle_reads_back_and_passes_its_own_check(published: Bundle) -> None:
    read = read_bundle(published.directory)
    assert read == published
    assert read.manifest.preprocessing == PREPROCESSING
    assert (read.manifest.name, read.manifest.version) == ("name", "7")
    assert read.manifest.training == {"seed": 3, "onnx_agreement": {"images": 0}}
    assert read.manifest.licence == "CC BY-NC 4.0"
    assert "HAM10000" in read.manifest.attribution
    assert check_sample(Classifier(read, threads=1)).deviation < 1e-6


def answers_from(logits: np.ndarray, labels: list[int]) -> Answers:
    """Return answers for made-up images."""
    from dermassist.diagnosis import DIAGNOSES

    records = tuple(
        Record(f"I{k}", f"L{k}", DIAGNOSES[label], "histo", None, "male", "back", "x")
        for k, label in enumerate(labels)
    )
    count = len(labels)
    return Answers(
        records=records,
        logits=logits,
        probabilities=np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        evidence=np.zeros((count, 7, 2, 2), np.float32),
        to_image=np.tile(np.eye(2, 3), (count, 1, 1)),
        sizes=np.full((count, 2), 64),
    )


def test_rules_are_those_of_the_validation_answers(published: Bundle, material: Material) -> None:
    rules, manifest = fit_decisions(answers_of(material)), published.manifest
    given = (manifest.temperature, manifest.referral, manifest.conformal)
    assert given == (rules.temperature, rules.referral, rules.conformal)


def test_colours_saturate_for_one_image_in_twenty(published: Bundle, material: Material) -> None:
    answers = answers_of(material)
    strongest = [
        float(maps[logits.argmax()].max())
        for maps, logits in zip(answers.evidence, answers.logits, strict=True)
    ]
    beyond = np.mean(np.array(strongest) > published.manifest.evidence_scale)
    assert 0.0 < beyond <= 0.1


def test_colours_have_a_scale_even_where_nothing_is_evidence() -> None:
    answers = answers_from(np.zeros((4, 7)), [0, 1, 2, 3])
    assert publication._evidence_scale(answers) == publication.SMALLEST_EVIDENCE_SCALE > 0.0


def test_usual_quality_is_that_of_the_training_images(
    published: Bundle, material: Material
) -> None:
    reference = published.manifest.quality_reference
    assert reference is not None
    classifier = Classifier(published, threads=1)
    measured = [
        measure_quality(classifier.view(record.path).pixels, short_side_px=64)
        for record in material.train
        if record.path is not None
    ]
    brightness = [quality.brightness for quality in measured]
    assert reference.brightness == pytest.approx(np.quantile(brightness, (0.01, 0.99)))
    contrast = [quality.contrast for quality in measured if quality.contrast is not None]
    assert len(contrast) == len(measured)
    assert reference.contrast == pytest.approx(np.quantile(contrast, 0.01))
    low, high = reference.sharpness
    assert 0.0 < low < high


def test_progress_counts_validation_and_training_images(
    tiny_export: None, material: Material, tmp_path: Path
) -> None:
    steps: list[int] = []
    publish(
        MobileNetV2(),
        PREPROCESSING,
        ORIGIN,
        tmp_path / "bundle",
        material=material,
        advance=steps.append,
    )
    assert sum(steps) == len(material.train) + len(material.validation)


def test_graph_that_is_not_the_network_is_not_published(
    monkeypatch: pytest.MonkeyPatch, material: Material, tmp_path: Path
) -> None:
    monkeypatch.setattr(publication, "export_graph", lambda *_: tiny_graph(size_px=32))
    with pytest.raises(BundleError, match="the exported graph and PyTorch differ by"):
        publish(MobileNetV2(), PREPROCESSING, ORIGIN, tmp_path / "bundle", material=material)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("part", ["train", "validation"])
def test_missing_images_are_refused(
    tiny_export: None, material: Material, tmp_path: Path, part: str
) -> None:
    gone = tuple(replace(record, path=None) for record in getattr(material, part))
    bare = replace(material, **{part: gone})  # type: ignore[arg-type] # one of its two parts
    with pytest.raises(DataError, match=r"have no file|no training image"):
        publish(MobileNetV2(), PREPROCESSING, ORIGIN, tmp_path / "bundle", material=bare)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.slow
def test_a_mirrored_variant_is_calibrated_for_its_own_answers(
    material: Material, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    flipped = replace(PREPROCESSING, flips=True)
    mirrored = publish(network, flipped, ORIGIN, tmp_path / "bundle", material=material)
    # What is exported answers one view: mirrored images are given to it apart.
    views = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits = [
            ServingNetwork(network, each).eval()(views)[0] for each in (PREPROCESSING, flipped)
        ]
    assert torch.equal(*logits)
    agreement = mirrored.manifest.training["onnx_agreement"]
    assert agreement["images"] == len(material.validation)
    assert agreement["largest_difference_in_probability"] <= publication.LARGEST_DISAGREEMENT
    answers = answer_records(material.validation, Classifier(mirrored, threads=1))
    assert mirrored.manifest.referral == fit_decisions(answers).referral
    assert check_sample(Classifier(read_bundle(mirrored.directory), threads=1)).deviation < 1e-6
