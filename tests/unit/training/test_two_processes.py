"""Two processes learn what one learns from the same images."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

PROGRAM = Path(__file__).with_name("two_processes.py")

pytestmark = pytest.mark.slow


def gradients(data: Path, folder: Path, *, devices: int) -> dict[str, Tensor]:
    """Return the first step's gradients, computed by so many processes."""
    folder.mkdir()
    command = [sys.executable, str(PROGRAM), str(data), str(folder), str(devices)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    given: dict[str, Tensor] = torch.load(folder / "gradients.pt", weights_only=True)
    return given


def test_gradients_of_two_processes_are_those_of_one(
    make_ham10000: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_ham10000(lesions_per_class=4, size=(64, 64))
    one = gradients(data, tmp_path / "one", devices=1)
    two = gradients(data, tmp_path / "two", devices=2)

    assert one.keys() == two.keys()
    assert len(one) > 100
    assert min(float(gradient.abs().max()) for gradient in one.values()) > 1e-4
    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, rtol=1e-5, atol=1e-5, msg=name)
