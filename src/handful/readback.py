"""Reading back what handful wrote: whatever is wrong with a file, the caller meets one error and no other."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from handful.errors import HandfulError
from handful.files import read_ordinary

FAILURES: tuple[type[Exception], ...] = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError,
    csv.Error,
)  # fmt: skip
"""What reading a damaged file and building from it may raise. UnicodeDecodeError is a ValueError, KeyError a
LookupError, OverflowError an ArithmeticError, RecursionError a RuntimeError."""

# Bytes. A table of confusions of 3,000 classes has 100 MB.
_LARGEST = 256 << 20

# Lists within lists; what handful writes has at most 6.
_DEEPEST = 32

# How much of a wrong value is shown.
_SHOWN = 40

T = TypeVar("T")


def read_json(file: Path, build: Callable[[Any], T], refusal: Callable[[str], HandfulError]) -> T:
    """Read a JSON file that handful wrote, and build what it stands for.

    Args:
        file: where it lies.
        build: makes it from what the file says; what it raises counts as damage.
        refusal: makes the error from the reason, a few words without a full stop.

    Raises:
        HandfulError: what ``refusal`` gives, if the file cannot be read or does not say what it must; or what
            ``build`` itself refuses.
    """
    with damage_is(refusal):
        return build(parsed(file))


@contextlib.contextmanager
def damage_is(refusal: Callable[[str], HandfulError], *also: type[Exception]) -> Iterator[None]:
    """Whatever fails in the body becomes one error; an error of handful's own stays as it is.

    Args:
        refusal: makes the error from the reason.
        *also: what a library raises beside ``FAILURES``.
    """
    kinds: tuple[type[Exception], ...] = (*FAILURES, *also)
    try:
        yield
    except HandfulError:
        raise
    except kinds as error:
        raise refusal(reason(error)) from error


def reason(error: BaseException) -> str:
    """What went wrong, in a few words."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"there is no {error}"
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def parsed(file: Path) -> Any:
    """What a JSON file says.

    Raises:
        OSError: it is no ordinary file, too large, or may not be read.
        ValueError: it is no text or no JSON, names an entry twice, or is nested too deeply.
        RecursionError: it is nested far too deeply.
    """
    return plain_json(read_ordinary(file, _LARGEST, OSError))


def plain_json(content: str | bytes) -> Any:
    """Read JSON that anybody may have written.

    Raises:
        ValueError: it is no text or no JSON, names an entry twice, or is nested too deeply.
        RecursionError: it is nested far too deeply.
    """
    text = content if isinstance(content, str) else content.decode("utf-8")
    found = json.loads(text, object_pairs_hook=_once)
    level = [found]
    for _ in range(_DEEPEST):
        level = [child for value in level for child in _children(value)]
        if not level:
            return found
    raise ValueError("it is nested too deeply")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; readers differ in which of two equal names they take, so there may be none."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an entry is named twice")
    return found


def _children(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inner if isinstance(child, dict | list)]


def checked(instance: T) -> T:
    """A dataclass whose fields are of the kinds that its annotations say, however deep; its arrays only are arrays.

    Raises:
        ValueError: one is of another kind.
    """
    kinds = get_type_hints(type(instance))
    for part in fields(instance):  # type: ignore[arg-type]
        value = getattr(instance, part.name)
        if not _is(value, kinds[part.name]):
            raise ValueError(f"{part.name} cannot be {shortened(value)}")
    return instance


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of the kind that an annotation says."""
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in inner)
    if kind is float:
        return type(value) in (int, float)
    if kind in (int, str, bool, NoneType):
        return type(value) is kind
    if origin is tuple:
        each = [inner[0]] * len(value) if inner[1:] == (...,) and isinstance(value, tuple) else list(inner)
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_is, value, each))
    if origin is dict:
        return isinstance(value, dict) and all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in value.items())
    return isinstance(value, origin) and (not is_dataclass(value) or checked(value) is value)


def shortened(value: object) -> str:
    """A value as it is shown in an error, not longer than a few words."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
