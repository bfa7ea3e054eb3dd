"""Looking strings up beside a model of spans: held-out answers of the gazetteer and of both, and those to new texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handful.data.sentences import words_of
from handful.data.spans import Marked
from handful.tasks.learned_reference import Asked, LearnedReference
from handful.tasks.part_layout import unpacked
from handful.tasks.parts_task import PartsTask
from handful.tasks.tagging.gazetteer import Gazetteer, pooled
from handful.tasks.targets import Floats, Targets


class LookingUp(PartsTask, LearnedReference):
    """What the task of spans does with the strings that were marked; shapes as in ``part_layout``."""

    listed: Gazetteer | None
    alone: bool

    def looked_up(self, rows: Floats, items: Sequence[Any]) -> Floats:
        """What is said of the P words of new texts, with the strings that are known of them. (P, K) → (P, K)."""
        if self.listed is None:
            return rows
        texts = [words_of(item) for item in items]
        return self.listed.answers(texts) if self.alone else pooled(rows, self.listed.evidence(texts))

    def reference_answers(self, targets: Targets, items: Sequence[Any], folds: NDArray[np.int64]) -> Floats:
        """What the gazetteer of the other texts answers to each, (R, N, …)."""
        rows = np.zeros((len(folds), *self.design(targets).shape))  # (R, P, K)
        for r, some, listed, texts in self._by_fold(targets, items, folds):
            rows[r, some] = listed.answers(texts)
        return self.gathered(rows, targets)

    def with_reference(
        self, outputs: Floats, targets: Targets, items: Sequence[Any], folds: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """As in the contract: what the gazetteer of the other folds knows of a text is evidence beside the model."""
        words = unpacked(outputs, self.width(targets.names))
        rows = words.rest[..., words.real, :]  # (R, P, K)
        for r, some, listed, texts in self._by_fold(targets, items, folds):
            rows[r, some] = pooled(rows[r, some], listed.evidence(texts))
        return self.gathered(rows, targets)

    def asking(self, asked: Asked, targets: Targets, items: Sequence[Any]) -> Self:
        """The task that answers new items so, with the strings of all of these."""
        if asked is Asked.MODEL:
            return replace(self, listed=None, alone=False)  # type: ignore[type-var]
        listed = Gazetteer.of([words_of(item) for item in items], self._marked(targets), targets.names)
        return replace(self, listed=listed, alone=asked is Asked.REFERENCE)  # type: ignore[type-var]

    def _by_fold(
        self, targets: Targets, items: Sequence[Any], folds: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.bool_], Gazetteer, list[list[str]]]]:
        """Of each fold of each repeat: which of the P words it has, the gazetteer of the others, and its texts."""
        marks, texts = self._marked(targets), [words_of(item) for item in items]
        item = self.item_of(targets)
        for r, fold in enumerate(folds):
            for k in np.unique(fold):
                learn, own = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                listed = Gazetteer.of([texts[i] for i in learn], [marks[i] for i in learn], targets.names)
                yield r, fold[item] == k, listed, [texts[i] for i in own]

    def _marked(self, targets: Targets) -> list[Marked]:
        words = unpacked(targets.values, 1)
        found = []
        for n, own in enumerate(self.spans_wanted(targets)):
            bounds = words.bounds[n, : words.counts[n]]
            spans = tuple((int(bounds[a, 0]), int(bounds[b, 1]), targets.names[c]) for a, b, c in own)
            found.append(Marked(tuple((int(a), int(b)) for a, b in bounds), bool(words.given[n]), spans))
        return found
