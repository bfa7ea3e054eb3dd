"""The one loop: updates of whatever may move, clipped, accumulated, on a schedule, and safe from a kill."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from handful.atomic import keep
from handful.errors import MachineError, OptionError, TrainingError, suggestion
from handful.training.devices import mixed_precision, out_of_memory
from handful.training.objectives import Objective
from handful.training.schedules import SCHEDULES

logger = logging.getLogger(__name__)

# A loss this many times the first one will not come back.
_RUNAWAY = 50.0


class Penalty(Protocol):
    """What is added to the loss and may need the model: a distance of its weights, a second, perturbed pass."""

    def __call__(self, model: nn.Module, outputs: Any, batch: Any, objective: Objective) -> Tensor:
        """The penalty, a single number."""


class Batches(Protocol):
    """Where the rows of an update come from; the same number always gives the same rows, so a run can resume."""

    def __call__(self, update: int, parts: int) -> Sequence[Any]:
        """The batches of an update, cut into so many parts whose gradients are added up."""


@dataclass(frozen=True)
class Group:
    """Weights that share a rate."""

    weights: tuple[nn.Parameter, ...]
    """What moves."""
    rate: float = 1.0
    """Factor on the rate of the run: below 1 for lower blocks, above 1 for what starts from nothing."""
    decay: bool = True
    """Whether weight decay pulls them toward zero; not for biases and norms."""


@dataclass(frozen=True)
class Settings:
    """The options of the loop."""

    updates: int = 20
    """How many times the weights are moved; not epochs, since few-shot recipes agree on updates."""
    rate: float = 3e-4
    """The highest learning rate of AdamW (Loshchilov & Hutter 2019)."""
    schedule: str = "linear"
    """How the rate changes, one of ``SCHEDULES``."""
    clip: float = 1.0
    """The longest gradient, over all weights; longer ones are scaled down."""
    accumulate: int = 1
    """In how many parts a batch goes through, where memory is short."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    seed: int = 0
    """Fixes dropout."""
    dropout: bool = True
    """Whether the model may throw dice, which are set for every update."""
    mixed: bool = True
    """Whether products may be rounded to bfloat16 where the device is faster with it."""


@dataclass(frozen=True)
class Update:
    """What one update did."""

    number: int
    """From 0."""
    loss: float
    """The loss before it, penalties included."""
    rate: float
    """The rate that it used."""
    gradient: float
    """The length of the gradient before clipping."""
    seconds: float
    """What it took."""


def train(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    groups: Sequence[Group],
    settings: Settings,
    *,
    penalties: Sequence[Penalty] = (),
    checkpoint: Path | None = None,
    progress: Callable[[Update, int], bool | None] = lambda update, total: None,
) -> tuple[Update, ...]:
    """Move the weights of a model.

    Args:
        model: called with ``batch.state``; what it gives goes to the objective.
        objective: what is minimised.
        batches: update number and parts → the batches of that update, each with a ``state`` and ``targets``.
        groups: what may move.
        settings: the options.
        penalties: added to the objective.
        checkpoint: a file that holds where the run is, written at the end and now and then; where it exists already,
            the run goes on from there and ends as if it had never stopped; where it cannot be written, that is said
            and the run goes on.
        progress: called after every update; True ends the training there.

    Returns:
        The log: one entry per update.

    Raises:
        OptionError: there is no such schedule.
        TrainingError: the loss or the gradient stopped being a finite number, or grew without end.
        MachineError: memory ran out, and again with half a batch at a time.
    """
    if settings.schedule not in SCHEDULES:
        near = suggestion(settings.schedule, SCHEDULES)
        raise OptionError(f"schedule must be one of {', '.join(SCHEDULES)}, got {settings.schedule!r}.{near}")
    optimizer = torch.optim.AdamW(
        [
            {"params": list(g.weights), "share": g.rate, "weight_decay": settings.weight_decay * g.decay, "lr": 0.0}
            for g in groups
        ],
        lr=settings.rate,
        fused=groups[0].weights[0].device.type == "cpu",  # a third of the time; GPUs have their own way by default
    )
    weights = [weight for group in groups for weight in group.weights]
    log, over = _resume(checkpoint, weights, optimizer, settings)
    factor, parts = SCHEDULES[settings.schedule], max(1, settings.accumulate)
    saved = time.perf_counter()
    for number in () if over else range(len(log), settings.updates):
        start = time.perf_counter()
        rate = settings.rate * factor(number, settings.updates)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        with _dice(settings.seed, number, weights[0].device) if settings.dropout else nullcontext():
            loss = None
            while loss is None:
                try:
                    loss = _gradients(model, objective, penalties, batches(number, parts), optimizer, settings.mixed)
                except RuntimeError as error:
                    if not out_of_memory(error):
                        raise
                    if parts > max(1, settings.accumulate):
                        raise MachineError(
                            f"memory ran out in the training, even with a batch in {parts} parts. Choose a smaller "
                            "backbone, or a strategy that moves fewer weights."
                        ) from error
                    parts *= 2
                    logger.warning("memory ran out: from here on a batch goes through in %d parts", parts)
        length = float(torch.nn.utils.clip_grad_norm_(weights, settings.clip))
        _check(loss, length, log, number, settings)
        optimizer.step()
        log.append(Update(number, loss, rate, length, time.perf_counter() - start))
        ended = bool(progress(log[-1], settings.updates)) or number + 1 == settings.updates
        if checkpoint is not None and (ended or time.perf_counter() - saved > 5):
            _save(checkpoint, weights, optimizer, log, settings, ended)
            saved = time.perf_counter()
        if ended:
            break
    optimizer.zero_grad(set_to_none=True)  # as large as what moves, and of no use any more
    return tuple(log)


