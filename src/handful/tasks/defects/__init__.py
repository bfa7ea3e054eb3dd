"""Defects: what is unlike normal items, learned from normal ones alone, with a promise of false alarms."""

from handful.tasks.defects.promise import Asked, Promise
from handful.tasks.defects.task import DEFECTS, Defects

__all__ = ["DEFECTS", "Asked", "Defects", "Promise"]
