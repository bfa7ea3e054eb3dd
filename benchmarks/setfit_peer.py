"""SetFit with its defaults against a tuned run on the same draws, same encoder: accuracy and seconds.

Run it in the environment of benchmarks/README.md.

    python benchmarks/setfit_peer.py --sets agnews,trec6,cr,sst5 --draws 5 --out benchmarks/results/setfit.csv
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

from handful import api
from pools import DATA, Pool, by_name, draws, open_pool
from speed import peer_folder

FIELDS = ("set", "draw", "rows", "handful", "chosen", "handful_seconds", "setfit", "setfit_training_seconds")
TEST_ROWS = 1000


def main() -> None:
    """Run the draws, print and write one line per draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", default="agnews,trec6,cr,sst5")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/setfit.csv"))
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    args = parser.parse_args()
    tasks = by_name(args.sets)
    rows = read(args.out, without={task.name for task in tasks})
    for task in tasks if not args.table else ():
        pool = open_pool(task, args.data)
        for seed, train, rest in draws(pool, 8, args.draws):
            some = rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]]
            rows.append(one_draw(pool, seed, train, some))
            print(rows[-1], flush=True)
            with args.out.open("w", newline="") as file:
                writer = csv.DictWriter(file, FIELDS)
                writer.writeheader()
                writer.writerows(rows)
    print(table(args.out))


def read(file: Path, without: set[str]) -> list[dict[str, object]]:
    """The rows of an earlier run, without those of some sets."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [dict(row) for row in csv.DictReader(stream) if row["set"] not in without]


def table(file: Path) -> str:
    """Means per set and over the sets, and how many times faster the whole run is than SetFit's training alone."""
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = list(dict.fromkeys(row["set"] for row in rows))
    mean = lambda some, key: float(np.mean([float(row[key]) for row in some]))  # noqa: E731
    lines = [f"{'set':<9}{'handful':>9}{'SetFit':>9}{'seconds':>10}{'SetFit s':>10}{'faster':>9}  chosen"]
    cells = []
    for name in names:
        some = [row for row in rows if row["set"] == name]
        cells.append((mean(some, "handful"), mean(some, "setfit")))
        ours, theirs = (
            float(np.median([float(r[k]) for r in some])) for k in ("handful_seconds", "setfit_training_seconds")
        )
        kinds = Counter(row["chosen"] for row in some).most_common()
        lines.append(
            f"{name:<9}{100 * cells[-1][0]:>9.1f}{100 * cells[-1][1]:>9.1f}{ours:>10.1f}{theirs:>10.1f}"
            f"{theirs / ours:>8.1f}x  {', '.join(f'{kind} {count}' for kind, count in kinds)}"
        )
    ours, theirs = np.mean(cells, axis=0)
    return "\n".join([*lines, f"{'mean':<9}{100 * ours:>9.1f}{100 * theirs:>9.1f}"])


def one_draw(pool: Pool, seed: int, train: np.ndarray, rest: np.ndarray) -> dict[str, object]:
    """Both on one draw; ours counts everything (frozen features lie in the cache: 0.2 s for 32 rows, see speed.py)."""
    data, test = pool.data.take(train), pool.data.take(rest)
    start = time.perf_counter()
    run = api.tune(data, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run")
    ours = time.perf_counter() - start
    right = np.mean(np.array(run.model.predict(test.items)) == np.asarray(test.labels))
    model = SetFitModel.from_pretrained(str(peer_folder()), labels=list(data.classes))
    rows = Dataset.from_dict({"text": list(data.items), "label": list(data.labels or ())})
    trainer = Trainer(
        model, TrainingArguments(num_iterations=20, seed=seed, report_to="none", save_strategy="no"), train_dataset=rows
    )
    start = time.perf_counter()
    trainer.train()
    theirs = time.perf_counter() - start
    peer = np.mean(np.array([str(p) for p in model.predict(list(test.items))]) == np.asarray(test.labels))
    return {
        "set": pool.task.name,
        "draw": seed,
        "rows": len(train),
        "handful": round(float(right), 4),
        "chosen": run.scores.chosen,
        "handful_seconds": round(ours, 2),
        "setfit": round(float(peer), 4),
        "setfit_training_seconds": round(theirs, 1),
    }


if __name__ == "__main__":
    main()
