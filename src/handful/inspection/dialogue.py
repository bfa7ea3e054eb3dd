"""What is wrong with instruction and preference rows, as far as their words say: no model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from handful.data.conversations import Preference, Row, plain_prompt, words
from handful.data.dataset import Dataset
from handful.data.fingerprints import plain_text
from handful.data.splits import merge_groups
from handful.inspection.audit import sample, stated
from handful.inspection.copies import LOOKS, near_pairs, texts_alike
from handful.inspection.findings import Finding, by_cost
from handful.inspection.profile import (
    counted,
    duplicate_groups,
    example,
    group_leaks,
    imbalance,
    repeats,
    rows_of,
    too_few,
    unreadable,
)

# Prompts are often one template with another text in it: only what few prompts share says that two are copies. Of 655
# banking questions in a template of 140 letters, 0.5 calls 129 pairs copies; this leaves the few that are rewordings.
_LOOK = replace(LOOKS["text"], cosine=0.8)

# An answer is a copy of its prompt from this likeness on: to put a text in order may change little of it.
_COPY, _SHORTEST = 0.9, 12

# Lengths so far from the usual are told (Iglewicz and Hoaglin 1993), with a floor for rows that are all equally long;
# a few words more or less are nothing. What more than one row in twenty is like is another kind of row, not a fault.
_FAR, _SPREAD, _WORDS, _FEWEST, _MANY = 3.5, 0.25, 5, 10, 0.05

# The better answers are the longer ones where so many of them are, and chance would say so once in 700 times.
_LONGER, _SIGMA = 0.7, 3.0


def findings_of(data: Dataset) -> list[Finding]:
    """Everything that is wrong with rows for a language model, most costly first.

    Args:
        data: N Conversations or N Preferences. Near copies are looked for in 2,000 of them, and the findings say so.

    Returns:
        Repeated and contradicted rows, prompts that stand on both sides of the split, answers that copy their prompt,
        unusual lengths, answers that are better because they are longer, and what could not be read.
    """
    ids, some = duplicate_groups(data), sample(data, 0)
    near = stated(list(_near(some)), len(some), len(data), 0)
    checks = (
        _leaks(data, ids), group_leaks(data), _conflicts(data, ids), unreadable(data), _copied(data),
        _longer(data), too_few(data), imbalance(data), _lengths(data), _duplicates(data, ids),
    )  # fmt: skip
    return by_cost([*(finding for found in checks for finding in found), *near])


def kept_together(data: Dataset) -> NDArray[np.int64]:
    """Rows that must not be split across folds: those of one group, and those whose prompts are nearly the same.

    Args:
        data: N Conversations or N Preferences; near copies are looked for in 2,000 of them.

    Returns:
        (N,) whole numbers from 0.
    """
    some = sample(data, 0)
    place = {row: i for i, row in enumerate(data.rows)}
    near = np.arange(len(data))
    for a, b, _ in _near_prompts(some):
        first, second = sorted((place[some.rows[a]], place[some.rows[b]]))
        near[near == near[second]] = near[first]
    groups = [data.groups] if data.groups else []
    return merge_groups(duplicate_groups(data), near, *groups)


def suspects(data: Dataset) -> frozenset[int]:
    """Rows that one would rather not learn from, as far as words say.

    Args:
        data: N Conversations or N Preferences.

    Returns:
        Positions of rows that repeat an earlier one, contradict another, copy their prompt or have an unusual length.
    """
    ids, place = duplicate_groups(data), {row: i for i, row in enumerate(data.rows)}
    checks = (_conflicts(data, ids), _copied(data), _lengths(data))
    found = {place[row] for check in checks for finding in check for row in finding.rows}
    repeated = [at[1:] for at in repeats(_keys(data, ids))]
    return frozenset(found.union(*repeated))


def _keys(data: Dataset, ids: NDArray[np.int64]) -> list[tuple[int | str, ...]]:
    """What a row says, prompt and answers, as one thing to compare."""
    return [(name, *map(_spaced, _answers(row))) for name, row in zip(ids.tolist(), _rows(data), strict=True)]


def _rows(data: Dataset) -> Sequence[Row]:
    return cast(Sequence[Row], data.items)


def _answers(row: Row) -> tuple[str, ...]:
    return (row.chosen, row.rejected) if isinstance(row, Preference) else (row.answer,)


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _shown(data: Dataset) -> Dataset:
    """The rows as texts, so that messages can quote them."""
    return replace(data, items=[plain_prompt(row) for row in _rows(data)], modality="text")


def _such(data: Dataset, positions: Sequence[int]) -> str:
    return f"such as {example(_shown(data.take(positions[:2])), (0, 1))}"


def _duplicates(data: Dataset, ids: NDArray[np.int64]) -> Iterator[Finding]:
    sets = repeats(_keys(data, ids))
    if sets:
        extra = sum(len(at) - 1 for at in sets)
        yield Finding(
            "duplicate",
            rows_of(data, [i for at in sets for i in at]),
            f"{counted(extra, 'row repeats', 'rows repeat')} another one exactly, {_such(data, sets[0])}",
            "Remove all but one of each: what is said twice is learned twice as hard.",
            severity=0.1 * extra / len(data),
        )


def _conflicts(data: Dataset, ids: NDArray[np.int64]) -> Iterator[Finding]:
    sets = [at for at in repeats(ids.tolist()) if _contradict([_rows(data)[i] for i in at])]
    if not sets:
        return
    rows = [i for at in sets for i in at]
    if isinstance(data.items[0], Preference):
        message = "rows prefer the answer to a prompt that another row rejects"
        advice = "Decide which answer is better and remove the other row: together they teach nothing."
    else:
        message = "rows share their prompt with a row that answers differently"
        advice = "Keep the answer that you want; where several are right, nothing has to be done."
    severity = (1 if isinstance(data.items[0], Preference) else 0.5) * len(rows) / len(data)
    found = f"{len(rows)} {message}, {_such(data, sets[0])}"
    yield Finding("conflict", rows_of(data, rows), found, advice, severity=severity)


def _contradict(rows: Sequence[Row]) -> bool:
    """Whether rows with one prompt have answers that do not go together."""
    pairs = {tuple(plain_text(answer) for answer in _answers(row)) for row in rows}
    if isinstance(rows[0], Preference):
        return any(pair[::-1] in pairs for pair in pairs)
    # Answers that nearly agree are no contradiction.
    first, *others = sorted(answer for (answer,) in pairs)
    return any(texts_alike(first, other) < _LOOK.alike for other in others)


def _leaks(data: Dataset, ids: NDArray[np.int64]) -> Iterator[Finding]:
    if not data.split:
        return
    shared = [at for at in repeats(ids.tolist()) if len({data.split[i] for i in at}) > 1]
    if shared:
        test = data.split.count("test")
        hit = sum(data.split[i] == "test" for at in shared for i in at)
        yield Finding(
            "leak",
            rows_of(data, [i for at in shared for i in at]),
            f"{hit} of {test} test prompts {'is' if hit == 1 else 'are'} also asked in the training rows, "
            f"{_such(data, shared[0])}",
            "Remove them from one of the two: a model is not tested by what it was taught.",
            severity=hit / test,
        )


def _near_prompts(data: Dataset) -> list[tuple[int, int, float]]:
    """Pairs of rows whose prompts are nearly but not quite the same, after the same words of the system."""
    ids = duplicate_groups(data)
    system = [[turn.content for turn in row.prompt if turn.role == "system"] for row in _rows(data)]
    pairs = near_pairs(_shown(data), None, _LOOK)
    return [(a, b, likeness) for a, b, likeness in pairs if ids[a] != ids[b] and system[a] == system[b]]


def _near(data: Dataset) -> Iterator[Finding]:
    pairs = _near_prompts(data)
    parts = data.split or ("train",) * len(data)
    across = [pair for pair in pairs if parts[pair[0]] != parts[pair[1]]]
    if across:
        rows = list(dict.fromkeys(i for pair in across for i in pair[:2]))
        hit, test = sum(parts[i] == "test" for i in rows), parts.count("test")
        yield Finding(
            "leak",
            rows_of(data, rows),
            f"{hit} of {test} test prompts {'is' if hit == 1 else 'are'} nearly the same as one of a training row, "
            f"{_such(data, across[0][:2])}",
            "Remove them from one of the two: a model is not tested by what it was taught.",
            _best(across, rows),
            severity=hit / test,
        )
    within = [pair for pair in pairs if parts[pair[0]] == parts[pair[1]]]
    if within:
        rows = list(dict.fromkeys(i for pair in within for i in pair[:2]))
        yield Finding(
            "near_duplicate",
            rows_of(data, rows),
            f"{counted(len(within), 'pair of prompts is', 'pairs of prompts are')} nearly the same, "
            f"{_such(data, within[0][:2])}",
            "Keep one of each pair, or give both the same group: a score on a near copy of a training row is too good.",
            _best(within, rows),
            severity=0.3 * len(rows) / len(data),
        )


def _best(pairs: Sequence[tuple[int, int, float]], rows: Sequence[int]) -> tuple[float, ...]:
    return tuple(round(max(likeness for a, b, likeness in pairs if i in (a, b)), 4) for i in rows)


def _copied(data: Dataset) -> Iterator[Finding]:
    """Answers that hold the whole prompt, or are it with little less; labels of a table of classes are no answers."""
    rows = [i for i, row in enumerate(_rows(data)) if not data.labels and copies_prompt(row)]
    if rows:
        example_row = _shown(data.take(rows[:1]))
        start = _spaced(example_row.items[0])
        quoted = start if len(start) <= 60 else start[:59] + "…"
        what = counted(len(rows), "answer copies its prompt", "answers copy their prompt")
        yield Finding(
            "label_error",
            rows_of(data, rows),
            f'{what}, such as "{quoted}" ({data.called(rows[0])})',
            "Look at them: answers that still hold the prompt teach a model to repeat what it is asked.",
            severity=len(rows) / len(data),
        )


def copies_prompt(row: Row) -> bool:
    """Whether an answer, of a pair the better one, holds the whole prompt, or is it with little less."""
    asked, answer = plain_text(row.prompt[-1].content), plain_text(_answers(row)[0])
    return len(asked) >= _SHORTEST and (asked in answer or texts_alike(asked, answer) >= _COPY)


def _lengths(data: Dataset) -> Iterator[Finding]:
    """Rows whose prompt or answer is much longer or shorter than is usual."""
    if len(data) < _FEWEST:
        return
    sides = {"a prompt": [words(plain_prompt(row)) for row in _rows(data)]}
    if not data.labels:
        sides["an answer"] = [words(_answers(row)[0]) for row in _rows(data)]
    if isinstance(data.items[0], Preference):
        sides["a rejected answer"] = [words(row.rejected) for row in _rows(data) if isinstance(row, Preference)]
    far = np.array([_unusual(counts) for counts in sides.values()])  # (sides, N)
    most = far.max(0)
    rows = [int(i) for i in np.argsort(-most, kind="stable") if most[i] > _FAR]
    if rows:
        first = rows[0]
        what = list(sides)[int(far[:, first].argmax())]
        length, usual = sides[what][first], int(np.median(sides[what]))
        yield Finding(
            "outlier",
            rows_of(data, rows),
            f"{counted(len(rows), 'row is', 'rows are')} of unusual length, such as {what} of "
            f"{counted(length, 'word', 'words')} ({data.called(first)}) where {usual} are usual",
            "Look whether they are broken or belong elsewhere: what is longer than a model's context is cut.",
            tuple(round(float(most[i]), 2) for i in rows),
            severity=0.2 * len(rows) / len(data),
        )


def far_from_usual(length: int, usual: Sequence[int]) -> bool:
    """Whether a number of words is told as unusual beside those of other rows; beside few rows none is."""
    return len(usual) >= _FEWEST and bool(_unusual([*usual, length])[-1] > _FAR)


def _unusual(counts: Sequence[int]) -> NDArray[np.float64]:
    """(N,) how many robust standard deviations the logarithm of each length is from the usual one; 0 where many are."""
    logs = np.log(np.asarray(counts, np.float64) + _WORDS)
    off = logs - np.median(logs)
    far = off / max(1.4826 * np.median(np.abs(off)), _SPREAD)
    for beyond in (far > _FAR, far < -_FAR):
        if beyond.sum() > max(1, _MANY * len(far)):
            far[beyond] = 0
    return np.asarray(np.abs(far))


def _longer(data: Dataset) -> Iterator[Finding]:
    """Better answers that nearly all are longer, or shorter, than the worse ones."""
    pairs = [row for row in _rows(data) if isinstance(row, Preference)]
    gaps = np.array([words(row.chosen) - words(row.rejected) for row in pairs], np.int64)
    differ = int((gaps != 0).sum())
    for sign, which in ((1, "longer"), (-1, "shorter")):
        rows = np.flatnonzero(sign * gaps > 0)
        if len(rows) >= max(_LONGER * differ, differ / 2 + _SIGMA * differ**0.5 / 2, 1):
            yield Finding(
                "shortcut",
                rows_of(data, rows.tolist()),
                f"the better answer is the {which} one in {len(rows)} of {len(data)} pairs",
                f"Add pairs whose better answer is not the {which} one: a model may learn length alone.",
                severity=0.3 * (2 * len(rows) / differ - 1),
            )
