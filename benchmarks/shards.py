"""Shards: many texts answered on Ray, with a worker killed on the way and then the command itself: what each costs.

    python benchmarks/shards.py --rows 100000 --out benchmarks/results/shards.csv

The texts are those of the sets in the data folder, each once; where they are fewer than asked for, they come again from
the first on, and how many were different is written down. The model is of 32 rows of agnews on minilm-l6.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from handful import api
from ledger import Ledger, Row, options
from pools import SETS, rows_of

FIELDS = ("phase", "rows", "different", "cores", "shards", "done_before", "done_after", "seconds", "rate", "memory")
COLUMNS = ("text", "text2")
SIZE = 1024
"""Rows of a shard."""


def main() -> None:
    """Answer, kill, answer on; print one line per phase."""
    parser = options(__doc__, "", 1, "shards.csv")
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("rows", "phase"))
    if not args.table:
        with tempfile.TemporaryDirectory() as place:
            for row in measured(Path(place), args.data, args.rows):
                print(row, flush=True)
                ledger.add(row)  # at once: the next phase takes minutes
    print(table(ledger.rows))


def texts_of(folder: Path) -> list[str]:
    """All texts of the tables in a folder, each once."""
    found: dict[str, None] = {}
    for file in sorted(folder.glob("*.csv")):
        with file.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                for column in COLUMNS:
                    if text := " ".join((row.get(column) or "").split()):
                        found.setdefault(text)
    return list(found)


def measured(place: Path, folder: Path, count: int) -> Iterator[Row]:
    """One line per phase: until a worker and then the command is killed, and to the end."""
    texts = texts_of(folder)
    rows = [texts[i % len(texts)] for i in range(count)]
    source, out = place / "pool.txt", place / "answers.csv"
    source.write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = rows_of(next(one for one in SETS if one.name == "agnews"), folder)
    labels = list(data.labels or ())
    train = [i for name in data.classes for i in [at for at, label in enumerate(labels) if label == name][:8]]
    api.tune(data.take(train), backbone="minilm-l6", budget=0).save(place / "run")
    shards = -(-count // SIZE)
    known = {
        "rows": count, "different": min(len(texts), count), "cores": os.cpu_count(), "shards": shards,
    }  # fmt: skip
    command = Command(place / "run", source, out)
    yield {**known, **command.phase("until a worker is killed", lambda done: done >= shards // 3)}
    command.kill_worker()
    yield {**known, **command.phase("until the command is killed", lambda done: done >= 2 * shards // 3)}
    command.kill()
    command = Command(place / "run", source, out)
    yield {**known, **command.phase("the same command again, to the end", lambda done: False)}
    with out.open(newline="", encoding="utf-8") as stream:
        answered = [row["input"] for row in csv.DictReader(stream)]
    # What a spreadsheet would run as a formula is written with an apostrophe before it.
    if len(answered) != count or any(said not in (row, f"'{row}") for said, row in zip(answered, rows, strict=True)):
        raise SystemExit("the answers are not those of the rows")


@dataclass
class Command:
    """``handful predict --engine ray`` in a process of its own."""

    run: Path
    source: Path
    out: Path
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        words = [sys.executable, "-m", "handful", "predict", str(self.run), str(self.source), "--out", str(self.out)]
        # Workers of Ray step back behind everything else by default, which on a busy machine is never.
        env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        self.process = subprocess.Popen(
            [*words, "--engine", "ray"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, env=env
        )

    @property
    def done(self) -> int:
        """How many shards are written down."""
        return len(list(self.out.with_name(f"{self.out.name}.shards").glob("*.npz")))

    def phase(self, name: str, over: Callable[[int], bool]) -> Row:
        """Wait until so many shards are done, or the command ends, and say what was done meanwhile."""
        before, began, memory, last = self.done, time.perf_counter(), 0.0, 0
        while self.process.poll() is None and not over(self.done):
            memory, last = max(memory, self._memory()), max(last, self.done)
            time.sleep(0.5)
        taken = time.perf_counter() - began
        after = self.done if self.process.poll() is None else max(last, before)
        return {
            "phase": name, "done_before": before, "done_after": after, "seconds": round(taken, 1),
            "rate": round((after - before) * SIZE / taken, 1), "memory": round(memory),
        }  # fmt: skip

    def kill(self) -> None:
        """End it as a power cut does; its cluster goes with it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def kill_worker(self) -> None:
        """End one of the processes that answer."""
        children = _children()
        below = {self.process.pid}
        while more := {pid for pid, (parent, _) in children.items() if parent in below} - below:
            below |= more
        workers = [pid for pid in below if children.get(pid, (0, ""))[1].startswith("ray::_held")]
        os.kill(workers[0], signal.SIGKILL)

    def _memory(self) -> float:
        """What the command itself holds, in MB."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0.0
        size = status.partition("VmRSS:")[2].split()
        return int(size[0]) / 1024 if size else 0.0


def _children() -> dict[int, tuple[int, str]]:
    """Process → its parent, and its command."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(place.name)] = parent, (place / "cmdline").read_text().split("\0")[0]
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    return found


def table(rows: list[Row]) -> str:
    """One line per phase."""
    lines = [f"{'phase':<38}{'shards':>8}{'before':>8}{'after':>8}{'s':>9}{'rows/s':>9}{'MB':>7}"]
    for row in rows:
        lines.append(
            f"{row['phase']:<38}{row['shards']:>8}{row['done_before']:>8}{row['done_after']:>8}"
            f"{float(row['seconds']):>9.1f}{float(row['rate']):>9.1f}{row['memory']:>7}"
        )
    if rows:
        first = rows[0]
        lines.append(f"{first['rows']} rows, {first['different']} of them different, on {first['cores']} cores")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
