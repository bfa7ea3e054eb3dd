"""What may stand in a file in place of what should: random bytes, JSON of any shape, and ways to put it there."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

HARD = (
    b"", b"{", b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 100_000, b"1e400", b"NaN", b"-1", b"null",
    b"9" * 5000, b'"\xff"', b"\xef\xbb\xbf{}", b'"\\ud800"', b'{"a": 1, "a": 2}', b"\x00" * 64, b"[]", b'"text"', b"{}",
)  # fmt: skip
"""What parsers stumble over."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
"""Anything that JSON can hold, and what Python's own reader takes beside: NaN and infinity."""

junk = st.sampled_from(HARD) | st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
"""The bytes of a file of junk."""


def like(sound: dict[str, object]) -> st.SearchStrategy[bytes]:
    """The bytes of a JSON object with the right names, some of them with wrong values, or gone."""
    wrong = {name: JSON | st.just(value) for name, value in sound.items()}
    return st.fixed_dictionaries({}, optional=wrong).map(lambda found: json.dumps(found).encode())


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
