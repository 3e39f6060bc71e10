"""Answering images with ONNX Runtime: probabilities and evidence from one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import BundleError, ConfigError
from dermassist.imaging import (
    ImageSource,
    RasterImage,
    View,
    read_image,
    to_field,
    to_view,
)
from dermassist.imaging.geometry import check_pixel_aspect, rescale_map
from dermassist.model.bundle import GRAPH_NAME, Bundle, bundle_directory, read_bundle
from dermassist.results import (
    RECEPTIVE_SHIFT,
    Explanation,
    ModelInfo,
    Prediction,
    PredictionSet,
    Referral,
)
from dermassist.softmax import softmax

BATCH_SIZE = 16
#: What holds one image, beside arrays. Some of it could be iterated, but not over images.
_ONE_IMAGE = (RasterImage, Image.Image, PathLike, str, bytes, bytearray, memoryview)
#: ONNX Runtime's severity "error": its warnings concern graph optimisation, not results.
_LOG_ERRORS_ONLY = 3
#: Whether rows and columns run backwards in each copy of a view.
_MIRRORS = ((False, False), (False, True), (True, False), (True, True))


@dataclass(frozen=True, eq=False)
class Answer:
    """Prediction and explanation of one image, and the view that the network saw."""

    prediction: Prediction
    explanation: Explanation
    view: View


class Classifier:
    """A model bundle ready to answer. Safe to share between threads.

    Pickled, as for another process, it is its bundle's folder: there the bundle is loaded anew,
    with the same ``threads``. ``BundleError`` is raised where the folder then holds another model.

    >>> classifier = Classifier.load()
    >>> prediction = classifier.predict("lesion.jpg")
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        """Start a session.

        Args:
            bundle: a verified model.
            threads: that one forward pass may use; by default one per core.

        Raises:
            BundleError: ONNX Runtime does not accept the graph.
            ConfigError: ``threads`` is no whole number of at least 1.
        """
        self.bundle = bundle
        self.manifest = bundle.manifest
        graph = self.manifest.files.get(GRAPH_NAME)
        self.info = ModelInfo(
            name=self.manifest.name,
            version=self.manifest.version,
            sha256=bundle.sha256,
            graph_sha256=graph.sha256 if graph is not None else None,
        )
        # The folder's full name, because where it is loaded anew another one may be the current.
        self._origin = (bundle.directory.absolute(), self.info.sha256, threads)
        self._session = _start_session(bundle, threads=threads)

    def __reduce__(self) -> tuple[object, ...]:
        # A session belongs to its process.
        return _load_anew, (type(self), *self._origin)

    @classmethod
    def load(
        cls,
        directory: str | Path | None = None,
        *,
        threads: int | None = None,
        tta: bool = False,
    ) -> Self:
        """Load and verify a model bundle, by default the one that ships.

        Args:
            directory: of another bundle.
            threads: that one forward pass may use; by default one per core.
            tta: the one that ships for test-time augmentation: the same network, answering with
                the mean over four mirrored views at four times the cost, calibrated for that.

        Raises:
            BundleError: the bundle is missing, changed or of another schema.
            ConfigError: both ``directory`` and ``tta`` are given, or ``threads`` is no whole
                number of at least 1.
        """
        return cls(read_bundle(bundle_directory(directory, tta=tta)), threads=threads)

    def predict(self, image: ImageSource | RasterImage, *, pixel_aspect: float = 1.0) -> Prediction:
        """Answer one image.

        Args:
            image: path, encoded bytes, RGB array or Pillow image. Give the file or its bytes, not
                its pixels, where answers are to be comparable: a JPEG file at least twice as large
                as needed is decoded at a reduced scale, and its answer differs from its pixels'.
            pixel_aspect: width of a pixel divided by its height; 4/3 for a 4:3 image that was
                squeezed to a square.

        Raises:
            ImageError: the image cannot be read or is refused.
            ConfigError: ``pixel_aspect`` is not from 1/4 to 4.
        """
        return self.answer(image, pixel_aspect=pixel_aspect).prediction

    def predict_batch(
        self,
        images: Iterable[ImageSource | RasterImage],
        *,
        batch_size: int = BATCH_SIZE,
        pixel_aspect: float = 1.0,
    ) -> Iterator[Prediction]:
        """Answer many images in order, ``batch_size`` in one forward pass.

        Raises:
            ConfigError: ``batch_size`` is no whole number of at least 1, ``pixel_aspect`` is not
                from 1/4 to 4, or ``images`` is one image; an array of pixels of up to three
                dimensions counts as one.
            ImageError: an image cannot be read, when its batch's turn comes; those of earlier
                batches were answered.
        """
        check_batch_size(batch_size)
        check_pixel_aspect(pixel_aspect)
        if _is_one_image(images):
            raise ConfigError("images must be several, such as a list; predict answers one")
        views = (self.view(image, pixel_aspect=pixel_aspect).pixels for image in images)
        # A generator of its own, because one begins only when its first answer is asked for.
        return self._predict_views(views, batch_size)

    def _predict_views(
        self, views: Iterator[NDArray[np.uint8]], batch_size: int
    ) -> Iterator[Prediction]:
        while batch := tuple(islice(views, batch_size)):
            logits, _ = self.run(np.stack(batch))
            yield from (self.to_prediction(row) for row in logits)

    def answer(self, image: ImageSource | RasterImage, *, pixel_aspect: float = 1.0) -> Answer:
        """Answer one image and say where the evidence lies.

        Arguments and errors are as in ``predict``.
        """
        raster = self.read(image)
        view = self._to_view(raster, pixel_aspect)
        logits, maps = self.run(view.pixels[None])
        return Answer(
            prediction=self.to_prediction(logits[0]),
            explanation=Explanation(
                evidence=maps[0],
                to_image=self.grid_to_image(view),
                scale=self.manifest.evidence_scale,
                shift=self.evidence_shift,
            ),
            view=view,
        )

    def view(self, image: ImageSource | RasterImage, *, pixel_aspect: float = 1.0) -> View:
        """Return the square that the network would see, mapped to pixels of the upright image.

        Arguments and errors are as in ``predict``.
        """
        return self._to_view(self.read(image), pixel_aspect)

    def read(self, image: ImageSource | RasterImage, *, name: str | None = None) -> RasterImage:
        """Return an image decoded as large as the network needs; a decoded one as it is.

        Raises:
            ImageError: the image cannot be read or is refused.
        """
        if isinstance(image, RasterImage):
            return image
        return read_image(image, name=name, reduce_to_px=self.manifest.preprocessing.size_px)

    def run(self, views: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the graph on views ``(N, size, size, 3)`` uint8.

        Returns:
            Logits ``(N, 7)`` and signed evidence ``(N, 7, grid, grid)``.

        Raises:
            ConfigError: ``views`` has another shape or type.
        """
        self._check_views(views)
        if not self.manifest.preprocessing.flips:
            return self._run(views)
        mirrored = [self._run(np.ascontiguousarray(views[_mirror(axes, 1)])) for axes in _MIRRORS]
        logits = np.mean([logits for logits, _ in mirrored], axis=0)
        maps = [maps[_mirror(axes, 2)] for axes, (_, maps) in zip(_MIRRORS, mirrored, strict=True)]
        return logits, np.mean(maps, axis=0)

    def _check_views(self, views: NDArray[np.uint8]) -> None:
        size = self.manifest.preprocessing.size_px
        if views.dtype != np.uint8 or views.shape[1:] != (size, size, 3):
            raise ConfigError(
                f"views must be uint8 (N, {size}, {size}, 3), got {views.dtype} {views.shape}; "
                "Classifier.view makes one of an image"
            )

    @property
    def evidence_shift(self) -> float:
        """What ``Explanation.shift`` says of this model's evidence."""
        return 0.0 if self.manifest.preprocessing.flips else RECEPTIVE_SHIFT

    def _run(self, views: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        logits, maps = self._session.run(["logits", "maps"], {"image": views})
        return np.asarray(logits, np.float32), np.asarray(maps, np.float32)

    def grid_to_image(self, view: View) -> NDArray[np.float64]:
        """Return the map ``(2, 3)`` from the evidence grid to pixels of the upright image."""
        # Cell and pixel centres lie at integers; the cells share the view among them.
        stride = self.manifest.preprocessing.size_px / self.manifest.preprocessing.grid
        cell_to_view = rescale_map(np.eye(2, 3), scale_x=stride, scale_y=stride)
        return np.asarray(view.to_image @ np.vstack([cell_to_view, [0.0, 0.0, 1.0]]))

    def to_prediction(self, logits: NDArray[np.float32]) -> Prediction:
        """Turn logits ``(7,)`` into probabilities and what the manifest derives from them."""
        temperature = self.manifest.temperature
        probabilities = softmax(logits.astype(np.float64) / (temperature or 1.0))
        return Prediction(
            probabilities=tuple(probabilities.tolist()),
            logits=tuple(logits.astype(np.float64).tolist()),
            calibrated=temperature is not None,
            referral=self._referral(probabilities),
            prediction_set=self._prediction_set(probabilities),
        )

    def _to_view(self, raster: RasterImage, pixel_aspect: float) -> View:
        check_pixel_aspect(pixel_aspect)
        preprocessing = self.manifest.preprocessing
        field = to_field(
            raster.pixels,
            preprocessing.size_px,
            pixel_aspect=pixel_aspect * raster.pixel_aspect,
        )
        view = to_view(field, preprocessing)
        height, width = field.shape[:2]
        to_image = rescale_map(
            view.to_image, scale_x=raster.width / width, scale_y=raster.height / height
        )
        return View(pixels=view.pixels, to_image=to_image)

    def _referral(self, probabilities: NDArray[np.float64]) -> Referral | None:
        rule = self.manifest.referral
        if rule is None:
            return None
        return Referral(
            malignancy=float(sum(probabilities[d.index] for d in Diagnosis if d.malignant)),
            threshold=rule.threshold,
            target_sensitivity=rule.target_sensitivity,
        )

    def _prediction_set(self, probabilities: NDArray[np.float64]) -> PredictionSet | None:
        rule = self.manifest.conformal
        if rule is None:
            return None
        order = sorted(Diagnosis, key=lambda diagnosis: -probabilities[diagnosis.index])
        return PredictionSet(
            diagnoses=tuple(d for d in order if probabilities[d.index] >= rule.thresholds[d.code]),
            coverage=rule.coverage,
            not_guaranteed=tuple(d for d in Diagnosis if d.code in rule.not_guaranteed),
        )


def check_batch_size(batch_size: int) -> None:
    """Refuse a number of images that no forward pass can take.

    Raises:
        ConfigError: it is no whole number, or below 1.
    """
    if not isinstance(batch_size, int | np.integer):
        raise ConfigError(f"batch_size must be a whole number, got {batch_size!r}")
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")


def _is_one_image(images: object) -> bool:
    if isinstance(images, np.ndarray):
        # Of names or paths an array is as good as a list.
        return images.ndim <= 3 and bool(np.issubdtype(images.dtype, np.number))
    return isinstance(images, _ONE_IMAGE)


def _load_anew(
    kind: type[Classifier], directory: Path, sha256: str, threads: int | None
) -> Classifier:
    """Return a classifier as it was pickled.

    Raises:
        BundleError: its bundle is missing, damaged or another one by now.
    """
    bundle = read_bundle(directory)
    if bundle.sha256 != sha256:
        raise BundleError(
            f"{directory}: holds another model than when the classifier was pickled; load it anew"
        )
    return kind(bundle, threads=threads)


def _mirror(axes: tuple[bool, bool], first: int) -> tuple[slice, ...]:
    """Return what turns rows and columns round, of which rows are axis ``first``."""
    return (slice(None),) * first + tuple(slice(None, None, -1 if back else 1) for back in axes)


def _start_session(bundle: Bundle, *, threads: int | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    if threads is not None:
        if not isinstance(threads, int | np.integer) or threads < 1:
            raise ConfigError(f"threads must be a whole number of at least 1, got {threads!r}")
        options.intra_op_num_threads = int(threads)
    try:
        session = onnxruntime.InferenceSession(
            bundle.graph, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise BundleError(
            f"{bundle.directory}: the graph cannot be loaded ({error}); install the model again"
        ) from error
    _check_interface(bundle, session)
    return session


def _check_interface(bundle: Bundle, session: onnxruntime.InferenceSession) -> None:
    size, grid = bundle.manifest.preprocessing.size_px, bundle.manifest.preprocessing.grid
    wanted = {
        "image": ("tensor(uint8)", [size, size, 3]),
        "logits": ("tensor(float)", [len(CODES)]),
        "maps": ("tensor(float)", [len(CODES), grid, grid]),
    }
    nodes = (*session.get_inputs(), *session.get_outputs())
    given = {node.name: (node.type, node.shape[1:]) for node in nodes}
    if given != wanted:
        raise BundleError(
            f"{bundle.directory}: the graph's inputs and outputs must be {wanted}, not {given}; "
            "install the model again"
        )
