"""What is known of the model that answered, if that is the loaded one."""

from __future__ import annotations

from dermassist.interfaces.web.resources import model
from dermassist.measured import KnownFigures, Measured
from dermassist.model.manifest import Manifest
from dermassist.report import same_model
from dermassist.results import Assessment

_NOTHING = KnownFigures(None, None, None)


def manifest_of(assessment: Assessment) -> Manifest | None:
    """Return the loaded model's manifest, if it is that of the model that answered."""
    manifest = model().classifier.manifest
    return manifest if same_model(assessment, manifest) else None


def figures_of(assessment: Assessment) -> KnownFigures:
    """Return what was measured of the model that answered; nothing if it is not the loaded one."""
    return model().known if manifest_of(assessment) is not None else _NOTHING


def measured_of(assessment: Assessment) -> Measured | None:
    """Return the evaluation of the model that answered, if that is the loaded one."""
    return figures_of(assessment).measured
