"""What no module may do: print, step, roll global dice, unpickle, import a star, swallow an error."""

from __future__ import annotations

import ast
import re

import pytest

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
# The one module that may pickle: what goes between the processes of one run, in memory and never to a file.
BETWEEN_PROCESSES = ["engines", "local"]
PICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
OWN_GENERATORS = {"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64"}
# Words that point at a thing without saying what it is.
PRONOUNS = {"found", "told", "kept", "seen"}
TORCH_DICE = {
    "torch.bernoulli",
    "torch.multinomial",
    "torch.normal",
    "torch.rand",
    "torch.rand_like",
    "torch.randint",
    "torch.randn",
    "torch.randn_like",
    "torch.randperm",
}

# Calls of libraries that fetch or open what others published → the arguments without which they may run code or ask a
# hub, and what each must be; None: anything, as long as it is decided.
PUBLISHED: dict[str, dict[str, object]] = {
    "from_pretrained": {"trust_remote_code": False, "local_files_only": None},
    "from_config": {"trust_remote_code": False},
    "cached_file": {"local_files_only": None},
    "snapshot_download": {"local_files_only": None},
    "hf_hub_download": {"local_files_only": None},
    "load_dataset": {"trust_remote_code": False},
}
# Calls that run what they load, whatever they are told.
RUNS_WHAT_IT_LOADS = (
    "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "runpy.run_path", "runpy.run_module",
    "importlib.util.spec_from_file_location", "transformers.pipeline",
)  # fmt: skip
# A table of numbers that happens to be filled by a method of this name; it opens no file.
FILLS_A_TABLE = "torch.nn.Embedding.from_pretrained"
# The one module that loads what others published.
THE_DOOR = "handful.backbones.hub"


def option(call: ast.Call, name: str) -> object:
    """The constant value of a keyword of a call; None where it is absent or not a constant."""
    return next((getattr(k.value, "value", None) for k in call.keywords if k.arg == name), None)


def prints(module) -> list[str]:
    if module.parts == ["cli", "printing"]:
        return []
    printing = ("print", "pprint.pprint", "sys.stdout.write", "sys.stderr.write")
    own = ("sys.stderr.write",) if module.parts == ["progress"] else ()
    return [f"line {call.lineno}" for name, call in module.calls() if name in printing and name not in own]


# Who may know classes: classifiers of scikit-learn's kind, doubts about labels, and what draws a task's own tables.
CLASSIFIERS = (
    "strategies.frozen.heads", "strategies.frozen.prototypes", "strategies.tuned.strategy", "inspection.labels",
    "inspection.loo_logistic", "report.sections",
)  # fmt: skip
TURNED_INTO_CLASSES = re.compile(
    r"(outputs|proba|probabilities|answers|whole)\w*(\([^()]*\))?(\[[^\]]*\])?(\.mean\(0\))?\.argmax\("
)


def knows_classes(module) -> list[str]:
    if module.parts[:1] == ["tasks"] or ".".join(module.parts) in CLASSIFIERS:
        return []
    lines = module.text.splitlines()
    code = [(i, line) for i, line in enumerate(lines, 1) if not line.lstrip().startswith(("#", '"""'))]
    turned = [f"line {i}: turns answers into classes" for i, line in code if TURNED_INTO_CLASSES.search(line)]
    imported = [name for name in module.imports() if "confusion" in name]
    named = [f"line {i}: compares the name of a task" for i, line in code if re.search(r"task\.name [=!]=", line)]
    return [*turned, *(f"imports {name}" for name in imported), *named]


def steps(module) -> list[str]:
    if module.parts == ["training", "loop"]:
        return []
    return [f"line {call.lineno}: {name}" for name, call in module.calls() if name.endswith(".step")]


def global_dice(module) -> list[str]:
    found = [f"import {name}" for name in module.imports() if name.split(".")[0] == "random"]
    for name, call in module.calls():
        last = name.rpartition(".")[2]
        if name.startswith("numpy.random.") and last not in OWN_GENERATORS:
            found.append(f"line {call.lineno}: {name}")
        elif name == "numpy.random.default_rng" and not (call.args or call.keywords):
            found.append(f"line {call.lineno}: a generator without a seed")
        elif last in ("manual_seed", "manual_seed_all", "seed_all") and name.startswith("torch."):
            if module.parts == ["training", "loop"]:  # sets dropout's dice for an update, and gives them back
                continue
            found.append(f"line {call.lineno}: {name}")
        elif name in TORCH_DICE and "generator" not in {k.arg for k in call.keywords}:
            found.append(f"line {call.lineno}: {name} without a generator")
    return found


