"""Two runs on one backbone, served by one command and by two: what the processes hold after some requests each.

python benchmarks/shared_base.py --sets agnews,trec6 --out benchmarks/results/shared_base.csv
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from handful import api
from ledger import Ledger, Row, options
from pools import SETS, rows_of
from serving import Serving

FIELDS = ("draw", "served", "processes", "memory")
REQUESTS, PER_CLASS = 20, 8


def main() -> None:
    """Serve, ask, and print what is held."""
    parser = options(__doc__, "agnews,trec6", 1, "shared_base.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("draw", "served"))
    for draw in range(0 if args.table else args.draws):
        with tempfile.TemporaryDirectory() as place:
            ledger.gather({"draw": draw}, measured(Path(place), args.sets.split(","), args.data, draw))
    print(table(ledger.rows))


def measured(place: Path, names: list[str], folder: Path, draw: int) -> Iterator[Row]:
    """One line for each way to serve: each run alone, and all in one process."""
    asked: dict[str, list[str]] = {}
    for name in names:
        data = rows_of(next(one for one in SETS if one.name == name), folder)
        labels = list(data.labels or ())
        own = [at for each in data.classes for at in [i for i, label in enumerate(labels) if label == each][:PER_CLASS]]
        api.tune(data.take(own), backbone="minilm-l6", budget=0, seed=draw).save(place / name)
        asked[name] = [str(item) for item in data.items[-REQUESTS:]]
    alone = [_held(place, [name], asked) for name in names]
    yield {"served": "each in a process of its own", "processes": len(names), "memory": round(sum(alone))}
    yield {"served": "all in one process", "processes": 1, "memory": round(_held(place, names, asked))}
    yield {"served": "one alone", "processes": 1, "memory": round(alone[0])}


def _held(place: Path, names: list[str], asked: dict[str, list[str]]) -> float:
    """MB that a server of some runs holds once each was asked."""
    first, *others = (str(place / name) for name in names)
    server = Serving(Path(first), 32, *others)
    try:
        for name in names:
            where = f"http://127.0.0.1:{server.port}/models/{name}/predict"
            for text in asked[name]:
                body = json.dumps({"items": [text]}).encode()
                request = urllib.request.Request(where, body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request) as answer:
                    json.load(answer)
        return server.memory
    finally:
        server.end()


def table(rows: list[Row]) -> str:
    """One line for each way to serve."""
    lines = [f"{'served':<32}{'processes':>11}{'MB':>8}"]
    lines += [f"{row['served']:<32}{row['processes']:>11}{row['memory']:>8}" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
