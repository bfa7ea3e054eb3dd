"""What is said of a command that lacks something: what it needs, and how it is typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cyclopts import CycloptsError, MissingArgumentError

from handful.cli.given import typed
from handful.data.cells import shown
from handful.run_folder import LANGUAGE, is_run, known_runs, record_of

_EXAMPLES = "labelled examples: a folder with one sub-folder per class, or a table"
_ITEMS = "new items: a table, a folder, a file, a text in quotation marks, or - for standard input"

# Command → what it needs, and the words of a command that has it all; RUN, NEW and ROWS stand for what was given.
_NEEDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tune": (_EXAMPLES, ("SOURCE",)),
    "inspect": (_EXAMPLES, ("SOURCE",)),
    "predict": (f"a run and {_ITEMS}", ("RUN", "NEW")),
    "explain": ("a run and one item: a text in quotation marks, or a picture or sound", ("RUN", "NEW")),
    "check": ("a run and new rows, with labels or without", ("RUN", "ROWS")),
    "report": ("a run", ("RUN",)),
    "update": ("a run and new labelled rows", ("RUN", "ROWS")),
    "versions": ("a run", ("RUN",)),
    "export": ("a run and a folder to write", ("RUN", "--out", "exported")),
    "chat": ("the run of a language model", ("RUN",)),
    "serve": ("a run", ("RUN",)),
    "label": ("items without labels", ("pool",)),
    "adapt": ("items without labels and a folder to write", ("pool", "--out", "bases/mine")),
    "federated coordinator": ("how many sites will take part", ("--sites", "3")),
    "federated site": (
        "labelled rows, the address of the coordinator and a name",
        ("SOURCE", "--coordinator", "https://10.0.0.5:8470", "--name", "north"),
    ),
    "models remove": ("the name of a backbone", ("minilm-l6",)),
    "models bundle": ("a file to write", ("weights.zip",)),
    "models unbundle": ("a file that `handful models bundle` wrote", ("weights.zip",)),
}

# What a model reads → an item of that kind.
_ITEM = {"image": "photo.jpg", "sound": "clip.wav"}


def told(error: CycloptsError, words: Sequence[str]) -> str:
    """What is wrong with a command line, and what to do.

    Args:
        error: what the library says.
        words: the command line, without the name of the program.
    """
    command = " ".join(error.command_chain or ())
    if isinstance(error, MissingArgumentError) and command in _NEEDS and not _dangling(words):
        needs, example = _NEEDS[command]
        rest = words[len(command.split()) :]
        given = [word for before, word in zip(["", *rest], rest, strict=False) if not _is_option(before, word)]
        return f"{command} needs {needs}. For example: {typed(*command.split(), *_filled(example, given))}"
    return f"{shown(str(error))}\nTry `handful --help`."


def _is_option(before: str, word: str) -> bool:
    """Whether a word is an option, or the value of one before it."""
    return before.startswith("--") or (word.startswith("-") and word != "-")


def _dangling(words: Sequence[str]) -> bool:
    """Whether it is the last option that lacks its value."""
    return words[-1].startswith("--")


def _filled(example: Sequence[str], given: Sequence[str]) -> list[str]:
    """The words of an example, with the run and the items that were given where some were."""
    runs = [word for word in given if is_run(word)]
    others = [word for word in given if word not in runs]
    run = runs[0] if runs else str(next(iter(known_runs()), "runs/tickets"))
    items = others[0] if others else _item_for(run)
    sources = {"RUN": run, "NEW": items, "ROWS": others[0] if others else "new.csv", "SOURCE": "tickets.csv"}
    return [sources.get(word, word) for word in example]


def _item_for(run: str) -> str:
    record = record_of(run)
    text = record.get("kind") == LANGUAGE or record.get("modality") not in _ITEM
    return "a new text" if text else _ITEM[str(record["modality"])]
