"""A detector of defects as a graph: distances of parts to normal ones come of it, the score of an item is summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones.graph_items import ItemReader
from handful.backbones.graph_parts import compared_graph_of
from handful.data.sounds import load_sound
from handful.evaluation.intervals import difference, interval
from handful.evaluation.metrics import losses, share
from handful.export.detector import Detector
from handful.export.onnx.exporting import KnownRows
from handful.export.onnx.heads import with_distances
from handful.export.onnx.parity import Parity
from handful.export.onnx.part_graphs import PartGraph, judged
from handful.export.onnx.rounding import HALF
from handful.export.onnx.sessions import Answer, answering
from handful.export.onnx.windows import patch_feeds, windows_of_picture, windows_of_sound

# Items that are compared at most, and those of them that are changed: a picture takes as long as ten texts.
_MOST, _CHANGED = 100, 15


def detector_graph(model: Detector, rows: KnownRows) -> PartGraph:
    """A detector as a graph.

    Args:
        model: the detector.
        rows: by which it is judged, with what they are called; none: by the public test items alone.

    Raises:
        OptionError: its backbone cannot be expressed in ONNX.
    """
    own = model.normality
    content, preparations = compared_graph_of(model.ready(), own.depths)
    graph = with_distances(content, own.memory, own.centre, own.spread)
    files = {name: text for one in preparations for name, text in one.files.items()}
    settings = {
        "threshold": model.promise.threshold, "promise": model.promise.as_dict(), "hot": own.hot,
        "usual": own.usual.tolist(), "scatter": own.scatter.tolist(), "border": own.border.tolist(),
    }  # fmt: skip
    judge = _Judge(model, preparations[0].entry, files, rows)
    return PartGraph(graph, preparations, settings, own.depths, judge, HALF)


def scores_by(
    graph: Answer, model: Detector, entry: Mapping[str, Any], files: Mapping[str, str], items: Sequence[Any]
) -> NDArray[np.float64]:
    """How unusual items are by the distances that a graph gives, (N,).

    Args:
        graph: arrays → (P, depths).
        model: the detector.
        entry: how its input is prepared.
        files: file name → content, of the tokenizers.
        items: N items, all of which can be read.
    """
    reader = ItemReader("text", [entry], files) if model.modality == "text" else None
    scores = np.zeros(len(items))
    for i, item in enumerate(items):
        if reader is not None:
            distances, place = graph(reader.feed([item])), np.zeros((1, 2))
        else:
            windows = (
                windows_of_picture(entry, item) if model.modality == "image"
                else windows_of_sound(entry, load_sound(item, entry["rate"]))
            )  # fmt: skip
            distances, place = np.zeros((len(windows.place), len(model.normality.depths))), windows.place
            for at, feed in patch_feeds(entry, windows):
                distances[at] = graph(feed)
        scores[i] = model.normality.score(model.normality.beside_border(distances.T, place))
    return scores


class _Judge:
    """The items by which graphs are compared with a detector, and how unusual it finds them."""

    def __init__(
        self, model: Detector, entry: Mapping[str, Any], files: Mapping[str, str], rows: KnownRows
    ) -> None:  # fmt: skip
        self.model, self.entry, self.files = model, entry, files
        items, labels = judged(model.modality, rows, _MOST, _CHANGED)
        seen = list(model.look(items))
        good = [i for i, one in enumerate(seen) if not one.failed]
        self.items, self.scores = [items[i] for i in good], np.array([seen[i].score for i in good])
        self.known = np.array([bool(labels[i]) for i in good])
        self.bad = np.array([labels[i] != model.names[0] for i in good])[self.known]

    def compared(self, content: bytes, what: str) -> Parity:
        """How a graph compares: scores in their spread, alarms, and how many of these are wrong."""
        after = self._scores(content, what)
        alarms = [self.model.promise.alarms(scores) for scores in (self.scores, after)]
        cost = None
        if len(self.bad) > 1:
            before, now = (losses((said[self.known] != self.bad).astype(float)) for said in alarms)
            cost = difference(now, before)
        furthest = self._furthest(self.scores, after)
        same = interval(share(alarms[0] == alarms[1]))
        return Parity(len(self.items), furthest, same, cost, "the share of wrong answers")

    def apart(self, first: bytes, second: bytes) -> float:
        """How far two graphs are apart."""
        one, other = (self._scores(content, "the graph") for content in (first, second))
        return self._furthest(one, other)

    def _furthest(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
        """The largest difference of two scores: in the spread of rows, or in the size of a score far beyond these."""
        spread = float(np.ptp(self.scores[self.known] if self.known.sum() > 1 else self.scores))
        return float((np.abs(one - other) / np.maximum(max(spread, 1e-9), np.abs(one))).max())

    def _scores(self, content: bytes, what: str) -> NDArray[np.float64]:
        return scores_by(answering(content, what), self.model, self.entry, self.files, self.items)
