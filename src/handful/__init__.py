"""Fine-tune a pre-trained model from a handful of examples, and be told the truth about the result."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from handful.choices import METHODS

if TYPE_CHECKING:
    __version__: str
    """The version of the package that is installed."""
    # What is public, for type checkers and editors; `make docs` writes it from what stands below.
    # <!-- names -->
    from handful.api import inspect as inspect
    from handful.api import load as load
    from handful.api import predict as predict
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
    from handful.export.detector import Detector as Detector
    from handful.export.finder import Finder as Finder
    from handful.export.heads import Heads as Heads
    from handful.export.language_model import LanguageModel as LanguageModel
    from handful.export.segmenter import Segmenter as Segmenter
    from handful.features.encoder import Encoder as Encoder
    from handful.features.extract import Features as Features
    from handful.inspection.findings import Finding as Finding
    from handful.inspection.findings import Findings as Findings
    from handful.monitoring.check import check as check
    from handful.plan import Plan as Plan
    from handful.regimes.domain_adaptive import adapt as adapt
    from handful.regimes.moved_base import AdaptedBase as AdaptedBase
    from handful.run import Run as Run
    from handful.strategies.frozen.heads import Centroid as Centroid
    from handful.strategies.frozen.heads import LinearSVM as LinearSVM
    from handful.strategies.frozen.heads import Logistic as Logistic
    from handful.strategies.frozen.heads import Majority as Majority
    from handful.strategies.frozen.heads import Ridge as Ridge
    from handful.strategies.frozen.prototypes import Prototypes as Prototypes
    from handful.strategies.language.data_selection import pick as pick
    from handful.strategies.language.estimators import Instructed as Instructed
    from handful.strategies.language.estimators import Prompted as Prompted
    from handful.strategies.tuned.meta_learning import Meta as Meta
    from handful.strategies.tuned.meta_learning import Related as Related
    from handful.strategies.tuned.methods.adapters import Adapters as Adapters
    from handful.strategies.tuned.methods.bias import BiasOnly as BiasOnly
    from handful.strategies.tuned.methods.contrastive import Contrastive as Contrastive
    from handful.strategies.tuned.methods.curriculum import Curriculum as Curriculum
    from handful.strategies.tuned.methods.distilled import Distilled as Distilled
    from handful.strategies.tuned.methods.full import Full as Full
    from handful.strategies.tuned.methods.gradual import Gradual as Gradual
    from handful.strategies.tuned.methods.ia3 import IA3 as IA3
    from handful.strategies.tuned.methods.lora import LoRA as LoRA
    from handful.strategies.tuned.methods.partial import Partial as Partial
    from handful.strategies.tuned.methods.prefix import Prefixes as Prefixes
    from handful.strategies.tuned.methods.prompt import Prompts as Prompts
    from handful.strategies.tuned.methods.soup import Soup as Soup
    from handful.strategies.tuned.methods.supcon import SupCon as SupCon
    from handful.strategies.tuned.methods.wise import WiSEFT as WiSEFT
    from handful.tune_targets import HeadsRun as HeadsRun
    from handful.tune_targets import tune_heads as tune_heads
    from handful.updating.update import update as update
    from handful.versions.rival import against as against
    # <!-- /names -->

# Public name → the module it lives in, imported when the name is first used: `import handful` answers at
# once, and torch is loaded only by those who need it (docs/decisions/0001).
_HOMES = {
    "AdaptedBase": "regimes.moved_base",
    "Backbone": "backbones.base",
    "Bundle": "export.bundle",
    "BundleError": "errors",
    "Centroid": "strategies.frozen.heads",
    "DataError": "errors",
    "Dataset": "data.dataset",
    "Detector": "export.detector",
    "Encoder": "features.encoder",
    "Features": "features.extract",
    "Finding": "inspection.findings",
    "Findings": "inspection.findings",
    "HandfulError": "errors",
    "Instructed": "strategies.language.estimators",
    "LanguageModel": "export.language_model",
    "LinearSVM": "strategies.frozen.heads",
    "Logistic": "strategies.frozen.heads",
    "MachineError": "errors",
    "Majority": "strategies.frozen.heads",
    "Meta": "strategies.tuned.meta_learning",
    "OptionError": "errors",
    "Plan": "plan",
    "Prompted": "strategies.language.estimators",
    "Prototypes": "strategies.frozen.prototypes",
    "Related": "strategies.tuned.meta_learning",
    "Ridge": "strategies.frozen.heads",
    "Run": "run",
    "Scores": "evaluation.scores",
    "Finder": "export.finder",
    "Segmenter": "export.segmenter",
    "TrainingError": "errors",
    "WeightsError": "errors",
    "adapt": "regimes.domain_adaptive",
    "against": "versions.rival",
    "check": "monitoring.check",
    "explain": "explanation",
    "inspect": "api",
    "load": "api",
    "pick": "strategies.language.data_selection",
    "predict": "api",
    "tune": "api",
    "tune_heads": "tune_targets",
    "Heads": "export.heads",
    "HeadsRun": "tune_targets",
    "update": "updating.update",
    **{method.kind: method.module for method in METHODS},
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("handful")
    if name not in _HOMES:
        raise AttributeError(f"module 'handful' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"handful.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
