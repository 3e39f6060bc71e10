from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from dermassist.diagnosis import CODES, DIAGNOSES, Diagnosis
from dermassist.errors import BundleError, ConfigError, ImageError
from dermassist.imaging import Preprocessing, RasterImage, read_image
from dermassist.imaging.geometry import PIXEL_ASPECT_RANGE
from dermassist.inference import classifier as module
from dermassist.inference.classifier import Classifier
from dermassist.model.bundle import Bundle, write_bundle
from dermassist.model.manifest import ConformalRule, ReferralRule
from dermassist.results import RECEPTIVE_SHIFT
from dermassist.sample import draw_lesion
from dermassist.softmax import softmax

from ...conftest import tiny_graph, tiny_manifest

LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=7, max_size=7)
LESIONS = [draw_lesion(np.random.default_rng(k), width=96, height=72) for k in range(6)]


def bundle(graph: bytes | None = None, **changes: object) -> Bundle:
    return Bundle.unwritten(Path("here"), tiny_manifest(**changes), graph or tiny_graph())


def initialiser(name: str) -> NDArray[np.float32]:
    model = onnx.load_from_string(tiny_graph())
    (found,) = (item for item in model.graph.initializer if item.name == name)
    return np.asarray(numpy_helper.to_array(found), np.float32)


# Probabilities.


@given(logits=LOGITS, temperature=st.floats(0.05, 20))
def test_probabilities_add_up_and_temperature_keeps_the_ranking(
    classifier: Classifier, logits: list[float], temperature: float
) -> None:
    row = np.array(logits, np.float32)
    probabilities = np.array(classifier.to_prediction(row).probabilities)
    scaled = softmax(row.astype(np.float64) / temperature)

    assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert (probabilities >= 0.0).all()
    # Ties stay ties; what was more probable stays at least as probable.
    order = np.argsort(row, kind="stable")
    assert (np.diff(probabilities[order]) >= 0.0).all()
    assert (np.diff(scaled[order]) >= 0.0).all()


def test_temperature_divides_the_logits_by_hand() -> None:
    prediction = Classifier(bundle(temperature=2.0)).to_prediction(
        np.array([2.0, 0, 0, 0, 0, 0, 0], np.float32)
    )
    assert prediction.probabilities[0] == pytest.approx(np.e / (np.e + 6))
    assert prediction.calibrated


def test_without_a_temperature_nothing_is_called_calibrated() -> None:
    prediction = Classifier(bundle(temperature=None)).predict(LESIONS[0])

    assert not prediction.calibrated
    np.testing.assert_allclose(
        prediction.probabilities, softmax(np.array(prediction.logits)), rtol=1e-12
    )


def test_softmax_stands_large_logits_and_any_shape() -> None:
    values = softmax(np.array([[1000.0, 1000.0], [-1000.0, 0.0]]))
    np.testing.assert_allclose(values, [[0.5, 0.5], [0.0, 1.0]])


# One image, many images, many threads.


