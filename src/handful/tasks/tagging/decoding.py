"""From probabilities of tags to spans: the likeliest sequence that makes sense, and how sure each span is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.spans import Span, written
from handful.tasks.part_layout import Floats, Numbers, Words, unpacked
from handful.tasks.tag_sequences import HALF, likeliest

# No sequence goes this way.
_NEVER = -1e9


@dataclass(frozen=True)
class Found:
    """A span that is answered."""

    start: int
    """Its first character."""
    end: int
    """The character behind its last."""
    label: str
    """What it is."""
    confidence: float
    """How probable it is that just this stretch has this label."""
    first: int
    """Its first word."""
    last: int
    """Its last word."""

    @property
    def span(self) -> Span:
        """Characters from and to, and the label."""
        return self.start, self.end, self.label

    def record(self, given: bool) -> dict[str, object]:
        """The span as plain values; with its tokens where the text came as these."""
        tokens = {"token_start": self.first, "token_end": self.last + 1} if given else {}
        return {
            "start": self.start, "end": self.end, "label": self.label, **tokens,
            "confidence": round(self.confidence, 4),
        }  # fmt: skip


def allowed(count: int) -> NDArray[np.bool_]:
    """(K, K) whether the column may follow the row: a further word of a span follows only its own label."""
    may = np.ones((count, count), bool)
    for inside in range(2, count, 2):
        may[:, inside] = False
        may[[inside - 1, inside], inside] = True
    return may


def decoded(outputs: Floats, names: Sequence[str], steps: NDArray[np.float64], outside: float) -> list[list[Found]]:
    """The spans that are answered to N texts.

    Args:
        outputs: (N, W (3 + K)), see ``part_layout``.
        names: C labels.
        steps: (K, K), see ``transitions_of``.
        outside: the factor on the probability of being outside: below 1 where a span that is missed costs as much as
            one too many.
    """
    words = unpacked(outputs, 1 + 2 * len(names))
    tags = best_tags(words, steps, outside)
    return [_spans(tags[n, : words.counts[n]], words.rest[n], words.bounds[n], names, words) for n in range(len(tags))]


def best_tags(words: Words, steps: NDArray[np.float64], outside: float) -> Numbers:
    """(N, W) tags of the likeliest sequences."""
    return likeliest(words, np.where(allowed(len(steps)), HALF * steps, _NEVER), outside)


def _spans(tags: Numbers, shares: Floats, bounds: Numbers, names: Sequence[str], words: Words) -> list[Found]:
    found = []
    for first, last, c in stretches(tags):
        inside = shares[first : last + 1, [1 + 2 * c, 2 + 2 * c]].sum(-1)  # a word of its label, however it begins
        goes_on = shares[last + 1, 2 + 2 * c] if last + 1 < len(tags) else 0.0
        sure = float(inside.prod() * (1 - goes_on))
        found.append(Found(int(bounds[first, 0]), int(bounds[last, 1]), names[c], sure, first, last))
    return found


def stretches(tags: Numbers) -> list[tuple[int, int, int]]:
    """Spans of one text by their first and last word and the number of their label. (W,) tags."""
    spans: list[tuple[int, int, int]] = []
    for w, tag in enumerate(tags.tolist()):
        c = (tag - 1) // 2
        if tag and tag % 2 == 0 and spans and spans[-1][1] == w - 1 and spans[-1][2] == c:
            spans[-1] = (spans[-1][0], w, c)
        elif tag:
            spans.append((w, w, c))
    return spans


def told(found: Sequence[Found]) -> str:
    """Spans as they stand in a table."""
    return written([one.span for one in found])
