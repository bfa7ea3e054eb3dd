"""Write the site of the Python interface, from the docstrings of public names; no network is asked.

python docs/site.py [FOLDER]    by default site/
"""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import pdoc
import pdoc.render

import handful
from handful.choices import METHODS

SITE = Path(__file__).resolve().parents[1] / "site"


def main() -> None:
    """Write the folder that is named, or the usual one."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SITE
    write(folder)
    print(f"{folder / 'index.html'}")


def write(folder: Path) -> None:
    """Write one page with every public name, a page that leads to it, and the words that its search looks through."""
    # Names are loaded when they are first used, and pdoc sees those that are loaded: in the order of this list.
    handful.__all__.sort(key=lambda name: (place(getattr(handful, name)), name.lower()))
    for method in METHODS:
        resolve_types(getattr(handful, method.kind))
    pdoc.render.configure(docformat="google", show_source=False, footer_text=f"handful {version('handful')}")
    pdoc.pdoc("handful", output_directory=folder)


def place(thing: object) -> int:
    """Where a public name stands: the verbs first, then classes, errors last."""
    if not inspect.isclass(thing):
        return 0
    return 2 if issubclass(thing, handful.HandfulError) else 1


def resolve_types(kind: type[Any]) -> None:
    """Give inherited options their types: pdoc would look for the names of types where the class stands."""
    hints = get_type_hints(kind)
    made = kind.__init__
    made.__annotations__ = {name: hints.get(name, written) for name, written in made.__annotations__.items()}


if __name__ == "__main__":
    main()
