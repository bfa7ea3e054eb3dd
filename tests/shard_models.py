"""Toy models that are answered with in other processes: a module that loads at once, since every worker loads it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones.toy import ToyText
from handful.export.bundle import Bundle
from handful.features.view import View
from handful.tasks.classification import CLASSIFICATION


def toy_model(kind: type[Bundle] = Bundle, **more: Any) -> Bundle:
    """A model of texts with drawn weights that answers ants or bees."""
    toy = ToyText()
    rng = np.random.default_rng(0)
    return kind(
        CLASSIFICATION, "text", ("ants", "bees"), View(((toy.name, 2),)), {toy.name: toy.fingerprint}, "ridge",
        rng.normal(size=(32, 2)).astype(np.float32), np.zeros(2, np.float32), **more,
    )  # fmt: skip


@dataclass(eq=False)
class Marked(Bundle):
    """Counts what it answers in a folder; waits at one text until it may go on, and ends its process at another."""

    marks: Path = Path()
    """The folder."""

    def answer(self, items: Sequence[Any], cache: Any = None) -> Any:
        """As in a Bundle."""
        if "wait" in items and not (self.marks / "go").exists():
            threading.Event().wait(600)
        if "die" in items and not (self.marks / "died").exists():
            (self.marks / "died").touch()
            os._exit(1)
        with (self.marks / "answered").open("a") as file:
            file.write(f"{items[0]}\n")
        return super().answer(items, cache)
