"""The contract of a backbone: prepare, stem, blocks and pool, and where it has parts prepare_parts and read_parts."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handful.backbones.parts import Parts, PartsBatch
from handful.errors import OptionError

if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads of its parent, but OpenMP does not know that and would wait for them for
    # ever. With one thread it asks for no others; servers that fork have a process per core anyway.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

MOVED = "+"
"""What stands in a fingerprint between that of a backbone and that of the weights put on top of it."""

LIKENESS = 3.0
"""How much the angle between two texts counts, beside what stands in them."""


@dataclass(frozen=True)
class State:
    """What flows from block to block.

    A transformer keeps (B, T, D) in ``x`` and (B, T) in ``mask``; a convolution network keeps (B, channels,
    height, width) in ``x``. Where one item becomes several windows, ``x`` has one row per window and
    ``owner`` (W,) says which item of the batch each window belongs to.
    """

    x: Tensor
    """Activations, batch (or window) first."""
    mask: Tensor | None = None
    """(B, T), 1 where a token or frame is real and 0 where it is padding."""
    owner: Tensor | None = None
    """(W,) whole numbers: the item of the batch that each window was cut from."""
    past: Any = None
    """Keys and values of earlier tokens, where a language model decodes; ``x`` then holds only new ones."""


class Remembers(ABC):
    """A block that keeps what it has seen in ``State.past``, so that decoding reads every token once."""

    @abstractmethod
    def before(self, state: State) -> int:
        """How many tokens it has seen."""


class Backbone(ABC):
    """A pre-trained model, cut so that its features can be read at any depth.

    Subclasses set ``name``, ``modality``, ``fingerprint`` and ``search_depths``, and fill ``blocks`` with
    modules that each map a State to a State, bottom to top. Depth ``k`` means: after ``k`` blocks; a
    backbone that cannot be cut has no blocks and the one depth 0.
    """

    name: str
    """The name in the catalogue, or the folder or hub id it was loaded from."""
    modality: str
    """text, image, sound or vectors."""
    fingerprint: str
    """Changes whenever weights, architecture or preprocessing change; part of every feature-cache key."""
    search_depths: tuple[int, ...]
    """The depths worth trying for frozen features, last layer first."""
    blocks: Sequence[nn.Module] = ()
    """The trainable pieces, bottom to top, each State → State; empty for a frozen-only backbone."""
    transformer: bool = False
    """Whether the blocks look from token to token, so that they take any number of them."""
    batch_items: int = 32
    """How many items fit in one forward pass."""
    counts: bool = False
    """Whether it counts what stands in an item: heads then weigh rare counts more, as the training rows say, and
    nothing is gained by keeping features, which are wide and computed as fast as they are read."""
    remembered: bool = True
    """Whether the feature cache keeps what it gives; not where that costs less than to look it up."""
    most_tokens: int = 0
    """The most tokens of a text that it reads; 0 where there is no such end."""
    pads_up_to: int = 0
    """Items of up to so many tokens go through together whatever their lengths, since filling them up costs less than
    a pass of their own."""
    grain: str = ""
    """What the parts of an item are that it can tell of, see ``parts``: tokens, patches or frames; empty: none."""
    part_depths: tuple[int, ...] = ()
    """The depths worth trying for parts, the most promising first: last layers say much of the whole item."""
    pixel_depths: tuple[int, ...] = ()
    """Where maps are read for every pixel: shallow, where they still know where things are; empty: nowhere."""
    cell_depths: tuple[int, ...] = ()
    """Where maps are read for every cell of a picture, all of them together: deep enough to know things; empty:
    nowhere."""
    cells_move: bool = False
    """Whether its blocks may move so that cells are told apart better: all that these maps say comes of them."""

    @abstractmethod
    def prepare(self, items: Sequence[Any]) -> Any:
        """Decode or tokenise items into a batch for ``stem``; runs on the CPU, in any thread.

        Raises:
            DataError: an item cannot be decoded; the message names it.
        """

    @abstractmethod
    def stem(self, batch: Any) -> State:
        """Bring a prepared batch to the backbone's device and run what lies below the first block."""

    @abstractmethod
    def pool(self, state: State) -> Tensor:
        """Reduce a state at any depth to one vector per item, (B, D)."""

    def fitted(self, items: Sequence[Any]) -> Backbone:
        """The backbone for a run of these items; most are the same for all."""
        return self

    def state_files(self) -> dict[str, bytes]:
        """What ``fitted`` learned, as files that go with every model: name → content; nothing for most."""
        return {}

    def check(self, items: Sequence[Any]) -> None:  # noqa: B027 - most read whatever they are given
        """Refuse items that it was not fitted for, all of them at once.

        Raises:
            DataError: they are such; the message says what is missing.
        """

    def prepare_parts(self, items: Sequence[Any]) -> PartsBatch:
        """Cut items into windows for ``stem``, and say what in these is a part of which item; on the CPU.

        Everything in an item is seen, however long or large it is.

        Raises:
            DataError: an item cannot be decoded; the message names it.
            OptionError: the backbone has no parts.
        """
        raise no_parts(self.name, self.modality)

    def read_parts(self, state: State, window: Tensor, cell: Tensor, depth: int) -> Tensor:
        """What a state after so many blocks says of P parts, (P, D).

        Args:
            state: of W windows.
            window: (P,) the window of each part, see ``PartsBatch``.
            cell: (P,) its number there.
            depth: how many blocks.

        Raises:
            OptionError: the backbone has no parts.
        """
        raise no_parts(self.name, self.modality)

    def pixel_maps(self, pixels: np.ndarray) -> np.ndarray:
        """What shallow blocks say of every pixel of a small picture, (H, W, 3) uint8 → (H, W, D) float32.

        Raises:
            OptionError: the backbone keeps no maps.
        """
        raise no_parts(self.name, self.modality)

    def cell_maps(self, pixels: np.ndarray) -> np.ndarray:
        """What blocks of all depths say of every cell of ``tiles.CELL`` pixels of a side of a picture.

        Args:
            pixels: (H, W, 3) uint8, both sides a multiple of ``tiles.STEP``.

        Returns:
            (H / CELL, W / CELL, D) float32.

        Raises:
            OptionError: the backbone keeps no maps.
        """
        raise no_parts(self.name, self.modality)

    def part_size(self, item: Any) -> int:
        """About how many windows an item is; items of at most ``batch_items`` windows go through together."""
        return 1

    @property
    def parts_key(self) -> str:
        """Names in the feature cache what is read of parts: changes with everything that they depend on."""
        return f"{self.fingerprint}#{self.grain}"

    def size(self, item: Any) -> int:
        """About how much work an item is; items of equal size share a batch, so that little is padded."""
        return 1

    def cut(self, items: Sequence[Any]) -> np.ndarray:
        """(N,) which items are as long as it reads, or longer: what lies beyond is not seen."""
        return np.zeros(len(items), bool)

    def to(self, device: torch.device | str) -> Backbone:
        """Move the weights to a device; backbones without modules stay where they are."""
        for module in self.modules():
            module.to(device)
        return self

    def modules(self) -> Sequence[nn.Module]:
        """Every module that holds weights: what ``to`` moves and what is counted."""
        return tuple(self.blocks)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found = next((p.device for module in self.modules() for p in module.parameters()), None)
        return torch.device("cpu") if found is None else found

    def parameters(self) -> int:
        """How many weights the backbone has."""
        seen = {id(p): p.numel() for module in self.modules() for p in module.parameters()}
        return sum(seen.values())

    def run(self, batch: Any, depth: int) -> State:
        """The state of a prepared batch after ``depth`` blocks."""
        state = self.stem(batch)
        for block in self.blocks[:depth]:
            state = block(state)
        return state

    def with_top(self, top: Sequence[nn.Module], *details: object) -> Backbone:
        """The same backbone with other blocks on top; what lies below is shared, not copied.

        Args:
            top: modules that take the place of as many blocks.
            details: what else tells the new weights from others, for the fingerprint.
        """
        made = copy.copy(self)
        made.blocks = (*self.blocks[: len(self.blocks) - len(top)], *top)
        below = self.fingerprint.partition(MOVED)[0]
        made.fingerprint = below + MOVED + weights_fingerprint(top, self.fingerprint, *details)
        return made

    def up_to(self, depth: int) -> Backbone:
        """The same backbone without the blocks above a depth; what is left is shared, not copied."""
        made = copy.copy(self)
        made.blocks = self.blocks[:depth]
        return made

    def states(self, batch: Any, depths: Sequence[int]) -> Iterator[tuple[int, State]]:
        """The states of a prepared batch at several depths, shallowest first, in one pass that stops at the deepest."""
        state = self.stem(batch)
        for depth in range(max(depths) + 1):
            state = self.blocks[depth - 1](state) if depth else state
            if depth in depths:
                yield depth, state

    @torch.inference_mode()
    def encode_parts(self, batch: PartsBatch, depths: Sequence[int]) -> dict[int, np.ndarray]:
        """Frozen features of the P parts of a batch at several depths, ``batch_items`` windows at a time.

        Returns:
            depth → (P, D) float32.
        """
        found: dict[int, np.ndarray] = {}
        for first in range(0, batch.windows, self.batch_items):
            some, at = batch.some(first, first + self.batch_items)
            window, cell = torch.from_numpy(some.window), torch.from_numpy(some.cell)
            for depth, state in self.states(some.batch, depths):
                vectors = self.read_parts(state, window, cell, depth).float().cpu().numpy()  # (n, D)
                found.setdefault(depth, np.zeros((len(batch), vectors.shape[1]), np.float32))[at] = vectors
        return found

    def parts(self, items: Sequence[Any], depths: Sequence[int]) -> Parts:
        """The parts of N items at several depths: ``prepare_parts`` and ``encode_parts`` in one call."""
        batch = self.prepare_parts(items)
        return Parts(self.encode_parts(batch, depths), batch.item, batch.place)

    @torch.inference_mode()
    def encode_batch(self, batch: Any, depths: Sequence[int]) -> dict[int, np.ndarray]:
        """Frozen features of one prepared batch at several depths, in one pass.

        Args:
            batch: what ``prepare`` returned.
            depths: how many blocks to run before pooling; the pass stops after the deepest.

        Returns:
            depth → (B, D) float32.
        """
        state = self.stem(batch)
        found = {0: self.pool(state)} if 0 in depths else {}
        for depth in range(1, max(depths) + 1):
            state = self.blocks[depth - 1](state)
            if depth in depths:
                found[depth] = self.pool(state)
        return {depth: vectors.float().cpu().numpy() for depth, vectors in found.items()}

    def encode(self, items: Sequence[Any], depths: Sequence[int]) -> dict[int, np.ndarray]:
        """Frozen features of N items at several depths, (N, D) each: ``prepare`` and ``encode_batch`` in one call."""
        return self.encode_batch(self.prepare(items), depths)


def no_parts(name: str, modality: str) -> OptionError:
    """The error for a backbone that sees an item as a whole only."""
    return OptionError(
        f"backbone {name} must tell of the parts of {modality} items, got one that sees each as a whole. Choose "
        "another with --backbone, or leave it out."
    )


def default_device() -> torch.device:
    """The fastest device here: a CUDA GPU where there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def weights_fingerprint(modules: Sequence[nn.Module], *details: object) -> str:
    """Name a model by its weights and by everything else that changes its output.

    Args:
        modules: whose parameters and buffers are hashed, in order.
        details: preprocessing constants and anything else that the features depend on.

    Returns:
        16 hexadecimal digits.
    """
    import hashlib

    digest = hashlib.sha256(repr(details).encode())
    for module in modules:
        for key, tensor in sorted(module.state_dict().items()):
            digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
