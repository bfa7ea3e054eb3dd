"""The model card: what a bundle does, how well, what it was made of, and what it must not be trusted with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from handful.backbones.catalog import is_hub_id, is_weightless
from handful.backbones.entries import ENTRIES, known
from handful.data.cells import shown
from handful.data.image_text import IMAGE_TEXT
from handful.data.vectors import VECTORS
from handful.evaluation.intervals import Estimate
from handful.evaluation.metrics import Scale
from handful.evaluation.scores import Scores, unproven
from handful.export.carried import FOLDER
from handful.tasks.name_scores import NameScore

if TYPE_CHECKING:
    from handful.export.bundle import Bundle
    from handful.tasks.base import Task

INSTALL = "pip install -c constraints.txt -e ."
"""What installs handful: from a clone, in which the exact versions of all libraries stand."""

# What a text may not do in Markdown: format, link, open a tag or end a cell of a table.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&])")
# A class with fewer rows than this is named among the limits.
_FEW = 10
# How many classes a sentence names.
_NAMED = 10
# How the hub calls a task, by modality.
_TASKS = {
    "text": "text-classification",
    "image": "image-classification",
    "sound": "audio-classification",
    VECTORS: "tabular-classification",
}
_WEIGHTS, _NO_WEIGHTS = "The weights of the backbone are", "The backbone has no weights"
# The paragraph on where weights are, with the commands below it, up to the next heading.
_NOTE = re.compile(rf"^(?:{_WEIGHTS}|{_NO_WEIGHTS}).*?(?=\n\n## |\s*\Z)", re.DOTALL | re.MULTILINE)
_ITEMS = {
    "text": '"A new text"',
    "image": 'Path("new.jpg")',
    "sound": 'Path("new.wav")',
    VECTORS: "new",
    IMAGE_TEXT: '(Path("new.jpg"), "its text")',
}


def model_card(model: Bundle, scores: Scores, source: str) -> str:
    """Describe a model for whoever finds it, in Markdown.

    Args:
        model: the bundle that the card goes with.
        scores: what the run that made it measured.
        source: what it learned from; of a path only the last part is told.

    Returns:
        The text of the ``README.md`` of the bundle.
    """
    task = f"{model.modality.capitalize()} {model.task.name}"
    parts = [
        _front_matter(model),
        f"# {task}: {_listed(model.labels)}" if model.labels else f"# {task}: {_plain(model.target or 'a number')}",
        f"Learned from {scores.n:,} labelled rows ({_plain(PurePath(source).name or source)}) with handful.",
        "## How good it is",
        _score(scores, model.task),
        *_tables(model, scores),
        "## What it is made of",
        _parts(model),
        "## How to use it",
        _use(model),
        "## What to keep in mind",
        _limits(model, scores),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(model: Bundle) -> str:
    task = _TASKS.get(model.modality, "other")
    return f"---\nlibrary_name: handful\npipeline_tag: {task}\ntags:\n- handful\n- few-shot\n---"


def _score(scores: Scores, task: Task) -> str:
    metric, figure = scores.scale.title, _interval(scores.estimate, scores)
    lines = [f"- {metric}: **{figure}**, measured on {scores.n:,} rows by {scores.protocol} cross-validation"]
    if scores.test is not None:
        lines.append(f"- on {scores.test_n:,} test rows, used once: **{_interval(scores.test, scores)}**")
    if scores.beats_reference(task.reference.name) is False:
        lines.insert(0, f"- **{unproven('It', task.reference.words, task.nothing_shown)}**")
    if "classes" in scores.details and scores.metric == "accuracy":
        most = max(score.rows for score in _names(scores)) / scores.n
        lines.append(
            f"- always answering the most frequent class would be right on {scores.scale.told(most)} of these rows"
        )
    elif scores.arms:
        first = scores.arms[0]
        lines.append(f"- {first.name}, which looks at no item: {_interval(first.estimate, scores)}")
    return "\n".join(lines)


def _tables(model: Bundle, scores: Scores) -> list[str]:
    """What the task tells of its answers: every metric, every class or label."""
    tables = []
    if measured := scores.every_metric(model.task.metrics):
        lines = ["| metric | value | interval |", "|---|---:|---:|"]
        tables.append("\n".join([*lines, *(f"| {' | '.join(row)} |" for row in measured)]))
    if names := _names(scores):
        tables.append(_name_table(names, model.task.nouns[0]))
    return tables


def _names(scores: Scores) -> list[NameScore]:
    """How each class or label fares, where answers have names."""
    return [NameScore.from_dict(raw) for raw in (scores.details.get("classes") or scores.details.get("per_label", ()))]


def _name_table(scores: Sequence[NameScore], noun: str) -> str:
    several = any(score.f1 is not None for score in scores)
    lines = [f"| {noun} | rows | found | right when answered |" + " F1 |" * several]
    lines.append("|---|---:|---:|---:|" + "---:|" * several)
    for score in scores:
        found = "" if score.recall is None else _share(score.recall)
        right = "never answered" if score.precision is None else _share(score.precision)
        f1 = "" if score.f1 is None else f" {score.f1:.2f} |"
        lines.append(f"| {_plain(score.name)} | {score.rows} | {found} | {right} |{f1}")
    return "\n".join(lines)


def _parts(model: Bundle) -> str:
    listed = {entry.name: entry for entry in ENTRIES}
    lines = []
    for name, depths, moved in model.view.reads:
        entry = listed.get(name)
        about = (
            f": {entry.what}. Licence of its weights: {entry.licence}." if entry else ". Its licence is its owner's."
        )
        note = f" {entry.licence_note}" if entry and entry.licence_note else ""
        lines.append(f"- backbone {_plain(name)}, {'tuned' if moved else 'frozen'}, {reading(depths)}{about}{note}")
    if model.items:
        lines.append(f"- {len(model.items)} of the training items, made short: to test the model when it is loaded")
    fitted = "fitted with the weights that moved" if model.moved else "the only part that was fitted"
    lines.append(f"- head: {_plain(model.head)}, {fitted}; its weights are in this folder")
    return "\n".join([*lines, "", weights_note(model, merged=False)])


def weights_note(model: Bundle, merged: bool) -> str:
    """Where the weights of the backbones are, in one paragraph, with what to type where they have to be fetched.

    Args:
        model: the bundle.
        merged: whether they were written beside it.
    """
    names = [name for name in model.fingerprints if not is_weightless(name)]
    if not names:
        return f"{_NO_WEIGHTS}: this folder and handful are all that is needed."
    if merged:
        return f"{_WEIGHTS} in this folder, under `{FOLDER}/`: nothing is fetched when the model is used."
    fetched = [name for name in names if is_hub_id(name)]
    made_here = [name for name in names if name not in fetched and known(name) is None]
    said = f"{_WEIGHTS} not in this folder"
    if made_here:
        said += (
            "; they are in a folder of the machine that the model was made on. To use it elsewhere, export it with its "
            "weights: `handful export RUN --merge --out FOLDER`."
        )
    elif not fetched:
        said += "; handful gets them when they are missing."
    if fetched:
        opening = " " if made_here else ", and a"
        said += f"{opening}{'A' * bool(made_here)} saved model asks no hub for them. Get them with:"
        said = "\n".join([said, "", "```", *(f"hf download {name}" for name in fetched), "```"])
    return said


def with_weights(card: str, model: Bundle, merged: bool) -> str:
    """A card that says where the weights are in this copy of the model; one that says nothing of it stays as it is."""
    return _NOTE.sub(lambda found: weights_note(model, merged), card, count=1)


def reading(depths: Sequence[int]) -> str:
    """Where a backbone is read, in words: ``read after blocks 5 and 6``."""
    if not any(depths):
        return "read whole"
    *most, last = (str(depth) for depth in depths)
    return f"read after blocks {', '.join(most)} and {last}" if most else f"read after block {last}"


def _use(model: Bundle) -> str:
    item = '("A text", "another one")' if model.pairs else _ITEMS.get(model.modality, "item")
    imports = "from pathlib import Path\n\nimport handful" if "Path" in item else "import handful"
    items = f"[{item}]"
    if model.modality == VECTORS:
        imports, items = f'{imports}\nimport pandas\n\nnew = pandas.read_parquet("new.parquet")', item
    python = (
        f"{imports}\n\n"
        'model = handful.Bundle.load("path/to/this/folder")\n'
        f"model.predict({items})        # {model.task.about}"
    )
    if model.labels:
        python += f"\nmodel.predict_proba({items})  # the probability of each"
    install = f"In a clone of handful, with Python 3.11 or newer:\n\n```\n{INSTALL}\n```"
    return (
        f"{install}\n\n```python\n{python}\n```\n\n```\nhandful predict path/to/this/folder NEW --out answers.csv\n```"
    )


def _limits(model: Bundle, scores: Scores) -> str:
    knows = f"- It knows these {len(model.labels)} {model.task.nouns[1]} and no other: anything else is given them too."
    if not model.labels:
        knows = (
            "- It knows numbers of the range that it learned from; what it answers beyond is marked: do not trust it."
        )
    lines = [
        knows,
        "- The score holds for items that come from the same place as the rows it learned from.",
        f"- {scores.n:,} rows say no more than the interval does"
        + (f"; the interval of a single {model.task.nouns[0]} is wider still." if model.labels else "."),
    ]
    few = [f"{score.name} ({score.rows})" for score in _names(scores) if score.rows < _FEW]
    if few:
        lines.append(f"- Fewer than {_FEW} rows were there for {_listed(few)}.")
    return "\n".join(lines)


def _share(estimate: Estimate) -> str:
    return f"{estimate.told(Scale())} ({Scale().between(estimate.low, estimate.high, 'to')})"


def _interval(estimate: Estimate, scores: Scores) -> str:
    between = scores.scale.between(estimate.low, estimate.high, "to")
    return f"{estimate.told(scores.scale)} ({scores.level:.0%} interval {between})"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    first = ", ".join(_plain(name) for name in names[:_NAMED])
    return f"{first} and {len(names) - _NAMED} more" if len(names) > _NAMED else first


def _plain(text: str) -> str:
    """A text as Markdown shows it unchanged, on one line."""
    return _SPECIAL.sub(r"\\\1", shown(" ".join(text.split())))
