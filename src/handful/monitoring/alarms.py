"""The check of a detector in use: how many new items raise an alarm, and, where folders say which are bad, how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.data.cells import shown
from handful.data.normal import is_normal_name
from handful.detection import detections
from handful.evaluation.intervals import Estimate, interval, wilson
from handful.evaluation.metrics import hundredths, share
from handful.export.detector import Detector
from handful.monitoring.known_rows import unknown_rows


@dataclass(frozen=True)
class AlarmCheck:
    """What new items say about a detector."""

    rows: int
    """How many new items could be read."""
    unreadable: int
    """How many could not."""
    alarms: Estimate
    """The share of them that raises an alarm."""
    promised: Estimate
    """The share of good items that does so, as it was promised."""
    false_alarms: Estimate | None = None
    """The share of new good items that does so; None where nothing says which are good."""
    found: Estimate | None = None
    """The share of new bad items that does so."""
    auroc: Estimate | None = None
    """How often a bad item scores above a good one."""

    @property
    def verdict(self) -> str:
        """``as promised``, ``more alarms``, or ``unsure`` where what is known allows both."""
        seen = self.alarms if self.false_alarms is None else self.false_alarms
        if seen.low > self.promised.high:
            return "more alarms"
        return "as promised" if seen.value <= self.promised.high else "unsure"

    @property
    def needs_attention(self) -> bool:
        """Whether it raises more alarms than was promised, beyond doubt."""
        return self.verdict == "more alarms"

    @property
    def sentence(self) -> str:
        """The result in words."""
        parts = [f"{_of(self.alarms)} of {self.rows} items raise an alarm"]
        if self.false_alarms is not None:
            parts.append(f"of the good ones {_of(self.false_alarms)}")
        if self.found is not None:
            parts.append(f"of the bad ones {_of(self.found)}")
        if self.auroc is not None:
            parts.append(f"a bad one scores above a good one {_of(self.auroc)} of the time")
        promised = (
            f"promised were {hundredths(self.promised.value)} of 100 good ones (up to {hundredths(self.promised.high)})"
        )
        return f"{', '.join(parts)}; {promised}: {_MEANS[self.verdict, self.false_alarms is not None]}"

    def as_dict(self) -> dict[str, Any]:
        """The check as plain values."""
        return {"verdict": self.verdict, "sentence": self.sentence, **asdict(self)}


_MEANS = {
    ("as promised", True): "as promised.",
    ("as promised", False): "no more than good items alone would raise.",
    ("unsure", True): "that may be chance; check more good ones.",
    ("unsure", False): "that may be chance, or there are a few bad ones among them.",
    ("more alarms", True): (
        "more than was promised. What good items look like has changed (camera, light, place): photograph good ones "
        "anew, and tune again."
    ),
    ("more alarms", False): (
        "more than good items alone would raise. There are bad ones among them, or what good ones look like has "
        "changed: look at some, and put them into folders good and bad, to tell which."
    ),
}


def check_alarms(
    model: Detector, source: str | Path, input: str | None = None, tell: Callable[[str], None] = lambda note: None,  # noqa: A002
) -> AlarmCheck:  # fmt: skip
    """Compare the alarms that new items raise with what was promised.

    Args:
        model: the detector.
        source: what ``predict`` takes; a folder with sub-folders such as good and bad says which are bad.
        input: the column that holds the items.
        tell: told of items that cannot be read, and of those that it learned from, which are left out.

    Raises:
        DataError: the source cannot be read, or none of its items, or it learned from all of them.
        OptionError: ``input`` is named and is no column of the source.
    """
    scores: list[float] = []
    names: list[str] = []
    items: list[Any] = []
    unreadable = 0
    for chunk in detections(model, Path(source), input):
        for i in range(len(chunk.names)):
            if i in chunk.failed:
                unreadable += 1
                tell(f"not looked at: {chunk.source.told(i)}: {chunk.failed[i]}")
                continue
            scores.append(float(chunk.outputs[i, 0]))
            names.append(chunk.names[i])
            items.append(chunk.source.items[i])
    new = unknown_rows(model.learned_from(items), shown(str(source)), "items", tell).tolist()
    values, names = np.array(scores)[new], [names[i] for i in new]
    alarms = model.promise.alarms(values)
    bad = bad_by_folder(Path(source), names, model.names[0])
    if bad is None:
        return AlarmCheck(len(values), unreadable, interval(share(alarms)), model.promise.false_alarms)
    return AlarmCheck(
        len(values), unreadable, interval(share(alarms)), model.promise.false_alarms,
        interval(share(alarms[~bad])) if (~bad).any() else None,
        interval(share(alarms[bad])) if bad.any() else None,
        area_under(values[~bad], values[bad]) if bad.any() and (~bad).any() else None,
    )  # fmt: skip


def bad_by_folder(root: Path, names: Sequence[str], normal: str) -> NDArray[np.bool_] | None:
    """Which items are bad, by the folders that they lie in; None where no folder is called as that of good ones.

    Args:
        root: the source.
        names: paths of the items.
        normal: what a good item is called by the model.
    """
    if not root.is_dir():
        return None
    folders = [Path(name).relative_to(root).parts[:-1] for name in names]
    good = np.array([any(part == normal or is_normal_name(part) for part in parts) for parts in folders], bool)
    return ~good if good.any() and all(folders) else None


def area_under(good: NDArray[np.float64], bad: NDArray[np.float64]) -> Estimate:
    """How often a bad item scores above a good one, ties counting half; the area under the ROC curve.

    Its interval is that of a share of as many items as the rarer kind has, which is wider than need be.
    """
    order = np.sort(good)
    below, up_to = np.searchsorted(order, bad, "left"), np.searchsorted(order, bad, "right")
    value = float((below + up_to).mean() / (2 * len(good)))
    return wilson(value, min(len(good), len(bad)))


def _of(estimate: Estimate) -> str:
    return f"{hundredths(estimate.value)}% ({hundredths(estimate.low)} to {hundredths(estimate.high)})"
