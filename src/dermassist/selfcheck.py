"""Does this installation answer as the model did when it was made?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dermassist.diagnosis import CODES
from dermassist.errors import BundleError
from dermassist.inference.classifier import Classifier
from dermassist.sample import SAMPLE_NAME, sample_path

#: Decoders and vector units differ between machines in the last digits; answers may not.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class SampleCheck:
    """Largest difference between stored and present probabilities, and what is allowed."""

    deviation: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the stored probabilities were reproduced."""
        return self.deviation <= self.tolerance


def sample_record(classifier: Classifier) -> dict[str, Any]:
    """Return what the manifest stores of the bundled sample."""
    prediction = classifier.predict(sample_path())
    return {
        "file": SAMPLE_NAME,
        "probabilities": dict(zip(CODES, prediction.probabilities, strict=True)),
    }


def check_sample(classifier: Classifier) -> SampleCheck:
    """Answer the bundled sample again and compare.

    Raises:
        BundleError: the model stores no answer for this sample.
    """
    stored = classifier.manifest.sample
    if stored is None or stored.get("file") != SAMPLE_NAME:
        raise BundleError(
            f"{classifier.bundle.directory}: stores no answer for {SAMPLE_NAME}, so nothing can be "
            "proved; export the model again"
        )
    prediction = classifier.predict(sample_path())
    pairs = zip(CODES, prediction.probabilities, strict=True)
    deviation = max(abs(stored["probabilities"][code] - value) for code, value in pairs)
    return SampleCheck(deviation=deviation, tolerance=TOLERANCE)
