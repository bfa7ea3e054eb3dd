"""Write examples/recordings: fourteen short recordings of a workshop, made of sines and noise, with their tracks.

A track lies beside each: start, end and label of every event as CSV, or as Audacity exports labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
RATE, SECONDS, RECORDINGS, SEED = 8_000, 7.0, 14, 11

Sound = NDArray[np.float64]


def bell(rng: np.random.Generator) -> Sound:
    """A struck bell: a few partials that die away."""
    time = np.arange(int(RATE * rng.uniform(0.9, 1.6))) / RATE
    partials = [(1, 1.0), (2.4, 0.5), (2.9, 0.3)]
    base = rng.uniform(750, 1100)
    return sum(share * np.sin(2 * np.pi * base * times * time) for times, share in partials) * np.exp(-3 * time)


def knock(rng: np.random.Generator) -> Sound:
    """Three or four knocks: short bursts of low noise."""
    count, gap = int(rng.integers(3, 5)), int(RATE * rng.uniform(0.18, 0.26))
    sound = np.zeros(count * gap)
    for at in range(count):
        burst = np.convolve(rng.normal(size=500), np.ones(12) / 12, "same") * np.exp(-np.arange(500) / 120)
        sound[at * gap : at * gap + 500] = 2.5 * burst
    return sound


def whistle(rng: np.random.Generator) -> Sound:
    """A whistle that rises."""
    length = int(RATE * rng.uniform(0.7, 1.4))
    pitch = np.linspace(rng.uniform(1500, 1900), rng.uniform(2400, 2900), length)
    return np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.hanning(length) ** 0.3


KINDS = {"bell": bell, "knock": knock, "whistle": whistle}


def recording(number: int, rng: np.random.Generator) -> tuple[Sound, list[tuple[float, float, str]]]:
    """A recording and its events; every seventh is quiet."""
    sound = 0.008 * rng.normal(size=int(RATE * SECONDS))
    events, at = list[tuple[float, float, str]](), rng.uniform(0.3, 1.2)
    while number % 7 and at < SECONDS - 2:
        label = str(rng.choice(list(KINDS)))
        own = rng.uniform(0.2, 0.45) * KINDS[label](rng)
        first = int(RATE * at)
        sound[first : first + len(own)] += own[: len(sound) - first]
        end = min(at + len(own) / RATE, SECONDS)
        events.append((round(float(at), 2), round(float(end), 2), label))
        at = end + rng.uniform(0.3, 1.3)
    return sound, events


def main() -> None:
    """Write the recordings and their tracks."""
    rng, folder = np.random.default_rng(SEED), HERE / "recordings"
    folder.mkdir(exist_ok=True)
    for number in range(1, RECORDINGS + 1):
        sound, events = recording(number, rng)
        name = f"workshop{number:02d}"
        soundfile.write(folder / f"{name}.flac", np.clip(sound, -0.99, 0.99), RATE, subtype="PCM_S8")
        if number % 5:
            lines = ["start,end,label", *(f"{first},{end},{label}" for first, end, label in events)]
            (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
        else:
            lines = [f"{first:.6f}\t{end:.6f}\t{label}" for first, end, label in events]
            (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    main()
