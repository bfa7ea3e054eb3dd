"""Serving: requests per second and how long they take, batching against none, memory over many requests, swaps.

The server is a process of its own, asked over one connection per client, each of which asks again as soon as it is
answered.

    python benchmarks/serving.py --requests 300 --out benchmarks/results/serving.csv
"""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from handful import api
from ledger import Ledger, Row, options
from pools import SETS, rows_of

Found = list[tuple[float, int, str]]
Load = Callable[[int, Sequence[bytes], int, int], Coroutine[None, None, Found]]

FIELDS = ("what", "items", "clients", "together", "requests", "lost", "versions", "rate", "median", "slowest", "memory")
CLIENTS = (1, 8, 32)
TRAINED = 40
ASKED = {"text": "agnews", "image": "hymenoptera2"}
# In a process of its own: how many items go through a model at once is no option of the command.
_SERVER = (
    "import sys; from handful.web import item_answers; item_answers.MOST_TOGETHER = int(sys.argv.pop(1)); "
    "sys.argv[0] = 'handful'; from handful.cli import main; main()"
)


class Serving:
    """A server of a run, in a process of its own."""

    def __init__(self, run: Path, together: int, *more: str) -> None:
        """Start it, and wait until it listens.

        Args:
            run: what is served.
            together: how many items go through the model at once.
            more: further options.
        """
        words = [sys.executable, "-c", _SERVER, str(together), "serve", str(run), "--port", "0", *more]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.port = int(line.partition("http://127.0.0.1:")[2].partition(",")[0])

    @property
    def memory(self) -> float:
        """What it holds, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(60)


async def _ask(port: int, requests: Iterator[bytes], found: Found) -> None:
    """One client: asks, reads the answer, asks again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            start = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].split()[0])
            body = await reader.readexactly(length)
            status = int(head.split()[1])
            version = str(json.loads(body).get("version", "")) if status == 200 else ""
            found.append((time.perf_counter() - start, status, version))
    finally:
        writer.close()


def _request(kind: str, body: bytes, page: str = "/predict") -> bytes:
    head = f"POST {page} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _bodies(modality: str, items: Sequence[object]) -> list[bytes]:
    """Requests of one item each."""
    if modality == "text":
        return [_request("application/json", json.dumps({"items": [str(item)]}).encode()) for item in items]
    return [_request("image/jpeg", _jpeg(item)) for item in items]


def _jpeg(item: object) -> bytes:
    stream = io.BytesIO()
    Image.open(str(item)).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


async def _load(port: int, bodies: Sequence[bytes], clients: int, count: int) -> Found:
    """So many requests by so many clients; seconds, status and version of each."""
    found: Found = []
    requests = (bodies[i % len(bodies)] for i in range(count))
    await asyncio.gather(*(_ask(port, requests, found) for _ in range(clients)))
    return found


async def _swapped(port: int, bodies: Sequence[bytes], clients: int, count: int) -> Found:
    """The same while the model is replaced over and over: it learns from a correction, and goes back."""
    stop = asyncio.Event()

    async def swap() -> None:
        fix = json.dumps({"item": "a text that was answered wrong", "label": "Sports"}).encode()
        back = json.dumps({"version": "1"}).encode()
        pages = ((fix, "/feedback"), (back, "/rollback"))
        while not stop.is_set():
            for body, page in pages:
                await _ask(port, iter([_request("application/json", body, page)]), [])

    swapper = asyncio.create_task(swap())
    found = await _load(port, bodies, clients, count)
    stop.set()
    await swapper
    return found


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, "agnews,hymenoptera2", 1, "serving.csv")
    parser.add_argument("--requests", type=int, default=300, help="how many requests per row")
    parser.add_argument("--many", type=int, default=20_000, help="how many requests memory is watched over")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("what", "items", "clients", "together"))
    if not args.table:
        with tempfile.TemporaryDirectory() as place:
            for modality, name in ASKED.items():
                _measure(ledger, modality, name, Path(place), args.data, args.requests)
            _memory(ledger, Path(place), args.many)
    print(table(ledger.rows))


