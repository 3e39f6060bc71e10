"""What this machine computes fast, and how to let it."""

from __future__ import annotations

import ctypes
import sys

import torch
from lightning.pytorch.accelerators import AcceleratorRegistry

from dermassist.errors import ConfigError

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
#: Instruction sets with which bfloat16 trains faster than float32 (``docs/experiments.md``).
_BFLOAT16_SETS = ("amx_bf16", "avx512_bf16")
#: What Lightning means by ``gpu``.
_GPUS = ("cuda", "mps")
#: Names that stand for others, and the processor, which any number of processes share.
_UNCOUNTED = ("auto", "cpu", "gpu")


def check_accelerator(name: str, *, devices: int = 1) -> None:
    """Refuse an accelerator that Lightning does not know, or that this machine does not have.

    Args:
        name: Lightning's.
        devices: how many of them are wanted. Of processes on a processor any number is there.

    Raises:
        ConfigError: it is not among ``accelerators``, or there are fewer of them.
    """
    there = accelerators()
    if name not in there:
        raise ConfigError(
            f"accelerator must be one that this machine has, {' or '.join(there)}, got {name!r}"
        )
    meant = {"auto": there, "gpu": _GPUS}.get(name, (name,))
    for kind in there:
        if kind not in meant or kind in _UNCOUNTED:
            continue
        count = AcceleratorRegistry[kind]["accelerator"].auto_device_count()
        if devices > count:
            raise ConfigError(f"devices must be at most {count}, so many {kind} are here")


def accelerators() -> tuple[str, ...]:
    """Return Lightning's names of what can train on this machine."""
    own = [
        name
        for name in sorted(AcceleratorRegistry.available_accelerators())
        if AcceleratorRegistry[name]["accelerator"].is_available()
    ]
    return ("auto", *own, *(["gpu"] if set(own) & set(_GPUS) else []))


def trainer_precision(wanted: str, accelerator: str = "auto") -> str:
    """Return Lightning's name of the precision to train in.

    Args:
        wanted: ``mixed`` or ``float32``. Mixed precision is used on CUDA devices and on
            processors with bfloat16 instructions; elsewhere it would be many times slower, and
            training runs in float32. The run's record says which.
        accelerator: Lightning's name of what trains; ``cpu`` leaves a CUDA device aside.
    """
    on_cuda = accelerator != "cpu" and torch.cuda.is_available()
    if wanted == "mixed" and (on_cuda or computes_bfloat16()):
        return "bf16-mixed"
    return "32-true"


def computes_bfloat16() -> bool:
    """Tell whether the processor has instructions that multiply bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _BFLOAT16_SETS)


def keep_freed_memory() -> bool:
    """Make glibc keep the memory that the network frees, instead of returning it to the kernel.

    Activations of a step are freed and allocated again in the next. By default glibc unmaps
    each, and the kernel zeroes every page anew, which costs a third of a step on a CPU
    (``benchmarks/training_speed.py``). See mallopt(3).

    Returns:
        Whether it took effect: only where the C library is glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    never_map = library.mallopt(_M_MMAP_MAX, 0)
    never_trim = library.mallopt(_M_TRIM_THRESHOLD, -1)
    return bool(never_map and never_trim)
