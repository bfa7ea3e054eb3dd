"""Pairs of answers: what tuning on them brings on held-out ones, and whether alarms stop trainings that go wrong.

The ``--pairs`` shortest pairs of dpo_demo, prompts included. First trainings that were planted to go wrong, on the 40
shortest: at many times the rate of handful and without its supervised term; once neither, where nothing
should ring. Then ``handful.tune`` as a user would call it, everything but its time on its defaults.

    python benchmarks/preferences.py --out benchmarks/results/preferences.csv
    python benchmarks/preferences.py --backbone toy-language --pairs 12 --budget 60 --out …   # half a minute
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from handful import api
from handful.backbones import catalog
from handful.backbones.language import LanguageBackbone
from handful.data.conversations import Preference
from handful.data.dataset import Dataset
from handful.errors import TrainingError
from handful.evaluation.answers import difference, estimate
from handful.strategies.alarms import Alarm, Guard
from handful.strategies.preferring import ACCURACY, MARGIN
from handful.strategies.token_recipes import PREFERENCES, Lesson, speak
from handful.training.objectives.preference import DPO
from ledger import Ledger, Row, named, options, ranged

FIELDS = (
    "backbone", "what", "pairs", "updates", "of", "accuracy", "accuracy_low", "accuracy_high", "margin", "margin_low",
    "margin_high", "gain", "gain_low", "gain_high", "forgot", "forgot_low", "forgot_high", "seconds", "said",
)  # fmt: skip
RATES = (1, 10, 30)
"""How many times its own rate a planted training has; the first one is not planted."""
PLANTED, UPDATES = 40, 30


def main() -> None:
    """Measure what is not in the file yet, and print the table."""
    parser = options(__doc__, "dpo_demo", 1, "preferences.csv")
    parser.add_argument("--backbone", default="smollm2-135m")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--budget", default="40min")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("backbone", "what"))
    if not args.table:
        backbone = catalog.load(args.backbone, "language")
        assert isinstance(backbone, LanguageBackbone)
        data = shortest(api.load(args.data / f"{args.sets}.jsonl"), backbone, args.pairs)
        at: Row = {"backbone": args.backbone}
        for times in RATES:
            if not ledger.has(**at, what=f"{times} times the rate"):
                ledger.add({**at, **planted(data.take(range(min(len(data), PLANTED))), backbone, times)})
                print(ledger.rows[-1], flush=True)
        if not ledger.has(**at, what="base"):
            ledger.extend([{**at, **row} for row in tuned(data, args.backbone, args.budget)])
    print(table(ledger.rows))


def shortest(data: Dataset, backbone: LanguageBackbone, count: int) -> Dataset:
    """The shortest pairs, shortest first."""
    rows = [row for row in data.items if isinstance(row, Preference)]
    both = ([row.chosen_row, row.rejected_row] for row in rows)
    length = [max(len(backbone.chat.tokens(one, backbone.context).ids) for one in pair) for pair in both]
    return data.take(np.argsort(length, kind="stable")[:count])


def tuned(data: Dataset, backbone: str, budget: str) -> Iterator[Row]:
    """Every arm of a run, with what it gained over the model as it was."""
    run = api.tune(data, backbone=backbone, budget=budget)
    base = run.speech.told[0].measured[ACCURACY]
    for arm in run.speech.told:
        updates = max((len(log) for log in run.speech.curves.get(arm.name, ())), default=0)
        found: Row = {"what": arm.name, "pairs": run.scores.n, "updates": updates, "of": updates}
        found |= named("accuracy", estimate(arm.measured[ACCURACY])) | named("margin", estimate(arm.measured[MARGIN]))
        if arm.moved:
            found |= named("gain", difference(arm.measured[ACCURACY], base))
        if arm.name == run.scores.chosen and run.scores.forgetting is not None:
            found |= named("forgot", run.scores.forgetting)
        said = "; ".join(note for note in run.notes if note.startswith(arm.name))
        yield {**found, "seconds": round(arm.seconds, 1), "said": said}


def planted(data: Dataset, backbone: LanguageBackbone, times: int) -> Row:
    """A training at so many times the rate, which is stopped where it goes wrong."""
    pairs = [row for row in data.items if isinstance(row, Preference)]
    tokens = [backbone.chat.tokens(row.chosen_row, backbone.context) for row in pairs]
    tokens += [backbone.chat.tokens(row.rejected_row, backbone.context) for row in pairs]
    recipe, start = PREFERENCES["dpo"], time.perf_counter()
    if times > 1:
        recipe = replace(recipe, objective=DPO(0.1), rate=times * recipe.rate)
    lesson = Lesson.of(backbone, tokens, recipe, -backbone.losses(tokens)[0])
    alarm, rows, made = Alarm(), np.arange(len(pairs)), 0
    watch = Guard(backbone, tokens[: len(pairs)]).watch(lesson, rows, UPDATES, alarm)
    try:
        settings = recipe.settings(UPDATES, 0)
        made = len(speak(backbone, lesson, rows, recipe, settings, progress=lambda u, _, body: watch(u, body)).log)
        said = alarm.words if alarm.rang else "no alarm"
    except TrainingError as error:
        said = str(error)
    return {
        "what": f"{times} times the rate", "pairs": len(pairs), "updates": made, "of": UPDATES, "said": said,
        "seconds": round(time.perf_counter() - start, 1),
    }  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """One line per arm and planted training."""
    lines = []
    for row in rows:
        figures = "".join(
            f"  {name} {ranged(row, name, '.3f')}"
            for name in ("accuracy", "margin", "gain", "forgot") if row.get(name) not in (None, "")
        )  # fmt: skip
        lines.append(
            f"{row['backbone']}  {row['what']}: {row['pairs']} pairs, {row['updates']} of {row['of']} updates, "
            f"{row['seconds']} s{figures}" + (f"\n    {row['said']}" if row["said"] else "")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
