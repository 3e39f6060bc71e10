"""Training speed beside a plain loop, as a ratio taken in one run on one machine.

    python benchmarks/training_speed.py --data HAM10000 [--out results/training_speed.json]

The plain loop is what one writes first: Pillow decodes and augments inside a DataLoader, float32,
default memory layout, PyTorch's defaults. Ours is ``dermassist.training`` as ``dermassist train``
runs it, Lightning included. Both train the same network with the same optimiser on the same images,
with the augmentations of configs/ship.toml, the same batch size and one worker process. Each runs
in a process of its own, in turn, several times; the medians are compared.

The share outside forward and backward is ours: waiting for images, optimiser, averaging, Lightning.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dermassist.config import AugmentationSection, TrainingConfig, read_config
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Ham10000, read_ham10000
from dermassist.model.network import MobileNetV2
from dermassist.storage import write_text
from dermassist.training.run import Parts, RunSettings, Start, train

CONFIG = Path(__file__).parent.parent / "configs" / "ship.toml"
IMAGES = 960
ROUNDS = 3
WARM_UP_STEPS = 3
LEAST_RATIO = 2.0
LOOPS = ("plain", "ours")


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """Decodes and augments with Pillow, one image at a time."""

    def __init__(self, dataset: Ham10000, settings: AugmentationSection, size_px: int) -> None:
        self.dataset = dataset
        self.settings = settings
        self.size_px = size_px

    def __len__(self) -> int:
        return len(self.dataset.records)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        record = self.dataset.records[position]
        if record.path is None:
            raise FileNotFoundError(record.image_id)
        with Image.open(record.path) as file:
            image = file.convert("RGB")
        width = round(image.width * self.dataset.pixel_aspect)
        view = self._jitter(self._warp(image.resize((width, image.height))))
        pixels = torch.frombuffer(bytearray(view.tobytes()), dtype=torch.uint8)
        scaled = pixels.view(self.size_px, self.size_px, 3).permute(2, 0, 1).float() / 255.0
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        return (scaled - mean[:, None, None]) / std[:, None, None], record.diagnosis.index

    def _warp(self, image: Image.Image) -> Image.Image:
        settings, size = self.settings, self.size_px
        low, high = settings.scale
        side = min(image.size) * math.exp(random.uniform(math.log(low), math.log(high)))
        angle = math.radians(random.uniform(-settings.rotation_degrees, settings.rotation_degrees))
        a, b = math.cos(angle) * side / size, math.sin(angle) * side / size
        flip_x, flip_y = random.choice((-1, 1)), random.choice((-1, 1))
        shift = [random.uniform(-settings.shift, settings.shift) * side for _ in range(2)]
        centre_x, centre_y = image.width / 2 + shift[0], image.height / 2 + shift[1]
        xx, xy, yx, yy = a * flip_x, -b * flip_y, b * flip_x, a * flip_y
        offset_x = centre_x - (xx + xy) * size / 2
        offset_y = centre_y - (yx + yy) * size / 2
        return image.transform(
            (size, size),
            Image.Transform.AFFINE,
            (xx, xy, offset_x, yx, yy, offset_y),
            Image.Resampling.BILINEAR,
        )

    def _jitter(self, image: Image.Image) -> Image.Image:
        settings = self.settings
        for enhance, amount in (
            (ImageEnhance.Color, settings.saturation),
            (ImageEnhance.Brightness, settings.brightness),
            (ImageEnhance.Contrast, settings.contrast),
        ):
            image = enhance(image).enhance(1.0 + random.uniform(-amount, amount))
        turn = round(random.uniform(-settings.hue_degrees, settings.hue_degrees) * 256.0 / 360.0)
        hue, saturation, value = image.convert("HSV").split()
        turned = hue.point([(level + turn) % 256 for level in range(256)])
        image = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
        exponent = 1.0 + random.uniform(-settings.gamma, settings.gamma)
        curve = [round(255.0 * (level / 255.0) ** exponent) for level in range(256)]
        return image.point(curve * 3)


class Stopwatch(lightning.Callback):
    """Times steps, and the part of them that is forward and backward."""

    def __init__(self) -> None:
        self.batch_starts: list[float] = []
        self.backward_ends: list[float] = []
        self.batch_ends: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Note when the images are there."""
        self.batch_starts.append(time.perf_counter())

    def on_after_backward(self, *_: Any) -> None:
        """Note when the gradients are there."""
        self.backward_ends.append(time.perf_counter())

    def on_train_batch_end(self, *_: Any) -> None:
        """Note when the step is done."""
        self.batch_ends.append(time.perf_counter())


