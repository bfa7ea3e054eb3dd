"""Near copies: found among texts, pictures and sounds, said by label and split."""

import numpy as np
import pytest

from handful.data.dataset import Dataset
from handful.data.fingerprints import plain_text
from handful.inspection.copies import near_copies, near_pairs, texts_alike
from handful.inspection.profile import duplicate_groups

LONG = (
    "The parcel that was announced for Tuesday morning did not arrive, and nobody answers the telephone number that "
    "was given in your message"
)


@pytest.mark.parametrize(
    ("first", "second", "least", "most"),
    [
        ("Where is my parcel?", "WHERE is my parcel", 1, 1),
        ("don't send it", "Dont send it!!", 1, 1),
        ("where is my red parcel today", "where is my red parcel", 0.82, 0.95),
        ("ok thanks", "ok", 0, 0),
        ("order number 3 is late", "order number 7 is late", 0, 0),
        (LONG, LONG.replace("Tuesday", "tuseday"), 0.9, 0.999),
        (LONG, LONG[::-1], 0, 0),
        ("!!!", "???", 0, 0),
    ],
)
def test_how_alike_texts_are(first, second, least, most):
    assert least <= texts_alike(plain_text(first), plain_text(second)) <= most


def found_in(texts, labels=None, split=None):
    data = Dataset(texts, "text", labels, split=split, rows=tuple(range(10, 10 + len(texts))))
    return list(near_copies(data, near_pairs(data, None), duplicate_groups(data)))


OTHERS = ["the router has no light", "please cancel my contract", "a coffee with milk and sugar"]


def test_a_near_copy_of_the_same_label():
    (found,) = found_in(["Where is my parcel?", *OTHERS, "where is my parcel !"], ("a", "b", "b", "b", "a"))
    assert (found.kind, found.rows, found.scores) == ("near_duplicate", (10, 14), (1.0, 1.0))
    assert found.message == '1 pair of rows is nearly the same, such as "Where is my parcel?" (rows 10 and 14)'
    assert found.advice == (
        "Keep one of each pair, or give both the same group: a score on a near copy of a training row is too good."
    )


def test_a_near_copy_of_another_label():
    (found,) = found_in(["Where is my parcel?", *OTHERS, "where is my parcel !"], ("a", "b", "b", "b", "b"))
    assert found.kind == "conflict"
    assert found.message == (
        '2 rows are near copies of a row of another label, such as "Where is my parcel?" (rows 10 and 14)'
    )
    assert found.advice == "Decide which label is right and correct or remove the others."


def test_a_near_copy_across_the_split():
    texts = ["Where is my parcel?", *OTHERS, "where is my parcel !"]
    (found,) = found_in(texts, ("a", "b", "b", "b", "a"), ("train",) * 3 + ("test",) * 2)
    assert found.kind == "leak"
    assert found.severity == 0.5
    assert found.message == (
        '1 of 2 test rows is a near copy of a training row, such as "Where is my parcel?" (rows 10 and 14)'
    )


def test_an_exact_copy_is_told_elsewhere():
    assert found_in(["Where is my parcel?", *OTHERS, "where  is MY parcel?"]) == []


def test_right_to_left_texts_and_texts_without_letters():
    (found,) = found_in(["أين طردي الذي طلبته أمس؟", *OTHERS, "أين طردي الذي طلبته أمس!"])
    assert found.rows == (10, 14)
    assert found_in(["!!", "??", ":-)"]) == []


def test_only_so_many_pairs_are_looked_at(monkeypatch):
    looked = []
    from dataclasses import replace

    from handful.inspection import copies

    look = replace(copies.LOOKS["image"], most=5, make=lambda item: item, compare=lambda a, b: looked.append(1) or 0.0)
    monkeypatch.setitem(copies.LOOKS, "image", look)
    data = Dataset([np.zeros((2, 2))] * 40, "image")
    assert near_pairs(data, np.ones((40, 40))) == []
    assert len(looked) == 5


def test_a_changed_picture_is_found(tmp_path):
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    scenes = [255 * (gaussian_filter(rng.normal(size=(120, 120)), 6) > 0) for _ in range(4)]
    items = [Image.fromarray(scene.astype(np.uint8)).convert("RGB") for scene in scenes]
    items.append(items[2].crop((6, 4, 114, 118)).resize((80, 80)))
    data = Dataset(items, "image", ("a",) * 5)
    alike = np.full((5, 5), 0.9)
    assert [(a, b) for a, b, _ in near_pairs(data, alike)] == [(2, 4)]
    assert near_pairs(data, None) == []


def test_a_changed_sound_is_found():
    rng = np.random.default_rng(0)
    sounds = [(rng.normal(size=16000).cumsum() / 400, 8000) for _ in range(4)]
    sounds.append((0.3 * sounds[1][0][700:15500], 8000))
    data = Dataset(sounds, "sound", ("a",) * 5)
    assert [(a, b) for a, b, _ in near_pairs(data, np.full((5, 5), 0.95))] == [(1, 4)]
