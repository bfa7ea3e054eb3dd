"""Whether larger encoders need fewer rows: frozen heads on each of several, over rows per class.

    python benchmarks/sizes.py --draws 5 --out benchmarks/results/sizes.csv

What ``handful tune`` would make of each backbone alone without moving weights, scored on at most 500 rows left over.
``--backbones`` takes any that ``--backbone`` takes, folders of larger ones too.
"""

from __future__ import annotations

import numpy as np

from handful.backbones import catalog
from ledger import Ledger, Row, cells, mean, numbers, options, over_draws, values
from pools import answered, by_name, draws, fitted, open_pool

FIELDS = ("set", "per_class", "draw", "backbone", "accuracy")
TEST_ROWS = 500


def main() -> None:
    """Run the draws, print and write one line per backbone."""
    parser = options(__doc__, "agnews,trec6,cr,goemotions", 5, "sizes.csv")
    parser.add_argument("--backbones", default="minilm-l6,bge-small-en", help="which, the smallest first")
    parser.add_argument("--per-class", default="2,4,8,16,32", help="rows per class")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "draw", "backbone"))
    for task in () if args.table else by_name(args.sets):
        for backbone in args.backbones.split(","):
            pool = open_pool(task, args.data, backbone)
            for per_class in numbers(args.per_class):
                for seed, train, rest in draws(pool, per_class, args.draws, 10):
                    at: Row = {"set": task.name, "per_class": per_class, "draw": seed, "backbone": backbone}
                    if ledger.has(**at):
                        continue
                    test = rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]]
                    names = [
                        i for i, name in enumerate(pool.data.classes) if name in set(pool.data.take(train).classes)
                    ]
                    frozen = fitted(pool.data.take(train), pool.sight.take(train).take_classes(names), 10.0, seed)
                    said, truth = answered(frozen, pool.sight.take(test)), np.asarray(pool.data.labels)[test]
                    ledger.add({**at, "accuracy": round(float((said == truth).mean()), 4)})
    print(table(ledger.rows))


def table(rows: list[Row]) -> str:
    """Mean accuracy of each backbone over rows per class, with how much it is above the first one on the same draws."""
    lines = [f"{'per class':>9}  {'backbone':<24}{'million':>8}{'accuracy':>10}   points over the first"]
    for (per_class,), some in cells(rows, "per_class").items():
        each = cells(some, "backbone")
        first = {tuple(str(row[key]) for key in ("set", "draw")): row for row in next(iter(each.values()))}
        for number, ((name,), own) in enumerate(each.items()):
            entry = catalog.known(name)
            size = f"{entry.parameters / 1e6:.0f}" if entry else ""
            apart = ""
            if number:
                pairs = [(row, first[key]) for row in own if (key := (str(row["set"]), str(row["draw"]))) in first]
                apart = over_draws(
                    100 * (values([a for a, _ in pairs], "accuracy") - values([b for _, b in pairs], "accuracy")), 1
                )
            lines.append(f"{per_class:>9}  {name:<24}{size:>8}{100 * mean(own, 'accuracy'):>10.1f}   {apart}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
