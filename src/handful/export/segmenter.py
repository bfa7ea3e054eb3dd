"""The Segmenter: a linear map from what is seen at a pixel to its class; saved without pickle, checked."""

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
from handful.data.cells import shown
from handful.data.handed_items import handed_items
from handful.data.images import full_size
from handful.data.items import make_items
from handful.data.mask_files import MOST_CLASSES
from handful.data.pixel_sizes import enlarged
from handful.errors import BundleError, DataError
from handful.evaluation.scores import Scores
from handful.export.loading import check_depths, untouched
from handful.export.part_model import PartModel
from handful.export.record import check_tensor, is_backbone, tensors_of, write_record
from handful.features.pixels import FILTERS, MAPS, blocks_of, heard_columns, worked
from handful.features.view import Matrix
from handful.progress import Say, silent
from handful.run_folder import SEGMENTER
from handful.strategies.frozen.context import ContextMap
from handful.strategies.frozen.pixels import PixelMap
from handful.tasks.masks import MASKS

FILE = "pixels.safetensors"
_TENSORS = ("centre", "scale", "coef", "intercept")


@dataclass(frozen=True)
class Segmented:
    """What was answered to one picture."""

    classes: NDArray[np.uint8]
    """(H, W) the number of the class of every pixel, at the size of the picture; (0, 0) where it could not be read."""
    confidence: float = 0.0
    """How probable the classes that were answered are, mean over the pixels."""
    failed: str = ""
    """Why it could not be read."""

    def shares(self, classes: int) -> NDArray[np.float64]:
        """(C,) the share of pixels of each class."""
        return np.bincount(self.classes.ravel(), minlength=classes) / max(1, self.classes.size)


@dataclass(frozen=True)
class Answered:
    """One picture as the report shows it."""

    truth: NDArray[np.uint8]
    """(H, W) the classes that are wanted, made small."""
    said: NDArray[np.uint8]
    """(H, W) those that were answered while it was held out."""


