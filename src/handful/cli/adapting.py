"""The command that lets a backbone learn from items without labels: adapt."""

from __future__ import annotations

import shlex
import sys

from handful.cli.ending import naming_resume
from handful.cli.given import check_backbone, check_source, place
from handful.cli.printing import put, put_line
from handful.cli.weights import Flag
from handful.progress import Bars


def adapt(
    pool: str,
    *,
    out: str,
    backbone: str = "auto",
    budget: str = "5min",
    seed: int = 0,
    input: str | None = None,  # noqa: A002 - the name of the flag
    resume: Flag = False,
) -> None:
    """Let a backbone learn from many items without labels, and write a base that `handful tune` can start from.

    Args:
        pool: items without labels: a folder, a table or a text file, as for `handful predict`; at least 100.
        out: the folder to write, such as bases/mine.
        backbone: a name from `handful models list`, a folder or a Hugging Face id; by default the first default one
            for items of this kind.
        budget: how long it may take.
        seed: one number that fixes every random choice.
        input: the column that holds the text or the file name; guessed when the guess is safe.
        resume: go on from where an interrupted run of the same command stood.
    """
    from handful.data.sources import that_exists

    check_source(pool, "items without labels")
    that_exists(pool)  # said before the seconds that these take
    check_backbone(backbone)
    folder = place(out)
    with Bars() as bars, naming_resume(folder):
        bars.now("start")

        from handful.regimes.domain_adaptive import adapt as adapted
        from handful.training.devices import spare_the_compiler

        spare_the_compiler()
        made = adapted(
            pool, out=folder, backbone=backbone, budget=budget, seed=seed, resume=resume, input=input, progress=bars
        )
    for note in made.notes:
        put_line(note, sys.stderr)
    for sentence in made.sentences:
        put_line(sentence)
    both = shlex.quote(f"{made.original},{folder}")
    put(f"whether it is better, held-out rows say: handful tune ROWS --backbone {both}")
