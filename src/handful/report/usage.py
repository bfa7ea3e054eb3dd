"""How to use the model: commands and lines of Python with the real folder in them, quoted where it needs quotes."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handful.data.image_text import IMAGE_TEXT
from handful.data.vectors import VECTORS
from handful.export.bundle import Bundle
from handful.export.detector import Detector
from handful.export.finder import Finder
from handful.export.segmenter import Segmenter

if TYPE_CHECKING:
    from handful.run import Run

# What stands in for the reader's own data, by modality: a source, and one item as Python would name it.
_NEW = {
    "text": ("new.csv", '"A new text"'),
    "image": ("new_pictures", 'Path("new_pictures/one.jpg")'),
    "sound": ("new_sounds", 'Path("new_sounds/one.wav")'),
    VECTORS: ("new.parquet", 'new = pandas.read_parquet("new.parquet")'),
    IMAGE_TEXT: ("new.csv", '(Path("new.jpg"), "its text")'),
}


_PATHS = "from pathlib import Path\n\nimport handful"


@dataclass(frozen=True)
class Usage:
    """Snippets to copy."""

    shell: str
    """The command that answers many new items."""
    python: str
    """The same for one item in Python."""


def usage_of(run: Run, folder: Path) -> Usage:
    """Write the snippets for a run.

    Args:
        run: what ``tune`` returned.
        folder: the run folder, as the user named it.
    """
    model = run.model
    if isinstance(model, Bundle):
        named = bool(model.labels) and not model.task.grain  # what is said of parts are no probabilities of an item
        return usage(folder, model.modality, model.task.about, named, model.pairs)
    if isinstance(model, Detector):
        return _detecting(folder, model.modality)
    if isinstance(model, Segmenter):
        return _segmenting(folder)
    if isinstance(model, Finder):
        return _finding(folder)
    lines = [f"handful chat {quoted(folder)}", f"handful predict {quoted(folder)} prompts.txt --out answers.csv"]
    lines.append(f"handful serve {quoted(folder)}")
    if model.merges:
        lines += ["", f"handful export {quoted(folder)} --merge --out merged   # a folder for transformers"]
    python = f'import handful\n\nmodel = handful.LanguageModel.load({str(folder)!r})\nmodel.predict(["A new prompt"])'
    return Usage("\n".join(lines), python)


def usage(place: Path, modality: str, about: str, named: bool, pairs: bool = False) -> Usage:
    """Write the snippets for a run folder.

    Args:
        place: the run folder, as the user named it.
        modality: text, image, sound, vectors or image+text.
        about: what is answered, in words.
        named: whether answers have names, and these probabilities.
        pairs: whether an item is two texts.
    """
    source, item = ("new.csv", '("A text", "another one")') if pairs else _NEW.get(modality, _NEW["text"])
    imports = {"text": "import handful", VECTORS: f"import handful\nimport pandas\n\n{item}"}
    items = "new" if modality == VECTORS else f"[{item}]"
    python = (
        f"{imports.get(modality, _PATHS)}\n\n"
        f"model = handful.Bundle.load({str(place)!r})\n"
        f"model.predict({items})        # {about}"
    )
    if named:
        python += f"\nmodel.predict_proba({items})  # the probability of each"
    return Usage(f"handful predict {quoted(place)} {source} --out answers.csv", python)


def _detecting(place: Path, modality: str) -> Usage:
    """Write the snippets for a detector; the arguments are those of ``usage``."""
    source, item = _NEW.get(modality, _NEW["text"])
    imports = "" if modality == "text" else "from pathlib import Path\n\n"
    maps = " --maps maps" if modality == "image" else ""
    python = (
        f"{imports}import handful\n\n"
        f"model = handful.Detector.load({str(place)!r})\n"
        f"model.predict([{item}])  # what it is called\n"
        f"model.scores([{item}])   # how unusual it is"
    )
    return Usage(f"handful predict {quoted(place)} {source}{maps} --out answers.csv", python)


def _segmenting(place: Path) -> Usage:
    """Write the snippets for a model of masks."""
    source, item = _NEW["image"]
    python = (
        "from pathlib import Path\n\nimport handful\n\n"
        f"model = handful.Segmenter.load({str(place)!r})\n"
        f"model.predict([{item}])  # (H, W) of each picture, numbers of model.names"
    )
    return Usage(f"handful predict {quoted(place)} {source} --maps masks --out answers.csv", python)


def _finding(place: Path) -> Usage:
    """Write the snippets for a model of boxes."""
    source, item = _NEW["image"]
    python = (
        "from pathlib import Path\n\nimport handful\n\n"
        f"model = handful.Finder.load({str(place)!r})\n"
        f"model.predict([{item}])  # of each picture its boxes: left, top, width, height, label, confidence"
    )
    return Usage(f"handful predict {quoted(place)} {source} --out found.jsonl", python)


def quoted(place: Path) -> str:
    """A folder as the shell of this machine wants it."""
    name = str(place)
    if name.startswith("-"):  # a folder, not an option
        name = os.path.join(os.curdir, name)  # noqa: PTH118 - Path drops the leading dot
    return subprocess.list2cmdline([name]) if os.name == "nt" else shlex.quote(name)
