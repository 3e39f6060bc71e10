"""Changes to how the recipe learns, each tried alone: with it against without, same seeds.

    python -m benchmarks.refinement --data ham10000 --seeds 0

Like ``benchmarks.screening``, at the same small budget and beside the same base; but the answers of
these trainings are kept, so that ``--only`` without a name makes the table of them again. Stopped,
the same command goes on.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.small_budget import exit_status_of
from benchmarks.variant import Comparison, add_comparison_options, compare, optimised

REFINEMENTS = Comparison(
    "refinement",
    "How the recipe learns",
    (
        optimised(
            "smoothing-by-image",
            "smoothing weighted by the image's class, not by the class that gets it",
            weighted_smoothing=False,
        ),
        optimised("half-rate", "peak rate 5e-4 instead of 1e-3", learning_rate=5e-4),
    ),
)


def main() -> int:
    """Train what is missing, then write table and document; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_comparison_options(parser, REFINEMENTS)
    options = parser.parse_args()
    return exit_status_of(lambda: compare(REFINEMENTS, options))


if __name__ == "__main__":
    sys.exit(main())
