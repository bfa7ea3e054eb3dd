"""Which weights may move, and how what moved is saved, put back, averaged and faded out."""

from __future__ import annotations

from handful.errors import OptionError, suggestion
from handful.training.tuners.adapter import Adapter as Adapter
from handful.training.tuners.base import Tuner as Tuner
from handful.training.tuners.inplace import Bias as Bias
from handful.training.tuners.inplace import Blocks as Blocks
from handful.training.tuners.inplace import HeadOnly as HeadOnly
from handful.training.tuners.peft_tuners import IA3 as IA3
from handful.training.tuners.peft_tuners import LoRA as LoRA
from handful.training.tuners.prefix import Prefix as Prefix
from handful.training.tuners.prefix import Prompt as Prompt

TUNERS: dict[str, type[Tuner]] = {t.name: t for t in (HeadOnly, Bias, LoRA, Adapter, Prompt, Prefix, IA3, Blocks)}
"""Every tuner by its name, fewest weights first."""


def tuner(name: str, **options: object) -> Tuner:
    """The tuner of this name.

    Raises:
        OptionError: there is none.
    """
    if name not in TUNERS:
        raise OptionError(f"tuner must be one of {', '.join(TUNERS)}, got {name!r}.{suggestion(name, TUNERS)}")
    return TUNERS[name](**options)
