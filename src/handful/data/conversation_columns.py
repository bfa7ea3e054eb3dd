"""Which columns of a table make instruction or preference rows, and the rows that they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace

from handful.data.cells import is_missing, label_text, shown
from handful.data.conversations import Conversation, Fields, Preference, Row, messages_in, read_row
from handful.data.items import kind_of
from handful.data.label_column import LABEL_NAMES, could_be_label
from handful.data.names import all_names, listed
from handful.data.places import Places
from handful.data.tables import Columns
from handful.data.targets import number_of
from handful.errors import DataError

# In lower case; an earlier name is taken before a later one.
_PROMPTS = ("prompt", "instruction")
_ANSWERS = ("response", "output", "completion", "answer")
_MESSAGES = ("messages", "conversations")
# Names that other tables have too, with the answers to them: rows only where nothing else is there to learn.
_LATER = {
    "question": (*_ANSWERS, "reply"),
    "query": (*_ANSWERS, "reply"),
    "input": ("output", "response"),
    "user": ("assistant",),
}
# Names that ask something whatever stands beside them.
_QUESTIONS = ("question", "query")

# What an instruction may be about, as its data sets call it.
_MORE = ("input", "context")

# What a model could call, as chats of other programs list it.
_TOOLS = ("tools", "functions")


@dataclass(frozen=True)
class Rows:
    """The rows of a table, and where they stand in it."""

    items: tuple[Row, ...]
    """M rows, all instructions or all preferences."""
    positions: tuple[int, ...]
    """Position among the good rows of the table of each of them."""
    unreadable: dict[int, str]
    """Zero-based position in the table of every other row → why it is none."""
    used: Fields
    """The columns that they were made of."""

    @property
    def note(self) -> str:
        """What was recognised, one sentence."""
        used, count = self.used, len(self.items)
        rows = f"{count} row{'s' * (count != 1)}"
        if used.chosen and used.prompt:
            return (
                f'{_prompt(used)}, "{used.chosen}" and "{used.rejected}" are taken as the prompt, the better and the '
                f"worse answer: {rows}"
            )
        if used.chosen:
            return f'"{used.chosen}" and "{used.rejected}" are taken as the better and the worse conversation: {rows}'
        ways = [f'"{used.messages}" is taken as a conversation that ends with the answer'] if used.messages else []
        if used.answer:
            ways.append(f'{_prompt(used)} and "{used.answer}" are taken as instruction and answer')
        return f"{', '.join(ways)}: {rows}"


def recognise(columns: Columns) -> Fields | None:
    """Find the columns of instruction or preference rows by their names; None where they are not there.

    Preferences come before conversations, and these before a prompt with its answer.
    """
    named = {name.lower(): name for name in columns.cells}

    def first(names: tuple[str, ...]) -> str:
        return next((named[name] for name in names if name in named), "")

    prompt, answer = first(_PROMPTS), first(_ANSWERS)
    if not prompt:
        pairs = ((named[one], first(answers)) for one, answers in _LATER.items() if one in named)
        prompt, answer = next((pair for pair in pairs if all(_are_free(columns, name) for name in pair)), ("", answer))
    # A column of texts may be called "messages" too, or chosen and rejected things have another meaning.
    messages = next((named[name] for name in _MESSAGES if name in named and _has_lists(columns, named[name])), "")
    chosen, rejected = first(("chosen",)), first(("rejected",))
    if not (chosen and rejected and (prompt or _has_lists(columns, chosen))):
        chosen = rejected = ""
    if not (prompt and answer):
        answer = ""
    if not (chosen or messages or answer):
        return None
    more = _more(named, prompt) if answer or chosen else ""
    return Fields(prompt if answer or chosen else "", more, answer, messages, chosen, rejected)


def questions(columns: Columns) -> Fields | None:
    """Find the columns that ask something, answered or not, by their names; None where no name says so."""
    named = {name.lower(): name for name in columns.cells}
    prompt = next((named[name] for name in (*_PROMPTS, *_QUESTIONS) if name in named), "")
    messages = next((named[name] for name in _MESSAGES if name in named and _has_lists(columns, named[name])), "")
    return Fields(prompt, _more(named, prompt), messages=messages) if prompt or messages else None


def are_sure(fields: Fields) -> bool:
    """Whether the names alone say that rows are prompts and answers."""
    return fields.prompt.lower() not in _LATER


def _more(named: Mapping[str, str], prompt: str) -> str:
    """The column that says what a prompt is about, where there may be one beside it."""
    beside = {"instruction": _MORE, "question": _MORE[1:]}.get(prompt.lower(), ())
    return next((named[name] for name in beside if name in named), "")


def _are_free(columns: Columns, name: str) -> bool:
    """Whether a column, where there is one of that name, holds texts that are neither classes nor numbers."""
    cells = columns.cells.get(name, [])
    numbers = all(number_of(label_text(cell)) is not None for cell in cells if not is_missing(cell))
    return kind_of(cells) == "text" and not numbers and not could_be_label(columns, name)


def names_classes(columns: Columns) -> bool:
    """Whether a column is called as labels are, so that the table may be one of classes."""
    return any(name.lower() in tier for name in columns.cells for tier in LABEL_NAMES)


def lacking(columns: Columns, source: str) -> str:
    """The message for a table that has one part of such rows but not the others; empty for every other table."""
    named = {name.lower(): name for name in columns.cells}
    found = [named[name] for name in (*_PROMPTS, *_MESSAGES, "chosen", "rejected") if name in named]
    if not found:
        return ""
    return (
        f"{source} has {listed(found)} but not all that a row needs ({all_names(columns.cells)}). Give a prompt and a "
        'response, "messages" that end with the answer, or a prompt with "chosen" and "rejected".'
    )


def rows_of(columns: Columns, fields: Fields, source: str, places: Places) -> Rows:
    """Make the rows of a table.

    Args:
        columns: the table.
        fields: from ``recognise``.
        source: its name, for messages.
        places: what its rows are called.

    Raises:
        DataError: some rows are instructions and others are preferences.
    """
    names = [name for name in astuple(fields) if name]
    items: list[Row] = []
    positions, unreadable = [], dict(columns.broken)
    for position, row in enumerate(columns.rows):
        item, why = read_row({name: columns.cells[name][position] for name in names}, fields)
        if item is None:
            unreadable[row] = f"{places.called(row)}: {why}"
            continue
        items.append(item)
        positions.append(position)
    kinds = Counter(type(item) for item in items)
    if len(kinds) > 1:
        raise DataError(
            f"{source} mixes {kinds[Conversation]} instruction rows and {kinds[Preference]} preference rows, which "
            "are learned in different ways. Put each kind into a file of its own."
        )
    used = replace(fields, messages="", answer="") if kinds[Preference] else replace(fields, chosen="", rejected="")
    return Rows(tuple(items), tuple(positions), unreadable, used)


def unused(columns: Columns, used: Fields, *others: str) -> tuple[str, ...]:
    """Notes on the columns that nothing was read from, where there are any."""
    names = [name for name in columns.cells if name not in (*astuple(used), *others)]
    tools = [name for name in names if name.lower() in _TOOLS and not all(map(is_missing, columns.cells[name]))]
    said = [f'column "{shown(name)}" is not used: answers are learned as if there were no tools' for name in tools]
    names = [name for name in names if name not in tools]
    return (*said, *([f"column{'s' * (len(names) > 1)} not used: {listed(names)}"] if names else []))


def _has_lists(columns: Columns, name: str) -> bool:
    return any(messages_in(cell) is not None for cell in columns.cells[name])


def _prompt(used: Fields) -> str:
    return f'"{used.prompt}"' + (f' (with "{used.more}" below it)' if used.more else "")
