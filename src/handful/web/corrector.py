"""What is learned from corrections while a model is served: stored first, taken in if that does no harm, and kept."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.answer_store import LABEL, Answer, AnswerStore, StoredItem, csv_text, not_undone
from handful.atomic import replaced_file
from handful.data.pairs import Pair
from handful.errors import BundleError, OptionError
from handful.export.learned import known_rows, seen_by, with_learned
from handful.regimes.corrections import Learned, Rows, harm, learn, prior
from handful.run_folder import RECORD, SCORES, model_folder
from handful.web.item_answers import Answering, ServedModel
from handful.web.learned_record import Application, LearnedRecord

FOLDER = "corrections"
"""Where corrections lie in a run folder."""
MOST_KEPT = 20_000
"""How many corrections one run keeps; who sends more is asked to tune again."""
MOST_LEARNED = 1000
"""How many corrections are learned from at once, the latest."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a correction."""

    learned: bool
    """Whether the model took it in."""
    why: str
    """Why not; empty where it did, or where nobody asked for it."""
    version: str
    """Which version answers now."""
    corrections: int
    """How many corrections the run has."""


class Corrector:
    """The corrections of one served model."""

    def __init__(self, served: ServedModel, folder: Path, learns: bool, run_version: int = 1) -> None:
        """Take up what was learned before, where the model shall learn.

        Args:
            served: whose answers are corrected.
            folder: of the run, or of its model.
            learns: whether corrections are taken in at once.
            run_version: which version of the run is served.

        Raises:
            DataError: the store of corrections is damaged.
            MachineError: it cannot be written.
            BundleError: the model keeps nothing of its training rows, and cannot learn.
        """
        self.served, self.learns = served, learns
        self.place = (folder if (folder / SCORES).is_file() else model_folder(folder)) / FOLDER
        """Where corrections lie."""
        self._lock = threading.RLock()
        self._seen: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._store: AnswerStore | None = None
        self._start(served.now, folder, run_version)

    def _start(self, shipped: Answering, folder: Path, run_version: int) -> None:
        self.run_version, self._shipped = run_version, shipped
        self._digest = _digest(folder)
        self._now: Learned | None = None
        self._seen.clear()
        if self.learns:
            shipped.bundle.known_rows()
            self._take_up()

    @property
    def store(self) -> AnswerStore:
        """The store, made when the first correction comes."""
        with self._lock:
            if self._store is None:
                self._store = AnswerStore(self.place / "corrections.sqlite")
            return self._store

    @property
    def table(self) -> Path:
        """The table of corrections that ``handful update`` reads."""
        return self.place / "corrections.csv"

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    @property
    def _record(self) -> LearnedRecord:
        return LearnedRecord(self.store, self.run_version)

    def entries(self) -> int:
        """How many entries the log of corrections has."""
        return len(self.store.log()) if self._is_there() else 0

    def fresh(self) -> int:
        """How many corrections count that the model was not tuned with."""
        with self._lock:
            if not self._is_there():
                return 0
            record = self._record
            return len(_standing(record.store.log()[record.trained :], record.left_out))

    # Taking in -----------------------------------------------------------------------------------------------------

    def take(self, answer: Answer, item: StoredItem | tuple[bytes, str], value: Any) -> Outcome:
        """Store a correction, and learn from it where that is asked.

        Args:
            answer: what is right; its item is filled in for files.
            item: the item, or the bytes of its file and the name of that.
            value: the item as the model takes it.

        Raises:
            MachineError: it cannot be written, or there are too many; nothing was stored.
            DataError: the store is damaged, or the file has no ending that is known.
        """
        with self._lock:
            store, before = self.store, self.store.log()
            if len(before) >= MOST_KEPT:
                raise OptionError(
                    f"at most {MOST_KEPT:,} corrections are kept of one run, and as many are. Tune again with them: "
                    "`handful update` reads their table."
                )
            if isinstance(item, tuple):
                item = store.keep_bytes(*item, self._shipped.bundle.modality)
            answer = Answer(**{**asdict(answer), "item": item.item})
            store.add([answer], [item])
            corrections = len(_standing([*before, answer], ()))
            why = self._learned(answer, value) if self.learns else ""
            self._write_table()
            return Outcome(self.learns and not why, why, self.served.now.version, corrections)

    def _learned(self, answer: Answer, value: Any) -> str:
        """Take a correction in; why not, where it is held back."""
        record, log = self._record, self.store.log()
        self._see([(answer.item, value)])
        if answer.item not in self._seen:
            return "the model cannot read the item"
        known, standing = known_rows(self._shipped.bundle), self._learnable(log, record.left_out)
        after, why = self._weighed(known, standing, answer)
        if after is None:
            record.leave_out([*record.left_out, answer.id])
            _log.warning("%s: a correction to %r is held back: %s", self.served.name, answer.label, why)
            return why
        self._apply(after, f"learned: {answer.label}", len(log), standing)
        return ""

    def _weighed(self, known: Rows, standing: Sequence[Answer], newest: Answer) -> tuple[Learned | None, str]:
        """What is learned with the newest of some corrections; None, and why, where it does harm."""
        model, rows = self._shipped.bundle, self._rows(standing)
        if rows is None:
            return None, "no correction can be read"
        try:
            after = learn(model.task, model.labels, known, rows)
        except OptionError as error:
            return None, str(error)
        start = prior(model.task, model.labels, known, rows.labels)
        earlier = self._rows([one for one in standing if one.item != newest.item])
        cost = harm(start, self._now or start, after, known, earlier)
        return (None, cost.sentence) if cost.beyond_doubt else (after, "")

    def _apply(self, learned: Learned | None, reason: str, upto: int, standing: Sequence[Answer]) -> None:
        """Write down an application, then let it answer; a kill in between loses nothing that was told."""
        record = self._record
        done = Application(record.last + 1, self._digest, upto, record.left_out, reason, len(standing))
        record.put(done)
        self._answer_by(learned, done.number)

    def _answer_by(self, learned: Learned | None, number: int) -> None:
        self._now = learned
        model = self._shipped.bundle if learned is None else with_learned(self._shipped.bundle, learned)
        version = f"{self.run_version}.{number}" if number else str(self.run_version)
        self.served.swap(Answering(model, self._shipped.inputs, version))

    # Versions ------------------------------------------------------------------------------------------------------

    def versions(self) -> list[dict[str, Any]]:
        """What the model was since its run was made, oldest first."""
        with self._lock:
            first = {"version": str(self.run_version), "reason": "as shipped", "corrections": 0, "made": None}
            found = [first]
            record = self._record if self._is_there() else None
            for number in range(1, record.last + 1 if record else 1):
                one = record.get(number) if record else None
                if one is not None:
                    found.append({
                        "version": f"{self.run_version}.{number}", "reason": one.reason, "corrections": one.rows,
                        "made": one.made,
                    })  # fmt: skip
            now = self.served.now.version
            return [{**one, "answers_now": one["version"] == now} for one in found]

    def roll_back(self, number: int) -> str:
        """Answer as at an earlier time; what was corrected since is kept, and not learned from.

        Args:
            number: of the application; 0 for the model as it was shipped.

        Returns:
            The version that answers now: a new one, so that history stays a line.

        Raises:
            OptionError: there is no such application, or the model does not learn.
        """
        with self._lock:
            record, log = self._record, self.store.log()
            shipped = Application(0, self._digest, record.trained, record.left_out, "", 0)
            wanted = record.get(number) if number else shipped
            if not self.learns:
                raise OptionError(
                    f"this model answers as version {self.run_version} was shipped, since it is served without "
                    "--learn: no correction can be taken back."
                )
            if wanted is None:
                raise OptionError(
                    f"version must be {self.run_version} to {self.run_version}.{record.last}, got "
                    f"{self.run_version}.{number}. GET /versions tells about each."
                )
            left = [*wanted.left_out, *(one.id for one in log[wanted.upto :])]
            standing = self._learnable(log, left)
            self._see_stored(standing)
            rows, model = self._rows(standing), self._shipped.bundle
            learned = None if rows is None else learn(model.task, model.labels, known_rows(model), rows)
            record.leave_out(left)
            to = f"{self.run_version}.{number}" if number else str(self.run_version)
            self._apply(learned, f"rolled back to {to}", len(log), standing)
            self._write_table()
            return self.served.now.version

    def replaced(self, fresh: Answering, folder: Path, run_version: int, trained: int) -> None:
        """Let a model that was tuned again answer; corrections that it was tuned with are not learned twice.

        Args:
            fresh: the model.
            folder: of the run.
            run_version: its number.
            trained: how many entries of the log were there when it was tuned.
        """
        with self._lock:
            if self._is_there():
                self._record.tuned_with(trained)
            self.served.swap(fresh)
            self._start(fresh, folder, run_version)

    def _take_up(self) -> None:
        """Learn again what was learned before the server was started, and what was corrected while nothing learned."""
        if not self._is_there():
            return
        record, log = self._record, self.store.log()
        done = record.get(record.last)
        if done is not None and done.of != self._digest:
            done = None
        before = [] if done is None else self._learnable(log[: done.upto], done.left_out)
        every = self._learnable(log, record.left_out)
        self._see_stored([*before, *every])
        model, known = self._shipped.bundle, known_rows(self._shipped.bundle)
        rows = self._rows(before)
        if done is not None:
            self._answer_by(None if rows is None else learn(model.task, model.labels, known, rows), done.number)
        taken, fresh = list(before), [one for one in every if one.id not in {old.id for old in before}]
        for one in fresh:
            after, why = self._weighed(known, [*(old for old in taken if old.item != one.item), one], one)
            if after is None:
                record.leave_out([*record.left_out, one.id])
                _log.warning("%s: a correction to %r is held back: %s", self.served.name, one.label, why)
            else:
                taken, self._now = [*(old for old in taken if old.item != one.item), one], after
        if [one.id for one in taken] != [one.id for one in before]:
            self._apply(self._now, "corrections of before", len(log), taken)

    # Rows ----------------------------------------------------------------------------------------------------------

    def _rows(self, standing: Sequence[Answer]) -> Rows | None:
        some = [one for one in standing if one.item in self._seen]
        if not some:
            return None
        features, scores = zip(*(self._seen[one.item] for one in some), strict=True)
        return Rows(np.stack(features), np.stack(scores), tuple(str(one.label) for one in some))

    def _see(self, items: Sequence[tuple[str, Any]]) -> None:
        """Remember what the shipped model sees in items, by their content."""
        fresh = [(name, value) for name, value in items if name not in self._seen]
        if not fresh:
            return
        model = self._shipped.bundle
        judged = model.judge([value for _, value in fresh])
        good = [i for i in range(len(fresh)) if i not in judged.failed]
        rows = seen_by(model, judged, good, ("",) * len(good))
        for at, i in enumerate(good):
            self._seen[fresh[i][0]] = (rows.features[at], rows.scores[at])

    def _see_stored(self, standing: Sequence[Answer]) -> None:
        items = self.store.items()
        wanted = [items[one.item] for one in standing if one.item in items and one.item not in self._seen]
        self._see([(one.item, _value(one)) for one in wanted if one.file is None or Path(one.file).is_file()])

    def _learnable(self, log: Sequence[Answer], left: Sequence[str]) -> list[Answer]:
        """The corrections that are learned from: what the model was tuned with, and what is left out, is not."""
        return _standing(log[self._record.trained :], left)[-MOST_LEARNED:]

    def _write_table(self) -> None:
        """Write the corrections that count as a table that ``handful update`` reads."""
        store = self.store
        labels = {one.item: str(one.label) for one in _standing(store.log(), self._record.left_out)}
        text, _ = csv_text(store.items(), labels, self.place)
        with replaced_file(self.table) as fresh:
            fresh.write_bytes(text.encode("utf-8"))

    def _is_there(self) -> bool:
        return self._store is not None or (self.place / "corrections.sqlite").is_file()


def _standing(log: Sequence[Answer], left: Sequence[str]) -> list[Answer]:
    """The last correction of each item, of those that count; the latest at the end."""
    out, last = frozenset(left), dict[str, Answer]()
    for one in not_undone(log):
        if one.act == LABEL and one.id not in out:
            last.pop(one.item, None)
            last[one.item] = one
    return list(last.values())


def _value(stored: StoredItem) -> Any:
    """A stored item as a model takes it."""
    if stored.file is not None:
        return Path(stored.file)
    return str(stored.text) if stored.second is None else Pair(str(stored.text), stored.second)


def _digest(folder: Path) -> str:
    """What tells one shipped model from another."""
    try:
        return hashlib.sha256((model_folder(folder) / RECORD).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BundleError(f"{folder} cannot be read: {error.strerror or error}. Restore it.") from error
