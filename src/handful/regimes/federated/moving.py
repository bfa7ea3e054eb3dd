"""The part of a site where weights move together: it lets them learn from its rows, and looks at its rows with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError, TrainingError
from handful.export.kept_parts import Moved
from handful.regimes.federated import wire
from handful.regimes.federated.averaging import clipped
from handful.regimes.federated.paired import paired
from handful.regimes.federated.site import Instead, Site
from handful.regimes.federated.steps import (
    COMPARE,
    SUM,
    TRAIN,
    TRY,
    Arrays,
    Reply,
    Step,
    pack_paired,
    pack_weights,
    unpack_choices,
    unpack_weights,
)  # fmt: skip
from handful.regimes.federated.sums import Floats, Sums
from handful.regimes.federated.votes import Setting, by_choice, held_out_scores, votes_of
from handful.strategies.tuned.fit import adapt, start
from handful.strategies.tuned.recipe import ItemRecipe
from handful.tasks.base import Targets
from handful.training.activations import Activations
from handful.training.apply_delta import arrays_of, tensors_of, untouched
from handful.training.body import features_of

_NONE: Mapping[str, NDArray[np.float32]] = {}


@dataclass
class Mover:
    """A site that takes part in rounds of weights."""

    site: Site
    """Its rows, as the frozen backbone sees them."""
    activations: Activations
    """What the blocks that stay give for its N rows, and for the names of its classes."""
    recipe: ItemRecipe
    """How weights move in one round."""
    frozen: Floats
    """(S, N, C) what the heads on frozen weights answer to each row, held out."""
    names: Sequence[str]
    """The C classes of all sites."""
    tell: Callable[[str], None] = lambda said: None
    """Told what to know, a sentence each."""
    delta: Arrays = field(default_factory=dict)
    """The weights that the model of all rows reads, once they are there."""
    choices: tuple[tuple[Setting, ...], tuple[Setting, ...]] = ((), ())
    """What was taken for each fold on frozen weights, and on moved ones."""

    def __post_init__(self) -> None:
        backbone = self.activations.backbone
        self._start = untouched(backbone, self.recipe.tuner, self.recipe.first(backbone))
        terms = self.site.terms
        self._seen = np.zeros((len(self.site.rows.labels), terms.of_moved.width), np.float32)  # (N, D)
        self._held = np.zeros((0, 0, 0))
        self._sat_out = False

    def reply(self, step: Step) -> Reply:
        """Do what a step asks for.

        Raises:
            DataError: it asks for what cannot be done.
        """
        if step.kind == TRAIN:
            return self._trained(step)
        do = {SUM: self._summed, TRY: self._tried, COMPARE: self._compared}
        return Reply(step.number, int(self._learned(step).sum()), do[step.kind](step))

    def instead(self, arms: Sequence[bool]) -> Instead:
        """What moved weights answer to the rows, held out, for the folds whose other rows took them.

        Args:
            arms: (K,) whether weights moved for a fold.
        """
        return Instead(by_choice(self._held, self.choices[1], self.site.folds), np.array(arms, bool)[self.site.folds])

    def kept(self) -> Moved:
        """The weights of the model, as a bundle has them. Raises DataError: they never came."""
        if not self.delta:
            raise DataError("the coordinator must send the weights of its model, got none. Start it again.")
        return Moved(self.recipe.tuner.name, self.recipe.first(self.activations.backbone), dict(self.delta))

    def _learned(self, step: Step) -> NDArray[np.bool_]:
        """(N,) the rows that may be learned from."""
        return np.ones(len(self.site.folds), bool) if step.fold is None else self.site.folds != step.fold

    def _own(self) -> Targets:
        return self.site.rows.targets(self.site.own.names)

    def _trained(self, step: Step) -> Reply:
        """Weights after some updates on the rows; the head that they learn with stays here."""
        rows = np.flatnonzero(self._learned(step))
        targets = self._own().take(rows)
        if np.count_nonzero(targets.task.design(targets).any(0)) < 2:
            self._sit_out("its rows that may be learned from are of one class")
            return Reply(step.number, 0, pack_weights(_NONE))
        delta = self._weights(step)
        begin = None if delta is None else tensors_of(delta)
        settings = replace(self.recipe.settings, seed=step.number)
        try:
            moved = adapt(self.activations, rows, targets, replace(self.recipe, begin=begin, settings=settings))
        except TrainingError as error:
            self._sit_out(str(error).rstrip("."))
            return Reply(step.number, 0, pack_weights(_NONE))
        rounds = self.site.terms.rounds
        assert rounds is not None
        sent = clipped(arrays_of(moved.delta), delta or self._start, rounds.longest)
        return Reply(step.number, len(rows), pack_weights(sent))

    def _summed(self, step: Step) -> bytes:
        """Sums of what moved weights see in the rows that they learned from; what they see in the others is kept."""
        delta = self._weights(step)
        begin = None if delta is None else tensors_of(delta)
        body = start(self.activations, replace(self.recipe, begin=begin)).eval()
        seen, learned = features_of(body, self.activations, np.arange(len(self.site.folds))), self._learned(step)
        if step.fold is None:
            self.delta = delta or self._start
        else:
            self._seen[~learned] = seen[~learned]
        targets = self._own().take(learned)
        return wire.pack_sums(Sums.of(seen[learned], targets, np.zeros(len(targets), np.int64), 1))

    def _tried(self, step: Step) -> bytes:
        """How heads on moved weights fare on rows that neither these nor they learned from."""
        maps, names = wire.unpack_maps(step.payload, self.site.terms.of_moved)
        if tuple(names) != tuple(self.names):
            raise DataError("the coordinator must keep to the classes of all sites, got others. Start it again.")
        self._held = held_out_scores(maps, self._seen, self.site.folds)
        rows = self.site.rows
        votes = votes_of(self._held, rows.targets(names), self.site.folds, rows.groups, self.site.terms.folds)
        return wire.pack_votes(votes)

    def _compared(self, step: Step) -> bytes:
        """Losses of the held-out rows with frozen weights and with moved ones."""
        self.choices = unpack_choices(step.payload, self.site.terms)
        rows, folds = self.site.rows, self.site.folds
        targets = rows.targets(self.names)
        below, above = (
            rows.task.losses_at(by_choice(scores, settings, folds), targets, np.ones(1))[0].astype(np.float64)
            for scores, settings in zip((self.frozen, self._held), self.choices, strict=True)
        )
        return pack_paired(paired(below, above, rows.groups, folds, self.site.terms.folds))

    def _weights(self, step: Step) -> dict[str, NDArray[np.float32]] | None:
        """The weights that come with a step; None where nothing has moved yet."""
        return unpack_weights(step.payload, self._start) if step.payload else None

    def _sit_out(self, why: str) -> None:
        if not self._sat_out:
            self.tell(f"this site learns nothing where weights move: {why}")
        self._sat_out = True
