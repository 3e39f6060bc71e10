"""Search files: what is read, what is refused, and when two searches are the same."""

from dataclasses import replace
from pathlib import Path

import pytest

from dermassist.config import read_config
from dermassist.errors import ConfigError
from dermassist.tuning.declaration import (
    Declaration,
    ProxySection,
    proxied,
    read_declaration,
)
from dermassist.tuning.space import with_params

CONFIGS = Path(__file__).parents[3] / "configs"
RECIPE = """
[optimisation]
epochs = 30
resolutions = [[0.5, 128], [0.5, 224]]
ema_decay = 0.99
label_smoothing = 0.1
"""
SEARCH = """
recipe = "recipe.toml"

[space]
dropout = { low = 0.0, high = 0.5 }

[proxy]
images = 100
size_px = 64
epochs = 3

[search]
trials = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "search.toml").write_text(SEARCH)
    return tmp_path


def read(folder: Path, text: str = SEARCH) -> Declaration:
    (folder / "search.toml").write_text(text)
    return read_declaration(folder / "search.toml")


def test_a_search_file_names_a_recipe_beside_it(folder: Path) -> None:
    declaration = read(folder)
    assert declaration.recipe == read_config(folder / "recipe.toml")
    assert (declaration.search.trials, declaration.search.seed) == (7, 0)
    assert declaration.search.pruning == "worst_quarter"
    assert declaration.proxy.images == 100


def test_a_proxy_is_short_and_small_and_else_the_recipe(folder: Path) -> None:
    declaration = read(folder)
    short = proxied(declaration.recipe, declaration.proxy)
    assert short.preprocessing.size_px == 64
    assert (short.optimisation.epochs, short.optimisation.epochs_to_run) == (3, 3)
    assert short.optimisation.resolution(0, default=64) == 64
    assert short.optimisation.ema_decay == 0.0
    assert short.optimisation.label_smoothing == 0.1
    assert short.augmentation == declaration.recipe.augmentation


def test_every_epoch_of_a_proxy_freezes_what_the_candidate_says_and_is_validated() -> None:
    recipe = read_config(CONFIGS / "swift.toml")
    assert recipe.optimisation.freezing
    assert recipe.optimisation.validate_every > 1
    candidate = with_params(recipe, {"frozen_layers": 3})
    section = proxied(candidate, ProxySection(epochs=4)).optimisation
    assert [section.frozen(epoch, at_least=3) for epoch in range(4)] == [3] * 4
    assert section.validate_every == 1


def test_the_search_that_ships_is_valid() -> None:
    declaration = read_declaration(CONFIGS / "search.toml")
    assert declaration.recipe == read_config(CONFIGS / "swift.toml")
    assert set(declaration.space) == {
        "learning_rate",
        "weight_decay",
        "dropout",
        "batch_size",
        "frozen_layers",
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[proxy]", "[porxy]", "unknown key 'porxy'; known are recipe, space, proxy, search"),
        ("trials = 7", "trails = 7", "unknown key 'search.trails'"),
        ("trials = 7", "trials = 0", "search.trials must be from 1, got 0"),
        ("trials = 7", "trials = 7.5", "search.trials must be of type int"),
        (
            "trials = 7",
            "pruning = 'often'",
            "search.pruning must be one of worst_quarter, median, none",
        ),
        ("trials = 7", "seed = -1", "search.seed must be from 0"),
        ("size_px = 64", "size_px = 65", "proxy.size_px must be a multiple of 32, got 65"),
        ("epochs = 3", "epochs = 0", "proxy.epochs must be from 1"),
        ("images = 100", "images = -5", "proxy.images must be from 0"),
        ("dropout = { low = 0.0, high = 0.5 }", "", "is empty; declare at least one of"),
        ('"recipe.toml"', '"absent.toml"', "absent.toml: no such configuration file"),
        ('recipe = "recipe.toml"', "", "recipe must name a TOML file such as ship.toml, got None"),
        ("[space]", "[[space]]", "space must be a section"),
        ("[search]", "[search", "cannot be read as TOML"),
    ],
)
def test_a_search_file_with_a_mistake_is_refused(
    folder: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        read(folder, SEARCH.replace(old, new))


def test_searches_have_one_name_exactly_if_their_scores_compare(folder: Path) -> None:
    first = read(folder)
    assert read(folder).name == first.name
    longer = replace(first, search=replace(first.search, trials=99))
    assert longer.name == first.name
    others = [
        replace(first, search=replace(first.search, seed=1)),
        replace(first, search=replace(first.search, pruning="none")),
        replace(first, proxy=replace(first.proxy, epochs=4)),
        replace(first, origin={"fold": 1}),
        read(folder, SEARCH.replace("0.5", "0.4")),
    ]
    assert len({first.name, *(other.name for other in others)}) == 1 + len(others)
