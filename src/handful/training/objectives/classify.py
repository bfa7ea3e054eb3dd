"""Objectives on the scores of each row alone: cross-entropy, and learning from a teacher's scores."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from handful.errors import OptionError
from handful.training.objectives import Batch, Outputs, precise, scores_of


@dataclass(frozen=True)
class CrossEntropy:
    """Mean of minus the log probability of the true class; of mixed rows, weighted by the share of each class."""

    smoothing: float = 0.0
    """Share of the target, from 0 to 1, that is spread evenly over all classes (Szegedy et al. 2016, section 7)."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        scores = scores_of(outputs, self)
        targets = batch.targets
        if targets.is_floating_point():
            targets = targets.to(scores.dtype).flatten(0, -2)  # (B, C)
        else:
            targets = targets.flatten()  # (B,), or (B T,) for tokens
        scores = scores.flatten(0, -2)  # (B, C), or (B T, V) for tokens
        total = functional.cross_entropy(scores, targets, reduction="sum", label_smoothing=self.smoothing)
        return total / max(len(scores), 1)


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Minus the log probability of each label being there or not, summed over labels, mean over rows."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        scores = scores_of(outputs, self)  # (B, L)
        total = functional.binary_cross_entropy_with_logits(scores, batch.targets.to(scores.dtype), reduction="sum")
        return total / max(len(scores), 1)


@dataclass(frozen=True)
class SquaredError:
    """Half the squared distance of scores from numbers, summed over columns, mean over rows."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ()."""
        scores = scores_of(outputs, self)  # (B, K)
        return 0.5 * ((scores - batch.targets.to(scores.dtype)) ** 2).sum() / max(len(scores), 1)


@dataclass(frozen=True)
class Distillation:
    """Cross-entropy with the labels, mixed with the distance to a teacher's softened answers (Hinton et al. 2015).

    The distance is the Kullback-Leibler divergence: the paper's cross-entropy without the teacher's own
    entropy, which the student cannot change. So the loss is 0 for a student who agrees, and the gradient is the same.
    """

    temperature: float = 2.0
    """What both scores are divided by before the softmax; above 1 the teacher's runners-up count for more."""
    weight: float = 0.5
    """Share of the teacher in the loss, from 0 (labels only) to 1 (teacher only)."""

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the loss of a batch, ().

        Raises:
            OptionError: the batch carries no scores of a teacher.
        """
        if batch.teacher is None:
            raise OptionError(
                "The batches of Distillation must carry scores of a teacher, got none. "
                "Score the rows with the teacher first, or train with CrossEntropy."
            )
        scores = scores_of(outputs, self)  # (B, C)
        student = functional.log_softmax(scores / self.temperature, -1)
        teacher = functional.log_softmax(precise(batch.teacher).detach() / self.temperature, -1)
        apart = functional.kl_div(student, teacher, reduction="sum", log_target=True) / max(len(scores), 1)
        # Softening divides the gradient by the temperature twice; this keeps the two parts comparable (section 2).
        apart = apart * self.temperature**2
        return self.weight * apart + (1 - self.weight) * CrossEntropy()(outputs, batch)
