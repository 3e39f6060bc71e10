"""Which accelerators are taken, on machines with and without a GPU."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator, XLAAccelerator

from dermassist.errors import ConfigError
from dermassist.training.hardware import accelerators, check_accelerator, trainer_precision


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """What the machine has beside its processor: nothing, until a test says otherwise."""
    there = {"cuda": False, "mps": False, "tpu": False}
    kinds = {"cuda": CUDAAccelerator, "mps": MPSAccelerator, "tpu": XLAAccelerator}
    for name, kind in kinds.items():
        monkeypatch.setattr(kind, "is_available", lambda name=name: there[name])
        monkeypatch.setattr(kind, "auto_device_count", lambda: 2)
    return there


@pytest.mark.parametrize("name", ["gpu", "cuda", "cuda:0", "mps", "tpu", "GPU", "hip", ""])
def test_a_processor_alone_is_no_other_accelerator(machine: dict[str, bool], name: str) -> None:
    assert accelerators() == ("auto", "cpu")
    for taken in accelerators():
        check_accelerator(taken)
    with pytest.raises(
        ConfigError, match=f"must be one that this machine has, auto or cpu, got '{name}'$"
    ):
        check_accelerator(name)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("cuda", ("auto", "cpu", "cuda", "gpu")),
        ("mps", ("auto", "cpu", "mps", "gpu")),
        ("tpu", ("auto", "cpu", "tpu")),
    ],
)
def test_what_is_there_is_taken(
    machine: dict[str, bool], own: str, expected: tuple[str, ...]
) -> None:
    machine[own] = True
    assert accelerators() == expected
    for taken in expected:
        check_accelerator(taken)
    with pytest.raises(ConfigError, match=f"{' or '.join(expected)}, got 'cuda:0'"):
        check_accelerator("cuda:0")


@pytest.mark.parametrize("name", ["auto", "gpu", "cuda"])
def test_no_more_gpus_are_taken_than_there_are(machine: dict[str, bool], name: str) -> None:
    machine["cuda"] = True
    check_accelerator(name, devices=2)
    with pytest.raises(ConfigError, match="devices must be at most 2, so many cuda are here"):
        check_accelerator(name, devices=3)


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_a_processor_takes_any_number_of_processes(machine: dict[str, bool], name: str) -> None:
    assert not any(machine.values())
    check_accelerator(name, devices=9)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": False, "avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": False, "avx512_bf16": False, "avx512_f": True}, "32-true"),
        # As PyTorch reports of another architecture.
        ({}, "32-true"),
    ],
)
def test_mixed_precision_is_for_processors_that_multiply_bfloat16(
    monkeypatch: pytest.MonkeyPatch, instructions: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert trainer_precision("mixed", "cpu") == expected
    assert trainer_precision("float32", "cpu") == "32-true"
