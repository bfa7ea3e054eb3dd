"""Static export: a student of a model of texts that has no transformer, told and refused by what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.atomic import replaced_folder
from handful.backbones.graph_items import ItemReader
from handful.backbones.static_graph import StaticEncoder, distilled, static_graph
from handful.backbones.text import TextBackbone
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.export.distilling import seen_by
from handful.export.onnx.eight_bits import eight_bits
from handful.export.onnx.exporting import (
    Exported,
    ExportOptions,
    KnownRows,
    changed,
    manifest_entries,
    onnx_card,
)
from handful.export.onnx.folder import PARTS, Contents, write
from handful.export.onnx.heads import with_head
from handful.export.onnx.parity import Parity, batched
from handful.export.onnx.sessions import answering
from handful.export.students import MOST_LOST, Lesson, Taught, check_teacher, stand_in, taught
from handful.seeding import generator

HOW = "without a transformer"
"""What a static student does otherwise than its model."""


def export_static(
    model: Bundle, folder: Path, rows: KnownRows, held_out: Sequence[bool], options: ExportOptions, card: str = "",
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Exported, Taught]:  # fmt: skip
    """Write a student of a model of texts as a folder of ONNX.

    Args:
        model: the teacher.
        folder: where.
        rows: what it learned from, with labels.
        held_out: (M,) whether the model answered each of these right while it was held out.
        options: how.
        card: the model card, in Markdown.
        tick: called with the number of tokens seen and in all.

    Raises:
        OptionError: the model does not read texts through one encoder, its rows are not at hand, or too much is lost.
        MachineError: the folder cannot be written, or there is no onnxruntime.
    """
    link, backbone, depth = model.task.link, *_teacher(model)
    check_teacher(model.task, model.labels, "--format static")
    if link is None or model.task.grain or not model.labels or not rows.labels or len(held_out) != len(rows.items):
        raise OptionError(
            "--format static needs the run folder with its labelled rows, and a model that answers with names. Name "
            "the rows with --rows, or use --format onnx."
        )
    encoder = distilled(backbone, depth, tick)
    cost = learned(model, encoder, backbone, rows, np.asarray(held_out, bool))
    if cost.too_much and not options.even_if_answers_change:
        raise OptionError(
            f"a static copy must cost at most {100 * MOST_LOST:.0f} points, got more: {cost.sentence(HOW)}. Use "
            "--format onnx --int8, or add --even-if-answers-change."
        )
    content, preparations = static_graph(encoder, backbone)
    graph = with_head(content, cost.student.coef, cost.student.intercept, link)
    sizes = {"float32": len(graph.SerializeToString())}
    small = eight_bits(graph).SerializeToString()
    sizes["static"] = len(small)
    entries = [one.entry for one in preparations]
    files = {name: text for one in preparations for name, text in one.files.items()}
    reader, run = ItemReader("text", entries, files), answering(small, "the static graph")
    items = [*rows.items, *changed("text", rows.items)]
    parity = Parity.of(
        model.task, model.labels, model.answer(items)[0], batched(lambda some: run(reader.feed(some)), items),
        rows.labels,
    )  # fmt: skip
    kind = {"static": {"right": cost.right, "before": cost.before, "lost": cost.lost.as_dict()}}
    told = onnx_card(model.modality, model.task.name, card, parity, sizes)
    told += f"\nIt is a static copy: {cost.sentence(HOW)}.\n"
    contents = Contents({**manifest_entries(model, parity, options), **kind}, small, entries, model.labels, files, told)
    with replaced_folder(folder, PARTS) as target:
        write(target, contents)
    return Exported(parity, sizes), cost


def _teacher(model: Bundle) -> tuple[TextBackbone, int]:
    """The encoder that tokens go through: the last that the model reads, moved where weights moved."""
    for name, depth in reversed(model.view.parts):
        backbone = model.backbone(name)
        if isinstance(backbone, TextBackbone) and backbone.blocks and not model.pairs:
            return backbone, depth
    raise OptionError(
        f"--format static is for single texts that a transformer reads, got {model.view.name}"
        f"{' of pairs' * model.pairs}. Use --format onnx."
    )


def learned(
    model: Bundle, encoder: StaticEncoder, backbone: TextBackbone, rows: KnownRows, before: NDArray[np.bool_]
) -> Taught:
    """Fit a student to what a model answers to its rows and to slight changes of them, and measure it held out.

    Args:
        model: the teacher.
        encoder: the static encoder.
        backbone: which tokenises for it.
        rows: M labelled rows.
        before: (M,) whether the teacher answered each right while it was held out.
    """
    task, views = model.task, [list(rows.items), *(_each(rows.items, number) for number in range(2))]
    features = [encoder.encode(backbone, items) for items in views]  # (M, D) each
    wanted = [task.scores(model.answer(items)[0]) for items in views]
    lesson = Lesson(features, np.zeros((0, features[0].shape[1]), np.float32))
    targets = task.coded(rows.labels, model.labels)
    teach = stand_in(task, targets, seen_by(model, views, ()), task.outputs(wanted[0]))
    return taught(task, targets, [lesson], (wanted, np.zeros((0, wanted[0].shape[1]))), teach, before)


def _each(items: Sequence[str], number: int) -> list[str]:
    """Each text slightly changed, in one of the ways that leave one text for each."""
    from handful.data.augment.slight import SLIGHT

    change = list(SLIGHT["text"].values())[(0, 2)[number]]
    rng = generator(number, "what a student learns from")
    return [change(item, rng) for item in items]
