"""Text encoders read by transformers, cut into stem and blocks where that gives back the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from handful.backbones.base import State, weights_fingerprint
from handful.backbones.hub import located, read_beside, read_model, read_settings, settings_digest
from handful.backbones.memory import require_memory
from handful.backbones.text import POOLINGS, TextBackbone, Tokenise, fast_tokeniser
from handful.errors import HandfulError, OptionError, WeightsError
from handful.readback import reason

# The most tokens a text may have where the model's own files do not say it: attention grows with the square.
_LONGEST = 512

# How much memory is needed beside the weights themselves to encode a batch, in bytes.
_WORKING = 1 << 29

# How far a cut encoder may be from the uncut one, in absolute numbers.
_CLOSE = 1e-4

# The switches of older pooling configs → the pooling they stand for.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

_PROBE = ("a", "Card was charged twice, and nobody answers.")

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class _Called(State):
    """A State that remembers what the model hands to each of its layers besides the activations."""

    calls: tuple[Call, ...] = ()
    """Positional and named arguments of each layer, bottom to top."""


# What the taps of one running skeleton have seen: (activations, positional, named) of each layer.
_SEEN: ContextVar[list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]]] = ContextVar("_SEEN")


class _Tap(nn.Module):
    """Stands where a layer was: notes the arguments and hands the activations on unchanged."""

    def __init__(self, layer: nn.Module, in_tuple: bool) -> None:
        super().__init__()
        # Some models ask a layer which kind of attention it wants before they call it.
        vars(self).update({key: value for key, value in vars(layer).items() if not key.startswith("_")})
        self.in_tuple = in_tuple

    def forward(self, *args: Any, **named: Any) -> Any:
        """Note what a layer is called with."""
        x = args[0] if args else named.pop("hidden_states")
        _SEEN.get().append((x, args[1:], named))
        return (x,) if self.in_tuple else x


class _Skeleton(nn.Module):
    """The model with taps in place of its layers: ids and mask → State, with the arguments of every layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> _Called:
        """Run the embeddings, and whatever the model computes once for all layers."""
        seen: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []
        token = _SEEN.set(seen)
        try:
            self.model(input_ids=ids, attention_mask=mask.long())
        finally:
            _SEEN.reset(token)
        return _Called(seen[0][0], mask, calls=tuple((args, named) for _, args, named in seen))


class _Layer(nn.Module):
    """One layer of a model, State → State; the top one brings the norm that follows it."""

    def __init__(self, layer: nn.Module, index: int, skeleton: _Skeleton, tail: nn.Module | None) -> None:
        super().__init__()
        self.layer, self.index, self.tail = layer, index, tail
        self._skeleton = (skeleton,)  # in a tuple: its weights are not this block's

    def forward(self, state: State) -> State:
        """Run the layer; a State that was built anew, from kept activations, gets the layer's arguments again."""
        if not isinstance(state, _Called):
            assert state.mask is not None
            # The arguments depend on the mask and the shape only, so any ids will do.
            again: _Called = self._skeleton[0](torch.zeros_like(state.mask, dtype=torch.long), state.mask)
            state = replace(again, x=state.x)
        args, named = state.calls[self.index]
        y = self.layer(state.x, *args, **named)
        y = y[0] if isinstance(y, tuple) else y
        return replace(state, x=y if self.tail is None else self.tail(y))


