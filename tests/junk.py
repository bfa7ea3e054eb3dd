"""Junk: values that a file may hold where another was meant, and ways to put them there."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
"""Anything that JSON can hold, and what Python's own reader takes beside: NaN and infinity."""


def places(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything within a value: keys and positions, outermost first."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    inner = [place for key in keys for place in places(value[key], (*so_far, key))]
    return inner if not so_far else [so_far, *inner]


def put(value: Any, place: tuple[Any, ...], junk: Any) -> Any:
    """A copy of a value with junk at one place."""
    new = copy.deepcopy(value)
    owner = new
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = junk
    return new
