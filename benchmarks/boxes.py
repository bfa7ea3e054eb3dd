"""Boxes around blood cells: twenty marked pictures, what is then found and counted in others, and what was claimed.

bccd_boxes (blood smears; platelets, red and white cells): of each draw twenty pictures of its train part are learned
from, by ``tune`` as it is typed, and all 72 of its test part are answered. Its val part was used while this was made.
AP50 is that of COCO over all boxes that are seen, the mean over three labels; counts are those
of boxes that are answered, and are off by those of all labels together. Without looking, a count is the rounded mean of
the twenty, for each label.

    python benchmarks/boxes.py --draws 3 --out benchmarks/results/boxes.csv
"""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from handful.api import load, tune
from handful.data.boxes import Boxed
from handful.data.dataset import Dataset
from handful.strategies.frozen.box_confidence import confidence
from handful.strategies.frozen.centres import detections
from handful.tasks.boxes import BOXES, matched, numbers_of
from ledger import Ledger, Row, mean, options, over_draws, values

LEARNED = 20
LABELS = ("Platelets", "RBC", "WBC")
FIELDS = (
    "draw", "ap50", "claimed", "low", "high", *(f"ap50 {name}" for name in LABELS), "box_f1", "count_error",
    "count_claimed", "count_low", "count_high", "blind_count_error",
    *(f"count_error {name}" for name in LABELS), *(f"blind {name}" for name in LABELS),
    "marked", "confidence", "right", "tune_seconds",
    "predict_seconds",
)  # fmt: skip


def main() -> None:
    """Run the draws, write one line per draw, print the table."""
    parser = options(__doc__, "bccd_boxes", 3, "boxes.csv")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("draw",))
    if not args.table:
        with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(Path(args.data) / "bccd_boxes.zip") as archive:
            archive.extractall(place)
            learn, answer = parts(Path(place))
            for draw in range(args.draws):
                if not ledger.has(draw=draw):
                    ledger.add(one_draw(learn, answer, draw))
    print(table(ledger.rows))


def parts(folder: Path) -> tuple[Dataset, Dataset]:
    """The pictures to learn from, and those to answer."""
    data = replace(load(folder, task="boxes"), split=None)
    said = json.loads((folder / "annotations.json").read_text())["images"]
    split = {folder / one["file_name"]: one["split"] for one in said}
    learn, answer = ([i for i, item in enumerate(data.items) if split[item] == part] for part in ("train", "test"))
    return data.take(learn), data.take(answer)


def one_draw(learn: Dataset, answer: Dataset, draw: int) -> Row:
    """Twenty pictures learned from, all others answered."""
    some = learn.take(np.sort(np.random.default_rng(draw).permutation(len(learn))[:LEARNED]))
    start = time.perf_counter()
    run = tune(some, seed=draw)
    middle = time.perf_counter()
    model, claims = run.model, run.scores.details
    eyes = model.ready()
    seen = [detections(item, model.scale, eyes, {"": model.boxes.candidates}, len(LABELS))[""] for item in answer.items]
    end = time.perf_counter()
    wanted = [corners(cell) for cell in answer.labels or ()]
    outputs = numbers_of(seen, wanted, np.tile(model.cuts, (len(answer), 1)))
    targets = BOXES.targets(answer.labels or (), LABELS)
    by_name = {one["name"]: one for one in BOXES.details(outputs, targets, None)["boxes"]}
    unseen = blind(some, wanted)
    own, counts = run.scores.estimate, claims["count_error"]
    answered = [[one.above(float(cut)) for one, cut in zip(each, model.cuts, strict=True)] for each in seen]
    sure = np.concatenate([confidence(one.scores, line) for each in answered
                           for one, line in zip(each, model.lines, strict=True)])  # fmt: skip
    right = np.concatenate([
        matched(one.boxes, mark) for each, marks in zip(answered, wanted, strict=True)
        for one, mark in zip(each, marks, strict=True)
    ])  # fmt: skip
    row: Row = {
        "draw": draw,
        "ap50": round(BOXES.metrics["ap50"].of(outputs, targets).value, 4),
        "claimed": round(own.value, 4), "low": round(own.low, 4), "high": round(own.high, 4),
        **{f"ap50 {name}": round(by_name[name]["ap50"]["value"], 4) for name in LABELS},
        "box_f1": round(BOXES.metrics["box_f1"].of(outputs, targets).value, 4),
        "count_error": round(BOXES.metrics["count_error"].of(outputs, targets).value, 3),
        "count_claimed": round(counts["value"], 3), "count_low": round(counts["low"], 3),
        "count_high": round(counts["high"], 3),
        "blind_count_error": round(float(unseen.sum()), 3),
        **{f"count_error {name}": round(by_name[name]["count_error"]["value"], 3) for name in LABELS},
        **{f"blind {name}": round(float(own), 3) for name, own in zip(LABELS, unseen, strict=True)},
        "marked": round(float(np.mean([sum(map(len, own)) for own in wanted])), 2),
        "confidence": round(float(sure.mean()), 4), "right": round(float(right.mean()), 4),
        "tune_seconds": round(middle - start, 1), "predict_seconds": round(end - middle, 1),
    }  # fmt: skip
    print(row, flush=True)
    return row


