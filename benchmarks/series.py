"""Time series by way of vectors: handful on features of MiniRocket against MiniRocket with its own ridge.

    python benchmarks/series.py series_features --draws 10 --out benchmarks/results/series.csv

The folder holds what `benchmarks/series_peer.py` made: 5 series per class are learned from, accuracy is that on 200
others at most, and both answer the same ones from the same features. The last arm learns from simple statistics of the
series.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import handful
from ledger import Ledger, Row, cells, mean, options, spread

DEVELOPED = ("arrow_head", "gunpoint", "osuleaf")
"""How much lighter penalties are for thousands of columns was chosen on these sets; the others were not looked at."""
SETS = ",".join((*DEVELOPED, "italy_power", "acsf1", "basic_motions"))
ARMS = ("minirocket", "statistics")
FIELDS = ("set", "draw", "rows", "ridge", *ARMS, "seconds", "estimate", "low", "high")


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, SETS, 10, "series.csv")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("series_features"))
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw"))
    for name in args.sets.split(",") if not args.table else ():
        for draw in range(args.draws):
            if not ledger.has(set=name, draw=draw):
                ledger.add({"set": name, "draw": draw, **one_draw(args.folder / f"{name}_{draw}.npz", draw)})
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def one_draw(file: Path, seed: int) -> Row:
    """What handful answers on each kind of features, beside the ridge."""
    with np.load(file, allow_pickle=False) as made:
        labels, asked = made["labels"].tolist(), made["asked"]
        found: Row = {"rows": len(labels), "ridge": round(float((made["ridge"] == asked).mean()), 4)}
        for arm in ARMS:
            begun = time.perf_counter()
            run = handful.tune(made[arm], labels, task="classification", seed=seed)
            if arm == "minirocket":
                found["seconds"] = round(time.perf_counter() - begun, 1)
                ends = run.scores.estimate
                found |= {n: round(v, 4) for n, v in (("estimate", ends.value), ("low", ends.low), ("high", ends.high))}
            found[arm] = round(float((np.array(run.predict(made[f"{arm}_asked"])) == asked).mean()), 4)
    return found


def table(rows: Sequence[Row]) -> str:
    """Accuracies, the gain of handful on the same features, and how often its interval holds its accuracy."""
    lines = [
        f"{'set':<12}{'draws':>6}{'rows':>6}{'ridge':>8}{'handful':>9}{'statistics':>12}   {'gain, points':<24}"
        f"{'held':>6}{'s':>5}"
    ]
    for (name,), some in cells(rows, "set").items():
        held = [float(str(r["low"])) <= float(str(r["minirocket"])) <= float(str(r["high"])) for r in some]
        lines.append(
            f"{name:<12}{len(some):>6}{mean(some, 'rows'):>6.0f}{100 * mean(some, 'ridge'):>8.1f}"
            f"{100 * mean(some, 'minirocket'):>9.1f}{100 * mean(some, 'statistics'):>12.1f}   "
            f"{spread(some, 'minirocket', 'ridge'):<24}{np.mean(held):>6.0%}{mean(some, 'seconds'):>5.0f}"
        )
    for title, some in (
        ("developed", [row for row in rows if row["set"] in DEVELOPED]),
        ("untouched", [row for row in rows if row["set"] not in DEVELOPED]),
    ):
        lines.append(f"{title:<12}{len(some):>6}{'':>35}   {spread(some, 'minirocket', 'ridge')}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
