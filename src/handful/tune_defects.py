"""The verb for normal items: what they look like is learned; bad ones and held-out normal ones say what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.budget import Budget
from handful.data.dataset import Dataset, hashes_of
from handful.data.normal import FEWEST, bad_name, is_normal_name, normal_name
from handful.errors import DataError, OptionError
from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.metrics import Metric, share
from handful.evaluation.scores import Arm, Scores
from handful.export.detector import Detector, Seen
from handful.features import bases
from handful.features.cache import FeatureCache, user_cache
from handful.features.normal_parts import compared_parts, depths_for
from handful.features.parts import ItemParts
from handful.inspection.findings import Finding
from handful.inspection.profile import duplicate_groups
from handful.plan import Plan, must_find_of
from handful.progress import Say
from handful.run import Run
from handful.strategies.frozen.normality import fit
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.defects import DEFECTS, Asked, Promise
from handful.tasks.defects.promise import FALSE_ALARMS, promised
from handful.tasks.defects.task import ALARMS, FOUND, Judged
from handful.tasks.defects.words import PICTURES, advice, told_alarms, told_found

ARM = "nearest-normal"
"""The one way in which defects are told: by the nearest normal parts."""

# Bytes of parts that are held in memory; of more than that, each item is read again when it is needed.
_HELD = 256 << 20

_ITEMS_ONLY = ("strategies", "metric", "trials", "anti_forgetting", "carry_items", "engine")


class Parts:
    """The parts of items, held in memory as long as they are few, else read again from the cache each time."""

    def __init__(self, backbone: Backbone, data: Dataset, cache: FeatureCache | None, say: Say) -> None:
        """Look at every item once.

        Args:
            backbone: the frozen model.
            data: the items.
            cache: where features are kept.
            say: told how far that is.
        """
        self._backbone, self._cache, self._items = backbone, cache, list(data.items)
        self.depths = depths_for(backbone)
        self.failed: dict[int, str] = {}
        self._held: list[ItemParts] | None = []
        size = 0
        for i, parts in enumerate(self._read(self._items, partial(say, "looking at items"))):
            if not len(parts):
                self.failed[i] = parts.failed or "it has no parts to look at"
            size += sum(vectors.nbytes for vectors in parts.vectors.values())
            if size > _HELD:
                self._held = None
            if self._held is not None:
                self._held.append(parts)

    def of(self, rows: Sequence[int]) -> Iterator[ItemParts]:
        """The parts of some of the items, one after the other."""
        if self._held is not None:
            return (self._held[i] for i in rows)
        return self._read([self._items[i] for i in rows], lambda done, total: None)

    def _read(self, items: Sequence[object], tell: Callable[[int, int], None]) -> Iterator[ItemParts]:
        return compared_parts(self._backbone, items, self.depths, self._cache, tell)


def tune_defects(data: Dataset, plan: Plan, budget: Budget, say: Say) -> Run:
    """Learn what normal items look like, and say how often a normal one raises an alarm and what bad ones do.

    Args:
        data: normal items, and bad ones where there are any, which are never learned from.
        plan: the resolved options.
        budget: the time of the run, of which reading was the first stage.
        say: told how far things are.

    Raises:
        DataError: normal items are too few, or all the same.
        OptionError: an option cannot work.
        WeightsError: a backbone is not there and cannot be fetched.
    """
    asked = _asked(plan, data)
    with budget.stage("load"):
        backbone = _backbone(plan, data, say)
    cache = user_cache()
    with budget.stage("extract"):
        parts = Parts(backbone, data, cache, say)
        data = data.without(parts.failed)
        readable = [i for i in range(len(data) + len(parts.failed)) if i not in parts.failed]
    names = _names(data)
    bad = np.array([label != names[0] for label in data.labels or ()])
    test = np.array([part == "test" for part in data.split or ("train",) * len(data)])
    learned = np.flatnonzero(~bad & ~test)
    # Bad items teach the threshold where so many of them must be found.
    taught = hashes_of(data.take(np.flatnonzero(~test & (~bad | (asked.must_find is not None))).tolist()))
    owners, findings = _owners(data, learned)
    with budget.stage("fit"):
        own = [readable[i] for i in learned.tolist()]
        fitted = fit(parts.of(own), parts.of(own), owners, plan.seed)
        others = np.flatnonzero(bad | test)
        scores = np.empty(len(data))
        scores[learned] = fitted.scores
        for i, one in zip(others.tolist(), parts.of([readable[i] for i in others.tolist()]), strict=True):
            scores[i] = fitted.normality.score(fitted.normality.distances(one))
    first = bad & ~test if (bad & ~test).any() or asked.must_find is not None else bad
    promise = promised(_by_group(fitted.scores, owners), scores[first], asked)
    measured = np.flatnonzero((~bad & ~test) | first)
    targets = DEFECTS.targets(bad[measured].tolist(), names)
    judged = Judged(scores[measured], promise, PICTURES[data.modality])
    held_out = DEFECTS.held_out(judged, targets, [data.rows[i] for i in measured.tolist()])
    scored = _scores(promise, judged, data, DEFECTS.details(judged, targets, None))
    model = Detector(
        data.modality, backbone.name, backbone.fingerprint, fitted.normality, promise, names, data.input, data.target,
        scored.beats_reference(DEFECTS.reference.name), backbone, learned=taught,
    )  # fmt: skip
    notes = [*_test_notes(scores, bad, test, promise, data.modality), *([budget.passed] if budget.passed else [])]
    with budget.stage("checks"):
        at = [measured[i] for i in most_telling(scores[measured], bad[measured])]
        owner = dict(zip(learned.tolist(), owners.tolist(), strict=True))
        seen = _seen(parts.of([readable[i] for i in at]), at, owner, model)
    cache.close()
    scored = replace(scored, seconds=budget.accounted)
    return Run(
        data, plan, tuple(findings), scored, held_out, model, tuple(notes),
        seen={data.rows[i]: one for i, one in seen.items()},
    )  # fmt: skip


def _asked(plan: Plan, data: Dataset) -> Asked:
    """What the detector is to keep.

    Raises:
        OptionError: an option says what a detector cannot follow.
    """
    for name in _ITEMS_ONLY:
        if name in plan.origins:
            raise OptionError(
                f"--{name.replace('_', '-')} is for labelled items, got normal items to learn defects from. Leave it "
                "out."
            )
    if plan.unlabelled is not None or data.unlabelled:
        raise OptionError("unlabelled items teach classifiers, got normal items to learn defects from. Leave them out.")
    if plan.must_find is None:
        return Asked(plan.false_alarms or FALSE_ALARMS)
    if plan.false_alarms is not None:
        raise OptionError(
            "--false-alarms and --must-find each choose the threshold, got both. Give one of them: what the other one "
            "comes to is told."
        )
    name, least = must_find_of(plan.must_find)
    known = [label for label in data.classes if label != normal_name(data.classes, data.source)]
    if name and name not in ("bad", *known):
        raise OptionError(f"--must-find names {name!r}, but the bad items are not called so. Leave the name out.")
    return Asked(FALSE_ALARMS, least)


def _backbone(plan: Plan, data: Dataset, say: Say) -> Backbone:
    """The backbone that looks at the items.

    Raises:
        OptionError: several were named, or it tells of no parts.
    """
    if plan.backbone != bases.AUTO and len(bases.named(plan.backbone, data.modality)) > 1:
        raise OptionError("backbone for defects must be one model, got several. Choose one.")
    found = list(bases.cheapest(plan.backbone, data.modality, data.items, say).values())
    backbone = next((one for one in found if one.grain), found[0])
    depths_for(backbone)
    return backbone


def _names(data: Dataset) -> tuple[str, str]:
    """What normal and bad items are called."""
    normal = normal_name(data.classes, data.source)
    return normal, bad_name(data.classes, normal)


def _owners(data: Dataset, learned: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[Finding]]:
    """(n,) a number for normal items that belong together: of one group, or copies of each other.

    Raises:
        DataError: too few are left that are not.
    """
    normal = data.take(learned)
    same = duplicate_groups(normal)
    together = list(normal.groups) if normal.groups else [str(i) for i in range(len(normal))]
    root = list(range(len(normal)))
    first: dict[object, int] = {}
    for i, keys in enumerate(zip(same.tolist(), together, strict=True)):
        for key in keys:
            root[i] = root[first.setdefault(key, i)] if root[i] == i else root[i]
    owners = np.unique(np.array(root), return_inverse=True)[1].astype(np.int64)
    count = int(owners.max()) + 1 if len(owners) else 0
    if count < FEWEST:
        raise DataError(
            f"{data.source} has {len(learned)} normal items to learn from, of which {count} "
            f"{'is' if count == 1 else 'are'} different: how much normal items differ takes at least {FEWEST} that are "
            "neither copies nor of one group. Add some."
        )
    copies = len(same) - len(set(same.tolist()))
    if not copies:
        return owners, []
    again = [normal.rows[i] for i in range(len(same)) if same[i] in same[:i]]
    message = f"{copies} of {len(same)} normal items are copies of others"
    advice_given = "They count once: each says nothing new of how much normal items differ."
    return owners, [Finding("duplicate", tuple(again), message, advice_given, severity=copies / len(same))]


def _by_group(scores: NDArray[np.float64], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """The highest score of each group, so that groups can be exchanged. (n,) → (groups,)."""
    highest = np.full(int(owners.max()) + 1, -np.inf)
    np.maximum.at(highest, owners, scores)
    return highest


def _scores(promise: Promise, judged: Judged, data: Dataset, details: dict[str, object]) -> Scores:
    """The promise as the scores of a run."""
    metric: Metric = FOUND if promise.found is not None else ALARMS
    rate, finds = promise.false_alarms, promise.found
    things = PICTURES[data.modality]
    reference, said = DEFECTS.reference, f"{told_alarms(promise, things)} {told_found(promise, things)}"
    if finds is None:
        chance = Arm(reference.name, 0, Estimate(0.0, 0.0, 0.0), "tie", "No alarm is no false alarm, nor any find.")
        reason = "Taken since there is no other way; that it finds anything is not shown."
        own = Arm(ARM, 0, rate, "chosen", reason)
        estimate = rate
    else:
        apart = Estimate(finds.value - rate.value, finds.low - rate.high, finds.high - rate.low)
        better = apart.low > 0
        chance = Arm(
            reference.name, 0, rate, "worse" if better else "tie",
            "As many alarms at random find as large a share of bad items as of good ones.",
        )  # fmt: skip
        size = metric.scale.apart(apart.value, apart.low, apart.high)
        reason = f"Finds {'more' if better else 'not shown to find more'} than {reference.words}: by {size}."
        own = Arm(ARM, 0, finds, "chosen", reason, reference.name, apart)
        estimate = finds
    return Scores(
        metric.name, len(judged.scores), "each normal item scored without its own parts", ARM, estimate, (chance, own),
        DEFECTS.name, metric.scale, details=details, sentence=" ".join([said, *advice(promise, data.modality)]),
    )  # fmt: skip


def _test_notes(
    scores: NDArray[np.float64], bad: NDArray[np.bool_], test: NDArray[np.bool_], promise: Promise, modality: str
) -> list[str]:
    """What test rows do, which were neither learned from nor looked at for the threshold."""
    notes = []
    for which, what in ((~bad & test, "good"), (bad & test, "bad")):
        if not which.any():
            continue
        alarms = promise.alarms(scores[which])
        sure = interval(share(alarms))
        notes.append(
            f"Of {len(alarms)} {what} test {PICTURES[modality]}, {int(alarms.sum())} raise an alarm (of 100 like them "
            f"between {100 * sure.low:.0f} and {100 * sure.high:.0f})."
        )
    return notes


def _seen(parts: Iterator[ItemParts], at: Sequence[int], owner: Mapping[int, int], model: Detector) -> dict[int, Seen]:
    """What is seen in some rows, a normal one without its own parts. Position → what is seen."""
    out = {}
    for i, one in zip(at, parts, strict=True):
        distances = model.normality.distances(one, owner.get(i))
        out[i] = Seen(model.normality.score(distances), model.normality.heat(distances), one.place)
    return out


SHOWN = 6
"""Rows of each kind that the report shows."""


def most_telling(scores: NDArray[np.float64], bad: NDArray[np.bool_]) -> list[int]:
    """Which rows are shown: the bad ones that look most normal, then the normal ones that look most unusual. (N,)."""
    missed = sorted(np.flatnonzero(bad).tolist(), key=lambda i: scores[i])[:SHOWN]
    odd = sorted(np.flatnonzero(~bad).tolist(), key=lambda i: -scores[i])[:SHOWN]
    return [*missed, *odd]


def proposed(data: Dataset, scores: Scores, plan: Plan) -> list[Finding]:
    """That normal items alone may teach more, where good and bad ones were learned as classes and are near a coin toss.

    Args:
        data: the rows of classes that were learned.
        scores: what that is worth.
        plan: the options of the run.
    """
    good = [name for name in data.classes if is_normal_name(name)] if data.one_class_each else []
    if len(good) != 1 or data.pairs or scores.beats_reference(CLASSIFICATION.reference.name) is not False:
        return []
    message = f'"{good[0]}" cannot be told from the others by what these rows show'
    try_it = f"Learn from the good ones alone, which needs no bad ones: {plan.again(task='defects')}"
    return [Finding("confusable", (), message, try_it, severity=1.0)]