def unsafe_reads(module) -> list[str]:
    allowed = {"pickle"} if module.parts == BETWEEN_PROCESSES else set()
    found = [f"import {name}" for name in module.imports() if name.split(".")[0] in PICKLERS - allowed]
    for name, call in module.calls():
        if name.startswith("pickle.") and name not in ("pickle.dumps", "pickle.loads"):
            found.append(f"line {call.lineno}: {name}, which is a file")
        if name == "torch.load" and option(call, "weights_only") is not True:
            found.append(f"line {call.lineno}: torch.load without weights_only=True")
        if name == "torch.save" or name.endswith((".read_pickle", ".to_pickle")):
            found.append(f"line {call.lineno}: {name} pickles")
        if option(call, "allow_pickle") not in (None, False):
            found.append(f"line {call.lineno}: allow_pickle")
        if option(call, "trust_remote_code") not in (None, False):
            found.append(f"line {call.lineno}: trust_remote_code")
        if name in ("eval", "exec"):
            found.append(f"line {call.lineno}: {name}")
        if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load"):
            found.append(f"line {call.lineno}: {name}, where yaml.safe_load is meant")
    return found


def open_doors(module) -> list[str]:
    """Calls that load what others published without having said that their code stays out, and whom they may ask."""
    found = []
    for name, call in module.calls():
        last = name.rpartition(".")[2]
        given = {keyword.arg for keyword in call.keywords}
        if name in RUNS_WHAT_IT_LOADS:
            found.append(f"line {call.lineno}: {name} runs what it loads")
        if name == FILLS_A_TABLE:
            continue
        for argument, must in PUBLISHED.get(last, {}).items():
            if argument not in given or (must is not None and option(call, argument) is not must):
                found.append(f"line {call.lineno}: {last} without {argument}{'' if must is None else f'={must}'}")
        if last == "from_pretrained" and module.name != THE_DOOR:
            found.append(f"line {call.lineno}: from_pretrained outside of {THE_DOOR}")
    return found


def opens_by_itself(module) -> list[str]:
    """Files of a user are opened in one place only: others might wait for ever, or read without end."""
    if module.parts[:1] != ["data"] or not module.parts[1:]:
        return []
    found = []
    for name, call in module.calls():
        content = (
            bool(call.args) and isinstance(call.args[0], ast.Call) and ast.unparse(call.args[0].func) == "io.BytesIO"
        )
        decoder = name in ("soundfile.read", "soundfile.info", "soundfile.SoundFile", "pyarrow.parquet.read_table")
        opening = name.endswith((".open", ".read_text", ".read_bytes")) or name == "open"
        if (opening and name != "PIL.Image.open") or (decoder and not content and module.parts != ["data", "sounds"]):
            found.append(f"line {call.lineno}: {name}")
    return found


def stars(module) -> list[str]:
    return [name for name in module.imports() if name.endswith(".*")]


def swallowed(module) -> list[str]:
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                found.append(f"line {node.lineno}: except without a type")
            elif all(isinstance(line, ast.Pass) for line in node.body):
                found.append(f"line {node.lineno}: caught and forgotten")
    for name, call in module.calls():
        if name == "contextlib.suppress" and {ast.unparse(a) for a in call.args} & {"Exception", "BaseException"}:
            found.append(f"line {call.lineno}: everything suppressed")
    return found


def homeless(module) -> list[str]:
    return [part for part in module.parts if part.strip("_") in FORBIDDEN_NAMES or re.search(r"_utils?$", part)]


def pronouns(module) -> list[str]:
    """A name like ``found`` is clear while the line that gives it is in sight: beyond three lines it must be a noun.

    A reader who meets it further down has to look up what was found, and a search for the thing does not lead there.
    """
    found = []
    for function in module.functions():
        lines: dict[str, set[int]] = {}
        for node in ast.walk(function):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if name in PRONOUNS:
                lines.setdefault(name, set()).add(node.lineno)
        found += [f"{function.name}: {name} on {len(at)} lines" for name, at in lines.items() if len(at) > 3]
    return found


