"""SpanMarker as a peer of ``spans.py``: learns from marked sentences and answers others, in an environment of its own.

    pip install span-marker "transformers<5"      # in that environment; handful is not needed there
    python benchmarks/span_marker_peer.py TASK.json ANSWERS.json

The task names the folder of the encoder, labels, sentences to learn from as tokens with tags, and sentences to answer;
the answers are word from, word behind, and label of every span. Twenty epochs of batches of four, as its guide has
them but for their number and the rate, since the sentences are few and the encoder is small.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from datasets import Dataset
from span_marker import SpanMarkerModel, Trainer
from transformers import TrainingArguments

EPOCHS, BATCH, RATE, WARM = 20, 4, 2e-4, 0.1
LONGEST, WIDEST = 256, 8
"""Tokens of a sentence, and words of a span."""


def main() -> None:
    """Learn, answer, write."""
    task, answers = (Path(name) for name in sys.argv[1:3])
    given = json.loads(task.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="span-marker-") as folder:
        place = Path(folder)
        model = SpanMarkerModel.from_pretrained(
            str(encoder(Path(given["encoder"]), place / "encoder")), labels=given["labels"],
            model_max_length=LONGEST, entity_max_length=WIDEST,
        )  # fmt: skip
        learned = Dataset.from_dict({"tokens": given["tokens"], "ner_tags": given["tags"]})
        settings = TrainingArguments(
            output_dir=str(place / "run"), learning_rate=RATE, per_device_train_batch_size=BATCH,
            num_train_epochs=EPOCHS, warmup_ratio=WARM, weight_decay=0.01, seed=given["seed"], report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
        )  # fmt: skip
        Trainer(model=model, args=settings, train_dataset=learned).train()
        said = [model.predict(tokens) for tokens in given["asked"]]
    spans = [[(one["word_start_index"], one["word_end_index"], one["label"]) for one in own] for own in said]
    answers.write_text(json.dumps(spans), "utf-8")


def encoder(weights: Path, folder: Path) -> Path:
    """The encoder as SpanMarker reads it: with a word on its tokenizer."""
    shutil.copytree(weights, folder)
    words = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": LONGEST}
    signs = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**words, **signs, "mask_token": "[MASK]"}))
    return folder


if __name__ == "__main__":
    main()
