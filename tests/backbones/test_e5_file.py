"""The four-bit file of a text encoder: read as its own reader reads it, into a BERT that transformers agrees with."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal
from tokenizers import Tokenizer

from handful.backbones import e5_file, text
from handful.errors import WeightsError
from rounding import rounding

PIECES = ("<s>", "<pad>", "</s>", "<unk>", "\u2581", "\u2581query", ":", "\u2581card", "s", "a", "～", "fi")
SIZES = {"width": 32, "layers": 2, "heads": 2, "inner": 64, "words": len(PIECES) + 3, "places": 12, "kinds": 2}
NAME = "e5-small-q4.bin"
PARTS = {"q": "wide", "k": "wide", "v": "wide", "ao": "wide", "aln": "norm", "fi": "in", "fo": "out", "oln": "norm"}
# Terms that two layers of the tiny encoder add up one after the other, and its largest number.
CLOSE = rounding(steps=2 * (5 * 32 + 64), size=8.0)


def plain(block):
    """One block, number by number, as the format is written down."""
    scale = struct.unpack("<e", block[:2])[0]
    low, high = [byte & 15 for byte in block[2:]], [byte >> 4 for byte in block[2:]]
    return [scale * (number - 8) for number in low + high]


def stored():
    """Name → kind, how many numbers, bytes, in the order of the file."""
    rng = np.random.default_rng(0)
    s = SIZES

    def floats(count, around=0.0):
        return 0, count, rng.normal(around, 0.3, count).astype("<f4").tobytes()

    def blocks(count):
        made = [struct.pack("<e", rng.uniform(0.01, 0.05)) + rng.bytes(16) for _ in range(count // 32)]
        return 1, count, b"".join(made)

    found = {"emb.word": blocks(s["words"] * s["width"]), "emb.pos": floats(s["places"] * s["width"])}
    found |= {"emb.type": floats(s["kinds"] * s["width"]), "emb.ln.w": floats(s["width"], 1.0)}
    found["emb.ln.b"] = floats(s["width"])
    rows = {"wide": s["width"], "in": s["inner"], "out": s["width"], "norm": s["width"]}
    inputs = {"wide": s["width"], "in": s["width"], "out": s["inner"]}
    for layer in range(s["layers"]):
        for part, kind in PARTS.items():
            weight = floats(rows[kind], 1.0) if kind == "norm" else blocks(rows[kind] * inputs[kind])
            found[f"l{layer}.{part}.w"], found[f"l{layer}.{part}.b"] = weight, floats(rows[kind])
    return found


def content(tensors, pieces=PIECES):
    """The whole file."""
    encoded = [piece.encode() for piece in pieces]
    bounds = np.cumsum([0, *map(len, encoded)]).astype("<u4")
    scores = np.array([0, 0, 0, 0, *(-1.0 - 0.25 * i for i in range(len(pieces) - 4))], "<f4")
    head = b"E5S1" + struct.pack("<8ifi", 1, *SIZES.values(), 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, int(bounds[-1]))
    head += bounds.tobytes() + scores.tobytes() + b"".join(encoded)
    table = struct.pack("<IBI", ord("\t"), 1, ord(" "))
    head += struct.pack("<iI", 1, len(table)) + table + struct.pack("<i", len(tensors))
    at = len(head) + sum(2 + len(name) + 21 for name in tensors)
    for name, (kind, count, data) in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, at, len(data))
        at += len(data)
    return head + b"".join(data for _, _, data in tensors.values())


@pytest.fixture
def file(tmp_path):
    made = tmp_path / NAME
    made.write_bytes(content(stored()))
    return made


@pytest.fixture
def folder(file, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    text.convert("multilingual-e5-small", {NAME: file}, made)
    return made


def test_a_block_is_a_scale_and_twice_sixteen_numbers():
    block = struct.pack("<e", 0.5) + bytes([0x0F, 0x80, *range(14)])
    found = e5_file.dequantised(np.frombuffer(block, "u1").reshape(1, 18))
    assert found.dtype == np.float32
    assert_array_equal(found[0], plain(block))
    assert found[0, [0, 1, 16, 17]].tolist() == [3.5, -4.0, -4.0, 0.0]


def test_tensors_have_the_names_shapes_and_numbers_of_a_checkpoint(file):
    tensors, s = e5_file.read(file).tensors, SIZES
    kept = stored()
    assert len(tensors) == len(kept)
    word = kept["emb.word"][2]
    expected = [plain(word[at : at + 18]) for at in range(0, len(word), 18)]
    assert_array_equal(tensors["embeddings.word_embeddings.weight"], np.array(expected).reshape(s["words"], s["width"]))
    narrow = tensors["encoder.layer.1.output.dense.weight"]
    assert narrow.shape == (s["width"], s["inner"])
    assert_array_equal(narrow.reshape(-1)[:32], plain(kept["l1.fo.w"][2][:18]))
    assert_array_equal(
        tensors["encoder.layer.0.attention.output.LayerNorm.weight"], np.frombuffer(kept["l0.aln.w"][2], "<f4")
    )


def test_the_encoder_is_that_of_transformers_averaged_over_tokens(folder):
    original = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    backbone = text.load("multilingual-e5-small", folder)
    texts = ["card", "cards a a a a a a a a a a a a", ""]
    ids, mask = backbone.prepare(texts)
    with torch.inference_mode():
        states = original(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    for depth, vectors in backbone.encode(texts, range(3)).items():
        expected = (states[depth] * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        assert_allclose(vectors, expected, rtol=0, atol=CLOSE)


def test_every_text_begins_with_the_prefix_and_is_cut_at_the_context(folder):
    ids, mask = text.load("multilingual-e5-small", folder).prepare(["cards", "a" * 40])
    assert ids[0].tolist() == [0, 5, 6, 7, 8, 2] + [0] * 6
    assert mask.sum(1).tolist() == [6, SIZES["places"]]
    assert ids[1, :4].tolist() == [0, 5, 6, 4]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("card", "\u2581card"),
        ("a\tcard\u200bs\n", "\u2581a\u2581card\u2581s\u2581"),
        ("ca\u0001rd", "\u2581card"),
        ("ﬁ ａ～~  ㎏", "\u2581fi\u2581a～~\u2581kg"),
        ("e\u0301", "\u2581é"),
    ],
)
def test_texts_are_read_in_the_normal_form_of_the_vocabulary(folder, given, expected):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    normal = tokenizer.normalizer.normalize_str(given)
    assert "".join(piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)) == expected


def other_magic(data):
    return b"E5S2" + data[4:]


def cut_off(data):
    return data[:-20]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_magic, f"{NAME} must begin with E5S1"),
        (cut_off, "the file ends too early"),
        (lambda _: b"", "the file ends too early"),
    ],
)
def test_a_file_of_another_kind_is_not_converted(tmp_path, change, reason):
    (tmp_path / NAME).write_bytes(change(content(stored())))
    with pytest.raises(WeightsError, match=f"cannot be converted .*{re.escape(reason)}"):
        text.convert("multilingual-e5-small", {NAME: tmp_path / NAME}, tmp_path)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"l0.q.b": (2, 32, bytes(128))}, "tensor l0.q.b is of the kind 2, which is none of ours"),
        ({"l0.q.b": (0, 32, bytes(120))}, "the file ends too early"),
        ({"l0.q.w": (1, 64, bytes(18))}, "tensor l0.q.w must have 64 numbers, got 32"),
    ],
)
def test_a_tensor_of_another_kind_or_size_is_not_converted(tmp_path, tensors, reason):
    (tmp_path / NAME).write_bytes(content(stored() | tensors))
    with pytest.raises(WeightsError, match=re.escape(reason)):
        text.convert("multilingual-e5-small", {NAME: tmp_path / NAME}, tmp_path)
