"""Boxes: where many small things of a kind are in a picture, and how many."""

from handful.tasks.boxes.counting import Detected, cuts_of, edges_of, tallied
from handful.tasks.boxes.matching import matched, overlaps, suppressed
from handful.tasks.boxes.task import BOXES, Boxes

__all__ = [
    "BOXES", "Boxes", "Detected", "cuts_of", "edges_of", "matched", "overlaps", "suppressed", "tallied",
]  # fmt: skip
