"""From rows to a run in Python: every modality, the promises about folds, groups, test rows and seeds."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import handful
from handful import tune_items
from handful.budget import Budget
from handful.data.dataset import Dataset
from handful.engines import Inline, Processes
from handful.errors import DataError, OptionError

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")


@pytest.fixture
def rows(sentences):
    found = sentences({"ants": 10, "bees": 10})
    return [text for text, _ in found], [label for _, label in found]


def noise(count, classes=2, seed=0):
    """Texts that share no words, and labels that they say nothing about."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"w{word}" for word in rng.integers(10**9, size=6)) for _ in range(count)]
    return texts, [f"class {'xyz'[i % classes]}" for i in range(count)]


def numbers(run):
    """Everything measured, without what a clock measured."""
    found = run.scores.as_dict()
    del found["seconds"], found["energy"]
    for arm in found["arms"]:
        del arm["seconds"]
    return found


# Every modality ----------------------------------------------------------------------------------------------------


def test_texts(table):
    run = handful.tune(table(), backbone="toy-text")
    assert run.scores.estimate.value > 0.9
    assert run.scores.estimate.low < run.scores.estimate.value
    assert run.model.predict(["ants on a hill", "honey of bees"]) == ["ants", "bees"]
    assert tuple(run.scores.details["labels"]) == ("ants", "bees")
    assert (run.scores.n, len(run.held_out), len(run.data)) == (20, 20, 20)
    assert (run.scores.curve.n, run.scores.details["sets"]["level"]) == (20, 0.9)
    assert [answer.row for answer in run.held_out] == list(range(20))


@pytest.mark.parametrize("names", [(3, 7), (False, True), (0.5, 1.0)])
def test_answers_have_the_type_of_the_labels(rows, names):
    texts, labels = rows[0], [names[label == "bees"] for label in rows[1]]
    frame = pd.DataFrame({"text": texts, "label": labels})
    run = handful.tune(frame, task="classification", **QUICK)
    answers = run.model.predict(frame)
    assert np.mean([a == b and type(a) is type(b) for a, b in zip(answers, labels, strict=True)]) > 0.9


def test_pictures(pictures):
    folder = pictures()
    run = handful.tune(folder, backbone="toy-image", budget=0)
    assert run.scores.estimate.value > 0.8
    assert run.model.predict([folder / "dark/0.png", folder / "light/0.png"]) == ["dark", "light"]


def test_sounds(clips):
    folder = clips()
    run = handful.tune(folder, backbone="toy-sound", budget=0)
    assert run.scores.estimate.value > 0.8
    assert run.model.predict([folder / "low/0.wav", folder / "high/0.wav"]) == ["low", "high"]


def test_lists_frames_and_datasets_give_the_same(rows):
    texts, labels = rows
    from_list = handful.tune(texts, labels=labels, **QUICK)
    from_frame = handful.tune(pd.DataFrame({"text": texts, "label": labels}, index=range(7, 27)), **QUICK)
    from_dataset = handful.tune(handful.load(texts, labels=labels), **QUICK)
    assert numbers(from_list) == numbers(from_frame) == numbers(from_dataset)
    assert (from_list.model.input, from_frame.model.input) == (None, "text")


def test_things_in_memory_are_saved_and_shown_too(tmp_path):
    rng = np.random.default_rng(0)
    shades = [rng.integers(0, 60, (9, 9, 3)).astype(np.uint8) for _ in range(12)]
    for i, shade in enumerate(shades):
        shade[:, 5 * (i % 2) : 4 + 5 * (i % 2)] += 180  # the left or the right half is bright
    waves = [(np.sin(np.arange(1000) * (0.1 + 0.5 * (i % 2))).astype(np.float32), 8000 + i) for i in range(12)]
    for name, items in (("image", [Image.fromarray(x) for x in shades]), ("image", shades), ("sound", waves)):
        run = handful.tune(items, labels=["a", "b"] * 6, backbone=f"toy-{name}", budget=0)
        run.save(tmp_path / "run")
        assert run.model.predict(items[:4]) == ["a", "b", "a", "b"]
        assert (tmp_path / "run/predictions.csv").read_text().splitlines()[1].startswith("0,row 0,a,a,")


