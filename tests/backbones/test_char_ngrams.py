"""Character n-grams: what they count, that no language is foreign, and that there is nothing to fetch or to carry."""

import numpy as np
import pytest

from handful.backbones import catalog
from handful.backbones.char_ngrams import MOST, WIDTH
from handful.backbones.weights import bytes_to_fetch
from handful.export.carried import carry
from handful.features.extract import extract
from handful.features.view import unit_rows


@pytest.fixture(scope="module")
def backbone():
    return catalog.load("char-ngrams", "text")


def seen(backbone, *texts):
    return extract(backbone, texts, backbone.search_depths).matrices[0]


def test_texts_that_share_runs_of_characters_are_alike_whatever_the_language(backbone):
    same, near, far = unit_rows(seen(backbone, "wanafunzi shuleni", "mwanafunzi wa shule", "Spieltag der Bundesliga"))
    assert same @ near > 0.3 > same @ far


def test_counts_count_by_their_logarithm(backbone):
    once, thrice = seen(backbone, "ab", "ab ab ab")
    np.testing.assert_allclose(thrice[once > 0], 1 + np.log(3), rtol=1e-6)


def test_what_lies_beyond_the_longest_text_is_not_read(backbone):
    long, longer = seen(backbone, "x" * MOST, "x" * MOST + " something else")
    assert (long == longer).all()


@pytest.mark.parametrize("text", ["", " \n", "🙂", "\ud800", "日本", "1"])
def test_any_text_is_counted(backbone, text):
    (row,) = seen(backbone, text)
    assert row.shape == (WIDTH,)
    assert np.isfinite(row).all()


def test_no_weights_are_fetched_listed_as_missing_or_carried(backbone, tmp_path):
    assert bytes_to_fetch("char-ngrams") == 0
    assert not catalog.has_files("char-ngrams")
    assert carry(["char-ngrams"], "text", tmp_path, lambda name: catalog.load(name, "text"), merge=True) == {}


@pytest.mark.parametrize("command", ["get", "repair", "remove"])
def test_commands_about_weights_say_that_it_has_none(command, handful):
    done = handful("models", command, "char-ngrams")
    assert done.code == 1
    assert done.err == (
        "handful: char-ngrams has no weights: there is nothing to fetch, to repair or to remove. Use it as it is.\n"
    )


def test_the_cache_keeps_no_counts(backbone):
    class Refusing:
        def __getattr__(self, name):
            raise AssertionError(name)

    assert extract(backbone, ["a text"], (0,), Refusing()).computed == 1
