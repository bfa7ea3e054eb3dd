"""Masks: the class of every pixel of a picture."""

from handful.tasks.masks.task import MASKS, Masks, counted

__all__ = ["MASKS", "Masks", "counted"]
