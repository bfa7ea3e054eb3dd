"""A model of parts becomes a folder of ONNX: a detector, a model of masks or one of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handful.export.detector import Detector
from handful.export.finder import Finder
from handful.export.onnx.detectors import detector_graph
from handful.export.onnx.exporting import Copy, Exported, ExportOptions, KnownRows, common_entries, exported
from handful.export.onnx.finders import finder_graph
from handful.export.onnx.parity import Parity
from handful.export.onnx.segmenters import segmenter_graph
from handful.export.segmenter import Segmenter


def export_parts(
    model: Detector | Segmenter | Finder, folder: Path, rows: KnownRows, options: ExportOptions, card: str = ""
) -> Exported:  # fmt: skip
    """Write a model of parts as a folder of ONNX.

    Args:
        model: a detector, or a model of masks or of boxes.
        folder: where; an earlier export there is replaced.
        rows: by which it is judged, with what is wanted of them; none: by the public test items alone.
        options: how.
        card: the model card, in Markdown.

    Raises:
        OptionError: its backbone cannot be expressed in ONNX, or its answers would change.
        BundleError: the graph does not compute what the model computes.
        MachineError: the folder cannot be written, or there is no onnxruntime.
    """
    if isinstance(model, Detector):
        made = detector_graph(model, rows)
    elif isinstance(model, Segmenter):
        made = segmenter_graph(model, rows)
    else:
        made = finder_graph(model, rows)

    def entries(parity: Parity) -> Mapping[str, Any]:
        reads = [(model.backbone_name, depth) for depth in made.reads]
        return common_entries(model, made.settings, reads, parity, options)

    files = {name: text for one in made.preparations for name, text in one.files.items()}
    copy = Copy(
        made.graph, [one.entry for one in made.preparations], files, made.judge, entries, model.names,
        model.modality, model.task.name, card, made.step,
    )  # fmt: skip
    return exported(copy, folder, rows, options)
