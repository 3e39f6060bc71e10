"""What can go wrong, named. Every message says what, which value, and what to do."""

from __future__ import annotations


class DermAssistError(Exception):
    """Anything this package refuses or cannot do; its text is fit to be shown to a person."""


class ImageError(DermAssistError):
    """An image that cannot be read or must not be answered."""


class DataError(DermAssistError):
    """A data set, label file or split that is missing, incomplete or contradictory."""


class DownloadError(DataError):
    """A download that could not be completed or does not match its published checksum."""


class BundleError(DermAssistError):
    """A model bundle that is missing, damaged or of another schema."""


class ConfigError(DermAssistError):
    """A configuration with an unknown key or a value out of range."""


class PatientError(DermAssistError):
    """Details of a patient that cannot be filed or printed."""


class CaseError(DermAssistError):
    """The case book cannot keep, find or change a case."""


class MissingExtraError(DermAssistError):
    """A feature whose optional libraries are not installed."""

    def __init__(self, feature: str, *, extra: str) -> None:
        super().__init__(
            f"{feature} needs the optional libraries of '{extra}', which are not installed: "
            f'run  pip install "dermassist[{extra}]"'
        )
        self.feature = feature
        self.extra = extra

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_missing_extra, (self.feature, self.extra)


def _rebuild_missing_extra(feature: str, extra: str) -> MissingExtraError:
    return MissingExtraError(feature, extra=extra)
