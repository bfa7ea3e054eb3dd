"""Folders: classes from their names, files in sorted order, clutter and damage told apart."""

import json
import os
from pathlib import Path

import pytest

from handful.data import box_files, folders, items
from handful.data.folders import Walk, read_folder
from handful.errors import DataError, MachineError


def fill(root, *names, content=b"x"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def photos(root, classes="ants bees", each=10, suffix=".jpg"):
    return fill(root, *(f"{name}/{i:02}{suffix}" for name in classes.split() for i in range(each)))


def refusal(root, *args, kind=DataError):
    with pytest.raises(kind) as error:
        read_folder(root, *args)
    return str(error.value).replace(str(root), "photos")


def test_one_sub_folder_per_class(tmp_path):
    data = read_folder(photos(tmp_path, each=2))
    assert data.modality == "image"
    assert [path.relative_to(tmp_path).as_posix() for path in data.items] == [
        "ants/00.jpg", "ants/01.jpg", "bees/00.jpg", "bees/01.jpg",
    ]  # fmt: skip
    assert data.labels == ("ants", "ants", "bees", "bees")
    assert data.rows == (0, 1, 2, 3)
    assert (data.split, data.groups, data.notes, data.unreadable) == (None, None, (), {})
    assert data.source == str(tmp_path)


def test_sounds(tmp_path):
    assert read_folder(photos(tmp_path, "yes no", 2, ".FLAC")).modality == "sound"


def test_files_lie_at_any_depth_below_their_class(tmp_path):
    data = read_folder(fill(tmp_path, "ants/2019/may/a.jpg", "ants/b.jpg", "bees/c.jpg", "bees/d.jpg"))
    assert data.labels == ("ants", "ants", "bees", "bees")


def test_rows_count_every_file_of_the_kind_in_sorted_order(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=2), "aaa.jpg", "b.jpg"))
    assert data.rows == (1, 2, 4, 5)
    assert data.notes == ("2 images outside the class folders left out",)


@pytest.mark.parametrize("name", ["blue whale", "it's", 'a "b"', "Käfer", "蚂蚁", "муравьи", "a;b,c", "-rf", "$HOME"])
def test_names_of_every_kind(tmp_path, name):
    data = read_folder(fill(photos(tmp_path, "other", 2), f"{name}/{name}.jpg", f"{name}/2.jpg"))
    assert data.counts == {"other": 2, name: 2}
    assert all(path.is_file() for path in data.items)


def test_two_spellings_of_one_accented_letter_are_one_class(tmp_path):
    data = read_folder(fill(photos(tmp_path, "other", 2), "Ka\u0308fer/1.jpg", "K\u00e4fer/2.jpg"))
    assert data.counts == {"other": 2, "Käfer": 2}


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_names_that_are_not_utf_8(tmp_path):
    photos(tmp_path, "other", 2)
    fill(tmp_path, os.fsdecode(b"caf\xe9/1.jpg"), os.fsdecode(b"caf\xe9/\xff.jpg"))
    data = read_folder(tmp_path)
    assert data.classes == ("caf\ufffd", "other")
    assert all(path.is_file() for path in data.items)


def test_clutter_is_passed_by_in_silence(tmp_path):
    clutter = ["ants/.DS_Store", "ants/Thumbs.db", ".git/x.jpg", "bees/._00.jpg", "__MACOSX/ants/00.jpg", "desktop.ini"]
    data = read_folder(fill(photos(tmp_path, each=2), *clutter))
    assert len(data) == 4
    assert data.notes == ()


def test_other_files_are_counted(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=2), "ants/a.txt", "ants/b.txt", "README"))
    assert data.notes == ("3 other files left out (.txt, no suffix)",)


def test_train_and_test_folders_are_the_split(tmp_path):
    names = [f"{part}/{name}/{i}.jpg" for part in ("Train", "test", "val") for name in ("ants", "bees") for i in (0, 1)]
    data = read_folder(fill(tmp_path, *names))
    assert data.split == ("train",) * 4 + ("test",) * 4 + ("train",) * 4
    assert data.labels == ("ants", "ants", "bees", "bees") * 3
    assert data.notes == (
        'folders "Train", "test" and "val" are honoured as the split: 8 to train, 4 to test; '
        '"val" is used for training',
    )


