"""Graphs: backbones as one module from prepared numbers to features, recorded for programs without torch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from handful.backbones.audio import SpeechEmbedding, VoiceEncoder, WhisperTinyEn
from handful.backbones.base import LIKENESS, Backbone, State
from handful.backbones.bert import BertStem
from handful.backbones.graph_sounds import SpectrogramFront, SpeechFront, VoiceFront, WhisperFront
from handful.backbones.image import MARGIN, MEAN, SCALE, LiteBackbone
from handful.backbones.spectrogram import SpectrogramLite0
from handful.backbones.text import FastTokeniser, TextBackbone
from handful.backbones.vectors import Vectors
from handful.errors import OptionError

OPSET = 17
"""The version of ONNX's operators that graphs are written in: of 2022, so that old runtimes read them too."""

Pool = Callable[[State], Tensor]

# Samples that a graph of sounds is recorded with, of 16,000 per second; how many there are is not recorded.
_RECORDED = 24_000


@dataclass(frozen=True)
class Input:
    """One array that goes into a graph."""

    name: str
    """How it is called."""
    example: Tensor
    """Numbers of its kind, (2, ...)."""
    axes: tuple[str, ...]
    """What its axes are called as far as their lengths may change, the items first."""


@dataclass(frozen=True)
class Preparation:
    """What a program does with items before a graph reads them, as data."""

    entry: Mapping[str, Any]
    """Plain values: the kind, and its numbers."""
    files: Mapping[str, str]
    """File name → content that it needs beside them."""


class Eye(nn.Module):
    """One backbone at some depths: its inputs → (B, D) each."""

    def __init__(self, front: nn.Module, blocks: Sequence[nn.Module], pool: Pool, depths: Sequence[int]) -> None:
        """Put the parts together.

        Args:
            front: inputs → State, all that lies below the first block.
            blocks: bottom to top.
            pool: State → (B, D).
            depths: after how many blocks it is read.
        """
        super().__init__()
        self.front, self.pool, self.depths = front, pool, tuple(depths)
        self.blocks = nn.ModuleList(blocks[: max(depths)])

    def forward(self, *inputs: Tensor) -> dict[int, Tensor]:
        """Depth → (B, D)."""
        state = self.front(*inputs)
        features = {0: self.pool(state)} if 0 in self.depths else {}
        for depth, block in enumerate(self.blocks, 1):
            state = block(state)
            if depth in self.depths:
                features[depth] = self.pool(state)
        return features


class ViewGraph(nn.Module):
    """All backbones of a view: their inputs, one after the other → (B, sum of D), as ``View.matrix`` has it."""

    def __init__(
        self, eyes: Mapping[str, nn.Module], parts: Sequence[tuple[str, int]], width: int, pairs: bool
    ) -> None:
        """Put backbones together.

        Args:
            eyes: name → backbone.
            parts: name and depth of each part of the view.
            width: how many inputs each backbone has.
            pairs: whether items are two texts, whose inputs come one after the other.
        """
        super().__init__()
        self.names, self.parts, self.width, self.pairs = tuple(eyes), tuple(parts), width, pairs
        self.eyes = nn.ModuleList(eyes.values())

    def forward(self, *inputs: Tensor) -> Tensor:
        """Inputs of each backbone, of pairs those of the first text and those of the second."""
        seen: dict[tuple[str, int], Tensor] = {}
        each = self.width * (2 if self.pairs else 1)
        for name, eye, at in zip(self.names, self.eyes, self._starts(each), strict=True):
            features = eye(*inputs[at : at + self.width])
            if self.pairs:
                others = eye(*inputs[at + self.width : at + each])
                features = {depth: _paired(features[depth], others[depth]) for depth in features}
            seen.update({(name, depth): x for depth, x in features.items()})
        return torch.cat([_unit(seen[part]) for part in self.parts], 1)

    def _starts(self, each: int) -> list[int]:
        """Where the inputs of each backbone begin: one whose weights moved reads those of the one it began from."""
        bases = list(dict.fromkeys(name.partition("#")[0] for name in self.names))
        return [each * bases.index(name.partition("#")[0]) for name in self.names]


def _unit(x: Tensor) -> Tensor:
    unit: Tensor = x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return unit


