"""Distillation: a model on a smaller backbone of the catalogue that learns what the model answers, told by its cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.augment.slight import SLIGHT
from handful.data.pairs import Pair
from handful.errors import OptionError
from handful.export.bundle import WITNESSES, Bundle
from handful.export.reference import Reference
from handful.export.students import MOST_LOST, Lesson, Taught, check_teacher, stand_in, taught
from handful.features.cache import FeatureCache
from handful.features.extract import extract
from handful.features.view import MOVED, View
from handful.seeding import generator

# Of the slight changes of an item, so many are learned from; items that are timed.
_CHANGES, _TIMED = 2, 8


@dataclass(frozen=True)
class Distilled:
    """A smaller model, and what it costs."""

    model: Bundle
    """It."""
    cost: Taught
    """How it compares with its teacher."""
    speed: tuple[float, float]
    """Milliseconds per item of the teacher and of the student, each asked for one item."""

    @property
    def sentence(self) -> str:
        """The cost in words."""
        before, after = self.speed
        how = f"on {self.model.view.name}"
        return f"{self.cost.sentence(how)}; {after:.1f} ms per item in place of {before:.1f}"


def distil(
    model: Bundle, name: str, rows: tuple[Sequence[Any], Sequence[str]], held_out: Sequence[bool],
    pool: Sequence[Any] = (), anyway: bool = False, cache: FeatureCache | None = None,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Distilled:  # fmt: skip
    """A student of a model that reads one smaller backbone.

    It learns the scores of the model on its rows, on slight changes of them and on a pool; depth and penalty are told
    by held-out rows, as is the cost.

    Args:
        model: the teacher.
        name: of a backbone of the catalogue.
        rows: the M items that the teacher learned from, and their labels.
        held_out: (M,) whether the teacher answered each right while it was held out.
        pool: items without labels.
        anyway: whether a student that loses too much is made all the same.
        cache: where features are looked up and kept.
        tick: called with the number of items looked at and in all.

    Raises:
        OptionError: it cannot be a student of this model, its rows are not at hand, or too much is lost.
        WeightsError: the weights cannot be had.
    """
    items, labels = list(rows[0]), rows[1]
    check_teacher(model.task, model.labels, "--distil")
    if not model.labels or model.task.grain or not labels or len(held_out) != len(items):
        raise OptionError(
            "--distil needs the run folder with its labelled rows, and a model that answers whole items with names. "
            "Name the rows with --rows, or tune on a smaller backbone with --backbone."
        )
    backbone = catalog.load(name, model.modality).to(default_device())
    check_smaller(model, name, backbone)
    targets, views = model.task.coded(labels, model.labels), [items, *_slight(model.modality, items)]
    depths = [depth for depth in backbone.search_depths if depth]
    wanted = [model.task.scores(_answers(model, view, cache)) for view in views]
    others, told = [], np.zeros((0, wanted[0].shape[1]))
    if pool:
        outputs, failed = model.answer(pool, cache)
        good = [i for i in range(len(pool)) if i not in failed]
        others, told = [pool[i] for i in good], model.task.scores(outputs[good])
    seen = [extract(backbone, view, depths, cache, tick).matrices for view in [*views, others]]
    lessons = [Lesson([one[depth] for one in seen[:-1]], _matrix(seen[-1], seen[0], depth)) for depth in depths]
    teach = stand_in(model.task, targets, seen_by(model, views, others, cache), model.task.outputs(wanted[0]))
    cost = taught(model.task, targets, lessons, (wanted, told), teach, np.asarray(held_out, bool))
    depth = depths[cost.lesson]
    matrix, view = seen[0][depth], View(((name, depth),))
    made = replace(
        model, view=view, fingerprints={name: backbone.fingerprint}, head=f"distilled {model.head}",
        coef=cost.student.coef, intercept=cost.student.intercept, witness=matrix[:WITNESSES], specimens=(), items=(),
        loaded={name: backbone}, moved=None, carried={}, place=None,
        reference=Reference.of(view, matrix, targets, cost.outputs[None], None),
        beats_reference=None if model.beats_reference else model.beats_reference,  # not better is not made better
    )  # fmt: skip
    result = Distilled(made, cost, (_milliseconds(model, items), _milliseconds(made, items)))
    if cost.too_much and not anyway:
        raise OptionError(
            f"a distilled copy must cost at most {100 * MOST_LOST:.0f} points, got more: {result.sentence}. Name "
            "another backbone, or add --even-if-answers-change."
        )
    return result


def check_smaller(model: Bundle, name: str, backbone: Backbone) -> None:
    """Refuse a backbone that is no smaller than what a model reads.

    Raises:
        OptionError: it has as many weights, or more.
    """
    own = sum(_weights(model.backbone(each)) for each in model.view.backbones)
    if _weights(backbone) >= own or backbone.counts:
        least = f"fewer than the {own / 1e6:.1f} million weights that {model.view.name} has"
        raise OptionError(
            f"--distil must name a backbone with {least}, got {name} with {_weights(backbone) / 1e6:.1f} million. "
            "See handful models list."
        )


def seen_by(
    model: Bundle, views: Sequence[Sequence[Any]], pool: Sequence[Any], cache: FeatureCache | None = None
) -> Lesson:
    """What a model sees with frozen weights: those that moved know the rows by heart.

    Args:
        model: the teacher.
        views: M items each.
        pool: P items.
        cache: where features are looked up and kept.
    """
    frozen = View(tuple(dict.fromkeys((name.removesuffix(MOVED), depth) for name, depth in model.view.parts)))
    matrices = []
    for items in (*views, *([pool] if pool else [])):
        features: dict[tuple[str, int], NDArray[np.float32]] = {}
        for name in frozen.backbones:
            seen = extract(model.backbone(name), items, frozen.depths_of(name), cache)
            features |= {(name, depth): matrix for depth, matrix in seen.matrices.items()}
        matrices.append(frozen.matrix(features))
    none = np.zeros((0, matrices[0].shape[1]), np.float32)
    return Lesson(matrices[: len(views)], matrices[-1] if pool else none)


def _weights(backbone: Backbone) -> int:
    return sum(math.prod(one.shape) for module in backbone.modules() for one in module.state_dict().values())


def _answers(model: Bundle, items: Sequence[Any], cache: FeatureCache | None) -> NDArray[np.float64]:
    outputs, failed = model.answer(items, cache)
    if failed:
        at = min(failed)
        raise OptionError(f"--rows must hold rows that can be read, but of row {at}: {failed[at]}. Leave it out.")
    return outputs


def _matrix(
    seen: dict[int, NDArray[np.float32]], like: dict[int, NDArray[np.float32]], depth: int
) -> NDArray[np.float32]:
    """What is seen in a pool, which may hold nothing."""
    return seen[depth] if len(seen[depth]) else np.zeros((0, like[depth].shape[1]), np.float32)


def _slight(modality: str, items: Sequence[Any]) -> list[list[Any]]:
    """Each item slightly changed, in some of the ways that happen in use."""
    rng = generator(0, "what a smaller model learns from")
    return [
        [Pair(change(one.first, rng), one.second) if isinstance(one, Pair) else change(one, rng) for one in items]
        for change in list(SLIGHT[modality].values())[:_CHANGES]
    ]


def _milliseconds(model: Bundle, items: Sequence[Any]) -> float:
    """How long one item takes alone, in the middle of some."""
    taken = []
    for item in items[:_TIMED]:
        began = time.perf_counter()
        model.answer([item])
        taken.append(time.perf_counter() - began)
    return 1000 * float(np.median(taken))
