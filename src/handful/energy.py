"""Energy: how many joules a piece of work took, as a range: from counters where they can be read, else from seconds.

Counters count everybody's work. Of the processor's (RAPL) the lower end is the share of this process; they leave out
memory, disks and the losses of the power supply, so that the upper end is a fifth higher. Of a GPU's the lower end is
nothing. Where no counter can be read, the seconds of the processor are multiplied with what a core may take.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WATTS = (3.0, 15.0)
"""What one busy core takes, in watts, where nothing counts it: in a small laptop, and in a large server."""
GRAMS = (20.0, 800.0)
"""Grams of CO₂ per kilowatt-hour: a grid of water and wind, and one of coal."""

_ABOVE = 1.2
_RAPL = Path("/sys/class/powercap")
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Energy:
    """How much some work took."""

    low: float
    """Joules at least."""
    high: float
    """Joules at most."""
    source: str
    """What it was told from."""

    def __post_init__(self) -> None:
        # Three digits, from the start: what is worked out from them is then the same after writing and reading.
        for name in ("low", "high"):
            object.__setattr__(self, name, float(f"{getattr(self, name):.3g}"))

    @property
    def sentence(self) -> str:
        """The range in words."""
        grams = " to ".join(f"{value:.2g}" for value in self.grams)
        return (
            f"{self.low:.3g} to {self.high:.3g} J ({self.source}); {grams} g of CO₂ where a kilowatt-hour is "
            f"{GRAMS[0]:g} to {GRAMS[1]:g} g"
        )

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Energy:
        """Read back what ``as_dict`` wrote."""
        low, high = raw["joules"]
        return cls(float(low), float(high), str(raw["source"]))

    @property
    def grams(self) -> tuple[float, float]:
        """Grams of CO₂ at least and at most, in any grid of ``GRAMS``."""
        return self.low / _JOULES_PER_KWH * GRAMS[0], self.high / _JOULES_PER_KWH * GRAMS[1]

    def as_dict(self) -> dict[str, Any]:
        """The range as ``scores.json`` holds it."""
        grams = [float(f"{value:.3g}") for value in self.grams]
        return {
            "joules": [self.low, self.high],
            "source": self.source,
            "grams_co2": grams,
            "grams_per_kwh": list(GRAMS),
        }


class Meter:
    """Counts from its making to ``read``; it costs some milliseconds at both ends and nothing between."""

    def __init__(self, folder: Path = _RAPL) -> None:
        """Begin.

        Args:
            folder: where the system shows the counters of the processor.
        """
        self._folder, self._began, self._busy = folder, time.monotonic(), _busy_seconds()
        self._counters, self._gpus = rapl(folder), gpus()

    def read(self) -> Energy:
        """What was taken so far."""
        own = max(0.0, _busy_seconds() - self._busy)
        spent, cards = _spent(self._counters, rapl(self._folder), self._folder), gpus()
        beside = sum(max(0.0, joules - self._gpus.get(name, joules)) for name, joules in cards.items())
        if spent is None:
            low, high = own * WATTS[0], own * WATTS[1]
            said = f"{own:.1f} processor seconds at {WATTS[0]:g} to {WATTS[1]:g} W"
        else:
            cores, wall = os.cpu_count() or 1, max(time.monotonic() - self._began, 1e-9)
            low, high = spent * min(1.0, own / (cores * wall)), spent * _ABOVE
            said = "counters of the processor (RAPL), which count everybody's work"
        return Energy(low, high + beside, said + " and the counter of the GPU" * bool(cards))


def rapl(folder: Path = _RAPL) -> Mapping[str, float]:
    """Counter → joules of each package of the processor; none where they cannot be read, as for most users today."""
    counters = {}
    for package in sorted(folder.glob("intel-rapl:?")):
        try:
            counters[package.name] = int((package / "energy_uj").read_text()) / 1e6
        except (OSError, ValueError):
            return {}
    return counters


def gpus() -> Mapping[str, float]:
    """Counter → joules of each GPU of NVIDIA since its driver was loaded; none where there is no such library."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return {}
    count = ctypes.c_uint()
    if library.nvmlInit_v2() or library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return {}
    counters = {}
    for number in range(count.value):
        card, spent = ctypes.c_void_p(), ctypes.c_ulonglong()
        unread = library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(card))
        if not unread and not library.nvmlDeviceGetTotalEnergyConsumption(card, ctypes.byref(spent)):
            counters[f"gpu {number}"] = spent.value / 1e3
    return counters


def _spent(before: Mapping[str, float], after: Mapping[str, float], folder: Path) -> float | None:
    """Joules between two readings; counters begin anew at their largest number."""
    if not before or before.keys() != after.keys():
        return None
    total = 0.0
    for name, start in before.items():
        grown = after[name] - start
        if grown < 0:
            try:
                grown += int((folder / name / "max_energy_range_uj").read_text()) / 1e6
            except (OSError, ValueError):
                return None
        total += grown
    return total


def _busy_seconds() -> float:
    """Seconds that this process and its children that ended have computed."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
