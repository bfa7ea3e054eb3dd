"""Energy: what the meter says of a known load against the counter of the processor, and what metering itself costs.

    python benchmarks/energy.py --out benchmarks/results/energy.csv

Where the counter (RAPL) can be read, the middle of what is told without it is compared with it. Where it cannot, that
is said, and only the cost of the meter is measured: two readings against a run of the frozen model.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from handful import api, energy
from ledger import Ledger, Row, options
from pools import SETS, rows_of

FIELDS = ("what", "pass", "seconds", "low", "high", "counted", "source")
READINGS, LOAD = 20, 10.0


def main() -> None:
    """Measure, and print."""
    parser = options(__doc__, "agnews", 3, "energy.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("what", "pass"))
    for number in range(0 if args.table else args.draws):
        ledger.add(loaded(number))
        ledger.add(metered(number))
        ledger.add(tuned(number, args.sets, args.data))
    print(table(ledger.rows))


def loaded(number: int) -> Row:
    """A load of some seconds on a core: what is told from its seconds, and what the counter says."""
    before, meter = energy.rapl(), energy.Meter(folder=energy._RAPL / "none")
    began, draws = time.perf_counter(), np.random.default_rng(number).normal(size=(300, 300))
    while time.perf_counter() - began < LOAD:
        draws = np.tanh(draws @ draws.T / 300)
    told, after = meter.read(), energy.rapl()
    counted = sum(after[name] - before[name] for name in before) if before else None
    return {
        "what": "load", "pass": number, "seconds": round(time.perf_counter() - began, 2), "low": round(told.low, 1),
        "high": round(told.high, 1), "counted": "" if counted is None else round(counted, 1), "source": told.source,
    }  # fmt: skip


def metered(number: int) -> Row:
    """What beginning to meter and one reading take."""
    began = time.perf_counter()
    for _ in range(READINGS):
        energy.Meter().read()
    return {"what": "meter", "pass": number, "seconds": round((time.perf_counter() - began) / READINGS, 6)}


def tuned(number: int, name: str, data: Path) -> Row:
    """The shortest run that there is: a frozen model of 32 texts whose features are known already."""
    rows = rows_of(next(one for one in SETS if one.name == name), data)
    labels = list(rows.labels or ())
    own = [at for name in rows.classes for at in [i for i, label in enumerate(labels) if label == name][:8]]
    began = time.perf_counter()
    api.tune(rows.take(own), backbone="minilm-l6", budget=0, seed=number)
    return {"what": "run", "pass": number, "seconds": round(time.perf_counter() - began, 3)}


def table(rows: list[Row]) -> str:
    """What is told against what is counted, and the share of a run that metering takes."""
    lines = []
    for row in (row for row in rows if row["what"] == "load"):
        told = f"{row['low']} to {row['high']} J told from seconds"
        if str(row["counted"]):
            middle = (float(row["low"]) + float(row["high"])) / 2
            lines.append(f"{told}, {row['counted']} J counted: {100 * (middle / float(row['counted']) - 1):+.0f} %")
        else:
            lines.append(f"{told}; no counter can be read on this machine")
    each = {what: [float(row["seconds"]) for row in rows if row["what"] == what] for what in ("meter", "run")}
    if all(each.values()):
        meter, run = (float(np.median(each[what])) for what in ("meter", "run"))
        lines.append(
            f"metering takes {1000 * meter:.2f} ms, a frozen run of 32 texts {1000 * run:.0f} ms: "
            f"{100 * meter / run:.3f} % of it"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
