"""Context: a first answer is heard around each pixel, and a small network answers again from that and what is seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.budget import given_up
from handful.errors import TrainingError
from handful.evaluation.calibration import calibrated
from handful.features.pixels import REACH, Block, heard, heard_columns
from handful.features.view import Matrix
from handful.strategies.frozen.pixels import HEAD, JOINED, Compared, PixelMap, PixelRows
from handful.strategies.frozen.search import SHARPNESS
from handful.strategies.frozen.solver import fit_head
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.targets import Targets
from handful.training.pixel_net import layers_of

CONTEXT = "context"
"""The arm."""
MOST_CLASSES = 8
"""With more classes than these it is not tried: each is heard at several widths."""

FURTHEST = 8.0
"""What lies farther from the mean, in deviations, is seen as if it lay there: networks are straight lines beyond."""

# The losses of two pictures do not say which of two ways is better.
_FEWEST = 3
# A column that varies by less said nothing: what it says of other pictures is not listened to.
_CONSTANT = 1e-4

_SMALLEST = 1e-9


@dataclass(frozen=True)
class ContextMap:
    """Two hidden layers on what is seen at a pixel and on what a linear map says around it."""

    first: PixelMap
    """What answers first."""
    centre: Matrix
    """(D + E,) what is taken from each column of what is seen and heard."""
    scale: Matrix
    """(D + E,) what it is divided by."""
    layers: tuple[tuple[Matrix, Matrix], ...]
    """From the lowest, (D + E, K) and (K,) of each; the last gives the scores of C classes."""

    around: ClassVar[int] = REACH
    """Pixels around a block that have to be looked at as well."""

    @property
    def looks(self) -> tuple[str, ...]:
        """Ways to look, whose columns stand side by side."""
        return self.first.looks

    def answered(self, block: Block) -> Matrix:
        """How probable each class is at each pixel of a block, row by row. (height · width, C)."""
        return np.asarray(CLASSIFICATION.outputs(self.scores(context_of(block, self.first))), np.float32)

    def scores(self, x: Matrix) -> Matrix:
        """The same before the softmax, of what was seen and heard. (P, D + E) → (P, C)."""
        x = np.clip(np.asarray((x - self.centre) / self.scale, np.float32), -FURTHEST, FURTHEST)
        for number, (coef, intercept) in enumerate(self.layers):
            x = (np.maximum(x, 0) if number else x) @ coef + intercept
        return x

    def sharpened(self, sharpness: float) -> ContextMap:
        """The same with scores so many times as large."""
        *below, (coef, intercept) = self.layers
        factor = np.float32(sharpness)
        return ContextMap(self.first, self.centre, self.scale, (*below, (coef * factor, intercept * factor)))


@dataclass(frozen=True)
class Context:
    """What networks learned, and how they fare where they have not."""

    maps: Mapping[int, ContextMap]
    """Fold → what learned from the other pictures."""
    whole: ContextMap
    """What learned from all."""
    losses: NDArray[np.float64]
    """(N,) the mean loss of each picture while it was held out."""

    def is_better(self, compared: Compared, fold: int | None) -> bool:
        """Whether it is expected to be better than the best linear map.

        Args:
            compared: the linear maps.
            fold: whose pictures say nothing; None: all count.
        """
        among = np.ones(len(self.losses), bool) if fold is None else compared.folds != fold
        best = compared.searched.outcomes[compared.best(fold)[0]].losses
        return int(among.sum()) >= _FEWEST and float((self.losses - best)[among].mean()) < 0


@dataclass(frozen=True)
class Drawn:
    """The pixels that networks learn from, and where they lie."""

    rows: PixelRows
    """What is seen there, of N pictures."""
    first: NDArray[np.bool_]
    """(P,) which of them linear maps learn from: by these all ways are compared."""
    places: Sequence[NDArray[np.int64]]
    """Of each picture the numbers of its pixels, counted row by row."""
    widths: Sequence[int]
    """Of each picture how many columns it has."""


def context_of(block: Block, first: PixelMap) -> Matrix:
    """What is seen at the pixels of a block, and what a first answer says around each. (height · width, D + E)."""
    own = block.within()
    looked = [own.features[look] for look in first.looks]
    around = heard(block.grid(first.scores(block.features)))
    return np.concatenate([*looked, around.reshape(len(looked[0]), -1)], 1)


def learned_context(
    compared: Compared, drawn: Drawn, blocks: Callable[[int], Iterator[Block]], seed: int, left: Callable[[], float],
    tell: Callable[[int, int], None],
) -> Context | str:  # fmt: skip
    """Let networks learn from what is seen and heard, and answer pictures that they have not learned from.

    What a network hears of a picture that it learns from comes of a map that has not learned from that picture, nor
    from those that the network is asked about.

    Args:
        compared: the linear maps, with the folds.
        drawn: the pixels that are learned from.
        blocks: number of a picture → its blocks, with ``REACH`` pixels around.
        seed: fixes the networks.
        left: seconds that are left.
        tell: called with steps done and in all.

    Returns:
        What came of it, or in a sentence why it was given up.
    """
    if len(compared.searched.targets.names) > MOST_CLASSES:
        return f"{CONTEXT} was not tried, which is for {MOST_CLASSES} classes at most."
    try:
        return _Lessons(compared, drawn, seed, left, tell).learned(blocks)
    except _TooLongError as error:
        return given_up(CONTEXT, error.seconds)
    except TrainingError as error:
        return f"{CONTEXT} was given up: {error}"


class _TooLongError(Exception):
    """The rest would take longer than is left."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


