"""What is typed: runs, sources and texts told apart, mistakes answered with the right command, hints that work."""

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from handful import cli, progress
from handful.cli.usage import _NEEDS

FAST = ("--backbone", "toy-text", "--strategies", "centroid", "--budget", "0")
HEAVY = ("torch", "transformers", "sklearn", "pandas", "scipy", "PIL", "pyarrow")


@pytest.fixture
def run(handful, table, tmp_path) -> Path:
    """A finished run of texts, in a folder whose name has a blank."""
    assert handful("tune", table(), *FAST, "--out", "runs/my insects").code == 0
    return Path("runs/my insects")


def typed_in(monkeypatch, content):
    raw = io.TextIOWrapper(io.BytesIO(content.encode()))
    monkeypatch.setattr(sys, "stdin", raw)


# What is answered --------------------------------------------------------------------------------------------------


def test_a_text_is_answered(handful, run):
    ended = handful("predict", run, "ants march over the hill")
    assert (ended.code, ended.err) == (0, "")
    head, row = ended.out.splitlines()
    assert head == "input,label,confidence"
    assert row.startswith("ants march over the hill,ants,")


@pytest.mark.parametrize("text", ["bees", "日本のミツバチ", "bees/hive and more", "3.50", "what? no."])
def test_a_text_of_any_kind_is_a_text(handful, run, text):
    ended = handful("predict", run, text)
    assert ended.code == 0
    assert ended.out.splitlines()[1].startswith(text)


@pytest.mark.parametrize(("command", "rest"), [("predict", ["bees"]), ("check", ["new.csv"]), ("report", [])])
def test_a_copy_in_onnx_is_told_from_a_run(handful, tmp_path, command, rest):
    (tmp_path / "copy").mkdir()
    for name in ("manifest.json", "model.onnx"):
        (tmp_path / "copy" / name).write_text("{}")
    assert handful(command, "copy", *rest).err == (
        "handful: copy holds a copy of a model in ONNX, which answers by itself (python copy/run.py ITEM). For "
        f"{command} name the run that it was exported from.\n"
    )


@pytest.mark.parametrize("text", ["look at new.csv", "runs/nothing", "insect", "note.docx", "a\\b"])
def test_what_may_be_a_file_as_well_as_a_text_is_refused_with_the_command_for_a_text(handful, run, monkeypatch, text):
    ended = handful("predict", run, text)
    assert (ended.code, ended.out) == (1, "")
    near = "Did you mean 'insects.csv'?" if text == "insect" else "Check the path."
    assert ended.err == (
        f"handful: {text} does not exist. {near} If it is a text: echo {shlex.quote(text)} | handful predict "
        "'runs/my insects' -\n"
    )
    typed_in(monkeypatch, text + "\n")
    assert handful(*shlex.split(ended.err.rpartition(" | handful ")[2])).out.splitlines()[1].startswith(f"1,{text},")


def test_the_name_of_a_table_that_is_not_there_is_no_text(handful, run):
    assert handful("predict", run, "nowhere.csv").err == "handful: nowhere.csv does not exist. Check the path.\n"


def test_a_model_of_pictures_reads_no_texts(handful, pictures, tmp_path):
    assert handful("tune", pictures(), "--backbone", "toy-image", *FAST[2:], "--out", "run").code == 0
    assert handful("predict", "run", "a bright one").err == (
        "handful: a bright one does not exist, and no text is an item for a model of images. Name a file, a folder or "
        "a table.\n"
    )
    assert handful("predict", "run", "photo/").err == "handful: photo does not exist. Did you mean 'photos'?\n"
    ended = handful("predict", "run", "photos/dark/0.png")
    assert ended.out.splitlines()[0] == "input,label,confidence"
    assert ended.out.splitlines()[1].startswith("photos/dark/0.png,")


def test_standard_input(handful, run, monkeypatch, capsys):
    typed_in(monkeypatch, "ants march\nhoney, bees\n")
    ended = handful("predict", run, "-", "--out", "answers.jsonl")
    assert ended.out == "2 of 2 rows answered: answers.jsonl\n"
    assert '"line": 2, "input": "honey, bees", "label": "bees"' in Path("answers.jsonl").read_text("utf-8")
    typed_in(monkeypatch, "id,text\n7,ants march\n")
    assert handful("predict", run, "-").out.splitlines()[0] == "line,id,text,label,confidence"
    typed_in(monkeypatch, "")
    assert handful("predict", run, "-").err == (
        "handful: standard input holds nothing. Give one item per line, or a table.\n"
    )


