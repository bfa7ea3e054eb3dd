"""Five sites of agnews with skewed classes: all rows at one place, fitted together, alone, and together with noise.

In a few draws weights move together as well, which takes minutes a draw: ``--moved 2`` measures two of them.

What sites and coordinator do is what the commands do, message by message, without the wire between them. Noise needs
dp-accounting (``pip install 'handful[federated]'``).

    python benchmarks/federated.py --draws 10 --out benchmarks/results/federated.csv
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from handful.backbones.base import Backbone
from handful.data.dataset import Dataset
from handful.features.cache import user_cache
from handful.features.extract import extract
from handful.features.view import unit_rows
from handful.regimes.federated import wire
from handful.regimes.federated.averaging import recipe_in, rounds_of
from handful.regimes.federated.gains import ALONE, TIE, TOGETHER
from handful.regimes.federated.gathering import Gathering
from handful.regimes.federated.heads import ridges
from handful.regimes.federated.joint import Joint, fitted, fold_maps
from handful.regimes.federated.moving import Mover
from handful.regimes.federated.privacy import SCORED, Noise
from handful.regimes.federated.rounds import Moving
from handful.regimes.federated.site import Site, SiteRows
from handful.regimes.federated.steps import END, Step
from handful.regimes.federated.terms import FOLDS_MOVED, PROTOCOL, STRATEGY, Terms
from handful.regimes.federated.votes import held_out_scores
from handful.strategies.tuned.activation_cache import activations_for
from handful.tasks.classification import CLASSIFICATION
from handful.training.apply_delta import installed
from ledger import Ledger, Row, cells, mean, options, spread
from pools import by_name, load_backbones, rows_of

SITES = 5
EACH = (40, 200)
"""Rows of a site."""
TEST = 1000
SKEW = 0.5
"""Of the Dirichlet distribution that the classes of a site are drawn from: one or two of four have most of its rows."""
EPSILONS = (8.0, 4.0, 1.0)
DELTA = 1e-5
BACKBONE = "minilm-l6"
ROUNDS, MOVED_EACH = 3, 200
"""How often weights are averaged, and the rows of a site where they are."""
FIELDS = ("rows", "draw", "arm", "accuracy", "own", "kilobytes", "apart", "gain", "lose", "tie", "ships", "lower")
ARMS = ("central", "federated", "moved", "local", *(f"noise {epsilon:g}" for epsilon in EPSILONS))


def main() -> None:
    """Measure what is not there yet; print the table."""
    parser = options(__doc__, "agnews", 10, "federated.csv")
    parser.add_argument("--moved", type=int, default=0, help="in how many draws weights move together as well")
    args = parser.parse_args()
    ledger = Ledger(args.out, FIELDS, ("rows", "draw", "arm"))
    for each in () if args.table else EACH:
        for draw in range(args.draws):
            if not ledger.has(rows=each, draw=draw):
                x, labels = _seen(args.data)
                ledger.gather({"rows": each, "draw": draw}, _measured(x, labels, each, draw))
    for draw in () if args.table else range(args.moved):
        if not ledger.has(rows=MOVED_EACH, draw=draw, arm="moved"):
            x, labels = _seen(args.data)
            ledger.gather({"rows": MOVED_EACH, "draw": draw}, [_moved(args.data, x, labels, draw)])
    print(table(ledger.rows))


@cache
def _read(folder: object) -> tuple[Dataset, Backbone]:
    """All rows of agnews, and what looks at them."""
    (task,) = by_name("agnews")
    data = rows_of(task, folder)  # type: ignore[arg-type]
    (backbone,) = load_backbones(BACKBONE, "text", data.items).values()
    return data, backbone


@cache
def _seen(folder: object) -> tuple[np.ndarray, np.ndarray]:
    """All rows of agnews, seen once."""
    data, backbone = _read(folder)
    depth, kept = backbone.search_depths[0], user_cache()
    x = extract(backbone, data.items, (depth,), kept).matrices[depth]
    kept.close()
    return unit_rows(x), np.array(data.labels)


def _measured(x: np.ndarray, labels: np.ndarray, each: int, draw: int) -> Iterator[Row]:
    """All arms of one draw on frozen weights."""
    rng = np.random.default_rng([draw, each])
    names = tuple(sorted(set(labels.tolist())))
    terms = Terms("text", BACKBONE, "the same", 6, x.shape[1], "the same")
    test, parts = _split(x, labels, names, each, rng)
    rows = [_rows(x, labels, part) for part in parts]

    def told(arm: str, models: Sequence[Joint], **more: object) -> Row:
        return _told(arm, models, x[test], labels[test], [labels[part] for part in parts], **more)

    whole = _rows(x, labels, np.concatenate(parts))
    yield told("central", [_alone(Site(terms, whole))])
    gathering = _gathered(terms, [Site(terms, own) for own in rows], None)
    assert gathering.joint is not None and gathering.together is not None
    one, other = ridges(gathering.together, (1.0,)), ridges(Site(terms, whole).own, (1.0,))
    verdicts, apart = gathering.verdicts, float(np.abs(one.coef - other.coef).max())
    yield told(
        "federated", [gathering.joint], kilobytes=_kilobytes(gathering), apart=apart,
        gain=verdicts[TOGETHER], lose=verdicts[ALONE], tie=verdicts[TIE],
    )  # fmt: skip
    yield told("local", [_alone(Site(terms, own)) for own in rows])
    for epsilon in EPSILONS:
        asked, noise = replace(terms, epsilon=epsilon, delta=DELTA, classes=names), _noise(epsilon)
        coins = [replace(own, scored=rng.random(len(own.labels)) < SCORED) for own in rows]
        private = _gathered(asked, [Site(asked, own, noise) for own in coins], noise)
        assert private.joint is not None
        yield told(f"noise {epsilon:g}", [private.joint], kilobytes=_kilobytes(private))


def _told(
    arm: str, models: Sequence[Joint], x: np.ndarray, labels: np.ndarray, own: Sequence[np.ndarray], **more: object
) -> Row:
    """How models fare, one for all sites or one for each: (N, D) test rows, their labels, and those of each site."""
    names = sorted(set(labels.tolist()))
    hits = [_hits(model, x, labels, names) for model in models]
    overall = float(np.mean([hit @ _shares(labels, names) for hit in hits]))
    every = hits * SITES if len(hits) == 1 else hits
    mine = float(np.mean([hit @ _shares(mix, names) for hit, mix in zip(every, own, strict=True)]))
    nothing = dict.fromkeys(FIELDS[5:], "")
    return {"arm": arm, "accuracy": round(overall, 4), "own": round(mine, 4), **nothing, **more}


def _moved(folder: object, x: np.ndarray, labels: np.ndarray, draw: int) -> Row:
    """One draw of weights that move together, as the commands have it; what ships may be frozen."""
    rng = np.random.default_rng([draw, MOVED_EACH])
    names = tuple(sorted(set(labels.tolist())))
    test, parts = _split(x, labels, names, MOVED_EACH, rng)
    data, backbone = _read(folder)
    rounds = rounds_of(ROUNDS, STRATEGY, backbone, x.shape[1])
    terms = Terms(
        "text", BACKBONE, backbone.fingerprint, rounds.depth, x.shape[1], "the same", folds=FOLDS_MOVED, rounds=rounds
    )  # fmt: skip
    sites, items = [Site(terms, _rows(x, labels, part)) for part in parts], [data.take(part).items for part in parts]
    moving = Moving(terms, backbone, lambda said: print(said, flush=True))
    gathering = _gathered(terms, sites, None, moving, backbone, items)
    joint, seen = gathering.joint, x[test]
    assert joint is not None and joint.moved is not None
    if joint.moved.delta is not None:
        tuned = installed(backbone, moving.tuner.name, moving.first, dict(joint.moved.delta))
        seen = unit_rows(extract(tuned, data.take(test).items, (rounds.depth,)).matrices[rounds.depth])
    return _told(
        "moved", [joint], seen, labels[test], [labels[part] for part in parts], kilobytes=_kilobytes(gathering),
        ships=int(joint.moved.ships), lower=round(joint.moved.gain.value, 4),
    )  # fmt: skip


def _split(
    x: np.ndarray, labels: np.ndarray, names: Sequence[str], each: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Test rows, and those of each site."""
    order = rng.permutation(len(x))
    return order[:TEST], _dealt(order[TEST:], labels, names, each, rng)


