"""How many updates, at which rate, over how many blocks, how far: contrastive training on development draws.

Sets that no other table looks at, eight or 32 rows per class of so many drawn classes; every setting alone, fitted on
the rows of the draw, a logistic head on what its body then sees, scored on at most 400 rows left over.

    python benchmarks/updates.py --draws 8 --out benchmarks/results/updates.csv
    python benchmarks/updates.py --classes 2 --draws 20 --out benchmarks/results/updates.csv
    python benchmarks/updates.py --per-class 32 --draws 3 --out benchmarks/results/updates.csv
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.strategies.tuned.methods.lora import LoRA
from handful.strategies.tuned.strategy import Tuned
from ladder import Looked, alone
from ledger import Ledger, Row, cells, mean, options, over_draws, spread, values
from pools import by_name, draws, load_backbones, open_pool

FIELDS = ("set", "classes", "per_class", "draw", "setting", "accuracy", "first", "seconds")
FALLING = Contrastive(updates=5, learning_rate=7e-4, pieces=1, wise_alpha=1.0, label_name_weight=0)
RISING = Contrastive(updates=6, learning_rate=7e-4, schedule="triangular", pieces=1)
SETTINGS: dict[str, Tuned] = {
    "5 at 7e-4": FALLING,
    "10 at 4e-4": replace(FALLING, updates=10, learning_rate=4e-4),
    "10 at 7e-4": replace(FALLING, updates=10),
    "20 at 2e-4": replace(FALLING, updates=20, learning_rate=2e-4),
    "20 at 4e-4": replace(FALLING, updates=20, learning_rate=4e-4),
    "10 at 4e-4, all blocks": replace(FALLING, updates=10, learning_rate=4e-4, trainable_fraction=1.0),
    "half of the way": replace(FALLING, wise_alpha=0.5),
    "3/4 of the way": replace(FALLING, wise_alpha=0.75),
    "3/4, up and down": replace(FALLING, wise_alpha=0.75, schedule="triangular"),
    "3/4, 6 up and down": replace(RISING, label_name_weight=0),
    "the same, with names": RISING,
    "12 at 4e-4, with names": replace(RISING, updates=12, learning_rate=4e-4),
    "20 at 2.5e-4, with names": replace(RISING, updates=20, learning_rate=2.5e-4),
    "14 halves, with names": Contrastive(updates=14, learning_rate=5e-4),
    "20 halves, with names": Contrastive(updates=20, learning_rate=4e-4),
    "10 halves, with names": Contrastive(),
    "3/4, 15 at 2.5e-4, all": replace(
        FALLING, updates=15, learning_rate=2.5e-4, trainable_fraction=1.0, wise_alpha=0.75
    ),
    "lora, 20 updates": LoRA(updates=20, label_name_weight=0),
}
"""The rate falls from the first update on unless it goes up and down; all of the way unless a share is said.

With names, three quarters of the way, and up and down but for halves.
"""
PER_CLASS, CLASSES, TEST_ROWS = 8, 5, 400
WITH_NAMES = [name for name in SETTINGS if name.endswith("with names")]
"""What is compared with more rows per class, or with another number of classes."""


def main() -> None:
    """Run the draws, write one line per setting, print the table."""
    parser = options(__doc__, "goemotions,masakhanews_eng,clinc150", 8, "updates.csv")
    parser.add_argument("--per-class", type=int, default=PER_CLASS)
    parser.add_argument(
        "--classes", type=int, default=CLASSES, help="but for 5 of 8 rows each, the settings with names alone"
    )
    args = parser.parse_args()
    usual = (args.classes, args.per_class) == (CLASSES, PER_CLASS)
    settings = SETTINGS if usual else {name: SETTINGS[name] for name in WITH_NAMES}
    ledger = Ledger(args.out, FIELDS, ("set", "classes", "per_class", "draw", "setting"))
    for task in by_name(args.sets) if not args.table else ():
        pool = open_pool(task, args.data)
        backbone = next(iter(load_backbones("auto", task.modality).values()))
        for seed, train, rest in draws(pool, args.per_class, args.draws, args.classes):
            at: Row = {"set": task.name, "classes": args.classes, "per_class": args.per_class, "draw": seed}
            missing = {n: strategy for n, strategy in settings.items() if not ledger.has(**at, setting=n)}
            if not missing:
                continue
            test = rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]]
            data, labels = pool.data.take(train), np.asarray(pool.data.labels)[test]
            classes, truth = np.unique(np.asarray(data.labels), return_inverse=True)
            ours, asked = Looked(backbone, data), Looked(backbone, pool.data.take(test))
            before = cells(ledger.rows, "set", "classes", "per_class", "draw")
            found = before.get(tuple(map(str, at.values())), [])
            for name, strategy in missing.items():
                said, seconds = alone(replace(strategy, seed=seed), ours, asked, truth)
                right = 0.0 if said is None else float((classes[said] == labels).mean())
                first = found[0]["accuracy"] if found else round(right, 4)
                found.append(
                    {**at, "setting": name, "accuracy": round(right, 4), "first": first, "seconds": round(seconds, 2)}
                )
                ledger.add(found[-1])
            print(task.name, seed, *(row["accuracy"] for row in found), flush=True)
    print(table(ledger.rows))


def table(rows: Sequence[Row]) -> str:
    """Means per set and setting, and gains over the first and over all rows at once, with intervals over draws."""
    lines = [
        f"{'set':<16}{'classes':>7}{'rows':>5}  {'setting':<26}{'draws':>5}{'right, %':>9}{'seconds':>8}  over first"
    ]
    for keys in (("set", "classes", "per_class", "setting"), ("classes", "per_class", "setting")):
        for found, some in cells(rows, *keys).items():
            name, right = found[0] if len(found) == 4 else "all sets", 100 * mean(some, "accuracy")
            lines.append(
                f"{name:<16}{found[-3]:>7}{found[-2]:>5}  {found[-1]:<26}{len(some):>5}{right:>9.1f}"
                f"{mean(some, 'seconds'):>8.1f}  {spread(some, 'accuracy', 'first')}"
            )
    whole, *others = WITH_NAMES
    found_in = [{row["setting"]: row for row in some} for some in cells(rows, *FIELDS[:4]).values()]
    for name in others:
        ours = [draw[name] for draw in found_in if name in draw and whole in draw]
        theirs = [draw[whole] for draw in found_in if name in draw and whole in draw]
        if ours:
            gains = 100 * (values(ours, "accuracy") - values(theirs, "accuracy"))
            times = values(ours, "seconds") / values(theirs, "seconds")
            lines.append(
                f"{name} against 6 updates of all rows with names, {len(ours)} draws: "
                f"{over_draws(gains, 1)} points, in {np.median(times):.2f} of the time"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
