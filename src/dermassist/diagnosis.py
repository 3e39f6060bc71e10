"""The seven diagnoses of HAM10000, in the order of the network's outputs.

Source of the classes and their codes: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset",
Sci Data 5, 180161 (2018), doi:10.1038/sdata.2018.161, section "Diagnoses".
"""

from __future__ import annotations

from enum import Enum
from typing import Self


class Diagnosis(Enum):
    """One of seven diagnoses; ``index`` is its place (0 to 6) in every probability vector."""

    AKIEC = ("akiec", "Actinic Keratoses", True)
    BCC = ("bcc", "Basal Cell Carcinoma", True)
    BKL = ("bkl", "Benign Keratosis", False)
    DF = ("df", "Dermatofibroma", False)
    MEL = ("mel", "Melanoma", True)
    NV = ("nv", "Melanocytic Nevus", False)
    VASC = ("vasc", "Vascular Lesion", False)

    def __init__(self, code: str, full_name: str, malignant: bool) -> None:
        self.code = code
        self.full_name = full_name
        #: Malignant or, for akiec, an intraepithelial precursor that is treated as one.
        self.malignant = malignant

    @property
    def index(self) -> int:
        """Place in every probability vector, 0 to 6."""
        return CODES.index(self.code)

    @property
    def summary(self) -> str:
        """One sentence on what the class holds in HAM10000."""
        return _SUMMARIES[self.code]

    def __str__(self) -> str:
        return f"{self.full_name} ({self.code.upper()})"

    @classmethod
    def from_code(cls, code: str) -> Self:
        """Return the diagnosis of a HAM10000 ``dx`` code, in any case.

        Raises:
            ValueError: the code is none of the seven.
        """
        wanted = code.strip().lower()
        for diagnosis in cls:
            if diagnosis.code == wanted:
                return diagnosis
        raise ValueError(f"unknown diagnosis {code!r}: expected one of {', '.join(CODES)}")


_SUMMARIES = {
    "akiec": (
        "Actinic keratoses and intraepithelial carcinoma (Bowen's disease): "
        "non-invasive variants of squamous cell carcinoma."
    ),
    "bcc": (
        "Basal cell carcinoma: a common cancer of the skin that rarely metastasises "
        "but grows destructively if it is not treated."
    ),
    "bkl": (
        "Benign keratosis-like lesions: seborrhoeic keratosis, solar lentigo "
        "and lichen-planus-like keratosis."
    ),
    "df": "Dermatofibroma: a benign proliferation or an inflammatory reaction to minor trauma.",
    "mel": "Melanoma: a malignant tumour of melanocytes, curable if excised early.",
    "nv": "Melanocytic nevi: benign tumours of melanocytes in many variants.",
    "vasc": ("Vascular lesions: angiomas, angiokeratomas, pyogenic granulomas and haemorrhage."),
}

CODES: tuple[str, ...] = tuple(diagnosis.value[0] for diagnosis in Diagnosis)
DIAGNOSES: tuple[Diagnosis, ...] = tuple(Diagnosis)
MALIGNANT: tuple[Diagnosis, ...] = tuple(d for d in Diagnosis if d.malignant)
#: Column order of the ISIC 2018 Task 3 challenge form.
ISIC_2018_ORDER: tuple[str, ...] = ("mel", "nv", "bcc", "akiec", "bkl", "df", "vasc")
