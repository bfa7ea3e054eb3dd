"""What may stand in a file in place of what should: random bytes, and JSON of any shape, some of it hard to read."""

from __future__ import annotations

import json

from hypothesis import strategies as st

HARD = (
    b"", b"{", b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 100_000, b"1e400", b"NaN", b"-1", b"null",
    b"9" * 5000, b'"\xff"', b"\xef\xbb\xbf{}", b'"\\ud800"', b'{"a": 1, "a": 2}', b"\x00" * 64, b"[]", b'"text"', b"{}",
)  # fmt: skip
"""What parsers stumble over."""

_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
"""Anything that JSON can hold, and some numbers that it cannot."""

junk = st.sampled_from(HARD) | st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode())
"""The bytes of a file of junk."""


def like(sound: dict[str, object]) -> st.SearchStrategy[bytes]:
    """The bytes of a JSON object with the right names, some of them with wrong values, or gone."""
    wrong = {name: values | st.just(value) for name, value in sound.items()}
    return st.fixed_dictionaries({}, optional=wrong).map(lambda found: json.dumps(found).encode())
