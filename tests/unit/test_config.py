from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from dermassist.config import (
    AugmentationSection,
    ModelSection,
    OptimisationSection,
    TrainingConfig,
    read_config,
)
from dermassist.errors import ConfigError
from dermassist.imaging import Preprocessing

CONFIGS = Path(__file__).parents[2] / "configs"

CONFIGURATIONS = st.builds(
    TrainingConfig,
    model=st.builds(ModelSection, dropout=st.floats(0, 0.99), frozen_layers=st.integers(0, 19)),
    preprocessing=st.builds(
        Preprocessing,
        size_px=st.sampled_from([32, 64, 224]),
        fit=st.floats(0, 1),
        fill=st.sampled_from(["reflect", "replicate", "black"]),
        steps=st.lists(st.sampled_from(["hair", "brightness", "smoothing"])).map(tuple),
    ),
    augmentation=st.builds(
        AugmentationSection,
        framing=st.sampled_from(["window", "random_resized_crop"]),
        scale=st.tuples(st.floats(0.05, 1), st.floats(1, 4)),
        zoom=st.floats(0, 0.99),
    ),
    optimisation=st.builds(
        OptimisationSection,
        epochs=st.integers(1, 99),
        scheduler=st.sampled_from(["plateau", "one_cycle", "constant"]),
        precision=st.sampled_from(["mixed", "float32"]),
        resolutions=st.sampled_from([(), ((1.0, 64),), ((0.25, 128), (0.75, 224))]),
        freezing=st.sampled_from([(), ((0.5, 0), (0.5, 19))]),
        class_cap=st.integers(0, 9),
        learning_rate=st.floats(1e-8, 1),
    ),
)


@settings(max_examples=25)
@given(config=CONFIGURATIONS)
def test_toml_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, config: TrainingConfig
) -> None:
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_text(tomli_w.dumps(config.to_dict()), encoding="utf-8")

    assert read_config(path) == config


@settings(max_examples=25)
@given(config=CONFIGURATIONS)
def test_json_gives_back_what_was_written(config: TrainingConfig) -> None:
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_setting_that_came_later_leaves_older_records_as_they_were() -> None:
    assert "weighted_smoothing" not in TrainingConfig().to_dict()["optimisation"]
    changed = TrainingConfig(optimisation=OptimisationSection(weighted_smoothing=False))
    assert changed.to_dict()["optimisation"]["weighted_smoothing"] is False
    assert TrainingConfig.from_dict(changed.to_dict()) == changed


def test_what_is_not_said_has_its_default() -> None:
    assert TrainingConfig.from_dict({}) == TrainingConfig()
    config = TrainingConfig.from_dict({"optimisation": {"epochs": 3}})
    assert config.optimisation == OptimisationSection(epochs=3)


@pytest.mark.parametrize("name", ["paper", "settle", "ship"])
def test_the_configurations_of_the_repository_are_read(name: str) -> None:
    config = read_config(CONFIGS / f"{name}.toml")

    assert config.preprocessing.size_px == 224
    assert config.optimisation.resolution(99, default=224) == 224


def test_the_paper_configuration_is_the_paper() -> None:
    """Sections V to VII and IX of the paper, as far as it gives numbers."""
    config = read_config(CONFIGS / "paper.toml")

    assert config.model.dropout == 0.2
    assert config.augmentation.framing == "random_resized_crop"
    assert config.augmentation.rotation_degrees == 40
    assert config.augmentation.flips
    assert config.optimisation.scheduler == "plateau"
    assert 20 <= config.optimisation.epochs <= 25
    assert config.optimisation.class_weight_power == 1.0
    assert config.optimisation.precision == "mixed"


