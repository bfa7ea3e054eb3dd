"""Noise: how much there is, what it does to the promise, and that nothing is decided by it alone."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from federated_sites import TERMS, gathering, rows_of, run, site
from handful.errors import DataError, MachineError, OptionError
from handful.regimes.federated import privacy, wire
from handful.regimes.federated.privacy import MOST_LOSS, SHARPNESS, USUAL, Noise
from handful.regimes.federated.sums import Sums
from handful.regimes.federated.terms import Terms, check_privacy
from handful.regimes.federated.votes import Choice, Setting, Votes
from handful.strategies.frozen.heads import Centroid

PRIVATE = replace(TERMS, epsilon=4.0, classes=("a", "b"))
LITTLE = Noise(4.0, 1e-9)
SOME = Noise(4.0, 1.0)


def parts(noise, each=60):
    rng, out = np.random.default_rng(0), {}
    for i in range(2):
        labels = list("ab" * (each // 2))
        scored = np.arange(each) % 5 == 0
        out[f"site{i}"] = site(rows_of(rng, labels), labels, PRIVATE, noise, scored)
    return out


def test_with_hardly_any_noise_it_is_the_nearest_mean_of_the_rows_that_are_learned_from():
    sites = parts(LITTLE)
    gathered, _, _ = gathering(2, PRIVATE, noise=LITTLE)
    out = run(gathered, sites)
    x = np.concatenate([one.rows.features[~one.rows.scored] for one in sites.values()])
    labels = [
        label
        for one in sites.values()
        for label, held in zip(one.rows.labels, one.rows.scored, strict=True)
        if not held
    ]
    peer = Centroid().fit(x, labels)
    sharp = gathered.joint.choice.final.sharpness
    np.testing.assert_allclose(gathered.joint.coef / sharp, peer.coef_, atol=1e-5)
    np.testing.assert_allclose(gathered.joint.intercept / sharp, peer.intercept_, atol=1e-5)
    assert gathered.joint.score.value > 0.9
    assert gathered.joint.head == "centroid"
    assert round(gathered.joint.choice.rows) == 24
    assert out["site0"][1].gain.rows == 12


def test_products_and_classes_of_rows_are_not_sent():
    sent = wire.unpack_sums(wire.pack_sums(parts(SOME)["site0"].sums()), PRIVATE)
    assert sent.grams is None
    assert sent.names == PRIVATE.classes
    with pytest.raises(DataError, match="its classes must be those that were named beforehand"):
        wire.unpack_sums(wire.pack_sums(Sums(("a", "c"), sent.counts, sent.totals, None)), PRIVATE)


def test_two_releases_of_the_same_rows_differ_by_the_noise_that_is_told():
    one = parts(SOME)["site0"]
    apart = np.concatenate([(one.sums().totals - one.sums().totals).ravel() for _ in range(40)])
    assert np.std(apart) == pytest.approx(np.sqrt(2) * SOME.totals, rel=0.15)


def test_no_row_changes_what_is_sent_by_more_than_the_noise_is_made_for():
    one = parts(LITTLE)["site0"]
    learned = ~one.rows.scored
    targets, x = one.rows.targets(PRIVATE.classes), one.rows.features
    whole = Sums.of(x[learned], targets.take(learned), np.zeros(int(learned.sum()), int), 1)
    most = 0.0
    for row in np.flatnonzero(learned):
        less = learned.copy()
        less[row] = False
        other = Sums.of(x[less], targets.take(less), np.zeros(int(less.sum()), int), 1)
        # In units of the noise of each: the squares add up to one at most.
        change = ((whole.totals - other.totals) / LITTLE.totals) ** 2
        counted = ((whole.counts - other.counts) / LITTLE.counts) ** 2
        most = max(most, float(change.sum() + counted.sum()))
    assert most == pytest.approx(1 / LITTLE.multiplier**2, rel=1e-4)
    answers = (1 / LITTLE.answers) ** 2 * 2 + len(SHARPNESS) * (MOST_LOSS / LITTLE.losses) ** 2
    assert answers == pytest.approx(1 / LITTLE.multiplier**2)


def test_each_row_is_in_one_release_and_copies_are_in_the_same():
    items = [f"text {i}" for i in range(1000)] + ["text 0"]
    scored = privacy.scored_rows(items)
    assert 120 < scored.sum() < 280
    assert scored[0] == scored[-1]
    assert (privacy.scored_rows(items) != scored).any()  # a coin that nobody knows


def votes(losses, rows=40.0, right=30.0):
    one = np.array([rows])
    return Votes(one, one, np.array(losses, float)[None, None], np.zeros((1, 1)), np.array([[right]]))


def test_noise_alone_does_not_choose_the_sharpness():
    losses = np.full(5, 40.0)
    losses[0] -= 3 * SOME.losses * np.sqrt(2)
    assert privacy.chosen_in_noise(votes(losses), SOME, 1).final == Setting(0, SHARPNESS[0])
    losses[0] = 40.0 - SOME.losses
    assert privacy.chosen_in_noise(votes(losses), SOME, 1).final == Setting(0, SHARPNESS[USUAL])


def test_the_interval_knows_the_noise_and_is_not_told_where_that_hides_all():
    choice = Choice(Setting(0, 1.0), (Setting(0, 1.0),), 200.0, 200.0, 150.0)
    tight = privacy.score_in_noise(choice, LITTLE, 5)
    wide = privacy.score_in_noise(choice, Noise(4.0, 3.0), 5)
    assert tight.value == wide.value == 0.75
    assert wide.high - wide.low > 1.2 * (tight.high - tight.low)
    assert privacy.score_in_noise(choice, Noise(1.0, 40.0), 5) is None


def test_noise_that_hides_the_score_is_said_and_the_model_is_made():
    loud = Noise(0.1, 100.0)
    gathered, _, _ = gathering(2, PRIVATE, noise=loud)
    run(gathered, parts(loud))
    assert gathered.joint.score is None
    assert gathered.joint.sentence == "how good it is cannot be told: with so few rows the noise hides it"
    assert gathered.joint.beats_reference is None


def test_dp_accounting_tells_how_much_noise_keeps_epsilon():
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed: pip install 'handful[federated]'")
    strict, loose = Noise.of(1.0, 1e-5), Noise.of(8.0, 1e-5)
    # The analytic Gaussian mechanism (Balle & Wang 2018): 3.7306 and 0.6002 for these two.
    assert strict.multiplier == pytest.approx(3.7306, abs=5e-3)
    assert loose.multiplier == pytest.approx(0.6002, abs=5e-3)


def test_without_the_accountant_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(MachineError, match=r"pip install 'handful\[federated\]'"):
        Noise.of(1.0, 1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0.0, 1e-5, ("a", "b")), "--epsilon must be between 0.01 and 100, got 0"),
        ((float("nan"), 1e-5, ("a", "b")), "--epsilon must be between"),
        ((1.0, 0.1, ("a", "b")), "--delta must be above 0 and at most 0.001, got 0.1"),
        ((1.0, 1e-5, ()), "--epsilon must come with --classes"),
    ],
)
def test_what_promises_nothing_is_refused(given, said):
    with pytest.raises(OptionError, match=said):
        check_privacy(*given)


def test_terms_say_what_is_sent():
    assert "ε = 4, δ = 1e-05 for each row" in PRIVATE.sentence
    assert "without noise: where a class has few rows, much about them can be told from its sums" in TERMS.sentence
    assert Terms.decoded(PRIVATE.encoded()) == PRIVATE


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"protocol": 1}', b"\xff", TERMS.encoded().replace(b"12", b'"x"')]
)
def test_other_terms_are_refused(body):
    with pytest.raises(DataError, match="the coordinator must tell its terms, got something else"):
        Terms.decoded(body)


@pytest.mark.parametrize(
    "other",
    [dict(folds=10**9), dict(folds=1), dict(penalties=()), dict(penalties=(0.0,)), dict(width=0), dict(width=10**9)],
)
def test_terms_that_no_coordinator_tells_are_refused(other):
    with pytest.raises(DataError, match="the coordinator must tell its terms, got something else"):
        Terms.decoded(replace(TERMS, **other).encoded())


def test_a_site_believes_no_coordinator_that_a_promise_is_one():
    for other in (dict(delta=0.9), dict(epsilon=1e9), dict(classes=())):
        with pytest.raises(OptionError, match="--(delta|epsilon) must"):
            Terms.decoded(replace(PRIVATE, **other).encoded())


def test_rows_of_other_classes_are_left_out():
    assert privacy.within_classes(["a", "z", "b"], ("a", "b")).tolist() == [0, 2]
    with pytest.raises(DataError, match="a row must be of one of the classes a, b, got none"):
        privacy.within_classes(["z"], ("a", "b"))


@pytest.mark.parametrize("scored", [False, True])
def test_a_site_whose_coins_all_fall_alike_takes_part(scored):
    labels = list("ab" * 4)
    lone = site(rows_of(np.random.default_rng(3), labels), labels, PRIVATE, LITTLE, np.full(8, scored))
    gathered, _, _ = gathering(3, PRIVATE, noise=LITTLE)
    out = run(gathered, {**parts(LITTLE), "lone": lone})
    assert out["lone"][1].gain.rows == (8 if scored else 0)
    assert gathered.joint.score is not None


def test_what_is_sent_four_times_needs_twice_the_noise():
    pytest.importorskip("dp_accounting", reason="dp-accounting is not installed: pip install 'handful[federated]'")
    once, often = (Noise.of(4.0, 1e-5, times).multiplier for times in (1, 4))
    assert often == pytest.approx(2 * once, rel=1e-2)
