r"""What moving weights gains and costs where parts of items are learned: what the prior of that decision is fitted on.

    python benchmarks/tuned_parts.py --draws 3 --sizes 50 --out benchmarks/results/tuned_parts.csv --fit
    python benchmarks/tuned_parts.py --test --decide --draws 1 --out benchmarks/results/tuned_parts_confirmed.csv

    python benchmarks/tuned_parts.py --sets yard,engines,digits --sizes 16 --draws 1 \
        --out benchmarks/results/tuned_events.csv

``partial`` is trained on sentences as in ``handful tune``: on three folds, pooled with the frozen model word by word,
with marked strings looked up beside both, and on all sentences. Told are held-out losses, as the decision sees them,
and losses and the F1 of exact spans on 200 other sentences. A draw is of the part of each set that is kept for
learning, and so are the sentences that it is measured on; with ``--test`` these are of the part that is kept for tests.
Draws in which looking strings up answers alone are left out: nothing moves there.

Sets of recordings are mixed for the draw (``mixed_recordings.py``); told is the F1 of seconds on 20 other recordings,
of sources that are not learned from; with ``--test`` all are of sources that chose nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from handful import api
from handful.backbones import catalog
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.evaluation.decision import Prior, decide, gain
from handful.evaluation.selection import halved
from handful.features.view import MOVED
from handful.features.words import extract_words, words_seen
from handful.seeding import generator
from handful.strategies.frozen.beside_reference import beside_reference
from handful.strategies.frozen.rung import SearchTerms, run_frozen
from handful.strategies.tuned.activation_cache import ActivationCache
from handful.strategies.tuned.cross_fit import cross_fit
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.known import Experience
from handful.strategies.tuned.known import known as known_of
from handful.strategies.tuned.ladder import Rung, shipped, taking_part
from handful.strategies.tuned.methods.partial import Partial
from handful.tasks.registry import head_task
from handful.training.apply_delta import arrays_of, installed
from ledger import Ledger, Row, cells, options, over_draws, sized, values
from mixed_recordings import MIXES, mixed

SETS = "bionlp13pc_ner,wnut17_ner,masakhaner_swa"
ENCODERS = {"text": ("minilm-l6",), "sound": ("speech-embedding", "spectrogram-lite0")}
HEADS, BUDGET, TEST, RECORDINGS = ("centroid", "logistic"), 60.0, 200, 20
USUAL = Prior(0.05, 0.1)
"""Decides while the prior is measured."""
DOUBT = 0.1
"""How much of the frozen loss a share of the loss of chance that is one larger is expected to change, before a draw."""
FIELDS = (
    "set", "rows", "draw", "base", "labels", "frozen_loss", "left", "gain", "share", "ships", "true_frozen_loss",
    "true_pool_loss", "true_tuned_loss", "frozen", "pool", "tuned", "seconds",
)  # fmt: skip


def main() -> None:
    """Run the draws, print and write one line each."""
    parser = options(__doc__, SETS, 4, "tuned_parts.csv")
    parser.add_argument("--sizes", default="50", help="how many sentences, joined by commas")
    parser.add_argument("--test", action="store_true", help="measure on the part of each set that is kept for tests")
    parser.add_argument("--decide", action="store_true", help="by what is known of partial, as handful tune does")
    parser.add_argument("--fit", action="store_true", help="print what is known of partial after these draws")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "draw"))
    for at in sized(args):
        learn, test = dealt(Path(args.data), at["set"], at["rows"], at["draw"], args.test)
        ledger.complete(at, one_draw(learn, test, at["draw"], args.decide))
    print(table(ledger.rows))
    if args.fit:
        print(fit(ledger.rows))


def dealt(data: Path, name: str, size: int, draw: int, test: bool) -> tuple[Dataset, Dataset]:
    """Sentences or recordings to learn from, and others."""
    if name in MIXES:
        learn = mixed(data, name, size, draw, test=False, confirm=test)
        return learn, mixed(data, name, RECORDINGS, draw, test=True, confirm=test)
    return sentences(data / f"{name}.jsonl", size, draw, test)


def sentences(file: Path, size: int, draw: int, test: bool) -> tuple[Dataset, Dataset]:
    """Sentences to learn from, and others."""
    data = replace(api.load(file, split=""), split=None)
    parts = np.array([json.loads(line)["split"] for line in file.read_text("utf-8").splitlines()])
    own = parts[np.array(data.rows)]
    order = generator(draw, f"{'test' if test else 'development'} {size}").permutation(np.flatnonzero(own == "train"))
    others = generator(draw, "others").permutation(np.flatnonzero(own == "test")) if test else order[size:]
    return data.take(order[:size]), data.take(others[:TEST])


def one_draw(learn: Dataset, test: Dataset, draw: int, decides: bool) -> Iterator[Row]:
    """The frozen model, partial alone, and their pool: held out, and on the other items."""
    encoders = {name: catalog.load(name, learn.modality) for name in ENCODERS[learn.modality]}
    sight = extract_words(learn.items, encoders)
    terms = SearchTerms(HEADS, BUDGET, draw, Inline())
    targets = head_task(learn.task).read(learn.labels or ())
    frozen = beside_reference(run_frozen(targets, learn, sight, terms), learn.items)
    if frozen.arm == targets.task.reference.name:
        return
    base = frozen.base(encoders)
    backbone, faced, few, rows = encoders[base], frozen.faced, frozen.few, frozen.rows
    task, start = rows.targets.task, time.perf_counter()
    losses = [float(task.losses(one, rows.targets).mean()) for one in (few.whole, task.blind(rows.targets))]
    strategy = Partial.by_default(backbone.grain, seed=draw)
    prior = known_of(strategy, base, learn.modality, rows.targets, *losses) if decides else USUAL
    recipe, trained = strategy.recipe(), taking_part(backbone, True)
    shelf = ActivationCache(learn, trained, rows.targets)
    held = cross_fit(rows.targets, shelf.of(recipe), few.folds, recipe)
    assert held is not None
    answers, share = halved(faced.below, held.outputs, faced.targets, faced.folds, faced.groups, prior)
    whole = frozen.finished(answers[None], few.folds[None])[0]
    decided = decide(few.whole, whole, rows.targets, few.folds, rows.groups, prior)
    below, above = (task.losses(one, rows.targets) for one in (few.whole, whole))
    body = adapt(shelf.of(recipe), np.arange(len(learn)), rows.targets, recipe)
    seconds, depth = time.perf_counter() - start, len(trained.blocks)
    moved = installed(backbone, recipe.tuner.name, recipe.first(trained), arrays_of(body.delta))
    own, other = (words_seen(moved, some.items, (depth,))[0][depth] for some in (learn, test))
    features = {**extract_words(test.items, encoders).items, (base + MOVED, depth): other}
    models = {"frozen": frozen.model}
    for name, part in (("pool", share), ("tuned", 1.0)):
        rung = Rung(strategy.name, strategy, held, whole, part, decided)
        models[name] = shipped(rung, frozen, base, depth, own)
    figures: dict[str, float] = {}
    for name, model in models.items():
        outputs = task.gathered_items(task.outputs(model.scores(model.view.matrix(features))), test.items)
        wide, wanted = task.against(outputs, test.labels or (), rows.targets.names)
        figures[f"true_{name}_loss"] = round(float(task.losses(wide, wanted).mean()), 4)
        figures[name] = round(task.headline.of(wide[None], wanted).value, 4)
    yield {
        "base": base,
        "labels": len(rows.targets.names),
        "frozen_loss": round(float(below.mean()), 4),
        "left": round(losses[0] / losses[1], 4),
        "gain": round(gain(below, above, rows.groups).value, 4),
        "share": round(share, 3),
        "ships": int(decided.passed),
        **figures,
        "seconds": round(seconds, 1),
    }


def fit(rows: Sequence[Row]) -> Experience:
    """What these draws say of the gain on new sentences, by the frozen loss: linear in the loss that is left.

    With so few sets nothing can be told of how many labels there are, or of how many sentences have each.
    """
    gains = 1 - values(rows, "true_pool_loss") / values(rows, "true_frozen_loss")
    known = np.stack([np.ones(len(rows)), np.minimum(values(rows, "left"), 1.0) - 0.5], 1)
    spread = float(gains.std())
    for _ in range(20):
        linear = np.linalg.solve(known.T @ known + np.diag([0.0, (spread / DOUBT) ** 2]), known.T @ gains)
        spread = float(np.sqrt(((gains - known @ linear) ** 2).mean()))
    level, left = (round(float(part), 3) for part in linear)
    better = int((gains > 0).sum())
    prior = Prior(level, round(spread, 3), round(1 / (len(rows) + 2), 3), -0.5, 0.5, better, len(rows))
    return Experience(level, 0.0, 0.0, left, prior)


def table(rows: Sequence[Row]) -> str:
    """Mean gains on other sentences, per set and size."""
    lines = [
        f"{'set':<16}{'rows':>5}{'draws':>6}{'frozen':>8}   {'pool - frozen, F1':<24}   {'tuned - frozen':<24}"
        f"{'loss saved':>11}{'shipped':>9}{'s':>5}"
    ]
    for (name, size), some in sorted(
        cells(rows, "set", "rows").items(), key=lambda cell: (cell[0][0], int(cell[0][1]))
    ):
        frozen, pool, tuned = (100 * values(some, arm) for arm in ("frozen", "pool", "tuned"))
        saved = 1 - values(some, "true_pool_loss") / values(some, "true_frozen_loss")
        lines.append(
            f"{name:<16}{size:>5}{len(some):>6}{frozen.mean():>8.1f}   {over_draws(pool - frozen, 1):<24}   "
            f"{over_draws(tuned - frozen, 1):<24}{saved.mean():>+11.1%}{values(some, 'ships').mean():>9.0%}"
            f"{np.median(values(some, 'seconds')):>5.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
