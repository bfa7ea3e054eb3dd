"""Checks of a run in use: drift, broken promises, classes never seen, bad input, and what a cron job sees."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import handful
from handful.errors import BundleError, DataError, OptionError
from handful.monitoring import new_rows
from handful.monitoring.check import check

QUICK = dict(backbone="toy-text", budget=0, strategies="centroid,ridge")


def alike(count, start=100):
    """Texts of both classes, so many of each."""
    words = {"ants": ["hill", "march", "leaf", "crumb"], "bees": ["hive", "buzz", "wing", "honey"]}
    return [
        (f"{words[name][i % 4]} {words[name][(i + 1) % 4]} number {i} {name}", name)
        for i in range(start, start + count)
        for name in words
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on thirty rows, for all tests here: none of them changes it."""
    texts, labels = zip(*alike(15, start=0), strict=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDFUL_CACHE", str(tmp_path_factory.mktemp("cache")))
        return handful.tune(list(texts), labels=list(labels), **QUICK)


def strange(count):
    return [f"quarterly {i} invoice overdue payment {i % 7} number" for i in range(count)]


def write(path, texts, labels=None, header="text"):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([header] if labels is None else [header, "label"])
        writer.writerows([text] if labels is None else [text, label] for text, label in zip(texts, labels or texts))  # noqa: B905
    return path


def table(path, names, *columns):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *zip(*columns, strict=True)])
    return path


def test_rows_that_it_learned_from_prove_nothing_and_are_left_out(run):
    told = []
    old, new = alike(15, start=0), alike(10)
    texts, labels = zip(*old[:4], *new, strict=True)
    found = check(run, list(texts), labels=list(labels), tell=told.append)
    assert told == ["learned from already, so that they prove nothing, and left out: 4 of 24 rows"]
    texts, labels = zip(*new, strict=True)
    alone = check(run, list(texts), labels=list(labels))
    assert replace(found, furthest=(), called="") == replace(alone, furthest=(), called="")
    assert found.furthest == tuple(4 + place for place in alone.furthest)
    texts, labels = zip(*old, strict=True)
    with pytest.raises(DataError) as caught:
        check(run, list(texts), labels=list(labels))
    assert str(caught.value) == (
        "the list must hold rows that the run has not seen, got nothing but rows that it learned from, which prove "
        "nothing. Give new ones."
    )


def test_all_that_was_learned_from_is_known_where_some_of_it_is_kept(run):
    kept = run.model.known_rows()
    some = replace(kept, rows=kept.rows[::3], answered=kept.answered[::3], places=kept.places[::3])
    made = replace(run, model=replace(run.model, reference=some))
    texts = [text for text, _ in alike(15, start=0)]
    with pytest.raises(DataError, match="got nothing but rows that it learned from"):
        check(made, texts)
    assert check(made, [*texts[:3], *(text for text, _ in alike(8))]).rows == 18  # one of three is kept


def test_rows_like_the_training_rows(run):
    found = check(run, [text for text, _ in alike(15)])
    assert found.verdict == "not measured"
    assert found.rows == 30
    assert set(found.answered) == {"ants", "bees"}
    assert found.measured is None


def test_rows_in_another_language_than_the_training_rows(tmp_path):
    parcel = [f"The courier did not bring parcel number {i}, where is it now?" for i in range(8)]
    invoice = [f"Please send me the invoice of order {i} again" for i in range(8)]
    run = handful.tune([*parcel, *invoice], labels=["parcel"] * 8 + ["invoice"] * 8, **QUICK)
    assert run.bundle.language == "en"
    run.save(tmp_path / "run")
    german = [f"Der Bote hat das Paket Nummer {i} nicht gebracht, wo ist es jetzt?" for i in range(8)]
    assert check(tmp_path / "run", german).languages == ("German", "English")
    assert check(tmp_path / "run", [text.replace("parcel", "packet") for text in parcel]).languages is None
    assert check(tmp_path / "run", [f"no {i}-{i}" for i in range(8)]).languages is None
    run.bundle.language = None  # as in a model that was written before it was recorded
    assert check(run, german).languages is None


def test_rows_from_elsewhere_have_drifted(run):
    found = check(run, strange(30))
    assert found.verdict == "drifted"
    assert found.strange > 0.5
    assert set(found.furthest) <= set(range(30))


def test_labelled_rows_are_held_against_the_promise(run):
    texts, labels = zip(*alike(20), strict=True)
    assert check(run, texts, labels=labels).verdict == "as promised"
    swapped = ["bees" if name == "ants" else "ants" for name in labels]
    found = check(run, texts, labels=swapped)
    assert found.verdict == "retrain"
    assert found.sentence.startswith(f"promised {found.promised.low:.0%} to 100%, measured 0% (0% to 9%) on 40 rows: ")


def test_classes_never_seen_are_named(run):
    texts, labels = zip(*alike(10), strict=True)
    found = check(run, [*texts, "a sting of a wasp"], labels=[*labels, "wasps"])
    assert found.verdict == "retrain"
    assert '1 rows are of classes that the run has never seen: "wasps"' in found.sentence


