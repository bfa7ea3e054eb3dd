"""Several targets of the same items: one look, one folder, one model; in Python and on the command line."""

import json

import numpy as np
import pytest

import handful as library
from handful.backbones.toy import ToyText
from handful.cli.ending import naming_resume
from handful.errors import BundleError, DataError, OptionError
from handful.run_folder import checkpoints_of, heads_of
from handful.tune_targets import head_folders

ROWS = [
    (f"{word} {time} {i}", topic, urgency)
    for i, (word, topic, time, urgency) in enumerate(
        [(w, t, when, how) for w, t in (("hill", "ants"), ("hive", "bees")) for when, how in
         (("now", "high"), ("later", "low"), ("soon", "medium"))] * 4
    )
]  # fmt: skip
FAST = {"budget": 0, "backbone": "toy-text"}
HEADER = ("text", "topic", "urgency")
WORDS = ("--budget", "0", "--backbone", "toy-text")


@pytest.fixture
def desk(table):
    return table(ROWS, HEADER, "desk.csv")


@pytest.fixture(scope="module")
def run():
    records = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    return library.tune_heads(records, "topic,urgency", **FAST)


def test_every_target_has_a_run_of_its_own_task(run):
    assert {name: one.scores.task for name, one in run.runs.items()} == {
        "topic": "classification",
        "urgency": "ordinal",
    }
    assert run.runs["topic"].scores.estimate.value > 0.9
    assert repr(run).startswith("Run on 2 targets\n  topic: accuracy ")


def test_an_answer_has_a_part_for_each_target_and_is_that_of_the_single_models(run):
    items = ["hive now 99", "hill later 99"]
    answers = run.predict(items)
    assert [answer["topic"] for answer in answers] == ["bees", "ants"]
    for name, one in run.runs.items():
        assert [answer[name] for answer in answers] == one.predict(items)


def test_a_backbone_sees_every_item_once_however_many_targets_there_are(run, monkeypatch):
    seen = []
    plain = ToyText.encode_batch

    def counted(self, batch, depths):
        seen.append(len(batch))
        return plain(self, batch, depths)

    model = run.model
    model.predict(["hive now 1"])  # loads the backbone, which tests itself
    monkeypatch.setattr(ToyText, "encode_batch", counted)
    model.predict([f"hive now {i}" for i in range(7)])
    assert len(seen) == len({(b, d) for m in model.models.values() for b, d in m.view.parts if b == "toy-text"}) or (
        len(seen) == 1
    )


def test_saved_and_read_back_it_answers_the_same(run, tmp_path):
    run.save(tmp_path / "desk")
    assert list(heads_of(tmp_path / "desk")) == ["topic", "urgency"]
    items = ["hive now 99", "hill later 99"]
    assert library.predict(tmp_path / "desk", items) == run.predict(items)
    assert library.Heads.load(tmp_path / "desk").predict(items) == run.predict(items)
    page = (tmp_path / "desk/report.html").read_text()
    for name in ("topic", "urgency"):
        assert f'href="{name}/report.html"' in page
        assert (tmp_path / "desk" / name / "report.html").is_file()


def test_saved_again_every_target_keeps_its_earlier_version(run, tmp_path):
    run.save(tmp_path / "desk")
    run.save(tmp_path / "desk")
    assert (tmp_path / "desk/topic/versions/0001/scores.json").is_file()


def test_a_folder_of_something_else_is_left_alone(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="must be new, empty or an earlier result"):
        run.save(tmp_path / "mine")
    run.runs["topic"].save(tmp_path / "one")
    with pytest.raises(OptionError) as error:
        run.save(tmp_path / "one")
    assert str(error.value) == (
        f"output folder {tmp_path / 'one'} holds the run of one target, which several do not replace. Choose another "
        "folder."
    )


def test_names_that_no_folder_can_have_get_one():
    assert head_folders(["a/b", "a b", "..", "model", "Süß"]) == {
        "a/b": "a-b", "a b": "a-b-2", "..": "target", "model": "model-4", "Süß": "Süß",
    }  # fmt: skip


def test_a_target_nothing_can_be_learned_from_is_named(table):
    rows = [(text, topic, "high") for text, topic, _ in ROWS]
    with pytest.raises(DataError, match='column "urgency"'):
        library.tune_heads(table(rows, HEADER), "topic,urgency", **FAST)


