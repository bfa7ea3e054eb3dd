"""Tagging: stretches of a text with a label (spans), told word by word."""

from handful.tasks.tagging.task import TAGGING, Tagging

__all__ = ["TAGGING", "Tagging"]
