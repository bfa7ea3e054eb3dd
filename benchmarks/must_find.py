"""The promise of ``--must-find``: of two classes, is so much of the one found as was asked for, and held what was told?

Two classes of a set; so many rows of each are learned from, all others are answered. Found is the share of the class
that must be found which is answered so, thrown away the share of the other that is answered so too. A promise is about
the mean over such draws: the threshold is the order statistic of held-out rows that a new row lies below with at most
the chance that was asked (as ``tasks.defects.promise``). Weights stay frozen: the threshold is what is tried.

    python benchmarks/must_find.py --draws 8 --out benchmarks/results/must_find.csv
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from handful import api
from handful.data.dataset import Dataset
from handful.features.cache import user_cache
from ledger import Ledger, Row, cells, options, over_draws, values
from pools import by_name, rows_of

PAIRS = {
    "cr": ("negative", "positive"), "sst5": ("negative", "neutral"), "hymenoptera2": ("ants", "bees"),
    "trashnet6": ("glass", "plastic"),
}  # fmt: skip
"""Set → the class that must be found, and the other."""
BACKBONES = {"text": "minilm-l6", "image": "efficientnet-lite0"}
SIZES = (20, 40)
ASKED = 0.9
MOST = 400
"""At most so many rows of each class are taken of a set."""
FIELDS = ("set", "rows", "draw", "asked", "found", "low", "high", "thrown", "thrown_low", "thrown_high", "answered")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, ",".join(PAIRS), 8, "must_find.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "draw"))
    for task in () if args.table else by_name(args.sets):
        data = pair_of(rows_of(task, Path(args.data)), *PAIRS[task.name])
        for size in SIZES:
            for draw in range(args.draws):
                at: Row = {"set": task.name, "rows": size, "draw": draw}
                ledger.complete(at, measured(data, PAIRS[task.name][0], size, draw, BACKBONES[task.modality]))
    print(table(ledger.rows))


def pair_of(data: Dataset, *names: str) -> Dataset:
    """The rows of two classes, so many of each at most."""
    labels, rng = np.asarray(data.labels), np.random.default_rng(0)
    each = [rng.permutation(np.flatnonzero(labels == name))[:MOST] for name in names]
    return data.take(np.concatenate(each).tolist())


def measured(data: Dataset, name: str, size: int, draw: int, backbone: str) -> Iterator[Row]:
    """One draw: learn from some rows of each class, answer all others."""
    labels, rng = np.asarray(data.labels), np.random.default_rng(draw)
    learn = np.concatenate([rng.permutation(np.flatnonzero(labels == one))[:size] for one in np.unique(labels)])
    rest = np.setdiff1d(np.arange(len(labels)), learn)
    run = api.tune(
        data.take(rng.permutation(learn).tolist()), must_find=f"{name}={ASKED:.0%}", backbone=backbone, budget=0,
        seed=draw,
    )  # fmt: skip
    answers = np.asarray(run.model.predict([data.items[i] for i in rest], user_cache()))
    own = labels[rest] == name
    promise = run.model.task.cut.promise
    yield {
        "asked": ASKED, "found": round(float((answers[own] == name).mean()), 4), "low": promise.found.low,
        "high": promise.found.high, "thrown": round(float((answers[~own] == name).mean()), 4),
        "thrown_low": promise.false_alarms.low, "thrown_high": promise.false_alarms.high, "answered": len(rest),
    }  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """What was found on the mean, and how often the intervals held it."""
    lines = [f"{'set':<14}{'rows':>5}{'draws':>7}{'found, %':>26}{'held':>7}{'thrown away, %':>26}{'held':>7}"]
    every = {"found": [0, 0], "thrown": [0, 0]}
    for (name, size), some in cells(rows, "set", "rows").items():
        shown = f"{name:<14}{size:>5}{len(some):>7}"
        for what, low, high in (("found", "low", "high"), ("thrown", "thrown_low", "thrown_high")):
            share = values(some, what)
            held = (values(some, low) <= share) & (share <= values(some, high))
            every[what][0] += int(held.sum())
            every[what][1] += len(held)
            shown += f"{over_draws(100 * share, 1):>26}{held.mean():>7.0%}"
        lines.append(shown)
    means = [np.mean(values(some, "found")) for some in cells(rows, "set", "rows").values()]
    lines.append("")
    lines.append(f"asked: {ASKED:.0%}; found on the mean over sets and sizes: {np.mean(means):.1%}")
    lines += [f"the interval of what is {what} holds in {a} of {n} draws" for what, (a, n) in every.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
