"""Runners: the programs beside a graph, which answer items with a runtime and what decodes them alone."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import ModuleType

from handful.backbones import frames, levels, parts, text, tiles
from handful.data import pixel_sizes, sentences, tracks
from handful.data.targets import BOXES, DEFECTS, EVENTS, MASKS, SPANS
from handful.export.onnx import windows
from handful.features import cells, moments, pixels, word_forms, words
from handful.strategies.frozen import box_answers, box_confidence, normality
from handful.tasks import part_layout, tag_sequences
from handful.tasks.boxes import counting, matching
from handful.tasks.events import task as events
from handful.tasks.tagging import decoding, gazetteer

RUNNER, BESIDE = "run.py", "parts.py"
"""The program, and what it takes from handful where a task answers parts of items."""
LIBRARIES = {"text": "tokenizers", "image": "pillow", "sound": "soundfile soxr"}
"""Modality → what decodes items."""

Borrowed = Sequence[tuple[ModuleType, Sequence[str]]]

_RUNS: Borrowed = (
    (part_layout, ("PLACED", "Words", "packed", "unpacked")),
    (tag_sequences, ("_SMALLEST", "HALF", "likeliest", "viterbi")),
    (words, ("parts_over",)),
)
_STRETCHES: Borrowed = (
    (levels, ("LOUDNESS", "SILENT", "levelled")),
    (parts, ("starts", "owners")),
    (frames, ("Stretches", "Cuts")),
    (windows, ("Windows", "windows_of_sound")),
)
_TILES: Borrowed = (
    (parts, ("starts", "owners")),
    (tiles, ("PATCH", "MARGIN", "Tiles", "tiles_of", "scale_of", "_cells")),
    (windows, ("Windows", "windows_of_picture")),
)
_COMPARED: Borrowed = ((normality, ("RINGS", "WORST", "rings", "summaries")),)


@dataclass(frozen=True)
class _Program:
    """What a runner is put together from."""

    run: Sequence[str]
    """Templates of the program, in their order."""
    beside: Sequence[str] = ()
    """Templates of what it takes from a file beside it."""
    borrowed: Borrowed = ()
    """What that file takes from handful, so that nothing is written twice that could differ one day."""


_WHOLES: Mapping[str, _Program] = {
    "text": _Program(("onnx_run_text", "onnx_answers")),
    "image": _Program(("onnx_pictures", "onnx_run_image", "onnx_answers")),
    "sound": _Program(("onnx_rates", "onnx_run_sound", "onnx_answers")),
}
_PARTS: Mapping[tuple[str, str], _Program] = {
    (SPANS, "text"): _Program(
        ("onnx_graph", "onnx_run_tagging"),
        ("onnx_parts",),
        (
            (sentences, ("_JOINERS", "_ALONE", "words_in", "kind_of")),
            (word_forms, ("WIDTH", "forms_of_words", "_signs")),
            (parts, ("owners", "tokens_owned")),
            (text, ("_OVERLAP", "Window", "FastTokeniser", "fast_tokeniser", "_whole")),
            (windows, ("TOGETHER", "Windows", "windows_of_text", "joined_feeds")),
            *_RUNS,
            (decoding, ("_NEVER", "Found", "allowed", "decoded", "best_tags", "_spans", "stretches")),
            (gazetteer, ("TRUST", "LONGEST", "_LEAST", "_DIGITS", "Gazetteer", "pooled", "_tags", "_hits", "_digest")),
        ),
    ),
    (EVENTS, "sound"): _Program(
        ("onnx_graph", "onnx_run_events"),
        ("onnx_parts", "onnx_rates", "onnx_sounds"),
        (
            (moments, ("LONGEST",)),
            (tracks, ("STEP", "moments")),
            *_STRETCHES,
            (windows, ("TOGETHER", "joined_feeds")),
            *_RUNS,
            (events, ("runs_of", "events_said", "_placed")),
        ),
    ),
    (DEFECTS, "text"): _Program(
        ("onnx_graph", "onnx_run_text", "onnx_compared", "onnx_compared_text", "onnx_answers_defects"),
        ("onnx_parts",), _COMPARED,
    ),
    (DEFECTS, "image"): _Program(
        ("onnx_graph", "onnx_compared", "onnx_compared_image", "onnx_answers_defects"),
        ("onnx_parts", "onnx_pictures", "onnx_picture_sizes"),
        (*_TILES, (windows, ("TILES", "patch_feeds")), *_COMPARED),
    ),
    (DEFECTS, "sound"): _Program(
        ("onnx_graph", "onnx_compared", "onnx_compared_sound", "onnx_answers_defects"),
        ("onnx_parts", "onnx_rates", "onnx_sounds"), (*_STRETCHES, (windows, ("TILES", "patch_feeds")), *_COMPARED),
    ),
    (MASKS, "image"): _Program(
        ("onnx_graph", "onnx_run_masks"),
        ("onnx_parts", "onnx_pictures", "onnx_picture_sizes"),
        (
            (pixel_sizes, ("_STRIP", "shrunk", "enlarged")),
            (pixels, ("HALO", "BLOCK", "seen_blocks", "_cuts")),
            (tiles, ("ENLARGED", "made_large")),
        ),
    ),
    (BOXES, "image"): _Program(
        ("onnx_graph", "onnx_run_boxes"),
        ("onnx_parts", "onnx_pictures", "onnx_picture_sizes"),
        (
            (tiles, ("CELL", "STEP")),
            (pixel_sizes, ("magnified",)),
            (cells, ("MOST", "_BLOCK", "_HALO", "read_at", "seen_cells", "_cuts", "middles")),
            (counting, ("Detected",)),
            (matching, ("overlaps", "suppressed")),
            (box_confidence, ("_EDGE", "confidence", "_odds")),
            (
                box_answers,
                ("FLOOR", "OVERLAP", "_CANDIDATES", "_KEPT", "_SIDES", "boxes_around", "begun", "cells_by",
                 "in_picture", "_kept", "answered", "box_said"),
            ),
        ),
    ),
}  # fmt: skip
"""Task and modality → the runner of a task that answers parts of items."""


def answers_parts(modality: str, task: str) -> bool:
    """Whether the runner of a task makes its answers of what the graph says of the parts of an item."""
    return (task, modality) in _PARTS


def programs(modality: str, task: str) -> dict[str, str]:
    """File name → text of the programs that answer items of a modality.

    Args:
        modality: text, image or sound.
        task: the name of what is answered.
    """
    made = _PARTS.get((task, modality), _WHOLES[modality])
    libraries = LIBRARIES[modality].replace(" ", " and ")
    imports, bodies = _put_together(made.run)
    run = template("onnx_run.txt").replace("# IMPORTS\n", imports).replace("# ANSWERING\n", bodies)
    found = {RUNNER: run.replace("LIBRARIES", libraries)}
    if made.beside:
        head, *more = made.beside
        imports, bodies = _put_together(more)
        start = template(f"{head}.txt").replace("LIBRARIES", libraries) + imports
        found[BESIDE] = "\n\n".join(filter(None, [start, bodies, *borrowed(made.borrowed)]))
    return found


def _put_together(names: Sequence[str]) -> tuple[str, str]:
    """The imports of some templates, and all that follows these."""
    imports, bodies = list[str](), list[str]()
    for name in names:
        whole = template(f"{name}.txt")
        start, gap, body = whole.partition("\n\n\n")
        begins = bool(gap) and start.startswith(("from ", "import "))
        imports += [f"{start}\n"] * begins
        bodies.append(body if begins else whole)
    return "".join(imports), "\n\n".join(bodies)


def borrowed(pieces: Borrowed) -> list[str]:
    """The source of functions, classes and constants, one after the other.

    Args:
        pieces: modules, and names in each.
    """
    constants, code = list[str](), list[str]()
    for module, names in pieces:
        for name in names:
            value = getattr(module, name)
            if callable(value):
                code.append(inspect.getsource(value))
            else:
                constants.append(f"{name} = {value!r}")
    return ["\n".join(constants) + "\n", *code]


def template(name: str) -> str:
    """A text of the folder of templates."""
    return (files("handful") / "templates" / name).read_text("utf-8")