class _Lessons:
    """What networks are taught, step by step; each step is timed, since what follows may take too long."""

    def __init__(self, compared: Compared, drawn: Drawn, seed: int, left: Callable[[], float],
                 tell: Callable[[int, int], None]) -> None:  # fmt: skip
        self.compared, self.drawn, self.seed, self.left, self.tell = compared, drawn, seed, left, tell
        self.names = compared.searched.targets.names
        self.folds = sorted(set(compared.folds.tolist()))
        self.fold_of_row = compared.folds[drawn.rows.item]
        few, many = (
            np.bincount(x, minlength=len(self.names)) for x in (drawn.rows.classes[drawn.first], drawn.rows.classes)
        )
        self.weights = few / np.maximum(many, 1)
        self.done = 0

    def learned(self, blocks: Callable[[int], Iterator[Block]]) -> Context:
        """All networks, and what those of folds say where they have not learned."""
        (maps, last), rows = _first_maps(self.compared, self.folds), self.drawn.rows
        looked = np.concatenate([rows.features[look] for look in self.compared.looks.looks[JOINED]], 1)
        around = self._around(maps, blocks)  # (folds, P, E)
        by_fold, scores = dict[int, ContextMap](), np.zeros((len(looked), len(self.names)), np.float32)
        for k, fold in enumerate(self.folds):
            start, asked = time.perf_counter(), self.fold_of_row == fold
            x = np.concatenate([looked, around[k].astype(np.float32)], 1)
            by_fold[fold] = self._fitted(maps[fold, fold], x[~asked], rows.classes[~asked])
            scores[asked] = by_fold[fold].scores(x[asked])
            self._step((len(self.folds) - k) * (time.perf_counter() - start))
        losses, sharpness = self._losses(scores)
        own = np.searchsorted(self.folds, self.fold_of_row)[None, :, None]
        x = np.concatenate([looked, np.take_along_axis(around, own, 0)[0].astype(np.float32)], 1)
        whole = self._fitted(last, x, rows.classes)
        return Context(by_fold, whole.sharpened(sharpness), losses)

    def _around(
        self, maps: Mapping[tuple[int, int], PixelMap], blocks: Callable[[int], Iterator[Block]]
    ) -> NDArray[np.float16]:
        """What is heard at every pixel, for each fold that is asked about. (folds, P, E)."""
        out = []
        for i, places in enumerate(self.drawn.places):
            start = time.perf_counter()
            own = [maps[fold, int(self.compared.folds[i])] for fold in self.folds]
            out.append(np.zeros((len(own), len(places), heard_columns(len(self.names))), np.float16))
            _hear(out[-1], blocks(i), places, self.drawn.widths[i], own)
            self._step((len(self.drawn.places) - i - 1) * (time.perf_counter() - start))
        return np.concatenate(out, 1)

    def _fitted(self, first: PixelMap, x: Matrix, classes: NDArray[np.int64]) -> ContextMap:
        """A network that learns from rows (P, D + E), as often from each class as linear maps do."""
        centre, spread = x.mean(0), x.std(0)
        scale = np.where(spread < _CONSTANT, np.float32(1 / _SMALLEST), spread).astype(np.float32)
        near = np.clip((x - centre) / scale, -FURTHEST, FURTHEST)
        return ContextMap(first, centre, scale, layers_of(near, classes, self.weights, self.seed))

    def _losses(self, scores: Matrix) -> tuple[NDArray[np.float64], float]:
        """The mean loss of each picture, calibrated on others, and the sharpness that all support."""
        first = self.drawn.first
        rows = self.drawn.rows.taken(first)
        targets = Targets(CLASSIFICATION, rows.classes, self.names, rows.item)
        answers, sharpness = calibrated(scores[first], targets, self.fold_of_row[first], SHARPNESS)
        lost = -np.log(np.maximum(answers[np.arange(len(answers)), rows.classes], _SMALLEST))
        return np.bincount(rows.item, lost) / np.bincount(rows.item), sharpness

    def _step(self, more: float) -> None:
        """Say that a step is done; what is left takes so many seconds more."""
        self.done += 1
        self.tell(self.done, len(self.drawn.places) + len(self.folds))
        if more > self.left():
            raise _TooLongError(more)


