"""Fine-tune a pre-trained model from a handful of examples, and be told the truth about the result."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handful.api import inspect as inspect
    from handful.api import load as load
    from handful.api import tune as tune
    from handful.backbones.base import Backbone as Backbone
    from handful.data.dataset import Dataset as Dataset
    from handful.errors import BundleError as BundleError
    from handful.errors import DataError as DataError
    from handful.errors import HandfulError as HandfulError
    from handful.errors import MachineError as MachineError
    from handful.errors import OptionError as OptionError
    from handful.errors import WeightsError as WeightsError
    from handful.evaluation.scores import Scores as Scores
    from handful.export.bundle import Bundle as Bundle
    from handful.features.encoder import Encoder as Encoder
    from handful.features.extract import Features as Features
    from handful.inspection.findings import Finding as Finding
    from handful.plan import Plan as Plan
    from handful.strategies.heads import Centroid as Centroid
    from handful.strategies.heads import LinearSVM as LinearSVM
    from handful.strategies.heads import Logistic as Logistic
    from handful.strategies.heads import Majority as Majority
    from handful.strategies.heads import Ridge as Ridge

# Public name → the module it lives in, imported when the name is first used: `import handful` answers at
# once, and torch is loaded only by those who need it (docs/decisions/0001).
_HOMES = {
    "Backbone": "backbones.base",
    "Bundle": "export.bundle",
    "BundleError": "errors",
    "Centroid": "strategies.heads",
    "DataError": "errors",
    "Dataset": "data.dataset",
    "Encoder": "features.encoder",
    "Features": "features.extract",
    "Finding": "inspection.findings",
    "HandfulError": "errors",
    "LinearSVM": "strategies.heads",
    "Logistic": "strategies.heads",
    "MachineError": "errors",
    "Majority": "strategies.heads",
    "OptionError": "errors",
    "Plan": "plan",
    "Ridge": "strategies.heads",
    "Scores": "evaluation.scores",
    "WeightsError": "errors",
    "inspect": "api",
    "load": "api",
    "tune": "api",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'handful' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"handful.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
