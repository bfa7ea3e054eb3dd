"""The profile of a set: counts, and findings that need no features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.data.dataset import Dataset
from handful.errors import DataError
from handful.inspection.findings import KINDS
from handful.inspection.profile import duplicate_groups, findings, profile


def texts(*rows, **more):
    """A Dataset of (text, label) rows."""
    return Dataset([text for text, _ in rows], "text", tuple(label for _, label in rows), **more)


def many(label, count=10):
    return [(f"row {i} of {label}", label) for i in range(count)]


def only(dataset, kind):
    (found,) = [finding for finding in findings(dataset) if finding.kind == kind]
    return found


def test_nothing_is_wrong_with_good_data():
    assert findings(texts(*many("a"), *many("b"))) == []


def test_the_profile_of_texts():
    data = texts(("a", "x"), ("bbb", "y"), ("cc", "x"), groups=("g", "g", "h"), split=("train", "test", "train"))
    assert profile(data) == {
        "rows": 3,
        "unreadable": 0,
        "modality": "text",
        "classes": ["x", "y"],
        "counts": {"x": 2, "y": 1},
        "groups": 2,
        "split": {"train": 2, "test": 1},
        "characters": [1, 1, 2, 3, 3],
        "languages": {"unknown": 3},
    }


def test_the_profile_of_pictures_without_labels():
    data = Dataset([np.zeros((2, 2))], "image", unreadable={1: "b.jpg: broken"})
    assert profile(data) == {
        "rows": 1,
        "unreadable": 1,
        "modality": "image",
        "classes": [],
        "counts": {},
        "groups": None,
        "split": None,
        "pixels": [2, 2, 2, 2, 2],
        "formats": {},
    }
    assert findings(data)[0].kind == "unreadable"


def test_a_class_with_one_row():
    found = only(texts(*many("a"), *many("b"), ("lone", "c")), "too_few")
    assert found.message == 'class "c" has one row only'
    assert found.advice == (
        "Label more rows until each class has 5 or more: it can be learned, but whether it is recognised cannot be "
        "measured."
    )
    assert found.rows == (20,)


def test_classes_with_few_rows():
    found = only(texts(*many("a", 6), *many("b", 4), *many("c", 2)), "too_few")
    assert found.message == 'classes "c" and "b" have fewer than 5 rows'
    assert found.advice == "Label more rows until each class has 5 or more: one row more or less decides their score."
    assert found.rows == tuple(range(6, 12))


def test_few_rows_are_counted_among_the_training_rows():
    found = only(texts(*many("a"), *many("b"), split=("train",) * 12 + ("test",) * 8), "too_few")
    assert found.message == 'class "b" has fewer than 5 rows'
    assert found.rows == (10, 11)


def test_a_class_from_one_group():
    groups = tuple(f"p{i % 3}" for i in range(10)) + ("p1",) * 10
    found = only(texts(*many("a"), *many("b"), groups=groups), "too_few")
    assert found.message == 'class "b" has rows of one group only'
    assert found.advice == "Label rows from other groups: whether it is recognised in a new group cannot be measured."


def test_one_rare_class():
    found = only(texts(*many("a", 60), *many("b", 30), *many("c", 12)), "imbalance")
    assert found.message == 'class "c" has a fifth or less of the 60 rows of class "a": 12'
    assert found.advice == (
        "Label more rows of what is rare, and look at the score of each class, not only at that of all rows."
    )
    assert found.rows == tuple(range(90, 102))


def test_several_rare_classes():
    found = only(texts(*many("a", 60), *many("b", 12), *many("c", 7)), "imbalance")
    assert found.message == 'classes "c" and "b" have a fifth or less of the 60 rows of class "a", down to 7'


def test_a_class_a_little_more_frequent_than_a_fifth_is_not_rare():
    assert findings(texts(*many("a", 60), *many("b", 13))) == []


def test_repeated_texts():
    data = texts(*many("a"), *many("b"), ("Row 3  OF a\n", "a"), rows=tuple(range(100, 121)))
    found = only(data, "duplicate")
    assert found.message == '1 row repeats another one exactly, such as "row 3 of a" (rows 103 and 120)'
    assert found.advice == (
        "Nothing has to be done: repeats are kept in one fold, but they teach nothing new. Remove them to save time."
    )
    assert found.rows == (103, 120)


def test_many_repeats_of_a_long_text():
    text = "word " * 30
    found = only(texts(*many("a"), *many("b"), (text, "a"), (text, "a"), (text, "a")), "duplicate")
    assert found.message == (
        '2 rows repeat another one exactly, such as "word word word word word word word word word word word word…" '
        "(rows 20 and 21)"
    )


def test_repeated_files(tmp_path):
    for name, content in (("a.jpg", b"1"), ("b.jpg", b"2"), ("c.jpg", b"1")):
        (tmp_path / name).write_bytes(content)
    data = Dataset([tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")], "image", ("x", "y", "x"))
    assert only(data, "duplicate").message == (
        f"1 row repeats another one exactly, such as {tmp_path}/a.jpg and {tmp_path}/c.jpg"
    )


def test_repeated_arrays():
    sounds = [(np.zeros(10), 8000), (np.zeros(10), 8000), (np.zeros(10), 16000)]
    found = only(Dataset(sounds, "sound", ("x", "x", "y")), "duplicate")
    assert found.message == "1 row repeats another one exactly, such as rows 0 and 1"


def test_repeats_with_different_labels():
    data = texts(*many("a"), *many("b"), ("row 3 of a", "b"))
    found = only(data, "conflict")
    assert found.message == (
        '2 rows share their content with a row of another label, such as "row 3 of a" (rows 3 and 20): "a" and "b"'
    )
    assert found.advice == (
        "Decide which label is right and correct or remove the others: at least one of each such set is wrong."
    )
    assert found.rows == (3, 20)
    assert "duplicate" not in [finding.kind for finding in findings(data)]


def test_unreadable_rows():
    bad = {3: "row 3: the text is empty", 1: "a.jpg: the file is empty (0 bytes)"}
    found = only(texts(*many("a"), *many("b"), unreadable=bad), "unreadable")
    assert found.message == (
        "2 of 22 rows cannot be read and are left out: a.jpg: the file is empty (0 bytes); row 3: the text is empty"
    )
    assert found.advice == "Repair or remove them."
    assert found.rows == (1, 3)


def test_many_unreadable_rows_are_not_all_named():
    data = texts(*many("a", 50), *many("b", 50), unreadable={i: f"row {i}: the text is empty" for i in range(5)})
    assert only(data, "unreadable").message.endswith("row 2: the text is empty; and 2 more")
    one = texts(*many("a"), *many("b"), unreadable={0: "row 0: the label is empty"})
    assert only(one, "unreadable").message == ("1 of 21 rows cannot be read and is left out: row 0: the label is empty")


def test_a_test_row_that_is_also_a_training_row():
    data = texts(*many("a"), *many("b"), ("row 3 of a", "a"), split=("train",) * 19 + ("test",) * 2)
    found = only(data, "leak")
    assert found.message == '1 of 2 test rows is also among the training rows, such as "row 3 of a" (rows 3 and 20)'
    assert found.advice == "Remove them from one of the two: a model is not tested by what it was taught."
    assert found.rows == (3, 20)
    assert found.severity == 0.5


def test_repeats_inside_one_part_do_not_leak():
    data = texts(*many("a"), *many("b"), ("row 3 of a", "a"), split=("train",) * 10 + ("test",) * 10 + ("train",))
    assert "leak" not in [finding.kind for finding in findings(data)]


def test_a_group_in_both_parts():
    parts = ("train", "train", "train", "test", "test") * 4
    people = ("ann", "ann", "bob", "bob", "eve") * 4
    data = texts(*[(f"unlike text {i}", "ab"[i % 2]) for i in range(20)], groups=people, split=parts)
    found = only(data, "leak")
    assert found.message == '1 group has both training and test rows: "bob"'
    assert found.advice == "Put each group into one of the two: a score on known groups says little about new ones."
    assert found.rows == (2, 3, 7, 8, 12, 13, 17, 18)


def test_the_most_costly_is_told_first():
    data = texts(*many("a", 20), *many("b", 3), ("row 1 of a", "a"), ("row 2 of a", "b"))
    kinds = [finding.kind for finding in findings(data)]
    assert kinds == ["too_few", "imbalance", "conflict", "duplicate"]
    costs = [finding.severity for finding in findings(data)]
    assert costs == sorted(costs, reverse=True)
    assert all(0 < cost <= 1 for cost in costs)
    assert set(kinds) <= set(KINDS)


def test_a_file_that_has_gone(tmp_path):
    gone = tmp_path / "gone.jpg"
    with pytest.raises(DataError) as error:
        findings(Dataset([gone, gone], "image", ("x", "y")))
    assert str(error.value) == f"{gone} can no longer be read: No such file or directory. Put it back or remove it."


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a b", "A  b", "a c", " a b ", "ac"]), max_size=12))
def test_ids_of_repeats(found):
    ids = duplicate_groups(Dataset(found, "text"))
    same = {"a b": 0, "A  b": 0, " a b ": 0, "a c": 1, "ac": 2}
    assert ids.tolist() == [list(dict.fromkeys(same[text] for text in found)).index(same[text]) for text in found]
