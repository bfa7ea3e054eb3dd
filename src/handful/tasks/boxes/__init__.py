"""Boxes: where many small things of a kind are in a picture, and how many."""

from handful.tasks.boxes.counting import Detected, cuts_by_label, cuts_of, numbers_of
from handful.tasks.boxes.matching import matched, overlaps, suppressed
from handful.tasks.boxes.task import BOXES, Boxes

__all__ = [
    "BOXES", "Boxes", "Detected", "cuts_by_label", "cuts_of", "matched", "numbers_of", "overlaps", "suppressed",
]  # fmt: skip
