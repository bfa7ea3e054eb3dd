"""The benchmark sets: a pool of labelled rows per set, seen once, and seeded few-shot draws from it."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from handful import api
from handful.backbones.base import Backbone
from handful.choices import HEADS
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.features import bases
from handful.features.feature_set import FeatureSet, extract_all
from handful.progress import silent
from handful.strategies.frozen.rung import Frozen, SearchTerms, run_frozen
from handful.tasks.base import Targets
from handful.tasks.classification import CLASSIFICATION

DATA = Path(os.environ.get("HANDFUL_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Where the files lie, unless --data says otherwise."""

POOL = 2500
"""At most this many rows of a set are looked at: the draws and the rows left over come from them."""


@dataclass(frozen=True)
class Set:
    """One task on one file."""

    name: str
    file: str
    modality: str
    per_class: tuple[int, ...]
    """Rows per class of the accuracy table."""
    group: str = ""
    """What the file name says the rows belong to: speaker or fold."""
    label: str = ""
    """What the label is, where it is not the folder: speaker."""
    without: tuple[str, ...] = ()
    """Rows whose label holds one of these are left out."""


SETS = (
    Set("agnews", "agnews.csv", "text", (8,)),
    Set("trec6", "trec6.csv", "text", (8,)),
    Set("cr", "cr.csv", "text", (8,)),
    Set("sst5", "sst5.csv", "text", (8,)),
    Set("banking77", "banking77.csv", "text", (8,)),
    Set("cuad_clauses", "cuad_clauses.csv", "text", (8,)),
    Set("flowers12", "flowers12.zip", "image", (5, 20)),
    Set("trashnet6", "trashnet6.zip", "image", (5, 20)),
    Set("hymenoptera2", "hymenoptera2.zip", "image", (5, 20)),
    Set("textile3", "textile3.zip", "image", (5, 20)),
    Set("fsdd_digits", "fsdd.zip", "sound", (5,), group="speaker"),
    Set("fsdd_speakers", "fsdd.zip", "sound", (5,), label="speaker"),
    Set("esc10", "esc10.zip", "sound", (5,)),
)

DEVELOPMENT = (
    Set("goemotions", "goemotions.csv", "text", (8,), without=("|", "neutral")),
    Set("masakhanews_eng", "masakhanews_eng.csv", "text", (8,)),
    Set("masakhanews_swa", "masakhanews_swa.csv", "text", (8,)),
    Set("clinc150", "clinc150_oos.csv", "text", (8,), without=("oos",)),
    Set("omniglot", "omniglot_small1.zip", "image", (5,)),
)
"""Sets on which constants are found, so that no set of a table above has been looked at."""

FURTHER = (
    Set("masakhanews_yor", "masakhanews_yor.csv", "text", (8,)),
    Set("tweets", "tweets.csv", "text", (8,)),
    Set("editorials", "editorials.csv", "text", (8,)),
)
"""Sets on which nothing was found, and that no table of all sets has; the last two come from snippets.py."""


@dataclass(frozen=True)
class Pool:
    """A set with everything seen."""

    task: Set
    data: Dataset
    sight: FeatureSet


def by_name(names: str) -> tuple[Set, ...]:
    """The sets of a comma-separated list, or all."""
    wanted = [name for name in names.split(",") if name]
    return tuple(s for s in (*SETS, *DEVELOPMENT, *FURTHER) if s.name in wanted or (not wanted and s in SETS))


def open_pool(task: Set, folder: Path = DATA, backbone: str = "auto", most: int = POOL) -> Pool:
    """Read a set, keep at most so many rows (seeded, every class), and look at each once."""
    data = _some(rows_of(task, folder), most)
    data, sight = extract_all(data, load_backbones(backbone, task.modality, data.items))
    return Pool(task, data, sight)


def rows_of(task: Set, folder: Path = DATA) -> Dataset:
    """All rows of a set, with what they are to be told apart by."""
    file = folder / task.file
    if task.modality == "text":
        data = replace(api.load(file, label="label", split="", task="classification"), split=None)
    else:
        place = Path(tempfile.gettempdir()) / "handful-benchmarks" / file.stem
        if not place.exists():
            with zipfile.ZipFile(file) as archive:
                archive.extractall(place)
        data = api.load(place)
        names = [Path(item).stem for item in data.items]
        speakers = tuple(name.split("_")[1] for name in names) if file.stem == "fsdd" else None
        data = replace(data, split=None, groups=speakers if task.group else None)
        if task.label:
            data = replace(data, labels=speakers)
    return data.take([i for i, c in enumerate(data.labels or ()) if not any(part in c for part in task.without)])


def load_backbones(wanted: str, modality: str, items: Sequence[Any] = ()) -> dict[str, Backbone]:
    """What ``--backbone`` names, ready: all that ``auto`` may look with at such items, whatever the time."""
    return bases.load(bases.named(wanted, modality, items), modality, silent)


def _some(data: Dataset, most: int) -> Dataset:
    if len(data) <= most:
        return data
    rng = np.random.default_rng(0)
    labels = np.asarray(data.labels)
    share = most / len(data)
    at = [
        rng.permutation(np.flatnonzero(labels == c))[: max(20, int(share * (labels == c).sum()))] for c in data.classes
    ]
    return data.take(np.sort(np.concatenate(at)))


def draws(
    pool: Pool, per_class: int, count: int, classes: int | None = None
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Seeded few-shot draws: number, rows to learn from, rows left over.

    Args:
        pool: the set.
        per_class: rows per class; a class keeps at least a quarter of its rows, and one, for the test.
        count: how many draws.
        classes: draw this many classes at random first, where the set has more.
    """
    labels = np.asarray(pool.data.labels)
    for seed in range(count):
        rng = np.random.default_rng([seed, per_class])
        names = np.unique(labels)
        if classes is not None and len(names) > classes:
            names = np.sort(rng.permutation(names)[:classes])
        train, rest = [], []
        for name in names:
            rows = rng.permutation(np.flatnonzero(labels == name))
            taken = min(per_class, max(1, len(rows) * 3 // 4))
            train.append(rows[:taken])
            rest.append(rows[taken:])
        yield seed, np.sort(np.concatenate(train)), np.sort(np.concatenate(rest))


def held_apart(pool: Pool, train: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For grouped sets: learn from some groups, test on the others, so that no speaker is on both sides."""
    if pool.data.groups is None:
        return train, rest
    groups = np.asarray(pool.data.groups)
    names = np.unique(groups)
    test = names[len(train) % len(names)]
    return train[groups[train] != test], rest[groups[rest] == test]


def fitted(data: Dataset, sight: FeatureSet, budget: float, seed: int) -> Frozen:
    """The frozen rung on labelled rows.

    Args:
        data: N rows.
        sight: their features.
        budget: seconds for the whole run.
        seed: fixes the folds.
    """
    targets = CLASSIFICATION.read(data.labels or ())
    return run_frozen(targets, data, sight, SearchTerms(HEADS, budget, seed, Inline()))


def answered(frozen: Frozen, sight: FeatureSet) -> np.ndarray:
    """The classes that a frozen model answers, by features of Q items; (Q,)."""
    names = frozen.rows.targets.names
    return np.array(CLASSIFICATION.words(frozen.answers(sight.items), names))


def classed(truth: np.ndarray) -> Targets:
    """Class numbers 0..C-1 of N rows as targets."""
    return Targets(CLASSIFICATION, truth, tuple(map(str, range(int(truth.max()) + 1))))
