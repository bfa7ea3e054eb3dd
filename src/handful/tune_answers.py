"""The verb for rows with answers: a small language model is compared with its own prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.backbones import catalog
from handful.backbones.base import default_device
from handful.backbones.language import LanguageBackbone
from handful.budget import Budget
from handful.choices import HEADS
from handful.data.conversations import Conversation, Preference
from handful.data.dataset import Dataset
from handful.errors import MachineError, OptionError
from handful.evaluation.intervals import Estimate, interval
from handful.evaluation.metrics import Metric
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import Rows, assemble
from handful.export.kept_parts import Moved
from handful.export.language_model import LanguageModel
from handful.inspection.dialogue import findings_of, kept_together
from handful.plan import Plan
from handful.progress import Say, silent
from handful.run import Run, Training, checkpoints_for
from handful.seeding import generator
from handful.strategies.language.answering import ANSWER_ARMS, compare_answers
from handful.strategies.language.asking import Questions, ask
from handful.strategies.language.forgetting import held_back
from handful.strategies.language.in_context import tokens_of, words_of
from handful.strategies.language.memory import ModelShape, affordable, lengths_of
from handful.strategies.language.preferring import PREFERENCE_ARMS, compare_preferences
from handful.strategies.language.recipes import INVENTING, PREFERENCES, RECIPES, TokenRecipe
from handful.strategies.language.stage import LanguageResult, LanguageTerms
from handful.tasks.generation import GENERATION, PREFERENCE, Generation
from handful.tasks.generation.metrics import (
    ACCURACY,
    PREFERRED,
    WINS,
    Answered,
    Judge,
    judge_of,
    metric_of,
    preferences,
    win_rate,
)
from handful.training.apply_delta import arrays_of
from handful.training.devices import free_bytes

BUDGET = 600.0
"""Seconds that are spent where nobody said how many: a language model takes minutes where others take seconds."""

ANSWER_DEFAULTS, PREFERENCE_DEFAULTS = ("base", "in-context", "lora"), ("base", "dpo")
"""What is tried where nobody named anything: of rows with answers, and of preferences."""

# With fewer rows than this it is said that more would show more.
_ENOUGH = 50

# Option that rows for a language model cannot follow → why, as the end of an advice.
_ITEMS_ONLY = {
    "task": "what is learned is the answer as it stands",
    "carry_items": "a model that shows examples carries those in any case, and any other none",
    "trials": "every strategy has one setting here; name several with --strategies to compare them",
    "engine": "one training after the other runs here, on all cores or the GPU",
}


def tune_answers(data: Dataset, plan: Plan, budget: Budget, say: Say, judge: Judge | None = None) -> Run:
    """Compare ways for a language model to answer, and keep what the rows support.

    Args:
        data: conversations with answers, or preferences.
        plan: the resolved options.
        budget: the time of the run, of which reading was the first stage; where nobody gave one it becomes ``BUDGET``.
        say: told how far things are.
        judge: a function that scores answers, in place of the metric of the plan.

    Raises:
        OptionError: an option cannot work.
        WeightsError: the model is not there and cannot be fetched.
        MachineError: there is not enough memory.
        TrainingError: a training that was named ran away.
    """
    whole, test = data, data.part("test")
    data = data.part("train") if len(test) else data
    if "budget" not in plan.origins:
        plan, budget.seconds = replace(plan, budget=BUDGET), BUDGET
    pairs = isinstance(data.items[0], Preference)
    task = PREFERENCE if pairs else GENERATION
    wanted = _wanted(
        plan, PREFERENCE_ARMS if pairs else ANSWER_ARMS, "preference rows" if pairs else "rows with answers"
    )
    _check_follows(plan, pairs)
    metric = _metric(plan, judge, task, data.labels is not None)
    recipes = {
        name: held_back(recipe, plan.anti_forgetting)
        for name, recipe in (PREFERENCES if pairs else RECIPES | INVENTING).items()
    }
    with budget.stage("load"):
        default = PREFERENCE_DEFAULTS if pairs else ANSWER_DEFAULTS
        arms, memory = _affordable(plan, data, wanted or default, recipes, say)
        for needed in memory:  # before the seconds that loading takes
            say(needed.rstrip("."), 0, 0)
        backbone = load_language(plan.backbone, say)
        findings = tuple(findings_of(whole))
    seconds = max(budget.for_training, 1.0) if plan.budget else 0.0
    terms = LanguageTerms(
        wanted=arms,
        named=bool(wanted),
        budget=seconds,
        before=max(0.0, budget.seconds - seconds),
        task=task,
        metric=metric,
        judge=judge or (None if pairs else judge_of(plan.metric)),
        seed=plan.seed,
        checkpoints=checkpoints_for(plan, data, backbone.fingerprint),
        choices=data.classes,
        say=say,
        recipes=recipes,
        again=partial(_again, plan, data),
    )
    plan = replace(plan, strategies=arms, metric="a function" if judge and not pairs else metric.name)
    groups, items = _joined(data), list(data.items)
    with budget.stage("compare"):
        result = (compare_preferences if pairs else compare_answers)(backbone, items, groups, terms)
    model = _packed(task, backbone, items, result)
    stage, outputs = result.stage, next(arm.outputs for arm in result.arms if arm.name == result.chosen)
    positions = tuple(data.rows[i] for i in stage.held.tolist())
    scores = _scores(result, terms, outputs, positions)
    untested: list[str] = []
    if len(test):
        with budget.stage("test"):
            scores, untested = scores.tested(_tested(model, test, terms, backbone), len(test))
    few = _too_few(len(data), scores, task)
    lead = None if scores.lead is None else scores.lead.placed(data.places.called)
    scores = replace(scores, seconds=budget.accounted, lead=lead)
    model = replace(model, beats_reference=scores.beats_reference(task.reference.name))
    notes = (*memory, *result.notes, *few, *untested, *([budget.passed] if budget.passed else []))
    return Run(
        data, plan, findings, scores, task.held_out(outputs, stage.targets, positions), model, notes,
        tuple(_training(result, name) for name in result.curves),
    )  # fmt: skip


def _scores(result: LanguageResult, terms: LanguageTerms, outputs: Answered, positions: tuple[int, ...]) -> Scores:
    """What the arms are worth, and what is told before any figure."""
    stage, rng = result.stage, generator(terms.seed, "bootstrap")
    scores = assemble(
        result.arms, outputs, result.chosen, Rows(stage.targets, stage.held_groups, positions, finer=terms.finer),
        metric=terms.metric, protocol=stage.protocol, rng=rng,
    )  # fmt: skip
    base = result.arms[0].outputs
    lead = terms.task.lead(outputs, base, result.chosen, stage.targets, positions, stage.held_groups)
    if result.forgetting is None:
        return replace(scores, lead=lead)
    answers = {**scores.details["answers"], "forgetting": result.forgetting.as_dict()}
    return replace(scores, lead=lead, details={"answers": answers})


def _too_few(rows: int, scores: Scores, task: Generation) -> list[str]:
    """What to do where something learned and few rows do not show that it helps."""
    if rows >= _ENOUGH or scores.beats_reference(task.reference.name) or not any(arm.rung for arm in scores.arms):
        return []
    return [
        f"{rows} rows, {scores.n} of them held out, show large differences only. Read the answers that are shown and "
        f"judge for yourself, or add rows: about {_ENOUGH} are a good start."
    ]


def _training(result: LanguageResult, name: str) -> Training:
    """How weights moved in an arm; curves that an alarm ended early set the length."""
    logs = result.curves[name]
    length = min(len(log) for log in logs)
    curves = tuple(tuple(update.loss for update in log[:length]) for log in logs)
    setting = next(arm.setting for arm in result.arms if arm.name == name) or {}
    moved = int(str(setting["weights moved"]).replace(",", ""))
    return Training(name, curves, None, None, moved, name == result.chosen)


def _affordable(
    plan: Plan, data: Dataset, wanted: tuple[str, ...], recipes: Mapping[str, TokenRecipe], say: Say
) -> tuple[tuple[str, ...], list[str]]:
    """The arms whose memory is there, and what they need, told before anything is loaded.

    Raises:
        MachineError: an arm that was named needs more than is free.
    """
    name = catalog.defaults("language")[0] if plan.backbone == "auto" else plan.backbone.strip(", ")
    shape = None
    if catalog.has_files(name):
        shape = ModelShape.of(catalog.files_of(name, "language", partial(say, f"fetching {name}")))
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


def _check_follows(plan: Plan, pairs: bool) -> None:
    """Refuse options that only labelled items can follow."""
    if pairs and plan.anti_forgetting == "replay":
        raise OptionError("anti-forgetting replay is for rows with answers, got preference rows. Choose fade or l2sp.")
    for name in ("false_alarms", "must_find"):
        if getattr(plan, name) is not None:
            raise OptionError(f"{name.replace('_', '-')} is for defects, got rows for a language model. Leave it out.")
    for name, why in _ITEMS_ONLY.items():
        if getattr(plan, name) != getattr(Plan, name):
            raise OptionError(
                f"{name.replace('_', '-')} is for classifiers, got rows for a language model. Leave it out: {why}."
            )


def _again(plan: Plan, data: Dataset, **options: Any) -> str:
    """What to type for the same run with other options."""
    typed = "command line" in plan.origins.values()
    given: dict[str, Any] = {}
    if data.labels is not None:
        given["as_" if typed else "modality"] = "language"
    if "strategies" in plan.origins:
        given["strategies"] = ",".join(name for name in plan.strategies if name not in (*HEADS, "base"))
    return plan.again(**given, **options)


def _joined(data: Dataset) -> NDArray[np.int64] | None:
    """(N,) a number for rows that must be held out together, or None where every row is on its own."""
    together = kept_together(data)
    return together if len(np.unique(together)) < len(data) else None


def _tested(model: LanguageModel, test: Dataset, terms: LanguageTerms, start: LanguageBackbone) -> Estimate:
    """The score of the chosen arm on the rows that the source keeps for a test; ``start`` is the model as it was."""
    backbone, groups = model.backbone, _joined(test)
    pairs = [row for row in test.items if isinstance(row, Preference)]

    def tell(done: int, total: int) -> None:
        terms.say("asking about the test rows", done, total)

    if not pairs:
        rows = [row for row in test.items if isinstance(row, Conversation)]
        sampling = model.sampling(seed=terms.seed)
        asked = Questions(terms.choices if terms.metric is ACCURACY else (), terms.judge, terms.wants_texts, sampling)
        answered, _ = ask(backbone, rows, asked, model.examples, tell)
        return interval(terms.metric.of(answered, terms.task.targets(rows)), groups)
    both = [row.chosen_row for row in pairs] + [row.rejected_row for row in pairs]
    nats, count = backbone.losses(tokens_of(both, backbone.chat, backbone.context, model.examples), tell)
    answered = preferences(nats, nats, count)
    if terms.judge is not None:
        prompts = [row.prompt for row in pairs]
        before = replace(model, moved=None, loaded=start).predict(prompts, tell=tell)
        wins = win_rate(terms.judge, [*map(words_of, prompts)], model.predict(prompts, tell=tell), before)
        answered = replace(answered, judged=wins)
    return interval(terms.metric.of(answered, terms.task.targets([row.chosen_row for row in pairs])), groups)


def load_language(name: str, say: Say = silent) -> LanguageBackbone:
    """Load the language model that ``--backbone`` names; ``auto`` is the default one.

    Args:
        name: as it was given.
        say: told how many bytes have arrived, where it is fetched.
    """
    names = [part.strip() for part in name.split(",") if part.strip()]
    if len(names) > 1:
        raise OptionError(f"backbone for rows with answers must be one model, got {len(names)}. Choose one.")
    chosen = catalog.defaults("language")[0] if name == "auto" else catalog.located(names[0])
    say(f"loading {chosen}", 0, 0)
    found = catalog.load(chosen, "language", progress=partial(say, f"fetching {chosen}")).to(default_device())
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


def _metric(plan: Plan, judge: Judge | None, task: Generation, labelled: bool) -> Metric:
    """What arms are compared by."""
    if task is PREFERENCE:
        if "metric" in plan.origins:
            raise OptionError(
                f"metric= must be a function for preference rows, or left out, got {plan.metric}: pairs are scored by "
                "which answer is the likelier one, or by a judge of two answers."
            )
        return PREFERRED if judge is None else WINS
    if judge is not None or "metric" not in plan.origins:
        return task.headline if judge is None else metric_of(judge, ())
    if plan.metric == ACCURACY.name and not labelled:
        raise OptionError("metric accuracy is for labels (--as language), got free answers. Try exact_match.")
    return metric_of(plan.metric, list(task.metrics.values()))


def _packed(
    task: Generation, backbone: LanguageBackbone, rows: Sequence[Conversation | Preference], result: LanguageResult
) -> LanguageModel:
    """The chosen arm as data."""
    told = [row.chosen_row if isinstance(row, Preference) else row for row in rows]
    tuned, how = result.tuned, result.stage.sampling
    model = LanguageModel(
        task=task, arm=result.chosen, backbone_name=backbone.name, fingerprint=backbone.fingerprint,
        shots=result.shots, rows=tuple(told) if result.shots is not None else (), longest=how.most,
        unrepeated=how.unrepeated,
    )  # fmt: skip
    if tuned is None:
        return replace(model, loaded=backbone)
    moved = Moved(tuned.recipe.tuner.name, tuned.first, arrays_of(tuned.delta))
    return replace(model, moved=moved, loaded=tuned.backbone(backbone))
