"""The command line: exit codes, what goes to which stream, and what is left behind."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from handful import cli, progress
from handful.choices import LANGUAGE_ARMS, METRICS, STRATEGIES, TASKS
from handful.cli.learning import default_name
from handful.plan import ENGINES, REMEDIES

FAST = ("--backbone", "toy-text", "--strategies", "centroid")
RUN = {
    "scores.json", "findings.json", "plan.yaml", "predictions.csv", "model", "report.html", "run.log", "rows.json",
    "version.json",
}  # fmt: skip


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def in_new_process(script: str, *words: str, **options):
    """Run Python in a process of its own; 60 s are for a busy machine."""
    return subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60, check=False, **options
    )


AS_COMMAND = "import sys; sys.argv[0] = 'handful'; from handful.cli import main; main()"


@pytest.fixture
def run(handful, table, tmp_path) -> Path:
    """A finished run of texts."""
    assert handful("tune", table(), *FAST, "--out", "run").code == 0
    return tmp_path / "run"


# Exit codes and streams --------------------------------------------------------------------------------------------


def test_done(handful, table, tmp_path):
    ended = handful("tune", table(), *FAST, "--out", "my run")
    assert ended.code == 0
    assert names(tmp_path / "my run") == RUN
    assert ended.out.startswith("\nRight on ")
    assert "chosen" not in ended.out
    assert ended.out.endswith(
        "\nreport: my run/report.html\ndetails: in the report, or here with handful report 'my run' --details\n"
        "use it: handful predict 'my run' NEW\n"
    )
    assert ended.err.splitlines() == [
        'column "label" is taken as the label: 2 different values in 20 rows; use --label to choose another',
        'column "text" is taken as the text; use --input to choose another',
    ]


def test_what_cannot_work_is_said_on_standard_error_only(handful):
    ended = handful("tune", "tickets.csv", *FAST)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "handful: tickets.csv does not exist. Check the path.\n"


def test_every_wrong_option_is_said_at_once_before_anything_is_read(handful):
    ended = handful("tune", "nowhere.csv", "--metric", "f1", "--budget", "soon", "--seed", "-1", "--engine", "dask")
    assert (ended.code, ended.out) == (1, "")
    assert [line.split()[0] for line in ended.err.removeprefix("handful: ").splitlines()] == [
        "budget", "metric", "engine", "seed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tun", "x"], 'Unknown command "tun". Did you mean "tune"?'),
        (["tune", "x", "--lable", "y"], "Unknown option: --lable. Did you mean --label?"),
        (["tune", "x", "--seed", "one"], 'Invalid value for --seed: unable to convert "one" into int.'),
        (["inspect", "x", "y"], "Unused Tokens: ['y']."),
        (["tune", "x", "--label"], 'parameter --label requires an argument.'),
        (["models", "list", "x"], "Unused Tokens: ['x']."),
    ],
)  # fmt: skip
def test_wrong_usage(handful, words, said):
    ended = handful(*words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.endswith("\nTry `handful --help`.\n")


def test_nothing_asked(handful):
    ended = handful()
    assert ended.code == 0
    assert all(command in ended.out for command in ("tune", "inspect", "predict", "report", "models"))


def test_the_version(handful):
    ended = handful("--version")
    assert ended.code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", ended.out)


def test_help_and_wrong_options_answer_without_loading_a_model_library():
    commands = ["", "tune", "inspect", "predict", "report", "models", "models list", "models get", "models bundle"]
    wrong = [["tune", "x.csv", "--metric", "f1"], ["tune"], ["tune", "x", "--lable", "y"]]
    script = (
        "import sys\nfrom handful.cli import main\n"
        f"for words in [[*c.split(), '--help'] for c in {commands}] + {wrong}:\n"
        "    sys.argv = ['handful', *words]\n"
        "    try: main()\n"
        "    except SystemExit as ended: print('ended', ended.code)\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'pandas', 'scipy', 'PIL'} & set(sys.modules)\n"
        "print('heavy', sorted(heavy))\n"
    )
    ended = in_new_process(script)
    assert ended.stdout.endswith("heavy []\n"), ended.stdout[-200:] + ended.stderr
    assert re.findall(r"^ended (\d)$", ended.stdout, re.MULTILINE) == ["0"] * len(commands) + ["1", "2", "2"]


# JSON --------------------------------------------------------------------------------------------------------------


def test_the_help_names_whatever_an_option_can_be_given():
    known = set(re.findall(r"[a-z0-9_-]+", cli.tune.__doc__))
    assert {*STRATEGIES, *LANGUAGE_ARMS, *METRICS, *TASKS, *ENGINES, *REMEDIES} <= known


def test_the_help_says_what_each_task_is_measured_by_and_what_only_ratings_have():
    told = " ".join(cli.tune.__doc__.split())
    assert "of multilabel samples_f1, micro_f1, macro_f1 or exact_match; of ordinal" in told
    assert "of answers loss, exact_match, token_f1 or regex:PATTERN." in told
    assert "Frozen: majority, zero-shot, centroid, ridge, logistic, svm; ordinal also: cumulative-ridge" in told


def test_json_alone_is_on_standard_output(handful, table, sentences, tmp_path):
    rows = sentences({"ants": 10, "bees": 10})
    ended = handful("tune", table([*rows, rows[0]]), *FAST, "--out", "run", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == json.loads((tmp_path / "run/scores.json").read_text())
    assert "1 row repeats another one exactly" in ended.err
    assert "report: run/report.html" in ended.err


def test_findings_as_json(handful, table, sentences):
    rows = sentences({"ants": 10, "bees": 10})
    ended = handful("inspect", table([*rows, rows[0]]), "--json", "--backbone", "toy-text")
    assert ended.code == 0
    (finding,) = json.loads(ended.out)
    assert (finding["kind"], finding["rows"]) == ("duplicate", [0, 20])
    assert "is taken as the label" in ended.err


def test_an_error_leaves_standard_output_empty_with_json_too(handful):
    for command in ("tune", "inspect"):
        ended = handful(command, "nowhere.csv", "--json")
        assert (ended.code, ended.out) == (1, "")


# Inspect, report, predict ------------------------------------------------------------------------------------------


def test_inspect_says_what_there_is_and_what_is_wrong(handful, table, sentences):
    ended = handful("inspect", table(sentences({"ants": 10, "bees": 6, "wasps": 1})), "--backbone", "toy-text")
    assert ended.code == 0
    assert ended.out.splitlines()[:4] == [
        "17 rows of text in 3 classes", "      10  ants", "       6  bees", "       1  wasps",
    ]  # fmt: skip
    assert '! class "wasps" has one row only.' in ended.out
    assert "characters per text: " in ended.out
    assert "toy-text " in ended.out
    assert "domain match " in ended.out
    assert "what makes sense with 1 row in the smallest class:" in ended.out


def test_inspect_against_a_pool(handful, table, sentences, tmp_path):
    source = table(sentences({"ants": 10, "bees": 10}))
    (tmp_path / "new.txt").write_text("\n".join(f"nothing but other words {i}" for i in range(20)))
    ended = handful("inspect", source, "--backbone", "toy-text", "--against", "new.txt", "--json")
    assert ended.code == 0
    shift = next(finding for finding in json.loads(ended.out) if finding["kind"] == "shift")
    assert "the rows of new.txt differ from the training rows (p 0.002; " in shift["message"]
    assert len(shift["rows"]) == 20
    same = handful("inspect", source, "--backbone", "toy-text", "--against", source, "--json")
    assert "shift" not in same.out


def test_inspect_against_a_pool_of_another_kind(handful, table, pictures):
    ended = handful("inspect", table(), "--against", pictures(), "--backbone", "toy-text")
    assert (ended.code, ended.out) == (1, "")
    assert "must hold texts, as the labelled rows do, got images. Name a pool of the same kind." in ended.err
    ended = handful("inspect", table(), "--against", table(), "--backbone", "none")
    assert ended.code == 1
    assert "against= must come with a backbone that looks at the pool, got none. Leave backbone= out." in ended.err


def test_inspect_says_so_where_there_are_no_weights(handful, table, monkeypatch, caplog):
    from handful.errors import WeightsError

    def missing(*_, **__):
        raise WeightsError("the weights are not there.")

    monkeypatch.setattr("handful.backbones.catalog.load", missing)
    ended = handful("inspect", table())
    assert ended.code == 0
    assert "20 rows of text in 2 classes" in ended.out
    assert "domain match" not in ended.out
    assert "the weights are not there. Only what needs no model is said." in caplog.text
    assert handful("inspect", table(), "--backbone", "minilm-l6").code == 1


def test_report_prints_the_scores_again(handful, run):
    shown = handful("tune", "insects.csv", *FAST, "--out", "again").out.split("\n\nreport:")[0].strip()
    ended = handful("report", run)
    assert (ended.code, ended.err) == (0, "")
    asked = f"details: in the report, or here with handful report {run} --details\n"
    assert ended.out == f"{shown}\n\nreport: {run}/report.html\n{asked}"


def test_details_are_told_where_they_are_asked_for(handful, run):
    def without_energy(out: str) -> str:  # which no two runs take the same of
        return re.sub(r"energy: .*?(?=\n\n|$)", "", out, flags=re.DOTALL)

    shown = handful("tune", "insects.csv", *FAST, "--out", "again", "--details").out.split("\n\nreport:")[0].strip()
    assert "centroid" in shown and "chosen" in shown
    for flag in ("--details", "-v"):
        ended = handful("report", run, flag)
        assert ended.code == 0
        assert without_energy(ended.out) == without_energy(f"{shown}\n\nreport: {run}/report.html\n")


def test_a_damaged_run_is_no_report(handful, run):
    (run / "findings.json").write_text("[{}]")
    ended = handful("report", run)
    assert (ended.code, ended.out) == (1, "")
    assert "findings.json cannot be read" in ended.err
    assert "Restore it, or delete it: then only findings are missing." in ended.err
    (run / "findings.json").unlink()
    (run / "predictions.csv").unlink()
    assert handful("report", run).code == 0
    file = run / "scores.json"
    file.write_text(file.read_text().replace('"task": "classification"', '"task": "juggling"'))
    ended = handful("report", run)
    assert ended.err.endswith("(no task is called 'juggling'). Name another run folder, or tune again.\n")


@pytest.mark.parametrize("place", [".", "nowhere"])
def test_report_of_what_is_no_run(handful, table, place):
    table()
    ended = handful("report", place)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: {place} must be a run folder, but there is no scores.json in it. "
        "Name the folder that `handful tune` wrote.\n"
    )


def test_report_of_a_damaged_run(handful, run):
    (run / "scores.json").write_text("{")
    ended = handful("report", run)
    assert ended.code == 1
    assert "cannot be read as the scores of a run" in ended.err


def test_predict_prints_rows_or_writes_them(handful, run, tmp_path):
    (tmp_path / "new.txt").write_text("ants march\nhoney bees\n")
    ended = handful("predict", run, "new.txt")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split(",")[:3] for line in ended.out.splitlines()] == [
        ["line", "input", "label"], ["1", "ants march", "ants"], ["2", "honey bees", "bees"],
    ]  # fmt: skip
    written = handful("predict", run, "new.txt", "--out", "new/answers.csv", "--probabilities")
    assert (written.code, written.out) == (0, "2 of 2 rows answered: new/answers.csv\n")
    header, first, _ = (tmp_path / "new/answers.csv").read_text().splitlines()
    assert header == "line,input,label,confidence,ants,bees"
    assert first.startswith("1,ants march,ants,")


def test_predict_takes_the_column_of_the_training(handful, table, sentences, tmp_path):
    rows = [(f"subject {i}", text, label) for i, (text, label) in enumerate(sentences({"ants": 6, "bees": 6}))]
    source = table(rows, ("subject", "body", "label"))
    assert handful("tune", source, *FAST, "--out", "run", "--input", "subject").code == 0
    ended = handful("predict", "run", source, "--only", "answers")
    assert ended.out.splitlines()[1].startswith("2,subject 0,")
    assert "is taken as" not in ended.err


@pytest.mark.parametrize("place", [".", "nowhere"])
def test_predict_with_what_is_no_run(handful, table, place):
    ended = handful("predict", place, table())
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: {place} must be a run folder or its model folder, but there is no bundle.json in it. "
        "Name the folder that `handful tune` wrote.\n"
    )


def test_predict_never_overwrites_the_rows_it_reads(handful, run, tmp_path):
    before = (tmp_path / "insects.csv").read_text()
    ended = handful("predict", run, "insects.csv", "--out", tmp_path / "run" / ".." / "insects.csv")
    assert ended.code == 1
    assert "--out must be another file than insects.csv, whose rows would be lost." in ended.err
    assert (tmp_path / "insects.csv").read_text() == before


def test_an_empty_source_is_not_the_working_folder(handful, run):
    for words in (["tune", ""], ["inspect", ""], ["predict", "run", ""]):
        ended = handful(*words)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == "handful: source must be a folder or a file, got an empty text. Name one.\n"


def test_predict_into_a_folder(handful, run):
    ended = handful("predict", run, "insects.csv", "--out", "run")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith(
        "handful: output run must be a file, got a folder. Name a file in it, such as answers.csv.\n"
    )
    assert names(run) == RUN


def test_predict_with_a_damaged_model(handful, run):
    (run / "model/head.safetensors").write_bytes(b"cut")
    ended = handful("predict", run, "insects.csv")
    assert (ended.code, ended.out) == (1, "")
    assert "was changed after it was written: its hash differs. Restore it or tune again." in ended.err


# Where results go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("tickets.csv", "tickets"), ("data/v1.2.csv", "v1.2"), ("tickets.v2", "tickets"), ("a b.jsonl", "a b"),
        (".hidden", ".hidden"), ("/", "run"),
    ],
)  # fmt: skip
def test_the_name_of_the_run_folder(handful, source, name):
    assert default_name(source) == name


@pytest.mark.parametrize("given", ["photos.v2", "photos.v2/", "./photos.v2", "."])
def test_a_folder_keeps_its_whole_name(tmp_path, monkeypatch, given):
    (tmp_path / "photos.v2").mkdir()
    monkeypatch.chdir(tmp_path / "photos.v2" if given == "." else tmp_path)
    assert default_name(given) == "photos.v2"


def test_without_out_a_run_goes_to_runs(handful, table, tmp_path):
    assert handful("tune", table(), *FAST).code == 0
    assert names(tmp_path / "runs") == {"insects"}
    assert names(tmp_path / "runs/insects") == RUN


def test_predict_says_how_many_rows_were_refused_and_that_most_are_strange(handful, run, tmp_path):
    (tmp_path / "new.txt").write_text("".join(f"quarterly {i} invoice overdue payment\n" for i in range(40)))
    ended = handful("predict", run, "new.txt", "--reject", "5%", "--out", "answers.csv")
    assert ended.out == "0 of 40 rows answered, 40 refused as too unlike the training rows: answers.csv\n"
    assert ended.err.count("\n") == 1
    printed = handful("predict", run, "new.txt", "--reject", "5%")
    assert printed.err.endswith("0 of 40 rows answered, 40 refused as too unlike the training rows.\n")
    unasked = handful("predict", run, "new.txt", "--out", "answers.csv")
    assert unasked.out == "40 of 40 rows answered: answers.csv\n"
    assert unasked.err == (
        "40 of 40 rows look stranger than 95% of the training rows: the model has learned from nothing like them, and "
        "what it answers to them is a guess; --reject 5% refuses such rows.\n"
    )


def test_a_model_like_a_coin_is_not_offered_like_any_other(handful, tmp_path):
    rows = "".join(f"row {i} of {i * 7 % 5} words,{'ab'[(i * i + i // 3) % 2]}\n" for i in range(40))
    (tmp_path / "coin.csv").write_text("text,label\n" + rows)
    ended = handful("tune", "coin.csv", "--backbone", "toy-text", "--budget", "0", "--out", "coin")
    reference = "always answering the same class"
    assert ended.out.endswith(
        f"\nnot shown to be better than {reference}; to use it anyway: handful predict coin NEW\n"
    )
    assert "use it: " not in ended.out
    said = f"is not shown to be better than {reference}: nothing shows yet that these labels can be learned."
    assert f"- **It {said}**\n- accuracy: **" in (tmp_path / "coin/model/README.md").read_text("utf-8")
    (tmp_path / "new.txt").write_text("row 3 of 2 words\n")
    for command in (("predict", "coin", "new.txt"), ("explain", "coin", "row 3"), ("check", "coin", "coin.csv")):
        assert handful(*command).err.count(f"The model {said}\n") == 1, command
    assert "not shown to be better" in (tmp_path / "coin/report.html").read_text("utf-8").split("</h1>")[0].lower()


def test_a_tilde_that_the_shell_left_alone_is_the_home_folder(handful, run, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert handful("tune", "insects.csv", *FAST, "--out=~/run").code == 0
    ended = handful("predict", "run", "insects.csv", "--out=~/answers.csv")
    assert ended.out == f"20 of 20 rows answered: {tmp_path}/home/answers.csv\n"
    assert names(tmp_path / "home") == {"run", "answers.csv"}
    assert names(tmp_path) == {"home", "insects.csv", "run"}


def test_an_earlier_run_is_replaced_and_files_beside_it_stay(handful, run, tmp_path, leftovers):
    (run / "answers.csv").write_text("mine")
    first = (run / "scores.json").read_text()
    assert handful("tune", "insects.csv", *FAST[:2], "--strategies", "ridge", "--out", "run").code == 0
    assert (run / "scores.json").read_text() != first
    assert names(run) == RUN | {"answers.csv", "versions"}
    assert names(tmp_path) == {"insects.csv", "run"}
    assert leftovers() == []


def test_a_folder_of_something_else_is_refused_before_any_work(handful, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_text("mine")
    ended = handful("tune", "not read.csv", *FAST, "--out", "photos")
    assert ended.code == 1
    assert ended.err == (
        "handful: output folder photos must be new, empty or an earlier result, got a folder with other files. "
        "Choose another folder.\n"
    )
    assert names(tmp_path / "photos") == {"a.jpg"}


def test_a_place_that_cannot_be_written_is_refused_before_any_work(handful, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    ended = handful("tune", "not read.csv", *FAST, "--out", "out")
    assert ended.code == 1
    assert ended.err == f"handful: out cannot be written: no permission in {tmp_path}. Choose another folder.\n"


def test_a_disk_that_fills_leaves_nothing(handful, table, tmp_path, monkeypatch):
    write = Path.write_text

    def full(self, text, *rest, **options):
        if self.name == "report.html":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, text, *rest, **options)

    monkeypatch.setattr(Path, "write_text", full)
    ended = handful("tune", table(), *FAST, "--out", "run")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith(
        "handful: run was not written: the disk is full. Free some space or choose another place.\n"
    )
    assert names(tmp_path) == {"insects.csv"}


# Stopped in the middle ---------------------------------------------------------------------------------------------


def stop(*_, **__):
    signal.raise_signal(signal.SIGINT)


def stop_at(stage):
    def call(self, name, done, total):
        if name == stage:
            stop()

    return call


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("stage", ["looking with toy-text", "comparing heads", "report"])
def test_ctrl_c_leaves_the_old_run_or_none(handful, table, tmp_path, monkeypatch, stage, before):
    table()
    if before:
        assert handful("tune", "insects.csv", *FAST, "--out", "run").code == 0
        old = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    if stage == "report":
        monkeypatch.setattr("handful.report.render", stop)
    else:
        monkeypatch.setattr(progress.Bars, "__call__", stop_at(stage))
    ended = handful("tune", "insects.csv", *FAST, "--out", "run", "--seed", "1")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.endswith("handful: Interrupted; nothing half-written is left.\n")
    assert names(tmp_path) == ({"insects.csv", "run"} if before else {"insects.csv"})
    assert not before or {path: path.read_bytes() for path in old} == old


def test_ctrl_c_while_answering_leaves_no_file(handful, run, tmp_path, monkeypatch):
    monkeypatch.setattr(progress.Bars, "__call__", stop_at("answering"))
    ended = handful("predict", run, "insects.csv", "--out", "answers.csv")
    assert (ended.code, ended.out) == (130, "")
    assert names(tmp_path) == {"insects.csv", "run"}


def test_ctrl_c_in_a_command_of_a_group(handful, monkeypatch):
    monkeypatch.setattr("handful.backbones.weights.present", stop)
    ended = handful("models", "list")
    assert (ended.code, ended.err) == (130, "handful: Interrupted; nothing half-written is left.\n")


BUSY = """
import os, signal, sys, threading
from handful import cli, engines

