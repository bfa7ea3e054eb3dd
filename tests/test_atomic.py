"""A folder or file appears whole or not at all, and nothing of the user's is lost on the way."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handful.atomic import check_replaceable, replaced_file, replaced_folder
from handful.errors import MachineError, OptionError

PARTS = ("done.json", "data.bin")


def write(folder: Path, text: str = "new") -> None:
    with replaced_folder(folder, PARTS) as target:
        (target / "done.json").write_text(text)
        (target / "data.bin").write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def not_allowed(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


# Folders -----------------------------------------------------------------------------------------------------------


def test_a_new_folder_appears_with_the_folders_above_it(tmp_path):
    write(tmp_path / "deep" / "down" / "out")
    assert names(tmp_path / "deep" / "down") == ["out"]
    assert (tmp_path / "deep/down/out/done.json").read_text() == "new"


def test_the_folder_has_the_rights_that_any_new_folder_has(tmp_path):
    write(tmp_path / "out")
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_nothing_is_there_under_its_name_before_the_end(tmp_path):
    with replaced_folder(tmp_path / "out", PARTS) as target:
        assert target.parent.parent == tmp_path
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_an_error_in_the_middle_leaves_what_was_there(tmp_path, error, before):
    if before:
        write(tmp_path / "out", before)
    with pytest.raises(error), replaced_folder(tmp_path / "out", PARTS) as target:
        (target / "done.json").write_text("half")
        raise error
    assert names(tmp_path) == (["out"] if before else [])
    assert not before or (tmp_path / "out/data.bin").read_text() == "old"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_between_the_two_renames_puts_the_old_one_back(tmp_path, monkeypatch, error):
    """Where folders cannot change places in one step."""
    write(tmp_path / "out", "old")
    (tmp_path / "out/answers.csv").write_text("mine")
    rename = Path.rename

    def last_fails(self, target):
        if self.name == "ready":
            raise error
        return rename(self, target)

    monkeypatch.setattr("handful.atomic.exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", last_fails)
    with pytest.raises((MachineError, KeyboardInterrupt)):
        write(tmp_path / "out")
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out/data.bin").read_text() == "old"
    assert (tmp_path / "out/answers.csv").read_text() == "mine"


@pytest.mark.parametrize("before", [False, True])
def test_a_kill_in_the_middle_leaves_the_old_folder_or_none(tmp_path, before):
    if before:
        write(tmp_path / "out", "old")
    script = (
        "import os, sys; from pathlib import Path; from handful.atomic import replaced_folder\n"
        f"with replaced_folder(Path(sys.argv[1]), {PARTS}) as target:\n"
        "    (target / 'done.json').write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "out")], check=False)
    assert ended.returncode == -9
    assert (tmp_path / "out").exists() == before
    assert len(names(tmp_path)) == 1 + before
    write(tmp_path / "out", "third")
    assert (tmp_path / "out/data.bin").read_text() == "third"
    assert names(tmp_path) == ["out"]


def test_an_earlier_result_is_replaced_and_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "first")
    write(tmp_path / "out", "second")
    assert (tmp_path / "out/data.bin").read_text() == "second"
    assert names(tmp_path) == ["out"]


def test_files_that_the_user_put_into_an_earlier_result_stay(tmp_path):
    write(tmp_path / "out", "old")
    (tmp_path / "out/answers.csv").write_text("mine")
    (tmp_path / "out/notes").mkdir()
    (tmp_path / "out/notes/a.txt").write_text("mine too")
    write(tmp_path / "out")
    assert names(tmp_path / "out") == ["answers.csv", "data.bin", "done.json", "notes"]
    assert (tmp_path / "out/answers.csv").read_text() == "mine"
    assert (tmp_path / "out/notes/a.txt").read_text() == "mine too"
    assert (tmp_path / "out/data.bin").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_a_part_that_the_new_result_lacks_does_not_stay(tmp_path):
    write(tmp_path / "out", "old")
    with replaced_folder(tmp_path / "out", PARTS) as target:
        (target / "done.json").write_text("new")
    assert names(tmp_path / "out") == ["done.json"]


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "place")
    for text in ("first", "second"):
        write(tmp_path / "out", text)
        assert (tmp_path / "disk/place/data.bin").read_text() == text
    assert (tmp_path / "out").is_symlink()
    assert names(tmp_path) == ["disk", "out"]
    assert names(tmp_path / "disk") == ["place"]


@pytest.mark.parametrize("act", [lambda folder: check_replaceable(folder, "done.json"), write])
def test_a_folder_with_other_files_is_left_alone(tmp_path, act):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.docx").write_text("mine")
    with pytest.raises(OptionError) as error:
        act(tmp_path / "out")
    assert str(error.value) == (
        f"output folder {tmp_path}/out must be new, empty or an earlier result, got a folder with other files. "
        "Choose another folder."
    )
    assert names(tmp_path / "out") == ["thesis.docx"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OptionError) as error:
        write(tmp_path / "out")
    assert str(error.value) == f"output folder {tmp_path}/out must be a folder, got a file. Choose another name."
    with pytest.raises(OptionError) as error:
        check_replaceable(tmp_path / "out" / "deeper" / "run", "done.json")
    assert str(error.value) == (
        f"output folder {tmp_path}/out/deeper/run must lie in a folder, but {tmp_path}/out is a file. "
        "Choose another name."
    )


def test_the_folder_one_stands_in_is_not_pulled_away(tmp_path, monkeypatch):
    write(tmp_path / "out", "old")
    (tmp_path / "out/inner").mkdir()
    monkeypatch.chdir(tmp_path / "out/inner")
    for place in (tmp_path / "out", Path(), Path("..")):
        with pytest.raises(OptionError) as error:
            check_replaceable(place, "done.json")
        assert str(error.value) == (
            f"output folder {place} must be one that can be replaced, got the folder you are in. "
            f"Choose a folder inside it, such as {place / 'run'}."
        )


def test_a_mounted_disk_cannot_be_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda place: Path(place) == tmp_path)
    with pytest.raises(OptionError) as error:
        check_replaceable(tmp_path, "done.json")
    assert str(error.value) == (
        f"output folder {tmp_path} must be one that can be replaced, got a disk of its own. "
        f"Choose a folder inside it, such as {tmp_path}/run."
    )


def test_a_place_without_permission_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path)
    (tmp_path / "mine").mkdir()
    for place in ("out", "deep/down/out", "mine"):  # an own folder in a forbidden one has no sibling either
        with pytest.raises(MachineError) as error:
            check_replaceable(tmp_path / place, "done.json")
        assert str(error.value) == (
            f"{tmp_path}/{place} cannot be written: no permission in {tmp_path}. Choose another folder."
        )


def test_permission_that_is_missing_only_when_it_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.mkdtemp", not_allowed)
    with pytest.raises(MachineError) as error:
        write(tmp_path / "out")
    assert str(error.value) == f"{tmp_path}/out cannot be written: Permission denied. Choose another place."


def test_a_folder_that_cannot_be_looked_into(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Path, "iterdir", not_allowed)
    with pytest.raises(MachineError) as error:
        check_replaceable(tmp_path / "out", "done.json")
    assert str(error.value) == f"{tmp_path}/out cannot be written: Permission denied. Choose another place."


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(MachineError) as error:
        check_replaceable(tmp_path / ("x" * 300), "done.json")
    assert str(error.value).endswith("x cannot be written: File name too long. Choose another place.")


@pytest.mark.parametrize("before", [False, True])
def test_a_disk_that_fills_leaves_what_was_there(tmp_path, monkeypatch, before):
    if before:
        write(tmp_path / "out", "old")
    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(MachineError) as error:
        write(tmp_path / "out")
    assert str(error.value) == (
        f"{tmp_path}/out was not written: the disk is full. Free some space or choose another place."
    )
    assert names(tmp_path) == (["out"] if before else [])
    assert not before or (tmp_path / "out/data.bin").read_text() == "old"


# Files -------------------------------------------------------------------------------------------------------------


def test_a_file_appears_at_the_end_and_replaces_an_earlier_one(tmp_path):
    for text in ("first", "second"):
        with replaced_file(tmp_path / "new" / "out.csv") as target:
            target.write_text(text)
        assert (tmp_path / "new/out.csv").read_text() == text
    assert names(tmp_path / "new") == ["out.csv"]
    (tmp_path / "usual").touch()
    assert (tmp_path / "new/out.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(error), replaced_file(tmp_path / "out.csv") as target:
        target.write_text("half")
        raise error
    assert names(tmp_path) == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "old"


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "out.csv").write_text("old")
    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(MachineError) as error, replaced_file(tmp_path / "out.csv") as target:
        target.write_text("half")
    assert str(error.value) == (
        f"{tmp_path}/out.csv was not written: the disk is full. Free some space or choose another place."
    )
    assert names(tmp_path) == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "old"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OptionError) as error, replaced_file(tmp_path):
        pytest.fail("the body must not run: its work would be lost")
    assert (
        str(error.value) == f"output {tmp_path} must be a file, got a folder. Name a file in it, such as answers.csv."
    )


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "out.csv").symlink_to(tmp_path / "there" / "real.csv")
    with replaced_file(tmp_path / "out.csv") as target:
        target.write_text("new")
    assert (tmp_path / "there/real.csv").read_text() == "new"
    assert (tmp_path / "out.csv").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_or_device_is_written_to_and_stays_what_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with replaced_file(pipe) as target:
        assert target == pipe
    assert pipe.is_fifo()


def test_a_disk_that_only_reads_is_not_called_full(tmp_path):
    with pytest.raises(MachineError) as error, replaced_file(tmp_path / "out.csv"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert str(error.value) == f"{tmp_path}/out.csv cannot be written: Read-only file system. Choose another place."
