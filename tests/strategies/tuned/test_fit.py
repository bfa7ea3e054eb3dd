"""Adaptation: recipes carried out, what moved put to use, soups and fades of it, and what is asked of few rows."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from classified import targets_of
from handful.backbones.toy import ToyText
from handful.data.splits import fold_ids
from handful.seeding import generator
from handful.strategies.frozen.solver import ABSENT
from handful.strategies.tuned.fit import adapt, scored, start, swept, with_names
from handful.strategies.tuned.recipe import ItemRecipe, versions_of
from handful.training.activations import Activations
from handful.training.apply_delta import arrays_of, installed
from handful.training.body import features_of
from handful.training.loop import Settings
from handful.training.objectives.classify import CrossEntropy, Distillation
from handful.training.objectives.contrast import PairwiseCosine, SupervisedContrastive
from handful.training.tuners import TUNERS, Blocks, LoRA
from rounding import parted
from small_backbones import SmallText, texts

FEW = Settings(updates=3, rate=1e-3)
TRUTH = np.arange(6) % 2
ROWS = np.arange(6)
RECIPE = ItemRecipe(objective=PairwiseCosine(), settings=FEW)


def kept(recipe=RECIPE, backbone=None):
    backbone = backbone or SmallText()
    return Activations.of(backbone, [texts()], recipe.first(backbone))


def seen(found, activations):
    return features_of(found.body, activations, ROWS)


@pytest.mark.parametrize(
    ("share", "blocks", "first"),
    [(0.5, 6, 3), (0.34, 6, 3), (0.33, 6, 4), (1.0, 6, 0), (0.0, 6, 5), (0.5, 1, 0), (2.0, 4, 0), (1 / 3, 3, 2)],
)
def test_a_share_of_the_blocks_from_the_top_and_at_least_one(share, blocks, first):
    backbone = ToyText()
    backbone.blocks = tuple(backbone.blocks[0] for _ in range(blocks))
    assert ItemRecipe(objective=PairwiseCosine(), trainable_fraction=share).first(backbone) == first


def test_where_it_starts_is_the_untouched_backbone():
    backbone = SmallText()
    body = start(kept(), RECIPE)
    np.testing.assert_allclose(features_of(body, kept(), ROWS), backbone.encode(texts(), [2])[2], atol=1e-5)
    assert body.widths == (16,)


@pytest.mark.parametrize("objective", [PairwiseCosine(), SupervisedContrastive(), CrossEntropy(0.1)])
def test_an_update_changes_what_is_seen_and_is_logged(objective):
    recipe = replace(RECIPE, objective=objective)
    found = adapt(kept(), ROWS, targets_of(TRUTH), recipe)
    assert [update.number for update in found.log] == [0, 1, 2]
    assert found.moved == sum(w.numel() for w in SmallText().blocks[1].parameters())
    assert not np.allclose(seen(found, kept()), SmallText().encode(texts(), [2])[2], atol=1e-4)
    assert not any(module.training for module in found.body.modules())


def test_a_classifier_starts_from_the_fitted_head():
    easy = replace(RECIPE, objective=CrossEntropy(), penalty=1e-3, settings=replace(FEW, updates=1))
    assert (
        adapt(kept(), ROWS, targets_of(TRUTH), easy).log[0].loss < 0.3 < np.log(2)
    )  # not what an untrained one would say
    assert adapt(kept(), ROWS, targets_of(TRUTH), RECIPE).body.classifier is None


def test_class_numbers_need_not_be_close_together():
    found = adapt(kept(), ROWS, targets_of(TRUTH * 7 + 2), replace(RECIPE, objective=CrossEntropy()))
    same = adapt(kept(), ROWS, targets_of(TRUTH), replace(RECIPE, objective=CrossEntropy()))
    np.testing.assert_array_equal(seen(found, kept()), seen(same, kept()))


def test_only_the_given_rows_teach():
    recipe, activations = RECIPE, kept()
    some = np.array([0, 1, 4, 5])
    other = Activations.of(SmallText(), [[*texts()[:2], "quite another text", "and one more", *texts()[4:]]], 1)
    first, second = (adapt(a, some, targets_of(TRUTH).take(some), recipe) for a in (activations, other))
    start = adapt(activations, some, targets_of(TRUTH).take(some), replace(recipe, wise_alpha=0.0))
    assert parted(first.delta, second.delta, start.delta) < 0.1


@pytest.mark.parametrize("name", [name for name in TUNERS if name != "head"])
def test_what_moved_put_into_the_backbone_sees_what_the_body_sees(name):
    recipe = replace(RECIPE, tuner=TUNERS[name]())
    found = adapt(kept(), ROWS, targets_of(TRUTH), recipe)
    made = installed(SmallText(), name, 1, arrays_of(found.delta))
    np.testing.assert_allclose(made.encode(texts(), [2])[2], seen(found, kept()), rtol=1e-3, atol=1e-4)


def test_a_fade_goes_so_far_and_no_further():
    whole, none, half = (
        adapt(kept(), ROWS, targets_of(TRUTH), replace(RECIPE, wise_alpha=fade)) for fade in (1.0, 0.0, 0.5)
    )
    frozen = SmallText().encode(texts(), [2])[2]
    np.testing.assert_allclose(seen(none, kept()), frozen, atol=1e-5)
    for name, tensor in whole.delta.items():
        torch.testing.assert_close(half.delta[name], (tensor + none.delta[name]) / 2)
    assert not np.allclose(seen(half, kept()), frozen, atol=1e-5)


@pytest.mark.parametrize("tuner", [Blocks(), LoRA()])
def test_a_soup_is_the_mean_of_its_trainings(tuner):
    recipe = replace(RECIPE, tuner=tuner, members=3)
    told = []
    found = adapt(kept(), ROWS, targets_of(TRUTH), recipe, progress=lambda update, total: told.append(update.number))
    assert told == [0, 1, 2] * 3
    frozen = SmallText().encode(texts(), [2])[2]
    assert not np.allclose(seen(found, kept()), frozen, atol=1e-5)
    made = installed(SmallText(), tuner.name, 1, arrays_of(found.delta))
    np.testing.assert_allclose(made.encode(texts(), [2])[2], seen(found, kept()), rtol=1e-3, atol=1e-4)


@dataclass(frozen=True)
class Told(Distillation):
    """Keeps what its teacher said, with the classes of the rows."""

    heard: list = field(default_factory=list)

    def __call__(self, outputs, batch):
        self.heard.append((batch.teacher, batch.targets))
        return super().__call__(outputs, batch)


def test_a_student_learns_what_members_answer_to_rows_that_each_did_not_see():
    student = Told(weight=1.0)
    recipe = replace(RECIPE, objective=CrossEntropy(), members=3, student=student)
    told = []
    found = adapt(kept(), ROWS, targets_of(TRUTH), recipe, progress=lambda update, total: told.append(update.number))
    assert told == [0, 1, 2] * 4
    members = [adapt(kept(), ROWS, targets_of(TRUTH), replace(recipe, student=None))]  # the same members, averaged
    assert any(not torch.equal(found.delta[name], members[0].delta[name]) for name in found.delta)
    teacher, _ = student.heard[0]
    assert teacher.shape == (6, 2)
    left_out = fold_ids(TRUTH, ROWS, 3, generator(FEW.seed, "soup"))
    expected = np.zeros((6, 2), np.float32)
    for m in range(3):
        at, settings = np.flatnonzero(left_out != m), replace(FEW, seed=FEW.seed + m)
        one = adapt(kept(), at, targets_of(TRUTH).take(at), ItemRecipe(objective=CrossEntropy(), settings=settings))
        answers = scored(one.body, kept(), left_out != m, targets_of(TRUTH), recipe.penalty)
        expected[left_out == m] = answers[left_out == m]
    # Rows of about equal length come together in a batch.
    np.testing.assert_allclose(np.sort(teacher[:, 0]), np.sort(expected[:, 0]), atol=1e-5)


def test_a_class_that_a_head_has_not_learned_is_absent_from_its_scores():
    truth = np.array([0, 0, 1, 1, 2, 2])
    found = scored(start(kept(), RECIPE), kept(), truth != 1, targets_of(truth), 0.1)
    assert (found[:, 1] == np.float32(ABSENT)).all()
    assert (found[truth != 1].argmax(1) == truth[truth != 1]).all()


def test_a_sweep_tells_rates_that_move_from_those_that_do_not():
    found = swept(kept(), ROWS, targets_of(TRUTH), RECIPE, rates=(1e-9, 1e-2))
    assert list(found) == [1e-9, 1e-2]
    assert found[1e-2] < found[1e-9] - 0.01


def test_a_rate_that_runs_away_counts_as_infinite():
    recipe = replace(RECIPE, objective=CrossEntropy())
    assert swept(kept(), ROWS, targets_of(TRUTH), recipe, rates=(1e8,), updates=8) == {1e8: float("inf")}


def test_a_swept_training_takes_the_rate_that_lowers_the_loss_most():
    recipe = replace(RECIPE, settings=replace(FEW, rate=1e-8), sweep=True)
    plain = [replace(recipe, sweep=False, settings=replace(FEW, rate=rate)) for rate in (1e-8, 1e-7)]
    slow, fast = (adapt(kept(), ROWS, targets_of(TRUTH), one) for one in plain)
    found = adapt(kept(), ROWS, targets_of(TRUTH), recipe)
    for name, tensor in found.delta.items():
        assert torch.equal(tensor, fast.delta[name])
    assert any(not torch.equal(found.delta[name], slow.delta[name]) for name in found.delta)


def test_all_trainings_of_a_recipe_are_counted():
    backbone = SmallText()
    assert RECIPE.updates(backbone) == 3
    assert replace(RECIPE, members=3).updates(backbone) == 9
    assert replace(RECIPE, members=3, student=Distillation()).updates(backbone) == 12
    assert replace(RECIPE, trainable_fraction=1.0, gradual=True).trainings(backbone) == 1 + len(backbone.blocks)
    assert replace(RECIPE, sweep=True).updates(backbone) == 3 + 25


@pytest.mark.parametrize(
    ("rows", "classes", "batch", "pieces", "size"),
    [(40, 5, 64, 1, 40), (10, 3, 64, 1, 10), (40, 5, 16, 1, 16), (40, 5, 64, 2, 20), (55, 5, 64, 2, 30),
     (160, 5, 64, 2, 64), (16, 2, 64, 3, 6), (5, 5, 64, 2, 5), (2, 1, 64, 2, 1)],
)  # fmt: skip
def test_a_piece_of_the_rows_has_a_share_of_every_class(rows, classes, batch, pieces, size):
    assert replace(RECIPE, batch=batch, pieces=pieces).size(rows, classes) == size


def test_an_update_sees_one_piece():
    heard = []

    def objective(outputs, batch):
        heard.append(batch.targets.argmax(1).tolist())
        return CrossEntropy()(outputs, batch)

    truth = np.arange(12) % 3
    kept = Activations.of(SmallText(), [[f"{i} words" for i in range(12)]], 1)
    adapt(kept, np.arange(12), targets_of(truth), replace(RECIPE, objective=objective, pieces=2))
    assert [sorted(targets) for targets in heard] == [[0, 0, 1, 1, 2, 2]] * 3


@pytest.mark.parametrize("truth", [[0, 1], [0, 0, 1], [0, 1, 2, 3], [0, 0, 0, 0, 1, 1]], ids=str)
@pytest.mark.parametrize(
    "recipe",
    [{"members": 3}, {"gradual": True}, {"members": 5, "wise_alpha": 0.5}, {"sweep": True}, {"pieces": 2}],
    ids=str,
)
@pytest.mark.parametrize("objective", [PairwiseCosine(), CrossEntropy()])
def test_few_rows_are_enough_for_every_recipe(truth, recipe, objective):
    rows = np.arange(len(truth))
    found = adapt(kept(), rows, targets_of(truth), replace(RECIPE, objective=objective, **recipe))
    assert np.isfinite(seen(found, kept())).all()


def test_one_more_block_at_a_time_begins_to_move():
    recipe = replace(RECIPE, objective=CrossEntropy(), trainable_fraction=1.0, gradual=True)
    found = adapt(kept(recipe), ROWS, targets_of(TRUTH), recipe)
    assert {name.split(".")[0] for name in found.delta} in ({"1"}, {"0", "1"})
    made = installed(SmallText(), "blocks", 0, arrays_of(found.delta))
    np.testing.assert_allclose(made.encode(texts(), [2])[2], seen(found, kept(recipe)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("more", [{}, {"members": 3}, {"members": 3, "student": Distillation()}], ids=str)
def test_a_training_that_was_killed_ends_as_if_it_had_not_been(tmp_path, more):
    recipe = replace(RECIPE, objective=CrossEntropy(), **more)
    file = tmp_path / "state.safetensors"
    whole = adapt(kept(), ROWS, targets_of(TRUTH), recipe)
    first = adapt(kept(), ROWS, targets_of(TRUTH), recipe, checkpoint=file)
    told = []
    again = adapt(kept(), ROWS, targets_of(TRUTH), recipe, checkpoint=file, progress=lambda *step: told.append(step))
    assert told == []
    for name, tensor in whole.delta.items():
        assert torch.equal(first.delta[name], tensor)
        assert torch.equal(again.delta[name], tensor)


def test_augmented_versions_stand_beside_the_items_in_the_same_order():
    items = ["the card was charged twice", "where is my parcel"]
    assert versions_of(items, "text", RECIPE) == [items]
    bold = versions_of(items, "text", replace(RECIPE, versions=2, strong_augment=True))
    assert bold[0] == items
    assert bold[1:] != versions_of(items, "text", replace(RECIPE, versions=2))[1:]
    found = versions_of(items, "text", replace(RECIPE, versions=2))
    assert found[0] == items
    assert [len(version) for version in found] == [2, 2, 2]
    assert found == versions_of(items, "text", replace(RECIPE, versions=2))
    for version in found[1:]:
        assert set(version[0].split()) & {"card", "charged"}
        assert set(version[1].split()) & {"where", "parcel"}


NAMED = [f"{name} {thing}" for thing in ("house", "tree", "boat", "hat", "bird") for name in ("red cars", "green cups")]
SIDES = np.arange(10) % 2


@pytest.mark.parametrize(
    ("names", "tell"),
    [
        (("red cars", "green cups"), True),
        (("green cups", "red cars"), False),  # they mislead
        (("stone", "cloud"), False),
        ((), False),
    ],
)
def test_names_are_learned_from_where_they_alone_tell_rows_apart(names, tell):
    activations = Activations.of(SmallText(), [NAMED], 1, names=names)
    rows, targets = with_names(activations, np.arange(10), targets_of(SIDES), 3)
    assert rows.tolist() == [*range(10), *[10, 11] * (3 * tell)]
    assert targets.values.tolist() == [*SIDES.tolist(), *[0, 1] * (3 * tell)]
    assert with_names(activations, np.arange(10), targets_of(SIDES), 0)[0].tolist() == [*range(10)]


def test_whether_names_tell_is_asked_of_the_rows_to_learn_from_alone():
    names = ("red cars", "green cups")
    activations = Activations.of(SmallText(), [NAMED], 1, names=names)
    wrong = np.append(SIDES[:8], 1 - SIDES[8:])
    assert len(with_names(activations, np.arange(8), targets_of(wrong[:8]), 1)[0]) == 10
    assert len(with_names(activations, np.arange(2, 10), targets_of(1 - SIDES[2:]), 1)[0]) == 8


def test_a_name_counts_as_a_row_of_its_class():
    names, recipe = ("red cars", "green cups"), replace(RECIPE, label_name_weight=1)
    with_its_names = adapt(
        Activations.of(SmallText(), [NAMED], 1, names=names), np.arange(10), targets_of(SIDES), recipe
    )
    as_rows = Activations.of(SmallText(), [[*NAMED, *names]], 1)
    same = adapt(as_rows, np.arange(12), targets_of(np.append(SIDES, [0, 1])), RECIPE)
    for name, tensor in same.delta.items():
        torch.testing.assert_close(with_its_names.delta[name], tensor)


def test_a_student_learned_from_names_where_its_teachers_did():
    activations = Activations.of(SmallText(), [NAMED], 1, names=("red cars", "green cups"))
    taught = replace(RECIPE, objective=CrossEntropy(), members=5, student=Distillation(), label_name_weight=1)
    assert adapt(activations, np.arange(10), targets_of(SIDES), taught).named
    assert not adapt(activations, np.arange(10), targets_of(SIDES), replace(taught, label_name_weight=0)).named
