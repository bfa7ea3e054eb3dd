"""What every strategy that moves weights must do; a new one is covered the day it lands."""

from __future__ import annotations

import copy
import dataclasses
import pathlib

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import get_tags

from handful.backbones.base import Backbone, default_device
from handful.backbones.toy import ToySound, ToyText
from handful.choices import METHODS, MOVERS
from handful.data.tracks import Track
from handful.errors import DataError, HandfulError, OptionError
from handful.strategies.registry import movers
from handful.strategies.tuned.activation_cache import activations_for, part_activations_for
from handful.strategies.tuned.known import EXPERIENCE
from handful.strategies.tuned.methods.contrastive import Contrastive
from handful.strategies.tuned.strategy import Tuned
from handful.strategies.tuned.trainings import Part, Setup, answered, moved
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.events.task import EVENTS_TASK
from handful.tasks.tagging import TAGGING
from kept import SENT, pickled
from marked_sentences import sentences
from small_backbones import SmallImage, SmallText, SmallVoice

WORDS = {
    "löschen": "weg fort raus tilgen",
    "Rechnung": "euro zahlen summe betrag",
    "a class with blanks": "here there blank space",
    "日本": "tokyo kyoto osaka nara",
}
BACKBONES = {"toy": ToyText, "transformer": SmallText, "convolutions": SmallImage, "windows": SmallVoice}
FEW = dict(updates=2)


def text_rows(counts=(4, 4, 4), seed=0):
    """Texts whose words say the class, with their labels; shuffled."""
    rng = np.random.default_rng(seed)
    rows = []
    for (label, words), count in zip(WORDS.items(), counts, strict=False):
        for i in range(count):
            some = rng.permutation(words.split())[: 1 + i % 3]
            rows.append((" ".join([*some, f"n{rng.integers(10**6)}"]), label))
    order = rng.permutation(len(rows))
    return [rows[i][0] for i in order], [rows[i][1] for i in order]


