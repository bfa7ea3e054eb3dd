"""Robustness: what slices, slight changes and general items say about a model before it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.augment.slight import SLIGHT, Change
from handful.data.costs import affordable
from handful.data.dataset import Dataset, item_hash
from handful.data.languages import language_of_each
from handful.data.pairs import Pair
from handful.data.traits import traits_of
from handful.errors import DataError
from handful.evaluation.probes import SENTENCES
from handful.evaluation.slices import Slice, parts_by_name, parts_by_size, slices
from handful.evaluation.stability import Changed, Kept, accuracies, kept, stability
from handful.evaluation.verdicts import HeadRows
from handful.export.bundle import Bundle
from handful.features.extract import extract
from handful.features.view import MOVED
from handful.seeding import generator

Outputs = NDArray[np.float64]

MOST = 60
"""At most this many rows are changed, of the training rows and of the test rows each."""

# The headers of so many files are read to learn how large their pictures or how long their sounds are, and so many
# texts are asked for their languages.
_HEADERS = 5_000


def slices_of(data: Dataset, whole: NDArray[np.float64], rows: HeadRows, seed: int) -> tuple[Slice, ...]:
    """How the whole procedure fares on parts of the rows: by length, language, group, source and class.

    Args:
        data: N rows to learn from.
        whole: (R, N, C) out-of-fold answers of the whole procedure.
        rows: what is known about these rows.
        seed: fixes how rows are dealt anew.
    """
    measured = rows.targets.task.headline.of(whole, rows.targets)
    return slices(measured, kinds_of(data), rows.groups, generator(seed, "slices"))


def kinds_of(data: Dataset) -> dict[str, Sequence[str]]:
    """By what the rows can be parted → the name of each row's part; what leaves all rows in one part is left out."""
    sized = {
        "text": ("length", "length", "characters", 0),
        "image": ("size", "pixels", "pixels", 0),
        "sound": ("duration", "duration", "s", 1),
    }
    kind, trait, unit, digits = sized.get(data.modality, ("", "", "", 0))
    kinds: dict[str, Sequence[str] | None] = {}
    known = traits_of(data, decode=False) if data.modality == "text" or len(data) <= _HEADERS else [{}]
    if data.modality == "image":
        known = [{"pixels": float(k["width"]) * float(k["height"])} if "width" in k else {} for k in known]
    if all(trait in k for k in known):
        kinds[kind] = parts_by_size([float(k[trait]) for k in known], unit, digits)
    if data.modality == "text" and len(data) <= _HEADERS:
        languages = [None if own is None else own.name for own in language_of_each(data.items)]
        kinds["language"] = parts_by_name(languages, "unclear or rare")
    kinds["group"], kinds["source"] = data.groups, _sources(data)
    if data.one_class_each:  # of ratings the outermost are always missed by more
        kinds["class"] = data.labels
    return {kind: names for kind, names in kinds.items() if names is not None and len(set(names)) > 1}


def _sources(data: Dataset) -> list[str] | None:
    """The folder of each row's file below the source, without the folder that names its class."""
    if not all(isinstance(item, Path) for item in data.items):
        return None
    labels = data.labels or [""] * len(data)
    found = []
    for item, label in zip(data.items, labels, strict=True):
        inside = item.relative_to(data.source) if item.is_relative_to(data.source) else item
        found.append("/".join(part for part in inside.parent.parts if part != label) or ".")
    return found


@dataclass(frozen=True)
class _Sample:
    """Some rows, each with its changed versions."""

    items: list[Any]
    at: NDArray[np.int64]
    """Their positions in the Dataset."""
    copies: dict[str, tuple[list[int], list[Any]]]
    """Change → which of the items it changed, and what they became."""


def unsettled(
    model: Bundle, frozen: Bundle | None, data: Dataset, test: Dataset, groups: NDArray[np.int64] | None, seed: int
) -> tuple[Changed, ...]:
    """How the answers of a model survive slight changes of some rows.

    Args:
        model: what is shipped, with its reference.
        frozen: the model that stands below it where weights moved; it reads the view of the reference.
        data: N rows that it learned from.
        test: rows that it did not learn from, of which accuracy is told too; may be empty.
        groups: (N,) rows that are not independent share a number; None where all are.
        seed: fixes which rows, and how they are changed.
    """
    changes = SLIGHT.get(data.modality, {})  # how far numbers of another program may be off nobody here knows
    if not changes:
        return ()
    learned, new = (
        _sampled(rows, changes, generator(seed, f"slight changes {name}"))
        for name, rows in (("", data), ("test", test))
    )
    if not learned.items:
        return ()
    answers = _Answers.of(model, frozen, learned)
    fresh = _Answers.of(model, None, new) if new.items else None
    found = []
    for name in changes:
        which = learned.copies[name][0]
        if not which:
            continue
        own = None if groups is None else groups[learned.at[which]]
        change = stability(name, answers.stays(name, which), answers.frozen_stays(name, which), own, len(changes))
        if fresh is not None and new.copies[name][0] and data.one_class_each:
            some = new.copies[name][0]
            truth = np.array([(test.labels or ())[i] for i in new.at[some]])
            plain, changed = (
                np.array(model.task.words(outputs, model.labels)) == truth for outputs in fresh.pair(name, some)
            )
            change = replace(change, **accuracies(plain, changed, len(changes)))
        found.append(change)
    return tuple(found)