def _paired(first: Tensor, second: Tensor) -> Tensor:
    """As ``features.extract.paired``, which says why."""
    u, v = _unit(first), _unit(second)
    apart = ((u - v).square().sum(1, keepdim=True) / 2).clamp(0, 2)
    angle = LIKENESS * torch.cat([1 - apart, (apart * (2 - apart)).sqrt()], 1)
    return torch.cat([(u + v) / 2, (u - v).abs() / 2, u * v * (u.shape[1] / 3) ** 0.5, angle], 1)


class Pixels(nn.Module):
    """Squares of pixels, (B, S, S, 3) uint8 → State after the first convolution."""

    def __init__(self, stem: nn.Module) -> None:
        super().__init__()
        self.stem = stem

    def forward(self, pixels: Tensor) -> State:
        """Normalise and convolve."""
        return State(self.stem(((pixels.float() - MEAN) / SCALE).permute(0, 3, 1, 2)))


def eye_of(backbone: Backbone, depths: Sequence[int]) -> Eye:
    """A backbone as a module that can be recorded.

    Args:
        backbone: of the catalogue, with weights that moved or without.
        depths: after how many blocks it is read.

    Raises:
        OptionError: it cannot be recorded; the message says which part, and what can instead.
    """
    front = front_of(backbone)
    return Eye(front, backbone.blocks, getattr(front, "pool", backbone.pool), depths)


def front_of(backbone: Backbone) -> nn.Module:
    """What lies below the first block of a backbone, from prepared numbers to State, as it can be recorded.

    Raises:
        OptionError: it cannot be; the message says which part, and what can instead.
    """
    if isinstance(backbone, TextBackbone) and isinstance(backbone.bottom, BertStem):
        return backbone.bottom
    for kind, front in _SOUNDS.items():
        if isinstance(backbone, kind):
            return front(backbone)
    if isinstance(backbone, LiteBackbone):
        return Pixels(backbone.network.stem)
    if isinstance(backbone, Vectors):
        raise OptionError(
            "a model of vectors must be answered by handful, got a wish for ONNX, whose folders prepare texts, "
            "pictures and sounds. Export without --format."
        )
    what = (
        "counts letters, which no operator of ONNX does" if backbone.counts else "is none of those that can be written"
    )
    raise OptionError(
        f"backbone {backbone.name!r} must be one that ONNX can express, got one that {what}. Tune with "
        f"`--backbone {_INSTEAD[backbone.modality]}`, or export without --format."
    )


_SOUNDS: Mapping[type[Backbone], Callable[[Any], nn.Module]] = {
    SpeechEmbedding: SpeechFront,
    VoiceEncoder: VoiceFront,
    WhisperTinyEn: WhisperFront,
    SpectrogramLite0: SpectrogramFront,
}
_INSTEAD = {"text": "minilm-l6", "image": "efficientnet-lite0", "sound": "speech-embedding"}


def inputs_of(backbones: Sequence[Backbone], pairs: bool) -> tuple[list[Input], list[Preparation], int]:
    """What goes into a graph of several backbones, and how it is prepared.

    Args:
        backbones: each once, whose weights moved or not; all of one modality.
        pairs: whether items are two texts.

    Returns:
        The inputs in their order, the preparation of each, and how many inputs a backbone has. Sounds are prepared
        alike for all backbones, but go in once for each, so that all graphs look the same.
    """
    inputs, preparations = [], []
    for number, backbone in enumerate(backbones):
        end = f"_{number}" if number else ""
        for side in ("", "second_")[: 1 + pairs]:
            if isinstance(backbone, TextBackbone):
                made, preparation = text_inputs(backbone, side, end)
            elif backbone.modality == "image":
                made, preparation = _image_input(backbone, end)
            else:
                made, preparation = _sound_input(backbone, end)
            inputs += made
            preparations.append(preparation)
    return inputs, preparations, 1 if backbones[0].modality == "image" else 2


