"""First output: seconds from Enter to the first word of ten commands, and until each is over, as on a terminal.

python benchmarks/first_output.py --draws 3 --out benchmarks/results/first_output.csv
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from handful import api
from ledger import Ledger, Row, cells, median, options

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
COMMANDS = {
    "help": "--help",
    "version": "-V",
    "wrong file": "tune tickts.csv",
    "wrong option": "tune {examples}/tickets.csv --lable topic",
    "models": "models",
    "report": "report {run}",
    "predict": "predict {run} {examples}/tickets_new.csv --out {out}/answers.csv",
    "check": "check {run} {examples}/tickets_new.csv",
    "explain": "explain {run} Card_was_charged_twice",
    "inspect": "inspect {examples}/tickets.csv",
    "tune": "tune {examples}/tickets.csv --budget 0 --out {out}/tickets",
}
"""What is called → the words; blanks in the explained text are underscores here."""
FIELDS = ("command", "draw", "first", "whole", "code")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, "", 3, "first_output.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("command", "draw"))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        if not args.table:
            api.tune(EXAMPLES / "tickets.csv", budget=0, out=run)
        for name, words in COMMANDS.items() if not args.table else ():
            for draw in range(args.draws):
                line = words.format(examples=EXAMPLES, run=run, out=folder).split(" ")
                first, whole, code = timed(
                    [word.replace("Card_was_charged_twice", "Card was charged twice") for word in line]
                )
                row = {"command": name, "draw": draw, "first": round(first, 2), "whole": round(whole, 2), "code": code}
                ledger.add(row)
                print(row, flush=True)
    print(table(ledger.rows))


def timed(words: Sequence[str]) -> tuple[float, float, int]:
    """Seconds to the first output, seconds in all, and the exit code of a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "handful", *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    first: float | None = None
    try:
        while os.read(ours, 65536):
            first = time.perf_counter() - start if first is None else first
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(ours)
    code = process.wait()
    whole = time.perf_counter() - start
    return whole if first is None else first, whole, code


def table(rows: Sequence[Row]) -> str:
    """Medians per command."""
    lines = ["command        first, s   whole, s"]
    for (name,), some in cells(rows, "command").items():
        lines.append(f"{name:<12}{median(some, 'first'):>11.2f}{median(some, 'whole'):>11.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
