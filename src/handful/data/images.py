"""Pictures from files, Pillow or arrays: turned upright, made 8-bit RGB on white, and refused with a reason."""

from __future__ import annotations

import importlib.util
import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from handful.errors import DataError
from handful.files import MEDIA_BYTES, open_ordinary

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"}
    | {".avif", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm"}
    # These two take a library that need not be there: load_image says so, instead of a folder being called empty.
    | {".heic", ".heif"}
)

# The largest cameras make 102 to 108 million pixels. At four bytes each that is the most we hold at once.
MOST_PIXELS = 120_000_000

# The formats that are tried, and no others: Pillow can also start Ghostscript, and guess formats without a signature.
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "HEIF")

# How files of these formats begin: one that begins so and cannot be opened is damaged, not something else.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"\0\0\0\x0cjP  ")

# What stands behind "ftyp" in pictures of phones (ISO/IEC 23008-12).
_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"heim", b"heis")

# EXIF tag 0x0112 → what brings the stored pixels upright (Exif 2.32, section 4.6.4).
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # what swaps width and height

# Pixels of the shorter side by which a picture is called blank, and how far its values may lie apart then.
_SEEN, _FLAT = 64, 4

# One colour takes a compressed file less than so many bytes per pixel, beside headers, profiles and previews.
_COMPRESSED = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "GIF")
_BLANK, _HEADERS = 0.05, 4096

# Modes with more than 8 bits per channel.
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")

# 16-bit number → the nearest 8-bit one, 65535 being 255.
_FROM_16_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def load_image(item: Any, at_least: int | None = None) -> Image.Image:
    """Decode one picture into what a person would see: upright, 8-bit RGB, transparency on white, first frame.

    Numbers with more than 8 bits are scaled, not clipped: 16-bit ones from [0, 65535], fractions from [0, 1], and
    wider ones from the lowest to the highest that occurs.

    Args:
        item: a path, a Pillow picture, or an array of shape (H, W), (H, W, 3) or (H, W, 4).
        at_least: the shorter side, in pixels, that is enough for the caller. Larger files may be decoded at a
            fraction of their size, never below this; None decodes every pixel.

    Returns:
        A new picture in mode RGB.

    Raises:
        DataError: the item is empty, cut off, damaged, too large or not a picture; the message names it.
    """
    if isinstance(item, Path):
        return _from_file(item, at_least)
    if isinstance(item, Image.Image):
        return _from_pillow(item, at_least)
    if isinstance(item, np.ndarray):
        return _on_white(_from_array(item))
    raise DataError(
        f"a picture must be a path, a Pillow picture or an array, got {type(item).__name__}. Give one of these."
    )


def upright_picture(path: Path) -> Image.Image:
    """The pixels of a file as they are stored, whatever they mean, turned upright.

    Raises:
        DataError: as ``load_image``.
    """
    with opened_picture(path) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise DataError(_too_large(str(path), f"{picture.width} x {picture.height} pixels"))
        picture.load()
        turn = _UPRIGHT.get(_orientation(picture))
        return picture.copy() if turn is None else picture.transpose(turn)


def full_size(item: Any) -> tuple[int, int]:
    """Width and height in pixels of a picture as it is seen upright, whatever it is decoded at; from its header.

    Args:
        item: as for ``load_image``.

    Raises:
        DataError: the file cannot be opened as a picture.
    """
    if isinstance(item, np.ndarray):
        return item.shape[1], item.shape[0]
    if isinstance(item, Image.Image):
        return _turned(item)
    with opened_picture(item) as picture:
        return _turned(picture)


