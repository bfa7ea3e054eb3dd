"""How far a score is off that is held out from heads alone, on weights that have learned from the rows before.

    python benchmarks/known_rows.py --draws 5 --out benchmarks/results/known_rows.csv

Weights move (``contrastive``, minilm-l6) on 8 rows of each of at most 10 classes. What the moved backbone then sees in
the same rows is what a model could keep of them once they are gone. ``known``: accuracy of a head on that, held out in
five folds. ``true``: accuracy of the head of all these rows on at most 300 others. ``frozen``: the same two with
weights as they were, which agree but for the fifth of the rows that a fold does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids
from handful.strategies.tuned.activation_cache import ActivationCache
from handful.strategies.tuned.fit import adapt, scores_of
from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.tasks.base import Targets
from handful.training.body import features_of
from ledger import Ledger, Row, cells, mean, options, spread
from pools import by_name, classed, load_backbones, rows_of

PER_CLASS, CLASSES, OTHERS, FOLDS = 8, 10, 300, 5
FIELDS = ("set", "draw", "rows", "others", "frozen_known", "frozen_true", "moved_known", "moved_true")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, "goemotions,masakhanews_eng,clinc150", 5, "known_rows.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw"))
    for draw in () if args.table else range(args.draws):
        for name in args.sets.split(","):
            if not ledger.has(set=name, draw=draw):
                ledger.add({"set": name, "draw": draw, **_draw(name, args.data, draw)})
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def _draw(name: str, folder: Path, draw: int) -> Row:
    """Both accuracies with frozen weights and with moved ones, in one draw."""
    data, rng = rows_of(by_name(name)[0], folder), np.random.default_rng(draw)
    labels = np.array(data.labels)
    names, counts = np.unique(labels, return_counts=True)
    names = rng.permutation(names[counts >= 2 * PER_CLASS])[:CLASSES]
    train = np.concatenate([rng.permutation(np.flatnonzero(labels == one))[:PER_CLASS] for one in names])
    others = rng.permutation(np.setdiff1d(np.flatnonzero(np.isin(labels, names)), train))[:OTHERS]
    rows = np.concatenate([train, others])
    truth = np.unique(labels[rows], return_inverse=True)[1]
    recipe = Contrastive(seed=draw).recipe()
    kept = ActivationCache(data.take(rows), load_backbones("minilm-l6", "text")["minilm-l6"]).of(recipe)
    known = np.arange(len(rows)) < len(train)
    moved = adapt(kept, np.flatnonzero(known), classed(truth).take(known), recipe).body
    told: Row = {"rows": len(train), "others": len(others)}
    every = np.arange(len(rows))
    for what, seen in (("frozen", kept.frozen_in(every)), ("moved", features_of(moved, kept, every))):
        told |= {f"{what}_known": _held_out(seen[known], classed(truth).take(known), recipe.penalty, draw)}
        answers = scores_of(seen, known, classed(truth), recipe.penalty).argmax(1)
        told |= {f"{what}_true": round(float((answers == truth)[~known].mean()), 4)}
    return told


def _held_out(seen: NDArray[np.float32], targets: Targets, penalty: float, seed: int) -> float:
    """The accuracy of a head on features of rows, (N, D), which is fitted without each fold."""
    folds = fold_ids(targets.values, np.arange(len(seen)), FOLDS, np.random.default_rng(seed))
    answers = np.zeros(len(seen), np.int64)
    for k in range(FOLDS):
        answers[folds == k] = scores_of(seen, folds != k, targets, penalty).argmax(1)[folds == k]
    return round(float((answers == targets.values).mean()), 4)


def table(rows: Sequence[Row]) -> str:
    """What is told and what is true of frozen and of moved weights, and how far apart they are over draws."""
    lines = [
        f"{'set':<17}{'draws':>6}{'frozen: known':>15}{'true':>7}   {'known - true':<24}{'moved: known':>13}{'true':>7}"
        "   known - true"
    ]
    for (name,), found in cells(rows, "set").items():
        parts = [f"{name:<17}{len(found):>6}"]
        for what, wide in (("frozen", 15), ("moved", 13)):
            known, true = (100 * mean(found, f"{what}_{side}") for side in ("known", "true"))
            parts.append(f"{known:>{wide}.1f}{true:>7.1f}   {spread(found, f'{what}_known', f'{what}_true'):<24}")
        lines.append("".join(parts).rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
