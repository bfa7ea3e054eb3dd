"""LoRA here against a plain run of peft and transformers.Trainer on the same draws, encoder and settings.

Both: the same encoder, factors of the same rank and scale beside every linear layer of every encoder layer, the same
rate, batch size and number of updates, the first 64 tokens of a text to learn from, AdamW with weight decay 0.01 on
matrices, gradients clipped at 1, a linear schedule with a warm-up of a tenth. The peer keeps what its libraries do:
dropout, random batches, a fresh classifier on the checkpoint's pooler, trained at the same rate. Here: no dropout,
balanced batches, a classifier that starts from a logistic fit, kept activations of what lies below, and a logistic head
on the tuned features in the end.

Seconds are those of training, from labelled texts to what can predict; loading the model is left out on both sides. Run
it in the environment of benchmarks/README.md.

    python benchmarks/peft_peer.py --draws 5 --out benchmarks/results/peft.csv
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.strategies.frozen.heads import Logistic
from handful.strategies.tuned.fit import adapt
from handful.strategies.tuned.methods.lora import LoRA
from handful.training.activations import Activations
from handful.training.body import features_of
from handful.training.objectives import Objective
from handful.training.objectives.classify import CrossEntropy
from ledger import Ledger, Row, cells, mean, numbers, options, spread
from pools import Pool, by_name, classed, draws, open_pool
from speed import peer_folder

FIELDS = ("set", "per_class", "updates", "draw", "rows", "handful", "handful_seconds", "peft", "peft_seconds")
TEST_ROWS = 1000
LAYERS = r".*encoder\.layer\..*\.(query|key|value|dense)"
LONGEST = 256
"""So many tokens of a text are read where it is answered."""


@dataclass
class ScoredLowRank(LoRA):
    """LoRA on scores and on all blocks, as peft does it for classification."""

    trainable_fraction: float = 1.0

    def objective(self) -> Objective:
        """Cross-entropy, not smoothed."""
        return CrossEntropy()


def main() -> None:
    """Run the draws, print and write one line per draw."""
    parser = options(__doc__, "agnews,trec6", 5, "peft.csv")
    parser.add_argument("--per-class", default="8,32")
    parser.add_argument("--updates", default="20,60", help="both sides, each number in turn")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("set", "per_class", "updates", "draw"))
    if not args.table:
        backbone = catalog.load("minilm-l6", "text").to(default_device())
        for task in by_name(args.sets):
            pool = open_pool(task, args.data)
            for per_class in numbers(args.per_class):
                for seed, train, rest in draws(pool, per_class, args.draws):
                    test = rest[np.random.default_rng(seed).permutation(len(rest))[:TEST_ROWS]]
                    for updates in numbers(args.updates):
                        if ledger.has(set=task.name, per_class=per_class, updates=updates, draw=seed):
                            continue
                        row = one_draw(pool, backbone, train, test, ScoredLowRank(updates=updates, seed=seed))
                        ledger.add({"set": task.name, "per_class": per_class, "draw": seed, **row})
                        print(ledger.rows[-1], flush=True)
    print(table(ledger.rows))


def one_draw(pool: Pool, backbone: Backbone, train: np.ndarray, test: np.ndarray, strategy: ScoredLowRank) -> Row:
    """Both on one draw, scored on the same rows."""
    texts, tests = list(pool.data.take(train).items), list(pool.data.take(test).items)
    classes, number = np.unique(np.asarray(pool.data.labels), return_inverse=True)
    ours, our_seconds = here(backbone, texts, number[train], tests, strategy)
    theirs, their_seconds = there(texts, number[train], tests, len(classes), strategy)
    return {
        "updates": strategy.updates,
        "rows": len(train),
        "handful": round(float((ours == number[test]).mean()), 4),
        "handful_seconds": round(our_seconds, 2),
        "peft": round(float((theirs == number[test]).mean()), 4),
        "peft_seconds": round(their_seconds, 2),
    }


def here(
    backbone: Backbone, texts: list[str], truth: np.ndarray, tests: list[str], strategy: ScoredLowRank
) -> tuple[np.ndarray, float]:
    """The class numbers of the test rows, and the seconds of training."""
    recipe, rows = strategy.recipe(), np.arange(len(texts))
    start = time.perf_counter()
    activations = Activations.of(backbone, [texts], recipe.first(backbone))
    found = adapt(activations, rows, classed(truth), recipe)
    head = Logistic(recipe.penalty).fit(features_of(found.body, activations, rows), truth.tolist())
    seconds = time.perf_counter() - start
    asked = Activations.of(backbone, [tests], recipe.first(backbone))
    return head.predict(features_of(found.body, asked, np.arange(len(tests)))), seconds


def there(
    texts: list[str], truth: np.ndarray, tests: list[str], classes: int, strategy: ScoredLowRank
) -> tuple[np.ndarray, float]:
    """The same from peft and the Trainer of transformers."""
    source = str(peer_folder())
    torch.manual_seed(strategy.seed)  # the classifier and the factors start at random
    tokenizer = AutoTokenizer.from_pretrained(source)
    plain = AutoModelForSequenceClassification.from_pretrained(source, num_labels=classes)
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS, r=strategy.rank, lora_alpha=2 * strategy.rank, target_modules=LAYERS,
    )  # fmt: skip
    model = get_peft_model(plain, lora)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=strategy.batch,
            max_steps=strategy.updates,
            learning_rate=strategy.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=int(0.1 * strategy.updates),
            weight_decay=0.01,
            seed=strategy.seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        start = time.perf_counter()
        words = tokenizer(texts, truncation=True, max_length=strategy.tokens)
        rows = [{**{key: words[key][i] for key in words}, "labels": int(number)} for i, number in enumerate(truth)]
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, processing_class=tokenizer)
        trainer.train()
        seconds = time.perf_counter() - start
    return answers(model.eval(), tokenizer, tests), seconds


@torch.inference_mode()
def answers(model: nn.Module, tokenizer: AutoTokenizer, texts: Sequence[str]) -> np.ndarray:
    """The class numbers of texts, about equally long ones together."""
    order, found = sorted(range(len(texts)), key=lambda i: len(texts[i])), np.empty(len(texts), np.int64)
    for start in range(0, len(order), 64):
        at = order[start : start + 64]
        words = tokenizer(
            [texts[i] for i in at], truncation=True, max_length=LONGEST, padding=True, return_tensors="pt"
        ).to(next(model.parameters()).device)
        scores: Tensor = model(**words).logits
        found[at] = scores.argmax(1).cpu().numpy()
    return found


def table(rows: Sequence[Row]) -> str:
    """One line per set, size and number of updates."""
    head = f"{'set':<10}{'rows':>4}{'updates':>9}{'peft':>8}{'handful':>9}  gain and its 95 % interval   "
    lines = [head + "seconds: peft, handful"]
    found = cells(rows, "set", "per_class", "updates")
    for (name, per_class, updates), some in found.items():
        peer, ours = 100 * mean(some, "peft"), 100 * mean(some, "handful")
        seconds = f"{mean(some, 'peft_seconds'):>10.1f}{mean(some, 'handful_seconds'):>8.1f}"
        gain = spread(some, "handful", "peft")
        lines.append(f"{name:<10}{per_class:>4}{updates:>9}{peer:>8.1f}{ours:>9.1f}  {gain:<28}{seconds}")
    gains = [100 * (mean(some, "handful") - mean(some, "peft")) for some in found.values()]
    ratios = [mean(some, "peft_seconds") / mean(some, "handful_seconds") for some in found.values()]
    lines.append(
        f"mean gain over {len(gains)} cells {np.mean(gains):+.1f} points; times faster: median {np.median(ratios):.1f}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
