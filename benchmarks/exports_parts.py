"""What copies of models of parts are worth in ONNX: size, time per item, and equal answers on items not learned from.

    python benchmarks/exports_parts.py --draws 3 --out benchmarks/results/exports_parts.csv

One set for each kind of part: spans, events, defects, masks, boxes, each learned from as it is typed. Copies are
compared with the model as an export compares them, but on items left over, on slight changes of some, and on odd ones;
those that would be refused are written all the same, with ``refused`` beside them. Times are medians over items of what
the processor worked on one (``predict`` of handful; the runner of the folder, which has neither handful nor torch), so
that other processes count little; with OMP_NUM_THREADS=1 and on one core (``taskset -c 0``) that is how long it takes.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from handful import api
from handful.data.dataset import Dataset
from handful.errors import BundleError, OptionError
from handful.export.bundle import Bundle
from handful.export.onnx.exporting import Exported, ExportOptions, KnownRows, export_onnx
from handful.export.onnx.folder import MODEL
from handful.export.onnx.parts import export_parts
from handful.export.onnx.runners import BESIDE, RUNNER
from ledger import Ledger, Row, cells, mean, median, options, over_draws, values

FIELDS = ("set", "draw", "form", "megabytes", "one_ms", "items", "furthest", "same", "cost", "refused")
FORMS = ("torch", "onnx", "int8")
TIMED = 6
EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Kind:
    """A set for one kind of part."""

    task: str
    """What is answered."""
    file: str
    """Where it lies."""
    learned: int
    """Items learned from."""
    answered: int
    """Others that copies are compared on."""
    backbone: str
    """What is looked with; auto for what handful takes."""


KINDS = {
    "bionlp13pc_ner": Kind("tagging", "bionlp13pc_ner.jsonl", 50, 30, "minilm-l6"),
    "recordings": Kind("events", "recordings", 9, 4, "auto"),
    "membrane_masks": Kind("masks", "membrane_masks.zip", 5, 6, "auto"),
    "bccd_boxes": Kind("boxes", "bccd_boxes.zip", 15, 10, "auto"),
    "textile3": Kind("defects", "textile3.zip", 15, 20, "auto"),
}


def main() -> None:
    """Run the draws, print and write one line per form."""
    args = options(__doc__, ",".join(KINDS), 3, "exports_parts.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw", "form"))
    for draw in () if args.table else range(args.draws):
        for name in args.sets.split(","):
            with TemporaryDirectory() as place:
                ledger.complete({"set": name, "draw": draw}, measured(KINDS[name], draw, args.data, Path(place)))
    print(table(ledger.rows))


def measured(kind: Kind, draw: int, data: Path, place: Path) -> Iterator[Row]:
    """One line for each form of one model."""
    learn, known = divided(kind, draw, data, place)
    model = api.tune(learn, backbone=kind.backbone, seed=draw).model
    timed = list(known.items[:TIMED])
    yield {"form": "torch", "one_ms": milliseconds(lambda item: model.predict([item]), timed), "refused": False}
    for form in FORMS[1:]:
        folder = place / form
        made, refused = written(model, folder, known, form == "int8")
        parity = made.parity
        yield {
            "form": form,
            "megabytes": round((folder / MODEL).stat().st_size / 2**20, 1),
            "one_ms": milliseconds(runner(folder), list(map(str, timed))),
            "items": parity.items,
            "furthest": f"{parity.furthest:.1e}",
            "same": round(parity.same.value, 5),
            "cost": "" if parity.cost is None else round(parity.cost.value, 5),
            "refused": refused,
        }


def divided(kind: Kind, draw: int, data: Path, place: Path) -> tuple[Dataset, KnownRows]:
    """What is learned from, and the rows left over."""
    file = EXAMPLES / kind.file if kind.task == "events" else data / kind.file
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(place / "set")
        file = place / "set"
    rng = np.random.default_rng(draw)
    if kind.task == "defects":
        return normal(kind, file, rng, place)
    rows = replace(api.load(file, task=kind.task, split=""), split=None)
    order = rng.permutation(len(rows))
    learn, left = (np.sort(order[a:b]) for a, b in ((0, kind.learned), (kind.learned, kind.learned + kind.answered)))
    others = rows.take(left)
    return rows.take(learn), KnownRows(list(others.items), list(others.labels or ()))


def normal(kind: Kind, file: Path, rng: np.random.Generator, place: Path) -> tuple[Dataset, KnownRows]:
    """Normal pictures to learn from; others of them and marked ones left over, half and half."""
    files = {part: rng.permutation(sorted((file / part).iterdir())) for part in ("nominal", "local")}
    learn, half = list(files["nominal"][: kind.learned]), kind.answered // 2
    good = list(files["nominal"][kind.learned : kind.learned + half])
    (place / "good").mkdir()
    for one in learn:
        (place / "good" / one.name).symlink_to(one)
    known = KnownRows([*good, *files["local"][:half]], ["good"] * half + ["bad"] * half)
    return api.load(place / "good", task="defects"), known


def written(model: Any, folder: Path, known: KnownRows, int8: bool) -> tuple[Exported, bool]:
    """What an export says of itself, and whether it would have been refused."""
    write: Callable[..., Exported] = export_onnx if isinstance(model, Bundle) else export_parts
    try:
        return write(model, folder, known, ExportOptions(int8)), False
    except (OptionError, BundleError) as error:
        if "even-if-answers-change" not in str(error):
            raise
        return write(model, folder, known, ExportOptions(int8, even_if_answers_change=True)), True


def runner(folder: Path) -> Callable[[str], Any]:
    """The program of a folder, in this process: what it writes goes into the folder."""
    sys.modules.pop(Path(BESIDE).stem, None)
    spec = importlib.util.spec_from_file_location("runner", folder / RUNNER)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    sys.path.remove(str(folder))

    def answer(item: str) -> Any:
        before = Path.cwd()
        os.chdir(folder)
        try:
            return made.answers([item])
        finally:
            os.chdir(before)

    return answer


def milliseconds(answer: Callable[[Any], Any], items: Sequence[Any]) -> float:
    """What the processor works on an item, the median, after one that does not count."""
    answer(items[0])
    taken = []
    for item in items:
        began = time.process_time()
        answer(item)
        taken.append(time.process_time() - began)
    return round(1000 * float(np.median(taken)), 2)


def table(rows: list[Row]) -> str:
    """Each form of the models of each set, over its draws."""
    lines = [
        f"{'set':<16}{'answers':<9}{'form':<7}{'MB':>6}{'1 item ms':>11}{'x torch':>9}{'furthest':>10}{'same %':>9}"
        f"{'refused':>9}   loss beyond torch's"
    ]  # fmt: skip
    for (name,), some in cells(rows, "set").items():
        each = cells(some, "form")
        for (form,), own in each.items():
            faster = median(each["torch",], "one_ms") / median(own, "one_ms")
            line = f"{name:<16}{KINDS[name].task:<9}{form:<7}"
            if form == "torch":
                lines.append(f"{line}{'':>6}{median(own, 'one_ms'):>11.1f}{faster:>9.1f}")
                continue
            refused = sum(str(row["refused"]) == "True" for row in own)
            lines.append(
                f"{line}{mean(own, 'megabytes'):>6.1f}{median(own, 'one_ms'):>11.1f}{faster:>9.1f}"
                f"{values(own, 'furthest').max():>10.0e}{100 * mean(own, 'same'):>9.2f}{f'{refused} of {len(own)}':>9}"
                "   " + over_draws(values(own, "cost"), 4)
            )
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    main()
