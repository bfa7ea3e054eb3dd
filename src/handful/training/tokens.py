"""Language models in the loop: a body that scores the tokens of answers only, and batches of rows or of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from handful.backbones.base import State
from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone
from handful.training.activations import Activations
from handful.training.batches import drawn
from handful.training.body import Body
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.preference import log_likelihoods

PART = 384
"""So many tokens, padding counted, go through at once: scores over a vocabulary of 50,000 take 75 MB, gradients too."""

LONG = 1024
"""Rows of more tokens than this together keep only what goes into each block, and run it again for the gradient."""


@dataclass(frozen=True)
class Asked:
    """Rows as a body is given them, and the places whose next token is asked for."""

    state: State
    """(B, T, D) below the first block of the body."""
    where: Tensor
    """(B, T) true where the next token belongs to the answer."""


class TokenBody(Body):
    """The top blocks of a language model: rows in, scores of the tokens of their answers out.

    The head is as wide as the vocabulary, so it is run at the places that count and nowhere else.
    """

    def __init__(self, backbone: LanguageBackbone, first: int) -> None:
        """Copy the blocks from ``first`` up; norm and head stay those of the backbone."""
        super().__init__(backbone, first)
        self._read = backbone.scores

    def forward(self, parts: Sequence[Asked]) -> Outputs:  # type: ignore[override]
        """Features (M, D) and scores (M, V) of the M places of all parts, in their order."""
        x = torch.cat([self._through(part.state)[part.where] for part in parts])  # (M, D)
        return Outputs(x, self._read(x))

    def _through(self, state: State) -> Tensor:
        spare = torch.is_grad_enabled() and state.x.shape[0] * state.x.shape[1] > LONG
        for block in self.blocks:
            if spare:
                state = checkpoint(lambda x, b=block, s=state: b(replace(s, x=x)), state.x, use_reentrant=False)
            else:
                state = block(state)
        return state.x


@dataclass(frozen=True)
class AnswerBatches:
    """Batches of conversations; the contract of ``training.loop.Batches``."""

    activations: Activations
    """What the frozen blocks gave for N rows."""
    tokens: Sequence[Tokens]
    """The N rows."""
    rows: NDArray[np.int64]
    """(M,) the rows to learn from."""
    size: int
    """Rows per update."""
    seed: int = 0
    """Fixes the draws."""
    replayed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(R,) rows that are not to be learned but to be kept: answers of the model as it was."""
    beside: int = 0
    """How many of them go with every update."""

    def __call__(self, update: int, parts: int) -> Sequence[Batch]:
        """The rows of an update in so many batches."""
        at = self.rows[drawn(update, len(self.rows), self.size, self.seed)]
        if self.beside and len(self.replayed):
            at = np.append(at, self.replayed[drawn(update, len(self.replayed), self.beside, self.seed)])
        lengths = [len(self.tokens[row].ids) for row in at]
        return [
            asked_batch(self.activations, self.tokens, at[piece]) for piece in pieces(lengths, PART // parts, parts)
        ]


@dataclass(frozen=True)
class PairBatches:
    """Batches of pairs, chosen and rejected answers of the same prompts; the contract of ``training.loop.Batches``."""

    activations: Activations
    """What the frozen blocks gave for 2 N rows: N chosen ones, then the N rejected ones in the same order."""
    tokens: Sequence[Tokens]
    """The 2 N rows."""
    reference: NDArray[np.float64]
    """(2 N,) log likelihood of each answer before anything moved."""
    pairs: NDArray[np.int64]
    """(M,) the pairs to learn from."""
    size: int
    """Pairs per update."""
    seed: int = 0
    """Fixes the draws."""

    def __call__(self, update: int, parts: int) -> Sequence[Batch]:
        """The pairs of an update in so many batches."""
        at = self.pairs[drawn(update, len(self.pairs), self.size, self.seed)]
        half = len(self.tokens) // 2
        lengths = [2 * max(len(self.tokens[row].ids), len(self.tokens[row + half].ids)) for row in at]
        return [self._batch(at[piece]) for piece in pieces(lengths, PART // parts, parts)]

    def _batch(self, pairs: NDArray[np.int64]) -> Batch:
        rows = np.concatenate([pairs, pairs + len(self.tokens) // 2])  # (2 B,)
        batch = asked_batch(self.activations, self.tokens, rows)
        reference = torch.from_numpy(self.reference[rows]).to(batch.targets.device, torch.float32)
        return replace(batch, reference=reference)


def pieces(lengths: Sequence[int], most: int, parts: int = 1) -> list[list[int]]:
    """Cut a batch into pieces of like length, so that little is padded and memory is enough.

    Args:
        lengths: tokens of each of B items.
        most: how many tokens a piece has at most, padding counted; an item alone may have more.
        parts: how many pieces there are at least, as far as there are items.

    Returns:
        The positions in each piece, longest first.
    """
    count = math.ceil(len(lengths) / min(parts, len(lengths)))
    micro_batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if (
            not micro_batches
            or len(micro_batches[-1]) == count
            or (len(micro_batches[-1]) + 1) * lengths[micro_batches[-1][0]] > most
        ):
            micro_batches.append([])
        micro_batches[-1].append(i)
    return micro_batches


def asked_batch(activations: Activations, tokens: Sequence[Tokens], rows: NDArray[np.int64]) -> Batch:
    """Rows as one batch, those of like length together.

    Args:
        activations: what the frozen blocks gave for all rows.
        tokens: all rows.
        rows: (B,) which ones are wanted.

    Returns:
        The batch: its ``owner`` says which of the B rows each of the M places belongs to.
    """
    parts, targets, owner = [], [], []
    # Few tokens are not worth two passes: each operation costs as much to start as a little padding does.
    few = len(rows) * max(len(tokens[row].ids) for row in rows) <= LONG
    for group in [list(range(len(rows)))] if few else activations.alike(rows.tolist()):
        state = activations.state(rows[group].tolist())
        where = torch.zeros(state.x.shape[:2], dtype=torch.bool)
        for i, row in enumerate(rows[group]):
            where[i, tokens[row].start - 1 : len(tokens[row].ids) - 1] = True
            targets.extend(tokens[row].ids[tokens[row].start :])
            owner.extend([group[i]] * tokens[row].asked)
        parts.append(Asked(state, where.to(state.x.device)))
    device = parts[0].where.device
    return Batch(parts, torch.tensor(targets, device=device), owner=torch.tensor(owner, device=device))


@torch.no_grad()
def chosen_gain(body: TokenBody, pairs: PairBatches, turn: int) -> float:
    """Nats per token that the chosen answers of some pairs gained since the start; below 0 they became less likely.

    Args:
        body: the model as it is.
        pairs: all pairs.
        turn: which of them are looked at: those of the update of this number.
    """
    gained, tokens = 0.0, 0.0
    for batch in pairs(turn, 1):
        likely, count = log_likelihoods(body(batch.state), batch, pairs)
        assert batch.reference is not None
        chosen = len(likely) // 2
        gained += float((likely - batch.reference)[:chosen].sum())
        tokens += float(count[:chosen].sum())
    return gained / tokens
