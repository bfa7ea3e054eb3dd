"""Pairs of answers: what tuning on them brings on held-out ones, and whether alarms stop trainings that go wrong.

The ``--pairs`` shortest pairs of dpo_demo, prompts included. First three trainings on the shortest of them: on pairs
whose rejected answer is the chosen one but for a word, which makes the words that both share unlikely (Pal et al.
2024), at ten times the rate of handful and without its supervised term, where an alarm should ring; the same at its own
rate with that term, where none should; and the first on the answers as they are. Then ``handful.tune`` as a user would
call it, everything but its time on its defaults.

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
from handful.evaluation.intervals import Estimate, difference
from handful.strategies.language.early_stopping import Alarm, Guard
from handful.strategies.language.recipes import PREFERENCES, Lesson, fit_recipe
from handful.tasks.generation.metrics import GAINED, token_loss
from handful.training.objectives.preference import DPO
from ledger import Ledger, Row, named, options, ranged

FIELDS = (
    "backbone", "what", "pairs", "updates", "of", "accuracy", "accuracy_low", "accuracy_high", "margin", "margin_low",
    "margin_high", "chosen", "chosen_low", "chosen_high", "gain", "gain_low",
    "gain_high", "forgot", "forgot_low", "forgot_high", "seconds", "said",
)  # fmt: skip
ALIKE, AS_THEY_ARE = "answers alike", "answers as they are"
TRAININGS = ((ALIKE, 10), (ALIKE, 1), (AS_THEY_ARE, 10))
"""Pairs, and how many times its own rate a training has; what is not 1 also does without the supervised term."""
SHORTEST, UPDATES = 16, 30


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
        few = [row for row in data.items[:SHORTEST] if isinstance(row, Preference)]
        for answers, times in TRAININGS:
            what = f"{answers}, {times} times the rate"
            if not ledger.has(**at, what=what):
                pairs = [alike(pair) for pair in few] if answers == ALIKE else few
                ledger.add({**at, "what": what, **planted(pairs, backbone, times)})
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
    logs = {training.name: len(training.curves[0]) for training in run.trainings}
    forgotten = run.scores.details["answers"]["forgetting"]
    for arm in run.scores.arms:
        updates = logs.get(arm.name, 0)
        row: Row = {"what": arm.name, "pairs": run.scores.n, "updates": updates, "of": updates}
        row |= named("accuracy", arm.estimate) | named("margin", arm.metrics[GAINED.name])
        if arm.rung and arm.difference is not None:
            row |= named("gain", arm.difference if arm.name == run.scores.chosen else -arm.difference)
        if arm.name == run.scores.chosen and forgotten is not None:
            row |= named("forgot", Estimate(**forgotten))
        notes = "; ".join(note for note in run.notes if note.startswith(arm.name))
        yield {**row, "seconds": round(arm.seconds, 1), "said": notes}


def alike(pair: Preference) -> Preference:
    """The same pair, its rejected answer the chosen one with another word after a third of it."""
    words = pair.chosen.split(" ")
    words[len(words) // 3] = "cabbage"
    return replace(pair, rejected=" ".join(words))


def planted(pairs: Sequence[Preference], backbone: LanguageBackbone, times: int) -> Row:
    """A training at so many times the rate, which is stopped where it goes wrong."""
    tokens = [backbone.chat.tokens(row.chosen_row, backbone.context) for row in pairs]
    tokens += [backbone.chat.tokens(row.rejected_row, backbone.context) for row in pairs]
    recipe, start = PREFERENCES["dpo"], time.perf_counter()
    if times > 1:
        recipe = replace(recipe, objective=DPO(0.1), learning_rate=times * recipe.learning_rate)
    nats, count = backbone.losses(tokens)
    lesson = Lesson.of(backbone, tokens, recipe, -nats)
    alarm, rows = Alarm(), np.arange(len(pairs))
    watch = Guard(backbone, tokens[: len(pairs)]).watch(lesson, rows, UPDATES, alarm)
    settings = recipe.settings(UPDATES, 0)
    spoken = fit_recipe(backbone, lesson, rows, recipe, settings, progress=lambda u, _, body: watch(u, body))
    seconds, now = time.perf_counter() - start, spoken.backbone(backbone).losses(tokens)[0]
    chosen, base, after = (scores[: len(pairs)] for scores in (count.astype(float), nats, now))
    return {
        "pairs": len(pairs), "updates": len(spoken.log), "of": UPDATES, "seconds": round(seconds, 1),
        **named("chosen", difference(token_loss(base, chosen), token_loss(after, chosen))),
        "said": alarm.words if alarm.rang else "no alarm",
    }  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """One line per arm and planted training."""
    lines = []
    for row in rows:
        figures = "".join(
            f"  {name} {ranged(row, name, '.3f')}"
            for name in ("accuracy", "margin", "chosen", "gain", "forgot") if row.get(name) not in (None, "")
        )  # fmt: skip
        lines.append(
            f"{row['backbone']}  {row['what']}: {row['pairs']} pairs, {row['updates']} of {row['of']} updates, "
            f"{row['seconds']} s{figures}" + (f"\n    {row['said']}" if row["said"] else "")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
