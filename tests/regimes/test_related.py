"""Related sets: weights move on another set first, and rows of the own one decide; nothing of the own rows is in it."""

from pathlib import Path

import pytest

from handful import api
from handful.budget import Budget
from handful.data.dataset import item_hash
from handful.errors import DataError, OptionError
from handful.plan import Plan
from handful.regimes import related
from handful.regimes.related import FEWEST, with_related

QUICK = dict(backbone="toy-text", strategies="ridge", budget=10**6)


@pytest.fixture(autouse=True)
def short(monkeypatch, tmp_path):
    """Trainings of few updates, in an empty folder."""
    monkeypatch.setattr(related, "_METHOD", related.SupCon(updates=3, batch=8, label_name_weight=0))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own(sentences):
    rows = sentences({"ants": 8, "bees": 8})
    return api.load([text for text, _ in rows], labels=[label for _, label in rows])


@pytest.fixture
def other(table, sentences):
    rows = sentences({"ants": 15, "wasps": 15})
    return table([(f"{text} there", label) for text, label in rows], name="other.csv")


def test_one_more_backbone_is_asked_and_named(own, other):
    run = api.tune(own, related=other, **QUICK)
    (base,) = Path("bases").iterdir()
    assert base.name.startswith("other-")
    assert any(f"toy-text learned from 30 rows of {other} in 3 updates; as {base} it is one" in n for n in run.notes)
    assert run.plan.backbone == "toy-text"
    assert run.plan.related == str(other)


def test_what_has_learned_already_is_not_trained_again(own, other, monkeypatch):
    plan = Plan.resolve({**QUICK, "related": other})
    first, _ = with_related(own, plan, Budget(10**6), lambda *_: None)
    monkeypatch.setattr(related, "adapt", None)
    second, notes = with_related(own, plan, Budget(10**6), lambda *_: None)
    assert first == second
    assert "has learned from" in notes[0]


def test_own_rows_and_test_rows_are_not_learned_from_there(own, table, sentences, monkeypatch):
    rows = [(text, label, "train") for text, label in sentences({"ants": 8, "bees": 8})]
    rows += [(f"{text} there", label, "train") for text, label in sentences({"ants": 15, "wasps": 15})]
    rows += [("kept for the test", "wasps", "test")]
    seen = []
    plain = related._learned

    def spied(data, *rest):
        seen.extend(data.items)
        return plain(data, *rest)

    monkeypatch.setattr(related, "_learned", spied)
    plan = Plan.resolve({**QUICK, "related": table(rows, ("text", "label", "split"), "other.csv")})
    _, notes = with_related(own, plan, Budget(10**6), lambda *_: None)
    assert not {item_hash(item) for item in seen} & {item_hash(item) for item in own.items}
    assert "kept for the test" not in seen
    assert len(seen) == 30
    assert "16 rows of" in notes[0]
    assert "are among your own, and are not learned from there." in notes[0]


def test_weights_stop_when_their_share_of_the_budget_is_over(own, other):
    plan = Plan.resolve({**QUICK, "related": other})
    ticks = iter(range(10**6))
    _, notes = with_related(own, plan, Budget(6, clock=lambda: next(ticks)), lambda *_: None)
    assert "in 1 updates" in notes[0]


def test_too_few_rows_are_refused(own, table, sentences):
    file = table([(f"{text} there", label) for text, label in sentences({"ants": 5, "wasps": 5})], name="few.csv")
    with pytest.raises(DataError) as error:
        api.tune(own, related=file, **QUICK)
    assert str(error.value) == (
        f"{file} must have at least {FEWEST} rows that are none of your own, got 10. Name a larger set, or leave "
        "--with out."
    )


def test_where_it_is_no_use_it_is_refused(own, other, tmp_path):
    with pytest.raises(OptionError, match="--with moves weights, which takes time, got a budget of 0"):
        api.tune(own, related=other, **{**QUICK, "budget": 0})
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "response": "b"}\n' * 6)
    with pytest.raises(OptionError, match="got rows for a language model"):
        api.tune(rows, related=other, backbone="toy-language", budget=0)


def test_the_command(handful, own, other, table, sentences):
    words = ("--with", other, "--backbone", "toy-text", "--strategies", "ridge", "--details")
    ended = handful("tune", table(sentences({"ants": 8, "bees": 8})), *words, "--out", "run")
    assert ended.code == 0, ended.err
    assert "it is one more backbone, taken where held-out rows gain." in ended.err
