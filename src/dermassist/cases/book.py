"""The case book: assessments kept with their images, found again, and deleted for good."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from dermassist.cases.case import Case, CaseChangedError, CaseQuery, CaseSummary
from dermassist.cases.database import forget_deleted, open_database, reading, writing
from dermassist.cases.record import to_case, to_row, to_summary, update_row
from dermassist.cases.schema import CaseRow, ImageRow
from dermassist.cases.search import conditions
from dermassist.cases.timestamp import now
from dermassist.errors import CaseError
from dermassist.outcome import Outcome
from dermassist.patient import PatientDetails
from dermassist.results import Assessment

_NOBODY = PatientDetails()
_ALL = CaseQuery()


class CaseBook:
    """Assessments with their images in one database; safe for threads and several processes.

    A case is kept when ``save`` returns: case and image are one transaction, so a process that
    dies leaves both or none.

    Every method raises ``CaseError`` where the database or the disk fails.
    """

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime] = now) -> None:
        self._engine = engine
        self._clock = clock

    @classmethod
    def open(
        cls,
        folder: str | Path,
        database_url: str | None = None,
        *,
        clock: Callable[[], datetime] = now,
    ) -> Self:
        """Open or make a case book.

        Args:
            folder: gets a SQLite file that its owner alone can read. It must be on a disk of this
                machine, for SQLite's locks fail on a network share.
            database_url: any SQLAlchemy URL instead, such as PostgreSQL's.
            clock: tells when a case is saved, with a time zone.

        Raises:
            CaseError: it cannot be opened, is no case book, or one of a newer version.
        """
        return cls(open_database(Path(folder), database_url), clock=clock)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def save(
        self,
        assessment: Assessment,
        image: bytes,
        *,
        patient: PatientDetails = _NOBODY,
    ) -> Case:
        """Keep an assessment with its image.

        Args:
            assessment: of the image.
            image: its exact bytes.
            patient: as far as stated.

        Raises:
            CaseError: the image is not the one that was assessed.
        """
        if hashlib.sha256(image).hexdigest() != assessment.image.sha256:
            raise CaseError(f"{assessment.image.name}: is not the image that was assessed")
        saved_at = self._clock().astimezone(UTC).isoformat()
        case = Case(str(uuid.uuid4()), saved_at, assessment, patient)
        with writing(self._engine, "the case was not saved") as session:
            session.add(to_row(case))
            # The image refers to the case, which must be there first.
            session.flush()
            session.add(ImageRow(case_id=case.case_id, content=image))
        return case

    def load(self, case_id: str) -> Case:
        """Return a case.

        Raises:
            CaseError: there is none of this number.
        """
        with reading(self._engine, "the case cannot be read") as session:
            return to_case(_row(session, case_id))

    def image(self, case_id: str) -> bytes:
        """Return the exact bytes of a case's image.

        Raises:
            CaseError: there is no such case, or its image was changed in the database.
        """
        both = select(CaseRow, ImageRow.content).join(ImageRow).where(CaseRow.case_id == case_id)
        with reading(self._engine, "the image cannot be read") as session:
            found = session.execute(both).one_or_none()
            if found is None:
                raise _missing(case_id)
            case, content = to_case(found[0]), found[1]
        if hashlib.sha256(content).hexdigest() != case.assessment.image.sha256:
            raise CaseError(f"the image of case {case_id} was changed after it was saved")
        return content

    def holds(self, case_id: str) -> bool:
        """Return whether there is a case of this number, be it damaged or not."""
        with reading(self._engine, "the case book cannot be searched") as session:
            counted = select(func.count()).where(CaseRow.case_id == case_id)
            return session.scalars(counted).one() > 0

    def search(self, query: CaseQuery = _ALL) -> list[CaseSummary]:
        """Return the cases that fit, the newest first; a damaged one is marked as such."""
        columns = select(
            CaseRow.case_id,
            CaseRow.saved_at,
            CaseRow.diagnosis,
            CaseRow.referred,
            CaseRow.outcome,
            CaseRow.summary,
        )
        newest = columns.where(*conditions(query)).order_by(
            CaseRow.saved_at.desc(), CaseRow.case_id
        )
        page = newest.limit(query.limit).offset(query.offset)
        with reading(self._engine, "the case book cannot be searched") as session:
            return [to_summary(*row) for row in session.execute(page)]

    def count(self, query: CaseQuery = _ALL) -> int:
        """Return how many cases fit, whatever the query's limit and offset."""
        counted = select(func.count()).select_from(CaseRow).where(*conditions(query))
        with reading(self._engine, "the case book cannot be searched") as session:
            return session.scalars(counted).one()

    def record_patient(
        self, case_id: str, patient: PatientDetails, *, seen: Case | None = None
    ) -> Case:
        """Replace the patient's details.

        Args:
            case_id: of the case.
            patient: the new details.
            seen: the case as it was shown to whoever gave them; by default whatever is stored is
                replaced.

        Raises:
            CaseChangedError: the stored details are no longer those that were seen.
            CaseError: there is no case of this number.
        """

        def change(case: Case) -> Case:
            if seen is not None and case.patient not in (seen.patient, patient):
                raise _changed(case_id, "the patient's details are")
            return replace(case, patient=patient)

        return self._change(case_id, change)

    def record_outcome(
        self, case_id: str, outcome: Outcome | None, *, seen: Case | None = None
    ) -> Case:
        """Record what the lesion turned out to be; an earlier outcome is replaced.

        Args:
            case_id: of the case.
            outcome: the new one; ``None`` takes back one that was recorded by mistake.
            seen: the case as it was shown to whoever found it; by default whatever is stored is
                replaced.

        Raises:
            CaseChangedError: the stored outcome is no longer the one that was seen.
            CaseError: there is no case of this number.
        """

        def change(case: Case) -> Case:
            if seen is not None and case.outcome not in (seen.outcome, outcome):
                raise _changed(case_id, "the outcome is")
            return replace(case, outcome=outcome)

        return self._change(case_id, change)

    def delete(self, case_id: str) -> None:
        """Delete a case and its image for good.

        SQLite overwrites them at once. PostgreSQL does so when it next cleans up (``VACUUM``).

        Raises:
            CaseError: there is none of this number; or the case is deleted, but another program
                was reading, so that traces stay in SQLite's journal until the next deletion or
                opening.
        """
        with writing(self._engine, "the case was not deleted") as session:
            session.execute(delete(ImageRow).where(ImageRow.case_id == case_id))
            of_case = delete(CaseRow).where(CaseRow.case_id == case_id).returning(CaseRow.case_id)
            if session.scalar(of_case) is None:
                raise _missing(case_id)
        if not forget_deleted(self._engine):
            raise CaseError(
                f"case {case_id} is deleted, but another program is reading the case book, so "
                "traces of it stay in the journal; close that program and open the book again"
            )

    def _change(self, case_id: str, change: Callable[[Case], Case]) -> Case:
        with writing(self._engine, "the case was not changed") as session:
            row = _row(session, case_id, locked=True)
            case = change(to_case(row))
            update_row(row, case)
        return case


def _row(session: Session, case_id: str, *, locked: bool = False) -> CaseRow:
    row = session.get(CaseRow, case_id, with_for_update=locked)
    if row is None:
        raise _missing(case_id)
    return row


def _missing(case_id: str) -> CaseError:
    return CaseError(f"there is no case {case_id}; it may have been deleted")


def _changed(case_id: str, what: str) -> CaseChangedError:
    return CaseChangedError(
        f"case {case_id[:8]} was changed meanwhile by somebody else: {what} no longer as it was "
        "shown here; nothing was written. Look at the case as it is now, then decide"
    )
