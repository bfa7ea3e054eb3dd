"""Long texts: what a backbone reads of them (the first tokens) against all of them (windows, their vectors averaged).

    apt-get -o Acquire::Languages=en update
    python benchmarks/long_texts.py --draws 12 --out benchmarks/results/long_texts.csv

The texts are descriptions of Debian packages of 1,150 characters or more, the classes their sections, of the lists that
apt keeps on any Debian; nothing in handful was chosen on them. Each way has the same rows, folds and head (logistic,
C 10, on vectors of length one): ``first`` (what handful does), ``whole`` (the mean of the windows by their length),
``sum`` (both added), ``both`` (one beside the other).
"""

from __future__ import annotations

import itertools
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from handful.backbones import catalog
from handful.backbones.base import Backbone
from ledger import Ledger, Row, cells, mean, options, spread

SHORTEST = 1150
"""Characters of a text, from which on about all of 256 tokens are filled."""
SECTIONS = 10
"""How many of the largest sections are classes."""
LEAVE = ("libs", "libdevel", "doc")
"""Sections that say what a package is for others, not what it is about."""
SIZES = (5, 12)
"""Rows per class to learn from."""
OTHERS = ("whole", "sum", "both")
FIELDS = ("backbone", "texts", "cut", "per_class", "draw", "first", *OTHERS)
WORDS = 180
"""Words of a window, which fill no more than 256 tokens."""


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, "", 12, "long_texts.csv")
    parser.add_argument("--lists", type=Path, default=Path("/var/lib/apt/lists"))
    parser.add_argument("--backbones", default="minilm-l6,bge-small-en")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("backbone", "per_class", "draw"))
    for name in args.backbones.split(",") if not args.table else ():
        texts, labels = described(args.lists)
        backbone = catalog.load(name, "text")
        about = {"backbone": name, "texts": len(texts), "cut": round(float(backbone.cut(texts).mean()), 4)}
        ways = seen(backbone, texts)
        for size, draw in itertools.product(SIZES, range(args.draws)):
            ledger.add({**about, "per_class": size, "draw": draw, **measured(ways, np.array(labels), size, draw)})
    print(table(ledger.rows))


def described(lists: Path) -> tuple[list[str], list[str]]:
    """Descriptions and sections of the packages with long ones, each description once."""
    sections: dict[str, str] = {}
    descriptions: dict[str, str] = {}
    for file in sorted([*lists.glob("*_Packages*"), *lists.glob("*_Translation-en*")]):
        found = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(file)], capture_output=True, check=True)
        for entry in found.stdout.decode("utf-8", "replace").split("\n\n"):
            package = re.search(r"^Package: (.*)$", entry, re.M)
            section = re.search(r"^Section: (.*)$", entry, re.M)
            text = re.search(r"^Description(?:-en)?: .*\n((?: .*\n?)+)", entry, re.M)
            if package and section:
                sections[package[1]] = section[1].rpartition("/")[2]
            if package and text:
                lines = [line.strip() for line in text[1].splitlines()]
                descriptions[package[1]] = "\n".join("" if line == "." else line for line in lines)
    known: set[str] = set()
    rows = []
    for package, text in sorted(descriptions.items()):
        ends = {text[:200], text[-200:]}  # packages of one source share much of their texts
        if package in sections and len(text) >= SHORTEST and not ends & known:
            known |= ends
            rows.append((text, sections[package]))
    if not rows:
        raise SystemExit(f"{lists} has no long descriptions. Run: apt-get -o Acquire::Languages=en update")
    largest = [name for name, _ in Counter(section for _, section in rows).most_common() if name not in LEAVE]
    rows = [(text, section) for text, section in rows if section in largest[:SECTIONS]]
    return [text for text, _ in rows], [section for _, section in rows]


def seen(backbone: Backbone, texts: list[str]) -> dict[str, np.ndarray]:
    """Way → (N, D), rows of length one."""
    windows = [windows_of(text) for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(own) for own in windows])
    flat = [window for own in windows for window in own]
    first, parts = unit(encoded(backbone, texts)), unit(encoded(backbone, flat))
    weight = np.array([len(window) for window in flat], float)[:, None]
    whole = unit(np.stack([(parts * weight)[owner == i].sum(0) for i in range(len(texts))]))
    both = np.concatenate([first, whole], 1) / np.sqrt(2)
    return {"first": first, "whole": whole, "sum": unit(first + whole), "both": both}


def windows_of(text: str) -> list[str]:
    """A text in pieces of so many words."""
    words = text.split()
    return [" ".join(words[at : at + WORDS]) for at in range(0, len(words), WORDS)]


def encoded(backbone: Backbone, items: list[str]) -> np.ndarray:
    """What the last depth sees, (N, D)."""
    depth = backbone.search_depths[0]
    steps = range(0, len(items), 16)
    return np.concatenate(
        [backbone.encode_batch(backbone.prepare(items[at : at + 16]), [depth])[depth] for at in steps]
    )


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(ways: dict[str, np.ndarray], labels: np.ndarray, size: int, draw: int) -> Row:
    """Accuracy of each way on the rows that a draw does not learn from."""
    rng = np.random.default_rng(draw)
    train = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:size] for c in np.unique(labels)])
    test = np.setdiff1d(np.arange(len(labels)), train)
    heads = {name: LogisticRegression(C=10, max_iter=500).fit(x[train], labels[train]) for name, x in ways.items()}
    return {name: round(float((heads[name].predict(ways[name][test]) == labels[test]).mean()), 4) for name in ways}


def table(rows: Sequence[Row]) -> str:
    """Accuracy of the first tokens in percent, and how far the other ways are from it, with intervals over draws."""
    lines = [
        f"{'backbone':<14}{'cut':>6}{'per class':>11}{'draws':>7}{'first':>7}   " + "".join(f"{w:<26}" for w in OTHERS)
    ]
    for (name, size), own in cells(rows, "backbone", "per_class").items():
        apart = "".join(f"{spread(own, way, 'first'):<26}" for way in OTHERS)
        cut, first = 100 * mean(own, "cut"), 100 * mean(own, "first")
        lines.append(f"{name:<14}{cut:>5.0f}%{size:>11}{len(own):>7}{first:>7.1f}   {apart}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
