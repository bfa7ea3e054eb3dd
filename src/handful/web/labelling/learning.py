"""Behind the page the pool is looked at, and after each answer the model learns and chooses what is next."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handful.errors import DataError, HandfulError
from handful.features.view import unit_rows
from handful.regimes.active import HOWS, Asked, Doubt, PartRows, Rows
from handful.tasks.base import HeadTask
from handful.web.labelling.guessing import Fit, Learner, Look
from handful.web.labelling.session import Session

logger = logging.getLogger(__name__)

Make = Callable[[Rows, HeadTask], Learner]
"""What was seen in n items and what is wanted of one → who learns from answers."""

AHEAD = 24
"""So many questions are chosen ahead, so that a key press is answered at once."""
SLICE = 32
"""So many items are looked at before answers are learned from again."""
FIRST, GROWTH = 250, 4
"""After so many items were looked at the model begins; it begins again whenever there are so many times more."""


class Learning:
    """One thread that looks at the pool, learns from answers, and replaces what the session knows of the model."""

    def __init__(self, session: Session, load: Callable[[], Look], make: Make) -> None:
        """Prepare; nothing happens before ``start``.

        Args:
            session: what is learned from.
            load: loads who looks at items; called in the thread, since it may take seconds.
            make: makes who learns.
        """
        self._session, self._load, self._make = session, load, make
        self._wake, self._lock = threading.Condition(), threading.Lock()
        self._dirty, self._ended, self._idle = True, False, False
        self._look: Look | None = None
        self._vectors: dict[int, NDArray[np.floating]] = {}
        self._looked: set[int] = set()
        self._passed = 0  # so many of the first items of the order by chance were looked at
        self._learner: Learner | None = None
        self._rows: dict[int, int] = {}
        self._told: dict[int, str] = {}
        self.problem = ""
        """Why nothing is learned; empty while all is well."""
        self._thread = threading.Thread(target=self._work, name="learning", daemon=True)

    # For the page ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def poke(self) -> None:
        """Answers or items have changed."""
        with self._wake:
            self._dirty, self._idle = True, False
            self._wake.notify_all()

    def end(self) -> None:
        """Stop after what is being done."""
        with self._wake:
            self._ended = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Wait until all is looked at and learned; whether it is."""
        with self._wake:
            return self._wake.wait_for(lambda: self._idle or self._ended, seconds)

    @property
    def looked(self) -> int:
        """How many items were looked at."""
        return len(self._looked)

    def doubtful(self, count: int) -> Doubt:
        """Labels worth a second look, by position in the pool."""
        with self._lock:
            if self._learner is None:
                return Doubt((), (), None)
            found = self._learner.doubtful(count)
            positions = list(self._rows)
            return replace(found, rows=tuple(positions[row] for row in found.rows))

    def like_text(self, text: str) -> list[int]:
        """The items that were looked at, those that say most nearly the same as a text first."""
        look, fit = self._look, self._session.fit
        if look is None or fit.features is None or self._session.pool.modality != "text":
            return []
        seen, failed = look([text])
        return [] if failed else fit.nearest(_wholes(self._rows_of(seen, [text]))[0])

    # The thread ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._ended:
            try:
                worked = self._step()
                self.problem = ""
            except HandfulError as error:
                worked = False
                self._tell(str(error))
            except Exception:  # the page goes on asking by chance, and says that nothing is learned
                worked = False
                logger.exception("the model cannot learn from the answers")
                self._tell("the model cannot learn from the answers; why is on the standard error of the server.")
            with self._wake:
                if not worked and not self._dirty:
                    self._idle = True
                    self._wake.notify_all()
                    self._wake.wait_for(lambda: self._dirty or self._ended)

    def _tell(self, why: str) -> None:
        self.problem = why
        with self._wake:
            self._dirty = False

    def _step(self) -> bool:
        """Do what is most urgent; whether there was anything to do."""
        if self._look is None:
            self._look = self._load()
        if self._dirty and self._learner is not None:
            with self._wake:
                self._dirty = False
            self._learn()
            return True
        missing = self._missing(SLICE + 1)
        if missing:
            self._see(missing[:SLICE])
            if self._is_time(len(missing) > SLICE):
                self._begin()
            return True
        with self._wake:
            self._dirty = self._dirty and self._learner is not None
        return False

    def _missing(self, most: int) -> list[int]:
        """Some positions that are still to be looked at: labelled ones first, then by chance."""
        order = self._session.by_chance
        while self._passed < len(order) and order[self._passed] in self._looked:
            self._passed += 1  # a pool of 100,000 is not gone through from its beginning for every few items
        fresh = (position for position in islice(order, self._passed, None) if position not in self._looked)
        labelled = (position for position in self._session.labelled() if position not in self._looked)
        return list(islice(dict.fromkeys(chain(labelled, islice(fresh, most))), most))

    def _see(self, positions: Sequence[int]) -> None:
        assert self._look is not None
        items: list[Any] = [self._session.pool.items[position] for position in positions]
        seen, failed = self._look(items)  # (n, D)
        for row, position in enumerate(positions):
            if row in failed:
                self._session.failed[position] = failed[row]
            else:
                self._vectors[position] = seen[row]
                self._check(position)
        self._looked.update(positions)

    def _check(self, position: int) -> None:
        try:
            self._session.check(position)
        except (OSError, DataError) as error:
            self._session.failed[position] = str(error)

    def _is_time(self, more: bool) -> bool:
        """Whether the model begins, or begins again with more items."""
        return bool(self._vectors) and (not more or len(self._vectors) >= max(FIRST, GROWTH * len(self._rows)))

    def _begin(self) -> None:
        """Make who learns anew, of all items that were looked at."""
        positions = sorted(self._vectors)
        items = [self._session.pool.items[position] for position in positions]
        rows = self._rows_of([self._vectors[position] for position in positions], items)
        features, learner = _wholes(rows), self._make(rows, self._session.task)
        with self._lock:
            self._learner, self._rows, self._told = learner, {p: row for row, p in enumerate(positions)}, {}
        self._session.fit = replace(self._session.fit, rows=self._rows, features=features, outputs=None, queue=())
        self._dirty = True

    def _rows_of(self, seen: Sequence[NDArray[np.floating]] | NDArray[np.float32], items: Sequence[Any]) -> Rows:
        """What was seen in n items, as it is learned from."""
        return PartRows.of(list(seen), items) if self._session.task.grain else unit_rows(np.stack(list(seen)))

    def _learn(self) -> None:
        """Learn from the answers that stand, and choose what to ask; then say how far it has come."""
        assert self._learner is not None
        learner, positions = self._learner, list(self._rows)
        with self._lock:
            self._catch_up(learner, positions)
            learner.refit()
            away = [self._rows[p] for p in {*self._session.touched(), *self._session.failed} if p in self._rows]
            queue = tuple(
                Asked(positions[one.index], one.how, one.why, one.probabilities) for one in learner.next(AHEAD, away)
            )
            before = self._session.fit
            fit = Fit(
                before.version + 1, learner.answering, learner.names, self._rows, learner.guesses(), before.features,
                queue, before.progress,
            )  # fmt: skip
            self._session.fit = fit
        self._session.fit = replace(fit, progress=learner.progress())

    def _catch_up(self, learner: Learner, positions: Sequence[int]) -> None:
        """Tell the learner what is said now of the items that it knows, which have these positions in the pool."""
        now = {self._rows[p]: said for p, said in self._session.labelled().items() if p in self._rows}
        for row in [row for row, label in self._told.items() if row not in now or now[row][0] != label]:
            learner.forget(row)
            del self._told[row]
        for row, (label, how) in now.items():
            if row not in self._told:
                item = self._session.pool.items[positions[row]]
                learned = self._session.labels.learned(label, item)
                learner.answer(row, learned, how if how in HOWS else "searched")
                self._told[row] = label


def _wholes(rows: Rows) -> NDArray[np.float32]:
    """(n, D) what was seen in n items as wholes, of length one."""
    return rows.means if isinstance(rows, PartRows) else rows
