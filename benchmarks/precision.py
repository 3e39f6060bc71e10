"""Training steps on a processor in float32 and in bfloat16, as ratios taken in one run.

    python -m benchmarks.precision

Forward, backward and optimiser of the network alone, on random images. In bfloat16 twice: with
PyTorch's gradient by the input of strided depthwise layers, and with it in float32, as
``StridedDepthwise`` takes it. The ways take turns; medians are compared. Writes ``precision.json``
and ``precision.md``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dermassist.evaluation.table import Table, render_markdown
from dermassist.model.network import MobileNetV2, StridedDepthwise
from dermassist.storage import write_text
from dermassist.training.hardware import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 32
SIZES_PX = (160, 224)
ROUNDS = 7
WAYS = {
    "float32": "float32",
    "plain": "bfloat16, PyTorch's gradients",
    "ours": "bfloat16, those of strided layers in float32",
}
BASE = "float32"
#: Instructions that decide which way is fastest.
SETS = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")


def main() -> None:
    """Measure, and write figures and table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    capabilities = torch.cpu.get_capabilities()
    document = {
        "batch": BATCH,
        "rounds": ROUNDS,
        "threads": options.threads,
        "instructions": [name for name in SETS if capabilities.get(name)],
        "images_per_second": {str(size): speeds(size) for size in SIZES_PX},
    }
    write_text(options.results / "precision.json", json.dumps(document, indent=1) + "\n")
    write_text(options.results / "precision.md", render_markdown(to_table(document)) + "\n")


def speeds(size_px: int) -> dict[str, float]:
    """Return the images a second that each way trains."""
    steps = {way: _step(way, size_px) for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    # One round more, which is not counted: the first steps allocate and choose kernels.
    for round_ in range(ROUNDS + 1):
        for way, step in steps.items():
            start = time.perf_counter()
            step()
            if round_:
                seconds[way].append(time.perf_counter() - start)
    return {way: BATCH / statistics.median(taken) for way, taken in seconds.items()}


def _step(way: str, size_px: int) -> Callable[[], None]:
    torch.manual_seed(0)
    network = MobileNetV2().to(memory_format=torch.channels_last).train()  # type: ignore[call-overload] # PyTorch's stub
    if way == "plain":
        for layer in network.modules():
            if isinstance(layer, StridedDepthwise):
                layer.forward = nn.Conv2d.forward.__get__(layer)  # type: ignore[method-assign] # undone
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    images = torch.randn(BATCH, 3, size_px, size_px).to(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 7

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=way != BASE):
            loss: Any = nn.functional.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def to_table(document: dict[str, Any]) -> Table:
    """Return images a second by way and size, and how many times those of float32 they are."""
    measured = document["images_per_second"]
    rows = tuple(
        (
            label,
            *(f"{speed[way]:.0f} ({speed[way] / speed[BASE]:.2f})" for speed in measured.values()),
        )
        for way, label in WAYS.items()
    )
    header = ("Precision", *(f"{size} px" for size in measured))
    notes = (
        (
            f"Images a second, in brackets how many times those of float32; batches of "
            f"{document['batch']}, medians of {document['rounds']} steps, "
            f"{document['threads']} thread{'s' * (document['threads'] > 1)} on a processor with "
            f"{', '.join(document['instructions'])}."
        ),
    )
    return Table("Training steps of the network alone", header, rows, notes)


if __name__ == "__main__":
    main()
