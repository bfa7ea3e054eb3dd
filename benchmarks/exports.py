"""What copies of a model for elsewhere are worth: size, loading, time per item and accuracy, side by side in one run.

    python benchmarks/exports.py --draws 3 --out benchmarks/results/exports.csv

Each draw is learned from as ``handful tune --budget 0`` does, on one encoder, and exported in every form. Forms that
would be refused are written all the same, with ``refused`` beside them. Times are medians over the same rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from handful import api
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx
from handful.export.onnx.model import load_onnx
from handful.export.onnx.static import export_static
from handful.run import Run
from ledger import Ledger, Row, cells, mean, median, options, over_draws, values
from pools import DATA, Set, by_name, rows_of

FIELDS = ("set", "draw", "form", "megabytes", "load_seconds", "one_ms", "many_ms", "accuracy", "same", "refused")
KEY = ("set", "draw", "form")
FORMS = ("torch", "onnx", "int8", "static")
BACKBONES = {"text": "minilm-l6", "image": "efficientnet-lite0", "sound": "spectrogram-lite0"}
TEST_ROWS, TOGETHER, PASSES = 200, 32, 12

Answering = Callable[[Sequence[Any]], list[Any]]


def main() -> None:
    """Run the draws, print and write one line per form."""
    parser = options(__doc__, "agnews,banking77,flowers12,esc10", 3, "exports.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, KEY)
    for task in () if args.table else by_name(args.sets):
        for draw in range(args.draws):
            ledger.complete({"set": task.name, "draw": draw}, measured(task, draw, args.data))
    print(table(ledger.rows))


def measured(task: Set, draw: int, folder: Path = DATA) -> Iterator[Row]:
    """One line for each form of one model."""
    data = rows_of(task, folder)
    rng, labels = np.random.default_rng(draw), np.asarray(data.labels)
    own = [rng.permutation(np.flatnonzero(labels == name))[: task.per_class[0]] for name in data.classes]
    train = np.sort(np.concatenate(own))
    rest = rng.permutation(np.setdiff1d(np.arange(len(labels)), train))[:TEST_ROWS]
    items, truth = [data.items[i] for i in rest], labels[rest].tolist()
    run = api.tune(data.take(train), backbone=BACKBONES[task.modality], budget=0, seed=draw)
    known = KnownRows(list(run.data.items), list(run.data.labels or ()))
    before: list[Any] = []
    for form in FORMS:
        with TemporaryDirectory() as place:
            row = _form(form, run, known, Path(place) / "model", items, truth, before)
        if row:
            yield {"form": form, **row}


def _form(
    form: str, run: Run, known: KnownRows, folder: Path, items: list[Any], truth: list[Any], before: list[Any]
) -> Row:  # fmt: skip
    write = {"torch": _saved, "onnx": _onnx, "int8": partial(_onnx, int8=True), "static": _static}[form]
    refused = False
    try:
        write(run, known, folder, ExportOptions())
    except OptionError as error:
        if "even-if-answers-change" not in str(error):
            return {}  # pictures and sounds have no static copy
        refused = True
        write(run, known, folder, ExportOptions(even_if_answers_change=True))
    began = time.perf_counter()
    model = Bundle.load(folder) if form == "torch" else load_onnx(folder)
    model.predict(items[:1])
    loaded = time.perf_counter() - began
    said = model.predict(items)
    if form == "torch":
        before.extend(said)
    return {
        "megabytes": round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20, 1),
        "load_seconds": round(loaded, 3),
        "one_ms": round(_milliseconds(model.predict, [[item] for item in items[:PASSES]]), 3),
        "many_ms": round(_milliseconds(model.predict, [items[:TOGETHER]] * 3) / TOGETHER, 3),
        "accuracy": float(np.mean([a == b for a, b in zip(said, truth, strict=True)])),
        "same": float(np.mean([a == b for a, b in zip(said, before, strict=True)])),
        "refused": refused,
    }


def _saved(run: Run, known: KnownRows, folder: Path, asked: ExportOptions) -> None:
    run.bundle.save(folder, merge=True)


def _onnx(run: Run, known: KnownRows, folder: Path, asked: ExportOptions, int8: bool = False) -> None:
    export_onnx(run.bundle, folder, known, ExportOptions(int8, asked.even_if_answers_change))


def _static(run: Run, known: KnownRows, folder: Path, asked: ExportOptions) -> None:
    right = [answer.label == answer.predicted for answer in run.held_out]
    export_static(run.bundle, folder, known, right, asked)


def _milliseconds(run: Answering, batches: Sequence[Sequence[Any]]) -> float:
    taken = []
    for batch in batches:
        began = time.perf_counter()
        run(batch)
        taken.append(time.perf_counter() - began)
    return 1000 * float(np.median(taken))


def table(rows: list[Row]) -> str:
    """Each form of the models of each set: medians of times, mean accuracy, and how far it is from torch."""
    lines = [
        f"{'set':<11}{'form':<8}{'MB':>7}{'load s':>8}{'1 item ms':>11}{'x torch':>9}{'of 32 ms':>10}{'accuracy':>10}"
        f"{'same':>7}{'refused':>9}   points from torch"
    ]  # fmt: skip
    for (name,), some in cells(rows, "set").items():
        each = cells(some, "form")
        first = each["torch",]
        for (form,), own in each.items():
            faster = median(first, "one_ms") / median(own, "one_ms")
            lost = 100 * (values(own, "accuracy") - values(first, "accuracy")) if len(own) == len(first) else None
            refused = sum(str(row["refused"]) == "True" for row in own)
            lines.append(
                f"{name:<11}{form:<8}{mean(own, 'megabytes'):>7.1f}{median(own, 'load_seconds'):>8.2f}"
                f"{median(own, 'one_ms'):>11.2f}{faster:>9.1f}{median(own, 'many_ms'):>10.2f}"
                f"{100 * mean(own, 'accuracy'):>10.1f}{100 * mean(own, 'same'):>7.1f}{f'{refused} of {len(own)}':>9}   "
                + ("" if form == "torch" or lost is None else over_draws(lost, 1))
            )
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    main()
