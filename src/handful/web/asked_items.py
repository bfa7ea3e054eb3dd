"""What a program asks a model of items: texts as JSON, pictures and sounds as files, checked before they are read."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import python_multipart  # noqa: F401 - what starlette reads forms with
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from handful.data.items import make_items
from handful.data.media_bytes import MOST_TOGETHER, decoded_size, item_of_bytes
from handful.data.pairs import Pair
from handful.errors import DataError
from handful.export.bundle import Bundle
from handful.export.part_model import PartModel
from handful.web.failures import body_of
from handful.web.questions import RefusedError

if TYPE_CHECKING:
    from handful.web.item_answers import ServedModel

MOST_BYTES = 64 << 20
"""The longest body of a request."""
MOST_ITEMS = 1000
"""The most items of one request."""
MOST_NEAREST = 20
_FORM, _JSON = "multipart/form-data", "application/json"
PNG = "image/png"
"""What is sent back where a picture is wanted."""
_FILE_KINDS = ("image/", "audio/", "application/octet-stream")
BODIES = (_JSON, _FORM, *_FILE_KINDS)
"""What a body may be, by its Content-Type."""
_FIELD = "file"
Body = TypeVar("Body", bound=BaseModel)


class Wanted(BaseModel):
    """What is said about each answer beside the answer."""

    model_config = ConfigDict(extra="forbid")

    nearest: Annotated[int, Field(ge=0, le=MOST_NEAREST)] = 0
    """How many training rows most like each item are named."""
    explain: bool = False
    """Whether it is said what the answer hangs on; for one item only, and it takes as long as some twenty answers."""


class WantedOfFiles(Wanted):
    """The same of answers to pictures and sounds."""

    drawn: bool = False
    """Whether each answer is drawn too, as PNG in base64: of defects a heat map, of masks the mask, and boxes."""


class Question(Wanted):
    """The body of ``POST /predict`` for texts."""

    items: Annotated[list[str | tuple[str, str]], Field(min_length=1, max_length=MOST_ITEMS)]
    """Texts; for a model of pairs, lists of two texts."""


@dataclass(frozen=True)
class Asked:
    """What one request asks about."""

    items: list[Any]
    """N items as the model takes them; what cannot be read stands as it came."""
    failed: dict[int, str]
    """Position → why that item cannot be read."""
    wanted: Wanted
    """What is said beside the answers."""
    picture: bool = False
    """Whether the answer is to be a picture and nothing else."""

    @property
    def draws(self) -> bool:
        """Whether answers are drawn."""
        return self.picture or (isinstance(self.wanted, WantedOfFiles) and self.wanted.drawn)


async def read_asked(request: Request, served: ServedModel) -> Asked:
    """Read the body of a request to a model.

    Raises:
        RefusedError: it is none, is too large, or asks for what cannot be given.
    """
    asked = replace(await _read(request, served.model), picture=_wants_picture(request, served))
    check_wanted(asked.wanted, served)
    if asked.picture and len(asked.items) > 1:
        raise RefusedError(
            f"one picture at a time is answered with a picture, got {len(asked.items)}. Ask about each by itself, or "
            "for application/json with drawn=true.", "file", 422,
        )  # fmt: skip
    return asked


def _wants_picture(request: Request, served: ServedModel) -> bool:
    """Whether a picture is wanted as the answer, by the first kind that is said to be welcome.

    Raises:
        RefusedError: this model draws none.
    """
    if request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower() != PNG:
        return False
    if served.parts is None or served.parts.draws is None:
        raise RefusedError(
            f"{served.name} answers with values and draws nothing, got Accept: {PNG}. Ask for {_JSON}.", status=406
        )
    return True


def check_wanted(wanted: Wanted, served: ServedModel) -> None:
    """Refuse what this kind of model does not say beside its answers.

    Raises:
        RefusedError: it was asked for.
    """
    parts, task = served.parts, served.model.task.name
    if wanted.explain and not served.explains:
        raise RefusedError(
            f"explain is for models whose answer hangs on something that can be left out, got a model of {task}, which "
            "tells all that it sees. Leave it out.", "explain", 422,
        )  # fmt: skip
    if isinstance(wanted, WantedOfFiles) and wanted.drawn and (parts is None or parts.draws is None):
        raise RefusedError(
            "drawn is for models of defects, masks or boxes in pictures, got a model of "
            f"{task} of {served.model.modality}s. Leave it out.", "drawn", 422,
        )  # fmt: skip
    if wanted.nearest and parts is not None:
        raise RefusedError(
            f"nearest is for models that keep their training rows, got a model of {task}. Leave it out.", "nearest", 422
        )


async def _read(request: Request, model: Bundle | PartModel) -> Asked:
    """The items of a request as the model takes them, and what is wanted of them."""
    kind = kind_of(request.headers)
    if model.modality == "text":
        if kind != _JSON:
            raise RefusedError(
                f"this model answers texts, which are sent as {_JSON}, got {kind or 'nothing'!r}. "
                'Send {"items": ["a text", "another"]}.',
                status=415,
            )
        body = await body_of(request, MOST_BYTES, "Send fewer texts at a time.")
        return _texts(checked(Question, parsed(body)), model)
    if kind.startswith(_FILE_KINDS):
        body = await body_of(request, MOST_BYTES, "Make the file smaller.")
        return await _files([body], model.modality, checked(WantedOfFiles, dict(request.query_params)))
    if kind == _FORM:
        body = await body_of(request, MOST_BYTES, "Send fewer files at a time.")
        contents, fields = await form_of(body, request.headers)
        return await _files(contents, model.modality, checked(WantedOfFiles, fields))
    noun = {"image": "pictures", "sound": "sounds"}[model.modality]
    raise RefusedError(
        f"this model answers {noun}, which are sent as {_FORM} (fields called {_FIELD}) or as the file itself, got "
        f"{kind or 'nothing'!r}. For example: curl -F {_FIELD}=@name http://…/predict",
        status=415,
    )


def kind_of(headers: Headers) -> str:
    """The Content-Type of a request, without what follows it."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def parsed(body: bytes, example: str = '{"items": ["a text", "another"]}') -> Any:
    """A body as JSON.

    Args:
        body: as it came.
        example: of what it may be.

    Raises:
        RefusedError: it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"the body must be JSON, but it cannot be read ({error}). Send {example}.") from error


def checked(kind: type[Body], fields: Any) -> Body:
    """Fields as a body.

    Raises:
        RefusedError: what is wrong with the first that cannot be.
    """
    try:
        return kind.model_validate(fields, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # Of what may be one thing or another each way is told; the place of the value is enough.
        place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("str", "tuple")))
        what = place or "the body"
        raise RefusedError(f"{what} is not as it must be: {first['msg']}. Correct it.", place or None, 422) from error


def _texts(question: Question, model: Bundle | PartModel) -> Asked:
    """Texts, or pairs of texts, as the model takes them."""
    _one_explained(len(question.items), question)
    for at, item in enumerate(question.items):
        one_pair(f"items.{at}", item, model.pairs)
    items, failed = make_items(
        [Pair(*item) if isinstance(item, tuple) else item for item in question.items], "text", None
    )
    return Asked(items, failed, question)


def one_pair(place: str, item: str | tuple[str, str], pairs: bool) -> None:
    """Refuse a text for a model of pairs, and two for one of texts.

    Raises:
        RefusedError: it is the other kind.
    """
    if isinstance(item, tuple) != pairs:
        must, got = ("two texts, as [first, second]", "one") if pairs else ("one text", "two")
        field = place.partition(".")[0]
        raise RefusedError(f"{place} must be {must}, got {got}. Send what the model learned from.", field, 422)


async def form_of(body: bytes, headers: Headers) -> tuple[list[bytes], dict[str, str]]:
    """The files of a form, and its other fields.

    Raises:
        RefusedError: it cannot be read.
    """

    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(headers, stream(), max_files=MOST_ITEMS, max_fields=10, max_part_size=1024)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(
            f"the form cannot be read ({error.message}). Send files in fields called {_FIELD}."
        ) from error
    contents: list[bytes] = []
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            contents.append(await value.read())
        else:
            fields[name] = value
    await form.close()
    return contents, fields


async def _files(contents: list[bytes], modality: str, wanted: Wanted) -> Asked:
    """Encoded pictures or sounds as the model takes them, decoded in another thread."""
    if not contents:
        raise RefusedError(f"there must be at least one file, got none. Send files in fields called {_FIELD}.", _FIELD)
    _one_explained(len(contents), wanted)
    items: list[Any] = []
    failed: dict[int, str] = {}
    most, unit, size = MOST_TOGETHER[modality]
    decoded = 0.0
    for at, content in enumerate(contents):
        try:
            items.append(await run_in_threadpool(item_of_bytes, content, modality))
        except DataError as error:
            items.append(io.BytesIO())
            failed[at] = str(error)
            continue
        decoded += decoded_size(items[-1], modality)
        if decoded > most:
            raise RefusedError(
                f"the files of one request must have at most {most / size:.0f} {unit} together, got more. Send fewer "
                "at a time.", _FIELD, 413,
            )  # fmt: skip
    return Asked(items, failed, wanted)


def _one_explained(count: int, wanted: Wanted) -> None:
    if wanted.explain and count > 1:
        raise RefusedError(f"explain is for one item at a time, got {count}. Ask about each by itself.", "explain", 422)
