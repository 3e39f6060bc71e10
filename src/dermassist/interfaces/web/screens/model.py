"""The model: what it is, how well it was measured to do, where it fails."""

from __future__ import annotations

import streamlit as st

from dermassist.decisions import DecisionMeasures
from dermassist.errors import DataError
from dermassist.evaluation.decision_tabulation import (
    calibration_table,
    heatmap_table,
    referral_table,
    set_table,
    source_referral_table,
)
from dermassist.evaluation.document import from_document
from dermassist.evaluation.report import EvaluationReport
from dermassist.evaluation.table import Table
from dermassist.evaluation.tabulation import (
    class_table,
    confusion_table,
    mistake_table,
    overall_table,
    subgroup_table,
)
from dermassist.interfaces.web.charts import (
    confusion_chart,
    reliability_chart,
    reliability_words,
    roc_chart,
    roc_words,
)
from dermassist.interfaces.web.resources import model
from dermassist.interfaces.web.text import escaped
from dermassist.measured import Measured
from dermassist.model.manifest import NOT_MEASURED, Manifest
from dermassist.report.clinical import LIMITS

#: Of the tables by group, those that a reader can relate to a patient or an image.
SUBGROUPS = ("sex", "age_band", "body_site", "source")
#: Figures are stored only of a fold that was kept from training and validation.
UNSEEN = "No weights were chosen on these images."
#: Of the model that ships.
REVISED = (
    "The rules for referral and prediction sets were revised after earlier versions had been "
    "measured on them, and one version was withdrawn after it had been."
)


def model_page() -> None:
    """Show the manifest of the loaded model."""
    loaded = model()
    manifest = loaded.classifier.manifest
    st.title("Model", anchor=False)
    _show_facts(manifest, loaded.classifier.info.sha256)
    if loaded.known.measured is not None:
        _show_measured(loaded.known.measured, manifest, ships=loaded.ships)
    elif loaded.known.unreadable is not None:
        reason = escaped(loaded.known.unreadable, longest=400)
        st.warning(
            "The performance of this model was measured by another version of DermAssist, whose "
            f"figures this one cannot read ({reason}). Measure it anew with "
            "`dermassist evaluate --store`."
        )
    else:
        st.warning("The performance of this model was not measured.")
    st.header("Limits", anchor=False)
    for limit in LIMITS:
        st.markdown(f"- {limit.text}")


def _show_facts(manifest: Manifest, sha256: str) -> None:
    facts = {
        "Name and version": f"{manifest.name} {manifest.version}",
        "Made": manifest.created,
        "SHA-256 of the manifest": sha256,
        "Network": str(manifest.architecture.get("name", NOT_MEASURED)),
        "Parameters": f"{manifest.architecture.get('parameters', 0):,}",
        "Training images": str(manifest.training.get("train_images", NOT_MEASURED)),
        "Temperature": NOT_MEASURED
        if manifest.temperature is None
        else f"{manifest.temperature:.3f}, fitted on validation lesions",
        "Licence of the weights": manifest.licence,
        "Training data": manifest.attribution,
    }
    for name, value in facts.items():
        st.markdown(f"**{name}:** {escaped(value, longest=400)}")


def _show_measured(measured: Measured, manifest: Manifest, *, ships: bool) -> None:
    st.header("Measured", anchor=False)
    seen = f"{UNSEEN} {REVISED}" if ships else UNSEEN
    st.markdown(f"On {escaped(measured.protocol, longest=300)}. {seen}")
    _show_table(overall_table(measured.report))
    _show_table(class_table(measured.report))
    _show_decisions(manifest, measured.report)
    if measured.heatmaps is not None:
        _show_table(heatmap_table(measured.heatmaps))
    st.subheader("Confusion matrix", anchor=False)
    st.altair_chart(
        confusion_chart(measured.report),
        alt="Confusion matrix; the table below it has the same numbers",
    )
    with st.expander("Confusion matrix as a table"):
        _show_cells(confusion_table(measured.report))
    left, right = st.columns(2)
    left.subheader("ROC curves", anchor=False)
    left.altair_chart(roc_chart(measured.report), alt=roc_words(measured.report))
    right.subheader("Reliability", anchor=False)
    right.altair_chart(reliability_chart(measured.report), alt=reliability_words(measured.report))
    right.caption("On the line: answers as sure as they are right. Circles: images in the bin.")
    st.header("Where it fails", anchor=False)
    _show_table(mistake_table(measured.report))
    for attribute in SUBGROUPS:
        if measured.report.subgroups_of(attribute):
            _show_table(subgroup_table(measured.report, attribute))
    if measured.referral_by_source:
        _show_table(source_referral_table(measured.referral_by_source))


def _show_decisions(manifest: Manifest, report: EvaluationReport) -> None:
    document = (manifest.metrics or {}).get("decisions")
    if document is None:
        st.markdown("Temperature, referral threshold and prediction sets: not measured.")
        return
    try:
        measures = from_document(DecisionMeasures, document)
    except DataError:
        st.markdown(
            "Temperature, referral threshold and prediction sets were measured by another version "
            "of DermAssist, whose figures this one cannot read. Measure them anew with "
            "`dermassist evaluate --store`."
        )
        return
    # The report's own: one error is not printed with the intervals of two draws.
    after = report.summary.overall.calibration_error
    _show_table(calibration_table(measures.error_before, after))
    if measures.referral is not None:
        _show_table(referral_table(measures.referral))
    if measures.sets is not None:
        _show_table(set_table(measures.sets))


def _show_table(table: Table) -> None:
    st.subheader(table.title, anchor=False)
    _show_cells(table)


def _show_cells(table: Table) -> None:
    columns: dict[str, list[str]] = {
        name: [row[i] for row in table.rows] for i, name in enumerate(table.header)
    }
    st.dataframe(columns, hide_index=True, height="content")
    for note in table.notes:
        st.caption(escaped(note, longest=400))
