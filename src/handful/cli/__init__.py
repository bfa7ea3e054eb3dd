"""The command line: commands, flags, progress bars and exit codes."""

from __future__ import annotations

import errno
import gc
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import cyclopts
from cyclopts import App, Parameter

from handful.atomic import check_replaceable
from handful.cli.adapting import adapt
from handful.cli.ending import drop_output, heed_signals, leave_interrupted, memory_ran_out, ready_streams
from handful.cli.language import chat, serve
from handful.cli.names import with_names
from handful.cli.printing import log_to_terminal, put, put_json, put_line
from handful.cli.room import check_room
from handful.cli.trust import check, explain
from handful.cli.weights import Flag, models
from handful.data.cells import shown
from handful.errors import HandfulError, OptionError
from handful.plan import Plan
from handful.progress import Bars

if TYPE_CHECKING:
    from handful.inspection.findings import Finding

FAILED, USAGE = 1, 2

As = Annotated[str | None, Parameter(name="--as")]

app = App(
    name="handful",
    help="Fine-tune a pre-trained model from a handful of examples, and be told the truth about the result.",
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    suppress_keyboard_interrupt=False,  # main() says what an interruption leaves
)
app.command(models)
app.command(adapt)
app.command(chat)
app.command(serve)
app.command(explain)
app.command(check)


@app.command
@with_names
def tune(
    source: str,
    *,
    label: str | None = None,
    task: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    group: str | None = None,
    unlabelled: str | None = None,
    out: str | None = None,
    budget: str | None = None,
    seed: int | None = None,
    backbone: str | None = None,
    strategies: str | None = None,
    metric: str | None = None,
    anti_forgetting: str | None = None,
    as_: As = None,
    engine: str | None = None,
    trials: int | None = None,
    carry_items: Flag = False,
    resume: Flag = False,
    json: Flag = False,
) -> None:
    """Make the best model that labelled examples support, and say how good it is.

    Args:
        source: a folder with one sub-folder per class, a CSV, TSV or Parquet table, or JSON lines.
        label: the column that holds the label, or several columns of 0 and 1 joined by commas; guessed when the guess
            is safe.
        task: what the labels are: classification (one class each), multilabel (several labels), ordinal (ratings) or
            regression (numbers); guessed when the guess is safe, and said.
        input: the column that holds the text or the file name, or two columns of texts that belong together, joined by
            a comma; guessed when the guess is safe.
        group: the column that says which rows belong together (speaker, patient, document).
        unlabelled: a folder, table or text file with items like the labelled ones that have no labels: they are learned
            from too, where held-out rows say that it helps; rows whose label is empty are taken without being asked.
        out: the run folder to write; by default runs/ and the name of the source.
        budget: how long you are willing to wait, for example 30s; by default 1 min, of a language
            model 10 min; 0: the smallest search, and no weight moves.
        seed: one number that fixes every random choice; by default 0.
        backbone: a name from `handful models list`, a folder or a Hugging Face id; several joined by commas; by
            default auto: the data choose among the default ones.
        strategies: which arms to try, joined by commas. Frozen: {frozen}. Moving weights: {moving}. For rows with
            answers: {answering}; with a chosen and a rejected one: {preferring}. By default all frozen ones, and of the
            others those that are worth their time here.
        metric: what arms are compared by, the first one by default: {metrics}.
        anti_forgetting: what holds a language model back from forgetting: fade (half of what moved), l2sp (a pull to
            where weights began) or replay (its own answers to general prompts are mixed in); by default none, and where
            it forgets you are told.
        as_: language: learn to write the labels of a table with a small language model.
        engine: where heads are compared and folds trained: inline (default: here, one training after the other on all
            cores), processes (side by side, each on its share of the cores) or ray (on a cluster; needs handful[ray]).
        trials: how many further settings of the strategies that move weights to try within the budget, from a wide
            space (needs optuna); what is left of a budget of more than a minute goes into a few near the best one.
        carry_items: put a few short training items into the model, to test it with when it is loaded; whoever has the
            model can read them. Without this a few public items do.
        resume: go on from where an interrupted run of the same command stood.
        json: print scores.json on standard output, everything else on standard error.
    """
    given = dict(
        source=source, label=label, task=task, input=input, group=group, unlabelled=unlabelled, out=out, budget=budget,
        seed=seed, backbone=backbone, strategies=strategies, metric=metric, anti_forgetting=anti_forgetting,
        engine=engine, trials=trials,
        resume=resume or None, carry_items=carry_items or None,
    )  # fmt: skip
    plan = Plan.resolve(given, "command line")
    folder = _place(plan.out) if plan.out else Path("runs") / default_name(source)
    plan = replace(plan, out=str(folder))
    check_replaceable(folder, marker="scores.json")

    from handful.budget import Budget

    spent = Budget(plan.budget)
    with Bars() as bars:
        with spent.stage("read"):
            from handful.data.readers import load

            data = load(source, label=label, input=input, group=group, modality=as_, task=task)
        _say(data.notes)

        # What is wrong with the rows is said before the seconds that these take.
        with spent.stage("start"):
            from handful import api
            from handful.training.devices import spare_the_compiler

        spare_the_compiler()
        run = api.tune(data, plan=plan, budget=spent, progress=bars)
        run.save(folder)
    # Of classifiers the first says how many settings were compared, which the report tells too.
    _say(run.notes if data.modality == "language" else run.notes[1:])
    if json:
        put_json(run.scores.as_dict())
    show = sys.stderr if json else sys.stdout
    _show_findings(run.findings, show)
    put(f"\n{run.scores}\n\nreport: {folder / 'report.html'}", to=show)
    name = shlex.quote(str(folder))
    use = f"handful chat {name}" if data.modality == "language" else f"handful predict {name} NEW"
    reference = run.model.task.reference
    unshown = run.scores.beats(reference.name) is False
    put(
        f"not shown to be better than {reference.words}; to use it anyway: {use}" if unshown else f"use it: {use}",
        to=show,
    )


