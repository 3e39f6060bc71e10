from __future__ import annotations

import errno
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from dermassist.model.network import MobileNetV2
from dermassist.model.weights import WeightsError, load_weights, read_weights, write_weights

if sys.platform != "win32":
    import resource

TENSORS = {"features.0.0.weight": torch.arange(6.0).reshape(2, 3), "x": torch.ones(2)}


class Trap:
    """Leaves a trace when a pickle of it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def assert_equal(given_state: dict[str, torch.Tensor]) -> None:
    assert given_state.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        torch.testing.assert_close(given_state[name], value, rtol=0, atol=0)


def test_every_kind_of_file_holds_the_same_tensors(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "plain.pth")
    torch.save(TENSORS, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file(TENSORS, tmp_path / "safe.safetensors")
    prefixed = {f"network.{name}": value for name, value in TENSORS.items()}
    torch.save({"state_dict": prefixed, "epoch": 3}, tmp_path / "run.ckpt")

    for path in tmp_path.iterdir():
        assert_equal(read_weights(path))


def test_code_in_a_file_is_not_executed(tmp_path: Path) -> None:
    for path, content in (
        (tmp_path / "trap.pth", pickle.dumps(Trap(tmp_path / "sprung"), protocol=2)),
        (tmp_path / "trap.pt", b""),
    ):
        if content:
            path.write_bytes(content)
        else:
            torch.save({"weight": Trap(tmp_path / "sprung")}, path)
        with pytest.raises(WeightsError, match="so it is not opened; give a plain state dict"):
            read_weights(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"a": 1}, {"state_dict": [1]}, {"state_dict": {"a": 1}}, "text"]
)
def test_a_file_without_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match=r"file\.pth: holds no"):
        read_weights(tmp_path / "file.pth")


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors", "."])
def test_an_absent_file_or_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"no such weights file|cannot be read as weights"):
        read_weights(tmp_path / name)


@settings(max_examples=60)
@given(
    suffix=st.sampled_from([".pth", ".safetensors"]),
    length=st.integers(0, 1500),
    position=st.integers(0, 1500),
    value=st.integers(0, 255),
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, length: int, position: int, value: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    if suffix == ".pth":
        torch.save(TENSORS, path)
    else:
        save_file(TENSORS, path)
    content = bytearray(path.read_bytes()[: length or None])
    content[position % len(content)] = value
    path.write_bytes(content)
    try:
        assert read_weights(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017 - both ends are right


def test_written_weights_are_read_back_by_plain_pytorch(tmp_path: Path) -> None:
    network = MobileNetV2()
    write_weights(network, tmp_path / "weights.pth")
    state = torch.load(tmp_path / "weights.pth", weights_only=True)

    assert state.keys() == network.state_dict().keys()
    assert not any(value.requires_grad for value in state.values())
    other = MobileNetV2()
    assert load_weights(other, read_weights(tmp_path / "weights.pth")) == ()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)


def test_a_head_for_other_classes_keeps_its_initial_values() -> None:
    start, network = MobileNetV2(classes=1000), MobileNetV2()
    head = network.head.weight.detach().clone()
    kept = load_weights(network, start.state_dict())

    assert kept == ("classifier.1.weight", "classifier.1.bias")
    torch.testing.assert_close(network.head.weight, head, rtol=0, atol=0)
    torch.testing.assert_close(
        network.state_dict()["features.18.0.weight"], start.state_dict()["features.18.0.weight"]
    )


def test_weights_of_another_network_are_refused_and_nothing_is_changed() -> None:
    network = MobileNetV2()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = MobileNetV2().state_dict()
    state["features.1.conv.0.0.weight"] = torch.zeros(1)
    with pytest.raises(
        WeightsError,
        match=r"do not fit: 1 feature tensors .* features\.1\.conv\.0\.0\.weight first",
    ):
        load_weights(network, state)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_files_from_before_batches_were_counted_are_read() -> None:
    state = {
        name: value
        for name, value in MobileNetV2().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert load_weights(MobileNetV2(), state) == ()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_is_reported_as_one_and_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"earlier")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The system reports a file that would be too large as it reports a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_weights(MobileNetV2(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]
