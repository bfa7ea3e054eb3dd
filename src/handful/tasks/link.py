"""Links: how a program that has no task at hand turns scores into what is answered, as names that it can look up."""

from __future__ import annotations

from dataclasses import dataclass

SOFTMAX, SIGMOID, NORMAL = "softmax", "sigmoid", "normal"
"""How K scores become K outputs: probabilities that sum to one; one probability each; mean and standard deviation of a
number, from precision times mean and precision."""

HIGHEST, ABOVE, MEDIAN, OVERLAP, MEAN = "highest", "above", "median", "overlap", "mean"
"""How K outputs become an answer: the number of the most probable name; of one of two where it is more probable than a
threshold, else of the other; of the median one; which names are expected to overlap most with the right ones, as
truths; the mean."""


@dataclass(frozen=True)
class Link:
    """What a program has to do with the scores of a model."""

    outputs: str
    """How scores become outputs."""
    answer: str
    """How outputs become an answer."""
    constants: tuple[float, ...] = ()
    """Of ``normal`` the centre and the scale of the numbers; of ``above`` the number of the name and the threshold; of
    ``overlap`` 1 where no name may be right, else 0."""
