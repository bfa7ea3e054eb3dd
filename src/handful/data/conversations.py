"""Instruction and preference rows: messages, the answer to them, or a better and a worse answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handful.data.cells import cell_text, is_blank, is_missing
from handful.errors import DataError

ROLES = ("system", "user", "assistant")

# Names that other formats have for the same: ShareGPT says who it is "from" and the "value", OpenAI "developer".
_ROLE_NAMES = {**{role: role for role in ROLES}, "human": "user", "gpt": "assistant", "developer": "system"}
_ROLE_KEYS, _CONTENT_KEYS = ("role", "from"), ("content", "value")


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


def asked(prompt: str | Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """What a user asks of a model, checked.

    Args:
        prompt: a plain text, or messages with ``role`` and ``content``; the last is the user's.

    Returns:
        The messages; an empty one of the system is left out.

    Raises:
        DataError: nothing is asked, a role is unknown, or the last turn is not the user's.
    """
    if isinstance(prompt, str):
        if is_blank(prompt):
            raise DataError("the prompt is empty. Ask something.")
        return (Message("user", str(cell_text(prompt))),)
    turns = messages_of(prompt, "the prompt")
    if not turns or turns[-1].role != "user":
        got = f"{turns[-1].role}'s" if turns else "none at all"
        raise DataError(f"the last message of the prompt must be the user's, got {got}. End with a question.")
    return turns


def messages_of(value: Any, name: str) -> tuple[Message, ...]:
    """A list of messages, checked one by one.

    Args:
        value: the list; each entry has ``role`` and ``content`` (or ``from`` and ``value``).
        name: what holds it, for messages.

    Raises:
        DataError: it is no list, an entry is no message, a role is unknown, a turn is empty, or the system speaks
            later than first.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise DataError(
            f"{name} must be a list of messages, got {type(value).__name__}. Give role and content of each."
        )
    turns = [_message(entry, f"message {number} of {name}") for number, entry in enumerate(value, 1)]
    late = next((number for number, turn in enumerate(turns[1:], 2) if turn.role == "system"), 0)
    if late:
        raise DataError(f"message {late} of {name} is the system's, which must be the first. Move or remove it.")
    return tuple(turn for turn in turns if turn.content)


def _message(entry: Any, name: str) -> Message:
    if not isinstance(entry, Mapping):
        raise DataError(f"{name} must have a role and a content, got {type(entry).__name__}. Give both.")
    given = next((entry[key] for key in _ROLE_KEYS if not is_missing(entry.get(key))), None)
    role = _ROLE_NAMES.get(given.strip().lower()) if isinstance(given, str) else None
    if role is None:
        got = "none" if given is None else repr(given)
        raise DataError(f"the role of {name} must be system, user or assistant, got {got}. Correct it.")
    content = _content(next((entry[key] for key in _CONTENT_KEYS if entry.get(key) is not None), None), name)
    if is_missing(content):
        # A chat that has no word for its system is often written with an empty one.
        if role == "system":
            return Message(role, "")
        raise DataError(f"{name}, the {role}'s, is empty. Fill it or remove the row.")
    return Message(role, content)


def _content(value: Any, name: str) -> str | None:
    """The text of a message; OpenAI's clients may send it in parts."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in value]
        if not all(isinstance(part, str) for part in parts):
            raise DataError(f"{name} must hold text only, got parts of another kind. Leave them out.")
        value = "".join(parts)
    found = cell_text(value)
    if found is not None and not isinstance(found, str):
        raise DataError(f"the content of {name} must be a text, got {type(value).__name__}. Correct it.")
    return found
