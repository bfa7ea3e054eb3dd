"""The real small language model: it answers, it learns a strict form from few rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import handful
from handful.backbones import catalog

pytestmark = pytest.mark.integration

ORDERS = Path(__file__).resolve().parents[2] / "examples" / "orders.jsonl"


@pytest.fixture(scope="module")
def backbone():
    return catalog.load("smollm2-135m", "language")


def test_it_answers_a_plain_question(backbone):
    model = handful.Prompted(backbone, count=0).fit(
        ["What is the capital of France?"], ["Paris, of course, is its capital."]
    )
    assert "Paris" in model.predict(["What is the capital of France?"])[0]


def test_a_dozen_rows_make_answers_in_a_strict_form_likelier(backbone):
    data = handful.load(ORDERS)
    prompts = [row.prompt[-1].content for row in data.items]
    answers = [row.answer for row in data.items]
    learned = handful.Instructed(backbone, updates=16).fit(prompts[:12], answers[:12])
    before = handful.Prompted(backbone, count=0).fit(prompts[:12], answers[:12])
    nats = [np.divide(*map(np.sum, model.losses(prompts[12:24], answers[12:24]))) for model in (before, learned)]
    assert nats[1] < 0.5 * nats[0]  # on rows that it has not seen