def _gradients(
    model: nn.Module,
    objective: Objective,
    penalties: Sequence[Penalty],
    batches: Sequence[Any],
    optimizer: torch.optim.Optimizer,
    mixed: bool,
) -> float:
    """Add up the gradients of all parts of an update; their mean loss, in which every row counts the same."""
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    count = sum(batch.weight for batch in batches)
    for batch in batches:
        with mixed_precision(model) if mixed else nullcontext():
            outputs = model(batch.state)
        loss = objective(outputs, batch)
        for penalty in penalties:
            loss = loss + penalty(model, outputs, batch, objective)
        loss = loss * (batch.weight / count)
        if loss.requires_grad:  # a batch without a single pair has nothing to say
            torch.autograd.backward(loss)
        total += float(loss.detach())
        del outputs, loss  # scores over a vocabulary are large, and the next part makes its own
    return total


def _check(loss: float, length: float, log: Sequence[Update], number: int, settings: Settings) -> None:
    first = max(abs(log[0].loss), 1.0) if log else math.inf
    if math.isfinite(loss) and math.isfinite(length) and abs(loss) <= _RUNAWAY * first:
        return
    raise TrainingError(
        f"the loss must stay a finite number, got {loss:.3g} (gradient {length:.3g}) at update {number + 1} of "
        f"{settings.updates} with a rate of {settings.rate:g}. Try a rate ten times lower."
    )


@contextmanager
def _dice(seed: int, number: int, device: torch.device) -> Iterator[None]:
    """Dropout throws torch's global dice: they are set for each update, and given back as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        own = (seed * 1_000_003 + number) % 2**63  # torch takes no larger ones
        # Not ``torch.manual_seed``: it keeps a call for every kind of device that is not there, each time.
        torch.default_generator.manual_seed(own)
        if device.type == "cuda":
            torch.cuda.manual_seed(own)
        yield


def _save(
    file: Path,
    weights: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    log: list[Update],
    settings: Settings,
    over: bool,
) -> None:
    tensors = {}
    for i, weight in enumerate(weights):
        tensors[f"{i}.weight"] = weight.detach().contiguous()
        # Of a training that is over, the moments serve nobody any more.
        for key, value in {} if over else optimizer.state.get(weight, {}).items():
            tensors[f"{i}.{key}"] = value.detach().contiguous()
    about = {"settings": json.dumps(asdict(settings)), "log": json.dumps([asdict(update) for update in log])}
    about["over"] = json.dumps(over)  # perhaps before its last update, where somebody ended it
    keep(file, save(tensors, about))


def _resume(
    file: Path | None, weights: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer, settings: Settings
) -> tuple[list[Update], bool]:
    """Where an interrupted run stood, and whether it was over; anew where it had other settings or is damaged."""
    if file is None or not file.exists():
        return [], False
    try:
        with safe_open(file, framework="pt") as opened:
            about = opened.metadata()
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  # not a mapping
        log, over = [Update(**entry) for entry in json.loads(about["log"])], bool(json.loads(about["over"]))
        if json.loads(about["settings"]) != asdict(settings):
            return [], False
        if any(tensors[f"{i}.weight"].shape != weight.shape for i, weight in enumerate(weights)):
            return [], False
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        logger.warning("%s cannot be read; the training starts anew", file.name)
        return [], False
    for i, weight in enumerate(weights):
        weight.data.copy_(tensors[f"{i}.weight"])
        state = {key.split(".", 1)[1]: value for key, value in tensors.items() if key.startswith(f"{i}.")}
        state.pop("weight")
        if state:
            optimizer.state[weight] = {
                key: value.to(weight.device) if key != "step" else value for key, value in state.items()
            }
    return log, over