def _measure(ledger: Ledger, modality: str, name: str, place: Path, data: Path, requests: int) -> None:
    """Rates with and without batching, and swaps."""
    wanted = [{"what": "rate", "items": modality, "clients": c, "together": t} for c in CLIENTS for t in (32, 1)]
    if all(ledger.has(**each) for each in wanted):
        return
    rows = rows_of(next(task for task in SETS if task.name == name), data)
    order = np.random.default_rng(0).permutation(len(rows))
    run = place / modality
    api.tune(rows.take(order[:TRAINED]), budget=0).save(run)
    bodies = _bodies(modality, [rows.items[i] for i in order[TRAINED : TRAINED + 100]])
    for together in (32, 1):
        server = Serving(run, together)
        try:
            asyncio.run(_load(server.port, bodies, 1, 5))  # what is computed once is there
            for clients in CLIENTS:
                at = {"what": "rate", "items": modality, "clients": clients, "together": together}
                ledger.complete(at, _timed(server, bodies, clients, requests, _load))
        finally:
            server.end()
    if modality == "text":
        server = Serving(run, 32, "--learn")
        try:
            at = {"what": "swaps", "items": modality, "clients": 8, "together": 32}
            ledger.complete(at, _timed(server, bodies, 8, requests, _swapped))
        finally:
            server.end()


def _timed(server: Serving, bodies: Sequence[bytes], clients: int, count: int, load: Load) -> Iterator[Row]:
    start = time.perf_counter()
    found = asyncio.run(load(server.port, bodies, clients, count))
    yield _row(found, time.perf_counter() - start, server.memory)


def _row(found: Sequence[tuple[float, int, str]], seconds: float, memory: float) -> Row:
    times = np.sort([took for took, _, _ in found])
    return {
        "requests": len(found), "lost": sum(status != 200 for _, status, _ in found),
        "versions": len({version for _, _, version in found if version}), "rate": round(len(found) / seconds, 2),
        "median": round(float(np.median(times)), 4), "slowest": round(float(np.quantile(times, 0.99)), 4),
        "memory": round(memory, 1),
    }  # fmt: skip


def _memory(ledger: Ledger, place: Path, many: int) -> None:
    """What the server holds after a tenth of many requests and after all: on a toy backbone, the rest is the same."""
    if ledger.has(what="memory", items="toy texts", clients=8, together=many):
        return
    texts = [f"{word} {i}" for word in ("hill", "hive") for i in range(20)]
    run = place / "toy"
    api.tune(api.load(texts, labels=["ants"] * 20 + ["bees"] * 20), backbone="toy-text", budget=0).save(run)
    server = Serving(run, 32)
    try:
        bodies = _bodies("text", [f"hive number {i}" for i in range(many)])
        for part, start in ((many // 10, 0), (many, many // 10)):
            begun = time.perf_counter()
            found = asyncio.run(_load(server.port, bodies[start:part], 8, part - start))
            row = _row(found, time.perf_counter() - begun, server.memory)
            ledger.add({"what": "memory", "items": "toy texts", "clients": 8, "together": part, **row})
    finally:
        server.end()


def table(rows: Sequence[Row]) -> str:
    """One line per row: rates and times, then memory, then swaps."""
    lines = ["items       clients   together   requests   lost   per second   median, ms   99th percentile, ms"]
    for row in [row for row in rows if row["what"] == "rate"]:
        lines.append(_line(row))
    lines += ["", "while the model is replaced (versions that answered)"]
    lines += [f"{_line(row)}   {row['versions']}" for row in rows if row["what"] == "swaps"]
    lines += ["", "memory of the server, after so many requests"]
    lines += [
        f"{int(row['together']):>10,} {float(row['memory']):>10.1f} MB   lost {row['lost']}"  # type: ignore[call-overload, arg-type]
        for row in rows
        if row["what"] == "memory"
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    rate, median, slowest = (float(str(row[name])) for name in ("rate", "median", "slowest"))
    return (
        f"{row['items']!s:<12}{row['clients']:>7}{row['together']:>11}{row['requests']:>11}{row['lost']:>7}"
        f"{rate:>13.1f}{1000 * median:>13.1f}{1000 * slowest:>22.1f}"
    )


if __name__ == "__main__":
    main()
