"""Names in messages: quoted, listed, offered to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handful.data.cells import shown

# How many names a message lists before it says "and N more".
_LISTED = 5


def listed(names: Sequence[str]) -> str:
    """Names in quotation marks, at most five of them: ``"a", "b" and 3 more``."""
    quoted = [f'"{shown(name)}"' for name in names[:_LISTED]]
    if len(names) > _LISTED:
        return f"{', '.join(quoted)} and {len(names) - _LISTED} more"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def in_a_row(names: Sequence[str]) -> str:
    """All names, as they are: ``a``, ``a and b``, ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def either(names: Sequence[str]) -> str:
    """Names as alternatives: ``"a" or "b"``."""
    return " or ".join(f'"{shown(name)}"' for name in names)


def all_names(names: Iterable[str]) -> str:
    """All columns there are, to choose from: ``columns: a, b``."""
    return f"columns: {', '.join(map(shown, names)) or 'none'}"
