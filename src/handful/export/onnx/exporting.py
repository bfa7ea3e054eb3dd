"""A model becomes a folder of ONNX if it still answers as before: to its rows, slight changes of them, odd items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from handful.atomic import replaced_folder
from handful.backbones.graph_items import ItemReader
from handful.backbones.graph_parts import joined_graph_of
from handful.backbones.graphs import OPSET, graph_of
from handful.data.augment.slight import SLIGHT, hissing
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL
from handful.data.pairs import Pair
from handful.errors import BundleError, OptionError
from handful.export import specimens
from handful.export.bundle import Bundle
from handful.export.onnx.eight_bits import eight_bits
from handful.export.onnx.folder import PARTS, Contents, write
from handful.export.onnx.heads import with_head
from handful.export.onnx.model import reader_of
from handful.export.onnx.parity import CLOSE, ROUNDED, SAME, Judge, Parity, batched
from handful.export.onnx.part_items import PartReader
from handful.export.onnx.rounding import FLOAT, HALF, shaken
from handful.export.onnx.runners import LIBRARIES, answers_parts
from handful.export.onnx.sessions import Answer, answering
from handful.export.part_model import PartModel
from handful.features.view import MOVED
from handful.seeding import generator

_MOST_ROWS, _MOST_CHANGED = 500, 60
_MIB = 1 << 20


@dataclass(frozen=True)
class ExportOptions:
    """How a model is exported."""

    int8: bool = False
    """Whether weights have eight bits."""
    even_if_answers_change: bool = False
    """Whether a model that answers otherwise is written all the same."""


@dataclass(frozen=True)
class KnownRows:
    """Rows by which an export is judged: those that the model learned from, or others like them."""

    items: Sequence[Any] = ()
    """M items."""
    labels: Sequence[str] = ()
    """What is wanted of each, as the task reads it; empty where it is not known."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    parity: Parity
    """How it compares with the model."""
    sizes: Mapping[str, int]
    """What → bytes."""
    notes: tuple[str, ...] = field(default_factory=tuple)
    """What to know, one sentence each."""


def export_onnx(model: Bundle, folder: Path, rows: KnownRows, options: ExportOptions, card: str = "") -> Exported:
    """Write a model as a folder of ONNX.

    Args:
        model: any model of labelled items.
        folder: where; an earlier export there is replaced.
        rows: by which it is judged; none: by the public test items alone.
        options: how.
        card: the model card, in Markdown.

    Raises:
        OptionError: a part of the model cannot be expressed in ONNX, or its answers would change.
        BundleError: the graph does not compute what the model computes.
        MachineError: the folder cannot be written, or there is no onnxruntime.
    """
    if model.modality == IMAGE_TEXT:
        raise OptionError(
            f"a model of {PLURAL[IMAGE_TEXT]} must be answered by handful, got a wish for ONNX, whose folders prepare "
            "one text, picture or sound. Export without --format."
        )
    link = model.task.link
    if link is None:
        raise OptionError(
            f"the answers of {model.task.name} cannot be expressed in ONNX. Export without --format, for handful."
        )
    backbones = {name: model.backbone(name) for name in model.view.backbones}
    if model.task.grain:
        content, preparations = joined_graph_of(backbones, model.view.parts)
    else:
        content, preparations = graph_of(backbones, model.view.parts, model.pairs)
    graph = with_head(content, model.coef, model.intercept, link)
    entries = [one.entry for one in preparations]
    files = {name: text for one in preparations for name, text in one.files.items()}
    judge = _Judge(model, reader_of(model.task.grain, model.modality, entries, files), sample(rows))

    def entries_of(parity: Parity) -> dict[str, Any]:
        return manifest_entries(model, parity, options)

    copy = Copy(
        graph, entries, files, judge, entries_of, model.labels, model.modality, model.task.name, card,
        HALF if model.task.grain else FLOAT,
    )  # fmt: skip
    return exported(copy, folder, rows, options)


@dataclass(frozen=True)
class Copy:
    """A model as a graph, with what goes beside it, before it is compared and written."""

    graph: onnx.ModelProto
    """In float32."""
    preparations: Sequence[Mapping[str, Any]]
    """What items become before each input."""
    files: Mapping[str, str]
    """File name → content of the tokenizers."""
    judge: Judge
    """By what it is compared with the model."""
    entries: Callable[[Parity], Mapping[str, Any]]
    """What the manifest says."""
    labels: Sequence[str]
    """What may be answered."""
    modality: str
    """What items are."""
    task: str
    """The name of what is answered."""
    card: str
    """The card of the model, in Markdown."""
    step: float = FLOAT
    """How coarse what is seen is, relative to each number."""