# What is refused: where, which key, what is allowed, what was given.


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"optimizer": {}},
            r"^file: unknown key 'optimizer'; known are augmentation, distillation, model, opt",
        ),
        ({"optimisation": {"lr": 1}}, r"^file: unknown key 'optimisation\.lr'; known are .*epochs"),
        ({"preprocessing": {"size": 1}}, r"^file: unknown key 'preprocessing\.size'; known"),
        ({"optimisation": 3}, r"^file: optimisation must be a section, got 3"),
        (
            {"optimisation": {"epochs": "3"}},
            r"^file: optimisation\.epochs must be of type int, got",
        ),
        ({"optimisation": {"epochs": 3.0}}, r"optimisation\.epochs must be of type int, got 3\.0"),
        ({"optimisation": {"epochs": True}}, r"optimisation\.epochs must be of type int, got True"),
        ({"optimisation": {"epochs": 0}}, r"^file: optimisation\.epochs must be from 1, got 0"),
        (
            {"optimisation": {"seed": -1}},
            r"optimisation\.seed must be from 0 to 8796093022208, got -1",
        ),
        (
            {"optimisation": {"seed": 2**63}},
            r"optimisation\.seed must be from 0 to 8796093022208, got 9223372036854775808",
        ),
        ({"optimisation": {"batch_size": 1}}, r"optimisation\.batch_size must be from 2, got 1"),
        ({"optimisation": {"scheduler": "cosine"}}, r"optimisation\.scheduler must be one of plat"),
        ({"optimisation": {"scheduler": ["plateau"]}}, r"optimisation\.scheduler must be one of"),
        ({"optimisation": {"learning_rate": float("nan")}}, r"learning_rate must be from 1e-08 to"),
        ({"optimisation": {"learning_rate": False}}, r"learning_rate must be of type float, got"),
        ({"optimisation": {"decay_all": "yes"}}, r"optimisation\.decay_all must be of type bool"),
        ({"optimisation": {"ema_decay": 1.0}}, r"ema_decay must be from 0\.0 to below 1\.0, got 1"),
        (
            {"optimisation": {"epochs": 3, "stop_after": 4}},
            r"optimisation\.stop_after must be from",
        ),
        (
            {"optimisation": {"resolutions": [[0.5, 64]]}},
            r"optimisation\.resolutions: .* add up to",
        ),
        (
            {"optimisation": {"averaged_share": 0.5}},
            r"averaged_share: weights are averaged in one way; set ema_decay to 0",
        ),
        (
            {"optimisation": {"averaged_share": 1.1, "ema_decay": 0.0}},
            r"averaged_share must be from 0\.0 to 1\.0, got 1\.1",
        ),
        ({"optimisation": {"resolutions": [[1.0, 50]]}}, r"resolutions: 50 is no multiple of 32"),
        (
            {"optimisation": {"resolutions": [[1.0, 64.0]]}},
            r"resolutions\[0\]\[1\] must be of type",
        ),
        ({"optimisation": {"resolutions": [1.0]}}, r"resolutions\[0\] must be a list, got 1\.0"),
        ({"optimisation": {"resolutions": [[1.5, 64], [-0.5, 64]]}}, r"a share must be from 0\.0"),
        (
            {"optimisation": {"freezing": [[0.5, 3]]}},
            r"optimisation\.freezing: the shares must add up to 1",
        ),
        ({"optimisation": {"freezing": [[1.0, 20]]}}, r"freezing: layers must be from 0 to 19"),
        ({"optimisation": {"freezing": [[2.0, 1], [-1.0, 2]]}}, r"freezing: a share must be from"),
        ({"optimisation": {"class_cap": -1}}, r"class_cap must be from 0, got -1"),
        ({"optimisation": {"validate_every": 0}}, r"validate_every must be from 1, got 0"),
        (
            {"optimisation": {"epochs": 10, "validate_every": 3}},
            r"validate_every must divide the 10 epochs, got 3",
        ),
        (
            {"optimisation": {"epochs": 9, "validate_every": 3, "scheduler": "plateau"}},
            r"validate_every must be 1: the scheduler 'plateau'",
        ),
        ({"augmentation": {"framing": "circle"}}, r"augmentation\.framing must be one of window"),
        ({"augmentation": {"scale": 1.0}}, r"augmentation\.scale must be a list, got 1\.0"),
        ({"augmentation": {"scale": [1.0]}}, r"augmentation\.scale must hold 2 values, got"),
        (
            {"augmentation": {"scale": ["a", "b"]}},
            r"augmentation\.scale\[0\] must be of type float",
        ),
        ({"augmentation": {"scale": [1.2, 0.8]}}, r"augmentation\.scale\[0\] must be from"),
        ({"augmentation": {"shift": 1.0}}, r"augmentation\.shift must be from 0\.0 to below 1"),
        ({"model": {"frozen_layers": 20}}, r"model\.frozen_layers must be from 0 to 19, got 20"),
        ({"model": {"dropout": 1}}, r"model\.dropout must be from 0\.0 to below 1\.0, got 1\.0"),
        ({"preprocessing": {"size_px": 100}}, r"^file: preprocessing\.size_px must be a multiple"),
        (
            {"preprocessing": {"network_px": 192}},
            r"^file: preprocessing\.network_px must be 0 or a multiple of 32 not below size_px",
        ),
        (
            {"preprocessing": {"network_px": 250}},
            r"^file: preprocessing\.network_px must be 0 or a multiple of 32 not below size_px",
        ),
        ({"preprocessing": {"steps": "hair"}}, r"preprocessing\.steps must be a list, got 'hair'"),
        ({"preprocessing": {"steps": ["wax"]}}, r"preprocessing\.steps must be among .* got 'wax'"),
        ({"preprocessing": {"mean": [0.5, 0.5]}}, r"preprocessing\.mean must hold 3 values"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.from_dict(values, where="file")


def test_sections_check_themselves_when_they_are_made_in_code() -> None:
    with pytest.raises(ConfigError, match="framing must be one of window"):
        AugmentationSection(framing="circle")  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ConfigError, match="epochs must be from 1, got 0"):
        OptimisationSection(epochs=0)


