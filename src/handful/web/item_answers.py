"""What a served model of items answers: each item with its confidence, how unlike the training rows it is, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from handful.errors import BundleError
from handful.explanation import explain
from handful.export.bundle import Bundle
from handful.export.reference import Near
from handful.features.cache import FeatureCache
from handful.prediction import with_rarity
from handful.web.batching import Batcher

MOST_TOGETHER = 32
"""How many items go through a model in one batch at most."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Answering:
    """A model as it answers from one swap to the next."""

    model: Bundle
    """Who answers."""
    inputs: Mapping[int, str] = field(default_factory=dict)
    """Position in the source → text or file name of the training rows, where their run is at hand."""
    version: str = "1"
    """Which one it is: the version of the run, and after a dot how many times it learned from corrections since."""

    def like(self, one: Answered, count: int) -> list[Row]:
        """The training rows most like an item, as JSON values."""
        reference = self.model.reference
        if reference is None or not count:
            return []
        return [self._told(near) for near in reference.like(one.features[None], count)[0]]

    def explained(self, item: Any) -> list[Row]:
        """Which parts of an item its answer hangs on, the heaviest first."""
        return [part.record() for part in explain(self.model, item).parts]

    def _told(self, near: Near) -> Row:
        return {**near.record(), "input": self.inputs.get(near.row)}


@dataclass(frozen=True)
class Answered:
    """What is known of one item."""

    row: Row
    """The answer as JSON values."""
    features: np.ndarray
    """(D,) what the frozen model sees, by which training rows like it are found; (0,) where none are kept."""
    by: Answering
    """Who answered; all items of a request are answered by the same."""
    kind: int = 0
    """The kind of what is answered: items that are answered alike are compared with each other."""


class ServedModel:
    """One run behind a name, the thread that answers for it, and the model that answers now, which may change."""

    def __init__(
        self, name: str, model: Bundle, inputs: Mapping[int, str] | None = None, version: str = "1",
        seen: FeatureCache | None = None,
    ) -> None:  # fmt: skip
        """Put a model behind a name.

        Args:
            name: how it is asked for.
            model: who answers.
            inputs: position in the source → text or file name of the training rows.
            version: which version of the run it is.
            seen: where it shares with other models what backbones see in the same items.
        """
        self.name, self.seen = name, seen
        self.now = Answering(model, inputs or {}, version)
        """Who answers the next batch."""
        self.heard: list[Callable[[Sequence[Answered]], None]] = []
        """Who is told of every batch of answers, in the thread that made them."""

    @property
    def model(self) -> Bundle:
        """Who answers now."""
        return self.now.model

    def swap(self, fresh: Answering) -> None:
        """Let another model answer from the next batch on; requests that are being answered keep theirs.

        Args:
            fresh: a model of the same kind of items.

        Raises:
            BundleError: it answers items of another kind.
        """
        before, after = self.model, fresh.model
        if (before.modality, before.pairs) != (after.modality, after.pairs):
            raise BundleError(
                f"the new model of {self.name} must answer {before.modality} items as the old one does, got one of "
                f"{after.modality}. Start a server for it."
            )
        self.now = fresh

    @cached_property
    def batcher(self) -> Batcher[Any, Answered]:
        """The thread through which all requests go."""
        return Batcher(self._answered, MOST_TOGETHER, f"model {self.name}")

    def _answered(self, items: Sequence[Any]) -> list[Answered]:
        found = answered(self.now, items, self.seen)
        for hear in self.heard:
            hear(found)
        return found

    def about(self) -> Row:
        """What it is, as JSON values."""
        model, version = self.model, self.now.version
        return {
            "name": self.name,
            "version": version,
            "task": model.task.name,
            "modality": model.modality,
            "pairs": model.pairs,
            "labels": list(model.labels),
            "reads": [name for name, _, _ in model.reads],
            "warning": model.warning or None,
        }


def answered(by: Answering, items: Sequence[Any], seen: FeatureCache | None = None) -> list[Answered]:
    """Answer items that can be read; what turns out not to be readable has an ``error`` in place of an answer.

    Args:
        by: the model, as it answers now.
        items: N items.
        seen: where it is looked up what backbones see in them.

    Returns:
        N answers.
    """
    model = by.model
    judged, rarity = with_rarity(model, items, seen)
    outputs, task, names = judged.outputs, model.task, model.labels
    sure, beside = task.confidence(outputs), task.beside(outputs, model.limit)
    values, shares = task.values(outputs, names), task.probabilities(outputs, names)
    kinds = task.kinds(outputs).tolist()
    rows = []
    for i in range(len(items)):
        if i in judged.failed:
            rows.append(Answered({"error": judged.failed[i]}, judged.features[i], by))
            continue
        row: Row = {"answer": values[i], "confidence": round(float(sure[i]), 6)}
        row |= {column: cells[i] for column, cells in beside.items() if column != "confidence"}
        if shares:
            row["probabilities"] = {name: round(float(p[i]), 6) for name, p in shares.items()}
        if model.reference is not None:
            unlike = bool(rarity[i] <= model.reference.novelty.level)
            row |= {"rarity": round(float(rarity[i]), 6), "unlike_training": unlike}
        rows.append(Answered(row, judged.features[i], by, kinds[i]))
    return rows
