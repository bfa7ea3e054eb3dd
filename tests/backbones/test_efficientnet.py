"""EfficientNetLite and its folded copy, on small random networks."""

import copy

import pytest
import torch
from numpy.testing import assert_allclose

from handful.backbones import folded
from handful.backbones.efficientnet import ConvUnit, EfficientNetLite, from_original, same_padding
from handful.backbones.folded import FoldedNet
from rounding import rounding

# The small network: terms that it adds up through all its blocks, and the largest of its partial sums.
CLOSE = rounding(steps=700, size=90.0)


def pictures(side: int, count: int = 2, width: int | None = None) -> torch.Tensor:
    return torch.randn(count, 3, side, width or side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (56, 5, 2, (1, 2)),
        (15, 5, 2, (2, 2)),
        (7, 3, 1, (1, 1)),
        (7, 1, 1, (0, 0)),
        (1, 3, 2, (1, 1)),
    ],
)
def test_padding_is_that_of_tensorflow(size, kernel, stride, padding):
    assert same_padding(size, kernel, stride) == padding


def test_a_unit_pads_after_the_picture_not_before_it():
    unit = ConvUnit(1, 1, kernel=3, stride=2, linear=True).eval()
    with torch.no_grad():
        unit.conv.weight.fill_(1)
    picture = torch.zeros(1, 1, 4, 4)
    picture[0, 0, 0, 0], picture[0, 0, 3, 3] = 1, 10
    assert_allclose(unit(picture)[0, 0].detach().numpy(), [[1, 0], [0, 10]], rtol=1e-2)


@pytest.mark.parametrize(
    ("depth", "width", "blocks", "channels"), [(1.0, 1.0, 17, 320), (1.1, 1.0, 22, 320), (1.1, 1.1, 22, 352)]
)
def test_sizes_of_the_three_networks(depth, width, blocks, channels):
    with torch.device("meta"):
        network = EfficientNetLite(width, depth)
    assert len(network.blocks) == blocks
    assert network.blocks[-1].unit.conv.in_channels == channels
    assert network.stage_ends[-1] == blocks - 1


def test_lite0_has_the_weights_that_the_catalogue_says():
    with torch.device("meta"):
        assert sum(p.numel() for p in EfficientNetLite().parameters()) == 4_652_008


def test_maps_shrink_as_in_the_paper(small_network, maps):
    found = maps(small_network(), pictures(64))
    assert [found[d].shape[-1] for d in sorted(found)] == [32, 32, 16, 8, 4, 4, 2, 2, 2]
    assert found[8].shape[1] == 1280


def test_the_blocks_are_the_network(small_network, maps):
    network, x = small_network(), pictures(32)
    with torch.inference_mode():
        assert_allclose(network(x), network.classifier(maps(network, x)[8].mean((2, 3))), rtol=1e-5)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("side", "width"), [(64, None), (60, None), (65, None), (33, None), (64, 45), (31, 90)])
def test_folded_equals_unfolded(monkeypatch, fused, side, width, small_network, maps):
    monkeypatch.setattr(folded, "_FUSED", fused and folded._FUSED)
    network, x = small_network(), pictures(side, 2, width)
    copied = FoldedNet(network.stem, network.blocks)
    assert copied.ready()
    expected = maps(network, x)
    found = copied.maps(x.contiguous(memory_format=torch.channels_last), range(9))
    for depth in range(9):
        assert_allclose(found[depth], expected[depth], rtol=0, atol=CLOSE)


def test_the_pass_stops_after_the_deepest(small_network):
    network = small_network()
    copied = FoldedNet(network.stem, network.blocks[:3])
    assert copied.ready()
    assert sorted(copied.maps(pictures(32), (0, 2))) == [0, 2]


def _exchange(network):
    network.blocks[3].expand.conv.weight = torch.nn.Parameter(network.blocks[3].expand.conv.weight * 2)


def _shift_statistics(network):
    network.blocks[2].depthwise.norm.running_mean += 0.5


CHANGES = {
    "in place": lambda network: network.blocks[2].project.conv.weight.mul_(3),
    "through .data": lambda network: network.stem.conv.weight.data.mul_(2),
    "one number": lambda network: network.blocks[0].project.conv.weight[0, 0].add_(0.5),
    "a new parameter": _exchange,
    "statistics": _shift_statistics,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_folded_copy_follows_changed_weights(change, small_network, maps):
    network, x = small_network(), pictures(32)
    copied = FoldedNet(network.stem, network.blocks)
    assert copied.ready()
    before = copied.maps(x, [8])[8]
    with torch.no_grad():
        CHANGES[change](network)
    assert copied.ready()
    after = copied.maps(x, [8])[8]
    assert (before - after).abs().max() > 10 * CLOSE
    assert_allclose(after, maps(network, x)[8], rtol=0, atol=CLOSE)


def test_folding_happens_once_for_the_same_weights(monkeypatch, small_network):
    network = small_network()
    copied = FoldedNet(network.stem, network.blocks)
    assert copied.ready()
    monkeypatch.setattr(copied, "_fold", lambda: pytest.fail("folded again"))
    assert copied.ready()


def test_no_folded_copy_of_a_network_in_training_or_with_other_parts(small_network):
    network = small_network()
    copied = FoldedNet(network.stem, network.blocks)
    network.blocks[4].train()
    assert not copied.ready()
    network.eval()
    assert copied.ready()
    exchanged = copy.deepcopy(network)
    exchanged.blocks[1].expand.conv = torch.nn.Sequential(exchanged.blocks[1].expand.conv)
    assert not FoldedNet(exchanged.stem, exchanged.blocks).ready()
    network.blocks[0].register_forward_hook(lambda *_: None)
    assert not copied.ready()


def test_names_of_the_original_checkpoints():
    names = ["_conv_stem.weight", "_bn0.running_var", "_blocks.0._depthwise_conv.weight", "_blocks.0._bn1.bias"]
    names += ["_blocks.1._expand_conv.weight", "_blocks.1._bn0.weight", "_blocks.1._bn2.num_batches_tracked"]
    names += ["_conv_head.weight", "_bn1.bias", "_fc.weight"]
    tensors = {name: torch.tensor(i) for i, name in enumerate(names)}
    assert [(name, int(t)) for name, t in from_original(tensors).items()] == [
        ("stem.conv.weight", 0),
        ("stem.norm.running_var", 1),
        ("blocks.0.depthwise.conv.weight", 2),
        ("blocks.0.depthwise.norm.bias", 3),
        ("blocks.1.expand.conv.weight", 4),
        ("blocks.1.expand.norm.weight", 5),
        ("blocks.1.project.norm.num_batches_tracked", 6),
        ("blocks.2.unit.conv.weight", 7),
        ("blocks.2.unit.norm.bias", 8),
        ("classifier.weight", 9),
    ]
