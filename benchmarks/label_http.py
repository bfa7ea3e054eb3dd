"""From a key press to the next item over HTTP: the server of `handful label` in a process of its own, asked by another.

Made-up items of ten kinds with 384 numbers each stand in for a backbone that has looked at the pool already. After a
hundred labels a hundred more at either pace are given: ``answer`` is the time until the server has the answer on the
disk, ``next`` until the next item is there, one after the other on one connection, as the page does. ``hurried``: as
fast as answers are taken, while the model learns from each; ``paced``: half a second apart, as a quick person does.

    python benchmarks/label_http.py --draws 1 --out benchmarks/results/label_http.csv
"""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.answer_store import AnswerStore
from handful.data.dataset import item_hash
from handful.data.label_pool import LabelPool
from handful.regimes.active import ActiveLearner
from handful.tasks.classification import CLASSIFICATION
from handful.web import serving
from handful.web.labelling.learning import Learning
from handful.web.labelling.making import Making
from handful.web.labelling.service import Labelling, application
from handful.web.labelling.session import Session
from handful.web.labelling.uploads import by_chance
from ledger import Ledger, Row, cells, options, values

SIZES = (1_000, 10_000, 100_000)
WIDTH, KINDS = 384, 10
CLASSES = tuple(f"kind {number}" for number in range(KINDS))
BEFORE, ASKED = 100, 100
PACES = {"hurried": 0.0, "paced": 0.5}
"""Seconds between the next item and the key press."""
LONGEST = 900.0
"""Seconds until all items must have been looked at."""
FIELDS = ("items", "draw", "pace", "question", "answer", "next")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, "", 1, "label_http.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("items", "draw", "pace", "question"))
    for items in () if args.table else SIZES:
        for draw in range(args.draws):
            if not ledger.has(items=items, draw=draw):
                ledger.extend(list(one_draw(items, draw)))
    print(table(ledger.rows))


def one_draw(items: int, draw: int) -> Iterator[Row]:
    """A server on so many items, and its answers at each pace."""
    rng = np.random.default_rng(draw)
    kind = rng.integers(KINDS, size=items)
    centres = rng.standard_normal((KINDS, WIDTH), np.float32)
    features = centres[kind] + 3 * rng.standard_normal((items, WIDTH), np.float32)
    right = {item_hash(text_of(i)): CLASSES[kind[i]] for i in range(items)}
    with tempfile.TemporaryDirectory(prefix="label-http-") as folder, serving.take_port("127.0.0.1", 0) as port:
        port.listen()  # whoever asks before the server is ready waits
        process = multiprocessing.get_context("fork").Process(target=serve, args=(port, features, Path(folder)))
        process.start()
        try:
            host, number = port.getsockname()
            with contextlib.closing(http.client.HTTPConnection(host, number, timeout=60)) as connection:
                asker = Asker(connection, right)
                asker.wait(items)
                for _ in range(BEFORE):
                    asker.press()
                for pace, pause in PACES.items():
                    for question in range(ASKED):
                        time.sleep(pause)
                        answer, following = asker.press()
                        yield {
                            "items": items, "draw": draw, "pace": pace, "question": question,
                            "answer": round(answer, 1), "next": round(following, 1),
                        }  # fmt: skip
        finally:
            process.terminate()
            process.join()


class Asker:
    """The page, without a person before it."""

    def __init__(self, connection: http.client.HTTPConnection, right: Mapping[str, str]) -> None:
        self._connection, self._right = connection, right
        self._question: dict[str, Any] = {}

    def wait(self, items: int) -> None:
        """Wait until every item was looked at and the model has begun; then have the first question."""
        end = time.monotonic() + LONGEST
        while self._ask("GET", "/state")["looked"] < items:
            if time.monotonic() > end:
                raise TimeoutError(f"{items} items were not looked at in {LONGEST:.0f} s")
            time.sleep(0.5)
        [self._question] = self._ask("GET", "/next?count=1")["items"]

    def press(self) -> tuple[float, float]:
        """Answer, and have the next question; milliseconds until it is accepted, and until that is there."""
        name = self._question["item"]
        one = {
            "id": uuid.uuid4().hex, "item": name, "act": "label", "label": self._right[name],
            "asked": self._question["how"],
        }  # fmt: skip
        start = time.perf_counter()
        self._ask("POST", "/answers", {"answers": [one]})
        accepted = time.perf_counter()
        [self._question] = self._ask("GET", "/next?count=1")["items"]
        return 1000 * (accepted - start), 1000 * (time.perf_counter() - start)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        head = {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), head)
        response = self._connection.getresponse()
        content = json.load(response)
        if response.status != 200:
            raise RuntimeError(f"{method} {path} was answered with {response.status}: {content}")
        return content


def serve(port: socket.socket, features: NDArray[np.float32], folder: Path) -> None:
    """The server, with features that are there already.

    Args:
        port: where it listens.
        features: (N, D) of the items.
        folder: where answers are kept.
    """
    place = {text_of(i): i for i in range(len(features))}

    def look(some: Sequence[Any]) -> tuple[NDArray[np.float32], Mapping[int, str]]:
        return features[[place[text] for text in some]], {}

    pool = LabelPool("text", list(place), [""] * len(place))
    session = Session(pool, AnswerStore(folder / "labels.sqlite"), CLASSIFICATION, by_chance(len(pool), 0), CLASSES)
    learning = Learning(session, lambda: look, lambda x, task: ActiveLearner.on(x, task, seed=0))
    table = folder / "labels.csv"
    labelling = Labelling(session, learning, Making(session, table, folder / "run", str), table)
    serving.Server(application(labelling)).run([port])


def text_of(number: int) -> str:
    """What an item says."""
    return f"item number {number}"


def table(rows: Sequence[Row]) -> str:
    """Median and 99th percentile per size and pace."""
    lines = [f"{'items':>7}   pace      {'on the disk, ms':>15}{'next item, ms':>15}{'99th percentile':>17}"]
    for (items, pace), some in cells(rows, "items", "pace").items():
        took = values(some, "next")
        lines.append(
            f"{int(items):>7}   {pace:<10}{np.median(values(some, 'answer')):>15.0f}{np.median(took):>15.0f}"
            f"{np.quantile(took, 0.99):>17.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
