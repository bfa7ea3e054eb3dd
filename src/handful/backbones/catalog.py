"""The catalogue: name → backbone, ready to encode; what each modality starts from, and where the files of one lie."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from handful.backbones.adapted_record import is_base
from handful.backbones.adapted_record import read as read_record
from handful.backbones.entries import ENTRIES, known
from handful.backbones.weights import weights_folder
from handful.data.image_text import IMAGE_TEXT, SIDES
from handful.errors import OptionError, suggestion

if TYPE_CHECKING:
    from handful.backbones.base import Backbone
    from handful.backbones.wheels import Progress

# Backbones without weights to fetch, for tests and for trying things out: name → module and class.
_TOYS = {
    "toy-text": ("toy", "ToyText"),
    "toy-image": ("toy", "ToyImage"),
    "toy-sound": ("toy", "ToySound"),
    "toy-language": ("toy_language", "ToyLanguage"),
}

# Modality → the module that loads a folder or a hub id; sounds have none.
_FOLDERS = {"text": "text_hub", "image": "image", "language": "language_folders"}

_DEFAULTS = {
    "text": ("minilm-l6", "bge-small-en"),
    "image": ("efficientnet-lite0", "efficientnet-lite2"),
    "sound": ("speech-embedding", "spectrogram-lite0", "voice-encoder"),
    "language": ("smollm2-135m",),
    "vectors": ("vectors",),
}
_DEFAULTS[IMAGE_TEXT] = tuple(name for side in SIDES for name in _DEFAULTS[side])


# What texts start from that are not all English.
_FOREIGN = ("char-ngrams", "multilingual-e5-small")


def defaults(modality: str, foreign: bool = False) -> tuple[str, ...]:
    """The backbones that a modality starts from, the cheapest first.

    Args:
        modality: what the items are.
        foreign: whether they are texts that are not all English.

    Raises:
        OptionError: it is no modality.
    """
    try:
        return _FOREIGN if foreign and modality == "text" else _DEFAULTS[modality]
    except KeyError:
        raise OptionError(f"modality must be one of {', '.join(_DEFAULTS)}, got {modality!r}.") from None


def check_name(name: str) -> None:
    """Refuse a name that no backbone of any modality has, before anything is loaded.

    Raises:
        OptionError: nothing has this name; the nearest one is suggested.
    """
    if known(name) is None and name not in _TOYS and not is_hub_id(name) and not Path(name).expanduser().is_dir():
        near = suggestion(name, [entry.name for entry in ENTRIES])
        raise OptionError(
            f"backbone must be a name of the catalogue, a local folder or a Hugging Face id such as owner/model, got "
            f"{name!r}.{near or ' See `handful models list`.'}"
        )


def modality_of(name: str) -> str | None:
    """What a backbone reads, a modality; None for a folder or hub id, which only loading tells."""
    if name in _TOYS:
        return name.removeprefix("toy-")
    entry, folder = known(name), Path(name).expanduser()
    if entry is not None:
        return entry.modality
    return read_record(folder).modality if is_base(folder) else None


def side_of(name: str, place: Path | None = None) -> str:
    """What a backbone reads of items with a picture and a text: image or text.

    Args:
        name: of the backbone.
        place: a copy of its files.

    Raises:
        OptionError: it reads neither, or only loading it would tell.
    """
    side = read_record(place).modality if place is not None and is_base(place) else modality_of(name)
    if side in SIDES:
        return side
    got = "a folder or hub id, which does not say what it reads" if side is None else f"one for {side}"
    raise OptionError(
        f"backbone {name!r} must read images or texts and say which, since items are images with texts, got {got}. "
        f"Choose one of {', '.join(defaults(IMAGE_TEXT))}, or a base that `handful adapt` wrote."
    )


def has_files(name: str) -> bool:
    """Whether a backbone is an entry of the catalogue with weights or a folder, so that ``files_of`` finds it."""
    return Path(name).expanduser().is_dir() if known(name) is None else not is_weightless(name)


def is_weightless(name: str) -> bool:
    """Whether a backbone is an entry of the catalogue that has no weights, so that there are no files of it."""
    entry = known(name)
    return entry is not None and entry.weightless


def files_of(name: str, modality: str, progress: Progress | None = None) -> Path:
    """The folder with all that ``load`` needs for a backbone.

    Args:
        name: of the backbone.
        modality: what its items are.
        progress: told how many bytes of missing weights have arrived and how many there are.

    Raises:
        OptionError: it is a toy or a hub id, for another modality, or nothing has this name.
        WeightsError: its weights cannot be had.
    """
    modality = side_of(name) if modality == IMAGE_TEXT else modality
    entry = known(name)
    if entry is not None and not entry.weightless:
        _require_modality(name, entry.modality, modality)  # before anything is fetched
        return weights_folder(entry.weights, progress=progress)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise OptionError(
            f"backbone {name!r} must be one of the catalogue or a folder to be carried along, got another. "
            "Save the model into a folder, and tune with that as --backbone."
        )
    return folder


def is_hub_id(name: str) -> bool:
    """Whether a backbone is looked for on a hub: it is written ``owner/model``, and no folder here has this name."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not Path(name).is_dir()