@dataclass(eq=False)
class Segmenter(PartModel):
    """A model that says of every pixel of a picture what it is."""

    kind: ClassVar[str] = SEGMENTER
    file: ClassVar[str] = FILE

    backbone_name: str
    """What looks at the pictures beside filters; empty where filters are enough."""
    fingerprint: str
    """Of its weights."""
    pixels: PixelMap | ContextMap
    """What the classes of pixels look like."""
    names: tuple[str, ...]
    """What the classes are called, sorted."""
    beats_reference: bool | None = None
    """Whether it is shown to be better than brightness alone."""
    loaded: Backbone | None = field(default=None, repr=False)
    """The backbone in memory."""
    place: Path | None = None
    """The folder that it was read from."""
    learned: frozenset[str] = field(default=frozenset(), repr=False)
    """Hashes of the items that it learned from; empty in a model that was written before these were kept."""

    task = MASKS
    modality = "image"
    input: str | None = None
    """The column of a table that holds the pictures; None, since folders are learned from."""

    def ready(self, say: Say = silent) -> Backbone | None:
        """The backbone, loaded where it is not yet, and compared with the one that was learned with."""
        if not self.backbone_name:
            return None
        if self.loaded is None:
            fetching = partial(say, f"fetching {self.backbone_name}")
            backbone = untouched(self.backbone_name, self.modality, self.fingerprint, progress=fetching)
            check_depths(backbone, f"maps of {self.backbone_name}", backbone.pixel_depths)
            self.loaded = backbone.to(default_device())
        return self.loaded

    def segment(self, item: Any) -> Segmented:
        """The class of every pixel of a picture; one that cannot be read says so."""
        backbone = self.ready()
        try:
            return self._segmented(item, backbone)
        except (DataError, OSError) as error:
            return Segmented(np.zeros((0, 0), np.uint8), failed=str(error))

    def _segmented(self, item: Any, backbone: Backbone | None) -> Segmented:
        pixels = worked(item)
        probable = np.zeros((*pixels.shape[:2], len(self.names)), np.float16)
        for block in blocks_of(pixels, backbone, self.pixels.around):
            rows = slice(block.top, block.top + block.height), slice(block.left, block.left + block.width)
            found = self.pixels.answered(block)
            probable[rows] = found.reshape(block.height, block.width, -1)
        return Segmented(enlarged(probable, *full_size(item)), float(probable.max(-1).mean(dtype=np.float64)))

    def segments(self, items: Sequence[Any], progress: Callable[[int, int], None] = lambda done, total: None,
                 ) -> Iterator[Segmented]:  # fmt: skip
        """The same of one item after the other.

        Args:
            items: N pictures.
            progress: called with the number of items done and in all.
        """
        for done, item in enumerate(items, 1):
            yield self.segment(item)
            progress(done, len(items))

    def predict(self, items: Sequence[Any]) -> list[NDArray[np.uint8]]:
        """Of each of N pictures the number of the class of every pixel, (H, W), counting in ``names``.

        Raises:
            DataError: a picture cannot be read.
            WeightsError, BundleError: the backbone is not there, or another one.
        """
        values, failed = make_items(handed_items(items, self.input), self.modality, None)
        if failed:
            raise DataError(f"item {min(failed)} cannot be read: {failed[min(failed)]}.")
        out = []
        for i, one in enumerate(self.segments(values)):
            if one.failed:
                raise DataError(
                    f"{values[i] if isinstance(values[i], Path) else f'item {i}'} cannot be read: {one.failed}."
                )
            out.append(one.classes)
        return out

    def words(self, shares: NDArray[np.float64]) -> list[str]:
        """The share of each class in N pictures, in words. (N, C) → N."""
        return self.task.told(shares, self.names)

    @property
    def columns(self) -> tuple[str, str]:
        """How columns of what items are called, and of answers, are called."""
        return "areas", "predicted areas"

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """The backbone, where it is read, and that it did not move."""
        depths = () if self.loaded is None else tuple(self.loaded.pixel_depths)
        return ((self.backbone_name, depths, False),) if self.backbone_name else ()

    def __repr__(self) -> str:
        return f"Segmenter({len(self.names)} classes, {' and '.join(self.pixels.looks)})"

    def card(self, scores: Scores, source: str) -> str:
        """The model card, in Markdown, with what a run on this source measured."""
        seen = f"filters and the maps of {shown(self.backbone_name)}" if self.backbone_name else "filters"
        how = "A linear map of"
        if isinstance(self.pixels, ContextMap):
            how = "A small network on what a first answer says around each pixel, and on"
        return (
            "---\nlibrary_name: handful\ntags:\n- handful\n- image-segmentation\n---\n\n"
            f"# The class of every pixel ({', '.join(map(shown, self.names))})\n\n{scores.sentence}\n\n"
            f"{how} {seen}, learned from {scores.n} pictures. It holds for pictures made as those were.\n\n"
            "Use it: `handful predict RUN NEW --maps masks`.\n"
        )

    def write(self, folder: Path, card: str = "") -> None:
        """Write the files into a folder that is there, and read them back.

        Raises:
            OSError: they cannot be written.
            BundleError: the copy read back is not what was written.
        """
        tensors = _tensors_in(self.pixels)
        (folder / FILE).write_bytes(save(tensors))
        record = {
            "modality": self.modality,
            "backbone": {"name": self.backbone_name, "fingerprint": self.fingerprint},
            "looks": list(self.pixels.looks),
            "context": isinstance(self.pixels, ContextMap),
            "names": list(self.names),
            "beats_reference": self.beats_reference,
            "learned": sorted(self.learned),
        }
        write_record(folder, SEGMENTER, MASKS, record, [FILE])
        (folder / "README.md").write_text(card or "# Masks\n", encoding="utf-8")
        copy = Segmenter.load(folder)
        again = _tensors_in(copy.pixels)
        if again.keys() != tensors.keys() or any(not np.array_equal(again[name], x) for name, x in tensors.items()):
            raise BundleError("the model was read back differently from what was written. Save it again.")

    @classmethod
    def _of(cls, place: Path, record: dict[str, Any]) -> Self:
        backbone, looks, names = record["backbone"], record["looks"], record["names"]
        if looks not in ([FILTERS], [MAPS], [FILTERS, MAPS]):
            raise ValueError("looks")
        if MAPS in looks and not is_backbone(backbone):
            raise ValueError("backbone")
        if record["modality"] != cls.modality or record["task"] != MASKS.name:
            raise ValueError("modality")
        known = (
            isinstance(names, list) and 2 <= len(names) <= MOST_CLASSES and all(isinstance(x, str) and x for x in names)
        )
        if not known or len(set(names)) < len(names):
            raise ValueError("names")
        if not isinstance(record["beats_reference"], bool | None):
            raise ValueError("beats_reference")
        context = record.get("context", False)  # models that were written before there were networks have linear maps
        if not isinstance(context, bool):
            raise ValueError("context")
        name, fingerprint = (backbone["name"], backbone["fingerprint"]) if MAPS in looks else ("", "")
        file, tensors = place / FILE, tensors_of(place, FILE, record)
        first = _linear(file, tensors, tuple(looks), len(names))
        pixels = _network(file, tensors, first, len(names)) if context else first
        return cls(name, fingerprint, pixels, tuple(names), record["beats_reference"], place=place)


