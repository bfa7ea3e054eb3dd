"""Related sets: a run with ``--with`` another labelled set against the same run without, on the same rows.

    python benchmarks/related.py --draws 3 --out benchmarks/results/related.csv

8 rows per class of one set, 400 rows of another (the same in all draws); accuracy on 400 other rows of the first. It
is ``handful tune`` but for the backbone (minilm-l6 alone) and the strategies (frozen heads only, so that the one
difference is the related set). The last pair asks other questions of other texts: what should not help must not harm.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import handful
from handful.choices import HEADS
from handful.data.dataset import Dataset
from ledger import Ledger, Row, cells, mean, options, spread
from pools import by_name, rows_of

PAIRS = {"cr": "sst5", "masakhanews_eng": "agnews", "clinc150": "banking77", "trec6": "cr"}
"""Own set → related set."""
PER_CLASS, CLASSES, OTHERS, ASKED = 8, 20, 400, 400
FIELDS = ("own", "related", "draw", "rows", "without", "with_related", "taken", "seconds_without", "seconds_with")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, ",".join(PAIRS), 3, "related.csv").parse_args()
    ledger = Ledger(args.out.absolute(), FIELDS, ("own", "draw"))
    for own in args.sets.split(",") if not args.table else ():
        data, other = (rows_of(by_name(name)[0], args.data) for name in (own, PAIRS[own]))
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            file = _written(other, Path(folder) / f"{PAIRS[own]}.csv")
            for draw in range(args.draws):
                if not ledger.has(own=own, draw=draw):
                    ledger.add({"own": own, "related": PAIRS[own], "draw": draw, **_compared(data, file, draw)})
                    print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def _written(other: Dataset, file: Path) -> Path:
    """The related rows as a table: as many of each class."""
    labels = np.array(other.labels)
    names = np.unique(labels)
    rng = np.random.default_rng(0)
    some = [rng.permutation(np.flatnonzero(labels == name))[: max(4, OTHERS // len(names))] for name in names]
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(
            [("text", "label"), *((other.items[i], labels[i]) for i in np.concatenate(some)[:OTHERS])]
        )
    return file


def _compared(data: Dataset, file: Path, draw: int) -> Row:
    """One draw of own rows, with and without the related ones."""
    rng = np.random.default_rng(draw)
    labels = np.array(data.labels)
    names = rng.permutation(np.unique(labels))[:CLASSES]
    train = np.concatenate([rng.permutation(np.flatnonzero(labels == name))[:PER_CLASS] for name in names])
    asked = rng.permutation(np.setdiff1d(np.flatnonzero(np.isin(labels, names)), train))[:ASKED]
    found: Row = {"rows": len(train)}
    for column, related in (("without", None), ("with_related", file)):
        run = handful.tune(
            [data.items[i] for i in train], labels[train].tolist(), backbone="minilm-l6", strategies=HEADS,
            related=related, seed=draw,
        )  # fmt: skip
        said = np.array(run.predict([data.items[i] for i in asked]))
        found[column] = round(float((said == labels[asked]).mean()), 4)
        found["seconds_with" if related else "seconds_without"] = round(sum(run.scores.seconds.values()), 1)
        if related:
            found["taken"] = int(any("bases" in name for name in run.model.view.backbones))
    return found


def table(rows: Sequence[Row]) -> str:
    """Accuracy without and with, the gain over draws, and in how many draws the base was taken."""
    lines = [
        f"{'own':<17}{'related':<11}{'draws':>6}{'without':>9}{'with':>7}   {'gain, points':<26}{'taken':>6}"
        f"{'s':>6}{'s':>6}"
    ]
    for (own, other), found in cells(rows, "own", "related").items():
        without, with_related = 100 * mean(found, "without"), 100 * mean(found, "with_related")
        gain = spread(found, "with_related", "without")
        lines.append(
            f"{own:<17}{other:<11}{len(found):>6}{without:>9.1f}{with_related:>7.1f}   {gain:<26}"
            f"{mean(found, 'taken'):>6.0%}{mean(found, 'seconds_without'):>6.0f}{mean(found, 'seconds_with'):>6.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
