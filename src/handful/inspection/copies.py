"""Near copies: rows that are one item again, resized, re-encoded, cropped, or with other case and punctuation.

Features (of texts: three-letter pieces) say which pairs are worth a look, since a copy is always near; a small print of
the items themselves decides, since what is near need not be a copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from handful.data.dataset import Dataset
from handful.data.fingerprints import picture_print, plain_text, sound_print
from handful.data.image_text import IMAGE_TEXT, SIDES, ImageText
from handful.data.vectors import VECTORS
from handful.errors import DataError
from handful.inspection.findings import Finding
from handful.inspection.loo_logistic import Array
from handful.inspection.near_duplicates import Array as Print
from handful.inspection.near_duplicates import pictures_alike, sounds_alike
from handful.inspection.profile import counted, example, rows_of


@dataclass(frozen=True)
class Look:
    """How pairs of one modality are looked at."""

    cosine: float
    """Centred features less alike than this are no copies."""
    nearest: int
    """How many neighbours of a row are looked at."""
    most: int
    """How many pairs are looked at in all, the nearest first: bounds the time."""
    alike: float
    """From here on two prints are copies."""
    make: Callable[[Any], Any]
    """Item → print."""
    compare: Callable[[Any, Any], float]
    """Two prints → likeness, 1 for the same."""


# Texts with fewer letters than this are only compared as a whole: half a sentence more is another sentence.
_SHORTEST = 12

# Texts that differ in the middle are copies only where they are long and nearly all of them is the same: in short ones
# another number or name is another text.
_LONG, _NEARLY_ALL = 100, 0.9


def texts_alike(first: str, second: str) -> float:
    """How much two plain texts have in common (Dice 1945): 1 for the same, 0 where neither is a part of the other.

    Long texts need not be parts of each other: of them the pieces of three letters are counted.

    Args:
        first: from ``plain_text``.
        second: another one.
    """
    short, long = sorted((first, second), key=len)
    if short == long:
        return 1.0
    if len(short) < _SHORTEST:
        return 0.0
    if short in long:
        return 2 * len(short) / (len(short) + len(long))
    if len(short) < _LONG:
        return 0.0
    one, two = (Counter(text[i : i + 3] for i in range(len(text) - 2)) for text in (first, second))
    shared = 2 * sum((one & two).values()) / (one.total() + two.total())
    return shared if shared >= _NEARLY_ALL else 0.0


def numbers_alike(first: Array, second: Array) -> float:
    """How alike two vectors are: 1 for the same, less by the length of their difference as a share of their own.

    Args:
        first: (D,).
        second: another one.
    """
    longer = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)), 1e-290)
    return 1 - float(np.linalg.norm(first - second)) / longer


# Chosen on goemotions, clinc150, masakhanews, trashnet and esc10; see benchmarks/near_duplicates.py.
LOOKS = {
    "text": Look(0.5, 3, 3000, 0.82, plain_text, texts_alike),
    "image": Look(0.5, 3, 400, 0.985, picture_print, pictures_alike),
    "sound": Look(0.85, 2, 1000, 0.9, sound_print, sounds_alike),
    # Equal but for rounding: what lies near may well be another item.
    VECTORS: Look(0.999, 3, 1000, 0.9999, lambda item: item.values, numbers_alike),
}


def _both_prints(item: ImageText) -> tuple[Print, str]:
    return picture_print(item.image), plain_text(item.text)


def both_alike(first: tuple[Print, str], second: tuple[Print, str]) -> float:
    """How alike two pictures with their texts are: as the less alike of the two is; 0 where one is no copy."""
    each = (pictures_alike(first[0], second[0]), texts_alike(first[1], second[1]))
    return min(each) if all(x >= LOOKS[side].alike for x, side in zip(each, SIDES, strict=True)) else 0.0


LOOKS[IMAGE_TEXT] = replace(LOOKS["image"], alike=0.82, make=_both_prints, compare=both_alike)


def pieces_alike(texts: list[str]) -> Array:
    """(N, N) cosines of the three-letter pieces of plain texts, rare pieces weighing more."""
    try:
        pieces = TfidfVectorizer(analyzer="char", ngram_range=(3, 3), lowercase=False).fit_transform(texts)
    except ValueError:  # no text has three letters
        return np.eye(len(texts))
    return np.asarray((pieces @ pieces.T).toarray())


def near_pairs(dataset: Dataset, alike: Array | None, look: Look | None = None) -> list[tuple[int, int, float]]:
    """Pairs of rows that are near copies or copies of each other.

    Args:
        dataset: the N rows.
        alike: (N, N) cosines of their centred features, the highest of all backbones. Texts need none; of
            pictures and sounds nothing is found without, and of pictures with texts they are those of the pictures.
        look: how pairs are looked at; by default as is best for the modality.

    Returns:
        First position, second position and likeness, the most alike first.
    """
    look = look or LOOKS[dataset.modality]
    made: dict[int, Any] = {}
    if dataset.modality == "text":
        made = {i: plain_text(text) for i, text in enumerate(dataset.items)}
        alike = pieces_alike(list(made.values()))
    if alike is None:
        return []
    if dataset.modality == IMAGE_TEXT:
        texts = np.array([plain_text(item.text) for item in dataset.items])
        alike = np.minimum(alike, np.maximum(pieces_alike(texts.tolist()), texts[:, None] == texts))
    found = []
    for a, b in _candidates(alike, look):
        try:
            for i in (a, b):
                if i not in made:
                    made[i] = look.make(dataset.items[i])
        except DataError:  # the file has gone since it was looked at; the reader of the next run will say so
            continue
        likeness = look.compare(made[a], made[b])
        if likeness >= look.alike:
            found.append((a, b, likeness))
    return sorted(found, key=lambda pair: -pair[2])


def _candidates(alike: Array, look: Look) -> list[tuple[int, int]]:
    rows = len(alike)
    others = np.where(np.eye(rows, dtype=bool), -np.inf, alike)
    count = min(look.nearest, rows - 1)
    if count < 1:
        return []
    nearest = np.argpartition(-others, count - 1, axis=1)[:, :count]  # (N, count)
    pairs = {(min(i, int(j)), max(i, int(j))) for i in range(rows) for j in nearest[i] if others[i, j] >= look.cosine}
    return sorted(pairs, key=lambda pair: (-others[pair], pair))[: look.most]


def near_copies(dataset: Dataset, pairs: list[tuple[int, int, float]], ids: NDArray[np.int64]) -> Iterator[Finding]:
    """What near copies mean: test rows that were learned from, two labels for one thing, or rows that teach nothing.

    Args:
        dataset: the N rows.
        pairs: from ``near_pairs``.
        ids: (N,) from ``duplicate_groups``: pairs with one id are exact copies, which are told elsewhere.
    """
    kinds: dict[str, list[tuple[int, int, float]]] = {"leak": [], "conflict": [], "near_duplicate": []}
    for pair in pairs:
        a, b, _ = pair
        if ids[a] == ids[b]:
            continue
        parts = dataset.split
        if parts and parts[a] != parts[b]:
            kinds["leak"].append(pair)
        kind = "conflict" if dataset.contradicts((a, b)) else "near_duplicate"
        if kind == "conflict" or not (parts and parts[a] != parts[b]):
            kinds[kind].append(pair)
    for kind, some in kinds.items():
        if some:
            yield _finding(dataset, kind, some)


def _finding(dataset: Dataset, kind: str, pairs: list[tuple[int, int, float]]) -> Finding:
    rows = list(dict.fromkeys(i for a, b, _ in pairs for i in (a, b)))
    best = {i: max(s for a, b, s in pairs if i in (a, b)) for i in rows}
    shown = f"such as {example(dataset, pairs[0][:2])}"
    test = [i for i in rows if dataset.split and dataset.split[i] == "test"]
    message, advice, severity = {
        "leak": (
            f"{len(test)} of {dataset.split.count('test') if dataset.split else 0} test rows "
            f"{'is a near copy' if len(test) == 1 else 'are near copies'} of a training row, {shown}",
            "Remove them from one of the two: a model is not tested by what it was taught.",
            len(test) / max(1, dataset.split.count("test") if dataset.split else 1),
        ),
        "conflict": (
            f"{len(rows)} rows are near copies of a row of another label, {shown}",
            "Decide which label is right and correct or remove the others.",
            len(rows) / len(dataset),
        ),
        "near_duplicate": (
            f"{counted(len(pairs), 'pair of rows is', 'pairs of rows are')} nearly the same, {shown}",
            "Keep one of each pair, or give both the same group: a score on a near copy of a training row is too good.",
            0.3 * len(rows) / len(dataset),
        ),
    }[kind]
    return Finding(
        kind, rows_of(dataset, rows), message, advice, tuple(round(best[i], 4) for i in rows), severity=severity
    )
