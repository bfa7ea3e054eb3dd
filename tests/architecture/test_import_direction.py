"""Imports point one way, and each library has one door."""

from __future__ import annotations

import graphlib
import sys

import pytest

# Top to bottom; a lower line never imports a higher one. The package itself ("") names things of every line.
LAYERS = (
    ("", "__main__"),
    ("cli", "web"),
    (
        "answer_files", "api", "box_answers", "detection", "detection_reasons", "explanation", "item_options",
        "marked_items", "monitoring", "moved_boxes", "picture_options",
        "prediction", "prediction_shards", "run", "report", "robustness", "run_rows", "segmentation", "tune_answers",
        "tune_boxes", "tune_defects", "tune_items", "tune_masks", "tune_targets", "updating", "versions",
    ),
    ("regimes", "export"),
    ("strategies",),
    ("tasks",),
    ("evaluation",),
    ("training", "inspection"),
    ("features",),
    ("backbones", "engines"),
    ("answer_store", "data", "progress", "run_folder", "notebook_html", "notebook_progress"),
    ("plan", "budget", "choices", "energy", "seeding", "errors", "atomic", "files", "readback", "keywords", "threads"),
)  # fmt: skip
# A lower layer is handed what it needs of a higher one, and may name its contract where types are checked.
CONTRACTS = tuple(f"handful.tasks.base.{name}" for name in ("AnyTargets", "HeadTask", "Targets", "Task"))
HEIGHT = {part: -row for row, parts in enumerate(LAYERS) for part in parts}

RIGHT_OF_FEATURES = (
    "features", "inspection", "training", "evaluation", "tasks", "strategies", "regimes", "export", "report",
)  # fmt: skip

