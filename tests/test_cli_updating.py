"""The commands update and versions: what they say, what they refuse, and what a second tune says of the first."""

import json

import pytest

TOY = ["--backbone", "toy-text", "--budget", "0", "--strategies", "centroid,ridge"]


@pytest.fixture
def tuned(handful, table, sentences):
    """A run in ``run``, and the names of two tables of rows that it does not know."""
    table(sentences({"ants": 10, "bees": 10}), name="old.csv")
    for name in ("new.csv", "more.csv"):
        table([(f"{text} {name}", label) for text, label in sentences({"ants": 2, "bees": 2})], name=name)
    assert handful("tune", "old.csv", *TOY, "--out", "run").code == 0
    return "new.csv", "more.csv"


def test_update_and_its_versions(handful, tuned):
    done = handful("update", "run", *tuned)
    assert done.code == 0
    assert "8 new rows; 28 rows in all." in done.out
    assert "On new rows, which neither had learned when it answered: " in done.out
    assert done.out.endswith("The old one is kept as version 1.\nversions: handful versions run\n")

    done = handful("versions", "run")
    head, first, second = done.out.splitlines()
    assert head.split() == ["version", "made", "by", "rows", "chosen", "score", "size"]
    assert (first.split()[0], second.split()[:3]) == ("1", ["2", "in", "use"])
    assert [one["reason"] for one in json.loads(handful("versions", "run", "--json").out)] == ["tune", "update"]

    done = handful("versions", "run", "--compare", "1,2")
    assert done.out.splitlines()[-1].endswith("on rows that both held out, in the answers of their folds.")
    assert json.loads(handful("versions", "run", "--compare", "1, 2", "--json").out)["held_out"]["rows"] == 20

    done = handful("versions", "run", "--roll-back", "1")
    assert done.err == "version 1 is in use again, as version 3; nothing was lost\n"
    assert done.out.splitlines()[-1].split()[:3] == ["3", "in", "use"]


def test_a_second_tune_says_where_the_first_one_is(handful, tuned):
    done = handful("tune", "old.csv", *tuned, *TOY, "--out", "run")
    assert "the run that was here is kept as version 1: handful versions run\n" in done.err
    assert "28 rows held out" in done.out


def test_json_is_alone_on_standard_output(handful, tuned):
    found = json.loads(handful("update", "run", "new.csv", "--json", "--out", "other").out)
    assert (found["taken"], found["folder"], found["new_rows"]) == (False, "other", 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["update", "gone", "new.csv"], "gone must be a run folder, but there is no scores.json in it."),
        (["update", "run", "gone.csv"], "gone.csv does not exist."),
        (["update", "run", "run"], "run is a run, not new rows."),
        (["versions", "run", "--compare", "1"], "--compare must be the numbers of two versions, such as 1,2, got '1'."),
        (["versions", "run", "--compare", "1,9"], "version must be one of 1 of run, got 9. Choose one of these."),
        (
            ["versions", "run", "--compare", "1,2", "--roll-back", "1"],
            "--compare, --roll-back and --forgetting must be given one at a time, got several. Leave all but one out.",
        ),
    ],
)
def test_what_is_refused(handful, tuned, words, message):
    done = handful(*words)
    assert done.code == 1
    assert message in done.err


def test_what_update_lacks_is_told(handful, tuned):
    done = handful("update", "run")
    assert (done.code, "update needs a run and new labelled rows." in done.err) == (2, True)
