"""Graphs of parts: from prepared windows to what backbones see in words, patches, moments or pixels of an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from handful.backbones.base import Backbone, State
from handful.backbones.frames import Cuts
from handful.backbones.graph_sounds import Pieces
from handful.backbones.graphs import (
    Eye,
    Input,
    Preparation,
    ViewGraph,
    eye_of,
    front_of,
    inputs_of,
    recorded_from,
    text_inputs,
)
from handful.backbones.image import LiteBackbone
from handful.backbones.levels import RATE
from handful.backbones.parts import FRAMES, PATCHES, TOKENS
from handful.backbones.text import TextBackbone

Read = Callable[[State, Tensor, Tensor, int], Tensor]

# The largest number of half precision, in which parts are kept.
_LARGEST = 65504.0
# Numbers that say how a word is written; how many there are is not recorded.
_FORMS = 27


class PartsEye(nn.Module):
    """One backbone at some depths: its inputs, and where P parts stand in these → (P, D) each."""

    def __init__(self, front: nn.Module, blocks: Sequence[nn.Module], read: Read, depths: Sequence[int]) -> None:
        """Put the parts together.

        Args:
            front: inputs → State, all that lies below the first block.
            blocks: bottom to top.
            read: State, window and number of each part there, and depth → (P, D).
            depths: after how many blocks it is read.
        """
        super().__init__()
        self.front, self.read, self.depths = front, read, tuple(depths)
        self.blocks = nn.ModuleList(blocks[: max(depths)])

    def forward(self, *inputs: Tensor) -> dict[int, Tensor]:
        """Inputs of the backbone, window and number of each part. Depth → (P, D), as it is kept."""
        *own, window, cell = inputs
        state, found = self.front(*own), {}
        for depth in range(max(self.depths) + 1):
            state = self.blocks[depth - 1](state) if depth else state
            if depth in self.depths:
                found[depth] = kept(self.read(state, window, cell, depth))
        return found


class JoinedEye(nn.Module):
    """The same, joined to W words of a text, with how these are written, or to moments of a recording."""

    def __init__(self, eye: PartsEye, forms: bool) -> None:
        """Put what is joined on top.

        Args:
            eye: the backbone.
            forms: whether it is told as well how words are written.
        """
        super().__init__()
        self.eye, self.forms = eye, forms

    def forward(self, *inputs: Tensor) -> dict[int, Tensor]:
        """Those of the backbone, first part and the one behind the last of each word, and its form. Depth → (W, D)."""
        *own, first, end = inputs[:-1] if self.forms else inputs
        found = {depth: _unit(_joined(x, first, end)) for depth, x in self.eye(*own).items()}
        if not self.forms:
            return found
        return {depth: torch.cat([x, _unit(inputs[-1])], 1) for depth, x in found.items()}


class SideBySide(nn.Module):
    """What one backbone sees at several depths, as it is kept, the columns of each depth side by side."""

    def __init__(self, eye: PartsEye | Eye, depths: Sequence[int]) -> None:
        """Say in which order.

        Args:
            eye: the backbone.
            depths: where it is read.
        """
        super().__init__()
        self.eye, self.depths = eye, tuple(depths)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The inputs of the backbone → (P, sum of D)."""
        found = self.eye(*inputs)
        return torch.cat([kept(found[depth]) for depth in self.depths], 1)


def kept(x: Tensor) -> Tensor:
    """Numbers as ``features.parts`` keeps them: in half precision."""
    return x.clamp(-_LARGEST, _LARGEST).half().float()


def _joined(x: Tensor, first: Tensor, end: Tensor) -> Tensor:
    """As ``features.words.joined``: the mean of the parts of each word, zeros where there are none. (P, D) → (W, D)."""
    sums = torch.cat([torch.zeros(1, x.shape[1], dtype=torch.double), x.double().cumsum(0)])
    count = (end - first)[:, None]
    return ((sums[end] - sums[first]) / count.clamp(min=1)).float()


def _unit(x: Tensor) -> Tensor:
    unit: Tensor = x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return unit


def part_eye_of(backbone: Backbone, depths: Sequence[int]) -> PartsEye:
    """A backbone as a module that can be recorded, read at its parts.

    Args:
        backbone: of the catalogue, with weights that moved or without.
        depths: after how many blocks it is read.

    Raises:
        OptionError: it cannot be recorded; the message says which part, and what can instead.
    """
    front = front_of(backbone)
    read: Read = getattr(front, "read", backbone.read_parts)
    whole = Pieces(front) if backbone.grain == FRAMES else front  # type: ignore[arg-type]
    return PartsEye(whole, backbone.blocks, read, depths)


