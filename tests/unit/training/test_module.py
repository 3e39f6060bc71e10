from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from dermassist.config import (
    AugmentationSection,
    DistillationSection,
    OptimisationSection,
    TrainingConfig,
)
from dermassist.errors import ConfigError
from dermassist.imaging import Preprocessing
from dermassist.inference.export import ServingNetwork, export_graph
from dermassist.model.bundle import write_bundle
from dermassist.model.network import MobileNetV2, enlarge
from dermassist.training.module import LesionModule
from dermassist.training.teacher import Teacher, read_teacher

from ...conftest import tiny_manifest
from .two_processes import lively_weights

COUNTS = (10,) * 7
SMALL = Preprocessing(size_px=64)
ENLARGED = Preprocessing(size_px=64, network_px=96)
ORIGIN: dict[str, Any] = {"protocol": "lesion", "splits_sha256": "s", "fold": 2}


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    views = torch.randint(0, 256, (6, 64, 64, 3), dtype=torch.uint8, generator=generator)
    return views, torch.arange(6) % 7


def module(teacher: Teacher | None = None, **sections: Any) -> LesionModule:
    torch.manual_seed(0)
    config = TrainingConfig(**{"preprocessing": SMALL, **sections})
    made = LesionModule(config, class_counts=COUNTS, teacher=teacher)
    made.log = lambda *_, **__: None  # type: ignore[method-assign] # no trainer is there to log to
    return made.eval()


def lively_network() -> MobileNetV2:
    """A network whose answers differ from view to view."""
    network = MobileNetV2()
    network.load_state_dict(lively_weights())
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network.eval()


@pytest.fixture
def teacher() -> Teacher:
    return Teacher(lively_network(), SMALL, sha256="t")


def test_validation_sees_what_the_runtime_would() -> None:
    made = module(preprocessing=ENLARGED)
    sizes: list[int] = []
    made.network.features.register_forward_pre_hook(
        lambda _module, inputs: sizes.append(inputs[0].shape[-1])
    )
    made.validation_step(batch(), 0)
    made.training_step(batch(), 0)
    assert sizes == [96, 64]


def serving(made: LesionModule) -> ServingNetwork:
    """Return the module's network as it is served, with weights that tell views apart.

    An untrained network's batch norms hide how views were normalised.
    """
    made.network.load_state_dict(lively_network().state_dict())
    return ServingNetwork(made.network, made.config.preprocessing).eval()


def test_what_is_validated_is_what_is_served() -> None:
    made = module(preprocessing=ENLARGED)
    served = serving(made)
    views, _ = batch()
    with torch.inference_mode():
        validated = made(views, seen_px=ENLARGED.seen_px)
        torch.testing.assert_close(validated, served(views)[0], rtol=1e-2, atol=2e-3)


def test_what_is_trained_is_what_is_served() -> None:
    made = module()
    served = serving(made)
    views, labels = batch()
    with torch.inference_mode():
        trained = made.training_step((views, labels), 0)
        torch.testing.assert_close(trained, made.loss(served(views)[0], labels), rtol=1e-3, atol=0)


def test_a_teacher_alone_is_matched_by_its_copy(teacher: Teacher) -> None:
    only = DistillationSection(weight=1.0)
    pupil = module(teacher, distillation=only)
    apart = pupil.training_step(batch(), 0)
    pupil.network.load_state_dict(teacher.network.state_dict())
    together = pupil.training_step(batch(), 0)
    assert float(apart.detach()) > 0.01
    assert float(together.detach()) == pytest.approx(0.0, abs=1e-4)


def test_labels_and_teacher_share_the_loss(teacher: Teacher) -> None:
    losses = [
        module(teacher, distillation=DistillationSection(weight=w)).training_step(batch(), 0).item()
        for w in (0.0, 0.25, 1.0)
    ]
    assert losses[1] == pytest.approx(0.75 * losses[0] + 0.25 * losses[2], rel=1e-4)
    assert losses[0] == pytest.approx(module().training_step(batch(), 0).item(), rel=1e-5)


def test_a_teacher_neither_learns_nor_is_saved(teacher: Teacher) -> None:
    pupil = module(teacher)
    torch.autograd.backward(pupil.training_step(batch(), 0))
    assert all(parameter.grad is None for parameter in teacher.network.parameters())
    assert not any("teacher" in name for name in pupil.state_dict())
    pupil.train()
    assert not teacher.network.training


def test_a_teacher_looks_at_the_size_that_it_serves_at() -> None:
    torch.manual_seed(1)
    network = MobileNetV2()
    pixels = torch.randn(2, 3, 64, 64)
    given = Teacher(network, ENLARGED, sha256="t")(pixels)
    with torch.no_grad():
        torch.testing.assert_close(given, network.eval()(enlarge(pixels, 96)))


def test_mixed_views_are_learned_with_both_labels() -> None:
    augmentation = AugmentationSection(mixing="mixup", mixing_alpha=1.0)
    made = module(augmentation=augmentation)
    views, labels = batch()
    torch.manual_seed(4)
    given = made.training_step((views, labels), 0)
    torch.manual_seed(4)
    share = float(torch.distributions.Beta(1.0, 1.0).sample())
    partners = torch.randperm(6)
    blend = share * views.float() + (1 - share) * views[partners].float()
    logits = made.network(made.standardise(blend))
    expected = share * made.loss(logits, labels) + (1 - share) * made.loss(logits, labels[partners])
    torch.testing.assert_close(given, expected)


