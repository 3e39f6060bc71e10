"""What a model bundle says about itself: labels, preprocessing, calibration, origin, hashes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from dermassist.diagnosis import CODES
from dermassist.errors import BundleError, ConfigError
from dermassist.imaging import Preprocessing

SCHEMA_VERSION = 1
NOT_MEASURED = "not measured"
_CHANGED = "{where}: was changed after it was written; install the model again"


@dataclass(frozen=True)
class FileEntry:
    """Hash and size of one file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class ReferralRule:
    """Threshold on the summed malignant probability, chosen on validation lesions.

    Attributes:
        threshold: 0 to 1.
        target_sensitivity: what it was chosen for.
        measured: sensitivity and specificity with intervals on the test fold, as the
            evaluation report writes them.
    """

    threshold: float
    target_sensitivity: float
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConformalRule:
    """Class-conditional split-conformal sets.

    Attributes:
        coverage: wanted share of cases whose set holds the true diagnosis.
        thresholds: by diagnosis code, the smallest probability at which the diagnosis joins the
            set.
        not_guaranteed: codes with too few calibration lesions for a promise of their own; they
            join the set at what all calibration lesions together give.
        measured: coverage and sizes on the test fold, as the evaluation writes them.
        calibration_lesions: by code, how many lesions of the diagnosis the threshold rests on.
    """

    coverage: float
    thresholds: dict[str, float]
    not_guaranteed: tuple[str, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    calibration_lesions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class QualityReference:
    """Quantiles over the training images, which bound what the model was trained for.

    ``sharpness`` and ``brightness`` are ``(1st, 99th percentile)``; ``overexposed_share`` is the
    99th percentile, ``contrast`` the 1st. Units as in ``dermassist.results.ImageQuality``.
    """

    sharpness: tuple[float, float]
    brightness: tuple[float, float]
    overexposed_share: float
    contrast: float | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything needed to use, cite and check a model. Written last, verified on load.

    Attributes:
        name: of the model.
        version: of the model.
        created: ISO 8601 time.
        licence: of the weights.
        attribution: who must be named, and what was used.
        architecture: name, number of parameters, inputs and outputs of the graph.
        preprocessing: how images reach the graph's input.
        files: hash and size by file name.
        labels: codes in the order of the outputs.
        temperature: divides the logits; ``None`` where calibration was not measured.
        evidence_scale: evidence in logits at which heatmap colours saturate.
        quality_reference: ``None`` where not measured.
        referral: ``None`` where not measured.
        conformal: ``None`` where not measured.
        training: configuration, split hash, fold, seeds, images.
        metrics: the evaluation on the test fold, or ``None``.
        libraries: versions that made the model.
        sample: name and probabilities of the bundled sample, for ``dermassist doctor``.
    """

    name: str
    version: str
    created: str
    licence: str
    attribution: str
    architecture: dict[str, Any]
    preprocessing: Preprocessing
    files: dict[str, FileEntry]
    labels: tuple[str, ...] = CODES
    temperature: float | None = None
    evidence_scale: float = 10.0
    quality_reference: QualityReference | None = None
    referral: ReferralRule | None = None
    conformal: ConformalRule | None = None
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] | None = None
    libraries: dict[str, str] = field(default_factory=dict)
    sample: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        _check_positive("temperature", self.temperature)
        _check_positive("evidence_scale", self.evidence_scale)
        if self.referral is not None:
            _check_shares("referral", vars(self.referral), "threshold", "target_sensitivity")
        if self.conformal is not None:
            if set(self.conformal.thresholds) != set(CODES):
                raise BundleError(f"conformal.thresholds must name {', '.join(CODES)}")
            _check_shares("conformal", vars(self.conformal), "coverage")
            _check_shares("conformal.thresholds", self.conformal.thresholds, *CODES)
        if self.sample is not None:
            _check_shares("sample.probabilities", self.sample.get("probabilities", {}), *CODES)

    def to_json(self) -> str:
        """Return the manifest as JSON, with the schema's version and its own hash."""
        body = {"schema_version": SCHEMA_VERSION, **_marked(asdict(self))}
        return _written({**body, "sha256": _digest(body)})

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Manifest:
        """Parse and verify a manifest.

        Raises:
            BundleError: it is no manifest, was changed, or is of another schema or label order.
        """
        body = _verified_body(text, where=where)
        try:
            manifest = _from_body(cls, body)
        except (AttributeError, KeyError, TypeError, ValueError, BundleError, ConfigError) as error:
            raise BundleError(f"{where}: malformed manifest ({error}); install again") from error
        if manifest.labels != CODES:
            raise BundleError(
                f"{where}: labels must be {', '.join(CODES)}, got {', '.join(manifest.labels)}"
            )
        return manifest


#: Fields that read "not measured" in the file while they are None.
_MEASURED = ("temperature", "quality_reference", "referral", "conformal", "metrics", "sample")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0.0):
        raise BundleError(f"{name} must be above 0, got {value}")


def _check_shares(where: str, values: Any, *names: str) -> None:
    if not isinstance(values, Mapping):
        raise BundleError(f"{where} must be a table, got {values!r:.200}")
    for name in names:
        share = values.get(name)
        # Written so that nan is refused as well; true and false are numbers to Python.
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
            raise BundleError(f"{where}.{name} must lie in 0..1, got {share!r:.200}")


def _marked(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with unmeasured ones named so, and tuples as JSON will have them."""
    marked = {
        key: NOT_MEASURED if key in _MEASURED and value is None else value
        for key, value in values.items()
    }
    plain: dict[str, Any] = json.loads(json.dumps(marked, allow_nan=False))
    return plain


def _written(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _verified_body(text: str, *, where: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
        # The hash covers values; a number can be written in two ways that mean the same value.
        as_written = _written(body) == text
        stated = body.pop("sha256")
        version = body.pop("schema_version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise BundleError(f"{where}: is not a model manifest ({error!r:.200})") from error
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{where}: has schema version {version}, this program reads {SCHEMA_VERSION}; "
            "install the matching version of dermassist"
        )
    if not as_written or _digest({"schema_version": version, **body}) != stated:
        raise BundleError(_CHANGED.format(where=where))
    return dict(body)


def _from_body(cls: type[Manifest], body: dict[str, Any]) -> Manifest:
    for name in _MEASURED:
        if body[name] == NOT_MEASURED:
            body[name] = None
    unknown = set(body) - {f.name for f in fields(cls)}
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))}")
    sections: dict[str, type] = {
        "preprocessing": Preprocessing,
        "quality_reference": QualityReference,
        "referral": ReferralRule,
        "conformal": ConformalRule,
    }
    if isinstance(body["quality_reference"], dict):
        # Models made before contrast took its place have this one; nothing reads it any more.
        body["quality_reference"].pop("lesion_share", None)
    for name, section in sections.items():
        if body[name] is not None:
            body[name] = section(**{k: _tupled(v) for k, v in body[name].items()})
    body["files"] = {name: FileEntry(**entry) for name, entry in body["files"].items()}
    body["labels"] = tuple(body["labels"])
    return cls(**body)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
