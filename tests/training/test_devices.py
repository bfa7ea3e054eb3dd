"""Devices: where products are rounded, and what the command line spares itself."""

import os
import subprocess
import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from handful.backbones.toy import ToyText
from handful.backbones.toy_language import ToyLanguage
from handful.data.conversations import Conversation, Message
from handful.training import devices
from handful.training.activations import Activations
from handful.training.body import Body
from handful.training.devices import hold_rounded, mixed_precision
from handful.training.tokens import AnswerBatches, TokenBody
from handful.training.tuners import LoRA

DENSE = nn.Linear(3, 2)
CONVOLUTION = nn.Sequential(nn.Conv1d(3, 2, 1), nn.Linear(3, 2))
RECURRENT = nn.Sequential(nn.LSTM(3, 2), nn.Linear(2, 2))


def asked(toy):
    rows = [Conversation((Message("user", "abc"),), "de"), Conversation((Message("user", "f"),), "ghi")]
    tokens = [toy.chat.tokens(row, toy.context) for row in rows]
    return Activations.of(toy, [tokens], 0), tokens


@pytest.mark.parametrize(
    ("fast", "model", "expected"),
    [
        (True, DENSE, torch.bfloat16),
        (False, DENSE, torch.float32),
        (True, CONVOLUTION, torch.float32),
        (True, RECURRENT, torch.float32),
    ],
    ids=["dense", "a CPU without the instructions", "convolutions", "recurrent"],
)
def test_products_are_rounded_where_that_is_faster(monkeypatch, fast, model, expected):
    monkeypatch.setattr(devices, "_multiplies_bfloat16", lambda: fast)
    with mixed_precision(model):
        assert DENSE(torch.ones(1, 3)).dtype == expected
    assert DENSE(torch.ones(1, 3)).dtype == torch.float32


@pytest.mark.parametrize("body", [Body(ToyText(), 1), TokenBody(ToyLanguage(), 1)], ids=["texts", "answers"])
def test_who_must_not_round_does_not(monkeypatch, body):
    monkeypatch.setattr(devices, "_multiplies_bfloat16", lambda: True)
    assert not isinstance(mixed_precision(body), nullcontext)
    body.rounds_on_cpu = False
    assert isinstance(mixed_precision(body), nullcontext)


@pytest.mark.parametrize("fast", [True, False])
def test_what_does_not_move_is_held_rounded_and_gives_the_same(monkeypatch, fast):
    monkeypatch.setattr(devices, "_multiplies_bfloat16", lambda: fast)
    toy = ToyLanguage()
    body = TokenBody(toy, 0)
    LoRA().prepare(body)
    for name, weight in body.blocks.named_parameters():
        if "lora_B" in name:
            weight.data += 0.1
    # One short row: of many tokens, factors are added to the weights unless these are held rounded.
    (batch,) = AnswerBatches(*asked(toy), np.arange(1), 1)(0, 1)
    with mixed_precision(body):
        before = body(batch.state).scores
        hold_rounded(body)
        assert torch.equal(body(batch.state).scores, before)
    held = {weight.dtype for weight in body.parameters() if not weight.requires_grad and weight.dim() == 2}
    assert held == {torch.bfloat16 if fast else torch.float32}
    assert {weight.dtype for weight in body.parameters() if weight.requires_grad} == {torch.float32}
    assert {weight.dtype for block in toy.blocks for weight in block.parameters()} == {torch.float32}


@pytest.mark.parametrize("found", [{}, {"avx2": True, "avx512_bf16": False}])
def test_a_cpu_that_does_not_say_so_is_taken_not_to_have_it(monkeypatch, found):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert not devices._multiplies_bfloat16.__wrapped__()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {**found, "amx_bf16": True})
    assert devices._multiplies_bfloat16.__wrapped__()


@pytest.mark.parametrize("kept", ["DEFAULT", "AVX2"])
def test_torch_that_is_kept_to_older_instructions_is_taken_not_to_have_it(monkeypatch, kept):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kept)
    assert not devices._multiplies_bfloat16.__wrapped__()


def test_an_optimizer_moves_weights_without_the_compiler():
    script = """
        import sys
        import torch
        from handful.training.devices import spare_the_compiler

        spare_the_compiler()
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.0, fused=True)
        for _ in range(2):
            optimizer.zero_grad()
            weight.sum().backward()
            torch.nn.utils.clip_grad_norm_([weight], 1.0)
            optimizer.step()
        assert "torch._dynamo" not in sys.modules
        print([round(value, 3) for value in weight.tolist()])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=120
    )
    assert ended.stdout.strip() == "[0.8, 0.8, 0.8]"


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked to give memory back")
def test_memory_below_a_piece_in_use_is_given_back():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    pieces = [torch.ones(25_000) for _ in range(1000)]  # 100 MB, each too small for pages of its own
    last = torch.ones(25_000)
    before = resident()
    pieces.clear()
    devices.give_back()
    assert before - resident() > 50_000_000
    assert float(last.sum()) == 25_000
