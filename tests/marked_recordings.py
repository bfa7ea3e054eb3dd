"""Recordings with a tone in one of their two seconds for tests, and their tracks."""

from __future__ import annotations

import numpy as np

from handful.data.tracks import Track


def recordings(count):
    """Samples with their rate, and of each what goes on in it."""
    rng, tone, sounds, cells = np.random.default_rng(0), np.sin(np.arange(16000) * 2), [], []
    for i in range(count):
        at = i % 2
        sound = 0.02 * rng.normal(size=32000)
        sound[16000 * at : 16000 * at + 16000] += tone
        sounds.append((sound.astype(np.float32), 16000))
        cells.append(Track(2.0, ((float(at), at + 1.0, "tone"),)).cell)
    return sounds, cells
