"""One search, completely declared: what is searched, how a candidate is looked at, how long.

A search file is TOML. It names a recipe, whose other values stay as they are, and has the
sections ``[space]``, ``[proxy]`` and ``[search]``; ``configs/search.toml`` is an example.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from optuna.distributions import distribution_to_json

from dermassist.config import (
    Section,
    TrainingConfig,
    build_section,
    check_range,
    read_config,
    read_toml,
)
from dermassist.errors import ConfigError
from dermassist.tuning.space import read_space

if TYPE_CHECKING:
    from pathlib import Path

    from dermassist.tuning.space import Space

Pruning = Literal["worst_quarter", "median", "none"]
_SECTIONS = ("recipe", "space", "proxy", "search")


@dataclass(frozen=True)
class ProxySection:
    """The short training that stands for a whole one.

    Attributes:
        images: training images of the fixed subset, whole lesions, classes as frequent as in the
            whole part; 0 means all of them.
        size_px: side of the images, a multiple of 32.
        epochs: passes over the subset, the whole schedule within them.
        seed: of the subset's draw.
    """

    images: int = 1500
    size_px: int = 96
    epochs: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("images", self.images, low=0)
        check_range("size_px", self.size_px, low=32)
        check_range("epochs", self.epochs, low=1)
        check_range("seed", self.seed, low=0)


@dataclass(frozen=True)
class SearchSection:
    """How the space is searched.

    Attributes:
        trials: candidates to finish in all, pruned ones included.
        seed: of the sampler.
        pruning: ``worst_quarter`` gives up a candidate that is among the worst quarter of all
            others after an epoch, those given up before it included; ``median`` is Optuna's rule,
            worse than the median of those trained to the end, which gives up far more; ``none``
            lets all finish. The first epoch and the last give nobody up.
    """

    trials: int = 60
    seed: int = 0
    pruning: Pruning = "worst_quarter"

    def __post_init__(self) -> None:
        check_range("trials", self.trials, low=1)
        check_range("seed", self.seed, low=0)


@dataclass(frozen=True)
class Declaration:
    """One search.

    Attributes:
        recipe: what is to be improved; the found values are put into it.
        space: the parameters and their distributions.
        proxy: how a candidate is looked at.
        search: how long and with which chance.
        origin: what else the candidates' scores depend on, in plain JSON types: splits, weights.
    """

    recipe: TrainingConfig
    space: Space
    proxy: ProxySection = field(default_factory=ProxySection)
    search: SearchSection = field(default_factory=SearchSection)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: all that the scores depend on, so not the number of trials."""
        rules = {name: value for name, value in asdict(self.search).items() if name != "trials"}
        return {
            "recipe": self.recipe.to_dict(),
            "space": {
                name: json.loads(distribution_to_json(each)) for name, each in self.space.items()
            },
            "proxy": asdict(self.proxy),
            "search": rules,
            "origin": dict(self.origin),
        }

    @property
    def name(self) -> str:
        """Return a study's name that differs between searches whose scores do not compare."""
        canonical = json.dumps(self.to_dict(), sort_keys=True)
        return f"dermassist-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def read_declaration(path: Path) -> Declaration:
    """Read a search file and the recipe that it names, relative to itself.

    Raises:
        ConfigError: a file is missing or is not TOML, or what it declares is unknown, empty,
            contradictory or out of range.
    """
    values, where = read_toml(path), str(path)
    for key in values:
        if key not in _SECTIONS:
            raise ConfigError(f"{where}: unknown key {key!r}; known are {', '.join(_SECTIONS)}")
    named = values.get("recipe")
    if not isinstance(named, str):
        raise ConfigError(f"{where}: recipe must name a TOML file such as ship.toml, got {named!r}")
    recipe = read_config(path.parent / named)
    declaration = Declaration(
        recipe=recipe,
        space=read_space(_table(values, "space", where=where), recipe, where=where),
        proxy=_section(ProxySection, values, "proxy", where=where),
        search=_section(SearchSection, values, "search", where=where),
    )
    try:
        proxied(recipe, declaration.proxy)
    except ConfigError as error:
        raise ConfigError(f"{where}: proxy.{error}") from None
    return declaration


def proxied(recipe: TrainingConfig, proxy: ProxySection) -> TrainingConfig:
    """Return the short training that stands for a recipe.

    It has no phases: every epoch is at its size, with the layers frozen that the candidate freezes,
    and validated, so that hopeless candidates can be stopped. Weights are not averaged: an average
    over hundreds of steps would still hold the start weights when a training of a few dozen ends.
    Training is in float32, so that a score does not depend on the machine's instructions more than
    it must.

    Raises:
        ConfigError: the size is no multiple of 32.
    """
    return replace(
        recipe,
        # Nothing is enlarged: at these sizes that would cost more than the training.
        preprocessing=replace(recipe.preprocessing, size_px=proxy.size_px, network_px=0),
        optimisation=replace(
            recipe.optimisation,
            epochs=proxy.epochs,
            stop_after=0,
            resolutions=(),
            freezing=(),
            validate_every=1,
            ema_decay=0.0,
            precision="float32",
        ),
    )


def _section(cls: type[Section], values: Mapping[str, Any], name: str, *, where: str) -> Section:
    table = _table(values, name, where=where)
    return build_section(cls, table, where=where, section=f"{name}.")


def _table(values: Mapping[str, Any], name: str, *, where: str) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: {name} must be a section, got {table!r}")
    return table
