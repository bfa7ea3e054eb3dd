"""New classes step by step, the old rows gone: what a model keeps against all rows, and against other remedies.

    python benchmarks/continual.py --draws 3 --out benchmarks/results/continual.csv

The classes of clinc150 come in 15 steps, those of omniglot_small1 in 10, in another order for each draw. After the last
step all classes are asked for, and those of the first step by themselves.

- ``kept``: ``handful update --without-old-rows`` at each step, from the folder of the run alone.
- ``joint``: one ``handful tune`` on all rows, on the same backbone, no weight moved.
- ``none``: a linear head by stochastic gradient that goes on with each step's rows alone (no remedy).
- ``replay``: the same with 500 earlier rows kept by reservoir and mixed half and half into each batch (experience
  replay; our own, since Avalanche needs torchvision).
- ``sums``: class means and one shared covariance on 3,000 random features (KLDA, arXiv 2412.15571), which keeps sums
  and no row.

The last three read the features of the joint run.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import handful
from handful.data.dataset import Dataset
from handful.features.view import unit_rows
from ledger import Ledger, Row, cells, mean, options, spread
from pools import by_name, rows_of

STEPS = {"clinc150": 15, "omniglot": 10}
BACKBONE = {"clinc150": "minilm-l6", "omniglot": "efficientnet-lite0"}
TRAIN = 12
"""Rows of each class to learn from; up to six others are asked."""
BUFFER, BATCH, UPDATES, RATE = 500, 32, 300, 0.5
WAYS = ("kept", "joint", "none", "replay", "sums")
FIELDS = ("set", "draw", "classes", "steps", *WAYS, *(f"{way}_first" for way in WAYS))


def main() -> None:
    """Measure what is not there yet; print the table."""
    args = options(__doc__, ",".join(STEPS), 3, "continual.csv").parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "draw"))
    for name in args.sets.split(",") if not args.table else ():
        (task,) = by_name(name)
        data = rows_of(task, args.data)
        for draw in range(args.draws):
            if not ledger.has(set=name, draw=draw):
                ledger.add({"set": name, "draw": draw, **streamed(name, data, task.without, draw)})
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def streamed(name: str, data: Dataset, without: Sequence[str], draw: int) -> Row:
    """One order of the classes, learned in every way."""
    rng = np.random.default_rng(draw)
    labels = np.array(data.labels)
    classes = [str(c) for c in rng.permutation(sorted({c for c in data.labels or () if c not in without}))]
    train, test = [], []
    for one in classes:
        rows = rng.permutation(np.flatnonzero(labels == one))
        train += rows[:TRAIN].tolist()
        test += rows[TRAIN : TRAIN + 6].tolist()
    steps = [list(part) for part in np.array_split(np.array(classes), STEPS[name])]
    first = np.isin(labels[test], steps[0])
    plan = dict(backbone=BACKBONE[name], budget=0)
    asked = [data.items[i] for i in test]
    found: Row = {"classes": len(classes), "steps": len(steps)}
    with tempfile.TemporaryDirectory() as folder:
        kept = _kept(Path(folder) / "run", data, labels, train, steps, plan)
        said = {"kept": np.array(kept.predict(asked))}
        joint = handful.tune([data.items[i] for i in train], labels[train].tolist(), **plan)
        said["joint"] = np.array(joint.predict(asked))
    model = joint.bundle
    x, y = unit_rows(model.judge([data.items[i] for i in train]).features), labels[train]
    z = unit_rows(model.judge(asked).features)
    said["none"] = _stepped(x, y, z, steps, np.random.default_rng(draw), 0)
    said["replay"] = _stepped(x, y, z, steps, np.random.default_rng(draw), BUFFER)
    said["sums"] = _sums(x, y, z, np.random.default_rng(draw))
    for way in WAYS:
        right = said[way].astype(str) == labels[test]
        found |= {way: round(float(right.mean()), 4), f"{way}_first": round(float(right[first].mean()), 4)}
    return found


def _kept(
    folder: Path, data: Dataset, labels: np.ndarray, train: Sequence[int], steps: Sequence[Sequence[str]],
    plan: dict[str, Any],
) -> Any:  # fmt: skip
    """The model after all steps, each from what the one before keeps."""
    for number, step in enumerate(steps):
        own = [i for i in train if labels[i] in step]
        items, names = [data.items[i] for i in own], labels[own].tolist()
        if number == 0:
            handful.tune(items, names, **plan, out=folder)
        else:
            handful.update(folder, items, names, without_old_rows=True, anyway=True)
            shutil.rmtree(folder / "versions")  # only what the model keeps is left
    return handful.Bundle.load(folder)


def _stepped(
    x: np.ndarray, y: np.ndarray, asked: np.ndarray, steps: Sequence[Sequence[str]], rng: np.random.Generator, size: int
) -> np.ndarray:
    """A softmax head by stochastic gradient, step by step; with a reservoir of so many earlier rows."""
    names = [str(name) for step in steps for name in step]
    number = {name: i for i, name in enumerate(names)}
    target = np.array([number[str(name)] for name in y])
    w, known, buffer, met = np.zeros((x.shape[1] + 1, len(names))), 0, list[int](), 0
    ones = np.concatenate([10 * x, np.ones((len(x), 1))], 1)
    for step in steps:
        own, known = np.flatnonzero(np.isin(y, list(step))), known + len(step)
        for _ in range(UPDATES):
            batch = rng.choice(own, BATCH)
            if buffer:
                batch = np.concatenate([batch[: BATCH // 2], rng.choice(buffer, BATCH // 2)])
            scores = ones[batch] @ w[:, :known]
            share = np.exp(scores - scores.max(1, keepdims=True))
            share /= share.sum(1, keepdims=True)
            share[np.arange(len(batch)), target[batch]] -= 1
            w[:, :known] -= RATE * ones[batch].T @ share / len(batch) / 10
        for row in rng.permutation(own).tolist() if size else ():  # reservoir sampling (Vitter 1985)
            met += 1
            if len(buffer) < size:
                buffer.append(row)
            elif (at := int(rng.integers(met))) < size:
                buffer[at] = row
    return np.array(names)[(np.concatenate([10 * asked, np.ones((len(asked), 1))], 1) @ w).argmax(1)]


def _sums(x: np.ndarray, y: np.ndarray, asked: np.ndarray, rng: np.random.Generator, width: int = 3000) -> np.ndarray:
    """Linear discriminants of class means and one covariance, on random Fourier features of a Gaussian kernel."""
    apart = np.median(((x[:200, None] - x[None, :200]) ** 2).sum(-1))
    turn, shift = rng.normal(0, np.sqrt(1 / apart), (x.shape[1], width)), rng.uniform(0, 2 * np.pi, width)

    def lifted(rows: np.ndarray) -> np.ndarray:
        return np.sqrt(2 / width) * np.cos(rows @ turn + shift)

    names, code = np.unique(y, return_inverse=True)
    up = lifted(x)
    means = np.stack([up[code == i].mean(0) for i in range(len(names))])
    spread_of = up - means[code]
    covariance = spread_of.T @ spread_of / len(x)
    solved = np.linalg.solve(covariance + 1e-4 * np.trace(covariance) * np.eye(width), means.T)  # (width, C)
    return names[(lifted(asked) @ solved - (means.T * solved).sum(0) / 2).argmax(1)]


def table(rows: Sequence[Row]) -> str:
    """Accuracy after the last step in percent, of all classes and of the first step's; and against a joint fit."""
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    yield f"{'set':<17}{'steps':>6}{'draws':>6}  {'way':<8}{'all':>6}{'first':>7}   against joint, points"
    for (name, steps), own in cells(rows, "set", "steps").items():
        for way in WAYS:
            every, first = 100 * mean(own, way), 100 * mean(own, f"{way}_first")
            apart = "" if way == "joint" else spread(own, way, "joint")
            yield f"{name:<17}{steps:>6}{len(own):>6}  {way:<8}{every:>6.1f}{first:>7.1f}   {apart}".rstrip()


if __name__ == "__main__":
    main()
