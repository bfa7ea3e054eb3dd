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
    from handful.errors import TrainingError as TrainingError
    from handful.errors import WeightsError as WeightsError
    from handful.evaluation.scores import Scores as Scores
    from handful.explanation import explain as explain
    from handful.export.bundle import Bundle as Bundle
    from handful.export.speaker import Speaker as Speaker
    from handful.features.encoder import Encoder as Encoder
    from handful.features.extract import Features as Features
    from handful.inspection.findings import Finding as Finding
    from handful.plan import Plan as Plan
    from handful.speech import LanguageRun as LanguageRun
    from handful.strategies.heads import Centroid as Centroid
    from handful.strategies.heads import LinearSVM as LinearSVM
    from handful.strategies.heads import Logistic as Logistic
    from handful.strategies.heads import Majority as Majority
    from handful.strategies.heads import Ridge as Ridge
    from handful.strategies.picking import pick as pick
    from handful.strategies.prototypes import Prototypes as Prototypes
    from handful.strategies.speaking import Instructed as Instructed
    from handful.strategies.speaking import Prompted as Prompted
    from handful.strategies.starts import Meta as Meta
    from handful.strategies.starts import Related as Related
    from handful.strategies.tuned import Adapters as Adapters
    from handful.strategies.tuned import BiasOnly as BiasOnly
    from handful.strategies.tuned import Contrastive as Contrastive
    from handful.strategies.tuned import Distilled as Distilled
    from handful.strategies.tuned import Factors as Factors
    from handful.strategies.tuned import Full as Full
    from handful.strategies.tuned import Gradual as Gradual
    from handful.strategies.tuned import LowRank as LowRank
    from handful.strategies.tuned import Partial as Partial
    from handful.strategies.tuned import Prefixes as Prefixes
    from handful.strategies.tuned import Soup as Soup
    from handful.strategies.tuned import SupCon as SupCon
    from handful.strategies.tuned import Wise as Wise
    from handful.upkeep import check as check

# Public name → the module it lives in, imported when the name is first used: `import handful` answers at
# once, and torch is loaded only by those who need it (docs/decisions/0001).
_HOMES = {
    "Adapters": "strategies.tuned",
    "Backbone": "backbones.base",
    "BiasOnly": "strategies.tuned",
    "Bundle": "export.bundle",
    "BundleError": "errors",
    "Centroid": "strategies.heads",
    "Contrastive": "strategies.tuned",
    "DataError": "errors",
    "Dataset": "data.dataset",
    "Distilled": "strategies.tuned",
    "Encoder": "features.encoder",
    "Factors": "strategies.tuned",
    "Features": "features.extract",
    "Finding": "inspection.findings",
    "Full": "strategies.tuned",
    "Gradual": "strategies.tuned",
    "HandfulError": "errors",
    "Instructed": "strategies.speaking",
    "LanguageRun": "speech",
    "LinearSVM": "strategies.heads",
    "Logistic": "strategies.heads",
    "LowRank": "strategies.tuned",
    "MachineError": "errors",
    "Majority": "strategies.heads",
    "Meta": "strategies.starts",
    "OptionError": "errors",
    "Partial": "strategies.tuned",
    "Plan": "plan",
    "Prefixes": "strategies.tuned",
    "Prompted": "strategies.speaking",
    "Prototypes": "strategies.prototypes",
    "Related": "strategies.starts",
    "Ridge": "strategies.heads",
    "Scores": "evaluation.scores",
    "Soup": "strategies.tuned",
    "Speaker": "export.speaker",
    "SupCon": "strategies.tuned",
    "TrainingError": "errors",
    "WeightsError": "errors",
    "Wise": "strategies.tuned",
    "check": "upkeep",
    "explain": "explanation",
    "inspect": "api",
    "load": "api",
    "pick": "strategies.picking",
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