def located(name: str) -> str:
    """The name of a backbone, a folder by its whole path, so that the model finds it again from any other folder."""
    folder = Path(name).expanduser()
    if known(name) is None and is_base(folder):
        return str(folder.resolve())
    return str(folder.resolve()) if "/" in name and folder.is_dir() else name


def load(name: str, modality: str, *, place: Path | None = None, progress: Progress | None = None) -> Backbone:
    """Load a backbone by catalogue name, from a local folder, or by Hugging Face id.

    Weights of catalogue entries are fetched where they are missing.

    Args:
        name: a catalogue name, ``toy-text``, ``toy-image``, ``toy-sound`` or ``toy-language``, a folder written by
            ``handful adapt``, or (all but sound) one written by transformers or sentence-transformers, or a hub id
            ``owner/model``.
        modality: what the items are: text, image, sound, vectors, image+text or language.
        place: a copy of the files to use in place of the ones of this machine, as a bundle carries it.
        progress: told how many bytes of missing weights have arrived and how many there are.

    Returns:
        The backbone, on the CPU, ready to encode.

    Raises:
        OptionError: nothing has this name, or it is for another modality.
        WeightsError: the weights cannot be had or are damaged.
    """
    defaults(modality)
    modality = side_of(name, place) if modality == IMAGE_TEXT else modality
    names = [*(e.name for e in ENTRIES if e.modality == modality), *(t for t in _TOYS if t.endswith(modality))]
    if name in _TOYS:
        _require_modality(name, name.removeprefix("toy-"), modality)
        home, made = _TOYS[name]
        return cast("Backbone", getattr(importlib.import_module(f"handful.backbones.{home}"), made)())
    entry = known(name)
    if entry is not None:
        _require_modality(name, entry.modality, modality)
        module = importlib.import_module(f"handful.backbones.{entry.module}")
        folder = place
        if place is None and not entry.weightless:
            folder = weights_folder(entry.weights, progress=progress)
        return cast("Backbone", module.load(name, folder))
    base = Path(name).expanduser() if place is None else place
    if is_base(base):
        from handful.backbones.adapted import load as load_adapted  # imports torch, which names alone do without

        return load_adapted(base, name, modality, load)
    if modality in _FOLDERS and (place or Path(name).expanduser().is_dir() or is_hub_id(name)):
        module = importlib.import_module(f"handful.backbones.{_FOLDERS[modality]}")
        return cast("Backbone", module.load_pretrained(name if place is None else str(place)))
    ways = "" if modality in ("sound", "vectors") else ", a local folder or a Hugging Face id such as owner/model"
    raise OptionError(
        f"backbone for {modality} must be one of {', '.join(names)}{ways}, got {name!r}.{suggestion(name, names)}"
    )


def _require_modality(name: str, has: str, wanted: str) -> None:
    if has != wanted:
        raise OptionError(
            f"backbone {name!r} is for {has}, but the items are {wanted}: choose one of {', '.join(defaults(wanted))}."
        )
