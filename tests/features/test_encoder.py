"""The Encoder behaves as a scikit-learn transformer: in a Pipeline, cloned, searched over."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from handful.backbones.toy import ToyText
from handful.errors import DataError, OptionError, WeightsError
from handful.features.encoder import Encoder
from handful.strategies.frozen.heads import Centroid, Ridge
from kept import SENT
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
    assert copy.get_params() == {"backbone": "toy-text", "modality": None, "depth": 1, "cache": False}
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
    assert str(error.value) == "modality must be one of text, image, sound, got 'txt'. Choose one, or none."


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
        Encoder("toy-image").transform([np.zeros(3)])
    assert str(error.value) == (
        "item 0 cannot be read: this must be the name of a picture file, a Pillow picture or an array of pixels, got "
        "ndarray."
    )


def test_a_single_text_is_not_a_list_of_letters():
    with pytest.raises(DataError) as error:
        Encoder("toy-text").transform("one text")
    assert str(error.value) == "transform needs a list of items, got one str. Wrap it: [item]."


def test_what_the_items_are_is_known_from_the_backbone(tmp_path):
    names = []
    for i in range(2):
        Image.new("RGB", (9, 9), (90 * i, 0, 0)).save(tmp_path / f"{i}.png")
        names.append(str(tmp_path / f"{i}.png"))
    assert Encoder("toy-image").transform(names).shape == (2, 32)
    clip = (np.zeros(800, np.float32) + 0.1, 16_000)
    assert len(Encoder("toy-sound").transform([clip, clip])) == 2
    assert Encoder("toy-text").transform(names).shape == (2, 32)  # the names themselves, as texts


@pytest.mark.parametrize(
    ("backbone", "items", "said"),
    [
        ("toy-text", ["a b", np.zeros((9, 9, 3))], "item 1 cannot be read: this must be a text, got ndarray."),
        ("toy-text", ["a b", 3], "item 1 cannot be read: this must be a text, got int."),
        (
            "toy-image",
            [(np.zeros(800), 16_000)],
            "item 0 cannot be read: this must be the name of a picture file, a Pillow picture or an array of pixels, "
            "got tuple.",
        ),
    ],
)
def test_an_item_of_a_wrong_kind_is_told(backbone, items, said):
    with pytest.raises(DataError) as error:
        Encoder(backbone).transform(items)
    assert str(error.value) == said


def test_a_language_model_is_no_encoder():
    with pytest.raises(OptionError) as error:
        Encoder("toy-language").fit(["a b"])
    assert str(error.value) == (
        "backbone 'toy-language' is a language model, which writes answers. Choose one for text, image or sound; see "
        "`handful models list`."
    )


def test_an_adapted_base_says_what_it_reads(tmp_path, monkeypatch):
    (tmp_path / "adapted.json").write_text("{}")
    with pytest.raises(WeightsError, match="adapted.json must have format 1"):
        Encoder(str(tmp_path)).fit([])


def test_items_that_are_of_no_known_kind_are_told(tmp_path):
    with pytest.raises(DataError) as error:
        Encoder(str(tmp_path)).fit([3])
    assert str(error.value) == ("items must be texts, pictures or sounds, all of one kind, got other. Change them.")


def test_items_may_be_a_column_or_a_table_of_one(rows):
    expected = Encoder("toy-text").transform(rows[0])
    frame = pd.DataFrame({"text": rows[0], "topic": rows[1]})
    np.testing.assert_array_equal(Encoder("toy-text").transform(frame["text"]), expected)
    np.testing.assert_array_equal(Encoder("toy-text").transform(frame[["text"]]), expected)
    with pytest.raises(DataError) as error:
        Encoder("toy-text").transform(frame)
    assert str(error.value) == (
        "transform needs one column of items, got the DataFrame with several (columns: text, topic). "
        "Give the column of the items alone."
    )


def test_features_have_names_and_come_as_a_table_where_that_is_wanted(rows):
    encoder = Encoder("toy-text").fit(rows[0])
    assert encoder.get_feature_names_out().tolist() == [f"encoder{i}" for i in range(32)]
    frame = encoder.set_output(transform="pandas").transform(rows[0])
    assert frame.columns.tolist() == [f"encoder{i}" for i in range(32)]
    pipe = make_pipeline(Encoder("toy-text"), StandardScaler(), Ridge()).set_output(transform="pandas")
    assert pipe.fit(*rows).predict(rows[0][:2]).tolist() == rows[1][:2]
    assert pipe[:-1].get_feature_names_out().tolist() == [f"encoder{i}" for i in range(32)]
    assert pipe[-1].feature_names_in_.tolist() == [f"encoder{i}" for i in range(32)]


def test_one_column_of_a_table_can_be_encoded_beside_others(rows):
    frame = pd.DataFrame({"text": rows[0], "length": [len(text) for text in rows[0]]})
    columns = ColumnTransformer([("words", Encoder("toy-text"), "text"), ("rest", StandardScaler(), ["length"])])
    found = columns.fit_transform(frame)
    assert found.shape == (16, 33)
    assert columns.get_feature_names_out()[-2:].tolist() == ["words__encoder31", "rest__length"]


def test_it_says_what_it_takes():
    tags = get_tags(Encoder())
    assert (tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string) == (True, False, True)
    assert not tags.requires_fit
    assert tags.transformer_tags is not None


@pytest.mark.parametrize("way", SENT)
def test_it_goes_through_a_file_and_comes_back_the_same(rows, way):
    encoder = Encoder("toy-text", depth=1).fit(rows[0])
    back = SENT[way](encoder)
    np.testing.assert_array_equal(back.transform(rows[0]), encoder.transform(rows[0]))
    assert back.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()
    assert len({encoder, back, encoder}) == 2


@pytest.mark.parametrize(
    ("name", "encoders"),
    [
        ("toy-text,minilm-l6", 'make_union(Encoder("toy-text"), Encoder("minilm-l6"))'),
        ("joined", 'make_union(Encoder("minilm-l6"), Encoder("bge-small-en"))'),
        ("auto", 'make_union(Encoder("minilm-l6"), Encoder("bge-small-en"))'),
    ],
)
def test_several_backbones_are_joined_with_scikit_learn(name, encoders):
    with pytest.raises(OptionError) as error:
        Encoder(name).fit(["a text"])
    assert str(error.value).startswith(f"an Encoder reads one backbone, got {name!r}. Join several with")
    assert encoders in str(error.value)
