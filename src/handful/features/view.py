"""Views: which backbones are read, at which depth, as one feature matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

MOVED = "#moved"
"""What the name of a backbone ends with where its weights moved: another one, for a view, than the frozen one."""


@dataclass(frozen=True, order=True)
class View:
    """One or several backbones, each read at one depth."""

    parts: tuple[tuple[str, int], ...]
    """Pairs of backbone name and depth."""

    @property
    def name(self) -> str:
        """The view as one word, for example ``minilm-l6@5``."""
        return "+".join(f"{backbone}@{depth}" for backbone, depth in self.parts)

    @property
    def backbones(self) -> tuple[str, ...]:
        """The backbones that a prediction has to run, each once."""
        return tuple(dict.fromkeys(backbone for backbone, _ in self.parts))

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """Each backbone once: its name in the catalogue, where it is read, and whether its weights moved."""
        return tuple(
            (name.removesuffix(MOVED), tuple(sorted(self.depths_of(name))), name.endswith(MOVED))
            for name in self.backbones
        )

    def depths_of(self, backbone: str) -> tuple[int, ...]:
        """Where a backbone is read."""
        return tuple(depth for name, depth in self.parts if name == backbone)

    def counted(self, counts: frozenset[str], features: Mapping[tuple[str, int], Matrix]) -> NDArray[np.bool_] | None:
        """Which columns of ``matrix`` are counts: (sum of widths,); None where none are.

        Args:
            counts: the backbones that count what stands in an item.
            features: (backbone, depth) → (N, D).
        """
        columns = np.concatenate([np.full(features[part].shape[1], part[0] in counts) for part in self.parts])
        return columns if columns.any() else None

    def matrix(self, features: Mapping[tuple[str, int], Matrix]) -> Matrix:
        """Join the parts, each row of each part scaled to length one, so that no backbone outshouts another.

        Args:
            features: (backbone, depth) → (N, D).

        Returns:
            (N, sum of widths).
        """
        return np.concatenate([unit_rows(features[part]) for part in self.parts], axis=1)


def unit_rows(x: NDArray[np.floating]) -> Matrix:
    """Scale every row to length one; a row of zeros stays zero. (N, D) → (N, D)."""
    norms = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(x / np.maximum(norms, 1e-12), dtype=np.float32)


def views_of(
    depths: Mapping[str, tuple[int, ...]], sides: Mapping[str, str] = MappingProxyType({})
) -> tuple[View, ...]:
    """All views worth comparing: every depth of every backbone, and the last layers of all joined.

    Of items with two inputs these are the views of each input, and the last layers of every backbone of the one joined
    with those of every backbone of the other.

    Args:
        depths: backbone name → its depths, last layer first.
        sides: backbone name → the input that it reads; empty where items are one.
    """
    if sides:
        first, second = (
            {name: at for name, at in depths.items() if sides[name] == side} for side in dict.fromkeys(sides.values())
        )
        both = [View(((one, first[one][0]), (two, second[two][0]))) for one in first for two in second]
        return (*views_of(first), *views_of(second), *both)
    single = [View(((name, depth),)) for name, at in depths.items() for depth in at]
    joined = [View(tuple((name, at[0]) for name, at in depths.items()))] if len(depths) > 1 else []
    return tuple(single + joined)
