"""Graphs of pixels and cells: from a part of a picture to what filters and the maps of a backbone say there."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones.base import Backbone
from handful.backbones.efficientnet import ConvUnit
from handful.backbones.graphs import Input, Pixels, Preparation, front_of, recorded_from
from handful.backbones.linear_map import LinearMap
from handful.backbones.tiles import CELL, ENLARGED, STEP, at_pixels, filled

# Pixels of a side of the block that graphs are recorded with; sizes are not recorded.
_SIDE = 80


@dataclass(frozen=True)
class FilterBank:
    """Filters of several widths as rows of numbers that neighbours are weighed with."""

    kernels: Mapping[float, tuple[NDArray[np.float32], ...]]
    """Width in pixels → of derivative 0, 1 and 2 (K,), K odd."""
    colours: Sequence[float]
    """Widths at which colours are averaged."""
    flat: float
    """The variance below which a place is flat."""
    heard: Sequence[float] = ()
    """Widths at which first answers are heard."""


class Filters(nn.Module):
    """As ``features.pixels.filtered``: (H, W, 3) uint8 → (h, w, D) within the surroundings."""

    def __init__(self, bank: FilterBank, halo: int) -> None:
        """Keep the kernels.

        Args:
            bank: the filters, none of which reaches farther than what is seen around a block.
            halo: pixels that are seen around a block.
        """
        super().__init__()
        self.halo, self.colours, self.flat = halo, tuple(bank.colours), bank.flat
        self.widths = tuple(bank.kernels)
        for number, kernels in enumerate(bank.kernels.values()):
            self.register_buffer(f"kernels{number}", torch.from_numpy(np.stack(kernels)))  # (3, K)

    def forward(self, pixels: Tensor) -> Tensor:
        """Brightness, and of each width edges, ridges, roughness; then colours."""
        rgb = pixels.float() / 255
        grey, opposed = rgb.mean(2), (rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2])
        out = [_inner(grey, self.halo)]
        for number, width in enumerate(self.widths):
            kernels: Tensor = getattr(self, f"kernels{number}")
            around = _inner(grey, self.halo - kernels.shape[1] // 2)
            (across,) = _weighed(around, kernels[:1], kernels[1:2])
            (down,) = _weighed(around, kernels[1:2], kernels[:1])
            apart = around - grey.mean()  # so that little is lost where large numbers are taken from each other
            (squares,), (mean,) = (_weighed(x, kernels[:1], kernels[:1]) for x in (apart.square(), apart))
            smooth, *ridges = _ridges(around, kernels, width)
            edge = (across.square() + down.square()).sqrt() * width
            rough = (squares - mean.square()).clamp(min=self.flat).sqrt()
            out += [smooth, edge, *ridges, rough]
        for colour in opposed:
            for width in self.colours:
                kernels = getattr(self, f"kernels{self.widths.index(width)}")
                out += _weighed(_inner(colour, self.halo - kernels.shape[1] // 2), kernels[:1], kernels[:1])
        return torch.stack(out, -1)


class Maps(nn.Module):
    """As ``tiles.enlarged_maps``: (2 H, 2 W, 3) uint8 → (h, w, D) within the surroundings."""

    def __init__(self, front: nn.Module, blocks: Sequence[nn.Module], depths: Sequence[int], halo: int) -> None:
        """Put the parts together.

        Args:
            front: pixels → State.
            blocks: bottom to top.
            depths: after how many blocks maps are read, in order.
            halo: pixels that are seen around a block.
        """
        super().__init__()
        self.front, self.depths, self.halo = front, tuple(depths), halo
        self.blocks = nn.ModuleList(blocks[: max(depths)])

    def forward(self, large: Tensor) -> Tensor:
        """Each map at the size of the block."""
        height, width = large.shape[0] // ENLARGED, large.shape[1] // ENLARGED
        state, maps = self.front(filled(large)[None]), []
        for depth, block in enumerate(self.blocks, 1):
            state = block(state)
            if depth in self.depths:
                maps.append(state.x)
        return _inner(at_pixels(maps, height, width), self.halo)


class Heard(nn.Module):
    """As ``features.pixels.heard``, behind what is seen: (H, W, D) → (h, w, D + E) within the surroundings."""

    def __init__(self, bank: FilterBank, first: LinearMap, reach: int) -> None:
        """Keep the kernels and the map.

        Args:
            bank: the filters.
            first: what answers first.
            reach: pixels around a pixel that it is heard from.
        """
        super().__init__()
        self.reach, self.widths = reach, tuple(bank.heard)
        self.centre, self.scale, self.coef, self.intercept = (
            nn.Parameter(torch.from_numpy(x), requires_grad=False)
            for x in (first.centre, first.scale, first.coef, first.intercept)
        )
        for number, width in enumerate(self.widths):
            self.register_buffer(f"kernels{number}", torch.from_numpy(np.stack(bank.kernels[width])))  # (3, K)

    def forward(self, seen: Tensor) -> Tensor:
        """What is seen, the first answer, and of each class but the first and each width the mean and how it bends."""
        scores = ((seen - self.centre) / self.scale) @ self.coef + self.intercept  # (H, W, C)
        probable, own = scores.softmax(-1), _inner(scores, self.reach)
        out = [_inner(seen, self.reach), own[..., 1:] - own[..., :1]]
        for c in range(1, int(self.coef.shape[1])):
            for number, width in enumerate(self.widths):
                kernels: Tensor = getattr(self, f"kernels{number}")
                around = _inner(probable[..., c], self.reach - kernels.shape[1] // 2)
                out += [x[..., None] for x in _ridges(around, kernels, width)]
        return torch.cat(out, -1)


class PixelGraph(nn.Module):
    """What filters and maps say of the pixels of a block, row by row: (h · w, D)."""

    def __init__(self, filters: Filters | None, maps: Maps | None, heard: Heard | None) -> None:
        """Say what is looked with, one of them at least, and whether first answers are heard."""
        super().__init__()
        self.filters, self.maps, self.heard = filters, maps, heard

    def forward(self, *inputs: Tensor) -> Tensor:
        """The block with its surroundings, the same enlarged, or both."""
        looks = [look for look in (self.filters, self.maps) if look is not None]
        seen = torch.cat([look(x) for look, x in zip(looks, inputs, strict=True)], -1)
        return (seen if self.heard is None else self.heard(seen)).flatten(0, 1)


class AnySize(nn.Module):
    """A unit of a network whose padding follows the size of what it gets, where a graph is recorded."""

    def __init__(self, unit: ConvUnit) -> None:
        """Take its place."""
        super().__init__()
        self.conv, self.norm = unit.conv, unit.norm
        self.kernel, self.stride, self.linear = unit.kernel, unit.stride, unit.linear

    def forward(self, x: Tensor) -> Tensor:
        """As ``efficientnet.ConvUnit``."""
        if self.kernel > 1:
            (top, bottom), (left, right) = (self._padding(x.shape[axis]) for axis in (2, 3))
            x = functional.pad(x, (left, right, top, bottom))
        x = self.norm(self.conv(x))
        return x if self.linear else functional.relu6(x)

    def _padding(self, size: int) -> tuple[int, int]:
        """As ``efficientnet.same_padding``, in whole numbers that a graph computes: kernels are wider than strides."""
        total = ((size + self.stride - 1) // self.stride - 1) * self.stride + self.kernel - size
        return total // 2, total - total // 2


def _inner(x: Tensor, border: int) -> Tensor:
    """A picture without so many pixels at each side. (H, W, …) → (h, w, …)."""
    return x[border : x.shape[0] - border, border : x.shape[1] - border]


def _weighed(grey: Tensor, down: Tensor, across: Tensor) -> list[Tensor]:
    """Neighbours weighed by one kernel downwards, (1, K), and then by n across, (n, K). (H, W) → n of (h, w)."""
    once = functional.conv2d(grey[None, None], down[:, None, :, None])
    return list(functional.conv2d(once, across[:, None, None, :])[0])


def _ridges(around: Tensor, kernels: Tensor, width: float) -> tuple[Tensor, Tensor, Tensor]:
    """As ``features.pixels``: the mean and the eigenvalues of second derivatives. (H, W) → (h, w) each."""
    smooth, xx = _weighed(around, kernels[:1], kernels[::2])
    (xy,) = _weighed(around, kernels[1:2], kernels[1:2])
    (yy,) = _weighed(around, kernels[2:], kernels[:1])
    xx, yy, xy = xx * width**2, yy * width**2, xy * width**2
    middle, apart = (xx + yy) / 2, (((xx - yy) / 2).square() + xy.square()).sqrt()
    return smooth, middle + apart, middle - apart


def any_size(module: nn.Module) -> nn.Module:
    """A copy of a part of a network that takes pictures of any size where it is recorded."""
    made = copy.deepcopy(module)
    if isinstance(made, ConvUnit):
        return AnySize(made)
    for name, child in made.named_children():
        if isinstance(child, ConvUnit):
            setattr(made, name, AnySize(child))
    return made


def _of_any_size(backbone: Backbone, depths: Sequence[int]) -> tuple[nn.Module, list[nn.Module]]:
    """What lies below the first block of a backbone of pictures, and its blocks, copied to be recorded."""
    front = front_of(backbone)
    assert isinstance(front, Pixels)
    return Pixels(any_size(front.stem)), [any_size(one) for one in backbone.blocks[: max(depths)]]


class CellMaps(nn.Module):
    """As ``tiles.cell_maps``, row by row: (H, W, 3) uint8 → (H · W / CELL², D)."""

    def __init__(self, front: nn.Module, blocks: Sequence[nn.Module], depths: Sequence[int]) -> None:
        """Put the parts together.

        Args:
            front: pixels → State.
            blocks: bottom to top.
            depths: after how many blocks maps are read, in order.
        """
        super().__init__()
        self.front, self.depths = front, tuple(depths)
        self.blocks = nn.ModuleList(blocks[: max(depths)])

    def forward(self, pixels: Tensor) -> Tensor:
        """Each map at the size of the cells; both sides are whole steps, so that no map has a part of a cell."""
        state, cells, found = self.front(pixels[None]), int(pixels.shape[1]) // CELL, []
        for depth, block in enumerate(self.blocks, 1):
            state = block(state)
            if depth in self.depths:
                x, size = state.x, int(state.x.shape[-1])
                if size > cells:
                    x = functional.avg_pool2d(x, size // cells)
                elif size < cells:
                    x = functional.interpolate(x, scale_factor=cells // size, mode="bilinear", align_corners=False)
                found.append(x[0])
        return torch.cat(found).permute(1, 2, 0).flatten(0, 1)


def cell_graph_of(backbone: Backbone) -> tuple[bytes, Preparation]:
    """What is seen in the cells of a part of a picture, as the bytes of an ONNX file, and how pictures are prepared.

    Args:
        backbone: whose maps are read.

    Raises:
        OptionError: it cannot be recorded.
    """
    graph = CellMaps(*_of_any_size(backbone, backbone.cell_depths), backbone.cell_depths)
    pixels = torch.arange(2 * STEP * 3 * STEP * 3).remainder(251).to(torch.uint8).reshape(2 * STEP, 3 * STEP, 3)
    inputs = [Input("pixels", pixels, ("height", "width"))]
    return recorded_from(graph, inputs, backbone.device), Preparation({"pixels": "pixels", "step": STEP}, {})


def pixel_graph_of(
    bank: FilterBank | None, backbone: Backbone | None, halo: int, most: int, block: int,
    heard: tuple[LinearMap, int] | None = None,
) -> tuple[bytes, Preparation]:  # fmt: skip
    """What is seen at the pixels of a block, as the bytes of an ONNX file, and how pictures are prepared.

    Args:
        bank: filters; None: none are looked with.
        backbone: whose maps are read; None: none are.
        halo: pixels that are seen around a block.
        most: of the shorter side of a picture as it is read.
        block: of a side of a block.
        heard: what answers first, and from how many pixels around it is heard, which takes filters; None: nothing is.

    Raises:
        OptionError: the backbone cannot be recorded.
    """
    maps, inputs, reach = None, list[Input](), heard[1] if heard is not None else 0
    side = _SIDE + 2 * reach
    pixels = torch.arange(side * (side + 2) * 3).remainder(251).to(torch.uint8).reshape(side, side + 2, 3)
    if bank is not None:
        inputs.append(Input("pixels", pixels, ("height", "width")))
    if backbone is not None:
        maps = Maps(*_of_any_size(backbone, backbone.pixel_depths), backbone.pixel_depths, halo)
        large = pixels.repeat_interleave(ENLARGED, 0).repeat_interleave(ENLARGED, 1)
        inputs.append(Input("large", large, ("large_height", "large_width")))
    filters = Filters(bank, halo) if bank is not None else None
    graph = PixelGraph(filters, maps, Heard(bank, *heard) if bank is not None and heard is not None else None)
    entry = {"pixels": "pixels", "large": "large", "halo": halo + reach, "most": most, "block": block}
    device = torch.device("cpu") if backbone is None else backbone.device
    return recorded_from(graph, inputs, device), Preparation(entry, {})
