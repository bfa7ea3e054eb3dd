"""The gazetteer: what a model of spans has to beat, a list of the strings that were marked, looked up in new texts.

How far a list can be believed is measured on the texts that it was made of, each looked up in the list of the others.
A model keeps digests of the strings: whoever has it can try a guess, but reads no name off it. ``K`` tags as in
``part_layout``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.spans import Marked
from handful.tasks.part_layout import Floats, Numbers

Known = dict[tuple[str, ...], str]
"""Words of a string, as they are written → the label that it most often had."""

TRUST = 0.5
"""How much of what a list says counts beside what a model says: both know much of the same. Chosen on other draws than
are reported (decision 0064)."""

LONGEST = 1000
"""No string has more words; of one that has, a model knows nothing."""

# A list that is asked alone gives what it lists, however often it is wrong.
_LEAST = 0.5
# Hexadecimal digits of a digest: two of a million strings have the same one in a case of ten million.
_DIGITS = 16


@dataclass(frozen=True)
class Gazetteer:
    """Strings with their labels, and what it means that a word is in one of them or in none."""

    strings: tuple[tuple[str, str], ...]
    """The digest of each, and its label."""
    longest: int
    """How many words the longest has."""
    names: tuple[str, ...]
    """C labels."""
    right: float
    """How probable it is that a word in a listed string has the tag that this gives."""
    beside: tuple[float, ...]
    """(K,) how probable each tag is of a word that is in none."""
    usual: tuple[float, ...]
    """(K,) how probable each is of any word."""

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], marks: Sequence[Marked], names: Sequence[str]) -> Gazetteer:
        """List the strings that are marked in texts.

        Args:
            texts: of each its words.
            marks: what is marked in each.
            names: C labels, among which all of theirs are.
        """
        counts = _Counts.of(texts, marks)
        wanted = np.concatenate([*(np.array(own.tags(names), np.int64) for own in marks), np.zeros(0, np.int64)])
        others = [
            _tags(words, looked_up(words, counts.without(words, own)), names)
            for words, own in zip(texts, marks, strict=True)
        ]
        said = np.concatenate([*others, np.zeros(0, np.int64)])
        hit, width = said > 0, 1 + 2 * len(names)
        right = (np.count_nonzero(hit & (said == wanted)) + 1) / (np.count_nonzero(hit) + 2)
        beside, usual = (np.bincount(tags, minlength=width) + 0.5 for tags in (wanted[~hit], wanted))
        known = {string: label for string, label in counts.known().items() if len(string) <= LONGEST}
        strings = tuple(sorted((_digest(string), label) for string, label in known.items()))
        longest = max(map(len, known), default=0)
        # Rounded, so that the record of a model says them exactly.
        return cls(strings, longest, tuple(names), round(right, 6), _shares(beside), _shares(usual))

    @cached_property
    def _labels(self) -> dict[str, str]:
        return dict(self.strings)

    def tags(self, words: Sequence[str]) -> Numbers:
        """(W,) the tags that the listed strings of a text give to its words; 0 where there is none."""
        hits = _hits(words, self.longest, lambda string: self._labels.get(_digest(string)))
        return _tags(words, hits, self.names)

    def answers(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(P, K) probabilities of the tags of all words of some texts, by the list alone."""
        return self._told(texts, max(self.right, _LEAST))

    def evidence(self, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """(P, K) what is added to the logarithms of what a model says of the words of some texts."""
        return np.asarray(TRUST * np.log(self._told(texts, self.right) / np.array(self.usual)))

    def _told(self, texts: Sequence[Sequence[str]], right: float) -> NDArray[np.float64]:
        beside = np.array(self.beside)
        table = np.tile(beside, (len(beside), 1))  # of the tag that a string gives, the probabilities of all
        np.fill_diagonal(table, 0)
        table *= (1 - right) / table.sum(1, keepdims=True)
        np.fill_diagonal(table, right)
        table[0] = beside
        return np.asarray(table[np.concatenate([*map(self.tags, texts), np.zeros(0, np.int64)])])

    def record(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "strings": [list(pair) for pair in self.strings], "longest": self.longest, "names": list(self.names),
            "right": self.right, "beside": list(self.beside), "usual": list(self.usual),
        }  # fmt: skip

    @classmethod
    def of_record(cls, raw: Any) -> Gazetteer:
        """Read back what ``record`` says.

        Raises:
            ValueError: it says nothing of the kind.
        """
        try:
            strings = tuple((str(digest), str(label)) for digest, label in raw["strings"])
            names, right, longest = tuple(map(str, raw["names"])), float(raw["right"]), int(raw["longest"])
            beside, usual = (tuple(map(float, raw[key])) for key in ("beside", "usual"))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("a gazetteer must have strings, longest, names, right, beside and usual") from error
        shares = [*beside, *usual, right]
        if not all(0 < share < 1 for share in shares) or {len(beside), len(usual)} != {1 + 2 * len(names)}:
            raise ValueError("of a gazetteer right and the shares of every tag must lie between 0 and 1")
        if not all(label in names for _, label in strings) or not 0 <= longest <= LONGEST:
            raise ValueError(f"strings of a gazetteer must have a label among its names, and up to {LONGEST} words")
        return cls(strings, longest, names, right, beside, usual)


def pooled(outputs: Floats, evidence: Floats) -> NDArray[np.float64]:
    """Probabilities of tags with the evidence of a gazetteer added to their logarithms. (..., P, K), (..., P, K)."""
    logs = np.log(np.maximum(outputs, 1e-12)) + evidence
    shares = np.exp(logs - logs.max(-1, keepdims=True))
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def learned(texts: Sequence[Sequence[str]], marks: Sequence[Marked]) -> Known:
    """The strings that are marked in some texts.

    Args:
        texts: of each text its words.
        marks: what is marked in it.

    Returns:
        Strings that are marked at least half of the times they occur, each with its most frequent label.
    """
    return _Counts.of(texts, marks).known()


@dataclass(frozen=True)
class _Counts:
    """How often strings are marked with each label, and how often they occur."""

    labels: Mapping[tuple[str, ...], Counter[str]]
    occurs: Counter[tuple[str, ...]]
    longest: int

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], marks: Sequence[Marked]) -> _Counts:
        labels: dict[tuple[str, ...], Counter[str]] = {}
        for words, own in zip(texts, marks, strict=True):
            for string, label in _marked(words, own):
                labels.setdefault(string, Counter())[label] += 1
        longest = max(map(len, labels), default=0)
        occurs = Counter(string for words in texts for string in _strings(words, longest) if string in labels)
        return cls(labels, occurs, longest)

    def known(self) -> Known:
        return {string: _first(own) for string, own in self.labels.items() if 2 * own.total() >= self.occurs[string]}

    def without(self, words: Sequence[str], own: Marked) -> Known:
        """Of the strings of a text those that are known by the other texts."""
        marked = Counter(_marked(words, own))
        known: Known = {}
        for string, here in Counter(s for s in _strings(words, self.longest) if s in self.labels).items():
            left = Counter({label: n - marked[string, label] for label, n in self.labels[string].items()})
            if left.total() and 2 * left.total() >= self.occurs[string] - here:
                known[string] = _first(left)
        return known


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda label: (-counts[label], label))


