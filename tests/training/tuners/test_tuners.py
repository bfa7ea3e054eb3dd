"""Every tuner: starts from what was, moves what it names, and what moved can be put back, averaged and faded out."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from classified import wanted_of
from handful.backbones import catalog
from handful.backbones.base import Backbone, State
from handful.backbones.toy import ToyText
from handful.errors import OptionError
from handful.training.activations import Activations
from handful.training.apply_delta import arrays_of, installed
from handful.training.batches import Balanced
from handful.training.body import Body
from handful.training.loop import Settings, train
from handful.training.objectives.classify import CrossEntropy
from handful.training.tuners import TUNERS, Adapter, Bias, Blocks, HeadOnly, LoRA, Prefix, tuner
from handful.training.tuners.adapter import Adapted
from handful.training.tuners.base import put
from small_backbones import KINDS, SmallImage, SmallText, clips, pictures, texts

CLOSE = dict(rtol=1e-4, atol=1e-4)
LEARNED = ("prefix", "prompt")  # tokens that are not there at the start
PAIRS = [(kind, name) for kind, (made, _) in KINDS.items() for name in TUNERS if TUNERS[name]().refusal(made()) is None]
MOVING = [(kind, name) for kind, name in PAIRS if name != "head"]
REAL = [
    pytest.param((kind, name), marks=pytest.mark.integration)
    for kind, names in {
        "minilm-l6": TUNERS,
        "efficientnet-lite0": ("bias", "lora", "adapter", "blocks"),
        "voice-encoder": ("lora", "adapter", "blocks"),
        "whisper-tiny-en": TUNERS,
    }.items()
    for name in names
]
REAL_ITEMS = {
    "minilm-l6": ("text", texts),
    "efficientnet-lite0": ("image", pictures),
    "voice-encoder": ("sound", lambda: [(np.tile(samples, 200), rate) for samples, rate in clips()]),
    "whisper-tiny-en": ("sound", clips),
}


class Case:
    """One tuner on one backbone."""

    def __init__(self, pair, first=None):
        kind, name = pair
        if kind in KINDS:
            self.backbone, make = KINDS[kind][0](), KINDS[kind][1]
        else:
            self.backbone, make = catalog.load(kind, REAL_ITEMS[kind][0]), REAL_ITEMS[kind][1]
        self.tuner, self.name, self.first = TUNERS[name](), name, first
        if first is None:
            self.first = len(self.backbone.blocks) - 2
        self.items = make()
        self.activations = Activations.of(self.backbone, [self.items], self.first)

    def body(self):
        body = Body(self.backbone, self.first)
        body.measure(self.activations.state([0]))
        return body

    @torch.no_grad()
    def seen(self, body):
        return body.eval().seen(self.activations.state(range(len(self.items))))

    def moved(self, seed=0, far=0.3):
        """A body whose every moved weight went somewhere else, and what moved."""
        body = self.body()
        self.tuner.prepare(body)
        rng = torch.Generator().manual_seed(seed)
        for weight in body.blocks.parameters():
            if weight.requires_grad:
                weight.data += far * torch.randn(weight.shape, generator=rng) * weight.data.abs().mean().clamp_min(0.1)
        return body, self.tuner.delta(body)

    def loaded(self, delta):
        body = self.body()
        self.tuner.load(body, delta)
        return body


@pytest.fixture(params=PAIRS, ids="-".join)
def case(request):
    return Case(request.param)


@pytest.fixture(params=MOVING, ids="-".join)
def moving(request):
    return Case(request.param)


# prepare -----------------------------------------------------------------------------------------------------------


def assert_starts_as_it_was(case):
    body = case.body()
    before = case.seen(body)
    groups = case.tuner.prepare(body)
    if case.name not in LEARNED:
        torch.testing.assert_close(case.seen(body), before, **CLOSE)
    chosen = [id(weight) for group in groups for weight in group.weights]
    free = [id(weight) for weight in body.blocks.parameters() if weight.requires_grad]
    assert sorted(chosen) == sorted(free)  # each once, and nothing else may move
    assert bool(chosen) == (case.name != "head")


def test_a_body_starts_as_it_was_and_only_what_is_named_may_move(case):
    assert_starts_as_it_was(case)


@pytest.mark.parametrize("pair", REAL)
def test_real_ones_start_as_they_were_and_take_back_what_moved(pair):
    case = Case(pair)
    assert_starts_as_it_was(case)
    body, delta = case.moved(far=0.05)
    found, expected = case.seen(case.loaded(delta)), case.seen(body)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("name", LEARNED)
def test_learned_tokens_change_little_at_the_start(name):
    case = Case(("small-text", name))
    body = case.body()
    before = case.seen(body)
    case.tuner.prepare(body)
    assert 0 < (case.seen(body) - before).norm() / before.norm() < 0.5


@pytest.mark.parametrize("name", LEARNED)
def test_learned_tokens_begin_as_the_first_ones_of_an_item_as_they_enter_each_block(name):
    case = Case(("small-text", name))
    body = case.body()
    entering = body.entering
    case.tuner.prepare(body)
    delta = case.tuner.delta(body)
    assert delta
    for key, tokens in delta.items():
        seen = entering[int(key.split(".")[0])]
        for i, token in enumerate(tokens):
            torch.testing.assert_close(token, seen[i % len(seen)])  # again and again where there are fewer


def test_preparing_twice_gives_the_same_and_leaves_the_global_dice(case):
    state = torch.random.get_rng_state()
    first, second = case.body(), case.body()
    case.tuner.prepare(first)
    torch.rand(0)
    case.tuner.prepare(second)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name
    assert torch.equal(torch.random.get_rng_state(), state)


def test_loading_leaves_the_global_dice(case):
    _, delta = case.moved()
    state = torch.random.get_rng_state()
    case.loaded(delta)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_only_matrices_decay_and_lower_blocks_move_slower():
    body = Case(("small-text", "blocks")).body()
    groups = Blocks().prepare(body, decay=0.5)
    lower, upper = list(body.blocks[0].parameters()), list(body.blocks[1].parameters())
    assert {(g.rate, g.decay) for g in groups} == {(0.5, True), (0.5, False), (1.0, True), (1.0, False)}
    for group in groups:
        among = lower if group.rate == 0.5 else upper
        assert all(any(w is other for other in among) for w in group.weights)
        assert all((w.dim() > 1) == group.decay for w in group.weights)


def test_a_classifier_moves_ten_times_as_fast_whatever_the_tuner():
    for name in TUNERS:
        case = Case(("small-text", name))
        body = case.body()
        body.classify(np.zeros((16, 2), np.float32), np.zeros(2, np.float32))
        last = case.tuner.prepare(body)[-1]
        assert (last.rate, last.decay) == (10.0, False)
        assert [id(w) for w in last.weights] == [id(w) for w in body.classifier.parameters()]


def test_what_moves_by_name():
    names = {name: set(Case(("small-text", name)).moved()[1]) for name in TUNERS}
    blocks = {f"{i}.{name}" for i in (0, 1) for name, _ in SmallText().blocks[i].named_parameters()}
    layers = {name.removesuffix(".weight") for name in blocks if name.endswith("weight") and "norm" not in name}
    assert names["head"] == set()
    assert names["blocks"] == blocks
    assert names["bias"] == {name for name in blocks if name.endswith("bias") or "norm" in name}
    assert names["lora"] == {f"{layer}.lora_{x}.default.weight" for layer in layers for x in "AB"}
    assert names["ia3"] == {f"{layer}.ia3_l.default" for layer in layers}
    assert names["prefix"] == {"0.tokens", "1.tokens"}
    assert names["prompt"] == {"0.tokens"}
    assert names["adapter"] == {f"{i}.{x}" for i in (0, 1) for x in ("down", "down_bias", "up", "up_bias")}


def test_only_some_blocks_from_the_top():
    body = Case(("small-text", "blocks")).body()
    few = Blocks(top=1)
    few.prepare(body)
    assert all(weight.requires_grad for weight in body.blocks[1].parameters())
    assert not any(weight.requires_grad for weight in body.blocks[0].parameters())
    assert {name.split(".")[0] for name in few.delta(body)} == {"1"}


def test_depthwise_convolutions_have_no_factors():
    names = set(Case(("small-image", "lora")).moved()[1])
    assert {name.split(".lora")[0] for name in names} == {
        f"{i}.{u}.conv" for i in (0, 1) for u in ("expand", "project")
    }


# training ----------------------------------------------------------------------------------------------------------


def test_training_moves_what_is_named_and_nothing_else(case):
    body = case.body()
    body.classify(np.zeros((case.seen(body).shape[1], 2), np.float32), np.zeros(2, np.float32))
    groups = case.tuner.prepare(body)
    before = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    may = {name for name, weight in body.named_parameters() if weight.requires_grad}
    source = Balanced(case.activations, np.arange(6), wanted_of(np.arange(6) % 2), 6)
    with body.learning():
        train(body, CrossEntropy(), source, groups, Settings(updates=4, rate=1e-2))
    moved = {name for name, tensor in body.state_dict().items() if not torch.equal(before[name], tensor)}
    assert moved <= may
    assert {"classifier.weight", "classifier.bias"} <= moved
    assert any(name.startswith("blocks") for name in moved) == (case.name != "head")


# delta and load ----------------------------------------------------------------------------------------------------


def test_what_moved_reproduces_the_body(case):
    body, delta = case.moved()
    expected = case.seen(body)
    torch.testing.assert_close(case.seen(case.loaded(delta)), expected, **CLOSE)
    assert case.name == "head" or not torch.allclose(case.seen(case.body()), expected, **CLOSE)


def test_what_moved_is_a_copy(moving):
    body, delta = moving.moved()
    kept = {name: tensor.clone() for name, tensor in delta.items()}
    for weight in body.parameters():
        weight.data.zero_()
    assert all(torch.equal(delta[name], tensor) for name, tensor in kept.items())
    other = moving.loaded(delta)
    for weight in other.parameters():
        weight.data.zero_()
    assert all(torch.equal(delta[name], tensor) for name, tensor in kept.items())


def test_the_backbone_never_changes(case):
    before = copy.deepcopy([block.state_dict() for block in case.backbone.blocks])
    fingerprint, modes = case.backbone.fingerprint, [block.training for block in case.backbone.blocks]
    _, delta = case.moved()
    case.tuner.faded(case.body(), delta, 0.5)
    made = installed(case.backbone, case.name, case.first, arrays_of(delta))
    made.encode(case.items, [2])
    assert case.backbone.fingerprint == fingerprint
    assert [block.training for block in case.backbone.blocks] == modes
    for block, kept in zip(case.backbone.blocks, before, strict=True):
        assert all(torch.equal(block.state_dict()[name], tensor) for name, tensor in kept.items())
        assert set(block.state_dict()) == set(kept)
        assert not any(type(module).__module__.startswith("peft") for module in block.modules())


@pytest.mark.parametrize("first", [0, 1])
def test_an_installed_backbone_gives_what_the_body_gave(first):
    for pair in MOVING:
        case = Case(pair, first)
        body, delta = case.moved()
        made = installed(case.backbone, case.name, first, arrays_of(delta))
        found = made.encode(case.items, [2])[2]
        expected = case.seen(body).numpy()
        np.testing.assert_allclose(found, expected, err_msg=str(pair), rtol=1e-3, atol=1e-4)
        assert made.name == case.backbone.name
        assert made.fingerprint != case.backbone.fingerprint
        assert made.blocks[:first] == case.backbone.blocks[:first]  # the same modules, not copies


def test_fingerprints_tell_weights_tuners_and_depths_apart():
    case = Case(("small-text", "blocks"))
    found = {case.backbone.fingerprint}
    for seed in (0, 1):
        delta = arrays_of(case.moved(seed)[1])
        found.add(installed(case.backbone, "blocks", 0, delta).fingerprint)
        assert installed(case.backbone, "blocks", 0, delta).fingerprint in found
    assert len(found) == 3


def test_what_is_merged_has_the_layers_of_the_backbone():
    for name in ("lora", "ia3"):
        case = Case(("small-text", name))
        body = case.loaded(case.moved()[1])
        assert [type(m) for m in body.blocks.modules()] == [type(m) for m in case.body().blocks.modules()]


@pytest.mark.parametrize("first", [-1, 2, 99])
@pytest.mark.parametrize("name", TUNERS)
def test_a_depth_that_the_backbone_lacks_is_an_error(name, first):
    delta = arrays_of(Case(("small-text", name)).moved()[1])
    with pytest.raises(IndexError, match=f"{first} blocks below what moved, of 2"):
        installed(SmallText(), name, first, delta)


def test_weights_of_another_name_or_shape_are_an_error(moving):
    _, delta = moving.moved()
    name = min(delta)
    with pytest.raises(KeyError):
        moving.loaded({**delta, "9.other": delta[name]})
    if moving.name not in ("bias", "blocks"):
        with pytest.raises(KeyError):
            moving.loaded({key: tensor for key, tensor in delta.items() if key != name})


@pytest.mark.parametrize("shape", [(), (1,), (1, 5), (5, 4)])
def test_a_weight_is_never_stretched(shape):
    with pytest.raises(RuntimeError) as error:
        put([("a.weight", nn.Parameter(torch.zeros(4, 5)))], {"a.weight": torch.zeros(shape)})
    assert str(error.value) == f"a.weight must have shape (4, 5), got {shape}"


def test_the_delta_of_another_tuner_is_an_error():
    _, delta = Case(("small-text", "adapter")).moved()
    for name in TUNERS:
        if name != "adapter":
            with pytest.raises(KeyError):
                installed(SmallText(), name, 0, arrays_of(delta))


# fade and combine --------------------------------------------------------------------------------------------------


def test_faded_goes_from_nothing_to_all(case):
    _, delta = case.moved()
    start, end = case.seen(case.body()), case.seen(case.loaded(delta))
    gone = {share: case.seen(case.loaded(case.tuner.faded(case.body(), delta, share))) for share in (0.0, 0.5, 1.0)}
    torch.testing.assert_close(gone[1.0], end, **CLOSE)
    if case.name not in LEARNED:  # tokens of zero are still looked at
        torch.testing.assert_close(gone[0.0], start, **CLOSE)
    if case.name not in ("head", *LEARNED):
        assert not torch.allclose(gone[0.5], start, **CLOSE)
        assert not torch.allclose(gone[0.5], end, **CLOSE)


def test_the_mean_of_equals_is_what_each_is(case):
    _, delta = case.moved()
    mean = case.tuner.combine([delta, delta, delta], [1.0, 2.0, 5.0])
    torch.testing.assert_close(case.seen(case.loaded(mean)), case.seen(case.loaded(delta)), **CLOSE)


def test_a_weight_of_nothing_leaves_one_out(case):
    (_, first), (_, second) = case.moved(0), case.moved(1)
    mean = case.tuner.combine([first, second], [1.0, 0.0])
    torch.testing.assert_close(case.seen(case.loaded(mean)), case.seen(case.loaded(first)), **CLOSE)


class Line(nn.Module):
    """One linear layer as a block."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(32, 32)
        with torch.no_grad():
            self.layer.weight.copy_(torch.eye(32))
            self.layer.bias.zero_()

    def forward(self, state):
        return State(self.layer(state.x), state.mask, state.owner)