def exported(copy: Copy, folder: Path, rows: KnownRows, options: ExportOptions) -> Exported:
    """Compare a copy, make its weights smaller where that is wanted, and write it; raises as ``export_onnx``.

    Args:
        copy: what is written.
        folder: where.
        rows: by which it is judged.
        options: how.
    """
    plain = copy.graph.SerializeToString()
    parity, notes = copy.judge.compared(plain, "the graph"), list[str]()
    if not parity.close and not options.even_if_answers_change:
        notes.append(_no_closer(copy, plain, parity))
    sizes = {"float32": len(plain)}
    if options.int8:
        small = eight_bits(copy.graph).SerializeToString()
        sizes["int8"] = len(small)
        parity = copy.judge.compared(small, "the graph of eight bits")
        refuse_changed(parity, options, "weights of eight bits", "export without --int8")
        plain = small
    entries = copy.entries(parity)
    card = onnx_card(copy.modality, copy.task, copy.card, parity, sizes, str(entries.get("decided", "")))
    contents = Contents(entries, plain, copy.preparations, copy.labels, copy.files, card)
    with replaced_folder(folder, PARTS) as target:
        write(target, contents)
    return Exported(parity, sizes, (*notes, *_notes(rows, options)))


def _no_closer(copy: Copy, plain: bytes, parity: Parity) -> str:
    """That a graph is as close to the model as rounding lets it be.

    Raises:
        BundleError: it is farther away, or changes answers.
    """
    moved = copy.judge.apart(plain, shaken(copy.graph, copy.step).SerializeToString())
    if not parity.within(moved):
        raise BundleError(
            f"the graph must answer as the model up to {CLOSE:g}, got up to {parity.furthest:.2g} on {parity.items} "
            f"items, where rounding may make {min(moved, ROUNDED):.2g}: {parity.sentence}. Report it, or export with "
            "--even-if-answers-change."
        )
    told = f"up to {moved:.2g}" if moved < 1 else "more than all of their spread"
    return (
        f"the graph differs from the model by up to {parity.furthest:.2g}: what this model sees, rounded in its last "
        f"digit, moves its answers by {told} on any machine"
    )


def refuse_changed(parity: Parity, options: ExportOptions, what: str, instead: str) -> None:
    """Refuse an export that changes answers, unless that is asked for.

    Args:
        parity: how it compares.
        options: what was asked for.
        what: what changes them.
        instead: what can be done in its place.

    Raises:
        OptionError: it changes more than one answer in a hundred.
    """
    if not parity.keeps and not options.even_if_answers_change:
        raise OptionError(
            f"{what} must leave {SAME:.0%} of the answers as they are, got less: {parity.sentence}. Then {instead}, or "
            "add --even-if-answers-change."
        )


class _Judge:
    """The items by which graphs are compared with the model, and what the model answers to them."""

    def __init__(self, model: Bundle, reader: ItemReader | PartReader, rows: KnownRows) -> None:
        self.model, self.reader = model, reader
        slight, odd = changed(model.modality, rows.items), odd_items(model.modality, model.pairs)
        groups = (
            [[*rows.items], slight, *([item] for item in odd)] if model.task.grain else [[*rows.items, *slight, *odd]]
        )
        self.groups, self.outputs, self.labels = list[list[Any]](), list[NDArray[np.float64]](), list(rows.labels)
        for number, items in enumerate(filter(None, groups)):
            outputs, failed = model.answer(items)
            good = [i for i in range(len(items)) if i not in failed]
            self.groups.append([items[i] for i in good])
            self.outputs.append(outputs[good])
            if number == 0 and any(i < len(self.labels) for i in failed):
                self.labels = []

    def compared(self, content: bytes, what: str) -> Parity:
        """How a graph compares."""
        pairs = list(zip(self.outputs, self._answers(content, what), strict=True))
        return Parity.across(self.model.task, self.model.labels, pairs, self.labels)

    def apart(self, first: bytes, second: bytes) -> float:
        """How far two graphs are apart."""
        each = (self._answers(content, "the graph") for content in (first, second))
        return Parity.across(self.model.task, self.model.labels, list(zip(*each, strict=True))).furthest

    def _answers(self, content: bytes, what: str) -> list[NDArray[np.float64]]:
        """What a graph answers to each group."""
        graph = answering(content, what)
        return [self._answered(graph, items) for items in self.groups]

    def _answered(self, graph: Answer, items: Sequence[Any]) -> NDArray[np.float64]:
        if isinstance(self.reader, PartReader):
            return self.model.task.gathered_items(
                self.reader.answered(graph, items, len(self.model.intercept))[0], items
            )
        reader = self.reader
        order = sorted(range(len(items)), key=lambda i: len(str(items[i])))
        answers = batched(lambda some: graph(reader.feed(some)), [items[i] for i in order])
        return answers[np.argsort(order)]


def sample(rows: KnownRows, most: int = _MOST_ROWS) -> KnownRows:
    """At most so many rows, evenly spread."""
    at = np.unique(np.linspace(0, len(rows.items) - 1, min(len(rows.items), most)).round().astype(int))
    items = [rows.items[i] for i in at]
    return KnownRows(items, [rows.labels[i] for i in at] if rows.labels else ())


