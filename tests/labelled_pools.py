"""Small labellings to try the page on: texts of three kinds, seen by a toy backbone, and who labels them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handful.answer_store import AnswerStore
from handful.backbones import catalog
from handful.data.label_pool import LabelPool
from handful.features.extract import extract
from handful.regimes.active import ActiveLearner
from handful.tasks.registry import head_task
from handful.web.labelling.learning import Learning
from handful.web.labelling.making import Making
from handful.web.labelling.service import Labelling
from handful.web.labelling.session import Session
from handful.web.labelling.uploads import by_chance

_ids = itertools.count()

WORDS = {"ants": "hill march leaf crumb", "bees": "hive buzz wing honey", "wasps": "sting stripe jam fear"}


def texts(count: int = 24) -> list[str]:
    """Texts of the three kinds in turn."""
    kinds = list(WORDS.values())
    return [f"{kinds[i % 3].split()[i // 3 % 4]} {kinds[i % 3].split()[i % 4]} {i}" for i in range(count)]


def kind_of_text(text: str) -> str:
    """The class of a text."""
    return next(name for name, words in WORDS.items() if text.split()[0] in words.split())


def text_pool(count: int = 24, given: dict[int, str] | None = None) -> LabelPool:
    """A pool of texts."""
    return LabelPool("text", list(texts(count)), [""] * count, given or {}, "texts.txt", count)


def toy_look(modality: str = "text"):
    """Who looks at items without weights."""
    name = f"toy-{modality}"
    backbone = catalog.load(name, modality)

    def look(items: Sequence[Any]):
        seen = extract(backbone, items, backbone.search_depths[:1])
        return next(iter(seen.matrices.values())), seen.failed

    return look


def learner(features, task):
    """Who learns."""
    return ActiveLearner.on(features, task, seed=0)


def session_of(
    store: AnswerStore,
    pool: LabelPool | None = None,
    task: str = "classification",
    classes: Sequence[str] = tuple(WORDS),
) -> Session:
    """A session on a pool."""
    pool = text_pool() if pool is None else pool
    return Session(pool, store, head_task(task), by_chance(len(pool), 0), tuple(classes))


def labelling_of(folder: Path, pool: LabelPool | None = None, **more: Any) -> Labelling:
    """All that the page needs; a model is served nowhere."""
    session = session_of(AnswerStore(folder / "labels.sqlite"), pool, **more)
    modality = session.pool.modality
    learning = Learning(session, lambda: toy_look(modality), learner)
    making = Making(session, folder / "labels.csv", folder / "run", lambda run: "http://127.0.0.1:1")
    return Labelling(session, learning, making, folder / "labels.csv")


def answer(item: str, label: str | None, act: str = "label", **more: Any) -> dict[str, Any]:
    """One answer as the page sends it."""
    return {"id": np.base_repr(next(_ids), 16).zfill(8), "item": item, "act": act, "label": label, **more}
