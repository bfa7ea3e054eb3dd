"""Sites come, die, are late, lie and differ; each is named, left out where need be, and stops nobody."""

from __future__ import annotations

import numpy as np
import pytest

from federated_sites import TERMS, gathering, join, rows_of, run, site
from handful.errors import DataError
from handful.regimes.federated import gains, wire
from handful.regimes.federated.gathering import ANSWERS, DONE, FAILED, SILENT, SUMS, VERDICT
from handful.regimes.federated.sums import Sums
from handful.regimes.federated.votes import Votes


def sites(count=2, each="ab" * 10, seed=0, spread=0.4):
    rng = np.random.default_rng(seed)
    return {f"site{i}": site(rows_of(rng, list(each), spread), list(each)) for i in range(count)}


def sends(gathered, key, name, one):
    gathered.take_sums(name, key, wire.pack_sums(one.sums()))


def test_sites_end_with_one_model_and_know_whether_they_gain():
    gathered, _, said = gathering(2)
    out = run(gathered, sites())
    assert gathered.phase == DONE
    assert gathered.left_out == {}
    models = [model for model, _ in out.values()]
    np.testing.assert_array_equal(models[0].coef, models[1].coef)
    np.testing.assert_array_equal(models[0].coef, gathered.joint.coef.astype(np.float32))
    assert models[0].names == ("a", "b")
    assert gathered.joint.score.value > 0.9
    assert gathered.joint.beats_reference is True
    assert sum(gathered.verdicts.values()) == 2
    assert [member.received > 0 and member.sent > 0 for member in gathered.members.values()] == [True, True]
    assert said[:2] == ["site0 joined", "site1 joined"]
    assert "accuracy" in gathered.joint.sentence
    assert "measured on 40 rows of all sites" in gathered.joint.sentence


def test_the_model_is_the_one_of_all_rows_at_one_place():
    parts = sites(3, "aab" * 6, spread=0.8)
    gathered, _, _ = gathering(3)
    run(gathered, parts)
    alone, _, _ = gathering(2)
    # The same rows, which two other sites have; folds are dealt at each, and choose the penalty.
    x = np.concatenate([one.rows.features for one in parts.values()])
    labels = [label for one in parts.values() for label in one.rows.labels]
    run(alone, {"one": site(x[:30], labels[:30]), "two": site(x[30:], labels[30:])})
    ours, theirs = gathered.joint, alone.joint
    if ours.choice.final == theirs.choice.final:
        np.testing.assert_allclose(ours.coef, theirs.coef, atol=1e-6)
    np.testing.assert_allclose(gathered.together.whole().totals, alone.together.whole().totals, atol=1e-12)


def test_a_site_with_one_class_alone_gains_and_one_with_all_rows_does_not_lose():
    rng = np.random.default_rng(0)
    many, few = list("ab" * 30), list("a" * 12)
    parts = {"many": site(rows_of(rng, many), many), "few": site(rows_of(rng, few), few)}
    gathered, _, _ = gathering(2)
    out = run(gathered, parts)
    assert out["few"][1].gain.verdict == gains.TIE  # it can answer its only class alone
    assert out["many"][1].gain.verdict == gains.TIE
    assert gathered.joint.names == ("a", "b")


def test_who_gains_is_told_with_figures():
    rng = np.random.default_rng(1)
    noisy = list("abc" * 3)
    parts = {"poor": site(rows_of(rng, noisy, 1.2), noisy)}
    many = list("abc" * 60)
    parts["rich"] = site(rows_of(rng, many, 0.5), many)
    gathered, _, _ = gathering(2)
    gain = run(gathered, parts)["poor"][1].gain
    assert gain.rows == 9
    assert "together " in gain.sentence
    assert "of your 9 rows are answered right while held out, alone " in gain.sentence


def test_a_site_of_one_row_is_told_that_nothing_can_be():
    parts = sites(2)
    parts["tiny"] = site(rows_of(np.random.default_rng(9), ["a"]), ["a"])
    gathered, _, _ = gathering(3)
    gain = run(gathered, parts)["tiny"][1].gain
    assert gain.verdict == gains.TOO_FEW
    assert gain.sentence == "of your 1 rows none could be held out: whether you gain cannot be told."


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (dict(protocol=0), "its protocol must be 2, got 0"),
        (dict(version="0.0.9"), "its version of handful must be 0.1, got '0.0.9'"),
        (dict(backbone="bge"), "its backbone must be toy-text, got 'bge'"),
        (dict(fingerprint="eeee"), "its weights of the backbone must be ffffffff, got 'eeee'"),
        (dict(depth=1), "its depth of the backbone must be 2, got 1"),
        (dict(width=13), "its width of the features must be 12, got 13"),
        (dict(modality="image"), "its kind of items must be text, got 'image'"),
        (dict(task="regression"), r"its labels must be classes \(classification\), got 'regression'"),
    ],
)
def test_a_site_that_differs_is_refused_and_named(other, said):
    gathered, _, told = gathering(3)
    with pytest.raises(DataError, match=f"odd cannot take part: {said}"):
        join(gathered, "odd", **other)
    out = run(gathered, sites())
    assert len(out) == 2
    assert gathered.phase == DONE
    assert list(gathered.left_out) == ["odd"]
    assert any("odd is left out" in one for one in told)


