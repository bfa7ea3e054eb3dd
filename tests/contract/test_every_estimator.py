"""What scikit-learn and Python expect of every public estimator, whatever it takes; a new one is covered at once."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

import handful
from handful.features.item_estimator import ItemEstimator
from handful.strategies.frozen.heads import FeatureClassifier
from handful.strategies.frozen.prototypes import Prototypes
from kept import SENT

PUBLIC = {name: getattr(handful, name) for name in handful.__all__}
ESTIMATORS = {name: kind for name, kind in PUBLIC.items() if inspect.isclass(kind) and issubclass(kind, BaseEstimator)}


@pytest.fixture(params=ESTIMATORS)
def kind(request):
    return ESTIMATORS[request.param]


def test_they_are_found():
    assert {"Encoder", "Ridge", "LoRA", "Meta", "Prototypes", "Instructed"} <= set(ESTIMATORS)


def test_it_is_a_key_and_equal_to_itself_alone(kind):
    one, other = kind(), kind()
    assert {one: 1, other: 2}[one] == 1
    assert one != other


def test_its_repr_is_short_and_tells_options_that_are_not_by_default(kind):
    assert repr(kind()) == f"{kind.__name__}()"
    for name, default in kind().get_params(deep=False).items():
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert repr(kind(**{name: default + 1})) == f"{kind.__name__}({name}={default + 1!r})"


def test_it_is_cloned_pickled_and_dumped_before_fit(kind):
    for copy in (clone(kind()), *(way(kind()) for way in SENT.values())):
        assert copy.get_params() == kind().get_params()


def test_it_is_a_dataclass_whose_fields_are_its_options(kind):
    assert {f.name for f in dataclasses.fields(kind) if f.init} == set(kind().get_params(deep=False))


def test_its_tags_say_what_it_takes(kind):
    tags = get_tags(kind())
    assert tags.input_tags.two_d_array == issubclass(kind, FeatureClassifier)
    assert tags.input_tags.string == issubclass(kind, ItemEstimator)
    assert (tags.estimator_type == "classifier") == issubclass(kind, ClassifierMixin)


def test_it_knows_whether_it_was_fitted(kind):
    if get_tags(kind()).requires_fit:
        with pytest.raises(Exception, match="is not fitted yet"):
            check_is_fitted(kind())
    else:
        check_is_fitted(kind())


@pytest.mark.parametrize("way", SENT)
def test_prototypes_come_back_the_same(way, sentences):
    texts, labels = zip(*sentences({"ants": 4, "bees": 4}), strict=True)
    made = Prototypes("toy-text").fit(texts, labels)
    back = SENT[way](made)
    assert back.predict_proba(texts).tolist() == made.predict_proba(texts).tolist()
    assert back.classes_.tolist() == ["ants", "bees"]
    assert back.score(texts, labels) == 1.0
