"""The living benchmark: which tables there are, what each measures, which are out of date; quick ones are renewed.

A table is out of date when the code that it measures has changed since the commit that its page names.

    python benchmarks/living.py            say of each table when it was measured, and what has changed since
    python benchmarks/living.py --renew    measure the quick ones anew first
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import history
from history import ROOT, git

PAGES = ROOT / "benchmarks" / "tables"
RESULTS = ROOT / "benchmarks" / "results"
STAMP = re.compile(r"^Measured with handful (\S+) of (\S+) \(`(\w+)`\): \[(\S+)\]\(\.\./results/\S+\)\.$", re.MULTILINE)

FROZEN = ("strategies/frozen", "evaluation", "features", "tasks", "backbones")
MOVED = ("strategies/tuned", "training", *FROZEN)
LANGUAGE = ("strategies/language", "training", "tasks/generation")


@dataclass(frozen=True)
class Table:
    """A table: the file of its rows, and what they were measured of."""

    rows: str
    """The file in ``results/``."""
    script: str
    """The module in ``benchmarks/`` that measures them and, with ``--table``, prints them."""
    measures: tuple[str, ...]
    """Parts of ``src/handful`` whose change puts the table out of date."""
    quick: tuple[str, ...] = ()
    """The options with which it is measured anew in a minute or two on a quiet machine; empty where it takes longer."""

    @property
    def name(self) -> str:
        """What its block is called on its page."""
        return Path(self.rows).stem


TABLES = (
    Table("accuracy.csv", "accuracy", FROZEN),
    Table("active.csv", "active", ("regimes/active", "strategies/frozen")),
    Table("active_spans.csv", "active_spans", ("regimes/active", "tasks/tagging", "features")),
    Table("activations.csv", "activations", ("strategies/tuned", "training")),
    Table("adapting_stream.csv", "adapting_stream", ("regimes/corrections.py", *FROZEN)),
    Table("adapting.csv", "adapting", ("regimes", "training/objectives")),
    Table("bases.csv", "bases", FROZEN),
    Table(
        "boxes.csv",
        "boxes",
        ("strategies/frozen/centres.py", "strategies/frozen/pixels.py", "features/cells.py", "tasks/boxes"),
    ),  # fmt: skip
    Table("conformal.csv", "conformal", FROZEN),
    Table("conformal_setfit.csv", "conformal", FROZEN),
    Table("continual.csv", "continual", ("updating", "export/reference.py", *FROZEN)),
    Table("coverage.csv", "coverage", FROZEN),
    Table("curriculum.csv", "curriculum", ("strategies/tuned", "training")),
    Table("damaged_bundles.csv", "damaged_bundles", ("export", "readback.py")),
    Table("damaged_weights.csv", "damaged_weights", ("backbones",)),
    Table("decision.csv", "decision", MOVED),
    Table("decision_bge.csv", "decision", MOVED),
    Table("decision_confirmed.csv", "decision", MOVED),
    Table("decision_harm.csv", "decision", MOVED),
    Table("defects.csv", "defects", ("strategies/frozen/normality.py", "features/nearest.py", "tasks/defects")),
    Table("energy.csv", "energy", ("energy.py",)),
    Table("examples.csv", "examples", FROZEN, ("--draws", "1")),
    Table("exports.csv", "exports", ("export/onnx", "export/students.py", "backbones")),
    Table("exports_parts.csv", "exports_parts", ("export/onnx", "backbones")),
    Table("fastai.csv", "fastai_peer", FROZEN),
    Table("federated.csv", "federated", ("regimes/federated", "features")),
    Table("first_output.csv", "first_output", ("cli", "progress.py"), ("--draws", "3")),
    Table("forecast.csv", "forecast", FROZEN),
    Table("inspect_speed.csv", "inspect_speed", ("inspection",)),
    Table("label_kills.csv", "label_kills", ("answer_store", "web/labelling")),
    Table("long_texts.csv", "long_texts", ("backbones/text.py",)),
    Table("kills.csv", "kills", ("atomic", "export", "run.py", "updating", "versions")),
    Table("kinds.csv", "kinds", FROZEN),
    Table("known_rows.csv", "known_rows", ("strategies/tuned", "training")),
    Table("label_errors.csv", "label_errors", ("inspection/labels.py", "inspection/loo_logistic.py")),
    Table("labels.csv", "labels_peer", FROZEN),
    Table("label_http.csv", "label_http", ("regimes/active", "web/labelling", "answer_store")),
    Table("label_speed.csv", "label_speed", ("regimes/active", "strategies/frozen")),
    Table("ladder.csv", "ladder", MOVED),
    Table("languages.csv", "languages", FROZEN),
    Table(
        "masks.csv",
        "masks",
        (
            "strategies/frozen/pixels.py",
            "strategies/frozen/context.py",
            "training/pixel_net.py",
            "features/pixels.py",
            "tasks/masks",
            "evaluation",
        ),
    ),  # fmt: skip
    Table("methods.csv", "methods", ("strategies/tuned", "training")),
    Table("must_find.csv", "must_find", ("tasks/classification/cut.py", "tasks/defects/promise.py", *FROZEN)),
    Table("near_duplicates.csv", "near_duplicates", ("inspection/near_duplicates.py",)),
    Table("noise.csv", "noise", FROZEN),
    Table("paired.csv", "paired", FROZEN),
    Table(
        "parts_load.csv",
        "parts_load",
        (
            "detection.py",
            "segmentation.py",
            "box_answers.py",
            "features/pixels.py",
            "features/cells.py",
            "features/normal_parts.py",
            "features/moments.py",
            "backbones/tiles.py",
        ),
    ),  # fmt: skip
    Table("peft.csv", "peft_peer", ("strategies/tuned", "training")),
    Table("picks.csv", "picks", LANGUAGE),
    Table("preferences.csv", "preferences", LANGUAGE),
    Table("rare_classes.csv", "rare_classes", ("evaluation", "tasks/classification")),
    Table("series.csv", "series", ("backbones/vectors.py", *FROZEN)),
    Table("related.csv", "related", ("regimes/related.py", "strategies/tuned", *FROZEN)),
    Table("repeated_runs.csv", "repeated_runs", LANGUAGE),
    Table("reject.csv", "reject", FROZEN),
    Table("second_look.csv", "second_look", ("inspection",)),
    Table("serving.csv", "serving", ("web", "prediction.py")),
    Table("setfit.csv", "setfit_peer", MOVED),
    Table("setfit_bge.csv", "setfit_peer", MOVED),
    Table("setfit_snippets_bge.csv", "setfit_peer", MOVED),
    Table("setfit_snippets_minilm.csv", "setfit_peer", MOVED),
    Table("shards.csv", "shards", ("engines", "prediction_shards.py", "prediction.py")),
    Table("shared_base.csv", "shared_base", ("web/item_answers.py", "export")),
    Table("shared_heads.csv", "shared_heads", ("regimes/multitask.py", *MOVED)),
    Table("shortcuts.csv", "shortcuts", ("inspection/shortcuts.py",)),
    Table("sizes.csv", "sizes", FROZEN),
    Table("sound_backbones.csv", "sound_backbones", FROZEN),
    Table("spans.csv", "spans", ("tasks/tagging", "tasks/parts_task.py", "strategies/frozen", "features/words.py")),
    Table("speakers.csv", "speakers", LANGUAGE),
    Table("speed.json", "speed", MOVED),
    Table("trl.csv", "trl_peer", LANGUAGE),
    Table("tuned_events.csv", "tuned_parts", MOVED),
    Table("tuned_parts.csv", "tuned_parts", MOVED),
    Table("tuned_parts_confirmed.csv", "tuned_parts", MOVED),
    Table("two_inputs.csv", "two_inputs", ("evaluation/inputs.py", *FROZEN)),
    Table("unlabelled.csv", "unlabelled", ("regimes", *FROZEN)),
    Table("unlabelled_development.csv", "unlabelled", ("regimes", *FROZEN)),
    Table("updates.csv", "updates", ("strategies/tuned", "training")),
)


@dataclass(frozen=True)
class Stamp:
    """What a page says of the rows behind it."""

    version: str
    """The version of handful that was measured."""
    date: str
    """The day of the commit."""
    commit: str
    """The commit, shortened."""

    def line(self, rows: str) -> str:
        """The stamp as it stands on the page."""
        where = f"[{rows}](../results/{rows})"
        return f"Measured with handful {self.version} of {self.date} (`{self.commit}`): {where}."


def main() -> None:
    """Renew what is quick, where that is asked for, and print what is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renew", action="store_true", help="measure the quick tables anew first")
    if parser.parse_args().renew:
        for table in TABLES:
            if table.quick:
                renew(table)
        renew_history()
    print("\n".join(report()))