def test_tables_with_and_without_labels(run, tmp_path):
    run.save(tmp_path / "run")
    texts, labels = zip(*alike(10), strict=True)
    told = []
    plain = check(tmp_path / "run", write(tmp_path / "plain.csv", texts))
    labelled = check(tmp_path / "run", write(tmp_path / "both.csv", texts, labels), tell=told.append)
    without = check(tmp_path / "run", tmp_path / "both.csv", label="")
    assert (plain.measured, without.measured) == (None, None)
    assert labelled.measured.value == 1
    assert labelled.promised.as_dict() == run.scores.estimate.as_dict()
    assert told[0] == "column \"label\" is taken as the labels; use --label '' to check without them"


def test_the_label_columns_of_the_training_are_looked_for_however_they_are_called(tmp_path):
    texts, labels = zip(*alike(15, start=0), strict=True)
    table(tmp_path / "old.csv", ["text", "Kind of animal", "speaker"], texts, labels, [f"s{i % 5}" for i in range(30)])
    run = handful.tune(handful.load(tmp_path / "old.csv"), **QUICK)
    assert (run.model.target, run.model.group, run.model.targets) == ("Kind of animal", "speaker", ())
    run.save(tmp_path / "run")
    texts, labels = zip(*alike(15), strict=True)
    new, told = table(tmp_path / "new.csv", ["text", "kind of Animal"], texts, labels), []
    found = check(tmp_path / "run", new, tell=told.append)
    assert (found.verdict, found.measured.value) == ("as promised", 1)
    assert "column \"kind of Animal\" is taken as the labels; use --label '' to check without them" in told


def test_several_label_columns_of_the_training_are_looked_for(tmp_path):
    texts, labels = zip(*alike(15, start=0), strict=True)
    ones = [[int(label == name) for label in labels] for name in ("ants", "bees")]
    file = table(tmp_path / "old.csv", ["text", "ants", "bees"], texts, *ones)
    handful.tune(handful.load(file, label="ants,bees"), **{**QUICK, "strategies": "ridge"}).save(tmp_path / "run")
    assert handful.Bundle.load(tmp_path / "run").targets == ("ants", "bees")
    texts = [text for text, _ in alike(15)]
    assert (
        check(tmp_path / "run", table(tmp_path / "new.csv", ["text", "ants", "bees"], texts, *ones)).measured.value == 1
    )
    assert check(tmp_path / "run", table(tmp_path / "newer.csv", ["text", "ants"], texts, ones[0])).measured is None


def test_rows_without_a_label_and_unreadable_ones_are_counted(run, tmp_path):
    texts, labels = zip(*alike(10), strict=True)
    told = []
    file = write(tmp_path / "new.csv", [*texts, "unlabelled", ""], [*labels, "", "ants"])
    found = check(run, file, tell=told.append)
    assert (found.rows, found.unreadable) == (20, 1)
    assert "1 rows without a label are left out" in told


def test_of_a_long_source_some_rows_are_looked_at(run, tmp_path, monkeypatch):
    monkeypatch.setattr(new_rows, "MOST", 10)
    monkeypatch.setattr(new_rows, "CHUNK", 7)
    texts = [text for text, _ in alike(50)]
    told = []
    found = check(run, write(tmp_path / "new.csv", texts), tell=told.append)
    assert 10 <= found.rows <= 20
    assert told[-1] == f"{found.rows} of 100 rows are looked at, evenly spread"
    assert max(found.furthest) > 80


def test_pictures_in_folders_of_classes(pictures, tmp_path):
    run = handful.tune(pictures({"dark": 12, "light": 12}), backbone="toy-image", budget=0, strategies="centroid")
    found = check(run, pictures({"dark": 5, "light": 5, "grey": 2}, "new", 1))
    assert found.unknown == {"grey": 2}
    assert found.measured.value == pytest.approx(10 / 12)
    (tmp_path / "new/dark").rename(tmp_path / "pool")
    assert check(run, tmp_path / "pool").measured is None


# Bad input ---------------------------------------------------------------------------------------------------------


def test_a_pool_of_another_modality(run, pictures):
    with pytest.raises(DataError, match="^the model reads texts, but .* is a folder"):
        check(run, pictures())


def test_rows_that_are_all_the_same(run):
    with pytest.raises(DataError) as caught:
        check(run, ["the same text"] * 20)
    assert str(caught.value) == (
        "all 20 rows of the list look the same to toy-text@2+toy-text@1, so that nothing can be compared. "
        "Give rows that differ."
    )


def test_nothing_that_can_be_read(run):
    with pytest.raises(DataError, match="^the list has no row that can be read. Give other rows.$"):
        check(run, [None, float("nan")])
    with pytest.raises(DataError, match="has no row that can be read and has a label. Give other rows.$"):
        check(run, ["some text"], labels=[""])


