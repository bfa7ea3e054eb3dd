"""Tests of changed texts: words go, come and move as said, negations stay, and any text survives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.data.augment.options import TextChanges
from handful.data.augment.synonyms import GROUPS, SYNONYMS
from handful.data.augment.texts import change_text, drop_words, mask_words, replace_synonyms, swap_words

EVERYTHING = TextChanges(synonyms=0.5, swaps=0.5, drops=0.5, masks=0.5)
CHANGES = [
    drop_words,
    mask_words,
    replace_synonyms,
    swap_words,
    lambda text, rng, chance: change_text(text, rng, EVERYTHING),
]

seeds = st.integers(0, 2**32)
chances = st.floats(0, 1)
texts = st.text() | st.lists(st.sampled_from(["big", "Car,", "not", "(shop)", "x", "\n", "  ", "!!", "DAD"])).map(
    " ".join
)


def dice(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("change", CHANGES)
@given(text=texts, seed=seeds, chance=chances)
def test_a_text_keeps_a_word_and_the_same_dice_give_the_same_text(change, text, seed, chance):
    changed = change(text, dice(seed), chance)
    assert bool(changed.split()) == bool(text.split())
    assert changed == change(text, dice(seed), chance)


@pytest.mark.parametrize("change", CHANGES[:4])
@given(text=texts, seed=seeds)
def test_no_chance_changes_nothing(change, text, seed):
    assert change(text, dice(seed), 0) == text


@given(text=texts, seed=seeds, chance=chances)
def test_dropping_keeps_the_order_of_the_rest(text, seed, chance):
    left = iter(text.split())
    assert all(word in left for word in drop_words(text, dice(seed), chance).split())


@given(text=texts, seed=seeds, chance=chances)
def test_swapping_keeps_the_words_and_moves_each_by_one_place_at_most(text, seed, chance):
    words, swapped = text.split(), swap_words(text, dice(seed), chance).split()
    assert sorted(words) == sorted(swapped)
    assert all(word in words[max(i - 1, 0) : i + 2] for i, word in enumerate(swapped))


@given(text=texts, seed=seeds, chance=chances)
def test_masking_leaves_a_word_and_the_count(text, seed, chance):
    masked = mask_words(text, dice(seed), chance, "<mask>").split()
    assert len(masked) == len(text.split())
    assert not masked or set(masked) != {"<mask>"}


@pytest.mark.parametrize("text", ["", " ", "\n\t", "one", " one ", "!", "是不是"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_text_of_one_word_or_none_stays(change, text):
    assert change(text, dice(), 1.0) == text


def test_every_word_goes_but_one():
    assert drop_words("a b c d e", dice(), 1.0) in "abcde"
    assert sorted(mask_words("a b", dice(), 1.0).split()) in (["[MASK]", "a"], ["[MASK]", "b"])


@pytest.mark.parametrize(
    "text", ["do not go", "I can't go.", "It was NOT, good", "das ist nicht gut", "ce n est pas bon"]
)
@pytest.mark.parametrize("change", [drop_words, mask_words])
def test_a_negation_is_never_lost(change, text):
    negation = next(w for w in text.split() if w.strip(",.").lower() in ("not", "can't", "nicht", "pas"))
    for seed in range(20):
        assert negation in change(text, dice(seed), 0.9).split()


def test_what_is_negated_does_not_move_away():
    for seed in range(20):
        assert "not good" in swap_words("this is really not good at all", dice(seed), 1.0)


@pytest.mark.parametrize("change", [drop_words, mask_words])
def test_what_is_negated_is_not_lost(change):
    # Without "bad" this would say the opposite.
    assert all("not bad" in change("it was not bad but great", dice(seed), 0.9) for seed in range(20))


def test_swapped_neighbours():
    assert swap_words("a b  c d\n", dice(), 1.0) == "b a  d c\n"


def test_blanks_and_line_ends_stay():
    assert drop_words(" a\tb\nc ", dice(), 0.0) == " a\tb\nc "
    assert mask_words("  a\n\nb\tno ", dice(), 1.0, "_") == "  _\n\n_\tno "
    assert replace_synonyms(" big\ncar ", dice(), 1.0) == " large\nautomobile "


def test_marks_and_capitals_stay():
    text = replace_synonyms('Big, (CAR) "sofa"... dog', dice(), 1.0)
    assert text == 'Large, (AUTOMOBILE) "couch"... dog'


def test_every_synonym_of_a_group_comes_up():
    found = {replace_synonyms("awful", dice(seed), 1.0) for seed in range(60)}
    assert found == {"dreadful", "horrible", "terrible"}


def test_the_share_of_dropped_words_is_the_one_asked_for():
    left = len(drop_words("word " * 10_000, dice(), 0.1).split())
    assert left == pytest.approx(9000, abs=150)


def test_switched_off_means_unchanged():
    off = TextChanges(synonyms=0, swaps=0, drops=0, masks=0)
    assert change_text("a big  car was not fixed", dice(), off) == "a big  car was not fixed"


def test_a_long_word_of_marks_takes_no_time():
    # Quadratic time would be minutes here.
    word = "a" + "!" * 200_000 + "a"
    assert replace_synonyms(f"{word} {word}!!", dice(), 1.0) == f"{word} {word}!!"


def test_the_list_of_synonyms_is_well_formed():
    words = [word for group in GROUPS for word in group]
    assert len(GROUPS) >= 150
    assert all(len(group) >= 2 for group in GROUPS)
    assert sorted(words) == sorted(set(words)), "a word is in two groups"
    assert all(word.isalpha() and word.islower() and word.isascii() for word in words)


def test_synonyms_go_both_ways():
    assert all(word in SYNONYMS[other] and word != other for word, others in SYNONYMS.items() for other in others)