@dataclass(frozen=True)
class _Answers:
    """What a model, and the frozen one below it, say about a sample and its copies."""

    same: Callable[[Outputs, Outputs], NDArray[np.bool_]]
    plain: Outputs
    changed: dict[str, Outputs]
    frozen_plain: Outputs | None
    frozen_changed: dict[str, Outputs]

    @classmethod
    def of(cls, model: Bundle, frozen: Bundle | None, sample: _Sample) -> _Answers:
        """All answers, from one pass over everything."""
        everything = [*sample.items, *(copy for _, copies in sample.copies.values() for copy in copies)]
        if frozen is None:
            outputs, below = model.answer(everything)[0], None
        else:
            judged = model.judge(everything)
            outputs, below = judged.outputs, frozen.outputs_of(judged.features)
        ends = np.cumsum([len(sample.items), *(len(copies) for _, copies in sample.copies.values())])[:-1]
        plain, *rest = np.split(outputs, ends)
        changed = dict(zip(sample.copies, rest, strict=True))
        if below is None:
            return cls(model.task.same, plain, changed, None, {})
        frozen_plain, *rest = np.split(below, ends)
        return cls(model.task.same, plain, changed, frozen_plain, dict(zip(sample.copies, rest, strict=True)))

    def pair(self, name: str, which: list[int]) -> tuple[Outputs, Outputs]:
        """Answers before and after a change."""
        return self.plain[which], self.changed[name]

    def stays(self, name: str, which: list[int]) -> NDArray[np.bool_]:
        """Whether each answer is the same after a change."""
        return self.same(*self.pair(name, which))

    def frozen_stays(self, name: str, which: list[int]) -> NDArray[np.bool_] | None:
        """The same of the frozen model."""
        return None if self.frozen_plain is None else self.same(self.frozen_plain[which], self.frozen_changed[name])


def _sampled(data: Dataset, changes: dict[str, Change], rng: np.random.Generator) -> _Sample:
    order = rng.permutation(len(data))[:MOST]
    at, changed = list[int](), list[list[Any]]()
    for i in affordable(data.items, data.modality, order, 1 + len(changes)):
        try:
            changed.append([_changed(change, data.items[i], rng) for change in changes.values()])
        except DataError:  # a file may have gone since it was read, and a run must not be lost over it
            continue
        at.append(i)
    items = [data.items[i] for i in at]
    copies = {}
    for j, name in enumerate(changes):
        which = [i for i, item in enumerate(items) if not _equal(item, changed[i][j])]
        copies[name] = which, [changed[i][j] for i in which]
    return _Sample(items, np.array(at, np.int64), copies)


def _changed(change: Change, item: Any, rng: np.random.Generator) -> Any:
    """A changed copy; of a pair, both texts are changed."""
    if isinstance(item, Pair):
        return Pair(change(item.first, rng), change(item.second, rng))
    return change(item, rng)


def _equal(old: Any, new: Any) -> bool:
    """Whether a text, or a pair of texts, came out as it went in; other items always change."""
    return isinstance(old, str | Pair) and bool(old == new)


def forgotten(model: Bundle, data: Dataset, seed: int) -> Kept | None:
    """How much the neighbours of general items changed where weights moved; None where none did.

    Texts are compared on general sentences of handful's own. There are no general pictures or sounds at hand, so these
    are compared on the rows themselves, which tuning was to change: the overlap of others would be higher.

    Args:
        model: what is shipped.
        data: the rows that it learned from.
        seed: fixes which rows are compared.
    """
    if model.moved is None:
        return None
    name, depth = next(part for part in model.view.parts if part[0].endswith(MOVED))
    if data.modality == "text":
        about, items = "general sentences", list[Any](SENTENCES)
    else:
        order = generator(seed, "neighbours").permutation(len(data))[:MOST]
        at = affordable(data.items, data.modality, order, 2)
        once = {item_hash(data.items[i]): data.items[i] for i in at}
        about, items = "of your own rows", list(once.values())
    before, after = (
        extract(model.backbone(b), items, (depth,)).matrices[depth] for b in (name.removesuffix(MOVED), name)
    )
    return kept(about, before, after)
