"""The LanguageModel: a tuned or prompted language model as data, saved without pickle, checked before it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from handful.atomic import replaced_folder
from handful.backbones.base import default_device
from handful.backbones.chat import Tokens
from handful.backbones.decoding import Reply, answers
from handful.backbones.language import LanguageBackbone, Sampling
from handful.backbones.language_folders import write_pretrained
from handful.data.cells import shown
from handful.data.conversations import Conversation, Message, asked
from handful.errors import BundleError, OptionError
from handful.evaluation.scores import Scores
from handful.export import specimens
from handful.export.kept_parts import Moved
from handful.export.loading import untouched, with_moved
from handful.export.record import (
    LANGUAGE,
    MOVED_WEIGHTS,
    RECORD,
    entries,
    is_backbone,
    is_moved,
    model_folder,
    write_record,
)
from handful.readback import checked, damage_is
from handful.strategies.language.in_context import KINDS, Examples, Shots
from handful.tasks.generation import GENERATION, Generation
from handful.tasks.registry import TASKS

_PARTS = (RECORD, MOVED_WEIGHTS, "README.md")

# More tokens than any answer gets.
_LONGEST = 1 << 20

# Tuners that put something beside the weights, which no folder of plain weights can hold.
_BESIDE = ("prefix", "prompt", "adapter")

Prompt = str | Sequence[Mapping[str, Any]] | Sequence[Message]


@dataclass
class LanguageModel:
    """A language model that answers: a backbone, what moved in it, and the examples it is shown."""

    arm: str
    """Which arm of the comparison it was."""
    backbone_name: str
    """What it starts from."""
    fingerprint: str
    """Of the weights that it was tuned or prompted on."""
    moved: Moved | None = None
    """What moved; None where nothing did."""
    shots: Shots | None = None
    """How examples are picked; None where none are shown."""
    rows: tuple[Conversation, ...] = ()
    """What they are picked from."""
    longest: int = 256
    """How many tokens an answer gets at most."""
    specimen: float | None = None
    """The loss of a public answer, in nats per token, compared with what it is when the model is first loaded; None in
    a model that was made by hand."""
    task: Generation = GENERATION
    """What it learned: answers, or the better of two."""
    loaded: LanguageBackbone | None = field(default=None, repr=False)
    """The model in memory, with what moved in its place."""

    @property
    def backbone(self) -> LanguageBackbone:
        """The model, loaded when first asked for and compared with the one used in training."""
        if self.loaded is None:
            self.loaded = self._load()
        return self.loaded

    def predict(self, prompts: Sequence[Prompt], *, temperature: float = 0.0, seed: int = 0) -> list[str]:
        """Answer prompts.

        Args:
            prompts: texts, or lists of messages with ``role`` and ``content`` that end with the user's.
            temperature: 0 for the most likely answer.
            seed: fixes what is drawn otherwise.

        Raises:
            DataError: a prompt is empty or its messages cannot be a conversation.
            WeightsError: the backbone is not there and cannot be fetched.
            BundleError: the backbone is not the one that the model was made with.
        """
        sampling = Sampling(self.longest, temperature, seed)
        return answers(self.backbone, [self._question(prompt, self.longest) for prompt in prompts], sampling)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Reply:
        """Answer one prompt piece by piece; raises as ``predict``.

        Returns:
            The answer, with the prompt as tokens: of one that is too long, ``cut`` tokens on the left are not seen.
        """
        return Reply(self.backbone, self._question(prompt, min(sampling.most, self.longest)), sampling)

    def _question(self, prompt: Prompt, most: int) -> Tokens:
        messages = _messages(prompt)
        backbone = self.backbone
        if self.examples is not None:
            messages = self.examples.before(Conversation(messages, ""), backbone.chat, backbone.context).prompt
        return backbone.chat.question(messages, backbone.context - min(most, backbone.context // 2))

    @cached_property
    def examples(self) -> Examples | None:
        """What is shown before a question is picked from these; None where nothing is shown."""
        return None if self.shots is None else Examples(self.rows, self.shots)

    def _load(self) -> LanguageBackbone:
        backbone = untouched(self.backbone_name, LANGUAGE, self.fingerprint)
        if self.moved is not None:
            backbone = with_moved(backbone, self.moved.tuner, self.moved.first, self.moved.delta)
        assert isinstance(backbone, LanguageBackbone)
        backbone.to(default_device())
        if self.specimen is not None and not specimens.alike_loss(specimens.loss_of(backbone), self.specimen):
            raise BundleError(
                f"backbone {self.backbone_name!r} with what moved in it must find a test answer as likely as when the "
                "model was saved, got something else: its weights were changed, or this machine counts differently. "
                "Restore the model or tune again."
            )
        return backbone

    @property
    def columns(self) -> tuple[str, str]:
        """How columns of wanted answers and of answers are called."""
        return "wanted", "answer"

    def card(self, scores: Scores, source: str) -> str:
        """The model card, in Markdown, with what a run on this source measured."""
        weights = "its weights moved" if self.moved is not None else "its weights are as they were"
        forgot = scores.details["answers"]["forgetting"]
        kept = (
            "" if forgot is None else f"Loss on general questions changed by {forgot['value']:.2f} nats per token.\n\n"
        )
        return (
            "---\nlibrary_name: handful\npipeline_tag: text-generation\ntags:\n- handful\n---\n\n"
            f"# Answers: {self.arm} on {shown(self.backbone_name)}\n\n"
            f"Compared on {scores.n} rows with handful; {weights}.\n\n{scores.sentence}\n\n{kept}"
            "Use it: `handful chat RUN`, `handful predict RUN new.txt`, `handful serve RUN`. Its answers may be "
            "wrong; scores hold for rows like those it learned from, and for no others.\n"
        )

    def save(self, folder: str | Path, card: str = "") -> None:
        """Write the model; raises as ``Bundle.save``."""
        with replaced_folder(Path(folder), _PARTS) as target:
            self.write(target, card)

    def write(self, folder: Path, card: str = "") -> None:
        """Write the files into a folder that is there, and read them back.

        Raises:
            OSError: they cannot be written.
            BundleError: the copy read back is not what was written.
        """
        files = [] if self.moved is None else [self.moved.write(folder)]
        record = {
            "arm": self.arm,
            "backbone": {"name": self.backbone_name, "fingerprint": self.fingerprint},
            "moved": self.moved and self.moved.entry,
            "shots": None if self.shots is None else asdict(self.shots),
            "rows": [asdict(row) for row in self.rows] if self.shots is not None else [],
            "longest": self.longest,
            "specimen": self.specimen if self.loaded is None else specimens.loss_of(self.loaded),
        }
        write_record(folder, LANGUAGE, self.task, record, files)
        (folder / "README.md").write_text(card or f"# {self.task.name.capitalize()}\n", encoding="utf-8")
        copy, own = LanguageModel.load(folder).moved, {} if self.moved is None else self.moved.delta
        if any(copy is None or not np.array_equal(copy.delta[name], values) for name, values in own.items()):
            raise BundleError("the model was read back differently from what was written. Save it again.")

    @property
    def reads(self) -> tuple[tuple[str, tuple[int, ...], bool], ...]:
        """The backbone, read whole, and whether it moved."""
        return ((self.backbone_name, (), self.moved is not None),)

    @property
    def merges(self) -> bool:
        """Whether it can be written as a folder of plain weights."""
        return self.moved is not None and self.moved.tuner not in _BESIDE and self.shots is None

    def merged(self, folder: str | Path) -> None:
        """Write a folder that plain transformers loads, with what moved folded into the weights.

        Raises:
            OptionError: examples are shown, or what moved cannot be folded in; or the folder holds something else.
            MachineError: the folder cannot be written.
        """
        if self.shots is not None:
            raise OptionError(
                f"{self.arm} shows examples before each question, which no folder of weights can hold. Use `handful "
                "predict` or `handful serve`, or tune with --strategies lora."
            )
        with replaced_folder(Path(folder), ("config.json", "model.safetensors")) as target:
            write_pretrained(self.backbone, target)

    @classmethod
    def load(cls, folder: str | Path) -> LanguageModel:
        """Read a model, checking version, hashes and names before anything is built.

        Args:
            folder: where it is, or the run folder that holds it in ``model/``.

        Raises:
            BundleError: it is missing, changed, damaged or newer than this handful.
        """
        place = model_folder(folder)
        record = entries(place, LANGUAGE)

        def refusal(why: str) -> BundleError:
            return BundleError(f"{place / RECORD} has a missing or wrong entry ({why}). Restore it or tune again.")

        with damage_is(refusal):
            model = checked(cls._of(place, record))
            if model.shots is not None and (model.shots.kind not in KINDS or model.shots.count < 1 or not model.rows):
                raise ValueError("shots")
            if not 1 <= model.longest <= _LONGEST:
                raise ValueError("longest")
        return model

    @classmethod
    def _of(cls, place: Path, record: dict[str, Any]) -> LanguageModel:
        shots, backbone, task = record["shots"], record["backbone"], TASKS[record["task"]]
        if not is_backbone(backbone) or not is_moved(record["moved"]) or not isinstance(task, Generation):
            raise ValueError("moved" if is_backbone(backbone) else "backbone")
        rows = tuple(
            Conversation(tuple(Message(**message) for message in row["prompt"]), row["answer"])
            for row in record["rows"]
        )
        return cls(
            record["arm"], backbone["name"], backbone["fingerprint"], Moved.read(place, record),
            None if shots is None else Shots(**shots), rows, record["longest"], record["specimen"], task,
        )  # fmt: skip


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    if not isinstance(prompt, str) and prompt and isinstance(prompt[0], Message):
        return tuple(prompt)  # type: ignore[arg-type]
    return asked(prompt)  # type: ignore[arg-type]