def _turned(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (height, width) if _orientation(picture) in _SIDEWAYS else (width, height)


def is_blank(item: Any) -> bool:
    """Whether a picture shows one colour and nothing else, up to what compression adds.

    Files that hold too much for that are not decoded.

    Args:
        item: as for ``load_image``.

    Raises:
        DataError: the item cannot be read as a picture.
    """
    if isinstance(item, Path) and _holds_more(item):
        return False
    pixels = np.asarray(load_image(item, at_least=_SEEN), np.int16)  # (H, W, 3)
    return int(np.ptp(pixels, axis=(0, 1)).max()) <= _FLAT


def _holds_more(path: Path) -> bool:
    """Whether a compressed file is larger than one colour ever makes it."""
    with opened_picture(path) as picture:
        size = path.stat().st_size
        return picture.format in _COMPRESSED and size > _HEADERS + _BLANK * picture.width * picture.height


def picture_of(content: bytes, name: str, most: int = MOST_PIXELS) -> Image.Image:
    """Decode the bytes of a picture file as ``load_image`` does a file.

    Args:
        content: the bytes.
        name: what it is called in messages.
        most: how many pixels it may have.

    Raises:
        DataError: as ``load_image``.
    """
    with pillow_muted(), _decoding(name, content[:16]), _opened(io.BytesIO(content)) as picture:
        if picture.width * picture.height > most:
            raise DataError(_too_large(name, f"{picture.width} x {picture.height} pixels", most))
        return _decode(picture, name, None)


def thumbnail(item: Any, side: int) -> bytes:
    """A small copy of a picture, for a page.

    Args:
        item: as for ``load_image``.
        side: the most pixels of its longer side; smaller pictures keep their size.

    Returns:
        The bytes of a JPEG file.

    Raises:
        DataError: the item cannot be read as a picture.
    """
    picture = load_image(item, at_least=side)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height, in pixels, of a picture that ``thumbnail`` made."""
    with Image.open(io.BytesIO(content)) as picture:
        return picture.size


def _from_file(path: Path, at_least: int | None) -> Image.Image:
    with opened_picture(path) as picture:
        return _decode(picture, str(path), at_least)


@contextmanager
def opened_picture(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open a file as a picture whose pixels are still to be decoded; whatever goes wrong meanwhile names the file.

    Raises:
        DataError: it is empty, cut off, damaged, too large, no ordinary file or no picture; or what the body raises.
    """
    try:
        with open_ordinary(path, MEDIA_BYTES) as file:
            start = file.read(16)
            if not start:
                raise DataError(f"{path} is empty (0 bytes). Copy it again or remove it.")
            file.seek(0)
            if _is_heic(start):
                _read_heic()
            with pillow_muted(), _decoding(str(path), start), _opened(file) as picture:
                yield picture
    except OSError as error:
        # Everything Pillow says has become a DataError above: only the file system is left.
        raise DataError(
            f"{path} cannot be opened: {error.strerror or error}. Check the path and its rights."
        ) from error


def _from_pillow(item: Image.Image, at_least: int | None) -> Image.Image:
    name = str(getattr(item, "filename", "")) or "the picture"
    with pillow_muted(), _decoding(name, b""):
        return _decode(item, name, at_least, draft=False)


@contextmanager
def _opened(file: BinaryIO) -> Iterator[ImageFile.ImageFile]:
    Image.init()
    with Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN]) as picture:
        yield picture


def _decode(picture: Image.Image, name: str, at_least: int | None, draft: bool = True) -> Image.Image:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise DataError(_too_large(name, f"{width} x {height} pixels"))
    if at_least and draft and isinstance(picture, ImageFile.ImageFile):
        # JPEG only: the inverse transform is done at 1/2, 1/4 or 1/8 of the size. Other formats ignore it.
        picture.draft(None, (at_least, at_least))
    picture.load()
    turn = _UPRIGHT.get(_orientation(picture))
    upright = _on_white(picture)
    factor = min(picture.size) // (2 * at_least) if at_least else 1
    if factor > 1:
        upright = upright.reduce(factor)
    if turn is not None:
        upright = upright.transpose(turn)
    if upright is picture:
        upright = picture.copy()
    upright.info.clear()  # the EXIF notes would turn the picture again where somebody honours them later
    return upright


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, struct.error):
        return 1  # The pixels are good; a picture with broken notes about it is read as it was stored.


