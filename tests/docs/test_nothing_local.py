"""Nothing in the tree names one machine or one package index."""

from __future__ import annotations

import re

import pytest

# Written in pieces, so that this file does not find itself.
MACHINE_PATHS = [f"/{name}/" for name in ("work", "tmp", "root", "home", "Users")]
INDEXES = ["pypi" + ".", "python" + "hosted", "download.py" + "torch", "conda" + ".anaconda", "--index" + "-url"]
LOCAL = re.compile("|".join([rf"(?<![\w.~\])}}>-]){re.escape(p)}" for p in MACHINE_PATHS] + [*map(re.escape, INDEXES)]))


def local_lines(path):
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return [f"line {number}: {line.strip()[:100]}" for number, line in enumerate(lines, 1) if LOCAL.search(line)]


def test_no_machine_path_and_no_package_index(texts):
    assert "README.md" in texts
    assert {name: local_lines(path) for name, path in texts.items() if local_lines(path)} == {}


@pytest.mark.parametrize(
    "text", [f'open("{MACHINE_PATHS[1]}x")', f"see {MACHINE_PATHS[0]}", f"https://{INDEXES[0]}org"]
)
def test_a_local_name_is_found(text, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"first\n{text}\n")
    assert local_lines(page) == [f"line 2: {text}"]


@pytest.mark.parametrize(
    "text", ["docs/home/x", "a/tmp/b", "https://example.org/work/", "tmp_path / 'x'", "/usr/bin/x"]
)
def test_other_paths_are_fine(text):
    assert not LOCAL.search(text)
