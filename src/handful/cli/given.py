"""What a command was given by name: a run, a source, a backbone, each checked before anything heavy is loaded."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from handful.cli.printing import put_notes
from handful.data.cells import shown
from handful.errors import BundleError, DataError, OptionError
from handful.run_folder import (
    LANGUAGE,
    RECORD,
    SCORES,
    heads_of,
    is_onnx,
    is_run,
    model_folder,
    no_run,
    record_of,
    run_with,
)

if TYPE_CHECKING:
    from handful.data.streams import Source

# What looks like a path or the name of a file.
_PATH = re.compile(r"[/\\]|\.[A-Za-z]\w{0,4}$")

# Words that stand for something in hints and in the help.
_PLACEHOLDERS = ("NEW", "SOURCE", "ROWS", "POOL", "RUN", "ITEM", "FILE")


def typed(*words: str | Path) -> str:
    """A command as it is typed: names with blanks are quoted."""
    return shlex.join(["handful", *map(str, words)])


def place(out: str) -> Path:
    """Where a result goes; bash leaves the ~ of ``--out=~/runs`` for us to read."""
    return Path(out).expanduser() if out.startswith("~/") else Path(out)


def check_model(run: str, command: str, *rest: str) -> None:
    """Refuse what is no run and no model, and say what was meant.

    Args:
        run: what was given as the run.
        command: the command that it was given to.
        rest: what follows it.

    Raises:
        BundleError: it is none.
    """
    if (model_folder(run) / RECORD).is_file() or (command == "serve" and is_onnx(run)):
        return
    refuse_heads(run, command)
    if rest and is_run(rest[0]):
        raise BundleError(f"the run comes first. Run: {typed(command, rest[0], run, *rest[1:])}")
    _check_part(run, command, *rest)
    raise no_run(run, "a run folder or its model folder", RECORD)


def check_scored(run: str, command: str) -> None:
    """Refuse what is no run folder.

    Raises:
        BundleError: it is none.
    """
    if (Path(run) / SCORES).is_file():
        return
    refuse_heads(run, command)
    _check_part(run, command)
    raise no_run(run, "a run folder", SCORES)


def _check_part(run: str, command: str, *rest: str) -> None:
    """Refuse a part of a run, such as its report, or a copy of its model in ONNX, given in place of the run."""
    if is_onnx(run):
        raise BundleError(
            f"{shown(run)} holds a copy of a model in ONNX, which answers by itself (python "
            f"{shown(str(Path(run) / 'run.py'))} ITEM). For {command} name the run that it was exported from."
        )
    whole = run_with(run)
    if whole is not None and Path(run).exists():
        raise BundleError(f"{shown(run)} is a part of a run, which is named whole. Run: {typed(command, whole, *rest)}")
    if whole is None and Path(run).is_file():
        raise BundleError(
            f"{shown(run)} must be a run folder, got a file. Make a run of labelled examples with `handful tune`, and "
            "name its folder."
        )


def refuse_heads(run: str, command: str) -> None:
    """Refuse the folder of several targets where one is wanted.

    Raises:
        BundleError: it is such a folder.
    """
    heads = heads_of(run)
    if heads:
        first = next(iter(heads.values()))
        raise BundleError(
            f"{shown(run)} holds the runs of several targets ({', '.join(map(shown, heads))}), and this command is for "
            f"one of them. Name its folder. Run: {typed(command, first)}"
        )


def check_backbone(wanted: str, *also: str) -> None:
    """Refuse names of backbones that nothing has.

    Args:
        wanted: names joined by commas.
        also: what else can be said in their place, beside ``auto``.

    Raises:
        OptionError: nothing has one of the names.
    """
    if wanted in ("auto", *also):
        return
    from handful.backbones.catalog import check_name

    for name in filter(None, map(str.strip, wanted.split(","))):
        check_name(name)


def check_source(source: str, what: str) -> None:
    """Refuse a run where items are wanted.

    Args:
        source: what was given.
        what: what is wanted.

    Raises:
        OptionError: it is a run, or stands for a name in a hint.
    """
    if source in _PLACEHOLDERS and not Path(source).exists():
        raise OptionError(f"{source} stands for {what}. Put the name of yours in its place.")
    if is_run(source):
        raise OptionError(
            f"{shown(source)} is a run, not {what}. Use it with `{typed('predict', source, 'NEW')}`, where NEW is a "
            "table, a folder, a file, or a text in quotation marks."
        )


@contextmanager
def items_of(source: str, run: str) -> Iterator[Source]:
    """What is to be answered: a file or folder, standard input, or a text that was typed.

    Args:
        source: what was given: a path, ``-``, or a text.
        run: the run, which is known to be one.

    Raises:
        DataError: it is no path, and no text for a model of texts either; or standard input cannot be read.
        OptionError: it is a run.
    """
    from handful.data.sources import exists, nearest_name, that_exists
    from handful.data.typed_items import Typed, standard_input

    record = record_of(run)
    modality = "text" if record.get("kind") == LANGUAGE else str(record.get("modality"))
    if source == "-":
        if sys.stdin is None:
            raise DataError("standard input must be open to be read, got a closed one. Name a file.")
        if sys.stdin.isatty():
            put_notes(["one item per line; Ctrl-D on a line of its own ends"])
        column = record.get("input")
        with standard_input(sys.stdin.buffer, column if isinstance(column, str) else None, modality) as table:
            yield table
        return
    check_source(source, "new items")
    if modality != "text" and len(source.split()) > 1 and not exists(Path(source)):
        from handful.data.items import PLURAL

        near = nearest_name(Path(source)) or " Name a file, a folder or a table."
        raise DataError(
            f"{shown(source)} does not exist, and no text is an item for a model of {PLURAL[modality]}.{near}"
        )
    if modality != "text" or not source.strip() or exists(Path(source)):
        yield that_exists(source)
        return
    _check_text(source, run)
    yield Typed(source)


def _check_text(source: str, run: str) -> None:
    """Refuse what does not exist where it may be the name of a file as well as a text.

    Raises:
        DataError: it may be.
    """
    from handful.data.media_names import media_kind
    from handful.data.sources import nearest_name, that_exists
    from handful.data.tables import TABLE_SUFFIXES

    word, near = len(source.split()) == 1, nearest_name(Path(source))
    file = Path(source.strip()).suffix.lower() in (*TABLE_SUFFIXES, ".txt") or bool(media_kind(source))
    if word and file:
        that_exists(source)
    if file or (word and (near or _PATH.search(source))):
        raise DataError(
            f"{shown(source)} does not exist.{near or ' Check the path.'} If it is a text: "
            f"echo {shlex.quote(shown(source))} | {typed('predict', run, '-')}"
        )
