"""Long texts: what a backbone reads of them (the first tokens) against all of them (windows, their vectors averaged).

    apt-get -o Acquire::Languages=en update
    python benchmarks/long_texts.py --csv benchmarks/results/long_texts.csv

The texts are descriptions of Debian packages of 1,150 characters or more, the classes their sections, of the lists that
apt keeps on any Debian; nothing in handful was chosen on them. Each way has the same rows, folds and head (logistic,
C 10, on vectors of length one): ``first`` (what handful does), ``whole`` (the mean of the windows by their length),
``sum`` (both added), ``both`` (one beside the other).
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from handful.backbones import catalog
from handful.backbones.base import Backbone

SHORTEST = 1150
"""Characters of a text, from which on about all of 256 tokens are filled."""
SECTIONS = 10
"""How many of the largest sections are classes."""
LEAVE = ("libs", "libdevel", "doc")
"""Sections that say what a package is for others, not what it is about."""
WORDS = 180
"""Words of a window, which fill no more than 256 tokens."""


def main() -> None:
    """Compare the ways over draws, and write a row for each backbone, size and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=Path, default=Path("/var/lib/apt/lists"))
    parser.add_argument("--backbones", default="minilm-l6,bge-small-en")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()
    texts, labels = described(args.lists)
    rows = []
    for name in args.backbones.split(","):
        backbone = catalog.load(name, "text")
        cut = backbone.cut(texts)
        ways = seen(backbone, texts)
        print(f"{name}: {len(texts)} texts, {cut.mean():.0%} longer than it reads")
        for size in (5, 12):
            for row in compared(ways, np.array(labels), size, args.draws):
                rows.append({"backbone": name, "rows": len(texts), "cut": f"{cut.mean():.3f}", **row})
                print(rows[-1])
    if args.csv:
        with args.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


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


def compared(ways: dict[str, np.ndarray], labels: np.ndarray, size: int, draws: int) -> list[dict[str, object]]:
    """Accuracy of each way, and how far it is from ``first`` over the same draws, with its standard error."""
    right: dict[str, list[float]] = {name: [] for name in ways}
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        train = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:size] for c in np.unique(labels)])
        test = np.setdiff1d(np.arange(len(labels)), train)
        for name, x in ways.items():
            head = LogisticRegression(C=10, max_iter=500).fit(x[train], labels[train])
            right[name].append(float((head.predict(x[test]) == labels[test]).mean()))
    rows = []
    for name, found in right.items():
        apart = 100 * (np.array(found) - np.array(right["first"]))
        error = apart.std(ddof=1) / np.sqrt(draws)
        rows.append({"per_class": size, "way": name, "draws": draws, "accuracy": f"{100 * np.mean(found):.1f}",
                     "against_first": f"{apart.mean():+.1f}", "standard_error": f"{error:.1f}"})  # fmt: skip
    return rows


if __name__ == "__main__":
    main()
