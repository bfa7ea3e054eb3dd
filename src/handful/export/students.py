"""Students: linear maps on cheaper features that learn what a model answers, and what they cost beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handful.data.splits import fold_ids
from handful.errors import OptionError
from handful.evaluation.intervals import Estimate, difference
from handful.evaluation.metrics import Scale, share
from handful.features.view import unit_rows
from handful.seeding import generator
from handful.strategies.frozen.solver import fit_head, rotate
from handful.tasks.base import HeadTask, Targets
from handful.tasks.heads import Head

MOST_LOST = 0.03
"""The share of rows that a student may answer wrong beyond those that the model does, each held out."""

_FOLDS = 5
_PENALTIES = tuple(np.geomspace(1e-3, 10, 9).tolist())
_FACTORS = np.geomspace(0.3, 8, 40)

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Student:
    """A linear map on features that answers as its teacher."""

    coef: NDArray[np.float32]
    """(D, K)."""
    intercept: NDArray[np.float32]
    """(K,)."""

    def scores(self, features: NDArray[np.float32]) -> Scores:
        """(N, D) → (N, K)."""
        return np.asarray(unit_rows(features) @ self.coef + self.intercept, np.float64)

    @classmethod
    def of(cls, features: NDArray[np.float32], wanted: Scores, penalty: float) -> Student:
        """Ridge regression of the scores of the teacher.

        Args:
            features: (N, D).
            wanted: (N, K) scores.
            penalty: per row, on the squares of the coefficients.
        """
        return _ridges(features, wanted, (penalty,))[0]

    def sharpened(self, factor: float) -> Student:
        """With all scores times a factor."""
        return Student(self.coef * np.float32(factor), self.intercept * np.float32(factor))


@dataclass(frozen=True)
class Lesson:
    """What a student can learn from at one depth: features of each row in several views, and of a pool."""

    views: Sequence[NDArray[np.float32]]
    """(M, D) each: the rows as they are, then slight changes of them."""
    pool: NDArray[np.float32]
    """(P, D) of items without labels; P may be 0."""


@dataclass(frozen=True)
class Taught:
    """A student, and what it costs."""

    student: Student
    """Fitted to all rows."""
    lesson: int
    """Which lesson it was."""
    outputs: NDArray[np.float64]
    """(M, K) what it answers to each row while that is held out."""
    right: float
    """The share of rows that it answers right while they are held out."""
    before: float
    """The same of the model."""
    lost: Estimate
    """The second minus the first, paired."""

    @property
    def too_much(self) -> bool:
        """Whether it loses more than a student may."""
        return self.lost.value > MOST_LOST

    def sentence(self, how: str) -> str:
        """The cost in words.

        Args:
            how: what the student does otherwise, such as ``without a transformer``.
        """
        scale = Scale()
        low, high = (f"{100 * end:+.1f}" for end in (self.lost.low, self.lost.high))
        return (
            f"{how} {scale.told(self.right)} of the rows are answered right while held out, with it "
            f"{scale.told(self.before)}: {100 * self.lost.value:+.1f} points lost ({low} to {high})"
        )


Wanted = tuple[Sequence[Scores], Scores]
"""What a teacher says: the scores of each view of the rows, (M, K) each, and those of the pool, (P, K)."""
Teacher = Callable[[NDArray[np.bool_]], Wanted]
"""What is said by who knows some of the rows, (M,), and no others."""

_FARTHEST = 30.0


def check_teacher(task: HeadTask, names: Sequence[str], flag: str) -> None:
    """Refuse a student of a model that answers by a threshold: it was chosen by probabilities that no student has.

    Args:
        task: what the model answers.
        names: what may be answered.
        flag: what was asked for.

    Raises:
        OptionError: it answers by one.
    """
    if task.decided(names):
        raise OptionError(
            f"{flag} must have a model that answers the more probable class, got one with a threshold (--must-find): a "
            "copy with probabilities of its own would not find as much. Use --format onnx alone, or tune without "
            "--must-find."
        )


def stand_in(
    task: HeadTask, targets: Targets, seen: Lesson, outputs: NDArray[np.float64]
) -> Teacher:  # fmt: skip
    """Who teaches in place of a model while rows are held out: the head that answers most like it, without them.

    The model itself knows all rows: what it says of others carries what is wanted of those that are held out, and a
    student that learned from it would seem better than it is.

    Args:
        task: what is answered.
        targets: M.
        seen: what the model sees with frozen weights.
        outputs: (M, K) what the model answers to its rows.
    """
    x, design = unit_rows(seen.views[0]), task.design(targets)
    z, basis = rotate(x, widest=max(x.shape))

    def fitted(head: Head, penalties: Sequence[float], rows: NDArray[np.bool_]) -> list[Student]:
        coef, intercept = fit_head(head, z, design, rows[None].astype(np.float32), penalties)
        return [Student(basis @ coef[0, :, s], intercept[0, s]) for s in range(len(penalties))]

    every, nearest, choice = np.ones(len(x), bool), np.inf, None
    for head in task.heads.values():
        for penalty, student in zip(head.penalties, fitted(head, head.penalties, every), strict=True):
            scores = student.scores(x)
            for factor in _FACTORS:
                apart = float(np.abs(task.outputs(scores * factor) - outputs).mean())
                if apart < nearest:
                    nearest, choice = apart, (head, penalty, float(factor))
    assert choice is not None
    head, penalty, factor = choice

    def teach(rows: NDArray[np.bool_]) -> Wanted:
        student = fitted(head, (penalty,), rows)[0]
        said = [(factor * student.scores(one)).clip(-_FARTHEST, _FARTHEST) for one in (*seen.views, seen.pool)]
        return said[:-1], said[-1]

    return teach


def taught(
    task: HeadTask, targets: Targets, lessons: Sequence[Lesson], wanted: Wanted, teach: Teacher,
    before: NDArray[np.bool_],
) -> Taught:  # fmt: skip
    """Fit a student to what a model answers to its rows, to slight changes of them and to a pool; measured held out.

    Which lesson and penalty each fold is answered with is told by the other folds, so that no row chooses for itself.

    Args:
        task: what is answered.
        targets: M.
        lessons: what can be learned from; the best is taken.
        wanted: what the model says.
        teach: what is said in its place by who does not know the rows that are held out.
        before: (M,) whether the model answered each row right while it was held out.
    """
    folds = fold_ids(task.strata(targets), np.arange(len(before)), min(_FOLDS, len(before)), generator(0, "student"))
    settings = [(lesson, penalty) for lesson in range(len(lessons)) for penalty in range(len(_PENALTIES))]
    said_without = {int(fold): teach(folds != fold) for fold in np.unique(folds)}
    scores = np.concatenate([_held_out(lesson, said_without, folds) for lesson in lessons])  # (S, M, K)
    losses = task.losses_at(scores, targets, _FACTORS)  # (factors, S, M)
    outputs = np.zeros(scores.shape[1:])
    for fold in np.unique(folds):
        setting, factor = _best(losses[..., folds != fold])
        outputs[folds == fold] = task.outputs(scores[setting, folds == fold] * factor)
    setting, factor = _best(losses)
    at, penalty = settings[setting]
    whole = Student.of(*_together(lessons[at], wanted, np.ones(len(before), bool)), _PENALTIES[penalty])
    said, labels = task.words(outputs, targets.names), task.wanted(targets)
    right = np.array([one == other for one, other in zip(said, labels, strict=True)])
    lost = difference(share(before), share(right))
    return Taught(whole.sharpened(factor), at, outputs, float(right.mean()), float(before.mean()), lost)


def _best(losses: NDArray[np.floating]) -> tuple[int, float]:
    """The setting and the factor of the lowest mean loss. (factors, S, N)."""
    factor, setting = np.unravel_index(int(losses.mean(-1).argmin()), losses.shape[:2])
    return int(setting), float(_FACTORS[factor])


def _held_out(lesson: Lesson, said_without: Mapping[int, Wanted], folds: NDArray[np.int64]) -> Scores:
    """(penalties, M, K): the scores of each row by students and teachers that saw neither it nor a change of it."""
    scores = np.zeros((len(_PENALTIES), len(folds), said_without[int(folds[0])][1].shape[1]))
    for fold, wanted in said_without.items():
        own = folds == fold
        for i, student in enumerate(_ridges(*_together(lesson, wanted, ~own), _PENALTIES)):
            scores[i, own] = student.scores(lesson.views[0][own])
    return scores


def _together(lesson: Lesson, wanted: Wanted, rows: NDArray[np.bool_]) -> tuple[NDArray[np.float32], Scores]:
    """Features and scores of some rows in all views, and of the pool."""
    features = np.concatenate([*(view[rows] for view in lesson.views), lesson.pool])
    return features, np.concatenate([*(one[rows] for one in wanted[0]), wanted[1]])


def _ridges(features: NDArray[np.float32], wanted: Scores, penalties: Sequence[float]) -> list[Student]:
    """One student for each penalty; what they share is computed once."""
    x = unit_rows(features).astype(np.float64)
    centre, mean = x.mean(0), wanted.mean(0)
    x, y = x - centre, wanted - mean
    wide = x.shape[1] > len(x)
    gram = x @ x.T if wide else x.T @ x
    values, directions = np.linalg.eigh(gram)
    turned = directions.T @ (y if wide else x.T @ y)
    students = []
    for penalty in penalties:
        solved = directions @ (turned / (values.clip(0) + penalty * len(x))[:, None])
        coef = x.T @ solved if wide else solved
        students.append(Student(coef.astype(np.float32), (mean - centre @ coef).astype(np.float32)))
    return students
