"""Weights that move together: rounds of averages, what is refused in them, and whether held-out rows let them ship."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from federated_sites import Clock
from handful.backbones.toy import ToyText
from handful.errors import DataError, OptionError
from handful.evaluation.decision import gain
from handful.export.bundle import Bundle
from handful.export.federated import joint_bundle
from handful.features.extract import extract
from handful.regimes.federated import averaging, wire
from handful.regimes.federated.averaging import clipped, length, recipe_in, refused_noise, rounds_of
from handful.regimes.federated.gathering import ANSWERS, DONE, ROUNDS, SILENT, VERDICT, Gathering
from handful.regimes.federated.joint import fitted, with_moved
from handful.regimes.federated.moving import Mover
from handful.regimes.federated.paired import Paired, check_paired, paired
from handful.regimes.federated.rounds import Moving
from handful.regimes.federated.site import Site, SiteRows
from handful.regimes.federated.steps import COMPARE, END, SUM, TRAIN, TRY, Reply, Step, pack_weights, unpack_weights
from handful.regimes.federated.terms import PROTOCOL, Asked, Terms
from handful.regimes.federated.votes import added, held_out_scores
from handful.strategies.tuned.activation_cache import activations_for
from handful.tasks.classification import CLASSIFICATION
from handful.web.federated import coordinating

WORDS = [f"word{i}" for i in range(60)]


def texts(number, labels):
    """Texts of two words of their class, of which there are more than features have columns. Classes → N texts."""
    rng = np.random.default_rng(number)
    own = {name: [word for i, word in enumerate(WORDS) if i % 3 == "abc".index(name)] for name in "abc"}
    return [" ".join(rng.choice(own[label], 2)) for label in labels]


@dataclass
class Together:
    """A gathering of sites with toy weights, each message as it goes over the wire."""

    gathered: Gathering
    clock: Clock
    told: list
    movers: dict
    keys: dict
    heads: dict

    def asked(self, name, after=0):
        body = self.gathered.next_step(name, self.keys[name], after)
        return None if body is None else Step.decoded(body, self.gathered.terms)

    def reply(self, name, step):
        self.gathered.take_reply(name, self.keys[name], self.movers[name].reply(step).encoded())

    def kinds(self, names, until=END):
        """The named sites do what they are asked until a step of this kind. Gives the kinds on the way."""
        kinds = []
        while (step := self.asked(names[0], 0)).kind != until:
            kinds.append(step.kind)
            for name in names:
                self.reply(name, step)
        return kinds


def together(rows, count=1, strategy="partial", rate=None):
    """Sites that have answered how frozen heads fare: name → labels of its rows."""
    backbone, clock, told = ToyText(), Clock(), []
    rounds = rounds_of(count, strategy, backbone, 32)
    recipe = recipe_in(rounds, backbone)
    if rate is not None:
        recipe = replace(recipe, settings=replace(recipe.settings, rate=rate))
        rounds = replace(rounds, longest=1e3)
    terms = Terms("text", "toy-text", backbone.fingerprint, 2, 32, "0.1", folds=2, penalties=(1.0, 0.1), rounds=rounds)
    gathered = Gathering(terms, len(rows), 100.0, clock, told.append, None, Moving(terms, backbone, told.append))
    says = dict(
        protocol=PROTOCOL, version="0.1", modality="text", backbone="toy-text", fingerprint=backbone.fingerprint,
        depth=2, width=32, task="classification",
    )  # fmt: skip
    keys = {name: gathered.join({"name": name, **says}) for name in rows}
    sites, items = {}, {}
    for number, (name, labels) in enumerate(rows.items()):
        items[name] = texts(number, labels)
        x, every = extract(backbone, items[name], (2,)).matrices[2], np.ones(len(labels), bool)
        sites[name] = Site(terms, SiteRows(CLASSIFICATION, x, tuple(labels), np.arange(len(labels)), every))
        gathered.take_sums(name, keys[name], wire.pack_sums(sites[name].sums()))
    movers, heads = {}, {}
    for name, site in sites.items():
        heads[name] = maps, names = wire.unpack_maps(gathered.heads(name, keys[name]), terms)
        gathered.take_votes(name, keys[name], wire.pack_votes(site.votes(maps, names)))
        activations = activations_for(backbone, items[name], site.own.names, recipe)
        frozen = held_out_scores(maps, site.rows.features, site.folds)
        movers[name] = Mover(site, activations, recipe, frozen, names, told.append)
    assert gathered.phase == ROUNDS
    return Together(gathered, clock, told, movers, keys, heads)


TWO = {"north": list("aabbc" * 8), "south": list("abbcc" * 8)}


def test_weights_go_round_and_frozen_ones_stay_where_the_rows_do_not_speak_for_them():
    fit = together({"north": list("ab" * 4), "south": list("ab" * 4)}, count=2)
    assert fit.kinds(["north", "south"]) == [TRAIN, TRAIN, SUM] * 2 + [TRY, COMPARE]
    joint = fit.gathered.joint
    assert fit.gathered.phase == VERDICT
    assert joint.arms == (False, False, False)
    assert not joint.moved.ships
    assert "and the model keeps frozen ones" in joint.sentence
    assert joint.measured["moved"]["ships"] is False
    for name, mover in fit.movers.items():
        model = wire.Model(fit.gathered.model(name, fit.keys[name]), fit.gathered.terms)
        assert not model.reads_moved
        ended = mover.site.ended(*fit.heads[name], model.by_fold)
        fit.gathered.take_verdict(name, fit.keys[name], ended.gain.verdict)
    assert fit.gathered.phase == DONE


@pytest.fixture(scope="module")
def shipped():
    """Sites whose rows prefer weights that moved."""
    fit = together({"north": list("aabbc" * 16), "south": list("abbcc" * 16)}, count=2, strategy="full", rate=0.05)
    return fit, fit.kinds(["north", "south"])


def model_of(fit, name):
    return wire.Model(fit.gathered.model(name, fit.keys[name]), fit.gathered.terms)


def test_the_model_reads_weights_that_held_out_rows_prefer(shipped):
    fit, kinds = shipped
    assert kinds == [TRAIN, TRAIN, SUM] * 2 + [TRY, COMPARE, TRAIN, TRAIN, SUM]
    joint = fit.gathered.joint
    assert joint.arms == (True, True, True)
    assert "the model reads them" in joint.sentence
    assert joint.moved.gain.low > 0
    right = 0.0
    for name, mover in fit.movers.items():
        model, site = model_of(fit, name), mover.site
        instead, heads = mover.instead(model.moved[:-1]), fit.heads[name]
        plain, moved = (site.ended(*heads, model.by_fold, one).gain.together.value for one in (None, instead))
        assert instead.taken.all()
        assert moved > plain
        right += moved * len(site.rows.labels)
        kept = mover.kept().delta
        assert all(np.array_equal(kept[weight], values) for weight, values in joint.moved.delta.items())
    # What is told of all sites is what the rows of all sites say, added up.
    assert joint.score.value == pytest.approx(right / 160)


def test_folds_that_do_not_speak_for_moved_weights_keep_frozen_ones(shipped):
    fit, _ = shipped
    mover, model = fit.movers["north"], model_of(fit, "north")
    held = replace(fit.gathered.joint.moved, by_fold=(True, False))
    first = mover.site.folds == 0
    assert (mover.instead(held.by_fold).taken == first).all()
    votes = [member.votes for member in fit.gathered.members.values()]
    frozen = fitted(fit.gathered.together, votes, fit.gathered.terms, None, 2)
    mixed = with_moved(frozen, added(votes), held, fit.gathered.terms)
    right = 0.0
    for name, one in fit.movers.items():
        ended = one.site.ended(*fit.heads[name], model.by_fold, one.instead(held.by_fold))
        right += ended.gain.together.value * len(one.site.rows.labels)
    assert mixed.score.value == pytest.approx(right / 160)


def test_what_is_written_reads_weights_that_moved(shipped, tmp_path):
    fit, _ = shipped
    backbone, mover = ToyText(), fit.movers["south"]
    coordinating.save(fit.gathered, backbone, tmp_path / "joint")
    joint = Bundle.load(tmp_path / "joint")
    asked = texts(9, list("abc" * 10))
    own = joint_bundle(
        model_of(fit, "south").names, model_of(fit, "south").coef, model_of(fit, "south").intercept,
        fit.gathered.terms, backbone, {}, mover.kept(),
    )  # fmt: skip
    assert joint.predict(asked) == own.predict(asked)
    assert np.mean([one == other for one, other in zip(joint.predict(asked), "abc" * 10, strict=True)]) > 0.7
    card = (tmp_path / "joint" / "model" / "README.md").read_text("utf-8")
    assert "with weights that moved together in 2 rounds of weights (full)" in card
    record = json.loads((tmp_path / "joint" / "federated.json").read_text("utf-8"))
    assert record["measured"]["moved"]["ships"] is True
    assert record["terms"]["rounds"]["count"] == 2


def test_weights_that_never_came_make_no_model():
    fit = together(TWO)
    with pytest.raises(DataError, match="the coordinator must send the weights of its model, got none"):
        fit.movers["north"].kept()


def test_a_round_is_the_mean_of_what_sites_send_by_their_rows():
    fit = together({"north": list("abc" * 8), "south": list("abc" * 4)}, count=2)
    first = fit.asked("north")
    sent = {}
    for name in fit.movers:
        reply = fit.movers[name].reply(first)
        sent[name] = unpack_weights(reply.payload, fit.gathered.moving.start), reply.rows
        fit.gathered.take_reply(name, fit.keys[name], reply.encoded())
    then = unpack_weights(fit.asked("north", first.number).payload, fit.gathered.moving.start)
    (one, m), (other, n) = sent.values()
    assert m == 2 * n
    for name, values in then.items():
        np.testing.assert_allclose(values, (2 * one[name] + other[name]) / 3, atol=1e-6)


def test_nothing_that_is_sent_in_a_round_is_larger_than_weights_and_sums_nor_holds_a_text():
    fit = together(TWO)
    most = fit.gathered.weight_bytes + wire.most_bytes(fit.gathered.terms)
    while (step := fit.asked("north")).kind != END:
        for name in TWO:
            body = fit.movers[name].reply(step).encoded()
            assert len(body) < most
            assert not any(word.encode() in body for word in WORDS)
            fit.gathered.take_reply(name, fit.keys[name], body)


def changed(delta, how):
    return Reply(1, 16, pack_weights({name: how(values) for name, values in delta.items()})).encoded()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda values: values * np.float32(np.nan), r"its \d\.weight must be finite numbers, got NaN or infinity"),
        (lambda values: values[:-1], r"its \d\.weight must be float32 of shape"),
        (lambda values: values.astype(np.float64), r"its \d\.weight must be float32 of shape"),
        (lambda values: values + np.float32(1), "its weights must move by .* at most in a round, got more"),
    ],
)
def test_a_site_that_sends_what_no_training_gives_is_left_out_and_named(how, said):
    three = {name: list("ab" * 16) for name in ("north", "south", "liar")}
    fit = together(three)
    with pytest.raises(DataError, match=f"liar was left out: {said}"):
        fit.gathered.take_reply("liar", fit.keys["liar"], changed(fit.gathered.moving.start, how))
    assert "its rows count where weights stay, but not where they move" in fit.gathered.left_out["liar"]
    fit.kinds(["north", "south"])
    assert fit.gathered.joint.moved.sites == 2
    assert fit.gathered.joint.moved.choice.rows == 64


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"nonsense", "what it sent cannot be read"),
        (Reply(1, 99, pack_weights({})).encoded(), "its rows must be the 16 whose sums it sent, got 99"),
        (Reply(1, 16, pack_weights({})).encoded(), "it must send 1 weights by their names, got 0"),
        (
            wire.body_of({"payload": np.zeros(3, np.uint8)}, {"number": "1", "rows": 2}),
            "a reply must say to which step",
        ),
        (wire.body_of({"payload": np.zeros(3)}, {"number": 1, "rows": 2}), "its payload must be bytes, got float64"),
    ],
)
def test_a_reply_that_is_none_is_refused_in_words(body, said):
    fit = together({name: list("ab" * 16) for name in ("north", "south", "odd")})
    with pytest.raises(DataError, match=f"odd was left out: {said}"):
        fit.gathered.take_reply("odd", fit.keys["odd"], body)


def test_a_step_that_is_none_is_refused_in_words():
    terms = replace(together({"n": list("ab" * 4), "s": list("ab" * 4)}).gathered.terms)
    for facts in ({"number": 1, "kind": "cook", "fold": 0}, {"number": 1, "kind": TRAIN, "fold": 7}):
        with pytest.raises(DataError, match="a step must have a number, a kind and a fold"):
            Step.decoded(wire.body_of({"payload": np.zeros(0, np.uint8)}, facts), terms)


def test_who_is_late_misses_a_round_and_who_is_silent_all_of_them():
    fit = together({name: list("ab" * 16) for name in ("north", "south", "slow", "dead")})
    first = fit.asked("north")
    for name in ("north", "south"):
        fit.reply(name, first)
    fit.clock.now += SILENT
    fit.gathered.member("slow", fit.keys["slow"])  # heard of, as sites that compute are
    fit.gathered.advance()
    assert "dead" in fit.gathered.left_out
    assert "its rows count where weights stay, but no longer where they move" in fit.gathered.left_out["dead"]
    assert fit.asked("north", first.number) is None
    fit.clock.now += 50
    second = fit.asked("north", first.number)
    assert second.kind == SUM
    assert "slow is too late for this round, which goes on without it" in fit.told
    fit.reply("slow", first)  # of no use any more, and no fault
    assert fit.gathered.moving.replied == set()
    fit.kinds(["north", "south", "slow"])
    assert fit.gathered.joint.moved.sites == 2
    assert fit.gathered.joint.moved.choice.rows == 96


def test_fewer_than_two_sites_move_nothing_and_the_model_of_frozen_weights_stands():
    fit = together({"north": list("ab" * 16), "south": list("ab" * 16)})
    fit.reply("north", fit.asked("north"))
    fit.clock.now += SILENT
    fit.gathered.advance()
    assert fit.gathered.phase == VERDICT
    assert fit.gathered.remarks == [
        "weights did not move together, and the model keeps frozen ones: 2 sites at least must send weights in a "
        "round, got 1 in round 1"
    ]
    assert fit.gathered.joint.arms == (False, False, False)
    assert fit.asked("north", 1).kind == END
    assert fit.gathered.joint.measured["moved"] is None


def test_a_site_of_one_class_sits_out_and_its_rows_still_say_what_they_prefer():
    fit = together({"north": list("ab" * 16), "south": list("ab" * 16), "one": list("a" * 16)})
    fit.kinds(["north", "south", "one"])
    assert fit.gathered.left_out == {}
    assert fit.told.count(
        "this site learns nothing where weights move: its rows that may be learned from are of one class"
    ) == 1  # fmt: skip
    assert fit.gathered.joint.moved.sites == 2
    assert fit.gathered.joint.moved.choice.rows == 80


def test_sums_of_sites_give_the_interval_of_all_rows_at_one_place():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    folds = np.repeat(rng.integers(0, 3, 60), np.bincount(groups))
    below, above = rng.exponential(size=(2, len(groups)))
    site = groups % 4
    parts = [
        paired(below[site == one], above[site == one], groups[site == one], folds[site == one], 3) for one in range(4)
    ]
    whole = sum(parts[1:], parts[0])
    for part, own in zip(parts, range(4), strict=True):
        check_paired(part, np.bincount(folds[site == own], minlength=3), 20.0)
    for some in (np.array([True] * 3), np.array([True, False, True])):
        rows = some[folds]
        expected, found = gain(below[rows], above[rows], groups[rows]), whole.gain(some)
        np.testing.assert_allclose(
            (found.value, found.low, found.high), (expected.value, expected.low, expected.high), rtol=1e-9
        )


@pytest.mark.parametrize("part", range(7))
def test_losses_that_no_rows_can_have_are_refused(part):
    rows = np.array([4.0, 4.0])
    said = paired(np.ones(8), np.zeros(8), np.arange(8), np.repeat([0, 1], 4), 2)
    check_paired(said, rows, 14.0)
    for factor, what in ((np.nan, "finite numbers"), (1e6, "must be those of the rows whose sums it sent")):
        parts = [values * factor if i == part and values.any() else values for i, values in enumerate(said.parts)]
        if part == 2:
            parts[2] = np.full(2, factor)
        with pytest.raises(DataError, match=what):
            check_paired(Paired(*parts), rows, 14.0)


def test_a_gain_ships_only_beyond_doubt_and_only_below_what_a_blind_answer_costs():
    def said(below, above):
        rng = np.random.default_rng(1)
        return paired(below + rng.normal(0, 0.1, 40), above * np.ones(40), np.arange(40), np.zeros(40, int), 1)

    every = np.array([True])
    assert said(0.5, 0.4).passes(every, blind=0.7)
    assert not said(0.5, 0.499).passes(every, blind=0.7)
    assert not said(0.5, 0.6).passes(every, blind=0.7)
    assert not said(1.5, 1.0).passes(every, blind=0.7)


def test_steps_are_shortened_in_their_direction():
    start = {"w": np.zeros(4, np.float32)}
    delta = {"w": np.array([3, 4, 0, 0], np.float32)}
    assert length(delta, start) == 5
    np.testing.assert_allclose(clipped(delta, start, 1.0)["w"], [0.6, 0.8, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(clipped(delta, start, 9.0)["w"], delta["w"])


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("lora", "--strategies lora does not fit --rounds: what it moves \\(lora\\) is no weight of the backbone"),
        ("curriculum", "--strategies curriculum does not fit --rounds: it is made of several trainings"),
        ("soup", "--strategies soup does not fit --rounds: it is made of several trainings one after the other"),
    ],
)
def test_a_strategy_that_cannot_go_round_is_refused_by_name(strategy, said):
    with pytest.raises(OptionError, match=said):
        rounds_of(3, strategy, ToyText(), 32)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(rounds=51), "--rounds must be between 0 and 50, got 51"),
        (dict(rounds=-1), "--rounds must be between 0 and 50, got -1"),
        (dict(strategy="partial"), "--strategies must come with --rounds"),
        (dict(rounds=2, strategy="partiel"), "got 'partiel'. Did you mean 'partial'"),
        (dict(rounds=2, strategy="lora,partial"), "--strategies must be one strategy that moves weights"),
    ],
)
def test_rounds_that_cannot_be_are_refused(asked, said):
    with pytest.raises(OptionError, match=said):
        Asked(2, 60, "toy-text", None, **asked).check()


def test_noise_on_weights_is_refused_with_how_much_of_it_there_would_be(monkeypatch):
    monkeypatch.setattr(averaging.Noise, "of", classmethod(lambda cls, epsilon, delta, times: cls(epsilon, times / 4)))
    rounds = rounds_of(2, "partial", ToyText(), 32)
    said = str(refused_noise(4.0, 1e-5, rounds, 20_000, 5))
    assert "20,000 weights that are sent 8 times" in said
    assert "for ε = 4 that the mean of 5 sites is 253 times as long as the longest step" in said


def test_terms_with_rounds_come_back_as_they_were_and_odd_ones_are_refused():
    terms = together({"n": list("ab" * 4), "s": list("ab" * 4)}).gathered.terms
    assert Terms.decoded(terms.encoded()) == terms
    assert "1 round of weights (partial) that learn from your rows" in terms.sentence
    for odd in (dict(count=0), dict(updates=0), dict(longest=0.0), dict(strategy="x"), dict(width=0), dict(depth=0)):
        with pytest.raises(DataError, match="the coordinator must tell its terms"):
            Terms.decoded(replace(terms, rounds=replace(terms.rounds, **odd)).encoded())
    with pytest.raises(DataError, match="weights that move together are sent without noise"):
        Terms.decoded(replace(terms, epsilon=1.0, classes=("a", "b")).encoded())


def test_before_the_rounds_a_site_waits():
    fit = together({"n": list("ab" * 4), "s": list("ab" * 4)})
    fit.gathered.phase = ANSWERS
    fit.gathered.members["n"].votes = None
    assert fit.asked("n") is None
