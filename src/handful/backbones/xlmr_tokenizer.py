"""The tokenizer of XLM-R out of the pieces of its vocabulary, as the settings of the tokenizers library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The normal form is NFKC, but control characters are dropped or read as a space.
_DROPPED = "[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]"
_SPACES = "[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"
# And a wide tilde stays what it is. What stands for it while the others are normalised is no character in Unicode.
_TILDE, _ASIDE = "\uff5e", "\ufdd0"

_WORDS = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}


def settings(pieces: Sequence[str], scores: Sequence[float], begin: int, end: int, unknown: int) -> dict[str, Any]:
    """What ``tokenizer.json`` says: a text becomes its most probable pieces (Kudo 2018, arXiv 1804.10959).

    Args:
        pieces: the vocabulary, the space written as U+2581; the place of a piece is its id.
        scores: the log probability of each.
        begin: the id of the mark before every text.
        end: the id of the mark after it.
        unknown: the id of what no piece stands for.
    """
    marks = {i: pieces[i] for i in (begin, end)}
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                _replaced({"Regex": _DROPPED}, ""),
                _replaced({"Regex": _SPACES}, " "),
                _replaced({"String": _TILDE}, _ASIDE),
                {"type": "NFKC"},
                _replaced({"String": _ASIDE}, _TILDE),
                _replaced({"Regex": " {2,}"}, " "),
            ],
        },
        "pre_tokenizer": _WORDS,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_mark(marks[begin]), _part("A"), _mark(marks[end])],
            "pair": [
                _mark(marks[begin]),
                _part("A"),
                _mark(marks[end]),
                _mark(marks[end]),
                _part("B"),
                _mark(marks[end]),
            ],
            "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in marks.items()},
        },
        "decoder": _WORDS,
        "model": {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": list(zip(pieces, scores, strict=True)),
            "byte_fallback": False,
        },
    }


def _replaced(what: dict[str, str], by: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": what, "content": by}


def _mark(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


def _part(name: str) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": 0}}
