"""A model read back from a folder of ONNX: it answers as the model that it was exported from, without its backbones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.base import Backbone
from handful.backbones.graph_items import ItemReader
from handful.data.pairs import check_pairs
from handful.errors import BundleError, DataError
from handful.export.bundle import Bundle
from handful.export.onnx.folder import MODEL, UNSERVED, read
from handful.export.onnx.part_items import PartReader
from handful.export.onnx.sessions import Answer, answering
from handful.features.cache import FeatureCache
from handful.features.view import MOVED, View
from handful.readback import damage_is
from handful.run_folder import MANIFEST
from handful.tasks.registry import head_task


@dataclass(eq=False, repr=False)
class OnnxModel(Bundle):
    """A Bundle whose answers come of a graph; it keeps nothing of its training rows, and has no backbones."""

    graph: Answer | None = None
    """The graph."""
    reader: ItemReader | PartReader | None = None
    """What makes items into the numbers that it reads."""

    def answer(
        self, items: Sequence[Any], cache: FeatureCache | None = None
    ) -> tuple[NDArray[np.float64], dict[int, str]]:
        """As in a Bundle; items go through the graph one by one.

        Several at a time cost more on a processor: texts of agnews through minilm-l6 17 ms each, and 38 in sixteens;
        pictures and sounds about as much either way.
        """
        check_pairs(items, self.pairs)
        if isinstance(self.reader, PartReader):
            assert self.graph is not None
            rows, unread = self.reader.answered(self.graph, items, len(self.intercept))
            return self.task.gathered_items(rows, items), unread
        outputs, failed = np.zeros((len(items), len(self.intercept))), {}
        for i, item in enumerate(items):
            try:
                outputs[i] = self._by_graph([item])[0]
            except DataError as error:
                failed[i] = str(error).rstrip(".")
        return outputs, failed

    def backbone(self, name: str) -> Backbone:
        """There is none.

        Raises:
            BundleError: always.
        """
        raise BundleError(
            f"a model in ONNX has no backbone {name!r} of its own. Use the run that it was exported from."
        )

    def _by_graph(self, items: Sequence[Any]) -> NDArray[np.float64]:
        assert self.graph is not None
        assert isinstance(self.reader, ItemReader)
        return self.graph(self.reader.feed(items))


def load_onnx(folder: str | Path) -> OnnxModel:
    """Read the folder of a model in ONNX, each file compared with its hash before anything is built from it.

    Args:
        folder: what ``handful export --format onnx`` wrote.

    Raises:
        BundleError: a file is missing, changed or damaged, or of a newer handful; or the graph cannot be run.
        MachineError: onnxruntime is not installed.
    """
    place = Path(folder)
    manifest, contents = read(place)
    with damage_is(lambda why: BundleError(f"{place / MANIFEST} cannot be read ({why}). Export the model again.")):
        if manifest["task"] in UNSERVED:
            raise BundleError(
                f"{place} must hold a model that answers items as wholes, spans or events, got one of "
                f"{manifest['task']}. Use the run.py in it, or the run that it was exported from."
            )
        task = head_task(manifest["task"]).restored(manifest["settings"])
        labels = tuple(contents.labels)
        width = task.width(labels)
        reader = reader_of(task.grain, manifest["modality"], contents.preparations, contents.files)
        view = View(
            tuple((str(one["name"]) + MOVED * bool(one["moved"]), int(one["depth"])) for one in manifest["reads"])
        )
        beats = manifest["beats_reference"]
        model = OnnxModel(
            task, manifest["modality"], labels, view, {}, "onnx", np.zeros((0, width), np.float32),
            np.zeros(width, np.float32), input=_text_or_none(manifest["input"]),
            target=_text_or_none(manifest["target"]), pairs=bool(manifest["pairs"]), place=place,
            label_type=str(manifest["label_type"]), beats_reference=None if beats is None else bool(beats),
            reader=reader,
        )  # fmt: skip
    model.graph = answering(contents.model, str(place / MODEL))
    return model


def reader_of(
    grain: str, modality: str, entries: Sequence[Mapping[str, Any]], files: Mapping[str, str]
) -> ItemReader | PartReader:
    """What makes items into the numbers that a graph reads: as wholes, or their words or moments.

    Args:
        grain: what parts a task answers; empty for wholes.
        modality: text, image or sound.
        entries: how each input is prepared.
        files: file name → content, of the tokenizers.

    Raises:
        ValueError: an entry is none.
        KeyError: a tokenizer is not there.
    """
    return PartReader(grain, entries, files) if grain else ItemReader(modality, entries, files)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)