def test_train_alone_is_no_split(tmp_path):
    data = read_folder(fill(tmp_path, "train/ants/1.jpg", "train/ants/2.jpg", "train/bees/1.jpg"))
    assert data.split is None
    assert data.classes == ("ants", "bees")


SPLIT_NAMES = ["train", "training", "val", "valid", "validation", "dev", "test", "testing", "Train", "TEST"]


@pytest.mark.parametrize(
    ("first", "second"), [(name, other) for name in SPLIT_NAMES for other in ("test", "Training") if name != other]
)
def test_parts_of_a_split_are_never_classes(tmp_path, first, second):
    parts = sorted([first, second])
    assert refusal(photos(tmp_path, f"{first} {second}", 2)) == (
        f'photos must hold one sub-folder per class, got "{parts[0]}" and "{parts[1]}" only: folders that are called '
        "so are parts of a split and no classes. Put the files of each class into a folder of its own, such as "
        f'"{parts[0]}/CLASS"; if these are classes, give them other names, or write images and labels into '
        "metadata.csv."
    )


def test_a_class_that_is_called_like_a_part_of_a_split_is_asked_about(tmp_path):
    assert refusal(photos(tmp_path, "train plane", 2)) == (
        "photos/train must hold one sub-folder per class, got 00.jpg directly in it. Move it into the folder of its "
        'class; if "train" is a class and no part of a split, give that folder another name.'
    )


def test_a_test_folder_beside_the_classes(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=2), "test/ants/1.jpg", "test/bees/1.jpg"))
    assert (data.classes, data.counts) == (("ants", "bees"), {"ants": 3, "bees": 3})
    assert data.split == ("train",) * 4 + ("test",) * 2
    assert data.notes == ('folder "test" is honoured as the split: 4 to train, 2 to test',)


def test_a_test_folder_without_classes_is_left_out(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=2), "test/1.jpg", "test/2.jpg"))
    assert (data.counts, data.split) == ({"ants": 2, "bees": 2}, None)
    assert data.notes == ('2 images directly in "test" have no class and are left out; `handful predict` answers them',)


def test_parts_of_a_split_below_the_classes(tmp_path):
    names = [f"{name}/{part}/{i}.jpg" for name in ("ants", "bees") for part in ("test", "train") for i in (0, 1)]
    data = read_folder(fill(tmp_path, *names))
    assert data.labels == ("ants",) * 4 + ("bees",) * 4
    assert data.split == ("test", "test", "train", "train") * 2


def test_a_folder_called_test_somewhere_below_a_class_means_nothing(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=2), "ants/test/1.jpg", "ants/2019/2.jpg"))
    assert (data.counts, data.split) == ({"ants": 4, "bees": 2}, None)


def test_files_directly_in_train_are_refused(tmp_path):
    fill(tmp_path, "train/a.jpg", "train/ants/1.jpg", "test/ants/1.jpg")
    assert refusal(tmp_path).startswith(
        "photos/train must hold one sub-folder per class, got a.jpg directly in it. "
        "Move it into the folder of its class;"
    )


def test_tables_beside_the_classes_are_named(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=2), "rows.csv", "ants/list.jsonl"))
    assert data.notes == (
        "2 other files left out (.jsonl, .csv)",
        '"ants/list.jsonl" and "rows.csv" not read, because the folders are the classes; give the table itself to '
        "learn from it",
    )


def test_an_empty_folder(tmp_path):
    assert refusal(tmp_path) == (
        "photos must hold images or sounds in one sub-folder per class, got nothing. Choose another folder."
    )


def test_no_media_in_a_folder(tmp_path):
    fill(tmp_path, "a/1.txt", "a/2.txt", "b/3.docx")
    assert refusal(tmp_path) == (
        "photos must hold images or sounds in one sub-folder per class, got only other files (2 .txt, 1 .docx). "
        "Choose another folder."
    )


def test_a_folder_of_sounds_that_cannot_be_decoded(tmp_path):
    assert refusal(fill(tmp_path, "a/1.m4a", "a/2.aac", "b/3.webm", "b/4.m4a")) == (
        "4 of 4 items in photos cannot be read, more than a tenth; the first is photos/a/1.m4a: .m4a is a format that "
        "cannot be read; convert it to WAV or FLAC, for example with `ffmpeg -i 1.m4a 1.wav`. Repair or remove them."
    )


