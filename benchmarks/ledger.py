"""The rows of a benchmark: kept in a CSV file as they come, and read again for the table."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from handful.evaluation.intervals import Estimate
from pools import DATA

Row = dict[str, object]


@dataclass
class Ledger:
    """A CSV file that is whole after every row, so that a run that is stopped loses nothing."""

    file: Path
    """Where the rows lie."""
    fields: tuple[str, ...]
    """The columns."""
    key: tuple[str, ...]
    """What tells one measurement from another: measured again, it replaces the row it had."""
    rows: list[Row] = field(init=False)
    """All rows, those of earlier runs first."""

    def __post_init__(self) -> None:
        self.rows = []
        if self.file.exists():
            with self.file.open(newline="") as stream:
                self.rows = [dict(row) for row in csv.DictReader(stream)]

    def add(self, row: Row) -> None:
        """Write one row."""
        self.extend([row])

    def extend(self, rows: Sequence[Row]) -> None:
        """Write several rows in one go: a file that is whole after every one of thousands would be written all day."""
        new = {self._name(row) for row in rows}
        self.rows = [old for old in self.rows if self._name(old) not in new] + list(rows)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, self.fields)
            writer.writeheader()
            writer.writerows(self.rows)

    def complete(self, at: Row, rows: Iterable[Row]) -> None:
        """Print the rows of a draw as they are measured, and write them once all are there: no draw is half done.

        Args:
            at: what tells the draw from others; where the file holds a row of it, nothing is measured.
            rows: what is measured as it is asked for.
        """
        if not self.has(**at):
            self.gather(at, rows)

    def gather(self, at: Row, rows: Iterable[Row]) -> None:
        """Print rows as they are measured, and write them once all are there."""
        found: list[Row] = []
        for row in rows:
            found.append({**at, **row})
            print(found[-1], flush=True)
        self.extend(found)

    def has(self, **values: object) -> bool:
        """Whether a row with these values is there: a run that was stopped goes on with what is missing."""
        return any(all(str(row[name]) == str(value) for name, value in values.items()) for row in self.rows)

    def _name(self, row: Row) -> tuple[str, ...]:
        return tuple(str(row[key]) for key in self.key)


def cells(rows: Sequence[Row], *keys: str) -> dict[tuple[str, ...], list[Row]]:
    """The rows by what some of their columns say, in the order in which they came."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[key]) for key in keys), []).append(row)
    return found


def values(rows: Sequence[Row], column: str) -> NDArray[np.float64]:
    """The numbers of a column, (N,)."""
    return np.array([float(str(row[column])) for row in rows])


def mean(rows: Sequence[Row], column: str) -> float:
    """The mean of a column."""
    return float(values(rows, column).mean())


def median(rows: Sequence[Row], column: str) -> float:
    """The median of a column."""
    return float(np.median(values(rows, column)))


def spread(rows: Sequence[Row], column: str, less: str) -> str:
    """Mean of the difference of two columns in points, with its 95 % interval over draws."""
    return over_draws(100 * (values(rows, column) - values(rows, less)), 1)


def over_draws(found: NDArray[np.float64], digits: int) -> str:
    """A mean with Student's 95 % interval over draws, as wide as so few of them ask for; one draw has none."""
    n, middle = len(found), float(found.mean())
    if n < 2:
        return f"{middle:>+6.{digits}f} (one draw)"
    half = float(stdtrit(n - 1, 0.975)) * float(found.std(ddof=1)) / np.sqrt(n)
    return f"{middle:>+6.{digits}f} ({middle - half:+.{digits}f} to {middle + half:+.{digits}f})"


def named(name: str, value: Estimate) -> Row:
    """A value and its interval as three columns."""
    ends = {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return {column: round(number, 4) for column, number in ends.items()}


def ranged(row: Row, name: str, form: str) -> str:
    """The three columns of ``named`` as a value with its interval; a dash where there is none."""
    if row.get(name) in (None, ""):
        return "-"
    value, low, high = (format(float(str(row[name + end])), form) for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def options(about: str | None, sets: str, draws: int, out: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", default=sets)
    parser.add_argument("--draws", type=int, default=draws)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results") / out)
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    return parser


def sized(args: argparse.Namespace) -> Iterator[Row]:
    """Every draw of every size of every set that is to be measured: none where only the table is wanted."""
    for draw in () if args.table else range(args.draws):
        for size in numbers(args.sizes):
            for name in args.sets.split(","):
                yield {"set": name, "rows": size, "draw": draw}


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of a comma-separated list."""
    return tuple(int(part) for part in text.split(",") if part)


def panels(rows: Sequence[Row], file: Path, column: str, label: str, dashed: Sequence[str]) -> None:
    """Draw one panel per set: the mean of a column over the number of rows, a line per arm; some dashed in black."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "handful", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    rows = [row for row in rows if row.get(column) not in (None, "")]
    sets = cells(rows, "set")
    figure, drawn = pyplot.subplots(1, len(sets), figsize=(3.6 * len(sets) + 1.2, 3.4), squeeze=False)
    styles: dict[str, tuple[str, object]] = {}
    for i, (arm,) in enumerate(cells(rows, "arm")):
        plain = arm in dashed
        styles[arm] = (
            ("--", "-.", ":")[list(dashed).index(arm)] if plain else "-",
            "black" if plain else matplotlib.colormaps["tab10"](i),
        )
    for panel, ((name,), some) in zip(drawn[0], sets.items(), strict=True):
        for (arm,), own in cells(some, "arm").items():
            by_size = sorted((int(size), mean(found, column)) for (size,), found in cells(own, "rows").items())
            style, colour = styles[arm]
            panel.plot(*zip(*by_size, strict=True), style, marker="o", markersize=3, color=colour, label=arm)
        panel.set(title=name, xlabel="labelled rows", xscale="log")
        panel.set_xticks(sorted({int(str(row["rows"])) for row in some}), minor=False)
        panel.xaxis.set_major_formatter("{x:.0f}")
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    drawn[0][0].set_ylabel(label)
    drawn[0][-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