def test_a_batch_answers_as_single_images_do(classifier: Classifier) -> None:
    single = [classifier.predict(image) for image in LESIONS]
    for batch_size in (1, 4, 16):
        batched = list(classifier.predict_batch(iter(LESIONS), batch_size=batch_size))
        assert len(batched) == len(single)
        for one, other in zip(batched, single, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
            np.testing.assert_allclose(one.logits, other.logits, atol=1e-5)


def test_a_batch_stops_at_a_bad_image_after_answering_earlier_batches(
    classifier: Classifier,
) -> None:
    answers = classifier.predict_batch([LESIONS[0], LESIONS[1], b"bad"], batch_size=2)

    assert next(answers).logits == pytest.approx(classifier.predict(LESIONS[0]).logits, abs=1e-5)
    next(answers)
    with pytest.raises(ImageError, match="not an image"):
        next(answers)


@pytest.mark.parametrize(
    "one",
    [
        "lesion.jpg",
        Path("lesion.jpg"),
        b"bytes",
        bytearray(b"bytes"),
        memoryview(b"bytes"),
        Image.fromarray(LESIONS[0]),
        read_image(LESIONS[0]),
        LESIONS[0],
        LESIONS[0][..., 0],
        LESIONS[0][0, 0],
        LESIONS[0] / 255.0,
    ],
    ids=lambda one: f"{type(one).__name__}{getattr(one, 'shape', '')}",
)
def test_one_image_is_not_taken_for_several(classifier: Classifier, one: Any) -> None:
    with pytest.raises(ConfigError, match="images must be several"):
        classifier.predict_batch(one)


def test_an_array_of_images_or_of_their_paths_holds_several(
    classifier: Classifier, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    for path, pixels in zip(paths, LESIONS, strict=False):
        Image.fromarray(pixels).save(path)
    given: tuple[Any, ...] = (np.stack(LESIONS[:2]), np.array(paths), np.array([*map(str, paths)]))
    wanted = list(classifier.predict_batch(LESIONS[:2]))
    assert [list(classifier.predict_batch(images)) for images in given] == [wanted] * 3


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_an_impossible_number_of_threads_is_refused(
    classifier: Classifier, threads: object
) -> None:
    with pytest.raises(ConfigError, match="threads must be a whole number of at least 1"):
        Classifier(classifier.bundle, threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_an_impossible_batch_size_is_refused(classifier: Classifier, batch_size: int) -> None:
    # At the call, as long as nobody asks for an answer.
    with pytest.raises(ConfigError, match=f"batch_size must be at least 1, got {batch_size}"):
        classifier.predict_batch(LESIONS, batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [2.5, 2.0, "2", None])
def test_a_batch_size_that_is_no_whole_number_is_refused(
    classifier: Classifier, batch_size: Any
) -> None:
    with pytest.raises(ConfigError, match="batch_size must be a whole number, got "):
        classifier.predict_batch(LESIONS, batch_size=batch_size)


def test_a_batch_size_may_be_a_number_of_numpys(classifier: Classifier) -> None:
    size: Any = np.int64(2)
    assert len(list(classifier.predict_batch(LESIONS, batch_size=size))) == len(LESIONS)


def test_threads_may_be_a_number_of_numpys(classifier: Classifier) -> None:
    threads: Any = np.int64(1)
    assert answers(Classifier(classifier.bundle, threads=threads)) == answers(classifier)


@pytest.mark.parametrize("aspect", [0.2, 4.03, float("nan"), "4:3"])
def test_an_impossible_pixel_aspect_is_refused(classifier: Classifier, aspect: Any) -> None:
    refused = pytest.raises(ConfigError, match=r"pixel_aspect must be from 0\.25 to 4\.0, got")
    with refused:
        classifier.predict(LESIONS[0], pixel_aspect=aspect)
    # At the call, as long as nobody asks for an answer.
    with refused:
        classifier.predict_batch(LESIONS, pixel_aspect=aspect)


@pytest.mark.parametrize("aspect", PIXEL_ASPECT_RANGE)
def test_a_reduced_size_s_rounding_makes_no_aspect_impossible(
    classifier: Classifier, aspect: float
) -> None:
    pixels = np.zeros((450, 450, 3), np.uint8)
    for sides in ((450, 451), (451, 450)):
        raster = RasterImage(pixels, *sides, sha256="")
        assert classifier.view(raster, pixel_aspect=aspect).pixels.shape == (224, 224, 3)


@pytest.mark.parametrize(
    "views",
    [
        np.zeros((1, 224, 224, 3)),
        np.zeros((1, 224, 224, 3), np.float32),
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((1, 3, 224, 224), np.uint8),
    ],
    ids=lambda views: f"{views.dtype}{views.shape}",
)
def test_what_is_no_view_is_refused(classifier: Classifier, views: Any) -> None:
    for model in (classifier, Classifier(bundle(preprocessing=Preprocessing(flips=True)))):
        with pytest.raises(ConfigError, match=r"views must be uint8 \(N, 224, 224, 3\), got "):
            model.run(views)


def test_no_images_are_no_answers(classifier: Classifier) -> None:
    assert list(classifier.predict_batch([])) == []


def test_threads_share_a_classifier_and_get_their_own_answers(classifier: Classifier) -> None:
    wanted = [classifier.answer(image) for image in LESIONS]
    wrong: list[int] = []

    def work(start: int) -> None:
        for k in range(20):
            index = (start + k) % len(LESIONS)
            answer = classifier.answer(LESIONS[index])
            same_maps = (answer.explanation.evidence == wanted[index].explanation.evidence).all()
            if answer.prediction != wanted[index].prediction or not same_maps:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Evidence.


@settings(max_examples=20)
@given(seed=st.integers(0, 2**16))
def test_the_mean_of_a_map_is_the_logit_less_its_bias(classifier: Classifier, seed: int) -> None:
    view = np.random.default_rng(seed).integers(0, 256, (1, 224, 224, 3), np.uint8)
    logits, maps = classifier.run(view)

    assert maps.shape == (1, 7, 7, 7)
    np.testing.assert_allclose(maps.mean((2, 3)), logits - initialiser("bias"), atol=2e-5)


def test_the_graph_computes_what_numpy_computes(classifier: Classifier) -> None:
    view = classifier.view(LESIONS[0]).pixels
    patches = (view / 255.0).reshape(7, 32, 7, 32, 3).transpose(0, 2, 4, 1, 3)
    features = np.einsum("rcijk,oijk->orc", patches, initialiser("kernel")).clip(min=0)
    maps = np.einsum("orc,do->drc", features, initialiser("head")[:, :, 0, 0])
    answer = classifier.answer(LESIONS[0])

    np.testing.assert_allclose(answer.explanation.evidence, maps, atol=1e-4)
    np.testing.assert_allclose(
        answer.prediction.logits, maps.mean((1, 2)) + initialiser("bias"), atol=1e-4
    )


def test_the_grid_is_mapped_to_the_image_by_hand(classifier: Classifier) -> None:
    # 448 x 224 at full size: the view starts at column 112; a cell is 32 pixels wide.
    image = np.zeros((224, 448, 3), np.uint8)
    to_image = classifier.answer(image).explanation.to_image

    np.testing.assert_allclose(to_image, [[32, 0, 112 + 15.5], [0, 32, 15.5]], atol=1e-9)


# What the manifest adds.


def test_the_referral_rule_is_applied_to_the_summed_malignant_probability() -> None:
    prediction = Classifier(bundle(referral=ReferralRule(0.3, 0.95))).predict(LESIONS[0])
    referral = prediction.referral

    assert referral is not None
    assert referral.malignancy == pytest.approx(prediction.malignancy)
    assert (referral.threshold, referral.target_sensitivity) == (0.3, 0.95)
    assert referral.advised == (prediction.malignancy >= 0.3)


def test_prediction_sets_hold_what_reaches_its_threshold_most_probable_first() -> None:
    thresholds = {**dict.fromkeys(CODES, 0.2), "df": 0.001}
    rule = ConformalRule(0.9, thresholds, not_guaranteed=("df", "vasc"))
    model = Classifier(bundle(conformal=rule, temperature=1.0))
    prediction = model.to_prediction(
        np.log(np.array([0.3, 0.01, 0.25, 0.05, 0.15, 0.2, 0.04], "f"))
    )
    sets = prediction.prediction_set

    assert sets is not None
    members = [d.code for d in sets.diagnoses]
    assert members[:2] == ["akiec", "bkl"]
    assert set(members) - {"nv"} == {"akiec", "bkl", "df"}
    assert sets.coverage == 0.9
    assert sets.not_guaranteed == (Diagnosis.DF, Diagnosis.VASC)


def test_nothing_is_claimed_that_was_not_measured(classifier: Classifier) -> None:
    prediction = classifier.predict(LESIONS[0])

    assert prediction.referral is None
    assert prediction.prediction_set is None


def test_the_model_is_named_by_its_manifest(classifier: Classifier, tiny_bundle: Path) -> None:
    assert (classifier.info.name, classifier.info.version) == ("tiny", "0")
    assert classifier.info.sha256 == Classifier.load(str(tiny_bundle)).info.sha256


def test_an_image_that_was_read_before_gives_the_same_answer(classifier: Classifier) -> None:
    assert classifier.predict(read_image(LESIONS[2])) == classifier.predict(LESIONS[2])


def test_a_jpeg_is_answered_alike_as_path_and_bytes_but_not_as_pixels(
    classifier: Classifier, lesion: NDArray[np.uint8], tmp_path: Path
) -> None:
    # What README and docstrings say of it. Twice as large as needed, it is decoded at half scale.
    path = tmp_path / "lesion.jpg"
    Image.fromarray(lesion).save(path)
    encoded = path.read_bytes()
    of_file = classifier.predict(path)
    with Image.open(path) as opened:
        of_pixels = classifier.predict(np.asarray(opened))
    assert classifier.predict(encoded) == of_file
    with Image.open(path) as opened:
        assert classifier.predict(opened) == of_pixels
    assert of_pixels.probabilities != of_file.probabilities
    np.testing.assert_allclose(of_pixels.probabilities, of_file.probabilities, atol=0.05)


def test_a_letterbox_model_sees_the_whole_image() -> None:
    image = np.full((100, 200, 3), 128, np.uint8)
    image[:, :40] = 255
    boxed = Classifier(bundle(preprocessing=Preprocessing(fit=1.0, fill="black")))

    assert boxed.view(image).pixels.max() == 255
    assert Classifier(bundle()).view(image).pixels.max() == 128


# In another process.


class Own(Classifier):
    pass


def answers(classifier: Classifier) -> list[tuple[float, ...]]:
    return [classifier.predict(image).logits for image in LESIONS[:2]]


def test_another_process_answers_the_same(tiny_bundle: Path) -> None:
    classifier = Classifier.load(tiny_bundle, threads=1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        theirs = pool.submit(answers, classifier).result()
    np.testing.assert_allclose(theirs, answers(classifier), atol=1e-5)


@pytest.mark.parametrize("threads", [1, None])
@pytest.mark.parametrize("tta", [False, True])
def test_a_pickled_classifier_is_the_same_bundle_with_the_same_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: int | None, tta: bool
) -> None:
    classifier = Own.load(threads=threads, tta=tta)
    pickled = pickle.dumps(classifier)
    assert len(pickled) < 1000
    started: list[int | None] = []
    start = module._start_session

    def noting(bundle: Bundle, *, threads: int | None) -> object:
        started.append(threads)
        return start(bundle, threads=threads)

    monkeypatch.setattr(module, "_start_session", noting)
    monkeypatch.chdir(tmp_path)
    copied = pickle.loads(pickled)
    assert type(copied) is Own
    assert started == [threads]
    assert (copied.info, copied.manifest) == (classifier.info, classifier.manifest)


def test_a_folder_is_found_from_elsewhere(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle.parent)
    classifier = Classifier.load(tiny_bundle.name, threads=1)
    monkeypatch.chdir(tmp_path)
    copied = pickle.loads(pickle.dumps(classifier))
    assert answers(copied) == answers(Classifier.load(tiny_bundle, threads=1))


def test_another_model_in_the_folder_meanwhile_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", tiny_manifest(), {"model.onnx": tiny_graph()})
    pickled = pickle.dumps(Classifier.load(tmp_path / "model", threads=1))
    write_bundle(tmp_path / "model", tiny_manifest(version="1"), {"model.onnx": tiny_graph()})
    with pytest.raises(BundleError, match="holds another model than when the classifier was"):
        pickle.loads(pickled)


def test_a_model_that_lies_nowhere_cannot_be_loaded_anew() -> None:
    pickled = pickle.dumps(Classifier(bundle()))
    with pytest.raises(BundleError, match="holds no model"):
        pickle.loads(pickled)


# Graphs that are not a model's.


def renamed(**names: str) -> bytes:
    model = onnx.load_from_string(tiny_graph())
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    content: bytes = model.SerializeToString()
    return content


def one_output() -> bytes:
    node = helper.make_node("Identity", ["image"], ["logits"])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N"])
    logits = helper.make_tensor_value_info("logits", TensorProto.UINT8, ["N"])
    graph = helper.make_graph([node], "one", [image], [logits])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (lambda: b"no graph", "cannot be loaded"),
        (lambda: tiny_graph()[:-200], "cannot be loaded"),
        (lambda: renamed(logits="scores"), "inputs and outputs must be"),
        (lambda: renamed(image="pixels"), "inputs and outputs must be"),
        (one_output, "inputs and outputs must be"),
        (lambda: tiny_graph(size_px=64), "inputs and outputs must be .* 224.* not .* 64"),
    ],
)
def test_another_graph_is_refused_when_it_is_loaded(
    graph: Callable[[], bytes], reason: str
) -> None:
    with pytest.raises(BundleError, match=f"^here: the graph.*{reason}.*; install the model again"):
        Classifier(bundle(graph()))


def test_outputs_are_taken_by_name_not_by_order() -> None:
    model = onnx.load_from_string(tiny_graph())
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(reversed(outputs))
    swapped = Classifier(bundle(model.SerializeToString()))

    assert swapped.predict(LESIONS[0]) == Classifier(bundle()).predict(LESIONS[0])


def test_another_size_of_view_works_with_its_graph() -> None:
    small = dataclasses.replace(Preprocessing(), size_px=64)
    model = Classifier(bundle(tiny_graph(size_px=64), preprocessing=small))
    answer = model.answer(LESIONS[0])

    assert answer.explanation.evidence.shape == (7, 2, 2)
    assert answer.prediction.diagnosis in DIAGNOSES


# Test-time augmentation.


MIRRORED = Preprocessing(size_px=64, flips=True)


def test_mirrored_answers_are_the_mean_over_four_copies(classifier: Classifier) -> None:
    plain = Preprocessing(size_px=64)
    one = Classifier(bundle(tiny_graph(size_px=64), preprocessing=plain))
    mean = Classifier(bundle(tiny_graph(size_px=64), preprocessing=MIRRORED))
    views = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    logits, maps = mean.run(views)

    axes: list[tuple[int, ...]] = [(), (2,), (1,), (1, 2)]
    answers = [one.run(np.ascontiguousarray(np.flip(views, each))) for each in axes]
    np.testing.assert_allclose(logits, np.mean([a[0] for a in answers], axis=0), atol=1e-5)
    # A map of (N, 7, rows, columns) has its rows one axis later than a view.
    back = [
        np.flip(a[1], tuple(k + 1 for k in each)) for a, each in zip(answers, axes, strict=True)
    ]
    np.testing.assert_allclose(maps, np.mean(back, axis=0), atol=1e-5)
    assert not np.allclose(logits, answers[0][0], atol=1e-3)
    bias = logits - maps.mean(axis=(2, 3))
    np.testing.assert_allclose(bias, np.tile(bias[0], (3, 1)), atol=1e-4)


def test_a_mirrored_image_gets_the_same_answer_and_a_mirrored_map() -> None:
    mean = Classifier(bundle(tiny_graph(size_px=64), preprocessing=MIRRORED))
    view = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), np.uint8)
    logits, maps = mean.run(view)
    turned, turned_maps = mean.run(np.ascontiguousarray(view[:, :, ::-1]))
    np.testing.assert_allclose(turned, logits, atol=1e-5)
    np.testing.assert_allclose(turned_maps, maps[..., ::-1], atol=1e-5)


