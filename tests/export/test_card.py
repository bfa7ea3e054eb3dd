"""Tests of the model card: it tells the score with its interval, and no label can format it."""

from pathlib import Path

import numpy as np
import pytest

from handful.evaluation.intervals import wilson
from handful.evaluation.scores import Scores
from handful.export.bundle import Bundle
from handful.export.card import INSTALL, model_card, weights_note, with_weights
from handful.export.kept_parts import Moved
from handful.features.view import MOVED, View
from handful.tasks.classification import CLASSIFICATION
from handful.tasks.classification.details import ClassDetails
from handful.tasks.name_scores import NameScore


def scores_of(labels, rows=20, **changed):
    classes = tuple(
        NameScore(name, rows, wilson(0.8, rows), wilson(0.75, rows) if i else None) for i, name in enumerate(labels)
    )
    given = dict(
        metric="accuracy", n=rows * len(labels), protocol="nested 5x5 stratified", chosen="ridge",
        estimate=wilson(0.8, rows * len(labels)), arms=(), details=ClassDetails(np.eye(len(labels)), classes).as_dict(),
    )  # fmt: skip
    return Scores(**{**given, **changed})


def bundle_of(labels, modality="text", backbone="minilm-l6", depth=5):
    return Bundle(
        CLASSIFICATION, modality, tuple(labels), View(((backbone, depth),)), {backbone: "0"}, "ridge",
        np.zeros((0, len(labels)), np.float32), np.zeros(len(labels), np.float32),
    )  # fmt: skip


def card_of(
    labels=("a", "b"), source="data/tickets.csv", rows=20, modality="text", backbone="minilm-l6", depth=5, **changed
):
    return model_card(bundle_of(labels, modality, backbone, depth), scores_of(labels, rows, **changed), source)


def test_the_card_tells_score_interval_rows_and_protocol():
    assert (
        "- accuracy: **80% (95% interval 65% to 90%)**, measured on 40 rows by nested 5x5 stratified cross-validation"
    ) in card_of()


def test_the_card_tells_the_test_score_where_there_is_one():
    assert "- on 9 test rows, used once: **50% (95% interval" in card_of(test=wilson(0.5, 9), test_n=9)


def test_the_card_tells_what_always_answering_the_same_would_score():
    assert "always answering the most frequent class would be right on 50% of these rows" in card_of()


def test_every_class_is_a_line_of_the_table():
    card = card_of(["billing", "login"])
    assert "| billing | 20 | 80% (58% to 92%) | never answered |" in card
    assert "| login | 20 | 80% (58% to 92%) | 75% (53% to 89%) |" in card


def test_the_folders_above_the_source_are_not_told():
    card = card_of(source="/projects/secret/tickets.csv")
    assert "tickets.csv" in card
    assert "secret" not in card


@pytest.mark.parametrize(
    "label", ["a|b", "<script>x</script>", "[x](http://e.example)", "**bold**", "two\nlines", "`code`"]
)
def test_a_label_cannot_format_the_card(label):
    card = card_of([label, "other"])
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    for forbidden in ("<script>", "[x](", "**bold", "`code`"):
        assert forbidden not in card.replace("```", "")


def test_the_backbone_is_told_with_depth_and_licence():
    assert "- backbone minilm-l6, frozen, read after block 5: all-MiniLM-L6-v2" in card_of()
    assert "Licence of its weights: Apache-2.0." in card_of()


def test_what_must_be_known_about_a_licence_is_told():
    assert "ask its makers before commercial use" in card_of(modality="sound", backbone="speech-embedding", depth=0)


def test_an_unknown_backbone_has_the_licence_of_its_owner():
    assert "- backbone owner/model, frozen, read whole. Its licence is its owner's." in card_of(
        backbone="owner/model", depth=0
    )


