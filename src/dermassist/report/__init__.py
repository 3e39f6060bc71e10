"""The report: what is said (``content``, ``composition``) and how it looks (``pdf``)."""

from dermassist.report.answering_model import same_model
from dermassist.report.composition import build_report
from dermassist.report.content import DEFAULT_NAME, ReportContent, ReportOptions
from dermassist.report.finding import UNREADABLE, not_at_hand
from dermassist.report.pdf import render_pdf, unprinted_characters, write_report

__all__ = [
    "DEFAULT_NAME",
    "UNREADABLE",
    "ReportContent",
    "ReportOptions",
    "build_report",
    "not_at_hand",
    "render_pdf",
    "same_model",
    "unprinted_characters",
    "write_report",
]
