"""What is wrong with marked texts: strings marked now so and now otherwise, strings missed, ends that waver."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from handful.data.dataset import Dataset
from handful.data.names import listed
from handful.data.sentences import words_of
from handful.data.spans import Marked
from handful.inspection.findings import Finding

# A string that is marked so often, and at least so large a share of the times it occurs, is missed where it is not.
_OFTEN, _MOSTLY = 2, 0.5
# So many strings are named.
_NAMED = 4
# Letters of a string that say something: a lone initial occurs anywhere.
_SHORTEST = 2


def marked_findings(data: Dataset) -> Iterator[Finding]:
    """Strings that have several labels, that look missed, and whose ends waver.

    Args:
        data: N texts with what is marked in them.
    """
    marks = [Marked.of_cell(cell) for cell in data.labels or ()]
    texts = [words_of(text) for text in data.items]
    places: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    labels: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    covered: list[list[tuple[int, int]]] = []
    for i, (words, own) in enumerate(zip(texts, marks, strict=True)):
        firsts = {first: w for w, (first, _) in enumerate(own.bounds)}
        ends = {end: w + 1 for w, (_, end) in enumerate(own.bounds)}
        covered.append([(firsts[first], ends[end]) for first, end, _ in own.spans])
        for (low, high), (*_, label) in zip(covered[-1], own.spans, strict=True):
            string = tuple(words[low:high])
            places[string].append((i, low))
            labels[string][label] += 1
    yield from _differing(data, places, labels)
    yield from _missed(data, texts, places, covered)
    yield from _wavering(data, places)


def _differing(
    data: Dataset, places: dict[tuple[str, ...], list[tuple[int, int]]], labels: dict[tuple[str, ...], Counter[str]]
) -> Iterator[Finding]:
    several = {string: counts for string, counts in labels.items() if len(counts) > 1}
    if not several:
        return
    most = sorted(several, key=lambda string: -several[string].total())
    told = [f"{' '.join(string)} ({listed(sorted(several[string]))})" for string in most[:_NAMED]]
    rows = tuple(dict.fromkeys(data.rows[i] for string in most for i, _ in places[string]))
    yield Finding(
        "conflict",
        rows,
        f"{len(several)} string{'s' * (len(several) > 1)} marked with different labels: {'; '.join(told)}"
        + "; …" * (len(most) > _NAMED),
        "Mark them alike, unless the sentences really mean different things.",
        severity=min(1.0, sum(counts.total() for counts in several.values()) / max(1, len(data))) / 2,
    )


def _missed(
    data: Dataset, texts: list[list[str]], places: dict[tuple[str, ...], list[tuple[int, int]]],
    covered: list[list[tuple[int, int]]],
) -> Iterator[Finding]:  # fmt: skip
    """Strings that are marked in most places, at those where they are not."""
    unmarked: dict[tuple[str, ...], list[int]] = {}
    for string, marked in places.items():
        if len(marked) < _OFTEN or len("".join(string)) < _SHORTEST:
            continue
        free = [
            i
            for i, words in enumerate(texts)
            for at in range(len(words) - len(string) + 1)
            if tuple(words[at : at + len(string)]) == string
            and not any(low < at + len(string) and at < high for low, high in covered[i])
        ]
        if free and len(marked) >= _MOSTLY * (len(marked) + len(free)):
            unmarked[string] = free
    if unmarked:
        told = [
            f"{' '.join(string)} ({data.called_together(rows)})" for string, rows in list(unmarked.items())[:_NAMED]
        ]
        rows = tuple(dict.fromkeys(data.rows[i] for free in unmarked.values() for i in free))
        yield Finding(
            "label_error",
            rows,
            f"{len(unmarked)} string{'s' * (len(unmarked) > 1)} marked elsewhere and left out here: {'; '.join(told)}"
            + "; …" * (len(unmarked) > _NAMED),
            "Mark them there too, unless they mean something else in that sentence.",
            severity=min(1.0, len(rows) / max(1, len(data))),
        )


def _wavering(data: Dataset, places: dict[tuple[str, ...], list[tuple[int, int]]]) -> Iterator[Finding]:
    """Strings that are marked alone, and elsewhere with a small word or sign before or behind them."""
    wavers: dict[str, set[int]] = defaultdict(set)
    for string in places:
        for inner in (string[1:], string[:-1]):
            edge = string[0] if inner == string[1:] else string[-1]
            if not inner or inner not in places or edge[:1].isupper() or edge[:1].isdigit():
                continue
            key = f"{' '.join(inner)} / {' '.join(string)}"
            wavers[key] |= {i for one in (inner, string) for i, _ in places[one]}
    if wavers:
        told = list(wavers)[:_NAMED]
        rows = tuple(sorted({data.rows[i] for at in wavers.values() for i in at}))
        yield Finding(
            "conflict",
            rows,
            f"spans end now here and now there: {'; '.join(told)}" + "; …" * (len(wavers) > _NAMED),
            "Decide whether such words and signs belong to the span, and mark all of them so.",
            severity=min(1.0, len(rows) / max(1, len(data))) / 2,
        )
