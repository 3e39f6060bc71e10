"""Many images: one table, the most suspicious first; one bad file stops none."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dermassist.batch import FileOutcome, render_isic_csv
from dermassist.cases import Case
from dermassist.cases.archive import NOT_INCLUDED_NAME
from dermassist.errors import CaseError, DermAssistError
from dermassist.explain.words import set_caveat
from dermassist.imaging import read_image
from dermassist.interfaces.app_settings import LARGEST_BATCH, LARGEST_UPLOAD_MB
from dermassist.interfaces.web.downloads import File, download_link, offer
from dermassist.interfaces.web.file_name import file_name
from dermassist.interfaces.web.known import manifest_of
from dermassist.interfaces.web.proportions import assess_file, proportions_field
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.screens.analyse import UPLOAD_TYPES
from dermassist.interfaces.web.share_table import share_table
from dermassist.interfaces.web.text import escaped, visible
from dermassist.interfaces.web.unanswered import unanswered_words
from dermassist.report import ReportOptions, build_report, render_pdf
from dermassist.results import Prediction

_BATCH = "batch"
#: Words of a remark that the table shows beside the answer.
_FIRST_WORDS = 4
_SAID_FIRST = re.compile(r"[^:;,.]+")
_THUMBNAIL_PX, _ROW_PX, _HEADER_PX = 128, 72, 40
#: Of a longer table the rest is reached by scrolling in it.
_ROWS_SHOWN = 8


@dataclass(frozen=True)
class Row:
    """One file of a batch: answered and kept, and the reason where it was not."""

    name: str
    prediction: Prediction | None = None
    thumbnail: str = ""
    #: What Analyse warns of: the quality of the image, and what was done to it.
    remarks: tuple[str, ...] = ()
    case_id: str | None = None
    error: str | None = None


@dataclass(eq=False)
class Batch:
    """The files that were given last, and their rows as far as they are answered.

    Attributes:
        names: of the files, in order.
        done: how many of them were answered or refused.
        rows: of these.
    """

    names: tuple[str, ...]
    done: int = 0
    rows: list[Row] = field(default_factory=list)


def batch_page() -> None:
    """Take many images and show one table."""
    st.title("Batch", anchor=False)
    # Outside of the form, which forgets what was chosen once it is sent.
    proportions = proportions_field("batch proportions")
    with st.form("batch files", clear_on_submit=True, border=False):
        uploads = st.file_uploader(
            f"Dermatoscopic images, up to {LARGEST_BATCH} at once",
            type=UPLOAD_TYPES,
            accept_multiple_files=True,
            max_upload_size=LARGEST_UPLOAD_MB,
            key="batch upload",
        )
        asked = st.form_submit_button("Answer all", type="primary")
    if asked and uploads:
        if len(uploads) > LARGEST_BATCH:
            st.error(_too_many(len(uploads)))
        else:
            _answer_all(uploads, proportions)
    batch: Batch = st.session_state.get(_BATCH, Batch(()))
    stopped = unanswered_words(batch.names, batch.done)
    if stopped is not None:
        st.error(escaped(stopped, longest=1000))
    if batch.rows:
        _show(batch.rows)
    elif stopped is None:
        st.info("Choose images, then Answer all. Every answered image is kept in the case book.")


def _too_many(given: int) -> str:
    before: Batch = st.session_state.get(_BATCH, Batch(()))
    below = " The table below is of the images before." if before.rows else ""
    return (
        f"{given} images are too many at once; choose {LARGEST_BATCH} at most. None of them was "
        f"answered.{below}"
    )


def _answer_all(uploads: Sequence[Any], proportions: float) -> None:
    # A click meanwhile ends this at its next touch of the page or of the session's state. So the
    # batch before is cleared first, and each row is put at once where the next drawing finds it.
    batch = st.session_state[_BATCH] = Batch(tuple(upload.name for upload in uploads))
    bar = st.progress(0.0)
    for upload in uploads:
        batch.rows.append(_answer(upload.name, upload.getvalue(), proportions))
        batch.done += 1
        bar.progress(batch.done / len(uploads), f"{batch.done} of {len(uploads)}")
    bar.empty()


def forget_row(case_id: str) -> None:
    """Drop a deleted case, and its small picture, from this session's table."""
    batch: Batch = st.session_state.get(_BATCH, Batch(()))
    batch.rows[:] = [row for row in batch.rows if row.case_id != case_id]


def _answer(name: str, content: bytes, proportions: float) -> Row:
    try:
        assessment = assess_file(content, name=name, proportions=proportions)
        thumbnail = _thumbnail(read_image(content, reduce_to_px=_THUMBNAIL_PX).pixels)
    except DermAssistError as error:
        return Row(name, error=str(error))
    caveat = set_caveat(assessment.prediction)
    about_set = (caveat,) if caveat is not None else ()
    remarks = (*assessment.quality.remarks, *assessment.image.notes, *about_set)
    answered = Row(name, assessment.prediction, thumbnail, remarks)
    try:
        case = case_book().save(assessment, content)
    except DermAssistError as error:
        # The answer is worth showing all the same.
        return replace(answered, error=f"{name}: not saved in the case book: {error}")
    return replace(answered, case_id=case.case_id)


