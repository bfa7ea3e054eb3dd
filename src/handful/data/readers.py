"""Anything a user may have, read into a labelled Dataset: folders, tables, JSON lines, lists, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from handful.data.cells import label_text, shown
from handful.data.classes import check_targets
from handful.data.columns import Choice, Wanted, choose, choose_parts, split_of
from handful.data.conversation_columns import lacking, names_classes, recognise, rows_of, unused
from handful.data.conversations import Conversation, Fields, Message
from handful.data.dataset import MODALITIES, UNREADABLE_SHARE, Dataset
from handful.data.folders import read_folder
from handful.data.items import PLURAL, kind_of, make_items, media_kind
from handful.data.names import listed
from handful.data.tables import (
    DELIMITED_SUFFIXES,
    TABLE_SUFFIXES,
    Columns,
    Table,
    collect,
    frame_table,
    hub_splits_table,
    hub_table,
    is_hub_dataset,
    open_table,
    record_table,
)
from handful.data.target_column import Column, read_column, read_indicators
from handful.data.targets import CLASSES, check_task
from handful.data.unlabelled_rows import left_out, said, without_labels
from handful.errors import DataError, OptionError, advised, suggestion
from handful.files import kind_of_file, not_ordinary

# Fewer instruction or preference rows than this cannot be learned from and held out too.
_FEWEST_ROWS = 4

# What no folder holds → what to do.
_INSTEAD = {
    "text": "Write the texts into a CSV file with one column of texts and one of labels.",
    "language": 'Write the rows into a JSON lines file with "prompt" and "response".',
}


def load(
    source: Any,
    *,
    labels: Sequence[Any] | None = None,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the option, and of the column in the output
    group: str | Sequence[Any] | None = None,
    split: str | Sequence[Any] | None = None,
    modality: str | None = None,
    task: str | None = None,
) -> Dataset:
    """Read labelled items, or rows for a language model; images and sounds are found and checked, but not yet decoded.

    A table whose columns are called ``prompt`` and ``response``, ``messages``, or ``prompt``, ``chosen`` and
    ``rejected`` holds instruction or preference rows, unless it can be read as one of classes or ``label`` is named.

    Args:
        source: a folder with one sub-folder per class (or ``train/CLASS`` and ``test/CLASS``); a CSV, TSV, Parquet or
            JSON lines file; a pandas DataFrame; a Hugging Face ``datasets.Dataset``; a list of dictionaries, one per
            row; or a list of texts, paths, Pillow pictures, arrays of pixels or ``(samples, rate)`` pairs.
        labels: the N labels of a list.
        label: the column of the labels in a table, or several columns of 0 and 1 joined by commas; guessed where that
            is safe.
        input: the column of the texts, or of the names of the files, relative to the table; or two columns joined by
            a comma, whose texts belong together.
        group: the column that says what belongs together (speaker, patient, document), or the N groups of a list;
            an empty text means that there is none.
        split: the column that says train or test, or N of these for a list; an empty text means that there is none.
        modality: text, image or sound, where the source holds several; language, where a model is to answer texts
            with their labels, or where a table of rows for a language model could be one of classes too.
        task: what the labels are: classification, multilabel (several of a row), ordinal (ratings) or regression
            (numbers); guessed where that is safe, and said.

    Returns:
        The Dataset; what was guessed, skipped or changed is in its ``notes`` and ``unreadable``.

    Raises:
        DataError: the rows, files or labels cannot be used as they are.
        OptionError: an argument is wrong, or a guess would not be safe.
        MachineError: a file or folder cannot be opened.
    """
    if modality not in (None, *MODALITIES):
        raise OptionError(
            f"modality must be text, image, sound or language, got {modality!r}."
            + (suggestion(str(modality), MODALITIES) or " Choose one of these.")
        )
    check_task(task)
    if _is_list(source) and not (labels is None and _is_records(source)):
        if label or input:
            raise OptionError("label= and input= name columns of a table; a list has none. Give labels=[…] instead.")
        return _read_list(source, labels, group, split, modality, task)
    if labels is not None:
        raise OptionError("labels= belongs to a list; a table or folder holds its own. Name the column with label=.")
    if not (isinstance(group, str | None) and isinstance(split, str | None)):
        raise OptionError("group= and split= must be names of columns for a table, got lists. Name the columns.")
    wanted = Wanted(input, label, group, split, modality, task)
    if not isinstance(source, str | Path):
        return _read_table(_object_table(source), wanted, headed=False)
    path = that_exists(source)
    if path.is_dir():
        if label or input or group or split:
            raise OptionError(
                f"label=, input=, group= and split= name columns of a table, but {shown(str(path))} is a folder: "
                "its sub-folders are the labels. Leave them out."
            )
        if task not in (None, CLASSES):
            raise OptionError(
                f"task must be classification for a folder ({shown(str(path))}), whose sub-folders are classes, got "
                f"{task}. Write a table with the names of the files and their labels."
            )
        if modality in _INSTEAD:
            raise OptionError(
                f"modality must be image or sound for a folder ({shown(str(path))}), got {modality!r}. "
                f"{_INSTEAD[modality]}"
            )
        return read_folder(path, modality)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(_wrong_kind(path))
    return _read_table(open_table(path), wanted, headed=path.suffix.lower() in DELIMITED_SUFFIXES)


def that_exists(source: str | Path) -> Path:
    """A source as a path.

    Raises:
        DataError: there is no such file or folder. An empty text, as a script's empty variable gives it, is none.
    """
    if not str(source).strip():
        raise DataError("source must be a folder or a file, got an empty text. Name one.")
    if not exists(Path(source)):
        raise DataError(_missing(Path(source)))
    return Path(source)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; a name that no file can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _missing(path: Path) -> str:
    """The message for a path that does not exist, with the nearest name in its folder."""
    try:
        near = suggestion(path.name, [shown(entry.name) for entry in path.parent.iterdir()])
    except (OSError, ValueError):  # The folder does not exist either: there is nothing to suggest.
        near = ""
    return f"{shown(str(path))} does not exist.{near or ' Check the path.'}"


def _wrong_kind(path: Path) -> str:
    name, suffix = shown(str(path)), path.suffix.lower()
    if found := kind_of_file(path):
        return not_ordinary(path, found)
    kind = media_kind(path.name)
    if kind:
        return f"{name} is one {kind}; learning needs several per class. Give a folder with one sub-folder per class."
    if suffix == ".txt":
        return f"{name} holds texts without labels. Write a CSV file with one column of texts and one of labels."
    if suffix in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"):
        return f"{name} is an archive. Unpack it, and give the folder or table that was in it."
    if suffix in (".xlsx", ".xls", ".ods"):
        return f"{name} is a spreadsheet. Save it as CSV and give that file."
    return f"{name} must be a folder or a table ({', '.join(TABLE_SUFFIXES)}), got {suffix or 'no suffix'}. Rename it."


def _is_list(source: Any) -> bool:
    if isinstance(source, str | Path | Mapping) or is_hub_dataset(source) or hasattr(source, "columns"):
        return False
    return hasattr(source, "__len__") and hasattr(source, "__iter__")


def _is_records(source: Any) -> bool:
    """Whether a list holds dictionaries that are rows, not pictures or sounds."""
    return len(source) > 0 and all(isinstance(value, Mapping) for value in source) and kind_of(source) == "other"


def _object_table(source: Any) -> Table:
    if is_hub_dataset(source):
        return hub_table(source)
    if _is_list(source):
        return record_table(source)
    if hasattr(source, "itertuples") and hasattr(source, "columns"):
        return frame_table(source)
    if isinstance(source, Mapping) and source and all(is_hub_dataset(part) for part in source.values()):
        return hub_splits_table(source)
    raise OptionError(
        "the source must be a path, a list, a pandas DataFrame or a datasets.Dataset, "
        f"got {type(source).__name__}. Give one of these."
    )


def _read_list(source: Any, labels: Any, group: Any, split: Any, modality: str | None, task: str | None) -> Dataset:
    values = list(source)
    if not values:
        raise DataError("the list is empty. Give at least two items of each class.")
    if labels is None:
        raise OptionError(f"labels= is missing: a list of {len(values)} items needs {len(values)} labels. Give them.")
    columns = {"input": values, "label": list(labels)}
    for name, given in (("group", group), ("split", split)):
        if isinstance(given, str) and given:
            raise OptionError(f"{name}= names a column of a table, got {given!r} with a list. Give a list.")
        if given is not None and not isinstance(given, str):
            columns[name] = list(given)
    for name, given in columns.items():
        if len(given) != len(values):
            option = {"label": "labels"}.get(name, name)
            raise OptionError(f"{option}= must have one entry per item ({len(values)}), got {len(given)}. Correct it.")
    kind = kind_of(values)
    # Strings in a list are texts unless the caller says otherwise; only a path object is a file for sure.
    if kind in ("image", "sound") and any(isinstance(value, str) for value in values) and modality is None:
        raise OptionError(
            f"the list holds names of {PLURAL[kind]} as texts. Say modality={kind!r} to read the files, or "
            "modality='text' to take the names themselves."
        )
    answered = modality == "language"
    modality = "text" if answered else modality or kind
    if modality not in MODALITIES:
        got = {"mixed": "different kinds", "": "nothing but missing values"}.get(kind, type(values[0]).__name__)
        raise DataError(f"the list must hold texts, images or sounds, all of one kind, got {got}. Change it.")
    choice = Choice(
        ("input",), modality, "label", (), "group" * ("group" in columns), "split" * ("split" in columns), ()
    )
    cells = {
        name: given if name in ("input", "label") else [label_text(cell) for cell in given]
        for name, given in columns.items()
    }
    table = Table("the list", tuple(columns), lambda: iter(()))
    column = read_column(cells["label"], "labels=", CLASSES if answered else task)
    rows = Columns(cells, tuple(range(len(values))), {})
    dataset = _build(rows, choice, table, column, "labels=", "Correct the labels.")
    return _as_language(dataset) if answered else dataset


def _read_table(table: Table, wanted: Wanted, headed: bool) -> Dataset:
    columns = collect(table)
    _check_share(columns.broken, len(columns) + len(columns.broken), table.source)
    if not len(columns):
        raise DataError(f"{table.source} holds no rows. Add rows below the names of the columns.")
    fields = recognise(columns)
    if fields and _are_rows(columns, table.source, wanted, headed):
        return _build_rows(columns, fields, wanted, table)
    choice = _choose(columns, table.source, wanted, headed)
    remedy = "Choose another column with --label, or correct the labels."
    if choice.labels:
        column = read_indicators({name: columns.cells[name] for name in choice.labels}, table.source)
    else:
        column = read_column(
            columns.cells[choice.label], choice.label, CLASSES if wanted.modality == "language" else wanted.task
        )
    where = f'column "{choice.label}"' if choice.label else f"columns {listed(choice.labels)}"
    dataset = _build(columns, choice, table, column, where, remedy)
    dataset = replace(dataset, input=choice.input, target=choice.label or None, targets=choice.labels)
    dataset = replace(dataset, group=choice.group or None)
    return _as_language(dataset) if wanted.modality == "language" else dataset


def _are_rows(columns: Columns, source: str, wanted: Wanted, headed: bool) -> bool:
    """Whether a table that looks like rows for a language model is not rather one of classes."""
    if wanted.label or wanted.input or wanted.modality not in (None, "language"):
        return False
    if wanted.modality or not names_classes(columns):
        return True
    try:
        choose(columns, source, wanted, headed)
    except (DataError, OptionError):
        return True
    return False


def _choose(columns: Columns, source: str, wanted: Wanted, headed: bool) -> Choice:
    """Which column is what in a table of classes; a language model reads the same columns as a text model."""
    try:
        modality = "text" if wanted.modality == "language" else wanted.modality
        return choose(columns, source, replace(wanted, modality=modality), headed)
    except DataError as error:
        if not (wanted.label or wanted.input) and (problem := lacking(columns, source)):
            raise DataError(problem) from error
        raise


def _build_rows(columns: Columns, fields: Fields, wanted: Wanted, table: Table) -> Dataset:
    source = table.source
    group, split, guessed = choose_parts(columns, source, wanted)
    rows = rows_of(columns, fields, source)
    _check_share(rows.unreadable, len(columns) + len(columns.broken), source)
    asked = fields.prompt or fields.messages or fields.chosen
    choice = Choice((asked,), "language", "", (), group, split, guessed)
    parts = tuple(_split(columns.cells[split][i], columns.rows[i]) for i in rows.positions) if split else ()
    dataset = Dataset(
        items=rows.items,
        modality="language",
        groups=_groups(columns, group, rows.positions) if group else None,
        split=parts if "test" in parts else None,
        rows=tuple(columns.rows[i] for i in rows.positions),
        source=source,
        input=choice.input,
        notes=(
            *table.notes,
            rows.note,
            *guessed,
            *unused(columns, rows.used, group, split),
            *_split_notes(columns, choice, rows.positions),
        ),
        unreadable=rows.unreadable,
    )
    training = len(dataset.part("train")) if dataset.split else len(dataset)
    if training < _FEWEST_ROWS:
        raise DataError(
            f"{source} has {training} {'row' if training == 1 else 'rows'} to learn from; at least {_FEWEST_ROWS} are "
            "needed, to learn from some and to hold out others. Add rows."
        )
    return dataset


def _as_language(dataset: Dataset) -> Dataset:
    """A Dataset of labelled texts as one of instructions: each text is asked, and its label answers."""
    labels = dataset.labels or ()
    pairs = zip(dataset.items, labels, strict=True)
    items = tuple(Conversation((Message("user", text),), label) for text, label in pairs)
    note = f"a language model is to answer each text with one of {len(set(labels))} labels"
    notes = (*left_out(dataset.notes, dataset.unlabelled), note)
    return replace(dataset, items=items, modality="language", unlabelled=(), notes=notes)


def _build(columns: Columns, choice: Choice, table: Table, column: Column, where: str, remedy: str) -> Dataset:
    cells, rows, source, names = columns.cells, columns.rows, table.source, column.cells
    labelled = [i for i, name in enumerate(names) if name]
    if not labelled and not column.wrong:
        raise DataError(f"{source} has no labels: {where} is empty in every row. {remedy}")
    unreadable = dict(columns.broken)
    unlabelled, why = without_labels(columns, choice, column, table.folder)
    unreadable.update({rows[i]: f"row {rows[i]}: {reason}" for i, reason in why.items()})
    _check_share(unreadable, len(rows) + len(columns.broken), source)
    values = [cells[choice.inputs[0]][i] for i in labelled]
    if len(choice.inputs) > 1:
        values = [tuple(cells[name][i] for name in choice.inputs) for i in labelled]
    items, failed = make_items(values, choice.modality, table.folder)
    split = [_split(cells[choice.split][i], rows[i]) for i in labelled] if choice.split else []
    dataset = Dataset(
        items=items,
        modality=choice.modality,
        labels=tuple(names[i] for i in labelled),
        groups=_groups(columns, choice.group, labelled) if choice.group else None,
        split=tuple(split) if "test" in split else None,
        rows=tuple(rows[i] for i in labelled),
        source=source,
        task=column.task,
        notes=(*table.notes, *choice.notes, *column.notes, *_split_notes(columns, choice, labelled), *said(unlabelled)),
        unreadable=unreadable,
        unlabelled=unlabelled,
    )
    dataset = dataset.without(failed)
    return replace(dataset, notes=(*dataset.notes, *check_targets(dataset, where, remedy)))


def _check_share(unreadable: Mapping[int, str], total: int, source: str) -> None:
    if len(unreadable) > UNREADABLE_SHARE * total:
        first = unreadable[min(unreadable)]
        raise DataError(
            f"{len(unreadable)} of {total} rows in {source} cannot be used, more than a tenth; "
            f"the first is {advised(first, 'Repair or remove them.')}"
        )


def _groups(columns: Columns, name: str, kept: Sequence[int]) -> tuple[str, ...]:
    """Group of each row; a row without one belongs to nobody else."""
    found = [label_text(columns.cells[name][i]) for i in kept]
    return tuple(group or f"(row {columns.rows[i]})" for group, i in zip(found, kept, strict=True))


def _split(cell: Any, row: int) -> str:
    found = split_of(cell)
    if not found:
        raise OptionError(
            f'split= must hold "train" or "test" for every item, got {cell!r} for item {row}. Correct it.'
        )
    return found


def _split_notes(columns: Columns, choice: Choice, kept: Sequence[int]) -> list[str]:
    if not choice.split:
        return []
    cells = [columns.cells[choice.split][i].strip().lower() for i in kept]
    test = sum(split_of(cell) == "test" for cell in cells)
    note = f'column "{choice.split}" is honoured as the split: {len(cells) - test} rows to train, {test} to test'
    others = sorted({cell for cell in cells if split_of(cell) == "train"} - {"train", "training"})
    return [note + (f"; {listed(others)} rows are used for training" if others else "")]
