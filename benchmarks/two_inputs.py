"""A picture and a text in one row: what both together are worth beside each alone, and what is said of it.

    python benchmarks/two_inputs.py --draws 3 --out benchmarks/results/two_inputs.csv

Rows are put together: a picture of one of three classes and a text of one of two, each drawn from a public set, so that
it is known what each says. Where `both` is asked, a label is the pair of the two classes; where `image` or `text` is,
it is the class of that one, and the other says nothing. 36 rows are learned from; accuracy is that on 300 others, put
together of pictures and texts that were not learned from. The heads on frozen features are compared, no weight moves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd

import handful
from handful.choices import HEADS
from handful.data.image_text import IMAGE_TEXT
from handful.features.cache import user_cache
from ledger import Ledger, Row, cells, mean, options, spread, values

SETS = "flowers12+trec6,trashnet6+agnews"
DEVELOPED = ("flowers12+trec6",)
"""What is expected of a second input before a row is seen was chosen on these; the others were not looked at."""
LOOKS = {"image": "efficientnet-lite0", "text": "minilm-l6", "ships": "efficientnet-lite0,minilm-l6"}
TELLS = ("both", "image", "text")
CLASSES, ROWS, ASKED = (3, 2), 36, 300
BUDGET = 4
"""Seconds for a run: enough for all heads, and none is left for what parts of a picture do to its answer."""
LEAST_ASKED = 20
"""So many items of each class are kept to be asked about."""
FIELDS = ("set", "tells", "draw", "image", "text", "ships", "reads", "gain", "low", "high", "seconds")


@dataclass(frozen=True)
class Side:
    """The items of one input."""

    items: Sequence[Any]
    """Pictures or texts."""
    classes: np.ndarray
    """(N,) the number of the class of each."""


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, SETS, 3, "two_inputs.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "tells", "draw"))
    asked = (
        []
        if args.table
        else [(name, draw, tells) for name in args.sets.split(",") for draw in range(args.draws) for tells in TELLS]
    )
    for name, draw, tells in asked:
        image, text = name.split("+")
        with TemporaryDirectory() as folder:
            rows = Rows.of(args.data / f"{image}.zip", args.data / f"{text}.csv", Path(folder), draw)
            ledger.complete({"set": name, "draw": draw, "tells": tells}, measured(rows, tells, draw))
    print(table(ledger.rows))


@dataclass(frozen=True)
class Rows:
    """Pairs of items with their classes, to learn from and to be asked about."""

    learned: tuple[list[tuple[Any, Any]], np.ndarray]
    """Pairs, and (N, 2) their classes."""
    asked: tuple[list[tuple[Any, Any]], np.ndarray]
    """The same of others."""

    @classmethod
    def of(cls, image: Path, text: Path, folder: Path, draw: int) -> Rows:
        """The rows of a draw of two sets; pictures are unpacked into a folder."""
        rng = np.random.default_rng([draw, 29])
        sides = [split(side, rng) for side in (pictures(image, folder, rng), texts(text, rng))]
        return cls(*(put_together([side[part] for side in sides], rng, part) for part in (0, 1)))


def measured(rows: Rows, tells: str, draw: int) -> Iterator[Row]:
    """What each input alone, and what ships of both, answer to labels of one kind."""
    labels, wanted = (named(classes, tells) for _, classes in (rows.learned, rows.asked))
    cache, row = user_cache(), Row()
    for arm, backbone in LOOKS.items():
        at = {"image": 0, "text": 1}.get(arm)
        items, questions = (
            [pair if at is None else pair[at] for pair in some] for some, _ in (rows.learned, rows.asked)
        )
        begun = time.perf_counter()
        options = {
            "modality": IMAGE_TEXT if at is None else arm,
            "strategies": HEADS,
            "backbone": backbone,
            "seed": draw,
            "budget": BUDGET,
        }
        run = handful.tune(items, labels, task="classification", **options)
        row["seconds"] = round(time.perf_counter() - begun, 1)
        row[arm] = round(float(np.mean(np.array(run.model.predict(questions, cache)) == wanted)), 4)
    cache.close()
    inputs = run.scores.inputs
    assert inputs is not None
    ends = {"gain": inputs.gain.value, "low": inputs.gain.low, "high": inputs.gain.high}
    yield {**row, "reads": inputs.reads, **{end: round(x, 4) for end, x in ends.items()}}


def pictures(file: Path, folder: Path, rng: np.random.Generator) -> Side:
    """The pictures of three classes of a set, unpacked into a folder."""
    with ZipFile(file) as archive:
        archive.extractall(folder)
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    return of_classes(found, [path.parent.name for path in found], CLASSES[0], rng)


def texts(file: Path, rng: np.random.Generator) -> Side:
    """The texts of two classes of a set."""
    table = pd.read_csv(file)
    return of_classes(table["text"].tolist(), table["label"].tolist(), CLASSES[1], rng)


def of_classes(items: Sequence[Any], labels: Sequence[str], count: int, rng: np.random.Generator) -> Side:
    """The items of so many classes, drawn by chance."""
    names = rng.choice(sorted(set(labels)), count, replace=False).tolist()
    at = [i for i, label in enumerate(labels) if label in names]
    return Side([items[i] for i in at], np.array([names.index(labels[i]) for i in at]))


def split(side: Side, rng: np.random.Generator) -> tuple[Side, Side]:
    """The items to learn from, and those to be asked about."""
    parts: tuple[list[int], list[int]] = ([], [])
    for number in np.unique(side.classes):
        order = rng.permutation(np.flatnonzero(side.classes == number)).tolist()
        parts[1].extend(order[:LEAST_ASKED])
        parts[0].extend(order[LEAST_ASKED : LEAST_ASKED + ROWS])
    return tuple(Side([side.items[i] for i in at], side.classes[at]) for at in parts)  # type: ignore[return-value]


def put_together(
    sides: Sequence[Side], rng: np.random.Generator, part: int
) -> tuple[list[tuple[Any, Any]], np.ndarray]:
    """Rows with every pair of classes as often, no item to learn from twice: (N) pairs and (N, 2) their classes."""
    count = (ROWS, ASKED)[part] // (CLASSES[0] * CLASSES[1])
    rows, classes = [], []
    decks = [{c: rng.permutation(np.flatnonzero(side.classes == c)).tolist() for c in np.unique(side.classes)}
             for side in sides]  # fmt: skip
    for pair in np.ndindex(*CLASSES):
        for _ in range(count):
            drawn = []
            for deck, side, number in zip(decks, sides, pair, strict=True):
                at = deck[number].pop()
                if part:  # asked about again and again
                    deck[number].insert(0, at)
                drawn.append(side.items[at])
            rows.append(tuple(drawn))
            classes.append(pair)
    return rows, np.array(classes)


def named(classes: np.ndarray, tells: str) -> list[str]:
    """The labels of rows, (N, 2) to N names."""
    told = {"both": (0, 1), "image": (0,), "text": (1,)}[tells]
    return [" ".join("xyz"[row[side]] if side == 0 else "pq"[row[side]] for side in told) for row in classes]


def table(rows: Sequence[Row]) -> str:
    """Accuracies of each alone and of what ships, how often it reads what, and what was said."""
    lines = [
        f"{'set':<18}{'label':<7}{'draws':>6}{'image':>7}{'text':>7}{'ships':>7}  {'over the better, points':<25}"
        f"{'reads both':>11}{'better':>8}{'as good':>9}{'worse':>7}"
    ]
    for (name, tells), some in cells(rows, "set", "tells").items():
        low, high = values(some, "low"), values(some, "high")
        best = [{**row, "best": max(float(str(row["image"])), float(str(row["text"])))} for row in some]
        said = (low > 0, (low <= 0) & (high >= 0), high < 0)
        lines.append(
            f"{name:<18}{tells:<7}{len(some):>6}"
            + "".join(f"{100 * mean(some, arm):>7.1f}" for arm in ("image", "text", "ships"))
            + f"  {spread(best, 'ships', 'best'):<25}{sum(row['reads'] == 'image and text' for row in some):>11}"
            + "".join(f"{int(found.sum()):>{wide}}" for found, wide in zip(said, (8, 9, 7), strict=True))
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
