"""Boxes as files: three formats say the same, and what is refused, left out or put right."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from handful.data.boxed_pictures import out_of_reach
from handful.data.boxes import Box, Boxed, fitted, labels_in_boxes
from handful.data.readers import load
from handful.errors import DataError, OptionError

WIDTH, HEIGHT = 40, 20
WANTED = (Box(4, 2, 14, 12, "nut"), Box(20, 5, 30, 15, "bolt"))


@pytest.fixture
def folder(tmp_path):
    """Pictures in ``images/``."""
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.fromarray(np.full((HEIGHT, WIDTH), 40 * i, np.uint8)).save(tmp_path / "images" / f"{i}.png")
    return tmp_path


def coco(folder, each, **image):
    """Write COCO JSON: of each picture its boxes, as the format has them."""
    labels = ["bolt", "nut"]
    raw = {
        "images": [{"id": i, "file_name": f"images/{i}.png", **image} for i in range(len(each))],
        "categories": [{"id": k, "name": name} for k, name in enumerate(labels)],
        "annotations": [
            {"image_id": i, "category_id": labels.index(label), **more} for i, own in enumerate(each)
            for label, more in own
        ],
    }  # fmt: skip
    (folder / "annotations.json").write_text(json.dumps(raw))
    return folder


def as_coco(boxes):
    return [(b.label, {"bbox": [b.left, b.top, b.right - b.left, b.bottom - b.top]}) for b in boxes]


def as_yolo(boxes):
    rows = [
        (
            ["bolt", "nut"].index(b.label),
            (b.left + b.right) / 2 / WIDTH,
            (b.top + b.bottom) / 2 / HEIGHT,
            (b.right - b.left) / WIDTH,
            (b.bottom - b.top) / HEIGHT,
        )
        for b in boxes
    ]
    return "\n".join(" ".join(map(str, row)) for row in rows)


def as_voc(boxes):
    things = "".join(
        f"<object><name>{b.label}</name><bndbox><xmin>{b.left}</xmin><ymin>{b.top}</ymin><xmax>{b.right}</xmax>"
        f"<ymax>{b.bottom}</ymax></bndbox></object>"
        for b in boxes
    )
    return f"<annotation><size><width>{WIDTH}</width></size>{things}</annotation>"


def yolo(folder, texts, place="labels"):
    (folder / place).mkdir(exist_ok=True)
    for i, text in enumerate(texts):
        (folder / place / f"{i}.txt").write_text(text)
    return folder


def voc(folder, texts):
    (folder / "Annotations").mkdir(exist_ok=True)
    for i, text in enumerate(texts):
        (folder / "Annotations" / f"{i}.xml").write_text(text)
    return folder


def read(folder):
    return load(folder, task="boxes")


def boxes_of(data):
    return [Boxed.of_cell(cell).boxes for cell in data.labels]


def test_three_formats_say_the_same(folder):
    (folder / "data.yaml").write_text("names: [bolt, nut]\n")
    found = []
    data = read(coco(folder, [as_coco(WANTED)] * 3))
    found.append(boxes_of(data))
    assert (data.task, data.classes, data.modality) == ("boxes", ("bolt", "nut"), "image")
    assert data.notes[0] == "6 boxes in 3 pictures are read from COCO JSON"
    (folder / "annotations.json").unlink()
    found.append(boxes_of(read(voc(folder, [as_voc(WANTED)] * 3))))
    for file in (folder / "Annotations").iterdir():
        file.unlink()
    found.append(boxes_of(read(yolo(folder, [as_yolo(WANTED)] * 3))))
    for each in found:
        assert len(each) == 3
        for own in each:
            assert [box.label for box in own] == ["nut", "bolt"]
            assert np.allclose([box.corners for box in own], [box.corners for box in WANTED])


def test_labels_of_yolo_have_the_names_that_a_file_says_or_numbers(folder):
    assert read(yolo(folder, [as_yolo(WANTED)] * 3)).classes == ("0", "1")
    (folder / "data.yaml").write_text("names:\n  0: bolt\n  1: nut\n")
    assert read(folder).classes == ("bolt", "nut")
    (folder / "classes.txt").write_text("screw\nwasher\n")
    assert read(folder).classes == ("screw", "washer")


def test_names_that_cannot_be_read_are_refused(folder):
    (folder / "data.yaml").write_text("names: [bolt\n")
    with pytest.raises(DataError, match=r"data.yaml cannot be read \(.*\). Put it right, or remove it."):
        read(yolo(folder, [as_yolo(WANTED)] * 3))


def test_files_of_yolo_may_lie_beside_their_pictures_and_in_parts_of_a_split(folder):
    assert len(read(yolo(folder, [as_yolo(WANTED)] * 3, "images"))) == 3


def test_parts_of_a_split_are_honoured(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for kind in ("images", "labels"):
            (tmp_path / kind / part).mkdir(parents=True)
        for i in range(count):
            Image.new("L", (WIDTH, HEIGHT), 9 * i).save(tmp_path / "images" / part / f"{i}.png")
            (tmp_path / "labels" / part / f"{i}.txt").write_text(as_yolo(WANTED))
    assert read(tmp_path).split == ("test",) * 2 + ("train",) * 3


def test_a_file_per_part_of_a_split_says_which(folder):
    raw = json.loads((coco(folder, [as_coco(WANTED)] * 4) / "annotations.json").read_text())
    (folder / "annotations.json").unlink()
    for name, some in (("train", raw["images"][:3]), ("test", raw["images"][3:])):
        (folder / f"instances_{name}.json").write_text(json.dumps({**raw, "images": some}))
    assert read(folder).split == ("train",) * 3 + ("test",)


def test_pictures_without_boxes_hold_nothing_and_others_say_nothing(folder):
    data = read(coco(folder, [as_coco(WANTED)] * 3 + [[]]))
    assert len(data) == 4
    assert "pictures without boxes, taken to hold nothing of the kind: 1" in data.notes
    (folder / "annotations.json").unlink()
    data = read(yolo(folder, [as_yolo(WANTED)] * 3))
    assert len(data) == 3
    assert "pictures left out, of which nothing says what they hold: 1" in data.notes
    assert len(read(yolo(folder, [as_yolo(WANTED)] * 3 + [""]))) == 4


def test_boxes_outside_empty_and_the_wrong_way_round_are_put_right_and_said(folder):
    odd = [
        Box(-5, 2, 6, 12, "nut"),  # over the edge
        Box(60, 5, 70, 15, "nut"),  # outside
        Box(7, 7, 7, 12, "nut"),  # empty
        Box(14, 12, 4, 2, "nut"),  # the wrong way round
    ]
    data = read(voc(folder, [as_voc(WANTED), as_voc(WANTED), as_voc(odd)]))
    assert [box.corners for box in boxes_of(data)[2]] == [(0, 2, 6, 12), (4, 2, 14, 12)]
    for note in (
        "boxes that reach over the edge of their picture cut there: 1",
        "boxes that lie outside their picture left out: 1",
        "boxes that are empty left out: 1",
        "boxes with corners the other way round put right: 1",
    ):
        assert note in data.notes


def test_turned_boxes_and_outlines_become_upright_ones_where_that_can_be_known(folder):
    (folder / "classes.txt").write_text("bolt\nnut\n")
    turned = "1 0.25 0.1 0.35 0.3 0.25 0.5 0.15 0.3"
    data = read(yolo(folder, [as_yolo(WANTED), as_yolo(WANTED), turned]))
    assert np.allclose(boxes_of(data)[2][0].corners, (6, 2, 14, 10))
    assert "boxes that are turned, or outlines, taken as the upright box around each: 1" in data.notes


def test_turned_boxes_of_voc_become_upright_ones(folder):
    turned = (
        "<annotation><object><name>nut</name><robndbox><cx>20</cx><cy>10</cy><w>10</w><h>4</h>"
        f"<angle>{np.pi / 2}</angle></robndbox></object></annotation>"
    )
    data = read(voc(folder, [as_voc(WANTED), as_voc(WANTED), turned]))
    assert np.allclose(boxes_of(data)[2][0].corners, (18, 5, 22, 15))


def test_what_coco_says_otherwise_is_left_out_and_said(folder):
    more = [("nut", {"bbox": [1, 1, 5, 5, 30.0]}), ("nut", {"bbox": [1, 1, 5, 5], "iscrowd": 1}), ("nut", {})]
    data = read(coco(folder, [as_coco(WANTED)] * 2 + [as_coco(WANTED) + more]))
    assert len(boxes_of(data)[2]) == 2
    for note in (
        "boxes that are turned by an angle left out: 1",
        "boxes around crowds of things left out: 1",
        "boxes without four numbers left out: 1",
    ):
        assert note in data.notes


def test_boxes_that_were_drawn_on_another_size_are_refused(folder):
    with pytest.raises(DataError, match=r"is 40 x 20, but its boxes were made on 80 x 40. Give the picture of then"):
        read(coco(folder, [as_coco(WANTED)] * 3, width=80, height=40))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 12 4 8 8", r"line 1 must have shares of the picture from 0 to 1, got '0 12 4 8 8'"),
        ("0 0.5 0.5 0.1 0.1 0.9 0.9 0.1", "line 1 must have pairs of numbers behind its label, got 7"),
        ("0 0.5 0.5 0.1 0.1\nnut 0.5", "line 2 must be a label and four numbers, got 'nut 0.5'"),
        ("0 0.5 nan 0.1 0.1", "a number of a box is nan"),
    ],
)
def test_broken_lines_of_yolo_are_refused_with_their_number(folder, text, why):
    with pytest.raises(DataError, match=why):
        read(yolo(folder, [text] * 3))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<annotation><object>", "cannot be read as Pascal VOC XML"),
        ("<annotation><object><name>nut</name></object></annotation>", 'an object "nut" has no bndbox'),
        ("<annotation><object></object></annotation>", "an object has no name"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "it defines entities of its own"),
    ],
)
def test_broken_files_of_voc_are_refused(folder, text, why):
    with pytest.raises(DataError, match=why):
        read(voc(folder, [text] * 3))


def test_damaged_coco_is_refused(folder):
    coco(folder, [as_coco(WANTED)] * 3)
    raw = json.loads((folder / "annotations.json").read_text())
    del raw["categories"]
    (folder / "annotations.json").write_text(json.dumps(raw))
    with pytest.raises(DataError, match=r"cannot be read as COCO JSON \(there is no 'categories'\). Export it again."):
        read(folder)


def test_pictures_that_are_not_there_are_said(folder):
    coco(folder, [as_coco(WANTED)] * 3)
    for i in range(4):
        (folder / "images" / f"{i}.png").rename(folder / "images" / f"other{i}.png")
    with pytest.raises(DataError, match=r"COCO JSON in .* must name pictures that are there, got \"images/0.png\""):
        read(folder)


def test_two_formats_in_one_folder_are_refused(folder):
    voc(coco(folder, [as_coco(WANTED)] * 3), [as_voc(WANTED)])
    with pytest.raises(DataError, match="must hold boxes in one format, got COCO JSON and Pascal VOC XML. Move the"):
        read(folder)


def test_an_empty_text_beside_coco_is_no_second_format(folder):
    (folder / "notes.txt").write_text("")
    assert len(read(coco(folder, [as_coco(WANTED)] * 3))) == 3


def test_other_formats_are_refused_with_those_that_are_read(folder):
    with pytest.raises(DataError, match="must hold pictures with boxes beside them, got 4 pictures alone. Export COCO"):
        read(folder)
    (folder / "boxes.csv").write_text("file,x\n1,2\n")
    with pytest.raises(
        DataError, match=r"and other files \(1 .csv\). Export COCO JSON, YOLO text files \(NAME.txt for"
    ):
        read(folder)


def test_names_that_no_picture_has_are_refused(folder):
    (folder / "labels").mkdir()
    (folder / "labels" / "zebra.txt").write_text("0 .5 .5 .1 .1")
    with pytest.raises(DataError, match="must hold boxes under the names of its pictures, got zebra.txt and the like"):
        read(folder)


def test_too_few_pictures_with_boxes_are_refused(folder):
    with pytest.raises(DataError, match=r"has 2 different pictures with boxes to learn from .* at least 3 are needed"):
        read(coco(folder, [as_coco(WANTED)] * 2 + [[], []]))


def test_a_label_of_one_picture_is_said(folder):
    data = read(coco(folder, [as_coco(WANTED), as_coco(WANTED[:1]), as_coco(WANTED[:1])]))
    assert 'one picture only has "bolt": whether it is found in others cannot be measured' in data.notes


def test_what_is_large_or_unlike_is_said_to_be_out_of_reach(folder):
    large = Box(1, 1, 39, 19, "bolt")
    data = read(coco(folder, [as_coco([large, WANTED[0]])] * 3))
    (note,) = (note for note in data.notes if "out of reach" in note)
    assert note.startswith('"bolt": typically wider than half of the picture, which is out of reach here')
    (note,) = out_of_reach({"nut": [0.01] * 10}, {"nut": [2.0] * 5 + [20.0] * 5})
    assert note.startswith('"nut": some are more than 4 times as wide as others. Boxes around things that differ so')
    assert not list(out_of_reach({"nut": [0.1] * 10}, {"nut": [10.0, 12.0] * 5}))


def test_boxes_are_for_pictures_and_folders(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match="boxes must be around things in pictures, got 1 sounds in"):
        read(tmp_path)
    table = tmp_path / "rows.csv"
    table.write_text("text,label\na,b\nc,d\n")
    with pytest.raises((DataError, OptionError), match="boxes"):
        read(table)


def test_an_answer_holds_no_labels():
    assert labels_in_boxes("nut 4, bolt 1") == ()
    with pytest.raises(DataError, match="labels of boxes must be boxes as load reads them from a folder, got 'nut 4'"):
        Boxed.of_cell("nut 4")


numbers = st.floats(-100, 200, width=32)


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=8))
def test_whatever_is_drawn_lies_in_its_picture_afterwards_and_can_be_read_back(rows):
    odd = Counter()
    boxed = fitted([Box.of(row, "nut") for row in rows], WIDTH, HEIGHT, odd)
    for box in boxed.boxes:
        assert 0 <= box.left < box.right <= WIDTH
        assert 0 <= box.top < box.bottom <= HEIGHT
    left_out = sum(count for what, count in odd.items() if what.endswith("left out"))
    assert len(boxed.boxes) + left_out == len(rows)
    assert Boxed.of_cell(boxed.cell) == boxed
