"""A candidate's short training: what it reports, how it ends and what it leaves."""

from __future__ import annotations

import logging
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import lightning
import pytest
import torch
from torch import Tensor, nn

from dermassist.config import ModelSection, OptimisationSection, TrainingConfig
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.imaging import Preprocessing
from dermassist.model.network import MobileNetV2
from dermassist.training import proxy
from dermassist.training.module import SELECTION_METRIC, LesionModule
from dermassist.training.proxy import ProxyPlan, ProxyTraining
from dermassist.training.run import Parts, Start, make_module

SCORES = (0.25, 0.75, 0.5)
PREPROCESSING = Preprocessing(size_px=32)
FILTERS = "features.0.0.weight"


class Pupil(lightning.LightningModule):
    """Learns next to nothing, and scores in each epoch what it is told to."""

    def __init__(self, scores: Sequence[float], error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.scores = scores
        self.error = error

    def training_step(self, _batch: object, _index: int) -> Tensor:
        if self.error is not None and self.current_epoch == 1:
            raise self.error
        return self.weight.sum()

    def validation_step(self, _batch: object, _index: int) -> None:
        self.log(SELECTION_METRIC, self.scores[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Listener:
    """Notes what is reported, and stops the training after the epochs it is given."""

    def __init__(self, *stops_at: int) -> None:
        self.stops_at = stops_at
        self.heard: list[tuple[int, float]] = []

    def __call__(self, epoch: int, score: float) -> bool:
        self.heard.append((epoch, score))
        return epoch in self.stops_at


def recipe(epochs: int = len(SCORES)) -> TrainingConfig:
    return TrainingConfig(
        model=ModelSection(frozen_layers=0),
        preprocessing=PREPROCESSING,
        optimisation=OptimisationSection(epochs=epochs, batch_size=4, precision="float32"),
    )


def start_weights() -> dict[str, Tensor]:
    """Return weights whose head is for other classes, as ImageNet's is: candidates draw theirs."""
    torch.manual_seed(0)
    return MobileNetV2(classes=10).state_dict()


@pytest.fixture
def records(make_ham10000: Callable[..., Path]) -> tuple[Record, ...]:
    """One lesion of every diagnosis, as few images as can be trained on."""
    return read_ham10000(make_ham10000(lesions_per_class=1)).records


@pytest.fixture
def plan(records: tuple[Record, ...], tmp_path: Path) -> ProxyPlan:
    """All but the last image, which stands for the test part."""
    parts = Parts(records[:4], records[4:-1])
    return ProxyPlan(
        parts, PREPROCESSING, tmp_path / "cache", 1.0, start_weights, accelerator="cpu"
    )


@pytest.fixture
def training(plan: ProxyPlan) -> ProxyTraining:
    return ProxyTraining(plan.parts, plan.open_cache(), start_weights(), accelerator="cpu")


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that puts a pupil in the network's place."""

    def put(error: type[BaseException] | None = None) -> None:
        monkeypatch.setattr(proxy, "make_module", lambda *_: Pupil(SCORES, error))

    return put


def test_every_epoch_is_reported_and_the_last_one_is_the_score(
    training: ProxyTraining, taught: Callable[..., None]
) -> None:
    taught()
    listener = Listener()
    assert training(recipe(), listener) == SCORES[-1]
    assert listener.heard == list(enumerate(SCORES))


def test_a_training_ends_where_the_report_says_so(
    training: ProxyTraining, taught: Callable[..., None]
) -> None:
    taught()
    listener = Listener(1)
    assert training(recipe(), listener) == SCORES[1]
    assert listener.heard == [(0, SCORES[0]), (1, SCORES[1])]


def test_ctrl_c_reaches_the_caller_and_works_again(
    training: ProxyTraining, taught: Callable[..., None]
) -> None:
    taught(KeyboardInterrupt)
    handler, listener = signal.getsignal(signal.SIGINT), Listener()
    with pytest.raises(KeyboardInterrupt):
        training(recipe(), listener)
    assert signal.getsignal(signal.SIGINT) is handler
    assert listener.heard == [(0, SCORES[0])]


def test_a_candidate_that_is_too_much_for_the_machine_says_so(
    training: ProxyTraining, taught: Callable[..., None]
) -> None:
    taught(MemoryError)
    with pytest.raises(MemoryError):
        training(recipe(), Listener())


def test_no_files_are_left(
    training: ProxyTraining,
    taught: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    taught()
    before = sorted(tmp_path.rglob("*"))
    training(recipe(), Listener())
    assert sorted(tmp_path.rglob("*")) == before


def test_candidates_start_alike_whatever_was_trained_before(
    training: ProxyTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LesionModule] = []

    def watched(config: TrainingConfig, records: Sequence[Record], start: Start) -> LesionModule:
        made.append(make_module(config, records, start))
        return made[-1]

    monkeypatch.setattr(proxy, "make_module", watched)
    scores = [training(recipe(epochs=1), Listener()) for _ in range(2)]
    assert scores[0] == scores[1]
    assert 0.0 <= scores[0] <= 1.0
    first, second = (module.network.state_dict() for module in made)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)
    for name, value in start_weights().items():
        torch.testing.assert_close(value, training.initial_weights[name], rtol=0, atol=0)
    assert (first[FILTERS] != training.initial_weights[FILTERS]).any()


def test_the_test_part_is_not_decoded_and_nothing_is_decoded_twice(
    plan: ProxyPlan, records: tuple[Record, ...]
) -> None:
    decoded: list[tuple[int, int]] = []
    for _ in range(2):
        cache = plan.open_cache(progress=lambda done, total: decoded.append((done, total)))
        assert set(cache.shapes) == {record.image_id for record in records[:-1]}
    number = len(records) - 1
    assert decoded == [(done, number) for done in range(1, number + 1)]


@pytest.fixture
def settings_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give other tests back the process that ``prepare`` sets up for itself alone."""
    # Memory that is kept once is kept until the process ends.
    monkeypatch.setattr(proxy, "keep_freed_memory", lambda: True)
    log = logging.getLogger("lightning.pytorch")
    level, threads, drawing = log.level, torch.get_num_threads(), cv2.getNumThreads()
    yield
    log.setLevel(level)
    torch.set_num_threads(threads)
    cv2.setNumThreads(drawing)


@pytest.mark.usefixtures("settings_restored")
def test_a_plan_reaches_another_process_and_becomes_its_training(plan: ProxyPlan) -> None:
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    own = pickle.loads(pickle.dumps(plan)).prepare()
    assert torch.get_num_threads() == 1
    assert cv2.getNumThreads() == 1
    assert own.parts.train == plan.parts.train
    assert own.parts.validation == plan.parts.validation
    assert own.accelerator == "cpu"
    assert set(own.cache.shapes) == set(plan.open_cache().shapes)
    torch.testing.assert_close(
        own.initial_weights[FILTERS], start_weights()[FILTERS], rtol=0, atol=0
    )
