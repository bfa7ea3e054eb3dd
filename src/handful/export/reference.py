"""The reference: what a bundle keeps of its training rows, to compare new ones with; a megabyte or two at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import BundleError
from handful.evaluation import drift
from handful.evaluation.conformal import misfits
from handful.evaluation.novelty import Novelty
from handful.features.view import Matrix, View, unit_rows

FILE = "reference.safetensors"
"""Its name within the bundle."""


@dataclass(frozen=True)
class Reference:
    """What is known about N training rows, of which M are kept as features."""

    view: View
    """What was read: always frozen backbones, since weights that moved have the training rows by heart."""
    novelty: Novelty
    """What is usual."""
    misfit: NDArray[np.float32]
    """(N,) one minus the probability of each row's class while it was held out, in rising order."""
    rows: NDArray[np.float16]
    """(M, D) features of some rows, scaled to length one."""
    answered: NDArray[np.int64]
    """(M,) the class that was answered for each of these while it was held out."""

    @classmethod
    def of(
        cls,
        view: View,
        features: Matrix,
        truth: NDArray[np.int64],
        whole: NDArray[np.float64],
        groups: NDArray[np.int64] | None,
    ) -> Reference:
        """Keep what is needed of the training rows.

        Args:
            view: what was read.
            features: (N, D).
            truth: (N,) class numbers.
            whole: (R, N, C) out-of-fold probabilities of the whole procedure.
            groups: (N,) rows that are not independent share a number; None where all are.
        """
        mean, some = whole.mean(0), drift.spread_out(len(features))
        novelty = Novelty.of(features, truth, mean.max(1), groups)
        kept = unit_rows(features[some]).astype(np.float16)
        return cls(view, novelty, misfits(whole, truth), kept, mean.argmax(1)[some].astype(np.int64))

    def nearest(self, position: int, count: int) -> list[int]:
        """The training rows most like one of them, by the cosine of what is read, most like it first.

        Args:
            position: of a training row, 0 to N - 1.
            count: how many are wanted.

        Returns:
            Positions of other rows; none for a row that was not kept.
        """
        kept = drift.spread_out(len(self.misfit), len(self.rows))
        if position not in kept:
            return []
        rows, own = self.rows.astype(np.float32), int(np.searchsorted(kept, position))
        order = np.argsort(-(rows @ rows[own]), kind="stable")
        return [int(kept[i]) for i in order if i != own][:count]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The reference as tensors for a file."""
        return {
            "means": self.novelty.means,
            "usual": self.novelty.usual,
            "strange": self.novelty.strange,
            "misfit": self.misfit,
            "rows": self.rows,
            "answered": self.answered,
        }

    @classmethod
    def from_tensors(cls, view: View, tensors: Mapping[str, NDArray[Any]], classes: int, where: str) -> Reference:
        """Read back what ``tensors`` gave.

        Args:
            view: what was read.
            tensors: by name.
            classes: C of the bundle.
            where: the file, for messages.

        Raises:
            BundleError: one of them cannot be what it must be.
        """
        width, rows, kept = (
            tensors[name].shape[axis] if name in tensors and tensors[name].ndim > axis else 0
            for name, axis in (("means", 1), ("strange", 0), ("rows", 0))
        )
        must = {
            "means": ((classes, width), np.float32),
            "usual": ((2, 2), np.float32),
            "strange": ((rows,), np.float32),
            "misfit": ((rows,), np.float32),
            "rows": ((kept, width), np.float16),
            "answered": ((kept,), np.int64),
        }
        for name, (shape, kind) in must.items():
            found = tensors.get(name)
            if (
                found is None
                or found.shape != shape
                or found.dtype != kind
                or 0 in shape
                or not np.isfinite(found).all()
            ):
                raise BundleError(
                    f"{where}: {name} must be finite {np.dtype(kind).name} numbers of shape {shape}. "
                    "Restore it or tune again."
                )
        disordered = any((np.diff(tensors[name]) < 0).any() for name in ("strange", "misfit"))
        if (
            disordered
            or (tensors["usual"][:, 1] <= 0).any()
            or not np.isin(tensors["answered"], np.arange(classes)).all()
        ):
            raise BundleError(f"{where} holds numbers that no training rows can give. Restore it or tune again.")
        novelty = Novelty(tensors["means"], tensors["usual"], tensors["strange"])
        return cls(view, novelty, tensors["misfit"], tensors["rows"], tensors["answered"])