def _strings(words: Sequence[str], longest: int) -> Iterator[tuple[str, ...]]:
    for size in range(1, longest + 1):
        for at in range(len(words) - size + 1):
            yield tuple(words[at : at + size])


def _marked(words: Sequence[str], own: Marked) -> list[tuple[tuple[str, ...], str]]:
    return [(tuple(words[first : last + 1]), label) for first, last, label in placed(own)]


def _shares(counts: Floats) -> tuple[float, ...]:
    return tuple((counts / counts.sum()).round(8).tolist())


def _tags(words: Sequence[str], hits: Sequence[tuple[int, int, str]], names: Sequence[str]) -> Numbers:
    """(W,) tags of words in which strings were found."""
    tags = np.zeros(len(words), np.int64)
    for first, last, label in hits:
        c = list(names).index(label)
        tags[first : last + 1] = 2 + 2 * c
        tags[first] = 1 + 2 * c
    return tags


def looked_up(words: Sequence[str], known: Known) -> list[tuple[int, int, str]]:
    """The strings of a text that are known, the longest first from the left: first word, last word and label."""
    return _hits(words, max(map(len, known), default=0), known.get)


def _hits(
    words: Sequence[str], longest: int, label_of: Callable[[tuple[str, ...]], str | None]
) -> list[tuple[int, int, str]]:
    found, at = list[tuple[int, int, str]](), 0
    while at < len(words):
        sizes = range(min(longest, len(words) - at), 0, -1)
        size, label = next(((n, own) for n in sizes if (own := label_of(tuple(words[at : at + n])))), (1, None))
        if label is not None:
            found.append((at, at + size - 1, label))
        at += size
    return found


def _digest(string: Sequence[str]) -> str:
    return sha256("\0".join(string).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def placed(marks: Marked) -> list[tuple[int, int, str]]:
    """The spans of a text by their first and last word."""
    firsts = {first: w for w, (first, _) in enumerate(marks.bounds)}
    ends = {end: w for w, (_, end) in enumerate(marks.bounds)}
    return [(firsts[first], ends[end], label) for first, end, label in marks.spans]
