"""The bundled sample: a drawn lesion, no patient's, to try and to check an installation with."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SAMPLE_NAME = "synthetic_lesion.jpg"
SAMPLE_WORDS = "This image was drawn by a program. It shows no patient and no disease."
_SKIN = np.array([222.0, 176.0, 160.0])
_PIGMENT = np.array([110.0, 68.0, 52.0])
_BORDER_WAVES = 6
_WIDTH, _HEIGHT = 600, 450


def sample_path() -> Path:
    """Return the path of the bundled synthetic image."""
    return Path(str(resources.files("dermassist") / "samples" / SAMPLE_NAME))


@cache
def sample_sha256() -> str:
    """Return the SHA-256 of the bundled synthetic image."""
    return hashlib.sha256(sample_path().read_bytes()).hexdigest()


def is_sample(sha256: str) -> bool:
    """Tell whether a hash is that of the bundled synthetic image."""
    return sha256 == sample_sha256()


def draw_lesion(
    rng: np.random.Generator, *, width: int = _WIDTH, height: int = _HEIGHT
) -> NDArray[np.uint8]:
    """Draw a pigmented blot with an uneven border on mottled skin.

    It resembles a dermatoscopic image in colours and framing only; it shows no disease and no
    model was trained on it.

    Args:
        rng: makes every drawing different, and the same one repeatable.
        width: in px.
        height: in px.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    y, x = np.mgrid[:height, :width].astype(np.float64)
    short = min(width, height)
    inside = _blot(x - width / 2, y - height / 2, short, rng)
    mottle = _noise(rng, width, height, short / 40) * 9 + _noise(rng, width, height, 1.5) * 5
    network = _noise(rng, width, height, short / 110) * 22 * inside
    pigment = inside[..., None] * (_PIGMENT - _SKIN)
    image = _SKIN + pigment + (mottle + network)[..., None]
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def _blot(
    x: NDArray[np.float64], y: NDArray[np.float64], short: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return pigment from 0 (skin) to 1: a disc whose radius waves with the angle."""
    angle, distance = np.arctan2(y, x), np.hypot(x, y * 1.2)
    radius = np.full_like(angle, short * 0.26)
    for wave in range(1, _BORDER_WAVES + 1):
        amplitude, phase = rng.uniform(0, short * 0.045 / wave), rng.uniform(0, 2 * np.pi)
        radius += amplitude * np.cos(wave * angle + phase)
    return np.asarray(1.0 / (1.0 + np.exp((distance - radius) / (short * 0.02))))


def _noise(rng: np.random.Generator, width: int, height: int, sigma: float) -> NDArray[np.float64]:
    """Return blurred noise of unit variance."""
    blurred = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), max(sigma, 0.5))
    return np.asarray(blurred / blurred.std())
