"""What models of parts share: how they are saved, read back, copied, and what is said before their answers are used."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from handful.atomic import replaced_folder
from handful.backbones.base import Backbone
from handful.data.dataset import content_hash
from handful.evaluation.scores import unproven
from handful.export.record import MOVED_WEIGHTS, entries, wrong_entry
from handful.progress import Say, silent
from handful.readback import checked, damage_is
from handful.run_folder import RECORD, model_folder
from handful.tasks.base import Task

_HASH = re.compile("[0-9a-f]{64}")


class PartModel(ABC):
    """A model on one frozen backbone: what it learned lies in one file of tensors beside its record."""

    kind: ClassVar[str]
    """What its record says that it is."""
    file: ClassVar[str]
    """The file of its tensors."""
    modality: str
    """What items are."""
    input: str | None
    """The column of a table that holds the items; None where there is none."""
    backbone_name: str
    """What looks at them; empty where none is needed."""
    place: Path | None
    """Where it was read from; None for one that was just made."""
    beats_reference: bool | None
    """Whether held-out rows show it to be better than an answer that looks at no item; None where that is not known."""
    names: tuple[str, ...]
    """What is told apart: normal items and bad ones, classes of pixels, or labels of boxes."""
    fingerprint: str
    """Of its weights."""
    loaded: Backbone | None
    """The backbone in memory."""
    learned: frozenset[str]
    """Hashes of the items that it learned from; empty in a model that was written before these were kept."""
    pairs: ClassVar[bool] = False
    """No part lies in two texts."""

    @property
    def is_frozen(self) -> bool:
        """Whether its backbone is that of others, in which nothing moved."""
        return True

    @property
    @abstractmethod
    def task(self) -> Task:
        """What is answered to an item."""

    @property
    @abstractmethod
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """The backbone, where it is read, and whether it moved."""

    @abstractmethod
    def ready(self, say: Say = silent) -> Backbone | None:
        """The backbone, loaded where it is not yet, and compared with the one that was learned with."""

    @abstractmethod
    def write(self, folder: Path, card: str = "") -> None:
        """Write the files into a folder that is there, and read them back.

        Raises:
            OSError: they cannot be written.
            BundleError: the copy read back is not what was written.
        """

    @classmethod
    @abstractmethod
    def _of(cls, place: Path, record: dict[str, Any]) -> Self:
        """The model of a record whose version and hashes are checked; raises ``ValueError`` for a wrong entry."""

    @property
    def warning(self) -> str:
        """What to know before its answers are used: that nothing shows what it is worth; else empty."""
        said = unproven("The model", self.task.reference.words, self.task.nothing_shown)
        return said if self.beats_reference is False else ""

    def __getstate__(self) -> dict[str, Any]:
        """All but the backbone in memory, which is loaded again when a copy needs it."""
        return {**vars(self), "loaded": None}

    def save(self, folder: str | Path, card: str = "") -> None:
        """Write the model; raises as ``Bundle.save``."""
        with replaced_folder(Path(folder), (RECORD, self.file, MOVED_WEIGHTS, "README.md")) as target:
            self.write(target, card)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model, checking version, hashes, names and shapes before anything is built.

        Args:
            folder: where it is, or the run folder that holds it in ``model/``.

        Raises:
            BundleError: it is missing, changed, damaged or newer than this handful.
        """
        place = model_folder(folder)
        record = entries(place, cls.kind)

        with damage_is(wrong_entry(place)):
            model = checked(cls._of(place, record))
            model.learned = _hashes_in(record)
            return model

    def learned_from(self, items: Sequence[Any]) -> NDArray[np.bool_]:
        """Which of N items it learned from, byte for byte. (N,).

        Raises:
            DataError: a file can no longer be read.
        """
        return np.array([content_hash(item) in self.learned for item in items], bool)


def _hashes_in(record: dict[str, Any]) -> frozenset[str]:
    """The hashes of what was learned from, of a record; raises ``ValueError`` where they are none."""
    hashes = record.get("learned", [])
    if not (isinstance(hashes, list) and all(isinstance(one, str) and _HASH.fullmatch(one) for one in hashes)):
        raise ValueError("learned")
    return frozenset(hashes)
