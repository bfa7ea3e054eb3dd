"""Every frozen arm on the examples of this repository, as a run scores them: quick enough to be renewed at any time.

    python benchmarks/examples.py --draws 1 --out benchmarks/results/examples.csv

A draw is a seed: it deals the same rows out to other folds. Needs the default weights and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import handful
from ledger import Ledger, Row, cells, named, options, ranged

FIELDS = ("set", "draw", "arm", "rows", "accuracy", "accuracy_low", "accuracy_high", "verdict")
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def main() -> None:
    """Run the examples that the file lacks, print and write one line per arm."""
    args = options(__doc__, "tickets.csv,digits,words", 1, "examples.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "arm"))
    for name in () if args.table else args.sets.split(","):
        for seed in range(args.draws):
            ledger.complete({"set": name.partition(".")[0], "draw": seed}, one_run(EXAMPLES / name, seed))
    print(table(ledger.rows))


def one_run(source: Path, seed: int) -> Iterator[Row]:
    """Every arm of a run that moves no weights."""
    scores = handful.tune(source, budget=0, seed=seed).scores
    for arm in scores.arms:
        yield {"arm": arm.name, "rows": scores.n, **named("accuracy", arm.estimate), "verdict": arm.verdict}


def table(rows: list[Row]) -> str:
    """A line per example, seed and arm, with its interval and what the run says of it."""
    lines = [f"{'set':<9}{'rows':>5}{'seed':>6}  {'arm':<20}{'accuracy and its 95 % interval':<33}verdict"]
    for (name, seed), some in cells(rows, "set", "draw").items():
        for row in some:
            told = ranged(row, "accuracy", ".3f")
            lines.append(f"{name:<9}{row['rows']:>5}{seed:>6}  {row['arm']!s:<20}{told:<33}{row['verdict']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
