"""Tiny backbones of the classes that ONNX can express, with drawn weights, and models of items that read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from handful.backbones import audio, speech_embedding, voice_encoder, whisper
from handful.backbones.base import weights_fingerprint
from handful.backbones.bert import BertBlock, BertStem
from handful.backbones.efficientnet import EfficientNetLite
from handful.backbones.image import LiteBackbone
from handful.backbones.text import TextBackbone, fast_tokeniser
from handful.export.bundle import Bundle
from handful.features.view import View
from handful.tasks.classification import CLASSIFICATION
from small_backbones import drawn

WORDS = ["the", "parcel", "is", "late", "money", "back", "please", "card", "lost", "refund", "hello", "##s", "a", "b"]
CONFIG = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "vocab_size": len(WORDS) + 5,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-6,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
TEXTS = ["the parcel is late", "money back please", "card lost", "refund refunds hello", "a b c d", "", "zebra " * 200]
RATE = 16_000
# What the runner must do without, however it is installed.
BLOCK = (
    "import sys\n"
    "for name in ('torch', 'handful', 'transformers', 'sklearn', 'scipy', 'onnx'):\n    sys.modules[name] = None\n"
    "sys.argv = sys.argv[1:]\nimport runpy\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
)


def _random(module, seed):
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        weight.data = torch.randn(weight.shape, generator=generator) * (0.5 if weight.dim() < 2 else 0.2)
    return module.eval()


def tokenizer():
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    made = Tokenizer(models.WordPiece({word: i for i, word in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def text(name="tiny-text", seed=1, prefix="a: "):
    stem, blocks = BertStem(CONFIG), [BertBlock(CONFIG) for _ in range(2)]
    for i, module in enumerate((stem, *blocks)):
        _random(module, seed + i)
    made = TextBackbone(name, stem, blocks, fast_tokeniser(tokenizer(), 24, prefix), "mean", longest=24)
    made.fingerprint = weights_fingerprint(made.modules(), name)
    return made


def network(seed=5):
    def make():
        made = EfficientNetLite(0.1, 0.1)
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
                torch.nn.init.normal_(module.running_mean)
        return made

    return drawn(make, seed)


def image(name="tiny-image", side=64):
    return LiteBackbone(name, network(), side)


def spectrogram(side=64):
    return audio.SpectrogramLite0(network(), side)


def speech():
    weights = drawn(lambda: speech_embedding.SpeechEmbedding(40), 7)
    rng = np.random.default_rng(0)
    at = np.arange(speech_embedding.FRAME)
    turns = 2 * np.pi * np.outer(at, np.arange(4, 44)) / speech_embedding.FRAME
    weights.stem.mel.kernels.copy_(torch.tensor(np.concatenate([np.cos(turns), np.sin(turns)], 1)))
    weights.stem.mel.bands.copy_(torch.tensor(rng.uniform(0, 1, (40, 32))))
    return audio.SpeechEmbedding(weights)


def voice():
    return audio.VoiceEncoder(drawn(voice_encoder.VoiceEncoder, 8))


def whisper_tiny():
    made = whisper.WhisperEncoder(16, 32, 2, 4, 1500)
    return audio.WhisperTinyEn(_random(made, 9))


def pictures():
    rng = np.random.default_rng(0)
    sizes = ((1, 1), (64, 64), (300, 90), (90, 311))
    return [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes]


def clips():
    """Clips from a blink to 33 s, one of them silent, one louder than full scale."""
    rng = np.random.default_rng(0)
    made = []
    for seconds in (0.02, 0.4, 1.0, 2.53, 6.1):
        at = np.arange(round(seconds * RATE)) / RATE
        tone = 0.4 * np.sin(2 * np.pi * 440 * at * (1 + at / 3)) * np.cos(9 * at)
        made.append(((tone + rng.normal(0, 0.01, len(at))).astype(np.float32), RATE))
    return [*made, (np.zeros(3000, np.float32), RATE), (3 * made[2][0], RATE)]


KINDS = {
    "text": (text, lambda: TEXTS, 2),
    "image": (image, pictures, 8),
    "shallow image": (image, pictures, 2),
    "speech": (speech, clips, 6),
    "voice": (voice, clips, 3),
    "whisper": (whisper_tiny, clips, 4),
    "spectrogram": (spectrogram, clips, 8),
    "shallow spectrogram": (spectrogram, clips, 3),
}
"""Name → what makes a backbone, what makes items, and the depth that is read."""


def model(backbones, depth, task=CLASSIFICATION, labels=("late", "money", "other"), **changed):
    """A model that reads backbones at a depth, with a drawn head."""
    view = View(tuple((one.name, depth) for one in backbones))
    width = 0
    items = KINDS[backbones[0].modality if backbones[0].modality != "sound" else "speech"][1]()[:2]
    for one in backbones:
        seen = one.encode(items, [depth])[depth].shape[1]
        width += 3 * seen + 2 if changed.get("pairs") else seen
    rng = np.random.default_rng(1)
    k = task.width(labels)
    return Bundle(
        task, backbones[0].modality, tuple(labels), view, {one.name: one.fingerprint for one in backbones}, "ridge",
        (3 * rng.normal(size=(width, k))).astype(np.float32), rng.normal(size=k).astype(np.float32), "text",
        witness=rng.normal(size=(2, width)).astype(np.float32), loaded={one.name: one for one in backbones}, **changed,
    )  # fmt: skip


def run(folder, *items, without=()):
    """What the runner prints, with no way to anything that it must not need, nor to what else it is to do without."""
    block = BLOCK.replace("'onnx')", f"'onnx', *{list(without)})")
    done = subprocess.run(
        [sys.executable, "-I", "-c", block, str(folder / "run.py"), *map(str, items)],
        capture_output=True, text=True, cwd=folder, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else done.stderr.strip()
