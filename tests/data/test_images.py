"""load_image on every kind of picture that users have, good and bad; thumbnail."""

import io
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handful.data import images
from handful.data.images import IMAGE_SUFFIXES, load_image, size_of, thumbnail
from handful.errors import DataError


def gradient(width: int = 40, height: int = 24) -> np.ndarray:
    """(H, W, 3) uint8: red grows to the right, green downwards."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, np.full_like(red, 60)], 2).astype(np.uint8)


def saved(path: Path, picture: Image.Image | np.ndarray, **options) -> Path:
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


def pixels(item, **options) -> np.ndarray:
    loaded = load_image(item, **options)
    assert loaded.mode == "RGB"
    return np.asarray(loaded).astype(int)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds almost none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


# Good pictures


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.gif", "a.jpg", "a.webp", "a.avif", "a.jp2"])
def test_every_listed_format_is_read(tmp_path, name):
    loaded = pixels(saved(tmp_path / name, gradient()))
    assert np.abs(loaded - gradient()).mean() < 8
    assert (tmp_path / name).suffix in IMAGE_SUFFIXES


@pytest.mark.parametrize(
    "name",
    [
        "with blanks.png",
        'it\'s "quoted".png',
        "сова.png",
        "蜜蜂 🐝.png",
        "a#b?c%20d.png",
        "line\nbreak.png",
        "-dash.png",
    ],
)
def test_names_of_any_kind(tmp_path, name):
    assert (pixels(saved(tmp_path / name, gradient())) == gradient()).all()
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_image(tmp_path / name)
    assert name in str(caught.value)


def test_the_suffix_does_not_decide(tmp_path):
    saved(tmp_path / "a.png", gradient()).rename(tmp_path / "really_a_png.jpg")
    assert (pixels(tmp_path / "really_a_png.jpg") == gradient()).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_rotation_is_applied_once(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(gradient())
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation > 1 else upright
    path = saved(tmp_path / f"a.{suffix}", stored, exif=exif)
    for item in (path, Image.open(path)):
        loaded = load_image(item)
        assert loaded.size == upright.size
        assert np.abs(np.asarray(loaded).astype(int) - gradient()).mean() < 8
        assert loaded.getexif().get(0x0112, 1) == 1


def test_broken_exif_notes_do_not_lose_the_picture(tmp_path):
    path = saved(tmp_path / "a.jpg", gradient(), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert np.abs(pixels(path) - gradient()).mean() < 8


def test_cmyk(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(gradient()).convert("CMYK"), quality=95)
    assert np.abs(pixels(path) - gradient()).mean() < 8


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 40 * 24).reshape(24, 40).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        loaded = pixels(saved(tmp_path / name, ramp))[:, :, 0]
        assert loaded[0, 0] == 0
        assert loaded[-1, -1] == 255
        assert np.abs(loaded - ramp / 257).max() <= 1


def test_a_dark_sixteen_bit_picture_stays_dark(tmp_path):
    assert pixels(saved(tmp_path / "a.png", np.full((4, 4), 200, np.uint16))).max() == 1


def test_fractions_in_a_tiff(tmp_path):
    values = np.linspace(0, 1, 96).reshape(8, 12).astype(np.float32)
    values[0, 1] = np.nan
    loaded = pixels(saved(tmp_path / "a.tif", values))[:, :, 0]
    assert (loaded[0, 1], loaded[-1, -1]) == (0, 255)


def test_thirty_two_bit_numbers_are_stretched(tmp_path):
    loaded = pixels(saved(tmp_path / "a.tif", np.array([[-1000, 0], [500, 1_000_000]], np.int32)))[:, :, 0]
    assert (loaded[0, 0], loaded[1, 1]) == (0, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L"])
def test_transparency_lies_on_white(tmp_path, mode):
    path = tmp_path / "a.png"
    if mode in ("RGBA", "LA"):
        picture = Image.new(mode, (8, 8), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
        picture.paste((0, 0, 0, 255) if mode == "RGBA" else (0, 255), (0, 0, 4, 8))
        picture.save(path)
    else:
        picture = Image.new(mode, (8, 8), 0)
        picture.paste(1, (0, 0, 4, 8))
        if mode == "P":
            picture.putpalette([9, 9, 9, 0, 0, 0])
        picture.save(path, transparency=0)
    loaded = pixels(path)
    assert (loaded[:, 4:] == 255).all()
    assert loaded[0, 0].max() < 255 or mode == "1"


def test_half_transparent_is_mixed_with_white():
    assert pixels(np.full((2, 2, 4), [200, 0, 0, 128], np.uint8))[0, 0].tolist() == [227, 127, 127]


def test_palette_with_bytes_of_transparency(tmp_path):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.save(tmp_path / "a.png", transparency=b"\x00\xff")
    assert pixels(tmp_path / "a.png")[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_of_an_animation_the_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    red, _, blue = pixels(tmp_path / f"a.{suffix}")[8, 8]
    assert red > 200 > 60 > blue


# Arrays and Pillow pictures


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 128, 255]], np.uint8), [0, 128, 255]),
        (np.array([[False, True, True]]), [0, 255, 255]),
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255]),
        (np.array([[0.0, 128.0, 255.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 128, 255]], np.int64), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], ">u2"), [0, 128, 255]),
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[-1.0, 0.0, 1.0]]), [0, 128, 255]),
        (np.array([[7.5e5, 7.5e5, 7.5e5]]), [0, 0, 0]),
    ],
)
def test_arrays_of_every_type(values, expected):
    assert pixels(values)[0, :, 0].tolist() == expected
    assert pixels(np.stack([values] * 3, 2))[0, :, 2].tolist() == expected
    assert pixels(values[:, :, None])[0, :, 1].tolist() == expected


def test_a_pillow_picture_is_not_changed():
    given_one = Image.fromarray(gradient())
    loaded = load_image(given_one)
    loaded.paste("white", (0, 0, 40, 24))
    assert (np.asarray(given_one) == gradient()).all()


def test_a_view_that_is_not_contiguous():
    assert (pixels(gradient()[::-1, ::2]) == gradient()[::-1, ::2]).all()


# How much is decoded


def test_a_large_jpeg_is_decoded_small_but_never_below_what_is_needed(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(gradient()).resize((1600, 1200)))
    for needed in (100, 150, 151, 224, 700, 2000):
        loaded = load_image(path, at_least=needed)
        assert min(loaded.size) >= min(needed, 1200)
        assert loaded.width / loaded.height == pytest.approx(4 / 3, abs=0.02)
    assert max(load_image(path, at_least=100).size) <= 400
    assert load_image(path).size == (1600, 1200)


def test_other_formats_are_reduced_after_decoding(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(gradient()).resize((800, 600)))
    assert 100 <= min(load_image(path, at_least=100).size) <= 300
    assert 100 <= min(load_image(Image.open(path), at_least=100).size) <= 300


def test_a_hundred_megapixel_photograph_is_read_in_little_memory(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("L", (10_000, 10_000), 99))
    program = (
        "import pathlib, resource, sys; from handful.data.images import load_image; import PIL.ImageFile as _;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024; before = peak();"
        "picture = load_image(pathlib.Path(sys.argv[1]), at_least=224);"
        "print(min(picture.size), *picture.getpixel((0, 0)), peak() - before)"
    )
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    side, *color, megabytes = map(int, result.stdout.split())
    assert 224 <= side <= 1250
    assert color == [99, 99, 99]
    assert megabytes < 60  # every pixel decoded would be 100 MB, as RGB 400 MB


# Bad pictures


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{path} is empty (0 bytes). Copy it again or remove it."),
        (
            b"hello, this is no picture",
            "{path} is not a picture in a known format. Convert it to JPEG or PNG, or remove it.",
        ),
        (b"\0" * 5000, "{path} is not a picture in a known format. Convert it to JPEG or PNG, or remove it."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "{path} is not a picture in a known format."),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            "{path} is cut off or damaged: it begins like a picture",
        ),
        (png_header(50_000, 50_000), "{path} must have at most 120 million pixels, got far more pixels."),
        (
            png_header(12_000, 11_000),
            "{path} must have at most 120 million pixels, got 12000 x 11000 pixels. Shrink it",
        ),
        (png_header(300, 300), "{path} is cut off: a part of the picture is missing. Copy it again or remove it."),
    ],
)
def test_what_is_said_of_a_file_that_is_no_picture(tmp_path, content, message):
    path = tmp_path / "my picture.png"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_image(path)
    assert str(caught.value).startswith(message.format(path=path))


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "webp", "avif", "jp2"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_cut_off_files(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    path = saved(tmp_path / f"a.{suffix}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(int(len(whole) * share), 16)])
    with pytest.raises(DataError) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path} is cut off")
    assert "Copy it again or remove it." in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="gone.png cannot be opened: No such file or directory. Check the path"):
        load_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="must be an ordinary file, got a folder. Name a file in it."):
        load_image(tmp_path)


def test_a_pillow_picture_whose_file_was_closed(tmp_path):
    with Image.open(saved(tmp_path / "a.png", gradient())) as picture:
        pass
    with pytest.raises(DataError, match=r"a\.png is cut off or damaged"):
        load_image(picture)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("a.png", "a picture must be a path, a Pillow picture or an array, got str. Give one of these."),
        (np.zeros((3, 8, 8)), "must have shape (H, W), (H, W, 3) or (H, W, 4), got (3, 8, 8). Transpose it."),
        (np.zeros((0, 8)), "must have shape (H, W), (H, W, 3) or (H, W, 4), got (0, 8)."),
        (np.array([["a"]]), "a picture given as an array must hold numbers, got <U1. Convert it."),
        (np.array([[np.nan]]), "a picture given as an array must hold finite numbers, got NaN or infinity."),
        (
            np.broadcast_to(np.uint8(0), (11_000, 11_000)),
            "at most 120 million pixels, got 11000 x 11000 pixels. Shrink it",
        ),
    ],
)
def test_what_is_said_of_an_item_that_is_no_picture(item, message):
    with pytest.raises(DataError) as caught:
        load_image(item)
    assert message in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_bytes_changed_at_random_give_a_picture_or_a_data_error(tmp_path_factory, data):
    suffix = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]))
    file = io.BytesIO()
    Image.fromarray(gradient(16, 12)).save(file, suffix, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"changed.{suffix.lower()}"
    path.write_bytes(content)
    try:
        assert load_image(path, at_least=8).mode == "RGB"
    except DataError as error:
        assert str(error).startswith(str(path))


# Manners


def test_pillow_warnings_stay_inside_and_filters_are_left_alone(tmp_path):
    path = saved(tmp_path / "a.jpg", gradient(), exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01")
    with pytest.warns(UserWarning), Image.open(path) as picture:
        picture.getexif().get(1)
    before, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=lambda: [load_image(path) for _ in range(20)]) for _ in range(4)]
    with warnings.catch_warnings(record=True) as seen:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not seen
    load_image(path)
    assert warnings.filters == before
    assert limit == Image.MAX_IMAGE_PIXELS


def test_ninety_megapixels_do_not_warn(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.new("L", (9_000, 10_000)))
    assert 100 <= min(load_image(path, at_least=100).size) <= 1125


# Thumbnails


def test_a_thumbnail_is_a_small_jpeg(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(gradient()).resize((800, 480)))
    small = thumbnail(path, 96)
    assert small.startswith(b"\xff\xd8\xff")
    assert Image.open(io.BytesIO(small)).size == (96, 58)


def test_the_size_of_a_thumbnail_is_told():
    assert size_of(thumbnail(np.zeros((30, 60, 3), np.uint8), 20)) == (20, 10)


def test_a_thumbnail_never_grows_and_never_vanishes():
    assert Image.open(io.BytesIO(thumbnail(np.zeros((8, 8)), 96))).size == (8, 8)
    assert Image.open(io.BytesIO(thumbnail(np.zeros((4000, 2)), 96))).size == (1, 96)


def test_pictures_of_phones(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    picture = Image.new("RGB", (64, 48), "red")
    picture.paste("blue", (0, 0, 32, 48))
    for name in ("a.heic", "a.jpg"):  # some programs change the name only
        picture.save(tmp_path / name, "HEIF", quality=90)
        found = load_image(tmp_path / name)
        assert (found.size, found.mode) == ((64, 48), "RGB")
        assert found.getpixel((8, 8)) == pytest.approx((0, 0, 255), abs=8)


@pytest.mark.parametrize(
    ("brand", "missing", "message"),
    [
        (
            b"heic",
            "HEIF",
            "is a HEIC picture, which takes a library to be read. Install it (pip install pillow-heif), or convert the "
            "picture to JPEG or PNG.",
        ),
        (
            b"avif",
            "AVIF",
            "is an AVIF picture, which this Pillow cannot read. Install a newer one (pip install 'pillow>=11.3'), or "
            "convert the picture to JPEG or PNG.",
        ),
    ],
)
def test_pictures_that_take_a_library_which_is_not_there(tmp_path, monkeypatch, brand, missing, message):
    Image.init()
    images._read_heic.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(Image.OPEN, missing, raising=False)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(400))
    with pytest.raises(DataError) as error:
        load_image(path)
    images._read_heic.cache_clear()
    assert str(error.value) == f"{path} {message}"
