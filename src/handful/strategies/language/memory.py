"""Holding: how much memory a training of a language model holds at once, told from its settings before it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.errors import MachineError
from handful.readback import FAILURES, parsed
from handful.strategies.language.recipes import TokenRecipe
from handful.training.tokens import LONG, PART

_FLOAT = 4

# Kept activations of frozen blocks are given up beyond this, as ``training.activations`` does.
_KEPT = 1 << 30

# What a block keeps for its gradient, in numbers per token: so many times its width, its inner width, that of its keys,
# counted in the layer of Llama; more where something is inserted beside layers, which also leaves holes in memory. On
# smollm2-135m, beyond the libraries: lora 2.2 GB (told 2.3) after 100 updates of rows of up to 150 tokens, 2.1 GB (2.3)
# of up to 391; with rows of up to 143 tokens partial 1.4 GB (1.4), full 2.9 GB (3.5) and dpo 1.9 GB (2.3).
_WIDE, _INNER, _KEYS, _INSERTED = 12, 4, 3, 1.4

# Scores, rounded ones, their softmax and the gradients of both.
_SCORES = 5

# Tokens that a chat template puts around a question and its answer.
_FRAME = 16

# Tuners that move little move at most this share of the blocks.
_LITTLE = 0.02


@dataclass(frozen=True)
class ModelShape:
    """How large a causal language model is."""

    width: int
    """D, numbers per token."""
    layers: int
    """How many blocks."""
    inner: int
    """Numbers per token inside the feed-forward part of a block."""
    keys: int
    """Numbers per token of keys, and of values."""
    vocabulary: int
    """V, how many tokens there are."""
    tied: bool
    """Whether reading and writing share one table of tokens."""
    context: int
    """How many tokens it reads at most."""

    @classmethod
    def of(cls, folder: Path) -> ModelShape | None:
        """Read the settings in a folder; None where it has none, or none of this kind."""
        file = folder / "config.json"
        if not file.is_file():
            return None
        try:
            raw: Mapping[str, Any] = parsed(file)
            width, heads = int(raw["hidden_size"]), int(raw["num_attention_heads"])
            keys = int(raw.get("num_key_value_heads") or heads) * int(raw.get("head_dim") or width // heads)
            return cls(
                width, int(raw["num_hidden_layers"]), int(raw["intermediate_size"]), keys, int(raw["vocab_size"]),
                bool(raw.get("tie_word_embeddings", True)), int(raw.get("max_position_embeddings", 2048)),
            )  # fmt: skip
        except FAILURES:  # another kind of model, which is refused when it is loaded
            return None

    @property
    def block(self) -> int:
        """Weights of a block."""
        return 2 * self.width * (self.width + self.keys) + 3 * self.width * self.inner + 2 * self.width

    @property
    def weights(self) -> int:
        """Weights in all."""
        return self.layers * self.block + (2 - self.tied) * self.vocabulary * self.width


@dataclass(frozen=True)
class Memory:
    """Bytes that are held at the same time."""

    weights: int
    """The model as it is."""
    copy: int
    """The blocks that take part, once more: the model as it is never changes."""
    gradients: int
    """Of what moves."""
    optimiser: int
    """Two moments of what moves."""
    activations: int
    """What blocks keep for the gradient, scores of the vocabulary, and what frozen blocks gave."""

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.copy + self.gradients + self.optimiser + self.activations

    def __str__(self) -> str:
        parts = (
            (self.weights, "weights"), (self.copy, "a copy of the blocks"), (self.gradients, "gradients"),
            (self.optimiser, "the optimiser"), (self.activations, "activations"),
        )  # fmt: skip
        return f"{_gb(self.total)} of memory (" + ", ".join(f"{_gb(size, '')} {name}" for size, name in parts) + ")"


@dataclass(frozen=True)
class Lengths:
    """How long rows are, in tokens."""

    longest: int
    """The longest row."""
    answer: int
    """The longest answer."""
    rows: int
    """All rows together."""


def lengths_of(rows: Sequence[tuple[str, str]], context: int) -> Lengths:
    """How long rows may be as tokens, before there is a tokenizer: four letters of ASCII make one, each other is one.

    Args:
        rows: prompt and answer of N rows.
        context: what is longer is cut.
    """
    each = [min(context, _tokens(prompt) + _tokens(answer) + _FRAME) for prompt, answer in rows]
    return Lengths(max(each), min(context, max(_tokens(answer) for _, answer in rows)), sum(each))


def _tokens(text: str) -> int:
    plain = sum(map(str.isascii, text))
    return 1 + plain // 4 + len(text) - plain


def memory_of(shape: ModelShape, recipe: TokenRecipe, lengths: Lengths) -> Memory:
    """What a training holds.

    Args:
        shape: of the model.
        recipe: how weights move.
        lengths: of the rows to learn from.
    """
    twice = 1 + recipe.pairs
    rows, taking = (recipe.batch + recipe.beside) * twice, max(1, round(recipe.trainable_fraction * shape.layers))
    tokens = min(rows * lengths.longest, max(PART, twice * lengths.longest))
    a_block = _WIDE * shape.width + _INNER * shape.inner + _KEYS * shape.keys  # numbers per token
    # Long rows keep only what goes into each block, and run it again.
    kept = taking * a_block if tokens <= LONG else taking * shape.width + a_block
    inserted = _INSERTED if recipe.tuner.name not in ("blocks", "bias") else 1.0
    moved = _moved(shape, recipe, taking)
    scores = min(tokens, rows * lengths.answer) * shape.vocabulary * _SCORES
    # Where products are rounded, what moves and the table of tokens are there rounded as well, at half the size.
    rounded = _FLOAT // 2 * (2 * moved + shape.vocabulary * shape.width)
    below = min(_KEPT, lengths.rows * shape.width * _FLOAT)
    return Memory(
        weights=_FLOAT * shape.weights, copy=_FLOAT * taking * shape.block, gradients=_FLOAT * moved,
        optimiser=2 * _FLOAT * moved, activations=int(inserted * _FLOAT * (tokens * kept + scores)) + below + rounded,
    )  # fmt: skip


def _moved(shape: ModelShape, recipe: TokenRecipe, taking: int) -> int:
    """How many weights move, at most."""
    if recipe.tuner.name == "blocks":
        return taking * shape.block
    rank = getattr(recipe.tuner, "rank", 0)
    if not rank:
        return int(_LITTLE * taking * shape.block)
    sides = 4 * shape.width + 2 * (shape.width + shape.keys) + 3 * (shape.width + shape.inner)
    return int(rank * sides * taking)


def affordable(
    shape: ModelShape, recipes: Mapping[str, TokenRecipe], wanted: Collection[str], lengths: Lengths, free: int | None
) -> dict[str, Memory]:
    """What the trainings that are wanted hold.

    Args:
        shape: of the model.
        recipes: name → how weights move, also those that are not wanted.
        wanted: names of arms.
        lengths: of the rows to learn from.
        free: bytes that are free; None where nobody knows.

    Raises:
        MachineError: one of them needs more than is free; the message says what would fit.
    """
    each = {name: memory_of(shape, recipe, lengths) for name, recipe in recipes.items()}
    found = {name: needed for name, needed in each.items() if name in wanted}
    for name, needed in found.items():
        if free is not None and needed.total > free:
            fit = [other for other, size in each.items() if size.total <= free]
            growing = (needed.total - needed.activations) / shape.weights
            most = max(0.0, (free - needed.activations) / growing / 1e6)
            would = f"{', '.join(fit)} would fit." if fit else f"A model of about {most:.0f} million weights would fit."
            raise MachineError(f"{name} must have {needed}, but {_gb(free)} are free. {would}")
    return found


def _gb(size: float, unit: str = " GB") -> str:
    return f"{size / 2**30:.1f}{unit}"
