"""Classification: every item is of one class of several."""

from handful.tasks.classification.task import CLASSIFICATION as CLASSIFICATION
