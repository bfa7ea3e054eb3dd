"""The Detector: what normal items look like as data, and the threshold of its alarms; saved without pickle, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from handful.backbones.base import Backbone, default_device
from handful.data.cells import shown
from handful.data.dataset import CLASSIFIED
from handful.data.handed_items import handed_items
from handful.data.items import make_items
from handful.errors import BundleError, DataError
from handful.evaluation.scores import Scores
from handful.export.loading import check_depths, untouched
from handful.export.part_model import PartModel
from handful.export.record import (
    check_tensor,
    is_backbone,
    is_number_of_blocks,
    tensors_of,
    write_record,
)
from handful.features.normal_parts import compared_parts
from handful.features.parts import ItemParts
from handful.progress import Say, silent
from handful.run_folder import DETECTOR
from handful.strategies.frozen.normality import RINGS, SUMMARIES, Normality
from handful.tasks.defects import DEFECTS, Defects, Promise

FILE = "normal.safetensors"


@dataclass(frozen=True)
class Seen:
    """What a detector sees in one item."""

    score: float
    """How unusual it is; 0 where it could not be read."""
    heat: NDArray[np.float64]
    """(P,) how many times as far as usual each part is from normal ones."""
    place: NDArray[np.float64]
    """(P, 2) or (P, 4), see ``backbones.parts.PLACED``."""
    failed: str = ""
    """Why it could not be read."""


@dataclass(eq=False)
class Detector(PartModel):
    """A model that tells what is unlike normal items."""

    kind: ClassVar[str] = DETECTOR
    file: ClassVar[str] = FILE

    modality: str
    """text, image or sound."""
    backbone_name: str
    """What looks at the items."""
    fingerprint: str
    """Of its weights."""
    normality: Normality
    """What parts of normal items look like."""
    promise: Promise
    """From which score on an item raises an alarm, and what that means."""
    names: tuple[str, str]
    """What a normal item and a bad one are called."""
    input: str | None = None
    """The column that held the items in training."""
    target: str | None = None
    """The column that said which items are normal."""
    beats_reference: bool | None = None
    """Whether bad items show it to be better than alarms at random."""
    loaded: Backbone | None = field(default=None, repr=False)
    """The backbone in memory."""
    place: Path | None = None
    """The folder that it was read from."""
    learned: frozenset[str] = field(default=frozenset(), repr=False)
    """Hashes of the items that it learned from; empty in a model that was written before these were kept."""

    task = DEFECTS

    def ready(self, say: Say = silent) -> Backbone:
        """The backbone, loaded where it is not yet, and compared with the one that was learned with."""
        if self.loaded is None:
            fetching = partial(say, f"fetching {self.backbone_name}")
            backbone = untouched(self.backbone_name, self.modality, self.fingerprint, progress=fetching)
            depths = self.normality.depths
            check_depths(backbone, f"{self.backbone_name} after {', '.join(map(str, depths))} blocks", depths)
            self.loaded = backbone.to(default_device())
        return self.loaded

    def look(self, items: Sequence[Any], progress: Callable[[int, int], None] = lambda done, total: None,
             ) -> Iterator[Seen]:  # fmt: skip
        """What is seen in one item after the other; an item that cannot be read says so.

        Args:
            items: N items of its modality.
            progress: called with the number of items done and in all.
        """
        backbone = self.ready()
        for parts in compared_parts(backbone, items, self.normality.depths, None, progress):
            yield self.seen(parts)

    def seen(self, parts: ItemParts) -> Seen:
        """What the parts of an item say of it."""
        if not len(parts):
            return Seen(0.0, np.zeros(0), parts.place, parts.failed or "it has no parts to look at")
        distances = self.normality.distances(parts)
        return Seen(self.normality.score(distances), self.normality.heat(distances), parts.place)

    def scores(self, items: Sequence[Any]) -> NDArray[np.float64]:
        """(N,) how unusual items are: 0 for usual ones, in standard deviations of normal items.

        Raises:
            DataError: an item cannot be read.
            WeightsError, BundleError: the backbone is not there, or another one.
        """
        values, failed = make_items(handed_items(items, self.input), self.modality, None)
        found = [] if failed else list(self.look(values))
        bad = failed or {i: one.failed for i, one in enumerate(found) if one.failed}
        if bad:
            at = min(bad)
            name = values[at] if isinstance(values[at], Path) else f"item {at}"
            raise DataError(f"{name} cannot be read: {bad[at]}.")
        return np.array([one.score for one in found])

    def predict(self, items: Sequence[Any]) -> list[str]:
        """What each of N items is called: as a normal one, or as a bad one; raises as ``scores``."""
        return self.words(self.scores(items))

    def words(self, scores: NDArray[np.float64]) -> list[str]:
        """(N,) scores as the names of what they say."""
        return [self.names[int(alarm)] for alarm in self.promise.alarms(scores)]

    @property
    def columns(self) -> tuple[str, str]:
        """How columns of what items are called, and of answers, are called."""
        name = self.target or "label"
        return name, f"predicted {name}"

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """The backbone, where it is read, and that it did not move."""
        return ((self.backbone_name, self.normality.depths, False),)

    def __repr__(self) -> str:
        return f"Detector({self.modality}, {self.promise.normal} normal items, {shown(self.backbone_name)})"

    def card(self, scores: Scores, source: str) -> str:
        """The model card, in Markdown, with what a run on this source measured."""
        return (
            "---\nlibrary_name: handful\ntags:\n- handful\n- anomaly-detection\n---\n\n"
            f"# What is unlike normal items ({shown(self.names[0])})\n\n{scores.sentence}\n\n"
            f"It learned from {self.promise.normal} normal items alone, with {shown(self.backbone_name)}. An item that "
            f'scores above {self.promise.threshold:.3f} is called "{shown(self.names[1])}". It holds for items made '
            "as those were, and for no others: another camera, light or place makes everything look unusual.\n\n"
            "Use it: `handful predict RUN NEW`.\n"
        )

    def write(self, folder: Path, card: str = "") -> None:
        """Write the files into a folder that is there, and read them back.

        Raises:
            OSError: they cannot be written.
            BundleError: the copy read back is not what was written.
        """
        own = self.normality
        tensors: dict[str, NDArray[np.floating]] = {"usual": own.usual, "scatter": own.scatter, "border": own.border}
        for depth in own.depths:
            tensors |= {f"memory.{depth}": own.memory[depth], f"centre.{depth}": own.centre[depth],
                        f"spread.{depth}": own.spread[depth]}  # fmt: skip
        content = save({name: np.ascontiguousarray(x, np.float32) for name, x in tensors.items()})
        (folder / FILE).write_bytes(content)
        record = {
            "modality": self.modality,
            "backbone": {"name": self.backbone_name, "fingerprint": self.fingerprint},
            "depths": list(own.depths),
            "names": list(self.names),
            "promise": self.promise.as_dict(),
            "hot": own.hot,
            "input": self.input,
            "target": self.target,
            "beats_reference": self.beats_reference,
            "learned": sorted(self.learned),
        }
        write_record(folder, DETECTOR, DEFECTS, record, [FILE])
        (folder / "README.md").write_text(card or "# Defects\n", encoding="utf-8")
        copy = Detector.load(folder)
        same = all(np.array_equal(copy.normality.memory[depth], own.memory[depth]) for depth in own.depths)
        if not same or copy.promise != self.promise:
            raise BundleError("the model was read back differently from what was written. Save it again.")

    @classmethod
    def _of(cls, place: Path, record: dict[str, Any]) -> Self:
        backbone, depths, names = record["backbone"], record["depths"], record["names"]
        if not is_backbone(backbone):
            raise ValueError("backbone")
        if record["modality"] not in CLASSIFIED or record["task"] != Defects.name:
            raise ValueError("modality")
        if not (isinstance(depths, list) and depths and all(map(is_number_of_blocks, depths))):
            raise ValueError("depths")
        if not (isinstance(names, list) and len(names) == 2 and all(isinstance(name, str) and name for name in names)):
            raise ValueError("names")
        if not all(isinstance(record[name], str | None) for name in ("input", "target")):
            raise ValueError("input")
        if not isinstance(record["beats_reference"], bool | None):
            raise ValueError("beats_reference")
        normality = _normality(place / FILE, tensors_of(place, FILE, record), tuple(depths))
        normality = replace(normality, hot=float(record["hot"]))
        return cls(
            record["modality"], backbone["name"], backbone["fingerprint"], normality,
            Promise.from_dict(record["promise"]), (names[0], names[1]), record["input"], record["target"],
            record["beats_reference"], place=place,
        )  # fmt: skip


def _normality(file: Path, tensors: dict[str, NDArray[np.float32]], depths: tuple[int, ...]) -> Normality:
    """What normal parts look like, out of tensors whose shapes fit each other.

    Raises:
        BundleError: they do not.
    """
    first = tensors.get(f"memory.{depths[0]}")
    kept = len(first) if first is not None and first.ndim else 1
    for depth in depths:
        found = tensors.get(f"memory.{depth}")
        width = found.shape[1] if found is not None and found.ndim == 2 else 1
        check_tensor(file, f"memory.{depth}", found, (max(1, kept), width))
        for name in ("centre", "spread"):
            check_tensor(file, f"{name}.{depth}", tensors.get(f"{name}.{depth}"), (width,))
    for name in ("usual", "scatter"):
        check_tensor(file, name, tensors.get(name), (len(depths), len(SUMMARIES)))
    check_tensor(file, "border", tensors.get("border"), (len(depths), RINGS))
    for name in (*(f"spread.{depth}" for depth in depths), "scatter", "border"):
        if not (tensors[name] > 0).all():
            raise BundleError(f"{file}: {name} must be above 0. Restore it or tune again.")
    by_depth = [{depth: tensors[f"{name}.{depth}"] for depth in depths} for name in ("memory", "centre", "spread")]
    return Normality(
        by_depth[0], np.zeros(kept, np.int64), by_depth[1], by_depth[2],
        tensors["usual"].astype(np.float64), tensors["scatter"].astype(np.float64),
        tensors["border"].astype(np.float64),
    )  # fmt: skip
