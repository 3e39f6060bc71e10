"""Fill the generated blocks of the documents from saved results; no number is typed by hand.

    python -m docs.generate            rewrite the blocks
    python -m docs.generate --check    exit with 1 if a block is not up to date

A block stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from typing import TYPE_CHECKING

from docs import interface, measurement, paper, protocols, saved, shipped, sources

from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCUMENTS = (
    "README.md",
    "MODEL_CARD.md",
    "docs/preprocessing.md",
    "docs/experiments.md",
    "docs/memetic.md",
    "docs/protocols.md",
    "docs/embedding.md",
    "docs/speed.md",
)
BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrite or check every document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [name for name in DOCUMENTS if not _is_current(saved.ROOT / name, write=not check)]
    if check and stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run  make docs")


def rendered(text: str) -> str:
    """Return a document with every block filled."""
    return BLOCK.sub(lambda m: f"{m[1]}{BLOCKS[m['name']]()}\n{m[3]}", text)


def _is_current(path: Path, *, write: bool) -> bool:
    before = path.read_text(encoding="utf-8")
    after = rendered(before)
    if write and after != before:
        write_text(path, after)
    return after == before


BLOCKS: dict[str, Callable[[], str]] = {
    "screening": partial(saved.written, "screening"),
    "refinement": partial(saved.written, "refinement"),
    "ablation": partial(saved.written, "ablation"),
    "averaging": partial(saved.written, "averaging"),
    "memetic-full": partial(saved.written, "memetic/full"),
    "memetic-rank": partial(saved.written, "memetic/rank"),
    "memetic-whole": partial(saved.written, "memetic/whole"),
    "calibration-interval": partial(saved.written, "calibration_interval"),
    "class-mix-validation": partial(saved.written, "class_mix_validation"),
    "class-mix-test": partial(saved.written, "class_mix_test"),
    "precision": partial(saved.written, "precision"),
    "recipes": partial(saved.written, "recipes"),
    "settling": partial(saved.written, "settling"),
    "table-four": partial(saved.written, "table_four"),
    "performance": shipped.performance,
    "overconfidence": shipped.overconfidence,
    "healthy-skin": shipped.healthy_skin,
    "missed": shipped.missed,
    "diagnoses": shipped.diagnoses,
    "facts": shipped.facts,
    "named-in-sets": shipped.named_in_sets,
    "class-mix": shipped.class_mix,
    "class-mix-undone": shipped.class_mix_undone,
    "decisions": shipped.decisions,
    "full-performance": shipped.full_performance,
    "heatmaps": shipped.heatmaps,
    "model": shipped.model,
    "variant": shipped.variant,
    "geometry-enlargements": measurement.geometry_enlargements,
    "geometry-choices": measurement.geometry_choices,
    "geometry-stability": measurement.geometry_stability,
    "artifacts": measurement.artifacts,
    "speed": measurement.speed,
    "speed-summary": measurement.speed_summary,
    "exit-statuses": interface.exit_statuses,
    "training-speed": measurement.training_speed,
    "protocol-comparison": protocols.protocol_comparison,
    "lesion-protocol": protocols.lesion_protocol,
    "lesion-swift": protocols.lesion_swift,
    "source-gap": sources.source_gap,
    "source-protocol": protocols.source_protocol,
    "paper-protocol": paper.paper_protocol,
}

if __name__ == "__main__":
    main()
