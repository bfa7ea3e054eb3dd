"""Terms: what a coordinator asks of every site, told before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from handful.choices import METHODS
from handful.errors import DataError, OptionError, suggestion
from handful.readback import checked, damage_is, plain_json
from handful.tasks.classification.heads import RIDGE

PROTOCOL = 2
"""Rises with every change of what is sent."""
FOLDS = 5
"""In so many parts rows are held out."""
FOLDS_MOVED = 3
"""In so many where weights move, since for each they do."""


STRATEGY = "contrastive"
"""Which strategy moves weights where none is named."""
MOST_ROUNDS = 50
"""More rounds than this nobody waits for."""


@dataclass(frozen=True)
class Rounds:
    """How weights move together."""

    strategy: str
    """Which strategy moves them at a site, by its name."""
    count: int
    """How often sites send what moved."""
    updates: int
    """How many updates a site makes in a round."""
    longest: float
    """How far a site may move its weights in a round, as the length of the difference; what is longer is shortened."""
    depth: int
    """How many blocks the backbone has, after the last of which it is read where weights moved."""
    width: int
    """How many numbers it makes of a row there."""

    @property
    def said(self) -> str:
        """The rounds in words."""
        return f"{self.count} round{'s' * (self.count > 1)} of weights ({self.strategy})"

    def check(self) -> None:
        """Refuse what no coordinator of ours tells. Raises ValueError."""
        counts = (
            ("rounds", self.count, MOST_ROUNDS), ("updates", self.updates, 10_000), ("width", self.width, 1 << 16),
            ("depth", self.depth, 10_000),
        )  # fmt: skip
        for name, number, most in counts:
            if not 1 <= number <= most:
                raise ValueError(f"{name} must be 1 to {most}, got {number}")
        if not 0 < self.longest < np.inf:
            raise ValueError("the longest step must be above 0")
        if self.strategy not in {method.name for method in METHODS}:
            raise ValueError(f"{self.strategy!r} is no strategy that moves weights")


@dataclass(frozen=True)
class Terms:
    """What is fitted, and what is sent for it."""

    modality: str
    """text, image or sound."""
    backbone: str
    """Which backbone looks at the rows, by a name that every site knows."""
    fingerprint: str
    """Of the weights of the backbone, which must be the same at every site."""
    depth: int
    """After how many blocks it is read."""
    width: int
    """How many numbers it makes of a row, D."""
    version: str
    """Of handful, which must be the same at every site."""
    classes: tuple[str, ...] = ()
    """The classes, where they were named beforehand; empty: all that a site has."""
    epsilon: float | None = None
    """How much one row may change what is sent, ε of differential privacy; None: no noise is added."""
    delta: float = 1e-5
    """The chance that ε does not hold, δ."""
    folds: int = FOLDS
    """In so many parts rows are held out, K."""
    penalties: tuple[float, ...] = RIDGE.penalties
    """The S penalties that are tried."""
    rounds: Rounds | None = None
    """How weights move together; None: they stay as they are."""
    protocol: int = PROTOCOL
    """How things are sent."""

    @property
    def sentence(self) -> str:
        """What is sent, in words for whose rows they are."""
        if self.epsilon is None:
            asked = (
                f"asked for are sums of what {self.backbone} sees in your rows, per class and of products, without "
                "noise: where a class has few rows, much about them can be told from its sums"
            )
            if self.rounds is None:
                return asked
            return f"{asked}; and {self.rounds.said} that learn from your rows, from which as much can be told"
        return (
            f"asked for are sums of what {self.backbone} sees in your rows, per class, with noise: ε = "
            f"{self.epsilon:g}, δ = {self.delta:g} for each row"
        )

    @property
    def of_moved(self) -> Terms:
        """The same where the backbone is read after weights moved."""
        assert self.rounds is not None
        return replace(self, depth=self.rounds.depth, width=self.rounds.width)

    def encoded(self) -> bytes:
        """The terms as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, body: bytes) -> Terms:
        """Read back what ``encoded`` gave.

        Raises:
            DataError: it is nothing of the kind, or of another protocol.
        """
        with damage_is(_refused):
            raw = plain_json(body)
            if raw.get("protocol") != PROTOCOL:
                raise ValueError(f"its protocol is {raw.get('protocol')!r}, not {PROTOCOL}: handful of another version")
            known = {field.name for field in fields(cls)}
            read: dict[str, Any] = {name: tuple(raw[name]) for name in ("classes", "penalties")}
            read["rounds"] = None if raw["rounds"] is None else checked(Rounds(**raw["rounds"]))
            terms = checked(cls(**{name: raw[name] for name in raw if name in known} | read))
            terms.check()
            return terms

    def check(self) -> None:
        """Refuse terms that no coordinator of ours tells: a site believes nobody that a promise is one.

        Raises:
            OptionError: what is promised of the noise is none.
            ValueError: a number is out of range.
        """
        check_privacy(self.epsilon, self.delta, self.classes)
        sizes = {
            "folds": (2, self.folds, 20),
            "penalties": (1, len(self.penalties), 50),
            "width": (1, self.width, 1 << 16),
        }
        for name, (least, count, most) in sizes.items():
            if not least <= count <= most:
                raise ValueError(f"{name} must be {least} to {most}, got {count}")
        if not all(0 < penalty < np.inf for penalty in self.penalties):
            raise ValueError("penalties must be above 0")
        if self.rounds is not None:
            self.rounds.check()
            if self.epsilon is not None:
                raise ValueError("weights that move together are sent without noise")


