"""The command that copies a model for use elsewhere: export."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.atomic import check_replaceable
from handful.cli.compared_rows import known_rows, rows_beside, rows_of
from handful.cli.given import check_backbone, check_model, place, typed
from handful.cli.printing import put, put_line
from handful.cli.weights import Flag
from handful.errors import OptionError, suggestion
from handful.progress import Bars
from handful.run_folder import (
    MANIFEST,
    answers_parts,
    is_detector,
    is_finder,
    is_language,
    reads_two,
    reads_vectors,
    record_of,
)

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.export.detector import Detector
    from handful.export.finder import Finder
    from handful.export.onnx.exporting import Exported, ExportOptions, KnownRows
    from handful.export.part_model import PartModel
    from handful.export.segmenter import Segmenter

FORMATS = ("handful", "onnx", "static", "web")
"""What a model can be written as."""

_OF = {
    "--merge": ("handful",), "--int8": ("onnx", "web"), "--rows": ("onnx", "static", "web"),
    "--even-if-answers-change": ("onnx", "static", "web"), "--runtime": ("web",),
    "--distil": ("handful", "onnx", "web"),
}  # fmt: skip
"""Flag → the formats that it is for."""

_DISTILLED = ("--rows", "--even-if-answers-change")
"""Flags that go with --format handful too where a smaller model is made."""

_MIB = 1 << 20
# Items without labels that a smaller model learns from at most.
_MOST_POOL = 2000


@dataclass(frozen=True)
class _Options:
    """What was asked of a copy that is compared with its model."""

    int8: bool
    rows: str | None
    even_if_answers_change: bool
    distil: str | None
    unlabelled: str | None


def export(
    run: str,
    *,
    out: str,
    merge: Flag = False,
    format: str = FORMATS[0],  # noqa: A002 - the name of the flag
    int8: Flag = False,
    rows: str | None = None,
    even_if_answers_change: Flag = False,
    runtime: str | None = None,
    distil: str | None = None,
    unlabelled: str | None = None,
) -> None:
    """Write a copy of a model to use elsewhere.

    Args:
        run: the run folder that `handful tune` wrote.
        out: the folder to write.
        merge: put the weights of its backbone in as well, so that the folder is all that is needed.
        format: handful, to be used with it; onnx, a folder that answers with onnxruntime alone; static, the same
            without a transformer, for texts; web, a page that any browser opens.
        int8: of onnx and web: weights of eight bits, a quarter of the size.
        rows: rows by which the copy is compared with the model; by default those it learned from.
        even_if_answers_change: write a copy that answers otherwise, which is refused by default.
        runtime: of web: the folder dist of onnxruntime-web; by default npm fetches it, once.
        distil: a smaller backbone of `handful models list`: the copy reads it, and learns what the model answers;
            refused where it loses more than 3 points, held out.
        unlabelled: of --distil: items without labels, whose answers are learned from too; by default those that the run
            had.
    """
    check_model(run, "export")
    folder = place(out)
    if format not in FORMATS:
        near = suggestion(format, FORMATS) or " Name one of these."
        raise OptionError(f"--format must be one of {', '.join(FORMATS)}, got {format!r}.{near}")
    given = {
        "--merge": merge, "--int8": int8, "--rows": rows, "--even-if-answers-change": even_if_answers_change,
        "--runtime": runtime, "--distil": distil,
    }  # fmt: skip
    of = {flag: (*formats, *["handful"] * bool(distil and flag in _DISTILLED)) for flag, formats in _OF.items()}
    if unlabelled and not distil:
        raise OptionError("--unlabelled is for --distil NAME, which learns from it. Leave it out.")
    if odd := next((flag for flag, value in given.items() if value and format not in of[flag]), None):
        raise OptionError(
            f"{odd} is for --format {' or '.join(_OF[odd])}, got --format {format}. Leave one of them out."
        )
    if format == FORMATS[0] and not distil:
        _copied(run, folder, merge)
        return
    if distil:
        check_backbone(distil)
    _check_items(run, format, distil)
    if whole := next(
        (flag for flag, asked in (("--format", format in ("static", "web")), ("--distil", distil)) if asked), ""
    ):
        _check_whole(run, f"{whole} {format if whole == '--format' else distil}")
    options = _Options(int8, rows, even_if_answers_change, distil, unlabelled)
    if format == FORMATS[0]:
        _to_smaller(run, folder, options, merge)
    elif format == "web":
        _to_web(run, folder, options, runtime)
    elif format == "static":
        _to_static(run, folder, options)
    else:
        _to_onnx(run, folder, options)


def _check_items(run: str, format: str, distil: str | None) -> None:
    """Refuse to write a model of something else than texts, pictures and sounds as a graph, or as a smaller one."""
    if reads_vectors(run) or reads_two(run):
        flag, needs = ("--distil", distil) if distil else ("--format", format), "models of texts, pictures and sounds"
        got = "vectors" if reads_vectors(run) else "images with texts"
        raise OptionError(f"{' '.join(flag)} is for {needs}, got one of {got}. Export without it, for handful.")
    if is_language(run) and distil:
        raise OptionError("--distil is for models of labelled items, got a language model. Leave it out.")
    if is_language(run):
        raise OptionError(
            f"--format {format} is for models of labelled items, got a language model. Export it with --merge, for "
            "transformers."
        )


def _check_whole(run: str, flag: str) -> None:
    """Refuse a copy that answers items as wholes for a model that answers their parts.

    Raises:
        OptionError: it is one.
    """
    from handful.data.targets import BOXES, DEFECTS, EVENTS, MASKS, SPANS  # help and wrong options do without numpy

    task = str(record_of(run).get("task"))
    if task in (SPANS, EVENTS, DEFECTS, MASKS, BOXES):
        called = "spans" if task == SPANS else task
        raise OptionError(
            f"{flag} is for models that answer items as wholes, got one of {called}. Use --format onnx without it."
        )


def _copied(run: str, folder: Path, merge: bool) -> None:
    if is_language(run):
        if not merge:
            raise OptionError("a language model is exported whole, for transformers: add --merge.")
        from handful.export.language_model import LanguageModel

        check_replaceable(folder, marker="config.json")
        LanguageModel.load(run).merged(folder)
        put(f"written: {folder}, a folder that transformers loads (AutoModelForCausalLM.from_pretrained)")
        return
    check_replaceable(folder, marker="bundle.json")
    if answers_parts(run):
        if merge:
            raise OptionError("--merge is for models that answer items as wholes, got one of parts. Leave it out.")
        plain = _of_parts(run)
        plain.save(folder, _card(plain))
    else:
        from handful.export.bundle import Bundle

        model = Bundle.load(run)
        model.save(folder, _card(model), merge=merge)
    put(f"use it: {typed('predict', folder, 'NEW')}")


def _to_onnx(run: str, folder: Path, options: _Options) -> None:
    from handful.export.onnx.runners import RUNNER

    check_replaceable(folder, marker=MANIFEST)
    pairs, told = _written(run, folder, options)
    put(f"written: {folder} ({told})")
    put(f"use it: python {folder / RUNNER} {'FIRST SECOND' if pairs else 'ITEM'}")


def _written(run: str, folder: Path, options: _Options) -> tuple[bool, str]:
    """Write the folder of a model in ONNX and say how it compares: whether the model reads pairs, and its sizes."""
    with Bars() as bars:
        bars.now("start")

        from handful.export.bundle import Bundle
        from handful.export.onnx.exporting import ExportOptions, export_onnx

        pairs, asked = False, ExportOptions(options.int8, options.even_if_answers_change)
        if answers_parts(run):
            made = _written_parts(run, folder, options.rows, asked, bars)
        else:
            model = Bundle.load(run)
            known, places = known_rows(run, options.rows, model)
            card, pairs = _card(model), model.pairs
            if options.distil:
                model, card = _smaller(run, model, known, places, options, bars)
            bars.now("exporting")
            made = export_onnx(model, folder, known, asked, card)
    for note in made.notes:
        put_line(note, sys.stderr)
    put(f"compared: {made.parity.sentence}")
    return pairs, _told(made.sizes)


def _of_parts(run: str) -> Detector | Segmenter | Finder:
    """The model of defects, masks or boxes of a run."""
    from handful.export.detector import Detector
    from handful.export.finder import Finder
    from handful.export.segmenter import Segmenter

    if is_finder(run):
        return Finder.load(run)
    return Detector.load(run) if is_detector(run) else Segmenter.load(run)


def _written_parts(run: str, folder: Path, rows: str | None, asked: ExportOptions, bars: Bars) -> Exported:
    from handful.export.onnx.exporting import KnownRows
    from handful.export.onnx.parts import export_parts

    model = _of_parts(run)
    source = rows_beside(run, rows)
    known = KnownRows() if source is None else rows_of(source, run, rows is None, model.task.name)
    bars.now("exporting")
    return export_parts(model, folder, known, asked, _card(model))


def _to_smaller(run: str, folder: Path, options: _Options, merge: bool) -> None:
    check_replaceable(folder, marker="bundle.json")
    with Bars() as bars:
        bars.now("start")

        from handful.export.bundle import Bundle

        model = Bundle.load(run)
        known, places = known_rows(run, options.rows, model)
        model, card = _smaller(run, model, known, places, options, bars)
        model.save(folder, card, merge=merge)
    put(f"use it: {typed('predict', folder, 'NEW')}")


def _smaller(
    run: str, model: Bundle, known: KnownRows, places: list[int], options: _Options, bars: Bars
) -> tuple[Bundle, str]:
    """A model on a smaller backbone that learned what a model answers, and its card; its cost is said."""
    from handful.export.distilling import distil
    from handful.features.cache import user_cache

    assert options.distil is not None
    cache = user_cache()
    try:
        pool = _pool(run, options.unlabelled, model)
        rows = known.items, known.labels
        made = distil(
            model, options.distil, rows, _held_out(run, places), pool, options.even_if_answers_change, cache,
            lambda done, total: bars("looking", done, total),
        )  # fmt: skip
    finally:
        cache.close()
    bars.hide()
    put(f"distilled: {made.sentence}")
    card = f"# {made.model.modality.capitalize()} {made.model.task.name}\n\n## What to keep in mind\n\n"
    return made.model, f"{card}Distilled from {model.head} on {model.view.name}: {made.sentence}.\n"


def _held_out(run: str, places: list[int]) -> list[bool]:
    """Whether each row was answered right while it was held out, as far as that is known."""
    from handful.run import saved_answers

    right = {answer.row: answer.label == answer.predicted for answer in saved_answers(Path(run))}
    return [right[row] for row in places if row in right]


def _pool(run: str, unlabelled: str | None, model: Bundle) -> list[Any]:
    """Items without labels: those named, or those that the run learned from where they are still there."""
    from handful.data.pool import read_pool
    from handful.data.sources import exists
    from handful.plan import read_plan
    from handful.seeding import generator

    if unlabelled is None:
        plan = Path(run) / "plan.yaml"
        unlabelled = read_plan(plan).unlabelled if plan.is_file() else None
        if unlabelled is None or not exists(Path(unlabelled)):
            return []
    pool, _ = read_pool(unlabelled, model.modality, _MOST_POOL, generator(0, "pool of a smaller model"), model.input)
    return list(pool.items)


def _to_static(run: str, folder: Path, options: _Options) -> None:
    from handful.export.onnx.runners import RUNNER

    check_replaceable(folder, marker=MANIFEST)
    with Bars() as bars:
        bars.now("start")

        from handful.export.bundle import Bundle
        from handful.export.onnx.exporting import ExportOptions
        from handful.export.onnx.static import HOW, export_static

        model = Bundle.load(run)
        known, places = known_rows(run, options.rows, model)
        held_out = _held_out(run, places)
        bars.now("exporting")
        asked = ExportOptions(even_if_answers_change=options.even_if_answers_change)
        made, cost = export_static(model, folder, known, held_out, asked, _card(model))
    put(f"cost: {cost.sentence(HOW)}")
    put(f"compared: {made.parity.sentence}")
    put(f"written: {folder} ({_told(made.sizes)})")
    put(f"use it: python {folder / RUNNER} ITEM")


def _to_web(run: str, folder: Path, options: _Options, runtime: str | None) -> None:
    from handful.export.onnx.web import PAGE, PARTS, write_page
    from handful.export.onnx.web_runtime import runtime_files

    check_replaceable(folder, marker=PARTS[0])
    files = runtime_files(runtime)
    with tempfile.TemporaryDirectory() as between:
        _written(run, Path(between) / "onnx", options)
        size = write_page(Path(between) / "onnx", folder, files)
    put(f"written: {folder} ({size / _MIB:.1f} MB)")
    put(f"use it: open {folder / PAGE} in a browser")


def _told(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {size / _MIB:.1f} MB" for what, size in sizes.items())


def _card(model: Bundle | PartModel) -> str:
    """The card beside a model; empty where there is none."""
    file = None if model.place is None else model.place / "README.md"
    return file.read_text("utf-8") if file is not None and file.is_file() else ""