@pytest.mark.parametrize(
    ("modality", "task", "item"),
    [("text", "text", "A new text"), ("image", "image", "new.jpg"), ("sound", "audio", "new.wav")],
)
def test_the_card_shows_how_to_use_each_modality(modality, task, item):
    card = card_of(modality=modality)
    assert f"pipeline_tag: {task}-classification" in card
    assert item in card


def test_small_classes_are_among_the_limits():
    assert "Fewer than 10 rows were there for a (5), b (5)." in card_of(rows=5)
    assert "Fewer than" not in card_of(rows=20)


def test_many_classes_are_not_all_in_the_title():
    title = card_of([f"class {i:02d}" for i in range(77)]).splitlines()[8]
    assert title.startswith("# Text classification: class 00, class 01,")
    assert title.endswith("class 09 and 67 more")


def test_the_card_tells_what_is_read_where_and_what_moved():
    bundle = bundle_of(("a", "b"))
    bundle.view = View((("minilm-l6", 6), ("minilm-l6", 4), ("minilm-l6", 5), ("minilm-l6" + MOVED, 6)))
    bundle.moved = Moved("blocks", 3, {})
    card = model_card(bundle, scores_of(("a", "b"), 20), "t.csv")
    assert "- backbone minilm-l6, frozen, read after blocks 4, 5 and 6: all-MiniLM-L6-v2" in card
    assert "- backbone minilm-l6, tuned, read after block 6: all-MiniLM-L6-v2" in card
    assert "- head: ridge, fitted with the weights that moved; its weights are in this folder" in card


def test_a_backbone_of_a_hub_is_fetched_by_whoever_uses_the_model():
    said = card_of(backbone="owner/model")
    assert "a saved model asks no hub for them. Get them with:\n\n```\nhf download owner/model\n```" in said
    assert "handful gets them when they are missing" not in said
    assert "hf download" not in card_of(backbone="minilm-l6")


NOT_HERE = "The weights of the backbone are not in this folder; handful gets them when they are missing."
HERE = "The weights of the backbone are in this folder, under `backbones/`: nothing is fetched when the model is used."


@pytest.mark.parametrize(
    ("backbone", "merged", "said"),
    [
        ("minilm-l6", False, NOT_HERE),
        ("minilm-l6", True, HERE),
        ("owner/model", True, HERE),
        ("char-ngrams", False, "The backbone has no weights: this folder and handful are all that is needed."),
        ("char-ngrams", True, "The backbone has no weights: this folder and handful are all that is needed."),
        (
            "/models/encoder",
            False,
            "The weights of the backbone are not in this folder; they are in a folder of the machine that the model "
            "was made on. To use it elsewhere, export it with its weights: `handful export RUN --merge --out FOLDER`.",
        ),
    ],
)
def test_the_card_says_where_the_weights_are_in_each_kind_of_export(backbone, merged, said):
    model = bundle_of(("a", "b"), backbone=backbone)
    card = model_card(model, scores_of(("a", "b"), 20), "t.csv")
    copy = with_weights(card, model, merged)
    assert copy.count("weights of the backbone") + copy.count("backbone has no weights") == 1
    assert f"\n\n{said}\n\n## How to use it\n" in copy
    assert with_weights(with_weights(card, model, merged=True), model, merged=False) == card
    assert with_weights("# My own words\n", model, merged) == "# My own words\n"


def test_weights_of_a_hub_and_of_a_folder_are_both_told():
    model = bundle_of(("a", "b"), backbone="owner/model")
    model.fingerprints["/models/encoder"] = "0"
    assert weights_note(model, merged=False).endswith(
        "--out FOLDER`. A saved model asks no hub for them. Get them with:\n\n```\nhf download owner/model\n```"
    )


def test_the_line_that_installs_handful_works_in_a_clone():
    clone = Path(__file__).parents[2]
    assert f"```\n{INSTALL}\n```" in card_of()
    assert "{" not in INSTALL
    assert INSTALL in (clone / "README.md").read_text("utf-8")
    assert (clone / "constraints.txt").is_file()
    assert (clone / "pyproject.toml").is_file()