@pytest.mark.parametrize(
    "rule",
    [
        prints,
        knows_classes,
        steps,
        global_dice,
        unsafe_reads,
        open_doors,
        opens_by_itself,
        stars,
        swallowed,
        homeless,
        pronouns,
    ],
)
def test_no_module_does_it(rule, problems):
    assert problems(rule) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (prints, "print('done')"),
        (prints, "from pprint import pprint\npprint({})"),
        (prints, "import sys\nsys.stderr.write('done')"),
        (knows_classes, "def f(proba):\n    return proba.argmax(1)"),
        (knows_classes, "def f(judged):\n    return judged.outputs[0].argmax(-1)"),
        (knows_classes, "def f(model, x):\n    return model.predict_proba(x).argmax(1)"),
        (knows_classes, "from handful.tasks.classification.metrics import confusion"),
        (knows_classes, "def f(task):\n    return task.name == 'ordinal'"),
        (steps, "def f(optimizer):\n    optimizer.step()"),
        (steps, "def f(self):\n    self.opt.step()"),
        (global_dice, "import random"),
        (global_dice, "from random import shuffle"),
        (global_dice, "import numpy as np\nnp.random.seed(0)"),
        (global_dice, "import numpy as np\nx = np.random.rand(3)"),
        (global_dice, "from numpy import random as r\nx = r.permutation(3)"),
        (global_dice, "import numpy as np\nrng = np.random.default_rng()"),
        (global_dice, "import torch\ntorch.manual_seed(0)"),
        (global_dice, "import torch\ntorch.cuda.manual_seed_all(0)"),
        (global_dice, "import torch\nx = torch.randn(3)"),
        (unsafe_reads, "import pickle"),
        (unsafe_reads, "def f(pickle, file):\n    pickle.dump(1, file)"),
        (unsafe_reads, "def f():\n    from joblib import load"),
        (unsafe_reads, "import torch\ntorch.load('x')"),
        (unsafe_reads, "import torch\ntorch.load('x', weights_only=False)"),
        (unsafe_reads, "import numpy as np\nnp.load('x', allow_pickle=True)"),
        (unsafe_reads, "import yaml\nyaml.load('x')"),
        (unsafe_reads, "eval('1')"),
        (open_doors, "from transformers.utils import cached_file\ncached_file('a', 'b')"),
        (open_doors, "import huggingface_hub\nhuggingface_hub.snapshot_download('a/b')"),
        (open_doors, "from huggingface_hub import hf_hub_download as get\nget('a/b', 'c')"),
        (open_doors, "import transformers\ntransformers.AutoModel.from_config(x)"),
        (open_doors, "import transformers\ntransformers.AutoModel.from_config(x, trust_remote_code=trusted)"),
        (open_doors, "import torch\ntorch.jit.load('x')"),
        (open_doors, "import torch\ntorch.hub.load('a/b', 'c')"),
        (opens_by_itself, "def f(path):\n    open(path)"),
        (opens_by_itself, "def f(path):\n    path.open('rb')"),
        (opens_by_itself, "import os\ndef f(path):\n    os.open(path, 0)"),
        (opens_by_itself, "from pathlib import Path\ndef f(path):\n    Path(path).read_bytes()"),
        (opens_by_itself, "import soundfile\ndef f(path):\n    soundfile.info(path)"),
        (stars, "from os import *"),
        (swallowed, "try:\n    f()\nexcept ValueError:\n    pass"),
        (swallowed, "try:\n    f()\nexcept:\n    raise"),
        (swallowed, "import contextlib\nwith contextlib.suppress(Exception):\n    f()"),
        (pronouns, "def f(found):\n    g(found)\n    g(found)\n    g(found)"),
    ],
)
def test_the_rule_bites(rule, text, written):
    assert len(rule(written(text))) == 1


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ("x", 2), ("x, trust_remote_code=False", 1), ("x, local_files_only=True", 1),
        ("x, trust_remote_code=True, local_files_only=True", 1), ("x, trust_remote_code=t, local_files_only=l", 1),
        ("x, trust_remote_code=False, local_files_only=l", 0),
    ],
)  # fmt: skip
def test_a_model_that_is_opened_without_a_word_about_its_code_is_found(written, arguments, missing):
    text = f"def f(kind):\n    return kind.from_pretrained({arguments})"
    assert len(open_doors(written(text, THE_DOOR))) == missing
    assert len(open_doors(written(text, "handful.backbones.text"))) == missing + 1


def test_models_are_opened_at_the_door_and_from_safetensors(modules):
    calls = [call for module in modules for name, call in module.calls() if name.endswith(".from_pretrained")]
    opened = [call for call in calls if option(call, "trust_remote_code") is False]
    assert len(opened) == 2
    assert [option(call, "use_safetensors") for call in opened] == [True, None]  # tokenizers have no weights


def test_a_forbidden_name_is_found(written):
    assert homeless(written("", "handful.data.utils")) == ["utils"]
    assert homeless(written("", "handful.misc.things")) == ["misc"]
    assert homeless(written("", "handful.data.text_utils")) == ["text_utils"]


@pytest.mark.parametrize(
    ("rule", "text", "name"),
    [
        (prints, "print('done')", "handful.cli.printing"),
        (knows_classes, "def f(proba):\n    return proba.argmax(1)", "handful.tasks.ordinal"),
        (knows_classes, "def f(gains):\n    return gains.argmax(1)", "handful.data.x"),
        (steps, "def f(optimizer):\n    optimizer.step()", "handful.training.loop"),
        (global_dice, "import numpy as np\nrng = np.random.default_rng(3)", "handful.data.splits"),
        (global_dice, "import torch\nx = torch.randn(3, generator=g)", "handful.training.loop"),
        (unsafe_reads, "import torch\ntorch.load('x', weights_only=True)", "handful.backbones.audio"),
        (opens_by_itself, "import io, soundfile\ndef f(b):\n    soundfile.read(io.BytesIO(b))", "handful.data.x"),
        (opens_by_itself, "from PIL import Image\ndef f(file):\n    Image.open(file)", "handful.data.x"),
        (opens_by_itself, "def f(path):\n    path.open('wb')", "handful.run"),
        (
            swallowed,
            "try:\n    f()\nexcept ValueError as error:\n    raise DataError('x') from error",
            "handful.data.x",
        ),
        (pronouns, "def f(self, found):\n    g(found)\n    g(self.found)\n    return found", "handful.data.x"),
    ],
)
def test_what_is_allowed_is_not_flagged(rule, text, name, written):
    assert rule(written(text, name)) == []
