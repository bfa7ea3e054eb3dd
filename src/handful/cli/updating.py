"""The commands that keep a run up to date: update it with new rows, list, compare and bring back its versions."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.atomic import check_replaceable
from handful.cli.given import check_backbone, check_scored, check_source, place
from handful.cli.printing import put, put_json, put_line, put_notes
from handful.cli.result import Details, tell_run
from handful.cli.weights import Flag
from handful.data.cells import shown
from handful.data.sources import that_exists
from handful.errors import OptionError
from handful.progress import Bars

if TYPE_CHECKING:
    from handful.versions import Version


def update(
    run: str,
    new: str,
    *more: str,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    group: str | None = None,
    out: str | None = None,
    budget: str | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: str | None = None,
    metric: str | None = None,
    anyway: Flag = False,
    without_old_rows: Flag = False,
    details: Details = False,
    json: Flag = False,
) -> None:
    """Learn from new rows as well as the old ones, say whether that helped, and keep the earlier version.

    Args:
        run: the run folder that `handful tune` wrote.
        new: labelled rows, as `handful tune` takes them; rows whose label is empty are learned from as unlabelled ones.
        more: further sources of new rows.
        label: the column of the labels in the new rows; by default the one of the old rows, or guessed.
        input: the column of the texts or file names in the new rows; by default the one of the old rows, or guessed.
        group: the column that says which new rows belong together.
        out: another folder for the new run; by default it takes the place of the old one, which is kept as a version.
        budget: how long you are willing to wait; by default as for the old run, and so are all options below.
        seed: one number that fixes every random choice.
        backbone: which backbones look at the rows.
        strategies: which arms to try, joined by commas.
        metric: what arms are compared by.
        anyway: use the new model even where new rows show it to be worse.
        without_old_rows: learn on although the old rows are gone: what the model keeps of up to 500 of them, and of up
            to 5,000 from then on, stands for them; for models whose weights did not move, and none moves.
        details: say what was tried as well: every arm with its score, and why it was taken or not.
        json: print the comparison and the scores on standard output, everything else on standard error.
    """
    check_scored(run, "update")
    for source in (new, *more):
        check_source(source, "new rows")
        that_exists(source)
    target = place(out) if out else None
    if target is not None:
        check_replaceable(target, marker="scores.json")
    if backbone is not None:
        check_backbone(backbone)
    options: dict[str, Any] = dict(
        label=label, input=input, group=group, budget=budget, seed=seed, backbone=backbone, strategies=strategies,
        metric=metric,
    )  # fmt: skip
    with Bars() as bars:
        bars.now("start")

        from handful.training.devices import spare_the_compiler
        from handful.updating.update import update as updated

        spare_the_compiler()
        sources = [new, *more] if more else new
        result = updated(
            run, sources, anyway=anyway, without_old_rows=without_old_rows, out=target, progress=bars, **options
        )
    put_notes([*result.notes, *result.run.data.notes])
    to = sys.stderr if json else sys.stdout
    if json:
        put_json(result.as_dict())
    tell_run(result.run, result.folder, details, to)
    put(to=to)
    for line in result.lines:
        put_line(line, to)
    if result.taken:
        put(f"versions: handful versions {shlex.quote(run)}", to=to)


def versions(
    run: str, *, compare: str | None = None, roll_back: int | None = None, forgetting: Flag = False, json: Flag = False
) -> None:
    """List the versions of a run, compare two of them, or bring an earlier one back.

    Args:
        run: the run folder that `handful tune` wrote.
        compare: two versions, as 2,3: which of them answers better the rows that both held out.
        roll_back: the number of a version that is to be used again; the one in use now is kept as a version too.
        forgetting: how the rows that came in with each version are answered now, against when they came.
        json: print everything as JSON on standard output.
    """
    check_scored(run, "versions")
    if (compare is not None) + (roll_back is not None) + forgetting > 1:
        raise OptionError(
            "--compare, --roll-back and --forgetting must be given one at a time, got several. Leave all but one out."
        )

    from handful.versions import roll_back as rolled_back
    from handful.versions import versions as listed

    folder = Path(run)
    if compare is not None:
        from handful.versions.comparison import compare as compared

        comparison = compared(folder, *_two(compare))
        if json:
            put_json(comparison.as_dict())
        else:
            put("\n".join(_table([comparison.first, comparison.second])))
            put_line(comparison.sentence)
        return
    if forgetting:
        from handful.versions.forgetting import forgetting as forgotten

        steps = forgotten(folder)
        if json:
            put_json([step.as_dict() for step in steps])
        else:
            for step in steps:
                put_line(step.sentence)
        return
    if roll_back is not None:
        in_use = rolled_back(folder, roll_back)
        put_notes([f"version {roll_back} is in use again, as version {in_use.number}; nothing was lost"])
    every = listed(folder)
    if json:
        put_json([one.as_dict() for one in every])
    else:
        put("\n".join(_table(every)))


def _two(text: str) -> tuple[int, int]:
    """Two numbers joined by a comma."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise OptionError(f"--compare must be the numbers of two versions, such as 1,2, got {text!r}. Correct it.")
    return int(parts[0]), int(parts[1])


def _table(every: list[Version]) -> list[str]:
    """The versions as an aligned table."""
    rows = [["version", "made", "by", "rows", "chosen", "score", "size"], *map(_cells, every)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join(cell.ljust(wide[i]) for i, cell in enumerate(row)).rstrip() for row in rows]


def _cells(one: Version) -> list[str]:
    number = f"{one.number}{' in use' if one.current else ''}"
    size = f"{one.size / 1e6:.1f} MB"
    made = one.made[:16].replace("T", " ")
    if one.estimate is None or one.scale is None:
        return [number, shown(made), shown(one.reason), "", "", shown(one.damage), size]
    ends = one.scale.between(one.estimate.low, one.estimate.high, "to")
    score = f"{one.scale.title} {one.estimate.told(one.scale)} ({ends})"
    return [number, shown(made), shown(one.reason), f"{one.rows:,}", shown(str(one.chosen)), shown(score), size]
