"""The summary: what an inspection found, as plain lines for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from handful.data.cells import shown
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL
from handful.data.languages import UNKNOWN, is_material
from handful.data.normal import normal_name
from handful.data.targets import CLASSES, DEFECTS, NOUNS
from handful.inspection.advice import advice
from handful.inspection.audit import Audit
from handful.inspection.profile import counted, profile

# Classes that are listed; the rest are counted.
_LISTED = 30

# What the rows of a modality are called where its name alone would read badly.
_ROWS = {IMAGE_TEXT: PLURAL[IMAGE_TEXT]}


def summary(dataset: Dataset, found: Audit, tried: Collection[str] = ()) -> list[str]:
    """Counts, what the rows are like, how well backbones suit them, what is wrong, and which strategies make sense.

    Args:
        dataset: the rows that were inspected.
        found: what was found.
        tried: the strategies that move weights which ``tune`` tries of such rows unasked.

    Returns:
        Lines without control characters: a label must not move the cursor of a terminal.
    """
    facts = profile(dataset)
    rows = facts.get("kind", f"rows of {_ROWS.get(facts['modality'], facts['modality'])}")
    of_classes = f" in {len(facts['classes'])} {NOUNS.get(dataset.task, NOUNS[CLASSES])[1]}" if facts["classes"] else ""
    lines = [f"{facts['rows']} {rows}" + of_classes]
    counts = list(facts["counts"].items())
    lines += [f"{count:>8}  {name}" for name, count in counts[:_LISTED]]
    if len(counts) > _LISTED:
        lines.append(f"{'':>8}  and {len(counts) - _LISTED} more")
    lines += _facts(facts)
    lines += [match.words for match in found.matches]
    lines += [f"! {finding.message}. {finding.advice}" for finding in found.findings]
    if dataset.one_class_each and "kind" not in facts:
        least = counted(min(facts["counts"].values()), "row", "rows")
        lines.append(f"what makes sense with {least} in the smallest class:")
        said = sorted(advice(dataset, tried), key=lambda rule: not rule.sensible)
        lines += [f"  {'yes' if a.sensible else 'no ':<4} {', '.join(a.strategies)}: {a.why}" for a in said]
    if dataset.task == DEFECTS:
        lines += _of_defects(dataset)
    return [shown(line) for line in lines]


def _of_defects(dataset: Dataset) -> list[str]:
    """What so many good and bad items can show."""
    counts = (dataset.part("train") if dataset.split else dataset).counts
    normal = normal_name(dataset.classes, dataset.source)
    good, bad = counts.get(normal, 0), sum(counts.values()) - counts.get(normal, 0)
    lines = [
        f"{good} good items can promise false alarms of {100 / (good + 1):.2g} % and no less: 19 promise 5 %, 99 "
        "promise 1 %; copies and items of one group count once"
    ]
    if not bad:
        return [*lines, "no bad ones: what slips through cannot be told; none of them is needed to learn"]
    more = "ten or more of each kind can be learned as classes (--task classification)"
    return [*lines, f"{bad} bad ones say what slips through, and are not learned from; {more}"]


def _mixed(languages: Mapping[str, int]) -> bool:
    """Whether a material share of the texts is in another language than the most frequent one."""
    counts = sorted(count for name, count in languages.items() if name != UNKNOWN)
    return is_material(sum(counts[:-1]), sum(languages.values()))


def _facts(facts: Mapping[str, Any]) -> list[str]:
    lines = []
    if "numbers" in facts:
        low, _, middle, _, high = facts["numbers"]
        lines.append(f"numbers: {low:g} to {high:g}, half of them up to {middle:g}")
    for name, what in (("characters", "characters per text"), ("pixels", "pixels of the shorter side"),
                       ("seconds", "seconds per sound"), ("turns", "turns per prompt"),
                       ("prompt words", "words per prompt"), ("answer words", "words per answer"),
                       ("chosen words", "words per chosen answer"),
                       ("rejected words", "words per rejected answer")):  # fmt: skip
        if name in facts:
            low, _, middle, _, high = facts[name]
            lines.append(f"{what}: {low} to {high}, half of them up to {middle}")
    if "width" in facts:
        lines.append(f"numbers per vector: {facts['width']:,}")
    if "duration" in facts:
        lines.append(f"in all {facts['duration']:g} seconds")
    for name in ("languages", "formats", "rates", "split"):
        if facts.get(name):
            title = "languages, mixed" if name == "languages" and _mixed(facts[name]) else name
            lines.append(f"{title}: {', '.join(f'{value} {count}' for value, count in facts[name].items())}")
    if facts["groups"]:
        lines.append(f"groups: {facts['groups']}")
    if "looked at" in facts:
        lines.append(f"(files and languages: of {facts['looked at']} rows)")
    return lines
