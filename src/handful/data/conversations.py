"""Instruction and preference rows: messages with the answer to them, or with a better and a worse one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handful.data.cells import cell_text, is_missing
from handful.errors import DataError

ROLES = ("system", "user", "assistant")

# What other formats call the same: ShareGPT says who it is "from" and the "value", OpenAI says "developer".
_ROLE_NAMES = {**{role: role for role in ROLES}, "human": "user", "gpt": "assistant", "developer": "system"}
_ROLE_KEYS, _CONTENT_KEYS = ("role", "from"), ("content", "value")

# How chats say that a tool is called, and who speaks when it answers.
_CALLS = ("tool_calls", "function_call")
_TOOL_ROLES = frozenset({"tool", "function", "function_call", "tool_call", "tool_response", "observation", "ipython"})

# Scripts that put no space between words.
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"

# Thai, Lao, Burmese and Khmer put none either, but a letter of theirs is no word.
_RUNS = rf"{_UNSPACED}\uff66-\uff9f\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_PIECE = re.compile(rf"[{_RUNS}]+|(?:(?![{_RUNS}])\w)+")
_RUN = re.compile(rf"[{_RUNS}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    """Who speaks: ``system``, ``user`` or ``assistant``."""
    content: str
    """What is said; never empty."""


@dataclass(frozen=True)
class Conversation:
    """One instruction row: what is asked, and the answer to learn."""

    prompt: tuple[Message, ...]
    """The turns before the answer: at most one of the system, which is the first; the last is the user's."""
    answer: str
    """The final turn of the assistant."""


@dataclass(frozen=True)
class Preference:
    """One preference row: what is asked, and two answers of which one is better."""

    prompt: tuple[Message, ...]
    """As for a Conversation."""
    chosen: str
    """The better answer."""
    rejected: str
    """The worse answer, another one than ``chosen``."""

    @property
    def chosen_row(self) -> Conversation:
        """The prompt with the better answer."""
        return Conversation(self.prompt, self.chosen)

    @property
    def rejected_row(self) -> Conversation:
        """The prompt with the worse answer."""
        return Conversation(self.prompt, self.rejected)


Row = Conversation | Preference


@dataclass(frozen=True)
class Fields:
    """Which field of a record is what; an empty name where there is no such field."""

    prompt: str = ""
    """The prompt, as a text or as messages."""
    more: str = ""
    """What the instruction is about, which is put below it."""
    answer: str = ""
    """The answer to the prompt."""
    messages: str = ""
    """Messages of which the last is the answer."""
    chosen: str = ""
    """The better answer, alone or as the last of messages that begin with the prompt."""
    rejected: str = ""
    """The worse answer, likewise."""


class _UnfitError(Exception):
    """Why a value cannot be used, as a part of a sentence."""


