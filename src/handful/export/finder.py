"""The Finder: where many small things of a kind are in a picture, and how many; saved without pickle, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from handful.backbones.base import Backbone, default_device
from handful.data.boxes import MOST_LABELS, Box
from handful.data.cells import shown
from handful.data.handed_items import handed_items
from handful.data.items import make_items
from handful.errors import BundleError, DataError
from handful.evaluation.scores import Scores
from handful.export.kept_parts import Moved
from handful.export.loading import check_depths, untouched, with_moved
from handful.export.part_model import PartModel
from handful.export.record import check_tensor, is_backbone, is_moved, tensors_of, write_record
from handful.features.cells import LARGEST
from handful.features.pixels import MAPS
from handful.progress import Say, silent
from handful.run_folder import FINDER
from handful.strategies.frozen.box_answers import answered, box_said
from handful.strategies.frozen.centres import BoxMap, Sides, detections
from handful.strategies.frozen.pixels import PixelMap
from handful.tasks.boxes import BOXES

FILE = "boxes.safetensors"


@dataclass(frozen=True)
class Counted:
    """What was found in one picture."""

    boxes: tuple[Box, ...] = ()
    """The surest first."""
    confidence: tuple[float, ...] = ()
    """How often boxes are right that are as sure as each."""
    failed: str = ""
    """Why it could not be read."""

    @property
    def values(self) -> list[dict[str, Any]]:
        """The boxes as a program wants them."""
        return [box_said(box.corners, box.label, sure) for box, sure in zip(self.boxes, self.confidence, strict=True)]

    def counts(self, names: Sequence[str]) -> list[int]:
        """How many there are of each label."""
        labels = [box.label for box in self.boxes]
        return [labels.count(name) for name in names]


@dataclass(frozen=True)
class Drawn:
    """One picture as the report shows it."""

    width: int
    """Of the picture, in pixels."""
    height: int
    """The same."""
    wanted: tuple[Box, ...]
    """What is marked in it."""
    said: tuple[Box, ...]
    """What was answered while it was held out."""
    right: tuple[bool, ...]
    """Which of these are right."""


@dataclass(eq=False)
class Finder(PartModel):
    """A model that says where things are in a picture."""

    kind: ClassVar[str] = FINDER
    file: ClassVar[str] = FILE

    backbone_name: str
    """What looks at the pictures."""
    fingerprint: str
    """Of its weights."""
    boxes: BoxMap
    """From what is seen in a cell of a picture to boxes."""
    scale: float
    """By how much pictures are enlarged to be read."""
    cuts: NDArray[np.float32]
    """(C,) how probable the middle of a thing has to be for its box to be answered."""
    lines: NDArray[np.float32]
    """(C, 2) from there to how often such boxes are right."""
    names: tuple[str, ...]
    """What the labels are called, sorted."""
    beats_reference: bool | None = None
    """Whether it is shown to be better than brightness alone."""
    place: Path | None = None
    """Where it was read from; None for one that was just made."""
    learned: frozenset[str] = field(default=frozenset(), repr=False)
    """Hashes of the items that it learned from; empty in a model that was written before these were kept."""
    loaded: Backbone | None = field(default=None, repr=False)
    """The backbone in memory, with what moved in its place."""
    moved: Moved | None = field(default=None, repr=False)
    """What moved in it; None where nothing did."""

    task = BOXES
    modality = "image"
    input: str | None = None
    """The column of a table that holds the pictures; None, since folders are learned from."""

    def ready(self, say: Say = silent) -> Backbone:
        """The backbone, loaded where it is not yet, and compared with the one that was learned with."""
        if self.loaded is None:
            fetching = partial(say, f"fetching {self.backbone_name}")
            backbone = untouched(self.backbone_name, self.modality, self.fingerprint, progress=fetching)
            check_depths(backbone, f"maps of {self.backbone_name}", backbone.cell_depths)
            if self.moved is not None:
                backbone = with_moved(backbone, self.moved.tuner, self.moved.first, self.moved.delta)
            self.loaded = backbone.to(default_device())
        return self.loaded

    def find(self, item: Any) -> Counted:
        """What is in a picture; one that cannot be read says so."""
        backbone = self.ready()
        arm = {"": self.boxes.candidates}
        try:
            each = detections(item, self.scale, backbone, arm, len(self.names))[""]
        except (DataError, OSError) as error:
            return Counted(failed=str(error))
        corners, labels, sure = answered(each, self.cuts, self.lines)
        boxes = (Box.of(own, self.names[label]) for own, label in zip(corners.tolist(), labels.tolist(), strict=True))
        return Counted(tuple(boxes), tuple(sure.tolist()))

    def finds(self, items: Sequence[Any], progress: Callable[[int, int], None] = lambda done, total: None,
              ) -> Iterator[Counted]:  # fmt: skip
        """The same of one item after the other.

        Args:
            items: N pictures.
            progress: called with the number of items done and in all.
        """
        for done, item in enumerate(items, 1):
            yield self.find(item)
            progress(done, len(items))

    def predict(self, items: Sequence[Any]) -> list[list[dict[str, Any]]]:
        """Of each of N pictures its boxes: left, top, width and height in pixels, label and confidence.

        Raises:
            DataError: a picture cannot be read.
            WeightsError, BundleError: the backbone is not there, or another one.
        """
        values, failed = make_items(handed_items(items, self.input), self.modality, None)
        if failed:
            raise DataError(f"item {min(failed)} cannot be read: {failed[min(failed)]}.")
        out = []
        for i, one in enumerate(self.finds(values)):
            if one.failed:
                raise DataError(
                    f"{values[i] if isinstance(values[i], Path) else f'item {i}'} cannot be read: {one.failed}."
                )
            out.append(one.values)
        return out

    @property
    def is_frozen(self) -> bool:
        """Whether nothing moved in its backbone."""
        return self.moved is None

    @property
    def columns(self) -> tuple[str, str]:
        """How columns of what items hold, and of answers, are called."""
        return "boxes", "predicted boxes"

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """The backbone, where it is read, and whether it moved."""
        depths = () if self.loaded is None else tuple(self.loaded.cell_depths)
        return ((self.backbone_name, depths, self.moved is not None),)

    def __repr__(self) -> str:
        return f"Finder({', '.join(map(shown, self.names))}, {shown(self.backbone_name)})"

    def card(self, scores: Scores, source: str) -> str:
        """The model card, in Markdown, with what a run on this source measured."""
        moved = ", whose weights moved" if self.moved is not None else ""
        return (
            "---\nlibrary_name: handful\ntags:\n- handful\n- object-detection\n---\n\n"
            f"# Boxes around things ({', '.join(map(shown, self.names))})\n\n{scores.sentence}\n\n"
            f"Linear maps of what {shown(self.backbone_name)} sees{moved}, learned from {scores.n} pictures. It holds "
            "for small things that are alike, in pictures made as those were, at the same magnification.\n\n"
            "Use it: `handful predict RUN NEW --out found.jsonl`.\n"
        )

    @property
    def _tensors(self) -> dict[str, NDArray[np.float32]]:
        own = {name: getattr(self.boxes.pixels, name) for name in ("centre", "scale", "coef", "intercept")}
        own |= {"sides.coef": self.boxes.sides.coef, "sides.intercept": self.boxes.sides.intercept}
        own |= {"cuts": self.cuts, "lines": self.lines}
        return {name: np.ascontiguousarray(x, np.float32) for name, x in own.items()}

    def write(self, folder: Path, card: str = "") -> None:
        """Write the files into a folder that is there, and read them back.

        Raises:
            OSError: they cannot be written.
            BundleError: the copy read back is not what was written.
        """
        (folder / FILE).write_bytes(save(self._tensors))
        record = {
            "modality": self.modality,
            "backbone": {"name": self.backbone_name, "fingerprint": self.fingerprint},
            "magnification": self.scale,
            "names": list(self.names),
            "beats_reference": self.beats_reference,
            "learned": sorted(self.learned),
            "moved": self.moved and self.moved.entry,
        }
        files = [FILE, *([self.moved.write(folder)] if self.moved is not None else [])]
        write_record(folder, FINDER, BOXES, record, files)
        (folder / "README.md").write_text(card or "# Boxes\n", encoding="utf-8")
        copy = Finder.load(folder)._tensors
        if any(not np.array_equal(copy[name], own) for name, own in self._tensors.items()):
            raise BundleError("the model was read back differently from what was written. Save it again.")

    @classmethod
    def _of(cls, place: Path, record: dict[str, Any]) -> Self:
        backbone, names, scale = record["backbone"], record["names"], record["magnification"]
        if not is_backbone(backbone):
            raise ValueError("backbone")
        if record["modality"] != cls.modality or record["task"] != BOXES.name:
            raise ValueError("modality")
        known = isinstance(names, list) and 1 <= len(names) <= MOST_LABELS
        if not known or not all(isinstance(x, str) and x for x in names) or len(set(names)) < len(names):
            raise ValueError("names")
        if not isinstance(scale, float) or not 0 < scale <= LARGEST:
            raise ValueError("magnification")
        if not isinstance(record["beats_reference"], bool | None):
            raise ValueError("beats_reference")
        record = {"moved": None, **record}  # before weights could move, nothing was said of them
        if not is_moved(record["moved"]):
            raise ValueError("moved")
        tensors = _checked(place / FILE, tensors_of(place, FILE, record), len(names))
        pixels = PixelMap((MAPS,), *(tensors[name] for name in ("centre", "scale", "coef", "intercept")))
        sides = Sides(tensors["sides.coef"], tensors["sides.intercept"])
        return cls(
            backbone["name"], backbone["fingerprint"], BoxMap(pixels, sides), scale, tensors["cuts"], tensors["lines"],
            tuple(names), record["beats_reference"], place, moved=Moved.read(place, record),
        )  # fmt: skip


def _checked(file: Path, tensors: dict[str, NDArray[np.float32]], labels: int) -> dict[str, NDArray[np.float32]]:
    """The tensors of a model, whose shapes fit each other.

    Raises:
        BundleError: they do not.
    """
    found = tensors.get("coef")
    width = len(found) if found is not None and found.ndim == 2 else 1
    shapes: dict[str, tuple[int, ...]] = {
        "coef": (width, 1 + labels), "intercept": (1 + labels,), "centre": (width,), "scale": (width,),
        "sides.coef": (labels, width, 4), "sides.intercept": (labels, 4), "cuts": (labels,), "lines": (labels, 2),
    }  # fmt: skip
    for name, shape in shapes.items():
        check_tensor(file, name, tensors.get(name), shape)
    if not (tensors["scale"] > 0).all():
        raise BundleError(f"{file}: scale must be above 0. Restore it or tune again.")
    return tensors