def main() -> None:
    """Measure both loops, print a table; exit with 1 if the bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--loop", choices=LOOPS, help="run one loop once and print its times")
    arguments = parser.parse_args()
    if arguments.loop is not None:
        run = _run_plain if arguments.loop == "plain" else _run_ours
        sys.stdout.write(json.dumps(run(*_material(arguments.data))) + "\n")
        return
    rounds = [{loop: _in_process(loop, arguments.data) for loop in LOOPS} for _ in range(ROUNDS)]
    document = _document(rounds)
    for name, value in document.items():
        print(f"{name:32} {value}")
    if arguments.out is not None:
        write_text(arguments.out, json.dumps(document, indent=1) + "\n")
    sys.exit(0 if document["met"] else 1)


def _document(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    plain, ours, outside = (
        statistics.median(entry[loop][key] for entry in rounds)
        for loop, key in (
            ("plain", "images_per_second"),
            ("ours", "images_per_second"),
            ("ours", "share_outside"),
        )
    )
    return {
        "images": IMAGES,
        "rounds": ROUNDS,
        "cores": os.cpu_count(),
        "plain_images_per_second": plain,
        "ours_images_per_second": ours,
        "ratio": ours / plain,
        "least_ratio": LEAST_RATIO,
        "met": ours >= LEAST_RATIO * plain,
        "share_outside_forward_backward": outside,
    }


def _in_process(loop: str, data: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--data", str(data), "--loop", loop]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    times: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return times


def _material(data: Path) -> tuple[TrainingConfig, Ham10000]:
    config = read_config(CONFIG)
    size_px = config.preprocessing.size_px
    optimisation = replace(config.optimisation, epochs=1, resolutions=((1.0, size_px),))
    dataset = read_ham10000(data)
    few = tuple(record for record in dataset.records if record.path is not None)[:IMAGES]
    return replace(config, optimisation=optimisation), replace(dataset, records=few)


def _run_plain(config: TrainingConfig, dataset: Ham10000) -> dict[str, float]:
    settings = config.optimisation
    images = PlainDataset(dataset, config.augmentation, config.preprocessing.size_px)
    loader = DataLoader(images, settings.batch_size, shuffle=True, num_workers=1)
    network = MobileNetV2(dropout=config.model.dropout)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    loss = nn.CrossEntropyLoss()
    ends = []
    for views, labels in loader:
        optimiser.zero_grad()
        loss(network(views), labels).backward()
        optimiser.step()
        ends.append(time.perf_counter())
    return {"images_per_second": _speed(ends, settings.batch_size)}


def _run_ours(config: TrainingConfig, dataset: Ham10000) -> dict[str, float]:
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        cache = open_cache(
            dataset.records,
            config.preprocessing,
            Path(folder) / "cache",
            pixel_aspect=dataset.pixel_aspect,
        )
        train(
            config,
            Parts(dataset.records, dataset.records[: config.optimisation.batch_size]),
            cache,
            RunSettings(Path(folder) / "run", workers=1, progress=False),
            start=Start(MobileNetV2().state_dict()),
            callbacks=[watch],
        )
    spans = zip(watch.batch_starts, watch.backward_ends, strict=True)
    inside = sum(end - start for start, end in list(spans)[WARM_UP_STEPS:])
    total = watch.batch_ends[-1] - watch.batch_ends[WARM_UP_STEPS - 1]
    return {
        "images_per_second": _speed(watch.batch_ends, config.optimisation.batch_size),
        "share_outside": 1.0 - inside / total,
    }


def _speed(ends: list[float], batch_size: int) -> float:
    return (len(ends) - WARM_UP_STEPS) * batch_size / (ends[-1] - ends[WARM_UP_STEPS - 1])


if __name__ == "__main__":
    main()
