"""Devices: mixed precision where it pays, memory given back, and what running out of it looks like."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from handful.backbones.base import Backbone
from handful.backbones.memory import free_memory

# The name of the setting in malloc.h, and from how many bytes on a piece counts as large.
_MMAP_THRESHOLD, _LARGE = -3, 4 << 20

_EXACT = {"cuda": (nn.RNNBase,), "cpu": (nn.RNNBase, nn.Conv1d, nn.Conv2d, nn.Conv3d)}
"""Kind of device → layers whose products stay as they are, and those of the whole model with them."""


def mixed_precision(model: nn.Module) -> AbstractContextManager[Any]:
    """bfloat16 for the products of a forward pass where the device is faster with it; otherwise nothing.

    bfloat16 has the range of float32, so that no loss has to be scaled. On a CPU it takes instructions of its own, with
    which products of matrices take half the time, and convolutions longer than before (both measured). Recurrent layers
    hand on from frame to frame what is rounded: in no less time, `bias` on the voice encoder lost 13 points and 1 to it
    on two draws, and ran away on a third (measured on a GPU).
    """
    kind = next(model.parameters()).device.type
    if kind == "cuda":
        rounds = torch.cuda.is_bf16_supported()
    else:
        rounds = kind == "cpu" and _multiplies_bfloat16() and getattr(model, "rounds_on_cpu", True)
    if not rounds or any(isinstance(module, _EXACT[kind]) for module in model.modules()):
        return nullcontext()
    return torch.autocast(kind, torch.bfloat16)


def mixed_precision_of(backbone: Backbone) -> AbstractContextManager[Any]:
    """The same for all blocks of a backbone; nothing where it has none."""
    return mixed_precision(nn.ModuleList(backbone.blocks)) if backbone.blocks else nullcontext()


def hold_rounded(model: nn.Module) -> None:
    """Keep matrices that do not move the way they are multiplied, where products are rounded anyway.

    The numbers are the same and need half the memory; otherwise every update makes rounded copies and holds both (on
    smollm2-135m 0.45 GB of 2.8). From then on the model can be run under ``mixed_precision`` only.
    """
    if not isinstance(mixed_precision(model), nullcontext):
        for module in model.modules():
            if isinstance(module, nn.Linear) and not module.weight.requires_grad:
                module.weight.data = module.weight.data.bfloat16()


@functools.cache
def _multiplies_bfloat16() -> bool:
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions cannot tell
    if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "NO AVX", "AVX2"):
        return False  # torch may be kept to older instructions than there are: ATEN_CPU_CAPABILITY=avx2
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that the memory of the GPU or of the machine is used up."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in said or "can't allocate memory" in said


def free_bytes(device: torch.device) -> int | None:
    """How much memory is free where a training would be; None where the system does not say."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()


def spare_the_compiler() -> None:
    """Keep torch from importing its compiler, until the process ends: for whoever never compiles, as the command line.

    Methods of optimizers import it at their first call, to say that they are not to be compiled: 1.3 s and 70 MB
    (measured) in every run that moves weights. Where another version of torch has no such methods, nothing happens.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dynamo_disable = plain
    step = getattr(torch.optim.AdamW.step, "__wrapped__", None)
    if step is not None:
        torch.optim.AdamW.step = torch.no_grad()(step)  # type: ignore[method-assign]


def give_back() -> None:
    """Have glibc return what it holds and nobody uses, also between pieces that are in use."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def give_back_at_once() -> None:
    """Have glibc return large pieces of memory as soon as they are free, until the process ends.

    Otherwise pieces of many sizes leave holes that are never used again: with rows of 1,900 tokens a language model of
    135 million weights took 5.0 GB to learn, and 2.9 GB like this, a quarter slower. Only Linux knows this setting.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)


def _glibc(name: str) -> Callable[..., Any] | None:
    """A function of glibc; None where there is another library, as musl or that of another system."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
