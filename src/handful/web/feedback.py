"""Corrections that a program or a page sends: checked by what the model answers, or refused with what it can answer."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from handful.answer_store import StoredItem
from handful.data.items import make_items
from handful.data.media_bytes import item_of_bytes
from handful.data.names import listed
from handful.data.pairs import Pair
from handful.data.target_column import read_column
from handful.data.targets import LONGEST_LABEL, in_order, join_labels, names_in, takes_lists
from handful.errors import DataError, suggestion
from handful.export.bundle import Bundle
from handful.web.asked_items import MOST_BYTES, checked, form_of, kind_of, one_pair, parsed
from handful.web.failures import body_of
from handful.web.item_answers import Answered
from handful.web.questions import RefusedError

MOST_REMEMBERED = 10_000
"""So many answers are remembered, to know what is corrected."""
LONGEST = 20_000
"""The most characters of a text that is kept."""

# How files begin → the ending by which their kind is known.
_BEGIN = {
    "image": ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"GIF8", ".gif"), (b"BM", ".bmp"), (b"RIFF", ".webp")),
    "sound": ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"FORM", ".aiff"), (b"ID3", ".mp3")),
}
_OTHERS = {"image": ".tif", "sound": ".mp3"}


class Correction(BaseModel):
    """The body of ``POST /feedback`` for texts; of files the fields of the form beside ``file``."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str | float | list[Annotated[str, Field(max_length=200)]], Field(union_mode="left_to_right")]
    """What is right: a class, a list of labels, a rating or a number."""
    answer_id: Annotated[str, Field(max_length=64)] | None = None
    """The id of the answer that is corrected."""
    new_class: bool = False
    """Whether a name that the model does not know is meant as a new one."""
    person: Annotated[str, Field(max_length=100)] = ""
    """Who says so."""


class TextCorrection(Correction):
    """The body of ``POST /feedback`` for texts."""

    item: (
        Annotated[str, Field(max_length=LONGEST)]
        | tuple[Annotated[str, Field(max_length=LONGEST)], Annotated[str, Field(max_length=LONGEST)]]
    )
    """The text; for a model of pairs, a list of two texts."""


@dataclass(frozen=True)
class Corrected:
    """A correction that can be stored."""

    item: StoredItem | tuple[bytes, str]
    """What is corrected: a text, or the bytes of a file and a name with the ending that they call for."""
    value: Any
    """The same as the model takes it."""
    label: str
    """What is right, as a column of labels holds it."""
    said: Correction
    """What else was said."""


async def read_correction(request: Request, model: Bundle) -> Corrected:
    """Read the body of a correction.

    Args:
        request: whose.
        model: which answered.

    Raises:
        RefusedError: it is none, is too large, or names what the model cannot answer.
    """
    kind = kind_of(request.headers)
    must = "application/json" if model.modality == "text" else "multipart/form-data"
    if kind != must:
        example = '{"item": "a text", "label": "a class"}' if model.modality == "text" else "the fields file and label"
        raise RefusedError(
            f"a correction to this model is sent as {must}, got {kind or 'nothing'!r}. Send {example}.", status=415
        )
    body = await body_of(request, MOST_BYTES, "Send a smaller item.")
    if model.modality == "text":
        said = checked(TextCorrection, parsed(body, '{"item": "a text", "label": "a class"}'))
        one_pair("item", said.item, model.pairs)
        item = Pair(*said.item) if isinstance(said.item, tuple) else said.item
        (value,), failed = make_items([item], "text", None)
        if failed:
            raise RefusedError(f"item cannot be read: {failed[0]}. Send another.", "item", 422)
        return Corrected(StoredItem.of(item, "text"), value, label_of(said, model), said)
    contents, fields = await form_of(body, request.headers)
    if len(contents) != 1:
        raise RefusedError(
            f"a correction is of one file, got {len(contents)}. Send one in the field file.", "file", 422
        )
    told = checked(Correction, fields)
    try:
        value = await run_in_threadpool(item_of_bytes, contents[0], model.modality)
    except DataError as error:
        raise RefusedError(f"file cannot be read: {error}", "file", 422) from error
    return Corrected((contents[0], f"item{_ending(contents[0], model.modality)}"), value, label_of(told, model), told)


