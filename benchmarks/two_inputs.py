"""A picture and a text in one row: what both together are worth beside each alone, and what is said of it.

    python benchmarks/two_inputs.py --draws 5 --out benchmarks/results/two_inputs.csv

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
    args = options(__doc__, SETS, 5, "two_inputs.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "tells", "draw"))
    for name in args.sets.split(",") if not args.table else ():
        image, text = name.split("+")
        for draw in range(args.draws):
            ledger.complete({"set": name, "draw": draw}, one_draw(args.data, image, text, draw))
    print(table(ledger.rows))


def one_draw(data: Path, image: str, text: str, draw: int) -> Iterator[Row]:
    """Each kind of label on the same rows."""
    rng = np.random.default_rng([draw, 29])
    sides = [split(side, rng) for side in (pictures(data / f"{image}.zip", rng), texts(data / f"{text}.csv", rng))]
    cache = user_cache()
    learned, asked = (put_together([side[part] for side in sides], rng, part) for part in (0, 1))
    for tells in TELLS:
        labels, wanted = (named(classes, tells) for _, classes in (learned, asked))
        accuracy: Row = {}
        for arm in ("image", "text", "ships"):
            at = {"image": 0, "text": 1}.get(arm)
            items, questions = ([row if at is None else row[at] for row in rows] for rows, _ in (learned, asked))
            begun = time.perf_counter()
            kind = IMAGE_TEXT if at is None else arm
            options = {"strategies": HEADS, "backbone": LOOKS[arm], "seed": draw}
            run = handful.tune(items, labels, modality=kind, task="classification", **options)
            answers = run.model.predict(questions, cache)
            accuracy[arm] = round(float(np.mean(np.array(answers) == wanted)), 4)
        inputs = run.scores.inputs
        assert inputs is not None
        ends = {"gain": inputs.gain.value, "low": inputs.gain.low, "high": inputs.gain.high}
        yield {
            "tells": tells, **accuracy, "reads": inputs.reads, **{end: round(x, 4) for end, x in ends.items()},
            "seconds": round(time.perf_counter() - begun, 1),
        }  # fmt: skip
    cache.close()


def pictures(file: Path, rng: np.random.Generator) -> Side:
    """The pictures of three classes of a set, unpacked beside the benchmark's other files."""
    folder = Path("two_inputs_pictures") / file.stem
    if not folder.exists():
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
