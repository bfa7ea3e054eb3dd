"""Devices: mixed precision where it pays, and what running out of memory looks like."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch

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


def share_the_cores(fn: Callable[[Job], Result]) -> Callable[[Job], Result]:
    """A function that computes on one core, so that as many threads as there are cores can run it at once.

    A training on a few rows gains nothing from two cores inside an operation (measured: 2.2 s on one or two), so
    two trainings side by side take half the time of one after the other. Torch keeps the number per thread.
    """

    def alone(job: Job) -> Result:
        torch.set_num_threads(1)
        return fn(job)

    return alone
