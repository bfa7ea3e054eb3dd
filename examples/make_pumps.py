"""Write examples/pumps.csv, pumps.parquet and pumps_new.parquet: what a sensor on each pump says of its health.

The vibration of every pump is made up by formula, a second of it at 2,000 samples: a worn bearing ticks, a loose foot
shakes at half and at twice the speed. Twenty numbers sum a second up, as a maintenance program would.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
STATES = ("fine", "worn bearing", "loose foot")
LABELLED, NEW = 10, 8  # pumps of each state
RATE = 2000  # samples of a second
BANDS = 12
SEED = 7


def vibration(state: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A second of vibration, and how fast the pump turns, in turns per second."""
    time, speed = np.arange(RATE) / RATE, rng.uniform(23, 27)
    strength = rng.uniform(0.4, 1.0)
    wave = rng.uniform(0.6, 1.4) * np.sin(2 * np.pi * speed * time + rng.uniform(0, 6))
    wave += rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * 2 * speed * time + rng.uniform(0, 6))
    if state == "worn bearing":
        ticks = (time * speed * 3.6) % 1  # a ball meets the damage 3.6 times a turn
        wave += 2.6 * strength * np.exp(-14 * ticks) * np.sin(2 * np.pi * 620 * time)
    if state == "loose foot":
        wave += 0.8 * strength * np.sin(2 * np.pi * speed / 2 * time + rng.uniform(0, 6))
        wave += 0.6 * strength * np.sin(2 * np.pi * 2 * speed * time + rng.uniform(0, 6))
    return wave + rng.uniform(0.3, 0.6) * rng.normal(size=RATE), speed


def summed_up(wave: np.ndarray, speed: float, rng: np.random.Generator) -> dict[str, float]:
    """Twenty numbers of a second of vibration."""
    power = np.abs(np.fft.rfft(wave)) ** 2  # one number per hertz
    level = float(np.sqrt(np.mean(wave**2)))
    around = {name: power[int(times * speed) - 2 : int(times * speed) + 3].sum() for name, times in
              (("half", 0.5), ("once", 1), ("twice", 2), ("thrice", 3))}  # fmt: skip
    bands = np.array_split(power[1:1001], BANDS)
    found = {
        "level": level, "peak": float(np.abs(wave).max() / level), "speed": speed,
        "temperature": 40 + 8 * level + rng.normal(0, 3),
        **{f"turn_{name}": np.log(value) for name, value in around.items()},
        **{f"band_{number + 1}": np.log(band.sum()) for number, band in enumerate(bands)},
    }  # fmt: skip
    return {name: round(float(value), 4) for name, value in found.items()}


def main() -> None:
    """Draw the pumps in a mixed order, and write who has a label and what the sensor says of all."""
    rng = np.random.default_rng(SEED)
    states = [STATES[i] for i in rng.permutation(np.repeat(np.arange(len(STATES)), LABELLED + NEW))]
    rows = [{"pump": f"P{i + 101}", **summed_up(*vibration(state, rng), rng)} for i, state in enumerate(states)]
    table, left = pd.DataFrame(rows), dict.fromkeys(STATES, LABELLED)
    labelled = []
    for state in states:
        labelled.append(left[state] > 0)
        left[state] -= 1
    known = np.array(labelled)
    labels = pd.DataFrame({"pump": table.pump, "state": states})
    labels[known].to_csv(HERE / "pumps.csv", index=False, lineterminator="\n")
    table[known].to_parquet(HERE / "pumps.parquet", index=False)
    table[~known].to_parquet(HERE / "pumps_new.parquet", index=False)


if __name__ == "__main__":
    main()
