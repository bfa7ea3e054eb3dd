"""Active learning: which label is worth most, asked of a pool of items that were seen once."""

from handful.regimes.active.doubt import Doubt
from handful.regimes.active.fits import Answers, Rows
from handful.regimes.active.learner import HOWS, ActiveLearner, Answer, Asked
from handful.regimes.active.part_rows import PartRows
from handful.regimes.active.progress import Progress
from handful.regimes.active.ways import ASKING

__all__ = [
    "ASKING", "HOWS", "ActiveLearner", "Answer", "Answers", "Asked", "Doubt", "PartRows", "Progress", "Rows",
]  # fmt: skip