# library → where in handful it may be imported. numpy is free; anything not listed here needs a line, and a reason.
DOORS = {
    "torch": ("backbones", "training"),
    "transformers": ("backbones", "training"),
    "tokenizers": ("backbones",),
    "huggingface_hub": ("backbones",),
    "safetensors": ("backbones", "training", "export", "regimes.federated"),  # what sites send is tensors too
    "peft": ("training.tuners",),
    "sklearn": (*RIGHT_OF_FEATURES, "backbones.char_ngrams"),  # its hashed counts are a backbone
    "scipy": (*RIGHT_OF_FEATURES, "backbones.char_ngrams", "threads"),
    "threadpoolctl": ("engines", "threads"),
    "PIL": ("data", "backbones"),
    "soundfile": ("data", "backbones"),
    "soxr": ("data", "backbones"),
    "pandas": ("data",),
    "pyarrow": ("data",),
    "openpyxl": ("data.spreadsheets", "data.row_files"),
    "datasets": ("data",),
    "py3langid": ("data.languages",),
    "charset_normalizer": ("data.guessed_encoding",),
    "pillow_heif": ("data.images",),
    "cyclopts": ("cli",),
    "rich": ("cli", "progress"),
    "IPython": ("notebook_progress",),  # where it runs already
    # Chat templates are written by transformers with jinja2, and say what they refuse with its error.
    "jinja2": ("report", "backbones.chat"),
    "markupsafe": ("report",),
    "yaml": ("plan", "data.box_files"),  # names of labels of YOLO stand in it
    "platformdirs": ("files",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "pydantic": ("web",),
    "prometheus_client": ("web",),
    "python_multipart": ("web",),
    "ray": ("engines.ray",),
    "dp_accounting": ("regimes.federated",),  # tells how much noise keeps a promise
    "onnx": ("backbones", "export.onnx"),
    "onnxruntime": ("export.onnx",),
    "codecarbon": ("report",),
    "optuna": ("strategies.tuned.hyperparameters",),
}


def inside(parts: list[str], door: str) -> bool:
    return parts[: door.count(".") + 1] == door.split(".")


def upward_imports(module) -> list[str]:
    own = HEIGHT.get(module.parts[0] if module.parts else "", 0)
    found = []
    for name in module.imports():
        first, *rest = name.split(".")
        if first == "handful" and rest and HEIGHT.get(rest[0], 0) > own and name not in CONTRACTS:
            found.append(f"{module.name} imports {name}, which stands above it")
    return found


def side_doors(module) -> list[str]:
    found = []
    for name in module.imports():
        library = name.split(".")[0]
        if library in sys.stdlib_module_names or library in ("handful", "numpy"):
            continue
        if library not in DOORS:
            found.append(f"{module.name} imports {library}, which has no door")
        elif not any(inside(module.parts, door) for door in DOORS[library]):
            found.append(f"{module.name} imports {library}, whose door is {', '.join(DOORS[library])}")
    return found


def circle(modules) -> list[str]:
    """Modules that import each other in a ring, in functions too; empty where there is no ring."""
    by_name = {module.name: module for module in modules}

    def module_of(name: str) -> str:
        return name if name in by_name or "." not in name else module_of(name.rpartition(".")[0])

    needs = {name: {module_of(n) for n in m.imports(for_types=False)} - {name} for name, m in by_name.items()}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def knows_a_strategy(module) -> list[str]:
    """Evaluation is given strategies; it knows them only by their contract."""
    if module.parts[:1] != ["evaluation"]:
        return []
    return [name for name in module.imports() if name.startswith("handful.strategies")]


def test_the_package_is_found(modules):
    assert {"handful.errors", "handful.data", "handful.backbones.base"} <= {module.name for module in modules}


def test_every_module_has_a_layer(modules):
    unplaced = {module.name for module in modules if (module.parts[0] if module.parts else "") not in HEIGHT}
    assert unplaced == set(), "a noun is missing: see docs/decisions/README.md"


def test_no_modules_import_each_other(modules):
    assert circle(modules) == []


def test_a_circle_is_found_also_where_a_function_imports(written):
    one = written("from handful.data.two import rows", "handful.data.one")
    two = written("def f():\n    from handful.data import one", "handful.data.two")
    types = written("if TYPE_CHECKING:\n    from handful.data import one", "handful.data.two")
    assert set(circle([one, two])) == {"handful.data.one", "handful.data.two"}
    assert circle([one, types]) == []


@pytest.mark.parametrize("rule", [upward_imports, side_doors, knows_a_strategy])
def test_imports_point_downward_and_through_doors(rule, problems):
    assert problems(rule) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from handful.features import cache", "handful.data.readers"),
        ("from handful import api", "handful.strategies.frozen.solver"),
        ("from .. import cli", "handful.evaluation.metrics"),
        ("def f():\n    import handful.report", "handful.evaluation.metrics"),
        ("import importlib\nimportlib.import_module('handful.cli')", "handful.data.readers"),
        ("from importlib import import_module\nimport_module(f'handful.features.{x}')", "handful.backbones.text"),
    ],
)
def test_an_upward_import_is_found_wherever_it_hides(written, text, name):
    assert len(upward_imports(written(text, name))) == 1


@pytest.mark.parametrize("text", ["import handful.data.readers", "from handful.errors import DataError", "import os"])
def test_a_downward_import_is_fine(written, text):
    assert upward_imports(written(text, "handful.backbones.text")) == []


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        ("import torch", "handful.strategies.frozen.solver", "torch, whose door is backbones, training"),
        ("from PIL import Image", "handful.report.thumbnails", "PIL, whose door is data, backbones"),
        ("def f():\n    from sklearn import svm", "handful.data.readers", "sklearn, whose door is features"),
        ("import torchvision", "handful.backbones.image", "torchvision, which has no door"),
        ("import onnxruntime", "handful.export.bundle", "onnxruntime, whose door is export.onnx"),
    ],
)
def test_a_side_door_is_found(written, text, name, problem):
    assert any(problem in found for found in side_doors(written(text, name)))


def test_a_strategy_in_evaluation_is_found(written):
    text = "from handful.strategies.frozen.solver import Ridge"
    assert knows_a_strategy(written(text, "handful.evaluation.selection")) == ["handful.strategies.frozen.solver.Ridge"]