@app.command
def inspect(
    source: str,
    *,
    label: str | None = None,
    task: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    group: str | None = None,
    against: str | None = None,
    backbone: str = "auto",
    json: Flag = False,
) -> None:
    """Say what is wrong with labelled examples before anything is trained.

    Args:
        source: what `handful tune` takes.
        label: the column that holds the label; guessed when the guess is safe.
        task: what the labels are, as for `handful tune`.
        input: the column that holds the text or the file name, or two columns of texts that belong together, joined by
            a comma; guessed when the guess is safe.
        group: the column that says which rows belong together (speaker, patient, document).
        against: a folder, table or text file of new items: whether the examples look like them.
        backbone: which backbones look at the examples, as for `handful tune`; none: what needs no model is said.
        json: print findings.json on standard output, everything else on standard error.
    """
    from handful.data.readers import load

    with Bars() as bars:
        data = load(source, label=label, input=input, group=group, task=task)
        _say(data.notes)

        from handful import api
        from handful.inspection.summary import summary
        from handful.strategies.tuned.known import tried_unasked

        found = api.audited(data, against=against, backbone=backbone, progress=bars)
    if json:
        put_json([finding.record() for finding in found.findings])
    else:
        put("\n".join(summary(data, found, tried_unasked(data.task, data.modality))))


@app.command
def predict(
    run: str,
    source: str,
    *,
    out: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    probabilities: Flag = False,
    reject: str | None = None,
    conformal: str | None = None,
    together: Flag = False,
) -> None:
    """Answer new items: one row per input, in input order: input, answer, confidence (of numbers: an interval).

    Args:
        run: the run folder that `handful tune` wrote, or its model folder.
        source: a folder, table or single file of new items; a .txt file holds one text per line.
        out: the CSV file to write; by default standard output.
        input: the column that holds the text or the file name; by default the one used in training.
        probabilities: add a column per class.
        reject: refuse inputs that are stranger than all but this share of the training rows, for example 5%: their
            label is empty, and a column says so.
        conformal: add a column with all that an answer may be (classes, or an interval of numbers), so that the right
            one is among it this often, for example 90%.
        together: take into account how frequent the classes are among the inputs themselves, which are read twice; good
            where the training rows were picked class by class and the inputs come as they come.
    """
    from handful.data.readers import that_exists

    that_exists(source)  # said before the seconds that these take

    from handful.export.bundle import Bundle
    from handful.export.record import is_language
    from handful.prediction import Doubts, Written, answers, put_together, share_of, write_answers, write_texts

    doubts = Doubts(
        None if reject is None else share_of(reject, "--reject"),
        None if conformal is None else share_of(conformal, "--conformal"),
    )

    file = _place(out) if out else None
    if file and file.exists() and Path(source).exists() and file.samefile(source):
        raise OptionError(f"--out must be another file than {source}, whose rows would be lost. Choose another name.")
    speaks, done = is_language(run), 0
    if speaks and (probabilities or reject or conformal or together):
        raise OptionError(
            "--probabilities, --reject, --conformal and --together are for classifiers, got a language model. "
            "Leave them."
        )
    with Bars() as bars:

        def tick(more: int) -> None:
            nonlocal done
            done += more
            bars("answering", done, 0)

        if speaks:
            written = Written(*write_texts(run, source, file, input, tick, lambda line: _say([line])))
        else:
            model = Bundle.load(run)
            if probabilities and not model.labels:
                raise OptionError(
                    "--probabilities is for classes, labels and ratings, got a model of numbers. Leave it."
                )
            if together:
                model, asked = put_together(model, source, input, tick)
                _say([f"answered together: {asked} inputs say how frequent the classes are"])
            _say([model.warning] * bool(model.warning))
            found = answers(model, source, input, tick, doubts)
            written = write_answers(found, model.columns[0], file, probabilities, lambda line: _say([line]))
    _say([written.warning] if written.warning else [])
    if file:
        put(f"{written.sentence}: {file}")
    elif written.refused:
        _say([f"{written.sentence}."])