def test_a_folder_that_only_holds_a_table(tmp_path):
    assert refusal(fill(tmp_path, "rows.csv")) == (
        "photos must hold images or sounds in one sub-folder per class, got only other files (1 .csv). "
        "Give the table itself: photos/rows.csv"
    )


def test_both_images_and_sounds(tmp_path):
    photos(tmp_path, each=3)
    photos(tmp_path, "calls", 2, ".wav")
    assert refusal(tmp_path) == (
        "photos holds both images (6, such as ants/00.jpg) and sounds (2, such as calls/00.wav); "
        "it must hold one kind. Move one kind elsewhere."
    )
    data = read_folder(tmp_path, "image")
    assert data.counts == {"ants": 3, "bees": 3}
    assert data.notes == ("2 files of another kind than image left out",)


def test_the_wrong_kind_only(tmp_path):
    photos(tmp_path, "yes no", 2, ".wav")
    assert refusal(tmp_path, "image") == "photos must hold images, got 4 sounds only. Choose another folder."


def test_images_without_class_folders(tmp_path):
    fill(tmp_path, "a.jpg", "b.jpg")
    assert refusal(tmp_path) == (
        "photos holds 2 images without labels: they must lie in one sub-folder per class. "
        "Make a sub-folder for each class and move the files there. If all of them show good things, --task defects "
        "learns what is unlike them."
    )
    assert ", or give the table, if it holds the labels: photos/labels.csv." in refusal(fill(tmp_path, "labels.csv"))


def test_one_class_only(tmp_path):
    assert refusal(photos(tmp_path, "ants", 3)) == (
        'all 3 items of photos have the same label, "ants" (folder names); at least two classes are needed. '
        "Put the files of each class into a sub-folder of its own; if all of them show good things, --task defects "
        "learns what is unlike them."
    )


def test_what_lies_beside_files_without_classes_names_the_task(tmp_path):
    pictures = photos(tmp_path / "seeds", "images", 3)
    coco = {"images": [], "annotations": [], "categories": []}
    (pictures / "boxes.json").write_text(json.dumps(coco), "utf-8")
    wanted = "if boxes.json tells of boxes around things, --task boxes learns to find these."
    assert refusal(pictures).endswith(f"into a sub-folder of its own; {wanted}")
    sounds = fill(tmp_path / "more", "a.wav", "a.csv", "b.wav")
    assert refusal(sounds).endswith(". If a.csv tells what happens when, --task events learns that.")


def test_a_folder_of_classes_is_read_without_a_look_at_what_lies_beside(tmp_path, monkeypatch):
    pictures = photos(fill(tmp_path, "boxes.json", content=b"{}"), each=3)
    monkeypatch.setattr(box_files, "formats_of", None)
    assert len(read_folder(pictures)) == 6


def test_one_folder_too_far_up(tmp_path):
    photos(tmp_path / "set", each=3)
    assert refusal(tmp_path).endswith("If the folders in photos/set are the classes, give that folder.")


def test_a_file_per_class(tmp_path):
    assert refusal(photos(tmp_path, each=1)) == (
        "photos has as many different labels as items (2; folder names): that is a name for every item, not a class. "
        "Put the files of each class into a sub-folder of its own; if all of them show good things, --task defects "
        "learns what is unlike them."
    )


def test_a_class_with_one_file_is_kept_and_said(tmp_path):
    data = read_folder(fill(photos(tmp_path, each=3), "wasps/1.jpg"))
    assert data.counts["wasps"] == 1
    assert data.notes == ('class "wasps" has one row only: kept and learned from, but not used for stratifying',)


def test_a_few_empty_files_are_listed(tmp_path):
    fill(photos(tmp_path), "ants/03.jpg", content=b"")
    data = read_folder(tmp_path)
    assert len(data) == 19
    assert data.unreadable == {3: f"{tmp_path}/ants/03.jpg: the file is empty (0 bytes)"}
    assert 3 not in data.rows


