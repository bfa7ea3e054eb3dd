"""Domain-adaptive training: what moves, what stays, what is refused, and how an interrupted one goes on."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from handful import api
from handful.backbones import catalog
from handful.backbones.base import Backbone
from handful.backbones.toy import ToyText
from handful.budget import Budget
from handful.data.dataset import Dataset
from handful.errors import DataError, OptionError
from handful.export.bundle import Bundle
from handful.regimes import domain_adaptive, pool_items, pool_views
from handful.regimes.domain_adaptive import adapt
from handful.regimes.pool_items import FEWEST, PoolItems
from handful.regimes.pool_training import RECIPES, PoolRecipe, train_on_pool
from handful.regimes.pool_views import Changes
from handful.training import loop
from small_backbones import KINDS, SmallText

WORDS = ["hill", "march", "leaf", "crumb", "hive", "buzz", "wing", "honey", "sting", "stripe"]
POOL = [f"{WORDS[i % 10]} {WORDS[i * 7 % 9]} {WORDS[i * 3 % 8]} w{i}" for i in range(120)]
SHORT = PoolRecipe(updates=12, batch=16, rate=1e-3)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Trainings of few updates."""
    few = {kind: replace(recipe, updates=12, batch=16) for kind, recipe in RECIPES.items()}
    monkeypatch.setattr(domain_adaptive, "RECIPES", few)


@pytest.fixture
def pool(tmp_path):
    """A text file with 120 different lines."""
    file = tmp_path / "pool.txt"
    file.write_text("\n".join(POOL), "utf-8")
    return file


@pytest.fixture
def out(tmp_path):
    """Where a base goes."""
    return tmp_path / "bases" / "mine"


def refused(error, *args, **options):
    with pytest.raises(error) as caught:
        adapt(*args, **{"backbone": "toy-text", **options})
    return str(caught.value)


def test_a_base_is_written_and_has_moved(pool, out):
    made = adapt(pool, out=out, backbone="toy-text")
    assert sorted(path.name for path in out.iterdir()) == ["adapted.json", "adapted.safetensors"]
    assert [path.name for path in out.parent.iterdir()] == ["mine"]  # what a resumed one needs is gone
    assert (made.original, made.modality, made.moved, made.items) == ("toy-text", "text", (1, 2), 120)
    assert len(made.losses) == 12
    before, after = ToyText().encode(POOL, (1, 2)), catalog.load(str(out), "text").encode(POOL, (1, 2))
    np.testing.assert_array_equal(before[1], after[1])
    assert not np.array_equal(before[2], after[2])
    assert re.fullmatch(
        rf"{out} is toy-text with the upper 1 of 2 blocks moved by 12 updates on 120 texts, in \d+ s\.",
        made.sentences[0],
    )
    assert made.sentences[1].startswith("Of the 5 nearest neighbours of an item among 60 general sentences, ")
    assert made.notes == ()


def test_the_same_seed_gives_the_same_base_and_another_one_another(pool, out):
    prints = []
    for seed in (0, 0, 1):
        adapt(pool, out=out, backbone="toy-text", seed=seed)
        prints.append(catalog.load(str(out), "text").fingerprint)
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_backbone_learns(kind, tmp_path):
    make, items = KINDS[kind]
    backbone, some = make(), items(24)
    recipe = replace(SHORT, changes=Changes(0 if backbone.modality == "text" else 3))
    before = backbone.encode(some, (len(backbone.blocks),))
    read = PoolItems(some, [str(i) for i in range(24)], "pool", ())
    learned = train_on_pool(backbone, read, recipe, 0, Budget(60), tmp_path / "state", lambda *step: None)
    after = backbone.encode(some, (len(backbone.blocks),))
    np.testing.assert_array_equal(before[2], after[2])  # what was handed in is as it was
    assert learned.items == 24
    assert all(np.isfinite(update.loss) for update in learned.log)
    assert {int(name.split(".")[0]) for name in learned.delta} == {0}  # the upper one of two


def test_two_dropout_passes_are_told_from_other_texts(tmp_path):
    read = PoolItems(POOL, POOL, "pool", ())
    recipe = replace(SHORT, updates=60, batch=32)
    learned = train_on_pool(SmallText(), read, recipe, 0, Budget(60), tmp_path / "state", lambda *step: None)
    losses = [update.loss for update in learned.log]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])


def test_the_anchor_holds_weights_near_their_start(tmp_path):
    read, moved = PoolItems(POOL, POOL, "pool", ()), []
    for strength in (0.0, 10.0):
        recipe = replace(SHORT, l2_sp=strength)
        learned = train_on_pool(ToyText(), read, recipe, 0, Budget(60), tmp_path / "s", lambda *step: None)
        moved.append(float((learned.delta["0.weight"] - ToyText().blocks[1].weight.detach()).norm()))
        (tmp_path / "s" / "updates").unlink()
    assert moved[1] < moved[0]