class Linear(ToyText):
    def __init__(self):
        super().__init__()
        self.blocks = (Line(),)


@pytest.mark.parametrize("chosen", [LoRA(rank=3), Adapter(size=3)], ids=["lora", "adapter"])
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (3.0, 1.0, 4.0)])
def test_the_mean_is_exact_on_one_layer(chosen, weights):
    backbone = Linear()
    state = backbone.run(backbone.prepare(["ants on a hill", "bees"]), 0)

    def effect(delta):
        body = Body(backbone, 0)
        chosen.load(body, delta)
        with torch.no_grad():
            return body.blocks[0](state).x - backbone.blocks[0](state).x

    deltas = []
    for seed in range(3):
        body = Body(backbone, 0)
        body.measure(state)
        chosen.prepare(body)
        rng = torch.Generator().manual_seed(seed)
        deltas.append({n: torch.randn(t.shape, generator=rng) for n, t in chosen.delta(body).items()})
    expected = sum(w * effect(d) for w, d in zip(weights, deltas, strict=True)) / sum(weights)
    torch.testing.assert_close(effect(chosen.combine(deltas, weights)), expected, rtol=1e-4, atol=1e-4)


def test_deltas_of_several_ranks_can_be_averaged():
    few, many = LoRA(rank=2), LoRA(rank=5, alpha=5.0)
    backbone, deltas = Linear(), []
    for some in (few, many):
        body = Body(backbone, 0)
        some.prepare(body)
        deltas.append({name: torch.ones_like(tensor) for name, tensor in some.delta(body).items()})
    mean = few.combine(deltas, [1.0, 1.0])
    assert {tensor.shape for tensor in mean.values()} == {(7, 32), (32, 7)}
    body = Body(backbone, 0)
    LoRA().load(body, mean)
    product = body.blocks[0].layer.weight - torch.eye(32)
    torch.testing.assert_close(product, torch.full((32, 32), (2 + 5) / 2))