def test_tables_that_are_handed_over_and_labels_that_are_packed(run):
    rows = [{"text": text, "kind": name} for text, name in alike(8)]
    assert check(replace(run, model=replace(run.model, input="text")), rows).rows == 16
    found = check(run, [row["text"] for row in rows], labels=[[row["kind"]] for row in rows])
    assert found.measured is not None and found.measured.value > 0.8


def test_rejected_rows_are_not_measured(run, tmp_path):
    said = [{"text": text, "label": name, "_task_hash": 1, "answer": "accept"} for text, name in alike(8)]
    said += [{**row, "text": row["text"] + " again", "label": "wasps", "answer": "reject"} for row in said]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in said))
    assert check(run, path).unknown == {}


def test_labels_must_match_items(run):
    with pytest.raises(OptionError, match=r"^labels= must have one entry per item \(2\), got 1. Correct it.$"):
        check(run, ["a", "b"], labels=["ants"])


def test_a_label_column_that_is_not_there(run, tmp_path, pictures):
    with pytest.raises(OptionError, match="^column \"lable\", given as the label, is not in .*Did you mean 'label'?"):
        check(run, write(tmp_path / "new.csv", ["a"], ["ants"]), label="lable")
    with pytest.raises(OptionError, match="^--label names a column of a table, but .* is a folder. Leave it out.$"):
        check(run, pictures(), label="label")


def test_a_run_that_keeps_nothing_of_its_rows(run):
    bare = replace(run, model=replace(run.model, reference=None))
    with pytest.raises(BundleError, match="^the model keeps nothing of its training rows"):
        check(bare, ["a", "b"])


def test_the_same_seed_gives_the_same_checkup(run):
    texts = [text for text, _ in alike(15)]
    assert check(run, texts) == check(run, texts)


# The command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(run, tmp_path):
    return run.save(tmp_path / "run")


def test_the_command_says_as_promised_and_exits_with_0(handful, saved, tmp_path):
    texts, labels = zip(*alike(20), strict=True)
    ended = handful("check", saved, write(tmp_path / "new.csv", texts, labels))
    assert ended.code == 0
    assert ended.out.endswith("on 40 rows: as promised.\n")


def test_the_command_exits_with_3_where_somebody_should_look(handful, saved, tmp_path):
    ended = handful("check", saved, write(tmp_path / "new.csv", strange(30)))
    assert ended.code == 3
    first, second = ended.out.splitlines()
    assert first.startswith("The new rows differ from the training rows (p = 0.001")
    assert second.startswith("rows that differ most: lines ")
    lines = second.removeprefix("rows that differ most: lines ").replace(" and ", ", ").split(", ")
    assert len(lines) == 10 and {int(line) for line in lines} <= set(range(2, 32))  # the first line has the names


def test_rows_that_differ_are_called_by_their_ids(run, tmp_path):
    file = table(tmp_path / "new.csv", ["ticket_id", "text"], [f"T-{i}" for i in range(30)], strange(30))
    found = check(run, file, input="text")
    assert (
        found.called == "ticket_id " + ", ".join(f"T-{i}" for i in found.furthest[:9]) + f" and T-{found.furthest[9]}"
    )


def test_rows_of_a_list_and_files_are_called_as_they_are():
    rows = [new_rows.Row(i, f"text {i}", None, i, "row") for i in range(4)]
    assert new_rows.called_together(rows, [3, 1]) == "rows 3 and 1"
    files = [new_rows.Row(i, Path("photos") / f"{i}.png", None) for i in range(4)]
    assert new_rows.called_together(files, [3, 1]) == f"{Path('photos') / '3.png'}, {Path('photos') / '1.png'}"


def test_the_command_prints_json_alone(handful, saved, tmp_path):
    ended = handful("check", saved, write(tmp_path / "new.csv", strange(30)), "--json")
    assert ended.code == 3
    told = json.loads(ended.out)
    assert (told["verdict"], told["rows"], told["drift"]["found"]) == ("drifted", 30, True)
    assert told["sentence"] in ended.err


def test_the_command_fails_with_1_on_what_cannot_be_read(handful, saved):
    ended = handful("check", saved, "nowhere.csv")
    assert (ended.code, ended.out) == (1, "")
    assert "nowhere.csv does not exist" in ended.err


def test_no_alarm_on_clean_draws():
    """Runs on noise around two axes, each checked with rows of its own kind and another mix of classes."""
    rng = np.random.default_rng(0)
    names = [f"w{i}" for i in range(40)]

    def text(label):
        own = names[:20] if label == "ants" else names[20:]
        return " ".join(rng.choice(own, 6))

    alarms = 0
    for _ in range(6):
        labels = ["ants", "bees"] * 12
        made = handful.tune([text(c) for c in labels], labels=labels, **QUICK)
        for _ in range(4):
            alarms += check(made, [text(c) for c in ["ants"] * 38 + ["bees"] * 2]).verdict == "drifted"
    assert alarms <= 1  # one in a hundred is what is promised
