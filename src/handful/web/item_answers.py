"""What a served model of items answers: each item with its confidence, how unlike the training rows it is, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from handful.errors import BundleError, OptionError
from handful.explanation import explain
from handful.export.bundle import Bundle
from handful.export.detector import Detector
from handful.export.part_model import PartModel
from handful.export.reference import Near
from handful.features.cache import FeatureCache
from handful.prediction import with_rarity
from handful.web.batching import Batcher
from handful.web.part_answers import PartAnswers, Row, answers_of

MOST_TOGETHER = 32
"""How many items go through a model in one batch at most."""


@dataclass(frozen=True)
class Answering:
    """A model as it answers from one swap to the next."""

    model: Bundle | PartModel
    """Who answers."""
    inputs: Mapping[int, str] = field(default_factory=dict)
    """Position in the source → text or file name of the training rows, where their run is at hand."""
    version: str = "1"
    """Which one it is: the version of the run, and after a dot how many times it learned from corrections since."""

    @property
    def bundle(self) -> Bundle:
        """Who answers, where that is a model of labelled items.

        Raises:
            OptionError: it is one of defects, masks or boxes.
        """
        if isinstance(self.model, PartModel):
            task = self.model.task.name
            raise OptionError(f"this is for models of labelled items, got a model of {task}. Leave it out.")
        return self.model

    def like(self, one: Answered, count: int) -> list[Row]:
        """The training rows most like an item, as JSON values."""
        reference = self.bundle.reference
        if reference is None or not count:
            return []
        return [self._told(near) for near in reference.like(one.features[None], count)[0]]

    def explained(self, item: Any, one: Answered) -> list[Row]:
        """Which parts of an item its answer hangs on, the heaviest first; of defects the most unusual places."""
        if isinstance(self.model, PartModel):
            return answers_of(self.model).why(one.seen) or []
        return [part.record() for part in explain(self.bundle, item).parts]

    def drawn(self, item: Any, one: Answered) -> bytes:
        """What a model of parts draws of an answer, as PNG."""
        assert isinstance(self.model, PartModel)
        return answers_of(self.model).picture(item, one.seen)

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
    seen: Any = None
    """Of a model of parts: what its answer was made of."""

    @property
    def corrected_by_id(self) -> bool:
        """Whether the answer is remembered, to be corrected."""
        return isinstance(self.by.model, Bundle)


class ServedModel:
    """One run behind a name, the thread that answers for it, and the model that answers now, which may change."""

    def __init__(
        self, name: str, model: Bundle | PartModel, inputs: Mapping[int, str] | None = None, version: str = "1",
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
    def model(self) -> Bundle | PartModel:
        """Who answers now."""
        return self.now.model

    @property
    def bundle(self) -> Bundle:
        """Who answers now, where that is a model of labelled items."""
        return self.now.bundle

    @property
    def corrected(self) -> bool:
        """Whether one label can say what is right: of spans, events, defects, masks and boxes it cannot."""
        return isinstance(self.model, Bundle) and not self.model.task.grain

    @property
    def explains(self) -> bool:
        """Whether it can be told what an answer hangs on."""
        return self.corrected or isinstance(self.model, Detector)

    @property
    def parts(self) -> PartAnswers | None:
        """How it answers where it is a model of defects, masks or boxes."""
        return answers_of(self.model) if isinstance(self.model, PartModel) else None

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

    def together(self, items: Sequence[Any]) -> list[Sequence[Any]]:
        """The items of a request as they go to the thread: all of them, or one by one where each takes long.

        A request that took too long, or that nobody waits for any more, then leaves one item behind at most.
        """
        each = isinstance(self.model, PartModel) and self.model.modality != "text"
        return [items[i : i + 1] for i in range(len(items))] if each else [items]

    def _answered(self, items: Sequence[Any]) -> list[Answered]:
        found = answered(self.now, items, self.seen)
        for hear in self.heard:
            hear(found)
        return found

    def about(self) -> Row:
        """What it is, as JSON values."""
        model, version, parts = self.model, self.now.version, self.parts
        return {
            "name": self.name,
            "version": version,
            "task": model.task.name,
            "modality": model.modality,
            "pairs": model.pairs,
            "labels": list(model.names if isinstance(model, PartModel) else model.labels),
            "reads": [name for name, _, _ in model.reads],
            "warning": model.warning or None,
            "explains": self.explains,
            **({} if parts is None else {"draws": parts.draws, **parts.told}),
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
    if isinstance(by.model, PartModel):
        return [Answered(row, np.zeros(0), by, seen=own) for row, own in answers_of(by.model).rows(items)]
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
