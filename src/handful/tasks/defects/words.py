"""What a promise of a detector means, in sentences."""

from __future__ import annotations

import math

from handful.evaluation.metrics import hundredths
from handful.tasks.defects.promise import Promise, needed_for

PICTURES = {"image": "pictures", "sound": "sounds", "text": "texts"}
"""What items are called where good and bad ones are told apart, by modality."""

# A claim that is made for more than so many of 100 is too much to be of use: false alarms, and bad items that slip.
_ENOUGH_ALARMS, _ENOUGH_SLIPS = 0.2, 0.2


def told_alarms(promise: Promise, things: str) -> str:
    """How many normal items raise a false alarm.

    Args:
        promise: what is kept.
        things: what many items are called.
    """
    rate, n = promise.false_alarms, promise.normal
    said = (
        f"Of 100 good {things}, about {hundredths(rate.value)} will be thrown away as a false alarm (between "
        f"{hundredths(rate.low)} and {hundredths(rate.high)}: {n} good {things} cannot say it more exactly)."
    )
    if promise.asked.must_find is None and not promise.kept:
        asked, least = promise.asked.false_alarms, hundredths(promise.least, 1)
        said += (
            f" {n} of them can promise {least}% on the mean and nothing lower; {_asked(asked)} takes "
            f"{needed_for(asked)}."
        )
    return said


def told_found(promise: Promise, things: str) -> str:
    """How many bad items are found, and how many slip through; the arguments are those of ``told_alarms``."""
    if promise.found is None:
        return (
            f"How many bad {things} slip through is not known: there were none to try it on. Put a few into a folder "
            "of their own, such as bad."
        )
    found, missed = promise.found, promise.bad - promise.caught
    slips = [hundredths(1 - found.high), hundredths(1 - found.low)]
    said = (
        f"{missed} of the {promise.bad} bad {things} slip through" if missed > 1
        else f"1 of the {promise.bad} bad {things} slips through" if missed
        else f"None of the {promise.bad} bad {things} slips through"
    )  # fmt: skip
    said += f" (of 100 like them between {slips[0]} and {slips[1]})."
    asked = promise.asked.must_find
    if asked is not None and not promise.kept:
        takes = math.ceil(asked / (1 - asked) - 1e-9)
        said += f" That {_asked(asked)} are found cannot be promised by {promise.bad}: it takes {takes} bad {things}."
    return said


def not_enough(promise: Promise) -> bool:
    """Whether too many good items are thrown away, or too many bad ones slip through, for what the items can show."""
    slips = promise.found is not None and 1 - promise.found.value > _ENOUGH_SLIPS
    return promise.false_alarms.value > _ENOUGH_ALARMS or slips


def advice(promise: Promise, modality: str) -> list[str]:
    """What to try next, most useful first.

    Args:
        promise: what is kept.
        modality: what the items are.
    """
    things = PICTURES[modality]
    out = []
    if not_enough(promise):
        out.append("This is not good enough yet to sort by.")
        if modality == "image":
            out.append(
                "Photograph closer, or crop to the part: a mark is found when it covers a few patches of 16 pixels. "
                "Keep light, distance and background the same."
            )
    if promise.asked.must_find is None and not promise.kept:
        more = needed_for(promise.asked.false_alarms) - promise.normal
        out.append(f"{more} more good {things} make {_asked(promise.asked.false_alarms)} false alarms possible.")
    if promise.found is None:
        out.append(f"A handful of bad {things} shows what it finds; they are never learned from.")
    elif promise.bad < 20:
        out.append(f"{promise.bad} bad {things} say little of how many slip through; about 20 say enough.")
    return out


def _asked(share: float) -> str:
    """A share as somebody asks for it: ``5%``, ``0.5%``."""
    return f"{100 * share:g}%"
