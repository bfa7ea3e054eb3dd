"""Real-time adaptation: a stream whose distribution changes half-way, answered with and without ``--learn``.

Each item is answered, and where the answer is wrong it is corrected before the next one comes, as ``POST /feedback``
does it: learned from at once, unless that does harm. A share of the corrections is wrong on purpose in a third pass.

    python benchmarks/adapting_stream.py --draws 5 --out benchmarks/results/adapting_stream.csv
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from handful.data.dataset import Dataset
from handful.features.feature_set import FeatureSet, extract_all
from handful.regimes.corrections import Learned, Rows, harm, learn, prior
from handful.strategies.frozen.rung import Frozen
from handful.tasks.classification import CLASSIFICATION
from ledger import Ledger, Row, cells, mean, options, spread
from pools import by_name, fitted, load_backbones, rows_of

HALF = 100
"""Items of each half of a stream."""
PER_CLASS = 8
WRONG = 0.2
"""The share of corrections that are wrong in the third pass."""
BACKBONE = "minilm-l6"
FIELDS = (
    "shift", "draw", "classes", "before", "before_learned", "after", "after_learned", "after_misled", "kept",
    "kept_misled", "held_back",
)  # fmt: skip
ONE_NAME = {"Business": "business", "Sports": "sports", "Sci/Tech": "technology"}


@dataclass(frozen=True)
class Shift:
    """What changes half-way."""

    name: str
    """In words."""
    sets: tuple[str, ...]
    """What the first half is of, and the second."""
    first: Callable[[str], float]
    """Class → how often it comes in the first half, against the others."""
    second: Callable[[str], float]
    """The same in the second half."""


SHIFTS = (
    Shift("a new class", ("trec6",), lambda name: name not in ("LOC", "ABBR"), lambda name: name != "ABBR"),
    Shift(
        "other news", ("masakhanews_eng", "agnews"), lambda name: name in ONE_NAME.values(),
        lambda name: name in ONE_NAME.values(),
    ),
    Shift(
        "other shares", ("agnews",), lambda name: 9.0 if name in ("business", "sports") else 1.0,
        lambda name: 1.0 if name in ("business", "sports") else 9.0,
    ),
)  # fmt: skip


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, "trec6,agnews,masakhanews_eng", 5, "adapting_stream.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("shift", "draw"))
    pools: dict[str, tuple[Dataset, FeatureSet]] = {}
    for shift in [shift for shift in SHIFTS if not args.table]:
        for draw in range(args.draws):
            if not ledger.has(shift=shift.name, draw=draw):
                for name in shift.sets:
                    if name not in pools:
                        pools[name] = _pool(name, args.data)
                ledger.add({"shift": shift.name, "draw": draw, **_streamed(shift, draw, pools)})
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def _pool(name: str, folder: object) -> tuple[Dataset, FeatureSet]:
    """Up to 60 rows of each class that is used, seen once; those of different sets by one name."""
    (task,) = by_name(name)
    data = rows_of(task, folder)  # type: ignore[arg-type]
    labels = np.array([ONE_NAME.get(label, label) for label in data.labels or ()])
    rng = np.random.default_rng(0)
    wanted = [c for c in np.unique(labels) if name != "masakhanews_eng" or c in ONE_NAME.values()]
    some = np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:60] for c in wanted])
    data = replace(data, labels=tuple(labels)).take(np.sort(some))
    return extract_all(data, load_backbones(BACKBONE, "text", data.items))


def _streamed(shift: Shift, draw: int, pools: dict[str, tuple[Dataset, FeatureSet]]) -> Row:
    """One draw: rows to learn from, and the two halves of a stream."""
    rng = np.random.default_rng([draw, len(shift.name)])
    data, sight = pools[shift.sets[0]]
    labels = np.asarray(data.labels)
    train = np.concatenate([
        rng.permutation(np.flatnonzero(labels == c))[:PER_CLASS] for c in np.unique(labels) if shift.first(str(c))
    ])  # fmt: skip
    taught = [i for i, c in enumerate(np.unique(labels)) if shift.first(str(c))]
    frozen = fitted(data.take(np.sort(train)), sight.take_classes(taught).take(np.sort(train)), 10, draw)
    rest = np.setdiff1d(np.arange(len(labels)), train)
    first = _drawn(labels, rest, shift.first, rng)
    later, seen = pools[shift.sets[-1]]
    others = np.asarray(later.labels)
    free = np.arange(len(others)) if len(shift.sets) > 1 else np.setdiff1d(rest, first)
    second = _drawn(others, free, shift.second, rng)
    stream = _rows(frozen, sight, labels, first).joined(_rows(frozen, seen, others, second))
    names = frozen.rows.targets.names
    known = Rows(
        frozen.matrix, frozen.model.scores(frozen.matrix).astype(float),
        tuple(CLASSIFICATION.wanted(frozen.rows.targets)),
    )  # fmt: skip
    plain = np.array([names[c] == label for c, label in zip(stream.scores.argmax(1), stream.labels, strict=True)])
    right, kept, _ = _adapted(names, known, stream, 0.0, draw)
    misled, kept_misled, held = _adapted(names, known, stream, WRONG, draw)
    n = len(first)
    return {
        "classes": len(names), "before": plain[:n].mean(), "before_learned": right[:n].mean(),
        "after": plain[n:].mean(), "after_learned": right[n:].mean(), "after_misled": misled[n:].mean(),
        "kept": kept, "kept_misled": kept_misled, "held_back": held,
    }  # fmt: skip


def _drawn(labels: np.ndarray, free: np.ndarray, often: Callable[[str], float], rng: np.random.Generator) -> np.ndarray:
    """Items of half a stream, by how often each class comes, without any twice."""
    weight = np.array([float(often(str(labels[i]))) for i in free])
    count = min(HALF, int((weight > 0).sum()))
    return np.asarray(rng.choice(free, count, replace=False, p=weight / weight.sum()))


def _rows(frozen: Frozen, sight: FeatureSet, labels: np.ndarray, at: np.ndarray) -> Rows:
    matrix = frozen.model.view.matrix({part: sight.items[part][at] for part in frozen.model.view.parts})
    return Rows(matrix, frozen.model.scores(matrix).astype(float), tuple(str(labels[i]) for i in at))


def _adapted(
    names: tuple[str, ...], known: Rows, stream: Rows, wrong: float, seed: int
) -> tuple[np.ndarray, float, int]:
    """Which answers were right while learning; the share of known rows right at the end; how many were held back."""
    rng = np.random.default_rng([seed, 7])
    now: Learned = prior(CLASSIFICATION, names, known, ())
    every = sorted(set(stream.labels))
    taken: Rows | None = None
    right, held = [], 0
    for i in range(len(stream)):
        one = stream.take([i])
        answer = now.names[int(now.scores(one.features, one.scores)[0].argmax())]
        right.append(answer == one.labels[0])
        if right[-1]:
            continue
        said = one.labels[0]
        if rng.random() < wrong:
            said = str(rng.choice([name for name in every if name != said]))
        fix = Rows(one.features, one.scores, (said,))
        more = fix if taken is None else taken.joined(fix)
        after = learn(CLASSIFICATION, names, known, more)
        start = prior(CLASSIFICATION, names, known, more.labels)
        if harm(start, now, after, known, taken).beyond_doubt:
            held += 1
            continue
        now, taken = after, more
    answers = now.scores(known.features, known.scores).argmax(1)
    kept = np.mean([now.names[c] == label for c, label in zip(answers, known.labels, strict=True)])
    return np.array(right), float(kept), held


def table(rows: Sequence[Row]) -> str:
    """Means over draws, and what learning gains with its interval."""
    lines = [
        "shift            draws   before: plain  learning   after: plain  learning   gain, points            "
        "20 % wrong   known rows right   held back"
    ]
    for (name,), some in cells(rows, "shift").items():
        share = [f"{100 * mean(some, column):.1f}" for column in FIELDS[3:9]]
        gain = spread(some, "after_learned", "after")
        lines.append(
            f"{name:<17}{len(some):>5}{share[0]:>16}{share[1]:>10}{share[2]:>15}{share[3]:>10}   {gain:<24}"
            f"{share[4]:>10}{share[5]:>19}{mean(some, 'held_back'):>12.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
