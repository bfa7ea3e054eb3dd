"""Targets as they are written: a class or rating as it stands, a number with a point, labels joined by ``|``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from handful.choices import TASKS
from handful.data.boxes import labels_in_boxes
from handful.data.names import listed
from handful.data.spans import labels_in_spans
from handful.data.tracks import Event, events_in, met
from handful.errors import DataError, OptionError

CLASSES, LABELS, RATINGS, NUMBERS = "classification", "multilabel", "ordinal", "regression"
"""Tasks by their names in ``--task``, as far as a column can be taken for one."""
SPANS = "tagging"
"""The task of marked parts of texts, whose labels are lists of spans."""
EVENTS = "events"
"""The task of what happens when in recordings, whose labels are tracks of events."""
DEFECTS = "defects"
"""The task of what is unlike normal items, whose labels say which are normal."""
MASKS = "masks"
"""The task of the class of every pixel of a picture."""
BOXES = "boxes"
"""The task of boxes around many small things in a picture that are alike."""

NOUNS = {
    CLASSES: ("class", "classes"), LABELS: ("label", "labels"), RATINGS: ("rating", "ratings"),
    SPANS: ("label", "labels"), EVENTS: ("label", "labels"), DEFECTS: ("class", "classes"),
    MASKS: ("class", "classes"), BOXES: ("label", "labels"),
}  # fmt: skip
"""One name that a task gives to items, and many, for messages."""

JOIN = "|"
"""Stands between several labels of a row."""
NO_LABEL = "(none)"
"""Stands where a row has none of the labels."""
LONGEST_LABEL = 60
"""What is longer is taken for a sentence, not for a label, where nobody says what a column holds; characters."""

MOST_RATINGS = 30
"""More different ratings than this are numbers."""

# Scales in words, from low to high, in lower case.
_SCALES = (
    ("very negative", "negative", "neutral", "positive", "very positive"),
    ("very low", "low", "medium", "high", "very high", "critical"),
    ("very poor", "poor", "fair", "good", "very good", "excellent"),
    ("very bad", "bad", "average", "good", "very good"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("minor", "moderate", "major", "severe", "critical"),
    ("none", "mild", "moderate", "severe"),
)


def labels_in(text: str) -> tuple[str, ...]:
    """The labels of one row, each once."""
    return () if text == NO_LABEL else tuple(dict.fromkeys(text.split(JOIN)))


def join_labels(names: Sequence[str]) -> str:
    """The labels of one row as one text."""
    return JOIN.join(names) or NO_LABEL


def names_in(text: str, task: str) -> tuple[str, ...]:
    """The classes, labels or rating that one row has; nothing of a number."""
    if task == NUMBERS:
        return ()
    if task == MASKS:
        from handful.data.mask_files import classes_in_cell  # loads a decoder, which texts have no use for

        return classes_in_cell(text)
    if task == BOXES:
        return labels_in_boxes(text)
    if task == SPANS:
        return tuple(dict.fromkeys(label for _, _, label in labels_in_spans(text)))
    if task == EVENTS:
        return tuple(dict.fromkeys(label for _, _, label in events_in(text)))
    return labels_in(text) if task == LABELS else (text,)


def takes_lists(task: str) -> bool:
    """Whether a row may have several names, which a list then holds."""
    return task == LABELS


def in_order(task: str) -> bool:
    """Whether the names stand in an order, in which nobody knows the place of a new one."""
    return task == RATINGS


def missed_and_given(wanted: str, said: str, task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that are wanted of a row and not answered, and those that are answered and not wanted.

    A name of a span counts where the span is another one, that of an event where no other of its name meets it.
    """
    if task == EVENTS:
        own_events, said_events = events_in(wanted), events_in(said)
        return _without_one_of(own_events, said_events), _without_one_of(said_events, own_events)
    if task != SPANS:
        own, given = names_in(wanted, task), names_in(said, task)
        return tuple(n for n in own if n not in given), tuple(n for n in given if n not in own)
    own_spans, said_spans = labels_in_spans(wanted), labels_in_spans(said)
    missed = dict.fromkeys(label for *at, label in own_spans if (*at, label) not in said_spans)
    return tuple(missed), tuple(dict.fromkeys(label for *at, label in said_spans if (*at, label) not in own_spans))


def _without_one_of(events: Sequence[Event], others: Sequence[Event]) -> tuple[str, ...]:
    """The labels of events that none of the others meets."""
    return tuple(dict.fromkeys(event[2] for event in events if not met(event, others)))


def contradict(labels: Sequence[str], task: str, spread: float) -> bool:
    """Whether labels of what should be the same item differ; of numbers, by more than half of their spread."""
    if task == NUMBERS:
        numbers = [float(text) for text in labels]
        return max(numbers) - min(numbers) > 0.5 * spread
    return len(set(labels)) > 1


def names_of(labels: Iterable[str], task: str) -> tuple[str, ...]:
    """The different classes, labels or ratings of rows, sorted; none of numbers."""
    names = {name for text in labels for name in names_in(text, task)}
    return rating_order(names, "items") if task == RATINGS else tuple(sorted(names))


def counts_of(labels: Iterable[str], task: str) -> dict[str, int]:
    """Rows per class, label or rating, most frequent first; nothing of numbers."""
    return dict(Counter(name for text in labels for name in names_in(text, task)).most_common())


def rating_order(values: set[str], source: str) -> tuple[str, ...]:
    """Ratings from low to high: numbers by size, words by a scale that is known.

    Args:
        values: the different ratings.
        source: where they stand, for the message.

    Raises:
        DataError: no order is known for them, or they are too many.
    """
    if len(values) > MOST_RATINGS:
        raise DataError(
            f"{source} has {len(values)} different ratings, more than {MOST_RATINGS}. Take them as numbers with "
            "--task regression."
        )
    numbers = {value: number_of(value) for value in values}
    if None not in numbers.values():
        return tuple(sorted(values, key=lambda value: (numbers[value], value)))
    scale = scale_of(values)
    if scale is None:
        raise DataError(
            f"the ratings of {source} must be numbers or levels of a known scale, such as low, medium, high, got "
            f"{listed(sorted(values))}. Write numbers in place of words, or use --task classification."
        )
    return tuple(sorted(values, key=lambda value: scale.index(value.lower())))


def scale_of(values: set[str]) -> tuple[str, ...] | None:
    """The known scale, from low to high, of which all values are levels; None where there is none."""
    words = {value.lower() for value in values}
    return next((scale for scale in _SCALES if words <= set(scale) and len(words) == len(values)), None)


def is_float(text: str) -> bool:
    """Whether a text says a number; underscores, which Python allows, are no part of one."""
    if "_" in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def number_of(text: str) -> float | None:
    """The finite number that a text says."""
    if not is_float(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def check_task(task: str | None) -> None:
    """Refuse a task that no column can be read as.

    Raises:
        OptionError: it is none.
    """
    if task is not None and task not in TASKS:
        raise OptionError(
            f"task must be one of {', '.join(TASKS)}, got {task!r}. Choose one of these, or leave it out."
        )
