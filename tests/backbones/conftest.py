"""What several tests of backbones share: a small EfficientNet-Lite with its maps, and a shelf with a tiny wheel."""

import hashlib
import os
import sys
import types

import pytest
import torch
from tiny_wheel import LICENCE, NUMBERS, SHOUTED, convert, use_entries, write_wheel

from handful.backbones import weights, wheels
from handful.backbones.base import State
from handful.backbones.efficientnet import EfficientNetLite
from handful.backbones.entries import Entry


@pytest.fixture
def small_network():
    """Make a network: every stage once, few channels, and normalisation statistics that are not the identity."""

    def make(seed: int = 0) -> EfficientNetLite:
        generator = torch.Generator().manual_seed(seed)
        network = EfficientNetLite(width=0.1, depth=0.1)
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                if name.endswith("norm.weight") or name.endswith("running_var"):
                    tensor.uniform_(0.5, 2, generator=generator)
                elif tensor.is_floating_point():
                    tensor.normal_(0, 0.3, generator=generator)
        return network.eval()

    return make


@pytest.fixture
def maps():
    """Depth → (B, C, H, W), by running the stem and the blocks themselves."""

    def run(network: EfficientNetLite, x: torch.Tensor) -> dict[int, torch.Tensor]:
        with torch.inference_mode():
            state = State(network.stem(x))
            found = {0: state.x}
            for depth, block in enumerate(network.blocks, start=1):
                state = block(state)
                found[depth] = state.x
        return found

    return run


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that pip looks into, and nothing else; an empty cache; a catalogue of one entry and one that uses it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    write_wheel(wheel)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
    tiny = Entry(
        "tiny", "text", "numbers", "MIT", 8, "tiny_module", "tiny-weights", "1.0", sha, len(NUMBERS),
        members=("model/numbers.bin",),
        files={"model.bin": hashlib.sha256(SHOUTED).hexdigest(), "LICENSE": LICENCE},
    )  # fmt: skip
    user = Entry("user", "text", "uses them", "MIT", 8, "tiny_module", uses="tiny")
    use_entries(monkeypatch, tiny, user)
    monkeypatch.setitem(sys.modules, "handful.backbones.tiny_module", types.SimpleNamespace(convert=convert))
    return folder


@pytest.fixture
def here(shelf, monkeypatch):
    """The cache folder with the weights in it, put there without pip."""
    monkeypatch.setattr(wheels, "download", lambda entry, folder, progress: next(shelf.glob("*.whl")))
    return weights.fetch("tiny")
