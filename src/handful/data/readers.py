"""Anything a user may have, read into a labelled Dataset: folders, tables, JSON lines, lists, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from handful.data.annotation_states import annotated
from handful.data.cells import label_text, shown
from handful.data.classes import checked_targets
from handful.data.columns import Choice, Wanted, choose, split_notes
from handful.data.conversation_columns import are_sure, lacking, names_classes, recognise
from handful.data.conversations import Fields
from handful.data.dataset import MODALITIES, Dataset
from handful.data.features_beside import with_vectors
from handful.data.file_names import names_without_endings
from handful.data.folders import INSTEAD, read_folder
from handful.data.image_text import IMAGE_TEXT, empty_texts, of_side
from handful.data.in_memory import is_list, is_records, memory_table
from handful.data.input_column import joined
from handful.data.items import PLURAL, kind_of, make_items
from handful.data.label_types import type_of, types_in
from handful.data.labels_beside import in_one_table
from handful.data.language_rows import as_language, language_rows
from handful.data.metadata_files import FILE_NAME, metadata_table, unnamed
from handful.data.names import listed
from handful.data.normal import NORMAL
from handful.data.pairs import is_two
from handful.data.places import places_of
from handful.data.row_values import check_share, groups_in, split_in
from handful.data.row_worth import is_truth, verdict_column, weighted
from handful.data.sources import is_archive, that_exists, wrong_kind
from handful.data.span_tables import conll_dataset, is_conll, spans_in
from handful.data.tables import HEADED_SUFFIXES, TABLE_SUFFIXES, Columns, Table, collect, open_table
from handful.data.target_column import Column, read_column, read_indicators
from handful.data.targets import BOXES, CLASSES, DEFECTS, EVENTS, MASKS, check_task
from handful.data.unlabelled_rows import said, without_labels
from handful.data.vectors import VECTORS
from handful.errors import DataError, OptionError, suggestion
from handful.keywords import known_keywords


@known_keywords
def load(
    source: Any,
    labels: Sequence[Any] | None = None,
    *,
    label: str | None = None,
    input: str | Sequence[str] | None = None,  # noqa: A002 - the name of the option, and of the column in the output
    group: str | Sequence[Any] | None = None,
    split: str | Sequence[Any] | None = None,
    modality: str | None = None,
    task: str | None = None,
    features: Any = None,
) -> Dataset:
    """Read labelled items, or rows for a language model; images and sounds are found and checked, but not yet decoded.

    A table whose columns are called ``prompt`` and ``response``, ``messages``, or ``prompt``, ``chosen`` and
    ``rejected`` holds instruction or preference rows, unless it can be read as one of classes or ``label`` is named.

    Args:
        source: a folder with one sub-folder per class (or ``train/CLASS`` and ``test/CLASS``), or with a
            ``metadata.csv`` whose column ``file_name`` names its files; such a folder as a zip file; a CSV, TSV, Excel,
            Parquet or JSON lines file; a pandas DataFrame; a Hugging Face ``datasets.Dataset``; a list of dictionaries,
            one per row; a list of texts, paths, Pillow pictures, arrays of pixels, ``(samples, rate)`` pairs, or
            pictures with their texts as ``(picture, text)``; or an array (N, D) of numbers, one row for each item.
        labels: the N labels of a list or DataFrame: texts, numbers, truth values, lists of several, or rows of 0 and 1,
            which may be a DataFrame too.
        label: the column of the labels in a table, or several of 0 and 1 joined by commas; guessed where it is safe.
        input: the column of the texts, or of the names of the files, relative to the table; or two columns, as a list
            or joined by a comma, that belong together: two of texts, or one of images and one of texts.
        group: the column that says what belongs together (speaker, patient, document), or the N groups of a list;
            an empty text means that there is none.
        split: the column that says train or test, or N of these for a list; an empty text means that there is none.
        modality: text, image, sound, vectors or image+text, where the source holds several; language, where a model
            answers texts with their labels, or where a table of rows for a language model could be one of classes too.
        task: what the labels are: classification, multilabel (several), ordinal (ratings), regression (numbers),
            tagging (spans), defects or events (tracks of recordings); guessed where that is safe, and said.
        features: vectors that another program made of the items of a table: a CSV, TSV, Excel, Parquet, ``.npy`` or
            ``.npz`` file, an array (N, D) or a DataFrame, joined by a column of IDs (``input``) or else by order; or
            ``"columns"``, where the columns of numbers of the table are the features.

    Returns:
        The Dataset; what was guessed, skipped or changed is in its ``notes`` and ``unreadable``.

    Raises:
        DataError: the rows, files or labels cannot be used as they are.
        OptionError: an argument is wrong, or a guess would not be safe.
        MachineError: a file or folder cannot be opened.
    """
    check_kinds(modality, task)
    if task == EVENTS and not isinstance(source, str | Path):
        raise OptionError(
            f"events are read from a folder of recordings or a table of tracks, got {type(source).__name__}. Give the "
            "name of one."
        )
    source, labels, label = in_one_table(source, labels, label)
    if is_list(source) and not (labels is None and is_records(source)):
        if label or input:
            raise OptionError("label= and input= name columns of a table; a list has none. Give labels=[…] instead.")
        if features is not None:
            raise OptionError("features= belong to a table of labels, got a list. Give tune(vectors, labels) instead.")
        return _read_list(source, labels, group, split, modality, task)
    if labels is not None:
        raise OptionError("labels= belongs to a list; a table or folder holds its own. Name the column with label=.")
    if not (isinstance(group, str | None) and isinstance(split, str | None)):
        raise OptionError("group= and split= must be names of columns for a table, got lists. Name the columns.")
    wanted = Wanted(joined(input), label, group, split, modality, task, features)
    return load_wanted(source, wanted) if isinstance(source, str | Path) else load_object(source, wanted)


def load_object(source: Any, wanted: Wanted) -> Dataset:
    """A table in memory, as ``load`` gives it, and with its errors."""
    return _read_table(_object_table(source), wanted, headed=False)


def check_kinds(modality: str | None, task: str | None) -> None:
    """Refuse kinds of items and of targets that nothing can be read as.

    Raises:
        OptionError: one is none.
    """
    if modality not in (None, *MODALITIES):
        raise OptionError(
            f"modality must be {', '.join(MODALITIES[:-1])} or {MODALITIES[-1]}, got {modality!r}."
            + (suggestion(str(modality), MODALITIES) or " Choose one of these.")
        )
    check_task(task)


def load_wanted(source: str | Path, wanted: Wanted) -> Dataset:
    """What a path names, as ``load`` gives it, and with its errors."""
    dataset = read_path(path := that_exists(source), wanted)
    if is_archive(Path(source)):
        note = f"{Path(source).name} is unpacked into {path}"
        dataset = replace(dataset, source=shown(str(source)), notes=(note, *dataset.notes))
    return dataset


def read_path(path: Path, wanted: Wanted) -> Dataset:
    """What lies at a path that exists, as ``load`` gives it, and with its errors."""
    if wanted.task == EVENTS:
        from handful.data.recordings import tracks_dataset  # loads a decoder, which a table of texts has no use for

        return tracks_dataset(path, wanted)
    if wanted.features is not None and path.suffix.lower() not in TABLE_SUFFIXES:
        raise OptionError(
            f"features belong to a table of labels ({', '.join(TABLE_SUFFIXES)}), got {shown(str(path))}. Write the "
            "IDs and the labels as one."
        )
    if path.is_dir():
        table = metadata_table(path, wanted.label)
        return _read_folder(path, wanted) if table is None else _read_described(table, path, wanted)
    if is_conll(path):
        return conll_dataset(path, wanted)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(wrong_kind(path))
    return _read_table(open_table(path), wanted, headed=path.suffix.lower() in HEADED_SUFFIXES)


def _read_folder(path: Path, wanted: Wanted) -> Dataset:
    """A folder whose sub-folders are the labels."""
    if wanted.label or wanted.input or wanted.group or wanted.split:
        raise OptionError(
            f"label=, input=, group= and split= name columns of a table, but {shown(str(path))} is a folder: "
            "its sub-folders are the labels. Leave them out."
        )
    if wanted.task not in (None, CLASSES, DEFECTS, MASKS, BOXES):
        raise OptionError(
            f"task must be classification, defects, masks or boxes for a folder ({shown(str(path))}), whose "
            f"sub-folders are classes, got {wanted.task}. Write a table with the names of the files and their labels."
        )
    if wanted.modality in INSTEAD:
        raise OptionError(
            f"modality must be image or sound for a folder ({shown(str(path))}), got {wanted.modality!r}. "
            f"{INSTEAD[wanted.modality]}"
        )
    return read_folder(path, wanted.modality, wanted.task, wanted.whole)


def _read_described(table: Table, folder: Path, wanted: Wanted) -> Dataset:
    """A folder whose files and labels stand in a table of metadata."""
    dataset = _read_table(table, replace(wanted, input=wanted.input or FILE_NAME), headed=False)
    named = {folder / item for item in of_side(dataset.items, "image") if isinstance(item, Path)}
    note = (
        unnamed(folder, "image" if dataset.modality == IMAGE_TEXT else dataset.modality, named)
        if named and not dataset.unreadable
        else ""
    )
    return replace(dataset, notes=(*dataset.notes, note)) if note else dataset


def _object_table(source: Any) -> Table:
    if table := memory_table(source):
        return table
    raise OptionError(
        "the source must be a path, a list, a pandas DataFrame or a datasets.Dataset, "
        f"got {type(source).__name__}. Give one of these."
    )


def _read_list(source: Any, labels: Any, group: Any, split: Any, modality: str | None, task: str | None) -> Dataset:
    values = list(source)
    if not values:
        raise DataError("the list is empty. Give at least two items of each class.")
    if labels is None and task == DEFECTS:  # all of them are normal
        labels = [NORMAL] * len(values)
    if labels is None:
        raise OptionError(f"labels= is missing: a list of {len(values)} items needs {len(values)} labels. Give them.")
    if isinstance(labels, str | Mapping) or hasattr(labels, "columns") or not hasattr(labels, "__iter__"):
        got = type(labels).__name__
        raise OptionError(f"labels= must be a list with one label per item, got {got}. Give one column or list.")
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
    kind = _check_names(values, modality)
    answered = modality == "language"
    modality = "text" if answered else modality or kind
    if modality not in MODALITIES:
        got = {"mixed": "different kinds", "": "nothing but missing values"}.get(kind, type(values[0]).__name__)
        raise DataError(
            f"the list must hold texts, images, sounds, vectors or images with texts, all of one kind, got {got}. "
            "Change it."
        )
    choice = Choice(
        ("input",), modality, "label", (), "group" * ("group" in columns), "split" * ("split" in columns), ()
    )
    cells = {
        name: given if name in ("input", "label") else [label_text(cell) for cell in given]
        for name, given in columns.items()
    }
    table = Table("the list", tuple(columns), lambda: iter(()))
    given = type_of(found for cell in cells["label"] for found in types_in(cell))
    column = read_column(cells["label"], "labels=", CLASSES if answered else task, given)
    rows = Columns(cells, tuple(range(len(values))), {})
    dataset = _build(rows, choice, table, column, "labels=", "Correct the labels.")
    return as_language(dataset) if answered else dataset


def _check_names(values: list[Any], modality: str | None) -> str:
    """The kind of some values, of which strings are texts unless the caller says otherwise: only a path is a file.

    Raises:
        OptionError: they look like names of files.
    """
    kind, named = kind_of(values), any(isinstance(value, str) for value in values)
    pairs = all(isinstance(value, tuple) and is_two(value) for value in values)
    if pairs and modality is None and kind_of([value[0] for value in values]) == "image":
        kind, named = IMAGE_TEXT, True
    if kind in ("image", "sound", IMAGE_TEXT) and named and modality is None:
        holds = f"{PLURAL['image']} as texts, with a text each" if kind == IMAGE_TEXT else f"{PLURAL[kind]} as texts"
        raise OptionError(
            f"the list holds names of {holds}. Say modality={kind!r} to read the files, or modality='text' to take the "
            "names themselves."
        )
    return kind


def _read_table(table: Table, wanted: Wanted, headed: bool) -> Dataset:
    read = collect(table)
    check_share(read.broken, len(read) + len(read.broken), table.source)
    if not len(read):
        raise DataError(f"{table.source} holds no rows. Add rows below the names of the columns.")
    found = annotated(read, table.source, wanted.label)
    columns, wanted = found.columns, replace(wanted, label=found.label)
    table = replace(table, notes=(*table.notes, *found.notes))
    if wanted.features is not None:
        columns, wanted, said_of = with_vectors(columns, wanted, table)
        return _built_table(columns, wanted, replace(table, notes=(*table.notes, *said_of)), headed)
    if (dataset := spans_in(columns, wanted, table)) is not None:
        return dataset
    fields = recognise(columns)
    if fields and _are_rows(columns, fields, table.source, wanted, headed):
        return language_rows(columns, fields, wanted, table)
    return _built_table(columns, wanted, table, headed)


def _built_table(columns: Columns, wanted: Wanted, table: Table, headed: bool) -> Dataset:
    """A table of items with what is wanted of each."""
    choice = _choose(columns, table, wanted, headed)
    taken = (*choice.inputs, *choice.labels, choice.label, choice.group, choice.split)
    columns, worth = weighted(columns, taken, table.source, asks=False)
    choice = replace(choice, notes=(*choice.notes, *worth))
    remedy, places = "Choose another column with --label, or correct the labels.", places_of(columns, table, taken)

    def called(at: int) -> str:
        return places.called(columns.rows[at])

    if choice.labels:
        column = read_indicators({name: columns.cells[name] for name in choice.labels}, table.source, called)
    else:
        column = read_column(
            columns.cells[choice.label],
            choice.label,
            CLASSES if wanted.modality == "language" else wanted.task,
            columns.type_of(choice.label),
            called,
        )
    where = f'column "{choice.label}"' if choice.label else f"columns {listed(choice.labels)}"
    dataset = _build(columns, choice, table, column, where, remedy if wanted.whole else None)
    named = (columns.ids or None) if choice.modality == VECTORS else choice.input
    dataset = replace(dataset, input=named, target=choice.label or None, targets=choice.labels)
    dataset = replace(dataset, group=choice.group or None)
    return as_language(dataset) if wanted.modality == "language" else dataset


def _are_rows(columns: Columns, fields: Fields, source: str, wanted: Wanted, headed: bool) -> bool:
    """Whether a table that looks like rows for a language model is not rather one of classes."""
    if wanted.label or wanted.input or wanted.modality not in (None, "language"):
        return False
    if wanted.modality or is_truth(columns, verdict_column(columns, ())):
        return True
    if are_sure(fields) and not names_classes(columns):
        return True
    try:
        choose(columns, source, wanted, headed)
    except (DataError, OptionError):
        return True
    return False


def _choose(columns: Columns, table: Table, wanted: Wanted, headed: bool) -> Choice:
    """Which column is what in a table of classes; a language model reads the same columns as a text model."""
    try:
        modality = "text" if wanted.modality == "language" else wanted.modality
        choice = choose(columns, table.source, replace(wanted, modality=modality), headed)
    except DataError as error:
        if problem := _stems(columns, list(columns.cells), table, wanted):
            raise DataError(problem) from error
        if not (wanted.label or wanted.input) and (problem := lacking(columns, table.source)):
            raise DataError(problem) from error
        raise
    if problem := _stems(columns, choice.inputs if choice.modality == "text" else (), table, wanted):
        raise DataError(problem)
    return choice


def _stems(columns: Columns, names: Sequence[str], table: Table, wanted: Wanted) -> str:
    """What to say where one of these columns holds names of pictures or sounds without their endings."""
    if table.folder is None or wanted.modality:
        return ""
    problems = (names_without_endings(columns.cells[name], name, table.source, table.folder) for name in names)
    return next(filter(None, problems), "")


def _build(columns: Columns, choice: Choice, table: Table, column: Column, where: str, remedy: str | None) -> Dataset:
    cells, rows, source, names = columns.cells, columns.rows, table.source, column.cells
    labelled = [i for i, name in enumerate(names) if name]
    if not labelled and not column.wrong:
        raise DataError(f"{source} has no labels: {where} is empty in every row. {remedy or 'Fill it.'}")
    unlabelled, why = without_labels(columns, choice, column, table.folder)
    places = places_of(columns, table, (*choice.inputs, choice.label, *choice.labels, choice.group, choice.split))
    unreadable = {**columns.broken, **{rows[i]: f"{places.called(rows[i])}: {reason}" for i, reason in why.items()}}
    check_share(unreadable, len(rows) + len(columns.broken), source)
    values = [cells[choice.inputs[0]][i] for i in labelled]
    if len(choice.inputs) > 1:
        values = [tuple(cells[name][i] for name in choice.inputs) for i in labelled]
    items, failed = make_items(values, choice.modality, table.folder)
    split = [split_in(cells[choice.split][i], rows[i]) for i in labelled] if choice.split else []
    dataset = Dataset(
        items=items,
        modality=choice.modality,
        labels=tuple(names[i] for i in labelled),
        groups=groups_in(columns, choice.group, labelled) if choice.group else None,
        split=tuple(split) if "test" in split else None,
        rows=tuple(rows[i] for i in labelled),
        places=places,
        source=source,
        task=column.task,
        label_type=column.label_type,
        notes=(
            *table.notes,
            *choice.notes,
            *column.notes,
            *split_notes(columns, choice, labelled),
            *empty_texts(items),
            *said(unlabelled),
        ),  # fmt: skip
        unreadable=unreadable,
        unlabelled=unlabelled,
    )
    dataset = dataset.without(failed)
    return dataset if remedy is None else checked_targets(dataset, where, remedy)