def test_many_empty_files_are_an_error(tmp_path):
    fill(photos(tmp_path), "ants/03.jpg", "ants/04.jpg", "bees/01.jpg", content=b"")
    assert refusal(tmp_path) == (
        "3 of 20 items in photos cannot be read, more than a tenth; "
        "the first is photos/ants/03.jpg: the file is empty (0 bytes). Repair or remove them."
    )


def test_a_class_that_vanishes_is_an_error(tmp_path):
    fill(photos(tmp_path), "wasps/1.jpg", content=b"")
    assert refusal(tmp_path) == (
        "class 'wasps' in photos has no readable item left; the first unreadable one is photos/wasps/1.jpg: "
        "the file is empty (0 bytes). Repair its files or remove the class."
    )


def test_links_to_files_and_folders_elsewhere_are_followed(tmp_path):
    root = photos(tmp_path / "photos", "ants", 2)
    outside = photos(tmp_path / "elsewhere", "b", 2)
    (root / "bees").symlink_to(outside / "b")
    (root / "ants" / "linked.jpg").symlink_to(outside / "b" / "00.jpg")
    assert read_folder(root).counts == {"ants": 3, "bees": 2}


def test_links_in_circles_are_not_followed(tmp_path):
    root = photos(tmp_path / "photos", each=2)
    (root / "ants" / "again").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "up").symlink_to(tmp_path)
    data = read_folder(root)
    assert len(data) == 4
    assert data.notes == (
        "1 other files left out (no suffix)",
        f"link {root}/ants/again not followed: it leads back to a folder that is read already",
        f"link {root}/up not followed: it leads back to a folder that is read already",
    )


def test_circles_between_folders_elsewhere_end(tmp_path):
    root = photos(tmp_path / "photos", each=2)
    outside = photos(tmp_path / "elsewhere", "a b", 2)
    (outside / "a" / "to_b").symlink_to(outside / "b")
    (outside / "b" / "to_a").symlink_to(outside / "a")
    (root / "wasps").symlink_to(outside / "a")
    assert read_folder(root).counts["wasps"] == 4


def test_a_link_to_nothing_is_listed(tmp_path):
    root = photos(tmp_path)
    (root / "ants" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (root / "bees" / "circle.jpg").symlink_to(root / "bees" / "circle.jpg")
    assert list(read_folder(root).unreadable.values()) == [
        f"{root}/ants/gone.jpg: a link to a file that does not exist",
        f"{root}/bees/circle.jpg: the file cannot be opened (Too many levels of symbolic links)",
    ]


def test_a_forbidden_file_is_listed(tmp_path, monkeypatch):
    photos(tmp_path)
    forbidden = tmp_path / "ants" / "02.jpg"
    monkeypatch.setattr(items.os, "access", lambda path, mode: Path(path) != forbidden)
    assert read_folder(tmp_path).unreadable == {2: f"{forbidden}: the file cannot be opened (Permission denied)"}


def test_a_forbidden_folder_is_an_error(tmp_path, monkeypatch):
    photos(tmp_path)
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "bees":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(folders.os, "scandir", refuse)
    assert refusal(tmp_path, kind=MachineError) == (
        "folder photos/bees cannot be opened: Permission denied. Check its permissions."
    )


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_pipe_is_no_image(tmp_path):
    photos(tmp_path)
    os.mkfifo(tmp_path / "ants" / "pipe.jpg")
    assert list(read_folder(tmp_path).unreadable.values()) == [f"{tmp_path}/ants/pipe.jpg: this is a pipe, not a file"]


def test_the_order_is_that_of_sorted_paths(tmp_path):
    fill(tmp_path, "b/x.jpg", "a-b/x.jpg", "a/y.jpg", "a/x/z.jpg", "a.jpg", "B/x.jpg")
    assert [path for path, _ in Walk(tmp_path).files()] == sorted(tmp_path.rglob("*.jpg"))


def test_a_class_folder_without_media_is_said(tmp_path):
    root = photos(tmp_path, each=2)
    (root / "wasps").mkdir()
    (root / "flies").mkdir()
    (root / "flies" / "list.txt").write_text("none yet")
    (root / "ants" / "empty").mkdir()  # below a class nothing is missed
    notes = read_folder(root).notes
    assert 'folder "wasps" holds no images or sounds, so it is no class' in notes
    assert 'folder "flies" holds no images or sounds, so it is no class' in notes
    assert not any("empty" in note for note in notes)
