"""The Run: everything that one call of tune produced, and the folder it is saved to."""

from __future__ import annotations

import csv
import hashlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.atomic import replaced_folder
from handful.data.cells import defuse, shown, shown_json, shown_lines
from handful.data.conversations import Conversation, Preference, plain_prompt
from handful.data.dataset import Dataset, item_hash
from handful.errors import BundleError, OptionError
from handful.evaluation.metrics import Scale
from handful.evaluation.scores import HeldOut, Scores
from handful.explanation import Explanation
from handful.export.bundle import Bundle
from handful.inspection.findings import Finding
from handful.plan import Plan
from handful.readback import damage_is
from handful.strategies.tuned.ladder import Rung

if TYPE_CHECKING:
    from handful.export.language_model import LanguageModel

logger = logging.getLogger(__name__)

PARTS = (
    "scores.json", "findings.json", "trials.json", "plan.yaml", "predictions.csv", "model", "report.html", "run.log",
)  # fmt: skip
"""What a run folder holds; the first shows that a folder is one."""


@dataclass(frozen=True)
class Training:
    """How the weights of one strategy moved on the folds."""

    name: str
    """The strategy."""
    curves: tuple[tuple[float, ...], ...]
    """The loss before each update, one curve per fold."""
    train: float | None
    """The headline metric on the rows that a fold learned from; None where nobody asked."""
    held: float | None
    """The same on the rows that it did not: how far it is worse shows how much was learned by heart."""
    moved: int
    """How many weights could move."""
    passed: bool
    """Whether it replaced the arm below."""
    scale: Scale = field(default_factory=Scale)
    """How ``train`` and ``held`` are told."""

    @classmethod
    def of(cls, rung: Rung) -> Training:
        """The part of a rung that a report shows."""
        curves = tuple(tuple(update.loss for update in curve) for curve in rung.cross_fit.curves)
        return cls(
            rung.name,
            curves,
            rung.cross_fit.train,
            rung.cross_fit.held,
            rung.cross_fit.moved,
            rung.decided.passed,
            rung.cross_fit.scale,
        )


@dataclass(frozen=True)
class Run:
    """What ``tune`` returns."""

    data: Dataset
    """The rows that were read, without the unreadable ones."""
    plan: Plan
    """The resolved options, with where each came from."""
    findings: tuple[Finding, ...]
    """What is wrong with the data, most costly first."""
    scores: Scores
    """Every arm with its interval, and the choice."""
    held_out: tuple[HeldOut, ...]
    """One out-of-fold answer per training row, in the order of the source."""
    model: Bundle | LanguageModel
    """The chosen arm, fitted on all rows; heads are calibrated."""
    notes: tuple[str, ...] = ()
    """What happened on the way that the user should know, one sentence each."""
    trainings: tuple[Training, ...] = ()
    """One per strategy that moved weights on the folds, in the order in which they were tried."""
    trials: tuple[dict[str, Any], ...] = ()
    """Every other setting of these strategies that was tried, with its loss."""
    explained: Mapping[int, Explanation] = field(default_factory=dict)
    """Row in the source → what carries the answer that it got while held out, for the most doubtful rows."""

    @property
    def bundle(self) -> Bundle:
        """The model of labelled items.

        Raises:
            OptionError: it is a language model.
        """
        if not isinstance(self.model, Bundle):
            raise OptionError("this is for models of labelled items, got a run of a language model. Leave it out.")
        return self.model

    def save(self, folder: str | Path) -> Path:
        """Write the run folder: scores, findings, plan, predictions, report, log and model.

        It is written beside its place and renamed, so a kill leaves either the old folder or the new one.

        Args:
            folder: where; an earlier run there is replaced, other files in it stay; any other folder is left alone.

        Returns:
            The folder.

        Raises:
            OptionError: the folder exists and is not a run.
            MachineError: it cannot be written, or the disk is full.
        """
        from handful.report import render

        with replaced_folder(Path(folder), PARTS) as target:
            write_json(target / "scores.json", self.scores.as_dict())
            write_json(target / "findings.json", [finding.record() for finding in self.findings])
            if self.trials:
                write_json(target / "trials.json", self.trials)
            self.plan.save(target / "plan.yaml")
            self._write_predictions(target / "predictions.csv")
            (target / "model").mkdir()
            self.model.write(target / "model", card=self.card())
            (target / "report.html").write_text(shown_lines(render(self, place=Path(folder))), encoding="utf-8")
            (target / "run.log").write_text(shown_lines("\n".join(self.log())) + "\n", encoding="utf-8")
        shutil.rmtree(checkpoints_of(Path(folder)), ignore_errors=True)
        return Path(folder)

    def log(self) -> list[str]:
        """The run as plain lines, for ``run.log``."""
        stages = [f"{stage}: {seconds:.2f} s" for stage, seconds in self.scores.seconds.items()]
        said = map(shown, (*self.data.notes, *self.notes, *(f.message for f in self.findings)))
        return [*said, *stages, str(self.scores)]

    def card(self) -> str:
        """The model card, in Markdown."""
        return self.model.card(self.scores, self.data.source)

    def _write_predictions(self, file: Path) -> None:
        place = dict(zip(self.data.rows, self.data.items, strict=True))
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            beside = self.model.task.columns
            writer.writerow(["row", "input", *map(defuse, self.model.columns), *beside])
            for answer in self.held_out:
                cells = (input_of(place[answer.row], answer.row), answer.label, answer.predicted)
                writer.writerow([answer.row, *map(defuse, cells), *(answer.beside[column] for column in beside)])