@app.command
def export(run: str, *, out: str, merge: Flag = False) -> None:
    """Write a copy of a model to use elsewhere.

    Args:
        run: the run folder that `handful tune` wrote.
        out: the folder to write.
        merge: put the weights of its backbone in as well, so that the folder is all that is needed.
    """
    from handful.export.bundle import Bundle
    from handful.export.record import is_language

    folder = _place(out)
    if is_language(run):
        if not merge:
            raise OptionError("a language model is exported whole, for transformers: add --merge.")
        from handful.export.language_model import LanguageModel

        check_replaceable(folder, marker="config.json")
        LanguageModel.load(run).merged(folder)
        put(f"written: {folder}, a folder that transformers loads (AutoModelForCausalLM.from_pretrained)")
        return
    check_replaceable(folder, marker="bundle.json")
    model = Bundle.load(run)
    card = model.place / "README.md" if model.place is not None else None
    model.save(folder, card.read_text("utf-8") if card is not None and card.is_file() else "", merge=merge)
    put(f"use it: handful predict {shlex.quote(str(folder))} NEW")


@app.command
def report(run: str) -> None:
    """Print the scores of a run again, and where its report is.

    Args:
        run: the run folder that `handful tune` wrote.
    """
    from handful.evaluation.scores import Scores

    put(str(Scores.read(Path(run) / "scores.json")))
    put(f"\nreport: {Path(run) / 'report.html'}")


def _place(out: str) -> Path:
    """Where a result goes; bash leaves the ~ of ``--out=~/runs`` for us to read."""
    return Path(out).expanduser() if out.startswith("~/") else Path(out)


def default_name(source: str) -> str:
    """The name of the run folder for a source: its own name without ending."""
    path = Path(source).absolute()
    return (path.name if path.is_dir() else path.stem) or "run"


def main() -> NoReturn:
    """Run the command line and exit.

    0: done; 1: a HandfulError; 2: wrong usage; 3: look at it (check); 130: interrupted; 143: terminated.
    """
    # Torch's waiting threads spin for some microseconds and then sleep. Where they never spin, trainings on an idle
    # machine take a quarter longer; where they spin on, those on a busy one take twice as long.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Imports make a million objects that stay: looking through them for garbage again and again takes half a second.
    gc.set_threshold(100_000, 50, 50)
    ready_streams()
    log_to_terminal()
    try:
        heed_signals()
        check_room(sys.argv[1:])
        # Without this the library would exit before what is left of the output is written.
        app(sys.argv[1:], exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except HandfulError as error:
        _leave("\n".join(shown(str(said)) for said in error.args), FAILED)
    except cyclopts.CycloptsError as error:
        _leave(f"{shown(str(error))}\nTry `handful --help`.", USAGE)
    except KeyboardInterrupt as interruption:
        leave_interrupted(interruption)
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        drop_output()
        sys.exit(0)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            drop_output()
            _leave("the disk is full. Free some space, or send the output to another place.", FAILED)
        if not memory_ran_out(error):
            raise
        _leave(
            "memory ran out: the machine, or the limit set for this process (ulimit -v), has not enough for this. "
            "Close other programs, raise the limit, or choose a smaller backbone.",
            FAILED,
        )
    sys.exit(0)


def _leave(message: str, code: int) -> NoReturn:
    put(f"handful: {message}", sys.stderr)
    sys.exit(code)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        put_line(line, sys.stderr)


def _show_findings(findings: Iterable[Finding], stream: TextIO) -> None:
    for finding in findings:
        put_line(f"! {finding.message}. {finding.advice}", stream)
