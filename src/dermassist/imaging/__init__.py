"""Reading and standardising images: one implementation for training and for serving."""

from dermassist.imaging.artifact import STEPS, apply_steps
from dermassist.imaging.geometry import Fill, Preprocessing, View, to_field, to_view
from dermassist.imaging.reading import (
    ImageSource,
    RasterImage,
    ReadingLimits,
    declared_size,
    read_image,
)

__all__ = [
    "STEPS",
    "Fill",
    "ImageSource",
    "Preprocessing",
    "RasterImage",
    "ReadingLimits",
    "View",
    "apply_steps",
    "declared_size",
    "read_image",
    "to_field",
    "to_view",
]
