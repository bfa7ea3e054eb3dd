"""The loop: what it descends to, what it bounds, what makes it stop, and that a kill changes nothing."""

import errno
import logging
import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from handful.errors import MachineError, TrainingError
from handful.training import loop
from handful.training.loop import Group, Settings, train
from handful.training.objectives import Batch, Outputs
from handful.training.objectives.classify import CrossEntropy
from rounding import rounding

PLAIN = Settings(updates=6, rate=0.05, schedule="constant", weight_decay=0.0, mixed=False)


class Net(nn.Module):
    """Dropout, then two layers: features and scores."""

    def __init__(self, dropout=0.0):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(4, 5, generator=rng) / 2)
        self.bias = nn.Parameter(torch.zeros(5))
        self.second = nn.Parameter(torch.randn(5, 3, generator=rng) / 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        z = torch.tanh(self.dropout(x) @ self.first + self.bias)
        return Outputs(z, z @ self.second)


def rows(count=12):
    rng = torch.Generator().manual_seed(1)
    truth = torch.arange(count) % 3
    return torch.eye(4)[truth] + 0.1 * torch.randn(count, 4, generator=rng), truth


@dataclass
class Cut:
    """The same rows in every update, in as many parts as asked for."""

    count: int = 12

    def __call__(self, update, parts):
        x, truth = rows(self.count)
        return [Batch(x[part::parts], truth[part::parts]) for part in range(parts)]


def groups(net):
    return [Group((net.first, net.second)), Group((net.bias,), decay=False)]


def trained(settings=PLAIN, net=None, objective=None, batches=None, **options):
    net = Net() if net is None else net
    log = train(net, objective or CrossEntropy(), batches or Cut(), groups(net), settings, **options)
    return net, log


def weights(net):
    return {name: tensor.detach().clone() for name, tensor in net.named_parameters()}


def assert_same(first, second):
    assert all(torch.equal(first.state_dict()[name], tensor) for name, tensor in second.state_dict().items())


def different(first, second):
    return any(not torch.equal(first.state_dict()[name], tensor) for name, tensor in second.state_dict().items())


# What it does ------------------------------------------------------------------------------------------------------


def test_the_loss_falls_on_an_easy_problem_and_every_update_is_logged():
    net, log = trained(replace(PLAIN, updates=60))
    assert [update.number for update in log] == list(range(60))
    assert log[0].loss > 0.9
    assert log[-1].loss < 0.05
    x, truth = rows()
    assert torch.equal(net(x).scores.argmax(1), truth)
    assert all(update.seconds >= 0 and update.gradient > 0 for update in log)


def test_the_rate_follows_the_schedule():
    _, log = trained(replace(PLAIN, schedule="linear", updates=4))
    assert [update.rate for update in log] == pytest.approx([0.05, 0.0375, 0.025, 0.0125])


def test_progress_is_told_of_every_update_and_of_how_many_there_will_be():
    told = []
    _, log = trained(progress=lambda update, total: told.append((update, total)))
    assert told == [(update, 6) for update in log]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_same_seed_same_weights_bit_for_bit(dropout):
    assert_same(trained(net=Net(dropout))[0], trained(net=Net(dropout))[0])


def test_another_seed_throws_other_dice():
    assert different(trained(net=Net(0.5))[0], trained(replace(PLAIN, seed=1), Net(0.5))[0])


@pytest.mark.parametrize("seed", [2**63, 10**30])
def test_a_seed_of_any_size_will_do(seed):
    first, second = (trained(replace(PLAIN, seed=seed), Net(0.5))[0] for _ in range(2))
    assert_same(first, second)


def test_dropout_leaves_the_global_dice_as_they_were():
    before = torch.random.get_rng_state()
    trained(net=Net(0.5))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_global_dice_do_not_matter():
    first = trained(net=Net(0.5))[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert_same(trained(net=Net(0.5))[0], first)


def test_penalties_are_added_and_see_the_model_the_outputs_and_the_batch():
    def far(model, outputs, batch, objective):
        assert isinstance(model, Net)
        assert isinstance(objective, CrossEntropy)
        assert len(outputs.scores) == len(batch.targets) == 12
        return 3 * model.second.square().sum()

    plain, punished = trained(), trained(penalties=[far])
    start = float(3 * Net().second.detach().square().sum())
    assert punished[1][0].loss == pytest.approx(plain[1][0].loss + start, rel=1e-5)
    assert punished[0].second.norm() < plain[0].second.norm()


def test_a_batch_that_has_nothing_to_say_moves_nothing():
    net, log = trained(objective=lambda outputs, batch: torch.zeros(()))
    assert_same(net, Net())
    assert [update.gradient for update in log] == [0.0] * 6


# Gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "parts"), [(12, 2), (12, 3), (11, 2), (5, 3)])
def test_parts_give_the_gradient_of_the_whole_batch(count, parts):
    def gradients(parts):
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
        loss = loop._gradients(net, CrossEntropy(), (), Cut(count)(0, parts), optimizer, mixed=False)
        return loss, [weight.grad for weight in net.parameters()]

    (loss, whole), (sum_of_losses, parted) = gradients(1), gradients(parts)
    assert sum_of_losses == pytest.approx(loss, rel=1e-5)
    for first, second in zip(whole, parted, strict=True):
        # 12 rows, and 5 and 4 numbers in each, all below 1.
        torch.testing.assert_close(second, first, rtol=0, atol=rounding(steps=21, size=1.0))


def test_accumulation_is_asked_of_the_batches():
    asked = []

    def batches(update, parts):
        asked.append((update, parts))
        return Cut()(update, parts)

    trained(replace(PLAIN, updates=2, accumulate=3), batches=batches)
    assert asked == [(0, 3), (1, 3)]


def test_a_long_gradient_is_clipped_and_logged_as_it_was(monkeypatch):
    seen = []
    step = torch.optim.AdamW.step

    def watched(self, *args):
        parts = [w.grad.flatten() for g in self.param_groups for w in g["params"]]
        seen.append(float(torch.cat(parts).norm()))
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    _, log = trained(replace(PLAIN, clip=0.01))
    assert seen == pytest.approx([0.01] * 6, rel=1e-3)
    assert log[0].gradient > 0.1
    seen.clear()
    _, log = trained(replace(PLAIN, clip=1e6))
    assert seen == pytest.approx([update.gradient for update in log], rel=1e-5)


def test_groups_get_their_share_of_the_rate():
    net = Net()
    before = weights(net)
    some = [Group((net.first,), rate=0.1), Group((net.second,), rate=1.0), Group((net.bias,), rate=0.0)]
    train(net, CrossEntropy(), Cut(), some, replace(PLAIN, updates=1))
    steps = {name: (tensor.detach() - before[name]).abs().max().item() for name, tensor in net.named_parameters()}
    # The first step of Adam is as long as the rate, whatever the gradient.
    assert steps["first"] == pytest.approx(0.005, rel=1e-2)
    assert steps["second"] == pytest.approx(0.05, rel=1e-2)
    assert steps["bias"] == 0


def test_only_groups_that_decay_are_pulled_toward_zero():
    net = Net()
    net.bias.data.fill_(1.0)
    before = weights(net)
    settings = Settings(updates=1, rate=0.1, schedule="constant", weight_decay=0.5)
    train(net, lambda outputs, batch: 0 * outputs.scores.sum(), Cut(), groups(net), settings)
    torch.testing.assert_close(net.second.detach(), before["second"] * (1 - 0.1 * 0.5))
    torch.testing.assert_close(net.bias.detach(), before["bias"])


def test_what_is_in_no_group_stays():
    net = Net()
    train(net, CrossEntropy(), Cut(), [Group((net.second,))], PLAIN)
    assert torch.equal(net.first, Net().first)
    assert not torch.equal(net.second, Net().second)


# What makes it stop ------------------------------------------------------------------------------------------------


def losses(*values):
    """An objective that gives one number after the other, with a graph."""
    left = iter(values)
    return lambda outputs, batch: 0 * outputs.scores.sum() + next(left)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((1.0, math.nan), "got nan (gradient 0) at update 2 of 6"),
        ((math.inf,), "got inf (gradient 0) at update 1 of 6"),
        ((1.0, 2.0, 50.1), "got 50.1 (gradient 0) at update 3 of 6"),
        ((4.0, 201.0), "got 201 (gradient 0) at update 2 of 6"),
        ((1.0, -51.0), "got -51 (gradient 0) at update 2 of 6"),
    ],
)
def test_a_loss_that_is_no_number_or_runs_away_is_an_error(values, said):
    with pytest.raises(TrainingError) as error:
        trained(objective=losses(*values))
    assert str(error.value) == (
        f"the loss must stay a finite number, {said} with a rate of 0.05. Try a rate ten times lower."
    )


