"""What follows from sums is what follows from the rows: whatever the split into sites, folds and orders of classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge as Peer

from federated_sites import TERMS, WIDTH, rows_of, site
from handful.errors import DataError
from handful.features.view import unit_rows
from handful.regimes.federated import wire
from handful.regimes.federated.heads import ridges
from handful.regimes.federated.sums import Sums, check_sums
from handful.regimes.federated.votes import FACTORS, added, chosen, held_out_scores, votes_of
from handful.strategies.frozen.heads import Ridge
from handful.tasks.classification import CLASSIFICATION

KINDS = ("a", "b", "c")
# Central and federated differ by the rounding of float64 alone; asked for is a millionth.
CLOSE = 1e-6


def central(x, labels, penalty):
    """The same head from the rows themselves, by another library."""
    names = sorted(set(labels))
    wanted = 2.0 * np.array([[label == name for name in names] for label in labels]) - 1
    peer = Peer(alpha=penalty, solver="svd").fit(x.astype(np.float64), wanted)
    return peer.coef_.T, peer.intercept_


@st.composite
def splits(draw):
    """Rows of two or three classes, dealt to one to four sites in any way that leaves none without rows."""
    count, sites = draw(st.integers(6, 30)), draw(st.integers(1, 4))
    labels = list(KINDS[: draw(st.integers(2, 3))]) + draw(
        st.lists(st.sampled_from(KINDS[:2]), min_size=count, max_size=count)
    )
    where = list(range(sites)) + draw(
        st.lists(st.integers(0, sites - 1), min_size=len(labels) - sites, max_size=len(labels) - sites)
    )
    return draw(st.integers(0, 999)), labels, np.array(where)


@settings(max_examples=40, deadline=None)
@given(splits(), st.sampled_from([0.1, 1.0, 10.0]))
def test_any_split_into_sites_gives_the_central_head(split, penalty):
    seed, labels, where = split
    x = rows_of(np.random.default_rng(seed), labels)
    parts = [
        site(x[where == s], [label for label, own in zip(labels, where, strict=True) if own == s]) for s in set(where)
    ]
    sent = [wire.unpack_sums(wire.pack_sums(one.sums()), TERMS) for one in parts]
    together = sent[0]
    for sums in sent[1:]:
        check_sums(sums, noise=False)
        together = together.joined(sums)
    maps = ridges(together, (penalty,))
    coef, intercept = central(x, labels, penalty)
    assert np.abs(maps.coef[0] - coef).max() < CLOSE
    assert np.abs(maps.intercept[0] - intercept).max() < CLOSE


def test_it_is_the_head_that_everybody_else_fits():
    rng, labels = np.random.default_rng(3), list("abc" * 9)
    x = rows_of(rng, labels)
    ours, theirs = ridges(site(x, labels).own, (0.3,)), Ridge(penalty=0.3).fit(x, labels)
    assert np.abs(ours.coef[0] - theirs.coef_).max() < 1e-4  # which computes in float32
    assert np.abs(ours.intercept[0] - theirs.intercept_).max() < 1e-4


@pytest.mark.parametrize("sites", [1, 3])
def test_folds_hold_out_as_they_do_with_rows_at_hand(sites):
    rng, labels = np.random.default_rng(1), np.array(list("ab" * 15))
    x, where = rows_of(rng, labels), np.arange(30) % sites
    parts = [site(x[where == s], labels[where == s]) for s in range(sites)]
    folds = np.zeros(30, int)
    for s, one in enumerate(parts):
        folds[where == s] = one.folds
    together = parts[0].sums()
    for one in parts[1:]:
        together = together.joined(one.sums())
    for fold in range(TERMS.folds):
        coef, _ = central(x[folds != fold], labels[folds != fold], 1.0)
        assert np.abs(ridges(together.without(fold), (1.0,)).coef[0] - coef).max() < CLOSE


def test_votes_of_sites_add_up_to_those_of_all_rows():
    rng, labels = np.random.default_rng(5), np.array(list("abc" * 12))
    x, where = rows_of(rng, labels, 0.9), np.arange(36) % 2
    parts = [site(x[where == s], labels[where == s]) for s in range(2)]
    together = parts[0].sums().joined(parts[1].sums())
    maps = [ridges(together.without(fold), TERMS.penalties) for fold in range(TERMS.folds)]
    votes = added([one.votes(maps, together.names) for one in parts])
    folds = np.zeros(36, int)
    for s, one in enumerate(parts):
        folds[where == s] = one.folds
    targets = CLASSIFICATION.coded(list(labels), together.names)
    whole = votes_of(held_out_scores(maps, x, folds), targets, folds, np.arange(36), TERMS.folds)
    for one, other in zip(votes.parts, whole.parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    assert chosen(votes) == chosen(whole)
    assert chosen(votes).final.sharpness in FACTORS


def test_orders_of_classes_are_brought_together_by_name():
    rng = np.random.default_rng(2)
    x, labels = rows_of(rng, list("abab")), list("abab")
    own = CLASSIFICATION.coded(labels, ("a", "b"))
    one = Sums.of(x, own, np.zeros(4, int), 1)
    turned = Sums(("b", "a"), one.counts[:, ::-1], one.totals[:, ::-1], one.grams)
    other = Sums.of(x, CLASSIFICATION.coded(["z"] * 4, ("z",)), np.zeros(4, int), 1)
    both = turned.joined(other)
    assert both.names == ("a", "b", "z")
    np.testing.assert_allclose(both.counts, [[2, 2, 4]])
    np.testing.assert_allclose(both.totals[0, :2], one.totals[0])


def test_products_of_few_rows_are_sent_in_fewer_numbers_and_are_the_same():
    x = unit_rows(np.random.default_rng(0).normal(size=(40, 300)))
    gram = x.astype(np.float64).T @ x.astype(np.float64)
    packed = wire._packed_products(gram)
    assert packed.shape == (40, 300)
    np.testing.assert_allclose(wire._products(packed, 300), gram, atol=1e-12)
    many = unit_rows(np.random.default_rng(0).normal(size=(400, 30))).astype(np.float64)
    assert wire._packed_products(many.T @ many).shape == (30 * 31 // 2,)
    np.testing.assert_allclose(wire._products(wire._packed_products(many.T @ many), 30), many.T @ many, atol=1e-12)


def good():
    labels = list("abab")
    return site(rows_of(np.random.default_rng(0), labels), labels).sums()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: Sums(s.names, s.counts, s.totals * np.nan, s.grams), "sums of classes must be finite numbers"),
        (lambda s: Sums(s.names, s.counts, s.totals, s.grams * np.inf), "sums of products must be finite numbers"),
        (lambda s: Sums(s.names, s.counts + 0.5, s.totals, s.grams), "counts must be whole numbers from 0 up"),
        (lambda s: Sums(s.names, -s.counts, s.totals, s.grams), "counts must be whole numbers from 0 up"),
        (lambda s: Sums(s.names, 0 * s.counts, s.totals, s.grams), "counts must be whole numbers from 0 up"),
        (lambda s: Sums(s.names, s.counts, 9 * s.totals, s.grams), "must be of rows of length one"),
        (lambda s: Sums(s.names, s.counts, s.totals, 9 * s.grams), "must be of rows of length one"),
    ],
)
def test_sums_that_no_rows_can_have_are_refused(change, said):
    check_sums(good(), noise=False)
    with np.errstate(invalid="ignore"):
        lie = change(good())
    with pytest.raises(DataError, match=said):
        check_sums(lie, noise=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: Sums(s.names, s.counts[:2], s.totals[:2], s.grams[:2]), "it must send counts, products0"),
        (lambda s: Sums(s.names, s.counts, s.totals[..., :-1], s.grams), r"its totals must be float64 of shape"),
        (lambda s: Sums(s.names, s.counts, s.totals, s.grams[:, :-1, :-1]), f"features {WIDTH} wide"),
        (lambda s: Sums(("a", "a"), s.counts, s.totals, s.grams), "different names"),
        (lambda s: Sums(("a", 7), s.counts, s.totals, s.grams), "different names"),
        (lambda s: Sums(s.names, s.counts.astype(np.float32), s.totals, s.grams), "float64"),
    ],
)
def test_sums_of_other_shapes_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        wire.unpack_sums(wire.pack_sums(change(good())), TERMS)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_comes_in_place_of_sums_is_refused_in_words(body):
    with pytest.raises(DataError, match="what it sent cannot be read"):
        wire.unpack_sums(body, TERMS)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_refused_in_words_or_read(at, byte):
    body = bytearray(wire.pack_sums(good()))
    body[at % len(body)] = byte
    try:
        with np.errstate(all="ignore"):
            check_sums(wire.unpack_sums(bytes(body), TERMS), noise=False)
    except DataError as error:
        assert str(error)