def _refused(why: str) -> DataError:
    return DataError(f"the coordinator must tell its terms, got something else ({why}). Check the address.")


def check_privacy(epsilon: float | None, delta: float, classes: tuple[str, ...]) -> None:
    """Refuse what promises nothing.

    Args:
        epsilon: ε, or None.
        delta: δ.
        classes: named beforehand.

    Raises:
        OptionError: a number is out of range, or no classes are named though noise is asked for.
    """
    if epsilon is None:
        return
    if not 0.01 <= epsilon <= 100:
        raise OptionError(f"--epsilon must be between 0.01 and 100, got {epsilon:g}. Usual are 1 to 10.")
    if not 0 < delta <= 1e-3:
        raise OptionError(f"--delta must be above 0 and at most 0.001, got {delta:g}. Usual is 1e-5.")
    if len(classes) < 2:
        raise OptionError(
            "--epsilon must come with --classes, two or more joined by commas, since which classes there are would "
            f"otherwise be told by the rows, got {len(classes)}. Name them."
        )


@dataclass(frozen=True)
class Asked:
    """What the user of a coordinator said."""

    sites: int
    """How many sites there will be."""
    wait: float
    """So many seconds each phase may take."""
    backbone: str
    """Which backbone looks at the rows."""
    modality: str | None
    """What the rows are; None: what the backbone reads."""
    classes: tuple[str, ...] = ()
    """The classes, named beforehand."""
    epsilon: float | None = None
    """How much one row may change what is sent; None: as much as it does."""
    delta: float = 1e-5
    """The chance that this does not hold."""
    rounds: int = 0
    """How often sites send weights that moved; 0: none move."""
    strategy: str | None = None
    """Which strategy moves them; None: the usual one."""

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            OptionError: a number is out of range.
        """
        if not 2 <= self.sites <= 1000:
            raise OptionError(f"--sites must be between 2 and 1000, got {self.sites}. Say how many will take part.")
        if not 0 < self.wait <= 30 * 86_400:
            raise OptionError(f"--wait must be above 0 and at most 30 days, got {self.wait:g} seconds. Try 10min.")
        if not 0 <= self.rounds <= MOST_ROUNDS:
            raise OptionError(f"--rounds must be between 0 and {MOST_ROUNDS}, got {self.rounds}. Usual are 2 to 5.")
        names = [method.name for method in METHODS]
        if self.strategy is not None and not self.rounds:
            raise OptionError("--strategies must come with --rounds, without which no weight moves. Add --rounds 3.")
        if self.strategy is not None and self.strategy not in names:
            raise OptionError(
                f"--strategies must be one strategy that moves weights ({', '.join(names)}), got {self.strategy!r}."
                f"{suggestion(self.strategy, names)}"
            )
        check_privacy(self.epsilon, self.delta, self.classes)


def mismatch(terms: Terms, site: Mapping[str, Any]) -> str:
    """Why a site cannot take part, as its part of a sentence; empty where it can.

    Args:
        terms: what it must be.
        site: what it says of itself.
    """
    what = {
        "protocol": "protocol", "version": "version of handful", "modality": "kind of items", "backbone": "backbone",
        "fingerprint": "weights of the backbone", "depth": "depth of the backbone", "width": "width of the features",
    }  # fmt: skip
    for name, words in what.items():
        must, got = getattr(terms, name), site.get(name)
        if got != must:
            return f"its {words} must be {must}, got {got!r}"
    if site.get("task") != "classification":
        return f"its labels must be classes (classification), got {site.get('task')!r}"
    return ""
