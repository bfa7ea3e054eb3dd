"""SetFit with its defaults against a tuned run on the same draws, same encoder: accuracy and seconds.

Run it in the environment of benchmarks/README.md.

    python benchmarks/setfit_peer.py --sets agnews,trec6,cr,sst5 --draws 5 --out benchmarks/results/setfit.csv
    python benchmarks/setfit_peer.py --ours --draws 5 --out benchmarks/results/setfit.csv
    python benchmarks/setfit_peer.py --backbone bge-small-en --sets trec6,cr,sst5 --draws 2
        --out benchmarks/results/setfit_bge.csv

handful runs as it is typed, and chooses among its default backbones; SetFit moves the one that ``--backbone`` names,
and ``same_base`` is the accuracy of handful when it is given that one alone.
``--ours`` measures handful anew, as it is typed, on the draws whose SetFit figures the file holds, and needs no SetFit.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handful import api
from handful.data.dataset import Dataset
from ledger import Ledger, Row, cells, mean, median, options
from pools import by_name, draws, open_pool
from speed import peer_folder

FIELDS = (
    "set", "draw", "rows", "handful", "chosen", "handful_seconds", "same_base", "setfit", "setfit_training_seconds",
)  # fmt: skip
THEIRS = ("setfit", "setfit_training_seconds")
TEST_ROWS = 1000


def main() -> None:
    """Run the draws, print and write one line per draw."""
    parser = options(__doc__, "agnews,trec6,cr,sst5", 5, "setfit.csv")
    parser.add_argument("--backbone", default="minilm-l6", help="what SetFit moves")
    parser.add_argument("--classes", type=int, help="draw so many classes first, where a set has more")
    parser.add_argument("--ours", action="store_true", help="only handful, on draws that are there")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw"))
    for task in by_name(args.sets) if not args.table else ():
        pool = open_pool(task, args.data)
        for seed, train, rest in draws(pool, 8, args.draws, args.classes):
            old = [row for row in ledger.rows if row["set"] == task.name and str(row["draw"]) == str(seed)]
            if bool(old) != args.ours:
                continue
            some = rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]]
            data, test = pool.data.take(train), pool.data.take(some)
            theirs = {name: old[0][name] for name in THEIRS} if args.ours else peer(data, test, seed, args.backbone)
            alone = "" if args.ours else ours(data, test, seed, args.backbone)["handful"]
            typed = ours(data, test, seed, "auto")
            ledger.add({"set": task.name, "draw": seed, "rows": len(train), **typed, "same_base": alone, **theirs})
            print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def table(rows: Sequence[Row]) -> str:
    """Means per set and over the sets, and how many times faster the whole run is than SetFit's training alone."""
    lines = [
        f"{'set':<11}{'handful':>9}{'same base':>11}{'SetFit':>9}{'seconds':>10}{'SetFit s':>10}{'faster':>9}  chosen"
    ]
    means = []
    for (name,), some in cells(rows, "set").items():
        means.append([share(some, column) for column in ("handful", "same_base", "setfit")])
        ours, theirs = median(some, "handful_seconds"), median(some, "setfit_training_seconds")
        kinds = Counter(str(row["chosen"]) for row in some).most_common()
        lines.append(
            f"{name:<11}{points(means[-1])}{ours:>10.1f}{theirs:>10.1f}"
            f"{theirs / ours:>8.1f}x  {', '.join(f'{kind} {count}' for kind, count in kinds)}"
        )
    return "\n".join([*lines, f"{'mean':<11}{points(np.mean(means, axis=0))}"])


def share(rows: Sequence[Row], column: str) -> float:
    """A mean accuracy; NaN where a row was measured before the column was."""
    return mean(rows, column) if all(row.get(column) for row in rows) else float("nan")


def points(shares: Sequence[float]) -> str:
    """Three accuracies in points."""
    typed, alone, theirs = ("-" if np.isnan(share) else f"{100 * share:.1f}" for share in shares)
    return f"{typed:>9}{alone:>11}{theirs:>9}"


def ours(data: Dataset, test: Dataset, seed: int, backbone: str) -> Row:
    """A whole run; frozen features lie in the cache (0.2 s for 32 rows, see speed.py)."""
    start = time.perf_counter()
    run = api.tune(data, seed=seed, backbone=backbone)
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run")
    seconds = time.perf_counter() - start
    right = np.mean(np.array(run.model.predict(test.items)) == np.asarray(test.labels))
    return {
        "handful": round(float(right), 4), "chosen": run.scores.chosen, "handful_seconds": round(seconds, 2),
    }  # fmt: skip


def peer(data: Dataset, test: Dataset, seed: int, backbone: str) -> Row:
    """SetFit with its defaults and 20 iterations, training alone."""
    from datasets import Dataset as Rows
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(str(peer_folder(backbone)), labels=list(data.classes))
    rows = Rows.from_dict({"text": list(data.items), "label": list(data.labels or ())})
    trainer = Trainer(
        model, TrainingArguments(num_iterations=20, seed=seed, report_to="none", save_strategy="no"), train_dataset=rows
    )
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    answers = np.array([str(p) for p in model.predict(list(test.items))])
    right = float(np.mean(answers == np.asarray(test.labels)))
    return {"setfit": round(right, 4), "setfit_training_seconds": round(seconds, 1)}


if __name__ == "__main__":
    main()