def test_a_loss_that_grows_and_comes_back_is_none():
    _, log = trained(objective=losses(0.01, 49.0, 1.0, 1.0, 1.0, 1.0))
    assert len(log) == 6


def test_a_gradient_that_is_no_number_is_an_error_before_a_weight_moves():
    net = Net()

    def spike(outputs, batch):
        return torch.sqrt(outputs.scores * 0).sum()  # 0, with an infinite slope

    with pytest.raises(TrainingError, match=r"got 0 \(gradient nan\) at update 1 of 6"):
        trained(net=net, objective=spike)
    assert_same(net, Net())


# Memory ------------------------------------------------------------------------------------------------------------


class Full:
    """Batches after which memory runs out for a while."""

    def __init__(self, times, error=None):
        self.left, self.asked = times, []
        self.error = error or RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    def __call__(self, update, parts):
        self.asked.append((update, parts))
        if update == 1 and self.left:
            self.left -= 1
            raise self.error
        return Cut()(update, parts)


@pytest.mark.parametrize(
    "error", [None, torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("[enforce fail] not enough memory: x")]
)
def test_when_memory_runs_out_batches_are_halved_and_the_result_stays(caplog, error):
    batches = Full(1, error)
    with caplog.at_level(logging.WARNING):
        net, log = trained(replace(PLAIN, updates=3), batches=batches)
    assert batches.asked == [(0, 1), (1, 1), (1, 2), (2, 2)]
    assert [r.getMessage() for r in caplog.records] == ["memory ran out: from here on a batch goes through in 2 parts"]
    assert len(log) == 3
    whole = trained(replace(PLAIN, updates=3))[0]
    for name, tensor in whole.named_parameters():
        torch.testing.assert_close(dict(net.named_parameters())[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("accumulate", "parts"), [(1, 2), (3, 6)])
def test_when_it_runs_out_again_that_is_the_end(accumulate, parts):
    batches = Full(2)
    with pytest.raises(MachineError) as error:
        trained(replace(PLAIN, accumulate=accumulate), batches=batches)
    assert str(error.value) == (
        f"memory ran out in the training, even with a batch in {parts} parts. Choose a smaller backbone, or a strategy "
        "that moves fewer weights."
    )
    assert error.value.__cause__ is batches.error
    assert batches.asked == [(0, accumulate), (1, accumulate), (1, parts)]


def test_the_second_attempt_does_not_hold_what_the_first_one_held():
    """A traceback keeps every tensor of the pass that failed."""
    held = []

    def batches(update, parts):
        if parts == 1:
            raise RuntimeError("not enough memory")
        held.append(sys.exc_info()[1])
        return Cut()(update, parts)

    trained(replace(PLAIN, updates=1), batches=batches)
    assert held == [None]


def test_another_error_of_the_run_time_is_not_taken_for_it():
    batches = Full(1, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trained(batches=batches)
    assert batches.asked == [(0, 1), (1, 1)]


# A kill ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch):
    """A clock that jumps on by six seconds with each look, so that every update is worth a checkpoint."""
    now = iter(range(0, 10**6, 6))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(now)))