@pytest.mark.parametrize("name", ["", " ", "a" * 61, "a\nb", None, 7])
def test_a_site_needs_a_name(name):
    gathered, _, _ = gathering()
    with pytest.raises(DataError, match="a site must have a name of 1 to 60 letters"):
        join(gathered, name)


def test_a_site_that_was_refused_may_come_again():
    gathered, _, _ = gathering(3)
    with pytest.raises(DataError):
        join(gathered, "site0", depth=1)
    run(gathered, sites(3))
    assert gathered.left_out == {}
    assert gathered.phase == DONE


@pytest.mark.parametrize("lie", ["nan", "shape", "bytes", "large"])
def test_a_site_that_lies_is_left_out_and_stops_nobody(lie):
    parts, (gathered, _, _) = sites(2), gathering(3)
    key = join(gathered, "liar")
    true = parts["site0"].sums()
    body = {
        "nan": wire.pack_sums(Sums(true.names, true.counts, true.totals * np.nan, true.grams)),
        "shape": wire.pack_sums(Sums(true.names, true.counts[:1], true.totals, true.grams)),
        "bytes": b"no tensors",
        "large": wire.pack_sums(Sums(true.names, true.counts, 50 * true.totals, true.grams)),
    }[lie]
    with pytest.raises(DataError, match="liar was left out: "):
        gathered.take_sums("liar", key, body)
    with pytest.raises(DataError, match="liar was left out: "):
        gathered.heads("liar", key)
    run(gathered, parts)
    assert gathered.phase == DONE
    assert list(gathered.left_out) == ["liar"]
    assert gathered.together.rows == 40


def test_a_site_that_dies_before_its_sums_costs_the_wait_and_no_more():
    parts, (gathered, clock, _) = sites(2), gathering(3, wait=100)
    join(gathered, "dead")
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
    assert gathered.heads("site0", keys["site0"]) is None
    clock.now = 100
    assert gathered.heads("site0", keys["site0"]) is not None
    assert gathered.left_out == {"dead": "it sent no sums within 100 seconds"}


def test_a_site_that_never_comes_is_counted():
    parts, (gathered, clock, _) = sites(2), gathering(3, wait=100)
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
    clock.now = 101
    gathered.advance()
    assert gathered.phase == ANSWERS
    assert gathered.remarks == ["1 of 3 sites did not come within 100 seconds"]


def test_a_site_that_dies_after_its_sums_counts_in_the_model_and_not_in_the_score():
    parts, (gathered, clock, _) = sites(3), gathering(3, wait=1000)
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
    heads = wire.unpack_maps(gathered.heads("site0", keys["site0"]), TERMS)
    for name in ("site0", "site1"):
        gathered.take_votes(name, keys[name], wire.pack_votes(parts[name].votes(*heads)))
    assert gathered.phase == ANSWERS
    clock.now = SILENT
    assert gathered.model("site0", keys["site0"]) is not None
    assert gathered.left_out["site2"].startswith("its rows count in the model but not in the score, since it has not")
    assert gathered.together.rows == 60
    assert gathered.joint.choice.rows == 40
    with pytest.raises(DataError, match="site2 was left out"):
        gathered.model("site2", keys["site2"])


def test_a_site_that_dies_with_the_model_is_not_waited_for():
    parts, (gathered, clock, _) = sites(2), gathering(2)
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
    heads = wire.unpack_maps(gathered.heads("site0", keys["site0"]), TERMS)
    for name in parts:
        gathered.take_votes(name, keys[name], wire.pack_votes(parts[name].votes(*heads)))
    gathered.take_verdict("site0", keys["site0"], gains.TIE)
    assert gathered.phase == VERDICT
    clock.now = SILENT + 1
    gathered.advance()
    assert gathered.phase == DONE
    assert gathered.left_out["site1"].startswith("it never said whether it gains")


def test_a_late_site_is_told_so():
    gathered, _, _ = gathering(2)
    run(gathered, sites())
    with pytest.raises(DataError, match="late must come while sums are gathered, got there too late"):
        join(gathered, "late")
    assert gathered.left_out == {"late": "it came too late"}


