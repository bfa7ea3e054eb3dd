"""The file of CTranslate2: every kind of number comes back, and a damaged file is refused with what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny_whisper import KINDS, content

from handful.backbones import ctranslate2_file

TENSORS = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS} | {"one": np.int16(7)}


@pytest.fixture
def read(tmp_path):
    def of(data):
        (tmp_path / "model.bin").write_bytes(data)
        return ctranslate2_file.read(tmp_path / "model.bin")

    return of


def test_tensors_come_back_with_their_kinds_and_shapes(read):
    model = read(content(TENSORS, kind="SomeSpec", revision=2))
    assert (model.kind, model.revision) == ("SomeSpec", 2)
    assert set(model.tensors) == set(TENSORS)
    for name, values in TENSORS.items():
        assert model.tensors[name].dtype == values.dtype
        assert_array_equal(model.tensors[name], values)


def test_a_tensor_with_two_names_is_there_under_both(read):
    tensors = read(content(TENSORS, [("again", "int8")])).tensors
    assert_array_equal(tensors["again"], TENSORS["int8"])


def test_a_second_name_for_nothing_is_refused(read):
    with pytest.raises(KeyError, match="nothing"):
        read(content(TENSORS, [("again", "nothing")]))


def replaced(data, old, new):
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (content(TENSORS, version=5), "model.bin must be of version 6 of the format, got 5"),
        (b"", "the file ends too early"),
        (content(TENSORS)[:-5], "the file ends too early"),
        (content(TENSORS) + b"more", "model.bin goes on for 4 bytes behind its end"),
        (replaced(content(TENSORS), b"float16\0", b"float16!"), "a name in the file must end with a zero byte"),
        (replaced(content({"x": np.zeros(2, np.int8)}), b"\1\2\0\0\0\1", b"\1\2\0\0\0\5"), "tensor x is of the kind 5"),
        (
            replaced(content({"x": np.zeros(2, np.int8)}), b"\1\2\0\0\0\1", b"\1\3\0\0\0\1"),
            "tensor x must have 3 bytes, got 2",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_is_wrong(read, data, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        read(data)


def test_cut_off_anywhere_it_is_refused_and_not_misread(read):
    whole = content({"x": np.ones((2, 2), np.float16), "y": np.int8(1)}, [("z", "x")])
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="the file ends too early"):
            read(whole[:end])
