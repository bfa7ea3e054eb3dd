"""Recordings mixed from single sounds, so that it is known what happens in them and when.

``yard`` has barks, crowing, crying and sneezes over rain, waves or a helicopter; ``engines`` has saws, helicopters,
clocks and fires over faint noise; ``digits`` has four spoken digits that are marked and six that are not. Sounds are of
esc10 and fsdd. Development and confirmation have no source of a sound in common, nor have what is learned from and what
is measured on: of esc10 these are folds of the origin, of fsdd speakers and takes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from handful.data.dataset import Dataset
from handful.data.tracks import Track
from handful.seeding import generator

RATE = 16_000
SECONDS = 12.0
"""How long a recording is."""
LONGEST = 2.0
"""Seconds of an event at most."""
EVENTS = (2, 6)
"""How many events a recording has, from and to before."""

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Mix:
    """What a set is mixed from."""

    file: str
    """Where its sounds are."""
    marked: tuple[str, ...]
    """Sounds that are marked, by their folders."""
    unmarked: tuple[str, ...]
    """Sounds that happen as well."""
    behind: tuple[str, ...]
    """Sounds that go on all the time."""
    louder: tuple[float, float]
    """By how many decibels events are louder than what goes on behind, from and to."""


MIXES: Mapping[str, Mix] = {
    "yard": Mix("esc10.zip", ("dog_bark", "rooster", "baby_cry", "person_sneeze"), (),
                ("rain", "sea_waves", "helicopter"), (0.0, 15.0)),
    "engines": Mix("esc10.zip", ("chainsaw", "helicopter", "clock_tick", "fire_crackling"), ("dog_bark",), (),
                   (5.0, 25.0)),
    "digits": Mix("fsdd.zip", ("0", "3", "7", "8"), ("1", "2", "4", "5", "6", "9"), (), (5.0, 20.0)),
}  # fmt: skip


def mixed(data: Path, name: str, count: int, draw: int, *, test: bool, confirm: bool) -> Dataset:
    """So many recordings of a set, with their tracks.

    Args:
        data: the folder of the benchmark sets.
        name: which set.
        count: how many recordings.
        draw: fixes what happens in them.
        test: whether they are of the sounds that are measured on, not learned from.
        confirm: whether they are of the sounds that chose nothing.
    """
    mix, rng = MIXES[name], generator(draw, f"{name} {'test' if test else 'learn'} {confirm}")
    sounds = {
        kind: [one for file, one in files if _taken(mix.file, file, draw, test, confirm)]
        for kind, files in _sounds(data / mix.file).items()
    }
    made = [_recording(mix, sounds, rng) for _ in range(count)]
    return Dataset([(one, RATE) for one, _ in made], "sound", tuple(track.cell for _, track in made), task="events")


def _taken(source: str, file: str, draw: int, test: bool, confirm: bool) -> bool:
    """Whether a file is one of those of a part of a draw."""
    if source == "esc10.zip":
        fold, held = int(file[0]), (4 + draw % 2) if confirm else (1 + draw % 3)
        return (fold > 3) == confirm and (fold == held) == test
    _, speaker, take = file.removesuffix(".wav").split("_")
    return (speaker in ("jackson", "lucas", "theo")) == confirm and (int(take) % 2 == draw % 2) == test


@cache
def _sounds(file: Path) -> dict[str, list[tuple[str, Samples]]]:
    """Folder → the names and samples of its sounds."""
    found: dict[str, list[tuple[str, Samples]]] = {}
    with zipfile.ZipFile(file) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith((".wav", ".flac")):
                samples, rate = soundfile.read(io.BytesIO(archive.read(name)), dtype="float32")
                assert rate == RATE
                kind, own = name.split("/")[-2:]
                found.setdefault(kind, []).append((own, samples))
    return found


def _recording(mix: Mix, sounds: Mapping[str, Sequence[Samples]], rng: np.random.Generator) -> tuple[Samples, Track]:
    """One recording and its track."""
    length = round(RATE * SECONDS)
    out = rng.normal(size=length).astype(np.float32)
    if mix.behind:
        some = sounds[mix.behind[rng.integers(len(mix.behind))]]
        out = np.resize(some[rng.integers(len(some))], length) + out * np.float32(1e-4)
    out = 0.02 * out / _level(out)
    events, at = [], rng.uniform(0.3, 2.0)
    for _ in range(rng.integers(*EVENTS)):
        kind = (*mix.marked, *mix.unmarked)[rng.integers(len(mix.marked) + len(mix.unmarked))]
        own = _loud_part(sounds[kind][rng.integers(len(sounds[kind]))])
        first = round(at * RATE)
        if first + len(own) > length:
            break
        gain = 0.02 / _level(own) * 10 ** (rng.uniform(*mix.louder) / 20)
        out[first : first + len(own)] += np.float32(gain) * own
        if kind in mix.marked:
            events.append((round(at, 3), round(at + len(own) / RATE, 3), kind))
        at += len(own) / RATE + rng.exponential(1.5) + 0.2
    return (out / max(1.0, float(np.abs(out).max()))).astype(np.float32), Track(SECONDS, tuple(events))


def _loud_part(sound: Samples) -> Samples:
    """A sound from where it begins to be heard, and no longer than an event lasts."""
    blocks = sound[: len(sound) // 400 * 400].reshape(-1, 400)
    power = np.square(blocks).mean(1)
    heard = np.flatnonzero(power > 1e-3 * power.max())
    first = int(heard[0])
    end = min(int(heard[-1]) + 1, first + round(LONGEST * RATE / 400))
    while end - 1 > first and power[end - 1] <= 1e-3 * power.max():
        end -= 1
    return sound[400 * first : 400 * end]


def _level(sound: Samples) -> float:
    return float(np.sqrt(np.square(sound).mean())) + 1e-9