def test_several_backbones_are_compared_and_joined(rows, monkeypatch):
    from handful.backbones import catalog
    from handful.backbones.toy import ToyText

    class Deaf(ToyText):
        """Hears nothing."""

        name, fingerprint = "deaf", "deaf"

        def __init__(self):
            super().__init__()
            self.fingerprint = "deaf"

        def vectors(self, item):
            return super().vectors(f"always {len(item) % 3}")

    load = catalog.load
    monkeypatch.setattr(catalog, "load", lambda name, *a, **k: Deaf() if name == "deaf" else load(name, *a, **k))
    run = handful.tune(rows[0], labels=rows[1], backbone="deaf, toy-text,", budget=0)
    arms = {arm.name: arm.estimate.value for arm in run.scores.arms}
    assert {"deaf", "toy-text", "joined"} <= arms.keys()
    assert arms["toy-text"] > arms["deaf"]
    assert run.model.backbones[0][0] == "toy-text"  # joined is no better and costs twice as much
    assert run.model.view.backbones == ("toy-text",)


def test_a_backbone_in_a_folder_is_found_again_from_any_other_folder(rows, monkeypatch, tmp_path):
    from handful.backbones import catalog
    from handful.backbones.toy import ToyText

    (tmp_path / "models/mine").mkdir(parents=True)
    asked = []
    monkeypatch.setattr(catalog, "load", lambda name, *rest, **options: asked.append(name) or ToyText())
    monkeypatch.chdir(tmp_path)
    run = handful.tune(rows[0], labels=rows[1], backbone="models/mine,owner/model", strategies="centroid")
    run.save("run")
    assert asked == [f"{tmp_path}/models/mine", "owner/model"]
    monkeypatch.chdir(tmp_path / "models")
    assert handful.Bundle.load(tmp_path / "run").predict(rows[0][:2]) == rows[1][:2]
    assert asked[2] in asked[:2]


# What folds promise ------------------------------------------------------------------------------------------------


def test_repeated_rows_are_never_split_across_folds():
    """Split, every row of noise would be recognised by its twin."""
    texts, labels = noise(30)
    run = handful.tune(texts * 2, labels=labels * 2, **QUICK)
    assert run.scores.estimate.value < 0.75
    assert [finding.kind for finding in run.findings] == ["duplicate"]
    assert handful.tune(texts * 2, labels=labels * 2, **QUICK).scores.estimate.high < 1


def test_groups_are_never_split_across_folds(table):
    """Ten speakers, each with a word of their own and one label: who knows the speaker knows the label."""
    rng = np.random.default_rng(0)
    rows = []
    for speaker in range(10):
        for _ in range(4):
            own = " ".join([f"speaker{speaker}word"] * 3)
            rows.append((f"{own} n{rng.integers(10**9)}", "xy"[speaker % 2], f"s{speaker}"))
    header = ("text", "label", "speaker")
    grouped = handful.tune(table(rows, header), **QUICK)
    apart = handful.tune(table(rows, header), group="", **QUICK)
    assert grouped.scores.protocol == "nested 5x5 stratified grouped"
    assert apart.scores.protocol == "nested 5x5 stratified"
    assert apart.scores.estimate.value > 0.95
    assert grouped.scores.estimate.value < 0.75
    width = grouped.scores.estimate.high - grouped.scores.estimate.low
    assert width > apart.scores.estimate.high - apart.scores.estimate.low


def test_rows_with_contradicting_labels_are_kept_and_told(rows):
    texts, labels = rows
    run = handful.tune([*texts, texts[0]], labels=[*labels, "bees"], **QUICK)
    assert run.findings[0].kind == "conflict"
    assert run.findings[0].rows == (0, 20)
    assert len(run.data) == 21


