"""Which files are pictures and which are sounds, by the endings of their names."""

from __future__ import annotations

# Characters at the end of a name in which its suffix lies.
_LONGEST_SUFFIX = 8


def media_suffixes() -> dict[str, frozenset[str]]:
    """Modality → the suffixes of its files, in lower case, with the dot; those that cannot be decoded included."""
    # Both modules load a decoder, which a table of texts has no use for.
    from handful.data.images import IMAGE_SUFFIXES
    from handful.data.sounds import FOREIGN_SUFFIXES, SOUND_SUFFIXES

    return {"image": frozenset(IMAGE_SUFFIXES), "sound": frozenset(SOUND_SUFFIXES + FOREIGN_SUFFIXES)}


def media_kind(name: str) -> str:
    """``image`` or ``sound`` by the suffix of a file name, or an empty string."""
    # Not Path.suffix: a column of long texts is asked too, and ordinary texts must not load the decoders.
    _, dot, suffix = name[-_LONGEST_SUFFIX:].strip().rpartition(".")
    if not dot or not suffix.isalnum():
        return ""
    return next((kind for kind, suffixes in media_suffixes().items() if f".{suffix.lower()}" in suffixes), "")
