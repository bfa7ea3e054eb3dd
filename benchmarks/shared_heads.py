"""Several heads on the same moved weights against weights that move for each head alone, and against frozen features.

    python benchmarks/shared_heads.py --sizes 8,32 --draws 5 --out benchmarks/results/shared_heads.csv

goemotions: three heads of four related labels, several labels a row; a row has those heads of which it has a label.
clinc150: two areas with four classes of three intents each (one intent has 18 rows), and the area as a third head; a
row has two heads, that of its area and the area. minilm-l6 alone. Each arm answers as it would where it ships: a head
on tuned features, pooled with the frozen model as far as held-out rows say. ``taken``: whether these rows alone let it
take the place of the frozen model. Test rows are at most 30 of each class that were not learned from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from handful.backbones.base import Backbone
from handful.choices import HEADS
from handful.data.dataset import Dataset
from handful.engines import Inline
from handful.features.extract import extract
from handful.features.feature_set import extract_all
from handful.features.view import MOVED
from handful.progress import silent
from handful.regimes.multitask import heads_setup, items_of
from handful.strategies.frozen.rung import Frozen, SearchTerms, run_frozen
from handful.strategies.tuned.activation_cache import ActivationCache
from handful.strategies.tuned.cross_fit import CrossFit, cross_fit
from handful.strategies.tuned.ladder import LadderResult, faced_with, shipped
from handful.strategies.tuned.methods.partial import Partial
from handful.strategies.tuned.shared import Shared, cross_fit_heads, moved_heads
from handful.strategies.tuned.strategy import Tuned
from handful.strategies.tuned.trainings import Moved, Part, Setup, moved
from handful.tasks.registry import head_task
from handful.training.apply_delta import arrays_of, installed
from ledger import Ledger, Row, cells, mean, options, sized, spread
from pools import by_name, load_backbones, rows_of

BASE, ASKED = "minilm-l6", 30
FELT = {
    "warm": ("admiration", "gratitude", "love", "amusement"),
    "hostile": ("anger", "annoyance", "disapproval", "disgust"),
    "unsure": ("curiosity", "confusion", "surprise", "realization"),
}
MEANT = {
    "banking": {
        "bills": "pay_bill bill_balance bill_due", "access": "freeze_account account_blocked pin_change",
        "money": "balance transactions spending_history", "means": "transfer order_checks routing",
    },
    "kitchen": {
        "food": "calories nutrition_info ingredients_list", "cooking": "recipe cook_time ingredient_substitution",
        "tables": "restaurant_reservation cancel_reservation confirm_reservation",
        "places": "restaurant_reviews restaurant_suggestion how_busy",
    },
}  # fmt: skip
"""Area → class → its intents."""
MOVED_ARMS = ("partial", "shared")
"""Weights that move for each head alone, and once for all heads, by the same recipe."""
FIELDS = (
    "set", "rows", "draw", "head", "metric", "learned", "asked", "frozen", *MOVED_ARMS,
    *(f"{name}_taken" for name in MOVED_ARMS), *(f"{name}_seconds" for name in MOVED_ARMS),
)  # fmt: skip


Arms = Mapping[str, tuple[Tuned, CrossFit, Moved, float]]
"""Name → how weights moved, the held-out answers, what moved on all rows, and the seconds of both."""


@dataclass(frozen=True)
class Head:
    """One target: what a row is asked by the others, and its label where it has one."""

    task: str
    """Which task reads its labels."""
    labels: Mapping[int, str]
    """Row → its label."""


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, "goemotions,clinc150", 5, "shared_heads.csv")
    parser.add_argument("--sizes", default="8,32")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "rows", "draw", "head"))
    for at in sized(args):
        lacking = [name for name in heads_of(str(at["set"]), ()) if not ledger.has(**at, head=name)]
        for row in _draw(at, args.data, lacking) if lacking else ():
            ledger.add({**at, **row})
            print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def heads_of(name: str, labels: Sequence[str]) -> dict[str, Head]:
    """The heads of a set, of whose rows these are the labels."""
    if name == "goemotions":
        return {
            head: Head("multilabel", {
                i: "|".join(kept) for i, cell in enumerate(labels) if (kept := [p for p in cell.split("|") if p in own])
            }) for head, own in FELT.items()
        }  # fmt: skip
    found = {area: Head("classification", {
        i: group for i, cell in enumerate(labels) for group, own in groups.items() if cell in own.split()
    }) for area, groups in MEANT.items()}  # fmt: skip
    return {**found, "area": Head("classification", {i: area for area, head in found.items() for i in head.labels})}


def _draw(at: Row, folder: Path, lacking: Sequence[str]) -> Iterator[Row]:
    """What each arm comes to in one draw, for those heads that are lacking."""
    task = replace(by_name(str(at["set"]))[0], without=())
    data = rows_of(task, folder)
    heads = heads_of(task.name, data.labels or ())
    learned, asked = _dealt(heads, int(str(at["rows"])), np.random.default_rng(int(str(at["draw"]))))
    backbones = load_backbones(BASE, "text")
    parts = {name: (_of(data, head, learned), _of(data, head, asked)) for name, head in heads.items()}
    items = items_of({name: part[0] for name, part in parts.items()}, backbones, int(str(at["draw"])), silent)
    start = time.perf_counter()
    setup = heads_setup(items, backbones[BASE], shared := Shared())
    found = cross_fit_heads(setup, items.folds, Inline())
    final = moved_heads(None, setup, Part(np.arange(len(items.data))))
    taken = (time.perf_counter() - start) / len(heads)
    for i, (name, (rows, others)) in enumerate(parts.items()):
        if name not in lacking:
            continue
        rows, sight = extract_all(rows, backbones)
        targets = head_task(rows.task).read(rows.labels or ())
        folds = items.folds[items.places(name)]
        frozen = run_frozen(targets, rows, sight, SearchTerms(HEADS, 5.0, 0, Inline(), few=folds))
        alone = Partial()
        arms: Arms = {
            "partial": (alone, *_alone(alone, rows, backbones[BASE], frozen)),
            "shared": (shared, found[i], final, taken),
        }
        yield {"head": name, "learned": len(rows), "asked": len(others), **_told(arms, frozen, backbones, rows, others)}


def _dealt(heads: Mapping[str, Head], size: int, rng: np.random.Generator) -> tuple[set[int], set[int]]:
    """As many rows of every label to learn from, and others to ask; a row with several labels counts for each."""
    learned, asked = set[int](), set[int]()
    names = {(head, label) for head, one in heads.items() for cell in one.labels.values() for label in cell.split("|")}
    for head, label in sorted(name for name in names if name[0] != "area"):
        own = [i for i, cell in heads[head].labels.items() if label in cell.split("|")]
        order = [int(i) for i in rng.permutation(own)]
        lacking = max(0, size - sum(i in learned for i in order))
        fresh = [i for i in order if i not in learned and i not in asked]
        learned |= set(fresh[:lacking])
        asked |= set(fresh[lacking : lacking + ASKED])
    return learned, asked


def _of(data: Dataset, head: Head, wanted: set[int]) -> Dataset:
    """Those of some rows that have a target of a head."""
    at = sorted(wanted & set(head.labels))
    return replace(data.take(at), labels=tuple(head.labels[i] for i in at), rows=tuple(at), task=head.task)


def _alone(strategy: Tuned, rows: Dataset, backbone: Backbone, frozen: Frozen) -> tuple[CrossFit, Moved, float]:
    """Weights that move for one head: without each fold, and on all of its rows."""
    start, recipe, targets = time.perf_counter(), strategy.recipe(), frozen.rows.targets
    kept = ActivationCache(rows, backbone).of(recipe)
    found = cross_fit(targets, kept, frozen.few.folds, recipe)
    assert found is not None
    final = moved(None, Setup(targets, kept, recipe), Part(np.arange(len(targets))))
    return found, final, time.perf_counter() - start


def _told(arms: Arms, frozen: Frozen, backbones: Mapping[str, Backbone], rows: Dataset, others: Dataset) -> Row:
    """The headline metric of every arm on rows that were not learned from."""
    backbone, task = backbones[BASE], frozen.rows.targets.task
    others, sight = extract_all(others, backbones)
    below = LadderResult((), None, None, None, frozen.arms, ())
    answers = {"frozen": frozen.answers(sight.items)}
    told: Row = {"metric": task.headline.name}
    for arm, (strategy, found, final, seconds) in arms.items():
        (rung,) = faced_with(below, frozen, strategy, found, (BASE, backbone), lambda final=final: final).rungs
        recipe, depth = strategy.recipe(), len(backbone.blocks)
        tuned = installed(backbone, recipe.tuner.name, recipe.first(backbone), arrays_of(final.delta))
        learned, asked = (extract(tuned, part.items, (depth,)).matrices[depth] for part in (rows, others))
        model = shipped(rung, frozen, BASE, depth, learned)
        matrix = model.view.matrix({**sight.items, (BASE + MOVED, depth): asked})
        answers[arm] = task.outputs(model.scores(matrix))
        told |= {f"{arm}_taken": int(rung.decided.passed), f"{arm}_seconds": round(seconds, 1)}
    for arm, outputs in answers.items():
        known, targets = task.against(outputs, others.labels or (), frozen.rows.targets.names)
        told[arm] = round(task.headline.of(known[None], targets).value, 4)
    return told


def table(rows: Sequence[Row]) -> str:
    """Each arm and its gain, mean over heads, intervals over draws; how often each is taken; seconds of a head."""
    lines = [
        f"{'set':<12}{'rows':>5}{'draws':>6}{'frozen':>8}{'partial':>9}{'shared':>8}   {'shared - partial':<24}"
        f"{'shared - frozen':<24}{'partial - frozen':<24}{'taken':<10}{'seconds':<8}"
    ]
    arms = ("frozen", *MOVED_ARMS)
    for (name, size), found in cells(rows, "set", "rows").items():
        draws = [{arm: mean(one, arm) for arm in arms} for one in cells(found, "draw").values()]
        level = {arm: 100 * mean(draws, arm) for arm in arms}
        pairs = (("shared", "partial"), ("shared", "frozen"), ("partial", "frozen"))
        gains = [spread(draws, one, other) for one, other in pairs]
        taken = " ".join(f"{mean(found, f'{arm}_taken'):.0%}" for arm in MOVED_ARMS)
        seconds = " ".join(f"{mean(found, f'{arm}_seconds'):.0f}" for arm in MOVED_ARMS)
        measured = f"{level['frozen']:>8.1f}{level['partial']:>9.1f}{level['shared']:>8.1f}"
        lines.append(
            f"{name:<12}{size:>5}{len(draws):>6}{measured}   "
            + "".join(f"{gain:<24}" for gain in gains) + f"{taken:<10}{seconds:<8}"
        )  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