def test_shifts_of_mirrored_maps_cancel(classifier: Classifier) -> None:
    mean = Classifier(bundle(tiny_graph(size_px=64), preprocessing=MIRRORED))
    assert mean.answer(LESIONS[0]).explanation.shift == 0.0
    assert classifier.answer(LESIONS[0]).explanation.shift == RECEPTIVE_SHIFT


def test_either_a_folder_or_the_variant_that_ships(tiny_bundle: Path) -> None:
    with pytest.raises(ConfigError, match="either a model's folder or tta"):
        Classifier.load(tiny_bundle, tta=True)


def test_the_variant_that_ships_is_the_same_network_calibrated_for_itself() -> None:
    plain, mean = Classifier.load(threads=1), Classifier.load(threads=1, tta=True)
    assert mean.bundle.graph == plain.bundle.graph
    assert (plain.manifest.preprocessing.flips, mean.manifest.preprocessing.flips) == (False, True)
    assert mean.manifest.temperature != plain.manifest.temperature
    assert mean.manifest.version == f"{plain.manifest.version}-tta"
    assert mean.info.sha256 != plain.info.sha256
    for name in ("referral", "conformal", "metrics", "sample"):
        assert getattr(mean.manifest, name) is not None
        assert getattr(mean.manifest, name) != getattr(plain.manifest, name)