def work(process):
    for _ in range(3):
        os.kill(process, signal.SIGINT)
    threading.Event().wait(60)

def work_large(process, job):
    work(process)

def busy(engine):
    name, _, large = engine.partition(" ")
    with engines.engine(name) as found:
        if large:
            list(found.map_large(work_large, os.getpid(), range(3)))
        else:
            list(found.map(work, [os.getpid()] * 3))

if __name__ == "__main__":
    cli.app.command(busy, name="busy")
    cli.main()
"""


@pytest.mark.parametrize("engine", ["inline", "processes", "processes large"])
def test_ctrl_c_waits_for_nobody_and_a_second_one_changes_nothing(tmp_path, signals, engine):
    """The jobs interrupt the run and go on for a minute; whoever waits for them waits too long."""
    (tmp_path / "busy.py").write_text(BUSY)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "busy.py"), "busy", engine],
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "handful: Interrupted; nothing half-written is left.\n"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_being_terminated_is_like_ctrl_c(handful, run, tmp_path, monkeypatch, name, code):
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip(f"this system has no {name}")
    monkeypatch.setattr(progress.Bars, "__call__", lambda *_: signal.raise_signal(number))
    ended = handful("predict", run, "insects.csv", "--out", "answers.csv")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.endswith("handful: Terminated; nothing half-written is left.\n")
    assert names(tmp_path) == {"insects.csv", "run"}


def test_a_terminal_that_is_gone_is_no_second_error(handful, monkeypatch):
    def gone(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def closed():
        monkeypatch.setattr(sys.stderr, "write", gone)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("handful.backbones.weights.present", closed)
    assert handful("models", "list").code == 143


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_is_ignored_from_the_start_stays_ignored(handful, monkeypatch, name):
    """As of a job in the background, or under nohup."""
    number = getattr(signal, name, None)
    if number is None:
        pytest.skip(f"this system has no {name}")
    signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr("handful.backbones.weights.present", lambda: signal.raise_signal(number) or {})
    assert handful("models", "list").code == 0


WAITS = """
import sys
from handful import cli, engines

