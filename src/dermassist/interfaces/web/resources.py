"""What all sessions share: the model, and the case book."""

from __future__ import annotations

import os
from dataclasses import dataclass

import streamlit as st

from dermassist.cases import CaseBook
from dermassist.inference.classifier import Classifier
from dermassist.interfaces.app_settings import CASES_URL_VARIABLE, cases_folder, model_folder
from dermassist.measured import KnownFigures, read_figures


@dataclass(frozen=True)
class Model:
    """The loaded model, which answers many sessions at once, and what was measured of it.

    Attributes:
        classifier: that answers.
        known: what was measured of it, as far as it can be read.
        ships: whether it is the one that comes with the program.
    """

    classifier: Classifier
    known: KnownFigures
    ships: bool


@st.cache_resource(show_spinner="Loading the model")
def model() -> Model:
    """Load the model once for all sessions."""
    directory = model_folder()
    classifier = Classifier.load(directory)
    # Figures of another version do not keep a model from answering.
    return Model(classifier, read_figures(classifier.manifest), ships=directory is None)


@st.cache_resource(show_spinner="Opening the case book")
def case_book() -> CaseBook:
    """Open the case book once for all sessions."""
    return CaseBook.open(cases_folder(), database_url=os.environ.get(CASES_URL_VARIABLE))
