"""Whether the libraries of an extra are there, asked before any work is done."""

from __future__ import annotations

from importlib import import_module

from dermassist.errors import MissingExtraError


def require_training(feature: str) -> None:
    """Load what training and exporting share.

    Args:
        feature: what the user asked for, as the subject of a sentence.

    Raises:
        MissingExtraError: a library of the extra ``train`` is missing.
    """
    try:
        for name in ("torch", "lightning", "onnx", "onnxscript", "safetensors"):
            import_module(name)
    except ImportError:
        raise MissingExtraError(feature, extra="train") from None
