"""SetFit with its defaults against a tuned run on the same draws, same encoder: accuracy and seconds.

Run it in the environment of benchmarks/README.md.

    python benchmarks/setfit_peer.py --sets agnews,trec6,cr,sst5 --draws 3 --out benchmarks/results/setfit.csv
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

from handful import api
from pools import DATA, Pool, by_name, draws, open_pool
from speed import peer_folder

FIELDS = ("set", "draw", "rows", "handful", "handful_seconds", "setfit", "setfit_training_seconds")
TEST_ROWS = 1000


def main() -> None:
    """Run the draws, print and write one line per draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", default="agnews,trec6,cr,sst5")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/setfit.csv"))
    args = parser.parse_args()
    with args.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for task in by_name(args.sets):
            pool = open_pool(task, args.data)
            for seed, train, rest in draws(pool, 8, args.draws):
                row = one_draw(pool, seed, train, rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]])
                writer.writerow(row)
                file.flush()
                print(row, flush=True)


def one_draw(pool: Pool, seed: int, train: np.ndarray, rest: np.ndarray) -> dict[str, object]:
    """Both on one draw; the tuned run's features are cached, as its cost is in speed.py."""
    data, test = pool.data.take(train), pool.data.take(rest)
    start = time.perf_counter()
    run = api.tune(data, seed=seed)
    ours = time.perf_counter() - start
    right = np.mean(np.array(run.model.predict(test.items)) == np.asarray(test.labels))
    model = SetFitModel.from_pretrained(str(peer_folder()), labels=list(data.classes))
    rows = Dataset.from_dict({"text": list(data.items), "label": list(data.labels or ())})
    trainer = Trainer(model, TrainingArguments(num_iterations=20, seed=seed, report_to="none"), train_dataset=rows)
    start = time.perf_counter()
    trainer.train()
    theirs = time.perf_counter() - start
    peer = np.mean(np.array([str(p) for p in model.predict(list(test.items))]) == np.asarray(test.labels))
    return {
        "set": pool.task.name,
        "draw": seed,
        "rows": len(train),
        "handful": round(float(right), 4),
        "handful_seconds": round(ours, 2),
        "setfit": round(float(peer), 4),
        "setfit_training_seconds": round(theirs, 1),
    }


if __name__ == "__main__":
    main()
