"""Recordings with tracks of what happens in them: files beside the sounds, or one table, checked and made a Dataset."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from handful.data.cells import shown
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.encodings import detect, open_text
from handful.data.folders import Walk
from handful.data.names import all_names, listed
from handful.data.row_values import check_share
from handful.data.sounds import duration
from handful.data.targets import EVENTS
from handful.data.tracks import TRACK_SUFFIXES, Event, Track, overlaps, track_of
from handful.errors import DataError, OptionError

_FILES = ("file", "filename", "file_name", "path", "recording", "audio")
_STARTS, _ENDS = ("start", "onset", "begin", "start_s", "start_time"), ("end", "offset", "stop", "end_s", "end_time")
_LABELS = ("label", "event", "event_label", "class", "name", "annotation")

_FEWEST = 3
# Seconds by which an event may end behind its recording without a word: rounded to a tenth by whoever marked it.
_ROUNDED = 0.051

_FORMATS = (
    "Put a track beside each recording under its name (bell.wav and bell.csv with start,end,label, or bell.txt as "
    "Audacity exports labels), or one table with file,start,end,label into the folder; times are seconds."
)


@dataclass
class _Marks:
    """What tables say, before it is compared with the sounds."""

    events: dict[Path, list[tuple[int, float, float, str]]] = field(default_factory=dict)
    """Recording → line, seconds from and to, and label of each event."""
    wrong: dict[Path, str] = field(default_factory=dict)
    """Recording → what is wrong with its track."""


def tracks_dataset(path: Path, wanted: Wanted) -> Dataset:
    """A folder of recordings with their tracks, or a table of these, as a Dataset.

    Args:
        path: the folder, or the table, whose files lie beside it.
        wanted: what was asked for.

    Raises:
        DataError: no recording has a track, nothing happens in any, too many cannot be used, or they are too few.
        OptionError: an option makes no sense here.
    """
    if wanted.label or wanted.input or wanted.group or wanted.split or wanted.modality not in (None, "sound"):
        raise OptionError(
            f"{shown(str(path))} is read as recordings with tracks (--task events), of which label=, input=, group=, "
            "split= and other modalities say nothing. Leave them out."
        )
    folder = path if path.is_dir() else path.parent
    walk = Walk(folder)
    sounds = [file for file, kind in walk.files() if kind == "sound"]
    if not sounds:
        raise DataError(f"{shown(str(path))} must hold recordings, got no sound file. {_FORMATS}")
    table = _one_table(path, sounds)
    marks = _beside(sounds) if table is None else _of_table(table, folder, sounds)
    cells, unreadable, notes = _checked(sounds, marks)
    if not cells and not unreadable:
        raise DataError(f"{shown(str(path))} must hold tracks of what happens in its recordings, got none. {_FORMATS}")
    check_share(unreadable, len(cells) + len(unreadable), shown(str(path)))
    rows = sorted(cells)
    names = {label for cell in cells.values() for _, _, label in Track.of_cell(cell).events}
    if len(rows) < _FEWEST or not names:
        got = f"{len(rows)}" if names else "no event in any"
        raise DataError(
            f"{shown(str(path))} must hold at least {_FEWEST} recordings with tracks, in some of which something "
            f"happens, got {got}. {_FORMATS}"
        )
    return Dataset(
        items=[sounds[i] for i in rows], modality="sound", labels=tuple(cells[i] for i in rows), rows=tuple(rows),
        source=shown(str(path)), task=EVENTS, notes=tuple(notes), unreadable=unreadable,
    )  # fmt: skip


def _one_table(path: Path, sounds: Sequence[Path]) -> Path | None:
    """The table for all recordings, where there is one: the source itself, or the one file that is no track."""
    if path.is_file():
        return path
    stems = {file.with_suffix("") for file in sounds}
    others = [
        file for file in sorted(path.iterdir())
        if file.suffix.lower() in TRACK_SUFFIXES and file.is_file() and file.with_suffix("") not in stems
    ]  # fmt: skip
    tables = [file for file in others if "file" in (_columns(_lines(file)[:1]) or {})]
    if len(tables) > 1:
        names = listed([file.name for file in tables])
        raise DataError(f"{shown(str(path))} must hold one table of events, got {names}. Join them, or name one.")
    return tables[0] if tables else None


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """Number and cells of the lines of a table that are not empty."""
    if not file.stat().st_size:  # a track without events, as Audacity exports it
        return []
    with open_text(file, detect(file)) as stream:
        text = stream.read().lstrip("\ufeff")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else (";" if ";" in text.partition("\n")[0] else ",")
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    cells = [(rows.line_num, [cell.strip() for cell in row]) for row in rows]
    # Audacity writes the pitch of an event on a line of its own that begins with a backslash.
    return [(number, row) for number, row in cells if any(row) and not row[0].startswith("\\")]


def _columns(lines: Sequence[tuple[int, list[str]]]) -> dict[str, int] | None:
    """Where file, start, end and label stand by the names of the columns; None where the first line names none."""
    if not lines:
        return None
    place: dict[str, int] = {}
    for at, cell in enumerate(lines[0][1]):
        for name, words in (("file", _FILES), ("start", _STARTS), ("end", _ENDS), ("label", _LABELS)):
            if cell.lower() in words:
                place.setdefault(name, at)
    return place if {"start", "end", "label"} <= set(place) else None


def _beside(sounds: Iterable[Path]) -> _Marks:
    """The tracks that lie beside recordings."""
    marks = _Marks()
    for sound in sounds:
        file = track_of(sound)
        if file is None:
            continue
        lines = _lines(file)
        place = _columns(lines)
        rows = lines if place is None else lines[1:]
        _add(marks, sound, file, rows, place or {"start": 0, "end": 1, "label": 2})
        marks.events.setdefault(sound, [])
    return marks


def _of_table(table: Path, folder: Path, sounds: Sequence[Path]) -> _Marks:
    """The tracks of one table; recordings that it does not name are such in which nothing happens."""
    lines = _lines(table)
    place = _columns(lines)
    if place is None or "file" not in place:
        got = all_names(lines[0][1]) if lines else "nothing"
        raise DataError(f"{shown(str(table))} must have columns file, start, end and label, got {got}. {_FORMATS}")
    marks, known = _Marks({sound: [] for sound in sounds}), _by_name(sounds, folder)
    for number, cells in lines[1:]:
        name = cells[place["file"]] if place["file"] < len(cells) else ""
        if name not in known:
            raise DataError(
                f"line {number} of {shown(str(table))} must name a recording in {shown(str(folder))}, got "
                f"{shown(name)!r}. Correct it, or put the file there."
            )
        _add(marks, known[name], table, [(number, cells)], place)
    return marks


def _by_name(sounds: Iterable[Path], folder: Path) -> Mapping[str, Path]:
    """Recordings by their names in a table: from the folder on, or alone, with or without an ending."""
    known: dict[str, Path] = {}
    for sound in sounds:
        inside = sound.relative_to(folder)
        for name in (inside.as_posix(), str(inside), sound.name, inside.with_suffix("").as_posix(), sound.stem):
            known.setdefault(name, sound)
    return known


def _add(
    marks: _Marks, sound: Path, file: Path, rows: Iterable[tuple[int, list[str]]], place: Mapping[str, int]
) -> None:
    for number, cells in rows:
        wanted = [cells[place[name]] if place[name] < len(cells) else "" for name in ("start", "end", "label")]
        try:
            start, end = (float(cell.replace(",", ".")) for cell in wanted[:2])
        except ValueError:
            got = listed(wanted[:2])
            marks.wrong.setdefault(sound, f"line {number} of {file.name} must have a start and an end in seconds, "
                                          f"got {got}")  # fmt: skip
            continue
        if not wanted[2]:
            marks.wrong.setdefault(sound, f"line {number} of {file.name} must have a label, got none")
            continue
        marks.events.setdefault(sound, []).append((number, start, end, wanted[2]))


def _checked(sounds: Sequence[Path], marks: _Marks) -> tuple[dict[int, str], dict[int, str], list[str]]:
    """Cells of the recordings that can be used, why others cannot, and what was changed or left out."""
    cells, unreadable = dict[int, str](), dict[int, str]()
    late, crossing, without, quiet = 0, 0, 0, 0
    for i, sound in enumerate(sounds):
        if sound in marks.wrong:
            unreadable[i] = f"{sound.name}: {marks.wrong[sound]}"
            continue
        if sound not in marks.events:
            without += 1
            continue
        try:
            seconds = duration(sound)
        except DataError as error:
            unreadable[i] = str(error)
            continue
        events = list[Event]()
        for number, start, end, label in marks.events[sound]:
            if not 0 <= start < min(end, seconds):
                unreadable[i] = (
                    f"{sound.name}: the event of line {number} must begin before it ends and within its recording of "
                    f"{seconds:.1f} s, got {start:g} to {end:g}"
                )
                break
            late += end > seconds + _ROUNDED
            events.append((start, min(end, seconds), label))
        else:
            crossing += overlaps(events)
            quiet += not events
            cells[i] = Track(seconds, tuple(sorted(events))).cell
    return cells, unreadable, _notes(late, crossing, without, quiet)


def _notes(late: int, crossing: int, without: int, quiet: int) -> list[str]:
    said = {
        "{} event{} behind its recording: cut there": (late, " ends", "s end"),
        "{} event{} while another one goes on: of every fifth of a second what fills most of it is learned, or the "
        "shorter event": (crossing, " begins", "s begin"),
        "{} recording{} no track and is left out": (without, " has", "s have"),
        "{} recording{} a track without events: nothing happens there": (quiet, " has", "s have"),
    }
    return [text.format(count, one if count == 1 else many) for text, (count, one, many) in said.items() if count]
