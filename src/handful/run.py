"""The Run: everything that one call of tune produced, and the folder it is saved to."""

from __future__ import annotations

import csv
import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from handful.data.cells import defuse, shown, shown_json, shown_lines
from handful.data.dataset import Dataset, item_hash
from handful.data.names import listed
from handful.data.places import input_of
from handful.data.targets import CLASSES
from handful.errors import BundleError, OptionError
from handful.evaluation.metrics import Scale
from handful.evaluation.ranking import Ranking, ranked
from handful.evaluation.scores import HeldOut, Scores
from handful.explanation import Explanation
from handful.export.bundle import Bundle
from handful.export.detector import Detector, Seen
from handful.export.finder import Drawn, Finder
from handful.export.heads import Heads
from handful.export.segmenter import Answered, Segmenter
from handful.inspection.findings import Finding, Findings
from handful.notebook_html import page, paragraph
from handful.plan import Plan
from handful.readback import damage_is
from handful.run_folder import checkpoints_of, heads_of, is_detector, is_finder, is_language, is_segmenter
from handful.run_rows import LearnedRows
from handful.seeding import generator
from handful.strategies.tuned.ladder import Rung
from handful.versions import MADE_BY, keep, keep_beside

if TYPE_CHECKING:
    from handful.export.language_model import LanguageModel

logger = logging.getLogger(__name__)

T = TypeVar("T")


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


@dataclass(frozen=True, eq=False)
class Run:
    """What ``tune`` returns: scores, findings and the model, which answers new items.

    It pickles, for other processes and for programs of yours; ``save`` writes what others may open, which runs no code.
    """

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
    model: Bundle | LanguageModel | Detector | Segmenter | Finder
    """The chosen arm, fitted on all rows; heads are calibrated."""
    notes: tuple[str, ...] = ()
    """What happened on the way that the user should know, one sentence each."""
    trainings: tuple[Training, ...] = ()
    """One per strategy that moved weights on the folds, in the order in which they were tried."""
    trials: tuple[dict[str, Any], ...] = ()
    """Every other setting of these strategies that was tried, with its loss."""
    explained: Mapping[int, Explanation] = field(default_factory=dict)
    """Row in the source → what carries the answer that it got while held out, for the most doubtful rows."""
    seen: Mapping[int, Seen] = field(default_factory=dict)
    """Of defects: row in the source → what is seen in it, a normal one without its own parts; the most telling rows."""
    answered: Mapping[int, Answered] = field(default_factory=dict)
    """Of masks: row in the source → what is wanted and what was answered while it was held out; the worst rows."""
    boxed: Mapping[int, Drawn] = field(default_factory=dict)
    """Of boxes: the same."""

    @property
    def bundle(self) -> Bundle:
        """The model of labelled items.

        Raises:
            OptionError: it is another kind of model.
        """
        if not isinstance(self.model, Bundle):
            kinds: dict[type, str] = {Detector: "defects", Segmenter: "masks", Finder: "boxes"}
            kind = kinds.get(type(self.model), "a language model")
            raise OptionError(f"this is for models of labelled items, got a run of {kind}. Leave it out.")
        return self.model

    def predict(self, items: Sequence[Any]) -> list[Any]:
        """The model's answer to each of N items (of a language model: prompts), as it was written in training.

        Raises:
            DataError: an item cannot be read.
            WeightsError: a backbone is not there and cannot be fetched.
        """
        return list(self.model.predict(items))

    def predict_proba(self, items: Sequence[Any]) -> NDArray[np.float64]:
        """Calibrated probabilities of N items, (N, C), columns in the order of ``model.labels``.

        Raises:
            OptionError: the model answers with numbers or texts, which have no probabilities.
            DataError, WeightsError: as ``predict``.
        """
        return self.bundle.predict_proba(items)

    def ranking(self, wanted: Any, k: int) -> Ranking:
        """How well held-out rows are ranked by one of two classes, as if the k most probable ones were shown.

        Args:
            wanted: the class, such as ``yes`` of a column ``clicked``.
            k: how many are shown.

        Returns:
            Precision and recall at k and average precision, with intervals.

        Raises:
            OptionError: it is none of two classes, or k is none of 1 to the number of rows.
        """
        labels, name = self.bundle.labels, str(wanted)
        if self.data.task != CLASSES or len(labels) != 2 or name not in labels:
            raise OptionError(
                f"wanted= must be one of the two classes of a run, got {name!r} of {listed(labels) or 'numbers'}. Rows "
                "are ranked by how probable one of two is."
            )
        if not 1 <= k <= len(self.held_out):
            raise OptionError(f"k must be from 1 to {len(self.held_out)}, the number of rows, got {k}. Choose another.")
        is_wanted = np.array([answer.label == name for answer in self.held_out])
        own = np.array([answer.own for answer in self.held_out])  # of two classes the other has what is left
        groups = None if self.data.groups is None else np.unique(self.data.groups, return_inverse=True)[1]
        scores = np.where(is_wanted, own, 1 - own)
        return ranked(scores, is_wanted, k, groups, generator(self.plan.seed, "ranking"))

    def __repr__(self) -> str:
        """What was learned from what, and how good it is, on a few lines."""
        found = [finding.kind.replace("_", " ") for finding in self.findings]
        wrong = f"{len(found)} ({', '.join(dict.fromkeys(found))})" if found else "none"
        notes = f"\n  notes: {len(self.notes)}, in run.notes" if self.notes else ""
        return f"Run on {self.data!r}\n  {self.scores.sentence}\n  model: {self.model!r}\n  findings: {wrong}{notes}"

    def _repr_html_(self) -> str:
        about = paragraph(f"{self.model!r} from {self.data!r}")
        findings = [Findings(self.findings)._repr_html_()] if self.findings else []
        return page(self.scores._repr_html_(), about, *findings)

    def save(self, folder: str | Path, *, reason: str = MADE_BY[0], beside: bool = False) -> Path:
        """Write the run folder: scores, findings, plan, predictions, report, log and model.

        It is written beside its place and renamed, so a kill leaves either the old folder or the new one.

        Args:
            folder: where; an earlier run there becomes a version of this one (``handful versions``), other files in it
                stay; any other folder is left alone.
            reason: how it came about, as its versions tell it.
            beside: whether the run in the folder stays in use, and this one becomes a version of it.

        Returns:
            The folder of this run.

        Raises:
            OptionError: the folder exists and is not a run.
            BundleError: the versions of the run that is there are damaged, or it is to lie beside none.
            MachineError: it cannot be written, or the disk is full.
        """
        from handful.report import render

        with (keep_beside if beside else keep)(Path(folder), reason) as target:
            write_json(target / "scores.json", self.scores.as_dict())
            write_json(target / "findings.json", [finding.record() for finding in self.findings])
            if self.trials:
                write_json(target / "trials.json", self.trials)
            self.plan.save(target / "plan.yaml")
            self._write_predictions(target / "predictions.csv")
            LearnedRows.of(self.data).write(target)
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


