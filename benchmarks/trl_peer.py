"""Training a small language model here against TRL's SFTTrainer and DPOTrainer: same rows, same settings, side by side.

Both: smollm2-135m in single precision (``--rounded``: products in bfloat16 where answers are learned), LoRA of rank 8
beside every linear layer, four rows (or pairs) per update, AdamW without decay, a cosine schedule without warm-up,
gradients clipped at 1, loss on answers only. TRL's two defaults that trade time for memory are off (gradient
checkpointing, half precision), so that nothing is compared with a handicap.
Each side runs in a process of its own, in turn, with the number of the repeat as seed (so that repeats see the rows in
other orders), and reports its log, its seconds of training and its peak memory; tokens are those of the rows that went
through, padding not counted.

    python benchmarks/trl_peer.py --updates 100 --repeats 1 --out benchmarks/results/trl.csv
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handful import api
from handful.backbones import catalog
from handful.backbones.language import LanguageBackbone
from handful.backbones.weights import weights_folder
from handful.data.conversations import Conversation, Preference
from handful.strategies.language.recipes import Lesson, TokenRecipe, fit_recipe
from handful.training.batches import drawn
from handful.training.loop import Settings
from handful.training.objectives.preference import DPO
from handful.training.tuners import LoRA
from ledger import Ledger, Row, cells, median, values
from pools import DATA

FIELDS = ("task", "rounded", "repeat", "side", "updates", "seconds", "tokens", "first", "last", "memory_mb")
BATCH, RATE, RANK, ALPHA = 4, 2e-4, 8, 16
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TASKS = {"sft": ("alpaca_500.jsonl", 50, (60, 150)), "dpo": ("dpo_demo.jsonl", 20, (60, 300))}


def main() -> None:
    """Run both sides of both tasks in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--tasks", default="sft,dpo")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rounded", action="store_true", help="products in bfloat16 on both sides")
    parser.add_argument("--seed", type=int, default=0, help="fixes the order of rows where one side is run")
    parser.add_argument("--side", help="run one side of one task here, and print what it took")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/trl.csv"))
    args = parser.parse_args()
    if args.side:
        side = {"handful": ours, "trl": theirs}[args.side]
        print(json.dumps(side(args.tasks, args.data, args.updates, args.rounded, args.seed)))
        return
    ledger = Ledger(args.out, FIELDS, ("task", "rounded", "repeat", "side"))
    for task in args.tasks.split(","):
        updates = args.updates if task == "sft" else args.updates // 5
        for repeat in range(args.repeats):
            for name in ("handful", "trl"):
                at: Row = {"task": task, "rounded": int(args.rounded), "repeat": repeat, "side": name}
                if ledger.has(**at):
                    continue
                command = [sys.executable, __file__, "--side", name, "--tasks", task, "--updates", str(updates)]
                command += ["--seed", str(repeat)]
                command += ["--rounded"] if args.rounded else []
                done = subprocess.run([*command, "--data", str(args.data)], check=True, capture_output=True, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                ledger.add({**at, "updates": updates, **found})
                print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def table(rows: Sequence[Row]) -> str:
    """Medians over repeats, and of the losses the range over them: each repeat sees the rows in another order."""
    lines = ["task  products  side     updates  seconds  tokens/s  peak, MB  loss: first tenth   last tenth"]
    for (task, rounded, side), some in cells(rows, "task", "rounded", "side").items():
        mid = {k: median(some, k) for k in FIELDS[4:]}
        lines.append(
            f"{task:<6}{'bfloat16' if int(rounded) else 'float32':<10}{side:<9}"
            f"{mid['updates']:>7.0f}{mid['seconds']:>9.1f}{mid['tokens'] / mid['seconds']:>10.1f}"
            f"{mid['memory_mb']:>10.0f}  " + "  ".join(between(some, name) for name in ("first", "last"))
        )
    return "\n".join(lines)


def between(rows: Sequence[Row], name: str) -> str:
    """The least and the most of a column."""
    found = values(rows, name)
    return f"{found.min():.3f} to {found.max():.3f}"


def rows_of(task: str, data: Path, backbone: LanguageBackbone) -> list[Conversation] | list[Preference]:
    """The first rows of the right length, the same for both sides."""
    name, count, (low, high) = TASKS[task]
    found: list[Conversation | Preference] = []
    for row in api.load(data / name).items:
        both = [row.chosen_row, row.rejected_row] if isinstance(row, Preference) else [row]
        if all(low <= len(backbone.chat.tokens(one, backbone.context).ids) <= high for one in both):
            found.append(row)
    return found[:count]  # type: ignore[return-value]


def lengths_of(rows: Sequence[Conversation | Preference], backbone: LanguageBackbone) -> list[int]:
    """Tokens of each row, of a pair those of both answers."""
    found = []
    for row in rows:
        both = [row.chosen_row, row.rejected_row] if isinstance(row, Preference) else [row]
        found.append(sum(len(backbone.chat.tokens(one, backbone.context).ids) for one in both))
    return found


def ours(task: str, data: Path, updates: int, rounded: bool, seed: int) -> Row:
    """handful: from rows in memory to what moved; the reference likelihoods of pairs are part of it."""
    backbone = catalog.load("smollm2-135m", "language")
    assert isinstance(backbone, LanguageBackbone)
    rows = rows_of(task, data, backbone)
    recipe = TokenRecipe(name="lora", tuner=LoRA(RANK, ALPHA), learning_rate=RATE, batch=BATCH)
    told = [row for row in rows if isinstance(row, Conversation)]
    if task == "dpo":
        recipe = TokenRecipe(name="dpo", tuner=LoRA(RANK, ALPHA), objective=DPO(0.1), learning_rate=RATE, batch=BATCH)
        pairs = [row for row in rows if isinstance(row, Preference)]
        told = [row.chosen_row for row in pairs] + [row.rejected_row for row in pairs]
    start = time.perf_counter()
    tokens = [backbone.chat.tokens(row, backbone.context) for row in told]
    reference = -backbone.losses(tokens)[0] if recipe.pairs else None
    lesson = Lesson.of(backbone, tokens, recipe, reference)
    settings = Settings(
        updates=updates, rate=RATE, schedule="cosine", weight_decay=0.0, dropout=False, mixed=rounded, seed=seed
    )
    spoken = fit_recipe(backbone, lesson, np.arange(len(rows)), recipe, settings)
    seconds = time.perf_counter() - start
    seen = np.concatenate([drawn(update, len(rows), BATCH, seed) for update in range(updates)])
    return figures(seconds, np.array(lengths_of(rows, backbone))[seen].sum(), [u.loss for u in spoken.log])


def theirs(task: str, data: Path, updates: int, rounded: bool, seed: int) -> Row:
    """TRL on the same rows."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    backbone = catalog.load("smollm2-135m", "language")
    assert isinstance(backbone, LanguageBackbone)
    rows = rows_of(task, data, backbone)
    lengths = lengths_of(rows, backbone)
    del backbone
    folder = str(weights_folder("smollm2-135m"))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=LAYERS, task_type="CAUSAL_LM")
    with tempfile.TemporaryDirectory() as place:
        shared = dict(
            output_dir=place, max_steps=updates, per_device_train_batch_size=BATCH, learning_rate=RATE,
            lr_scheduler_type="cosine", warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, logging_steps=1,
            report_to="none", save_strategy="no", gradient_checkpointing=False, bf16=rounded, seed=seed,
            max_length=1024, use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        records = []
        for row in rows:
            told = [{"role": m.role, "content": m.content} for m in row.prompt]
            if isinstance(row, Preference):
                records.append({"prompt": told, "chosen": answer(row.chosen), "rejected": answer(row.rejected)})
            else:
                records.append({"prompt": told, "completion": answer(row.answer)})
        made = Dataset.from_list(records)
        if task == "dpo":
            trainer = DPOTrainer(
                model, args=DPOConfig(beta=0.1, **shared), train_dataset=made, processing_class=tokenizer,
                peft_config=lora,
            )  # fmt: skip
        else:
            trainer = SFTTrainer(
                model, args=SFTConfig(packing=False, **shared), train_dataset=made, processing_class=tokenizer,
                peft_config=lora,
            )  # fmt: skip
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return figures(seconds, updates * BATCH * float(np.mean(lengths)), losses)


def answer(text: str) -> list[dict[str, str]]:
    """An answer as TRL wants it."""
    return [{"role": "assistant", "content": text}]


def figures(seconds: float, tokens: float, losses: Sequence[float]) -> Row:
    """What a side took."""
    tenth = max(1, len(losses) // 10)
    return {
        "seconds": round(seconds, 2), "tokens": round(float(tokens)), "first": round(float(np.mean(losses[:tenth])), 4),
        "last": round(float(np.mean(losses[-tenth:])), 4),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip


if __name__ == "__main__":
    main()
