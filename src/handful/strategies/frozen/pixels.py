"""Classes of pixels: linear heads on what filters and maps see, compared on pictures that are held out one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from handful.backbones.linear_map import LinearMap
from handful.engines import Engine
from handful.features.pixels import FILTERS, MAPS, Block
from handful.features.view import Matrix, View
from handful.strategies.frozen.search import Search, search
from handful.strategies.frozen.search_space import Grid
from handful.strategies.frozen.solver import fit_head
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.heads import SOFTMAX, Array, Head
from handful.tasks.targets import Targets

JOINED = "joined"
"""Filters and maps together."""
HEAD = Head("logistic", SOFTMAX, (1.0, 0.1, 0.01))
"""How maps from what is seen to classes are found."""
LEVELS = 64
"""Steps of brightness that the reference tells apart."""

# A step of brightness counts as if each class had been seen there so often.
_SEEN = 1.0


@dataclass(frozen=True)
class PixelRows:
    """The P pixels that heads learn from, of N pictures."""

    features: Mapping[str, Matrix]
    """Way to look → (P, D)."""
    brightness: NDArray[np.int64]
    """(P,) from 0 to ``LEVELS`` - 1."""
    classes: NDArray[np.int64]
    """(P,) numbers of classes."""
    item: NDArray[np.int64]
    """(P,) the picture of each, in order."""

    @classmethod
    def together(cls, pictures: Sequence[PixelRows]) -> PixelRows:
        """Those of N pictures, one picture after the other."""
        features = {look: np.concatenate([one.features[look] for one in pictures]) for look in pictures[0].features}
        brightness, classes = (np.concatenate([getattr(x, n) for x in pictures]) for n in ("brightness", "classes"))
        return cls(features, brightness, classes, np.repeat(np.arange(len(pictures)), [len(x.item) for x in pictures]))

    def taken(self, rows: NDArray[np.bool_]) -> PixelRows:
        """Some of them. (P,) truths."""
        features = {look: x[rows] for look, x in self.features.items()}
        return PixelRows(features, self.brightness[rows], self.classes[rows], self.item[rows])


@dataclass(frozen=True)
class PixelMap:
    """A linear map from what is seen at a pixel to classes."""

    around: ClassVar[int] = 0
    """Nothing is heard of the pixels around one."""

    looks: tuple[str, ...]
    """Ways to look, whose columns stand side by side."""
    centre: Matrix
    """(D,) what is taken from each column."""
    scale: Matrix
    """(D,) what it is divided by."""
    coef: Matrix
    """(D, C)."""
    intercept: Matrix
    """(C,)."""

    @property
    def linear(self) -> LinearMap:
        """The same without how is looked."""
        return LinearMap(self.centre, self.scale, self.coef, self.intercept)

    def scaled(self, features: Mapping[str, Matrix]) -> Matrix:
        """What is seen at P pixels, each column at its scale. Way to look → (P, D) to (P, D)."""
        seen = np.concatenate([features[look] for look in self.looks], 1)
        return np.asarray((seen - self.centre) / self.scale, np.float32)

    def probabilities(self, features: Mapping[str, Matrix]) -> Matrix:
        """How probable each class is at P pixels. Way to look → (P, D) to (P, C)."""
        return np.asarray(CLASSIFICATION.outputs(self.scores(features)), np.float32)

    def scores(self, features: Mapping[str, Matrix]) -> Matrix:
        """The same before the softmax."""
        return np.asarray(self.scaled(features) @ self.coef + self.intercept, np.float32)

    def answered(self, block: Block) -> Matrix:
        """How probable each class is at each pixel of a block, row by row. (height · width, C)."""
        return self.probabilities(block.within().features)


@dataclass(frozen=True)
class Brightness:
    """The reference: how frequent each class is at each step of brightness."""

    table: Matrix
    """(LEVELS, C)."""

    def probabilities(self, levels: NDArray[np.int64]) -> Matrix:
        """(P,) steps of brightness → (P, C)."""
        return self.table[levels]


def levels_of(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The step of brightness of each pixel. (..., 3) → (...)."""
    return np.asarray(pixels.astype(np.int64).sum(-1) * LEVELS // (3 * 256))


def brightness_of(rows: PixelRows, among: NDArray[np.bool_], classes: int) -> Brightness:
    """The reference that some of the rows support. (P,) truths."""
    counts = np.zeros((LEVELS, classes))
    np.add.at(counts, (rows.brightness[among], rows.classes[among]), 1)
    share = counts.sum(0) / counts.sum()
    counts += _SEEN * share
    return Brightness((counts / counts.sum(1, keepdims=True)).astype(np.float32))


def share_to_draw(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much likelier a pixel of each class is drawn than one of another, by how frequent classes are. (C,) → (C,).

    A rare class then is the square root of its share among the pixels that are learned from: drawn as they come, small
    things would be missed, since Dice counts classes alike and the loss counts pixels; drawn alike, they would be seen
    everywhere.
    """
    return np.asarray(1 / np.sqrt(np.maximum(shares, 1e-6)))


def drawn_pixels(
    classes: NDArray[np.integer], weight: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Which pixels of a picture are learned from, as they are drawn: the first of them are a draw of fewer.

    Args:
        classes: (P,) of its pixels.
        weight: (C,) as ``share_to_draw`` gives it.
        count: how many, at most.
        rng: source of the draw.
    """
    chance = weight[classes]
    return rng.choice(len(classes), min(count, len(classes)), replace=False, p=chance / chance.sum()).astype(np.int64)


class Looks:
    """What is compared: filters, maps and both, each column at one scale, which knows no classes."""

    def __init__(self, rows: PixelRows) -> None:
        """Find the scales of the columns of P pixels."""
        self.looks: dict[str, tuple[str, ...]] = {look: (look,) for look in (FILTERS, MAPS) if look in rows.features}
        if len(self.looks) > 1:
            self.looks[JOINED] = (FILTERS, MAPS)
        self._centre = {look: x.mean(0) for look, x in rows.features.items()}
        self._spread = {look: x.std(0) + np.float32(1e-6) for look, x in rows.features.items()}

    def scales(self, name: str) -> tuple[Matrix, Matrix]:
        """What is taken from each column of a look, and what it is divided by: a row then is about one long."""
        looks = self.looks[name]
        centre = np.concatenate([self._centre[look] for look in looks])
        spread = np.concatenate([self._spread[look] for look in looks])
        return centre, np.asarray(spread * np.sqrt(len(spread)), np.float32)

    def matrix(self, name: str, features: Mapping[str, Matrix]) -> Matrix:
        """(P, D) of a look."""
        centre, scale = self.scales(name)
        return np.asarray(
            (np.concatenate([features[look] for look in self.looks[name]], 1) - centre) / scale, np.float32
        )

    def map_of(self, name: str, coef: Matrix, intercept: Matrix) -> PixelMap:
        """The map of a look with weights (D, C) and (C,)."""
        centre, scale = self.scales(name)
        return PixelMap(
            self.looks[name], np.asarray(centre, np.float32), scale, np.asarray(coef, np.float32),
            np.asarray(intercept, np.float32),
        )  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """All heads on all looks, on the same folds of pictures."""

    rows: PixelRows
    """What they learned from."""
    looks: Looks
    """What is seen."""
    searched: Search
    """Their outcomes."""
    names: tuple[str, ...]
    """The look of each setting."""
    folds: NDArray[np.int64]
    """(N,) the fold of each picture."""

    def best(self, fold: int | None, look: str | None = None) -> tuple[int, float]:
        """The setting with the lowest loss, each picture counting the same, and its sharpness.

        Args:
            fold: whose pictures say nothing; None: all count.
            look: among those of this look alone; None: among all.
        """
        among = [q for q, name in enumerate(self.names) if look in (None, name)]
        outcomes = self.searched.outcomes
        if fold is None:
            q = min(among, key=lambda q: float(outcomes[q].losses.mean()))
            return q, outcomes[q].sharpness
        q = min(among, key=lambda q: float(np.nanmean(outcomes[q].inner_losses[0, fold])))
        return q, float(outcomes[q].inner_sharpness[0, fold])

    def fitted(self, fold: int | None, look: str | None = None) -> PixelMap:
        """The map of the best setting, learned from all pictures but those of a fold."""
        q, sharpness = self.best(fold, look)
        name, setting = self.names[q], self.searched.settings[q]
        rows, count = self.rows, len(self.searched.targets.names)
        learned = np.ones(len(rows.item), bool) if fold is None else self.searched.folds[0] != fold
        features = {way: x[learned] for way, x in rows.features.items()}
        design = np.eye(count, dtype=np.float32)[rows.classes[learned]]
        ones = np.ones((1, int(learned.sum())), np.float32)
        coef, intercept = fit_head(HEAD, self.looks.matrix(name, features), design, ones, (setting.penalty,))
        return self.looks.map_of(name, coef[0, :, 0] * sharpness, intercept[0, 0] * sharpness)


def compare(
    rows: PixelRows, classes: Sequence[str], folds: NDArray[np.int64], engine: Engine,
    progress: Callable[[int, int], None],
) -> Compared:  # fmt: skip
    """Let all heads on all looks answer pixels of pictures that they have not learned from.

    Args:
        rows: P pixels of N pictures.
        classes: C names.
        folds: (N,) the fold of each picture.
        engine: where the fits run.
        progress: called with settings done and in all.
    """
    looks = Looks(rows)
    # Views of one source compete by their losses alone: none costs more than another.
    views = {View((("pixels", number),)): name for number, name in enumerate(looks.looks)}
    features: dict[View, Array] = {view: looks.matrix(name, rows.features) for view, name in views.items()}
    targets = Targets(CLASSIFICATION, rows.classes, tuple(classes), rows.item)
    grid = Grid((HEAD,), tuple(views))
    found = search(targets, features, {}, folds[rows.item][None], grid, engine, progress)
    return Compared(rows, looks, found, tuple(views[setting.view] for setting in found.settings), folds)