@cache
def _noise(epsilon: float) -> Noise:
    return Noise.of(epsilon, DELTA)


def _dealt(
    free: np.ndarray, labels: np.ndarray, names: Sequence[str], each: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Rows of each site, of classes as they come there; no row is at two."""
    parts, left = [], free
    for _ in range(SITES):
        weights = rng.dirichlet(np.full(len(names), SKEW))
        share = np.array([weights[names.index(label)] for label in labels[left]]) + 1e-9
        part = rng.choice(left, each, replace=False, p=share / share.sum())
        parts.append(part)
        left = np.setdiff1d(left, part)
    return parts


def _rows(x: np.ndarray, labels: np.ndarray, part: np.ndarray) -> SiteRows:
    every = np.ones(len(part), bool)
    return SiteRows(CLASSIFICATION, x[part], tuple(labels[part].tolist()), np.arange(len(part)), every)


def _alone(site: Site) -> Joint:
    """The same fit of one place alone."""
    sums = site.sums()
    votes = site.votes(fold_maps(sums, site.terms, None, 1), sums.names)
    return fitted(sums, [votes], site.terms, None, 1)


def _gathered(
    terms: Terms, sites: Sequence[Site], noise: Noise | None, moving: Moving | None = None,
    seen_by: Backbone | None = None, items: Sequence[Sequence[object]] = (),
) -> Gathering:  # fmt: skip
    """Sites go through a gathering, each message as it goes over the wire; items of each where weights move."""
    gathering = Gathering(terms, len(sites), 1e9, lambda: 0.0, noise=noise, moving=moving)
    says = dict(
        protocol=PROTOCOL, version=terms.version, modality=terms.modality, backbone=terms.backbone,
        fingerprint=terms.fingerprint, depth=terms.depth, width=terms.width, task="classification",
    )  # fmt: skip
    keys = {f"site {i}": gathering.join({"name": f"site {i}", **says}) for i in range(len(sites))}
    both = list(zip(keys.items(), sites, strict=True))
    for who, site in both:
        gathering.take_sums(*who, wire.pack_sums(site.sums()))
    for who, site in both:
        heads = wire.unpack_maps(gathering.heads(*who) or b"", terms)
        gathering.take_votes(*who, wire.pack_votes(site.votes(*heads)))
    if moving is not None and seen_by is not None:
        some = zip(keys.items(), sites, items, strict=True)
        _go_round(gathering, [(who, _mover(gathering, seen_by, who, site, own)) for who, site, own in some])
        return gathering
    for who, site in both:
        heads = wire.unpack_maps(gathering.heads(*who) or b"", terms)
        model = wire.Model(gathering.model(*who) or b"", terms)
        gathering.take_verdict(*who, site.ended(*heads, model.by_fold).gain.verdict)
    return gathering


def _mover(
    gathering: Gathering, backbone: Backbone, who: tuple[str, str], site: Site, items: Sequence[object]
) -> Mover:  # fmt: skip
    """The part of a site in the rounds."""
    assert site.terms.rounds is not None
    recipe = recipe_in(site.terms.rounds, backbone)
    maps, names = wire.unpack_maps(gathering.heads(*who) or b"", site.terms)
    activations = activations_for(backbone, items, site.own.names, recipe)
    return Mover(site, activations, recipe, held_out_scores(maps, site.rows.features, site.folds), names)


def _go_round(gathering: Gathering, movers: Sequence[tuple[tuple[str, str], Mover]]) -> None:
    """All sites reply to step after step."""
    step = Step(0, "")
    while step.kind != END:
        (first, _), *_ = movers
        step = Step.decoded(gathering.next_step(*first, step.number) or b"", gathering.terms)
        for who, mover in movers if step.kind != END else ():
            gathering.take_reply(*who, mover.reply(step).encoded())


def _kilobytes(gathering: Gathering) -> float:
    """What a site sends, on the mean."""
    return round(float(np.mean([one.received for one in gathering.taking_part])) / 1e3, 1)


def _hits(model: Joint, x: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The share of test rows of each class that is answered right; a class that a model does not know is never."""
    said = np.array([model.names[c] for c in (x @ model.coef + model.intercept).argmax(1)])
    return np.array([np.mean(said[labels == name] == name) for name in names])


def _shares(labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return np.array([np.mean(labels == name) for name in names])


def table(rows: Sequence[Row]) -> str:
    """Means over draws, and the difference to all rows at one place with its interval."""
    lines = [
        "rows of a site   arm         draws   accuracy   against central, points   own classes   kB sent by a site   "
        "sites that gain, lose, cannot tell"
    ]
    for (each, arm), some in cells(rows, "rows", "arm").items():
        at = {str(row["draw"]): row for row in rows if str(row["rows"]) == each and row["arm"] == "central"}
        paired = [{**row, "central": at[str(row["draw"])]["accuracy"]} for row in some]
        apart = "" if arm == "central" else spread(paired, "accuracy", "central")
        sent = f"{mean(some, 'kilobytes'):,.0f}" if some[0]["kilobytes"] != "" else ""
        gains = ", ".join(f"{mean(some, name):.1f}" for name in ("gain", "lose", "tie")) if arm == "federated" else ""
        lines.append(
            f"{each:>14}   {arm:<10}{len(some):>7}{100 * mean(some, 'accuracy'):>11.1f}   {apart:<23}"
            f"{100 * mean(some, 'own'):>14.1f}{sent:>20}   {gains}".rstrip()
        )
    moved = [row for row in rows if row["arm"] == "moved"]
    frozen = {(str(row["rows"]), str(row["draw"])): row for row in rows if row["arm"] == "federated"}
    paired = [{**row, "frozen": frozen[str(row["rows"]), str(row["draw"])]["accuracy"]} for row in moved]
    if paired:
        ships, lower = sum(int(str(row["ships"])) for row in moved), mean(moved, "lower")
        lines.append(
            f"moved against federated, points: {spread(paired, 'accuracy', 'frozen')}; its loss at the sites is "
            f"{lower:.3f} nats lower, and it ships in {ships} of {len(moved)} draws"
        )
    furthest = max(float(str(row["apart"])) for row in rows if row["arm"] == "federated")
    lines.append(f"largest difference of a coefficient between federated and central: {furthest:.1e}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
