"""Answers that people give: kept in one SQLite file that no kill breaks, and written as a table to learn from."""

from handful.answer_store.answers import (
    ACTS,
    ASKED,
    LABEL,
    SKIP,
    UNDO,
    UNSURE,
    Answer,
    StoredItem,
    agreed_labels,
    not_undone,
)
from handful.answer_store.export import LINES, csv_text, export_table, relative, table_text
from handful.answer_store.store import AnswerStore

__all__ = [
    "ACTS", "ASKED", "LABEL", "LINES", "SKIP", "UNDO", "UNSURE", "Answer", "AnswerStore", "StoredItem", "agreed_labels",
    "csv_text", "export_table", "not_undone", "relative", "table_text",
]  # fmt: skip