class _Whole(nn.Module):
    """A model that cannot be cut: ids and mask → State of its last layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> State:
        """Run everything."""
        return State(self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state, mask)


def load_pretrained(source: str) -> TextBackbone:
    """Load a text encoder from a folder or the hub.

    Args:
        source: a folder written by transformers or sentence-transformers, or a Hugging Face id.

    Returns:
        The encoder, with a block per layer where it can be cut, otherwise frozen and with the one depth 0.

    Raises:
        OptionError: its sentence-transformers pooling is none of ours.
        WeightsError: there is no such model, it cannot be reached, is damaged, or is no text encoder.
    """
    try:
        place = located(source)
        part = _part(place, "Transformer") or ""
        require_memory(source, Path(place) / part, _WORKING)
        model, told = read_model(transformers.AutoModel, place, part, dtype=torch.float32, output_loading_info=True)
        drawn = _drawn(model.eval(), told["missing_keys"])
        tokenizer = read_beside(transformers.AutoTokenizer, place, part)
        model = model.get_encoder() if model.config.is_encoder_decoder else model
        model.config.use_cache = False
        longest = _longest(place, part, tokenizer, model.config)
        pooling = _pooling(source, place)
        read = settings_digest(place, tokenizer, part)
        _check_vocabulary(source, tokenizer, model)
        ids, mask = _probe(tokenizer)
        _drop_pooler(model, ids, mask)
        _blank(drawn, model, ids, mask)
        bottom, blocks = _cut(model, ids, mask)
    except HandfulError:
        raise
    except Exception as error:  # files of another kind make the library raise almost anything
        raise WeightsError(
            f"backbone {source!r} must be a text encoder that transformers can load, from a folder or by its Hugging "
            f"Face id, got: {reason(error)}. Check the name and the network, or choose a name from "
            "`handful models list`."
        ) from error
    backbone = TextBackbone(
        source, bottom, blocks, _tokenise(tokenizer, longest), pooling, longest=longest,
        pad=tokenizer.pad_token_id or 0,
    )  # fmt: skip
    backbone.fingerprint = weights_fingerprint(backbone.modules(), type(model).__name__, longest, pooling, read)
    return backbone


def _check_vocabulary(source: str, tokenizer: Any, model: Any) -> None:
    """Refuse ids that the model has no vector for; rows that no id uses are common, and do no harm."""
    ids, rows = 1 + max(tokenizer.get_vocab().values()), len(model.get_input_embeddings().weight)
    if ids > rows:
        raise WeightsError(
            f"backbone {source!r} must have a word vector for every entry of its tokenizer, got {rows} vectors and "
            f"{ids} entries. Put the tokenizer beside it that the model was saved with."
        )


def _drop_pooler(model: Any, ids: Tensor, mask: Tensor) -> None:
    """Take out what many models compute of the first token alone: no feature comes from it, and many lack it."""
    pooler = getattr(model, "pooler", None)
    if not isinstance(pooler, nn.Module):
        return
    model.pooler = None
    try:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=mask.long())
    except TypeError:  # this family calls it whether it is there or not
        model.pooler = pooler


def _drawn(model: nn.Module, missing: Iterable[str]) -> dict[str, Tensor]:
    """The weights that a checkpoint lacks, which the library has drawn at random."""
    known = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    return {name: known[name] for name in sorted(missing) if name in known}


@torch.no_grad()
def _blank(drawn: Mapping[str, Tensor], model: Any, ids: Tensor, mask: Tensor) -> None:
    """Set weights to zero that were drawn at random, so that dice decide nothing, not even the fingerprint.

    Raises:
        ValueError: the features depend on one of them.
    """

    def used(names: Iterable[str]) -> bool:
        for name, tensor in drawn.items():
            tensor.fill_(torch.nan if name in names else 0)
        return bool(model(input_ids=ids, attention_mask=mask.long()).last_hidden_state.isnan().any())

    if drawn and used(drawn):
        raise ValueError(f"a checkpoint without {next(name for name in drawn if used([name]))}")
    for tensor in drawn.values():
        tensor.zero_()


def _cut(model: Any, ids: Tensor, mask: Tensor) -> tuple[nn.Module, list[nn.Module]]:
    """Cut a model at its layers; the model as a whole and no blocks where the parts give other numbers."""
    found = next(_layer_lists(model), None)
    with torch.inference_mode():
        expected = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if found is None:
            return _Whole(model), []
        owner, name = found
        layers = getattr(owner, name)
        in_tuple = _answers_in_tuple(model, layers[0], ids, mask)
        skeleton = _Skeleton(model)
        setattr(owner, name, nn.ModuleList(_Tap(layer, in_tuple) for layer in layers))
        for tail in (None, *_norms(owner), *_norms(model)):
            blocks = [_Layer(layer, i, skeleton, None) for i, layer in enumerate(layers)]
            blocks[-1].tail = tail
            if _same(skeleton, blocks, ids, mask, expected):
                return skeleton, list(blocks)
    setattr(owner, name, layers)
    return _Whole(model), []


def _same(skeleton: _Skeleton, blocks: Sequence[_Layer], ids: Tensor, mask: Tensor, expected: Tensor) -> bool:
    """Whether the parts give what the whole gave, both with the layers' first arguments and with new ones."""
    try:
        state = skeleton(ids, mask)
        for block in blocks:
            state = block(state)
        again = blocks[0](State(skeleton(ids, mask).x, mask))
        kept = blocks[0](skeleton(ids, mask))
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError):
        return False
    real = mask.bool()
    pairs = ((state.x, expected), (again.x, kept.x))
    return all(a.shape == b.shape and bool((a - b)[real].abs().max() < _CLOSE) for a, b in pairs)


