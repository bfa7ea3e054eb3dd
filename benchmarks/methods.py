"""Every way of moving weights at 10, 100 and 1,000 rows of three text sets, same updates for all: a table, a plot.

Each with its own rate and its own share of the blocks, as handful has them; 20 updates at 10 rows, 60 at 100, 200 at
1,000, 16 rows each. ``frozen`` is the same logistic head on the last layer as it was. The rows of a draw are dealt over
the classes as evenly as these allow; a quarter of every class stays for the test, at most 1,000 rows in all.

    python benchmarks/methods.py --draws 3 --out benchmarks/results/methods.csv
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handful import api
from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.dataset import Dataset
from handful.errors import HandfulError
from handful.strategies.frozen.heads import Logistic
from handful.strategies.registry import movers
from handful.strategies.tuned.fit import adapt, start
from handful.training.activations import Activations
from handful.training.body import features_of
from ledger import Ledger, Row, cells, mean, numbers, options, panels
from pools import Set, by_name, classed

FIELDS = ("set", "rows", "draw", "arm", "accuracy", "seconds", "moved")
METHODS = ("contrastive", "supcon", "bias", "lora", "adapters", "prefix", "ia3", "partial", "full")
UPDATES = {10: 20, 100: 60, 1000: 200}
"""Rows → updates."""
SAME: dict[str, Any] = {"batch": 16, "pieces": 1, "schedule": "linear", "wise_alpha": 1.0}
"""What is the same for all methods: rows per update, how the rate falls, and that they go all of the way."""
CLASSES = 10
"""Where a set has more classes, a draw takes so many of them."""
TEST_ROWS = 1000


def main() -> None:
    """Run the draws, write one line per method, print the table and draw the plot."""
    parser = options(__doc__, "trec6,agnews,banking77", 3, "methods.csv")
    parser.add_argument("--rows", default="10,100,1000")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "draw", "arm"))
    if not args.table:
        backbone = catalog.load("minilm-l6", "text").to(default_device())
        for task in by_name(args.sets):
            data = read(task, args.data)
            for size in numbers(args.rows):
                for seed in range(args.draws):
                    train, test = drawn(data, size, seed)
                    at: Row = {"set": task.name, "rows": size, "draw": seed}
                    ledger.complete(at, one_draw(backbone, data.take(train), data.take(test), UPDATES[size], seed))
    print(table(ledger.rows))
    panels(
        [{**row, "accuracy": 100 * float(str(row["accuracy"]))} for row in ledger.rows],
        args.out.with_suffix(".svg"), "accuracy", "accuracy on rows left over, %", ("frozen",),
    )  # fmt: skip


def read(task: Set, folder: Path) -> Dataset:
    """All rows of a set of texts; its pool is too small for 1,000 rows of ten classes out of many."""
    return replace(api.load(folder / task.file, label="label", split=""), split=None)


def drawn(data: Dataset, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from, one of each class in turn until there are enough, and rows to test on."""
    rng = np.random.default_rng([seed, size])
    labels = np.asarray(data.labels)
    names = np.sort(rng.permutation(np.unique(labels))[:CLASSES])
    waiting = [rng.permutation(np.flatnonzero(labels == name)) for name in names]
    most = [len(rows) * 3 // 4 for rows in waiting]
    taken = [0] * len(names)
    while sum(taken) < size and taken != most:
        for i in rng.permutation(len(names)):
            taken[i] += int(taken[i] < most[i] and sum(taken) < size)
    train = np.concatenate([rows[:count] for rows, count in zip(waiting, taken, strict=True)])
    rest = np.concatenate([rows[count:] for rows, count in zip(waiting, taken, strict=True)])
    return np.sort(train), rng.permutation(rest)[:TEST_ROWS]


def one_draw(backbone: Backbone, data: Dataset, test: Dataset, updates: int, seed: int) -> Iterator[Row]:
    """The frozen model and every method, scored on the same rows; seconds are those of learning."""
    classes, truth = np.unique(np.asarray(data.labels), return_inverse=True)
    labels, rows, asked = np.asarray(test.labels), np.arange(len(data)), np.arange(len(test))
    recipes = {name: movers()[name](**SAME, updates=updates, seed=seed).recipe() for name in METHODS}
    recipes = {"frozen": replace(recipes["partial"], trainable_fraction=0.0), **recipes}
    sights: dict[int, tuple[Activations, Activations, float]] = {}
    for name, recipe in recipes.items():
        first = recipe.first(backbone)
        if first not in sights:
            begun = time.perf_counter()
            ours = Activations.of(backbone, [data.items], first)
            sights[first] = (ours, Activations.of(backbone, [test.items], first), time.perf_counter() - begun)
        ours, theirs, _ = sights[first]
        begun = time.perf_counter()
        body, moved = start(ours, recipe), 0
        if name != "frozen":
            try:
                found = adapt(ours, rows, classed(truth), recipe)
            except HandfulError as error:
                print(f"{name}: {error}", flush=True)
                continue
            body, moved = found.body, found.moved
        head = Logistic(recipe.penalty).fit(features_of(body, ours, rows), truth.tolist())
        seconds = time.perf_counter() - begun
        right = classes[head.predict(features_of(body, theirs, asked))] == labels
        yield {"arm": name, "accuracy": round(float(right.mean()), 4), "seconds": round(seconds, 2), "moved": moved}


def table(rows: Sequence[Row]) -> str:
    """Mean accuracy per method, one column per set and size; then the weights that move and the seconds per size."""
    columns = list(cells(rows, "set", "rows"))
    sizes = list(cells(rows, "rows"))
    head = f"{'':<12}" + "".join(f"{name + ' ' + size:>16}" for name, size in columns)
    lines = [head + f"{'weights':>14}" + "".join(f"{f's at {size}':>12}" for (size,) in sizes)]
    for (arm,), some in cells(rows, "arm").items():
        by_cell, by_size = cells(some, "set", "rows"), cells(some, "rows")
        line = f"{arm:<12}" + "".join(
            f"{100 * mean(by_cell[cell], 'accuracy'):>16.1f}" if cell in by_cell else f"{'-':>16}" for cell in columns
        )
        seconds = (f"{mean(by_size[size], 'seconds'):>12.1f}" if size in by_size else f"{'-':>12}" for size in sizes)
        lines.append(line + f"{int(str(some[0]['moved'])):>14,}" + "".join(seconds))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
