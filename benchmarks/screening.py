"""Ideas for a better recipe, each tried alone: with it against without, same seeds.

    python -m benchmarks.screening --data ham10000 --teacher runs/lesion/fold0/model

Every variant changes one thing of ``benchmarks/small.toml`` and trains at its small budget (128 px,
8 epochs). A teacher is a model that ``dermassist protocol lesion`` has trained on the same part of
the same fold; without one, distillation is left out. Stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.small_budget import exit_status_of
from benchmarks.variant import (
    Comparison,
    Variant,
    add_comparison_options,
    augmented,
    compare,
    optimised,
)

IDEAS = Comparison(
    "screening",
    "Ideas, each tried alone",
    (
        augmented("with-mixup", "mixup", mixing="mixup"),
        augmented("with-cutmix", "CutMix", mixing="cutmix", mixing_alpha=1.0),
        optimised(
            "logit-adjustment",
            "logit adjustment instead of class weights",
            class_weight_power=0.0,
            logit_adjustment=1.0,
        ),
        optimised("balanced-weights", "fully balanced class weights", class_weight_power=1.0),
        optimised("layer-decay", "earlier layers slower, by .85 each", layer_decay=0.85),
        Variant("taught", "a teacher's answers for half of the loss", lambda r: r, taught=True),
        optimised("no-smoothing", "no label smoothing", label_smoothing=0.0),
        augmented("with-blur", "random blur, up to .6 % of the side", blur=0.006),
    ),
)


def main() -> int:
    """Train what is missing, then write table and document; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_comparison_options(parser, IDEAS)
    parser.add_argument("--teacher", type=Path, help="a model trained on the same part of fold 0")
    options = parser.parse_args()
    return exit_status_of(lambda: compare(IDEAS, options))


if __name__ == "__main__":
    sys.exit(main())
