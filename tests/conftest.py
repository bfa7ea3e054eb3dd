"""What all tests share: a cache folder each, the command line in this process, toy data for each modality."""

from __future__ import annotations

import csv
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import ThreadpoolController

# The machine that runs the tests may be busy: how long an example takes says nothing about the code.
settings.register_profile("handful", deadline=None)
settings.load_profile("handful")

_numbers = itertools.count()

WORDS = {"ants": "hill march leaf crumb", "bees": "hive buzz wing honey", "wasps": "sting stripe jam fear"}


# What asks on how many threads a job computes needs more than one to ask about.
ALL_THREADS = ("test_engines.py",)


@cache
def libraries() -> ThreadpoolController:
    """The libraries of linear algebra that are loaded when the first test begins."""
    return ThreadpoolController()


@cache
def own_threads(library: str) -> int:
    """On how many threads torch or linear algebra computes by itself; asked before that is changed."""
    if library == "torch":
        return sys.modules["torch"].get_num_threads()
    return max((pool["num_threads"] for pool in libraries().info() if pool["user_api"] == "blas"), default=1)


def usual_threads(library: str) -> int:
    """On how many threads the tests of real weights compute: processes that share the tests share the cores."""
    return max(1, own_threads(library) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Toys compute on one thread: their sums are over before a second one has woken up. Real weights have all."""
    asked = item.path.name in ALL_THREADS
    real = item.get_closest_marker("integration") is not None
    for library in ("blas", "torch") if "torch" in sys.modules else ("blas",):
        own, shared = own_threads(library), usual_threads(library)
        set_threads(library, own if asked else shared if real else 1)


def set_threads(library: str, count: int) -> None:
    """Compute on so many threads from now on."""
    if library == "torch":
        sys.modules["torch"].set_num_threads(count)
    else:
        libraries().limit(limits=count, user_api="blas")


@pytest.fixture(autouse=True)
def own_cache(request, monkeypatch, tmp_path_factory) -> Path | None:
    """A cache folder of its own, not made before it is used; tests of the real weights keep the user's."""
    if request.node.get_closest_marker("integration"):
        return None
    folder = tmp_path_factory.getbasetemp() / "caches" / str(next(_numbers))
    monkeypatch.setenv("HANDFUL_CACHE", str(folder))
    return folder


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    """The exit code."""
    out: str
    """What it wrote on standard output."""
    err: str
    """What it wrote on standard error."""


@pytest.fixture
def signals() -> Iterator[None]:
    """Signals do what they usually do, here and in processes that are started, also where the suite ignores some."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, action) for number, action in usual.items()}
    yield
    for number, action in before.items():
        signal.signal(number, action)


@pytest.fixture
def handful(monkeypatch, capsys, tmp_path, signals) -> Callable[..., Ended]:
    """Run a command line in this process, in an empty folder; anything but an exit fails the test."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ended:
        from handful.cli import main

        monkeypatch.setattr("handful.cli.ending.leave_at_once", sys.exit)  # or the tests would end with it
        monkeypatch.setattr("handful.progress.PATIENCE", 600.0)  # how busy the machine is changes no output
        monkeypatch.setattr(sys, "argv", ["handful", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def sentences() -> Callable[[dict[str, int]], list[tuple[str, str]]]:
    """Make distinct short texts and their labels: label → how many; texts of one label share words."""
    return _sentences


def _sentences(counts: dict[str, int]) -> list[tuple[str, str]]:
    rows = []
    for label, count in counts.items():
        words = WORDS.get(label, label).split()
        rows += [
            (f"{words[i % len(words)]} {words[(i + 1) % len(words)]} number {i} {label}", label) for i in range(count)
        ]
    return rows


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], encoding: str = "utf-8") -> Path:
    """Write a CSV file."""
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def table(tmp_path) -> Callable[..., Path]:
    """Make a table of texts: rows, names of the columns, name of the file, encoding."""

    def make(rows=None, header=("text", "label"), name="insects.csv", encoding="utf-8") -> Path:
        rows = _sentences({"ants": 10, "bees": 10}) if rows is None else rows
        return write_table(tmp_path / name, header, rows, encoding)

    return make


@pytest.fixture
def pictures(tmp_path) -> Callable[..., Path]:
    """Make a folder of small pictures, one sub-folder per class: bright ones and dark ones."""
    from PIL import Image

    def make(counts: dict[str, int] | None = None, name: str = "photos", seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for level, (label, count) in enumerate((counts or {"dark": 6, "light": 6}).items()):
            folder = tmp_path / name / label
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = np.clip(60 + 120 * level + rng.integers(-40, 40, (16, 16, 3)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        return tmp_path / name

    return make


@pytest.fixture
def clips(tmp_path) -> Callable[..., Path]:
    """Make a folder of short sounds, one sub-folder per class: low ones and high ones."""
    import soundfile

    def make(counts: dict[str, int] | None = None, name: str = "clips", rate: int = 16000) -> Path:
        rng = np.random.default_rng(0)
        for level, (label, count) in enumerate((counts or {"low": 6, "high": 6}).items()):
            folder = tmp_path / name / label
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                time = np.arange(rate // 8) / rate
                wave = 0.3 * np.sin(2 * np.pi * 300 * 4**level * time) + 0.01 * rng.normal(size=len(time))
                soundfile.write(folder / f"{i}.wav", wave, rate)
        return tmp_path / name

    return make


@pytest.fixture
def leftovers(tmp_path) -> Callable[[], list[str]]:
    """List hidden files and folders anywhere in the folder of the test: what a half-written result would be."""
    return lambda: sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob(".*"))


@pytest.fixture
def toy(tmp_path) -> Path:
    """A run folder with a toy language model, whose answers have at most twenty tokens."""
    from handful.backbones import catalog
    from handful.export.language_model import LanguageModel

    fingerprint = catalog.load("toy-language", "language").fingerprint
    (tmp_path / "toy").mkdir()
    LanguageModel("base", "toy-language", fingerprint, longest=20).save(tmp_path / "toy" / "model")
    return tmp_path / "toy"


@pytest.fixture(scope="session")
def part_runs(tmp_path_factory):
    """A folder with a run of defects, of masks and of boxes, which no test changes, and what each learned from."""
    from handful.api import tune
    from normal_parts import normal_pictures
    from test_tune_boxes import laid as laid_boxes
    from test_tune_masks import laid as laid_masks

    place = tmp_path_factory.mktemp("parts")
    normal_pictures(place / "defects", range(4))
    laid_masks(place / "masks", 3)
    laid_boxes(place / "boxes", 3)
    for task in ("defects", "masks", "boxes"):
        tune(place / task, task=task, out=place / f"run_{task}", backbone="toy-image")
    return place
