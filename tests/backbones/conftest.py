"""What several tests of backbones share: a small EfficientNet-Lite, and its maps computed block by block."""

import pytest
import torch

from handful.backbones.base import State
from handful.backbones.efficientnet import EfficientNetLite


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