def input_of(item: Any, row: int) -> str:
    """An item as it stands in a table: its text, its file, what is asked, or the number of its row."""
    if isinstance(item, Conversation | Preference):
        return plain_prompt(item)
    return str(item) if isinstance(item, str | Path) else f"row {row}"


def saved_inputs(folder: Path) -> dict[int, str]:
    """What ``predictions.csv`` of a run says of its rows: position in the source → text or file name.

    Args:
        folder: a run folder, or the model folder within; without the file nothing is known.

    Raises:
        BundleError: the file is damaged.
    """
    places = (folder / "predictions.csv", folder.parent / "predictions.csv")
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return {}

    def refusal(why: str) -> BundleError:
        return BundleError(f"{file} cannot be read ({why}). Restore it, or delete it: then only its texts are missing.")

    with damage_is(refusal), file.open(newline="", encoding="utf-8") as stream:
        return {int(row["row"]): " ".join(row["input"].split()) for row in csv.DictReader(stream)}


def checkpoints_of(folder: Path) -> Path:
    """Where trainings that belong to a run folder keep their state until it is written."""
    return folder.parent / f".{folder.name}.training"


def checkpoints_for(plan: Plan, data: Dataset, fingerprint: str) -> Path | None:
    """Where the state of each training is kept: beside the run folder, until the run is saved.

    What was learned from other rows, or by another plan, is in a folder of another name: it must not be gone on from.

    Args:
        plan: where it is not to be resumed, what an earlier run left is deleted.
        data: the rows to learn from.
        fingerprint: of the backbone that moves.
    """
    if plan.out is None:
        return None
    folder = checkpoints_of(Path(plan.out))
    if not plan.resume:
        shutil.rmtree(folder, ignore_errors=True)
    rows = [item_hash(item) for item in data.items], data.labels, data.groups
    same = repr((rows, fingerprint, plan.strategies, plan.seed, plan.trials, plan.anti_forgetting))
    return folder / hashlib.sha256(same.encode()).hexdigest()[:16]


def write_json(file: Path, value: object) -> None:
    """Write indented JSON with non-Latin letters as they are."""
    file.write_text(shown_json(value) + "\n", encoding="utf-8")
