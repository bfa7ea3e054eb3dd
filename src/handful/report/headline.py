"""The headline: what the score means for new items, how sure it is, and whether it beats always giving one answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from handful.data.names import in_a_row
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale, hundredths
from handful.evaluation.probes import FORGOTTEN, QUESTIONS
from handful.evaluation.scores import Scores
from handful.report import words
from handful.tasks.base import Baseline, Task
from handful.tasks.classification.details import ClassDetails
from handful.tasks.defects import DEFECTS, Promise
from handful.tasks.defects.words import not_enough, told_alarms, told_found

if TYPE_CHECKING:
    from handful.run import Run

# An interval wider than this is worth an explanation of why it is so wide.
_WIDE = 0.1

# So many tied arms are named.
_FEW_TIES = 2


@dataclass(frozen=True)
class Headline:
    """What stands on top of the page."""

    title: str
    """The result in a few words."""
    lead: str
    """The interval in words, and what it rests on."""
    basis: str
    """How far such intervals can be trusted."""
    estimate: Estimate
    """What the title says, as numbers."""
    always: float
    """The score of what any model has to beat."""
    without: str
    """What that is, in two or three words: ``always “bees”``, ``without a model``."""
    limit: float
    """What the right end of the scale stands for: 1 of shares."""
    verdict: str
    """Whether the model beats it."""
    beaten: bool
    """Whether it clearly does."""
    ties: str
    """Which arms cannot be told apart from the chosen one; empty where there are none."""
    forgot: str
    """What a language model forgot when its weights moved; empty otherwise."""
    forgets: bool
    """Whether that is more than little, beyond doubt."""
    second: str
    """What cross-validation says where the title comes from test rows; empty otherwise."""


def headline(run: Run) -> Headline:
    """Put the result of a run into words."""
    return headline_of(run.scores, run.model.task, run.data.groups is not None)


def headline_of(scores: Scores, task: Task, grouped: bool) -> Headline:
    """The same of its scores alone.

    Args:
        scores: what the run measured.
        task: what it learned.
        grouped: whether rows belong together, so that new items come from groups it has never met.
    """
    if "promise" in scores.details:
        return _promised(scores)
    estimate, rows = (scores.estimate, scores.n) if scores.test is None else (scores.test, scores.test_n)
    raw = scores.details.get("answers", {}).get("forgetting")
    forgetting = raw and Estimate(**raw)
    baseline = task.reference
    frequent, always = _one_answer(scores, baseline)
    verdict, beaten = _against_one_answer(scores, task, always, frequent)
    title, lead = _title(scores, task, estimate, rows), _lead(scores, task, grouped, rows)
    if not beaten and scores.metric not in _COMPARED:  # nothing else matters as much to whoever would use the model
        title, lead = f"Not shown to be better than {_always(task, frequent)}", f"{title}. {lead}"
    return Headline(
        title=title,
        lead=lead,
        basis=_basis(scores),
        estimate=estimate,
        always=always,
        without=f"always “{words.shortened(words.printable(frequent), 24)}”" if frequent else baseline.short,
        limit=_limit(scores),
        verdict=verdict,
        beaten=beaten,
        ties=_ties(scores),
        forgot=_forgot(forgetting),
        forgets=forgetting is not None and forgetting.low > 0 and forgetting.value > FORGOTTEN,
        second=_second(scores),
    )


def _promised(scores: Scores) -> Headline:
    """What a detector keeps: false alarms, and what slips through."""
    promise = Promise.from_dict({name: x for name, x in scores.details["promise"].items() if name in _OF_PROMISE})
    rate, finds, things = promise.false_alarms, promise.found, scores.details["promise"]["things"]
    shown = finds is not None and finds.low > rate.high
    alarms = f"about {hundredths(rate.value)} of 100 good {things} thrown away"
    missed = promise.bad - promise.caught
    if finds is None:
        title = f"{alarms[0].upper()}{alarms[1:]}; what slips through is not known"
        verdict = "Nothing shows yet what it finds: there were no bad items to try it on."
    else:
        count = f"{missed} of {promise.bad}" if missed else f"None of {promise.bad}"
        title = f"{count} bad {things} {'slip' if missed > 1 else 'slips'} through, {alarms}"
        verdict = f"Clearly better than {DEFECTS.reference.words}." if shown else (
            f"Not shown to be better than {DEFECTS.reference.words}: good and bad {things} may look alike to it."
        )  # fmt: skip
    if not_enough(promise):
        title = f"Not good enough yet: {title[0].lower()}{title[1:]}"
    return Headline(
        title=title,
        lead=f"{told_alarms(promise, things)} {told_found(promise, things)}",
        basis="A normal item was scored without its own parts, and no bad one was learned from.",
        estimate=finds or rate,
        always=rate.value if finds is not None else 0.0,
        without=DEFECTS.reference.short if finds is not None else "no alarms",
        limit=1.0,
        verdict=verdict,
        beaten=shown,
        ties="",
        forgot="",
        forgets=False,
        second="",
    )


_OF_PROMISE = tuple(one.name for one in fields(Promise))


def _limit(scores: Scores) -> float:
    """Where a scale ends on which every arm can be seen: at 1 for shares, and for what is at most 1."""
    if scores.scale.percent or scores.scale.higher_is_better:
        return 1.0
    ends = [arm.estimate.high for arm in scores.arms] + [scores.estimate.high]
    highest = max((end for end in ends if math.isfinite(end)), default=1.0)
    step = 10.0 ** math.floor(math.log10(max(highest, 1e-9)))
    return float(
        next(step * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * factor >= highest * (1 - 1e-9))
    )


def _title(scores: Scores, task: Task, estimate: Estimate, rows: int) -> str:
    if scores.metric in _COMPARED:
        return _compared(scores, task.reference)
    about = hundredths(estimate.value, scores.scale.digits(estimate.low, estimate.high))
    headline = _headline_of(scores, task)
    if headline:
        return headline.format(about if scores.scale.percent else scores.scale.plain(estimate.value))
    if scores.metric != "accuracy":
        return f"{scores.scale.heading} of about {estimate.told(scores.scale)}"
    if estimate.value == 1:
        return f"Right on all {rows:,} rows that were held out"
    if estimate.value == 0:
        return f"Wrong on all {rows:,} rows that were held out"
    return f"Right on about {about} of 100 new items"


# Metrics whose value says nothing by itself to whoever reads it: what the title tells is the comparison.
_COMPARED = ("loss",)


def _compared(scores: Scores, baseline: Baseline) -> str:
    """Whether what was taken beats what any model has to beat."""
    taken = next(arm for arm in scores.arms if arm.name == scores.chosen)
    if taken.name == baseline.name:
        return f"Nothing is shown to beat {baseline.words}"
    gain = taken.gain(scores.scale)
    how = "Tuned with" if taken.rung else "Examples in the prompt are enough,"
    if gain is not None and gain.low > 0:
        return f"{how} {taken.name}: better than {baseline.words}"
    return f"{how} {taken.name}: not shown to beat {baseline.words}"


def _headline_of(scores: Scores, task: Task) -> str:
    """What a score says in a few words, where there are better ones than its name; with room for the figure."""
    return task.metrics[scores.metric].headline if scores.metric in task.metrics else ""


def _lead(scores: Scores, task: Task, grouped: bool, rows: int) -> str:
    estimate, scale = scores.test or scores.estimate, scores.scale
    digits = scale.digits(estimate.low, estimate.high)
    low, high = hundredths(estimate.low, digits), hundredths(estimate.high, digits)
    true = f"between {low} and {high} of 100"
    if not scale.percent or (not _headline_of(scores, task) and scores.metric != "accuracy"):
        true = f"between {scale.between(estimate.low, estimate.high)}"
    elif estimate.value == 1:
        true = f"at {low} of 100 or above"
    new = "items from groups it has never met" if grouped else "items like these"
    wide = estimate.high - estimate.low > (_WIDE if scale.percent else _WIDE * _limit(scores))
    why = f": {words.plural(rows, 'row')} cannot say it more exactly" if wide else ""
    basis = "Each row was answered by a model that had not seen it."
    if scores.test is not None:
        basis = f"Measured once, on the {words.plural(rows, 'row')} that the source marks as test."
    if scores.metric in _COMPARED and scores.lead is not None:  # the figure stands among the details
        return f"{scores.lead.sentence} {basis}"
    return f"For {new}, the true figure probably lies {true}{why}. {basis}"


def _basis(scores: Scores) -> str:
    tried = "; tried out on real data with rows enough to tell, they held it 92 to 97 times out of 100"
    said = f"Intervals made this way should hold the true figure {_how_often(scores.level)}"
    return f"{said}{tried if scores.metric == 'accuracy' else ''}."


def perplexity(loss: float) -> str:
    """How surprising an answer is, as a choice among so many equally likely tokens; 1 where it is no surprise."""
    return f"{math.exp(min(loss, 50.0)):.3g}"


def _how_often(level: float) -> str:
    if abs(level - 0.95) < 1e-9:
        return "19 times out of 20"
    return f"{words.percent(level)} of the time"


def _always(task: Task, frequent: str) -> str:
    """What any model has to beat, after "than"."""
    return f"always answering “{words.shortened(words.printable(frequent), 40)}”" if frequent else task.reference.words


def _against_one_answer(scores: Scores, task: Task, figure: float, frequent: str) -> tuple[str, bool]:
    scale, baseline = scores.scale, task.reference
    always = _always(task, frequent)
    taken = next(arm for arm in scores.arms if arm.name == scores.chosen)
    if taken.by is not None and scores.beats_reference(baseline.name):
        few = f"{scores.n} rows are too few for {scale.title} to show it"
        return f"Better than {always} by its {taken.by.title}; {few}.", True
    if scores.chosen == baseline.name:
        return f"Nothing that was tried is better than {always} beyond doubt: {task.nothing_shown}.", False
    reached = f"{hundredths(figure)} of 100" if scale.percent else f"a {scale.title} of {scale.told(figure)}"
    verb = "scores" if scale.percent else "has"
    if scores.beats_reference(baseline.name):
        return f"Clearly better than {always}, which {verb} {reached}.", True
    return (f"Not shown to be better than {always}, which {verb} {reached}: {task.nothing_shown}."), False


def _one_answer(scores: Scores, baseline: Baseline) -> tuple[str, float]:
    """The most frequent class where the answer that needs no model is that one, and the score of that answer."""
    value = next(arm.estimate.value for arm in scores.arms if arm.name == baseline.name)
    classes = ClassDetails.from_dict(scores.details).classes if "classes" in scores.details else ()
    if scores.metric not in _BY_CLASS or not classes or not scores.scale.percent:
        return "", value
    return max(classes, key=lambda score: score.rows).name, value


# Metrics of classes, of which the most frequent one is the best single answer.
_BY_CLASS = ("accuracy", "balanced_accuracy", "macro_f1")


def _ties(scores: Scores) -> str:
    tied = [arm.name for arm in scores.arms if arm.verdict == "tie"]
    if not tied:
        return ""
    # Many names would be all that is seen on the first screen; the table below has them.
    others = in_a_row(tied) if len(tied) <= _FEW_TIES else f"{len(tied)} of the {len(scores.arms) - 1} other arms"
    rows = words.plural(scores.n, "row")
    return f"A tie: {rows} cannot tell {scores.chosen} from {others}; any of them may be the best."


def _forgot(forgetting: Estimate | None) -> str:
    if forgetting is None:
        return ""
    side, signed = "rose" if forgetting.value > 0 else "fell", Scale(percent=False).signed
    return (
        f"On {len(QUESTIONS)} general questions the loss {side} by {abs(forgetting.value):.2f} nats per token "
        f"({signed(forgetting.low)} to {signed(forgetting.high)}): "
        + ("this is what the model forgot." if forgetting.value > 0 else "the model forgot nothing that they ask.")
    )


def _second(scores: Scores) -> str:
    if scores.test is None:
        return ""
    figure = words.figure(scores.estimate, scores.scale)
    told = f"Cross-validation on the {words.plural(scores.n, 'training row')} says {figure}"
    apart = scores.test.high < scores.estimate.low or scores.estimate.high < scores.test.low
    odd = " The two do not agree: test and training rows seem to differ." if apart else ""
    return f"{told} ({words.figures(scores.estimate, scores.scale)}).{odd}"