def stopped_after(updates, file, settings=PLAIN, net=None):
    """Begin, and be interrupted once so many updates are on disk."""

    class Killed(BaseException):
        pass

    def progress(update, total):
        if update.number == updates:  # a checkpoint is written after the call
            raise Killed

    with pytest.raises(Killed):
        trained(settings, net or Net(0.5), checkpoint=file, progress=progress)


@pytest.mark.parametrize("updates", [1, 3, 5])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path, slow, updates):
    file = tmp_path / "state.safetensors"
    stopped_after(updates, file)
    resumed = []
    net, log = trained(net=Net(0.5), checkpoint=file, progress=lambda u, t: resumed.append(u.number))
    assert resumed == list(range(updates, 6))
    whole, whole_log = trained(net=Net(0.5))
    assert_same(net, whole)
    for name in ("number", "loss", "rate", "gradient"):
        assert [getattr(u, name) for u in log] == [getattr(u, name) for u in whole_log]


def test_a_run_that_had_ended_is_not_run_again(tmp_path):
    file = tmp_path / "state.safetensors"
    first, log = trained(checkpoint=file)
    told = []
    again, same = trained(checkpoint=file, progress=lambda *step: told.append(step))
    assert_same(again, first)
    assert same == log
    assert told == []
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


@pytest.mark.parametrize("other", [{"rate": 0.01}, {"seed": 4}, {"updates": 7}, {"weight_decay": 0.1}])
def test_a_checkpoint_of_other_settings_is_passed_over(tmp_path, slow, other):
    file = tmp_path / "state.safetensors"
    stopped_after(3, file)
    settings = replace(PLAIN, **other)
    assert_same(trained(settings, Net(0.5), checkpoint=file)[0], trained(settings, Net(0.5))[0])


