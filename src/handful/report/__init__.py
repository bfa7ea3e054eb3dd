"""The report: one HTML file that opens offline and says what a run is worth, in the order in which a reader decides."""

from __future__ import annotations

from handful.report.page import render

__all__ = ["render"]