def picture_rows(count=8):
    rng = np.random.default_rng(0)
    shades = [rng.integers(0, 100, (9, 9, 3)).astype(np.uint8) + np.uint8(120 * (i % 2)) for i in range(count)]
    return shades, ["dark", "light"] * (count // 2)


def clip_rows(count=8):
    rng = np.random.default_rng(0)
    sounds = []
    for i in range(count):
        samples = rng.normal(size=200 + 40 * i).astype(np.float32)
        samples[::2] += 2 * (i % 2)
        sounds.append((samples, 16000))
    return sounds, ["low", "high"] * (count // 2)


ROWS = {"text": text_rows, "image": picture_rows, "sound": clip_rows}


@pytest.fixture(params=movers().items(), ids=lambda item: item[0])
def strategy(request):
    return request.param[1]


@pytest.fixture(params=BACKBONES)
def fitting(request, strategy):
    """A strategy with few updates on a backbone that it fits, and rows."""
    backbone = BACKBONES[request.param]().to(default_device())
    why = strategy().refusal(backbone)
    if why is not None:
        pytest.skip(why)
    return strategy(backbone=backbone, **FEW), *ROWS[backbone.modality]()


@pytest.fixture
def made(strategy):
    """A strategy with few updates on attention over words, which every strategy fits."""
    return lambda **options: strategy(**{"backbone": SmallText().to(default_device()), **FEW, **options})


# What the constructor and fit promise ------------------------------------------------------------------------------


def test_options_are_the_fields_of_a_dataclass_with_defaults(strategy):
    assert dataclasses.is_dataclass(strategy)
    assert set(strategy().get_params()) == {field.name for field in dataclasses.fields(strategy) if field.init}


def test_an_update_sees_as_much_of_a_text_with_every_strategy(strategy):
    assert strategy().recipe().tokens == Contrastive.tokens == 64
    assert strategy(tokens=5).recipe().tokens == 5


def test_the_constructor_only_remembers(strategy):
    given = {field.name: object() for field in dataclasses.fields(strategy) if field.init}
    remembered = strategy(**given)
    assert all(getattr(remembered, name) is value for name, value in given.items())


def test_clone_keeps_the_options(strategy):
    given = strategy(backbone="toy-text", updates=7, learning_rate=0.5, seed=3)
    assert clone(given).get_params() == given.get_params()
    assert clone(strategy(backbone=SmallText())).get_params()["backbone"].fingerprint == SmallText().fingerprint


def test_fit_returns_self_and_leaves_options_and_rows_alone(fitting):
    model, items, labels = fitting
    before, kept = model.get_params(), copy.deepcopy((items, labels))
    assert model.fit(items, labels) is model
    assert all(value is before[name] for name, value in model.get_params().items())
    assert_array_equal(labels, kept[1])
    assert all(np.array_equal(np.asarray(a[0]), np.asarray(b[0])) for a, b in zip(items, kept[0], strict=True))


def test_what_is_learned_ends_in_an_underscore(made):
    model = made()
    before = set(vars(model))
    model.fit(*text_rows())
    assert {name for name in set(vars(model)) - before if not name.endswith("_")} == set()
    assert {"classes_", "delta_", "log_", "backbone_", "head_", "moved_"} <= set(vars(model))


def test_weights_move_as_often_as_asked_and_the_backbone_stays(fitting):
    model, items, labels = fitting
    backbone = model.backbone
    before = copy.deepcopy([module.state_dict() for module in backbone.modules()])
    model.fit(items, labels)
    assert [update.number for update in model.log_] == [0, 1]
    assert model.moved_ > 0
    assert all(np.isfinite(values).all() for values in model.delta_.values())
    assert model.backbone_.fingerprint != backbone.fingerprint
    depth = len(backbone.blocks)
    assert not np.array_equal(model.backbone_.encode(items, [depth])[depth], backbone.encode(items, [depth])[depth])
    for module, kept in zip(backbone.modules(), before, strict=True):
        assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in kept.items())


def test_nothing_is_predicted_before_fit(made):
    with pytest.raises(NotFittedError):
        made().predict(text_rows()[0])


def test_refit_forgets_the_first_fit(made):
    again, fresh = made().fit(*text_rows((5, 3), seed=1)).fit(*text_rows()), made().fit(*text_rows())
    assert_array_equal(again.classes_, fresh.classes_)
    assert_array_equal(again.predict_proba(text_rows()[0]), fresh.predict_proba(text_rows()[0]))


def test_same_rows_same_seed_same_result(fitting):
    model, items, labels = fitting
    first = model.fit(items, labels).predict_proba(items)
    assert_array_equal(clone(model).fit(items, labels).predict_proba(items), first)


def test_a_training_that_goes_to_another_process_and_comes_back_is_the_same(made):
    model, (items, labels) = made(), text_rows()
    recipe, targets = model.recipe(), CLASSIFICATION.read(labels)
    setup = Setup(targets, activations_for(model.backbone, items, targets.names, recipe), recipe)
    part = Part(np.arange(len(items)))
    here = moved(None, setup, part)
    there = pickled(moved(None, *pickled((setup, part))))
    assert {name: weight.tolist() for name, weight in there.delta.items()} == {
        name: weight.tolist() for name, weight in here.delta.items()
    }


def test_another_seed_draws_other_batches(made):
    rows = text_rows((9, 9, 9))
    first, second = (made(seed=seed, batch=6).fit(*rows).predict_proba(rows[0]) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_the_global_dice_are_neither_read_nor_moved(made):
    state, torch_state = np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002  # what is watched
    model = made().fit(*text_rows())
    model.predict_proba(text_rows()[0])
    after = np.random.get_state()  # noqa: NPY002
    assert_array_equal(state[1], after[1])
    assert torch.equal(torch.random.get_rng_state(), torch_state)


# What predictions look like ----------------------------------------------------------------------------------------


def test_class_names_go_in_and_come_out(made):
    items, labels = text_rows((3, 3, 3, 3))
    model = made().fit(items, labels)
    assert model.classes_.tolist() == sorted(WORDS)
    assert model.predict(items).shape == (12,)
    assert set(model.predict(items).tolist()) <= set(WORDS)
    assert isinstance(model.predict(items[:1]).tolist()[0], str)


def test_labels_may_be_a_list_a_tuple_or_an_array_of_objects(made):
    items, labels = text_rows()
    expected = made().fit(items, labels).predict_proba(items)
    for same in (tuple(labels), np.array(labels), np.array(labels, object)):
        assert_array_equal(made().fit(items, same).predict_proba(items), expected)


def test_probabilities_are_probabilities_in_the_order_of_classes(fitting):
    model, items, labels = fitting
    proba = model.fit(items, labels).predict_proba(items)
    assert proba.shape == (len(items), len(set(labels)))
    assert (proba >= 0).all()
    assert_allclose(proba.sum(1), 1, atol=1e-6)
    assert_array_equal(model.classes_[proba.argmax(1)], model.predict(items))


def test_every_item_is_predicted_by_itself(fitting):
    model, items, labels = fitting
    model.fit(items, labels)
    alone = np.concatenate([model.predict_proba(items[i : i + 1]) for i in range(len(items))])
    assert_allclose(alone, model.predict_proba(items), atol=1e-4)


def test_what_separates_is_learned(fitting):
    model, items, labels = fitting
    assert (model.fit(items, labels).predict(items) == labels).mean() >= 0.75


@pytest.mark.parametrize("counts", [(1, 1), (1, 5), (1, 1, 1, 1), (2, 12)], ids=str)
def test_small_sets_work(made, counts):
    items, labels = text_rows(counts)
    proba = made().fit(items, labels).predict_proba(items)
    assert proba.shape == (sum(counts), len(counts))
    assert np.isfinite(proba).all()


# Where words or moments are learned --------------------------------------------------------------------------------


def recordings(count):
    """Two seconds of noise each, with a tone in one of them, and their tracks."""
    rng, tone, sounds, cells = np.random.default_rng(0), np.sin(np.arange(16000) * 2), [], []
    for i in range(count):
        at = i % 2
        sound = 0.02 * rng.normal(size=32000)
        sound[16000 * at : 16000 * at + 16000] += tone
        sounds.append((sound.astype(np.float32), 16000))
        cells.append(Track(2.0, ((float(at), at + 1.0, "tone"),)).cell)
    return sounds, cells


PARTS = {"words": (ToyText, TAGGING, sentences), "moments": (ToySound, EVENTS_TASK, recordings)}


@pytest.mark.parametrize("parts", PARTS)
def test_parts_are_learned_with_every_recipe_or_refused_in_words(strategy, parts):
    kind, task, made = PARTS[parts]
    items, cells = made(12)
    backbone, targets = kind(), task.read(cells)
    model = dataclasses.replace(strategy.by_default(backbone.grain, seed=1), updates=2)
    assert model.seed == 1
    recipe = model.recipe()
    if recipe.only_wholes is not None:
        assert recipe.only_wholes.startswith("it ")
        assert recipe.only_wholes.endswith(" as wholes")
        return
    setup = Setup(targets, part_activations_for(backbone, items, targets, recipe.first(backbone)), recipe)
    part = Part(np.arange(8))
    first, again = answered(None, setup, part), pickled(answered(None, *pickled((setup, part))))
    assert first.moved > 0
    assert len(first.log) >= 2
    assert first.scores.shape == targets.task.design(targets).shape
    assert_array_equal(again.scores, first.scores)
    assert (first.scores.argmax(1) == targets.task.row_targets(targets).values).mean() > 0.75


# Errors that can be understood -------------------------------------------------------------------------------------


def test_one_class_is_an_error_that_names_it(made):
    with pytest.raises(DataError, match=r"2 classes, got only one class, 'Rechnung'\. Add rows of another class\."):
        made().fit(["a", "b", "c"], ["Rechnung"] * 3)


def test_no_rows_is_an_error(made):
    with pytest.raises(DataError) as error:
        made().fit([], [])
    assert str(error.value) == "fit needs at least 2 rows, got none. Give it labelled rows."


@pytest.mark.parametrize(("rows", "labels"), [(3, 4), (4, 3), (0, 3), (3, 0)])
def test_another_number_of_labels_is_an_error(made, rows, labels):
    with pytest.raises(HandfulError) as error:
        made().fit(["a", "b", "c", "d"][:rows], ["x", "y", "x", "y"][:labels])
    assert str(error.value).startswith(f"fit needs one label per row, got {rows} rows and {labels} labels.")


def test_an_item_that_cannot_be_read_is_an_error_that_names_it(made):
    with pytest.raises(DataError, match=r"item 1 cannot be read: the text is empty\."):
        made().fit(["a", " ", "b"], ["x", "y", "x"])
    model = made().fit(*text_rows())
    with pytest.raises(DataError, match=r"item 2 cannot be read: this must be a text, got int\."):
        model.predict(["a", "b", 3])


class Uncut(ToyText):
    """Has no blocks that could move."""

    name = "uncut"

    def __init__(self) -> None:
        super().__init__()
        self.blocks = ()


def test_a_backbone_without_blocks_is_an_error(strategy):
    with pytest.raises(OptionError) as error:
        strategy(backbone=Uncut()).fit(*text_rows())
    assert str(error.value) == (
        f"strategy {strategy.name} does not fit: uncut has no blocks that could move. "
        "Choose another strategy or backbone."
    )


def test_a_backbone_that_does_not_fit_is_an_error_with_the_reason(strategy):
    for kind in BACKBONES.values():
        backbone: Backbone = kind()
        why = strategy().refusal(backbone)
        if why is not None:
            with pytest.raises(OptionError) as error:
                strategy(backbone=backbone, **FEW).fit(*ROWS[backbone.modality]())
            assert str(error.value).startswith(f"strategy {strategy.name} does not fit: {why}. ")


# On a GPU, where there is one -----------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("kind", BACKBONES)
def test_a_gpu_finds_what_the_cpu_finds(strategy, kind):
    """But for rounding: an update multiplies in bfloat16 there, and Adam's first steps are of the rate's own size."""
    rows, answers = ROWS[BACKBONES[kind].modality](), []
    for device in ("cpu", "cuda"):
        backbone = BACKBONES[kind]().to(device)
        if (why := strategy().refusal(backbone)) is not None:
            pytest.skip(why)
        answers.append(strategy(backbone=backbone, **FEW).fit(*rows).predict_proba(rows[0]))
    assert_allclose(answers[1], answers[0], atol=0.15)
    assert (answers[1].argmax(1) == answers[0].argmax(1)).mean() > 0.7


@pytest.mark.parametrize("items", ["one text", pathlib.Path("a.png")], ids=["text", "file"])
def test_one_item_alone_is_an_error(made, items):
    with pytest.raises(DataError, match=r"needs a list of items, got one \w+\. Wrap it: \[item\]\."):
        made().fit(items, ["x", "y"])


# In scikit-learn's company -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_it_works_in_cross_val_score(made, scoring):
    items, labels = text_rows()
    scores = cross_val_score(made(), items, labels, cv=2, scoring=scoring, error_score="raise")
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("way", SENT)
def test_it_goes_through_a_file_and_comes_back_the_same(fitting, way):
    model, items, labels = fitting
    back = SENT[way](model.fit(items, labels))
    assert_array_equal(back.predict_proba(items), model.predict_proba(items))
    assert back.classes_.tolist() == model.classes_.tolist()
    assert back.score(items, labels) == (model.predict(items) == labels).mean()


def test_it_can_be_a_key_before_and_after_fit(made):
    model, other = made(), made()
    before = hash(model)
    assert hash(model.fit(*text_rows())) == before
    assert {model: 1, other: 2}[model] == 1  # two of the same options are two


def test_it_says_what_it_takes(made):
    tags = get_tags(made())
    assert (tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string) == (True, False, True)
    assert is_classifier(made())
    assert tags.requires_fit
    assert tags.target_tags.required


def test_its_repr_tells_what_is_not_by_default(strategy):
    assert repr(strategy()) == f"{strategy.__name__}()"
    assert repr(strategy(updates=7)) == f"{strategy.__name__}(updates=7)"


def test_items_may_be_a_column_of_a_table(made):
    items, labels = text_rows()
    frame = pd.DataFrame({"text": items, "label": labels})
    expected = made().fit(items, labels).predict_proba(items)
    assert_array_equal(made().fit(frame["text"], frame["label"]).predict_proba(frame[["text"]]), expected)


def test_its_options_can_be_searched(made):
    search = GridSearchCV(made(), {"updates": [1, 2], "penalty": [0.1, 1.0]}, cv=2, error_score="raise")
    assert set(search.fit(*text_rows()).best_params_) == {"updates", "penalty"}


def test_what_is_known_of_other_sets_is_known_of_strategies_that_there_are():
    assert {name for _, name, _ in EXPERIENCE} <= set(movers())


def test_the_catalogue_names_each_strategy_as_the_plan_does():
    kinds = movers()
    assert {name: kind.name for name, kind in kinds.items()} == {name: name for name in kinds}
    assert tuple(kinds) == MOVERS
    assert len(set(kinds.values())) == len(kinds)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_what_is_read_of_a_file_is_what_its_class_says(method):
    own = {"family": Tuned.family, "order": Tuned.order, **vars(movers()[method.name])}
    assert (method.family, method.order) == (own["family"], own["order"])
    assert method.module.rpartition(".")[2] == method.name.replace("-", "_"), "a file is called as its strategy"


@pytest.mark.integration
@pytest.mark.parametrize("name", ["minilm-l6", "efficientnet-lite0"])
@pytest.mark.parametrize("kind", ["contrastive", "lora", "partial"])
def test_real_backbones_learn(kind, name):
    from handful.backbones import catalog

    strategy = movers()[kind]
    backbone = catalog.load(name, "text" if name == "minilm-l6" else "image")
    why = strategy().refusal(backbone)
    if why is not None:
        pytest.skip(why)
    items, labels = ROWS[backbone.modality]()
    model = strategy(backbone=backbone, updates=2).fit(items, labels)
    assert (model.predict(items) == labels).mean() >= 0.75
    assert model.log_[0].loss < 10