def _thumbnail(pixels: NDArray[np.uint8]) -> str:
    """Return a small picture as a data address, which the table shows without a file."""
    scale = _THUMBNAIL_PX / max(pixels.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0]))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _show(rows: Sequence[Row]) -> None:
    answered = sorted(
        (row for row in rows if row.prediction is not None),
        key=lambda row: -row.prediction.malignancy if row.prediction else 0.0,
    )
    failed = [row for row in rows if row.prediction is None]
    st.markdown(f"{len(answered)} answered, {len(failed)} not. The most suspicious stand first.")
    if answered:
        st.dataframe(
            share_table(
                [_cells(row) for row in answered],
                ("confidence", "malignancy"),
                pictures=("image",),
            ),
            column_config=_columns(),
            hide_index=True,
            row_height=_ROW_PX,
            height=min(len(answered), _ROWS_SHOWN) * _ROW_PX + _HEADER_PX,
        )
        st.markdown("“No” does not mean harmless. Not a diagnosis.")
        csv_column, zip_column, _ = st.columns((1, 1, 3))
        csv = File("answers.csv", "text/csv", lambda: _csv(answered))
        reports = File("reports.zip", "application/zip", lambda: _reports(answered))
        with csv_column:
            download_link("CSV (ISIC form)", offer("csv", csv))
        with zip_column:
            download_link("ZIP of reports", offer("reports", reports))
    for row in rows:
        if row.error is not None:
            st.error(escaped(row.error, longest=400))


def _cells(row: Row) -> dict[str, Any]:
    prediction = row.prediction
    if prediction is None:
        return {}
    referral = prediction.referral
    return {
        "image": row.thumbnail,
        "malignancy": prediction.malignancy,
        "referral": "not measured" if referral is None else ("yes" if referral.advised else "no"),
        "diagnosis": str(prediction.diagnosis),
        "remarks": visible(short_remarks(row.remarks)),
        "confidence": prediction.confidence,
        "file": visible(row.name, longest=60),
        "case": (row.case_id or "")[:8],
        "in full": visible(" ".join(row.remarks), longest=4000),
    }


def short_remarks(remarks: Sequence[str]) -> str:
    """Return the number of remarks and how each begins; empty without one."""
    if not remarks:
        return ""
    beginnings = ", ".join(_beginning(remark) for remark in remarks)
    return f"{len(remarks)} {'remark' if len(remarks) == 1 else 'remarks'}: {beginnings}"


def _beginning(remark: str) -> str:
    said = _SAID_FIRST.search(remark)
    words = (said.group() if said else remark).split()
    more = "…" if len(words) > _FIRST_WORDS else ""
    begun = " ".join(words[:_FIRST_WORDS]) + more
    return begun[:1].lower() + begun[1:]


def _columns() -> dict[str, Any]:
    return {
        "image": st.column_config.ImageColumn("Image"),
        "file": "File",
        "diagnosis": "Diagnosis",
        "confidence": st.column_config.NumberColumn("Confidence"),
        "malignancy": st.column_config.NumberColumn("MEL, BCC, AKIEC"),
        "referral": "Referral advised",
        "remarks": st.column_config.TextColumn("Remarks", width="medium"),
        "case": "Case",
        "in full": st.column_config.TextColumn("Remarks in full", width="large"),
    }


def _csv(rows: Sequence[Row]) -> bytes:
    names = distinct([Path(row.name).stem for row in rows])
    # The suffix is what the form leaves out.
    outcomes = (
        FileOutcome(Path(f"{name}.jpg"), row.prediction, None)
        for name, row in zip(names, rows, strict=True)
    )
    return render_isic_csv(outcomes).encode()


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names; one that was there before gets its count: ``a``, ``a (2)``."""
    given: dict[str, str] = {}
    for place, name in enumerate(names):
        candidates = chain([name], (f"{name} ({count})" for count in range(2, place + 3)))
        given[next(c for c in candidates if c not in given)] = name
    return list(given)


def _reports(rows: Sequence[Row]) -> bytes:
    """Return a ZIP with one report a case, and a note on those without one."""
    packed, absent = io.BytesIO(), []
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            try:
                pdf = _report(row)
            except DermAssistError as error:
                absent.append(f"{visible(row.name)}: {error}\n")
            else:
                archive.writestr(file_name(row.name, row.case_id, ".pdf"), pdf)
        if absent:
            archive.writestr(NOT_INCLUDED_NAME, "".join(absent))
    return packed.getvalue()


def _report(row: Row) -> bytes:
    if row.case_id is None:
        raise CaseError("was not saved in the case book")
    return report_of(case_book().load(row.case_id), case_book().image(row.case_id))


def report_of(case: Case, image: bytes) -> bytes:
    """Return the report of a kept case."""
    # Not by what is drawn on the screen, for which the whole image would be decoded once more.
    manifest = manifest_of(case.assessment)
    options = ReportOptions(outcome=case.outcome)
    content = build_report(
        case.assessment, manifest, image=image, patient=case.patient, options=options
    )
    return render_pdf(content)
