"""Tuners that peft inserts beside layers: LoRA for linear layers and convolutions, and (IA)³."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from handful.backbones.base import Backbone
from handful.errors import OptionError
from handful.training.body import Body
from handful.training.loop import Group
from handful.training.tuners.base import Delta, Tuner, copied, groups_of, put, weighted_mean


def _turned(module: nn.Module) -> bool:
    """Linear layers of GPT-2, whose weights lie with inputs first; told by name, or transformers would be loaded."""
    return type(module).__name__ == "Conv1D"


def _is_layer(module: nn.Module) -> bool:
    """Linear layers and convolutions without groups: where most weights are."""
    plain = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    return plain or _turned(module)


def _layers(body: Body) -> list[str]:
    found = [name for name, module in body.blocks.named_modules() if _is_layer(module)]
    if not found:
        raise OptionError(
            "the blocks that move must hold linear layers or convolutions, got none. Choose a larger share."
        )
    return found


def _insert(body: Body, config: Any) -> None:
    from peft import inject_adapter_in_model

    config.fan_in_fan_out = any(map(_turned, body.blocks.modules()))
    # What peft draws at random comes from torch's dice: these are given back as they were, and the draws replaced.
    with torch.random.fork_rng():
        inject_adapter_in_model(config, body.blocks)
    rng = torch.Generator().manual_seed(0)
    for _, weight in _named(body, "lora_A"):  # as peft does: He et al. 2015 with a = √5
        bound = 1 / math.sqrt(weight[0].numel())
        weight.data.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=rng))


def _merge(body: Body) -> None:
    """Fold what was inserted into the layers, and put these back where they were."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(body.blocks.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            owner = body.blocks.get_submodule(name.rpartition(".")[0])
            setattr(owner, name.rpartition(".")[2], module.get_base_layer())


def _named(body: Body, mark: str) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, weight) for name, weight in body.blocks.named_parameters() if mark in name)


@dataclass(frozen=True)
class LoRA(Tuner):
    """Low-rank factors beside every linear layer and convolution (Hu et al. 2022), by peft."""

    name: ClassVar[str] = "lora"

    rank: int = 8
    """R, the width between the two factors."""
    alpha: float = 16.0
    """The product is scaled by alpha / rank."""

    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """Insert the factors; the second starts at zero, so the body starts as it was."""
        self._insert(body, self.rank)
        return groups_of(body, _named(body, "lora_"), decay)

    def delta(self, body: Body) -> dict[str, Tensor]:
        """The factors, the second one with the scale in it."""
        scale = self.alpha / self.rank
        return {k: v * scale if "lora_B" in k else v for k, v in copied(dict(_named(body, "lora_"))).items()}

    def load(self, body: Body, delta: Delta) -> None:
        """Add the products to the weights."""
        ranks = [len(tensor) for name, tensor in delta.items() if "lora_A" in name]
        if not ranks:
            raise KeyError("lora_A")
        self._insert(body, ranks[0], scale=1.0)
        put(_named(body, "lora_"), delta)
        _merge(body)

    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """Factors side by side: the mean of products is no product of means, but one of a larger rank is exact."""
        shares = [weight / sum(weights) for weight in weights]
        return {
            name: torch.cat([d[name] * w for d, w in zip(deltas, shares, strict=True)], 1)
            if "lora_B" in name
            else torch.cat([d[name] for d in deltas])
            for name in deltas[0]
        }

    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """The second factor made smaller."""
        return {name: tensor * share if "lora_B" in name else tensor for name, tensor in delta.items()}

    def refusal(self, backbone: Backbone) -> str | None:
        """It needs layers that factors can stand beside."""
        layers = any(_is_layer(module) for block in backbone.blocks for module in block.modules())
        why = None if layers else f"{backbone.name} has no linear layers or convolutions"
        return super().refusal(backbone) or why

    def _insert(self, body: Body, rank: int, scale: float | None = None) -> None:
        from peft import LoraConfig

        from handful.training.tuners.fast_lora import OneProduct

        alpha = self.alpha if scale is None else scale * rank
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=_layers(body))  # type: ignore[arg-type]
        if not any(map(_turned, body.blocks.modules())):  # peft would take all layers for turned ones
            config._register_custom_module({nn.Linear: OneProduct})
        _insert(body, config)


@dataclass(frozen=True)
class IA3(Tuner):
    """Factors on the outputs of layers (Liu et al. 2022, T-Few), by peft."""

    name: ClassVar[str] = "ia3"

    def prepare(self, body: Body, decay: float = 1.0) -> list[Group]:
        """Insert factors of one."""
        self._insert(body)
        return groups_of(body, _named(body, "ia3_l"), decay)

    def delta(self, body: Body) -> dict[str, Tensor]:
        """The factors."""
        return copied(dict(_named(body, "ia3_l")))

    def load(self, body: Body, delta: Delta) -> None:
        """Multiply the weights."""
        self._insert(body)
        put(_named(body, "ia3_l"), delta)
        _merge(body)

    def combine(self, deltas: Sequence[Delta], weights: Sequence[float]) -> dict[str, Tensor]:
        """The mean of the factors, exact for each layer alone."""
        return weighted_mean(deltas, weights)

    def faded(self, body: Body, delta: Delta, share: float) -> dict[str, Tensor]:
        """Factors on the way from one."""
        return {name: 1 + share * (tensor - 1) for name, tensor in delta.items()}

    def refusal(self, backbone: Backbone) -> str | None:
        """It was made for transformers."""
        return super().refusal(backbone) or needs_tokens("(IA)³", backbone)

    def _insert(self, body: Body) -> None:
        from peft import IA3Config

        _insert(body, IA3Config(target_modules=_layers(body), feedforward_modules=[]))


def needs_tokens(what: str, backbone: Backbone) -> str | None:
    """Why a method for transformers does not fit a backbone, or None where it does."""
    return None if backbone.transformer else f"{what} is for transformers, and {backbone.name} is none"