@pytest.mark.parametrize("count", [8, 40])
def test_the_same_seed_gives_the_same_numbers_bit_for_bit(count):
    texts, labels = noise(count)
    first, second = (handful.tune(texts, labels=labels, seed=3, **QUICK) for _ in range(2))
    assert numbers(first) == numbers(second)
    assert first.held_out == second.held_out
    assert first.model.coef.tobytes() == second.model.coef.tobytes()


def test_another_seed_draws_other_folds():
    texts, labels = noise(40)
    first, second = (handful.tune(texts, labels=labels, seed=seed, **QUICK) for seed in (3, 4))
    assert first.held_out != second.held_out


def test_with_and_without_the_cache_the_numbers_are_the_same(rows, own_cache):
    first = handful.tune(rows[0], labels=rows[1], **QUICK)
    assert (own_cache / "features.sqlite").is_file()
    assert numbers(handful.tune(rows[0], labels=rows[1], **QUICK)) == numbers(first)
    (own_cache / "features.sqlite").write_bytes(b"garbage" * 1000)
    assert numbers(handful.tune(rows[0], labels=rows[1], **QUICK)) == numbers(first)


def test_processes_find_what_threads_find(table, monkeypatch):
    trained_on, real = [], tune_items.run_ladder
    monkeypatch.setattr(
        tune_items, "run_ladder", lambda *given: trained_on.append(type(given[3].engine)) or real(*given)
    )
    here, there = (
        handful.tune(
            table(),
            plan=handful.Plan.resolve({"backbone": "toy-text", "strategies": "svm", "engine": engine}),
            budget=Budget(60.0, clock=lambda: 0.0),  # a busy machine leaves out what there is no time for
        )
        for engine in ("inline", "processes")
    )
    assert numbers(here) == numbers(there)
    assert trained_on == [Inline, Processes]


# Test rows ---------------------------------------------------------------------------------------------------------


def with_test(sentences, label=lambda text, label: label, words=""):
    rows = sentences({"ants": 14, "bees": 14})
    parts = [("test" if i % 14 > 9 else "train") for i in range(28)]
    return [
        (text if part == "train" else f"{text}{words}", name if part == "train" else label(text, name), part)
        for (text, name), part in zip(rows, parts, strict=True)
    ]


HEADER = ("text", "label", "split")


def test_test_rows_are_kept_out_of_everything_but_the_test(table, sentences):
    """Other test rows, other labels on them: nothing moves but the test score."""
    swap = {"ants": "bees", "bees": "ants"}
    usual = handful.tune(table(with_test(sentences), HEADER), **QUICK)
    swapped = handful.tune(table(with_test(sentences, lambda _, name: swap[name]), HEADER), **QUICK)
    other = handful.tune(table(with_test(sentences, words=" and more"), HEADER), **QUICK)
    assert (usual.scores.n, usual.scores.test_n, len(usual.held_out), len(usual.data)) == (20, 8, 20, 20)
    assert usual.scores.test.value > 0.9
    assert swapped.scores.test.value == pytest.approx(1 - usual.scores.test.value)
    for changed in (swapped, other):
        first, second = numbers(usual), numbers(changed)
        for name in ("test", "sentence"):
            del first[name], second[name]
        assert first == second
        assert changed.model.coef.tobytes() == usual.model.coef.tobytes()


def test_the_test_score_is_that_of_the_saved_model(table, sentences):
    rows = with_test(sentences)
    run = handful.tune(table(rows, HEADER), metric="macro_f1", **QUICK)
    test = [(text, label) for text, label, part in rows if part == "test"]
    answers = run.model.predict([text for text, _ in test])
    assert answers == [label for _, label in test]
    assert run.scores.test.value == 1.0
    assert run.scores.sentence.startswith("On the 8 test rows: 100%")


def test_classes_that_only_test_rows_have_are_never_answered_and_count_as_wrong(table, sentences):
    rows = [*with_test(sentences), *((text, label, "test") for text, label in sentences({"wasps": 2}))]
    run = handful.tune(table(rows, HEADER), **QUICK)
    assert tuple(run.scores.details["labels"]) == run.model.labels == ("ants", "bees")
    assert (run.scores.test_n, run.scores.test.value) == (10, 0.8)
    assert 'classes in the test rows that no training row has: "wasps"' in run.data.notes


