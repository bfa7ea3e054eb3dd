"""A metric that counts, on few rows: the loss decides where it cannot, and that is said; where intervals end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.conversations import Conversation, Message
from handful.evaluation.decision import best_beyond_doubt
from handful.evaluation.intervals import interval
from handful.evaluation.scores import Scores
from handful.evaluation.verdicts import Held, Rows, assemble
from handful.report.headline import perplexity
from handful.tasks.generation import GENERATION
from handful.tasks.generation.metrics import EXACT_MATCH, LOSS, Answered, token_loss
from handful.tune_answers import _too_few

SIX = GENERATION.targets([Conversation((Message("user", f"say {i}"),), f"word {i}") for i in range(6)])


def arm(name, right, nats, spread=0.1):
    """An arm with so many exact answers to six rows, whose wanted answers cost about so much per token."""
    texts = tuple(f"word {i}" if i < right else "no" for i in range(6))
    each = nats * (1 + spread * np.linspace(-1, 1, 6))
    return Held(name, Answered(each * 4, np.full(6, 4), texts), int(name == "lora"), setting={})


def chosen(*arms):
    found = [[metric.of(one.outputs, SIX) for one in arms] for metric in (EXACT_MATCH, LOSS)]
    return arms[best_beyond_doubt(found[0], None, found[1])].name


def scores_of(chosen, *arms, finer=LOSS):
    outputs = next(one.outputs for one in arms if one.name == chosen)
    rows = Rows(SIX, None, tuple(range(6)), finer=finer)
    how = {"metric": EXACT_MATCH, "protocol": "1 of 4 folds", "rng": np.random.default_rng(0)}
    return assemble(arms, outputs, chosen, rows, **how)


def test_no_right_answer_of_six_against_four_is_decided_by_the_loss():
    base, lora = arm("base", 0, 2.0), arm("lora", 4, 0.1)
    counted = [EXACT_MATCH.of(one.outputs, SIX) for one in (base, lora)]
    assert best_beyond_doubt(counted, None) == 0  # the metric alone cannot tell
    assert chosen(base, lora) == "lora"
    scores = scores_of("lora", base, lora)
    assert scores.beats_reference("base")
    assert scores.sentence.startswith(
        "exact match 67%, between 30% and 90% (95 % interval, 6 rows held out). 6 rows are too few for exact match to "
        "tell lora from base, so lora is taken for its loss, which is better by 1.9 nats per token ("
    )
    assert [one.verdict for one in scores.arms] == ["worse", "chosen"]
    end = "That is by its loss: 6 rows are too few for exact match to tell lora from base."
    assert scores.arms[1].reason.endswith(end)
    back = Scores._from_dict(json.loads(json.dumps(scores.as_dict())))
    assert back.beats_reference("base")
    assert back.arms[1].by == LOSS.scale


@pytest.mark.parametrize(
    ("right", "nats", "wanted"),
    [
        (0, 2.0, "base"),  # nothing differs
        (0, 0.1, "lora"),  # as many are right, and the wanted answers are far likelier
        (2, 1.9, "base"),  # a loss that is no lower beyond doubt decides nothing either
        (6, 0.1, "lora"),  # the metric itself shows it
    ],
)
def test_the_loss_is_asked_where_the_metric_shows_nothing(right, nats, wanted):
    assert chosen(arm("base", 0, 2.0), arm("lora", right, nats, spread=0.3)) == wanted


def test_the_loss_never_decides_against_what_was_counted():
    base, lora = arm("base", 2, 2.0), arm("lora", 0, 0.1)
    assert chosen(base, lora) == "base"
    assert scores_of("base", base, lora).arms[1].verdict == "tie"


def test_where_the_metric_shows_it_nothing_is_said_of_the_loss():
    scores = scores_of("lora", arm("base", 0, 2.0), arm("lora", 6, 0.1))
    assert scores.arms[1].by is None
    assert "too few" not in scores.sentence


def test_a_worthless_arm_is_hardly_ever_taken_though_there_are_two_looks():
    rng, taken = np.random.default_rng(5), 0
    for _ in range(200):
        made = []
        for name in ("base", "lora"):
            texts = tuple(f"word {i}" if right else "no" for i, right in enumerate(rng.random(6) < 0.3))
            made.append(Held(name, Answered(rng.normal(8, 2, 6).clip(1), np.full(6, 4), texts)))
        taken += chosen(*made) == "lora"
    assert taken / 200 < 0.1


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(1, 40)), min_size=2, max_size=12))
def test_the_interval_of_a_loss_ends_at_nothing_and_of_a_perplexity_at_one(rows):
    nats, tokens = (np.array(column) for column in zip(*rows, strict=True))
    found = interval(token_loss(nats, tokens))
    assert 0 <= found.low <= found.high
    assert float(perplexity(found.low)) >= 1


def test_few_rows_that_show_nothing_are_told_what_would():
    unclear = scores_of("base", arm("base", 2, 2.0), arm("lora", 2, 1.9, spread=0.5))
    assert _too_few(24, unclear, GENERATION) == [
        "24 rows, 6 of them held out, show large differences only. Read the answers that are shown and judge for "
        "yourself, or add rows: about 50 are a good start."
    ]
    assert _too_few(50, unclear, GENERATION) == []
    assert _too_few(24, scores_of("lora", arm("base", 0, 2.0), arm("lora", 6, 0.1)), GENERATION) == []
    assert _too_few(24, scores_of("base", arm("base", 2, 2.0)), GENERATION) == []  # nothing learned: that was said