def _first_maps(compared: Compared, folds: Sequence[int]) -> tuple[dict[tuple[int, int], PixelMap], PixelMap]:
    """What answers first: what learned from neither a fold that is asked about nor that of a picture; and from all."""
    fold, classes = compared.searched.folds[0], compared.rows.classes
    pairs = [(a, b) for a in folds for b in folds if a <= b]
    weights = np.stack([*((fold != a) & (fold != b) for a, b in pairs), fold >= 0]).astype(np.float32)
    design = np.eye(len(compared.searched.targets.names), dtype=np.float32)[classes]
    x = compared.looks.matrix(JOINED, compared.rows.features)
    coef, intercept = fit_head(HEAD, x, design, weights, HEAD.penalties)  # (F, D, S, C), (F, S, C)

    def made(fit: int, asked: int | None) -> PixelMap:
        s = _penalty(compared, asked)
        return compared.looks.map_of(JOINED, coef[fit, :, s], intercept[fit, s])

    at = {pair: number for number, pair in enumerate(pairs)}
    maps = {(asked, own): made(at[min(asked, own), max(asked, own)], asked) for asked in folds for own in folds}
    return maps, made(len(pairs), None)


def _penalty(compared: Compared, fold: int | None) -> int:
    """The number of the penalty that the pictures outside a fold support."""
    return HEAD.penalties.index(compared.searched.settings[compared.best(fold, JOINED)[0]].penalty)


def _hear(out: NDArray[np.float16], blocks: Iterator[Block], places: NDArray[np.int64], width: int,
          maps: Sequence[PixelMap]) -> None:  # fmt: skip
    """Write what is heard at some pixels of a picture from each of several maps. (maps, p, E)."""
    for block in blocks:
        which, at = block.of_places(places, width)
        for number, one in enumerate(maps):
            around = heard(block.grid(one.scores(block.features)))
            out[number, which] = around.reshape(-1, out.shape[-1])[at]
