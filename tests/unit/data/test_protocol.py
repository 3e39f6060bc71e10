"""Every protocol keeps its word about who is where."""

from __future__ import annotations

import numpy as np
import pytest

from dermassist.data.ham10000 import Record
from dermassist.data.protocol import Trial, source_trial, trials
from dermassist.data.protocol_name import Protocol
from dermassist.data.split import FOLDS, Splits, make_splits
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import ConfigError

SOURCES = ("rosendahl", "vidir_modern", "vienna_dias")

pytestmark = pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")


@pytest.fixture(scope="module")
def records() -> tuple[Record, ...]:
    """Return 420 lesions of one to three images; one lesion was photographed at two sources."""
    random = np.random.default_rng(0)
    made: list[Record] = []
    for lesion in range(420):
        source = SOURCES[int(random.integers(3))]
        made += [
            Record(
                f"I{len(made) + i}",
                f"L{lesion}",
                DIAGNOSES[lesion % 7],
                "histo",
                None,
                "male",
                "back",
                SOURCES[i % 2] if lesion == 0 else source,
            )
            for i in range(3 if lesion == 0 else int(random.integers(1, 4)))
        ]
    return tuple(made)


@pytest.fixture(scope="module")
def splits(records: tuple[Record, ...]) -> Splits:
    return make_splits(records, seed=0)


def lesions(images: tuple[Record, ...]) -> set[str]:
    return {record.lesion_id for record in images}


def assert_no_lesion_in_two_parts(trial: Trial) -> None:
    assert trial.train
    assert trial.validation
    assert trial.test
    assert lesions(trial.test).isdisjoint(lesions(trial.train) | lesions(trial.validation))
    assert lesions(trial.train).isdisjoint(lesions(trial.validation))


def test_every_image_is_tested_once_by_folds_and_by_sources(
    records: tuple[Record, ...], splits: Splits
) -> None:
    for protocol, count in ((Protocol.LESION, FOLDS), (Protocol.SOURCE, len(SOURCES))):
        made = trials(protocol, records, splits)
        assert len(made) == count
        assert len({trial.name for trial in made}) == count
        for trial in made:
            assert_no_lesion_in_two_parts(trial)
            assert trial.origin["protocol"] == protocol.value
            assert trial.origin["splits_sha256"] == splits.sha256
        tested = [record.image_id for trial in made for record in trial.test]
        assert sorted(tested) == sorted(record.image_id for record in records)


def test_a_source_left_out_is_in_no_other_part(records: tuple[Record, ...], splits: Splits) -> None:
    for trial in trials(Protocol.SOURCE, records, splits):
        assert {record.source for record in trial.test} == {trial.name}
        assert trial.name not in {r.source for r in (*trial.train, *trial.validation)}


def test_the_paper_reports_what_selects(records: tuple[Record, ...], splits: Splits) -> None:
    (trial,) = trials(Protocol.PAPER, records, splits)
    assert trial.test == trial.validation
    assert len(trial.test) == pytest.approx(0.2 * len(records), abs=1)
    assert not lesions(trial.test).isdisjoint(lesions(trial.train))


def test_an_unknown_source_is_refused(records: tuple[Record, ...], splits: Splits) -> None:
    with pytest.raises(ConfigError, match="must be one of rosendahl, vidir_modern, vienna_dias"):
        source_trial(records, splits, source="elsewhere")
    alone = tuple(record for record in records if record.source == SOURCES[0])
    with pytest.raises(ConfigError, match="must be one of rosendahl"):
        source_trial(alone, splits, source=SOURCES[0])
