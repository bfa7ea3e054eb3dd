"""Active learning: labels needed for the accuracy of 200 random ones, by each way of asking and by those of two peers.

A set is parted into a pool and rows to test on, anew for each seed; ten items are asked at a time, their labels are
given, and one head (logistic regression on the same frozen features, penalty 0.1) judges all ways alike on the test
rows. A way needs as many labels as its curve, smoothed over three points and drawn straight between them, takes to
reach the mean of three random draws at 200; what is not reached with 240 counts as 250. ``phased`` draws a fifth of its
questions by chance; all others none. Of it the file also holds what was promised: the score with its interval, what 20
more labels are worth, and the accuracy of the quick fit on the test rows, by which promises are checked. What 20 labels
added to it is itself measured on a few hundred rows: ``noise`` is the standard error of that difference, row by row.

The settings were chosen on cr, trashnet6 and ten intents of clinc150. Peers choose items and nothing else; they
run in an environment of their own (``pip install small-text scikit-activeml``), with ``--ask peers``.

    python benchmarks/active.py --draws 5 --out benchmarks/results/active.csv
    python benchmarks/active.py --draws 5 --ask peers --out benchmarks/results/active.csv
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from handful.data.dataset import Dataset
from handful.features.feature_set import extract_all
from handful.features.view import View, unit_rows
from handful.regimes.active import ASKING, ActiveLearner, Progress
from handful.regimes.active.progress import MORE, WORTHLESS
from handful.strategies.frozen.heads import Logistic
from handful.tasks.classification import CLASSIFICATION
from ledger import Ledger, Row, cells, options, over_draws, values
from pools import DATA, by_name, load_backbones, rows_of

SETS = "agnews,trec6,banking77,flowers12,esc10"
BACKBONE = {"text": "minilm-l6", "image": "efficientnet-lite0", "sound": "auto"}
MOST, CLASSES = 1200, 10
"""Rows of a set, and classes of it."""
STEP, AT, LAST = 10, 200, 240
"""Questions at a time; labels of the random draws that are to be reached; labels at which all end."""
RANDOM = ("random", "random-2", "random-3")
OWN = (*RANDOM, "phased", *(name for name in ASKING if name not in ("phased", "random")))
PEERS = (
    "small-text breaking ties", "small-text core-set", "activeml margin", "activeml typiclust", "activeml badge",
    "activeml core-set",
)  # fmt: skip
FIELDS = (
    "set", "seed", "ask", "labels", "accuracy", "quick", "checked", "value", "low", "high", "worth", "worth_low",
    "worth_high", "may_stop", "noise",
)  # fmt: skip

Chooser = Callable[[ActiveLearner, int], list[int]]


@dataclass(frozen=True)
class Parted:
    """A set, parted for a seed."""

    x: NDArray[np.float32]
    """(N, D) the pool, rows of length one."""
    y: NDArray[np.str_]
    """(N,)."""
    test: NDArray[np.float32]
    """(M, D)."""
    truth: NDArray[np.str_]
    """(M,)."""


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, SETS, 5, "active.csv")
    parser.add_argument("--ask", default=",".join(OWN), help="ways of asking; peers: those of the peers")
    parser.add_argument("--features", type=Path, help="a folder in which features of a set are kept, as they come")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "seed", "ask", "labels"))
    asks = PEERS if args.ask == "peers" else args.ask.split(",")
    for task in [] if args.table else by_name(args.sets):
        x, y = seen(task.name, args.data, args.features)
        for seed in range(args.draws):
            parted = part(x, y, seed)
            for ask in asks:
                if not ledger.has(set=task.name, seed=seed, ask=ask):
                    ledger.extend(
                        [{"set": task.name, "seed": seed, "ask": ask, **row} for row in one(parted, ask, seed)]
                    )
    print(table(ledger.rows))


def seen(name: str, data: Path = DATA, kept: Path | None = None) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Features (N, D) and labels (N,) of a set, computed once where there is a folder to keep them in."""
    file = None if kept is None else kept / f"{name}.npz"
    if file is not None and file.exists():
        found = np.load(file)
        return unit_rows(found["x"]), found["y"]
    [task] = by_name(name)
    rows = fewer(rows_of(task, data))
    rows, sight = extract_all(rows, load_backbones(BACKBONE[task.modality], task.modality, rows.items))
    sight = sight.learned()
    assert sight is not None, "every backbone of these sets learned to see"
    x = View(tuple((backbone, depths[0]) for backbone, depths in sight.depths.items())).matrix(sight.items)
    y = np.asarray(rows.labels)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, x=x, y=y)
    return unit_rows(x), y


