"""Runs made by hand for the tests of the report: any items, any number of classes, any quality of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from handful.data.dataset import Dataset
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import Held, Rows, assemble
from handful.export.bundle import Bundle
from handful.features.view import View
from handful.inspection.findings import Finding
from handful.plan import Plan
from handful.run import Run
from handful.tasks.classification import CLASSIFICATION

BACKBONE = {"text": "minilm-l6", "image": "efficientnet-lite0", "sound": "speech-embedding"}
REPEATS = 5
SECONDS = {"read": 0.04, "load": 0.61, "look": 1.32, "select": 0.94, "fit": 0.08}
SETTING = {"head": "logistic", "view": "minilm-l6@5", "penalty": 0.1, "name_weight": None}


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    return build_run


def build_run(
    items: Sequence[Any],
    labels: Sequence[str],
    modality: str = "text",
    skill: float = 0.85,
    seed: int = 3,
    **changed: Any,
) -> Run:
    """A run over these rows with simulated answers; ``changed`` replaces fields of its Scores, or of the Run itself."""
    rng = np.random.default_rng(seed)
    names, truth = np.unique(labels, return_inverse=True)
    rows = Rows(CLASSIFICATION.read(labels), None, tuple(range(len(items))))
    skills = {"zero-shot": 0.7, "centroid": 0.93, "ridge": 0.99, "logistic": 1.0, "svm": 0.97}
    arms = [Held("majority", sure_of(np.full((REPEATS, len(truth)), np.bincount(truth).argmax()), len(names)))]
    for name, share in skills.items():
        answers = answered(truth, len(names), skill * share, rng)
        arms.append(Held(name, sure_of(answers, len(names)), 0, 0.1, SETTING if name == "logistic" else None))
    whole = arms[4].outputs
    scores = assemble(
        arms,
        whole,
        "logistic",
        rows,
        metric=CLASSIFICATION.metrics["accuracy"],
        protocol="nested 5x5 stratified",
        rng=rng,
    )
    scores = replace(scores, seconds=SECONDS)
    of_scores = {field.name for field in fields(Scores)} & set(changed)
    scores = replace(scores, **{name: changed.pop(name) for name in of_scores})
    scores = replace(scores, scale=CLASSIFICATION.metrics[scores.metric].scale)
    empty, none = np.zeros((0, len(names)), np.float32), np.zeros(len(names), np.float32)
    view = View(((BACKBONE[modality], 5),))
    run = Run(
        data=Dataset(
            list(items), modality, tuple(labels), source="tickets.csv", notes=("Column 'topic' is the label.",)
        ),
        plan=Plan.resolve({"source": "tickets.csv", "budget": "1 min"}, "command line"),
        findings=(Finding("duplicate", (0, 1), "1 row repeats another one exactly", "Remove it to save time."),),
        scores=scores,
        held_out=rows.targets.task.held_out(whole, rows.targets, rows.positions),
        model=Bundle(
            rows.targets.task,
            modality,
            rows.targets.names,
            view,
            {BACKBONE[modality]: "0" * 8},
            "logistic",
            empty,
            none,
        ),
        notes=("The budget allowed 5 repeats.",),
    )
    return replace(run, **changed)


def answered(truth: np.ndarray, classes: int, skill: float, rng: np.random.Generator) -> np.ndarray:
    """(R, N) answers, right about as often as ``skill`` says; some rows are hard in every repeat."""
    ease = np.clip(skill + rng.normal(0, 0.35, len(truth)), 0, 1) if skill < 1 else np.ones(len(truth))
    wrong = (truth + 1 + rng.integers(max(classes // 2, 1), size=len(truth))) % classes
    return np.where(rng.random((REPEATS, len(truth))) < ease, truth, wrong)


def sure_of(answers: np.ndarray, classes: int, confidence: float = 0.9) -> np.ndarray:
    """Probabilities (R, N, C) that give each answer the same confidence."""
    rest = (1 - confidence) / max(classes - 1, 1)
    return np.where(np.arange(classes) == answers[..., None], confidence, rest)
