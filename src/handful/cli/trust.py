"""The commands that say whether to trust a model: what an answer hangs on, and whether it still keeps its promise."""

from __future__ import annotations

import sys
from pathlib import Path

from handful.cli.given import check_model, check_source, typed
from handful.cli.printing import put, put_json, put_line
from handful.cli.weights import Flag
from handful.data.cells import shown
from handful.errors import OptionError
from handful.progress import Bars
from handful.run_folder import is_detector, is_finder, is_segmenter, record_of

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
    check_model(run, "explain", item)
    if is_detector(run):
        _explain_alarm(run, item, label, json)
        return
    if is_segmenter(run) or is_finder(run):
        raise OptionError(
            f"explain is for models whose answer hangs on something that can be left out, got a model of "
            f"{record_of(run)['task']}, which tells all that it sees. Look at it: "
            f"{typed('predict', run, item, '--maps', 'FOLDER')}"
        )
    with Bars() as bars:
        bars.now("start")

        from handful.explanation import explain as explained
        from handful.export.bundle import Bundle
        from handful.run import saved_inputs

        model = Bundle.load(run)
        if model.warning:
            _say(model.warning)
        found = explained(model, item, label)
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
        source: new rows, with labels or without: what `handful predict` takes; for a model of masks or boxes, pictures
            that have these.
        label: the column that holds the labels; by default the one used in training, or one that is
            called like a label; '' for none.
        input: the column that holds the text or the file name; by default the one used in training.
        seed: fixes how rows are dealt anew in the test for drift.
        json: print the verdict as JSON on standard output, everything else on standard error.
    """
    check_model(run, "check", source)
    check_source(source, "new rows")

    from handful.data.sources import that_exists

    that_exists(source)  # said before the seconds that this takes
    if is_detector(run):
        _check_alarms(run, source, label, input, json)
        return
    with Bars() as bars:
        bars.now("start")

        from handful.monitoring.check import check as compared

        checkup = compared(run, source, label=label, input=input, seed=seed, tell=_say)
    if json:
        put_json(checkup.as_dict())
    put_line(checkup.sentence, sys.stderr if json else sys.stdout)
    if checkup.furthest and checkup.verdict in _DIFFERENT and not json:
        put(f"rows that differ most: {checkup.called}")
    if checkup.needs_attention:
        sys.stdout.flush()
        sys.exit(ATTENTION)


def _explain_alarm(run: str, item: str, label: str | None, json: bool) -> None:
    """Say why a detector calls an item what it calls it."""
    if label is not None:
        raise OptionError("--label chooses a class, got a model of defects, which has a score. Leave it out.")
    with Bars() as bars:
        bars.now("start")

        from handful.detection_reasons import reasons
        from handful.export.detector import Detector

        model = Detector.load(run)
        if model.warning:
            _say(model.warning)
        found = reasons(model, item)
    if json:
        put_json(found.as_dict())
    else:
        put("\n".join(map(shown, found.lines())))


def _check_alarms(run: str, source: str, label: str | None, column: str | None, json: bool) -> None:
    """Compare the alarms that new items raise with what a detector promised."""
    if label is not None:
        raise OptionError(
            "--label names a column of classes, got a model of defects: put items into folders such as good and bad, "
            "and leave it out."
        )
    with Bars() as bars:
        bars.now("start")

        from handful.export.detector import Detector
        from handful.monitoring.alarms import check_alarms

        checked = check_alarms(Detector.load(run), source, column, _say)
    if json:
        put_json(checked.as_dict())
    put_line(checked.sentence, sys.stderr if json else sys.stdout)
    if checked.needs_attention:
        sys.stdout.flush()
        sys.exit(ATTENTION)


def _say(note: str) -> None:
    put_line(note, sys.stderr)
