"""The commands that say whether to trust a model: what an answer hangs on, and whether it still keeps its promise."""

from __future__ import annotations

import sys
from pathlib import Path

from handful.cli.printing import put, put_json, put_line
from handful.cli.weights import Flag
from handful.data.cells import shown

ATTENTION = 3
"""The exit code of a check that failed."""
_DIFFERENT = ("retrain", "drifted", "unsure")


def explain(run: str, item: str, *, label: str | None = None, json: Flag = False) -> None:
    """Show which words, fields or seconds of an item its answer hangs on, and the training rows most like it.

    Args:
        run: the run folder that `handful tune` wrote, or its model folder.
        item: a text in quotation marks, or the name of a picture or sound.
        label: the class to explain; by default the most probable one.
        json: print everything as JSON.
    """
    from handful.explanation import explain as explained
    from handful.export.bundle import Bundle
    from handful.run import saved_inputs

    found = explained(Bundle.load(run), item, label)
    if json:
        put_json(found.as_dict())
    else:
        put("\n".join(map(shown, found.lines(saved_inputs(Path(run))))))


def check(
    run: str,
    source: str,
    *,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    seed: int = 0,
    json: Flag = False,
) -> None:
    """Compare new rows with a run: have they drifted, and is the score still what was promised? Exits with 3 if not.

    Args:
        run: the run folder that `handful tune` wrote.
        source: new rows, with labels or without: what `handful predict` takes.
        label: the column that holds the labels; by default the one used in training, or one that is
            called like a label; '' for none.
        input: the column that holds the text or the file name; by default the one used in training.
        seed: fixes how rows are dealt anew in the test for drift.
        json: print the verdict as JSON on standard output, everything else on standard error.
    """
    from handful.data.readers import that_exists

    that_exists(source)  # said before the seconds that this takes

    from handful.monitoring.check import check as compared

    checkup = compared(run, source, label=label, input=input, seed=seed, tell=_say)
    if json:
        put_json(checkup.as_dict())
    put_line(checkup.sentence, sys.stderr if json else sys.stdout)
    if checkup.furthest and checkup.verdict in _DIFFERENT and not json:
        put(f"rows that differ most: {', '.join(map(str, checkup.furthest[:10]))}")
    if checkup.needs_attention:
        sys.stdout.flush()
        sys.exit(ATTENTION)


def _say(note: str) -> None:
    put_line(note, sys.stderr)
