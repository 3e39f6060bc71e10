"""What travels between the layers: frozen results, with plain dictionaries for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermassist.diagnosis import CODES, DIAGNOSES, MALIGNANT, Diagnosis
from dermassist.stated import number, only_value_errors, text, texts, truth, truth_or_none, whole

SCHEMA_VERSION = 1
#: How far from 1 stored probabilities may add up, which other programs may have rounded.
SUM_TOLERANCE = 1e-3
#: How far above and left of its cell's middle lies the middle of what a position of the evidence
#: sees, in cells. Each of MobileNetV2's five convolutions of stride 2 pads by 1, so its first
#: position is centred on the first pixel: position i is centred on pixel 32 i, its cell's middle is
#: 32 i + 15.5. (Araujo, Norris, Sim, "Computing receptive fields of convolutional neural networks",
#: Distill 2019.)
RECEPTIVE_SHIFT = 15.5 / 32


@dataclass(frozen=True)
class ModelInfo:
    """Which model answered.

    Attributes:
        name: of the model.
        version: of the model.
        sha256: hash of the bundle's manifest, which names the hash of every other file. It
            changes when something is measured of the same model.
        graph_sha256: hash of the network's graph; ``None`` where that was not written down.
    """

    name: str
    version: str
    sha256: str
    graph_sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        # Left out where it is not known, as earlier versions wrote and read it.
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Referral:
    """Whether the malignant probabilities together reach the referral threshold.

    Attributes:
        malignancy: calibrated probability of melanoma, basal cell carcinoma or akiec, 0 to 1.
        threshold: chosen on validation lesions for ``target_sensitivity``.
        target_sensitivity: what the threshold was chosen for, 0 to 1.
    """

    malignancy: float
    threshold: float
    target_sensitivity: float

    @property
    def advised(self) -> bool:
        """Whether the threshold is reached."""
        return self.malignancy >= self.threshold


@dataclass(frozen=True)
class PredictionSet:
    """Diagnoses that a conformal predictor could not exclude (may be several, or none).

    Attributes:
        diagnoses: members, most probable first.
        coverage: share of cases whose true diagnosis such sets hold, as calibrated, 0 to 1.
        not_guaranteed: diagnoses with too few calibration cases for that statement.
    """

    diagnoses: tuple[Diagnosis, ...]
    coverage: float
    not_guaranteed: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """The seven probabilities of one image.

    Attributes:
        probabilities: in the order of ``Diagnosis``; they add up to 1.
        logits: the network's outputs before temperature and softmax.
        calibrated: whether a temperature fitted on validation lesions was applied.
        referral: ``None`` where no threshold was measured for this model.
        prediction_set: ``None`` where no sets were calibrated for this model.
    """

    probabilities: tuple[float, ...]
    logits: tuple[float, ...]
    calibrated: bool
    referral: Referral | None = None
    prediction_set: PredictionSet | None = None

    @property
    def diagnosis(self) -> Diagnosis:
        """The most probable diagnosis."""
        return DIAGNOSES[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Probability of the most probable diagnosis, 0 to 1."""
        return max(self.probabilities)

    @property
    def malignancy(self) -> float:
        """Probability of melanoma, basal cell carcinoma and akiec together, 0 to 1."""
        return sum(self.probability(diagnosis) for diagnosis in MALIGNANT)

    @property
    def ranked(self) -> tuple[tuple[Diagnosis, float], ...]:
        """Diagnoses with their probabilities, most probable first."""
        pairs = zip(DIAGNOSES, self.probabilities, strict=True)
        return tuple(sorted(pairs, key=lambda pair: -pair[1]))

    def probability(self, diagnosis: Diagnosis) -> float:
        """Return the probability of one diagnosis, 0 to 1."""
        return self.probabilities[diagnosis.index]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "diagnosis": self.diagnosis.code,
            "diagnosis_name": str(self.diagnosis),
            "confidence": self.confidence,
            "malignancy": self.malignancy,
            "calibrated": self.calibrated,
            "probabilities": dict(zip(CODES, self.probabilities, strict=True)),
            "logits": dict(zip(CODES, self.logits, strict=True)),
            "referral": _referral_to_dict(self.referral),
            "prediction_set": _set_to_dict(self.prediction_set),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prediction:
        """Rebuild from ``to_dict``'s form.

        Raises:
            ValueError: a part is of another kind, a number is out of its range, or the malignant
                sum is not that of the probabilities.
            KeyError: a part is missing.
        """
        with only_value_errors():
            probabilities = _probabilities(values["probabilities"])
            malignancy = sum(probabilities[diagnosis.index] for diagnosis in MALIGNANT)
            return cls(
                probabilities=probabilities,
                logits=_logits(values["logits"]),
                calibrated=truth(values["calibrated"], "calibrated"),
                referral=_referral_from_dict(values["referral"], malignancy),
                prediction_set=_set_from_dict(values["prediction_set"]),
            )


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where the evidence for each diagnosis lies.

    Attributes:
        evidence: ``(7, rows, columns)`` float32, signed, in logits: the mean of a diagnosis' map
            is its logit less its bias. ``relu(evidence) / (rows * columns)`` is Grad-CAM.
        to_image: ``(2, 3)`` float64, maps ``(column, row, 1)`` of the grid to pixel centres
            ``(x, y)`` of the upright image.
        scale: evidence in logits at which colours saturate, the same for every image.
        shift: how far above and left of its cell's middle lies the middle of what a position
            sees, in cells; 0 where mirrored copies were averaged, whose shifts cancel.
    """

    evidence: NDArray[np.float32]
    to_image: NDArray[np.float64]
    scale: float
    shift: float = RECEPTIVE_SHIFT

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "evidence": {
                code: np.round(grid.astype(float), 5).tolist()
                for code, grid in zip(CODES, self.evidence, strict=True)
            },
            "to_image": self.to_image.tolist(),
            "scale": self.scale,
            "shift": self.shift,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Explanation:
        """Rebuild from ``to_dict``'s form; evidence is kept to five decimals.

        Cases kept by earlier versions say nothing of the shift, which was the same for all.

        Raises:
            ValueError: a part is of another kind, a shape is wrong, a number is not finite, or the
                scale is not above 0.
            KeyError: a part is missing.
        """
        with only_value_errors():
            explanation = cls(
                evidence=np.array([values["evidence"][code] for code in CODES], np.float32),
                to_image=np.array(values["to_image"], np.float64),
                scale=float(values["scale"]),
                shift=float(values.get("shift", RECEPTIVE_SHIFT)),
            )
            _check_explanation(explanation)
            return explanation


@dataclass(frozen=True)
class ImageQuality:
    """How far the image is like those that the model was measured on.

    Attributes:
        short_side_px: of the original.
        sharpness: variance of the Laplacian of the network's grey view, grey levels squared.
        brightness: mean grey level of the view, 0 to 255.
        overexposed_share: share of the view's pixels at 250 or more in every channel, 0 to 1.
        contrast: colour difference to the rim that 1 % of the middle of the view reaches, in
            CIELAB units, at least 0. ``None`` where it was not measured.
        stands_out: whether that is as much as in 99 % of the training images; ``False`` is what
            healthy skin looks like, ``True`` says nothing about what it is. ``None`` where it was
            not measured.
        remarks: sentences for a person; empty where nothing stands out.
    """

    short_side_px: int
    sharpness: float
    brightness: float
    overexposed_share: float
    remarks: tuple[str, ...] = ()
    contrast: float | None = None
    stands_out: bool | None = None


@dataclass(frozen=True)
class ImageInfo:
    """Which image was assessed: its name, size in px, hash, and what reading it had to decide."""

    name: str
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Assessment:
    """One image, answered.

    ``created`` is an ISO 8601 time with its offset.
    """

    image: ImageInfo
    prediction: Prediction
    explanation: Explanation
    quality: ImageQuality
    model: ModelInfo
    created: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema_version": SCHEMA_VERSION,
            "created": self.created,
            "image": _plain(vars(self.image)),
            "model": self.model.to_dict(),
            "prediction": self.prediction.to_dict(),
            "quality": _plain(vars(self.quality)),
            "explanation": self.explanation.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Assessment:
        """Rebuild from ``to_dict``'s form.

        Raises:
            ValueError: the form is of another version, a part is of another kind, or a number is
                out of its range.
            KeyError: a part is missing.
        """
        with only_value_errors():
            if values["schema_version"] != SCHEMA_VERSION:
                raise ValueError(
                    f"schema_version must be {SCHEMA_VERSION}, got {values['schema_version']!r}"
                )
            return cls(
                image=_image_from_dict(values["image"]),
                prediction=Prediction.from_dict(values["prediction"]),
                explanation=Explanation.from_dict(values["explanation"]),
                quality=_quality_from_dict(values["quality"]),
                model=_model_from_dict(values["model"]),
                created=text(values["created"], "created"),
            )


def _image_from_dict(values: Mapping[str, Any]) -> ImageInfo:
    return ImageInfo(
        name=text(values["name"], "image.name"),
        width=whole(values["width"], "image.width"),
        height=whole(values["height"], "image.height"),
        sha256=text(values["sha256"], "image.sha256"),
        notes=texts(values.get("notes", ()), "image.notes"),
    )


def _quality_from_dict(values: Mapping[str, Any]) -> ImageQuality:
    contrast = values.get("contrast")
    return ImageQuality(
        short_side_px=whole(values["short_side_px"], "quality.short_side_px"),
        sharpness=number(values["sharpness"], "quality.sharpness"),
        brightness=number(values["brightness"], "quality.brightness", high=255.0),
        overexposed_share=number(
            values["overexposed_share"], "quality.overexposed_share", high=1.0
        ),
        remarks=texts(values.get("remarks", ()), "quality.remarks"),
        contrast=None if contrast is None else number(contrast, "quality.contrast"),
        stands_out=truth_or_none(values.get("stands_out"), "quality.stands_out"),
    )


def _model_from_dict(values: Mapping[str, Any]) -> ModelInfo:
    graph = values.get("graph_sha256")
    return ModelInfo(
        name=text(values["name"], "model.name"),
        version=text(values["version"], "model.version"),
        sha256=text(values["sha256"], "model.sha256"),
        graph_sha256=None if graph is None else text(graph, "model.graph_sha256"),
    )


def _probabilities(values: Mapping[str, Any]) -> tuple[float, ...]:
    shares = tuple(float(values[code]) for code in CODES)
    # Written so that nan is refused as well.
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise ValueError(f"probabilities must lie in 0..1, got {shares}")
    if not abs(sum(shares) - 1.0) <= SUM_TOLERANCE:
        raise ValueError(f"probabilities must add up to 1, got {sum(shares)}")
    return shares


def _logits(values: Mapping[str, Any]) -> tuple[float, ...]:
    logits = tuple(float(values[code]) for code in CODES)
    if not all(map(math.isfinite, logits)):
        raise ValueError(f"logits must be finite, got {logits}")
    return logits


def _check_explanation(explanation: Explanation) -> None:
    evidence, to_image = explanation.evidence, explanation.to_image
    if evidence.ndim != 3 or evidence.size == 0:
        raise ValueError(f"evidence must have the shape (7, rows, columns), got {evidence.shape}")
    if to_image.shape != (2, 3):
        raise ValueError(f"to_image must have the shape (2, 3), got {to_image.shape}")
    if not (np.isfinite(evidence).all() and np.isfinite(to_image).all()):
        raise ValueError("evidence and to_image must be finite")
    if not (explanation.scale > 0.0 and math.isfinite(explanation.scale)):
        raise ValueError(f"scale must be above 0, got {explanation.scale}")
    if not math.isfinite(explanation.shift):
        raise ValueError(f"shift must be finite, got {explanation.shift}")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items()
    }


def _referral_to_dict(referral: Referral | None) -> dict[str, Any] | None:
    return None if referral is None else {**vars(referral), "advised": referral.advised}


def _referral_from_dict(values: Mapping[str, Any] | None, malignancy: float) -> Referral | None:
    if values is None:
        return None
    stated = number(values["malignancy"], "referral.malignancy")
    # Report and app show both: they must not contradict each other.
    if not abs(stated - malignancy) <= SUM_TOLERANCE:
        raise ValueError(
            f"referral.malignancy must be the malignant probabilities together, {malignancy}, got "
            f"{stated}"
        )
    return Referral(
        malignancy=stated,
        threshold=number(values["threshold"], "referral.threshold", high=1.0),
        target_sensitivity=number(
            values["target_sensitivity"], "referral.target_sensitivity", high=1.0
        ),
    )


def _set_to_dict(prediction_set: PredictionSet | None) -> dict[str, Any] | None:
    if prediction_set is None:
        return None
    return {
        "diagnoses": [diagnosis.code for diagnosis in prediction_set.diagnoses],
        "coverage": prediction_set.coverage,
        "not_guaranteed": [diagnosis.code for diagnosis in prediction_set.not_guaranteed],
    }


def _set_from_dict(values: Mapping[str, Any] | None) -> PredictionSet | None:
    if values is None:
        return None
    return PredictionSet(
        diagnoses=tuple(Diagnosis.from_code(code) for code in values["diagnoses"]),
        coverage=number(values["coverage"], "prediction_set.coverage", high=1.0),
        not_guaranteed=tuple(Diagnosis.from_code(code) for code in values["not_guaranteed"]),
    )