def opened(folder: str | Path) -> Bundle | Heads | LanguageModel | Detector | Segmenter | Finder:
    """The model in a run folder, in one with a run for each of several targets, or in the folder of a model.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    if heads_of(folder):
        return Heads.load(folder)
    if is_detector(folder):
        return Detector.load(folder)
    if is_segmenter(folder):
        return Segmenter.load(folder)
    if is_finder(folder):
        return Finder.load(folder)
    if not is_language(folder):
        return Bundle.load(folder)
    from handful.export.language_model import LanguageModel  # items with labels do without language models

    return LanguageModel.load(folder)


def saved_inputs(folder: Path, plain: bool = True) -> dict[int, str]:
    """What ``predictions.csv`` of a run says of its rows: position in the source → text or file name.

    Args:
        folder: a run folder, or the model folder within; without the file nothing is known.
        plain: whether all blanks in a text are single ones, to show it on a line.

    Raises:
        BundleError: the file is damaged.
    """
    shape: Callable[[str], str] = (lambda text: " ".join(text.split())) if plain else str
    return dict(_predictions(folder, lambda row: (int(row["row"]), shape(row["input"]))))


def saved_answers(folder: Path) -> tuple[HeldOut, ...]:
    """The answers in ``predictions.csv`` of a run, in the order of its rows.

    How sure an answer is stands there in the words of its task, so it is left at 0 here.

    Args:
        folder: a run folder, or the model folder within; without the file there are none.

    Raises:
        BundleError: the file is damaged.
    """

    def answer(row: dict[str, str]) -> HeldOut:
        (_, number), _, (_, label), (_, predicted), *beside = row.items()
        return HeldOut(int(number), label, predicted, 0.0, 0.0, dict(beside))

    return tuple(_predictions(folder, answer))


def _predictions(folder: Path, build: Callable[[dict[str, str]], T]) -> list[T]:
    """Something of every row of ``predictions.csv``: its number, input, label, answer, and what stands beside it."""
    places = (folder / "predictions.csv", folder.parent / "predictions.csv")
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return []

    def refusal(why: str) -> BundleError:
        return BundleError(f"{file} cannot be read ({why}). Restore it, or delete it: then only its texts are missing.")

    with damage_is(refusal), file.open(newline="", encoding="utf-8") as stream:
        return [build(row) for row in csv.DictReader(stream)]


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
