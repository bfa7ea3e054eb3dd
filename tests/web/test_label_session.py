"""A labelling behind the page: what is asked of whom, what is kept, and what the model says meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from handful.answer_store import LABEL, SKIP, UNSURE, Answer, AnswerStore, StoredItem
from handful.data.dataset import item_hash
from handful.data.label_pool import LabelPool
from handful.errors import DataError
from handful.web.labelling.learning import Learning
from handful.web.labelling.session import GIVEN
from handful.web.questions import RefusedError
from labelled_pools import kind_of_text, learner, session_of, text_pool, texts, toy_look


@pytest.fixture
def store(tmp_path):
    with AnswerStore(tmp_path / "labels.sqlite") as opened:
        yield opened


def say(
    session, position: int, label: str | None, person: str = "", act: str = LABEL, asked: str = "control"
) -> Answer:
    answer = Answer(session.identify(position), act, label, person, asked)
    session.accept([answer])
    return answer


def test_what_was_labelled_is_not_asked_again_and_is_there_after_a_restart(store):
    session = session_of(store)
    first = session.next("", 1)[0]
    say(session, first.index, "ants")
    assert first.index not in [one.index for one in session.next("", 24)]
    again = session_of(store)
    assert again.labelled() == {first.index: ("ants", "control")}
    assert len(again.next("", 99)) == 23


def test_what_one_person_looks_at_another_is_not_shown(store):
    session = session_of(store)
    ada, bo = session.next("Ada", 3), session.next("Bo", 3)
    assert not {one.index for one in ada} & {one.index for one in bo}
    assert [one.index for one in session.next("Ada", 3)] == [one.index for one in ada]


def test_passed_on_items_are_not_asked_of_the_same_person(store):
    session = session_of(store)
    say(session, 0, None, "Ada", SKIP)
    say(session, 1, None, "Ada", UNSURE)
    assert {0, 1}.isdisjoint(one.index for one in session.next("Ada", 99))
    assert {0, 1} <= {one.index for one in session.next("Bo", 99)} | {one.index for one in session.next("Bo", 99)}
    assert (session.counts()["skipped"], session.counts()["unsure"]) == (1, 1)


def test_a_second_person_is_asked_some_of_the_same_and_agreement_is_told(store):
    session = session_of(store)
    for position in range(6):
        say(session, position, "ants", "Ada")
    asked = session.next("Bo", 2)
    assert asked[0].index in range(6)
    assert "how much you agree" in asked[0].why
    assert asked[1].index not in range(6)
    say(session, asked[0].index, "bees", "Bo")
    [agreement] = session.agreement()
    assert (agreement.people, agreement.n, agreement.share.value) == (("Ada", "Bo"), 1, 0.0)
    assert session.next("Bo", 1)[0].index not in range(6)


def test_repeated_and_unreadable_items_are_not_asked(store, tmp_path):
    for name, content in (("a.png", b"same"), ("b.png", b"same")):
        (tmp_path / name).write_bytes(content)
    items = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "gone.png"]
    session = session_of(store, LabelPool("image", items, ["a", "b", "gone"]))
    assert len(session.next("", 9)) == 1
    assert (session.counts()["repeated"], session.counts()["unreadable"]) == (1, 1)


def test_labels_of_the_pool_are_answers_and_taken_in_once(store):
    for _ in range(2):
        session = session_of(store, text_pool(given={0: "ants", 1: "flies"}), classes=())
    assert [(one.label, one.person, one.asked) for one in store.log()] == [
        ("ants", GIVEN, "given"), ("flies", GIVEN, "given"),
    ]  # fmt: skip
    assert session.labels.names == ["ants", "flies"]
    assert session.people() == {}
    say(session, 1, "ants", asked="second look")
    assert session.labelled()[1][0] == "ants"


def test_a_file_that_changed_is_another_item(store, tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"one")
    session = session_of(store, LabelPool("image", [file], ["a.png"]))
    say(session, 0, "ants")
    file.write_bytes(b"two")
    again = session_of(store, LabelPool("image", [file], ["a.png"]))
    assert again.next("", 1) == []  # by its name, until it is looked at
    again.check(0)
    assert [one.index for one in again.next("", 1)] == [0]
    assert again.labelled() == {}


def test_dropped_items_are_there_after_a_restart(store, tmp_path):
    session = session_of(store)
    new = StoredItem.of("a new text", "text")
    assert session.drop([new, StoredItem.of(texts()[0], "text")]) == 1
    assert session.drop([new]) == 0
    again = session_of(store)
    assert again.pool.items[-1] == "a new text"
    assert again.position(new.item) == 24


def test_a_store_of_a_stranger_makes_no_file_be_read(store, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    store.keep([StoredItem.of(tmp_path / "secret.png", "image")])
    session = session_of(store, LabelPool("image", [], []))
    assert session.pool.items == []
    with pytest.raises(RefusedError, match="item must be one that this page showed"):
        session.position(item_hash(tmp_path / "secret.png"))


def test_undo_gives_the_item_back_and_twice_is_once(store):
    session = session_of(store)
    say(session, 0, "ants")
    last = say(session, 1, "bees")
    assert session.undo("", "taken-back").item == last.item
    assert session.undo("", "taken-back").item == last.item
    assert set(session.labelled()) == {0}


@pytest.mark.parametrize(
    ("task", "classes", "label", "text"),
    [
        ("classification", ["ants"], "flies", "label must be one of the classes, got 'flies'. Make the class first."),
        ("multilabel", ["ants", "bees"], "ants|flies", "label must be one of the classes, got 'flies'."),
        (
            "tagging",
            ["ants"],
            '[[0, 4, "flies"]]',
            "label must be one of the classes, got 'flies'. Make the class first.",
        ),
        (
            "tagging",
            ["ants"],
            "ants",
            "label must be a list of start, end and class of each marked stretch, got 'ants'.",
        ),
        (
            "tagging",
            ["ants"],
            "[" * 3000,
            "label must be a list of start, end and class of each marked stretch, got '[[",
        ),
        ("tagging", ["ants"], '[[0, Infinity, "ants"]]', "label must be a list of start, end and class of each marked"),
        ("tagging", ["ants"], '[[0, 400, "ants"]]', "a mark must lie within its text of 11 characters, got 0 to 400."),
        (
            "tagging",
            ["ants"],
            '[[0, 2, "ants"], [1, 3, "ants"]]',
            "marks must hold a word at least and lie beside each",
        ),
        ("regression", [], "much", "label must be a number, got 'much'. Type one."),
        ("ordinal", ["1", "2"], "3", "label must be one of the classes, got '3'."),
    ],
)
def test_what_is_no_label_is_refused(store, task, classes, label, text):
    session = session_of(store, task=task, classes=classes)
    with pytest.raises(RefusedError) as raised:
        say(session, 0, label)
    assert str(raised.value).startswith(text)
    assert store.log() == []


@pytest.mark.parametrize(
    ("task", "classes", "label"),
    [
        ("classification", ["two words"], "two words"),
        ("multilabel", ["ants", "bees"], "ants|bees"),
        ("multilabel", ["ants", "bees"], "(none)"),
        ("regression", [], "-1.5"),
        ("ordinal", ["1", "2", "10"], "10"),
        ("tagging", ["ants"], '[[0, 4, "ants"]]'),
        ("tagging", ["ants"], "[]"),
    ],
)
def test_what_is_a_label_is_kept(store, task, classes, label):
    session = session_of(store, task=task, classes=classes)
    say(session, 0, label)
    assert session.labelled()[0][0] == label


@pytest.mark.parametrize("name", ["", "a|b", "x" * 101, "a\x1bb", "(none)"])
def test_what_is_no_class_is_refused(store, name):
    with pytest.raises(RefusedError, match="a class must have 1 to 100 characters"):
        session_of(store).labels.add(name)


def test_ratings_stand_in_their_order_and_must_be_numbers(store):
    session = session_of(store, task="ordinal", classes=["10", "2", "1"])
    assert session.labels.names == ["1", "2", "10"]
    with pytest.raises(RefusedError, match="a rating must be a number, got 'good'"):
        session.labels.add("good")


# The model meanwhile -------------------------------------------------------------------------------------------------


@pytest.fixture
def learning(store):
    session = session_of(store)
    made = Learning(session, toy_look, learner)
    made.start()
    yield made
    made.end()


def test_the_model_learns_after_each_answer_and_says_what_is_next(store, learning):
    session = learning._session
    assert learning.wait(60)
    assert session.fit.queue[0].how in ("typical", "control")
    for _ in range(15):
        asked = session.next("", 1)[0]
        say(session, asked.index, kind_of_text(session.pool.items[asked.index]), asked=asked.how)
        learning.poke()
    assert learning.wait(60)
    fit = session.fit
    assert fit.progress.n == 15
    left = [i for i in range(24) if i not in session.labelled()]
    right = [fit.guess(i).label == kind_of_text(session.pool.items[i]) for i in left]
    assert np.mean(right) > 0.6
    assert not {one.index for one in fit.queue} & set(session.labelled())
    last = session.undo("", "undo-once")
    learning.poke()
    assert learning.wait(60)
    assert session.fit.progress.n == 14
    assert session.position(last.item) in [one.index for one in session.next("", 99)]
    assert len(learning.doubtful(10).rows) == 10


def test_what_is_most_alike_comes_first(store, learning):
    assert learning.wait(60)
    session = learning._session
    near = session.fit.alike(0)
    assert 0 not in near
    assert len(near) == 23
    assert learning.like_text(session.pool.items[5])[0] == 5


def test_where_the_model_cannot_learn_the_page_goes_on_and_says_so(store):
    def fails():
        raise DataError("there are no weights. Get them.")

    session = session_of(store)
    made = Learning(session, fails, learner)
    made.start()
    assert made.wait(60)
    assert made.problem == "there are no weights. Get them."
    assert len(session.next("", 3)) == 3
    made.end()


def test_an_item_that_cannot_be_looked_at_is_left_out(store):
    def look(items):
        seen = np.eye(len(items), dtype=np.float32)
        return seen, {i: "it is torn" for i, item in enumerate(items) if item == texts()[3]}

    session = session_of(store)
    made = Learning(session, lambda: look, learner)
    made.start()
    assert made.wait(60)
    assert session.failed == {3: "it is torn"}
    assert 3 not in [one.index for one in session.next("", 99)]
    made.end()