def test_one_column_is_no_case_for_heads(desk):
    with pytest.raises(OptionError) as error:
        library.tune_heads(desk, "topic", **FAST)
    assert str(error.value) == "label= must name two or more different columns, got 'topic'. One is learned by tune."


def test_a_list_of_targets_that_is_damaged_or_lost_its_run_is_named(run, tmp_path):
    run.save(tmp_path / "desk")
    (tmp_path / "desk/topic").rename(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"the run of topic, topic, is not there"):
        library.Heads.load(tmp_path / "desk")
    (tmp_path / "desk/heads.json").write_text('{"heads": {"topic": "../elsewhere"}}')
    with pytest.raises(BundleError, match="it must name folders beside it"):
        library.Heads.load(tmp_path / "desk")
    (tmp_path / "desk/heads.json").write_text("{")
    with pytest.raises(BundleError, match=r"heads\.json cannot be read"):
        library.Heads.load(tmp_path / "desk")


# The command line --------------------------------------------------------------------------------------------------


def test_the_command_learns_tells_and_answers_all_targets(handful, desk):
    ended = handful("tune", desk, "--label", "topic,urgency", *WORDS, "--out", "run")
    assert ended.code == 0, ended.err
    assert "\ntopic:\n" in ended.out
    assert "\nurgency:\n" in ended.out
    assert ended.out.endswith("report: run/report.html\nuse it: handful predict run NEW\n")
    ended = handful("predict", "run", "hive now 99")
    assert ended.code == 0, ended.err
    header, row = ended.out.splitlines()
    assert header == "input,topic,topic confidence,urgency,urgency confidence"
    assert row.startswith("hive now 99,bees,")
    ended = handful("predict", "run", desk, "--out", "all.csv", "--probabilities", "--reject", "5%")
    assert ended.code == 0, ended.err
    assert "24 of 24 rows answered" in ended.out or "refused" in ended.out


def test_an_interruption_says_how_to_go_on_with_several_targets(run, tmp_path, monkeypatch):
    state = checkpoints_of(tmp_path / "run/topic") / "0123/state"
    state.parent.mkdir(parents=True)
    state.write_text("where it stood")
    monkeypatch.setattr("sys.argv", ["handful", "tune", "desk.csv"])
    with pytest.raises(KeyboardInterrupt) as interruption, naming_resume(tmp_path / "run"):
        raise KeyboardInterrupt
    assert interruption.value.__notes__ == ["To go on from where it stood: handful tune desk.csv --resume"]
    run.save(tmp_path / "run")
    assert not list(tmp_path.glob("run/.*"))


def test_scores_of_all_targets_are_printed_as_json(handful, desk):
    ended = handful("tune", desk, "--label", "topic,urgency", *WORDS, "--out", "run", "--json")
    assert list(json.loads(ended.out)) == ["topic", "urgency"]


def test_commands_for_one_target_say_which_there_are(handful, desk, run):
    run.save("run")
    assert handful("check", "run", desk).err.endswith(
        "run holds the runs of several targets (topic, urgency), and this command is for one of them. Name its folder. "
        "Run: handful check run/topic\n"
    )
    assert "Run: handful report run/topic" in handful("report", "run").err
    assert handful("report", "run/topic").code == 0


@pytest.mark.parametrize("words", [("--together",), ("--engine", "processes", "--out", "a.csv")])
def test_options_of_one_target_are_refused(handful, desk, run, words):
    run.save("run")
    assert (
        "--together and --engine are for one target, got several (topic, urgency)"
        in handful("predict", "run", desk, *words).err
    )


def test_answers_in_words_are_none_of_them(handful, desk):
    ended = handful("tune", desk, "--label", "topic,urgency", "--as", "language", *WORDS, "--out", "run")
    assert "several targets are learned at once where each is a class, labels, a rating or a number" in ended.err


def test_answers_to_rows_that_no_model_can_read_are_empty(handful, table, run):
    run.save("run")
    ended = handful("predict", "run", table([("hive now",), ("",)], ("text",), "new.csv"))
    assert ended.out.splitlines()[2] == "3,,,,,"
    assert ended.err.count("not answered") == 1


def test_probabilities_of_both_are_those_of_each(run, handful):
    run.save("run")
    ended = handful("predict", "run", "hive now 99", "--probabilities")
    cells = dict(zip(*(line.split(",") for line in ended.out.splitlines()), strict=True))
    shares = run.runs["topic"].predict_proba(["hive now 99"])[0]
    assert np.allclose([float(cells["topic ants"]), float(cells["topic bees"])], shares, atol=1e-3)