# What cannot be read -----------------------------------------------------------------------------------------------


def test_a_few_unreadable_files_are_left_out_and_listed(pictures, tmp_path):
    folder = pictures({"dark": 12, "light": 12})
    (folder / "dark/3.png").write_bytes(b"nonsense")
    (folder / "light/4.png").write_bytes(b"")
    run = handful.tune(folder, backbone="toy-image", budget=0)
    assert run.scores.n == 22
    # rows count the files in sorted order: 0, 1, 10, 11, 2, 3, …
    assert list(run.data.unreadable) == [18, 5]
    assert 5 not in {answer.row for answer in run.held_out}
    assert run.findings[0].kind == "unreadable"
    assert run.findings[0].rows == (5, 18)
    assert f"{folder}/dark/3.png: it is not a picture in a known format" in run.findings[0].message
    run.save(tmp_path / "run")
    assert len((tmp_path / "run/predictions.csv").read_text().splitlines()) == 23


def test_more_than_a_tenth_is_an_error(pictures):
    folder = pictures({"dark": 6, "light": 6})
    for i in range(2):
        (folder / f"dark/{i}.png").write_bytes(b"nonsense")
    with pytest.raises(DataError) as error:
        handful.tune(folder, backbone="toy-image", budget=0)
    assert str(error.value) == (
        f"2 of 12 items in {folder} cannot be read, more than a tenth; the first is {folder}/dark/0.png: it is not a "
        "picture in a known format. Convert it to JPEG or PNG, or remove it."
    )


def test_a_class_that_vanishes_is_an_error(pictures):
    folder = pictures({"dark": 12, "light": 12, "odd": 1})
    (folder / "odd/0.png").write_bytes(b"nonsense")
    with pytest.raises(DataError) as error:
        handful.tune(folder, backbone="toy-image", budget=0)
    assert str(error.value).startswith(
        f"class 'odd' in {folder} has no readable item left; the first unreadable one is"
    )


def test_a_class_that_vanishes_from_the_rows_to_learn_from_is_an_error_too(pictures):
    pictures({"dark": 12, "light": 1}, name="photos/train")
    folder = pictures({"dark": 4, "light": 4}, name="photos/test").parent
    (folder / "train/light/0.png").write_bytes(b"nonsense")
    with pytest.raises(DataError) as error:
        handful.tune(folder, backbone="toy-image", budget=0)
    assert str(error.value) == (
        f"class 'light' in {folder} has no readable row to learn from left; the first unreadable one is "
        f"{folder}/train/light/0.png: it is not a picture in a known format. Convert it to JPEG or PNG, or remove it. "
        "Repair its rows or remove the class."
    )


# Options and their errors ------------------------------------------------------------------------------------------


def test_wrong_options_are_told_before_anything_is_read():
    with pytest.raises(OptionError) as error:
        handful.tune("nowhere.csv", metric="f1", budget="soon")
    assert len(str(error.value).splitlines()) == 2


def test_rows_without_labels():
    with pytest.raises(DataError) as error:
        handful.tune(Dataset(["a b", "c d"], "text"), **QUICK)
    assert str(error.value) == "items must have labels to learn from, got none. Name the column with label=."


def test_rows_of_one_class_that_no_reader_has_seen():
    with pytest.raises(DataError) as error:
        handful.tune(Dataset([f"text {i}" for i in range(9)], "text", ("one",) * 9), **QUICK)
    assert str(error.value) == "the rows of items must be of at least 2 classes, got 1. Add another class."


def test_a_backbone_for_something_else(table):
    with pytest.raises(OptionError) as error:
        handful.tune(table(), backbone="toy-image")
    assert (
        str(error.value)
        == "backbone 'toy-image' is for image, but the items are text: choose one of minilm-l6, bge-small-en."
    )


