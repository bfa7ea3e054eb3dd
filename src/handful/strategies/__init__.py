"""Named ways to adapt a frozen or moving backbone to labels, as scikit-learn estimators."""

from __future__ import annotations

from handful.strategies.registry import catalog as catalog