def changed(modality: str, items: Sequence[Any], most: int = _MOST_CHANGED) -> list[Any]:
    """Some items, so many at most, each slightly changed in all ways that happen in use."""
    rng = generator(0, "slight changes of an export")
    some = list(items)[:: max(1, len(items) // most)][:most]
    return [
        Pair(change(item.first, rng), item.second) if isinstance(item, Pair) else change(item, rng)
        for change in SLIGHT[modality].values()
        for item in some
    ]


def odd_items(modality: str, pairs: bool) -> list[Any]:
    """Public items, and such as nobody learned from: nothing, one pixel, far too much."""
    tone = np.sin(np.arange(640_000) / 9).astype(np.float32), 16_000
    odd: dict[str, list[Any]] = {
        "text": ["", "one " * 10_000, "\ud800 ∀x. 你好 \U0001f600"],
        "image": [np.zeros((1, 1, 3), np.uint8), np.full((700, 2, 3), 200, np.uint8)],
        # Between the tones of a pure sine there is rounding alone, which no recording has.
        "sound": [(np.zeros(1600, np.float32), 16_000), hissing(tone, generator(0, "odd items"))],
    }
    items = [*specimens.items_of(modality), *odd[modality]]
    return [Pair(item, items[0]) for item in items] if pairs else items


def manifest_entries(model: Bundle, parity: Parity, options: ExportOptions) -> dict[str, Any]:
    """What the manifest says of a model.

    Args:
        model: what was exported.
        parity: how the copy compares.
        options: how it was exported.
    """
    return {
        **common_entries(model, model.task.settings, model.view.parts, parity, options),
        "pairs": model.pairs,
        "label_type": model.label_type,
        "language": model.language,
        "digits": int(model.task.settings.get("digits", 0)),
        "decided": model.task.decided(model.labels),
    }


def common_entries(
    model: Bundle | PartModel, settings: Mapping[str, Any], reads: Sequence[tuple[str, int]], parity: Parity,
    options: ExportOptions,
) -> dict[str, Any]:  # fmt: skip
    """What the manifest says of every model.

    Args:
        model: what was exported.
        settings: what a program has to know of its task.
        reads: name and depth of each part that is read.
        parity: how the copy compares.
        options: how it was exported.
    """
    return {
        "task": model.task.name,
        "settings": dict(settings),
        "modality": model.modality,
        "input": model.input,
        "target": getattr(model, "target", None),
        "beats_reference": model.beats_reference,
        "reads": [
            {"name": name.removesuffix(MOVED), "depth": depth, "moved": name.endswith(MOVED)} for name, depth in reads
        ],
        "opset": OPSET,
        "onnx": onnx.__version__,
        "int8": options.int8,
        "parity": parity.as_dict(),
    }


def onnx_card(
    modality: str, task: str, card: str, parity: Parity, sizes: Mapping[str, int], decided: str = ""
) -> str:  # fmt: skip
    """The model card with what is true of this copy in place of how handful is used.

    Args:
        modality: text, image or sound.
        task: the name of what is answered.
        card: the model card, in Markdown; empty where there is none.
        parity: how the copy compares.
        sizes: what → bytes.
        decided: by what threshold it answers, in words; empty where it does not.
    """
    head, _, rest = card.partition("## How to use it")
    head = head.partition("Use it: `handful")[0]
    _, mark, limits = rest.partition("## What to keep in mind")
    head = head.strip() or f"# {modality.capitalize()} {task}"
    told = ", ".join(f"{size / _MIB:.1f} MB as {what}" for what, size in sizes.items())
    library = LIBRARIES[modality]
    gives = (
        "its output is `outputs`, what the model says of each part of an item, of which `run.py` and `parts.py` make "
        "the answer"
        if answers_parts(modality, task)
        else "its outputs are `outputs`, the numbers behind each answer, and `answer`"
    )
    use = (
        f"## How to use it\n\n```\npip install onnxruntime numpy {library}\npython run.py ITEM\n```\n\n"
        "Nothing of handful and no torch is needed. `model.onnx` holds the backbone, the weights that moved, the head "
        f"and its calibration (operators of ONNX {OPSET}; {told}); {gives}. `preprocessing.json` says what items "
        "become before it, `labels.json` what may be answered, `manifest.json` the hash of every file.\n\nCompared "
        f"with the model that it was made from: {parity.sentence}; the largest difference is {parity.furthest:.1e}."
        + f"\n\n{decided}"
        * bool(decided)
    )
    return "\n\n".join([head, use, *([f"{mark}{limits}".strip()] if mark else [])]) + "\n"


def _notes(rows: KnownRows, options: ExportOptions) -> list[str]:
    notes = []
    if not rows.items:
        notes.append(
            "the rows that the model learned from were not at hand, so that only public test items were compared; "
            "name them with --rows"
        )
    if options.int8 and (flags := _processor_flags()) and not any("vnni" in flag for flag in flags):
        notes.append(
            "this processor multiplies numbers of eight bits no faster than others (no VNNI), so that int8 saves space "
            "here more than time"
        )
    return notes


def _processor_flags() -> frozenset[str]:
    """What the processor can do, where Linux tells."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return frozenset()
    line = next((line for line in file.read_text("utf-8").splitlines() if line.startswith(("flags", "Features"))), "")
    return frozenset(line.partition(":")[2].split())