def text_inputs(backbone: TextBackbone, side: str = "", end: str = "") -> tuple[list[Input], Preparation]:
    """The ids and the mask of texts, and how they are made.

    Args:
        backbone: which tokenises.
        side: what the names of the second of two texts begin with.
        end: what the names of a further backbone end with.
    """
    tokenise = backbone.tokenise
    assert isinstance(tokenise, FastTokeniser)  # of all that ``eye_of`` can record
    ids, mask = (f"{side}{name}{end}" for name in ("ids", "mask"))
    file = f"tokenizer{end}.json"
    entry = {
        "ids": ids, "mask": mask, "side": int(bool(side)), "tokenizer": file, "prefix": tokenise.prefix,
        "most_characters": tokenise.longest, "most_tokens": backbone.most_tokens, "pad": backbone.pad,
    }  # fmt: skip
    axes = ("items", f"{side}tokens{end}")
    example = torch.full((2, 8), backbone.pad)
    example[:, :3] = 1
    real = torch.zeros(2, 8)
    real[0, :3] = real[1, :5] = 1
    made = [Input(ids, example, axes), Input(mask, real, axes)]
    return made, Preparation(entry, {file: tokenise.tokenizer.to_str()})


def _image_input(backbone: Backbone, end: str) -> tuple[list[Input], Preparation]:
    side = int(backbone.side)  # type: ignore[attr-defined]
    name = f"pixels{end}"
    entry = {"pixels": name, "side": side, "at_least": side + MARGIN, "resize": "bicubic"}
    pixels = torch.arange(2 * side * side * 3).remainder(251).to(torch.uint8).reshape(2, side, side, 3)
    return [Input(name, pixels, ("items",))], Preparation(entry, {})


def _sound_input(backbone: Backbone, end: str) -> tuple[list[Input], Preparation]:
    waves, lengths = f"waves{end}", f"lengths{end}"
    entry = {"waves": waves, "lengths": lengths, "rate": 16_000, "seconds": float(backbone.longest)}  # type: ignore[attr-defined]
    at = torch.arange(_RECORDED) / 16_000
    example = 0.3 * torch.sin(2000 * at * (1 + at)).repeat(2, 1)
    sizes = torch.tensor([_RECORDED, _RECORDED // 2])
    made = [Input(waves, example, ("items", f"samples{end}")), Input(lengths, sizes, ("items",))]
    return made, Preparation(entry, {})


def recorded(graph: nn.Module, inputs: Sequence[Input]) -> bytes:
    """A graph as the bytes of an ONNX file with one output, ``features``; items and lengths are free.

    Torch's older recorder is used: it needs no further package, and gives operators that every runtime has.

    Args:
        graph: on the CPU.
        inputs: what goes into it.
    """
    file = io.BytesIO()
    axes = {one.name: dict(enumerate(one.axes)) for one in inputs}
    graph.eval()
    for weight in graph.parameters():
        weight.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes of pictures become constants, which they are
        torch.onnx.export(
            graph, tuple(one.example for one in inputs), cast(Any, file), input_names=[one.name for one in inputs],
            output_names=["features"], dynamic_axes={**axes, "features": {0: "items"}}, opset_version=OPSET,
            dynamo=False,
        )  # fmt: skip
    return file.getvalue()


def graph_of(
    backbones: Mapping[str, Backbone], parts: Sequence[tuple[str, int]], pairs: bool
) -> tuple[bytes, list[Preparation]]:
    """What the backbones of a view see in prepared items, as the bytes of an ONNX file, and how items are prepared.

    Args:
        backbones: name in the view → backbone; one whose weights moved is called as its base with ``#`` and more.
        parts: name and depth of each part of the view.
        pairs: whether items are two texts.

    Raises:
        OptionError: a backbone cannot be recorded.
    """
    depths = {name: [depth for other, depth in parts if other == name] for name in backbones}
    eyes = {name: eye_of(backbone, depths[name]) for name, backbone in backbones.items()}
    bases = {name.partition("#")[0]: backbone for name, backbone in backbones.items()}
    inputs, preparations, width = inputs_of(list(bases.values()), pairs)
    device = next(iter(backbones.values())).device
    return recorded_from(ViewGraph(eyes, parts, width, pairs), inputs, device), preparations


def recorded_from(graph: nn.Module, inputs: Sequence[Input], device: torch.device) -> bytes:
    """What ``recorded`` gives of a graph whose weights lie on a device, and stay there."""
    try:
        return recorded(graph.cpu(), inputs)
    finally:
        graph.to(device)
