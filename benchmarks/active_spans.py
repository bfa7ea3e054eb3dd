"""Active learning of marked texts: what the spans are worth that are asked for, against as many drawn by chance.

Of each set 700 sentences are taken; anew for each seed 450 are the pool and the others are for the test. Ten sentences
are asked at a time and marked as they are in the set; the F1 of exact spans is that of the quick fit that the page to
label shows, on the test sentences. ``words``: how many words have been read by then, since long sentences cost more
than short ones. ``value`` to ``high``: the score that the page would show. How doubtful a sentence is, is the mean over
its words; the sum, and the sum by the root of the length, were tried on the first two sets.

    python benchmarks/active_spans.py --draws 5 --out benchmarks/results/active_spans.csv
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from handful.backbones import catalog
from handful.data.readers import load
from handful.data.sentences import bounds_of
from handful.features.words import words_seen
from handful.regimes.active import ActiveLearner, PartRows
from handful.tasks.tagging.task import TAGGING
from ledger import Ledger, Row, cells, options, over_draws, values
from pools import DATA

SETS = "bionlp13pc_ner,wnut17_ner,masakhaner_swa"
BACKBONE = "minilm-l6"
TAKEN, POOL = 700, 450
STEP, LAST = 10, 120
SHOWN = (40, 80, 120)
ASKS = ("phased", "random")
FIELDS = ("set", "seed", "ask", "labels", "words", "f1", "value", "low", "high")


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, SETS, 5, "active_spans.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "seed", "ask", "labels"))
    for name in [] if args.table else args.sets.split(","):
        items, vectors, labels = seen(name)
        for seed in range(args.draws):
            for ask in ASKS:
                if not ledger.has(set=name, seed=seed, ask=ask):
                    ledger.extend([{"set": name, **row} for row in one(items, vectors, labels, ask, seed)])
    print(table(ledger.rows))


def seen(name: str) -> tuple[list[str], list[NDArray[np.float32]], list[str]]:
    """Sentences of a set, what is seen in the words of each (W, D), and what is marked."""
    data = load(DATA / f"{name}.jsonl", task="tagging")
    data = data.take(np.random.default_rng(0).permutation(len(data))[:TAKEN].tolist())
    backbone = catalog.load(BACKBONE, "text")
    depth = backbone.part_depths[0]
    matrices, _ = words_seen(backbone, data.items, (depth,))
    ends = np.cumsum([len(bounds_of(item)) for item in data.items])
    return list(data.items), np.split(matrices[depth], ends[:-1]), list(data.labels or ())


def one(
    items: Sequence[str], vectors: Sequence[NDArray[np.float32]], labels: Sequence[str], ask: str, seed: int
) -> Iterator[Row]:
    """One way of asking on one set: a row for every ten sentences."""
    order = np.random.default_rng(seed).permutation(len(items)).tolist()
    pool, test = order[:POOL], order[POOL:]
    learner = ActiveLearner.on(
        PartRows.of([vectors[i] for i in pool], [items[i] for i in pool]), TAGGING, seed=seed, asking=ask
    )
    rows = PartRows.of([vectors[i] for i in test], [items[i] for i in test])
    while len(learner.answers) < LAST:
        for asked in learner.next(STEP):
            learner.answer(asked.index, labels[pool[asked.index]], asked.how)
        learner.refit()
        row: Row = {"seed": seed, "ask": ask, "labels": len(learner.answers), "f1": 0.0}
        row["words"] = sum(len(bounds_of(items[pool[i]])) for i in learner.answers)
        if learner._fit is not None:
            outputs = learner._fit.unaware(rows, [None] * len(rows))
            answers, wanted = learner.answering.against(outputs, [labels[i] for i in test], learner.names)
            row["f1"] = round(TAGGING.headline.of(answers[None], wanted).value, 4)
        progress = learner.progress() if ask == "phased" else None
        if progress is not None and progress.estimate is not None:
            row |= {key: round(getattr(progress.estimate, key), 4) for key in ("value", "low", "high")}
        yield dict.fromkeys(FIELDS[1:], "") | row


def table(rows: Sequence[Row]) -> str:
    """F1 per set and way, how much asking gains over chance, and whether the page's score held."""
    lines = [f"{'set':<16}{'asked':<9}" + "".join(f"{f'{n} labels':>12}" for n in SHOWN) + f"{'words':>8}"]
    gains: dict[int, list[float]] = {n: [] for n in SHOWN}
    for (name,), some in cells(rows, "set").items():
        curves = {ask: cells([row for row in own], "labels") for (ask,), own in cells(some, "ask").items()}
        for ask, curve in curves.items():
            shown = "".join(f"{100 * values(curve[str(n),], 'f1').mean():>12.1f}" for n in SHOWN)
            lines.append(f"{name:<16}{ask:<9}{shown}{values(curve[str(LAST),], 'words').mean():>8.0f}")
        for n in SHOWN:
            first, second = (sorted(curves[ask][str(n),], key=lambda row: int(str(row["seed"]))) for ask in ASKS)
            gains[n] += (100 * (values(first, "f1") - values(second, "f1"))).tolist()
    lines.append("")
    lines += [f"gain at {n} labels, points of F1, mean over draws: {over_draws(np.array(gains[n]), 1)}" for n in SHOWN]
    told = [row for row in rows if str(row["value"])]
    held = [float(str(r["low"])) <= float(str(r["f1"])) <= float(str(r["high"])) for r in told]
    lines.append(f"the interval of the score holds the F1 on the test sentences: {np.mean(held):.0%} of {len(held)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
