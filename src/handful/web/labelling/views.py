"""What the page is told: an item with what the model thinks of it, and how far the labelling has come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handful.data.pairs import Pair
from handful.data.sentences import bounds_of
from handful.evaluation.agreement import Agreement
from handful.evaluation.curves import told
from handful.regimes.active import Asked, Progress
from handful.web.labelling.learning import Learning
from handful.web.labelling.session import Session

LONGEST = 20_000
"""Characters of a text that are shown."""
MOST_SHARES = 8
"""So many names are told with how probable they are."""


def item_view(session: Session, position: int, person: str, asked: Asked | None = None) -> dict[str, Any]:
    """One item.

    Args:
        session: where it belongs.
        position: in the pool.
        person: who looks at it.
        asked: why it is asked; None where somebody looked for it.
    """
    item, guess, before = session.pool.items[position], session.fit.guess(position), session.said(position, person)
    view: dict[str, Any] = {
        "item": session.identify(position), "name": session.pool.names[position], "kind": session.pool.modality,
        "how": asked.how if asked else "searched", "why": asked.why if asked else "",
        "before": None if before is None else {"act": before.act, "label": before.label},
        "label": session.labelled().get(position, (None, ""))[0],
    }  # fmt: skip
    if not isinstance(item, Path):
        first, second = (item.first, item.second) if isinstance(item, Pair) else (item, None)
        view |= {"text": first[:LONGEST], "second": None if second is None else second[:LONGEST]}
        if session.labels.kind == "spans":
            view["words"] = bounds_of(first).tolist()  # characters from and to, as Python counts them
    if guess is not None:
        most = sorted(guess.shares.items(), key=lambda share: -share[1])[:MOST_SHARES]
        view["guess"] = {"label": guess.label, "confidence": round(guess.confidence, 4),
                         "shares": [[name, round(share, 4)] for name, share in most]}  # fmt: skip
    return view


def state_view(session: Session, learning: Learning, person: str) -> dict[str, Any]:
    """How far the labelling has come."""
    people = {name: len(labels) for name, labels in session.people().items()}
    counts: dict[str, int] = {}
    for label, _ in session.labelled().values():
        for name in session.labels.parts(label):
            counts[name] = counts.get(name, 0) + 1
    fit = session.fit
    return {
        "source": Path(session.pool.source).name, "kind": session.pool.modality, "task": session.task.name,
        "asks": session.labels.kind, "notes": list(session.pool.notes),
        "classes": [{"name": name, "count": counts.get(name, 0)} for name in session.labels.names],
        "counts": dict(session.counts()), "looked": learning.looked, "fit": fit.version, "problem": learning.problem,
        "progress": None if fit.progress is None else progress_view(fit.progress),
        "people": people, "own": people.get(person, 0), "agreement": [_agreement(one) for one in session.agreement()],
    }  # fmt: skip


def progress_view(progress: Progress) -> dict[str, Any]:
    """The score with its interval, the curve, and what more labels are worth."""
    scale, estimate = progress.scale, progress.estimate
    view: dict[str, Any] = {
        "labels": progress.n, "checked": progress.checked, "advice": progress.advice, "may_stop": progress.may_stop,
        "estimate": None, "curve": [], "over_random": "",
    }  # fmt: skip
    if estimate is not None:
        view["estimate"] = {
            **estimate.as_dict(), "told": estimate.told(scale), "percent": scale.percent, "scale": scale.title,
            "between": scale.between(estimate.low, estimate.high, "to"),
        }  # fmt: skip
    if progress.curve is not None:
        view["curve"] = [{"labels": point.rows, **point.score.as_dict()} for point in progress.curve.points]
    if progress.over_random is not None:
        view["over_random"] = told(progress.over_random.gain, scale)
    return view


def _agreement(one: Agreement) -> dict[str, Any]:
    return {
        "people": list(one.people), "n": one.n, "share": one.share.as_dict(), "apart": list(one.apart[:20]),
        "kappa": None if one.kappa is None else round(one.kappa, 3),
    }  # fmt: skip


def items_view(session: Session, positions: Sequence[int], person: str) -> list[dict[str, Any]]:
    """Several items that somebody looked for."""
    return [item_view(session, position, person) for position in positions]
