"""Sites made by hand: rows of a few classes around their means, and a gathering whose clock is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.features.view import unit_rows
from handful.regimes.federated import wire
from handful.regimes.federated.gathering import Gathering
from handful.regimes.federated.site import Site, SiteRows
from handful.regimes.federated.terms import Terms
from handful.tasks.classification import CLASSIFICATION

WIDTH = 12
TERMS = Terms("text", "toy-text", "f" * 8, 2, WIDTH, "0.1", folds=3, penalties=(1.0, 0.1))
SAYS = dict(
    protocol=TERMS.protocol, version="0.1", modality="text", backbone="toy-text", fingerprint="f" * 8, depth=2,
    width=WIDTH, task="classification",
)  # fmt: skip


def rows_of(rng, labels, spread=0.4):
    """Rows whose class is their direction, more or less. Names of classes → (N, D)."""
    kinds = sorted(set(labels))
    centres = np.eye(WIDTH)[[sum(map(ord, kind)) % WIDTH for kind in kinds]]
    x = centres[[kinds.index(label) for label in labels]] + spread * rng.normal(size=(len(labels), WIDTH))
    return unit_rows(x)


def site(x, labels, terms=TERMS, noise=None, scored=None, groups=None):
    every = np.ones(len(x), bool) if scored is None else scored
    own = np.arange(len(x)) if groups is None else groups
    return Site(terms, SiteRows(CLASSIFICATION, np.asarray(x, np.float32), tuple(labels), own, every), noise)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def gathering(expected=2, terms=TERMS, wait=100.0, noise=None):
    clock, said = Clock(), []
    return Gathering(terms, expected, wait, clock, said.append, noise), clock, said


def join(gathered, name, **other):
    return gathered.join({"name": name, **SAYS, **other})


def run(gathered, sites):
    """All sites do what they are asked: name → Site. Gives what each has in the end."""
    keys = {name: join(gathered, name) for name in sites}
    for name, one in sites.items():
        gathered.take_sums(name, keys[name], wire.pack_sums(one.sums()))
    heads = {name: wire.unpack_maps(gathered.heads(name, keys[name]), gathered.terms) for name in sites}
    for name, one in sites.items():
        gathered.take_votes(name, keys[name], wire.pack_votes(one.votes(*heads[name])))
    out = {}
    for name, one in sites.items():
        model = wire.Model(gathered.model(name, keys[name]), gathered.terms)
        out[name] = model, one.ended(*heads[name], model.by_fold)
    for name in sites:
        gathered.take_verdict(name, keys[name], out[name][1].gain.verdict)
    return out