def test_a_checkpoint_of_another_model_is_passed_over(tmp_path):
    file = tmp_path / "state.safetensors"
    trained(checkpoint=file)
    net = Net()
    net.first, net.bias, net.second = (
        nn.Parameter(torch.ones(4, 2)), nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2, 3))
    )  # fmt: skip
    assert len(trained(net=net, checkpoint=file)[1]) == 6
    assert torch.isfinite(net.first).all()
    assert not torch.equal(net.first, torch.ones(4, 2))


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: b"nonsense" * 9])
def test_a_damaged_checkpoint_is_told_and_passed_over(tmp_path, caplog, damage):
    file = tmp_path / "state.safetensors"
    trained(checkpoint=file)
    file.write_bytes(damage(file.read_bytes()))
    with caplog.at_level(logging.WARNING):
        net, _ = trained(checkpoint=file)
    assert [r.getMessage() for r in caplog.records] == ["state.safetensors cannot be read; the training starts anew"]
    assert_same(net, trained()[0])
    assert_same(trained(checkpoint=file)[0], net)  # what was written in its place is whole


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(tmp_path, slow, caplog, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "states" / "first.safetensors"
    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING):
        assert_same(trained(checkpoint=file)[0], trained()[0])
        trained(checkpoint=file.with_name("second.safetensors"))
    assert [record.getMessage() for record in caplog.records] == [
        f"{file} was not written: the disk is full. Free some space or choose another place. "
        "The work goes on; if it is interrupted, --resume begins further back"
    ]
    assert list(file.parent.iterdir()) == []


def test_a_checkpoint_that_cannot_be_replaced_stays(tmp_path, slow, monkeypatch):
    file = tmp_path / "state.safetensors"
    stopped_after(2, file)
    before = file.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    assert_same(trained(net=Net(0.5), checkpoint=file)[0], trained(net=Net(0.5))[0])
    assert file.read_bytes() == before


def test_a_checkpoint_without_its_record_is_passed_over(tmp_path, caplog):
    from safetensors.torch import load_file, save_file

    file = tmp_path / "state.safetensors"
    trained(checkpoint=file)
    save_file(load_file(file), file)
    assert_same(trained(checkpoint=file)[0], trained()[0])
    assert "cannot be read" in caplog.text


def test_a_training_that_was_ended_stays_ended_when_it_is_resumed(tmp_path):
    file, looked = tmp_path / "state.safetensors", []

    def once(progress):
        weight = torch.nn.Parameter(torch.ones(2))
        model = torch.nn.Module()
        model.weight = weight
        model.forward = lambda state: weight.sum()
        batch = Batch(None, torch.zeros(1))
        return train(
            model, lambda outputs, batch: outputs, lambda update, parts: [batch], [Group((weight,))],
            Settings(updates=6), checkpoint=file, progress=progress,
        ), weight  # fmt: skip

    log, weight = once(lambda update, total: update.number == 2)
    again, same = once(lambda update, total: looked.append(update))
    assert len(log) == 3
    assert again == log
    assert torch.equal(same, weight)
    assert looked == []
