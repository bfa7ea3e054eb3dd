"""The commands that read labelled examples: tune and inspect."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handful.atomic import check_replaceable
from handful.cli.ending import naming_resume
from handful.cli.given import check_backbone, check_source, place
from handful.cli.names import with_names
from handful.cli.printing import put, put_json, put_notes
from handful.cli.result import Details, tell_run
from handful.cli.weights import Flag
from handful.data.sources import that_exists
from handful.plan import Plan
from handful.progress import Bars

As = Annotated[str | None, Parameter(name="--as")]
With = Annotated[str | None, Parameter(name="--with")]


@with_names
def tune(
    source: str,
    *more: str,
    label: str | None = None,
    task: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    features: str | None = None,
    group: str | None = None,
    unlabelled: str | None = None,
    with_: With = None,
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
    false_alarms: str | None = None,
    must_find: str | None = None,
    carry_items: Flag = False,
    resume: Flag = False,
    details: Details = False,
    json: Flag = False,
) -> None:
    """Make the best model that labelled examples support, and say how good it is.

    Args:
        source: a folder with one sub-folder per class or with a metadata.csv, such a folder as a zip file, a CSV, TSV,
            Excel or Parquet table, or JSON lines.
        more: further sources of the same kind, whose rows are put together with those of the first by their content.
        label: the column that holds the label; guessed when the guess is safe. Several columns joined by commas are the
            labels of one task where they hold 0 and 1, else each is learned for itself, and one model answers all.
        task: what the labels are: classification (one class each), multilabel (several labels), ordinal (ratings),
            regression (numbers) or defects (normal items, and a few bad ones if there are any); guessed when the guess
            is safe, and said.
        input: the column that holds the text or the file name, or two columns that belong together, joined by a comma:
            two of texts, or one of pictures and one of texts; guessed when the guess is safe.
        features: a file of numbers (.csv, .tsv, .xlsx, .parquet, .npy or .npz) that another program made of the
            examples, one row each, joined with them by a column of IDs (--input) or by order; or columns: the numbers
            stand in the columns of the table itself.
        group: the column that says which rows belong together (speaker, patient, document).
        unlabelled: a folder, table or text file with items like the labelled ones that have no labels: they are learned
            from too, where held-out rows say that it helps; rows whose label is empty are taken without being asked.
        with_: another labelled set, of something related: reviews of another product, tickets of another desk. Weights
            move on it first, and what they became is taken where held-out rows gain.
        out: the run folder to write; by default runs/ and the name of the source.
        budget: how long you are willing to wait, for example 30s; by default 1 min, of a language
            model 10 min; 0: the smallest search, and no weight moves.
        seed: one number that fixes every random choice; by default 0.
        backbone: a name from `handful models list`, a folder or a Hugging Face id; several joined by commas; by
            default auto: the data choose among the default ones.
        strategies: which arms to try, joined by commas. Frozen: {frozen}. Moving weights: {moving}; for several
            targets at once: {shared}. For rows with answers: {answering}; with a chosen and a rejected one:
            {preferring}. By default all frozen ones, and of the others those that are worth their time here.
        metric: what arms are compared by, the first one by default: {metrics}.
        anti_forgetting: what holds a language model back from forgetting: fade (half of what moved), l2sp (a pull to
            where weights began) or replay (its own answers to general prompts are mixed in); by default none, and where
            it forgets you are told.
        as_: language: learn to write the labels of a table with a small language model.
        engine: where heads are compared and folds trained: inline (default: here, one training after the other on all
            cores), processes (side by side, each on its share of the cores) or ray (on a cluster; needs handful[ray]).
        trials: how many further settings of the strategies that move weights to try within the budget, from a wide
            space (needs optuna); what is left of a budget of more than a minute goes into a few near the best one.
        false_alarms: of normal items, the share that may raise a false alarm; by default 5%.
        must_find: the share of bad items, or of one of two classes, that must be found, for example 95% or bad=99%:
            chooses from where on an item is called so.
        carry_items: put a few short training items into the model, to test it with when it is loaded; whoever has the
            model can read them. Without this a few public items do.
        resume: go on from where an interrupted run of the same command stood.
        details: say what was tried as well: every arm with its score, and why it was taken or not.
        json: print scores.json on standard output, everything else on standard error.
    """
    sources = (source, *more)
    given = dict(
        source=source, sources=sources if more else None, label=label, task=task, input=input, features=features,
        group=group, unlabelled=unlabelled, related=with_, out=out, budget=budget, seed=seed, backbone=backbone,
        strategies=strategies, metric=metric, anti_forgetting=anti_forgetting, engine=engine, trials=trials,
        false_alarms=false_alarms, must_find=must_find, resume=resume or None,
        carry_items=carry_items or None,
    )  # fmt: skip
    plan = Plan.resolve(given, "command line")
    folder = place(plan.out) if plan.out else Path("runs") / default_name(source)
    plan = replace(plan, out=str(folder))
    several = plan.label is not None and "," in plan.label
    if not several:
        check_replaceable(folder, marker="scores.json")
    for one in sources:
        check_source(one, "labelled examples")
        that_exists(one)
    check_backbone(plan.backbone)

    from handful.budget import Budget

    if several and _learned_apart(sources, plan, folder, as_, json):
        return
    with Bars() as bars, naming_resume(folder):
        spent = Budget(plan.budget, tell=bars.now)
        with spent.stage("read"):
            from handful.data.columns import Wanted
            from handful.data.several import load_several
            from handful.engines import advice

            data = load_several(sources, Wanted(input, label, group, None, as_, task, features))
        put_notes(data.notes)
        if said := advice(plan.engine, len(data), plan.budget):
            put_notes([said])

        # What is wrong with the rows is said before the seconds that these take.
        with spent.stage("start"):
            from handful import api
            from handful.training.devices import spare_the_compiler
            from handful.versions import check_versions, number_of

            check_versions(folder)
            earlier = number_of(folder)

        spare_the_compiler()
        run = api.tune(data, plan=plan, budget=spent, progress=bars)
        bars.now("writing the report")
        run.save(folder)
    if earlier:
        put_notes([f"the run that was here is kept as version {earlier}: handful versions {shlex.quote(str(folder))}"])
    # What happened on the way is a detail; of classifiers the first says how many settings were compared.
    put_notes(run.notes if data.modality == "language" else run.notes[1:] if details else ())
    if json:
        put_json(run.scores.as_dict())
    tell_run(run, folder, details, sys.stderr if json else sys.stdout)


def _learned_apart(sources: tuple[str, ...], plan: Plan, folder: Path, as_: str | None, json: bool) -> bool:
    """Learn several targets, each for itself, where that is what the columns that were named hold; whether they do."""
    from handful.budget import Budget
    from handful.cli.heads import learn_heads
    from handful.data.columns import Wanted
    from handful.data.heads import separate_targets

    names = separate_targets(sources[0], plan.label, plan.task)
    if not names:
        check_replaceable(folder, marker="scores.json")
        return False
    from handful.tune_targets import check_heads_folder

    check_heads_folder(folder)
    with Bars() as bars:
        spent = Budget(plan.budget, tell=bars.now)
        wanted = Wanted(plan.input, None, plan.group, None, as_, plan.task, plan.features)
        learn_heads(sources, names, wanted, plan, spent, bars, json)
    return True


def inspect(
    source: str,
    *,
    label: str | None = None,
    task: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    features: str | None = None,
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
        input: the column that holds the text or the file name, or two columns that belong together, joined by a comma:
            two of texts, or one of pictures and one of texts; guessed when the guess is safe.
        features: a file of numbers that another program made of the examples, or columns, as for `handful tune`.
        group: the column that says which rows belong together (speaker, patient, document).
        against: a folder, table or text file of new items: whether the examples look like them.
        backbone: which backbones look at the examples, as for `handful tune`; none: what needs no model is said.
        json: print findings.json on standard output, everything else on standard error.
    """
    check_source(source, "labelled examples")
    that_exists(source)
    check_backbone(backbone, "none")

    from handful.data.readers import load
    from handful.data.targets import check_task

    check_task(task)

    with Bars() as bars:
        bars.now("read")
        data = load(source, label=label, input=input, group=group, task=task, features=features)
        put_notes(data.notes)

        bars.now("start")

        from handful import api
        from handful.inspection.summary import summary
        from handful.strategies.tuned.known import tried_unasked

        bars.now("extract")
        found = api.audited(data, against=against, backbone=backbone, progress=bars)
    if json:
        put_json([finding.record() for finding in found.findings])
    else:
        put("\n".join(summary(data, found, tried_unasked(data.task, data.modality))))


def default_name(source: str) -> str:
    """The name of the run folder for a source: its own name without ending."""
    path = Path(source).absolute()
    return (path.name if path.is_dir() else path.stem) or "run"
