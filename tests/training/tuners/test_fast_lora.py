"""LoRA's linear layer as one product: the same numbers as peft's own layer, and where it is left to that one."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import Linear
from torch import nn

from handful.training.tuners import fast_lora
from handful.training.tuners.fast_lora import OneProduct

WIDE, FEW, MANY = 7, 2, 8


def with_factors(custom, wide=WIDE, deep=5, bias=True, alpha=6, std=1.0):
    """A linear layer with factors beside it, neither of them zero, the same for every class of layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(deep, wide, bias=bias))
    config = LoraConfig(r=2, lora_alpha=alpha, target_modules=["0"])
    config._register_custom_module({nn.Linear: custom})
    inject_adapter_in_model(config, model)
    nn.init.normal_(model[0].lora_B["default"].weight, std=std)
    assert type(model[0]) is custom
    return model[0]


def whole(shape, seed=1):
    """Whole numbers from -3 to 3: sums of their products are exact in every order, on every processor."""
    return torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(seed)).float()


def layers(bias=True):
    """The layer and peft's own, both with the same whole numbers."""
    made = [with_factors(custom, bias=bias) for custom in (OneProduct, Linear)]
    for layer in made:
        for seed, parameter in enumerate(layer.parameters()):
            parameter.data = whole(parameter.shape, seed)
    return made


@pytest.fixture
def products(monkeypatch):
    """How often the factors were added to the weight."""
    calls, apply = [], fast_lora._Product.apply
    monkeypatch.setattr(fast_lora._Product, "apply", lambda *args: calls.append(args) or apply(*args))
    return calls


def passed(layer, x):
    """What comes out, and the gradients of input and factors."""
    out = layer(x)
    out.backward(whole(out.shape))
    return out, x.grad, *(factor["default"].weight.grad for factor in (layer.lora_A, layer.lora_B))


@pytest.mark.parametrize("shape", [(MANY, 5), (2, 4, 5), (2, 2, 2, 5)], ids=["tokens", "texts", "windows"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_outputs_and_gradients_are_those_of_peft(products, shape, bias):
    ours, theirs = (passed(layer, whole(shape).requires_grad_()) for layer in layers(bias))
    assert len(products) == 1
    assert all(own.any() for own in ours)
    for own, other in zip(ours, theirs, strict=True):
        assert torch.equal(own, other)


def test_an_input_that_nothing_asks_the_gradient_of_gets_none(products):
    ours, theirs = (passed(layer, torch.ones(MANY, 5)) for layer in layers())
    assert products
    assert ours[1] is None
    for own, other in zip(ours[2:], theirs[2:], strict=True):
        assert torch.equal(own, other)


def test_few_tokens_are_left_to_peft(products):
    ours, theirs = (passed(layer, torch.ones(FEW, 5).requires_grad_()) for layer in layers())
    assert not products
    for own, other in zip(ours, theirs, strict=True):
        assert torch.equal(own, other)


def test_rounded_products_are_as_near_to_exact_ones_as_those_of_peft(products):
    """Factors that add less than a step of bfloat16 to a weight are there on the mean over many weights."""

    def found(custom, rounded):
        layer = with_factors(custom, 64, 256, alpha=2, std=1e-3)
        x = torch.randn(500, 256, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            out = layer(x)
        assert out.dtype == (torch.bfloat16 if rounded else torch.float32)
        (out.float() - layer.get_base_layer()(x)).sin().sum().backward()  # what the factors did
        factors = (factor["default"].weight for factor in (layer.lora_A, layer.lora_B))
        return [x.grad, *(factor.grad for factor in factors)]

    exact, theirs, ours = found(Linear, False), found(Linear, True), found(OneProduct, True)
    assert len(products) == 1
    for own, other, right in zip(ours, theirs, exact, strict=True):
        assert own.dtype == torch.float32
        assert (own - right).norm() <= 1.5 * (other - right).norm() + 1e-3 * right.norm()


def test_weights_that_are_held_rounded_are_left_to_peft(products):
    x = torch.ones(MANY, 5)
    own, other = (layer.bfloat16()(x.bfloat16()) for layer in layers())
    assert torch.equal(own, other)
    layer, _ = layers()
    layer.get_base_layer().bfloat16()  # as a training holds matrices that do not move where products are rounded
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
    assert not products


def test_merged_and_disabled_factors_are_left_to_peft(products):
    x = torch.ones(MANY, 5)
    layer, _ = layers()
    beside = layer(x)
    layer.merge()
    assert torch.equal(layer(x), beside)
    layer.unmerge()
    layer.enable_adapters(False)
    assert torch.equal(layer(x), layer.get_base_layer()(x))
    assert len(products) == 1
