"""Rows for a language model as a Dataset: instructions, preferences, and labelled texts that are to be answered."""

from __future__ import annotations

from dataclasses import astuple, replace

from handful.data.columns import Choice, Wanted, choose_parts, split_notes
from handful.data.conversation_columns import rows_of, unused
from handful.data.conversations import Conversation, Fields, Message
from handful.data.dataset import Dataset
from handful.data.places import places_of
from handful.data.row_values import check_share, groups_in, split_in
from handful.data.row_worth import worth_learning
from handful.data.tables import Columns, Table
from handful.data.unlabelled_rows import left_out
from handful.errors import DataError

FEWEST_ROWS = 4
"""Fewer instruction or preference rows than this cannot be learned from and held out too."""


def language_rows(columns: Columns, fields: Fields, wanted: Wanted, table: Table) -> Dataset:
    """Instruction or preference rows of a table as a Dataset.

    Args:
        columns: the rows.
        fields: which columns hold what is asked and answered.
        wanted: what the user named.
        table: where they come from.

    Raises:
        DataError: too many rows cannot be used, or too few are left.
        OptionError: a column that was named is not there.
    """
    source = table.source
    group, split, guessed = choose_parts(columns, source, wanted)
    columns, worth, judged = worth_learning(columns, fields, (*astuple(fields), group, split), source)
    places = places_of(columns, table, (group, split, *astuple(fields)))
    rows = rows_of(columns, fields, source, places)
    check_share(rows.unreadable, len(columns) + len(columns.broken), source)
    asked = fields.prompt or fields.messages or fields.chosen
    choice = Choice((asked,), "language", "", (), group, split, guessed)
    parts = tuple(split_in(columns.cells[split][i], columns.rows[i]) for i in rows.positions) if split else ()
    dataset = Dataset(
        items=rows.items,
        modality="language",
        groups=groups_in(columns, group, rows.positions) if group else None,
        split=parts if "test" in parts else None,
        rows=tuple(columns.rows[i] for i in rows.positions),
        places=places,
        source=source,
        input=choice.input,
        notes=(
            *table.notes,
            rows.note,
            *guessed,
            *worth,
            *unused(columns, rows.used, group, split, *judged),
            *split_notes(columns, choice, rows.positions),
        ),
        unreadable=rows.unreadable,
    )
    training = len(dataset.part("train")) if dataset.split else len(dataset)
    if wanted.whole and training < FEWEST_ROWS:
        raise DataError(
            f"{source} has {training} {'row' if training == 1 else 'rows'} to learn from; at least {FEWEST_ROWS} are "
            "needed, to learn from some and to hold out others. Add rows."
        )
    return dataset


def as_language(dataset: Dataset) -> Dataset:
    """A Dataset of labelled texts as one of instructions: each text is asked, and its label answers."""
    labels = dataset.labels or ()
    pairs = zip(dataset.items, labels, strict=True)
    items = tuple(Conversation((Message("user", text),), label) for text, label in pairs)
    note = f"a language model is to answer each text with one of {len(set(labels))} labels"
    notes = (*left_out(dataset.notes, dataset.unlabelled), note)
    return replace(dataset, items=items, modality="language", unlabelled=(), notes=notes)
