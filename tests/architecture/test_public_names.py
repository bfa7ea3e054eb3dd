"""The public surface: a list that is importable, documented and cheap to import."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys

import handful

# Libraries that only an extra installs.
EXTRAS = ("ray",)

HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas", "PIL", "soundfile", "onnx", "pyarrow", "py3langid")


def loaded_by(code: str, folder=None) -> set[str]:
    """The top-level libraries that a fresh interpreter has loaded after running ``code``, in a folder."""
    report = f"import sys\n{code}\nsys.stderr.write(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", report],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_every_public_name_is_there_and_documented():
    assert handful.__all__, "the list of public names is empty"
    for name in handful.__all__:
        thing = getattr(handful, name)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            assert inspect.getdoc(thing), f"handful.{name} has no docstring"


def test_the_public_names_are_listed_once_and_shown_by_dir():
    assert len(handful.__all__) == len(set(handful.__all__))
    assert set(handful.__all__) <= set(dir(handful))


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(handful, "no_such_name")


def test_importing_handful_loads_nothing_heavy():
    assert not loaded_by("import handful") & set(HEAVY)


def test_asking_for_help_loads_nothing_heavy():
    code = "from handful.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass"
    assert not loaded_by(code) & set(HEAVY)


def test_a_file_that_is_not_there_is_said_before_anything_heavy_is_loaded(tmp_path):
    code = "from handful.cli import app\nsaid = []\n"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "bundle.json").touch()
    for command in ("tune", "inspect", "predict run", "check run"):
        words = [*command.split(), "nowhere.csv"]
        code += f"try:\n    app({words})\nexcept Exception as error:\n    said.append(str(error))\n"
    code += "assert said == ['nowhere.csv does not exist. Check the path.'] * 4, said"
    assert not loaded_by(code, tmp_path) & set(HEAVY)  # no file here has a like name, which would be proposed


def test_every_module_can_be_imported(modules):
    for module in modules:
        try:
            assert importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
