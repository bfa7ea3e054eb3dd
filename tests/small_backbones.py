"""Small backbones of every kind of state with the layers of the real ones: attention, convolutions, windows, maps."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import nn

from handful.backbones import speech_embedding, voice_encoder
from handful.backbones.base import Backbone, State, weights_fingerprint
from handful.backbones.bert import BertBlock
from handful.backbones.efficientnet import ConvUnit, MBConv
from handful.backbones.toy import WIDTH as TOY_WIDTH
from handful.backbones.toy import ToyImage, ToyText

WIDTH = 16
CONFIG = {
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "layer_norm_eps": 1e-6,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def drawn(make, seed=0):
    """A module with weights drawn from a seed; torch's global dice stay where they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


class SmallText(Backbone):
    """Attention over words: two transformer layers, mean over the real words."""

    name, modality, transformer = "small-text", "text", True
    search_depths = (2, 1)
    batch_items = 4

    def __init__(self) -> None:
        self.blocks = tuple(drawn(lambda: BertBlock(CONFIG), seed) for seed in (1, 2))
        self.fingerprint = weights_fingerprint(self.blocks, self.name)

    def size(self, item):
        return len(item.split())

    def prepare(self, items):
        words = [
            [np.random.default_rng(zlib.crc32(w.encode())).normal(size=WIDTH) for w in item.split()] for item in items
        ]
        x = np.zeros((len(items), max(map(len, words)), WIDTH), np.float32)
        mask = np.zeros(x.shape[:2], np.float32)
        for i, rows in enumerate(words):
            x[i, : len(rows)], mask[i, : len(rows)] = rows, 1
        return torch.from_numpy(x), torch.from_numpy(mask)

    def stem(self, batch):
        x, mask = (part.to(self.device) for part in batch)
        return State(x, mask)

    def pool(self, state):
        weight = state.mask[:, :, None]
        return (state.x * weight).sum(1) / weight.sum(1)


class SmallImage(Backbone):
    """Convolutions with batch normalisation, some of them depthwise, over pictures of 8 × 8."""

    name, modality = "small-image", "image"
    search_depths = (2, 1)
    batch_items = 4

    def __init__(self) -> None:
        self.bottom = drawn(lambda: ConvUnit(3, 8, 3, 2), 3)
        self.blocks = tuple(drawn(lambda: MBConv(8, 8, 3, 1, 2), seed) for seed in (4, 5))
        self.fingerprint = weights_fingerprint(self.modules(), self.name)

    def modules(self):
        return (self.bottom, *self.blocks)

    def prepare(self, items):
        from handful.data.images import load_image

        pixels = [np.asarray(load_image(item).convert("RGB").resize((8, 8)), np.float32) / 128 - 1 for item in items]
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)

    def stem(self, batch):
        return State(self.bottom(batch.to(self.device)))

    def pool(self, state):
        return state.x.mean((2, 3))


class SmallVoice(Backbone):
    """Several windows per item, read by LSTM layers; an item is a pair (samples, rate), one window per 100 samples."""

    name, modality = "small-voice", "sound"
    search_depths = (2,)
    batch_items = 3

    def __init__(self) -> None:
        self.blocks = (drawn(lambda: voice_encoder.Layer(5), 6), drawn(lambda: voice_encoder.Embedding(256), 7))
        self.fingerprint = weights_fingerprint(self.blocks, self.name)

    def prepare(self, items):
        cut = [np.resize(samples, (1 + len(samples) // 100, 4, 5)).astype(np.float32) for samples, _ in items]
        owner = np.repeat(np.arange(len(cut)), [len(x) for x in cut])
        x = np.concatenate(cut)
        mask = np.ones(x.shape[:2], np.float32)
        mask[np.r_[owner[1:] != owner[:-1], True], 3:] = 0  # the last window of each item is padded
        return State(torch.from_numpy(x), torch.from_numpy(mask), torch.from_numpy(owner))

    def stem(self, batch):
        return State(*(part.to(self.device) for part in (batch.x, batch.mask, batch.owner)))

    def pool(self, state):
        each = (state.x * state.mask[:, :, None]).sum(1) / state.mask.sum(1, keepdim=True)
        items = int(state.owner.max()) + 1
        total = each.new_zeros(items, each.shape[1]).index_add_(0, state.owner, each)
        return total / torch.bincount(state.owner, minlength=items)[:, None]


class SmallSound(Backbone):
    """Maps (channels, T, F) with a mask over T, convolved without padding, so that every block loses frames."""

    name, modality = "small-sound", "sound"
    search_depths = (2,)
    batch_items = 3

    def __init__(self) -> None:
        def block():
            return nn.Sequential(speech_embedding.Conv(1), speech_embedding.Conv(2))

        self.blocks = (drawn(block, 8), drawn(lambda: speech_embedding.Conv(3), 9))
        self.fingerprint = weights_fingerprint(self.blocks, self.name)

    def size(self, item):
        return len(item[0])

    def prepare(self, items):
        lengths = [8 + len(samples) // 50 for samples, _ in items]
        x = np.zeros((len(items), 24, max(lengths), 8), np.float32)
        mask = np.zeros((len(items), max(lengths)), np.float32)
        for i, ((samples, _), length) in enumerate(zip(items, lengths, strict=True)):
            x[i, :, :length] = np.resize(samples, (24, length, 8))
            mask[i, :length] = 1
        return torch.from_numpy(x), torch.from_numpy(mask)

    def stem(self, batch):
        x, mask = (part.to(self.device) for part in batch)
        return State(x.contiguous(memory_format=torch.channels_last), mask)

    def pool(self, state):
        weight = state.mask[:, None, :, None]
        return ((state.x * weight).sum(2) / weight.sum(2)).flatten(1)


class Gain(nn.Module):
    """Every number of a token times a gain of its own, which moves fast."""

    def __init__(self, first):
        super().__init__()
        self.register_buffer("start", torch.ones(TOY_WIDTH))
        self.start[0] = first
        self.moved = nn.Parameter(torch.zeros(TOY_WIDTH))

    def forward(self, state):
        return State(state.x * (self.start + 300 * self.moved), state.mask, state.owner)


class Muted(ToyText):
    """What tells the classes apart is the first number of a token, which the last block makes all but silent."""

    name, search_depths = "muted", (2,)

    def __init__(self):
        self.blocks = (Gain(1.0), Gain(0.02))
        self.fingerprint = weights_fingerprint(self.blocks, self.name)

    def vectors(self, item):
        noise = np.random.default_rng(zlib.crc32(item.encode())).normal(size=(1, TOY_WIDTH))
        noise[0, 0] = 3.0 if item.startswith("ants") else -3.0
        return noise


def texts(count=6):
    """Texts of one to several words; every second one is about ants."""
    return [f"{['ants', 'bees'][i % 2]} " + " ".join(f"w{i}{j}" for j in range(i % 5)) for i in range(count)]


def pictures(count=6):
    """Noisy pictures, every second one brighter."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 120, (16, 16, 3)).astype(np.uint8) + np.uint8(100 * (i % 2)) for i in range(count)]


def clips(count=6):
    """Noise of several lengths, every second one with a step in it."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        samples = rng.normal(size=100 + 90 * (i % 4)).astype(np.float32)
        samples[::2] += i % 2
        found.append((samples, 16000))
    return found


KINDS = {
    "toy-text": (ToyText, texts),
    "toy-image": (ToyImage, pictures),
    "small-text": (SmallText, texts),
    "small-image": (SmallImage, pictures),
    "small-voice": (SmallVoice, clips),
    "small-sound": (SmallSound, clips),
}
"""Name → the class, and what makes items for it."""
