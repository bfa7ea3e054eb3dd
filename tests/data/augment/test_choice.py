"""Tests of augmenting items: every kind of item, results that are items again, and what is said of wrong options."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from handful.data.augment.choice import augment, views
from handful.data.augment.options import Augmentation, ImageChanges, SoundChanges, TextChanges
from handful.data.images import load_image
from handful.data.items import make_items
from handful.data.sounds import load_sound
from handful.errors import DataError, OptionError

DEFAULTS = Augmentation()


def dice(seed=0):
    return np.random.default_rng(seed)


def pixels():
    return dice().integers(0, 256, (24, 32, 3), np.uint8)


def samples():
    return dice().uniform(-0.5, 0.5, 4000).astype(np.float32)


def image_items(folder):
    Image.fromarray(pixels()).save(folder / "a.png")
    yield from (folder / "a.png", Image.fromarray(pixels()), pixels(), pixels()[..., 0], pixels() / 255)


def sound_items(folder):
    soundfile.write(folder / "tön.wav", samples(), 8000, subtype="FLOAT")
    yield from (folder / "tön.wav", (samples(), 8000), ((samples() * 32767).astype(np.int16), np.int64(8000)))
    yield (np.stack([samples(), samples()]), 8000)


def test_every_kind_of_picture_gives_a_picture(tmp_path):
    for item in image_items(tmp_path):
        changed = augment(item, "image", DEFAULTS, dice())
        assert changed.shape == (24, 32, 3) and changed.dtype == np.uint8
        assert make_items([changed], "image", None)[1] == {}
        np.testing.assert_array_equal(np.asarray(load_image(changed)), changed)


def test_a_picture_is_the_same_from_a_file_from_pillow_and_from_an_array(tmp_path):
    first, *others = [augment(item, "image", DEFAULTS, dice(5)) for item in list(image_items(tmp_path))[:3]]
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_large_picture_is_shrunk_as_far_as_is_enough(tmp_path):
    Image.new("RGB", (900, 600)).save(tmp_path / "a.jpg")
    small = Augmentation(image=ImageChanges(enough=100))
    height, width, _ = augment(tmp_path / "a.jpg", "image", small, dice()).shape
    assert 100 <= height < 300 and width == pytest.approx(1.5 * height, abs=2)


def test_every_kind_of_sound_gives_a_sound_at_its_own_rate(tmp_path):
    for item in sound_items(tmp_path):
        changed, rate = augment(item, "sound", DEFAULTS, dice())
        assert rate == 8000 and type(rate) is int
        assert changed.shape == (4000,) and changed.dtype == np.float32
        assert make_items([(changed, rate)], "sound", None)[1] == {}
        np.testing.assert_array_equal(load_sound((changed, rate), 8000), changed)


def test_a_long_sound_is_read_from_its_start():
    short = Augmentation(sound=SoundChanges(longest=0.1))
    assert augment((samples(), 8000), "sound", short, dice())[0].shape == (800,)


def test_a_text_gives_a_text():
    text = "the big car was quickly repaired " * 5
    changed = augment(text, "text", DEFAULTS, dice())
    assert isinstance(changed, str) and changed != text
    assert make_items([changed], "text", None)[1] == {}


ITEMS = [("text", "the big car was quickly repaired"), ("image", pixels()), ("sound", (samples(), 8000))]


@pytest.mark.parametrize("modality, item", ITEMS)
def test_views_are_repeatable_differ_and_begin_alike(modality, item):
    many = [
        repr(np.asarray(v[0] if modality == "sound" else v).tolist())
        for v in views(item, modality, DEFAULTS, 8, dice())
    ]
    few = [
        repr(np.asarray(v[0] if modality == "sound" else v).tolist())
        for v in views(item, modality, DEFAULTS, 3, dice())
    ]
    assert len(many) == 8 and len(set(many)) >= 5
    assert few == many[:3]


@pytest.mark.parametrize("modality, item", ITEMS)
def test_no_views_are_an_empty_list(modality, item):
    assert views(item, modality, DEFAULTS, 0, dice()) == []


def test_views_do_not_share_their_pixels_or_samples():
    off = Augmentation(
        image=ImageChanges(smallest_crop=1, rotation=0, cut_out=0),
        sound=SoundChanges(shift=0, gain=0, noise=0, reverb=0),
    )
    picture = pixels()
    first, second = views(picture, "image", off, 2, dice())
    assert not np.shares_memory(first, second) and not np.shares_memory(first, picture)
    (first, _), (second, _) = views((samples(), 8000), "sound", off, 2, dice())
    assert not np.shares_memory(first, second)


@pytest.mark.parametrize(
    "item, modality, part",
    [
        (np.zeros((1, 1, 3), np.uint8), "image", (1, 1, 3)),
        ((np.ones(1, np.float32), 16000), "sound", (1,)),
        ((np.zeros(50, np.float32), 16000), "sound", (50,)),
    ],
)
def test_the_smallest_items_survive(item, modality, part):
    for view in views(item, modality, DEFAULTS, 10, dice()):
        values = view[0] if modality == "sound" else view
        assert values.shape == part and np.isfinite(values).all()


def test_an_empty_text_stays():
    assert views("", "text", DEFAULTS, 2, dice()) == ["", ""]


def message(kind, *arguments):
    with pytest.raises(kind) as caught:
        views(*arguments)
    return str(caught.value)


def test_an_unknown_modality_is_refused():
    assert message(OptionError, "a", "images", DEFAULTS, 1, dice()) == (
        "the modality must be one of text, image, sound, got 'images'. Did you mean 'image'?"
    )


def test_a_negative_count_is_refused():
    assert message(OptionError, "a", "text", DEFAULTS, -1, dice()) == (
        "the number of views must be 0 or more, got -1. Give a whole number."
    )


def test_every_wrong_option_is_named_at_once():
    wrong = Augmentation(text=TextChanges(drops=1.5, masks=float("nan"), mask="a b"))
    assert message(OptionError, "a", "text", wrong, 1, dice()) == (
        "the text changes cannot be made: drops must be between 0 and 1, got 1.5; "
        "masks must be between 0 and 1, got nan; mask must be one word, got 'a b'. Correct these options."
    )


def test_only_the_options_of_the_modality_are_checked():
    wrong = Augmentation(image=ImageChanges(rotation=-1))
    assert augment("one", "text", wrong, dice()) == "one"
    assert message(OptionError, pixels(), "image", wrong, 1, dice()) == (
        "the image changes cannot be made: rotation must be between 0 and 180, got -1. Correct these options."
    )


def test_ratios_in_the_wrong_order_and_endless_lengths_are_refused():
    wrong = Augmentation(sound=SoundChanges(shift=float("inf"), loudest_noise=20, softest_noise=5))
    assert message(OptionError, (samples(), 8000), "sound", wrong, 1, dice()) == (
        "the sound changes cannot be made: shift must be a finite number of at least 0, got inf; loudest_noise must be "
        "at most softest_noise (both are ratios of sound to noise), got 20 and 5. Correct these options."
    )


def test_items_that_cannot_be_read_are_refused(tmp_path):
    assert message(DataError, tmp_path, "text", DEFAULTS, 1, dice()) == (
        f"a text must be a str, got {type(tmp_path).__name__}. Read it from its file first."
    )
    assert "must be a sound file, got no such file" in message(
        DataError, tmp_path / "a.wav", "sound", DEFAULTS, 1, dice()
    )
    assert "a sound must be a path or a pair (samples, rate), got int" in message(
        DataError, 3, "sound", DEFAULTS, 1, dice()
    )
    assert "cannot be opened" in message(DataError, tmp_path / "a.png", "image", DEFAULTS, 1, dice())


def test_texts_load_no_decoder():
    code = (
        "import sys, numpy as np\n"
        "from handful.data.augment.choice import augment\n"
        "from handful.data.augment.options import Augmentation\n"
        "augment('a big car', 'text', Augmentation(), np.random.default_rng(0))\n"
        "sys.exit(' '.join({'PIL', 'soundfile', 'soxr', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
