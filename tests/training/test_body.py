"""The body: a copy that leaves its backbone alone, still where nothing is asked to move."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from classified import wanted_of
from handful.training.activations import Activations
from handful.training.batches import Balanced
from handful.training.body import Body, trainable
from handful.training.loop import Settings, train
from handful.training.objectives.classify import CrossEntropy
from handful.training.tuners import Blocks
from small_backbones import KINDS, SmallImage, SmallText, SmallVoice, pictures, texts


def learned(body, activations, updates=3, **switches):
    for name, value in switches.items():
        setattr(body, name, value)
    groups = Blocks().prepare(body)
    source = Balanced(activations, np.arange(len(activations)), wanted_of(np.arange(len(activations)) % 2), 6)
    with body.learning():
        train(body, CrossEntropy(), source, groups, Settings(updates=updates, rate=1e-2))
    return body


def with_head(backbone, first, width):
    body = Body(backbone, first)
    body.classify(np.random.default_rng(0).normal(size=(width, 2)).astype(np.float32), np.zeros(2, np.float32))
    return body


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("first", [0, 1, 2])
def test_it_gives_what_the_backbone_gives(name, first):
    kind, make = KINDS[name]
    backbone = kind()
    body = Body(backbone, first)
    state = backbone.run(backbone.prepare(make()), first)
    outputs = body([state])
    assert outputs.scores is None
    np.testing.assert_allclose(outputs.features.detach(), backbone.encode(make(), [2])[2], rtol=1e-5, atol=1e-5)
    assert len(body.blocks) == 2 - first
    assert trainable(body) == 0


def test_several_states_are_joined_in_their_order():
    backbone, body = SmallText(), Body(SmallText(), 0)
    parts = [["one two three", "four"], ["five six"]]
    z = body([backbone.stem(backbone.prepare(part)) for part in parts]).features
    np.testing.assert_allclose(z.detach(), backbone.encode([*parts[0], *parts[1]], [2])[2], atol=1e-5)


def test_the_classifier_is_the_head_that_it_starts_from():
    rng = np.random.default_rng(0)
    coef, intercept = rng.normal(size=(16, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    backbone, body = SmallText(), Body(SmallText(), 0)
    body.classify(coef, intercept)
    outputs = body([backbone.stem(backbone.prepare(texts()))])
    z = outputs.features.detach().numpy()
    expected = z / np.linalg.norm(z, axis=1, keepdims=True) @ coef + intercept
    np.testing.assert_allclose(outputs.scores.detach(), expected, atol=1e-5)
    kept = coef.copy()
    with torch.no_grad():
        body.classifier.weight.fill_(0)
        body.classifier.bias.fill_(0)
    np.testing.assert_array_equal(coef, kept)  # a copy, not the head itself
    assert intercept.any()


@pytest.mark.parametrize("name", KINDS)
def test_the_backbone_stays_as_it_was(name):
    kind, make = KINDS[name]
    backbone = kind()
    before = copy.deepcopy([module.state_dict() for module in backbone.modules()])
    needed = [weight.requires_grad for module in backbone.modules() for weight in module.parameters()]
    modes = [module.training for module in backbone.modules()]
    activations = Activations.of(backbone, [make()], 0)
    learned(with_head(backbone, 0, backbone.encode(make(), [2])[2].shape[1]), activations)
    for module, kept in zip(backbone.modules(), before, strict=True):
        assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in kept.items())
    assert [module.training for module in backbone.modules()] == modes
    assert [weight.requires_grad for module in backbone.modules() for weight in module.parameters()] == needed


def statistics(body):
    return {name: tensor.clone() for name, tensor in body.named_buffers()}


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("dropout", [False, True])
def test_statistics_of_batches_move_only_when_asked(moving, dropout):
    body, activations = with_head(SmallImage(), 0, 8), Activations.of(SmallImage(), [pictures()], 0)
    before = statistics(body)
    assert before
    learned(body, activations, dropout=dropout, moving_statistics=moving)
    same = [torch.equal(tensor, before[name]) for name, tensor in statistics(body).items()]
    assert all(same) != moving


def test_dropout_is_thrown_only_when_asked():
    activations = Activations.of(SmallText(), [texts()], 0)

    def curve(**switches):
        body = with_head(SmallText(), 0, 16)
        groups = Blocks().prepare(body)
        for name, value in switches.items():
            setattr(body, name, value)
        source = Balanced(activations, np.arange(6), wanted_of(np.arange(6) % 2), 6)
        with body.learning():
            return [u.loss for u in train(body, CrossEntropy(), source, groups, Settings(updates=2, rate=0.0))]

    still, thrown = curve(), curve(dropout=True)
    assert still[0] == still[1]
    assert thrown[0] != thrown[1]
    assert thrown == curve(dropout=True)


def test_after_learning_nothing_is_in_training_mode_even_after_an_error():
    body = Body(SmallText(), 0)
    body.dropout = True
    with pytest.raises(KeyError), body.learning():
        assert all(module.training for module in body.modules())
        raise KeyError
    assert not any(module.training for module in body.modules())


def test_recurrent_layers_learn_in_training_mode():
    """On a GPU nothing else can: cuDNN keeps what a backward pass needs only then."""
    body = Body(SmallVoice(), 0)
    with body.learning():
        modes = {type(module): module.training for module in body.modules()}
    assert modes[nn.LSTM]
    assert not modes[nn.Linear]


def test_widths_are_numbers_per_token_or_place():
    found = {}
    for name, (kind, make) in KINDS.items():
        backbone = kind()
        body = Body(backbone, 0)
        body.measure(Activations.of(backbone, [make()], 0).state([0]))
        found[name] = body.widths
    assert found == {
        "toy-text": (32, 32), "toy-image": (32, 32), "small-text": (16, 16), "small-image": (8, 8),
        "small-voice": (256, 256), "small-sound": (24, 48),
    }  # fmt: skip
