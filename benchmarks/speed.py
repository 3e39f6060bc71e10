"""How long answers take, as ratios of times taken in one run on one machine.

    python benchmarks/speed.py [--out results/speed.json]

The base is the bare ONNX forward pass: the same network without maps, on a view that is already
there. JPEG bytes are enlargements of the bundled synthetic image to 600 x 450 or, with --images,
re-encoded enlargements of those files. PyTorch is the same network, rebuilt from the graph, and is
given images that were read in the same way.
Limits that are absolute hold on a two-core laptop-like machine that does nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from dermassist.assessment import assess
from dermassist.batch import predict_files
from dermassist.diagnosis import Diagnosis
from dermassist.explain.gradient import gradient_grad_cam
from dermassist.imaging import Preprocessing
from dermassist.inference.classifier import Classifier
from dermassist.inference.export import LogitNetwork, ServingNetwork, to_onnx
from dermassist.model.graph import network_from_graph
from dermassist.model.network import MobileNetV2, enlarge
from dermassist.report import build_report, render_pdf
from dermassist.sample import sample_path
from dermassist.storage import write_text

ROUNDS = 20
#: Timed calls of one turn, and the untimed ones before them, in seconds.
CALLS = 5
SETTLING_S = 0.1
BATCH_IMAGES = 96
COLD_STARTS = 5
REPORTS = 5
PEAK_PROGRAM = (
    "import resource, subprocess, sys; "
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


@dataclass(frozen=True)
class Line:
    """One measured bar: at most (or at least) the limit; without a limit it is for comparison."""

    name: str
    value: float
    limit: float | None
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bar, if there is one, is met."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        """Return a row of the printed table."""
        bar = "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g}"
        verdict = "" if self.limit is None else "met" if self.met else "MISSED"
        return f"{self.name:74} {self.value:8.3f} {bar:7} {self.unit:3} {verdict}"


def main() -> None:
    """Measure, print a table, optionally write it; exit with 1 if a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=Path, help="folder of JPEG files to enlarge")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    classifier = Classifier.load(arguments.model)
    encoded = _jpegs(arguments.images)
    lines = [*_forward_lines(classifier, encoded), *_batch_lines(classifier, encoded)]
    lines += [_report_line(classifier, encoded[0]), *_process_lines()]
    for line in lines:
        print(line)
    if arguments.out is not None:
        rows = [{**vars(line), "met": line.met} for line in lines]
        machine = {"cores": os.cpu_count(), "threads": torch.get_num_threads()}
        write_text(arguments.out, json.dumps({"machine": machine, "lines": rows}, indent=1) + "\n")
    sys.exit(0 if all(line.met for line in lines) else 1)


def _jpegs(folder: Path | None) -> list[bytes]:
    """Return 600 x 450 JPEG files in memory."""
    paths = sorted(folder.glob("*.jpg"))[:BATCH_IMAGES] if folder else [sample_path()]
    encoded = []
    for path in paths:
        with Image.open(path) as image, io.BytesIO() as file:
            image.convert("RGB").resize((600, 450), Image.Resampling.BICUBIC).save(
                file, "JPEG", quality=95
            )
            encoded.append(file.getvalue())
    return [encoded[i % len(encoded)] for i in range(BATCH_IMAGES)]


def _forward_lines(classifier: Classifier, encoded: Sequence[bytes]) -> list[Line]:
    preprocessing = classifier.manifest.preprocessing
    network = network_from_graph(classifier.bundle.graph)
    bare_graph = to_onnx(
        LogitNetwork(ServingNetwork(network, preprocessing)).eval(),
        size_px=preprocessing.size_px,
        outputs=("logits",),
    )
    bare = onnxruntime.InferenceSession(bare_graph, providers=["CPUExecutionProvider"])
    view = classifier.view(encoded[0]).pixels
    predicted = classifier.predict(encoded[0]).diagnosis

    def eager(*, read: bool) -> None:
        seen = classifier.view(encoded[0]).pixels if read else view
        gradient_grad_cam(network, seen, predicted, preprocessing=preprocessing)

    times = _interleaved(
        {
            "bare": lambda: bare.run(None, {"image": view[None]}),
            "maps": lambda: classifier.run(view[None]),
            "jpeg": lambda: classifier.answer(encoded[0]),
            "assess": lambda: assess(encoded[0], classifier=classifier),
        }
    )
    # Two at a time: a third would leave its threads spinning beside both.
    alone: dict[str, Callable[[], object]] = {
        "ours": lambda: classifier.run(view[None]),
        "eager": lambda: eager(read=False),
    }
    read: dict[str, Callable[[], object]] = {
        "ours": lambda: classifier.answer(encoded[0]),
        "eager": lambda: eager(read=True),
    }
    hooked: dict[str, Callable[[], object]] = {
        "ours": alone["ours"],
        "eager": lambda: _hooked_grad_cam(network, view, predicted, preprocessing),
    }
    rivals, jpeg, hooks = (_interleaved(pair) for pair in (alone, read, hooked))
    base = times["bare"]
    for measured in (times, rivals, jpeg, hooks):
        print(", ".join(f"{name} {1e3 * value:.2f} ms" for name, value in measured.items()))
    return [
        Line("prediction with all seven maps / bare forward pass", times["maps"] / base, 1.10, "x"),
        Line("JPEG bytes to prediction and maps / bare pass", times["jpeg"] / base, 2.0, "x"),
        Line(
            "eager PyTorch with autograd Grad-CAM / ours, one image to its maps",
            rivals["eager"] / rivals["ours"],
            4.0,
            "x",
            at_least=True,
        ),
        Line(
            "the same from JPEG bytes, which our reader decodes for both",
            jpeg["eager"] / jpeg["ours"],
            None,
            "x",
        ),
        Line(
            "one image to its maps, Grad-CAM by hooks and a whole backward pass / ours",
            hooks["eager"] / hooks["ours"],
            None,
            "x",
        ),
    ]


