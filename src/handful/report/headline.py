"""The headline: what the score means for new items, how sure it is, and whether it beats always giving one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handful.evaluation.intervals import Estimate
from handful.evaluation.scores import Scores
from handful.report import words
from handful.tasks.classification.details import ClassDetails

if TYPE_CHECKING:
    from handful.run import Run

# An interval wider than this is worth an explanation of why it is so wide.
_WIDE = 0.1

# So many tied arms are named.
_FEW_TIES = 2

MAJORITY = "majority"


@dataclass(frozen=True)
class Headline:
    """What stands on top of the page."""

    title: str
    """The result in a few words."""
    lead: str
    """The interval in words, and what it rests on."""
    estimate: Estimate
    """What the title says, as numbers."""
    always: float
    """The score of always giving the most frequent answer."""
    most_frequent: str
    """That answer."""
    verdict: str
    """Whether the model beats it."""
    beaten: bool
    """Whether it clearly does."""
    ties: str
    """Which arms cannot be told apart from the chosen one; empty where there are none."""
    flattered: str
    """Why the score of the chosen arm is not the score on top, where the two differ."""
    second: str
    """What cross-validation says where the title comes from test rows; empty otherwise."""


def headline(run: Run) -> Headline:
    """Put the result of a run into words."""
    scores = run.scores
    estimate, rows = (scores.estimate, scores.n) if scores.test is None else (scores.test, scores.test_n)
    frequent, always = _one_answer(scores)
    verdict, beaten = _against_one_answer(scores, estimate, always, frequent)
    return Headline(
        title=_title(scores, estimate, rows),
        lead=_lead(scores, estimate, rows),
        estimate=estimate,
        always=always,
        most_frequent=frequent,
        verdict=verdict,
        beaten=beaten,
        ties=_ties(scores),
        flattered=_flattered(scores),
        second=_second(scores),
    )


def _title(scores: Scores, estimate: Estimate, rows: int) -> str:
    digits = words.decimals(estimate)
    about = words.hundredths(estimate.value, digits)
    if scores.metric == "balanced_accuracy":
        return f"Finds about {about} of 100 items of a class, averaged over the classes"
    if scores.metric == "macro_f1":
        return f"Macro F1 of about {estimate.value:.{digits + 2}f}"
    if estimate.value == 1:
        return f"Right on all {rows:,} rows that were held out"
    if estimate.value == 0:
        return f"Wrong on all {rows:,} rows that were held out"
    return f"Right on about {about} of 100 new items"


def _lead(scores: Scores, estimate: Estimate, rows: int) -> str:
    digits = words.decimals(estimate)
    low, high = words.hundredths(estimate.low, digits), words.hundredths(estimate.high, digits)
    true = f"between {low} and {high} of 100"
    if scores.metric == "macro_f1":
        true = f"between {estimate.low:.{digits + 2}f} and {estimate.high:.{digits + 2}f}"
    elif estimate.value == 1:
        true = f"at {low} of 100 or above"
    new = "items from groups it has never met" if "group" in scores.protocol else "items like these"
    why = f": {words.plural(rows, 'row')} cannot say it more exactly" if estimate.high - estimate.low > _WIDE else ""
    basis = "Each row was answered by a model that had not seen it."
    if scores.test is not None:
        basis = f"Measured once, on the {words.plural(rows, 'row')} that the source marks as test."
    return (
        f"For {new}, the true figure probably lies {true}{why}. {basis} "
        f"Intervals made this way should hold the true figure {_how_often(scores.level)}; tried out on real data with "
        "rows enough to tell, they held it 92 to 97 times out of 100."
    )


def _how_often(level: float) -> str:
    if abs(level - 0.95) < 1e-9:
        return "19 times out of 20"
    return f"{words.percent(level)} of the time"


def _against_one_answer(scores: Scores, estimate: Estimate, share: float, frequent: str) -> tuple[str, bool]:
    always = f"always answering “{words.shortened(frequent, 40)}”"
    if scores.chosen == MAJORITY:
        return f"Nothing that was tried is better than {always}: the rows do not show the model what to look at.", False
    if estimate.low > share:
        return f"Clearly better than {always}, which scores {words.hundredths(share)} of 100.", True
    return (
        f"Not shown to be better than {always}, which scores {words.hundredths(share)} of 100: "
        "more rows or clearer labels are needed."
    ), False


def _one_answer(scores: Scores) -> tuple[str, float]:
    """The most frequent class, and the score of giving it to every row."""
    frequent = max(ClassDetails.from_dict(scores.details).classes, key=lambda score: score.rows)
    return frequent.name, next(arm.estimate.value for arm in scores.arms if arm.name == MAJORITY)


def _ties(scores: Scores) -> str:
    tied = [arm.name for arm in scores.arms if arm.verdict == "tie"]
    if not tied:
        return ""
    # Many names would be all that is seen on the first screen; the table below has them.
    others = listed(tied) if len(tied) <= _FEW_TIES else f"{len(tied)} of the {len(scores.arms) - 1} other arms"
    rows = words.plural(scores.n, "row")
    return f"A tie: {rows} cannot tell {scores.chosen} from {others}; any of them may be the best."


def _flattered(scores: Scores) -> str:
    own = next((arm.estimate for arm in scores.arms if arm.name == scores.chosen), scores.estimate)
    if words.value(own) == words.value(scores.estimate):
        if own.high >= scores.estimate.high or scores.test is not None:
            return ""
        return (
            f"On top the interval of {scores.chosen} reaches up to {words.percent(scores.estimate.high)}: the model "
            "that you get learned from all rows, the arms of this table without those that they were scored on."
        )
    return (
        f"The whole procedure, with the choice made anew inside every fold, scores {words.value(scores.estimate)} "
        f"({words.span(scores.estimate)}). That is the fairer figure: the {words.value(own)} of {scores.chosen} "
        "helped to choose it."
    )


def _second(scores: Scores) -> str:
    if scores.test is None:
        return ""
    told = f"Cross-validation on the {words.plural(scores.n, 'training row')} says {words.value(scores.estimate)}"
    apart = scores.test.high < scores.estimate.low or scores.estimate.high < scores.test.low
    odd = " The two do not agree: test and training rows seem to differ." if apart else ""
    return f"{told} ({words.span(scores.estimate)}).{odd}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
