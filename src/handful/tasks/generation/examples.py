"""Examples of answers: which held-out rows are shown beside what was wanted, by a rule that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from handful.data.conversations import Conversation, plain_prompt
from handful.evaluation.lead import Example
from handful.tasks.generation.metrics import Answered, exact_match, token_f1

BY_WORDS = (
    "Picked by a rule: held-out rows ordered by the words they share with the wanted answer; the middle one of those "
    "answered exactly, of the others, and of all."
)
BY_LOSS = (
    "Picked by a rule: of the rows of one held-out part, those whose wanted answers surprised the model least and "
    "most, and the one in the middle."
)

# Prompts that begin with so many words in common are told without them.
_COMMON = 3


def by_words(outputs: Answered, rows: Sequence[Conversation]) -> dict[int, str]:
    """A row that was answered exactly, one that was not, and the middle one of all: position → kind.

    Args:
        outputs: N answers.
        rows: N rows with the wanted ones.
    """
    pairs = list(zip(outputs.texts, (row.answer for row in rows), strict=True))
    shared = np.array([token_f1(*pair) for pair in pairs])
    right = np.array([exact_match(*pair) == 1 for pair in pairs])
    order = np.lexsort((-outputs.losses, shared, right))  # the least close first
    good, bad = order[right[order]], order[~right[order]]
    kinds = {_middle(good): "right"} if len(good) else {int(order[-1]): "closest; none is right"}
    if len(bad):
        kinds.setdefault(_middle(bad), "wrong")
    else:
        kinds.setdefault(int(order[0]), "the least sure; none is wrong")
    return kinds | _typical(order, kinds)


def by_loss(losses: NDArray[np.float64]) -> dict[int, str]:
    """The least and the most surprising of N wanted answers, and the middle one: position → kind.

    Args:
        losses: (N,) nats per token.
    """
    order = np.argsort(losses, kind="stable")
    kinds = {int(order[0]): "easiest"}
    kinds.setdefault(int(order[-1]), "hardest")
    return kinds | _typical(order, kinds)


def _middle(at: NDArray[np.int64]) -> int:
    return int(at[len(at) // 2])


def _typical(order: NDArray[np.int64], taken: dict[int, str]) -> dict[int, str]:
    """The row nearest to the middle of an order that is not taken yet; none where all are."""
    middle = len(order) // 2
    left = [place for place, row in enumerate(order.tolist()) if row not in taken]
    return {int(order[min(left, key=lambda place: abs(place - middle))]): "typical"} if left else {}


def examples(
    kinds: Mapping[int, str], texts: Mapping[int, str], rows: Sequence[Conversation], positions: Sequence[int]
) -> tuple[Example, ...]:
    """Rows beside their answers.

    Args:
        kinds: position → what the row stands for.
        texts: position → what the model said.
        rows: N rows.
        positions: N zero-based positions in the source.
    """
    prompts = without_beginning([plain_prompt(row) for row in rows])
    return tuple(
        Example(kind, positions[i], prompts[i], rows[i].answer, texts[i]) for i, kind in kinds.items() if i in texts
    )


def without_beginning(prompts: Sequence[str]) -> list[str]:
    """Prompts without the words with which all of them begin, which tell nothing of one of them."""
    words = [prompt.split() for prompt in prompts]
    common = 0
    while all(len(each) > common + 1 for each in words) and len({each[common] for each in words}) == 1:
        common += 1
    if len(prompts) == 1 or common < _COMMON:
        return list(prompts)
    return ["… " + " ".join(each[common:]) for each in words]
