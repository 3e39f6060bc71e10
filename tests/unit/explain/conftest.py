"""What was measured of a model, as the tests of reports have it."""

from ..report.conftest import measured_manifest

__all__ = ["measured_manifest"]
