"""What each artifact step and each augmentation is worth: on against off, same seeds.

    python -m benchmarks.ablation --data ham10000

Every variant changes one thing of ``benchmarks/small.toml`` and trains at its small budget (128 px,
8 epochs). Stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.small_budget import exit_status_of
from benchmarks.variant import (
    Comparison,
    Variant,
    add_comparison_options,
    augmented,
    changed,
    compare,
)

_LEAST_SEEDS = 2


def _cleaned(step: str) -> Variant:
    return changed("preprocessing", f"with-{step}", f"with artifact step: {step}", steps=(step,))


STEPS = Comparison(
    "ablation",
    "Ablation: each step on and off",
    (
        _cleaned("smoothing"),
        _cleaned("brightness"),
        _cleaned("hair"),
        augmented("no-flips", "without flips", flips=False),
        augmented("no-rotation", "without rotation", rotation_degrees=0.0),
        augmented("no-scale", "without change of scale", scale=(1.0, 1.0)),
        augmented("no-shift", "without shift", shift=0.0),
        augmented(
            "no-colour",
            "without brightness, contrast, saturation and hue",
            brightness=0.0,
            contrast=0.0,
            saturation=0.0,
            hue_degrees=0.0,
        ),
        augmented("no-gamma", "without gamma", gamma=0.0),
        augmented("with-stretch", "with change of proportions, 20 %", stretch=0.2),
        augmented(
            "with-crop", "with random resized crop", framing="random_resized_crop", scale=(0.5, 1.0)
        ),
        augmented("with-erasing", "with erasing, 25 %", erasing=0.25),
    ),
)


def main() -> int:
    """Train what is missing, then write table and document; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_comparison_options(parser, STEPS)
    options = parser.parse_args()
    if len(set(options.seeds)) < _LEAST_SEEDS:
        parser.error(f"--seeds must be {_LEAST_SEEDS} or more different numbers")
    return exit_status_of(lambda: compare(STEPS, options))


if __name__ == "__main__":
    sys.exit(main())
