"""Devices: mixed precision where it pays, memory given back, and what running out of it looks like."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch

from handful.backbones.language import free_memory

# The name of the setting in malloc.h, and from how many bytes on a piece counts as large.
_MMAP_THRESHOLD, _LARGE = -3, 4 << 20

Job = TypeVar("Job")
Result = TypeVar("Result")


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 for the products of a forward pass on a GPU that has it; nothing on a CPU, where it is slower.

    bfloat16 has the range of float32, so that no loss has to be scaled.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that the memory of the GPU or of the machine is used up."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in said or "can't allocate memory" in said


def free_bytes(device: torch.device) -> int | None:
    """How much memory is free where a training would be; None where the system does not say."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()


def share_the_cores(fn: Callable[[Job], Result]) -> Callable[[Job], Result]:
    """A function that computes on one core, so that as many threads as there are cores can run it at once.

    A training on a few rows gains nothing from two cores inside an operation (measured: 2.2 s on one or two), so
    two trainings side by side take half the time of one after the other. Torch keeps the number per thread.
    """

    def alone(job: Job) -> Result:
        torch.set_num_threads(1)
        return fn(job)

    return alone


def give_back_at_once() -> None:
    """Have glibc return large pieces of memory as soon as they are free, until the process ends.

    Otherwise pieces of many sizes leave holes that are never used again: with rows of 1,900 tokens a language model of
    135 million weights took 5.0 GB to learn, and 2.9 GB like this, a quarter slower. Only Linux knows this setting.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
