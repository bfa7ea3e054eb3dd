"""The lead: what is told first of answers in words, a plain sentence and a few answers beside the wanted ones."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

# So many letters of a prompt and of an answer are told on a terminal.
_ASKED, _ANSWERED = 160, 240


@dataclass(frozen=True)
class Example:
    """One row that was held out, what was wanted of it, and what was answered."""

    kind: str
    """What it stands for: ``right``, ``wrong``, ``typical``, or how it lies among the others."""
    row: int
    """Zero-based position in the source."""
    asked: str
    """The prompt, without the words with which all prompts begin."""
    wanted: str
    """The answer in the data."""
    said: str
    """The answer of the model, which had not seen the row."""
    place: str = ""
    """How a person finds the row: its line, its ID; empty where only its position is known."""


@dataclass(frozen=True)
class Lead:
    """What is told before any figure."""

    sentence: str
    """How many answers are as wanted, in plain words."""
    rule: str = ""
    """How the examples were picked; empty where there are none."""
    examples: tuple[Example, ...] = ()
    """A few rows, each of another kind."""
    name: str = "wanted"
    """What the answers in the data are called."""

    def placed(self, called: Callable[[int], str]) -> Lead:
        """The same with what a person calls its rows. Position in the source → name."""
        return replace(self, examples=tuple(replace(one, place=called(one.row)) for one in self.examples))

    def lines(self) -> list[str]:
        """The same for a terminal."""
        out = [self.sentence]
        for example in self.examples:
            wide = max(len(self.name), len("asked"))
            told = (("asked", example.asked), (self.name, example.wanted), ("said", example.said or "nothing"))
            out += ["", f"{example.kind} ({example.place or f'row {example.row}'})"]
            for name, text in told:
                most = _ASKED if name == "asked" else _ANSWERED
                out.append(f"  {name:<{wide}}   {textwrap.shorten(text, most, placeholder='…')}")
        return [*out, "", self.rule] if self.examples else out

    def as_dict(self) -> dict[str, Any]:
        """The lead as it stands in ``scores.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Lead:
        """Read back what ``as_dict`` wrote."""
        examples = tuple(Example(**example) for example in raw["examples"])
        return cls(raw["sentence"], raw["rule"], examples, raw["name"])
