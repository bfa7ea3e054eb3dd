"""Runners: the programs beside a graph, which answer items with a runtime and what decodes them, and nothing of ours."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib.resources import files
from types import ModuleType

from handful.backbones import frames, levels, parts, text
from handful.data import sentences, tracks
from handful.data.targets import EVENTS, SPANS
from handful.export.onnx import windows
from handful.features import moments, word_forms, words
from handful.tasks import part_layout, tag_sequences
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
_BORROWED: Mapping[str, Borrowed] = {
    SPANS: (
        (sentences, ("_JOINERS", "_ALONE", "words_in", "kind_of")),
        (word_forms, ("WIDTH", "forms_of_words", "_signs")),
        (parts, ("owners", "tokens_owned")),
        (text, ("_OVERLAP", "Window", "FastTokeniser", "fast_tokeniser", "_whole")),
        (windows, ("TOGETHER", "Windows", "windows_of_text", "joined_feeds")),
        *_RUNS,
        (decoding, ("_NEVER", "Found", "allowed", "decoded", "best_tags", "_spans", "stretches")),
        (gazetteer, ("TRUST", "LONGEST", "_LEAST", "_DIGITS", "Gazetteer", "pooled", "_tags", "_hits", "_digest")),
    ),
    EVENTS: (
        (moments, ("LONGEST",)),
        (tracks, ("STEP", "moments")),
        (levels, ("LOUDNESS", "SILENT", "levelled")),
        (parts, ("starts", "owners")),
        (frames, ("Stretches", "Cuts")),
        (windows, ("TOGETHER", "Windows", "windows_of_sound", "joined_feeds")),
        *_RUNS,
        (events, ("runs_of", "events_said", "_placed")),
    ),
}
"""Task → what its runner takes from handful, so that nothing is written twice that could differ one day."""
_DECODING = {EVENTS: "onnx_sounds.txt"}


def programs(modality: str, task: str) -> dict[str, str]:
    """File name → text of the programs that answer items of a modality.

    Args:
        modality: text, image or sound.
        task: the name of what is answered.
    """
    parted = task in _BORROWED
    reading = template(f"onnx_run_{task if parted else modality}.txt")
    imports, _, body = reading.partition("\n\n\n")
    sections = [template("onnx_graph.txt"), body] if parted else [body, template("onnx_answers.txt")]
    libraries = LIBRARIES[modality].replace(" ", " and ")
    run = template("onnx_run.txt").replace("# READING\n\n\n# ANSWERING\n", "\n\n".join(sections))
    run = run.replace("# IMPORTS\n", f"{imports}\n").replace("LIBRARIES", libraries)
    if not parted:
        return {RUNNER: run}
    head = template("onnx_parts.txt").replace("LIBRARIES", libraries)
    decoding = template(_DECODING[task]) if task in _DECODING else ""
    return {RUNNER: run, BESIDE: "\n\n".join(filter(None, [head + decoding, *borrowed(_BORROWED[task])]))}


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
