"""The model that ships, on real images of the fold that it never saw."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dermassist.data.ham10000 import Ham10000, Record, read_ham10000
from dermassist.data.split import Part, Splits, read_splits, select
from dermassist.diagnosis import DIAGNOSES
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.explain.activation_map import grad_cam
from dermassist.explain.gradient import gradient_grad_cam
from dermassist.imaging import Preprocessing, read_image, to_field
from dermassist.inference.classifier import Classifier
from dermassist.inference.export import ServingNetwork
from dermassist.interfaces.cli import main
from dermassist.model.graph import network_from_graph
from dermassist.results import Assessment
from dermassist.softmax import softmax

pytestmark = pytest.mark.real_data

CHECKOUT = Path(__file__).parents[2]
SPLITS = CHECKOUT / "splits" / "ham10000.json"
PUBLISHED = CHECKOUT / "results" / "ship" / "plain.csv"
AGREEMENT_IMAGES = 100
COMPARED_IMAGES = 40
EXPLAINED_IMAGES = 3


@pytest.fixture(scope="module")
def dataset(ham10000_directory: Path) -> Ham10000:
    return read_ham10000(ham10000_directory)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return read_splits(SPLITS)


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def tested(dataset: Ham10000, splits: Splits) -> tuple[Record, ...]:
    return select(dataset.records, splits.image_ids(Part.TEST, test_fold=0))


def test_the_split_file_is_of_this_data_set(dataset: Ham10000, splits: Splits) -> None:
    lesions = {record.image_id: record.lesion_id for record in dataset.records}
    assert {a.image_id: a.lesion_id for a in splits.assignments} == lesions


def test_no_lesion_is_in_two_parts_of_any_fold(splits: Splits) -> None:
    for fold in range(5):
        parts = [{a.lesion_id for a in splits.assignments if a.part(fold) is part} for part in Part]
        assert sum(map(len, parts)) == len(set.union(*parts))


def test_the_shipped_network_names_these_splits(shipped: Classifier, splits: Splits) -> None:
    origin = shipped.manifest.training["origin"]
    assert (origin["splits_sha256"], origin["fold"]) == (splits.sha256, 0)


def _views(
    classifier: Classifier, records: Sequence[Record], dataset: Ham10000
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack(
        [
            classifier.view(record.path, pixel_aspect=dataset.pixel_aspect).pixels
            for record in records
            if record.path is not None
        ]
    )


def test_onnx_and_pytorch_agree(
    shipped: Classifier, tested: tuple[Record, ...], dataset: Ham10000
) -> None:
    views = _views(shipped, tested[:AGREEMENT_IMAGES], dataset)
    network = network_from_graph(shipped.bundle.graph)
    serving = ServingNetwork(network, shipped.manifest.preprocessing).eval()
    with torch.inference_mode():
        logits, maps = (output.numpy() for output in serving(torch.from_numpy(views)))
    given_logits, given_maps = shipped.run(views)
    assert len(views) == AGREEMENT_IMAGES
    temperature = shipped.manifest.temperature or 1.0
    given, expected = (
        softmax(values.astype(np.float64) / temperature) for values in (given_logits, logits)
    )
    np.testing.assert_allclose(given, expected, atol=1e-4)
    np.testing.assert_allclose(given_maps, maps, atol=1e-3)


def test_published_answers_are_given_again(
    shipped: Classifier, tested: tuple[Record, ...], dataset: Ham10000
) -> None:
    published = PredictionTable.read(PUBLISHED)
    row = {image: position for position, image in enumerate(published.images)}
    assert set(row) == {record.image_id for record in tested}
    for record in tested[::50]:
        assert record.path is not None
        given = shipped.predict(record.path, pixel_aspect=dataset.pixel_aspect).probabilities
        expected = published.probabilities[row[record.image_id]]
        np.testing.assert_allclose(given, expected, atol=1e-4, err_msg=record.image_id)


def test_a_picture_is_answered_alike_as_png_and_as_jpeg(
    shipped: Classifier, tested: tuple[Record, ...], dataset: Ham10000
) -> None:
    """The JPEG is decoded at half scale, so its field is made in another way."""
    pairs = []
    for record in tested[::40][:COMPARED_IMAGES]:
        assert record.path is not None
        field = to_field(read_image(record.path).pixels, 450, pixel_aspect=dataset.pixel_aspect)
        pairs.append((shipped.predict(field), shipped.predict(_jpeg(field))))
    assert len(pairs) == COMPARED_IMAGES
    moved = [np.abs(np.subtract(a.probabilities, b.probabilities)).sum() / 2 for a, b in pairs]
    assert np.mean(moved) < 0.05
    assert np.mean([a.diagnosis is b.diagnosis for a, b in pairs]) >= 0.9


def _jpeg(field: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(field).save(target, "JPEG", quality=95)
    return target.getvalue()


def test_closed_form_equals_gradients(
    shipped: Classifier, tested: tuple[Record, ...], dataset: Ham10000
) -> None:
    network = network_from_graph(shipped.bundle.graph)
    preprocessing: Preprocessing = shipped.manifest.preprocessing
    for record in tested[:EXPLAINED_IMAGES]:
        assert record.path is not None
        answer = shipped.answer(record.path, pixel_aspect=dataset.pixel_aspect)
        for diagnosis in DIAGNOSES:
            by_gradient = gradient_grad_cam(
                network, answer.view.pixels, diagnosis, preprocessing=preprocessing
            )
            closed = grad_cam(answer.explanation, diagnosis)
            np.testing.assert_allclose(closed, by_gradient, atol=1e-5)


def test_analyze_answers_a_real_image(
    tested: tuple[Record, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["dermassist", "analyze", str(tested[0].path), "--squeezed-from", "4:3"]
    monkeypatch.setattr("sys.argv", [*command, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    written = Assessment.from_dict(json.loads((tmp_path / "assessment.json").read_text()))
    prediction = written.prediction
    assert lines[0] == f"Predicted Category: {prediction.diagnosis}"
    assert lines[1].startswith(f"Confidence Score: {prediction.confidence:.2f}")
    assert {path.name for path in tmp_path.iterdir()} == {
        "gradcam_output.png",
        "gradcam_overlay.png",
        "assessment.json",
    }
