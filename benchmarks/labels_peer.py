"""Several labels of a row: a run against SetFit one-vs-rest on the same rows of goemotions, macro, micro and mean F1.

Run it in the environment of benchmarks/README.md.

    python benchmarks/labels_peer.py --draws 3 --out benchmarks/results/labels.csv
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.metrics import f1_score

from handful import api
from handful.data import dataset
from ledger import Ledger, Row, cells, mean, median, options
from speed import peer_folder

SIZES = (100, 200, 400)
KINDS = ("macro", "micro", "samples")
FIELDS = (
    "rows", "draw", *(f"{who}_{kind}" for who in ("handful", "setfit") for kind in KINDS), "handful_seconds",
    "setfit_training_seconds",
)  # fmt: skip


def main() -> None:
    """Run the draws, print and write one line per draw."""
    args = options(__doc__, "goemotions", 3, "labels.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("rows", "draw"))
    data = None if args.table else api.load(Path(args.data) / "goemotions.csv", task="multilabel")
    for size in SIZES if data is not None else ():
        for draw in range(args.draws):
            if not ledger.has(rows=size, draw=draw):
                ledger.add(one_draw(data, size, draw))
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def one_draw(data: dataset.Dataset, size: int, draw: int) -> Row:
    """Both learn from the same rows and answer all test rows; a label that no row has is never answered."""
    split = np.asarray(data.split)
    order = np.random.default_rng([draw, size]).permutation(np.flatnonzero(split == "train"))
    test = data.part("test")
    train = api.load(
        [data.items[i] for i in order[:size]], labels=[data.labels[i] for i in order[:size]], task="multilabel"
    )
    start = time.perf_counter()
    run = api.tune(train, seed=draw)
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run")
    ours = time.perf_counter() - start
    said = run.model.task.chosen(run.model.outputs(test.items))
    names = run.model.labels
    truth = coded(test.labels, data.classes)
    model = SetFitModel.from_pretrained(str(peer_folder()), multi_target_strategy="one-vs-rest")
    rows = Dataset.from_dict({"text": list(train.items), "label": coded(train.labels, names).tolist()})
    arguments = TrainingArguments(num_iterations=20, seed=draw, report_to="none", save_strategy="no")
    trainer = Trainer(model, arguments, train_dataset=rows)
    start = time.perf_counter()
    trainer.train()
    theirs = time.perf_counter() - start
    peer = np.asarray(model.predict(list(test.items))).astype(bool)
    row: Row = {"rows": size, "draw": draw}
    for who, answers in (("handful", said), ("setfit", peer)):
        wide = np.zeros_like(truth)
        wide[:, [data.classes.index(name) for name in names]] = answers
        row |= {
            f"{who}_{kind}": round(float(f1_score(truth, wide, average=kind, zero_division=0)), 4) for kind in KINDS
        }
    return {**row, "handful_seconds": round(ours, 2), "setfit_training_seconds": round(theirs, 1)}


def coded(labels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(N, L) whether each row has each label."""
    return np.array([[name in label.split("|") for name in names] for label in labels])


def table(rows: Sequence[Row]) -> str:
    """Means per number of rows."""
    lines = [
        f"{'rows':>5}{'draws':>6}" + "".join(f"{kind:>9}{'SetFit':>8}" for kind in KINDS) + f"{'s':>7}{'SetFit s':>10}"
    ]
    for (size,), some in cells(rows, "rows").items():
        figures = "".join(
            f"{100 * mean(some, f'handful_{kind}'):>9.1f}{100 * mean(some, f'setfit_{kind}'):>8.1f}" for kind in KINDS
        )
        seconds = f"{median(some, 'handful_seconds'):>7.1f}{median(some, 'setfit_training_seconds'):>10.1f}"
        lines.append(f"{size:>5}{len(some):>6}{figures}{seconds}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