def stamps() -> dict[str, tuple[Path, Stamp]]:
    """The page and the stamp of every file of rows, by the name of the file."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        for number, date, commit, rows in STAMP.findall(page.read_text("utf-8")):
            found[rows] = (page, Stamp(number, date, commit))
    return found


def report() -> Iterator[str]:
    """A line per table: its rows, when they were measured, and what has changed since; the quick ones are marked."""
    yield f"{'rows':<28}{'measured':<12}{'version':<9}{'':<7}changed since"
    stamped = stamps()
    for table in TABLES:
        _, stamp = stamped[table.rows]
        changes = changes_since(stamp.commit, paths(table))
        said = {None: "cannot be told: git does not know that commit", 0: "nothing"}.get(changes)
        said = said or f"{changes} commit{'s' if changes != 1 else ''}: out of date"
        quick = "quick" if table.quick else ""
        yield f"{table.rows:<28}{stamp.date:<12}{stamp.version:<9}{quick:<7}{said}"


def paths(table: Table) -> list[str]:
    """What a table measures, as paths from the root: its script and parts of the package."""
    return [f"benchmarks/{table.script}.py", *(f"src/handful/{part}" for part in table.measures)]


def changes_since(commit: str, where: Sequence[str]) -> int | None:
    """How many commits since have touched these paths; None where git cannot tell."""
    done = git("rev-list", "--count", f"{commit}..HEAD", "--", *where)
    return int(done) if done else None


def renew(table: Table) -> None:
    """Measure a table anew; its rows, its block and its stamp change places with the old ones once all are there.

    Raises:
        SystemExit: what it measures has changes that are not committed, which no stamp could name.
    """
    if git("status", "--porcelain", "--", *paths(table)):
        raise SystemExit(
            f"{table.rows}: commit the changes of {', '.join(paths(table))} first: the page names a commit"
        )
    number, _, date = git("log", "-1", "--format=%h %cs").partition(" ")
    print(f"{table.rows}: measuring with {table.script}.py {' '.join(table.quick)}", flush=True)
    script = [sys.executable, str(ROOT / "benchmarks" / f"{table.script}.py")]
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / table.rows
        # On one core everywhere: how large a search is depends on how many there are.
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*script, *table.quick, "--out", str(new)], check=True, env=alone)
        shutil.move(new, RESULTS / table.rows)
    page, _ = stamps()[table.rows]
    text = replaced(page.read_text("utf-8"), table.name, printed(table.script, table.rows))
    page.write_text(stamped(text, table.rows, Stamp(version("handful"), date, number)), "utf-8")


def renew_history() -> None:
    """Read again what methods were worth over time, and put it on its page."""
    rows, page = "history.csv", PAGES / "history.md"
    history.write(RESULTS / rows)
    page.write_text(replaced(page.read_text("utf-8"), "history", printed("history", rows)), "utf-8")


def printed(script: str, rows: str) -> str:
    """The table that a script prints of a file of rows, without blanks at the ends of lines."""
    command = [sys.executable, ROOT / "benchmarks" / f"{script}.py", "--table", "--out", RESULTS / rows]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return "\n".join(line.rstrip() for line in done.stdout.rstrip("\n").splitlines())


def block(text: str, name: str) -> str | None:
    """What a page shows of a table, between ``<!-- table NAME -->`` and ``<!-- /table NAME -->``; None without them."""
    found = re.search(_between(name), text, re.DOTALL)
    return found[2] if found else None


def replaced(text: str, name: str, body: str) -> str:
    """A page with another body of one table."""
    return re.sub(_between(name), lambda parts: parts[1] + body + parts[3], text, flags=re.DOTALL)


def stamped(text: str, rows: str, stamp: Stamp) -> str:
    """A page with another stamp of one file of rows."""
    return STAMP.sub(lambda found: stamp.line(rows) if found[4] == rows else found[0], text)


def _between(name: str) -> str:
    return rf"(<!-- table {name} -->\n```\n)(.*?)(\n```\n<!-- /table {name} -->)"


if __name__ == "__main__":
    main()
