"""Keywords of public functions: one that a function does not have is told with the one that was probably meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from handful.errors import OptionError, suggestion

P = ParamSpec("P")
R = TypeVar("R")


def known_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse keywords that it does not have, and say which one was probably meant.

    Python itself does so from 3.13 on; the signature stays as it is written.
    """
    known = list(signature(function).parameters)

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown = [name for name in kwargs if name not in known]
        if unknown:
            others = f" It has {', '.join(known)}."
            raise OptionError(
                *(f"{function.__name__} has no option {name!r}.{suggestion(name, known) or others}" for name in unknown)
            )
        return function(*args, **kwargs)

    return checked
