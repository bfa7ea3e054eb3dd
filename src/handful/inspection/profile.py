"""What can be said about a Dataset by looking at it: sizes, balance, exact repeats, contradictions, leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handful.data.classes import ENOUGH_ROWS
from handful.data.conversations import Conversation, Preference, plain_prompt, words
from handful.data.dataset import Dataset, content_hash
from handful.data.image_text import IMAGE_TEXT, SIDES, ImageText
from handful.data.languages import UNKNOWN, counts_of_languages, language_of_each
from handful.data.names import listed
from handful.data.targets import BOXES, CLASSES, DEFECTS, MASKS, NOUNS, names_in
from handful.data.traits import Trait, traits_of
from handful.data.vectors import VECTORS
from handful.inspection.findings import Finding, by_cost

# A class this many times rarer than the most frequent one is easily forgotten.
_IMBALANCE = 5

# Files whose headers are read, and texts whose language is guessed, for the profile.
_LOOKED_AT = 2000

# Characters of a text that a message quotes, and unreadable rows it names.
_QUOTED = 60
_NAMED = 3


def profile(dataset: Dataset) -> dict[str, Any]:
    """The plain facts about a Dataset.

    Returns:
        ``rows``, ``unreadable``, ``modality``, ``classes``, ``counts`` (rows per class, most frequent first),
        ``numbers`` (of a regression, quantiles), ``groups`` (how many, or None), ``split`` (rows per part, or None);
        for texts ``characters`` and ``languages`` (texts per language, where it is clear), for
        vectors ``width`` (how many numbers), for pictures ``pixels`` (of the shorter side) and ``formats``, for sounds
        ``seconds``, ``duration`` (of all together), ``rates`` and ``formats``; for rows of a language model
        ``kind`` (instruction rows or preference pairs), ``turns`` (of a prompt), ``prompt words``, ``answer words`` or
        ``chosen words`` and ``rejected words``, and ``languages``. ``characters``, ``pixels``, ``seconds``,
        ``turns`` and words are the 0 %, 25 %, 50 %, 75 % and 100 % quantiles. Of more than 2,000 rows, files and
        languages are taken from every n-th; ``looked at`` says how many that were.
    """
    facts: dict[str, Any] = {
        "rows": len(dataset),
        "unreadable": len(dataset.unreadable),
        "modality": dataset.modality,
        "classes": list(dataset.classes),
        "counts": dataset.counts,
        "groups": len(set(dataset.groups)) if dataset.groups else None,
        "split": {part: dataset.split.count(part) for part in ("train", "test")} if dataset.split else None,
    }
    if not len(dataset):
        return facts
    if dataset.labels and dataset.spread:
        facts["numbers"] = _quantiles([float(text) for text in dataset.labels])
    step = -(-len(dataset) // _LOOKED_AT)
    some = dataset.take(range(0, len(dataset), step))
    if step > 1:
        facts["looked at"] = len(some)
    if dataset.modality == "language":
        return facts | _row_facts(dataset, some)
    if dataset.modality == VECTORS:
        return facts | {"width": len(dataset.items[0].values)}
    if dataset.modality == IMAGE_TEXT:
        texts = _text_facts(dataset.side("text"), some.side("text"))
        return facts | _file_facts(some.side("image")) | texts
    return facts | (_text_facts(dataset, some) if dataset.modality == "text" else _file_facts(some))


def _text_facts(dataset: Dataset, some: Dataset) -> dict[str, Any]:
    lengths = [len(text) for text in dataset.items]
    return {"characters": [int(length) for length in _quantiles(lengths)], "languages": _languages(some.items)}


def _row_facts(dataset: Dataset, some: Dataset) -> dict[str, Any]:
    preferred = isinstance(dataset.items[0], Preference)
    names = ("chosen", "rejected") if preferred else ("answer",)
    counts = {
        "turns": [sum(turn.role != "system" for turn in row.prompt) for row in dataset.items],
        "prompt words": [words(plain_prompt(row)) for row in dataset.items],
        **{f"{name} words": [words(getattr(row, name)) for row in dataset.items] for name in names},
    }
    return {
        "kind": "preference pairs" if preferred else "instruction rows",
        **{name: [int(count) for count in _quantiles(found)] for name, found in counts.items()},
        "languages": _languages([plain_prompt(row) for row in some.items]),
    }


def _languages(texts: Sequence[str]) -> dict[str, int]:
    """Texts per language, most frequent first, and at the end those of which it is not clear."""
    each = language_of_each(texts)
    counts = {language.name: count for language, count in counts_of_languages(each).items()}
    return counts | ({UNKNOWN: each.count(None)} if None in each else {})


def _file_facts(some: Dataset) -> dict[str, Any]:
    traits = [row for row in traits_of(some, decode=False) if row]
    if not traits:
        return {}
    if some.modality == "image":
        sides = [min(float(row["width"]), float(row["height"])) for row in traits]
        return {"pixels": [int(side) for side in _quantiles(sides)], "formats": _counts(traits, "format")}
    seconds = [float(row["duration"]) for row in traits]
    return {
        "seconds": [round(length, 2) for length in _quantiles(seconds)],
        "duration": round(sum(seconds), 2),
        "rates": _counts(traits, "rate"),
        "formats": _counts(traits, "format"),
    }


def _quantiles(values: Sequence[float]) -> list[float]:
    return [float(value) for value in np.quantile(values, [0, 0.25, 0.5, 0.75, 1], method="nearest")]


def _counts(found: Sequence[Mapping[str, Trait]], name: str) -> dict[str, int]:
    """Rows per value of a trait, most frequent first."""
    values = (row[name] for row in found if name in row)
    shown = (f"{value:g}" if isinstance(value, float) else value for value in values)
    return dict(Counter(shown).most_common())


def duplicate_groups(dataset: Dataset) -> np.ndarray:
    """Give rows with the same content the same id, so that they can be kept in one fold.

    Texts are the same where they differ in white space and capital letters only; pictures and sounds where every byte
    agrees; conversations where what is asked is the same text, whatever the answer.

    Returns:
        (N,) whole numbers from 0, in the order of first appearance.

    Raises:
        DataError: a file can no longer be read.
    """
    number: dict[str, int] = {}
    return np.array([number.setdefault(_content(item), len(number)) for item in dataset.items], dtype=np.int64)


def _content(item: Any) -> str:
    if isinstance(item, str):
        return " ".join(item.casefold().split())
    if isinstance(item, ImageText):
        return "\0".join(_content(item.side(side)) for side in SIDES)
    if isinstance(item, Conversation | Preference):
        return "\n".join(f"{turn.role} {_content(turn.content)}" for turn in item.prompt)
    return content_hash(item)


def findings(dataset: Dataset) -> list[Finding]:
    """Everything that is wrong with a Dataset and can be seen without a model, most costly first.

    Raises:
        DataError: a file can no longer be read.
    """
    ids = duplicate_groups(dataset)
    checks = [leaks(dataset, ids), conflicts(dataset, ids), unreadable(dataset), duplicates(dataset, ids)]
    if dataset.task not in (DEFECTS, MASKS, BOXES):  # bad items are not learned from, and pixels are not rows
        checks += [too_few(dataset), imbalance(dataset)]
    return by_cost(finding for found in checks for finding in found)


def too_few(dataset: Dataset) -> Iterator[Finding]:
    """Classes with one row, with fewer rows than can be scored, or from one group only."""
    counts = _training(dataset).counts
    for least, most, what, why in (
        (1, 1, "one row only", "it can be learned, but whether it is recognised cannot be measured"),
        (2, ENOUGH_ROWS - 1, f"fewer than {ENOUGH_ROWS} rows", "one row more or less decides their score"),
    ):
        small = sorted(
            (name for name, count in counts.items() if least <= count <= most), key=lambda name: counts[name]
        )
        if small:
            advice = f"Label more rows until each {_noun(dataset)} has {ENOUGH_ROWS} or more: {why}."
            yield _about_classes(dataset, "too_few", small, f"{_classes(dataset, small)} {what}", advice, 0.5)
    if dataset.groups and dataset.labels:
        pairs = {(label, group) for names, group, at in _places(dataset) if at for label in names}
        sources = Counter(label for label, _ in pairs)
        lone = sorted(name for name in counts if sources[name] == 1 and counts[name] > 1)
        if lone:
            advice = "Label rows from other groups: whether it is recognised in a new group cannot be measured."
            yield _about_classes(
                dataset, "too_few", lone, f"{_classes(dataset, lone)} rows of one group only", advice, 0.5
            )


def imbalance(dataset: Dataset) -> Iterator[Finding]:
    """Classes that are many times rarer than the most frequent one."""
    counts = _training(dataset).counts
    most = max(counts.values(), default=0)
    rare = sorted((name for name, count in counts.items() if count * _IMBALANCE <= most), key=lambda name: counts[name])
    if rare:
        largest = next(name for name, count in counts.items() if count == most)
        least = f": {counts[rare[0]]}" if len(rare) == 1 else f", down to {counts[rare[0]]}"
        noun = _noun(dataset)
        message = f'{_classes(dataset, rare)} a fifth or less of the {most} rows of {noun} "{largest}"{least}'
        advice = f"Label more rows of what is rare, and look at the score of each {noun}, not only at that of all rows."
        yield _about_classes(dataset, "imbalance", rare, message, advice, 0.2)


def _noun(dataset: Dataset) -> str:
    """What the task calls a name: class, label or rating."""
    return NOUNS.get(dataset.task, NOUNS[CLASSES])[0]


def _about_classes(
    dataset: Dataset, kind: str, names: Sequence[str], message: str, advice: str, weight: float
) -> Finding:
    places = zip(dataset.rows, _places(dataset), strict=True)
    rows = [row for row, (own, _, training) in places if training and set(own) & set(names)]
    share = len(names) / len(_training(dataset).counts)
    return Finding(kind, tuple(rows), message, advice, severity=weight * share)


def _places(dataset: Dataset) -> list[tuple[tuple[str, ...], str, bool]]:
    """(names in its label, group, whether it is a training row) of each row."""
    nothing = ("",) * len(dataset)
    parts = dataset.split or ("train",) * len(dataset)
    columns = zip(dataset.labels or nothing, dataset.groups or nothing, parts, strict=True)
    return [(names_in(label, dataset.task), group, part == "train") for label, group, part in columns]


def duplicates(dataset: Dataset, ids: np.ndarray) -> Iterator[Finding]:
    """Rows with the same content and the same label."""
    sets = [at for at in repeats(ids.tolist()) if not dataset.contradicts(at)]
    if not sets:
        return
    extra = sum(len(at) - 1 for at in sets)
    yield Finding(
        "duplicate",
        rows_of(dataset, [i for at in sets for i in at]),
        f"{counted(extra, 'row repeats', 'rows repeat')} another one exactly, such as {example(dataset, sets[0])}",
        "Nothing has to be done: repeats are kept in one fold, but they teach nothing new. Remove them to save time.",
        severity=0.1 * extra / len(dataset),
    )


def conflicts(dataset: Dataset, ids: np.ndarray) -> Iterator[Finding]:
    """Rows with the same content and different labels."""
    sets = [at for at in repeats(ids.tolist()) if dataset.contradicts(at)]
    if not sets:
        return
    labels = list(dict.fromkeys(label_of(dataset, i) for i in sets[0]))  # in the order of the rows
    total = sum(len(at) for at in sets)
    yield Finding(
        "conflict",
        rows_of(dataset, [i for at in sets for i in at]),
        f"{total} rows share their content with a row of another label, such as {example(dataset, sets[0])}: "
        f"{listed(labels)}",
        "Decide which label is right and correct or remove the others: at least one of each such set is wrong.",
        severity=total / len(dataset),
    )


def unreadable(dataset: Dataset) -> Iterator[Finding]:
    """Rows that were left out because they cannot be read."""
    bad = dataset.unreadable
    if bad:
        total = len(dataset) + len(bad)
        named = "; ".join([bad[row] for row in sorted(bad)[:_NAMED]]) + (
            f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        )
        yield Finding(
            "unreadable",
            tuple(sorted(bad)),
            f"{len(bad)} of {total} rows cannot be read and {'is' if len(bad) == 1 else 'are'} left out: {named}",
            "Repair or remove them.",
            severity=0.5 * len(bad) / total,
        )


def leaks(dataset: Dataset, ids: np.ndarray) -> Iterator[Finding]:
    """Content, or groups, that stand both in the training and in the test rows."""
    if not dataset.split:
        return
    shared = [at for at in repeats(ids.tolist()) if len({dataset.split[i] for i in at}) > 1]
    test = dataset.split.count("test")
    if shared:
        hit = sum(dataset.split[i] == "test" for at in shared for i in at)
        yield Finding(
            "leak",
            rows_of(dataset, [i for at in shared for i in at]),
            f"{hit} of {test} test rows {'is' if hit == 1 else 'are'} also among the training rows, "
            f"such as {example(dataset, shared[0])}",
            "Remove them from one of the two: a model is not tested by what it was taught.",
            severity=hit / test,
        )
    yield from group_leaks(dataset)


def group_leaks(dataset: Dataset) -> Iterator[Finding]:
    """Groups that stand both in the training and in the test rows."""
    if dataset.split and dataset.groups:
        test = dataset.split.count("test")
        parts = list(zip(dataset.groups, dataset.split, strict=True))
        both = {name for name, part in parts if part == "train"} & {name for name, part in parts if part == "test"}
        hit = sum(name in both and part == "test" for name, part in parts)
        if both:
            yield Finding(
                "leak",
                rows_of(dataset, [i for i, (name, _) in enumerate(parts) if name in both]),
                f"{counted(len(both), 'group has', 'groups have')} both training and test rows: {listed(sorted(both))}",
                "Put each group into one of the two: a score on known groups says little about new ones.",
                severity=0.5 * hit / test,
            )


def _training(dataset: Dataset) -> Dataset:
    return dataset.part("train") if dataset.split else dataset


def repeats(ids: Sequence[Hashable]) -> list[list[int]]:
    """Positions of the rows of each id that occurs several times, in the order of first appearance."""
    places: dict[Hashable, list[int]] = {}
    for position, name in enumerate(ids):
        places.setdefault(name, []).append(position)
    return [at for at in places.values() if len(at) > 1]


def rows_of(dataset: Dataset, positions: Sequence[int]) -> tuple[int, ...]:
    """Where these positions stand in the source."""
    return tuple(dataset.rows[i] for i in positions)


def label_of(dataset: Dataset, position: int) -> str:
    """The label at a position; an empty text where nothing is labelled."""
    return dataset.labels[position] if dataset.labels else ""


def _classes(dataset: Dataset, names: Sequence[str]) -> str:
    one, many = NOUNS.get(dataset.task, NOUNS[CLASSES])
    return f"{one} {listed(names)} has" if len(names) == 1 else f"{many} {listed(names)} have"


def counted(number: int, one: str, many: str) -> str:
    """A number with the noun and verb that agree with it."""
    return f"{number} {one if number == 1 else many}"


def example(dataset: Dataset, positions: Sequence[int]) -> str:
    """The first two rows of a set of repeats, as the user would look them up."""
    first, second = positions[:2]
    item = dataset.items[first]
    if isinstance(item, Path):
        return f"{item} and {dataset.items[second]}"
    where = dataset.places.called_together([dataset.rows[first], dataset.rows[second]])
    return f"{_quoted(item)} ({where})" if isinstance(item, str) else where


def as_shown(dataset: Dataset, position: int) -> str:
    """One row, as the user would look it up."""
    item = dataset.items[position]
    if isinstance(item, Path):
        return str(item)
    where = dataset.called(position)
    return f"{_quoted(item)} ({where})" if isinstance(item, str) else where


def _quoted(item: str) -> str:
    text = " ".join(item.split())
    return f'"{text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"}"'