def asked(prompt: str | Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """What a user asks of a model, checked.

    Args:
        prompt: a plain text, or messages with ``role`` and ``content``, the last of them the user's.

    Returns:
        The messages; one of the system that is empty is left out.

    Raises:
        DataError: nothing is asked, a message has no role that is known, or the last one is not the user's.
    """
    try:
        # A text that a person types is what it says, also where it looks like messages.
        return _alone(prompt, "the prompt") if isinstance(prompt, str) else _prompt(prompt, "the prompt")
    except _UnfitError as why:
        raise DataError(f"{why}. Give a text, or messages with role and content that end with the user's.") from why


def read_row(record: Mapping[str, Any], fields: Fields) -> tuple[Row | None, str]:
    """Make a row of a record.

    Args:
        record: field → value: a text, a list of messages, or that list as JSON.
        fields: which field is what. A record with a better or a worse answer is a preference row.

    Returns:
        The row and an empty text, or None and why there is none.
    """
    ways = (
        (_preference, (fields.chosen, fields.rejected)),
        (_spoken, (fields.messages,)),
        (_instruction, (fields.answer,)),
    )
    possible = [(way, names) for way, names in ways if any(names)]
    filled = (way for way, names in possible if not all(is_missing(_cell(record, name)) for name in names))
    make = next(filled, possible[-1][0])
    try:
        return make(record, fields), ""
    except _UnfitError as why:
        return None, str(why)


def read_question(record: Mapping[str, Any], fields: Fields) -> tuple[tuple[Message, ...], str]:
    """What a record asks, whether or not it says the answer too.

    Args:
        record: as for ``read_row``.
        fields: its prompt, with what that is about, or its messages: of these an answer at the end is left out.

    Returns:
        The messages and an empty text, or none and why there are none.
    """
    try:
        value = _cell(record, fields.messages)
        if is_missing(value):
            return _whole_prompt(record, fields), ""
        turns = _messages(messages_in(value) or [], f'"{fields.messages}"')
        ended = turns[-1:] and turns[-1].role == "assistant"
        return _asks(turns[:-1] if ended else turns, f'"{fields.messages}"'), ""
    except _UnfitError as why:
        return (), str(why)


def messages_in(value: Any) -> list[Any] | None:
    """The list that a cell holds, be it as JSON; None where it holds no list."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):  # A text may begin with a bracket.
            return None
        # A text may even be JSON; it is messages only where something speaks in it.
        told = isinstance(found, list) and all(isinstance(m, dict) and m.keys() & {*_ROLE_KEYS} for m in found)
        return found if told else None
    if hasattr(value, "tolist"):  # pandas keeps the lists of a Parquet file as arrays
        value = value.tolist()
    return list(value) if isinstance(value, list | tuple) else None


def words(text: str) -> int:
    """How many words a text has; a Chinese or Japanese character counts as one."""
    return len(_WORD.findall(text))


def pieces(text: str) -> list[str]:
    """What texts are compared by: their words in small letters; of scripts without spaces each letter and each pair.

    Where words do not split a sentence would be one word, and no two of them would have anything in common.
    """
    tokens = []
    for piece in _PIECE.findall(text.lower()):
        if _RUN.match(piece):
            tokens += [*piece, *(piece[i : i + 2] for i in range(len(piece) - 1))]
        else:
            tokens.append(piece)
    return tokens


def plain_prompt(row: Row) -> str:
    """What the turns of a prompt say, one after the other, without the system's."""
    return "\n".join(turn.content for turn in row.prompt if turn.role != "system")


def _cell(record: Mapping[str, Any], name: str) -> Any:
    return cell_text(record.get(name)) if name else None


def _instruction(record: Mapping[str, Any], fields: Fields) -> Conversation:
    prompt = _whole_prompt(record, fields)
    turns, answer = _answer(_cell(record, fields.answer), fields.answer)
    return Conversation(_same(prompt, turns, fields.answer), answer)


def _spoken(record: Mapping[str, Any], fields: Fields) -> Conversation:
    value = _cell(record, fields.messages)
    if not is_missing(value) and messages_in(value) is None:
        raise _UnfitError(f'"{fields.messages}" must be a list of messages, got {type(value).__name__}')
    spoken = messages_in(value) or []
    if spoken and isinstance(spoken[-1], Mapping) and spoken[-1].get("weight") == 0:
        raise _UnfitError(f'the answer of "{fields.messages}" has the weight 0, so that nothing is to be learned of it')
    turns, answer = _answer(value, fields.messages)
    return Conversation(_asks(turns, f'what stands before the answer in "{fields.messages}"'), answer)


def _preference(record: Mapping[str, Any], fields: Fields) -> Preference:
    before, chosen = _answer(_cell(record, fields.chosen), fields.chosen)
    earlier, rejected = _answer(_cell(record, fields.rejected), fields.rejected)
    prompt = before if is_missing(_cell(record, fields.prompt)) and before else _whole_prompt(record, fields)
    _same(_same(prompt, before, fields.chosen), earlier, fields.rejected)
    if chosen.strip() == rejected.strip():
        raise _UnfitError(f'"{fields.chosen}" and "{fields.rejected}" are the same')
    return Preference(_asks(prompt, f'what stands before the answer in "{fields.chosen}"'), chosen, rejected)


def _whole_prompt(record: Mapping[str, Any], fields: Fields) -> tuple[Message, ...]:
    """The prompt, with what it is about below it."""
    prompt = _prompt(_cell(record, fields.prompt), f'"{fields.prompt or "prompt"}"')
    more = _cell(record, fields.more)
    if is_missing(more):
        return prompt
    below = _text(more, f'"{fields.more}"')
    return (*prompt[:-1], Message("user", f"{prompt[-1].content}\n\n{below}"))


def _same(prompt: tuple[Message, ...], turns: tuple[Message, ...], name: str) -> tuple[Message, ...]:
    """The prompt, which the turns before an answer must repeat where there are any."""
    if turns and turns != prompt:
        raise _UnfitError(f'the messages before the last of "{name}" are not the prompt')
    return prompt


def _prompt(value: Any, name: str) -> tuple[Message, ...]:
    found = messages_in(value)
    if found is not None:
        return _asks(_messages(found, name), name)
    if not is_missing(value) and not isinstance(value, str):
        raise _UnfitError(f"{name} must be a text or messages, got {type(value).__name__}")
    return _alone(value, name)


def _alone(value: Any, name: str) -> tuple[Message, ...]:
    return (Message("user", _text(value, name)),)


def _asks(turns: tuple[Message, ...], name: str) -> tuple[Message, ...]:
    if not turns:
        raise _UnfitError(f"{name} must end with a message of the user, got none at all")
    if turns[-1].role != "user":
        raise _UnfitError(f"{name} must end with a message of the user, got one of the {turns[-1].role}")
    return turns


def _answer(value: Any, name: str) -> tuple[tuple[Message, ...], str]:
    """The turns before an answer, none where it stands alone, and the answer."""
    found = messages_in(value)
    if found is None:
        return (), _text(value, f'"{name}"')
    turns = _messages(found, f'"{name}"')
    if not turns or turns[-1].role != "assistant":
        got = f"one of the {turns[-1].role}" if turns else "none at all"
        raise _UnfitError(f'"{name}" must end with a message of the assistant, got {got}')
    return turns[:-1], turns[-1].content


def _messages(values: Sequence[Any], name: str) -> tuple[Message, ...]:
    turns = [_message(value, f"message {number} of {name}") for number, value in enumerate(values, 1)]
    late = next((number for number, turn in enumerate(turns[1:], 2) if turn.role == "system"), 0)
    if late:
        raise _UnfitError(f"message {late} of {name} is the system's, which must be the first")
    return tuple(turn for turn in turns if turn.content)


def _message(value: Any, name: str) -> Message:
    if not isinstance(value, Mapping):
        raise _UnfitError(f"{name} must have a role and a content, got {type(value).__name__}")
    if any(value.get(key) for key in _CALLS):
        raise _UnfitError(f"{name} calls a tool, and tools are not known here")
    given = next((value[key] for key in _ROLE_KEYS if not is_missing(value.get(key))), None)
    if given is None:
        raise _UnfitError(f"{name} has no role")
    if str(given).strip().lower() in _TOOL_ROLES:
        raise _UnfitError(f'{name} is of the role "{given}": tools are not known here')
    role = _ROLE_NAMES.get(str(given).strip().lower())
    if role is None:
        raise _UnfitError(f'{name} has the role "{given}", which must be system, user or assistant')
    content = next((value[key] for key in _CONTENT_KEYS if value.get(key) is not None), None)
    if isinstance(content, list | tuple):  # OpenAI's clients may send a text in parts.
        content = _joined(content, name)
    # Where a chat has no word for its system, it is often written with an empty one.
    if role == "system" and is_missing(content):
        return Message(role, "")
    return Message(role, _text(content, name))


def _joined(parts: Sequence[Any], name: str) -> str:
    given = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    texts = [text for text in given if isinstance(text, str)]
    if len(texts) < len(given):
        raise _UnfitError(f"{name} must hold text only, got parts of another kind")
    return "".join(texts)


def _text(value: Any, name: str) -> str:
    text = cell_text(value)
    if is_missing(text):
        raise _UnfitError(f"{name} is empty")
    if not isinstance(text, str):
        raise _UnfitError(f"{name} must be a text, got {type(value).__name__}")
    return text
