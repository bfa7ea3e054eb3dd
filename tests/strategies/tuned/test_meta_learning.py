"""A start learned on related sets, and prototypes of augmented views."""

import numpy as np
import pytest

from classified import targets_of
from handful.backbones.toy import ToyText
from handful.errors import DataError, OptionError
from handful.strategies.frozen.prototypes import Prototypes
from handful.strategies.tuned.fit import adapt, start
from handful.strategies.tuned.meta_learning import Episodes, Meta, Related, meta_start
from handful.strategies.tuned.methods.lora import LoRA
from handful.strategies.tuned.methods.supcon import SupCon
from handful.training.activations import Activations

WORDS = {"fruit": "apple pear plum fig", "tool": "saw axe file awl", "colour": "red blue teal grey"}


def rows(per_class=6, seed=0):
    """Texts of three words, one of which tells the class."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for name, words in WORDS.items():
        for _ in range(per_class):
            filler = " ".join(f"w{n}" for n in rng.integers(0, 30, 2))
            texts.append(f"{rng.choice(words.split())} {filler}")
            labels.append(name)
    return texts, labels


def activations_and_truth():
    texts, labels = rows()
    strategy = SupCon(trainable_fraction=1.0)
    return Activations.of(ToyText(), [texts], 0), np.unique(labels, return_inverse=True)[1], strategy.recipe()


@pytest.mark.parametrize("method", ["reptile", "maml"])
def test_a_learned_start_lowers_the_first_losses_of_a_like_task(method):
    backbone, strategy = ToyText(), SupCon(trainable_fraction=1.0, updates=8, learning_rate=2e-2)
    related = [Related(*rows(seed=seed)) for seed in (1, 2)]
    episodes = Episodes(method, count=25, ways=3, shots=3, step=0.5)
    begin = meta_start(backbone, related, strategy.recipe(), episodes)
    texts, labels = rows(seed=9)
    truth = np.unique(labels, return_inverse=True)[1]
    activations = Activations.of(backbone, [texts], 0)
    plain = adapt(activations, np.arange(len(truth)), targets_of(truth), strategy.recipe())
    tuned = Meta(
        trainable_fraction=1.0, updates=8, learning_rate=2e-2, related=related, episodes=episodes, backbone=backbone
    )
    started = adapt(activations, np.arange(len(truth)), targets_of(truth), tuned.recipe_for(backbone))
    assert started.log[0].loss < plain.log[0].loss - 0.005
    untouched = dict(start(activations, strategy.recipe()).blocks.named_parameters())
    assert any((begin[name] - weight).abs().max() > 1e-4 for name, weight in untouched.items())


def test_meta_predicts_like_any_strategy():
    texts, labels = rows()
    made = Meta(
        backbone=ToyText(), trainable_fraction=1.0, related=[Related(*rows(seed=1))], episodes=Episodes(count=2)
    )
    assert made.fit(texts, labels).predict(texts).shape == (18,)


def test_what_meta_needs_is_said():
    recipe = SupCon(trainable_fraction=1.0).recipe()
    with pytest.raises(OptionError) as error:
        Meta(backbone=ToyText()).fit(*rows())
    assert str(error.value) == "strategy meta must have at least one related labelled set, got none. Give related=."
    with pytest.raises(OptionError) as error:
        meta_start(ToyText(), [Related(*rows())], LoRA().recipe(), Episodes())
    assert str(error.value) == "a meta-learned start must be one of whole blocks, got the tuner 'lora'. Use blocks."
    with pytest.raises(OptionError) as error:
        meta_start(ToyText(), [Related(*rows())], recipe, Episodes("mamml"))
    assert str(error.value) == "method must be reptile or maml, got 'mamml'. Choose one of them."
    with pytest.raises(DataError) as error:
        meta_start(ToyText(), [Related(["a", "b", "c"], ["x", "x", "y"])], recipe, Episodes())
    assert str(error.value) == "related set 0 must have at least 2 classes of 2 rows, got fewer. Leave it out."


def test_prototypes_find_the_class_of_their_own_rows():
    texts, labels = rows()
    for options in ({}, {"augment": 2}, {"transductive": 2}):
        made = Prototypes("toy-text", **options).fit(texts, labels)
        proba = made.predict_proba(texts)
        assert np.allclose(proba.sum(1), 1)
        assert (made.predict(texts) == np.array(labels)).mean() > 0.7


def test_only_the_transductive_step_looks_at_the_company():
    texts, labels = rows()
    alone = Prototypes("toy-text").fit(texts, labels)
    company = Prototypes("toy-text", transductive=1).fit(texts, labels)
    assert np.allclose(alone.predict_proba(texts)[:1], alone.predict_proba(texts[:1]))
    assert not np.allclose(company.predict_proba(texts)[:1], company.predict_proba(texts[:1]), atol=1e-6)


def test_prototypes_say_what_is_missing():
    with pytest.raises(DataError) as error:
        Prototypes("toy-text").fit(["a", "b"], ["x", "x"])
    assert str(error.value) == (
        "Prototypes needs rows of at least 2 classes, got only one class, 'x'. Add rows of another class."
    )
    with pytest.raises(DataError) as error:
        Prototypes("toy-text").fit(["a", "b"], ["x"])
    assert str(error.value) == "fit needs one label per row, got 2 rows and 1 labels."


def test_an_unknown_schedule_is_refused_with_the_known_ones():
    with pytest.raises(OptionError) as error:
        SupCon(backbone=ToyText(), schedule="liner").fit(*rows())
    assert str(error.value) == (
        "schedule must be one of constant, linear, triangular, cosine, slanted_triangular, one_cycle, got 'liner'. "
        "Did you mean 'linear'?"
    )
