"""Training configuration: frozen sections read from TOML; unknown keys are refused by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from dermassist.errors import ConfigError
from dermassist.imaging import Preprocessing

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Scheduler = Literal["plateau", "one_cycle", "constant"]
Precision = Literal["mixed", "float32"]
Framing = Literal["window", "random_resized_crop"]
Mixing = Literal["none", "mixup", "cutmix"]
Section = TypeVar("Section", bound="DataclassInstance")
#: Times a million, which sets the epochs' seeds apart, it is still a seed that PyTorch takes.
LARGEST_SEED = 2**43
#: Marks a setting of which records do not speak that are older than it.
_ADDED_LATER = {"added_later": True}


@dataclass(frozen=True)
class ModelSection:
    """The network.

    Attributes:
        dropout: before the linear layer, 0 to below 1.
        frozen_layers: leading feature layers that do not learn, 0 to 19.
    """

    dropout: float = 0.2
    frozen_layers: int = 0

    def __post_init__(self) -> None:
        check_range("dropout", self.dropout, low=0.0, below=1.0)
        check_range("frozen_layers", self.frozen_layers, low=0, high=19)


@dataclass(frozen=True)
class AugmentationSection:
    """What happens to a training image.

    Attributes:
        framing: ``window`` cuts a square about the centre; ``random_resized_crop`` takes a
            random part of the area (Szegedy et al., CVPR 2015) and stretches it.
        rotation_degrees: largest turn to either side; 180 is any angle.
        flips: mirror horizontally and vertically, each with probability 1/2.
        scale: smallest and largest side of the window, in sides of the square that is served
            (short sides of the image, unless the preprocessing's ``fit`` is above 0); for
            ``random_resized_crop``, which knows no ``fit``, smallest and largest share of the area.
        zoom: largest relative enlargement or reduction on top of the crop.
        shift: largest displacement of the window's centre, in sides of the window.
        stretch: largest relative change of the window's aspect ratio.
        brightness: largest relative change.
        contrast: largest relative change.
        saturation: largest relative change.
        hue_degrees: largest turn of the hue.
        gamma: largest relative change of the exponent.
        blur: largest standard deviation of a Gaussian blur, in sides of the view; 0 is off.
        erasing: probability of blanking a random rectangle (Zhong et al., AAAI 2020).
        mixing: train on two images at once; ``mixup`` or ``cutmix``.
        mixing_alpha: how evenly they share a view: the beta distribution's two parameters.
    """

    framing: Framing = "window"
    rotation_degrees: float = 180.0
    flips: bool = True
    scale: tuple[float, float] = (0.75, 1.35)
    zoom: float = 0.0
    shift: float = 0.06
    stretch: float = 0.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue_degrees: float = 8.0
    gamma: float = 0.15
    blur: float = 0.0
    erasing: float = 0.0
    mixing: Mixing = "none"
    mixing_alpha: float = 0.2

    def __post_init__(self) -> None:
        _check_choice("framing", self.framing, get_args(Framing))
        check_range("rotation_degrees", self.rotation_degrees, low=0.0, high=180.0)
        check_range("scale[0]", self.scale[0], low=0.05, high=self.scale[1])
        check_range("scale[1]", self.scale[1], low=self.scale[0], high=4.0)
        for name in ("zoom", "shift", "stretch", "brightness", "contrast", "saturation", "gamma"):
            check_range(name, getattr(self, name), low=0.0, below=1.0)
        check_range("hue_degrees", self.hue_degrees, low=0.0, high=180.0)
        check_range("blur", self.blur, low=0.0, high=0.1)
        check_range("erasing", self.erasing, low=0.0, high=1.0)
        _check_choice("mixing", self.mixing, get_args(Mixing))
        check_range("mixing_alpha", self.mixing_alpha, low=0.01, high=100.0)


@dataclass(frozen=True)
class OptimisationSection:
    """How the network learns (AdamW: Loshchilov & Hutter, ICLR 2019).

    Attributes:
        epochs: passes over the training images that the schedule is made for.
        stop_after: passes after which training ends early; 0 means after the last.
        batch_size: images a step.
        learning_rate: highest of the schedule.
        weight_decay: decoupled; batch norms and biases are exempt unless ``decay_all``.
        decay_all: decay every parameter, as plain AdamW does.
        scheduler: ``plateau`` divides by ten when validation macro F1 stalls
            (ReduceLROnPlateau), ``one_cycle`` warms up and anneals (Smith & Topin, 2019),
            ``constant`` warms up and stays.
        warmup_share: share of the steps that ``one_cycle`` and ``constant`` warm up.
        class_weight_power: classes weigh ``frequency ** -power``, scaled to mean 1 over the
            images: 0 none, 0.5 square root, 1 balanced.
        logit_adjustment: adds this multiple of the log class frequencies to the logits in
            training: 0 none, 1 as for classes of equal frequency.
        label_smoothing: 0 to below 1.
        weighted_smoothing: what smoothing gives a class is multiplied by the class's weight, as
            in PyTorch's ``CrossEntropyLoss``, instead of by that of the image; see ``LesionLoss``.
        layer_decay: a feature layer learns this much slower than the one after it; 1 is off.
        ema_decay: of the exponential moving average of the weights, a step; 0 is off.
        averaged_share: share of the steps, the last ones, whose weights are averaged evenly
            (Izmailov et al., UAI 2018); 0 is off. Above 0 it takes an ``ema_decay`` of 0.
        precision: ``mixed`` where the hardware computes bfloat16 or float16 faster.
        resolutions: ``(share of the epochs, side in px)`` in order; shares add up to 1. Empty
            means the preprocessing's size throughout.
        freezing: ``(share of the epochs, leading feature layers that do not learn)`` in order;
            shares add up to 1. The model's ``frozen_layers`` do not learn in any phase.
        class_cap: images of one class that an epoch shows at most, drawn anew for each; their
            weight in the loss grows as much as they are fewer. 0 shows all.
        validate_every: epochs from one validation to the next; divides the number of epochs.
        seed: of everything random, 0 to ``LARGEST_SEED``.
    """

    epochs: int = 20
    stop_after: int = 0
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    decay_all: bool = False
    scheduler: Scheduler = "one_cycle"
    warmup_share: float = 0.2
    class_weight_power: float = 0.5
    logit_adjustment: float = 0.0
    label_smoothing: float = 0.05
    weighted_smoothing: bool = field(default=True, metadata=_ADDED_LATER)
    layer_decay: float = 1.0
    ema_decay: float = 0.998
    averaged_share: float = field(default=0.0, metadata=_ADDED_LATER)
    precision: Precision = "mixed"
    resolutions: tuple[tuple[float, int], ...] = ()
    freezing: tuple[tuple[float, int], ...] = ()
    class_cap: int = 0
    validate_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("epochs", self.epochs, low=1)
        check_range("stop_after", self.stop_after, low=0, high=self.epochs)
        check_range("batch_size", self.batch_size, low=2)
        check_range("learning_rate", self.learning_rate, low=1e-8, high=1.0)
        check_range("weight_decay", self.weight_decay, low=0.0, high=1.0)
        check_range("warmup_share", self.warmup_share, low=0.0, below=1.0)
        check_range("class_weight_power", self.class_weight_power, low=0.0, high=2.0)
        check_range("logit_adjustment", self.logit_adjustment, low=0.0, high=2.0)
        check_range("layer_decay", self.layer_decay, low=0.1, high=1.0)
        check_range("label_smoothing", self.label_smoothing, low=0.0, below=1.0)
        check_range("ema_decay", self.ema_decay, low=0.0, below=1.0)
        check_range("averaged_share", self.averaged_share, low=0.0, high=1.0)
        if self.averaged_share and self.ema_decay:
            raise ConfigError("averaged_share: weights are averaged in one way; set ema_decay to 0")
        check_range("seed", self.seed, low=0, high=LARGEST_SEED)
        _check_choice("scheduler", self.scheduler, get_args(Scheduler))
        _check_choice("precision", self.precision, get_args(Precision))
        check_range("class_cap", self.class_cap, low=0)
        check_range("validate_every", self.validate_every, low=1)
        if self.epochs_to_run % self.validate_every:
            raise ConfigError(
                f"validate_every must divide the {self.epochs_to_run} epochs, "
                f"got {self.validate_every}"
            )
        if self.validate_every > 1 and self.scheduler == "plateau":
            raise ConfigError("validate_every must be 1: the scheduler 'plateau' asks every epoch")
        for name, phases in (("resolutions", self.resolutions), ("freezing", self.freezing)):
            if phases and abs(sum(share for share, _ in phases) - 1.0) > 1e-6:
                raise ConfigError(f"{name}: the shares must add up to 1")
            for share, _ in phases:
                check_range(f"{name}: a share", share, low=0.0, high=1.0)
        for _, size in self.resolutions:
            if size < 32 or size % 32:
                raise ConfigError(f"resolutions: {size} is no multiple of 32")
        for _, layers in self.freezing:
            check_range("freezing: layers", layers, low=0, high=19)

    @property
    def epochs_to_run(self) -> int:
        """Passes until training ends."""
        return self.stop_after or self.epochs

    def resolution(self, epoch: int, *, default: int) -> int:
        """Return the training side in px of an epoch (0-based)."""
        return self._in_phase(self.resolutions, epoch, default=default)

    def frozen(self, epoch: int, *, at_least: int) -> int:
        """Return how many leading feature layers do not learn in an epoch (0-based)."""
        return max(at_least, self._in_phase(self.freezing, epoch, default=0))

    def _in_phase(self, phases: tuple[tuple[float, int], ...], epoch: int, *, default: int) -> int:
        passed = 0.0
        for share, value in phases:
            passed += share
            if epoch < round(passed * self.epochs):
                return value
        return phases[-1][1] if phases else default


@dataclass(frozen=True)
class DistillationSection:
    """What a teacher's answers count for, where the command names a teacher.

    Attributes:
        weight: of the teacher's answers in the loss, 0 to 1; the labels have the rest.
        temperature: softens both answers.
    """

    weight: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_range("weight", self.weight, low=0.0, high=1.0)
        check_range("temperature", self.temperature, low=0.1, high=100.0)


@dataclass(frozen=True)
class TrainingConfig:
    """One training, completely described; written beside the weights it made."""

    model: ModelSection = field(default_factory=ModelSection)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: AugmentationSection = field(default_factory=AugmentationSection)
    optimisation: OptimisationSection = field(default_factory=OptimisationSection)
    distillation: DistillationSection = field(default_factory=DistillationSection)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON and TOML types.

        A setting that was added later is left out where it has its default, so that records of
        trainings and searches from before it existed are still theirs.
        """
        values = asdict(self)
        for section in fields(self):
            own = getattr(self, section.name)
            for setting in fields(own):
                added = setting.metadata == _ADDED_LATER
                if added and getattr(own, setting.name) == setting.default:
                    del values[section.name][setting.name]
        return values

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], *, where: str = "configuration"
    ) -> TrainingConfig:
        """Build from plain types.

        Raises:
            ConfigError: a section or key is unknown, or a value has the wrong type or range.
        """
        return build_section(cls, values, where=where)


