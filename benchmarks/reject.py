"""Reject: how well inputs that the model has nothing to say about are told from those that it was made for.

Area under the ROC curve of the novelty score, and of the usual baseline, one minus the highest probability, on rows
left over against rows from elsewhere; then how many of both are refused at ``--reject 5%``.

    python benchmarks/reject.py --draws 10 --out benchmarks/results/reject.csv
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from handful.evaluation.novelty import Novelty
from handful.features.feature_set import extract_all
from ledger import Ledger, Row, cells, mean, numbers, options
from pools import Pool, Set, by_name, draws, fitted, held_apart, load_backbones, open_pool

FIELDS = ("task", "per_class", "draw", "rows", "novelty", "baseline", "refused_own", "refused_other", "view")
TASKS = {
    "clinc150": ("clinc150_oos", "oos"),
    "flowers12": ("trashnet6", ""),
    "fsdd_digits": ("esc10", ""),
}
"""Set that is learned → where the other inputs come from, and which label they have there (any if empty)."""
SHARE = 0.05
MOST = 1000
"""At most so many rows of either side are scored."""


def main() -> None:
    """Run the draws, write one line per draw, print the table."""
    parser = options(__doc__, ",".join(TASKS), 10, "reject.csv")
    parser.add_argument("--per-class", default="5,10")
    parser.add_argument("--budget", type=float, default=0.0, help="seconds per run; 0: the smallest search")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("task", "per_class", "draw"))
    for name in args.sets.split(",") if not args.table else ():
        pool = open_pool(by_name(name)[0], args.data, most=100_000)
        other = strangers(pool, args.data, *TASKS[name])
        for size in numbers(args.per_class):
            for seed, train, rest in draws(pool, size, args.draws):
                ledger.add(one_draw(pool, other, size, seed, held_apart(pool, train, rest), args.budget))
            print(table([row for row in ledger.rows if row["task"] == name]), flush=True)
    print(table(ledger.rows))


def strangers(pool: Pool, folder: Path, name: str, label: str) -> Pool:
    """The inputs from elsewhere, seen by the backbones of the set that is learned."""
    task = Set(name, f"{name}.csv", "text", ()) if pool.task.modality == "text" else by_name(name)[0]
    found = open_pool(replace(task, modality=pool.task.modality), folder, most=100_000)
    at = [i for i, c in enumerate(found.data.labels or ()) if label in ("", c)]
    data, sight = extract_all(found.data.take(at), load_backbones("auto", pool.task.modality))
    return Pool(task, data, sight)


def one_draw(pool: Pool, other: Pool, size: int, seed: int, rows: tuple[np.ndarray, np.ndarray], budget: float) -> Row:
    """Both scores on one draw."""
    train, rest = rows
    rng = np.random.default_rng(seed)
    data, sight = pool.data.take(train), pool.sight.take(train)
    known = [i for i, name in enumerate(pool.data.classes) if name in set(data.classes)]
    sight = sight.take_classes(known if sight.names else [])
    frozen = fitted(data, sight, budget, seed)
    view, sure = frozen.model.view, frozen.whole.mean(0).max(1)
    novelty = Novelty.of(frozen.matrix, frozen.rows.targets.values, sure, frozen.rows.groups)
    own, others = rng.permutation(rest)[:MOST], rng.permutation(len(other.data))[:MOST]
    x = np.concatenate([view.matrix(pool.sight.take(own).items), view.matrix(other.sight.take(others).items)])
    proba, foreign = frozen.rows.targets.task.outputs(frozen.model.scores(x)), np.arange(len(x)) >= len(own)
    refused = novelty.refused(x, proba.max(1), SHARE)
    return {
        "task": pool.task.name,
        "per_class": size,
        "draw": seed,
        "rows": len(train),
        "novelty": round(float(roc_auc_score(foreign, novelty.scores(x, proba.max(1)))), 4),
        "baseline": round(float(roc_auc_score(foreign, -proba.max(1))), 4),
        "refused_own": round(float(refused[~foreign].mean()), 4),
        "refused_other": round(float(refused[foreign].mean()), 4),
        "view": view.name,
    }


def table(rows: Sequence[Row]) -> str:
    """Per task and size: both areas, and what is refused at 5 %."""
    areas, refused = f"{'novelty':>9}{'baseline':>10}", f"{'refused: own':>14}{'other':>8}"
    lines = [f"{'learned':<13}{'against':<18}{'rows':>5}{'draws':>7}{areas}{refused}"]
    for (name, size), some in cells(rows, "task", "per_class").items():
        areas = f"{100 * mean(some, 'novelty'):>9.1f}{100 * mean(some, 'baseline'):>10.1f}"
        refused = f"{mean(some, 'refused_own'):>14.1%}{mean(some, 'refused_other'):>8.1%}"
        lines.append(f"{name:<13}{' '.join(TASKS[name]).strip():<18}{size:>5}{len(some):>7}{areas}{refused}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