def test_an_interrupted_training_goes_on_and_ends_as_if_it_had_not_been(pool, out, monkeypatch):
    adapt(pool, out=out, backbone="toy-text")
    whole = catalog.load(str(out), "text").fingerprint
    now = iter(range(0, 10**6, 6))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(now)))  # every update is worth a checkpoint
    seen = []

    def stop(stage, done, total):
        seen.append((stage, done))
        if (stage, done) == ("moving weights", 5) and not resumed:
            raise KeyboardInterrupt

    resumed = False
    with pytest.raises(KeyboardInterrupt):
        adapt(pool, out=out, backbone="toy-text", budget=10**7, progress=stop)
    assert catalog.load(str(out), "text").fingerprint == whole  # the former base is whole
    assert (out.parent / ".mine.training").is_dir()
    seen.clear()
    resumed = True
    adapt(pool, out=out, backbone="toy-text", budget=10**7, resume=True, progress=stop)
    assert ("moving weights", 5) in seen
    assert ("moving weights", 4) not in seen
    assert catalog.load(str(out), "text").fingerprint == whole
    assert not (out.parent / ".mine.training").exists()


def test_without_resume_an_interrupted_training_begins_anew(pool, out):
    state = out.parent / ".mine.training"
    state.mkdir(parents=True)
    (state / "left").write_text("x")
    adapt(pool, out=out, backbone="toy-text")
    assert not state.exists()


@pytest.fixture
def clock(monkeypatch):
    """An update takes half a second by the clock of the loop, and for trainings as long as said is left."""
    times, left = iter(range(10**6)), [60.0]
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(times) / 2)
    monkeypatch.setattr(Budget, "for_training", property(lambda self: left[0]))
    return left


def test_a_budget_without_time_for_updates_is_refused(pool, out, clock):
    clock[0] = 4.9
    assert re.fullmatch(
        r"budget must leave time for at least 10 updates of 0\.5 s after \d+ s for everything before, got 1e\+06 s\. "
        r"Give more, such as --budget 5min\.",
        refused(OptionError, pool, out=out, budget=1_000_000),
    )
    assert not out.exists()
    assert not list(out.parent.glob(".*"))  # nothing was learned that could be gone on with


def test_only_as_many_updates_as_the_budget_has_time_for(pool, out, clock):
    clock[0] = 5.6
    made = adapt(pool, out=out, backbone="toy-text", budget=1_000_000)
    assert len(made.losses) == 11
    assert made.notes == ("11 of 12 updates fitted into the budget.",)


def test_a_training_ends_when_the_time_is_over(pool, out, clock):
    def tick(stage, done, total):
        clock[0] = 0.0 if (stage, done) == ("moving weights", 7) else clock[0]

    made = adapt(pool, out=out, backbone="toy-text", budget=1_000_000, progress=tick)
    assert made.notes == ("7 of 12 updates fitted into the budget.",)


def test_items_that_there_was_no_time_or_memory_for_are_left_out(pool, out, monkeypatch):
    monkeypatch.setattr(pool_views, "MOST_BYTES", 1)
    assert "32 of 120 items are learned from: time or memory was left for no more." in (
        adapt(pool, out=out, backbone="toy-text").notes
    )
    monkeypatch.undo()
    monkeypatch.setattr(Budget, "elapsed", property(lambda self: self.seconds))
    monkeypatch.setattr(Budget, "for_training", property(lambda self: 60.0))
    assert adapt(pool, out=out, backbone="toy-text").items == 120  # at least a hundred are looked at


def test_unreadable_items_are_left_out_and_told(pictures, out):
    place = pictures({"dark": 60, "light": 60})
    (place / "dark" / "broken.png").write_bytes(b"\x89PNG rubbish")
    made = adapt(place, out=out, backbone="toy-image")
    assert made.items == 120
    (note,) = made.notes
    assert note.startswith("1 of 121 items cannot be read; the first: ")
    assert "broken.png" in note


def test_items_that_are_the_same_count_once(out):
    data = Dataset([*POOL, *POOL], "text", rows=tuple(range(240)), source="mine")
    assert adapt(data, out=out, backbone="toy-text").items == 120


@pytest.mark.parametrize("kind", ["file", "data"])
def test_of_a_long_pool_an_even_sample_is_learned_from(pool, out, monkeypatch, kind):
    monkeypatch.setitem(pool_items.MOST, "text", 110)
    data = Dataset(POOL, "text", rows=tuple(range(120)), source="mine")
    made = adapt(pool if kind == "file" else data, out=out, backbone="toy-text")
    assert made.items == 110
    assert made.notes == ("Of 120 texts an even sample of 110 is learned from.",)


def test_a_budget_of_nothing_is_refused(pool, out):
    assert refused(OptionError, pool, out=out, budget=0) == (
        "budget must be more than 0 to move weights, got 0. Try '5 min'."
    )
    assert "budget must be a time such as 30s" in refused(OptionError, pool, out=out, budget="soon")


