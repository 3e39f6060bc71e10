"""``dermassist doctor``: what is installed, and proof that it answers as it should."""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING, Any

import typer

from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.option import Json, Model, Tta
from dermassist.interfaces.cli.output import say, say_json

if TYPE_CHECKING:
    from dermassist.inference.classifier import Classifier
    from dermassist.selfcheck import SampleCheck

RUNTIME = ("dermassist", "numpy", "pillow", "opencv-python-headless", "onnxruntime")
EXTRAS = ("report", "tune", "app", "train")
#: As the core metadata write it: ``fpdf2>=2.8.9; extra == 'report'``.
_OPTIONAL = re.compile(r"(?P<name>[\w.-]+).*; *extra *== *['\"](?P<extra>[\w-]+)['\"]")


def doctor(*, model: Model = None, tta: Tta = False, as_json: Json = False) -> None:
    """Report versions and the model, and reproduce the stored answer for the bundled sample."""
    installation = _installation()
    if not as_json:
        # Said first, because it helps most where the model cannot even be loaded.
        _say_installation(installation)
    from dermassist.inference.classifier import Classifier  # noqa: PLC0415 - keeps --help fast
    from dermassist.selfcheck import check_sample  # noqa: PLC0415

    classifier = Classifier.load(model, tta=tta)
    described = _describe_model(classifier)
    if not as_json:
        _say_model(described)
    check = check_sample(classifier)
    if as_json:
        findings = {
            "sample_deviation": check.deviation,
            "sample_tolerance": check.tolerance,
            "healthy": check.passed,
        }
        say_json({**installation, "model": described, **findings})
    else:
        _say_check(check)
    if not check.passed:
        raise typer.Exit(ExitStatus.CHECK_FAILED)


def _installation() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in RUNTIME},
        "extras": {
            extra: {name: _version(name) for name in names} for extra, names in optional().items()
        },
    }


def optional() -> dict[str, tuple[str, ...]]:
    """Return the libraries of each extra, as pyproject.toml names them."""
    from importlib import metadata  # noqa: PLC0415 - keeps --help fast

    try:
        required = metadata.requires("dermassist") or []
    except metadata.PackageNotFoundError:
        # Run from its sources without having been installed.
        required = []
    stated = [
        (found["extra"], found["name"]) for line in required if (found := _OPTIONAL.match(line))
    ]
    return {extra: tuple(name for of, name in stated if of == extra) for extra in EXTRAS}


def _describe_model(classifier: Classifier) -> dict[str, str]:
    info = classifier.info
    return {
        "name": info.name,
        "version": info.version,
        "sha256": info.sha256,
        "folder": str(classifier.bundle.directory),
    }


def _version(name: str) -> str | None:
    from importlib import metadata  # noqa: PLC0415 - keeps --help fast

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _say_installation(installation: dict[str, Any]) -> None:
    say(f"Python {installation['python']} on {installation['platform']}")
    for name, version in installation["versions"].items():
        say(f"  {name} {version or 'is not installed'}")
    for extra, versions in installation["extras"].items():
        missing = [name for name, version in versions.items() if version is None]
        state = f"missing {', '.join(missing)}" if missing else "installed"
        say(f"  extra '{extra}': {state}")


def _say_model(model: dict[str, str]) -> None:
    say(f"Model {model['name']} {model['version']}")
    say(f"  sha256 {model['sha256']}")
    say(f"  in {model['folder']}")


def _say_check(check: SampleCheck) -> None:
    allowed = f"(allowed {check.tolerance:.0e})"
    if check.passed:
        say(
            "Healthy: the sample's stored probabilities are reproduced to "
            f"{check.deviation:.1e} {allowed}."
        )
    else:
        say(
            "NOT healthy: the sample's probabilities differ from the stored ones by "
            f"{check.deviation:.2e} {allowed}. "
            "Do not use this installation; install dermassist again."
        )
