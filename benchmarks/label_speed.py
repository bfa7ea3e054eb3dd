"""From a label to the next question: milliseconds with 1,000, 10,000 and 100,000 items whose features are cached.

Made-up items of ten kinds with as many numbers as a default backbone gives; after 100 labels fifty more are given one
by one, each with what the page does before it shows the next item: the answer is remembered, the model fitted and asked
what to ask next. ``first``: the first question, which learns how alike items are; ``progress``: the score with its
curve, which the page shows beside the item. ``processor``: what a question costs, whatever else the machine does;
``ahead``: the same with the 24 questions that the page chooses ahead, so that it has one for every key press meanwhile.

    python benchmarks/label_speed.py --draws 1 --out benchmarks/results/label_speed.csv
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from handful.regimes.active import ActiveLearner
from handful.tasks.classification import CLASSIFICATION
from handful.web.labelling.learning import AHEAD
from ledger import Ledger, Row, cells, options, values

SIZES = (1_000, 10_000, 100_000)
WIDTHS = (384, 1280)
KINDS, BEFORE, ASKED = 10, 100, 50
FIELDS = ("items", "width", "draw", "question", "milliseconds", "processor", "ahead", "first", "progress")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, "", 1, "label_speed.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("items", "width", "draw", "question"))
    for width in () if args.table else WIDTHS:
        for items in SIZES if width == WIDTHS[0] else SIZES[:2]:
            for draw in range(args.draws):
                if not ledger.has(items=items, width=width, draw=draw):
                    ledger.extend(one_draw(items, width, draw))
    print(table(ledger.rows))


def one_draw(items: int, width: int, draw: int) -> list[Row]:
    """Fifty questions, one by one."""
    rng = np.random.default_rng(draw)
    kind = rng.integers(KINDS, size=items)
    centres = rng.standard_normal((KINDS, width), np.float32)
    learner = ActiveLearner.on(centres[kind] + 3 * rng.standard_normal((items, width), np.float32), CLASSIFICATION)
    start = time.perf_counter()
    question, *_ = learner.next()
    first = 1000 * (time.perf_counter() - start)
    while len(learner.answers) < BEFORE:
        for question in learner.next(10):
            learner.answer(question.index, str(kind[question.index]), question.how)
        learner.refit()
    question, *_ = learner.next()
    rows: list[Row] = []
    for number in range(ASKED):
        start, busy = time.perf_counter(), time.process_time()
        learner.answer(question.index, str(kind[question.index]), question.how)
        learner.refit()
        question, *_ = learner.next()
        took, spent = 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - busy)
        learner.next(AHEAD - 1, [question.index])
        rows.append({
            "items": items, "width": width, "draw": draw, "question": number, "milliseconds": round(took, 1),
            "processor": round(spent, 1), "ahead": round(1000 * (time.process_time() - busy), 1), "first": "",
            "progress": "",
        })  # fmt: skip
    start = time.perf_counter()
    learner.progress()
    rows[0] |= {"first": round(first), "progress": round(1000 * (time.perf_counter() - start))}
    return rows


def table(rows: Sequence[Row]) -> str:
    """Median and 99th percentile per size."""
    names = ("median, ms", "99th percentile", "processor, ms", "and 24 ahead", "first question, ms", "progress, ms")
    lines = ["   ".join(["  items  width", *names])]
    for (items, width), some in cells(rows, "items", "width").items():
        took = values(some, "milliseconds")
        [once] = [row for row in some if str(row["first"])][:1]
        ahead = f"{np.median(values(some, 'ahead')):.0f}" if all(str(row["ahead"]) for row in some) else "-"
        lines.append(
            f"{int(items):>7}{int(width):>7}{np.median(took):>13.0f}{np.quantile(took, 0.99):>18.0f}"
            f"{np.median(values(some, 'processor')):>16.0f}{ahead:>15}"
            f"{float(str(once['first'])):>21.0f}{float(str(once['progress'])):>15.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
