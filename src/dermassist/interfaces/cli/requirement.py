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
    _require(feature, ("torch", "lightning", "onnx", "onnxscript", "safetensors"), extra="train")


def require_search(feature: str) -> None:
    """Load what a search needs beside training.

    Args:
        feature: what the user asked for, as the subject of a sentence.

    Raises:
        MissingExtraError: a library of the extra ``tune`` is missing.
    """
    _require(feature, ("optuna", "sqlalchemy", "matplotlib", "tomli_w"), extra="tune")


def require_report(feature: str) -> None:
    """Load what the PDF report needs.

    Args:
        feature: what the user asked for, as the subject of a sentence.

    Raises:
        MissingExtraError: a library of the extra ``report`` is missing.
    """
    _require(feature, ("fpdf", "fontTools", "uharfbuzz"), extra="report")


def _require(feature: str, libraries: tuple[str, ...], *, extra: str) -> None:
    try:
        for name in libraries:
            import_module(name)
    except ImportError:
        raise MissingExtraError(feature, extra=extra) from None