def read_config(path: Path) -> TrainingConfig:
    """Read a TOML configuration.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds unknown keys or bad values.
    """
    return TrainingConfig.from_dict(read_toml(path), where=str(path))


def describes_same(
    found: Mapping[str, Any], wanted: Mapping[str, Any], *, recipe: str, where: str
) -> bool:
    """Tell whether two records describe one thing.

    A setting that did not exist when a record was written has its default, and is no other recipe.

    Args:
        found: a record, as JSON gives it.
        wanted: another.
        recipe: under which key both have their configuration.
        where: the found one is, for messages.

    Raises:
        ConfigError: a configuration has unknown settings or bad values.
    """
    theirs = TrainingConfig.from_dict(found.get(recipe, {}), where=where)
    return theirs == TrainingConfig.from_dict(wanted[recipe]) and {**found, recipe: None} == {
        **wanted,
        recipe: None,
    }


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as plain types.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML ({error})") from error


def build_section(
    cls: type[Section], values: Mapping[str, Any], *, where: str, section: str = ""
) -> Section:
    """Build a frozen dataclass from plain types.

    Args:
        cls: the dataclass; its fields' types say what is accepted.
        values: by the fields' names.
        where: the file, for messages.
        section: the dataclass's dotted place in the file, ending in a dot.

    Raises:
        ConfigError: a key is unknown, or a value has the wrong type or range.
    """
    known = {f.name for f in fields(cls)}
    for key in values:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key {section + key!r}; known are {', '.join(sorted(known))}"
            )
    hints = get_type_hints(cls)
    arguments = {
        key: _convert(hints[key], value, where=where, name=section + key)
        for key, value in values.items()
    }
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}: {section}{error}") from None


