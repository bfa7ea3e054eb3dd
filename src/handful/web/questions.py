"""What a client asks, as OpenAI defines it: the body of a request for a chat completion, checked, or refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handful.backbones.language import Sampling
from handful.data.conversations import Message, asked
from handful.errors import DataError

# The highest temperature, and the most texts that end an answer, as OpenAI has them.
_HOTTEST, _MOST_STOPS = 2.0, 4

# Seeds may be negative in other programs; here they may not, and no two become one.
_SEEDS = 1 << 64


class RefusedError(Exception):
    """A request that is not answered, and what OpenAI's clients are told then."""

    def __init__(self, message: str, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        """Say why.

        Args:
            message: which field, must be what, got what, and what to do.
            param: the field.
            status: of the HTTP response; from 500 on it is the server's fault.
            code: a name of the problem that programs can compare.
        """
        super().__init__(message)
        self.param, self.status, self.code = param, status, code

    def body(self) -> dict[str, Any]:
        """The error as OpenAI writes it."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        # What was sent may hold halves of characters, which cannot be sent back.
        message = str(self).encode("utf-8", "replace").decode()
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class Question:
    """A request for a chat completion."""

    messages: tuple[Message, ...]
    """The conversation so far; the last turn is the user's."""
    sampling: Sampling
    """How tokens are chosen, and how many at most."""
    stops: tuple[str, ...]
    """Texts that end the answer and are no part of it."""
    stream: bool
    """Whether the answer is told piece by piece."""
    usage: bool
    """Whether a stream ends with how many tokens were used."""


def read_question(body: bytes, model: str, usual: Sampling) -> Question:
    """Check a request.

    Args:
        body: JSON; fields that are not known are ignored.
        model: what the model that answers is called.
        usual: how tokens are chosen where the request does not say.

    Raises:
        RefusedError: the body is no such request, or asks for what is not there.
    """
    fields = _fields(body)
    name = fields.get("model")
    if name is not None and name != model:
        raise no_model(name, model)
    if fields.get("n") not in (None, 1):
        raise RefusedError(
            f"n must be 1, for one answer is given at a time, got {_shown(fields['n'])}. Leave it out and ask several "
            "times, each with another seed.",
            "n",
        )
    options = fields.get("stream_options")
    sampling = replace(
        usual,
        most=_most(fields, usual.most),
        temperature=_temperature(fields, usual.temperature),
        seed=_seed(fields, usual.seed),
    )
    return Question(
        _messages(fields), sampling, _stops(fields.get("stop")), _flag(fields, "stream"),
        _flag(options, "include_usage") if isinstance(options, Mapping) else False,
    )  # fmt: skip


def asked_model(body: bytes, models: Sequence[str]) -> str:
    """Which of several models a request asks; the first where it does not say.

    Args:
        body: JSON.
        models: what they are called.

    Raises:
        RefusedError: there is no such model, or the body is no request.
    """
    name = _fields(body).get("model")
    if name is None:
        return models[0]
    if name not in models:
        raise no_model(name, *models)
    return str(name)


def no_model(name: Any, *models: str) -> RefusedError:
    """What to say to somebody who asks another model than those that are there."""
    here = " or ".join(map(repr, models)) + ", the only one here" * (len(models) == 1)
    return RefusedError(
        f"model must be {here}, got {_shown(name)}. Change it or leave it out.",
        "model", 404, "model_not_found",
    )  # fmt: skip


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            f"the body must be JSON, but it cannot be read ({error}). Send an object with model and messages."
        ) from error
    if not isinstance(payload, dict):
        raise RefusedError(
            f"the body must be a JSON object, got {_shown(payload)}. Send an object with model and messages."
        )
    return payload


def _messages(fields: Mapping[str, Any]) -> tuple[Message, ...]:
    given = fields.get("messages")
    if not isinstance(given, list):
        got = "nothing" if given is None else _shown(given)
        raise RefusedError(f"messages must be a list of messages with role and content, got {got}.", "messages")
    try:
        return asked(given)
    except DataError as error:
        raise RefusedError(str(error), "messages") from error


def _most(fields: Mapping[str, Any], usual: int) -> int:
    name = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
    given = fields.get(name)
    if given is None:
        return usual
    if not _is_whole(given) or given < 1:
        raise RefusedError(f"{name} must be a whole number from 1 up, got {_shown(given)}. Leave it out.", name)
    return int(given)


def _temperature(fields: Mapping[str, Any], usual: float) -> float:
    given = fields.get("temperature")
    if given is None:
        return usual
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= _HOTTEST:
        raise RefusedError(
            f"temperature must be a number from 0 to {_HOTTEST:g}, got {_shown(given)}. "
            "Leave it out for the most likely answer.",
            "temperature",
        )
    return float(given)


def _seed(fields: Mapping[str, Any], usual: int) -> int:
    given = fields.get("seed")
    if given is None:
        return usual
    if not _is_whole(given):
        raise RefusedError(f"seed must be a whole number, got {_shown(given)}. Leave it out or try 0.", "seed")
    return int(given) % _SEEDS


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else [] if given is None else given
    fine = isinstance(stops, list) and all(isinstance(stop, str) and stop for stop in stops)
    if not fine or len(stops) > _MOST_STOPS:
        raise RefusedError(
            f"stop must be a text or a list of at most {_MOST_STOPS} texts, none of them empty, got {_shown(given)}. "
            "Leave it out, or name what ends an answer.",
            "stop",
        )
    return tuple(stops)


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    given = fields.get(name)
    if given is not None and not isinstance(given, bool):
        raise RefusedError(f"{name} must be true or false, got {_shown(given)}.", name)
    return bool(given)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """A value as its sender wrote it, not too long."""
    text = str(value) if isinstance(value, float) and not math.isfinite(value) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