def corners(cell: str) -> list[np.ndarray]:
    """The marked boxes of a picture, (B, 4) of each label."""
    boxes = Boxed.of_cell(cell).boxes
    return [np.array([box.corners for box in boxes if box.label == name]).reshape(-1, 4) for name in LABELS]


def blind(learned: Dataset, wanted: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """By how much counts are off that are the same for every picture, by label."""
    means = np.mean([[len(own) for own in corners(cell)] for cell in learned.labels or ()], 0).round()
    return np.mean([np.abs(np.array(list(map(len, own))) - means) for own in wanted], 0)


def table(rows: Sequence[Row]) -> str:
    """What was found and counted in pictures that nothing was learned from, beside what was claimed of it."""
    draws = [float(str(row["ap50"])) for row in rows]
    within = [float(str(row["low"])) <= float(str(row["ap50"])) <= float(str(row["high"])) for row in rows]
    near = [
        float(str(row["count_low"])) <= float(str(row["count_error"])) <= float(str(row["count_high"])) for row in rows
    ]
    lines = [
        f"draws of {LEARNED} pictures: {len(rows)}; things marked in a picture: {mean(rows, 'marked'):.1f}",
        f"AP50 on other pictures, points        {over_draws(100 * np.array(draws), 1)}",
        *(
            f"  {name:<36}{over_draws(100 * values(rows, f'ap50 {name}'), 1)}"
            for name in LABELS
        ),
        f"AP50 that the runs claim, points      {over_draws(100 * values(rows, 'claimed'), 1)}"
        f"   interval held in {sum(within)} of {len(rows)}",
        f"counts off by, things a picture       {over_draws(values(rows, 'count_error'), 2)}",
        f"counts off by, as the runs claim      {over_draws(values(rows, 'count_claimed'), 2)}"
        f"   interval held in {sum(near)} of {len(rows)}",
        f"counts off by, without looking        {over_draws(values(rows, 'blind_count_error'), 2)}",
        *(
            f"  {name + ', and without looking':<36}{mean(rows, f'count_error {name}'):>+6.2f} and "
            f"{mean(rows, f'blind {name}'):+.2f}"
            for name in LABELS
        ),
        f"confidence of boxes, and share right  {100 * mean(rows, 'confidence'):.0f} % and "
        f"{100 * mean(rows, 'right'):.0f} %",
        f"seconds to tune, to answer 72         {mean(rows, 'tune_seconds'):.0f} and "
        f"{mean(rows, 'predict_seconds'):.0f}",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
