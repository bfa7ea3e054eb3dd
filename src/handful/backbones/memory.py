"""How much memory is free, and the refusal of a model that would not fit before any of it is read."""

from __future__ import annotations

import json
from pathlib import Path

from handful.errors import MachineError


def require_memory(name: str, folder: Path, working: int) -> None:
    """Refuse a model that would not fit in single precision, with what would be needed.

    Args:
        name: of the backbone, for the error.
        folder: where its checkpoint lies; nothing is known of one that is still on a hub.
        working: bytes that are needed beside the weights.

    Raises:
        MachineError: it does not fit.
        ValueError: its settings cannot be read.
    """
    config = folder / "config.json"
    if not config.is_file():
        return
    settings = json.loads(config.read_text("utf-8"))
    has = settings.get("dtype") or settings.get("torch_dtype")
    stored = sum(part.stat().st_size for part in folder.glob("*.safetensors"))
    wanted = stored * (1 if has in (None, "float32") else 2) + working
    free = free_memory()
    if free is not None and wanted > free:
        raise MachineError(
            f"backbone {name!r} must have about {wanted / 2**30:.1f} GB of memory to learn, but {free / 2**30:.1f} GB "
            f"are free. A model of at most {max(0.0, (free - working) / 4 / 1e6):.0f} million weights would fit."
        )


def free_memory() -> int | None:
    """Bytes of memory that are free here; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), None)