def joined_graph_of(backbones: Mapping[str, Backbone], parts: Sequence[tuple[str, int]]) -> tuple[
    bytes, list[Preparation]
]:  # fmt: skip
    """What a view sees in the words of a text or the moments of a recording, as ``graphs.graph_of`` gives it of wholes.

    Args:
        backbones: name in the view → backbone with tokens or frames.
        parts: name and depth of each part of the view.

    Raises:
        OptionError: a backbone cannot be recorded.
    """
    depths = {name: [depth for other, depth in parts if other == name] for name in backbones}
    words = next(iter(backbones.values())).grain == TOKENS
    eyes = {name: JoinedEye(part_eye_of(one, depths[name]), words) for name, one in backbones.items()}
    bases = {name.partition("#")[0]: backbone for name, backbone in backbones.items()}
    inputs, preparations = list[Input](), list[Preparation]()
    for number, backbone in enumerate(bases.values()):
        made, preparation = part_inputs(backbone, f"_{number}" if number else "", joins=True)
        inputs += made
        preparations.append(preparation)
    graph = ViewGraph(eyes, parts, len(inputs) // len(bases), pairs=False)
    return recorded_from(graph, inputs, next(iter(backbones.values())).device), preparations


def compared_graph_of(backbone: Backbone, depths: Sequence[int]) -> tuple[bytes, list[Preparation]]:
    """What a backbone sees in patches, frames or whole texts, as it is compared with normal ones.

    Args:
        backbone: of pictures, sounds or texts.
        depths: where it is read, in their order.

    Raises:
        OptionError: it cannot be recorded.
    """
    if backbone.modality == "text":
        graph = SideBySide(eye_of(backbone, depths), depths)
        inputs, preparations, _ = inputs_of([backbone], pairs=False)
        return recorded_from(graph, inputs, backbone.device), preparations
    graph = SideBySide(part_eye_of(backbone, depths), depths)
    inputs, preparation = part_inputs(backbone, "", joins=False)
    return recorded_from(graph, inputs, backbone.device), [preparation]


def part_inputs(backbone: Backbone, end: str, joins: bool) -> tuple[list[Input], Preparation]:
    """What goes into the graph of the parts of one backbone, and how it is prepared.

    Args:
        backbone: with parts.
        end: what the names of a further backbone end with.
        joins: whether parts are joined to words or moments.
    """
    names = ["window", "cell", *(["first", "end"] if joins else [])]
    examples = {"window": [0, 0, 1, 1], "cell": [0, 1, 0, 1], "first": [0, 1, 4], "end": [1, 4, 4]}
    axes = {"window": "parts", "cell": "parts", "first": "joined", "end": "joined"}
    more = [Input(f"{name}{end}", torch.tensor(examples[name]), (f"{axes[name]}{end}",)) for name in names]
    entry: dict[str, Any] = {name: f"{name}{end}" for name in names}
    if isinstance(backbone, TextBackbone):
        made, preparation = text_inputs(backbone, "", end)
        more.append(Input(f"forms{end}", torch.eye(_FORMS)[:3], (f"joined{end}",)))
        return [*made, *more], Preparation({**preparation.entry, **entry, "forms": f"forms{end}"}, preparation.files)
    (own, *_), (preparation, *_), _ = inputs_of([backbone], pairs=False)
    if backbone.grain == PATCHES:
        assert isinstance(backbone, LiteBackbone)
        tile = backbone.tile
        pixels = torch.arange(2 * tile * tile * 3).remainder(251).to(torch.uint8).reshape(2, tile, tile, 3)
        inputs = [Input(f"pixels{end}", pixels, ("windows",))]
        return [*inputs, *more], Preparation(
            {"pixels": f"pixels{end}", "side": tile, "most": backbone.part_side} | entry, {}
        )
    cuts: Cuts = backbone.cuts  # type: ignore[attr-defined]
    length = (cuts.seen + cuts.before) * cuts.step + cuts.after
    waves = 0.1 * torch.sin(torch.arange(length) / 9).repeat(2, 1)
    inputs = [
        Input(f"waves{end}", waves, (f"windows{end}", f"samples{end}")),
        Input(f"lengths{end}", torch.tensor([length, length // 2]), (f"windows{end}",)),
    ]
    sounds = {"waves": f"waves{end}", "lengths": f"lengths{end}", "rate": RATE, "cuts": asdict(cuts)}
    return [*inputs, *more], Preparation(sounds | entry, {})
