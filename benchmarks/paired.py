"""Paired: how often two arms that are equally good by construction are called different.

Both arms answer the rows of one few-shot draw while these are held out, and their difference gets the interval by
which arms are compared everywhere in handful. What makes the two differ is drawn by a coin, so that neither can be the
better one, and every interval that excludes zero is a false alarm; there should be at most 5 in 100.

``folds``: the same head on the same features, five repeats of five folds for each arm, dealt from seeds of its own.
``one repeat``: the same with one repeat, as weights that move are compared. ``noise``: the same head and folds, and to
every row that is held out noise is added that is as long as its features, anew for each arm. ``coin``: each arm's
answer to a row is drawn from the probabilities that the head gives it, anew for each arm, so that the two differ as
often as they can.

    python benchmarks/paired.py --draws 125 --out benchmarks/results/paired.csv
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handful.data.splits import fold_ids
from handful.evaluation.intervals import LEVEL, difference, wilson
from handful.evaluation.metrics import share
from handful.features.view import unit_rows
from handful.strategies.frozen.heads import Logistic
from handful.tasks.classification.softmax import probabilities
from ledger import Ledger, Row, cells, mean, options
from pools import Pool, by_name, draws, open_pool

SETS = "cr,agnews,trec6,sst5"
VARIANTS = ("folds", "one repeat", "noise", "coin")
FIELDS = ("set", "variant", "draw", "rows", "first", "second", "value", "low", "high", "apart", "alarm")
FOLDS, REPEATS = 5, 5
NOISE = 1.0


def main() -> None:
    """Run the draws, write one line per draw and variant, print the table."""
    args = options(__doc__, SETS, 125, "paired.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "variant", "draw"))
    for task in by_name(args.sets) if not args.table else ():
        pool, found = open_pool(task, args.data), list[Row]()
        for seed, train, _ in draws(pool, task.per_class[0], args.draws):
            found += [one_draw(pool, variant, seed, train) for variant in VARIANTS]
        ledger.extend(found)
        print(table(found), flush=True)
    print(table(ledger.rows))


def one_draw(pool: Pool, variant: str, seed: int, train: np.ndarray) -> Row:
    """Two equal arms on one draw."""
    first, second = (right(pool, variant, seed, train, arm) for arm in (0, 1))
    apart = difference(share(first), share(second))
    return {
        "set": pool.task.name,
        "variant": variant,
        "draw": seed,
        "rows": len(train),
        "first": round(float(first.mean()), 4),
        "second": round(float(second.mean()), 4),
        "value": round(apart.value, 4),
        "low": round(apart.low, 4),
        "high": round(apart.high, 4),
        "apart": round(float((first != second).mean()), 4),
        "alarm": int(not apart.holds_zero),
    }


def right(pool: Pool, variant: str, seed: int, train: np.ndarray, arm: int) -> np.ndarray:
    """(N,) the share of repeats in which an arm answers each row of a draw right while it is held out."""
    part = next((name, depths[0]) for name, depths in pool.sight.depths.items())
    x, labels = unit_rows(pool.sight.items[part][train]), np.asarray(pool.data.labels)[train]
    names, truth = np.unique(labels, return_inverse=True)
    own = np.random.default_rng([seed, 1 + arm])
    dealt = own if variant in ("folds", "one repeat") else np.random.default_rng([seed, 0])
    shares = []
    for _ in range(REPEATS if variant == "folds" else 1):
        folds = fold_ids(truth, np.arange(len(truth)), FOLDS, dealt)
        answers = np.zeros(len(truth), int)
        for fold in range(FOLDS):
            held = folds == fold
            head = Logistic(0.1).fit(x[~held], labels[~held])
            seen = x[held]
            if variant == "noise":
                noise = own.normal(size=seen.shape)
                seen = seen + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
            proba = np.zeros((held.sum(), len(names)))
            proba[:, np.searchsorted(names, head.classes_)] = probabilities(
                unit_rows(seen) @ head.coef_ + head.intercept_, 1.0
            )
            answers[held] = drawn(proba, own) if variant == "coin" else proba.argmax(1)
        shares.append(answers == truth)
    return np.mean(shares, 0)


def drawn(proba: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An answer for each row, with the probabilities of its classes. (N, C) → (N,)."""
    return (proba.cumsum(1) < rng.random((len(proba), 1))).sum(1).clip(max=proba.shape[1] - 1)


def table(rows: Sequence[Row]) -> str:
    """How often the interval excludes zero, by variant and set, and over all sets."""
    lines = [f"{'variant':<12}{'set':<12}{'draws':>6}{'rows':>6}{'right':>7}{'apart':>7}  called different"]
    for variant in VARIANTS:
        own = [row for row in rows if row["variant"] == variant]
        sets = cells(own, "set")
        for (name,), some in [*sets.items(), *([(("all sets",), own)] if len(sets) > 1 else [])]:
            alarms, accuracy, apart = mean(some, "alarm"), mean(some, "first"), mean(some, "apart")
            share = wilson(alarms, len(some), LEVEL)
            lines.append(
                f"{variant:<12}{name:<12}{len(some):>6}{mean(some, 'rows'):>6.0f}{accuracy:>7.0%}{apart:>7.0%}"
                f"  {share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
