"""The command that opens a page to label a pool: label."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.cli.given import check_backbone, check_scored, check_source, place
from handful.cli.learning import default_name
from handful.cli.printing import put, put_notes
from handful.cli.serving import address_of, load_served, missing_package, name_of, who_can_reach
from handful.cli.weights import Flag
from handful.data.cells import shown
from handful.data.sources import that_exists
from handful.errors import OptionError
from handful.progress import Bars

if TYPE_CHECKING:
    from handful.data.label_pool import LabelPool
    from handful.web.labelling.guessing import Look
    from handful.web.labelling.service import Labelling
    from handful.web.tokens import Token

LABELLED = ("classification", "multilabel", "ordinal", "regression", "tagging")
"""The tasks whose labels are given on the page."""
STARS = ("1", "2", "3", "4", "5")
"""The ratings where nobody says others."""


def label(
    pool: str,
    *,
    task: str | None = None,
    classes: str | None = None,
    label: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    run: str | None = None,
    out: str | None = None,
    backbone: str = "auto",
    seed: int = 0,
    host: str = "127.0.0.1",
    port: int = 8010,
    token: str | None = None,
    no_browser: Flag = False,
) -> None:
    """Open a page to label items: it asks for the most useful label next, and learns meanwhile. Ctrl-C stops it.

    Every answer is on the disk before the next item is shown; the same command goes on where it was stopped.

    Args:
        pool: a folder of images or of sounds, a CSV, TSV, Excel or Parquet table, JSON lines, or a text file with one
            text per line; of more than 100,000 items as many are drawn by chance.
        task: what the labels are: classification (one class each), multilabel (several labels), ordinal (ratings),
            regression (numbers) or tagging (spans of texts that are marked); by default as the labels that are there
            already, else classification.
        classes: the classes to begin with, joined by commas; more can be added on the page. Ratings are 1,2,3,4,5 by
            default.
        label: the column of a table in which some rows have a label already; by default the one called label.
        input: the column that holds the text or the file name, or two columns of texts that belong together, joined by
            a comma; guessed when the guess is safe.
        run: a run folder that `handful tune` wrote: what it learned from is labelled already, and the model that is
            made on the page takes its place.
        out: the table to write the labels to; by default the name of the pool and -labels.csv, of spans
            -labels.jsonl. The answers lie beside it in a file that ends with .sqlite.
        backbone: which backbone looks at the items, and the model is made with; by default the cheapest of those that
            `handful tune` compares looks, and all of them are compared for the model.
        seed: one number that fixes what is drawn by chance.
        host: who can reach the page: 127.0.0.1, this machine only; 0.0.0.0, everybody who can reach this machine.
        port: its number; 0 for any that is free.
        token: what everybody has to know where others can reach the page, as for `handful serve`.
        no_browser: do not open a browser.
    """
    check_source(pool, "items to label")
    that_exists(pool)
    check_backbone(backbone)
    if run is not None:
        check_scored(run, "label")
    try:
        from handful.web import serving
        from handful.web.labelling import service
        from handful.web.tokens import Token
    except ModuleNotFoundError as error:
        raise missing_package(error, "label") from error
    from handful.answer_store import LINES
    from handful.data.targets import SPANS, check_task

    check_task(task)
    if task is not None and task not in LABELLED:
        raise OptionError(f"--task must be one of {', '.join(LABELLED)} for labels on a page, got {task}. Choose one.")
    if out:
        check_table_out(place(out), pool, task)
    asked = Token.of(token, host)
    with Bars() as bars:
        bars.now("read")
        items, task = _read(pool, task, (label, input), run, seed)
    table = place(out) if out else Path(f"{default_name(pool)}-labels{LINES if task == SPANS else '.csv'}")
    check_table_out(table, pool, task)
    with serving.take_port(host, port) as taken:
        where = address_of(host, taken.getsockname()[1])
        folder = place(run) if run else Path("runs") / default_name(pool)
        labelling = _labelling(items, task, classes, (table, folder), (backbone, seed), (host, asked))
        put_notes(items.notes)
        from handful.web.admission import Admission

        app = service.application(labelling, Admission.of(host, None, None, service.BODIES, asked))
        taken.listen()
        done = len(labelling.session.labelled())
        put(
            f"{len(items):,} items of {items.source}, {done:,} labelled: {where}, {who_can_reach(host, asked)}. "
            f"Labels go to {shown(str(table))}. Ctrl-C stops it."
        )
        if not no_browser:
            _open(where, asked)
        serving.Server(app).run([taken])


def check_table_out(table: Path, pool: str, task: str | None) -> None:
    """Refuse to write labels over a file that is no such table.

    Args:
        table: where labels are to go.
        pool: what is to be labelled.
        task: what the labels are; None where that is not known yet.

    Raises:
        OptionError: it is there, and no answers lie beside it; or it has another ending.
    """
    from handful.answer_store import LINES
    from handful.data.targets import SPANS

    endings = {SPANS: (LINES,), None: (".csv", LINES)}.get(task, (".csv",))
    if table.suffix.lower() not in endings:
        raise OptionError(
            f"--out must be a table that ends with {' or '.join(endings)}, got {shown(str(table))}. Rename it."
        )
    store = table.with_suffix(".sqlite")
    if table.exists() and (not store.exists() or table.resolve() == Path(pool).resolve()):
        raise OptionError(
            f"--out {shown(str(table))} must be new, or a table that `handful label` wrote, got another file. Choose "
            "another name; labels that it holds are read where it is the pool."
        )


def _read(
    pool: str, task: str | None, columns: tuple[str | None, str | None], run: str | None, seed: int
) -> tuple[LabelPool, str]:
    """The pool, with what a run learned from, and what is wanted of its items."""
    from handful.data.columns import Wanted
    from handful.data.label_pool import read_label_pool, with_labelled
    from handful.data.several import load_several
    from handful.data.target_column import read_column
    from handful.data.targets import CLASSES
    from handful.plan import read_plan
    from handful.seeding import generator

    plan = None if run is None else read_plan(Path(run) / "plan.yaml")
    task = task or (plan.task if plan is not None else None)
    items = read_label_pool(pool, generator(seed, "pool to label"), label=columns[0], input=columns[1], task=task)
    task = items.task or task
    if plan is not None:
        wanted = Wanted(plan.input, plan.label, plan.group, task=plan.task)
        data = load_several(plan.sources or (plan.source,), wanted)
        items, task = with_labelled(items, data), task or data.task
    if task is None:
        task = read_column(list(items.given.values()), "label", None).task if items.given else CLASSES
    return items, task


def _labelling(
    items: LabelPool, task: str, classes: str | None, places: tuple[Path, Path], seen: tuple[str, int],
    reached: tuple[str, Token | None],
) -> Labelling:  # fmt: skip
    """All that the page needs.

    Args:
        items: the pool.
        task: what is wanted of an item, by its name.
        classes: names, joined by commas.
        places: the table of labels, and the run folder.
        seen: which backbone looks, and the seed.
        reached: the host, and the token.
    """
    from handful.answer_store import AnswerStore
    from handful.data.targets import RATINGS, SPANS
    from handful.regimes.active import ActiveLearner
    from handful.tasks.registry import head_task
    from handful.web.labelling.learning import Learning
    from handful.web.labelling.making import Making
    from handful.web.labelling.service import Labelling
    from handful.web.labelling.session import Session
    from handful.web.labelling.uploads import by_chance
    from handful.web.questions import RefusedError

    table, folder = places
    backbone, seed = seen
    named = tuple(filter(None, map(str.strip, (classes or "").split(","))))
    store = AnswerStore(table.with_suffix(".sqlite"))
    before = store.fact("task")
    if before not in (None, task):
        raise OptionError(
            f"--task must be {before}, as {shown(str(store.file))} holds answers for it, got {task}. Give that, or "
            "choose another --out."
        )
    named = named or (STARS if task == RATINGS and not items.given else ())
    try:
        session = Session(items, store, head_task(task), by_chance(len(items), seed), named)
    except RefusedError as error:
        raise OptionError(f"--classes: {error}") from error
    store.set_fact("task", task)
    look = _word_looker if task == SPANS else _looker
    learning = Learning(
        session,
        lambda: look(backbone, items),
        lambda features, wanted: ActiveLearner.on(features, wanted, seed=seed),
    )
    making = Making(session, table, folder, lambda run: _served(run, *reached), backbone)
    return Labelling(session, learning, making, table)


def _looker(backbone: str, items: LabelPool) -> Look:
    """Who looks at items: the cheapest backbone, as one matrix (n, D)."""
    from handful.features.bases import cheapest
    from handful.features.cache import user_cache
    from handful.features.extract import extract
    from handful.features.view import View
    from handful.progress import silent

    loaded = cheapest(backbone, items.modality, items.items[:1000], silent)
    view = View(tuple((name, one.search_depths[0]) for name, one in loaded.items()))

    def look(some: Sequence[Any]) -> tuple[Any, Mapping[int, str]]:
        cache, seen, failed = user_cache(), {}, {}
        for name, one in loaded.items():
            found = extract(one, some, one.search_depths[:1], cache)
            seen.update({(name, depth): x for depth, x in found.matrices.items()})
            failed.update(found.failed)
        cache.close()
        return view.matrix(seen), failed

    return look


def _word_looker(backbone: str, items: LabelPool) -> Look:
    """Who looks at the words of texts: the cheapest backbone that has tokens, at the depth that tells most of them."""
    import numpy as np

    from handful.data.sentences import bounds_of
    from handful.features.bases import cheapest
    from handful.features.cache import user_cache
    from handful.features.words import words_seen
    from handful.progress import silent

    one = next(iter(cheapest(backbone, items.modality, items.items[:1000], silent).values()))
    depth = one.part_depths[0]

    def look(some: Sequence[Any]) -> tuple[Any, Mapping[int, str]]:
        cache = user_cache()
        found, failed = words_seen(one, some, (depth,), cache)
        cache.close()
        ends = np.cumsum([len(bounds_of(item)) for item in some])
        return np.split(found[depth].astype(np.float16), ends[:-1]), failed

    return look


def _served(run: Path, host: str, token: Token | None) -> str:
    """Serve a run at a free port of the same host, until this process ends; gives the address."""
    from handful.web import item_service, serving
    from handful.web.admission import Admission
    from handful.web.asked_items import BODIES
    from handful.web.improving import Improvement, Improver

    [served] = load_served([str(run)])
    taken = serving.take_port(host, 0)
    admission = Admission.of(host, None, None, BODIES, token)
    app = item_service.application([served], admission, improvers=[Improver(served, run, Improvement(False, False))])
    taken.listen()
    threading.Thread(target=serving.Server(app).run, args=([taken],), name=name_of(str(run)), daemon=True).start()
    return address_of(host, taken.getsockname()[1])


def _open(where: str, token: Token | None) -> None:
    """Open a browser, which signs in by itself where the token was made up; the page waits for the server."""
    address = f"{where}/#token={token.secret}" if token is not None and token.made_up else where

    def open_it() -> None:
        if not webbrowser.open(address):
            put_notes([f"open {where} in a browser"])

    threading.Thread(target=open_it, daemon=True).start()
