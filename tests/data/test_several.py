"""Several sources as one Dataset: what is the same counts once, what contradicts is named, and nothing else is lost."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import handful
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.several import are_sources, load_part, load_several, merged
from handful.errors import DataError, OptionError

ANTS = [("hill march", "ants"), ("leaf crumb", "ants"), ("march leaf", "ants")]
BEES = [("hive buzz", "bees"), ("wing honey", "bees"), ("buzz wing", "bees")]


def labelled(rows, source="a.csv", **more):
    return Dataset([text for text, _ in rows], "text", tuple(label for _, label in rows), source=source, **more)


def test_rows_of_two_tables_are_put_together(table):
    first, second = (
        table(ANTS + BEES, name="a.csv"),
        table([ANTS[0], ("sting", "bees")], ("message", "category"), "b.csv"),
    )
    data = load_several([first, second], Wanted())
    assert list(data.items) == [text for text, _ in ANTS + BEES] + ["sting"]
    assert data.labels == ("ants",) * 3 + ("bees",) * 4
    assert data.rows == (0, 1, 2, 3, 4, 5, 7)
    assert data.source == f"{first}, {second}"
    assert data.called(6) == f"line 3 of {second}"
    assert data.called_together([0, 6]) == f"line 2 of {first} and line 3 of {second}"
    assert data.called_together([0, 1, 6], 2) == f"line 2 of {first}, line 3 of {first} and 1 more"
    assert data.notes[-1] == "1 row is in an earlier source with the same label too: taken once"


def test_tables_json_lines_and_folders_go_together(table, pictures, tmp_path):
    photos = pictures({"dark": 3, "light": 3})
    (tmp_path / "more.jsonl").write_text(
        "\n".join(json.dumps({"file": str(path), "label": "dark"}) for path in sorted(photos.rglob("dark/*.png")))
    )
    new = pictures({"dark": 1, "dusk": 2}, "evening")
    data = handful.load(photos)
    both = load_several([photos, tmp_path / "more.jsonl", new], Wanted())
    assert Counter(both.labels) == Counter({"dark": 3, "light": 3, "dusk": 2})
    assert list(both.items[:6]) == list(data.items)


def test_one_source_is_what_load_gives(table):
    assert load_several([table()], Wanted()) == handful.load(table())


def test_a_part_may_hold_a_single_class_or_row(table):
    whole = handful.load(table(ANTS + BEES, name="a.csv"))
    part = load_part(table([("sting", "wasps")], name="b.csv"), Wanted(), whole)
    assert (part.labels, part.target, part.input) == (("wasps",), "label", "text")
    with pytest.raises(DataError, match="at least two classes are needed"):
        load_several([table(ANTS, name="c.csv"), table([("more", "ants")], name="d.csv")], Wanted())


def test_the_columns_of_the_others_are_taken_where_a_table_has_them(table):
    whole = handful.load(table([(*row, "x") for row in ANTS + BEES], ("text", "kind", "label"), "a.csv"), label="kind")
    part = load_part(table([("sting", "bees", "y")], ("text", "kind", "label"), "b.csv"), Wanted(), whole)
    assert part.labels == ("bees",)


def test_columns_that_were_named_must_be_there(table):
    first, second = table(ANTS + BEES, ("text", "kind"), "a.csv"), table(ANTS, name="b.csv")
    with pytest.raises(OptionError, match="kind"):
        load_several([first, second], Wanted(label="kind"))
    assert load_part(second, Wanted(label="kind"), strict=False).labels == ("ants",) * 3


@pytest.mark.parametrize("later_wins", [False, True])
def test_an_item_with_two_labels_is_named_with_both_places(later_wins):
    first = labelled(ANTS + BEES, "old.csv")
    second = labelled([(ANTS[1][0], "bees"), ("new", "ants")], "new.csv")
    found = merged([first, second], later_wins=later_wins)
    rule = "the later source counts" if later_wins else "both rows stay, since nobody can tell which is right"
    assert found.data.notes[-1] == (
        f'1 item has two labels: row 1 of old.csv says "ants", row 0 of new.csv "bees": {rule}'
    )
    labels = [label for item, label in zip(found.data.items, found.data.labels, strict=True) if item == ANTS[1][0]]
    assert labels == (["bees"] if later_wins else ["ants", "bees"])
    assert [fresh for fresh, at in zip(found.fresh, found.origin, strict=True) if at == 1] == [False, True]


def test_only_the_first_conflicts_are_told():
    texts = [f"text {i}" for i in range(8)]
    first = labelled([(text, "ab"[i % 2]) for i, text in enumerate(texts)], "old.csv")
    second = labelled([(text, "ba"[i % 2]) for i, text in enumerate(texts)], "new.csv")
    assert "8 items have two labels: " in merged([first, second], later_wins=True).data.notes[-1]
    assert "; and 3 more: the later source counts" in merged([first, second], later_wins=True).data.notes[-1]


def test_rows_of_one_source_stay_as_they_are():
    first = labelled([*ANTS, ANTS[0], (ANTS[0][0], "bees")])
    assert len(merged([first, labelled(BEES, "b.csv")], later_wins=True).data) == 8


def test_what_is_tested_on_is_not_learned_from():
    first = labelled(ANTS + BEES, split=("test", *("train",) * 5))
    second = labelled([ANTS[0], BEES[0], ("new", "ants")], "b.csv", split=("train", "test", "train"))
    data = merged([first, second], later_wins=True).data
    split = dict(zip(data.items, data.split, strict=True))
    assert len(data) == 7
    assert {item for item, part in split.items() if part == "test"} == {ANTS[0][0], BEES[0][0]}


def test_groups_of_one_name_are_one_and_rows_without_belong_to_nobody():
    first = labelled(ANTS, groups=("ann", "ann", "(row 2)"))
    data = merged(
        [first, labelled(BEES, "b.csv"), labelled([("new", "ants")], "c.csv", groups=("ann",))], later_wins=True
    ).data
    assert data.groups == ("ann", "ann", "(row 2)", "(row 3)", "(row 4)", "(row 5)", "ann")


def test_items_without_labels_and_unreadable_rows_are_all_there():
    first = labelled(ANTS, unlabelled=("one",), unreadable={3: "line 5: empty"})
    data = merged(
        [first, labelled(BEES, "b.csv", unlabelled=("two",), unreadable={9: "line 11: empty"})], later_wins=True
    ).data
    assert data.unlabelled == ("one", "two")
    assert data.unreadable == {3: "a.csv: line 5: empty", 13: "b.csv: line 11: empty"}
    assert data.rows == (0, 1, 2, 4, 5, 6)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Dataset(["x.png"], "image", ("a",), source="b"), "b must hold texts, as a.csv does, got images."),
        (
            Dataset(["x"], "text", ("1.5",), source="b", task="regression"),
            "b must have labels of the task classification, as a.csv has, got regression. Name the column with --label",
        ),
        (
            Dataset(["x"], "text", source="b"),
            "b must have labels of the task classification, as a.csv has, got no labels.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(other, message):
    with pytest.raises(DataError) as error:
        merged([labelled(ANTS + BEES), other], later_wins=True)
    assert str(error.value).startswith(message)


def test_rows_for_a_language_model_go_together(tmp_path):
    for name, rows in (("a", range(6)), ("b", range(4, 8))):
        lines = [json.dumps({"prompt": f"ask {i}", "response": f"answer {i}"}) for i in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    data = load_several([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], Wanted())
    assert (data.modality, len(data)) == ("language", 8)
    with pytest.raises(DataError) as error:
        merged([data.take([0]), data.take([1])], later_wins=True)
    assert "have 2 rows to learn from; at least 4 are needed" in str(error.value)


def test_a_list_of_paths_is_one_of_sources(table, tmp_path):
    assert are_sources([table(), "gone.csv"])
    assert not are_sources(["a text", "another\0"])
    assert not are_sources([table()])
    assert not are_sources("tickets.csv")
    data = [table(ANTS + BEES, name="a.csv"), table([("sting", "bees")], name="b.csv")]
    run = handful.tune(data, backbone="toy-text", budget=0, strategies="centroid,ridge")
    assert len(run.data) == 7
    assert run.plan.sources == tuple(map(str, data))


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "y"])), min_size=1, max_size=8),
        min_size=1, max_size=4,
    ),
    st.booleans(),
)  # fmt: skip
def test_whatever_is_merged(sources, later_wins):
    base = [("first", "x"), ("second", "y"), ("third", "y")]
    parts = [labelled(base, "base"), *(labelled(rows, f"s{i}") for i, rows in enumerate(sources))]
    found = merged(parts, later_wins=later_wins)
    data = found.data
    pairs = list(zip(data.items, data.labels, strict=True))
    assert set(data.items) == {text for part in parts for text in part.items}
    assert {pair for pair in pairs} <= {row for rows in [base, *sources] for row in rows}
    assert len(set(data.rows)) == len(data) == len(found.origin) == len(found.fresh)
    starts = [0, *(sum(len(part) for part in parts[: i + 1]) for i in range(len(parts)))]
    for row, item, label, at in zip(data.rows, data.items, data.labels, found.origin, strict=True):
        assert (parts[at].items[row - starts[at]], parts[at].labels[row - starts[at]]) == (item, label)
    across = {pair: {at for other, at in zip(pairs, found.origin, strict=True) if other == pair} for pair in pairs}
    assert all(len(where) == 1 for where in across.values())
    if later_wins:
        for item in set(data.items):
            where = {at for other, at in zip(data.items, found.origin, strict=True) if other == item}
            assert len(where) == 1
    else:
        assert set(pairs) == {row for rows in [base, *sources] for row in rows}