def _layer_lists(model: Any) -> Iterator[tuple[nn.Module, str]]:
    """The module and attribute name of every list that holds as many modules of one kind as the model has layers."""
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == count and len({type(c) for c in child}) == 1:
                yield module, name


def _norms(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.children() if "norm" in type(child).__name__.lower()]


def _answers_in_tuple(model: nn.Module, layer: nn.Module, ids: Tensor, mask: Tensor) -> bool:
    answers = []
    hook = layer.register_forward_hook(lambda _module, _given, answer: answers.append(isinstance(answer, tuple)))
    try:
        model(input_ids=ids, attention_mask=mask.long())
    finally:
        hook.remove()
    return answers[0]


def _probe(tokenizer: Any) -> tuple[Tensor, Tensor]:
    """Two texts of unequal length as ids and mask, (2, T)."""
    if tokenizer.pad_token is None:  # language models have none; what stands under the mask does not matter
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    found = tokenizer(list(_PROBE), padding=True, return_tensors="pt")
    return found["input_ids"], found["attention_mask"].float()


def _tokenise(tokenizer: Any, longest: int) -> Tokenise:
    if tokenizer.is_fast:
        return fast_tokeniser(tokenizer.backend_tokenizer, longest)
    return partial(_slowly, tokenizer, longest)


def _slowly(tokenizer: Any, longest: int, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    return found


def _part(place: str, kind: str) -> str | None:
    """The sub-folder of one module of a sentence-transformers model; None where it has no such module."""
    modules = read_settings(place, "modules.json") or []
    part = next((module["path"] for module in modules if module["type"].rpartition(".")[2] == kind), None)
    if part is not None and (PurePosixPath(part).is_absolute() or {"..", "\\", ":"} & {*part, *part.split("/")}):
        raise ValueError(f"its modules.json names a folder outside of it ({part})")
    return part


def _pooling(source: str, place: str) -> str:
    part = _part(place, "Pooling")
    config = read_settings(place, "config.json", part) if part else None
    mode = _pooling_mode(config) if config else "mean"
    if mode not in POOLINGS:
        raise OptionError(
            f"pooling of backbone {source!r} must be one of {', '.join(POOLINGS)}, got {mode!r}. "
            "Choose another backbone."
        )
    return mode


def _pooling_mode(config: Mapping[str, Any]) -> str:
    """The pooling that a sentence-transformers config names; until its version 5 each one had a switch."""
    if "pooling_mode" in config:
        return str(config["pooling_mode"])
    return " + ".join(mode for switch, mode in _SWITCHES.items() if config.get(switch))


def _longest(place: str, part: str, tokenizer: Any, config: Any) -> int:
    told = (read_settings(place, "sentence_bert_config.json", part) or {}).get("max_seq_length")
    limits = [
        told or _LONGEST,
        tokenizer.model_max_length,
        getattr(config, "max_position_embeddings", None) or _LONGEST,
    ]
    return int(min(limits))