def test_too_few_items(out):
    data = Dataset(["one", "two", "one"], "text", rows=(0, 1, 2), source="mine")
    assert refused(DataError, data, out=out) == (
        f"pool mine must hold at least {FEWEST} different texts to learn from, got 2. Add some, or tune with the "
        "backbone as it is."
    )


def test_a_pool_of_another_kind(pictures, pool, out):
    place = pictures()
    assert refused(DataError, place, out=out) == (
        f"pool {place} must hold texts, which backbone toy-text reads, got images. Name another pool or another "
        "backbone."
    )
    data = Dataset(POOL, "text", rows=tuple(range(120)), source="mine")
    assert refused(DataError, data, out=out, backbone="toy-sound") == (
        "pool mine must hold sounds, which backbone toy-sound reads, got texts. Name another pool or another backbone."
    )
    assert "the model reads images, but" in refused(DataError, pool, out=out, backbone="toy-image")


def test_a_pool_of_several_kinds(pictures, clips, out):
    pictures(name="both")
    place = clips(name="both")
    assert refused(DataError, place, out=out, backbone="auto") == (
        f"pool {place} must hold items of one kind, got images and sounds. Name the backbone that is to learn from "
        "them, such as --backbone efficientnet-lite0."
    )


def test_a_pool_that_is_not_there(tmp_path, out):
    assert str(tmp_path / "no.txt") in refused(DataError, tmp_path / "no.txt", out=out)


def test_a_backbone_that_cannot_be_cut(pool, out, monkeypatch):
    expected = "backbone {!r} must have blocks that can move, got one that cannot be cut. Choose another."
    assert refused(OptionError, pool, out=out, backbone="char-ngrams") == expected.format("char-ngrams")
    monkeypatch.setattr(Backbone, "blocks", ())
    monkeypatch.setattr(ToyText, "__init__", lambda self: None)
    assert refused(OptionError, pool, out=out) == expected.format("toy-text")


def test_pairs_of_texts(table, out):
    source = table([(f"one {i}", f"two {i}") for i in range(120)], header=("first", "second"))
    assert refused(DataError, source, out=out, input="first,second") == (
        f"pool {source} must hold one text per item, got pairs of texts. Name one column."
    )


def test_the_default_backbone_has_weights_and_reads_the_items():
    assert pool_items.default_backbone("text", ["The courier did not bring the parcel, where is it now?"] * 9) == (
        "minilm-l6"
    )
    german = [f"Der Bote hat das Paket Nummer {i} nicht gebracht, wo ist es jetzt?" for i in range(9)]
    assert pool_items.default_backbone("text", german) == "multilingual-e5-small"
    assert pool_items.default_backbone("image", []) == "efficientnet-lite0"


def test_a_backbone_of_language(pool, out):
    assert refused(OptionError, pool, out=out, backbone="smollm2-135m") == (
        "backbone 'smollm2-135m' must read texts, images or sounds to be adapted, got one for language. Choose "
        "another, such as minilm-l6."
    )


def test_several_backbones(pool, out):
    assert refused(OptionError, pool, out=out, backbone="toy-text,minilm-l6") == (
        "backbone must be a single one to be adapted, got 'toy-text,minilm-l6'. Name one of them."
    )


def test_a_base_is_not_adapted_again(pool, out):
    adapt(pool, out=out, backbone="toy-text")
    assert refused(OptionError, pool, out=out.with_name("second"), backbone=str(out)) == (
        f"backbone '{out}' must not have been adapted before, got a base that `handful adapt` wrote. Put all items "
        "into one pool, and name the original."
    )


def test_a_folder_with_something_else_is_left_alone(pool, out):
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    assert refused(OptionError, pool, out=out) == (
        f"output folder {out} must be new, empty or an earlier result, got a folder with other files. Choose another "
        "folder."
    )
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("modality", ["text", "image", "sound"])
def test_a_model_on_a_base_is_saved_and_loads_again(modality, table, pictures, clips, out, tmp_path, sentences):
    counts = {"ants": 52, "bees": 52}
    source = {
        "text": lambda: table(sentences(counts)), "image": lambda: pictures(counts), "sound": lambda: clips(counts),
    }[modality]()  # fmt: skip
    adapt(source, out=out, backbone=f"toy-{modality}", input="text" if modality == "text" else None)
    data = api.load(source)
    data = data.take([i for i in range(len(data)) if i % 6 == 0])
    run = api.tune(data, backbone=str(out), budget=0)
    run.model.save(tmp_path / "model")
    copy = Bundle.load(tmp_path / "model")
    assert copy.view.backbones == (str(out),)
    np.testing.assert_array_equal(copy.outputs(data.items), run.model.outputs(data.items))


def test_weights_move_further_on_a_base(table, pool, out, tmp_path):
    adapt(pool, out=out, backbone="toy-text")
    data = api.load(table())
    run = api.tune(data, backbone=str(out), strategies="partial", budget=20)
    run.model.save(tmp_path / "model")
    copy = Bundle.load(tmp_path / "model")
    np.testing.assert_array_equal(copy.outputs(data.items), run.model.outputs(data.items))