def test_an_integer_may_stand_for_a_float() -> None:
    config = TrainingConfig.from_dict({"model": {"dropout": 0}})
    assert config.model.dropout == 0.0
    assert isinstance(config.model.dropout, float)


def test_an_absent_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: no such configuration file"):
        read_config(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("epochs = = 3")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    for name in ("broken.toml", "latin.toml", "."):
        with pytest.raises(ConfigError, match="cannot be read as TOML"):
            read_config(tmp_path / name)


def test_the_file_is_named_in_every_refusal(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[model]\ndropout = 2.0\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: model\.dropout must be from"):
        read_config(path)


# What sections compute.


def test_freezing_by_hand() -> None:
    section = OptimisationSection(epochs=6, freezing=((0.667, 0), (0.333, 5)))
    assert [section.frozen(k, at_least=0) for k in range(7)] == [0, 0, 0, 0, 5, 5, 5]
    # A schedule adds to the layers that never learn; it does not set them free.
    assert [section.frozen(k, at_least=3) for k in range(7)] == [3, 3, 3, 3, 5, 5, 5]
    assert [section.frozen(k, at_least=9) for k in range(7)] == [9] * 7
    assert OptimisationSection().frozen(0, at_least=9) == 9


def test_resolutions_by_hand() -> None:
    section = OptimisationSection(epochs=18, resolutions=((0.44, 128), (0.34, 160), (0.22, 224)))

    # 0.44 * 18 = 7.92 and 0.78 * 18 = 14.04 round to 8 and 14.
    assert [section.resolution(k, default=99) for k in range(18)] == [128] * 8 + [160] * 6 + [
        224
    ] * 4
    assert section.resolution(18, default=99) == 224
    assert OptimisationSection().resolution(0, default=96) == 96


@given(epochs=st.integers(1, 60), first=st.floats(0.01, 0.99))
def test_resolutions_never_shrink_and_cover_every_epoch(epochs: int, first: float) -> None:
    section = OptimisationSection(epochs=epochs, resolutions=((first, 64), (1.0 - first, 128)))
    sizes = [section.resolution(k, default=0) for k in range(epochs)]

    assert sizes == sorted(sizes)
    assert abs(sizes.count(64) - first * epochs) <= 0.5 + 1e-9


def test_early_stopping_keeps_the_schedule() -> None:
    assert OptimisationSection(epochs=18, stop_after=5).epochs_to_run == 5
    assert OptimisationSection(epochs=18).epochs_to_run == 18


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingConfig().model.dropout = 0.5  # type: ignore[misc] # wrong on purpose