def _convert(hint: Any, value: Any, *, where: str, name: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: {name} must be a section, got {value!r}")
        return build_section(hint, value, where=where, section=f"{name}.")
    if get_origin(hint) is tuple:
        return _convert_list(get_args(hint), value, where=where, name=name)
    if get_origin(hint) is Literal:
        _check_choice(f"{where}: {name}", value, get_args(hint))
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: {name} must be of type {hint.__name__}, got {value!r}")
    return value


def _convert_list(
    hints: tuple[Any, ...], value: Any, *, where: str, name: str
) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: {name} must be a list, got {value!r}")
    expected = (hints[0],) * len(value) if hints[-1] is Ellipsis else hints
    if len(value) != len(expected):
        raise ConfigError(f"{where}: {name} must hold {len(expected)} values, got {value!r}")
    return tuple(
        _convert(hint, item, where=where, name=f"{name}[{position}]")
        for position, (hint, item) in enumerate(zip(expected, value, strict=True))
    )


def check_range(
    name: str,
    value: float,
    *,
    low: float,
    high: float | None = None,
    below: float | None = None,
) -> None:
    """Refuse a number outside ``low`` to ``high``, or not below ``below``.

    Raises:
        ConfigError: the number is out of its range.
    """
    upper = f" to {high}" if high is not None else f" to below {below}" if below is not None else ""
    too_high = (high is not None and value > high) or (below is not None and value >= below)
    if not value >= low or too_high:
        raise ConfigError(f"{name} must be from {low}{upper}, got {value}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