def _hooked_grad_cam(
    network: MobileNetV2,
    view: NDArray[np.uint8],
    predicted: Diagnosis,
    preprocessing: Preprocessing,
) -> Tensor:
    """Return Grad-CAM as it is mostly written: ``backward`` from the logit down to every weight.

    captum, the rival with the bar, stops at the layer that is explained.
    """
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    pixels = (torch.from_numpy(view.copy()).permute(2, 0, 1)[None].float() / 255.0 - mean) / std
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    hook = network.features.register_forward_hook(keep)
    network.zero_grad()
    network(enlarge(pixels, preprocessing.seen_px))[0, predicted.index].backward()
    hook.remove()
    (features,) = kept
    if features.grad is None:
        raise RuntimeError("the backward pass did not reach the last feature map")
    weights = features.grad.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * features).sum(dim=1))


def _batch_lines(classifier: Classifier, encoded: Sequence[bytes]) -> list[Line]:
    """Compare whole files to probabilities: ours in batches, PyTorch one after the other."""
    preprocessing = classifier.manifest.preprocessing
    network = network_from_graph(classifier.bundle.graph)
    # As ``dermassist predict`` loads it.
    alone = Classifier(classifier.bundle, threads=1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i:04d}.jpg" for i in range(len(encoded))]
        for path, content in zip(paths, encoded, strict=True):
            path.write_bytes(content)

        def eager(view_of: Callable[[Path], NDArray[np.uint8]]) -> None:
            for path in paths:
                seen = torch.from_numpy(view_of(path).copy())
                pixels = (seen.permute(2, 0, 1)[None].float() / 255.0 - mean) / std
                with torch.no_grad():
                    network(enlarge(pixels, preprocessing.seen_px)).softmax(1)

        times = _interleaved(
            {
                "ours": lambda: list(predict_files(paths, alone)),
                "eager": lambda: eager(lambda path: _pillow_view(path, preprocessing.size_px)),
                "eager with our reader": lambda: eager(lambda path: alone.view(path).pixels),
            },
            rounds=5,
            calls=1,
        )
    print(", ".join(f"{name} {len(encoded) / value:.1f} images/s" for name, value in times.items()))
    return [
        Line(
            "batch predict / eager PyTorch with Pillow, images a second",
            times["eager"] / times["ours"],
            3.0,
            "x",
            at_least=True,
        ),
        Line(
            "the same, our reader for both",
            times["eager with our reader"] / times["ours"],
            None,
            "x",
        ),
    ]


def _pillow_view(path: Path, size_px: int) -> NDArray[np.uint8]:
    """Decode, resize and crop as torchvision's transforms do for a Pillow image."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    scale = size_px / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size_px) // 2, (height - size_px) // 2
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))


def _interleaved(
    tasks: dict[str, Callable[[], object]], *, rounds: int = ROUNDS, calls: int = CALLS
) -> dict[str, float]:
    """Return median seconds of each task, taken in turn so that all see the same machine.

    A task's turn begins with untimed calls: threads of the one before still spin for a while, on
    cores that this one needs.
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            begun = time.perf_counter()
            while time.perf_counter() - begun < SETTLING_S:
                task()
            for _ in range(calls):
                started = time.perf_counter()
                task()
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def _report_line(classifier: Classifier, encoded: bytes) -> Line:
    assessment = assess(encoded, classifier=classifier)
    seconds = []
    for _ in range(REPORTS):
        started = time.perf_counter()
        render_pdf(build_report(assessment, classifier.manifest, image=encoded))
        seconds.append(time.perf_counter() - started)
    return Line("PDF report of an answered image", statistics.median(seconds), 0.5, "s")


def _process_lines() -> list[Line]:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(sys.executable).with_name("dermassist"))
        analyze = [program, "analyze", "--sample", "--out", folder]
        seconds = [_timed(analyze) for _ in range(COLD_STARTS)]
        # From a small process: a child's peak begins with the memory of the one that started it.
        starter = [sys.executable, "-c", PEAK_PROGRAM, *analyze]
        peak = float(subprocess.run(starter, capture_output=True, check=True).stdout) / 1024
    code = "import time; t = time.perf_counter(); import dermassist; print(time.perf_counter() - t)"
    imports = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(COLD_STARTS)
    ]
    return [
        Line("dermassist analyze as a cold process", statistics.median(seconds), 1.5, "s"),
        Line("its peak memory", peak, 300.0, "MB"),
        Line("import dermassist", statistics.median(imports), 0.15, "s"),
    ]


def _timed(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
