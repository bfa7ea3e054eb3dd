"""What the page sends, checked before anything is done with it: answers, taking back, classes, the wish for a model."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from handful.answer_store import Answer
from handful.data.cells import is_blank, shown
from handful.web.failures import body_of
from handful.web.labelling.session import GIVEN
from handful.web.questions import RefusedError

MOST_BYTES = 1 << 20
"""The longest JSON body."""
MOST_ANSWERS = 200
"""The most answers of one request."""
MOST_SHOWN = 60
"""The most items that are shown at once."""

Id = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{8,64}$")]
Item = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Person = Annotated[str, Field(max_length=60)]
Body = TypeVar("Body", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class OneAnswer(_Strict):
    """What somebody did about one item."""

    id: Id
    """Made by the page: an answer that is sent twice is kept once."""
    item: Item
    """The item, by its content."""
    act: Literal["label", "skip", "unsure"]
    """What was done."""
    label: Annotated[str, Field(max_length=100_000)] | None = None
    """What is right."""
    asked: Literal["typical", "informative", "control", "searched", "alike", "second look"] = "searched"
    """Why it was asked."""


class Answers(_Strict):
    """The body of ``POST /answers``."""

    person: Person = ""
    """Who."""
    answers: Annotated[list[OneAnswer], Field(min_length=1, max_length=MOST_ANSWERS)]
    """What was done; all of it is kept or nothing."""

    def as_kept(self) -> list[Answer]:
        """As they are kept, but for what the model had thought."""
        return [
            Answer(one.item, one.act, one.label, self.person, one.asked, id=one.id) for one in self.answers
        ]  # fmt: skip


class Back(_Strict):
    """The body of ``POST /undo``."""

    id: Id
    """Made by the page: sent twice, it is done once."""
    person: Person = ""
    """Whose last answer is taken back."""


class NewClass(_Strict):
    """The body of ``POST /classes``."""

    name: Annotated[str, Field(max_length=1000)]
    """What it is called."""


class Wish(_Strict):
    """The body of ``POST /model``."""

    budget: Literal["0", "30s", "1min", "5min"] = "1min"
    """How long making the model may take."""


class Looked(BaseModel):
    """What a request for items says in its address."""

    model_config = ConfigDict(extra="forbid")

    person: Person = ""
    """Who asks."""
    count: Annotated[int, Field(ge=1, le=MOST_SHOWN)] = 12
    """How many."""
    text: Annotated[str, Field(max_length=1000)] = ""
    """What is looked for."""
    item: Item | None = None
    """What they have to be like."""


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The body of a request.

    Raises:
        RefusedError: it is none, too long, or not as it must be.
    """
    content = await body_of(request, MOST_BYTES, "Send less at a time.")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"the body must be JSON, but it cannot be read ({error}). Correct it.") from error
    return checked(kind, found)


def checked(kind: type[Body], fields: Any) -> Body:
    """Fields as a body.

    Raises:
        RefusedError: the first that is not as it must be is named.
    """
    try:
        found = kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RefusedError(
            f"{shown(place)[:100] or 'the body'} is not as it must be: {first['msg']}. Correct it.", place or None, 422
        ) from error
    person = getattr(found, "person", "")
    if person == GIVEN or person != shown(person) or (person and is_blank(person)):
        raise RefusedError(
            "person must be a name that can be seen, and not the pool's own. Choose another.", "person", 422
        )
    return found
