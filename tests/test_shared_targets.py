"""Targets that share weights: named in a plan, decided for each, stored once, in memory once, looked at once."""

from __future__ import annotations

import numpy as np
import pytest

import handful as library
from handful.backbones import catalog
from handful.errors import OptionError
from handful.export.sharing import share_backbones
from handful.features.view import MOVED
from handful.run_folder import checkpoints_of
from handful.strategies.tuned.shared import Shared
from handful.tune_targets import HeadsRun
from handful.updating.update import updated_plan
from small_backbones import Muted

RECORDS = [
    {"text": f"{'ants' if i % 2 else 'bees'} {i}", "kind": ("bee", "ant")[i % 2] if i < 28 else "",
     "size": ("large", "small")[i % 2] if i >= 20 else "", "mood": ("calm", "wild")[i // 7 % 2]}
    for i in range(48)
]  # fmt: skip
NEW = ["ants 99", "bees 99"]


@pytest.fixture(scope="module")
def muted():
    """A backbone that frozen heads cannot use, of which a few updates bring back what tells the first words apart."""
    load, patch = catalog.load, pytest.MonkeyPatch()
    patch.setattr(catalog, "load", lambda name, *a, **k: Muted() if name == "muted" else load(name, *a, **k))
    patch.setattr(Shared, "__init__", _faster(Shared.__init__))
    yield
    patch.undo()


def _faster(plain):
    def made(self, *given, **more):
        plain(self, *given, **{"updates": 6, "learning_rate": 0.1, "label_name_weight": 0, **more})

    return made


@pytest.fixture(scope="module")
def run(muted):
    return library.tune_heads(RECORDS, "kind,size,mood", backbone="muted", strategies="logistic,shared", budget=60)


def test_each_target_ships_what_its_own_rows_say(run):
    heads = {name: one.model.head for name, one in run.runs.items()}
    assert (heads["kind"], heads["size"]) == ("shared", "shared")
    assert heads["mood"] != "shared"
    for name in ("kind", "size"):
        arms = {arm.name: arm.estimate for arm in run.runs[name].scores.arms}
        assert run.runs[name].scores.chosen == "shared"
        assert arms["shared"].low > arms["logistic"].value
        assert run.runs[name].trainings[-1].name == "shared"
        assert len(run.runs[name].trainings[-1].curves) == 3
    assert run.runs["mood"].notes[-1] != ""
    assert "shared stays a trial." in run.runs["mood"].notes


def test_the_weights_that_moved_are_the_same_and_answer(run):
    first, second = run.runs["kind"].model.moved, run.runs["size"].model.moved
    assert all(np.array_equal(values, second.delta[name]) for name, values in first.delta.items())
    assert [answer["kind"] for answer in run.predict(NEW)] == ["ant", "bee"]
    assert [answer["size"] for answer in run.predict(NEW)] == ["small", "large"]


def test_they_are_in_memory_once_and_look_at_each_item_once(run, tmp_path, monkeypatch):
    run.save(tmp_path / "run")
    model = library.Heads.load(tmp_path / "run")
    share_backbones(list(model.models.values()))
    kind, size = model.models["kind"].loaded, model.models["size"].loaded
    assert kind["muted" + MOVED] is size["muted" + MOVED]
    assert kind["muted"] is not kind["muted" + MOVED]
    seen = []
    plain = Muted.encode_batch
    monkeypatch.setattr(Muted, "encode_batch", lambda self, b, d: seen.append(self.fingerprint) or plain(self, b, d))
    answers = model.predict(NEW)
    assert sorted(seen) == sorted(set(seen))  # the frozen backbone and the tuned one, once each
    assert len(seen) == 2
    assert answers == run.predict(NEW)


def test_on_disk_they_lie_once_and_each_run_is_whole(run, tmp_path):
    run.save(tmp_path / "run")
    files = [tmp_path / "run" / name / "model/moved.safetensors" for name in ("kind", "size")]
    assert files[0].samefile(files[1])
    assert not (tmp_path / "run/mood/model/moved.safetensors").exists()
    assert library.predict(tmp_path / "run/size", NEW) == ["small", "large"]
    run.save(tmp_path / "run")  # again, and what was there becomes a version
    assert files[0].samefile(files[1])
    old = tmp_path / "run/size/versions/0001/model/moved.safetensors"
    assert not old.samefile(files[1])
    assert not checkpoints_of(tmp_path / "run/kind").exists()


def test_a_disk_without_links_keeps_both(run, tmp_path, monkeypatch):
    def refused(*names):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refused)
    run.save(tmp_path / "run")
    files = [tmp_path / "run" / name / "model/moved.safetensors" for name in ("kind", "size")]
    assert not files[0].samefile(files[1])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_page_says_for_which_targets_sharing_helps(run, tmp_path):
    run.save(tmp_path / "run")
    page = (tmp_path / "run/report.html").read_text()
    assert (
        "Weights that move once for several targets were tried as well: they ship for kind and size, whose held-out "
        "rows say that sharing helps; not for mood."
    ) in page


def test_the_page_says_where_sharing_helps_nobody(run, tmp_path):
    HeadsRun({"mood": run.runs["mood"]}).save(tmp_path / "run")
    assert (
        "Weights that move once for several targets were tried as well: the held-out rows of none of them say that "
        "sharing helps."
    ) in (tmp_path / "run/report.html").read_text()


def test_an_update_of_one_target_is_on_its_own(run, tmp_path):
    run.save(tmp_path / "run")
    assert "shared" in run.runs["kind"].plan.strategies
    assert "shared" not in updated_plan(tmp_path / "run/kind", {}).strategies
    assert "shared" in updated_plan(tmp_path / "run/kind", {"strategies": "shared"}).strategies


def test_without_its_name_nothing_is_shared(muted):
    run = library.tune_heads(RECORDS, "kind,size", backbone="muted", budget=0)
    assert all(arm.name != "shared" for one in run.runs.values() for arm in one.scores.arms)


def test_without_time_every_target_says_that_it_was_left_out(muted):
    run = library.tune_heads(RECORDS, "kind,size", backbone="muted", strategies=["shared"], budget=0)
    for one in run.runs.values():
        assert any("s, was left out: 0 s of the budget were left." in note for note in one.notes)


def test_one_target_has_nobody_to_share_with(muted):
    with pytest.raises(OptionError) as error:
        library.tune([r["text"] for r in RECORDS], [r["mood"] for r in RECORDS], backbone="muted", strategies="shared")
    assert str(error.value) == (
        "strategy shared moves weights for several targets at once, got one. Name two columns or more with --label, "
        "or leave it out."
    )


def test_pairs_of_texts_have_no_weights_to_share(table):
    rows = [(f"one {i}", f"other {i}", "ab"[i % 2], "cd"[i // 2 % 2]) for i in range(24)]
    source = table(rows, ("text", "text2", "first", "second"))
    with pytest.raises(OptionError, match="column 'first': strategies shared read one text, got pairs of texts"):
        library.tune_heads(source, "first,second", input="text,text2", backbone="toy-text", strategies="shared")


def test_the_help_names_it(handful):
    words = handful("tune", "--help").out.replace("│", " ").split()
    assert "for several targets at once: shared" in " ".join(words)
