"""A death between two file operations: what a kill leaves, made to happen at a chosen place in this process."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from handful.atomic import swaps as swapping

MADE = ("mkdir", "rename", "replace", "unlink", "remove", "rmdir")


class Died(BaseException):
    """Nothing more is done, as after SIGKILL."""


class Death:
    """Counts file operations; the one that is fatal and all after it are not carried out, not even in clean-ups."""

    def __init__(self, monkeypatch, swaps: bool = True) -> None:
        """Args: swaps: whether this machine can exchange two folders in one step."""
        self.operations, self.fatal = 0, float("inf")
        for name in MADE:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))
        monkeypatch.setattr(os, "open", self._counted(os.open, lambda path, flags, *_, **__: flags & os.O_CREAT))
        writes = lambda file, mode="r", *_, **__: set(mode) & set("wax+")  # noqa: E731
        monkeypatch.setattr(io, "open", self._counted(io.open, writes))
        call = swapping._call()
        monkeypatch.setattr(swapping, "_call", lambda: self._counted(call) if swaps and call else None)

    def _counted(self, does: Callable[..., Any], changes: Callable[..., Any] = lambda *_, **__: True) -> Any:
        def operation(*given: Any, **named: Any) -> Any:
            if changes(*given, **named):
                self.operations += 1
                if self.operations >= self.fatal:
                    raise Died
            return does(*given, **named)

        return operation

    def at(self, fatal: float, work: Callable[[], object]) -> bool:
        """Do something, and die at that operation; whether that came to pass before the end."""
        self.operations, self.fatal = 0, fatal
        try:
            work()
        except Died:
            return True
        finally:
            self.fatal = float("inf")
        return False