def work(number):
    print(number, flush=True)
    import threading
    threading.Event().wait(60)

def busy():
    list(engines.engine("processes").map(work, [1]))

if __name__ == "__main__":
    cli.app.command(busy, name="busy")
    cli.main()
"""


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [("SIGTERM", "handful: Terminated; nothing half-written is left.\n", 143), ("SIGKILL", "", -9)],
)
def test_the_processes_that_a_command_started_end_with_it(tmp_path, signals, name, said, code):
    (tmp_path / "busy.py").write_text(WAITS)
    words = [sys.executable, str(tmp_path / "busy.py"), "busy"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        process.send_signal(getattr(signal, name))
        # Standard output ends when the last process that has it does.
        found = process.communicate(timeout=40)
        assert (found[0], process.returncode) == ("", code)
        assert not said or found[1] == said


# The machine has no more to give -----------------------------------------------------------------------------------

NO_MEMORY = (
    "handful: memory ran out: the machine, or the limit set for this process (ulimit -v), has not enough for this. "
    "Close other programs, raise the limit, or choose a smaller backbone.\n"
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you …"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_too_little_memory_is_one_sentence(handful, monkeypatch, error):
    def short():
        raise error

    monkeypatch.setattr("handful.backbones.weights.present", short)
    assert handful("models", "list") == (1, "", NO_MEMORY)


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), OSError(errno.EIO, "x"), ImportError("no such name")])
def test_a_mistake_of_ours_is_not_taken_for_it(monkeypatch, error):
    def wrong():
        raise error

    monkeypatch.setattr("handful.backbones.weights.present", wrong)
    monkeypatch.setattr(sys, "argv", ["handful", "models", "list"])
    with pytest.raises(type(error)) as raised:
        cli.main()
    assert raised.value is error


@pytest.mark.parametrize("words", [["tune", "x.csv"], ["predict", "run", "x.csv"], ["serve", "run"]])
@pytest.mark.parametrize(("threads", "needed"), [("", "2.9"), ("2", "1.5"), ("1", "1.4")])
def test_a_limit_under_which_libraries_would_hang_is_refused(handful, monkeypatch, words, threads, needed):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (650_000_000, -1))
    ended = handful(*words)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"handful: the memory that a process may have (ulimit -v) must be at least {needed} GB for this, got 0.7 GB. "
        "Raise the limit (ulimit -v unlimited), or use fewer threads (OMP_NUM_THREADS=1).\n"
    )


def test_what_loads_no_library_does_not_mind_a_limit(handful, run, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (650_000_000, -1))
    assert handful("report", run).code == 0
    assert handful("models").code == 0


# Other ends of the streams -----------------------------------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_no_error(run):
    process = subprocess.Popen(
        [sys.executable, "-c", AS_COMMAND, "report", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(60) == 0


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_output_to_a_full_disk_is_said(run):
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", AS_COMMAND, "report", str(run)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == "handful: the disk is full. Free some space, or send the output to another place.\n"


def test_a_terminal_without_the_letters_shows_what_they_are(table):
    source = table([(f"some words {i}", ("süß", "日本")[i % 2]) for i in range(8)])
    ended = in_new_process(
        AS_COMMAND, "inspect", str(source), "--backbone", "none", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert ended.returncode == 0, ended.stderr
    assert r"s\xfc\xdf" in ended.stdout
    assert r"\u65e5\u672c" in ended.stdout


def test_closed_streams_do_not_stop_the_work(table, tmp_path):
    script = f"import sys; sys.stdout = sys.stderr = None; {AS_COMMAND}"
    ended = in_new_process(script, "tune", str(table()), *FAST, "--out", str(tmp_path / "run"))
    assert ended.returncode == 0
    assert names(tmp_path / "run") == RUN


# Weights that move -------------------------------------------------------------------------------------------------

MOVING = ("--backbone", "toy-text", "--strategies", "centroid,supcon", "--budget", "60s")


def test_what_was_tried_above_the_frozen_rung_is_said(handful, table, tmp_path):
    ended = handful("tune", table(), *MOVING, "--out", "run", "--details")
    assert ended.code == 0
    assert re.search(r"^supcon (takes the place of the model before it|stays a trial)\.$", ended.err, re.M)
    assert re.search(r"^supcon: .* its loss is \d", ended.out, re.M)
    arms = {arm["name"] for arm in json.loads((tmp_path / "run/scores.json").read_text())["arms"]}
    assert {"majority", "centroid", "supcon"} <= arms
    assert not list(tmp_path.glob(".*"))  # the state of the trainings is gone


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(handful, table, tmp_path, monkeypatch):
    source = table()
    assert handful("tune", source, *MOVING, "--out", "whole").code == 0
    updates = 0

    def killed(bars, stage, done, total):
        nonlocal updates
        updates += stage.startswith("supcon: ")
        if updates == 40:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # undone alone: the cache folder of this test stays
        patched.setattr(progress.Bars, "__call__", killed)
        assert handful("tune", source, *MOVING, "--out", "run").code == 130
    assert list(tmp_path.glob(".run.training/**/*.safetensors"))
    assert handful("tune", source, *MOVING, "--out", "run", "--resume").code == 0
    for name in ("model/head.safetensors", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list(tmp_path.glob(".run.training"))


def test_a_model_is_exported(handful, run, tmp_path):
    ended = handful("export", "run", "--out", "copy")
    assert (ended.code, ended.out) == (0, "use it: handful predict copy NEW\n")
    assert (tmp_path / "copy/head.safetensors").read_bytes() == (run / "model/head.safetensors").read_bytes()
    assert handful("export", "run", "--out", "carried", "--merge").err == (
        "handful: backbone 'toy-text' must be one of the catalogue or a folder to be carried along, got another. "
        "Save the model into a folder, and tune with that as --backbone.\n"
    )


def test_numbers_are_tuned_predicted_and_checked_by_name(handful, tmp_path):
    rows = [f"{'ants march' if i % 2 else 'bees buzz'} {i},{10 + 3 * (i % 2) + i / 100}" for i in range(40)]
    (tmp_path / "hours.csv").write_text("\n".join(["text,hours", *rows]) + "\n", encoding="utf-8")
    ended = handful("tune", "hours.csv", "--backbone", "toy-text", "--budget", "0", "--out", "hours")
    assert ended.code == 0
    assert 'column "hours" holds numbers: a number is predicted' in ended.err
    assert "mean absolute error" in ended.out
    ended = handful("predict", "hours", "hours.csv")
    assert ended.out.splitlines()[0] == "line,text,hours,predicted hours,low,high,outside"
    ended = handful("predict", "hours", "hours.csv", "--probabilities")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "handful: --probabilities is for classes, labels and ratings, got a model of numbers. Leave it.\n"
    )
    (tmp_path / "new.csv").write_text("\n".join(["text,hours", *(row.replace(",", "h,") for row in rows)]) + "\n")
    ended = handful("check", "hours", "new.csv")
    assert (ended.code, "mean absolute error promised" in ended.out) == (0, True)
    assert 'column "hours" is taken as the labels' in ended.err


def test_what_a_task_cannot_follow_is_refused(handful, tmp_path):
    rows = [f"words {i},{i % 5 + 1}" for i in range(40)]
    (tmp_path / "stars.csv").write_text("\n".join(["text,stars", *rows]) + "\n", encoding="utf-8")
    ended = handful("tune", "stars.csv", "--backbone", "toy-text", "--metric", "macro_f1")
    assert ended.err.splitlines()[-1] == (
        "handful: metric of ordinal must be one of mean_absolute_error, quadratic_kappa, accuracy, got 'macro_f1'. "
        "Choose one."
    )
    ended = handful("tune", "stars.csv", "--task", "regression", "--backbone", "toy-text", "--strategies", "distilled")
    assert ended.err.splitlines()[-1] == (
        "handful: strategy distilled learns probabilities of classes, got regression. Leave it out."
    )
    ended = handful("tune", "stars.csv", "--backbone", "toy-text", "--strategies", "svm,ridge")
    assert ended.err.splitlines()[-1] == (
        "handful: strategies svm are not for ordinal. Choose among majority, ridge, logistic, cumulative-ridge, "
        "cumulative and those that move weights."
    )
    ended = handful("tune", "stars.csv", "--task", "ratings")
    assert (
        "task must be one of classification, multilabel, ordinal, regression, tagging, events, defects, masks, boxes, "
        "got 'ratings'" in ended.err
    )


def test_predict_takes_shares_for_doubts(handful, run, table):
    ended = handful("predict", run, table(), "--reject", "5%", "--conformal", "90%", "--only", "answers")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "line,input,label,confidence,refused,set"
    ended = handful("predict", run, table(), "--reject", "5")
    assert (ended.code, ended.out) == (1, "")
    assert "--reject must be a share between 0 and 1, such as 5% or 0.05, got '5'" in ended.err


def test_an_explanation_names_the_words_that_an_answer_hangs_on(handful, table, tmp_path):
    assert handful("tune", table(), *FAST, "--out", "run").code == 0
    ended = handful("explain", "run", "ants march over the hill")
    assert ended.code == 0
    first, *parts = ended.out.splitlines()
    assert re.fullmatch(r"(ants|bees): \d+\.\d%", first)
    parts, alike = parts[:-3], parts[-3:]
    assert len(parts) == 5
    assert all(re.fullmatch(r" *-?[01]\.\d\d alike: labelled (ants|bees): .* number \d+ \w+", x) for x in alike)
    assert all(re.fullmatch(r" *[+-]\d+\.\d points without: \w+", line) for line in parts)
    found = json.loads(handful("explain", "run", "ants march over the hill", "--json").out)
    assert sorted(found) == ["alike", "confidence", "label", "parts"]
    assert [sorted(row) for row in found["alike"]] == [["label", "row", "similarity"]] * 3
    assert {part["part"] for part in found["parts"]} == {"ants", "march", "over", "the", "hill"}
