"""Rows with answers from a file to a saved, reloaded and exported model; and what is said where that cannot be."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import transformers

import handful
from handful.errors import BundleError, OptionError
from handful.evaluation.scores import Scores
from handful.export.language_model import LanguageModel
from handful.run_folder import is_language

WORDS = "cat dog sun sea car tree bee hat map pen cup box".split()  # noqa: SIM905


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    lines = [json.dumps({"prompt": f"say {word}", "response": word.upper()}) for word in WORDS]
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module")
def run():
    made = [{"prompt": f"say {word}", "response": word.upper()} for word in WORDS]
    return handful.tune(made, backbone="toy-language", strategies="in-context,full", budget="2 min")


def test_a_run_is_saved_read_back_and_says_the_same(run, tmp_path):
    folder = run.save(tmp_path / "run")
    parts = {"scores.json", "findings.json", "plan.yaml", "predictions.csv", "model", "report.html", "run.log"}
    parts |= {"rows.json", "version.json"}
    assert {part.name for part in folder.iterdir()} == parts
    back = LanguageModel.load(folder)
    asked = ["say cat", [{"role": "user", "content": "say dog"}]]
    assert back.predict(asked) == run.model.predict(asked)
    assert Scores.read(folder / "scores.json").chosen == run.scores.chosen
    with (folder / "predictions.csv").open() as stream:
        written = list(csv.DictReader(stream))
    assert sorted(row["input"] for row in written) == sorted(f"say {word}" for word in WORDS)
    assert {row["wanted"] for row in written} == {word.upper() for word in WORDS}


def test_a_run_says_how_many_examples_it_shows_and_its_model_shows_as_many(tmp_path, monkeypatch):
    from handful.strategies.language import answering

    monkeypatch.setattr(answering, "best_beyond_doubt", lambda arms, *rest: 1)
    made = [{"prompt": f"say {word}", "response": word.upper()} for word in WORDS]
    run = handful.tune(made, backbone="toy-language", strategies="in-context", budget="2 min")
    assert run.scores.chosen == "nearest"
    back = Scores.read(run.save(tmp_path / "run") / "scores.json")
    assert [arm.setting for arm in back.arms] == [arm.setting for arm in run.scores.arms]
    assert set(back.arms[1].setting["examples shown"]) <= {1, 2, 4, 8}
    assert LanguageModel.load(tmp_path / "run").shots.count in (1, 2, 4, 8)
    assert "<dt>examples shown</dt>" in (tmp_path / "run" / "report.html").read_text()


def test_a_report_names_every_arm_and_escapes_what_rows_say(run, tmp_path):
    page = (run.save(tmp_path / "run") / "report.html").read_text()
    assert all(f">{arm.name}</th>" in page for arm in run.scores.arms)
    assert "http" not in page.replace("http-equiv", "")
    made = [
        {"prompt": f"<script>alert({i})</script> say", "response": f"<b>{word}</b>"} for i, word in enumerate(WORDS)
    ]
    bold = handful.tune(made, backbone="toy-language", budget=0).save(tmp_path / "bold")
    page = (bold / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_what_moved_merges_into_a_folder_that_transformers_loads(run, tmp_path):
    assert run.model.moved.tuner == "blocks"
    run.model.merged(tmp_path / "merged")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    plain = replace(run.model, unrepeated=0)  # a folder holds weights: what keeps answers from repetition stays behind
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    for word in WORDS[:4]:
        told = [{"role": "user", "content": f"say {word}"}]
        ids = tokenizer.apply_chat_template(told, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        said = model.generate(**ids, max_new_tokens=run.model.longest, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert tokenizer.decode(said, skip_special_tokens=True).strip() == plain.predict([f"say {word}"])[0]


def test_the_command_line_goes_from_rows_to_answers(rows, tmp_path, handful):
    out = tmp_path / "run"
    options = ("--backbone", "toy-language", "--strategies", "full", "--budget", "2min")
    tuned = handful("tune", str(rows), "--out", str(out), *options)
    assert tuned.code == 0, tuned.err
    assert f"use it: handful chat {out}" in tuned.out
    answered = handful("predict", str(out), str(rows))
    assert answered.code == 0, answered.err
    assert answered.out.splitlines()[0] == "line,prompt,response,answer"
    assert len(answered.out.splitlines()) == 1 + len(WORDS)
    assert "nats per token" in handful("report", str(out)).out
    plain = handful("export", str(out), "--out", str(tmp_path / "x"))
    assert (plain.code, "add --merge" in plain.err) == (1, True)
    assert handful("export", str(out), "--out", str(tmp_path / "x"), "--merge").code == 0
    refused = handful("predict", str(out), str(rows), "--probabilities")
    assert "--probabilities, --reject, --conformal and --together are for classifiers" in refused.err


def test_chat_messages_are_answered_as_they_stand(run, tmp_path, handful):
    folder = run.save(tmp_path / "run")
    talk = [{"role": "user", "content": "say cat"}, {"role": "assistant", "content": "CAT"}]
    file = tmp_path / "new.jsonl"
    asked = [{"messages": [*talk, {"role": "user", "content": "say dog"}]}, {"messages": talk}, {"messages": talk[1:]}]
    file.write_text("\n".join(map(json.dumps, asked)))
    answered = handful("predict", str(folder), str(file), "--only", "answers")
    assert answered.code == 0, answered.err
    written = list(csv.DictReader(answered.out.splitlines()))
    assert [row["input"] for row in written] == ["say dog", "say cat", "line 3"]
    assert [row["answer"] for row in written[:2]] == run.model.predict([asked[0]["messages"], "say cat"])
    assert written[2]["answer"] == ""
    assert 'not answered: line 3: "messages" must end with a message of the user' in answered.err


def test_a_run_that_was_killed_goes_on_to_the_same_model(rows, tmp_path):
    from handful.plan import Plan

    def tuned(out, progress=lambda stage, done, total: None, **more):
        given = {"source": str(rows), "out": str(tmp_path / out), "strategies": "full", "backbone": "toy-language"}
        return handful.tune(handful.load(rows), plan=Plan.resolve({**given, **more}, "test"), progress=progress)

    whole = tuned("whole")

    def killed(stage, done, total):
        if stage.startswith("full, fold 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned("cut", killed)
    kept = sorted((tmp_path / ".cut.training").rglob("full-*.safetensors"))
    assert [file.name for file in kept] == ["full-0.safetensors", "full-1.safetensors"]
    resumed = tuned("cut", resume=True)
    assert resumed.scores.estimate == whole.scores.estimate
    assert all((resumed.model.moved.delta[name] == value).all() for name, value in whole.model.moved.delta.items())
    resumed.save(tmp_path / "cut")
    assert not (tmp_path / ".cut.training").exists()


def test_test_rows_are_kept_for_the_end(monkeypatch):
    from handful.strategies.language import asking

    made = [
        {"prompt": f"say {word}", "response": word.upper(), "split": "test" if i < 4 else "train"}
        for i, word in enumerate(WORDS)
    ]
    seen = []
    real = asking.tokens_of
    monkeypatch.setattr(asking, "tokens_of", lambda rows, *rest: seen.extend(rows) or real(rows, *rest))
    run = handful.tune(made, backbone="toy-language", budget=0)
    assert (len(run.data), run.scores.test_n) == (8, 4)
    assert {row.answer for row in seen[-4:]} == {word.upper() for word in WORDS[:4]}  # once, at the end
    assert not {row.answer for row in seen[:-4]} & {word.upper() for word in WORDS[:4]}
    assert run.scores.sentence.startswith("On the 4 test rows: 4.")


def test_labels_are_scored_on_the_test_rows_too():
    made = [
        {"text": f"{word} {i}", "label": "animal" if i % 2 else "thing", "split": "test" if i < 4 else "train"}
        for i, word in enumerate(WORDS)
    ]
    data = handful.load(made, modality="language", label="label", input="text")
    run = handful.tune(data, backbone="toy-language", budget=0, metric="accuracy")
    assert run.scores.test_n == 4
    assert run.scores.test.value in (0, 0.25, 0.5, 0.75, 1)


def test_a_table_can_be_learned_as_language(tmp_path, handful):
    file = tmp_path / "kinds.csv"
    file.write_text(
        "text,label\n" + "\n".join(f"{word} {i},{'animal' if i % 2 else 'thing'}" for i, word in enumerate(WORDS))
    )
    done = handful("tune", str(file), "--as", "language", "--backbone", "toy-language", "--budget", "0", "--json")
    assert done.code == 0, done.err
    scores = json.loads(done.out)
    assert scores["task"] == "generation"
    assert all(0 <= arm["metrics"]["accuracy"]["value"] <= 1 for arm in scores["arms"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategies": "svm"}, "strategies for rows with answers must be some of base, in-context, lora"),
        ({"strategies": "lora,dpo"}, "strategies for rows with answers must be some of .*, got dpo"),
        ({"strategies": "dpo"}, "strategies for rows with answers must be some of base"),
        ({"metric": "accuracy"}, r"metric accuracy is for labels \(--as language\), got free answers"),
        ({"metric": "macro_f1"}, "metric of answers must be one of loss, exact_match, token_f1"),
        ({"backbone": "toy-language,other"}, "must be one model, got 2"),
        ({"backbone": "minilm-l6"}, "backbone 'minilm-l6' is for text, but the items are language"),
    ],
)
def test_options_that_do_not_fit_are_named(options, said):
    made = [{"prompt": f"say {word}", "response": word.upper()} for word in WORDS]
    with pytest.raises(OptionError, match=said):
        handful.tune(made, **{"backbone": "toy-language", "budget": 0, **options})


def test_options_of_answers_do_not_fit_classes():
    texts, labels = ["a b", "b c", "x y", "y z"] * 3, ["one", "one", "two", "two"] * 3
    with pytest.raises(OptionError, match="strategies in-context must be given rows with answers"):
        handful.tune(handful.load(texts, labels=labels), backbone="toy-text", strategies=["in-context"], budget=0)
    with pytest.raises(OptionError, match="metric of classification must be one of accuracy"):
        handful.tune(handful.load(texts, labels=labels), backbone="toy-text", metric="loss", budget=0)


def test_a_remedy_is_asked_for_by_name_kept_in_the_plan_and_needs_a_language_model(rows, tmp_path, handful):
    out = tmp_path / "run"
    options = ("--backbone", "toy-language", "--strategies", "full", "--budget", "2min", "--anti-forgetting", "fade")
    tuned = handful("tune", str(rows), "--out", str(out), *options)
    assert tuned.code == 0, tuned.err
    assert "anti_forgetting:\n  value: fade\n  from: command line" in (out / "plan.yaml").read_text()
    wrong = handful("tune", str(rows), "--out", str(out), *options[:-1], "fades")
    assert (wrong.code, "anti-forgetting must be one of fade, l2sp, replay, got 'fades'. Did" in wrong.err) == (1, True)
    classes = tmp_path / "classes.csv"
    classes.write_text("text,label\n" + "\n".join(f"{word} {i},{'ab'[i % 2]}" for i, word in enumerate(WORDS)))
    refused = handful("tune", str(classes), "--anti-forgetting", "fade", "--budget", "0")
    assert "anti-forgetting fade is for language models, got labelled items. Leave it out" in refused.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--carry-items"],
            "Leave it out: a model that shows examples carries those",
        ),
        (
            ["--trials", "3"],
            "Leave it out: every strategy has one setting here",
        ),
        (
            ["--engine", "processes"],
            "Leave it out: one training after the other runs here",
        ),
    ],
)
def test_no_option_is_silently_ignored(options, why, rows, tmp_path, handful):
    refused = handful("tune", str(rows), "--backbone", "toy-language", "--out", str(tmp_path / "run"), *options)
    assert refused.code == 1
    said = " ".join(refused.err.split())
    assert f"{options[0][2:]} is for classifiers, got rows for a language model. {why}" in said


def test_what_would_happen_anyway_may_be_said(rows, tmp_path, handful):
    same = ("--engine", "inline", "--trials", "0", "--budget", "0")
    tuned = handful("tune", str(rows), "--backbone", "toy-language", "--out", str(tmp_path / "run"), *same)
    assert tuned.code == 0, tuned.err


def test_what_is_forgotten_is_said_with_the_whole_command(rows, tmp_path, handful, monkeypatch):
    from handful.evaluation.intervals import Estimate
    from handful.strategies.language import trying

    monkeypatch.setattr(trying, "forgotten", lambda before, after, tell: Estimate(0.4, 0.3, 0.5))
    given = f"{rows} --out {tmp_path / 'run'} --budget 120 --backbone toy-language --strategies full"
    tuned = handful("tune", *given.split())
    assert tuned.code == 0, tuned.err
    assert f"`handful tune {given} --anti-forgetting replay`" in tuned.err


def test_pairs_cannot_rehearse():
    pairs = [{"prompt": f"say {word}", "chosen": word.upper(), "rejected": "zz"} for word in WORDS]
    with pytest.raises(OptionError, match="anti-forgetting replay is for rows with answers, got preference rows"):
        handful.tune(pairs, backbone="toy-language", anti_forgetting="replay", budget=0)


def test_preferences_have_no_metric_to_choose():
    pairs = [{"prompt": f"say {word}", "chosen": word.upper(), "rejected": "zz"} for word in WORDS]
    with pytest.raises(OptionError, match="metric= must be a function for preference rows, or left out, got loss"):
        handful.tune(pairs, backbone="toy-language", metric="loss", budget=0)
    run = handful.tune(pairs, backbone="toy-language", budget=0)
    assert run.scores.metric == "pair_accuracy"


def test_a_judge_of_two_answers_scores_the_test_rows_too():
    pairs = [
        {"prompt": f"say {word}", "chosen": word.upper(), "rejected": "zz", "split": "test" if i < 4 else "train"}
        for i, word in enumerate(WORDS)
    ]
    run = handful.tune(pairs, backbone="toy-language", budget=0, metric=lambda prompt, one, other: 1.0)
    assert (run.scores.metric, run.plan.metric) == ("win_rate", "win_rate")
    assert (run.scores.test.value, run.scores.test_n) == (0.5, 4)  # the model as it was, against itself


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: {**raw, "format": 99}, "must have format 6, got 99"),
        (lambda raw: {**raw, "arm": "other"}, "was changed after it was written"),
        (
            lambda raw: {**raw, "kind": "head", "task": "classification"},
            "must hold a language model, got classification",
        ),
    ],
)
def test_a_changed_model_is_refused(run, tmp_path, change, said):
    record = run.save(tmp_path / "run") / "model" / "bundle.json"
    assert is_language(tmp_path / "run")
    record.write_text(json.dumps(change(json.loads(record.read_text()))))
    with pytest.raises(BundleError, match=said):
        LanguageModel.load(tmp_path / "run")


def test_changed_weights_are_refused(run, tmp_path):
    file = run.save(tmp_path / "run") / "model" / "moved.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(BundleError, match="was changed after it was written: its hash differs"):
        LanguageModel.load(tmp_path / "run")


def test_another_backbone_than_the_one_it_was_made_with_is_refused(run):
    made = LanguageModel(arm="base", backbone_name="toy-language", fingerprint="0" * 16)
    with pytest.raises(BundleError, match="must be the one that the model was made with"):
        made.predict(["hi"])


def test_examples_cannot_be_merged(run, tmp_path):
    shown = LanguageModel(arm="nearest-4", backbone_name="toy-language", fingerprint="", shots=handful_shots())
    with pytest.raises(OptionError, match="nearest-4 shows examples before each question"):
        shown.merged(tmp_path / "x")


def handful_shots():
    from handful.strategies.language.in_context import Shots

    return Shots()


@pytest.mark.parametrize("who", ["tune", "chat"])
def test_fetching_and_loading_are_told(monkeypatch, who):
    from handful.backbones import catalog
    from handful.tune_answers import load_language

    told, real = [], catalog.load

    def load(name, modality, *, place=None, progress=None):
        progress(5, 10)
        return real(name, modality, place=place)

    fingerprint = real("toy-language", "language").fingerprint
    monkeypatch.setattr(catalog, "load", load)
    if who == "tune":
        load_language("toy-language", lambda *said: told.append(said))
    else:
        LanguageModel("base", "toy-language", fingerprint).ready(lambda *said: told.append(said))
    assert told == [("loading toy-language", 0, 0), ("fetching toy-language", 5, 10)]


def test_a_run_begins_with_answers_on_the_terminal_and_on_the_page(run, tmp_path):
    lines = str(run.scores).splitlines()
    assert lines[0] == run.scores.lead.sentence
    assert lines[0].startswith(f"Of 12 rows held out, {run.scores.chosen} answered ")
    assert lines.index("Details:") > lines.index(run.scores.lead.rule)
    folder = run.save(tmp_path / "run")
    assert Scores.read(folder / "scores.json").lead == run.scores.lead
    assert run.scores.lead.sentence in (folder / "model" / "README.md").read_text()
    page = (folder / "report.html").read_text()
    shown = [example.wanted for example in run.scores.lead.examples]
    assert len(shown) == 3
    assert page.index('<section id="wrong"') < page.index('id="arms"')
    head, _, folded = page[page.index("What it answers") :].partition("<details>")
    assert all(f">{wanted}</dd>" in head for wanted in shown)
    assert "perplexity" not in head
    assert "perplexity" in folded
    assert run.scores.lead.sentence in page[: page.index("What it answers")]


def test_long_answers_are_shown_beside_the_wanted_ones_too(tmp_path):
    made = [{"prompt": f"say {word} at length", "response": f"{word} " * 20} for word in WORDS]
    long = handful.tune(made, backbone="toy-language", budget=0)
    assert long.scores.lead.sentence.startswith("Three of the 12 rows held out were answered for a look")
    assert [example.kind for example in long.scores.lead.examples] == ["easiest", "hardest", "typical"]
    assert sum(bool(row.predicted) for row in long.held_out) == 3
