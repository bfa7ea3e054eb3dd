"""Spans: layout, decoding, scores, the gazetteer, and what the task says of targets and answers."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from handful.data.sentences import words_of
from handful.data.spans import Marked, Repairs, marked
from handful.errors import DataError, OptionError
from handful.tasks.learned_reference import Asked
from handful.tasks.part_layout import packed, unpacked
from handful.tasks.runs import exact, f1, overlapping
from handful.tasks.tag_sequences import transitions_of, viterbi
from handful.tasks.tagging import TAGGING, gazetteer
from handful.tasks.tagging.decoding import allowed, stretches

TEXTS = ["Ada met Grace in Paris.", "Nobody came.", "In Paris it rained."]
SPANS = [[(0, 3, "person"), (8, 13, "person"), (17, 22, "place")], [], [(3, 8, "place")]]


def cells():
    return [marked(text, own, Repairs()).cell for text, own in zip(TEXTS, SPANS, strict=True)]


@pytest.fixture
def targets():
    return TAGGING.read(cells())


def right(targets, sure=0.96):
    """Answers that are right, and nearly sure."""
    design = targets.task.design(targets)
    width = design.shape[1]
    return targets.task.gathered(np.where(design > 0, sure, (1 - sure) / (width - 1)), targets)


def test_words_of_texts_lie_in_one_row_each_and_come_back():
    bounds, rest = np.array([[0, 2], [3, 5], [0, 4]]), np.arange(6.0).reshape(3, 2)
    rows = packed([2, 1], bounds, np.array([True, False]), rest)
    assert rows.shape == (2, 2 * 5)
    words = unpacked(rows, 2)
    assert words.counts.tolist() == [2, 1]
    assert words.given.tolist() == [True, False]
    assert_array_equal(words.rest[words.real], rest)
    assert_array_equal(words.bounds[words.real], bounds)


def test_a_span_goes_on_only_behind_its_own_label():
    may = allowed(5)
    assert may[0].tolist() == [True, True, False, True, False]
    assert may[1].tolist() == [True, True, True, True, False]
    assert may[4].tolist() == [True, True, False, True, True]


def test_the_best_sequence_is_that_of_all_sequences():
    rng = np.random.default_rng(0)
    scores, steps = rng.normal(size=(2, 4, 3)), np.where(allowed(3), rng.normal(size=(3, 3)), -1e9)
    found = viterbi(scores, np.array([4, 2]), steps)
    for n, count in ((0, 4), (1, 2)):
        every = np.stack(np.meshgrid(*[range(3)] * count, indexing="ij"), -1).reshape(-1, count)
        worth = [
            sum(scores[n, w, t] for w, t in enumerate(tags)) + steps[[0, *tags[:-1]], tags].sum() for tags in every
        ]
        assert found[n, :count].tolist() == every[int(np.argmax(worth))].tolist()
    assert found[1, 2:].tolist() == [0, 0]


def test_tags_are_stretches():
    assert stretches(np.array([1, 2, 0, 1, 1, 3, 4])) == [(0, 1, 0), (3, 3, 0), (4, 4, 0), (5, 6, 1)]


def test_what_follows_more_often_than_anywhere_is_likelier():
    steps = transitions_of([np.array([0, 1, 2, 0]), np.array([1, 2, 2])], 3)
    assert steps[1, 2] > 0 > steps[0, 2]


def test_targets_say_what_was_marked(targets):
    assert targets.names == ("person", "place")
    assert [json.loads(text) for text in targets.task.wanted(targets)] == [[list(s) for s in own] for own in SPANS]
    assert targets.task.holds(targets)
    assert targets.task.holds(targets.take([2]))
    assert targets.task.width(targets.names) == 5
    assert targets.task.restored(json.loads(json.dumps(targets.task.settings))) == targets.task
    assert targets.task.row_targets(targets).values.tolist() == [1, 0, 1, 0, 3, 0, 0, 0, 0, 0, 3, 0, 0, 0]
    assert targets.task.item_of(targets).tolist() == [0] * 6 + [1] * 3 + [2] * 5


def test_answers_that_are_right_cost_least_and_are_told_with_their_confidence(targets):
    task, answers = targets.task, right(targets)
    assert task.words(answers, targets.names) == task.wanted(targets)
    first = task.values(answers, targets.names)[0][0]
    assert first == {"start": 0, "end": 3, "label": "person", "confidence": pytest.approx(0.97 * 0.99, abs=0.02)}
    assert (task.losses(answers, targets) < task.losses(right(targets, 0.3), targets)).all()
    for metric in task.metrics.values():
        assert metric.of(answers[None], targets).value == 1
    assert (task.own(answers, targets) > 0.9).all()
    assert task.same(answers, answers).all()
    details = task.details(answers[None], targets, None)
    assert details["spans"] == 4
    assert [entry["f1"] for entry in details["per_label"]] == [1, 1]
    json.dumps(details, allow_nan=False)


def test_the_loss_of_a_text_is_the_mean_over_its_words(targets):
    task, answers = targets.task, right(targets)
    words = -np.log((14 * 0.96 + 1 / 5) / 15)
    assert_allclose(task.losses(answers, targets), words)


def test_tokens_are_told_where_a_text_came_as_tokens(targets):
    from handful.data.sentences import text_of_tokens

    design = np.eye(5)[[1, 2, 0]] * 0.9 + 0.02
    rows = targets.task.gathered_items(design, [text_of_tokens(["Ada", "L.", "left"])])
    (found,) = targets.task.values(rows, targets.names)[0]
    assert (found["token_start"], found["token_end"], found["start"], found["end"]) == (0, 2, 0, 6)


def test_labels_that_a_model_has_never_seen_are_wrong_answers(targets):
    other = [marked(TEXTS[0], [(0, 3, "animal")], Repairs()).cell, *cells()[1:]]
    answers, wide = targets.task.against(right(targets), other, targets.names)
    assert wide.names == ("animal", "person", "place")
    assert wide.task.words(answers, wide.names) == targets.task.wanted(targets)
    value = wide.task.headline.of(answers[None], wide).value
    assert value == pytest.approx(2 * 1 / (2 + 4))
    assert targets.task.score(right(targets), SPANS, targets.names) == 1


def test_a_label_within_a_word_is_refused(targets):
    with pytest.raises(DataError) as caught:
        targets.task.score(right(targets), [[(0, 2, "person")], [], []], targets.names)
    assert str(caught.value) == (
        "labels of item 0 must begin and end with words of its text, got [(0, 2, 'person')]. Give whole words."
    )


def test_what_makes_no_sense_of_spans_is_refused(targets):
    with pytest.raises(OptionError, match="sets are for classes, labels and numbers, got spans of texts"):
        targets.task.within(right(targets), 0.5, targets.names)
    with pytest.raises(DataError, match="must have spans in some of them, got none"):
        TAGGING.read([marked("Nobody", [], Repairs()).cell])
    with pytest.raises(DataError, match="labels of tagging must be spans as load reads them"):
        TAGGING.read(["person"])


def test_settings_of_a_record_are_checked(targets):
    good = targets.task.settings
    for bad in ({"outside": 2.0}, {"transitions": [[0.0, 1.0]]}, {"outside": "x"}, {"alone": True}):
        with pytest.raises(ValueError):
            TAGGING.restored({**good, **bad})
    listed = targets.task.asking(Asked.BOTH, targets, TEXTS)
    assert TAGGING.restored(listed.settings) == listed
    for bad in ({"right": 1.5}, {"beside": [0.5]}, {"strings": [["00", "nobody"]]}, {"longest": 10**9}, {"usual": 3}):
        with pytest.raises(ValueError, match="gazetteer"):
            TAGGING.restored({**listed.settings, "listed": {**listed.settings["listed"], **bad}})
    narrow = {"names": ["a"], "beside": [0.3] * 3, "usual": [0.3] * 3, "strings": []}
    with pytest.raises(ValueError, match="a gazetteer must know as many tags as transitions do"):
        TAGGING.restored({**listed.settings, "listed": {**listed.settings["listed"], **narrow}})


# The gazetteer ------------------------------------------------------------------------------------------------------


def test_strings_that_are_marked_as_often_as_not_are_known_and_the_longest_is_found():
    texts = [["New", "York", "is", "New"], ["York", "is", "far"], ["far"]]
    spans = [[(0, 1, "place")], [(0, 0, "place"), (2, 2, "way")], []]
    marks = []
    for words, own in zip(texts, spans, strict=True):
        bounds = tuple((10 * w, 10 * w + 9) for w in range(len(words)))
        marks.append(Marked(bounds, True, tuple((bounds[a][0], bounds[b][1], label) for a, b, label in own)))
    known = gazetteer.learned(texts, marks)
    assert known == {("New", "York"): "place", ("York",): "place", ("far",): "way"}
    assert gazetteer.looked_up(["In", "New", "York", "York"], known) == [(1, 2, "place"), (3, 3, "place")]


def test_the_gazetteer_of_a_fold_does_not_know_its_own_texts(targets):
    folds = np.array([[0, 1, 2]])
    answers = targets.task.reference_answers(targets, TEXTS, folds)
    said = targets.task.words(answers[0], targets.names)
    assert [json.loads(text) for text in said] == [[[17, 22, "place"]], [], [[3, 8, "place"]]]


def test_how_far_a_list_is_believed_is_measured_without_each_texts_own_marks(targets):
    # Ada and Grace stand in one text only; Paris is found in either text by the mark of the other.
    listed = gazetteer.Gazetteer.of([words_of(text) for text in TEXTS], targets.task._marked(targets), targets.names)
    assert listed.right == pytest.approx((2 + 1) / (2 + 2))
    # Beside the two hits lie ten words outside of spans and two persons that no other text has.
    assert listed.beside[0] == pytest.approx((10 + 0.5) / (12 + 2.5))
    assert listed.tags(words_of("Grace saw Paris")).tolist() == [1, 0, 3]


def test_a_list_alone_gives_what_is_looked_up(targets):
    alone = targets.task.asking(Asked.REFERENCE, targets, TEXTS)
    text = "In Paris Ada met Nobody."
    rows = alone.gathered_items(np.full((len(words_of(text)), 5), 0.2), [text])
    assert json.loads(alone.words(rows, targets.names)[0]) == [[3, 8, "place"], [9, 12, "person"]]


def test_evidence_of_a_list_moves_what_a_model_says_and_no_more(targets):
    both = targets.task.asking(Asked.BOTH, targets, TEXTS)
    unsure = np.array([[0.5, 0.1, 0.1, 0.2, 0.1]])
    (paris, oslo) = (both.looked_up(unsure, [text])[0] for text in ("Paris", "Oslo"))
    assert paris[3] > 0.5 > 0.2 > oslo[3]
    assert paris.sum() == pytest.approx(1)
    assert targets.task.asking(Asked.MODEL, targets, TEXTS) == targets.task


def test_held_out_answers_of_both_know_nothing_of_their_own_fold(targets):
    unsure = targets.task.gathered(np.tile([0.5, 0.1, 0.1, 0.2, 0.1], (len(targets.task.item_of(targets)), 1)), targets)
    pooled = targets.task.with_reference(unsure[None], targets, TEXTS, np.array([[0, 1, 2]]))
    rest = unpacked(pooled[0], 5).rest
    ada, paris = rest[0, 0], rest[2, 1]  # nobody else has Ada, another text has Paris
    assert ada[1] == pytest.approx(0.1)
    assert paris[3] > 0.3 > ada[3]


# Scores -------------------------------------------------------------------------------------------------------------


def test_exact_and_overlapping_spans_are_counted_by_hand():
    wanted, said = [(0, 1, 0), (3, 3, 1), (5, 6, 0)], [(0, 1, 0), (3, 4, 1), (5, 6, 1)]
    assert exact(wanted, said) == 1
    assert overlapping(wanted, said) == 2
    assert f1(np.array([[2.0, 6.0], [0.0, 0.0]])).tolist() == [pytest.approx(1 / 3), 0.0]


def test_scores_are_those_of_nervaluate():
    nervaluate = pytest.importorskip("nervaluate")
    rng = np.random.default_rng(0)
    wanted, said = [], []
    for _ in range(60):
        texts = []
        for _ in range(2):
            cuts = np.sort(rng.choice(12, size=2 * int(rng.integers(0, 3)), replace=False)).reshape(-1, 2)
            texts.append([(int(a), int(b), int(rng.integers(2))) for a, b in cuts])
        wanted.append(texts[0])
        said.append([span if rng.random() < 0.6 else other for span, other in zip(texts[0], texts[1], strict=False)])
    as_dicts = lambda some: [[{"label": str(c), "start": a, "end": b} for a, b, c in own] for own in some]  # noqa: E731
    found = nervaluate.Evaluator(as_dicts(wanted), as_dicts(said), tags=["0", "1"], loader="dict").evaluate()
    strict = found["overall"]["strict"]
    counted = sum(exact(a, b) for a, b in zip(wanted, said, strict=True))
    assert counted == strict.correct
    total = sum(map(len, wanted)) + sum(map(len, said))
    assert 2 * counted / total == pytest.approx(strict.f1)
