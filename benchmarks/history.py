"""What methods were worth, version after version, on the same draws: read out of rows committed over time.

python benchmarks/history.py            read all commits again, write results/history.csv and print the table
python benchmarks/history.py --table    only print the table
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parents[1]
FIELDS = ("rows", "kind", "date", "commit", "method", "accuracy")
TEXTS = ("agnews", "trec6", "cr", "sst5", "banking77", "cuad_clauses")
PICTURES = ("flowers12", "trashnet6", "hymenoptera2", "textile3")
EXAMPLES = ("tickets", "digits", "words")
SOUNDS = ("fsdd_digits", "fsdd_speakers", "esc10")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Pin:
    """Draws that every version is compared on: a version counts once all of them are measured."""

    rows: str
    """The file in ``results/``."""
    kind: str
    """What the sets hold."""
    sets: tuple[str, ...]
    """The sets."""
    sizes: tuple[str, ...]
    """Rows per class, as the file writes them; empty where it has no such column."""
    draws: int
    """The first so many draws of every set and size."""
    methods: tuple[str, ...]
    """The columns of accuracies, or the arms where the file has one column ``accuracy``."""


PINS = (
    Pin("examples.csv", "all kinds", EXAMPLES, (), 1, ("majority", "centroid", "ridge", "logistic", "ensemble")),
    Pin("accuracy.csv", "texts", TEXTS, ("8",), 5, ("probe", "tuned")),
    Pin("accuracy.csv", "pictures", PICTURES, ("5", "20"), 5, ("probe", "tuned")),
    Pin("accuracy.csv", "sounds", SOUNDS, ("5",), 5, ("probe", "tuned")),
    Pin("setfit.csv", "texts", TEXTS[:4], (), 5, ("setfit", "handful")),
    Pin(
        "ladder.csv", "texts", TEXTS, ("8", "32"), 3, ("frozen", "contrastive", "lora", "bias", "soup", "full", "tune")
    ),
)


def main() -> None:
    """Write what the commits hold, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/history.csv"))
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    args = parser.parse_args()
    if not args.table:
        write(args.out)
    with args.out.open(newline="") as stream:
        print(table(list(csv.DictReader(stream))))


def write(file: Path) -> None:
    """Read all commits and write a line per method and commit."""
    found = [line for pin in PINS for line in history(pin)]
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def history(pin: Pin) -> Iterator[dict[str, str]]:
    """The accuracies of every commit that changed them, oldest first."""
    path = f"benchmarks/results/{pin.rows}"
    before: dict[str, str] = {}
    for line in git("log", "--reverse", "--format=%h %cs", "--", path).splitlines():
        commit, _, date = line.partition(" ")
        now = accuracies(pin, csv.DictReader(io.StringIO(git("show", f"{commit}:{path}"))))
        if now and now != before:
            for method, accuracy in now.items():
                yield dict(zip(FIELDS, (pin.rows, pin.kind, date, commit, method, accuracy), strict=True))
            before = now


def accuracies(pin: Pin, rows: Iterable[Row]) -> dict[str, str]:
    """The mean of each method over the pinned draws, in percent; empty where one of them is not measured."""
    wanted = {(name, size, str(draw)) for name in pin.sets for size in pin.sizes or ("",) for draw in range(pin.draws)}
    found: dict[str, dict[tuple[str, str, str], float]] = {method: {} for method in pin.methods}
    for row in rows:
        at = (row["set"], row["per_class"] if pin.sizes else "", row["draw"])
        for method in pin.methods if at in wanted else ():
            value = (row["accuracy"] if row["arm"] == method else "") if "accuracy" in row else row[method]
            if value:
                found[method][at] = float(value)
    if any(set(draws) != wanted for draws in found.values()):
        return {}
    return {method: f"{100 * fmean(draws.values()):.1f}" for method, draws in found.items()}


def table(rows: Sequence[Row]) -> str:
    """A part per pin: a line per commit that changed an accuracy, a column per method."""
    lines: list[str] = []
    for pin in PINS:
        own = [row for row in rows if (row["rows"], row["kind"]) == (pin.rows, pin.kind)]
        cells = len(pin.sets) * max(len(pin.sizes), 1)
        width = max(max(map(len, pin.methods)), 5) + 2
        lines.append(f"{pin.rows}, {pin.kind}: {cells} cells of {pin.draws} draws")
        lines.append(f"  {'measured':<22}" + "".join(f"{method:>{width}}" for method in pin.methods))
        for commit in dict.fromkeys(row["commit"] for row in own):
            of = {row["method"]: row for row in own if row["commit"] == commit}
            date = next(iter(of.values()))["date"]
            lines.append(f"  {date} {commit:<11}" + "".join(f"{of[m]['accuracy']:>{width}}" for m in pin.methods))
    return "\n".join(lines)


def git(*words: str) -> str:
    """What git answers, empty where it cannot."""
    if shutil.which("git") is None:
        return ""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
