"""What each column of a table is: input, label, group and split; named by the user or guessed, and then explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handful.data.cells import is_missing
from handful.data.input_column import choose_input, choose_two, input_note, named_columns, pair_note
from handful.data.label_column import check_header, guess_label, label_note
from handful.data.names import all_names, either, listed
from handful.data.pairs import paired_columns
from handful.data.split_names import SPLIT_NAME, split_of, splits_in
from handful.data.tables import Columns
from handful.errors import OptionError, suggestion

# In lower case.
GROUP_NAMES = (
    "group", "group_id", "speaker", "speaker_id", "patient", "patient_id", "document", "document_id", "doc_id",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """Columns that the user named; None is for guessing, an empty text is for none."""

    input: str | None = None
    """The column of texts or file names."""
    label: str | None = None
    """The column of targets, or several columns of 0 and 1 joined by commas."""
    group: str | None = None
    """The column that says what belongs together."""
    split: str | None = None
    """The column that says train or test."""
    modality: str | None = None
    """What the input must hold: text, image, sound, vectors or image+text."""
    task: str | None = None
    """What the targets are; guessed by default."""
    features: Any = None
    """Vectors that another program made of the items: a file, an array or a table, or ``columns`` for those of the
    table itself; the input is then the column of IDs."""
    beside: tuple[str, ...] = ()
    """Columns of targets that are learned from apart from this one: neither item nor group, and never missed."""
    whole: bool = True
    """Whether these rows are all that is learned from; of a part of them, the whole has to have two classes."""


@dataclass(frozen=True)
class Choice:
    """Which column is what in one table."""

    inputs: tuple[str, ...]
    """The column of the items; two where every item is a pair of texts, or a picture with its text."""
    modality: str
    """What it holds: text, image, sound, vectors or image+text."""
    label: str
    """The column of the targets; empty where none was asked for, or where they are several."""
    labels: tuple[str, ...]
    """The columns of 0 and 1 that are the targets together; empty where there is one column."""
    group: str
    """The column of groups, or empty."""
    split: str
    """The column of splits, or empty."""
    notes: tuple[str, ...]
    """What was guessed, one sentence each."""

    @property
    def input(self) -> str:
        """The same in one text, as ``--input`` names it: two columns joined by a comma."""
        return ",".join(self.inputs)


def choose(columns: Columns, source: str, wanted: Wanted, headed: bool = True) -> Choice:
    """Decide which column is what, for learning.

    Args:
        columns: the table.
        source: its name, for messages.
        wanted: what the user named.
        headed: whether the names come from the first line of a file, which may be missing.

    Raises:
        OptionError: a named column does not exist, or a guess would not be safe.
        DataError: no column can be the label or the input, or the names of the columns are missing.
    """
    several, two = _several(columns, wanted.label), _several(columns, wanted.input)
    if len(two) > 2:
        raise OptionError(
            "--input names one column, or two that belong together (texts, or images and their texts), got "
            f"{len(two)}. Name two."
        )
    one = replace(wanted, label=None if several else wanted.label, input=None if two else wanted.input)
    named = [*_named(columns, source, one), *several, *two, *(n for n in wanted.beside if n in columns.cells)]
    split = _split(columns, source, wanted, named)
    if headed and not wanted.label:
        check_header(columns, source)
    label = "" if several else wanted.label or guess_label(columns, source, [*named, split], unlikely=GROUP_NAMES)
    group = _group(columns, source, wanted, [*named, split, label])
    taken = [*named, split, label, group]
    if not wanted.input and wanted.modality in (None, "text"):
        known = paired_columns([name for name in columns.cells if name not in taken])
        two = known or ()
    if len(two) == 2:
        two, modality = choose_two(columns, source, (two[0], two[1]), wanted.modality, taken)
        inputs: tuple[str, ...] = two
    else:
        text, modality = choose_input(columns, source, wanted.input, wanted.modality, taken)
        inputs = (text,)
    notes = [
        *([] if wanted.label else [label_note(columns, label)]),
        *([] if wanted.input else [pair_note(two) if two else input_note(inputs[0], modality)]),
        *([] if wanted.group or not group else [_group_note(columns, group)]),
    ]
    notes += [why for name in columns.cells if (why := _no_group(columns, name, wanted, [*taken, *inputs]))]
    unused = [name for name in columns.cells if name not in (*inputs, label, group, split, *several, *wanted.beside)]
    if unused:
        notes.append(f"column{'s' * (len(unused) > 1)} not used: {listed(unused)}")
    return Choice(inputs, modality, label, several, group, split, tuple(notes))


def _several(columns: Columns, named: str | None) -> tuple[str, ...]:
    """The columns that a list of names joined by commas names; none where it is the name of one."""
    names = () if named is None else named_columns(named, columns.cells)
    return names if len(names) > 1 and all(name in columns.cells for name in names) else ()


def choose_parts(columns: Columns, source: str, wanted: Wanted) -> tuple[str, str, tuple[str, ...]]:
    """Decide which column says what belongs together and which says train or test, where the others are known.

    Args:
        columns: the table.
        source: its name, for messages.
        wanted: what the user named.

    Returns:
        (group, split, what was guessed); an empty name where there is none.

    Raises:
        OptionError: a named column does not exist, or a guess would not be safe.
    """
    named = _named(columns, source, wanted)
    split = _split(columns, source, wanted, named)
    group = _group(columns, source, wanted, [*named, split])
    return group, split, () if wanted.group or not group else (_group_note(columns, group),)


def _named(columns: Columns, source: str, wanted: Wanted) -> list[str]:
    asked = {"label": wanted.label, "input": wanted.input, "group": wanted.group, "split": wanted.split}
    for option, name in asked.items():
        if name and name not in columns.cells:
            raise OptionError(
                f'column "{name}", given as the {option}, is not in {source} ({all_names(columns.cells)}).'
                + (suggestion(name, columns.cells) or " Name one of these.")
            )
    named = [name for name in asked.values() if name]
    for name, times in Counter(named).items():
        if times > 1:
            raise OptionError(f'column "{name}" is named for two things at once. Name another column for one of them.')
    return named


def _group(columns: Columns, source: str, wanted: Wanted, taken: Collection[str]) -> str:
    if wanted.group is not None:
        return wanted.group
    # A group of its own for every row, or one for all rows, says nothing; "document" is then most likely the text.
    candidates = [
        name
        for name in columns.cells
        if name.lower() in GROUP_NAMES
        and name not in taken
        and 1 < len({cell for cell in columns.cells[name] if isinstance(cell, str)}) < len(columns)
    ]
    if len(candidates) > 1:
        names = all_names(columns.cells)
        raise OptionError(f"the group of {source} could be {either(candidates)} ({names}). Choose with --group.")
    return candidates[0] if candidates else ""


def _no_group(columns: Columns, name: str, wanted: Wanted, taken: Collection[str]) -> str:
    """Why a column that is called like a group is none; empty where it is one, or called otherwise."""
    if wanted.group is not None or name in taken or name.lower() not in GROUP_NAMES:
        return ""
    same = len({cell for cell in columns.cells[name] if isinstance(cell, str)}) <= 1
    says = "the same value in every row" if same else "a value of its own in every row"
    return f'column "{name}" is not taken as the group: it has {says}'


def _split(columns: Columns, source: str, wanted: Wanted, taken: Collection[str]) -> str:
    if wanted.split == "":
        return ""
    free = [name for name in columns.cells if name not in taken]
    guesses = [name for name in free if name.lower() == SPLIT_NAME]
    guesses = guesses or [name for name in free if len(splits_in(columns.cells[name])) > 1]
    for name in [wanted.split] if wanted.split else guesses[:1]:
        for cell in columns.cells[name]:
            if not split_of(cell):
                raise OptionError(
                    f'column "{name}" of {source} says which rows are for training and which for testing; it must hold '
                    f'"train" or "test" in every row, got "{cell or ""}". Correct it, or rename it to have it ignored.'
                )
        return name
    return ""


def _group_note(columns: Columns, name: str) -> str:
    values = {cell for cell in columns.cells[name] if not is_missing(cell)}
    return (
        f'column "{name}" is taken as the group: {len(values)} different values in {len(columns)} rows, '
        "never split across folds; use --group to choose another"
    )


def split_notes(columns: Columns, choice: Choice, used: Sequence[int]) -> list[str]:
    """What to tell the user about a column that says train or test.

    Args:
        columns: the table.
        choice: which column is what.
        used: positions of the rows that are used.
    """
    if not choice.split:
        return []
    cells = [columns.cells[choice.split][i].strip().lower() for i in used]
    test = sum(split_of(cell) == "test" for cell in cells)
    note = f'column "{choice.split}" is honoured as the split: {len(cells) - test} rows to train, {test} to test'
    others = sorted({cell for cell in cells if split_of(cell) == "train"} - {"train", "training"})
    return [note + (f"; {listed(others)} rows are used for training" if others else "")]
