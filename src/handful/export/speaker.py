"""The Speaker: a tuned or prompted language model as data, saved without pickle, checked before it is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as save_tensors

from handful.atomic import replaced_folder
from handful.backbones.base import default_device
from handful.backbones.chat import Tokens
from handful.backbones.decoding import Reply, answers
from handful.backbones.language import LanguageBackbone, Sampling
from handful.backbones.language_folders import write_pretrained
from handful.data.conversations import Conversation, Message, asked
from handful.errors import BundleError, OptionError
from handful.export import specimens
from handful.export.loading import untouched, with_moved
from handful.export.record import (
    LANGUAGE,
    MOVED_WEIGHTS,
    RECORD,
    digest,
    entries,
    is_backbone,
    is_moved,
    model_folder,
    moved_of,
)
from handful.readback import checked, damage_is
from handful.strategies.language.in_context import KINDS, Examples, Shots

FORMAT = 2
"""Version of the files; a reader refuses what is newer than itself."""

_PARTS = (RECORD, MOVED_WEIGHTS, "README.md")

# More tokens than any answer gets.
_LONGEST = 1 << 20

Prompt = str | Sequence[Mapping[str, Any]] | Sequence[Message]


@dataclass
class Speaker:
    """A language model that answers: a backbone, what moved in it, and the examples it is shown."""

    arm: str
    """Which arm of the comparison it was."""
    backbone_name: str
    """What it starts from."""
    fingerprint: str
    """Of the weights that it was tuned or prompted on."""
    tuner: str | None = None
    """Which tuner puts what moved in its place; None where nothing moved."""
    first: int = 0
    """How many blocks at the bottom stayed as they were."""
    delta: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """What moved, by name."""
    shots: Shots | None = None
    """How examples are picked; None where none are shown."""
    rows: tuple[Conversation, ...] = ()
    """What they are picked from."""
    longest: int = 256
    """How many tokens an answer gets at most."""
    specimen: float | None = None
    """The loss of a public answer, in nats per token, compared with what it is when the model is first loaded; None in
    a model that was made by hand."""
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
        found = untouched(self.backbone_name, LANGUAGE, self.fingerprint)
        if self.tuner is not None:
            found = with_moved(found, self.tuner, self.first, self.delta)
        assert isinstance(found, LanguageBackbone)
        found.to(default_device())
        if self.specimen is not None and not specimens.alike_loss(specimens.loss_of(found), self.specimen):
            raise BundleError(
                f"backbone {self.backbone_name!r} with what moved in it must find a test answer as likely as when the "
                "model was saved, got something else: its weights were changed, or this machine counts differently. "
                "Restore the model or tune again."
            )
        return found

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
        files = {}
        if self.tuner is not None:
            content = save_tensors({k: np.ascontiguousarray(v) for k, v in self.delta.items()})
            (folder / MOVED_WEIGHTS).write_bytes(content)
            files[MOVED_WEIGHTS] = hashlib.sha256(content).hexdigest()
        from importlib.metadata import version

        record: dict[str, Any] = {
            "format": FORMAT,
            "written_by": f"handful {version('handful')}",
            "task": LANGUAGE,
            "arm": self.arm,
            "backbone": {"name": self.backbone_name, "fingerprint": self.fingerprint},
            "moved": None if self.tuner is None else {"tuner": self.tuner, "first": self.first},
            "shots": None if self.shots is None else asdict(self.shots),
            "rows": [asdict(row) for row in self.rows] if self.shots is not None else [],
            "longest": self.longest,
            "specimen": self.specimen if self.loaded is None else specimens.loss_of(self.loaded),
            "files": files,
        }
        record["sha256"] = digest(record)
        (folder / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(card or f"# {LANGUAGE}\n", encoding="utf-8")
        copy = Speaker.load(folder)
        if any(not np.array_equal(copy.delta[name], values) for name, values in self.delta.items()):
            raise BundleError("the model was read back differently from what was written. Save it again.")

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
    def load(cls, folder: str | Path) -> Speaker:
        """Read a model, checking version, hashes and names before anything is built.

        Args:
            folder: where it is, or the run folder that holds it in ``model/``.

        Raises:
            BundleError: it is missing, changed, damaged or newer than this handful.
        """
        place = model_folder(folder)
        record = entries(place, FORMAT, language=True)

        def refusal(why: str) -> BundleError:
            return BundleError(f"{place / RECORD} has a missing or wrong entry ({why}). Restore it or tune again.")

        with damage_is(refusal):
            found = checked(cls._of(record, {} if record["moved"] is None else moved_of(place, record)))
            if found.shots is not None and (found.shots.kind not in KINDS or found.shots.count < 1 or not found.rows):
                raise ValueError("shots")
            if not 1 <= found.longest <= _LONGEST:
                raise ValueError("longest")
        return found

    @classmethod
    def _of(cls, record: dict[str, Any], delta: dict[str, NDArray[np.float32]]) -> Speaker:
        moved, shots, backbone = record["moved"], record["shots"], record["backbone"]
        if not is_backbone(backbone) or not is_moved(moved):
            raise ValueError("moved" if is_backbone(backbone) else "backbone")
        rows = tuple(
            Conversation(tuple(Message(**message) for message in row["prompt"]), row["answer"])
            for row in record["rows"]
        )
        return cls(
            record["arm"], backbone["name"], backbone["fingerprint"], moved and moved["tuner"],
            0 if moved is None else moved["first"], delta, None if shots is None else Shots(**shots), rows,
            record["longest"], record["specimen"],
        )  # fmt: skip


def _messages(prompt: Prompt) -> tuple[Message, ...]:
    if not isinstance(prompt, str) and prompt and isinstance(prompt[0], Message):
        return tuple(prompt)  # type: ignore[arg-type]
    return asked(prompt)  # type: ignore[arg-type]
