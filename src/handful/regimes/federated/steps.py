"""The steps of weights that move together, and what sites reply, as bodies that are checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from handful.errors import DataError
from handful.readback import damage_is
from handful.regimes.federated.paired import Paired
from handful.regimes.federated.terms import Terms
from handful.regimes.federated.votes import Setting
from handful.regimes.federated.wire import (
    body_of,
    opened,
    pack_settings,
    require,
    require_finite,
    unpack_settings,
    unread,
)  # fmt: skip

Arrays = Mapping[str, NDArray[np.float32]]

TRAIN, SUM, TRY, COMPARE, END = "train", "sum", "try", "compare", "end"
"""What a site does: let weights learn from its rows, sum up what they then see in them, try heads on rows that were
held out, compare these with frozen ones, or no more."""
_KINDS = (TRAIN, SUM, TRY, COMPARE, END)


@dataclass(frozen=True)
class Step:
    """What sites are asked for next."""

    number: int
    """From 1, one more with every step."""
    kind: str
    """One of ``TRAIN``, ``SUM``, ``TRY``, ``COMPARE``, ``END``."""
    fold: int | None = None
    """Whose rows are held out; None: no rows are."""
    payload: bytes = b""
    """Weights, heads or choices as a body of their own."""

    def encoded(self) -> bytes:
        """The step as one body."""
        return _sealed({"number": self.number, "kind": self.kind, "fold": self.fold}, self.payload)

    @classmethod
    def decoded(cls, body: bytes, terms: Terms) -> Step:
        """Read back what ``encoded`` gave.

        Raises:
            DataError: it is nothing of the kind.
        """
        facts, payload = _unsealed(body)
        number, kind, fold = facts.get("number"), facts.get("kind"), facts.get("fold")
        known = fold is None or (type(fold) is int and 0 <= fold < terms.folds)
        if type(number) is not int or kind not in _KINDS or not known:
            raise DataError(f"a step must have a number, a kind and a fold, got {number!r}, {kind!r} and {fold!r}")
        return cls(number, str(kind), fold, payload)


@dataclass(frozen=True)
class Reply:
    """What a site answers to a step."""

    number: int
    """Of the step."""
    rows: int
    """How many rows learned; 0: the site sits this one out, and sends nothing."""
    payload: bytes
    """Weights, sums, votes or losses as a body of their own."""

    def encoded(self) -> bytes:
        """The reply as one body."""
        return _sealed({"number": self.number, "rows": self.rows}, self.payload)

    @classmethod
    def decoded(cls, body: bytes) -> Reply:
        """Read back what ``encoded`` gave.

        Raises:
            DataError: it is nothing of the kind.
        """
        facts, payload = _unsealed(body)
        number, rows = facts.get("number"), facts.get("rows")
        if type(number) is not int or type(rows) is not int or rows < 0:
            raise DataError(f"a reply must say to which step and of how many rows, got {number!r} and {rows!r}")
        return cls(number, rows, payload)


def pack_weights(delta: Arrays) -> bytes:
    """What moved as one body; empty: nothing has yet."""
    return body_of(delta, {})


def unpack_weights(body: bytes, like: Arrays) -> dict[str, NDArray[np.float32]]:
    """Read weights.

    Args:
        body: what came.
        like: names and shapes that they must have.

    Raises:
        DataError: they have others, or are not finite.
    """
    with damage_is(unread, SafetensorError):
        tensors, _ = opened(body)
        if set(tensors) != set(like):
            raise DataError(f"it must send {len(like)} weights by their names, got {len(tensors)}, or others")
        require(tensors, {name: values.shape for name, values in like.items()}, np.float32)
        require_finite(tensors)
        return tensors


def pack_choices(frozen: tuple[Setting, ...], moved: tuple[Setting, ...]) -> bytes:
    """What was taken for each fold on frozen weights and on moved ones."""
    return body_of({"frozen": pack_settings(frozen), "moved": pack_settings(moved)}, {})


def unpack_choices(body: bytes, terms: Terms) -> tuple[tuple[Setting, ...], tuple[Setting, ...]]:
    """Read back what ``pack_choices`` gave. Raises DataError."""
    with damage_is(unread, SafetensorError):
        tensors, _ = opened(body)
        return unpack_settings(tensors["frozen"], terms), unpack_settings(tensors["moved"], terms)


def pack_paired(said: Paired) -> bytes:
    """Losses of two arms as one body."""
    return body_of({"paired": np.stack(said.parts)}, {})


def unpack_paired(body: bytes, terms: Terms) -> Paired:
    """Read back what ``pack_paired`` gave. Raises DataError."""
    with damage_is(unread, SafetensorError):
        tensors, _ = opened(body)
        require(tensors, {"paired": (7, terms.folds)})
        return Paired(*tensors["paired"])


def _sealed(facts: Mapping[str, object], payload: bytes) -> bytes:
    return body_of({"payload": np.frombuffer(payload, np.uint8)}, facts)


def _unsealed(body: bytes) -> tuple[dict[str, Any], bytes]:
    with damage_is(unread, SafetensorError):
        tensors, facts = opened(body)
        payload = tensors["payload"]
        if payload.dtype != np.uint8:
            raise DataError(f"its payload must be bytes, got {payload.dtype.name}")
        return facts, payload.tobytes()