def test_columns_that_the_caller_names_stand_in_the_plan(table, sentences):
    rows = [(f"note {i}", *row) for i, row in enumerate(sentences({"ants": 6, "bees": 6}))]
    run = handful.tune(table(rows, ("id", "what", "kind")), label="kind", input="what", **QUICK)
    origins = {name: (value, origin) for name, value, origin in run.plan.items()}
    assert origins["label"] == ("kind", "argument")
    assert origins["input"] == ("what", "argument")
    assert origins["group"] == (None, "default")
    assert run.model.input == "what"


def test_only_the_strategies_asked_for_are_arms(rows):
    run = handful.tune(rows[0], labels=rows[1], strategies=["centroid", "zero_shot"], backbone="toy-text")
    assert [arm.name for arm in run.scores.arms] == ["majority", "centroid", "zero-shot", "ensemble"]
    assert run.scores.chosen == "ensemble"


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_every_metric(rows, metric):
    run = handful.tune(rows[0], labels=rows[1], metric=metric, **QUICK)
    assert run.scores.metric == metric
    assert 0 <= run.scores.estimate.low <= run.scores.estimate.value <= run.scores.estimate.high <= 1


def test_progress_is_told_of_every_stage(rows):
    told = []
    handful.tune(rows[0], labels=rows[1], progress=lambda *step: told.append(step), **QUICK)
    assert {stage for stage, _, _ in told} == {"looking with toy-text", "comparing heads"}
    for stage in ("looking with toy-text", "comparing heads"):
        steps = [(done, total) for name, done, total in told if name == stage]
        assert steps[-1][0] == steps[-1][1] > 0


def test_inspect_takes_what_load_takes(rows, table):
    texts, labels = [*rows[0], rows[0][0]], [*rows[1], rows[1][0]]
    assert [f.kind for f in handful.inspect(texts, labels=labels, backbone="toy-text")] == ["duplicate"]
    assert handful.inspect(table(), backbone="toy-text") == ()
    assert handful.inspect(handful.load(table()), backbone="none") == ()


def test_inspect_takes_a_dataset_to_compare_with(rows, table):
    data = handful.load(table())
    assert handful.inspect(data, backbone="toy-text", against=data) == ()
    other = handful.load([f"something else {i}" for i in range(20)], labels=["a", "b"] * 10)
    assert [f.kind for f in handful.inspect(data, backbone="toy-text", against=other)] == ["shift"]


def test_no_run_holds_a_number_that_json_lacks(rows):
    found = handful.tune(rows[0], labels=rows[1], strategies="zero-shot", backbone="toy-text").scores.as_dict()
    json.dumps(found, allow_nan=False)


# Weights that move -------------------------------------------------------------------------------------------------


@pytest.fixture
def muted(monkeypatch):
    """A backbone of the catalogue that frozen heads cannot use and moved weights can, and rows for it."""
    from handful.backbones import catalog
    from small_backbones import Muted

    load = catalog.load
    monkeypatch.setattr(catalog, "load", lambda name, *a, **k: Muted() if name == "muted" else load(name, *a, **k))
    texts = [f"{'ants' if i % 2 else 'bees'} {i}" for i in range(32)]
    return texts, [text.split()[0] for text in texts]


MOVING = dict(backbone="muted", strategies="contrastive", budget=60)


def test_a_strategy_that_moves_weights_is_an_arm_among_the_heads(rows):
    run = handful.tune(rows[0], labels=rows[1], strategies="contrastive", backbone="toy-text", budget=60)
    arms = {arm.name for arm in run.scores.arms}
    assert {"majority", "zero-shot", "centroid", "ridge", "logistic", "svm", "contrastive"} <= arms
    assert run.trainings[0].name == "contrastive"
    assert run.trainings[0].moved == 2 * 32 * 32  # two thirds of two blocks, rounded up
    assert all(len(curve) == handful.Contrastive.updates for curve in run.trainings[0].curves)
    assert any(note.startswith("contrastive ") for note in run.notes)
    assert run.scores.chosen == "contrastive" or run.model.moved is None


