"""Several language models on one base: the weights that they have in common are in memory once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from handful.backbones.base import default_device
from handful.backbones.language import LanguageBackbone
from handful.export.language_model import LanguageModel
from handful.export.loading import untouched
from handful.progress import Say, silent
from handful.run_folder import LANGUAGE
from handful.training.sharing import share_weights


def ready_together(models: Sequence[LanguageModel], say: Say = silent) -> int:
    """Load several models, each base once.

    Args:
        models: any; those that start from the same weights share what did not move.
        say: told what is done.

    Returns:
        Bytes that are held once in place of several times.

    Raises:
        WeightsError: a backbone is not there and cannot be fetched.
        BundleError: a backbone is not the one that a model was made with.
    """
    bases: dict[tuple[str, str], LanguageBackbone] = {}
    saved = 0
    for model in models:
        key = model.backbone_name, model.fingerprint
        again = key in bases
        if not again:
            say(f"loading {model.backbone_name}", 0, 0)
            fetching = partial(say, f"fetching {model.backbone_name}")
            base = untouched(model.backbone_name, LANGUAGE, model.fingerprint, progress=fetching)
            assert isinstance(base, LanguageBackbone)
            base.to(default_device())
            bases[key] = base
        model.loaded = model.built_on(bases[key])
        below = bases[key].blocks if model.moved is None else bases[key].blocks[: model.moved.first]
        if again:
            saved += sum(w.numel() * w.element_size() for block in below for w in block.parameters())
        if model.moved is not None:
            common = share_weights(model.loaded, bases[key])
            saved += common * again
    return saved
