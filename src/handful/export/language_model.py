"""The LanguageModel: a tuned or prompted language model as data, saved without pickle, checked before it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from handful.atomic import replaced_folder
from handful.backbones.base import Backbone, default_device
from handful.backbones.chat import Tokens
from handful.backbones.decoding import Reply, answers
from handful.backbones.language import LanguageBackbone, Sampling, Tell, untold
from handful.backbones.language_folders import write_pretrained
from handful.data.cells import shown
from handful.data.conversations import Conversation, Message, asked
from handful.data.handed_items import handed_items
from handful.errors import BundleError, OptionError
from handful.evaluation.scores import Scores, unproven
from handful.export import specimens
from handful.export.kept_parts import Moved
from handful.export.loading import untouched, with_moved
from handful.export.record import (
    MOVED_WEIGHTS,
    entries,
    is_backbone,
    is_moved,
    write_record,
    wrong_entry,
)
from handful.progress import Say, silent
from handful.readback import checked, damage_is
from handful.run_folder import LANGUAGE, RECORD, model_folder
from handful.strategies.language.in_context import KINDS, Examples, Shots, question_of
from handful.tasks.generation import GENERATION, Generation
from handful.tasks.registry import TASKS

_PARTS = (RECORD, MOVED_WEIGHTS, "README.md")

# More tokens than any answer gets.
_LONGEST = 1 << 20

# Tuners that put something beside the weights, which no folder of plain weights can hold.
_BESIDE = ("prefix", "prompt", "adapter")

Prompt = str | Sequence[Mapping[str, Any]] | Sequence[Message]


@dataclass(eq=False)
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
    unrepeated: int = 0
    """No run of so many tokens is said twice in an answer; 0: it may be."""
    specimen: float | None = None
    """The loss of a public answer, in nats per token, compared with what it is when the model is first loaded; None in
    a model that was made by hand."""
    beats_reference: bool | None = None
    """Whether it is shown to be better than what any model has to beat; None where that is not known."""
    task: Generation = GENERATION
    """What it learned: answers, or the better of two."""
    loaded: LanguageBackbone | None = field(default=None, repr=False)
    """The model in memory, with what moved in its place."""

    @property
    def backbone(self) -> LanguageBackbone:
        """The model, loaded when first asked for and compared with the one used in training."""
        return self.ready()

    def ready(self, say: Say = silent) -> LanguageBackbone:
        """The model, loaded where it is not yet; raises as ``predict``.

        Args:
            say: told what is done, and how many bytes of missing weights have arrived.
        """
        if self.loaded is None:
            say(f"loading {self.backbone_name}", 0, 0)
            self.loaded = self._load(say)
        return self.loaded

    def predict(
        self, prompts: Sequence[Prompt], *, temperature: float = 0.0, seed: int = 0, tell: Tell = untold
    ) -> list[str]:
        """Answer prompts.

        Args:
            prompts: texts, or lists of messages with ``role`` and ``content`` that end with the user's; or a table with
                these as its column ``prompt``.
            temperature: 0 for the most likely answer.
            seed: fixes what is drawn otherwise.
            tell: told how many prompts are answered, and how many there are.

        Raises:
            DataError: a prompt is empty or its messages cannot be a conversation.
            WeightsError: the backbone is not there and cannot be fetched.
            BundleError: the backbone is not the one that the model was made with.
        """
        questions = [self._question(prompt, self.longest) for prompt in handed_items(prompts, "prompt")]
        return answers(self.backbone, questions, self.sampling(temperature, seed), tell)

    def sampling(self, temperature: float = 0.0, seed: int = 0) -> Sampling:
        """How it answers wherever it is used, as it did when it was measured.

        Args:
            temperature: 0 for the most likely answer.
            seed: fixes what is drawn otherwise.
        """
        return Sampling(self.longest, temperature, seed, self.unrepeated)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Reply:
        """Answer one prompt piece by piece; raises as ``predict``.

        Returns:
            The answer, with the prompt as tokens: of one that is too long, ``cut`` tokens on the left are not seen.
        """
        return Reply(self.backbone, self._question(prompt, min(sampling.most, self.longest)), sampling)

    def _question(self, prompt: Prompt, most: int) -> Tokens:
        return question_of(_messages(prompt), self.backbone, self.examples, most)

    @cached_property
    def examples(self) -> Examples | None:
        """What is shown before a question is picked from these; None where nothing is shown."""
        return None if self.shots is None else Examples(self.rows, self.shots)

    def _load(self, say: Say) -> LanguageBackbone:
        fetching = partial(say, f"fetching {self.backbone_name}")
        backbone = untouched(self.backbone_name, LANGUAGE, self.fingerprint, progress=fetching)
        assert isinstance(backbone, LanguageBackbone)
        return self.built_on(backbone)

    def built_on(self, base: LanguageBackbone) -> LanguageBackbone:
        """The model in memory on a base that may serve others as well, and stays as it is.

        Args:
            base: untouched, the one that the model was made with.

        Raises:
            BundleError: what moved does not fit, or the model answers otherwise than when it was saved.
        """
        backbone: Backbone = base
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

    def __repr__(self) -> str:
        shown_rows = f", shown {self.shots.count} of {len(self.rows)} rows" if self.shots is not None else ""
        return f"LanguageModel({self.arm} on {shown(self.backbone_name)}{shown_rows})"

    def __getstate__(self) -> dict[str, Any]:
        """All but the model in memory, which is loaded again, and compared, when a copy needs it."""
        return {**vars(self), "loaded": None}

    @property
    def warning(self) -> str:
        """What to know before its answers are used: that it is not shown to be better than a guess; else empty."""
        reference = self.task.reference.words
        return unproven("The model", reference, self.task.nothing_shown) if self.beats_reference is False else ""

    @property
    def columns(self) -> tuple[str, str]:
        """How columns of wanted answers and of answers are called."""
        return "wanted", "answer"

    def card(self, scores: Scores, source: str) -> str:
        """The model card, in Markdown, with what a run on this source measured."""
        first = "" if scores.lead is None else f"{scores.lead.sentence}\n\n"
        weights = "its weights moved" if self.moved is not None else "its weights are as they were"
        forgot = scores.details["answers"]["forgetting"]
        kept = (
            "" if forgot is None else f"Loss on general questions changed by {forgot['value']:.2f} nats per token.\n\n"
        )
        return (
            "---\nlibrary_name: handful\npipeline_tag: text-generation\ntags:\n- handful\n---\n\n"
            f"# Answers: {self.arm} on {shown(self.backbone_name)}\n\n"
            f"{first}Compared on {scores.n} rows with handful; {weights}.\n\n{scores.sentence}\n\n{kept}"
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
            "unrepeated": self.unrepeated,
            "specimen": self.specimen if self.loaded is None else specimens.loss_of(self.loaded),
            "beats_reference": self.beats_reference,
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

        with damage_is(wrong_entry(place)):
            model = checked(cls._of(place, record))
            if model.shots is not None and (model.shots.kind not in KINDS or model.shots.count < 1 or not model.rows):
                raise ValueError("shots")
            if not 1 <= model.longest <= _LONGEST:
                raise ValueError("longest")
            if not 0 <= model.unrepeated <= _LONGEST:
                raise ValueError("unrepeated")
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
            None if shots is None else Shots(**shots), rows, record["longest"], record.get("unrepeated", 0),
            record["specimen"], record.get("beats_reference"), task,
        )  # fmt: skip


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    if not isinstance(prompt, str) and prompt and isinstance(prompt[0], Message):
        return tuple(prompt)  # type: ignore[arg-type]
    return asked(prompt)  # type: ignore[arg-type]