def test_the_model_whose_weights_moved_is_the_one_that_was_scored(muted, tmp_path):
    from handful.export.bundle import Bundle

    texts, labels = muted
    run = handful.tune(texts, labels=labels, **MOVING)
    assert run.trainings[0].passed
    assert run.scores.chosen in {training.name for training in run.trainings}
    assert run.scores.estimate.value > 0.9
    assert run.model.moved.tuner == "blocks"
    assert run.model.backbones == (("muted#moved", 2),)
    assert run.model.predict(["ants 77", "bees 78"]) == ["ants", "bees"]
    assert run.scores.n == len(run.held_out) == 32
    run.save(tmp_path / "run")
    loaded = Bundle.load(tmp_path / "run")
    assert loaded.predict_proba(texts).tobytes() == run.model.predict_proba(texts).tobytes()
    assert sorted(path.name for path in (tmp_path / "run/model").iterdir()) == [
        "README.md", "bundle.json", "head.safetensors", "moved.safetensors", "reference.safetensors",
    ]  # fmt: skip
    assert loaded.reference.view.backbones == ("muted",)  # weights that moved have the training rows by heart
    np.testing.assert_array_equal(loaded.judge(texts[:4]).outputs, run.model.predict_proba(texts[:4]))


def test_moving_weights_says_how_confident_it_is(muted):
    texts, labels = muted
    model = handful.tune(texts, labels=labels, **MOVING).model
    proba = model.predict_proba([f"{kind} {i}" for kind in ("ants", "bees") for i in range(100, 150)])
    assert 0.6 < np.median(proba.max(1)) < 1 - 1e-6
    np.testing.assert_allclose(proba.sum(1), 1)


def test_test_rows_are_answered_by_the_model_whose_weights_moved(muted):
    texts, labels = muted
    texts, labels = [*texts, *(f"ants {i}" for i in range(50, 60))], [*labels, *["ants"] * 10]
    data = Dataset(texts, "text", tuple(labels), split=("train",) * 32 + ("test",) * 10)
    run = handful.tune(data, **MOVING)
    assert run.model.moved is not None
    assert run.scores.test.value == 1
    assert run.scores.test_n == 10
    assert run.scores.n == 32


def test_no_budget_moves_no_weights(muted):
    texts, labels = muted
    run = handful.tune(texts, labels=labels, **{**MOVING, "budget": 0})
    assert run.model.moved is None
    assert run.trainings == ()
    assert "Weights stay as they are: the budget leaves no time to move them." in run.notes


def test_the_default_budget_may_be_said_and_a_longer_one_is_used_up(muted):
    texts, labels = muted
    silent = {name: value for name, value in MOVING.items() if name != "budget"}
    runs = [handful.tune(texts, labels=labels, **silent, **said) for said in ({}, {"budget": "1 min"})]
    assert numbers(runs[0]) == numbers(runs[1])
    assert runs[0].trials == runs[1].trials == ()
    assert handful.tune(texts, labels=labels, **silent, budget="10 min").trials != ()


def test_the_seed_fixes_what_moves(muted):
    texts, labels = muted
    first, second = (handful.tune(texts, labels=labels, **{**MOVING, "budget": 600}, seed=3) for _ in range(2))
    assert numbers(first) == numbers(second)
    assert first.model.predict_proba(texts).tobytes() == second.model.predict_proba(texts).tobytes()


@pytest.mark.slow
def test_a_resumed_run_goes_on_from_trainings_on_the_same_rows_only(muted, tmp_path):
    from handful.plan import Plan

    texts, labels = muted
    other = ["bees" if label == "ants" else "ants" for label in labels[:16]] + labels[16:]

    def tuned(labels, resume):
        given = {**MOVING, "budget": 600, "out": str(tmp_path / "run"), "resume": resume}
        return handful.tune(texts, labels=labels, plan=Plan.resolve(given))

    fresh, mixed = tuned(labels, False), tuned(other, True)
    assert numbers(tuned(labels, True)) == numbers(fresh)
    assert numbers(mixed) == numbers(tuned(other, False))
    assert numbers(mixed) != numbers(fresh)
