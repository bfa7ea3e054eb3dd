"""Answers in words: what a language model learns from instructions, and from preferences between two answers."""

from __future__ import annotations

from handful.tasks.generation.task import GENERATION, PREFERENCE, Generation, PreferenceTask

__all__ = ["GENERATION", "PREFERENCE", "Generation", "PreferenceTask"]