def test_layers_learn_the_slower_the_earlier_they_come() -> None:
    made = module(optimisation=OptimisationSection(layer_decay=0.5, learning_rate=0.8))
    groups = made._parameter_groups()
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rates) == sum(1 for _ in made.network.parameters())
    assert rates[id(made.network.head.weight)] == 0.8
    features = list(made.network.features.children())
    assert {rates[id(p)] for p in features[-1].parameters()} == {0.4}
    assert {rates[id(p)] for p in features[0].parameters()} == {0.8 * 0.5 ** len(features)}
    assert all(group["weight_decay"] == 0.0 for group in groups if group["params"][0].ndim == 1)


def test_without_layer_decay_there_are_two_groups() -> None:
    assert len(module()._parameter_groups()) == 2
    everything = module(optimisation=OptimisationSection(decay_all=True))._parameter_groups()
    assert len(everything) == 1
    assert "weight_decay" not in everything[0]


def test_every_group_is_warmed_up_to_its_own_rate() -> None:
    made = module(optimisation=OptimisationSection(layer_decay=0.5, epochs=2, warmup_share=0.5))
    made._trainer = SimpleNamespace(estimated_stepping_batches=20)  # type: ignore[assignment] # all that is asked of it
    planned = made.configure_optimizers()
    optimiser, schedule = planned["optimizer"], planned["lr_scheduler"]["scheduler"]
    wanted = [group["lr"] for group in made._parameter_groups()]
    highest = [0.0] * len(wanted)
    for _ in range(19):
        highest = [
            max(h, group["lr"]) for h, group in zip(highest, optimiser.param_groups, strict=True)
        ]
        optimiser.step()
        schedule.step()
    assert highest == pytest.approx(wanted)


@pytest.mark.parametrize("warmup_share", [0.0, 0.25])
def test_a_constant_rate_is_warmed_up_to_and_stays(warmup_share: float) -> None:
    section = OptimisationSection(
        learning_rate=0.8, scheduler="constant", warmup_share=warmup_share, epochs=2, stop_after=1
    )
    made = module(optimisation=section)
    made._trainer = SimpleNamespace(estimated_stepping_batches=20)  # type: ignore[assignment] # all that is asked of it
    planned = made.configure_optimizers()
    optimiser, schedule = planned["optimizer"], planned["lr_scheduler"]["scheduler"]
    assert planned["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(20):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    # A quarter of the forty steps that both epochs would take.
    rising = 10 if warmup_share else 0
    expected = [0.8 * (1 / 25 + 24 / 25 * step / 10) for step in range(rising)]
    assert rates == pytest.approx([*expected, *[0.8] * (20 - rising)])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = export_graph(lively_network(), SMALL)
    place = tmp_path_factory.mktemp("teacher") / "model"
    manifest = tiny_manifest(preprocessing=SMALL, training={"origin": ORIGIN})
    write_bundle(place, manifest, {"model.onnx": graph})
    return place


def test_a_teacher_of_the_same_part_is_read(bundle: Path) -> None:
    teacher = read_teacher(bundle, {**ORIGIN, "initial_weights": "any"}, SMALL)
    assert teacher(torch.randn(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fold": 3}, "fold is 2, not 3"),
        ({"protocol": "paper"}, "protocol is 'lesion', not 'paper'"),
        ({"splits_sha256": "other"}, "splits_sha256"),
        ({"source": "rosendahl"}, "source is None, not 'rosendahl'"),
    ],
)
def test_a_teacher_that_may_have_seen_the_test_images_is_refused(
    bundle: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        read_teacher(bundle, {**ORIGIN, **change}, SMALL)


def test_a_teacher_of_other_preprocessing_is_refused(bundle: Path) -> None:
    other = dataclasses.replace(SMALL, steps=("smoothing",))
    with pytest.raises(ConfigError, match="other preprocessing"):
        read_teacher(bundle, ORIGIN, other)


def test_validation_averages_mirrored_copies_where_the_runtime_does() -> None:
    one, mean = module(), module(preprocessing=dataclasses.replace(SMALL, flips=True))
    mean.network.load_state_dict(one.network.state_dict())
    views, labels = batch()
    answers: dict[str, Tensor] = {}
    for name, made in (("one", one), ("mean", mean)):
        made.eval()
        seen: list[Tensor] = []
        made.metrics.update = lambda logits, _labels, seen=seen: seen.append(logits)  # type: ignore[method-assign, misc] # listens
        made.log = lambda *_, **__: None  # type: ignore[method-assign] # no trainer
        with torch.no_grad():
            made.validation_step((views, labels), 0)
        answers[name] = seen[0]
    with torch.no_grad():
        copies = [one(views.flip(axes)) for axes in ([], [1], [2], [1, 2])]
    torch.testing.assert_close(answers["one"], copies[0])
    torch.testing.assert_close(answers["mean"], torch.stack(copies).mean(0))
