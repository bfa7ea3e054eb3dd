"""Tests of the page: whole, offline, escaped, and with everything on it that a reader needs."""

import ast
import base64
import csv
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import handful
from handful.data.occlusion import Part
from handful.data.places import Places
from handful.evaluation.curves import Curve, Point
from handful.evaluation.intervals import Estimate
from handful.evaluation.scores import HeldOut
from handful.evaluation.slices import Slice
from handful.evaluation.stability import Changed, Kept
from handful.explanation import Carried, Explanation
from handful.export.reference import Reference
from handful.inspection.findings import Finding
from handful.report import render
from handful.report.mistakes import mistakes
from handful.report.shown import outline
from handful.report.usage import quoted, usage
from handful.tasks.classification import CLASSIFICATION, confusions
from handful.tasks.classification.details import ClassDetails

PLACE = Path("runs/tickets")
TEXTS = [f"text number {i}" for i in range(40)]
LABELS = ["billing", "login"] * 20
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """The elements of a page; fails on an element that is closed out of turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(run, place=PLACE):
    return Page(render(run, place))


def pictures(folder, count):
    files = []
    for i in range(count):
        files.append(folder / f"{'ab'[i % 2]}" / f"it's {i}.png")
        files[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), i * 20, np.uint8)).save(files[-1])
    return files


def sounds(folder, count):
    files = []
    for i in range(count):
        files.append(folder / f"{i}.wav")
        soundfile.write(files[-1], np.sin(np.arange(1600) / (i + 3)).astype(np.float32), 16000)
    return files


def test_every_arm_is_on_the_page_with_value_interval_verdict_and_reason(make_run):
    run = make_run(TEXTS, LABELS)
    shown = page(run)
    labels = [a.get("aria-label", "") for a in shown.all("svg")]
    for arm in run.scores.arms:
        value, low, high = (f"{100 * x:.0f}" for x in (arm.estimate.value, arm.estimate.low, arm.estimate.high))
        assert f"{arm.name}: {value}%, {low}–{high}%" in labels
        assert arm.reason in shown.text
    assert sum(a.get("class") == "whisker chosen" for a in shown.all("svg")) == 1


def test_nothing_is_loaded_from_outside(make_run, tmp_path):
    run = make_run(pictures(tmp_path, 12), ["a", "b"] * 6, "image")
    text = render(run, PLACE)
    for tag, attributes in Page(text).elements:
        for name in ("src", "href", "srcset", "action", "data", "poster", "formaction"):
            assert attributes.get(name, "#").startswith(("data:", "#")), (tag, attributes)
        assert "url(" not in attributes.get("style", "")
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face", style)
    policy = Page(text).all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; img-src data:; media-src data:;")


def test_the_one_script_is_the_one_that_the_policy_allows(make_run):
    text = render(make_run(TEXTS, LABELS), PLACE)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=cmd|' /C calc'!A0", "{{ 7*7 }}"]
)
def test_malicious_text_stays_text_wherever_it_comes_from(make_run, evil):
    labels = [evil if i % 2 else "good" for i in range(40)]
    run = make_run([f"{evil} {i}" for i in range(40)], labels, skill=0.6)
    finding = Finding("conflict", (0, 1), f"{evil} is odd", f"Look at {evil}")
    run = replace(run, findings=(finding,), notes=(evil,), data=replace(run.data, source=evil, notes=(evil,)))
    shown = page(run, Path(evil))
    assert len(shown.all("script")) == 1
    assert not [a for a in shown.all("img") if "onerror" in a]
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert shown.text.count(evil) > 10


def test_two_classes_are_enough(make_run):
    shown = page(make_run(TEXTS, LABELS))
    assert "billing taken for login" in " ".join(shown.text.split())
    assert "taken for another class" not in shown.text


def test_no_mistake_is_said(make_run):
    assert "No row was taken for another class." in page(make_run(TEXTS, LABELS, skill=9.0)).text


def test_many_classes_are_folded_and_scroll(make_run):
    labels = [f"class {i:02d}" for i in range(77) for _ in range(4)]
    run = make_run([f"text {i}" for i in range(len(labels))], labels, skill=0.7)
    shown = page(run)
    assert "The other 57 classes" in shown.text
    assert {f"class {i:02d}" for i in range(77)} <= set(re.findall(r"class \d\d", shown.text))
    assert [a for a in shown.all("table") if a.get("class") == "matrix dense"]
    assert len(confusions.largest(ClassDetails.from_dict(run.scores.details))) == confusions.LISTED_ALONE


def test_more_classes_than_anybody_can_read_are_listed_only(make_run):
    labels = [f"class {i:03d}" for i in range(160) for _ in range(2)]
    run = make_run([f"text {i}" for i in range(len(labels))], labels, skill=0.5)
    shown = page(run)
    assert "The table of all 160 classes is too large to read on a page" in shown.text
    assert not [a for a in shown.all("table") if "matrix" in a.get("class", "")]


def test_the_largest_confusion_comes_first(make_run):
    details = ClassDetails.from_dict(make_run(TEXTS, LABELS).scores.details)
    details = replace(details, confusion=np.array([[15.0, 5.0], [7.0, 13.0]]))
    first, second = confusions.largest(details)
    assert (first.true, first.answered, first.rows, first.share) == ("login", "billing", 7.0, 0.35)
    assert second.true == "billing"
    assert [[cell.text for cell in row] for row in confusions.cells(details)] == [["15", "5"], ["7", "13"]]


def test_a_given_test_split_is_the_headline(make_run):
    run = make_run(TEXTS, LABELS)
    tested = replace(run, scores=replace(run.scores, test=run.scores.estimate, test_n=33))
    assert "the 33 rows that the source marks as test" in page(tested).text


def cases(shown):
    """How many rows are shown."""
    return sum(a.get("class") == "case" for a in shown.all("li"))


def test_wrong_rows_are_grouped_by_what_was_taken_for_what_the_largest_group_first(make_run):
    run = make_run(TEXTS, LABELS, skill=0.6)
    text = " ".join(page(run).text.split())
    groups = mistakes(run.held_out, "classification")
    assert {group.sentence for group in groups} == {"billing taken for login", "login taken for billing"}
    sizes = [len(group.answers) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    at = [text.index(f"{group.sentence} {len(group.answers)} rows") for group in groups]
    assert at == sorted(at)
    assert f"{sum(sizes)} rows of 40 got a wrong answer, of 2 kinds." in text
    worst = [f"text number {answer.row} " for answer in groups[0].answers[:8]]
    places = [text.index(row, at[0]) for row in worst]
    assert places == sorted(places)


def test_a_row_is_called_as_its_source_calls_it(make_run):
    run = make_run(TEXTS, LABELS, skill=0.6)
    worst = min(run.held_out, key=lambda answer: (answer.own, answer.row)).row
    assert f"row {worst} " in " ".join(page(run).text.split())
    lines = replace(run, data=replace(run.data, places=Places(range(2, 42), "line")))
    shown = " ".join(page(lines).text.split())
    assert f"line {worst + 2} " in shown
    assert "row 0" not in shown
    ids = replace(run, data=replace(run.data, places=Places((), "row", "ticket", {i: f"T-{i}" for i in range(40)})))
    assert f"ticket T-{worst} " in " ".join(page(ids).text.split())


def test_numbers_have_no_kinds_of_mistakes_and_those_furthest_off_are_shown(tmp_path):
    texts = [f"{'good ' * (i % 3)}thing {i}" for i in range(30)]
    answers = [f"{i % 3}.5" for i in range(30)]
    run = handful.tune(handful.load(texts, labels=answers, task="regression"), backbone="toy-text", budget=0)
    shown = page(run)
    assert "The rows whose numbers are furthest off." in shown.text
    assert "taken for" not in shown.text
    assert cases(shown) == 8


def test_several_labels_are_grouped_by_what_is_missed_and_what_is_too_much():
    answers = [HeldOut(0, "a|b", "a", 0.5, 0.1), HeldOut(1, "b", "(none)", 0.5, 0.2), HeldOut(2, "a", "a|c", 0.5, 0.3)]
    found = [(group.sentence, [answer.row for answer in group.answers]) for group in mistakes(answers, "multilabel")]
    assert found == [("b missed", [0, 1]), ("c answered where it is not", [2])]


def test_rows_that_are_right_but_hardly_are_folded_away(make_run):
    run = make_run(TEXTS, LABELS, skill=9.0)
    hardly = replace(run.held_out[3], confidence=0.52, own=0.52)
    shown = " ".join(page(replace(run, held_out=(hardly, *run.held_out[4:]))).text.split())
    assert "No row got a wrong answer while it was held out." in shown
    assert "Right, but hardly: 1 row" in shown


def test_the_doubtful_rows_can_be_taken_away_as_a_table_without_formulas(make_run):
    run = make_run([f"=cmd|{i}" for i in range(40)], ["=a", "b"] * 20, skill=0.6)
    link = next(a for a in page(run).all("a") if "download" in a)
    assert link["download"] == "doubtful_rows.csv"
    kind, _, content = link["href"].partition(",")
    assert kind == "data:text/csv;charset=utf-8;base64"
    rows = list(csv.reader(io.StringIO(base64.b64decode(content).decode("utf-8-sig"))))
    assert rows[0] == ["where", "input", "label", "predicted", "confidence"]
    wrong = {answer.row for answer in run.held_out if answer.label != answer.predicted}
    assert {int(row[0].removeprefix("row ")) for row in rows[1:]} >= wrong
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]


def test_details_are_folded_and_what_everybody_needs_is_not(make_run):
    run = make_run(TEXTS, LABELS)
    shown = page(run)
    parts = [a["id"] for a in shown.all("details") if a.get("class") == "part"]
    assert parts == ["arms", "classes", "notes", "choice"]
    assert not [a for a in shown.all("details") if "open" in a]
    assert [a["id"] for a in shown.all("section")] == ["wrong", "next", "use", "details"]
    assert [a["href"] for a in shown.all("a") if "download" not in a] == ["#wrong", "#next", "#use", "#details"]


def test_long_texts_are_folded_and_the_longest_cut(make_run):
    long, endless = "word " * 200, "z" * 100_000
    shown = page(make_run([long, endless] * 6, LABELS[:12], skill=0.5, findings=()))
    assert long.strip() in shown.text
    assert "… (95,000 more characters)" in shown.text
    assert "z" * 5001 not in shown.text


def test_right_to_left_texts_and_labels_set_their_own_direction(make_run):
    texts = [f"وصل الطلب متأخرا {i}" for i in range(12)]
    shown = page(make_run(texts, ["توصيل", "فاتورة"] * 6, skill=0.5, findings=()))
    assert [a.get("dir") for a in shown.all("span")].count("auto") == cases(shown) > 0
    assert "توصيل" in shown.text
    assert len(shown.all("bdi")) > 10


def test_pictures_are_shown_as_thumbnails_with_their_file_below_the_source(make_run, tmp_path):
    run = make_run(pictures(tmp_path, 12), ["a", "b"] * 6, "image", skill=0.5)
    shown = page(replace(run, data=replace(run.data, source=str(tmp_path))))
    images = shown.all("img")
    assert len(images) == cases(shown) >= 4
    assert [a["aria-haspopup"] for a in shown.all("button")] == ["dialog"] * len(images)
    assert len(shown.all("dialog")) == 1
    assert all(image["src"].startswith("data:image/jpeg;base64,/9j/") for image in images)
    assert all(re.fullmatch(r"(a|b)/it's \d+\.png, labelled \1", image["alt"]) for image in images)


def test_a_picture_that_has_gone_is_said_and_the_others_are_shown(make_run, tmp_path):
    files = pictures(tmp_path, 12)
    run = make_run(files, ["a", "b"] * 6, "image", skill=0.5)
    before = cases(page(run))
    worst = min(run.held_out, key=lambda answer: (answer.own, answer.row))
    files[worst.row].unlink()
    shown = page(run)
    assert len(shown.all("img")) == before - 1
    assert "Cannot be shown:" in shown.text


def test_sounds_are_drawn_and_can_be_heard(make_run, tmp_path):
    shown = page(make_run(sounds(tmp_path, 12), ["a", "b"] * 6, "sound", skill=0.5))
    waves = [a for a in shown.all("svg") if a.get("class") == "wave"]
    assert len(waves) == cases(shown) >= 4
    assert [a["src"][:22] for a in shown.all("audio")] == ["data:audio/wav;base64,"] * len(waves)
    assert "0.1 s" in shown.text


def test_a_sound_in_memory_or_too_large_is_drawn_only(make_run, tmp_path):
    long = tmp_path / "long.wav"
    soundfile.write(long, np.zeros(150_000, np.int16), 16000)
    items = [(np.zeros(1600, np.float32), 16000), long] * 6
    shown = page(make_run(items, ["a", "b"] * 6, "sound", skill=0.5))
    assert len([a for a in shown.all("svg") if a.get("class") == "wave"]) == cases(shown) >= 4
    assert shown.all("audio") == []


def test_an_outline_fills_its_box_and_silence_is_a_line():
    wave = np.array([[-0.5, 0.25], [0.0, 0.0]], np.float32)
    assert outline(wave) == "0,0.51 1,0.98 1,1.02 0,1.98"


def test_findings_come_with_advice_and_rows_and_the_fourth_is_folded_away(make_run):
    findings = (
        Finding("label_error", (3, 5, 999), "2 labels look wrong", "Correct them."),
        Finding("imbalance", tuple(range(10)), "login is rare", "Collect more."),
        *(Finding("outlier", (i,), f"number {i} is odd", "Look at it.") for i in range(2)),
    )
    shown = page(make_run(TEXTS, LABELS, findings=findings))
    assert "2 labels look wrong. Correct them." in shown.text
    assert "1 more thing in the data to look at" in shown.text
    assert shown.text.index("number 0 is odd") < shown.text.index("1 more thing") < shown.text.index("number 1 is odd")
    for named in ("row 3: text number 3", "row 999", "and 4 more"):
        assert named in shown.text


def test_clean_data_and_no_notes_are_said_plainly(make_run):
    run = make_run(TEXTS, LABELS, findings=(), notes=())
    shown = page(replace(run, data=replace(run.data, notes=())))
    assert "Nothing was found wrong with the rows." in shown.text
    assert {"class": "part", "id": "notes"} not in shown.all("details")


def test_options_are_told_with_their_origin_and_time_with_its_stages(make_run):
    shown = " ".join(page(make_run(TEXTS, LABELS)).text.split())
    assert "budget 60 command line" in " ".join(re.sub(r"(budget)(60)(command)", r"\1 \2 \3", shown).split())
    for stage, seconds in (("read", "0.04 s"), ("look", "1.3 s"), ("together", "3.0 s")):
        assert re.search(rf"{stage}\s*{re.escape(seconds)}", shown)


def test_a_file_name_that_is_no_text_still_gives_a_page(make_run):
    run = make_run(TEXTS, LABELS)
    text = render(replace(run, data=replace(run.data, source="caf\udce9.csv")), Path("runs/caf\udce9"))
    assert text.encode("utf-8")
    assert "runs/caf" in text


def test_an_unknown_backbone_has_no_licence_to_tell(make_run):
    run = make_run(TEXTS, LABELS)
    model = replace(run.model, view=type(run.model.view)((("someone/else", 0),)))
    shown = page(replace(run, model=model)).text
    assert "someone/else, read whole" in shown
    assert "Licence of the weights" not in shown


@pytest.mark.skipif("os.name == 'nt'", reason="the quotes of a POSIX shell")
@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("runs/tickets", "runs/tickets"),
        ("my runs/it's", "'my runs/it'\"'\"'s'"),
        ("-run", "./-run"),
        ("a;rm b", "'a;rm b'"),
    ],
)
def test_folders_are_quoted_for_the_shell(place, shown):
    assert quoted(Path(place)) == shown


def test_the_python_snippet_is_python_and_names_the_folder():
    for modality in ("text", "image", "sound"):
        snippet = usage(Path("my runs/it's \\ here"), modality, "the class", True).python
        constants = [node.value for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Constant)]
        assert str(Path("my runs/it's \\ here")) in constants


def test_what_more_labels_are_worth_is_shown_with_its_interval(make_run):
    points = tuple(Point(rows, Estimate(value, value - 0.1, value + 0.1)) for rows, value in ((10, 0.6), (40, 0.75)))
    curve = Curve(40, points, 0.06, 0.02, 0.02, ("billing",), ("billing", "login"))
    run = make_run(TEXTS, LABELS, curve=curve)
    sets = {"level": 0.9, "limit": 0.7, "size": 1.4}
    shown = page(replace(run, scores=replace(run.scores, details={**run.scores.details, "sets": sets})))
    assert curve.sentence in shown.text
    labels = [a.get("aria-label", "") for a in shown.all("svg")]
    assert "10 rows: 60%, 50–70%" in labels
    gain = curve.gain(40)
    assert f"forecast: 81%, {100 * (0.75 + gain.low):.0f}–{100 * (0.75 + gain.high):.0f}%" in labels
    assert "the right class among its answers 90% of the time, the model names 1.4 classes per row" in shown.text
    assert {"class": "part", "id": "labels"} in shown.all("details")


def test_a_run_of_old_has_no_part_on_labels(make_run):
    shown = page(make_run(TEXTS, LABELS))
    assert {"class": "part", "id": "labels"} not in shown.all("details")
    assert "What more labels are worth" not in shown.text


def test_a_doubtful_row_names_the_rows_most_like_it(make_run):
    run = make_run(TEXTS, LABELS, skill=0.6)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 6)).astype(np.float32)
    worst = min(run.held_out, key=lambda answer: (answer.own, answer.row)).row
    features[17 if worst != 17 else 18] = features[worst]
    targets = CLASSIFICATION.read(LABELS)
    kept = Reference.of(run.model.view, features, targets, rng.dirichlet([1, 1], (5, 40)), None)
    shown = page(replace(run, model=replace(run.model, reference=kept))).text
    near = 17 if worst != 17 else 18
    assert f"Most like it: “text number {near}”, labelled {LABELS[near]}; “text number" in " ".join(shown.split())
    assert "Most like it" not in page(run).text


def test_a_doubtful_picture_shows_the_pictures_most_like_it_and_a_sound_lets_them_be_heard(make_run, tmp_path):
    for kind, files, tag in (("image", pictures(tmp_path, 12), "img"), ("sound", sounds(tmp_path, 12), "audio")):
        run = make_run(files, ["a", "b"] * 6, kind, skill=0.5)
        rng = np.random.default_rng(0)
        kept = Reference.of(
            run.model.view, rng.normal(size=(12, 6)).astype(np.float32), CLASSIFICATION.read(["a", "b"] * 6),
            rng.dirichlet([1, 1], (5, 12)), None,
        )  # fmt: skip
        shown = page(replace(run, model=replace(run.model, reference=kept)))
        assert len(shown.all(tag)) == 3 * cases(shown)  # each with the two that are most like it


# What unsettles it, and what carries an answer -----------------------------------------------------------------------

STEADY = Estimate(0.98, 0.92, 1.0)
SHAKEN = Changed("typos", 60, Estimate(0.7, 0.58, 0.8), STEADY, Estimate(-0.2, -0.3, -0.1), 40, STEADY, STEADY, STEADY)


def explained(run, item_parts, weights):
    """The run with every doubtful row explained by the same weights."""
    parts = tuple(Carried(part, weight) for part, weight in zip(item_parts, weights, strict=True))
    return replace(run, explained={a.row: Explanation(a.predicted, 0.7, parts) for a in run.held_out})


@pytest.mark.parametrize("evil", ["plain", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "مجلد"])
def test_parts_that_differ_and_changes_that_unsettle_are_told_with_their_figures(make_run, evil):
    part = Slice("group", evil, 15, Estimate(0.33, 0.15, 0.58), 0.91, 0.01)
    calm = Slice("length", "up to 9 characters", 20, Estimate(0.8, 0.6, 0.9), 0.8, 1.0)
    kept = Kept("general sentences", 60, Estimate(0.3, 0.2, 0.4))
    shown = page(make_run(TEXTS, LABELS, slices=(part, calm), stability=(SHAKEN,), kept=kept))
    text = " ".join(shown.text.split())
    assert part.sentence in text
    for told in (*SHAKEN.sentences, kept.sentence):
        assert told in text
    assert text.count("! differs") == 0  # the exclamation mark is drawn by the style, the word stands in the text
    assert f"{evil} differs" in text
    assert {"class": "part", "id": "steady"} in shown.all("details")
    assert len(shown.all("script")) == 1
    labels = [a.get("aria-label", "") for a in shown.all("svg")]
    assert "typos: 70%, 58–80%" in labels
    assert "up to 9 characters: 80%, 60–90%" in labels


def test_a_run_without_checks_has_no_part_on_them_and_a_calm_one_says_so(make_run):
    assert {"class": "part", "id": "steady"} not in page(make_run(TEXTS, LABELS)).all("details")
    calm = Slice("length", "up to 9 characters", 20, Estimate(0.8, 0.6, 0.9), 0.8, 1.0)
    assert "No part of the rows clearly does better or worse" in page(make_run(TEXTS, LABELS, slices=(calm,))).text


def test_words_that_carry_an_answer_are_marked_with_shade_line_and_number(make_run):
    run = make_run(TEXTS, LABELS, skill=0.5)
    words = [Part("text", (0.0,), (0.3,)), Part("number", (0.3,), (0.6,)), Part("7", (0.6,), (1.0,))]
    shown = page(explained(run, [words[1], words[2], words[0]], [0.4, 0.001, -0.1]))
    marks = shown.all("mark")
    assert [(m["class"], m["style"]) for m in marks[:2]] == [("against", "--w:0.25"), ("for", "--w:1.0")]
    text = " ".join(shown.text.split())
    assert "text−10 number+40 7" in text
    assert "Marked: what speaks for and against" in text
    assert "Marked: what speaks" not in page(run).text
    assert [m["class"] for m in marks[-2:]] == ["for", "against"]  # the legend


def test_an_answer_that_no_part_carries_says_so(make_run):
    run = make_run(TEXTS, LABELS, skill=0.6)
    parts = [Part("text", (0.0,), (0.5,)), Part("number", (0.5,), (1.0,))]
    shown = explained(run, parts, [0.01, 0.0])
    assert "No part alone carries" in page(shown).text
    unsure = {row: replace(found, confidence=0.1) for row, found in shown.explained.items()}
    assert "The saved model has learned from this row since and does not" in page(replace(run, explained=unsure)).text


def test_a_long_text_lists_the_words_that_carry_it(make_run):
    run = make_run(["word " * 200] * 12, LABELS[:12], skill=0.5, findings=())
    shown = page(explained(run, [Part("word word", (0.0,), (0.5,)), Part("other words", (0.5,), (1.0,))], [0.3, 0.2]))
    assert "word word+30 … other words+20" in " ".join(shown.text.split())


def test_fields_are_outlined_on_the_thumbnail_with_their_points(make_run, tmp_path):
    run = make_run(pictures(tmp_path, 12), ["a", "b"] * 6, "image", skill=0.5)
    fields = [Part("row 1, column 1", (0.0, 0.0), (0.5, 0.5)), Part("row 2, column 2", (0.5, 0.5), (1.0, 1.0))]
    shown = page(explained(run, fields, [0.25, -0.12]))
    drawn = [a for a in shown.all("svg") if a.get("class") == "fields"]
    assert len(drawn) == cases(shown)
    assert drawn[0]["viewbox"] == "0 0 8 8"
    assert drawn[0]["aria-label"].endswith("in points: +25, −12")
    assert [a["x"] for a in shown.all("rect") if "vector" not in a and a.get("width") == "4.0"][:2] == ["0.0", "0.0"]


def test_stretches_are_marked_under_the_waveform(make_run, tmp_path):
    run = make_run(sounds(tmp_path, 12), ["a", "b"] * 6, "sound", skill=0.5)
    shown = page(
        explained(run, [Part("0.0 to 0.1 s", (0.0,), (0.5,)), Part("0.1 to 0.1 s", (0.5,), (1.0,))], [0.3, 0.0])
    )
    drawn = [a for a in shown.all("svg") if a.get("class") == "stretches"]
    assert len(drawn) == cases(shown)
    assert drawn[0]["aria-label"].endswith("in points: +30")


@pytest.mark.parametrize("rating", [True, False])
def test_a_model_without_any_error_has_a_page_too(rating, tmp_path):
    """Errors of nothing have a scale that ends nowhere."""
    texts = [f"{'good ' * (i % 3)}thing {i}" for i in range(30)]
    answers = [str(i % 3) if rating else f"{i % 3}.5" for i in range(30)]
    run = handful.tune(
        handful.load(texts, labels=answers, task="ordinal" if rating else "regression"), backbone="toy-text", budget=0
    )
    nothing = Estimate(0.0, 0.0, 0.0)
    arms = tuple(replace(arm, estimate=nothing) for arm in run.scores.arms)
    slices = tuple(replace(part, score=nothing) for part in run.scores.slices)
    curve = run.scores.curve and replace(
        run.scores.curve, points=tuple(replace(point, score=nothing) for point in run.scores.curve.points)
    )
    perfect = replace(run, scores=replace(run.scores, arms=arms, estimate=nothing, slices=slices, curve=curve))
    assert "<html" in render(perfect, tmp_path)
