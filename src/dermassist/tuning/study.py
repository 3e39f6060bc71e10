"""Where a search is kept: a file of its own, or a storage that many machines share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from dermassist.errors import ConfigError
from dermassist.tuning.declaration import Declaration, Pruning
from dermassist.tuning.memetic import MemeticSampler
from dermassist.tuning.pruner import WorstShare
from dermassist.tuning.retry import experiments_accepted, retry_after_death

STUDY_NAME = "study.db"
_GRPC_SCHEME = "grpc"
_GRPC_PORT = 13000
_REACHED_WITHIN_S = 10.0
#: A process that is alive says so this often; one that has been silent for the grace is dead.
_HEARTBEAT_S = 15
_GRACE_S = 120
#: What drivers, SQLAlchemy and Optuna raise; braces in a URL are Optuna's template, hence lookups.
_UNUSABLE = (SQLAlchemyError, OptunaError, OSError, RuntimeError, ValueError, LookupError)
#: How long a process waits for others that are writing to the same SQLite file.
_SQLITE_WAIT_S = 60.0
#: Candidates that finish before any is given up, and epochs that each of them gets.
_STARTUP_TRIALS = 10
_WARMUP_EPOCHS = 1


@dataclass(frozen=True)
class StudyPlace:
    """Where a study is kept.

    Attributes:
        url: an SQLAlchemy database URL, or ``grpc://host:port`` of Optuna's storage proxy.
        shared: processes of other commands, perhaps on other machines, may work on it, so a
            running trial is dead only once its heartbeat has stopped. The proxy has none.
    """

    url: str
    shared: bool

    @classmethod
    def beside_the_run(cls, folder: Path) -> StudyPlace:
        """Return the SQLite file in a run's folder, which one command at a time works on."""
        url = URL.create("sqlite", database=str((folder / STUDY_NAME).absolute()))
        return cls(url.render_as_string(), shared=False)

    def __str__(self) -> str:
        """Return the URL without its password."""
        try:
            return make_url(self.url).render_as_string(hide_password=True)
        except ArgumentError:
            return "that was given"


def check_storage(place: StudyPlace) -> None:
    """Reach a study's storage before anything else is done.

    Raises:
        ConfigError: it cannot be reached or used.
    """
    with _unusable_explained(place), experiments_accepted():
        _open_storage(place)


def open_study(place: StudyPlace, declaration: Declaration) -> optuna.Study:
    """Open the study of a declared search, or begin it.

    Raises:
        ConfigError: the storage cannot be reached or used.
    """
    with _unusable_explained(place), experiments_accepted():
        return optuna.create_study(
            storage=_open_storage(place),
            study_name=declaration.name,
            direction="maximize",
            load_if_exists=True,
            sampler=MemeticSampler(seed=declaration.search.seed),
            pruner=pruner(declaration.search.pruning),
        )


def _open_storage(place: StudyPlace) -> BaseStorage:
    parts = urlsplit(place.url)
    if parts.scheme == _GRPC_SCHEME:
        proxy = GrpcStorageProxy(host=parts.hostname or "localhost", port=parts.port or _GRPC_PORT)
        proxy.wait_server_ready(timeout=_REACHED_WITHIN_S)
        return proxy
    options: dict[str, Any] = {}
    if parts.scheme.startswith("sqlite"):
        options["connect_args"] = {"timeout": _SQLITE_WAIT_S}
    if not place.shared:
        return RDBStorage(place.url, engine_kwargs=options)
    return RDBStorage(
        place.url,
        engine_kwargs=options,
        heartbeat_interval=_HEARTBEAT_S,
        grace_period=_GRACE_S,
        heartbeat_stale_trial_callback=retry_after_death,
    )


def pruner(pruning: Pruning) -> BasePruner:
    """Return the rule by which candidates are given up early."""
    if pruning == "worst_quarter":
        return WorstShare(0.25, first=_STARTUP_TRIALS, warmup=_WARMUP_EPOCHS)
    if pruning == "median":
        return MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=_WARMUP_EPOCHS)
    return NopPruner()


@contextmanager
def _unusable_explained(place: StudyPlace) -> Iterator[None]:
    """Turn what drivers, SQLAlchemy and Optuna say about a storage into one sentence."""
    try:
        yield
    except _UNUSABLE as error:
        reason = _root(error)
    except ImportError as error:
        # The innermost error names the module that is missing: psycopg, grpc.
        reason = f"{_root(error)}; install this driver"
    else:
        return
    raise ConfigError(
        f"the storage {place} cannot be used ({reason}); check the address, and that its server "
        "runs and lets this user write"
    )


@contextmanager
def loss_explained(place: StudyPlace) -> Iterator[None]:
    """Say in one sentence that a storage failed while a search used it.

    Raises:
        ConfigError: it did.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise ConfigError(
            f"the storage {place} failed in the middle of the search ({_root(error)}); finished "
            "trials are kept: see to the reason, then run the same command to go on"
        ) from None


def _root(error: BaseException) -> str:
    """Return the first line of the innermost cause."""
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return (str(error).splitlines() or [type(error).__name__])[0]
