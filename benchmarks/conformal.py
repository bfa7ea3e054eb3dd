"""Calibration and conformal sets: what a confidence is worth, and how often a set of classes holds the right one.

Per draw the frozen rung is fitted; no row is set aside. On rows left over, as many of each class: how often the 90 %
set holds the true class and how many classes it has, and the expected calibration error before and after calibration.
Before: a plain logistic regression on the last layer of the first backbone, as its fit leaves it. With ``--setfit``
also that of SetFit with its defaults on the same rows, in the environment of benchmarks/README.md.

    python benchmarks/conformal.py --draws 20 --out benchmarks/results/conformal.csv
    .venv-peers/bin/python benchmarks/conformal.py --setfit --sets trec6,cr --per-class 8 --draws 1 --out …
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handful.data.dataset import Dataset
from handful.evaluation.conformal import LEVEL, threshold
from handful.features.view import View
from handful.strategies.frozen.ensemble import Member, pooled
from handful.strategies.frozen.search_space import Setting
from handful.tasks.classification.conformal import misfits, sets
from handful.tasks.classification.heads import LOGISTIC
from handful.tasks.classification.softmax import expected_error
from ledger import Ledger, Row, cells, mean, numbers, options
from pools import Pool, by_name, draws, fitted, held_apart, open_pool

FIELDS = ("set", "per_class", "draw", "rows", "covered", "size", "accuracy", "before", "after", "setfit")
DEFAULT = "agnews,trec6,cr,sst5,banking77,flowers12,trashnet6,hymenoptera2,textile3,fsdd_digits,esc10"
CLASSES = 10
"""Where a set has more classes, a draw takes so many of them."""
MOST = 100
"""At most so many rows of a class are scored."""
PENALTY = 0.1
"""Of the plain logistic regression: the middle one of those that are searched, scikit-learn's C = 10."""


def main() -> None:
    """Run the draws, write one line per draw, print the table."""
    parser = options(__doc__, DEFAULT, 20, "conformal.csv")
    parser.add_argument("--per-class", default="5,20")
    parser.add_argument("--budget", type=float, default=0.0, help="seconds per run; 0: the smallest search")
    parser.add_argument("--setfit", action="store_true", help="train SetFit on the same rows as well")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw"))
    for task in by_name(args.sets) if not args.table else ():
        pool = open_pool(task, args.data)
        for size in numbers(args.per_class):
            for seed, train, rest in draws(pool, size, args.draws, CLASSES):
                row = one_draw(pool, size, seed, *held_apart(pool, train, rest), budget=args.budget, peer=args.setfit)
                ledger.add(row)
            print(table([row for row in ledger.rows if row["set"] == task.name]), flush=True)
    print(table(ledger.rows))


def one_draw(
    pool: Pool, size: int, seed: int, train: np.ndarray, rest: np.ndarray, *, budget: float, peer: bool
) -> Row:
    """One draw: the model with its threshold, scored on as many rows of each class."""
    data = pool.data.take(train)
    known = [i for i, name in enumerate(pool.data.classes) if name in set(data.classes)]
    sight = pool.sight.take(train).take_classes(known if pool.sight.names else [])
    frozen = fitted(data, sight, budget, seed)
    labels = np.asarray(pool.data.labels)
    parts = [rest[labels[rest] == name] for name in frozen.rows.targets.names]
    even = np.concatenate([part[: min(MOST, *map(len, parts))] for part in parts])
    truth = np.searchsorted(frozen.rows.targets.names, labels[even])
    seen = pool.sight.take(even).items
    proba = frozen.answers(seen)
    inside = sets(proba, threshold(misfits(frozen.whole, frozen.rows.targets.values)))
    name, depths = next(iter(sight.depths.items()))
    probe = Setting("logistic", LOGISTIC, View(((name, depths[0]),)), PENALTY)
    raw = pooled(
        [Member(probe, 1.0, 1.0)], sight.items, sight.names, frozen.rows.targets.task.design(frozen.rows.targets)
    )
    return {
        "set": pool.task.name,
        "per_class": size,
        "draw": seed,
        "rows": len(train),
        "covered": round(float(inside[np.arange(len(truth)), truth].mean()), 4),
        "size": round(float(inside.sum(1).mean()), 3),
        "accuracy": round(float((proba.argmax(1) == truth).mean()), 4),
        "before": round(expected_error(frozen.rows.targets.task.outputs(raw.scores(raw.view.matrix(seen))), truth), 4),
        "after": round(expected_error(proba, truth), 4),
        "setfit": round(expected_error(setfit_answers(data, pool.data.take(even), seed), truth), 4) if peer else "",
    }


def setfit_answers(data: Dataset, test: Dataset, seed: int) -> NDArray[np.float64]:
    """What SetFit with its defaults says about the test rows, (N, C), classes in sorted order."""
    from datasets import Dataset as Rows
    from setfit import SetFitModel, Trainer, TrainingArguments

    from speed import peer_folder

    model = SetFitModel.from_pretrained(str(peer_folder()), labels=list(data.classes))
    settings = TrainingArguments(num_iterations=20, seed=seed, report_to="none", save_strategy="no")
    rows = Rows.from_dict({"text": list(data.items), "label": list(data.labels or ())})
    Trainer(model, settings, train_dataset=rows).train()
    return np.asarray(model.predict_proba(list(test.items), as_numpy=True), np.float64)


def table(rows: Sequence[Row]) -> str:
    """Per set and size and on the mean: coverage and size of the sets, calibration error before and after."""
    peer = any(str(row["setfit"]) for row in rows)
    head = f"{'set':<16}{'rows':>5}{'draws':>7}{'covered':>9}{'classes':>9}{'accuracy':>10}{'before':>8}{'after':>7}"
    columns = ("covered", "size", "accuracy", "before", "after", *(["setfit"] if peer else ()))
    lines, means = [head + f"{'SetFit':>8}" * peer], []
    for (name, size), some in cells(rows, "set", "per_class").items():
        means.append([mean(some, column) for column in columns])
        lines.append(f"{name:<16}{size:>5}{len(some):>7}{_line(means[-1])}")
    return "\n".join([*lines, f"{'mean of ' + str(len(means)) + ' cells':<28}{_line(np.mean(means, 0))}", _asked()])


def _line(found: Sequence[float] | NDArray[np.float64]) -> str:
    covered, size, accuracy, before, after, *peer = found
    line = f"{covered:>9.1%}{size:>9.2f}{accuracy:>10.1%}{100 * before:>8.1f}{100 * after:>7.1f}"
    return line + "".join(f"{100 * error:>8.1f}" for error in peer)


def _asked() -> str:
    return f"sets were asked to cover {LEVEL:.0%}; calibration errors in points"


if __name__ == "__main__":
    main()
