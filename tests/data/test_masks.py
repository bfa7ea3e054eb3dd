"""Masks as files: which belong to which picture, what their classes are, and what is refused or put right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from handful.data.mask_files import (
    Outlined,
    classes_among,
    classes_in_cell,
    codes_of,
    colours_of,
    mask_of,
    name_of_code,
    numbered,
    values_in,
    written,
)
from handful.data.readers import load
from handful.errors import DataError

SIZE = (24, 16)


def square(inside=255, outside=0, shape=(16, 24)):
    mask = np.full(shape, outside, np.uint8)
    mask[4:12, 6:18] = inside
    return mask


@pytest.fixture
def folder(tmp_path):
    """Make a folder of pictures and of the masks that are given."""

    def make(masks, names=None):
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
        for i, mask in enumerate(masks):
            Image.fromarray(np.full((16, 24), 20 * i, np.uint8)).save(tmp_path / "images" / f"{i}.png")
            if mask is not None:
                Image.fromarray(mask).save(tmp_path / "masks" / f"{names[i] if names else i}.png")
        return tmp_path

    return make


def test_grey_levels_and_colours_are_classes(folder):
    coloured = np.zeros((16, 24, 3), np.uint8)
    coloured[4:12, 6:18] = (255, 0, 0)
    data = load(folder([square(128), coloured, square(128)]))
    assert data.classes == ("#ff0000", "0", "128")
    assert data.counts == {"0": 3, "128": 2, "#ff0000": 1}
    assert any('one picture only has "#ff0000"' in note for note in data.notes)


def test_palettes_are_read_as_colours(tmp_path):
    picture = Image.fromarray(square(1)).convert("P")
    picture.putpalette([0, 0, 0, 10, 200, 30])
    picture.save(tmp_path / "mask.png")
    assert [name_of_code(code) for code in np.unique(codes_of(tmp_path / "mask.png")).tolist()] == ["0", "#0ac81e"]


def test_smooth_edges_count_as_the_nearer_class_and_are_said(folder):
    smooth = square()
    smooth[4:12, 6], smooth[4:12, 17] = 100, 180
    data = load(folder([smooth, square(), square()]))
    assert data.classes == ("0", "255")
    assert any("lie on smooth edges between two classes: each counts as the nearer one" in note for note in data.notes)
    found = mask_of(data.labels[0], data.classes, data.items[0])
    assert (found[4:12, 6] == 0).all()
    assert (found[4:12, 17] == 1).all()


def test_thin_lines_of_a_third_class_that_is_brightest_are_kept():
    mask = square(100)
    mask[8] = 255
    classes, smooth = classes_among([values_in(mask, "mask")], "here")
    assert (classes, smooth) == ((0, 100, 255), 0.0)


def test_a_mask_of_another_size_is_left_out_or_refused(folder):
    ten = [square()] * 10
    root = folder([*ten, square(shape=(8, 24))])
    data = load(root)
    assert len(data) == 10
    assert "must have the size of its picture, 24 x 16, got 24 x 8" in next(iter(data.unreadable.values()))
    with pytest.raises(DataError, match="2 of 3 items .* cannot be read, more than a tenth"):
        load(_second(root))


def _second(root):
    """Another folder, most of whose masks are of another size."""
    other = root / "other"
    for kind in ("images", "masks"):
        (other / kind).mkdir(parents=True)
    for i in range(3):
        Image.fromarray(np.full((16, 24), 50 + i, np.uint8)).save(other / "images" / f"{i}.png")
        Image.fromarray(square(shape=(16, 24) if i == 0 else (8, 24))).save(other / "masks" / f"{i}.png")
    return other


def test_files_without_a_partner_are_left_out_and_said(folder):
    root = folder([square(), square(), square(), None])
    Image.fromarray(square()).save(root / "masks" / "lost.png")
    data = load(root)
    assert len(data) == 3
    assert "1 picture without a mask left out: images/3.png" in data.notes
    assert "1 mask without a picture left out: masks/lost.png" in data.notes


def test_one_class_everywhere_is_refused(folder):
    with pytest.raises(DataError, match='every pixel of every mask in .* has the same value, "0": there is nothing to'):
        load(folder([square(0)] * 3))


def test_a_single_picture_is_refused(folder):
    with pytest.raises(DataError, match="has 1 different picture with a mask to learn from"):
        load(folder([square()]), task="masks")


def test_pictures_without_any_mask_are_told_how_to_name_them(folder):
    with pytest.raises(
        DataError, match="must hold pictures with masks beside them, got 2 pictures and no mask. Put the"
    ):
        load(folder([None, None]), task="masks")


def test_photographs_and_numbered_things_are_no_masks(folder, tmp_path):
    many = (np.arange(64).repeat(9)[None].repeat(16, 0)).astype(np.uint8)
    with pytest.raises(
        DataError, match="one grey level or colour per class, at most 32, got 64. If things are numbered"
    ):
        classes_among([values_in(many, "mask")], "here")
    noise = np.random.default_rng(0).integers(0, 1 << 24, (100, 100)).astype(np.int32)
    with pytest.raises(
        DataError, match="mask must have one grey level or colour per class, got .* looks like a photograph"
    ):
        values_in(noise, "mask")


def test_jpeg_masks_are_refused(tmp_path):
    Image.fromarray(square()).save(tmp_path / "mask.jpg")
    with pytest.raises(
        DataError, match="must be a picture that keeps every value, got .jpg, whose compression changes"
    ):
        codes_of(tmp_path / "mask.jpg")


def test_outlines_are_drawn_one_above_the_other():
    cell, core = ((2.0, 2.0, 12.0, 2.0, 12.0, 12.0, 2.0, 12.0),), ((5.0, 5.0, 8.0, 5.0, 8.0, 8.0, 5.0, 8.0),)
    marked = Outlined(("background", "cell", "core"), "", (("cell", cell), ("core", core)))
    found = mask_of(marked.cell, ("background", "cell", "core"), np.zeros((16, 24), np.uint8))
    assert (found[0, 0], found[3, 3], found[6, 6]) == (0, 1, 2)


def test_what_is_no_mask_has_no_classes_and_is_refused_as_a_label():
    assert classes_in_cell("0 20%, 255 80%") == ()
    with pytest.raises(DataError, match="labels of masks must be masks as load reads them from a folder, got 'cat'"):
        Outlined.of_cell("cat")


def test_answers_are_written_as_they_were_read():
    names = ("0", "128", "255")
    codes = np.array([[0, 128], [255, 0]], np.int32)
    picture = written(numbered(codes, (0, 128, 255)), names)
    assert np.array_equal(np.asarray(picture), codes)
    assert np.asarray(written(np.array([[0, 1]], np.uint8), ("#ff0000", "0"))).tolist() == [[[255, 0, 0], [0, 0, 0]]]
    assert len(np.unique(colours_of(("background", "cell", "core")), axis=0)) == 3


@pytest.fixture
def outlined(folder):
    """Make a folder of pictures and a COCO file of outlines."""

    def make(annotations, size=(24, 16), count=4):
        root = folder([None] * count)
        images = [{"id": i, "file_name": f"images/{i}.png", "width": size[0], "height": size[1]} for i in range(count)]
        raw = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "cell"}]}
        (root / "annotations.json").write_text(json.dumps(raw))
        return root

    return make


BOX = [2, 2, 10, 2, 10, 10, 2, 10]


def test_polygons_of_coco_are_masks(outlined):
    things = [{"image_id": i, "category_id": 7, "segmentation": [BOX]} for i in range(3)]
    data = load(outlined([*things, {"image_id": 0, "category_id": 7, "segmentation": {"counts": "x"}}]), task="masks")
    assert data.classes == ("background", "cell")
    assert data.counts == {"background": 4, "cell": 3}
    found = mask_of(data.labels[0], data.classes, data.items[0])
    assert (found[0, 0], found[5, 5]) == (0, 1)
    assert 'what lies in none of them is "background"' in data.notes[0]
    assert "1 annotations with run lengths in place of polygons left out" in data.notes


def test_outlines_on_another_size_or_none_at_all_are_refused(outlined):
    things = [{"image_id": i, "category_id": 7, "segmentation": [BOX]} for i in range(3)]
    with pytest.raises(DataError, match="but its outlines were made on 48 x 32. Give the picture of then"):
        load(outlined(things, size=(48, 32)), task="masks")
    boxes = [{"image_id": 0, "category_id": 7, "bbox": [0, 0, 4, 4]}]
    with pytest.raises(DataError, match="must outline things by polygons, got 1 annotations and none of them. Export"):
        load(outlined(boxes), task="masks")


def test_a_damaged_file_of_outlines_is_refused(outlined):
    root = outlined([{"image_id": 0, "category_id": 9, "segmentation": [BOX]}])
    with pytest.raises(DataError, match=r"annotations.json cannot be read as COCO JSON \(there is no 9\). Export it"):
        load(root, task="masks")
