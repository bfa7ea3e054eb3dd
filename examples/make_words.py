"""Write examples/words: five spoken commands by six voices, made with espeak-ng, as small 16 kHz FLAC files."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import soundfile
import soxr

HERE = Path(__file__).resolve().parent
WORDS = ("start", "stop", "left", "right", "lamp")
RATE = 16_000  # samples per second
# accent + voice, words per minute, pitch (0 to 99): a slow deep speaker to a fast bright one
SPEAKERS = (
    ("en-gb+m3", 150, 35),
    ("en-us+f2", 175, 60),
    ("en-gb-scotland+m7", 140, 45),
    ("en-gb-x-rp+f5", 190, 70),
    ("en-029+m1", 165, 30),
    ("en-us+f4", 130, 50),
)


def speak(word: str, voice: str, speed: int, pitch: int) -> bytes:
    """Say one word with espeak-ng.

    Args:
        word: what is said.
        voice: accent and voice, as espeak-ng names them.
        speed: words per minute.
        pitch: 0 (deep) to 99 (high).

    Returns:
        A WAV file, 22.05 kHz, mono, 16-bit.
    """
    command = ["espeak-ng", "--stdout", "-z", "-v", voice, "-s", str(speed), "-p", str(pitch), word]
    return subprocess.run(command, check=True, capture_output=True).stdout


def main() -> None:
    """Let every speaker say every word, bring the clips to 16 kHz and write them."""
    if shutil.which("espeak-ng") is None:
        sys.exit("espeak-ng must be installed to make the clips, and is not found: apt-get install espeak-ng")
    for word in WORDS:
        folder = HERE / "words" / word
        folder.mkdir(parents=True, exist_ok=True)
        for number, (voice, speed, pitch) in enumerate(SPEAKERS, start=1):
            samples, rate = soundfile.read(io.BytesIO(speak(word, voice, speed, pitch)), dtype="float32")
            clip = soxr.resample(samples, rate, RATE)
            soundfile.write(folder / f"speaker{number}.flac", clip, RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
