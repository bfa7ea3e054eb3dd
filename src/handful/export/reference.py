"""The reference: what a bundle keeps of its training rows, to compare new ones with; a megabyte or two at most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import BundleError
from handful.evaluation.novelty import Novelty
from handful.features.view import Matrix, View, unit_rows
from handful.tasks.base import HeadTask, Targets

FILE = "reference.safetensors"
"""Its name within the bundle."""
MOST = 500
"""At most this many training rows are kept as features, and as many new ones are compared with them."""


MOST_WITHOUT_ROWS = 5000
"""The same of a model that learns on from what it keeps, because its rows are gone."""


@dataclass(frozen=True)
class Near:
    """A training row that is like an item."""

    row: int
    """Its zero-based position in the source."""
    label: str
    """What the source says."""
    similarity: float
    """The cosine of what is read in the two, 1 for the same item."""

    def record(self) -> dict[str, Any]:
        """The row as plain values."""
        return {"row": self.row, "label": self.label, "similarity": round(self.similarity, 6)}

    def told(self, inputs: Mapping[int, str]) -> str:
        """The row in words: by its text or file name where that is known, which finds it in any source."""
        return (
            f"labelled {self.label}: {inputs[self.row]}"
            if self.row in inputs
            else f"row {self.row}, labelled {self.label}"
        )


@dataclass(frozen=True)
class Judged:
    """What a model says about N items, and what the comparison with its training rows needs."""

    outputs: NDArray[np.float64]
    """(N, K); rows that failed are not used."""
    features: NDArray[np.float32]
    """(N, D) of the view of the reference."""
    failed: dict[int, str]
    """Position → why it cannot be read."""
    scores: NDArray[np.float64] | None = None
    """(N, K) the sums that the outputs were made of; None where nobody kept them."""


@dataclass(frozen=True)
class Reference:
    """What is known about N training rows, of which M are kept as features."""

    view: View
    """What was read: always frozen backbones, since weights that moved have the training rows by heart."""
    novelty: Novelty
    """What is usual."""
    misfit: NDArray[np.float32]
    """(N,) how badly each row fitted what was answered while it was held out, in rising order."""
    rows: NDArray[np.float16]
    """(M, D) features of some rows, scaled to length one."""
    answered: NDArray[np.int64]
    """(M,) the kind of what was answered for each of these while it was held out."""
    targets: Targets
    """What is wanted of these M rows."""
    places: NDArray[np.int64]
    """(M,) their positions in the source."""

    @classmethod
    def of(
        cls,
        view: View,
        features: Matrix,
        targets: Targets,
        whole: NDArray[np.float64],
        groups: NDArray[np.int64] | None,
        places: Sequence[int] | None = None,
        most: int = MOST,
    ) -> Reference:
        """Keep what is needed of the training rows.

        Args:
            view: what was read.
            features: (N, D).
            targets: what is wanted of the N rows.
            whole: (R, N, K) out-of-fold answers of the whole procedure.
            groups: (N,) rows that are not independent share a number; None where all are.
            places: (N,) positions in the source; None where they are 0 to N - 1.
            most: at most so many rows are kept as features.
        """
        task, mean, some = targets.task, whole.mean(0), spread_out(len(features), most)
        novelty = Novelty.of(features, task.strata(targets), task.confidence(mean), groups)
        kept, at = unit_rows(features[some]).astype(np.float16), range(len(features)) if places is None else places
        misfit = np.sort(task.misfits(whole, targets)).astype(np.float32)
        sources = np.asarray(at, np.int64)[some]
        return cls(view, novelty, misfit, kept, task.kinds(mean)[some], targets.take(some), sources)

    def like(self, features: Matrix, count: int) -> list[list[Near]]:
        """The training rows most like each of some items, by the cosine of what is read.

        Args:
            features: (Q, D) of the view.
            count: how many are wanted.

        Returns:
            Q lists, the most similar first.
        """
        labels = self.targets.task.wanted(self.targets)
        likeness = unit_rows(features) @ self.rows.astype(np.float32).T  # (Q, M)
        best = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        return [
            [Near(int(self.places[i]), labels[i], float(min(1.0, likeness[q, i]))) for i in row.tolist()]
            for q, row in enumerate(best)
        ]

    def nearest(self, position: int, count: int) -> list[int]:
        """The training rows most like one of them, by the cosine of what is read, most like it first.

        Args:
            position: of a training row, 0 to N - 1.
            count: how many are wanted.

        Returns:
            Positions of other rows; none for a row that was not kept.
        """
        sampled = spread_out(len(self.misfit), len(self.rows))
        if position not in sampled:
            return []
        rows, own = self.rows.astype(np.float32), int(np.searchsorted(sampled, position))
        order = np.argsort(-(rows @ rows[own]), kind="stable")
        return [int(sampled[i]) for i in order if i != own][:count]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The reference as tensors for a file."""
        return {
            "means": self.novelty.means,
            "usual": self.novelty.usual,
            "strange": self.novelty.strange,
            "misfit": self.misfit,
            "rows": self.rows,
            "answered": self.answered,
            "truth": self.targets.values,
            "places": self.places,
        }

    @classmethod
    def from_tensors(
        cls, view: View, tensors: Mapping[str, NDArray[Any]], task: HeadTask, names: tuple[str, ...], where: str
    ) -> Reference:
        """Read back what ``tensors`` gave.

        Args:
            view: what was read.
            tensors: by name.
            task: of the bundle.
            names: of its targets.
            where: the file, for messages.

        Raises:
            BundleError: one of them cannot be what it must be.
        """
        width, strata, rows, sampled = (
            tensors[name].shape[axis] if name in tensors and tensors[name].ndim > axis else 0
            for name, axis in (("means", 1), ("means", 0), ("strange", 0), ("rows", 0))
        )
        must = {
            "means": ((strata, width), np.float32),
            "usual": ((2, 2), np.float32),
            "strange": ((rows,), np.float32),
            "misfit": ((rows,), np.float32),
            "rows": ((sampled, width), np.float16),
            "answered": ((sampled,), np.int64),
            "places": ((sampled,), np.int64),
        }
        for name, (shape, kind) in must.items():
            tensor = tensors.get(name)
            if (
                tensor is None
                or tensor.shape != shape
                or tensor.dtype != kind
                or 0 in shape
                or not np.isfinite(tensor).all()
            ):
                raise BundleError(
                    f"{where}: {name} must be finite {np.dtype(kind).name} numbers of shape {shape}. "
                    "Restore it or tune again."
                )
        disordered = any((np.diff(tensors[name]) < 0).any() for name in ("strange", "misfit"))
        targets = Targets(task, np.atleast_1d(tensors.get("truth", np.zeros(0))), names)
        if (
            disordered
            or (tensors["usual"][:, 1] <= 0).any()
            or (tensors["answered"] < 0).any()
            or (tensors["places"] < 0).any()
            or len(targets) != sampled
            or not task.holds(targets)
        ):
            raise BundleError(f"{where} holds numbers that no training rows can give. Restore it or tune again.")
        novelty = Novelty(tensors["means"], tensors["usual"], tensors["strange"])
        return cls(view, novelty, tensors["misfit"], tensors["rows"], tensors["answered"], targets, tensors["places"])


def spread_out(count: int, most: int = MOST) -> NDArray[np.int64]:
    """Positions of at most so many rows, evenly spread over all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