def test_answers_that_no_rows_can_give_do_not_count():
    parts, (gathered, _, _) = sites(3), gathering(3)
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
    heads = wire.unpack_maps(gathered.heads("site0", keys["site0"]), TERMS)
    true = parts["site0"].votes(*heads)
    for lie in (Votes(true.rows, true.independent, true.losses * np.nan, true.leads, true.right),):
        with pytest.raises(DataError, match="site0 was left out: its answers must be finite numbers"):
            gathered.take_votes("site0", keys["site0"], wire.pack_votes(lie))
    more = parts["site1"].votes(*heads)
    with pytest.raises(DataError, match="its answers must be those of the rows whose sums it sent"):
        gathered.take_votes(
            "site1",
            keys["site1"],
            wire.pack_votes(Votes(more.rows, more.independent, more.losses, more.leads, more.right + 99)),
        )
    gathered.take_votes("site2", keys["site2"], wire.pack_votes(parts["site2"].votes(*heads)))
    assert gathered.phase == VERDICT
    assert gathered.joint.choice.rows == 20


def test_one_site_is_not_enough():
    gathered, clock, _ = gathering(2, wait=10)
    key = join(gathered, "only")
    sends(gathered, key, "only", sites(1)["site0"])
    clock.now = 11
    gathered.advance()
    assert gathered.phase == FAILED
    assert gathered.failure == (
        "2 sites at least must send sums that can be used, got 1 of 2. Put that right and start again."
    )
    with pytest.raises(DataError, match="nothing was made: 2 sites at least"):
        gathered.take_votes("only", key, b"")


def test_one_class_is_not_enough():
    gathered, _, _ = gathering(2)
    parts = sites(2, "aaaa")
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
    assert gathered.failure.startswith("the rows of all sites must be of 2 classes at least, got 1")


def test_nobody_speaks_for_another_site():
    gathered, _, _ = gathering(2)
    parts, key = sites(2), join(gathered, "site0")
    with pytest.raises(DataError, match="site0 must join first, with its own key"):
        gathered.take_sums("site0", "guessed", b"")
    sends(gathered, key, "site0", parts["site0"])
    with pytest.raises(DataError, match="site0 must join once, but has sent its sums already"):
        join(gathered, "site0")
    with pytest.raises(DataError, match="site0 must send its sums once, but others are here already"):
        sends(gathered, key, "site0", parts["site1"])
    assert gathered.phase == SUMS


def test_what_is_sent_again_because_an_answer_was_lost_counts_once():
    parts, (gathered, _, _) = sites(2), gathering(2)
    keys = {name: join(gathered, name) for name in parts}
    for name, one in parts.items():
        sends(gathered, keys[name], name, one)
        sends(gathered, keys[name], name, one)
    assert gathered.together.rows == 40
    heads = wire.unpack_maps(gathered.heads("site0", keys["site0"]), TERMS)
    for name, one in parts.items():
        for _ in range(2):
            gathered.take_votes(name, keys[name], wire.pack_votes(one.votes(*heads)))
    assert gathered.joint.choice.rows == 40
    for name in parts:
        for _ in range(2):
            gathered.take_verdict(name, keys[name], gains.TIE)
    assert gathered.verdicts == {gains.TIE: 2}


def test_a_class_under_two_names_is_said():
    rng = np.random.default_rng(0)
    x, y = rows_of(rng, list("ab" * 20)), rows_of(rng, list("ab" * 20))
    parts = {
        "north": site(x, ["refund" if kind == "a" else "late" for kind in "ab" * 20]),
        "south": site(y, ["money back" if kind == "a" else "late" for kind in "ab" * 20]),
    }
    gathered, _, _ = gathering(2)
    run(gathered, parts)
    assert gathered.remarks == [
        "“money back” of south and “refund” of north may be one class under two names: their rows look as alike as "
        "those of one class. If they are, call them alike and fit again."
    ]


def test_names_that_differ_in_capitals_are_said_and_different_classes_are_not():
    rng = np.random.default_rng(0)
    x, y = rows_of(rng, list("ab" * 20)), rows_of(rng, list("cb" * 20))
    gathered, _, _ = gathering(2)
    labels = [["Refund" if kind in "ac" else "late" for kind in kinds] for kinds in ("ab" * 20, "cb" * 20)]
    parts = {"north": site(x, labels[0]), "south": site(y, [one.lower() for one in labels[1]])}
    run(gathered, parts)
    assert [one for one in gathered.remarks if "capitals" in one] != []
    other, _, _ = gathering(2)
    run(other, {"north": site(x, list("ab" * 20)), "south": site(y, list("cb" * 20))})
    assert other.remarks == []
