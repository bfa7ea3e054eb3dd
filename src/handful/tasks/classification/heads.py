"""The linear heads of classification: nearest class mean, ridge, multinomial logistic regression, linear SVM."""

from __future__ import annotations

from collections.abc import Mapping

from handful.tasks.heads import HINGE, SOFTMAX, SQUARED, Head

CENTROID = Head("centroid")
RIDGE = Head("ridge", SQUARED, (10.0, 3.0, 1.0, 0.3, 0.1))
LOGISTIC = Head("logistic", SOFTMAX, (1.0, 0.1, 0.01))
SVM = Head("svm", HINGE, (0.3,), optional=True)

HEADS: Mapping[str, Head] = {head.name: head for head in (CENTROID, RIDGE, LOGISTIC, SVM)}
"""Name → head, cheapest first."""