def test_adapters_work_on_the_channels_of_maps():
    block = nn.Identity()
    rng = torch.Generator().manual_seed(0)
    wrapped = Adapted(block, 3, 2, rng)
    wrapped.up.data.normal_(generator=rng)
    x = torch.randn(2, 3, 4, 5, generator=rng)
    found = wrapped(State(x)).x
    for place in ((0, 0), (3, 4)):
        row = x[:, :, *place]
        expected = row + nn.functional.gelu(row @ wrapped.down.T) @ wrapped.up.T
        torch.testing.assert_close(found[:, :, *place], expected)


# Refusals ----------------------------------------------------------------------------------------------------------


class Uncut(Backbone):
    name, modality = "uncut", "text"


for method in ("prepare", "stem", "pool"):
    setattr(Uncut, method, lambda self, given: given)
Uncut.__abstractmethods__ = frozenset()


@pytest.mark.parametrize("name", TUNERS)
def test_a_backbone_without_blocks_is_refused(name):
    assert TUNERS[name]().refusal(Uncut()) == "uncut has no blocks that could move"


@pytest.mark.parametrize(
    ("name", "made", "why"),
    [
        ("prefix", SmallImage, "a prefix is for transformers, and small-image is none"),
        ("prompt", SmallImage, "a prompt is for transformers, and small-image is none"),
        ("ia3", SmallImage, "(IA)³ is for transformers, and small-image is none"),
        ("bias", ToyText, "toy-text has no biases and norms"),
        ("lora", ToyText, "toy-text has no linear layers or convolutions"),
        ("adapter", ToyText, None),
        ("blocks", ToyText, None),
        ("head", ToyText, None),
        ("lora", SmallImage, None),
        ("prefix", SmallText, None),
        ("prompt", SmallText, None),
    ],
)
def test_refusals(name, made, why):
    assert TUNERS[name]().refusal(made()) == why


def test_factors_need_layers_in_the_blocks_that_move():
    class Mixed(ToyText):
        def __init__(self):
            super().__init__()
            self.blocks = (Line(), self.blocks[0])

    assert LoRA().refusal(Mixed()) is None
    with pytest.raises(OptionError) as error:
        LoRA().prepare(Body(Mixed(), 1))
    assert str(error.value) == (
        "the blocks that move must hold linear layers or convolutions, got none. Choose a larger share."
    )


def test_tuners_by_name():
    assert list(TUNERS) == ["head", "bias", "lora", "adapter", "prompt", "prefix", "ia3", "blocks"]
    assert tuner("lora", rank=4) == LoRA(rank=4)
    assert {name: kind.name for name, kind in TUNERS.items()} == {name: name for name in TUNERS}
    assert (tuner("head"), tuner("bias"), tuner("prefix")) == (HeadOnly(), Bias(), Prefix())
    with pytest.raises(OptionError) as error:
        tuner("lorra")
    assert str(error.value) == (
        "tuner must be one of head, bias, lora, adapter, prompt, prefix, ia3, blocks, got 'lorra'. Did you mean 'lora'?"
    )