def fewer(data: Dataset) -> Dataset:
    """Ten classes of a set with more than twice as many, and so many rows of it at most."""
    rng, labels = np.random.default_rng(0), np.asarray(data.labels)
    names = np.unique(labels)
    own = np.isin(labels, rng.permutation(names)[:CLASSES]) if len(names) > 2 * CLASSES else np.ones(len(labels), bool)
    return data.take(np.sort(rng.permutation(np.flatnonzero(own))[:MOST]).tolist())


def part(x: NDArray[np.float32], y: NDArray[np.str_], seed: int) -> Parted:
    """Two thirds are the pool, the others are for the test."""
    pool, test = np.split(np.random.default_rng(seed).permutation(len(x)), [len(x) * 2 // 3])
    return Parted(x[pool], y[pool], x[test], y[test])


def one(parted: Parted, ask: str, seed: int) -> Iterator[Row]:
    """One way of asking on one set: a row for every ten labels."""
    promises = ask == "phased"
    choose, learner = chooser(ask), learner_of(parted, ask, seed)
    last = min(LAST, len(parted.x) - len(parted.x) % STEP)
    right: dict[int, NDArray[np.float64]] = {}
    while len(learner.answers) < last:
        for item in choose(learner, STEP):
            learner.answer(item, str(parted.y[item]), "searched")
        learner.refit()
        told = learner.progress() if promises else None
        row: Row = dict.fromkeys(FIELDS[3:], "")
        yield {
            **row,
            "labels": len(learner.answers),
            "accuracy": judged(learner, parted),
            **promised(learner, parted, told, right),
        }


def learner_of(parted: Parted, ask: str, seed: int) -> ActiveLearner:
    """A learner that asks so, for a peer one that only remembers."""
    name = "random" if ask in RANDOM or ask in PEERS else ask
    draw = RANDOM.index(ask) if ask in RANDOM else 0
    control = 0.2 if ask == "phased" else 0.0
    return ActiveLearner.on(parted.x, CLASSIFICATION, seed=100 * draw + seed, asking=name, control=control)


def chooser(ask: str) -> Chooser:
    """What chooses the next items."""
    if ask in PEERS:
        from active_peer import chosen

        return lambda learner, count: chosen(ask, learner, count)
    return lambda learner, count: [question.index for question in learner.next(count)]


def judged(learner: ActiveLearner, parted: Parted) -> float:
    """The accuracy on the test rows of the head that judges all ways."""
    rows, labels = learner.labelled, np.asarray(learner.labels)
    if len(np.unique(labels)) < 2:
        return round(float((parted.truth == labels[0]).mean()), 4)
    said = Logistic(penalty=0.1).fit(learner.pool.features[rows], labels).predict(parted.test)
    return round(float((said == parted.truth).mean()), 4)


def promised(
    learner: ActiveLearner, parted: Parted, told: Progress | None, right: dict[int, NDArray[np.float64]]
) -> Row:
    """What the learner says of itself, and what is true of its quick fit on the test rows.

    Args:
        learner: what was asked so far.
        parted: the set.
        told: what it says; None where it is not asked.
        right: by number of labels, which test rows the quick fit had right (M,); the present one is added.
    """
    if told is None or told.estimate is None or learner._fit is None:
        return {}
    answered = np.array(CLASSIFICATION.words(learner._fit.outputs(parted.test), learner.names))
    now = right[len(learner.answers)] = (answered == parted.truth).astype(float)
    row: Row = {"quick": round(float(now.mean()), 4), "checked": told.checked, "may_stop": int(told.may_stop)}
    row |= {key: round(getattr(told.estimate, key), 4) for key in ("value", "low", "high")}
    if told.worth is not None:
        ends = {"worth": told.worth.value, "worth_low": told.worth.low, "worth_high": told.worth.high}
        row |= {key: round(number, 4) for key, number in ends.items()}
    before = right.get(len(learner.answers) - MORE)
    return row if before is None else row | {"noise": round(float((now - before).std() / np.sqrt(len(now))), 4)}


def needed(rows: Sequence[Row], target: float) -> float:
    """Labels until a curve reaches an accuracy."""
    labels, curve = smoothed(rows)
    above = np.flatnonzero(curve >= target)
    if not len(above):
        return LAST + STEP
    at = int(above[0])
    if not at:
        return float(labels[0])
    return float(np.interp(target, curve[at - 1 : at + 1], labels[at - 1 : at + 1]))


def smoothed(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Labels and the mean accuracy over three points."""
    labels, curve = values(rows, "labels"), values(rows, "accuracy")
    wide = np.concatenate([curve[:1], curve, curve[-1:]])
    return labels, (wide[:-2] + wide[1:-1] + wide[2:]) / 3


def saved(rows: Sequence[Row], ask: str) -> NDArray[np.float64]:
    """Per seed of a set the labels needed as a share of 200; of seeds that have all random draws."""
    out = []
    for own in cells(rows, "seed").values():
        runs = {name: some for (name,), some in cells(own, "ask").items()}
        if ask in runs and all(name in runs for name in RANDOM):
            reached = [np.interp(AT, *smoothed(runs[name])) for name in RANDOM]
            out.append(needed(runs[ask], float(np.mean(reached))) / AT)
    return np.array(out)


def table(rows: Sequence[Row]) -> str:
    """Labels needed per set and way, then what promises were worth."""
    sets = [name for (name,) in cells(rows, "set")]
    lines = [f"{'labels as a share of 200':<26}" + "".join(f"{name:>12}" for name in sets) + "   mean over draws"]
    for (ask,) in cells(rows, "ask"):
        each = [saved([row for row in rows if row["set"] == name], ask) for name in sets]
        shares = "".join(f"{found.mean():>12.2f}" if len(found) else f"{'-':>12}" for found in each)
        lines.append(f"{ask:<26}{shares}   {over_draws(np.concatenate(each), 2)}" if any(map(len, each)) else ask)
    own = [row for row in rows if row["ask"] == "phased"]
    return "\n".join([*lines, "", *promises(own)])


def promises(rows: Sequence[Row]) -> list[str]:
    """How often what was said of the phased way came true."""
    held: dict[str, list[bool]] = {"score": [], "worth": [], "noisy": [], "stop": []}
    for run in cells(rows, "set", "seed").values():
        later = {int(str(row["labels"])): row for row in run if row["quick"] != ""}
        for row in run:
            if row["quick"] == "" or row["worth"] in ("", None):
                continue
            now = number(row, "quick")
            held["score"].append(number(row, "low") <= now <= number(row, "high"))
            after = later.get(int(str(row["labels"])) + MORE)
            if after is None:
                continue
            gain, low, high = number(after, "quick") - now, number(row, "worth_low"), number(row, "worth_high")
            noise = float(ndtri(0.975)) * number(after, "noise")
            held["worth"].append(low <= gain <= high)
            held["noisy"].append(abs(gain - (low + high) / 2) <= np.hypot((high - low) / 2, noise))
            if str(row["may_stop"]) == "1":
                held["stop"].append(gain < WORTHLESS)
    said = {
        "score": "the interval of the score holds the accuracy on the test rows",
        "worth": f"what {MORE} more labels are said to be worth holds what they added on the test rows",
        "noisy": "the same, with the noise of measuring that on the test rows",
        "stop": f"where it says that one can stop, {MORE} more labels added less than {100 * WORTHLESS:.0f} points",
    }
    return [f"{said[name]}: {np.mean(some):.0%} of {len(some)}" for name, some in held.items() if some]


def number(row: Row, name: str) -> float:
    """A number of a row."""
    return float(str(row[name]))


if __name__ == "__main__":
    main()