def _on_white(picture: Image.Image) -> Image.Image:
    """Any mode as RGB; the picture itself where it is RGB already, because large ones must not be held twice."""
    if picture.mode in _DEEP:
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        clear = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", clear.size, "white")
        white.paste(clear, mask=clear.getchannel("A"))
        return white
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _from_array(pixels: np.ndarray) -> Image.Image:
    shape = pixels.shape
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))) or not pixels.size:
        raise DataError(
            f"a picture given as an array must have shape (H, W), (H, W, 3) or (H, W, 4), got {shape}. Transpose it."
        )
    if pixels.dtype.kind not in "buif":
        raise DataError(f"a picture given as an array must hold numbers, got {pixels.dtype}. Convert it.")
    if shape[0] * shape[1] > MOST_PIXELS:
        raise DataError(_too_large("a picture given as an array", f"{shape[1]} x {shape[0]} pixels"))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError("a picture given as an array must hold finite numbers, got NaN or infinity. Fill them in.")
    return Image.fromarray(np.ascontiguousarray(_eight_bits(pixels.squeeze(2) if shape[2:] == (1,) else pixels)))


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Numbers of any type as uint8; the scale follows from the type, or from the values where the type allows several.

    A whole-number type of more than 8 bits is often only a container: int64 with values up to 255 is 8-bit.
    uint16 is not guessed at, because a dark 16-bit picture would look like an 8-bit one.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:
        return np.asarray(_FROM_16_BITS[pixels])
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():  # a TIFF file may say "no value" so
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(pixels.min()), float(pixels.max())
    whole = pixels.dtype.kind != "f"
    if low < 0 or high > (65535 if whole else 255):
        pixels, top = pixels - np.float64(low), (high - low) or 1.0
    elif high > 255:
        top = 65535.0
    else:
        top = 255.0 if whole or high > 1 else 1.0
    scaled: np.ndarray = np.rint(pixels * np.float32(255 / top)).astype(np.uint8)
    return scaled


@contextmanager
def _decoding(name: str, start: bytes) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence about the file."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(name, "far more pixels")) from error
    except UnidentifiedImageError as error:
        raise DataError(_unidentified(name, start)) from error
    except Exception as error:  # damaged files make decoders raise almost anything, IndexError and zlib.error included
        text = str(error).strip() or type(error).__name__
        if "truncated" in text.lower() or isinstance(error, EOFError):
            raise DataError(
                f"{name} is cut off: a part of the picture is missing. Copy it again or remove it."
            ) from error
        raise DataError(f"{name} is cut off or damaged ({text}). Copy it again or remove it.") from error


def _is_heic(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS


@cache
def _read_heic() -> None:
    """Let Pillow read pictures of phones, where the library for them is installed."""
    if importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()


def _unidentified(name: str, start: bytes) -> str:
    if _is_heic(start) and "HEIF" not in Image.OPEN:
        return (
            f"{name} is a HEIC picture, which takes a library to be read. Install it (pip install pillow-heif), or "
            "convert the picture to JPEG or PNG."
        )
    if start[4:12] == b"ftypavif" and "AVIF" not in Image.OPEN:
        return (
            f"{name} is an AVIF picture, which this Pillow cannot read. Install a newer one (pip install "
            "'pillow>=11.3'), or convert the picture to JPEG or PNG."
        )
    if _is_heic(start) or start.startswith(_SIGNATURES) or start[4:12] == b"ftypavif":
        return f"{name} is cut off or damaged: it begins like a picture but is none. Copy it again or remove it."
    return f"{name} is not a picture in a known format. Convert it to JPEG or PNG, or remove it."


def _too_large(name: str, size: str, most: int = MOST_PIXELS) -> str:
    return f"{name} must have at most {most // 10**6} million pixels, got {size}. Shrink it or remove it."


_MUTED = {"count": 0}
_MUTED_LOCK = threading.Lock()


@contextmanager
def pillow_muted() -> Iterator[None]:
    """Keep Pillow's warnings (odd EXIF, many pixels) from the user while a picture is decoded, in any thread.

    ``warnings.catch_warnings`` restores the whole list of filters, so two threads leaving in another order than they
    entered would leave one thread's filters behind for good. One entry of our own comes and goes instead.
    """
    with _MUTED_LOCK:
        _MUTED["count"] += 1
        warnings.filterwarnings("ignore", module=r"PIL\.")
        entry = warnings.filters[0]
    try:
        yield
    finally:
        with _MUTED_LOCK:
            _MUTED["count"] -= 1
            if not _MUTED["count"] and entry in warnings.filters:
                warnings.filters.remove(entry)  # type: ignore[attr-defined]
