"""Numbers that another program made, as a backbone: each column is scaled as the rows of a run say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from torch import Tensor

from handful.backbones.base import Backbone, State
from handful.data.names import listed
from handful.data.vectors import VECTORS, Vector
from handful.errors import DataError, OptionError, suggestion
from handful.files import read_ordinary

SCALING, COLUMNS = "scaling.safetensors", "columns.json"
"""The files of a fitted one: mean and spread of each column, and what the columns are called."""

# Changes whenever the same scaling would give other features.
_VERSION = 1
# Bytes of a file of the scaling: a million columns have 16 MB.
_LARGEST = 1 << 28


class Vectors(Backbone):
    """Each number less the mean of its column, by the spread of its column, and a one beside them.

    Heads read rows of length one. With the one beside D numbers that are each divided by √D, rows that differ in
    length alone still differ after that, and a row at the mean is no row of zeros.
    """

    modality = VECTORS
    search_depths = (0,)
    batch_items = 256
    remembered = False

    def __init__(
        self, name: str, centre: NDArray[np.float64], spread: NDArray[np.float64], columns: tuple[str, ...] = ()
    ) -> None:
        """Args: name: in the catalogue; centre, spread: (D,) of the columns, D = 0 before they are known; columns."""
        self.name, self.centre, self.spread, self.columns = name, centre, spread, columns
        digest = hashlib.sha256(repr((_VERSION, columns)).encode())
        digest.update(centre.tobytes() + spread.tobytes())
        self.fingerprint = digest.hexdigest()[:16]

    def fitted(self, items: Sequence[Vector]) -> Vectors:
        """The same with means and spreads of the columns of N vectors; a column that never changes counts nothing.

        Raises:
            DataError: the vectors are not of one width.
        """
        first = items[0]
        odd = next((i for i, item in enumerate(items) if len(item.values) != len(first.values)), None)
        if odd is not None:
            raise DataError(
                f"vectors must all have as many numbers as the first ({len(first.values)}), got "
                f"{len(items[odd].values)} in row {odd}{_called(items[odd])}. Correct it."
            )
        made = Vectors(self.name, np.zeros(len(first.values)), np.ones(len(first.values)), first.columns)
        table = np.stack([made._ordered(item) for item in items])  # (N, D)
        # Powers of two round nothing: with them neither sums nor squares leave the range of numbers.
        unit = np.ldexp(1.0, np.frexp(np.abs(table).max(0))[1] - 1)  # (D,)
        table /= unit
        centre = table.mean(0)
        spread = np.sqrt(np.square(table - centre).mean(0))
        # What is left of a column without any change is rounding of its mean.
        spread[spread <= 1e-12 * np.abs(centre)] = np.inf
        return Vectors(self.name, centre * unit, spread * unit, first.columns)

    def state_files(self) -> dict[str, bytes]:
        """The scaling, and the names of the columns."""
        tensors = {"centre": self.centre, "spread": self.spread}
        return {SCALING: save_tensors(tensors), COLUMNS: json.dumps(list(self.columns), ensure_ascii=False).encode()}

    def check(self, items: Sequence[Vector]) -> None:
        """Refuse vectors of another width, or without a column that was learned from."""
        for item in items:
            self._ordered(item)

    def prepare(self, items: Sequence[Vector]) -> NDArray[np.float64]:
        """B vectors as they are, (B, D)."""
        if not len(self.centre):
            raise OptionError("backbone vectors must be fitted to rows first, got none. Use it with tune.")
        return np.stack([self._ordered(item) for item in items])

    def _ordered(self, item: Vector) -> NDArray[np.float64]:
        """The numbers of a vector in the order of the columns, (D,)."""
        if item.columns and self.columns and item.columns != self.columns:
            place = {name: i for i, name in enumerate(item.columns)}
            for name in self.columns:
                if name not in place:
                    raise DataError(
                        f'vectors must have the column "{name}", which was learned from, got '
                        f"{listed(item.columns)}{_called(item)}.{suggestion(name, item.columns) or ' Add it.'}"
                    )
            return item.values[[place[name] for name in self.columns]]
        if len(item.values) != len(self.centre):
            raise DataError(
                f"vectors must have {len(self.centre)} numbers, as those that were learned from, got "
                f"{len(item.values)}{_called(item)}. Give vectors that were made in the same way."
            )
        return item.values

    def stem(self, batch: NDArray[np.float64]) -> State:
        """The scaled numbers and the one, (B, D + 1)."""
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what is far out of any range is told as numbers that are not finite
            scaled = (batch - self.centre) / self.spread / np.sqrt(len(self.centre))
            rows = np.concatenate([scaled, np.ones((len(batch), 1))], 1).astype(np.float32)
        return State(torch.from_numpy(rows))

    def pool(self, state: State) -> Tensor:
        """The same, (B, D + 1)."""
        return state.x


def _called(item: Vector) -> str:
    return f" ({item.name})" if item.name else ""


def load(name: str, folder: Path | None = None) -> Vectors:
    """The backbone: as it was fitted, where a folder holds that.

    Raises:
        OSError, ValueError: the folder holds no scaling that can be used.
    """
    if folder is None:
        return Vectors(name, np.zeros(0), np.zeros(0))
    tensors = load_tensors(read_ordinary(folder / SCALING, _LARGEST, OSError))
    columns = json.loads(read_ordinary(folder / COLUMNS, _LARGEST, OSError))
    centre, spread = tensors["centre"], tensors["spread"]
    right = centre.ndim == 1 and centre.shape == spread.shape and centre.dtype == spread.dtype == np.float64
    names = isinstance(columns, list) and all(isinstance(one, str) for one in columns)
    if not right or not names or len(columns) not in (0, len(centre)):
        raise ValueError("mean and spread must be as many numbers, and names of columns as many or none")
    if not np.isfinite(centre).all() or not (spread > 0).all():
        raise ValueError("means must be finite, and spreads above 0")
    return Vectors(name, centre, spread, tuple(columns))
