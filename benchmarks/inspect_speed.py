"""Inspect: seconds for 1,000 rows whose features are cached, from the loaded rows to the lines that are shown.

``wall`` is what a user waits, on a machine that does nothing else; ``processor`` is what it costs.

    python benchmarks/inspect_speed.py --draws 3 --out benchmarks/results/inspect_speed.csv
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from handful import api
from handful.inspection.summary import summary
from ledger import Ledger, Row, cells, median, options
from pools import Set, open_pool

SETS = (
    Set("agnews", "agnews.csv", "text", ()),
    Set("banking77", "banking77.csv", "text", ()),
    Set("flowers12", "flowers12.zip", "image", ()),
    Set("fsdd", "fsdd.zip", "sound", ()),
)
ROWS = 1000
FIELDS = ("set", "draw", "rows", "wall", "processor")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, ",".join(task.name for task in SETS), 3, "inspect_speed.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw"))
    for task in [task for task in SETS if task.name in args.sets.split(",") and not args.table]:
        data = open_pool(task, args.data).data
        for draw in range(args.draws):
            rows = data.take(np.sort(np.random.default_rng(draw).permutation(len(data))[:ROWS]))
            wall, processor = time.perf_counter(), time.process_time()
            summary(rows, api.audited(rows))
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            ledger.add({
                "set": task.name, "draw": draw, "rows": len(rows), "wall": round(wall, 2),
                "processor": round(processor, 2),
            })  # fmt: skip
    print(table(ledger.rows))


def table(rows: Sequence[Row]) -> str:
    """Medians per set."""
    lines = ["set           rows   wall, s   processor, s"]
    for (name,), some in cells(rows, "set").items():
        count, wall, processor = (median(some, key) for key in FIELDS[2:])
        lines.append(f"{name:<12}{count:>6.0f}{wall:>10.2f}{processor:>15.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