def _tensors_in(pixels: PixelMap | ContextMap) -> dict[str, Matrix]:
    """What a map learned, by name: the first map, and of a network what is above it."""
    first = pixels.first if isinstance(pixels, ContextMap) else pixels
    out = {name: getattr(first, name) for name in _TENSORS}
    if isinstance(pixels, ContextMap):
        out |= {"context.centre": pixels.centre, "context.scale": pixels.scale}
        for number, (coef, intercept) in enumerate(pixels.layers):
            out |= {f"context.{number}.coef": coef, f"context.{number}.intercept": intercept}
    return {name: np.ascontiguousarray(x, np.float32) for name, x in out.items()}


def _linear(file: Path, tensors: dict[str, NDArray[np.float32]], looks: tuple[str, ...], classes: int) -> PixelMap:
    """The map, out of tensors whose shapes fit each other.

    Raises:
        BundleError: they do not.
    """
    found = tensors.get("coef")
    width = len(found) if found is not None and found.ndim == 2 else 1
    for name, shape in (
        ("coef", (width, classes)),
        ("intercept", (classes,)),
        ("centre", (width,)),
        ("scale", (width,)),
    ):
        check_tensor(file, name, tensors.get(name), shape)
    _check_scale(file, tensors["scale"])
    return PixelMap(looks, tensors["centre"], tensors["scale"], tensors["coef"], tensors["intercept"])


def _network(file: Path, tensors: dict[str, Matrix], first: PixelMap, classes: int) -> ContextMap:
    """The network above a first map, out of tensors whose shapes fit each other.

    Raises:
        BundleError: they do not.
    """
    width = len(first.coef) + heard_columns(classes)
    for name in ("context.centre", "context.scale"):
        check_tensor(file, name, tensors.get(name), (width,))
    _check_scale(file, tensors["context.scale"])
    count, layers = sum(name.startswith("context.") and name.endswith(".coef") for name in tensors), []
    for number in range(max(1, count)):
        coef, intercept = (f"context.{number}.{part}" for part in ("coef", "intercept"))
        found = tensors.get(intercept)
        wide = classes if found is None or found.ndim != 1 or number + 1 >= count else len(found)
        check_tensor(file, coef, tensors.get(coef), (width, wide))
        check_tensor(file, intercept, found, (wide,))
        layers.append((tensors[coef], tensors[intercept]))
        width = wide
    return ContextMap(first, tensors["context.centre"], tensors["context.scale"], tuple(layers))


def _check_scale(file: Path, scale: Matrix) -> None:
    if not (scale > 0).all():
        raise BundleError(f"{file}: scale must be above 0. Restore it or tune again.")
