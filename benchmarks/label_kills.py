"""Kills while labelling: the server of `handful label` is killed at random moments while answers come fast.

Each kill is SIGKILL to a server that several threads send answers to. An answer counts as accepted where its response
came. Then the file is opened: every answer that was ever accepted must be there as it was sent, the file must be whole,
and the table beside it must be one that can be read; the next server goes on with the same file. Texts of a toy pool
and a toy backbone, so that kills come while answers are kept, not while a model is loaded. For Linux.

    python benchmarks/label_kills.py --kills 100 --out benchmarks/results/label_kills.csv
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from handful.answer_store import AnswerStore
from handful.data.dataset import item_hash
from handful.data.readers import load
from ledger import Ledger, Row

FIELDS = ("number", "after", "sent", "accepted", "lost", "changed", "whole", "table")
CLASSES = ("ants", "bees", "wasps")
THREADS = 4
ITEMS = 400


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/label_kills.csv"))
    parser.add_argument("--table", action="store_true", help="only print the table of the rows in --out")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("number",))
    if not args.table:
        load_libraries()
        rng = np.random.default_rng(args.seed)
        waits = rng.uniform(0, 2.0, args.kills)
        with tempfile.TemporaryDirectory(prefix="label-kills-") as folder:
            pool = Path(folder) / "texts.txt"
            pool.write_text("\n".join(f"text number {i}" for i in range(ITEMS)))
            known: dict[str, str] = {}
            for number, wait in enumerate(waits.tolist()):
                ledger.add(killed(pool, known, number, wait))
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def killed(pool: Path, known: dict[str, str], number: int, wait: float) -> Row:
    """Start, send, kill, look: what became of the answers; those that are there are known from then on."""
    accepted: dict[str, str] = {}
    sent = [0]
    server, said = started(pool)
    found = re.search(r"http://\S+?:\d+", said)
    assert found is not None, "the server did not start"
    threads = [
        threading.Thread(target=send, args=(found[0], number * THREADS + n, accepted, sent)) for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    while not accepted:  # the kill comes while answers are kept
        time.sleep(0.001)
    time.sleep(wait)
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    for thread in threads:
        thread.join()
    known.update(accepted)
    store_file, whole, there = pool.parent / "texts-labels.sqlite", True, {}
    try:
        with AnswerStore(store_file) as store:
            there = store.labels()
    except Exception as error:
        print(f"kill {number}: {error}", file=sys.stderr)
        whole = False
    lost = sum(item not in there for item in known)
    changed = sum(item in there and there[item] != label for item, label in known.items())
    return {
        "number": number, "after": f"{wait:.3f}", "sent": sent[0], "accepted": len(accepted), "lost": lost,
        "changed": changed, "whole": int(whole), "table": int(readable(pool.parent / "texts-labels.csv")),
    }  # fmt: skip


def started(pool: Path) -> tuple[int, str]:
    """Start the command in a forked process, its libraries already loaded: its number, and the first line it says."""
    out, into = os.pipe()
    server = os.fork()
    if not server:
        os.close(out)
        os.dup2(into, 1)
        sys.stdout = os.fdopen(1, "w", closefd=False)  # the other one may know of a file that it was
        os.chdir(pool.parent)
        flags = ["--classes", ",".join(CLASSES), "--port", "0", "--no-browser", "--backbone", "toy-text"]
        sys.argv = ["handful", "label", pool.name, *flags]
        from handful.cli import main as command

        command()
    os.close(into)
    with os.fdopen(out) as lines:
        return server, lines.readline()


def load_libraries() -> None:
    """Import what the command imports, so that forked processes need not."""
    import handful.backbones.catalog
    import handful.backbones.toy
    import handful.cli
    import handful.features.bases
    import handful.regimes.active
    import handful.web.labelling.service
    import handful.web.serving  # noqa: F401


def send(address: str, start: int, accepted: dict[str, str], sent: list[int]) -> None:
    """Send one answer after the other until nobody takes them; those whose response came are accepted."""
    rng = np.random.default_rng(start)
    place = urlsplit(address)
    with contextlib.closing(http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)) as connection:
        for i in rng.permutation(ITEMS).tolist():
            item, label = item_hash(f"text number {i}"), CLASSES[i % 3]
            body = {"answers": [{"id": uuid.uuid4().hex, "item": item, "act": "label", "label": label}]}
            try:
                sent[0] += 1
                connection.request("POST", "/answers", json.dumps(body), {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                return
            if response.status == 200:
                accepted[item] = label


def readable(file: Path) -> bool:
    """Whether the table can be learned from; before the first was written there is none, which is right too."""
    return not file.exists() or len(load(file, label="label", task="classification")) > 0


def table(rows: list[Row]) -> str:
    """How many kills there were, and what they cost."""
    total = {name: sum(int(str(row[name])) for row in rows) for name in ("sent", "accepted", "lost", "changed")}
    broken = sum(str(row["whole"]) == "0" or str(row["table"]) == "0" for row in rows)
    head = f"{'kills':>5}{'answers sent':>14}{'accepted':>10}{'lost':>6}{'changed':>9}{'broken files':>14}"
    counts = (
        f"{len(rows):>5}{total['sent']:>14,}{total['accepted']:>10,}{total['lost']:>6}{total['changed']:>9}{broken:>14}"
    )
    return f"{head}\n{counts}"


if __name__ == "__main__":
    main()