def test_standard_input_that_is_closed(handful, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert handful("predict", run, "-").err == (
        "handful: standard input must be open to be read, got a closed one. Name a file.\n"
    )


def test_who_types_line_by_line_is_told_how_it_ends(handful, run, monkeypatch):
    typed_in(monkeypatch, "ants march\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ended = handful("predict", run, "-")
    assert ended.err == "one item per line; Ctrl-D on a line of its own ends\n"


def test_standard_input_is_read_twice_where_that_is_asked(handful, run, monkeypatch):
    typed_in(monkeypatch, "".join(f"ants march {i}\n" for i in range(12)))
    ended = handful("predict", run, "-", "--together")
    assert "answered together: 12 inputs say" in ended.err
    assert ended.out.count("\n") == 13


def test_an_ending_that_is_not_written_is_refused_at_once(handful, run):
    ended = handful("predict", run, "insects.csv", "--out", "answers.docx")
    assert ended.err == (
        "handful: --out must end with one of .csv, .tsv, .tab, .jsonl, .ndjson, .parquet, .pq, .xlsx, got "
        ".docx. Try answers.csv.\n"
    )


# What was meant ----------------------------------------------------------------------------------------------------


def test_a_run_that_is_spelt_wrongly(handful, run):
    for words in (
        ["predict", "runs/my insect", "insects.csv"],
        ["report", "my insects"],
        ["explain", "my_insects", "x"],
    ):
        ended = handful(*words)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.endswith(" in it. Did you mean 'runs/my insects'?\n")


def test_a_run_that_lost_its_model_is_not_suggested_in_its_own_place(handful, run):
    (run / "model/bundle.json").unlink()
    ended = handful("predict", run, "insects.csv")
    assert ended.err.endswith("no bundle.json in it. Name the folder that `handful tune` wrote.\n")


@pytest.mark.parametrize("name", ["report.html", "scores.json", "model/bundle.json"])
def test_a_part_of_a_run_in_its_place(handful, run, name):
    said = f"handful: {run}/{name} is a part of a run, which is named whole. Run: handful "
    Path("new.csv").write_text("text\nants march along a leaf\nbees hum about a hive\n", encoding="utf-8")
    for words, again in (
        (["predict", run / name, "insects.csv"], "predict 'runs/my insects' insects.csv"),
        (["report", run / name], "report 'runs/my insects'"),
        (["check", run / name, "new.csv"], "check 'runs/my insects' new.csv"),
    ):
        ended = handful(*words)
        assert ended.err == f"{said}{again}\n"
        assert handful(*shlex.split(again)).code == 0


def test_run_and_source_the_other_way_round(handful, run):
    for command in ("predict", "check"):
        ended = handful(command, "insects.csv", run)
        assert ended.err == f"handful: the run comes first. Run: handful {command} 'runs/my insects' insects.csv\n"


def test_a_run_where_a_source_is_wanted(handful, run):
    use = (
        "Use it with `handful predict 'runs/my insects' NEW`, where NEW is a table, a folder, a file, or a text in "
        "quotation marks.\n"
    )
    for words, what in (
        (["tune", run], "labelled examples"), (["inspect", run], "labelled examples"),
        (["predict", run, run], "new items"), (["check", run, run], "new rows"),
        (["adapt", run, "--out", "base"], "items without labels"),
    ):  # fmt: skip
        ended = handful(*words)
        assert (ended.code, ended.err) == (1, f"handful: runs/my insects is a run, not {what}. {use}")


def test_a_word_that_stands_for_something(handful, run):
    ended = handful("predict", run, "NEW")
    assert ended.err == "handful: NEW stands for new items. Put the name of yours in its place.\n"


def test_a_table_where_a_run_is_wanted(handful, table):
    table()
    for words in (["report", "insects.csv"], ["predict", "insects.csv", "new.csv"]):
        assert handful(*words).err == (
            "handful: insects.csv must be a run folder, got a file. Make a run of labelled examples with "
            "`handful tune`, and name its folder.\n"
        )


def test_a_backbone_that_nothing_has(handful, table):
    for words in (["tune", table()], ["inspect", table()], ["adapt", table(), "--out", "base"]):
        ended = handful(*words, "--backbone", "minilm-16")
        assert ended.err == (
            "handful: backbone must be a name of the catalogue, a local folder or a Hugging Face id such as "
            "owner/model, got 'minilm-16'. Did you mean 'minilm-l6'?\n"
        )
    assert "See `handful models list`." in handful("tune", table(), "--backbone", "auto,zzz").err


@pytest.mark.parametrize("command", _NEEDS)
def test_a_command_that_lacks_something_is_told_with_one_that_works(handful, command):
    ended = handful(*command.split())
    assert (ended.code, ended.out) == (2, "")
    said, example = ended.err.removesuffix("\n").split(" For example: ")
    assert said.startswith(f"handful: {command} needs ") and said.endswith(".")
    assert_parses(example)


def test_every_command_that_needs_something_is_known(handful):
    for name in ("tune", "inspect", "predict", "export", "report", "adapt", "chat", "serve", "explain", "check"):
        assert name in _NEEDS


def test_what_was_given_is_put_into_the_example(handful, run):
    assert handful("predict", run).err == (
        "handful: predict needs a run and new items: a table, a folder, a file, a text in quotation marks, or - for "
        "standard input. For example: handful predict 'runs/my insects' 'a new text'\n"
    )
    assert handful("predict", "insects.csv").err.endswith("handful predict 'runs/my insects' insects.csv\n")
    assert handful("predict").err.endswith("handful predict 'runs/my insects' 'a new text'\n")
    assert handful("predict", run, "--out", "a.csv").err.endswith("handful predict 'runs/my insects' 'a new text'\n")
    assert handful("check", run).err.endswith("handful check 'runs/my insects' new.csv\n")
    assert handful("predict", run, "a new text").code == 0


# Hints -------------------------------------------------------------------------------------------------------------

# A command in backticks, or from its name to the end of its sentence.
HINT = re.compile(r"`(handful [^`]+)`|(?<!`)\b(handful (?:" + "|".join({c.split()[0] for c in _NEEDS}) + r")\b[^`\n]*)")


def hints(text):
    """The commands that a text tells to type."""
    found = [(quoted or plain).strip().rstrip(".") for quoted, plain in HINT.findall(text)]
    names = {*_NEEDS, "tune", "models list", "models get", "models repair"}
    return [hint for hint in found if hint.removeprefix("handful ") not in names]  # a name alone is no command line


def assert_parses(line):
    _, *words = shlex.split(line)
    command, bound, *_ = cli.app.parse_args(words, exit_on_error=False, print_error=False)
    assert command is not None
    assert bound is not None


def test_the_commands_of_a_text_are_found():
    said = "x: handful predict 'a b' NEW\nRun `handful models get x`, or `handful tune`. A handful of rows.\n"
    assert hints(said) == ["handful predict 'a b' NEW", "handful models get x"]


def test_every_command_that_is_printed_can_be_typed(handful, table, sentences, tmp_path):
    rows = [*sentences({"ants": 10, "bees": 10, "wasps": 1}), ("ants number 1", "bees")]
    source = table([*rows, rows[0]], name="my insects.csv")
    (tmp_path / "pool.csv").write_text("text\n" + "".join(f"{text}\n" for text, _ in rows))
    said = []
    for words in (
        ["inspect", source, "--backbone", "toy-text"], ["tune", source, *FAST], ["report", "runs/my insects"],
        ["export", "runs/my insects", "--out", "a copy"], ["predict", "runs/my insects"], ["predict"], ["tune"],
        ["report", "my insect"], ["predict", source, "runs/my insects"], ["models"],
        ["tune", source, "--backbone", "x"],
    ):  # fmt: skip
        ended = handful(*words)
        said += hints(ended.out + ended.err)
    assert len(said) > 4
    for line in said:
        assert_parses(line)
    (use,) = {line for line in said if line.startswith("handful predict") and line.endswith("insects' NEW")}
    assert handful(*shlex.split(use.replace("NEW", "pool.csv"))[1:]).code == 0


def test_every_command_in_a_message_of_the_library_can_be_typed():
    """With the names of variables in place of their values."""
    package = Path(cli.__file__).parents[1]
    lines = set()
    for file in package.rglob("*.py"):
        text = re.sub(r'"\s*\n\s*f?"', "", file.read_text("utf-8"))  # texts that are written in several pieces
        lines |= {hint for quoted in re.findall(r"(?<!`)`handful [^`\n]+`(?!`)", text) for hint in hints(quoted)}
    lines = {re.sub(r"\{[^}]*\}", "x", line) for line in lines if "…" not in line}
    assert len(lines) > 8
    for line in sorted(lines):
        assert_parses(line)


# At once -----------------------------------------------------------------------------------------------------------

WRONG = [
    ["--version"], ["-V"], ["tune"], ["tune", "nowhere.csv"], ["tune", "x.csv", "--strategies", "lorra"],
    ["tune", "x.csv", "--metric", "acuracy"], ["tune", "x.csv", "--task", "clasification"],
    ["tune", "x.csv", "--backbone", "minilm-16"], ["inspect", "x.csv", "--backbone", "minilm-16"],
    ["inspect", "nowhere.csv"], ["adapt", "x.csv", "--out", "base", "--backbone", "minilm-16"],
    ["predict", "run", "x.csv"],
    ["report", "run"], ["explain", "run", "a text"], ["check", "run", "x.csv"], ["serve", "run"], ["chat", "run"],
    ["export", "run", "--out", "copy"], ["predict", "runs/real", "nowhere.csv"], ["predict", "runs/real", "runs/real"],
    ["predict", "runs/real", "x.csv", "--reject", "5"], ["predict", "runs/real", "x.csv", "--out", "x.docx"],
    ["predict", "runs/real"], ["report", "runs/real/report.html"],
]  # fmt: skip


def test_wrong_names_are_answered_before_anything_heavy_is_loaded(tmp_path):
    """Processor time, which a busy machine does not change much: torch alone takes more than a second of it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "x.csv").write_text("text,label\na,b\n")
    (tmp_path / "runs/real/model").mkdir(parents=True)
    (tmp_path / "runs/real/model/bundle.json").write_text('{"kind": "head", "modality": "text", "input": "text"}')
    (tmp_path / "runs/real/scores.json").write_text("{}")
    (tmp_path / "runs/real/report.html").write_text("")
    script = (
        "import sys, time\nfrom handful.cli import main\n"
        f"for words in {WRONG}:\n"
        "    sys.argv, start = ['handful', *words], time.process_time()\n"
        "    try: main()\n"
        "    except SystemExit as left: code = left.code\n"
        f"    heavy = sorted(set({HEAVY}) & set(sys.modules))\n"
        "    print('ended', code, time.process_time() - start, *heavy)\n"
        "print('in all', time.process_time())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    lines = re.findall(r"^ended (\d+) ([\d.e-]+)(.*)$", ended.stdout, re.MULTILINE)
    assert len(lines) == len(WRONG), ended.stderr
    for words, (code, seconds, heavy) in zip(WRONG, lines, strict=True):
        assert heavy == "", (words, heavy)
        assert (code != "0") == (not words[0].startswith("-")), words
        assert float(seconds) < 1, words


def test_it_runs_as_a_module(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "handful", "-V"], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", ended.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_learn_to_complete(handful, monkeypatch, tmp_path, shell):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ZSH_CUSTOM", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    ended = handful("--install-completion", "--shell", shell)
    assert ended.code == 0, ended.err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    script = "".join(path.read_text("utf-8") for path in written)
    assert "predict" in script
    assert "--conformal" in script or "conformal" in script


# Interrupted -------------------------------------------------------------------------------------------------------


def test_ctrl_c_names_the_command_that_goes_on(handful, table, tmp_path, monkeypatch):
    words = ["tune", table(name="my insects.csv"), "--backbone", "toy-text", "--strategies", "centroid,supcon"]
    words += ["--budget", "60s", "--out", "my run"]
    updates = 0

    def stopped(bars, stage, done, total):
        nonlocal updates
        updates += stage.startswith("supcon: ")
        if updates == 40:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(progress.Bars, "__call__", stopped)
        ended = handful(*words)
    assert ended.code == 130
    *_, said, again = ended.err.splitlines()
    assert said == "handful: Interrupted; nothing half-written is left."
    assert again.startswith("To go on from where it stood: handful tune ")
    _, *typed = shlex.split(again.partition(": ")[2])
    assert typed == [*map(str, words), "--resume"]
    assert handful(*typed).code == 0


# Lines that fit ----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_break_between_words_on_a_terminal_and_nowhere_else(handful, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    handful("report", "nowhere")
    shown = screen.getvalue()
    assert max(map(len, shown.splitlines())) <= 40
    assert " ".join(shown.split()).startswith(
        "handful: nowhere must be a run folder, but there is no scores.json in it."
    )
    monkeypatch.undo()
