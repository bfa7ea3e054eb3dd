"""Answers as a table that ``handful tune`` reads: the items that have a label, each with its label."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from handful.answer_store.answers import StoredItem
from handful.answer_store.store import AnswerStore
from handful.atomic import replaced_file
from handful.data.cells import is_missing
from handful.data.spans import labels_in_spans

LINES = ".jsonl"
"""How a table of marked texts ends; any other is a CSV file."""


def export_table(store: AnswerStore, file: str | Path) -> int:
    """Write the labels of a store as a CSV file: ``text,label``, ``text,text2,label`` or ``file,label``.

    Names of files are relative to the folder of the table where they lie below it, as ``handful tune`` reads them.
    Several labels are joined by ``|``, as they are in the store. Spans are written as JSON lines.

    Args:
        store: the answers.
        file: where to; one that ends with ``.jsonl`` is for spans.

    Returns:
        How many rows it has.

    Raises:
        MachineError: it cannot be written.
    """
    target = Path(file)
    text, count = table_text(store, target)
    with replaced_file(target) as fresh:
        fresh.write_bytes(text.encode("utf-8"))
    return count


def table_text(store: AnswerStore, table: Path) -> tuple[str, int]:
    """The table as text, and how many rows it has, see ``export_table``."""
    if table.suffix == LINES:
        return spans_text(store.items(), store.labels())
    return csv_text(store.items(), store.labels(), table.parent)


def spans_text(items: Mapping[str, StoredItem], labels: Mapping[str, str]) -> tuple[str, int]:
    """Marked texts as JSON lines of ``text`` and ``spans``, and how many there are.

    Args:
        items: what was asked about, by content.
        labels: item → its spans.
    """
    rows = [(items[item].text, labels_in_spans(label)) for item, label in labels.items() if item in items]
    lines = [
        json.dumps({"text": text, "spans": [{"start": a, "end": b, "label": c} for a, b, c in own]}, ensure_ascii=False)
        for text, own in rows
    ]
    return "".join(f"{line}\n" for line in lines), len(rows)


def csv_text(items: Mapping[str, StoredItem], labels: Mapping[str, str], folder: Path) -> tuple[str, int]:
    """The table as text, and how many rows it has.

    Args:
        items: what was asked about, by content.
        labels: item → label.
        folder: where names of files shall start.
    """
    rows = [(items[item], label) for item, label in labels.items() if item in items and not is_missing(label)]
    pairs = any(item.second is not None for item, _ in rows)
    files = any(item.file is not None for item, _ in rows)
    head = ("file",) if files else ("text", "text2") if pairs else ("text",)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*head, "label"])
    for item, label in rows:
        cells = [relative(item.file, folder)] if item.file else [item.text, item.second] if pairs else [item.text]
        writer.writerow([*cells, label])
    return out.getvalue(), len(rows)


def relative(file: str, folder: Path) -> str:
    """A file as a table in a folder names it: from there where it lies below it, else by its whole path."""
    place, start = Path(file).absolute(), folder.absolute()
    return place.relative_to(start).as_posix() if place.is_relative_to(start) else str(place)
