"""Data selection: the n of many rows that are most worth learning from: clean, hard, and standing for many others."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones import catalog
from handful.backbones.base import default_device
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Preference, plain_prompt
from handful.data.dataset import Dataset
from handful.data.fingerprints import plain_text
from handful.data.readers import load
from handful.errors import OptionError
from handful.inspection.audit import sample
from handful.inspection.copies import pieces_alike
from handful.inspection.dialogue import suspects
from handful.keywords import known_keywords

# Likenesses of all pairs are held in memory: of more rows than this a sample is looked at.
_MOST = 5000

# A row counts for at most and at least so many others of middling hardness: what is hardest of all is often wrong.
_HARD, _EASY = 2.0, 0.5


@known_keywords
def pick(source: Any, n: int, *, backbone: Any = "auto", seed: int = 0) -> Dataset:
    """The n rows that are most worth learning from.

    Rows that inspection looks at twice (repeats, contradictions, answers that copy their prompt, unusual lengths) are
    left out where enough others are there. Of the rest those are taken that cover the others best, hard ones first.

    Args:
        source: rows with answers or preferences: a Dataset, or anything that ``load`` reads. Rows that it keeps for a
            test all stay.
        n: how many rows to learn from are wanted.
        backbone: who says what is hard, as for ``tune``, or a ``LanguageBackbone``; None: all rows are as hard.
        seed: fixes which 5,000 rows are looked at where there are more.

    Returns:
        The picked rows in the order of the source.

    Raises:
        DataError: the source cannot be read.
        OptionError: the rows are none for a language model, or n is not among what is there.
        WeightsError: the backbone is not there and cannot be fetched.
    """
    data = source if isinstance(source, Dataset) else load(source)
    if data.modality != "language":
        raise OptionError(f"rows to pick from must have prompts and answers, got {data.modality}. Pick labels by hand.")
    test = [i for i, part in enumerate(data.split or ()) if part == "test"]
    place = {row: i for i, row in enumerate(data.rows)}
    some = sample(data.take(sorted(set(range(len(data))) - set(test))), seed, _MOST)
    if not isinstance(n, Integral) or isinstance(n, bool) or not 1 <= n <= len(some):
        raise OptionError(f"n must be a whole number from 1 to {len(some)}, the rows that are there, got {n!r}.")
    texts = [plain_text(f"{plain_prompt(row)}\n{_answer(row)}") for row in some.items]
    at = covering(pieces_alike(texts), hardness(some, backbone), int(n), suspects(some))
    return data.take(sorted([*test, *(place[some.rows[i]] for i in at.tolist())]))


def covering(
    alike: NDArray[np.float64], weight: NDArray[np.float64], n: int, last: Collection[int] = ()
) -> NDArray[np.int64]:
    """Rows that stand for all others: facility location, by the greedy choice (Nemhauser et al. 1978, (1 - 1/e)).

    Each row i is as well covered as it is like the nearest picked one; what is wanted is the sum of this over all rows.

    Args:
        alike: (N, N) likenesses of rows from 0 to 1, with 1 for each with itself.
        weight: (N,) how much it counts that a row is covered.
        n: how many are picked, at most N.
        last: positions of rows that cover nothing and are only picked when no others are left.

    Returns:
        (n,) positions, the most useful first.
    """
    candidates = np.array([i for i in range(len(alike)) if i not in last], np.int64)
    near, counts = alike[np.ix_(candidates, candidates)], weight[candidates]
    covered, chosen = np.zeros(len(candidates)), list[int]()
    while len(chosen) < min(n, len(candidates)):
        gains = counts @ np.maximum(near - covered[:, None], 0.0)  # (K,)
        gains[chosen] = -1.0
        chosen.append(int(gains.argmax()))
        covered = np.maximum(covered, near[:, chosen[-1]])
    picked = candidates[np.array(chosen, np.int64)]
    return np.concatenate([picked, np.array(sorted(last), np.int64)[: n - len(picked)]])


def hardness(data: Dataset, backbone: Any) -> NDArray[np.float64]:
    """How hard rows are for a frozen model: the loss of their answers per token over the median, from 0.5 to 2.

    Args:
        data: N rows for a language model; of pairs the chosen answer counts.
        backbone: a name, a ``LanguageBackbone``, or None: all are 1.
    """
    if backbone is None:
        return np.ones(len(data))
    if not isinstance(backbone, LanguageBackbone):
        name = catalog.defaults("language")[0] if backbone == "auto" else catalog.located(str(backbone))
        backbone = catalog.load(name, "language").to(default_device())
    rows = [row.chosen_row if isinstance(row, Preference) else row for row in data.items]
    nats, count = backbone.losses([backbone.chat.tokens(row, backbone.context) for row in rows])
    each = nats / count
    return np.asarray(np.clip(each / max(float(np.median(each)), 1e-9), _EASY, _HARD))


def _answer(row: Any) -> str:
    return str(row.chosen if isinstance(row, Preference) else row.answer)
