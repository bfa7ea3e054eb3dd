"""What would be released: the wheel and the source archive are built, complete, accepted by an index, and answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "constraints.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

pytestmark = pytest.mark.slow


def run(*words, **settings):
    """What a command prints; without what would lead it to the sources in place of the package."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, env=env, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the wheel and the source archive, built without a network from a copy of the sources."""
    copy = tmp_path_factory.mktemp("project")
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy / "dist", copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    (file,) = built.glob("*.whl")
    return file


def test_the_wheel_holds_the_whole_package_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "src" / "handful"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert not {path.relative_to(ROOT / "src").as_posix() for path in files} - names
    assert "handful/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert not {name for name in names if not name.startswith("handful")}


def test_what_an_index_is_told(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = message_from_bytes(archive.read(name))
    assert told["Name"] == "handful"
    assert told["Version"] == PROJECT["version"]
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Description-Content-Type"] == "text/markdown"
    assert set(told.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    assert not [name for name in told.get_all("Classifier") if name.startswith("License ::")]  # said by the expression


def test_the_source_archive_can_be_built_from(built):
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {*FILES, "src/handful/__init__.py", "src/handful/choices.json"} <= names


def test_an_index_accepts_both(built):
    printed = run(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()))
    assert printed.count("PASSED") == 2


def test_the_wheel_answers_where_nothing_else_of_the_project_is(wheel, tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    (own,) = (tmp_path / "env").rglob("site-packages")
    (own / "libraries.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )  # a path alone: no editable install is seen
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", python]
    run(*pip, "install", "--no-deps", "--no-index", wheel)
    command = tmp_path / "env" / "bin" / "handful"
    assert run(command, "--version", cwd=tmp_path).strip() == PROJECT["version"]
    assert "Make the best model" in run(command, "--help", cwd=tmp_path)
    where = run(python, "-c", "import handful; print(handful.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)


def test_the_changelog_has_a_place_for_this_version():
    titles = [line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## ")]
    assert titles[0] == "## [Unreleased]" or titles[0].startswith(f"## [{PROJECT['version']}] - ")
    assert len(titles) == len(set(titles))


def test_every_library_of_the_extras_is_pinned():
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    wanted = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    names = {word.partition(">")[0].strip().lower().replace("_", "-") for word in wanted}
    assert names - pinned == set()
