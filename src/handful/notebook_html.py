"""Small tables for notebooks: escaped, and in the colours of the page, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from handful.data.cells import shown

# Lines in the colour of the text, faint: nothing else is said about colours.
_CELL = "text-align:left;padding:0.2em 0.8em 0.2em 0;border-bottom:1px solid rgba(128,128,128,0.35)"


def text(value: object) -> str:
    """A value as a part of a page: what it says, and no mark of the page's own."""
    return escape(shown(str(value)))


def paragraph(value: object, strong: bool = False) -> str:
    """One sentence on a line of its own."""
    said = text(value)
    return f'<p style="margin:0.3em 0">{f"<strong>{said}</strong>" if strong else said}</p>'


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Rows of cells below a head.

    Args:
        head: W names of columns.
        rows: N rows of W cells.
    """
    first = "".join(f'<th scope="col" style="{_CELL}">{text(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{text(cell)}</td>' for cell in row) + "</tr>" for row in rows)
    return f'<table style="border-collapse:collapse"><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table>'


def page(*parts: str) -> str:
    """Paragraphs and tables as what a cell of a notebook shows."""
    return f"<div>{''.join(parts)}</div>"


def shortened(value: object, most: int = 80) -> str:
    """A value as a short line."""
    said = " ".join(shown(str(value)).split())
    return said if len(said) <= most else f"{said[: most - 1]}…"
