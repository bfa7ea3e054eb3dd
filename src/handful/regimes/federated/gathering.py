"""The part of the coordinator: who has sent what, what is made of it, and who is left out, with the reason.

A gathering goes through three phases. Sites send sums; then they answer how heads fare on their rows; then they have
the model, and say whether they gain. Where weights move together, they do so before the model is made, step by step.
Each ends when all have sent, or when the time for it is over; whoever has not
sent by then is left out and named. Nothing here knows how things are sent.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handful.data.cells import shown
from handful.errors import DataError
from handful.regimes.federated import wire
from handful.regimes.federated.alike import Pair, alike
from handful.regimes.federated.averaging import size_of
from handful.regimes.federated.gains import VERDICTS
from handful.regimes.federated.heads import Maps
from handful.regimes.federated.joint import Joint, fitted, fold_maps, with_moved
from handful.regimes.federated.members import Member, in_bytes
from handful.regimes.federated.privacy import Noise
from handful.regimes.federated.rounds import Moving
from handful.regimes.federated.site import factors_of
from handful.regimes.federated.steps import TRAIN
from handful.regimes.federated.sums import Sums, check_sums
from handful.regimes.federated.terms import Terms, mismatch
from handful.regimes.federated.votes import Votes, added, check_votes

SUMS, ANSWERS, ROUNDS, VERDICT, DONE, FAILED = "sums", "answers", "rounds", "verdict", "done", "failed"
"""The phases, and how it ends."""
SILENT = 60.0
"""Who has not been heard of for so many seconds is not waited for any more."""
FEWEST = 2
"""Fewer sites than this fit nothing together."""
_LONGEST = 60
# What a site is missing from that is not waited for any more, by the phase.
_WITHOUT = {
    ANSWERS: "its rows count in the model but not in the score",
    ROUNDS: "its rows count where weights stay, but no longer where they move",
    VERDICT: "it never said whether it gains",
}


@dataclass
class Gathering:
    """Sites fit one model together."""

    terms: Terms
    """What is asked of them."""
    expected: int
    """How many sites there will be."""
    wait: float
    """So many seconds each phase may take."""
    clock: Callable[[], float]
    """Tells the time in seconds."""
    tell: Callable[[str], None] = lambda said: None
    """Told what happens, a sentence each."""
    noise: Noise | None = None
    """What each site adds; None where nothing is."""
    moving: Moving | None = None
    """How weights move together; None where none do."""
    phase: str = SUMS
    """Where it stands."""
    members: dict[str, Member] = field(default_factory=dict)
    """Name → site that takes part, or took part until it was left out."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Name → why it does not take part, or no longer does."""
    remarks: list[str] = field(default_factory=list)
    """What is to be known of the result, a sentence each."""
    failure: str = ""
    """Why nothing was made."""
    joint: Joint | None = None
    """The model."""
    together: Sums | None = None
    """The sums of all sites so far."""

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._maps: list[Maps] = []
        self._heads = self._model = b""

    def join(self, said: Mapping[str, Any]) -> str:
        """Take in a site, or say why not.

        Args:
            said: what it says of itself: ``name`` and what ``terms.mismatch`` compares.

        Returns:
            The key that it has to know from now on.

        Raises:
            DataError: it cannot take part.
        """
        name = said.get("name")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= _LONGEST:
            raise DataError(f"a site must have a name of 1 to {_LONGEST} letters, got {name!r}. Use --name.")
        if self.phase != SUMS:
            self.left_out.setdefault(name, "it came too late")
            raise DataError(
                f"{shown(name)} must come while sums are gathered, got there too late: the model is being made without "
                "it. Ask for another fit."
            )
        before = self.members.get(name)
        if before is not None and before.classes is not None:
            raise DataError(
                f"the site {shown(name)} must join once, but has sent its sums already. Use another --name."
            )
        why = mismatch(self.terms, said)
        if why:
            self._leave_out(name, why)
            raise DataError(f"{shown(name)} cannot take part: {why}.")
        self.left_out.pop(name, None)
        self.members[name] = Member(name, secrets.token_urlsafe(16), self.clock())
        self.tell(f"{shown(name)} joined")
        return self.members[name].key

    def member(self, name: str, key: str) -> Member:
        """The site that speaks.

        Raises:
            DataError: it has not joined, or another one speaks for it; or it was left out.
        """
        known = self.members.get(name)
        if known is None or not secrets.compare_digest(known.key.encode(), key.encode("utf-8", "replace")):
            raise DataError(f"the site {shown(name)} must join first, with its own key. Start it again.")
        known.seen = self.clock()
        if name in self.left_out:
            raise DataError(f"{shown(name)} was left out: {self.left_out[name]}.")
        return known

    def take_sums(self, name: str, key: str, body: bytes) -> None:
        """Add the sums of a site.

        Raises:
            DataError: they cannot be used, and the site is left out; or it is too late for them.
        """
        member = self.member(name, key)
        digest = hashlib.sha256(body).digest()
        if member.classes is not None and digest == member.digest:
            return  # sent again, since the answer was lost on the way
        self._check_phase(member, SUMS)
        if member.classes is not None:
            raise DataError(f"{shown(name)} must send its sums once, but others are here already.")
        try:
            sums = wire.unpack_sums(body, self.terms)
            check_sums(sums, noise=self.noise is not None)
        except DataError as error:
            self._leave_out(name, str(error).rstrip("."))
            raise DataError(f"{shown(name)} was left out: {error}") from error
        self.together = sums if self.together is None else self.together.joined(sums)
        member.rows, member.digest = sums.counts.sum(1), digest
        member.classes = tuple(name for name, own in zip(sums.names, sums.counts.sum(0), strict=True) if own > 0)
        member.received += len(body)
        self.tell(f"{shown(name)} sent its sums: {in_bytes(len(body))}")
        self.advance()

    def heads(self, name: str, key: str) -> bytes | None:
        """The heads of all folds, for a site to try on its rows; None while sums are gathered."""
        member = self.member(name, key)
        self.advance()
        if not self._heads:
            return None
        member.sent += len(self._heads)
        return self._heads

    def take_votes(self, name: str, key: str, body: bytes) -> None:
        """Add what the rows of a site say of the heads.

        Raises:
            DataError: it cannot be used, and does not count; or it is too late for it.
        """
        member = self.member(name, key)
        if member.votes is not None:
            return
        self._check_phase(member, ANSWERS)
        try:
            votes = wire.unpack_votes(body, self.terms, len(factors_of(self.terms)))
            check_votes(votes, member.rows if self.noise is None else None)
        except DataError as error:
            self._leave_out(name, f"its rows count in the model but not in the score, since {error}".rstrip("."))
            raise DataError(f"{shown(name)} was left out: {error}") from error
        member.votes, member.received = votes, member.received + len(body)
        self.advance()

    def next_step(self, name: str, key: str, after: int) -> bytes | None:
        """What is asked for next where weights move together; None while a site has to wait for it.

        Args:
            name: of the site.
            key: by which it is known.
            after: the number of the last step that it had; 0 for none.
        """
        member = self.member(name, key)
        self.advance()
        if self.moving is None or self.phase in (SUMS, ANSWERS) or self.moving.step.number <= after:
            return None
        body = self.moving.step.encoded()
        member.sent += len(body)
        return body

    def take_reply(self, name: str, key: str, body: bytes) -> None:
        """Add what a site replies to a step; what comes too late for it does not count.

        Raises:
            DataError: it cannot be used, and the site is left out.
        """
        member = self.member(name, key)
        if self.moving is None or self.phase != ROUNDS:
            return
        try:
            if not self.moving.take(name, member.rows, body):
                return
        except DataError as error:
            self._leave_out(name, f"its rows count where weights stay, but not where they move: {error}".rstrip("."))
            raise DataError(f"{shown(name)} was left out: {error}") from error
        member.received += len(body)
        self.advance()

    def model(self, name: str, key: str) -> bytes | None:
        """The model for a site; None while it is being made."""
        member = self.member(name, key)
        self.advance()
        if not self._model:
            return None
        member.sent += len(self._model)
        return self._model

    def take_verdict(self, name: str, key: str, verdict: Any) -> None:
        """Note whether a site gains.

        Raises:
            DataError: it says nothing of the kind.
        """
        member = self.member(name, key)
        if member.verdict is not None:
            return
        self._check_phase(member, VERDICT)
        if verdict not in VERDICTS:
            raise DataError(f"a verdict must be one of {', '.join(VERDICTS)}, got {verdict!r}.")
        member.verdict = verdict
        self.advance()

    @property
    def weight_bytes(self) -> int:
        """How many bytes weights that move together are."""
        return 0 if self.moving is None else 4 * size_of(self.moving.start)

    @property
    def verdicts(self) -> Counter[str]:
        """Verdict → how many sites came to it."""
        return Counter(member.verdict for member in self.members.values() if member.verdict is not None)

    @property
    def taking_part(self) -> list[Member]:
        """The sites whose rows the model is made of."""
        return [member for member in self.members.values() if member.classes is not None]

    def advance(self) -> None:
        """Go on to the next phase where nobody is to be waited for any more."""
        if self.phase == SUMS and self._sums_are_in():
            self._begin(ANSWERS, self._make_heads)
        if self.phase == ANSWERS and self._are_in(lambda member: member.votes is not None):
            self._begin(*((VERDICT, self._make_model) if self.moving is None else (ROUNDS, self._begin_rounds)))
        while self.phase == ROUNDS and self._are_in(self._replied):
            self._go_on()
        if self.phase == VERDICT and self._are_in(lambda member: member.verdict is not None):
            self.phase = DONE

    def _begin(self, phase: str, make: Callable[[], None]) -> None:
        try:
            make()
        except DataError as error:
            self.phase, self.failure = FAILED, str(error)
            return
        self.phase, self._began = phase, self.clock()

    def _over(self) -> bool:
        return self.clock() - self._began >= self.wait

    def _sums_are_in(self) -> bool:
        if len(self.taking_part) + len(self.left_out) >= self.expected:
            return True
        if not self._over():
            return False
        for member in self.members.values():
            if member.classes is None and member.name not in self.left_out:
                self._leave_out(member.name, f"it sent no sums within {self.wait:g} seconds")
        absent = self.expected - len(self.taking_part) - len(self.left_out)
        if absent > 0:
            self._remark(f"{absent} of {self.expected} sites did not come within {self.wait:g} seconds")
        return True

    def _are_in(self, sent: Callable[[Member], bool]) -> bool:
        """Whether all sites have sent what the phase is about, but for those who are not waited for any more."""
        pending = [member for member in self.taking_part if not sent(member) and member.name not in self.left_out]
        for member in pending:
            silent = self.clock() - max(member.seen, self._began) >= SILENT
            if silent or self._over():
                if self._may_be_late(silent):
                    self.tell(f"{shown(member.name)} is too late for this round, which goes on without it")
                    continue
                gone = (
                    f"has not been heard of for {SILENT:g} seconds"
                    if silent
                    else f"took more than {self.wait:g} seconds"
                )
                self._leave_out(member.name, f"{_WITHOUT[self.phase]}, since it {gone}")
        return self._over() or all(member.name in self.left_out for member in pending)

    def _may_be_late(self, silent: bool) -> bool:
        """Whether a site that is not waited for any more may take part in the next step."""
        return self.phase == ROUNDS and self.moving is not None and self.moving.step.kind == TRAIN and not silent

    def _replied(self, member: Member) -> bool:
        assert self.moving is not None
        return member.name in self.moving.replied or member.votes is None

    def _begin_rounds(self) -> None:
        assert self.together is not None and self.moving is not None
        self.moving.begin(self.together, added(self._votes()))

    def _go_on(self) -> None:
        assert self.moving is not None
        self.moving.go_on()
        self._began = self.clock()
        if self.moving.failure:
            self._remark(f"weights did not move together, and the model keeps frozen ones: {self.moving.failure}")
        if self.moving.over:
            self._begin(VERDICT, self._make_model)

    def _votes(self) -> list[Votes]:
        return [member.votes for member in self.taking_part if member.votes is not None]

    def _make_heads(self) -> None:
        sites = self.taking_part
        if len(sites) < FEWEST or self.together is None:
            who = "".join(f"; {shown(name)}: {why}" for name, why in self.left_out.items())
            raise DataError(
                f"{FEWEST} sites at least must send sums that can be used, got {len(sites)} of {self.expected}{who}. "
                "Put that right and start again."
            )
        if self.noise is None and np.count_nonzero(self.together.counts.sum(0)) < FEWEST:
            raise DataError("the rows of all sites must be of 2 classes at least, got 1. Add a site with another.")
        for pair in self._alike():
            self._remark(pair.sentence)
        self._maps = fold_maps(self.together, self.terms, self.noise, len(sites))
        self._heads = wire.pack_maps(self._maps, self.together.names)
        self.tell(f"{len(sites)} sites sent sums; heads are tried on their rows")

    def _alike(self) -> list[Pair]:
        """Classes under two names; after noise means tell nothing of the kind, and names were given beforehand."""
        assert self.together is not None
        if self.noise is not None:
            return []
        sites = {member.name: member.classes for member in self.taking_part if member.classes is not None}
        return alike(sites, self.together.whole())

    def _make_model(self) -> None:
        assert self.together is not None
        votes = self._votes()
        joint = fitted(self.together, votes, self.terms, self.noise, len(self.taking_part))
        if self.moving is not None:
            joint = with_moved(joint, added(votes), self.moving.moved, self.terms)
        self.joint = joint
        told = {**joint.measured, "remarks": self.remarks}
        self._model = wire.pack_model(joint.coef, joint.intercept, joint.names, joint.choice, told, joint.arms)
        self.tell("the model is made")

    def _check_phase(self, member: Member, phase: str) -> None:
        if self.phase == FAILED:
            raise DataError(f"nothing was made: {self.failure}")
        if self.phase != phase:
            raise DataError(f"{shown(member.name)} must send its {phase} while they are gathered, got it too late.")

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out[name] = why
        self.tell(f"{shown(name)} is left out: {shown(why)}")

    def _remark(self, said: str) -> None:
        self.remarks.append(said)
        self.tell(said)
