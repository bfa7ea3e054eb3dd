"""The words of who sorts good parts from bad ones: what slips through and what is thrown away, of two classes."""

from __future__ import annotations

from handful.data.normal import is_normal_name
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import hundredths
from handful.evaluation.scores import Scores
from handful.report import words
from handful.tasks.classification.cut import Cut
from handful.tasks.classification.details import ClassDetails
from handful.tasks.name_scores import NameScore

# More than so many of 100 that slip through, or are thrown away, is not good enough to sort by.
_ENOUGH = 0.2


def sorted_parts(scores: Scores) -> tuple[NameScore, NameScore] | None:
    """The good class and the bad one of a run, where it tells two classes apart of which one is called good.

    Args:
        scores: what the run measured.
    """
    if "classes" not in scores.details:
        return None
    classes = ClassDetails.from_dict(scores.details).classes
    good = [one for one in classes if is_normal_name(one.name)]
    if len(classes) != 2 or len(good) != 1:
        return None
    bad = next(one for one in classes if one is not good[0])
    return good[0], bad


def told_sorting(scores: Scores) -> list[str]:
    """What slips through, what is thrown away, and what to try where that is too much; empty of all other runs."""
    if "cut" in scores.details:
        return _told_cut(scores)
    both = sorted_parts(scores)
    if both is None or any(one.recall is None for one in both):
        return []
    good, bad = both
    thrown, slips = (_missed(one.recall) for one in both if one.recall is not None)
    said = [
        f"Of 100 “{words.printable(bad.name)}” about {hundredths(slips.value)} slip through (between "
        f"{hundredths(slips.low)} and {hundredths(slips.high)}, {words.plural(bad.rows, 'row')}); of 100 "
        f"“{words.printable(good.name)}” about {hundredths(thrown.value)} are thrown away (between "
        f"{hundredths(thrown.low)} and {hundredths(thrown.high)}, {words.plural(good.rows, 'row')})."
    ]
    if max(slips.value, thrown.value) > _ENOUGH:
        kind = bad if slips.high - slips.low >= thrown.high - thrown.low else good
        said.append(
            "Not good enough yet to sort by: take pictures closer to the part, learn from the good ones alone with "
            f"--task defects, and collect “{words.printable(kind.name)}” next, of which least is known."
        )
    return said


def _told_cut(scores: Scores) -> list[str]:
    """The same where somebody said how much must be found, whatever the two classes are called."""
    cut, names = (
        Cut.of_entry(scores.details["cut"]),
        [words.printable(name) for name in ClassDetails.from_dict(scores.details).labels],
    )
    slips, thrown = cut.promise.found, cut.promise.false_alarms
    said = [cut.told(names), "The score above is that of the more probable class, without this threshold."]
    if max(1 - slips.value if slips else 0, thrown.value) > _ENOUGH:
        said.append(
            f"Not good enough yet to sort by: to find so much of “{names[cut.label]}” takes too much of "
            f"“{names[1 - cut.label]}” with it. Collect more of both, the doubtful ones first, or ask for less."
        )
    return said


def _missed(recall: Estimate) -> Estimate:
    """The share of a class that is taken for the other one."""
    return Estimate(1 - recall.value, 1 - recall.high, 1 - recall.low)
