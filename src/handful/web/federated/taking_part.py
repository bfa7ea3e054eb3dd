"""A site takes part: it reads its own rows, sends sums of them, and has the model in the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handful.atomic import replaced_folder
from handful.backbones import catalog
from handful.backbones.base import Backbone, default_device
from handful.data.cells import shown
from handful.data.columns import Wanted
from handful.data.dataset import Dataset
from handful.data.image_text import IMAGE_TEXT
from handful.data.items import PLURAL
from handful.data.names import listed
from handful.data.several import load_part
from handful.data.splits import merge_groups
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.export.federated import card, joint_bundle, site_bundle
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.inspection.profile import duplicate_groups
from handful.progress import Bars
from handful.regimes.federated import wire
from handful.regimes.federated.averaging import recipe_in, rounds_of
from handful.regimes.federated.gains import KEPT, Gain
from handful.regimes.federated.heads import Maps
from handful.regimes.federated.moving import Mover
from handful.regimes.federated.privacy import Noise, scored_rows, within_classes
from handful.regimes.federated.site import Site, SiteRows
from handful.regimes.federated.steps import END, TRAIN, Step
from handful.regimes.federated.terms import PROTOCOL, Rounds, Terms
from handful.regimes.federated.votes import held_out_scores
from handful.strategies.tuned.activation_cache import activations_for
from handful.tasks.classification import CLASSIFICATION
from handful.web.federated.connection import Connection

MODEL, RECORD = "model", "federated.json"
"""What is in the folder of a site or coordinator: the model, and what was fitted and measured."""


@dataclass(frozen=True)
class Given:
    """What the user of a site said."""

    source: str
    """Its rows."""
    name: str
    """What it calls itself."""
    out: Path
    """Where its model goes."""
    columns: Wanted
    """The columns of its rows."""
    backbone: str | None = None
    """The backbone that it insists on; None: any of the catalogue."""
    epsilon: float | None = None
    """The largest ε that it takes part with; None: it takes part without noise as well."""


@dataclass(frozen=True)
class Taken:
    """What a site has in the end."""

    gain: Gain
    """Against a model of its own rows alone."""
    score: str
    """How good the model is on the rows of all sites, in words."""
    sent: int
    """How many bytes left the site."""


def take_part(line: Connection, given: Given, version: str, bars: Bars, tell: Callable[[str], None]) -> Taken:
    """Fit a model with other sites.

    Args:
        line: to the coordinator.
        given: what the user said.
        version: of handful.
        bars: told how far things are.
        tell: told what to know, a sentence each.

    Raises:
        DataError: the rows cannot be used, or the coordinator refuses the site.
        OptionError: the coordinator asks for more than the user allows.
        MachineError: it does not answer.
        WeightsError: the backbone cannot be had.
    """
    bars.now("waiting for the coordinator")
    terms = Terms.decoded(line.get("/terms"))
    _check_allowed(terms, given)
    tell(terms.sentence)
    bars.now("read")
    data = _read(given, terms, tell)
    bars.now("load")
    name = given.backbone or terms.backbone
    backbone = catalog.load(name, terms.modality if given.backbone is None else data.modality)
    data, rows = _seen(data, backbone, terms, bars)
    site = Site(terms, rows, None if terms.epsilon is None else Noise.of(terms.epsilon, terms.delta))
    _check_rounds(terms, backbone)
    said = {
        "name": given.name, "protocol": PROTOCOL, "version": version, "modality": data.modality, "backbone": name,
        "fingerprint": backbone.fingerprint, "depth": backbone.search_depths[0], "width": rows.features.shape[1],
        "task": data.task,
    }  # fmt: skip
    line.key = str(line.tell("/join", said).get("key", ""))
    line.site = given.name
    _warn_of_few(site, tell)
    with line.heard_of():
        bars.now("sending sums")
        line.post("/sums", wire.pack_sums(site.sums()))
        bars.now("waiting for the sums of other sites")
        maps, names = wire.unpack_maps(line.get("/heads"), terms)
        _check_known(names, rows)
        line.post("/answers", wire.pack_votes(site.votes(maps, names)))
        mover = None if terms.rounds is None else _mover(site, terms.rounds, data, backbone, maps, names, tell)
        if mover is not None:
            _go_round(line, mover, terms, bars)
        bars.now("waiting for the model")
        model = wire.Model(line.get("/model"), terms)
        for remark in model.remarks:
            tell(shown(remark))
        instead = None if mover is None or not any(model.moved[:-1]) else mover.instead(model.moved[:-1])
        ended = site.ended(maps, names, model.by_fold, instead)
        moved = None if mover is None or not model.reads_moved else mover.kept()
        bundle = joint_bundle(model.names, model.coef, model.intercept, terms, backbone, model.measured, moved)
        _save(site_bundle(bundle, data, rows, ended, terms), terms, model, ended.gain, given.out)
        line.tell("/verdict", {"verdict": ended.gain.verdict if terms.epsilon is None else KEPT})
    return Taken(ended.gain, str(model.measured.get("sentence", "")), line.sent)


def _check_rounds(terms: Terms, backbone: Backbone) -> None:
    """Refuse rounds that the backbone cannot have, or that no coordinator of ours asks for."""
    if terms.rounds is None:
        return
    count, strategy, width = terms.rounds.count, terms.rounds.strategy, terms.rounds.width
    if not backbone.blocks or rounds_of(count, strategy, backbone, width) != terms.rounds:
        raise DataError(
            f"the coordinator must ask for rounds that {strategy} has with this backbone, got others. Nothing was "
            "sent. Check that both have the same version of handful."
        )


def _mover(
    site: Site, rounds: Rounds, data: Dataset, backbone: Backbone, maps: Sequence[Maps], names: Sequence[str],
    tell: Callable[[str], None],
) -> Mover:  # fmt: skip
    """The part of the site in the rounds."""
    recipe = recipe_in(rounds, backbone)
    activations = activations_for(backbone, data.items, site.own.names, recipe)
    frozen = held_out_scores(maps, site.rows.features, site.folds)
    return Mover(site, activations, recipe, frozen, names, tell)


def _go_round(line: Connection, mover: Mover, terms: Terms, bars: Bars) -> None:
    """Reply to step after step until there are no more."""
    step = Step(0, TRAIN)
    while step.kind != END:
        bars.now("waiting for weights")
        step = Step.decoded(line.get(f"/step?after={step.number}"), terms)
        if step.kind != END:
            bars.now("moving weights")
            line.post("/reply", mover.reply(step).encoded())


def _save(own: Bundle, terms: Terms, model: wire.Model, gain: Gain, out: Path) -> None:
    """Write the model of a site, and the record of what was fitted and measured here."""
    record = {"terms": json.loads(terms.encoded()), "measured": model.measured, "gain": gain.as_dict()}
    with replaced_folder(out, (RECORD, MODEL)) as folder:
        (folder / MODEL).mkdir()
        own.write(folder / MODEL, card(own, terms, model.measured, None))
        (folder / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _check_allowed(terms: Terms, given: Given) -> None:
    if given.epsilon is not None and (terms.epsilon is None or terms.epsilon > given.epsilon):
        asked = "no noise" if terms.epsilon is None else f"ε = {terms.epsilon:g}"
        raise OptionError(
            f"this site takes part with ε = {given.epsilon:g} at most, but the coordinator asks for {asked}. Nothing "
            "was sent. Agree on --epsilon."
        )
    ours = catalog.modality_of(terms.backbone) is not None and not catalog.is_hub_id(terms.backbone)
    if given.backbone is None and not (ours and "/" not in terms.backbone):
        raise OptionError(
            f"the coordinator asks for the backbone {terms.backbone!r}, which is none of the catalogue. If you have it "
            f"and trust it, add --backbone {shown(terms.backbone)}."
        )


def _read(given: Given, terms: Terms, tell: Callable[[str], None]) -> Dataset:
    """The rows to learn from, of the classes that were named where some were."""
    data = load_part(given.source, given.columns)
    if data.modality == IMAGE_TEXT:
        raise OptionError(
            f"sites fit together on one input, got {PLURAL[IMAGE_TEXT]} in {data.source}. Name one of the two columns "
            "with --input."
        )
    for note in data.notes:
        tell(note)
    if data.labels is None:
        raise DataError(f"{data.source} must have labels to learn from, got none. Name the column with --label.")
    if data.split is not None:
        data = data.part("train")
    if terms.epsilon is None:
        return data
    some = within_classes(data.labels or (), terms.classes)
    if len(some) < len(data):
        tell(f"{len(data) - len(some)} rows are of none of the classes {', '.join(terms.classes)} and are left out")
    return data.take(some)


def _seen(data: Dataset, backbone: Backbone, terms: Terms, bars: Bars) -> tuple[Dataset, SiteRows]:
    """The rows that can be read, and what the backbone sees in them."""
    backbone.to(default_device())
    depth, cache = backbone.search_depths[0], user_cache()
    try:
        looked = extract(backbone, data.items, (depth,), cache, lambda done, total: bars("looking", done, total))
    finally:
        cache.close()
    data = data.without(looked.failed)
    readable = [i for i in range(len(looked.matrices[depth])) if i not in looked.failed]
    copies = duplicate_groups(data)
    groups = merge_groups(np.asarray(data.groups), copies) if data.groups else copies
    scored = np.ones(len(data), bool) if terms.epsilon is None else scored_rows(data.items)
    return data, SiteRows(CLASSIFICATION, looked.matrices[depth][readable], data.labels or (), groups, scored)


def _warn_of_few(site: Site, tell: Callable[[str], None]) -> None:
    """Say which sums are those of one row, which is then told as it is."""
    if site.noise is not None:
        return
    alone = [name for name, count in zip(site.own.names, site.own.counts.sum(0), strict=True) if count == 1]
    if alone:
        tell(f"of {listed(alone)} there is one row here: what is sent of it are its features themselves")


def _check_known(names: tuple[str, ...], rows: SiteRows) -> None:
    if not set(rows.labels) <= set(names):
        raise DataError("the coordinator must know the classes of this site, got heads without them. Start it again.")
