"""How a served model gets better: corrections and drift are watched, and it learns from them or is tuned again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.answer_store import LABEL, Answer
from handful.data.cells import shown
from handful.errors import OptionError
from handful.export.bundle import Bundle
from handful.export.reference import Reference
from handful.export.sharing import share_backbones
from handful.monitoring.drift import ALARM
from handful.monitoring.watch import Item, Watch, tested
from handful.run import saved_inputs
from handful.run_folder import SCORES
from handful.seeding import generator
from handful.versions import number_of, roll_back, versions
from handful.web.corrector import Corrector, Outcome
from handful.web.feedback import Corrected, Remembered
from handful.web.item_answers import Answered, Answering, ServedModel
from handful.web.retraining import Retrainer, command, due

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Improvement:
    """What a server may do with corrections beside storing them."""

    learn: bool = False
    """Whether the model learns from each at once."""
    retrain: bool = False
    """Whether it is tuned again in the background when there are enough."""


class Improver:
    """One served model, its corrections, and what is known of drift."""

    def __init__(self, served: ServedModel, folder: Path, how: Improvement) -> None:
        """Take up what was learned before.

        Args:
            served: the model, as it was loaded from the folder.
            folder: its run, or the folder of the model alone.
            how: what may be done.

        Raises:
            OptionError: tuning again is asked for, and there is no run.
            DataError, MachineError, BundleError: as ``Corrector``.
        """
        self.served, self.folder = served, folder
        self._run = (folder / SCORES).is_file()
        if how.retrain and not self._run:
            raise OptionError(
                f"--retrain needs a run folder, which says what it was tuned on, got {shown(str(folder))}."
                " Name the run."
            )
        number = number_of(folder) if self._run else 1
        served.swap(Answering(served.model, served.now.inputs, str(number)))
        self.corrector = Corrector(served, folder, how.learn, number)
        self.watch = Watch()
        self._begun = 0
        self._retrainer = Retrainer(command(folder, self.corrector.table), self._tuned) if how.retrain else None
        served.heard.append(self._hear)

    # Corrections ---------------------------------------------------------------------------------------------------

    def correct(self, corrected: Corrected, before: Remembered) -> Outcome:
        """Store a correction, and do what was asked with it.

        Args:
            corrected: what is right.
            before: what had been answered.

        Raises:
            DataError, MachineError, OptionError: it cannot be stored.
        """
        said = corrected.said
        answer = Answer(
            "", LABEL, corrected.label, said.person, "correction", before.answer, before.confidence, before.version
        )
        names = self.served.bundle.labels
        outcome = self.corrector.take(answer, corrected.item, corrected.value)
        if self.served.bundle.labels != names:
            self.watch.restart()  # kinds of answers have other numbers now
        self._perhaps_tune()
        return outcome

    def versions(self) -> dict[str, Any]:
        """What the model was, and how far tuning again is."""
        about: dict[str, Any] = {"now": self.served.now.version, "versions": self.corrector.versions()}
        if self._run:
            about["runs"] = [
                {"version": str(one.number), "reason": one.reason, "made": one.made, "current": one.current}
                for one in versions(self.folder)
            ]
        return about

    def roll_back(self, version: str) -> str:
        """Answer as an earlier version did; gives the one that answers now.

        Args:
            version: of the run, or after a dot one of what was learned since.

        Raises:
            OptionError: there is no such version.
            HandfulError: it cannot be brought back.
        """
        run, _, number = version.partition(".")
        if not (run.isascii() and run.isdigit() and f"{number or 0}".isascii() and (number or "0").isdigit()):
            raise OptionError(
                f"version must be a number such as 2 or 2.3, got {version!r}. GET /versions tells about each."
            )
        if int(run) == self.corrector.run_version:
            return self.corrector.roll_back(int(number or 0))
        if number or not self._run:
            raise OptionError(
                f"version must be one of the run, or of what was learned since version {self.corrector.run_version}, "
                f"got {version!r}. GET /versions tells about each."
            )
        roll_back(self.folder, int(run))
        self._take_from_folder(0)
        return self.served.now.version

    # Drift ---------------------------------------------------------------------------------------------------------

    def drift(self) -> dict[str, Any]:
        """What is known of drift, and what to do about it."""
        last, drifted, fresh = self.watch.last, self.watch.drifted, self.corrector.fresh()
        rows = 0 if self.served.bundle.reference is None else len(self.served.bundle.reference.misfit)
        worth = due(fresh, rows, drifted)
        about: dict[str, Any] = {
            "drifted": drifted, "windows": self.watch.windows, "waiting": self.watch.waiting,
            "last_window": None if last is None else last.record(), "corrections": fresh, "warning": None,
            "proposal": None,
        }  # fmt: skip
        if drifted:
            about["warning"] = self._warning()
        if worth or drifted:
            words = " ".join(command(Path(shown(self.folder.name)), Path(shown(self.folder.name), "corrections")))
            about["proposal"] = (
                f"{fresh} corrections are worth tuning again: {words}" if worth
                else "label some of what is asked now, or correct answers, and tune again: "
                f"{words}"
            )  # fmt: skip
        if self._retrainer is not None:
            about["retraining"] = {"state": self._retrainer.state.doing, "why": self._retrainer.state.why}
        return about

    def _warning(self) -> str:
        last = self.watch.last
        strange = "" if last is None else f"; {last.strange} of the last {last.items} items are unlike them"
        return f"what {self.served.name} is asked differs from its training rows beyond chance (drift){strange}"

    def _hear(self, found: Sequence[Answered]) -> None:
        reference = self.served.bundle.reference
        items = [
            Item(one.features, one.kind, str(one.row["answer"])[:100], bool(one.row.get("unlike_training")))
            for one in found
            if "error" not in one.row and one.features.size
        ]
        full = self.watch.add(items) if reference is not None else None
        if full is not None and reference is not None:
            threading.Thread(target=self._test, args=(reference, full), name="drift", daemon=True).start()

    def _test(self, reference: Reference, items: Sequence[Item]) -> None:
        """Compare a window in a thread of its own: answers do not wait for it."""
        rng = generator(self.watch.windows, "drift")
        if self.watch.tell(tested(reference, items, rng, ALARM)):
            _log.warning("%s", self._warning())
            self._perhaps_tune()

    # Tuning again --------------------------------------------------------------------------------------------------

    def _perhaps_tune(self) -> None:
        """Tune again where corrections are enough, one training at a time."""
        if self._retrainer is None:
            return
        rows = 0 if self.served.bundle.reference is None else len(self.served.bundle.reference.misfit)
        entries, begun = self.corrector.entries(), self._begun
        # After a training that failed or changed nothing there has to be something new.
        if entries > begun and due(self.corrector.fresh(), rows, self.watch.drifted):
            self._begun = entries
            if not self._retrainer.start():
                self._begun = begun

    def _tuned(self) -> str:
        """Swap in what was tuned; says what became of it."""
        before = self.corrector.run_version
        self._take_from_folder(self._begun)
        now = self.corrector.run_version
        if now == before:
            return "the new model was not better, and the old one stays"
        return f"version {now} of the run answers now"

    def _take_from_folder(self, trained: int) -> None:
        """Load what is in the folder, and let it answer from the next batch on."""
        number = number_of(self.folder)
        if number == self.corrector.run_version:
            return
        fresh = Bundle.load(self.folder)
        old = self.served.bundle
        # What is in memory already is used again, where it is the same.
        share_backbones([old, fresh])
        self.corrector.replaced(Answering(fresh, saved_inputs(self.folder), str(number)), self.folder, number, trained)
        self.watch.restart()

    def end(self) -> None:
        """Stop tuning, and let go of the store."""
        if self._retrainer is not None:
            self._retrainer.end()
        self.corrector.close()
