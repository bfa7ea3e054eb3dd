"""The sites that take part, as the coordinator knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from handful.regimes.federated.votes import Votes


@dataclass
class Member:
    """A site that has joined."""

    name: str
    """What it calls itself."""
    key: str
    """What it knows itself by, so that no other can speak for it."""
    seen: float
    """When it was last heard of."""
    classes: tuple[str, ...] | None = None
    """The classes that it has rows of; None until it has sent its sums."""
    rows: Any = None
    """(K,) how many rows it has in each fold."""
    digest: bytes = b""
    """Of its sums as they came, by which they are known if they come again."""
    votes: Votes | None = None
    """How the heads fare on its rows."""
    verdict: str | None = None
    """Whether it gains."""
    received: int = 0
    """How many bytes it sent."""
    sent: int = 0
    """How many bytes were sent to it."""


def in_bytes(count: int) -> str:
    """So many bytes, in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3)):,} kB"
