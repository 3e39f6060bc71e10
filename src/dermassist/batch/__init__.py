"""Answering many files: found, answered batch by batch, written as one table."""

from dermassist.batch.answer import FileOutcome, predict_files
from dermassist.batch.search import Found, find_images
from dermassist.batch.table import check_table_place, render_isic_csv, row_name

__all__ = [
    "FileOutcome",
    "Found",
    "check_table_place",
    "find_images",
    "predict_files",
    "render_isic_csv",
    "row_name",
]
