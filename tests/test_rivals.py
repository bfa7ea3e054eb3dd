"""A rival: an estimator of the user's own against a run, on rows that both held out."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

import handful
from handful.errors import OptionError

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")


@pytest.fixture
def run(sentences):
    rows = sentences({"ants": 12, "bees": 12})
    return handful.tune([text for text, _ in rows], [label for _, label in rows], **QUICK)


class Recorder(ClassifierMixin, BaseEstimator):
    """Answers the first class, and notes what it learned from."""

    seen: list[set[str]] = []

    def fit(self, x, y):
        Recorder.seen.append(set(x))
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        assert not set(x) & Recorder.seen[-1]
        return np.repeat(self.classes_[:1], len(x))


def test_a_run_is_better_than_a_guess(run):
    rivalry = handful.against(run, DummyClassifier(), name="a guess")
    assert rivalry.verdict == "better"
    assert str(rivalry).startswith("The run is better than a guess on 24 rows: accuracy better by ")
    assert [answer.row for answer in rivalry.held_out] == [answer.row for answer in run.held_out]


def test_what_is_as_good_is_a_tie(run):
    rivalry = handful.against(run, make_pipeline(CountVectorizer(), MultinomialNB()))
    assert rivalry.verdict == "tie"
    assert "cannot tell the run from Pipeline" in str(rivalry)


def test_each_row_is_held_out_from_the_rival_with_its_copies(sentences):
    rows = sentences({"ants": 10, "bees": 10}) * 2
    Recorder.seen = []
    handful.against(
        handful.tune([text for text, _ in rows], [label for _, label in rows], **QUICK), Recorder(), folds=2
    )
    assert len(Recorder.seen) == 2


def test_numbers_are_compared_by_their_error():
    rng = np.random.default_rng(0)
    words = [" ".join(["buzz"] * n + ["leaf"] * (9 - n)) + f" {i}" for i, n in enumerate(rng.integers(0, 9, 40))]
    numbers = [text.count("buzz") + 0.25 for text in words]
    run = handful.tune(words, numbers, backbone="toy-text", budget=0, task="regression")
    good = make_pipeline(CountVectorizer(), Ridge(0.01))
    assert (handful.against(run, DummyRegressor()).verdict, handful.against(run, good).paired.rows) == ("better", 40)


@pytest.mark.parametrize("rival", [DummyRegressor(), "svm", CountVectorizer()])
def test_what_gives_no_classes_is_refused(run, rival):
    kind = type(rival).__name__
    with pytest.raises(OptionError, match=f"one class, rating or number to an item, got {kind} for a run of cl"):
        handful.against(run, rival)


def test_several_labels_of_an_item_are_compared_by_hand(sentences):
    rows = sentences({"ants": 12, "bees": 12})
    texts, labels = [text for text, _ in rows], [[label] for _, label in rows]
    run = handful.tune(texts, labels, task="multilabel", backbone="toy-text", budget=0)
    with pytest.raises(OptionError, match=r"for a run of multilabel\. Compare run\.held_out with your own answers"):
        handful.against(run, DummyClassifier())


def test_more_folds_than_a_class_has_rows_are_refused(run):
    with pytest.raises(OptionError, match="folds must be from 2 to 12, the rows of the rarest class, got 13"):
        handful.against(run, DummyClassifier(), folds=13)


def test_a_tie_is_not_beaten_and_a_name_of_no_arm_is_refused(run):
    verdicts = {arm.name: arm.verdict for arm in run.scores.arms}
    for name, verdict in verdicts.items():
        assert run.scores.beats(name) is (verdict == "worse"), name
    with pytest.raises(OptionError, match=r"'majorty' must be an arm of this run \(.*majority.*\)\. Did you mean"):
        run.scores.beats("majorty")
