"""Rows that were accepted, rejected or ignored: what is learned from, and what is said about the others."""

import json

import pytest

from handful.data.annotation_states import is_left_out
from handful.data.readers import load
from handful.errors import DataError

OPTIONS = [{"id": "GOOD", "text": "good"}, {"id": "BAD", "text": "bad"}]


def row(i, accept, state="accept", **more):
    return {"text": f"some words {i}", "options": OPTIONS, "accept": accept, "answer": state, "_task_hash": i, **more}


@pytest.fixture
def refusal():
    def refused(rows, **options):
        with pytest.raises(DataError) as error:
            load(rows, **options)
        return str(error.value)

    return refused


def test_what_was_chosen_is_the_label_and_only_of_accepted_rows():
    rows = [row(i, [["GOOD"], ["BAD"]][i % 2]) for i in range(8)]
    rows += [row(8, ["GOOD"], "reject"), row(9, [], "ignore"), row(10, ["BAD"], "ignore"), row(11, [])]
    data = load(rows)
    assert data.counts == {"GOOD": 4, "BAD": 4}
    assert (data.rows, data.unlabelled) == (tuple(range(8)), ("some words 11",))
    assert data.notes[:2] == (
        'column "answer" says what became of each row: 1 rejected and 2 ignored rows are left out',
        'column "accept" is taken as the label: what was chosen among the options; use --label for another',
    )
    assert not any("not used" in note for note in data.notes)


def test_several_choices_are_several_labels(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(row(i, [["A"], ["A", "B"], []][i % 3])) for i in range(9)))
    data = load(path)
    assert (data.task, data.labels[:3]) == ("multilabel", ("A", "A|B", "(none)"))


def test_one_label_that_was_accepted_or_rejected(refusal):
    rows = [
        {"text": f"some words {i}", "label": "SPAM", "answer": ["accept", "reject", "ignore"][i % 3], "_input_hash": i}
        for i in range(12)
    ]
    assert refusal(rows) == (
        'every row of the list was asked about the one label "SPAM", which 4 accept and 4 reject. Learn to tell these '
        "apart with --label answer."
    )
    data = load(rows, label="answer")
    assert data.counts == {"accept": 4, "reject": 4}
    assert data.notes[0] == 'column "answer" says what became of each row: 4 ignored rows are left out'


def test_labels_that_were_accepted():
    rows = [
        {"text": f"some words {i}", "label": "AB"[i % 2], "answer": "reject" if i < 3 else "accept", "_view_id": "x"}
        for i in range(12)
    ]
    data = load(rows)
    assert (data.counts, len(data)) == ({"A": 4, "B": 5}, 9)


def test_nothing_that_was_accepted(refusal):
    assert refusal([row(i, ["A"], "reject") for i in range(3)]) == (
        'no row of the list was accepted: column "answer" says so of none. Annotate more rows.'
    )


def test_a_single_row_that_does_not_count():
    assert [is_left_out(row(1, ["A"], state), "accept") for state in ("accept", "reject", "ignore")] == [
        False,
        True,
        True,
    ]
    assert [is_left_out(row(1, ["A"], state), "answer") for state in ("accept", "reject", "ignore")] == [
        False,
        False,
        True,
    ]
    assert not is_left_out({"text": "x", "answer": "reject"}, "label")


def test_answers_without_an_annotation_tool_are_labels():
    rows = [{"text": f"some words {i}", "answer": ["accept", "reject"][i % 2]} for i in range(12)]
    assert load(rows).classes == ("accept", "reject")
    other = [row(i, None, ["yes", "no"][i % 2]) for i in range(12)]
    assert load(other, label="answer").classes == ("no", "yes")