def label_of(said: Correction, model: Bundle) -> str:
    """What is right, as a column of labels holds it.

    Raises:
        RefusedError: the model can answer no such thing.
    """
    task, raw = model.task, said.label
    if isinstance(raw, list) and not takes_lists(task.name):
        raise RefusedError(f"label must be one {task.nouns[0]}, got a list. Send one.", "label", 422)
    if isinstance(raw, float) and raw.is_integer() and model.labels:
        raw = str(int(raw))
    try:
        column = read_column([raw], "label", task.name)
    except DataError as error:
        raise RefusedError(f"label cannot be read: {error}", "label", 422) from error
    cell = column.cells[0]
    if column.wrong or not cell:
        why = next(iter(column.wrong.values()), "it is empty")
        raise RefusedError(f"label must be {task.about.removeprefix('the ')}, but {why}. Correct it.", "label", 422)
    names = names_in(cell, task.name)
    unknown = [name for name in names if name not in model.labels] if model.labels else []
    if not unknown:
        return cell
    if in_order(task.name):
        raise RefusedError(
            f"label must be one of {listed(model.labels)}, got {unknown[0]!r}: where a new rating stands in their "
            "order is not known. Tune again with it.", "label", 422, "unknown_class",
        )  # fmt: skip
    if task.decided(model.labels):
        raise RefusedError(
            f"label must be one of {listed(model.labels)}, got {unknown[0]!r}: the model chooses between these two by "
            "a threshold (--must-find). Tune again with it.", "label", 422, "unknown_class",
        )  # fmt: skip
    if not said.new_class:
        near = suggestion(unknown[0], model.labels)
        raise RefusedError(
            f"label must be one of {listed(model.labels)}, got {unknown[0]!r}.{near} Correct it, or say "
            '"new_class": true if it is a new one.', "label", 422, "unknown_class",
        )  # fmt: skip
    if any(len(name) > LONGEST_LABEL for name in unknown):
        raise RefusedError(f"a new class must have at most {LONGEST_LABEL} characters. Shorten it.", "label", 422)
    return cell


@dataclass(frozen=True)
class Remembered:
    """An answer that can be corrected later."""

    model: str
    """The name of the run."""
    answer: str
    """What was answered."""
    confidence: float
    """How sure it was."""
    version: str
    """Which version answered."""

    @classmethod
    def of(cls, name: str, one: Answered) -> Remembered:
        """What is remembered of an answer.

        Args:
            name: of the model.
            one: the answer.
        """
        said = one.row["answer"]
        if isinstance(said, list) and not takes_lists(one.by.model.task.name):
            text = json.dumps(said, ensure_ascii=False)  # spans or events, which say more than their names
        else:
            text = join_labels(said) if isinstance(said, list) else str(said)
        return cls(name, text, float(one.row["confidence"]), one.by.version)


class Memory:
    """The last answers by their ids; the oldest are forgotten."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        """Begin empty.

        Args:
            most: how many are remembered.
        """
        self._most, self._lock = most, Lock()
        self._answers: OrderedDict[str, Remembered] = OrderedDict()

    def put(self, key: str, answer: Remembered) -> None:
        """Remember an answer."""
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)

    def get(self, key: str, model: str) -> Remembered:
        """An answer of a model.

        Raises:
            RefusedError: it is not remembered.
        """
        with self._lock:
            found = self._answers.get(key)
        if found is None or found.model != model:
            raise RefusedError(
                f"answer_id must be that of one of the last {self._most:,} answers of {model}, got {key!r}. Leave it "
                "out if the answer is older.", "answer_id", 422,
            )  # fmt: skip
        return found


def _ending(content: bytes, modality: str) -> str:
    """The ending of a file by what is in it, whatever its sender called it."""
    return next((ending for begin, ending in _BEGIN[modality] if content.startswith(begin)), _OTHERS[modality])
