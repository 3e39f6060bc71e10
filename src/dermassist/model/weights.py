"""Reading and writing network weights. No pickle is ever executed."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dermassist.errors import BundleError
from dermassist.model.network import MobileNetV2
from dermassist.storage import replacing

#: torchvision's published ImageNet-1k weights; the suffix is the start of the file's SHA-256.
TORCHVISION_URL = "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth"
HEAD_PREFIX = "classifier."
#: Lightning's checkpoints name the network's tensors below the module's attribute.
MODULE_PREFIX = "network."
#: What torch and safetensors raise on damaged files.
_DAMAGE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    SafetensorError,
)


class WeightsError(BundleError):
    """A weights file that is missing, damaged or of another network."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict with torchvision's MobileNetV2 tensor names.

    Args:
        path: ``.safetensors``, a plain state dict (``.pth``, ``.pt``) or a Lightning ``.ckpt``.

    Raises:
        WeightsError: the file cannot be read, or only by executing code that it holds.
    """
    content = read_content(path)
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds no state dict")
    tensors = {
        name.removeprefix(MODULE_PREFIX): value
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors")
    return tensors


def read_content(path: Path) -> Any:
    """Read what a file of weights holds: its tensors by name, or what a checkpoint says besides.

    Raises:
        WeightsError: the file cannot be read, or only by executing code that it holds.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path}: is damaged or holds more than tensors, so it is not opened; "
            "give a plain state dict or a .safetensors file"
        ) from None
    except _DAMAGE as error:
        raise WeightsError(
            f"{path}: cannot be read as weights ({error}); copy or download it again"
        ) from error


def read_imagenet_weights() -> dict[str, Tensor]:
    """Download torchvision's ImageNet weights, verify and cache them.

    Raises:
        WeightsError: they cannot be downloaded.
    """
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            TORCHVISION_URL, map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"ImageNet weights cannot be downloaded from {TORCHVISION_URL} ({error}); "
            "give a file with --init"
        ) from error
    return state


def load_weights(network: MobileNetV2, state: dict[str, Tensor]) -> tuple[str, ...]:
    """Copy weights into the network; a head for another number of classes is left out.

    Returns:
        Names of the tensors that kept their initial values: none, or the head's.

    Raises:
        WeightsError: a feature tensor is missing or has another shape.
    """
    own = network.state_dict()
    fitting = {n: v for n, v in state.items() if n in own and own[n].shape == v.shape}
    kept = tuple(name for name in own if name not in fitting)
    wrong = [
        name
        for name in kept
        if not name.startswith(HEAD_PREFIX) and not name.endswith("num_batches_tracked")
    ]
    if wrong:
        raise WeightsError(
            f"the weights do not fit: {len(wrong)} feature tensors are missing or differ in shape, "
            f"{wrong[0]} first"
        )
    network.load_state_dict(fitting, strict=False)
    return tuple(name for name in kept if name.startswith(HEAD_PREFIX))


def write_weights(network: MobileNetV2, path: Path) -> None:
    """Write a plain state dict that ``torch.load(..., weights_only=True)`` reads.

    Raises:
        OSError: as of ``write_content``.
    """
    write_content({k: v.detach().cpu() for k, v in network.state_dict().items()}, path)


def write_content(content: dict[str, Any], path: Path) -> None:
    """Write what ``torch.load`` reads, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written to. It names ``path``.
    """
    # PyTorch itself writes into memory alone: of a full disk it says only "unexpected pos".
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
