"""Tiny text encoders with random weights, in folders as transformers and sentence-transformers write them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "card", "was", "charged", "twice", "where", "is", "my", "parcel")
TEXTS = ("Card was charged twice", "where is my parcel " * 3, "is", "an unknown word")
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}


def tokenizer() -> Tokenizer:
    found = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    found.normalizer = normalizers.Lowercase()
    found.pre_tokenizer = pre_tokenizers.Whitespace()
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return found


def model(config: transformers.PretrainedConfig) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModel.from_config(config).eval()


def bert(**changes: object) -> torch.nn.Module:
    return model(transformers.BertConfig(**(SMALL | {"max_position_embeddings": 40} | changes)))


def write_model(encoder: torch.nn.Module, folder: Path) -> Path:
    """The model and its tokenizer, as transformers writes them."""
    encoder.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


def add_sentence_transformers(folder: Path, pooling: dict[str, object], longest: int) -> None:
    """The files that sentence-transformers puts beside a model."""
    kinds = {"": "sentence_transformers.models.Transformer", "1_Pooling": "sentence_transformers.models.Pooling"}
    modules = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(kinds.items())]
    (folder / "1_Pooling").mkdir()
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest}))


def hidden_states(encoder: torch.nn.Module, text: str, longest: int = 512) -> list[torch.Tensor]:
    """What the uncut model computes for one text, without padding: (T, D) after each layer, the embeddings first."""
    found = tokenizer()
    found.enable_truncation(longest)
    with torch.inference_mode():
        ids = torch.tensor([found.encode(text).ids])
        return [x[0] for x in encoder(input_ids=ids, output_hidden_states=True).hidden_states]
