"""The verb for rows with answers: a small language model is compared with its own prompts, and the run is saved."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handful.atomic import replaced_folder
from handful.backbones import catalog
from handful.backbones.base import default_device
from handful.backbones.language import LanguageBackbone
from handful.data.cells import defuse, shown, shown_lines
from handful.data.conversations import Conversation, Preference
from handful.data.dataset import Dataset
from handful.errors import MachineError, OptionError
from handful.evaluation.answer_scores import AnswerScores
from handful.evaluation.answers import ACCURACY, LOSS, WINS, Judge, points, scored, scorer, token_loss, win_rate
from handful.evaluation.intervals import Estimate, interval
from handful.export.speaker import Speaker
from handful.inspection.dialogue import findings_of, kept_together
from handful.inspection.findings import Finding
from handful.plan import HEADS, Plan
from handful.run import PARTS, checkpoints_for, checkpoints_of, write_json
from handful.strategies.language.answering import SPEAKING, climb, likeliest
from handful.strategies.language.forgetting import held_back
from handful.strategies.language.in_context import tokens_of, words_of
from handful.strategies.language.memory import Shape, affordable, lengths_of
from handful.strategies.language.preferring import ACCURACY as PAIRED
from handful.strategies.language.preferring import PREFERRING, pair_scores, prefer
from handful.strategies.language.recipes import INVENTING, PREFERENCES, RECIPES, TokenRecipe
from handful.strategies.language.stage import SpeakingTerms, Speech
from handful.training.apply_delta import arrays_of
from handful.training.devices import free_bytes

BUDGET = 600.0
"""Seconds that are spent where nobody said how many: a language model takes minutes where others take seconds."""

SPOKEN, PREFERRED = ("base", "in-context", "lora"), ("base", "dpo")
"""What is tried where nobody named anything: of rows with answers, and of preferences."""

# Option that rows for a language model cannot follow → why, as the end of an advice.
_CLASSIFIERS_ONLY = {
    "task": "what is learned is the answer as it stands",
    "carry_items": "a model that shows examples carries those in any case, and any other none",
    "trials": "every strategy has one setting here; name several with --strategies to compare them",
    "engine": "one training after the other runs here, on all cores or the GPU",
}

Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LanguageRun:
    """What ``tune`` returns for rows with answers."""

    data: Dataset
    """The rows that were read, without the unreadable ones."""
    plan: Plan
    """The resolved options, with where each came from."""
    findings: tuple[Finding, ...]
    """What is wrong with the data, most costly first."""
    scores: AnswerScores
    """Every arm with its interval, and the choice."""
    speech: Speech
    """The arms themselves: what they said, and how weights moved."""
    model: Speaker
    """The chosen arm, fitted on all rows."""
    notes: tuple[str, ...] = ()
    """What happened on the way that the user should know, one sentence each."""

    def save(self, folder: str | Path) -> Path:
        """Write the run folder; raises and replaces as ``Run.save`` does.

        Returns:
            The folder.
        """
        from handful.report.language import render

        with replaced_folder(Path(folder), PARTS) as target:
            write_json(target / "scores.json", self.scores.as_dict())
            write_json(target / "findings.json", [finding.record() for finding in self.findings])
            self.plan.save(target / "plan.yaml")
            self._write_predictions(target / "predictions.csv")
            (target / "model").mkdir()
            self.model.write(target / "model", card=self.card())
            (target / "report.html").write_text(shown_lines(render(self, Path(folder))), encoding="utf-8")
            said = map(shown, (*self.data.notes, *self.notes, *(f.message for f in self.findings)))
            lines = shown_lines("\n".join([*said, str(self.scores)]))
            (target / "run.log").write_text(lines + "\n", encoding="utf-8")
        shutil.rmtree(checkpoints_of(Path(folder)), ignore_errors=True)
        return Path(folder)

    def card(self) -> str:
        """The model card, in Markdown."""
        weights = "its weights moved" if self.model.tuner else "its weights are as they were"
        forgot = self.scores.forgetting
        return (
            f"---\nlibrary_name: handful\npipeline_tag: text-generation\ntags:\n- handful\n---\n\n"
            f"# Answers: {self.model.arm} on {shown(self.model.backbone_name)}\n\n"
            f"Learned from {len(self.data)} rows with handful; {weights}.\n\n"
            f"{self.scores.sentence}\n\n"
            + (f"Loss on general questions changed by {forgot:.2f} nats per token.\n\n" if forgot is not None else "")
            + "Use it: `handful chat RUN`, `handful predict RUN new.txt`, `handful serve RUN`. Its answers may be "
            "wrong; scores hold for rows like those it learned from, and for no others.\n"
        )

    def _write_predictions(self, file: Path) -> None:
        taken = next(arm for arm in self.speech.told if arm.name == self.scores.chosen)
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["row", "input", "wanted", "answer", "loss"])
            loss = taken.measured[LOSS].scores
            for at, row in enumerate(self.speech.rows.tolist()):
                item = self.data.items[row]
                wanted = item.chosen if isinstance(item, Preference) else item.answer
                said = taken.answers[at] if taken.answers else ""
                cells = map(defuse, (words_of(item.prompt), wanted, said))
                writer.writerow([self.data.rows[row], *cells, f"{loss[at]:.4f}"])


def tune_answers(data: Dataset, plan: Plan, say: Say, judge: Judge | None = None) -> LanguageRun:
    """Compare ways for a language model to answer, and keep what the rows support.

    Args:
        data: conversations with answers, or preferences.
        plan: the resolved options; a budget that nobody gave is ``BUDGET``.
        say: told how far things are.
        judge: a function that scores answers, in place of the metric of the plan.

    Raises:
        OptionError: an option cannot work.
        WeightsError: the model is not there and cannot be fetched.
        MachineError: there is not enough memory.
        TrainingError: a training that was named ran away.
    """
    start = time.perf_counter()
    whole, test = data, data.part("test")
    data = data.part("train") if len(test) else data
    plan = plan if "budget" in plan.origins else replace(plan, budget=BUDGET)
    pairs = isinstance(data.items[0], Preference)
    known = PREFERRING if pairs else SPEAKING
    wanted = _wanted(plan, known, "preference rows" if pairs else "rows with answers")
    _check_speaks(plan, pairs)
    metric = _metric(plan, judge, pairs, data.labels is not None)
    recipes = {
        name: held_back(recipe, plan.anti_forgetting)
        for name, recipe in (PREFERENCES if pairs else RECIPES | INVENTING).items()
    }
    arms, told = _affordable(plan, data, wanted or (PREFERRED if pairs else SPOKEN), recipes)
    say(told[0].rstrip(".") if told else "loading the model", 0, 0)
    backbone = load_language(plan.backbone)
    folder = checkpoints_for(plan, data, backbone.fingerprint)
    findings = tuple(findings_of(whole))
    read = time.perf_counter() - start
    terms = SpeakingTerms(
        wanted=arms,
        named=bool(wanted),
        budget=max(plan.budget - read, 1.0) if plan.budget else 0.0,
        metric=metric,
        seed=plan.seed,
        checkpoints=folder,
        choices=data.classes,
        say=say,
        recipes=recipes,
        again=lambda remedy: _again(plan, remedy, data),
    )
    named = metric if isinstance(metric, str) else "a function"
    named = (WINS if judge else PAIRED) if pairs else named
    plan = replace(plan, strategies=terms.wanted, metric=named)
    rows = list(data.items)
    groups = _joined(data)
    speech = prefer(backbone, rows, groups, terms) if pairs else climb(backbone, rows, groups, terms)
    seconds = {"read": read, "compare": time.perf_counter() - start - read}
    scores, model = replace(speech.scores, seconds=seconds), _speaker(backbone, rows, speech)
    if len(test):
        found = _tested(model, test, scores.metric, metric, data.classes, backbone)
        said = f"On the {len(test)} test rows: {found:.3f}. Held out in turn: {scores.sentence}"
        scores = replace(scores, test=found, test_n=len(test), sentence=said)
    return LanguageRun(data, plan, findings, scores, speech, model, (*told, *speech.notes))


def _affordable(
    plan: Plan, data: Dataset, wanted: tuple[str, ...], recipes: Mapping[str, TokenRecipe]
) -> tuple[tuple[str, ...], list[str]]:
    """The arms whose memory is there, and what they need, told before anything is loaded.

    Raises:
        MachineError: an arm that was named needs more than is free.
    """
    name = catalog.defaults("language")[0] if plan.backbone == "auto" else plan.backbone.strip(", ")
    shape = Shape.of(catalog.files_of(name, "language")) if catalog.has_files(name) else None
    trained = [arm for arm in wanted if arm in recipes]
    if shape is None or not trained or not plan.budget:
        return wanted, []
    told = [
        (row.prompt, row.chosen + row.rejected if isinstance(row, Preference) else row.answer) for row in data.items
    ]
    lengths = lengths_of([(words_of(prompt), answer) for prompt, answer in told], shape.context)
    free = free_bytes(default_device())
    try:
        needed = affordable(shape, recipes, trained, lengths, free)
    except MachineError as error:
        if "strategies" in plan.origins:
            raise
        return tuple(arm for arm in wanted if arm not in recipes), [str(error)]
    most = max(needed, key=lambda arm: needed[arm].total)
    left = "" if free is None else f"; {free / 2**30:.1f} GB are free"
    return wanted, [f"{most} holds about {needed[most]} while it learns{left}."]


def _check_speaks(plan: Plan, pairs: bool) -> None:
    """Refuse options that only labelled items can follow."""
    if pairs and plan.anti_forgetting == "replay":
        raise OptionError("anti-forgetting replay is for rows with answers, got preference rows. Choose fade or l2sp.")
    for name, why in _CLASSIFIERS_ONLY.items():
        if getattr(plan, name) != getattr(Plan, name):
            raise OptionError(
                f"{name.replace('_', '-')} is for classifiers, got rows for a language model. Leave it out: {why}."
            )


def _again(plan: Plan, remedy: str, data: Dataset) -> str:
    """What to type for the same run with a remedy."""
    spoken = {"as_": "language"} if data.labels is not None else {}
    if "strategies" in plan.origins:
        spoken["strategies"] = ",".join(name for name in plan.strategies if name not in (*HEADS, "base"))
    return plan.again(**spoken, anti_forgetting=remedy)


def _joined(data: Dataset) -> NDArray[np.int64] | None:
    """(N,) a number for rows that must be held out together, or None where every row is on its own."""
    together = kept_together(data)
    return together if len(np.unique(together)) < len(data) else None


def _tested(
    model: Speaker, test: Dataset, name: str, metric: str | Judge, choices: Sequence[str], start: LanguageBackbone
) -> Estimate:
    """The score of the chosen arm on the rows that the source keeps for a test; ``start`` is the model as it was."""
    backbone, rows, groups = model.backbone, test.items, _joined(test)
    pairs = [row for row in rows if isinstance(row, Preference)]
    if pairs and callable(metric):
        asked = [row.prompt for row in pairs]
        before = replace(model, tuner=None, delta={}, loaded=start).predict(asked)
        return interval(win_rate(metric, [*map(words_of, asked)], model.predict(asked), before), groups)
    told = [row.chosen_row for row in pairs] + [row.rejected_row for row in pairs]
    told = told or [row for row in rows if isinstance(row, Conversation)]
    if name == ACCURACY:
        right = likeliest(backbone, told, choices, model.examples)
        return interval(points(ACCURACY, right), groups)
    judge = scorer(metric)
    if judge is None:
        nats, count = backbone.losses(tokens_of(told, backbone.chat, backbone.context, model.examples))
        won = pair_scores(nats, nats, count, np.arange(len(pairs)))[name] if pairs else token_loss(nats, count)
        return interval(won, groups)
    prompts = [words_of(row.prompt) for row in told]
    said = model.predict([row.prompt for row in told])
    return interval(scored(judge, prompts, said, [row.answer for row in told]), groups)


def load_language(name: str) -> LanguageBackbone:
    """Load the language model that ``--backbone`` names; ``auto`` is the default one."""
    names = [part.strip() for part in name.split(",") if part.strip()]
    if len(names) > 1:
        raise OptionError(f"backbone for rows with answers must be one model, got {len(names)}. Choose one.")
    chosen = catalog.defaults("language")[0] if name == "auto" else catalog.located(names[0])
    found = catalog.load(chosen, "language").to(default_device())
    assert isinstance(found, LanguageBackbone)
    return found


def _wanted(plan: Plan, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """The arms that were named, the first one always among them; none where nobody named any."""
    if "strategies" not in plan.origins:
        return ()
    named = [name for name in plan.strategies if name in known]
    odd = [name for name in plan.strategies if name not in known and name not in HEADS]  # heads are put in by the plan
    if odd or not named:
        raise OptionError(
            f"strategies for {what} must be some of {', '.join(known)}, got {', '.join(odd or plan.strategies)}. "
            "Choose among these."
        )
    if set(named) & set(INVENTING):  # what learns from invented rows has to beat the same on the rows alone
        named = [*(name for name in named if name not in INVENTING), "lora", *INVENTING]
    return tuple(dict.fromkeys((known[0], *named)))


def _metric(plan: Plan, judge: Judge | None, pairs: bool, labelled: bool) -> str | Judge:
    if pairs:
        if "metric" in plan.origins:
            raise OptionError(
                f"metric= must be a function for preference rows, or left out, got {plan.metric}: pairs are scored by "
                "which answer is the likelier one, or by a judge of two answers."
            )
        return judge or LOSS
    if judge is not None:
        return judge
    if "metric" not in plan.origins:
        return LOSS
    if plan.metric == ACCURACY and not labelled:
        raise OptionError("metric accuracy is for labels (--as language), got free answers. Try exact_match.")
    scorer(plan.metric)
    return plan.metric


def _speaker(backbone: LanguageBackbone, rows: list[Conversation | Preference], speech: Speech) -> Speaker:
    """The chosen arm as data."""
    told = [row.chosen_row if isinstance(row, Preference) else row for row in rows]
    spoken = speech.spoken
    made = Speaker(
        arm=speech.scores.chosen, backbone_name=backbone.name, fingerprint=backbone.fingerprint,
        shots=speech.shots, rows=tuple(told) if speech.shots is not None else (),
        longest=backbone.room(told),
    )  # fmt: skip
    if spoken is None:
        return replace(made, loaded=backbone)
    return replace(
        made, tuner=spoken.recipe.tuner.name, first=spoken.first, delta=arrays_of(spoken.delta),
        loaded=spoken.backbone(backbone),
    )  # fmt: skip
