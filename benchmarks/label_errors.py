"""Label errors: average precision of our ranking against cleanlab's, with a tenth of the labels wrong.

A draw has 5, 10 or 25 rows per class as they are labelled, and in a tenth of the rows the item is one of another class,
so that the sizes of the classes give nothing away. ``cleanlab``: its label quality scores (self confidence, its
default) on out-of-fold probabilities of logistic regression on the last layer of the best-suited backbone, the usual
way; ``on ours``: the same scores on the leave-one-out probabilities that our ranking starts from. How many of the rows
that ``inspect`` lists are wrong is measured in ``second_look.py``.

    .venv-peers/bin/python benchmarks/label_errors.py --draws 50 --out benchmarks/results/label_errors.csv
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from handful.features.view import unit_rows
from handful.inspection.labels import doubts
from handful.inspection.match import matches, suited
from ledger import Ledger, Row, cells, mean, numbers, options, spread
from pools import Pool, Set, open_pool

SETS = (
    Set("agnews", "agnews.csv", "text", ()),
    Set("banking77", "banking77.csv", "text", ()),
    Set("flowers12", "flowers12.zip", "image", ()),
    Set("fsdd", "fsdd.zip", "sound", ()),
)
CLASSES = 12
"""Sets with more classes are drawn with ten random ones per draw."""
WRONG = 0.1
FOLDS = 5
FIELDS = ("set", "per_class", "draw", "rows", "wrong", "cleanlab", "on_ours", "ours")


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, ",".join(task.name for task in SETS), 50, "label_errors.csv")
    parser.add_argument("--per-class", default="5,10,25")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw"))
    tasks = [task for task in SETS if task.name in args.sets.split(",") and not args.table]
    for task in tasks:
        pool = open_pool(task, args.data)
        for per_class in numbers(args.per_class):
            for draw in range(args.draws):
                ledger.add(one_draw(pool, per_class, draw))
        print(table([row for row in ledger.rows if row["set"] == task.name]), flush=True)
    print(table(ledger.rows))


def mislabelled(
    labels: NDArray[np.str_], per_class: int, draw: int
) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.bool_]]:
    """Rows, the labels they are given, and which of these are wrong."""
    rng = np.random.default_rng([draw, per_class])
    names = np.unique(labels)
    if len(names) > CLASSES:
        names = np.sort(rng.permutation(names)[:10])
    left = {name: list(rng.permutation(np.flatnonzero(labels == name))) for name in names}
    given = np.repeat(np.arange(len(names)), per_class)
    wrong = np.zeros(len(given), bool)
    wrong[rng.permutation(len(given))[: max(1, round(WRONG * len(given)))]] = True
    true = np.where(wrong, (given + rng.integers(1, len(names), len(given))) % len(names), given)
    rows = np.array([left[names[c]].pop() if left[names[c]] else -1 for c in true])
    there = rows >= 0
    return rows[there], names[given[there]], wrong[there]


def one_draw(pool: Pool, per_class: int, draw: int) -> Row:
    """Rank the rows of one draw in three ways."""
    rows, given, wrong = mislabelled(np.asarray(pool.data.labels), per_class, draw)
    sight = pool.sight.take(rows.tolist())
    fits = suited(matches({name: sight.items[name, at[0]] for name, at in sight.depths.items()}, given.tolist()))
    found = doubts([sight.items[name, d] for name in fits for d in sight.depths[name][:2]], given.tolist())
    x = unit_rows(sight.items[fits[0], sight.depths[fits[0]][0]])
    proba = out_of_fold(x, found.index, draw)
    scores = {
        "cleanlab": get_label_quality_scores(found.index, proba),
        "on_ours": get_label_quality_scores(found.index, np.exp(found.logs)),
        "ours": -found.scores,
    }
    return {
        "set": pool.task.name,
        "per_class": per_class,
        "draw": draw,
        "rows": len(rows),
        "wrong": int(wrong.sum()),
        **{name: round(float(average_precision_score(wrong, -score)), 4) for name, score in scores.items()},
    }


def out_of_fold(x: NDArray[np.float32], index: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """(N, C) probabilities of rows that were held out."""
    proba = np.zeros((len(x), int(index.max()) + 1))
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(index).min())), shuffle=True, random_state=seed)
    for train, test in folds.split(x, index):
        head = LogisticRegression(C=10, max_iter=1000).fit(x[train], index[train])
        proba[np.ix_(test, head.classes_)] = head.predict_proba(x[test])
    return proba


def table(rows: Sequence[Row]) -> str:
    """Mean average precision per cell and set, and of all."""
    lines = ["set         rows  draws  cleanlab  on ours   ours   ours - cleanlab"]
    means: dict[str, list[list[float]]] = {}
    for (name, per_class), some in cells(rows, "set", "per_class").items():
        cleanlab, on_ours, ours = (100 * mean(some, key) for key in ("cleanlab", "on_ours", "ours"))
        means.setdefault(name, []).append([cleanlab, on_ours, ours])
        lines.append(
            f"{name:<12}{per_class:>4}{len(some):>7}{cleanlab:>10.1f}{on_ours:>9.1f}{ours:>7.1f}"
            f" {spread(some, 'ours', 'cleanlab')}"
        )
    for name, some in [*means.items(), ("mean", [cell for cells_ in means.values() for cell in cells_])]:
        cleanlab, on_ours, ours = np.mean(some, axis=0)
        lines.append(f"{name:<12} all{'':>7}{cleanlab:>10.1f}{on_ours:>9.1f}{ours:>7.1f}{ours - cleanlab:>+7.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
