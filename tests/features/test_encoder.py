"""The Encoder behaves as a scikit-learn transformer: in a Pipeline, cloned, searched over."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from handful.backbones.toy import ToyText
from handful.errors import DataError, OptionError
from handful.features.encoder import Encoder
from handful.strategies.frozen.heads import Centroid, Ridge
from rounding import TOY


@pytest.fixture
def rows(sentences):
    found = sentences({"ants": 8, "bees": 8})
    return [text for text, _ in found], [label for _, label in found]


def test_features_are_those_of_the_backbone(rows):
    expected = ToyText().encode(rows[0], (0, 1, 2))
    np.testing.assert_allclose(Encoder("toy-text").fit(rows[0]).transform(rows[0]), expected[2], atol=TOY)
    for depth in (0, 1, 2):
        got = Encoder("toy-text", depth=depth).fit_transform(rows[0])
        np.testing.assert_allclose(got, expected[depth], atol=TOY)


def test_it_works_without_fit_as_it_learns_nothing(rows):
    assert Encoder("toy-text").transform(rows[0][:3]).shape == (3, 32)


def test_in_a_pipeline_and_cross_validated(rows):
    pipe = make_pipeline(Encoder("toy-text"), Ridge(penalty=1.0))
    assert cross_val_score(pipe, *rows, cv=4).mean() > 0.9
    assert pipe.fit(*rows).predict(rows[0][:2]).tolist() == rows[1][:2]


def test_a_clone_has_the_options_and_nothing_else():
    encoder = Encoder("toy-text", depth=1, cache=False).fit(["a b"])
    copy = clone(encoder)
    assert copy.get_params() == {"backbone": "toy-text", "modality": "text", "depth": 1, "cache": False}
    assert not hasattr(copy, "backbone_")


def test_the_depth_is_searched_over(rows):
    search = GridSearchCV(make_pipeline(Encoder("toy-text"), Centroid()), {"encoder__depth": [0, 1, 2]}, cv=4)
    search.fit(*rows)
    assert search.best_params_["encoder__depth"] in (0, 1, 2)
    assert len(search.cv_results_["params"]) == 3
    assert search.predict(rows[0][:4]).tolist() == rows[1][:4]


def test_items_may_come_as_an_array(rows):
    array = np.array(rows[0])
    np.testing.assert_array_equal(Encoder("toy-text").transform(array), Encoder("toy-text").transform(rows[0]))


def test_options_that_are_changed_later_count(rows):
    encoder = Encoder("toy-text").fit(rows[0])
    encoder.set_params(depth=0)
    np.testing.assert_array_equal(
        encoder.transform(rows[0]), Encoder("toy-text", depth=0, cache=False).transform(rows[0])
    )


def test_the_cache_is_used_only_where_it_is_wanted(rows, own_cache):
    Encoder("toy-text", cache=False).transform(rows[0])
    assert not own_cache.exists()
    Encoder("toy-text").transform(rows[0])
    assert (own_cache / "features.sqlite").is_file()


def test_a_depth_that_is_not_there():
    with pytest.raises(OptionError) as error:
        Encoder("toy-text", depth=3).fit(["a b"])
    assert str(error.value) == "depth of toy-text must be between 0 and 2, got 3. Leave it out for the last."


def test_a_backbone_that_is_not_there():
    with pytest.raises(OptionError) as error:
        Encoder("toy-txt").fit(["a b"])
    assert str(error.value).endswith("got 'toy-txt'. Did you mean 'toy-text'?")
    with pytest.raises(OptionError) as error:
        Encoder("toy-text", modality="txt").fit(["a b"])
    assert str(error.value) == "modality must be one of text, image, sound, language, got 'txt'."


def test_an_item_that_cannot_be_read_is_named(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"nonsense")
    with pytest.raises(DataError) as error:
        Encoder("toy-image", "image").transform([tmp_path / "a.png", tmp_path / "b.png"])
    assert str(error.value) == (
        f"{tmp_path}/b.png cannot be read: it is not a picture in a known format. "
        "Convert it to JPEG or PNG, or remove it."
    )
    with pytest.raises(DataError) as error:
        Encoder("toy-image", "image").transform([np.zeros(3)])
    assert str(error.value).startswith("item 0 cannot be read: a picture given as an array must have shape")


def test_a_single_text_is_not_a_list_of_letters():
    with pytest.raises(DataError) as error:
        Encoder("toy-text").transform("one text")
    assert str(error.value) == "transform needs a list of items, got one str. Wrap it: [item]."
