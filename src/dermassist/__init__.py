"""The likeliest of seven diagnoses in a dermatoscopic image, with its evidence.

Public names are loaded when they are first used, so that ``import dermassist`` stays fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dermassist.assessment import assess
    from dermassist.diagnosis import Diagnosis
    from dermassist.errors import DermAssistError
    from dermassist.inference.classifier import Classifier
    from dermassist.results import Assessment, Explanation, Prediction

__version__ = "0.1.0"

_HOMES = {
    "Assessment": "dermassist.results",
    "Classifier": "dermassist.inference.classifier",
    "DermAssistError": "dermassist.errors",
    "Diagnosis": "dermassist.diagnosis",
    "Explanation": "dermassist.results",
    "Prediction": "dermassist.results",
    "assess": "dermassist.assessment",
}

__all__ = [
    "Assessment",
    "Classifier",
    "DermAssistError",
    "Diagnosis",
    "Explanation",
    "Prediction",
    "__version__",
    "assess",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'dermassist' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
