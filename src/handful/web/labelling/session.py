"""One labelling: the pool, who said what of it, and what each person is asked next; safe for many requests at once."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handful.answer_store import LABEL, Answer, AnswerStore, StoredItem, agreed_labels
from handful.data.cells import shown
from handful.data.dataset import item_hash
from handful.data.label_pool import LabelPool
from handful.data.pairs import Pair
from handful.errors import DataError
from handful.evaluation.agreement import Agreement, agreements
from handful.regimes.active import Asked
from handful.tasks.base import HeadTask
from handful.web.labelling.guessing import Fit
from handful.web.labelling.labels import Labels
from handful.web.questions import RefusedError

GIVEN = "(the pool)"
"""The person who said what the pool came with."""
LEASE = 300.0
"""For so many seconds an item that one person was shown is not shown to another."""
OVERLAP = 0.1
"""Of so large a share of a person's questions somebody else answered too: how much people agree rests on these."""

# What stands before the id of a text that was dropped on the page.
_DROPPED = "dropped "
_TOGETHER = "Somebody else labelled it too: by such items it is told how much you agree."
_BY_CHANCE = "Drawn by chance: the score rests on such items."


@dataclass
class Session:
    """One labelling."""

    pool: LabelPool
    """The items; those that are dropped on the page come after them."""
    store: AnswerStore
    """The answers."""
    task: HeadTask
    """What is wanted of an item."""
    by_chance: Sequence[int]
    """The positions of the pool in an order that knows nothing of them."""
    classes: tuple[str, ...] = ()
    """Classes that are known from the start."""
    fit: Fit = field(init=False)
    """What the model says; replaced by each fit."""
    failed: dict[int, str] = field(default_factory=dict)
    """Position → why it cannot be read."""
    labels: Labels = field(init=False)
    """Which labels there are, and what may be one."""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: dict[int, str] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)
    _standing: list[Answer] = field(default_factory=list)
    _leases: dict[int, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fit = Fit(0, self.task)
        self.labels = Labels(self.store, self.task.name)
        self.by_chance = list(self.by_chance)
        self._recognise()
        for name in self.classes:
            self.labels.add(name)
        self._take_given()
        self._standing = self.store.standing()

    # The items -------------------------------------------------------------------------------------------------------

    def _recognise(self) -> None:
        """Find items that the store knows, and those that were dropped on the page before."""
        known = self.store.items()
        by_file = {item.file: name for name, item in known.items() if item.file}
        for position, item in enumerate(self.pool.items):
            if isinstance(item, Path):
                if (name := by_file.get(str(item.absolute()))) is not None:
                    self._name(position, name)
            else:
                self._name(position, item_hash(item))
        dropped = set(self.store.facts(_DROPPED))
        for name, item in known.items():
            if name in self._places or item.modality != self.pool.modality:
                continue
            if item.file and Path(item.file).parent == self.store.kept.absolute():
                self._append(name, Path(item.file), "")
            elif item.text is not None and _DROPPED + name in dropped:
                self._append(name, item.text if item.second is None else Pair(item.text, item.second), "")

    def _take_given(self) -> None:
        """Keep labels that the pool came with as answers; those that are kept already are not kept twice."""
        answers, items, refused = [], [], []
        for position, label in self.pool.given.items():
            try:
                written = self.labels.given(label, self.pool.items[position])
            except RefusedError as error:
                refused.append(f'"{shown(str(self.pool.names[position] or self.pool.items[position]))[:60]}": {error}')
                continue
            item = StoredItem.of(self.pool.items[position], self.pool.modality)
            self._name(position, item.item)
            mark = hashlib.sha256(f"{item.item} {written}".encode()).hexdigest()[:40]
            items.append(item)
            answers.append(Answer(item.item, LABEL, written, GIVEN, "given", id=f"given-{mark}"))
        self.store.add(answers, items)
        if refused:
            many = f"{len(refused):,} labels" if len(refused) > 1 else "1 label"
            verb, first = ("are", "the first, of ") if len(refused) > 1 else ("is", "of ")
            note = f"{many} that the pool came with cannot be taken and {verb} asked for again; {first}{refused[0]}"
            self.pool.notes = (*self.pool.notes, note)

    def _name(self, position: int, name: str) -> None:
        """Remember what an item is called by its content; of several with the same the first is asked about."""
        before = self._ids.get(position)
        if before is not None and before != name and self._places.get(before) == position:
            del self._places[before]
        self._ids[position] = name
        self._places.setdefault(name, position)

    def identify(self, position: int) -> str:
        """The name of an item by its content.

        Raises:
            OSError: its file cannot be read.
            DataError: it is no ordinary file, or too large.
        """
        with self._lock:
            if (known := self._ids.get(position)) is not None:
                return known
        name = item_hash(self.pool.items[position])
        with self._lock:
            self._name(position, name)
        return name

    def check(self, position: int) -> None:
        """Look at the content of a file again: one that changed since it was labelled is another item."""
        item = self.pool.items[position]
        if isinstance(item, Path):
            name = item_hash(item)
            with self._lock:
                self._name(position, name)

    def position(self, name: str) -> int:
        """Where an item stands in the pool.

        Raises:
            RefusedError: there is none of that name.
        """
        with self._lock:
            if name not in self._places:
                raise RefusedError(
                    f"item must be one that this page showed, got {shown(name[:70])!r}. Load the page again.",
                    "item",
                    404,
                )
            return self._places[name]

    def drop(self, items: Sequence[StoredItem]) -> int:
        """Take items that were dropped on the page into the pool; how many were not in it yet."""
        self.store.keep(items)
        new = 0
        for item in items:
            if item.text is not None:
                self.store.set_fact(_DROPPED + item.item, "1")
            with self._lock:
                if item.item in self._places:
                    continue
                self._append(item.item, Path(item.file) if item.file else item.text, "")
                new += 1
        return new

    def _append(self, name: str, item: Any, called: str) -> None:
        self.pool.items.append(item)
        self.pool.names.append(called)
        self._name(len(self.pool.items) - 1, name)
        self.by_chance.append(len(self.pool.items) - 1)  # type: ignore[attr-defined]

    # What was said ---------------------------------------------------------------------------------------------------

    def accept(self, answers: Sequence[Answer]) -> list[bool]:
        """Keep answers; they are on the disk when this returns.

        Returns:
            Of each whether it is new; one that was sent before is accepted again and changes nothing.

        Raises:
            RefusedError: one is about no item of the pool, or is no label.
            MachineError: they cannot be written; none is kept.
        """
        full, items = [], []
        for answer in answers:
            position = self.position(answer.item)
            fit = self.fit
            guess = fit.guess(position)
            label = self.labels.checked(answer.label, self.pool.items[position]) if answer.act == LABEL else None
            items.append(self._stored(answer.item, position))
            full.append(
                Answer(
                    answer.item, answer.act, label, answer.person, answer.asked,
                    guess.label if guess else None, guess.confidence if guess else None,
                    f"fit {fit.version}" if guess else None, id=answer.id,
                )
            )  # fmt: skip
        with self._lock:
            new = self.store.add(full, items)
            for answer, is_new in zip(full, new, strict=True):
                if is_new:
                    self._stand(answer)
                    self._leases.pop(self._places[answer.item], None)
        return new

    def _stored(self, name: str, position: int) -> StoredItem:
        item = self.pool.items[position]
        if isinstance(item, Path):
            return StoredItem(name, self.pool.modality, file=str(item.absolute()))
        return StoredItem.of(item, self.pool.modality)

    def _stand(self, answer: Answer) -> None:
        key = (answer.item, answer.person)
        self._standing = [*(one for one in self._standing if (one.item, one.person) != key), answer]

    def undo(self, person: str, name: str) -> Answer | None:
        """Take back the last answer of a person that stands; None where there is none.

        Args:
            person: who.
            name: the id of the taking back, made by whoever asks for it; sent twice it is done once.
        """
        with self._lock:
            back = self.store.undo(person, id=name)
            self._standing = self.store.standing()
        return back[0] if back else None

    def said(self, position: int, person: str) -> Answer | None:
        """What a person said of an item last."""
        name = self._ids.get(position)
        with self._lock:
            return next((one for one in self._standing if one.item == name and one.person == person), None)

    def labelled(self) -> dict[int, tuple[str, str]]:
        """Position → label and why it was asked, in the order in which items were first labelled."""
        with self._lock:
            standing = list(self._standing)
            how: dict[str, str] = {}
            for answer in standing:
                if answer.act == LABEL:
                    how.setdefault(answer.item, answer.asked)
            agreed = agreed_labels(standing)
            return {self._places[item]: (agreed[item], how[item]) for item in how if item in self._places}

    def done(self, person: str) -> set[int]:
        """Positions that a person has nothing more to say of: anybody's labels, and what the person passed on."""
        with self._lock:
            return {
                self._places[one.item]
                for one in self._standing
                if one.item in self._places and (one.act == LABEL or one.person == person)
            }

    def touched(self) -> set[int]:
        """Positions of which anybody said anything that stands."""
        with self._lock:
            return {self._places[one.item] for one in self._standing if one.item in self._places}

    # What is asked ---------------------------------------------------------------------------------------------------

    def next(self, person: str, count: int) -> list[Asked]:
        """What a person is asked next, by position in the pool; fewer where fewer are left."""
        with self._lock:
            now = time.monotonic()
            self._leases = {p: own for p, own in self._leases.items() if own[1] > now and own[0] != person}
            away = self.done(person) | set(self._leases) | set(self.failed)
            questions: list[Asked] = []
            for asked in self._candidates(person):
                if len(questions) == count:
                    break
                if (asked.index in away and asked.why != _TOGETHER) or not self._can_be_read(asked.index):
                    continue
                if any(asked.index == other.index for other in questions):
                    continue
                questions.append(asked)
                self._leases[asked.index] = (person, now + LEASE)
            self.store.keep([self._stored(self._ids[one.index], one.index) for one in questions])
            return questions

    def _candidates(self, person: str) -> Iterable[Asked]:
        if (together := self._together(person)) is not None:
            yield Asked(together, "control", _TOGETHER, None)
        yield from self.fit.queue
        for position in self.by_chance:
            yield Asked(position, "control", _BY_CHANCE, None)

    def _together(self, person: str) -> int | None:
        """An item that somebody else labelled, where this person's turn has come to label one too."""
        people = self.people()
        own, others = people.get(person, {}), [x for name, x in people.items() if name != person]
        theirs = {item for labels in others for item in labels}
        if not theirs or sum(item in theirs for item in own) >= OVERLAP * (len(own) + 1):
            return None
        passed = {one.item for one in self._standing if one.person == person}
        chance = [one.item for one in self._standing if one.asked == "control" and one.item in theirs]
        free = [item for item in [*chance, *sorted(theirs)] if item not in passed and item in self._places]
        return self._places[free[0]] if free else None

    def _can_be_read(self, position: int) -> bool:
        """Whether an item can be shown; where not, that is remembered. A repeated one is not asked about."""
        if position in self.failed:
            return False
        try:
            return self._places.get(self.identify(position)) == position
        except (OSError, DataError) as error:
            self.failed[position] = str(error)
            return False

    # Who -------------------------------------------------------------------------------------------------------------

    def people(self) -> dict[str, dict[str, str]]:
        """Person → item → label, of everybody but the pool itself."""
        with self._lock:
            found: dict[str, dict[str, str]] = {}
            for one in self._standing:
                if one.label is not None and one.person != GIVEN:
                    found.setdefault(one.person, {})[one.item] = one.label
            return found

    def agreement(self) -> list[Agreement]:
        """How much each two people agree."""
        return agreements(self.people())

    def counts(self) -> Mapping[str, int]:
        """How many items there are, how many are labelled, passed on, unsure, repeated, unreadable."""
        with self._lock:
            agreed = agreed_labels(self._standing)
            acts = {one.item: one.act for one in self._standing if one.item not in agreed}
            return {
                "items": len(self.pool.items),
                "labelled": sum(item in self._places for item in agreed),
                "skipped": sum(act == "skip" for act in acts.values()),
                "unsure": sum(act == "unsure" for act in acts.values()),
                "repeated": len(self._ids) - len(self._places),
                "unreadable": len(self.failed),
            }
