"""Several columns of targets: when each is learned for itself, and which rows each has."""

import pytest

from handful.data.columns import Wanted
from handful.data.heads import load_heads, separate_targets
from handful.errors import HandfulError

ROWS = [
    (f"the {word} of parcel number {i} came on {day}", topic, level, paid)
    for i, (word, day, topic, level, paid) in enumerate(
        [("box", "Monday", "delivery", 1, "yes"), ("bill", "Friday", "billing", 2, "no")] * 6
        + [("lid", "Sunday", "delivery", 3, "yes"), ("fee", "Sunday", "billing", 3, "no")]
    )
]
HEADER = ("text", "topic", "urgency", "paid")


@pytest.fixture
def desk(table):
    return table(name="desk.csv", header=HEADER, rows=ROWS)


def test_columns_that_hold_more_than_yes_and_no_are_learned_apart(desk):
    assert separate_targets(desk, "topic,urgency", None) == ("topic", "urgency")
    assert separate_targets(desk, "topic, paid", None) == ("topic", "paid")


@pytest.mark.parametrize(("label", "task"), [
    (None, None), ("topic", None), ("topic,nowhere", None), ("topic,urgency", "multilabel"),
])  # fmt: skip
def test_else_they_are_not(desk, label, task):
    assert separate_targets(desk, label, task) == ()


def test_columns_of_yes_and_no_are_labels_of_one_task_unless_the_task_says_otherwise(table):
    rows = [(f"text {i}", i % 2, "yes" if i % 3 else "no") for i in range(20)]
    made = table(name="tags.csv", header=("text", "late", "rude"), rows=rows)
    assert separate_targets(made, "late,rude", None) == ()
    assert separate_targets(made, "late,rude", "classification") == ("late", "rude")


def test_a_slip_in_a_column_of_yes_and_no_does_not_make_it_a_target_of_its_own(table):
    rows = [(f"text {i}", i % 2, "yes" if i % 3 else "no") for i in range(19)] + [("text 19", 2, "no")]
    assert separate_targets(table(name="tags.csv", header=("text", "late", "rude"), rows=rows), "late,rude", None) == ()


def test_a_column_that_is_called_with_a_comma_is_one(table):
    made = table(name="t.csv", header=("text", "a,b", "a", "b"), rows=[("one", "x", "x", "y"), ("two", "z", "z", "w")])
    assert separate_targets(made, "a,b", None) == ()


def test_each_target_has_its_own_task_and_all_have_the_same_items(desk):
    heads = load_heads([desk], ["topic", "urgency", "paid"], Wanted())
    assert [data.task for data in heads.values()] == ["classification", "ordinal", "classification"]
    assert len({tuple(data.items) for data in heads.values()}) == 1
    assert [data.target for data in heads.values()] == ["topic", "urgency", "paid"]
    assert not any("not used" in note for data in heads.values() for note in data.notes)


def test_a_target_that_is_missing_in_some_rows_leaves_them_to_the_others(table):
    rows = [(text, topic, level if i % 4 else "", paid) for i, (text, topic, level, paid) in enumerate(ROWS)]
    heads = load_heads([table(name="desk.csv", header=HEADER, rows=rows)], ["topic", "urgency"], Wanted())
    assert (len(heads["topic"]), len(heads["urgency"]), len(heads["urgency"].unlabelled)) == (14, 10, 4)


def test_a_table_in_memory_is_read_as_a_file_is(desk):
    records = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    assert separate_targets(records, "topic,urgency", None) == ("topic", "urgency")
    from_memory, from_file = (load_heads([one], ["topic", "paid"], Wanted()) for one in (records, desk))
    assert from_memory["paid"].labels == from_file["paid"].labels


def test_a_column_that_is_not_there_is_named(desk):
    with pytest.raises(HandfulError, match='column "urgent", given as the label, is not in .*Did you mean .urgency'):
        load_heads([desk], ["topic", "urgent"], Wanted())
