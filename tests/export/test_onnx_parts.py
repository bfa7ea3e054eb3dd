"""Spans, events, defects and masks in ONNX: the folder answers as the model, with handful and without it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image
from starlette.testclient import TestClient

from exportable import RATE, TEXTS, clips, image, model, pictures, run, spectrogram, text, whisper_tiny
from handful.cli import serving
from handful.data.boxes import Box, Boxed
from handful.data.mask_files import Outlined, written
from handful.data.sentences import words_of
from handful.data.spans import Marked
from handful.errors import BundleError, OptionError
from handful.evaluation.intervals import Estimate
from handful.export.bundle import Bundle
from handful.export.detector import Detector
from handful.export.finder import Finder
from handful.export.kept_parts import Moved
from handful.export.onnx import exporting, finders, parity
from handful.export.onnx.exporting import ExportOptions, KnownRows, export_onnx
from handful.export.onnx.model import load_onnx
from handful.export.onnx.part_items import PartReader, check_cuts
from handful.export.onnx.parts import export_parts
from handful.export.onnx.static import export_static
from handful.export.segmenter import Segmenter
from handful.export.sharing import share_backbones
from handful.features.cells import cells_of, read_at
from handful.features.normal_parts import compared_parts
from handful.features.pixels import FILTERS, MAPS, blocks_of, heard_columns
from handful.features.view import MOVED, View
from handful.features.words import words_seen
from handful.strategies.frozen.centres import BoxMap, Sides
from handful.strategies.frozen.context import ContextMap
from handful.strategies.frozen.normality import fit
from handful.strategies.frozen.pixels import PixelMap
from handful.tasks.defects import Promise
from handful.tasks.events.task import Events
from handful.tasks.tag_sequences import transitions_of
from handful.tasks.tagging import Tagging
from handful.tasks.tagging.gazetteer import Gazetteer
from handful.training.apply_delta import arrays_of, installed, untouched
from handful.training.parts import PartBody
from handful.training.tuners import Blocks
from handful.web.admission import Admission
from handful.web.asked_items import BODIES
from handful.web.item_answers import ServedModel
from handful.web.item_service import application

READABLE = [
    "the parcel is late, please!",
    "Money back please",
    "card lost",
    "a b c d",
    "refund refunds hello\u0301 你好",
]
# Far more words than one window of 24 tokens holds, and than are answered together.
LONG = "the parcel, zebra money is late. " * 700
PLAIN = ExportOptions()


def head(features, count, seed=1):
    """A drawn head that says something of what is seen."""
    apart, coef = features - features.mean(0), np.random.default_rng(seed).normal(size=(features.shape[1], count))
    coef *= 1 / (apart @ coef).std(0)
    return coef.astype(np.float32), -(features.mean(0) @ coef).astype(np.float32)


def parted(task, labels, backbones, items, modality):
    """A model of parts that reads backbones at two depths."""
    view = View(tuple((one.name, one.part_depths[-1]) for one in backbones))
    seen = {
        part: words_seen(one, items, [part[1]])[0][part[1]] for part, one in zip(view.parts, backbones, strict=True)
    }
    matrix = view.matrix(seen)
    coef, intercept = head(matrix, task.width(labels))
    return Bundle(
        task, modality, labels, view, {one.name: one.fingerprint for one in backbones}, "logistic", coef, intercept,
        "text", witness=matrix[:2], loaded={one.name: one for one in backbones},
    )  # fmt: skip


def spans(backbones=None, **changed):
    steps = transitions_of([np.array([0, 1, 2, 0, 3])], 5).round(3)
    task = Tagging(tuple(map(tuple, steps.tolist())), 0.5, **changed)
    return parted(task, ("money", "parcel"), backbones or [text()], READABLE, "text")


def listed():
    marks = [
        Marked(((0, 3), (4, 10), (11, 13), (14, 18), (18, 19), (20, 26), (26, 27)), False, ((4, 10, "parcel"),)),
        Marked(((0, 5), (6, 10), (11, 17)), False, ((0, 10, "money"),)),
    ]
    return Gazetteer.of([words_of(item) for item in READABLE[:2]], marks, ("money", "parcel"))


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """A small model of spans, and its export, judged by two rows."""
    folder = tmp_path_factory.mktemp("spans") / "onnx"
    made = spans()
    rows = KnownRows(READABLE[:2], [listed_cell(0), listed_cell(1)])
    return made, folder, export_onnx(made, folder, rows, PLAIN)


def listed_cell(number):
    bounds = [tuple(pair) for pair in [words.tolist() for words in _bounds(READABLE[number])]]
    span = [(4, 10, "parcel"), (0, 10, "money")][number]
    return Marked(tuple(bounds), False, (span,)).cell


def _bounds(item):
    from handful.data.sentences import bounds_of

    return bounds_of(item)


def test_spans_are_answered_from_the_folder_as_by_the_model(sentences):
    made, folder, exported = sentences
    assert exported.parity.close
    assert exported.parity.cost is not None
    assert (folder / "handful.service").is_file()
    copy = load_onnx(folder)
    assert made.predict(READABLE) == copy.predict(READABLE)
    assert any(made.predict(READABLE))
    np.testing.assert_allclose(copy.answer([*TEXTS, LONG])[0], made.answer([*TEXTS, LONG])[0], atol=1e-4)


def test_the_runner_of_spans_needs_neither_handful_nor_torch(sentences):
    made, folder, _ = sentences
    said = run(folder, *READABLE, LONG, "", " ")
    assert [line["answer"] for line in said] == [*made.predict([*READABLE, LONG]), [], []]
    assert "outputs" not in said[0]


EVENTS = Events(tuple(map(tuple, transitions_of([np.array([0, 1, 1, 2, 0])], 3).round(3).tolist())), 0.5)


@pytest.mark.parametrize("grain", ["words", "moments"])
def test_weights_that_moved_for_parts_are_merged_and_parts_read_where_they_moved(tmp_path, grain):
    if grain == "words":
        base, items, plain = text(), READABLE, spans
    else:
        base, items = whisper_tiny(), clips()[1:5]
        plain = lambda backbones: parted(EVENTS, ("bark", "bell"), backbones, items, "sound")  # noqa: E731
    top = base.part_depths[-1]
    body, blocks = PartBody(base.up_to(top), 0), Blocks()
    still = arrays_of(blocks.delta(body))
    delta = {name: 1.5 * weight for name, weight in still.items()}
    (seen,) = words_seen(installed(base, "blocks", 0, delta), items, [top])[0].values()
    view = View(((base.name, top), (base.name + MOVED, top)))
    matrix = view.matrix({view.parts[0]: words_seen(base, items, [top])[0][top], view.parts[1]: seen})
    coef, intercept = head(matrix, plain([base]).coef.shape[1])
    made, unmoved = (
        replace(
            plain([base]), view=view, coef=coef, intercept=intercept, witness=matrix[:2],
            moved=Moved("blocks", 0, weights),
        )
        for weights in (delta, still)
    )  # fmt: skip
    exported = export_onnx(made, tmp_path / "onnx", KnownRows(items), PLAIN)
    assert exported.parity.close
    np.testing.assert_allclose(load_onnx(tmp_path / "onnx").answer(items)[0], made.answer(items)[0], atol=1e-4)
    assert any(made.predict(items))
    assert np.abs(made.answer(items)[0] - unmoved.answer(items)[0]).max() > 1e-3


@pytest.mark.parametrize("alone", [False, True])
def test_strings_that_are_looked_up_are_looked_up_by_the_runner_too(tmp_path, alone):
    made = spans(listed=listed(), alone=alone)
    export_onnx(made, tmp_path / "onnx", KnownRows(READABLE), PLAIN)
    assert [line["answer"] for line in run(tmp_path / "onnx", *READABLE)] == made.predict(READABLE)
    assert load_onnx(tmp_path / "onnx").predict(READABLE) == made.predict(READABLE)


def test_several_backbones_tell_of_the_same_words(tmp_path):
    made = spans([text(), text("other", 4, "")])
    assert export_onnx(made, tmp_path / "onnx", KnownRows(READABLE), PLAIN).parity.close
    assert [line["answer"] for line in run(tmp_path / "onnx", LONG)] == made.predict([LONG])


def test_spans_in_eight_bits_are_told(tmp_path):
    asked = ExportOptions(int8=True, even_if_answers_change=True)
    exported = export_onnx(spans(), tmp_path / "onnx", KnownRows(READABLE), asked)
    assert set(exported.sizes) == {"float32", "int8"}
    assert len(run(tmp_path / "onnx", *READABLE)) == len(READABLE)


def test_an_export_of_spans_that_changes_answers_is_refused(tmp_path, monkeypatch):
    real = exporting.with_head
    monkeypatch.setattr(exporting, "with_head", lambda f, coef, b, link: real(f, -coef, b, link))
    with pytest.raises(BundleError, match="the graph must answer as the model up to 0.0001, got up to "):
        export_onnx(spans(), tmp_path / "onnx", KnownRows(READABLE), PLAIN)
    assert not (tmp_path / "onnx").exists()


def test_a_folder_of_spans_is_served(sentences):
    made, folder, _ = sentences
    (served,) = serving.load_served([str(folder)])
    for one in (served, ServedModel("run", made)):
        with TestClient(application([one], Admission(kinds=BODIES)), "http://127.0.0.1") as client:
            said = client.post("/predict", json={"items": READABLE}).json()
        assert [row["answer"] for row in said["answers"]] == made.predict(READABLE)


def test_a_static_copy_is_none_of_spans(sentences, tmp_path):
    made, _, _ = sentences
    with pytest.raises(OptionError, match="--format static needs the run folder with its labelled rows, and a model"):
        export_static(made, tmp_path / "x", KnownRows(READABLE, ["a"] * 5), [True] * 5, PLAIN)


@pytest.mark.parametrize("backbones", [lambda: [whisper_tiny()], lambda: [whisper_tiny(), spectrogram(96)]])
def test_events_go_from_files_to_answers(tmp_path, backbones):
    made = parted(EVENTS, ("bark", "bell"), backbones(), clips()[1:4], "sound")
    made.task.restored(made.task.settings)
    exported = export_onnx(made, tmp_path / "onnx", KnownRows(clips()[2:5]), PLAIN)
    assert exported.parity.same.value == 1
    files, (noise, _) = [], clips()[4]
    sounds = {
        "plain": (clips()[3][0], RATE),
        "stereo": (np.stack([noise, noise / 2], 1), 44_100),
        "blink": (noise[:300], 8000),
    }
    for name, (samples, rate) in sounds.items():
        files.append(tmp_path / f"{name}.wav")
        soundfile.write(files[-1], samples, rate)
    said = [line["answer"] for line in run(tmp_path / "onnx", *files)]
    expected = made.predict(files)
    assert any(expected)
    assert [[one["label"] for one in events] for events in said] == [[one["label"] for one in e] for e in expected]
    for one, other in zip((x for e in said for x in e), (x for e in expected for x in e), strict=True):
        assert (one["start"], one["end"]) == (other["start"], other["end"])
        assert one["confidence"] == pytest.approx(other["confidence"], abs=2e-4)


def test_a_long_recording_is_heard_in_pieces_by_the_runner_too(tmp_path, monkeypatch):
    from handful.features import moments

    monkeypatch.setattr(moments, "LONGEST", 2.0)  # which goes into the runner as it stands
    task = Events(((0.0, 0.0), (0.0, 0.0)), 0.5)
    made = parted(task, ("bell",), [whisper_tiny()], clips()[1:4], "sound")
    export_onnx(made, tmp_path / "onnx", KnownRows(), PLAIN)
    soundfile.write(tmp_path / "long.wav", clips()[4][0], RATE)
    (said,) = run(tmp_path / "onnx", tmp_path / "long.wav")
    (expected,) = made.predict([tmp_path / "long.wav"])
    assert len(expected) > 2
    assert [(one["start"], one["end"]) for one in said["answer"]] == [(one["start"], one["end"]) for one in expected]


def detector(backbone, items):
    depths = backbone.search_depths[:1] if backbone.modality == "text" else backbone.part_depths[1:]
    fitted = fit(
        compared_parts(backbone, items, depths), compared_parts(backbone, items, depths), np.arange(len(items)), 0
    )
    threshold = float(np.median(fitted.scores))
    promise = Promise(threshold, len(items), Estimate(0.2, 0.1, 0.4))
    return Detector(
        backbone.modality, backbone.name, backbone.fingerprint, fitted.normality, promise, ("good", "bad"),
        loaded=backbone,
    )  # fmt: skip


def normal_pictures():
    rng = np.random.default_rng(0)
    return [(100 + rng.normal(0, 20, (110 + i, 130, 3))).clip(0, 255).astype(np.uint8) for i in range(5)]


def test_defects_of_pictures_go_from_files_to_answers(tmp_path):
    made = detector(image("tiny", 96), normal_pictures())
    rows = KnownRows([*normal_pictures(), *pictures()[1:3]], ["good"] * 5 + ["bad"] * 2)
    exported = export_parts(made, tmp_path / "onnx", rows, PLAIN)
    assert exported.parity.close
    assert "and the share of wrong answers changes by " in exported.parity.sentence
    files = []
    for i, pixels in enumerate([*normal_pictures()[:2], *pictures(), np.full((90, 1500, 3), 7, np.uint8)]):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    notes = Image.Exif()
    notes[0x0112] = 6
    Image.fromarray(pictures()[2]).save(tmp_path / "turned.jpg", exif=notes)
    files.append(tmp_path / "turned.jpg")
    said = run(tmp_path / "onnx", *files)
    assert [line["answer"] for line in said] == made.predict(files)
    spread = np.ptp(made.scores(files))
    np.testing.assert_allclose([x["outputs"]["score"] for x in said], made.scores(files), atol=1e-4 * spread)
    seen = list(made.look(files))
    assert [x["outputs"]["where"] for x in said] == [one.place[one.heat.argmax()].tolist() for one in seen]
    assert said[0]["outputs"]["threshold"] == made.promise.threshold


def test_defects_of_sounds_and_texts_go_from_files_to_answers(tmp_path):
    made = detector(whisper_tiny(), clips()[1:5])
    export_parts(made, tmp_path / "sound", KnownRows(clips()[1:5]), PLAIN)
    soundfile.write(tmp_path / "a.wav", clips()[3][0][::-1], RATE)
    (said,) = run(tmp_path / "sound", tmp_path / "a.wav")
    assert said["outputs"]["score"] == pytest.approx(made.scores([tmp_path / "a.wav"])[0], rel=1e-3)
    assert 0 <= said["outputs"]["where"][0] < said["outputs"]["where"][1] <= len(clips()[3][0]) / RATE + 1e-6

    made = detector(text(), [item for item in TEXTS if item])
    export_parts(made, tmp_path / "text", KnownRows(READABLE), PLAIN)
    said = run(tmp_path / "text", *READABLE)
    np.testing.assert_allclose([x["outputs"]["score"] for x in said], made.scores(READABLE), rtol=1e-3, atol=1e-3)
    assert [x["answer"] for x in said] == made.predict(READABLE)


def segmenter(looks, hears=False):
    backbone = image("tiny", 96) if MAPS in looks else None
    blocks = [block for item in pictures()[1:] for block in blocks_of(item, backbone)]
    seen = np.concatenate([np.concatenate([block.features[look] for look in looks], 1) for block in blocks])
    scale = ((seen.std(0) + 1e-6) * np.sqrt(seen.shape[1])).astype(np.float32)
    coef = (0.2 * np.random.default_rng(3).normal(size=(seen.shape[1], 3))).astype(np.float32)
    pixels = PixelMap(looks, seen.mean(0).astype(np.float32), scale, coef, np.zeros(3, np.float32))
    pixels = network(pixels) if hears else pixels
    name, fingerprint = (backbone.name, backbone.fingerprint) if backbone else ("", "")
    return Segmenter(name, fingerprint, pixels, ("0", "120", "255"), loaded=backbone)


def network(first):
    """A network drawn at random that hears a first map."""
    rng, seen = np.random.default_rng(5), len(first.coef)
    width = seen + heard_columns(3)
    centre, scale = np.zeros(width, np.float32), np.ones(width, np.float32)
    centre[:seen], scale[:seen] = first.centre, first.scale
    layers = [
        ((rng.normal(size=sides) / 3).astype(np.float32), rng.normal(size=sides[1]).astype(np.float32))
        for sides in ((width, 8), (8, 8), (8, 3))
    ]
    return ContextMap(first, centre, scale, tuple(layers))


@pytest.mark.parametrize(
    ("looks", "hears"), [((FILTERS,), False), ((MAPS,), False), ((FILTERS, MAPS), False), ((FILTERS, MAPS), True)]
)
def test_masks_go_from_files_to_pictures(tmp_path, looks, hears):
    made = segmenter(looks, hears)
    files = []
    for i, pixels in enumerate(pictures()):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    cell = Outlined(("0", "120"), outlines=(("120", ((2.0, 2.0, 60.0, 2.0, 30.0, 50.0),)),)).cell
    exported = export_parts(made, tmp_path / "onnx", KnownRows(files[1:], [cell] * 3), PLAIN)
    assert exported.parity.furthest < 3e-4  # a map of this toy hardly varies, which makes much of the last digit
    assert exported.parity.sentence.startswith("100% of the pixels of 16 items are the same (")
    assert "the loss changes by" in exported.parity.sentence
    said = run(tmp_path / "onnx", *files)
    for line, classes in zip(said, made.predict(files), strict=True):
        with Image.open(tmp_path / "onnx" / line["outputs"]["mask"]) as mask:
            expected = np.asarray(written(classes, made.names).convert("RGB"))
            assert (np.asarray(mask) == expected).all(-1).mean() > 0.999
        assert sum(line["answer"].values()) == pytest.approx(1)


def finder(scale=1.5, labels=("cell", "nut")):
    """Maps drawn at random, whose boxes are about as wide as a cell or two."""
    backbone, rng = image("tiny", 96), np.random.default_rng(4)
    seen = np.concatenate([one.features[MAPS] for item in pictures()[1:] for one in cells_of(read_at(item, scale)[0],
                                                                                             backbone)])  # fmt: skip
    width, wide = seen.shape[1], ((seen.std(0) + 1e-6) * np.sqrt(seen.shape[1])).astype(np.float32)
    coef = rng.normal(size=(width, 1 + len(labels))).astype(np.float32)
    pixels = PixelMap((MAPS,), seen.mean(0).astype(np.float32), wide, coef, np.zeros(1 + len(labels), np.float32))
    sides = Sides(
        (0.2 * rng.normal(size=(len(labels), width, 4))).astype(np.float32),
        np.tile(np.array([0, 0, 0.5, 0.8], np.float32), (len(labels), 1)),
    )
    cuts, lines = np.array([0.35, 0.4], np.float32), np.array([[1.5, 0.2], [30.0, 1.0]], np.float32)
    return Finder(
        backbone.name, backbone.fingerprint, BoxMap(pixels, sides), scale, cuts, lines, labels, loaded=backbone
    )


SIDES = ("left", "top", "width", "height")


def test_models_share_the_backbone_in_which_nothing_moved():
    """And one in which something did keeps its own, whichever comes first; it goes into a graph."""
    frozen, moving, last = finder(), finder(), finder()
    delta = {name: 1.5 * own for name, own in untouched(moving.loaded, Blocks(), 0).items()}
    moving.moved, moving.loaded = Moved("blocks", 0, delta), installed(moving.loaded, "blocks", 0, delta)
    for models in ([moving, frozen, last], [frozen, moving, last]):
        share_backbones(models)
        assert frozen.loaded is last.loaded is not moving.loaded
        assert (frozen.is_frozen, moving.is_frozen) == (True, False)
    pixels = read_at(pictures()[2], 1.5)[0]
    assert not np.allclose(moving.loaded.cell_maps(pixels), frozen.loaded.cell_maps(pixels))
    assert (
        finders.finder_graph(moving, KnownRows(pictures()[1:3]))
        .judge.compared(finders.finder_graph(moving, KnownRows(pictures()[1:3])).graph.SerializeToString(), "the graph")
        .close
    )


def test_boxes_go_from_files_to_answers(tmp_path, monkeypatch):
    monkeypatch.setattr("handful.features.cells._BLOCK", 16)  # which goes into the runner as it stands
    monkeypatch.setattr("handful.features.cells._HALO", 8)
    made, files = finder(), []
    for i, pixels in enumerate(pictures()):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(files[-1])
    notes = Image.Exif()
    notes[0x0112] = 6
    Image.fromarray(pictures()[2]).save(tmp_path / "turned.jpg", exif=notes)
    cell = Boxed((Box(2, 2, 12, 14, "cell"), Box(30, 20, 41, 33, "nut"))).cell
    exported = export_parts(made, tmp_path / "onnx", KnownRows(files[1:3], [cell] * 2), PLAIN)
    assert exported.parity.close
    assert exported.parity.sentence.startswith("100% of the boxes of 12 items are the same (")
    assert exported.parity.sentence.endswith(
        "and the share of boxes that are missed or wrong changes by +0.0000 (too few rows for an interval)"
    )
    expected = made.predict([*files, tmp_path / "turned.jpg"])
    assert {box["label"] for boxes in expected for box in boxes} == {"cell", "nut"}
    said = run(tmp_path / "onnx", *files, tmp_path / "turned.jpg")
    for line, boxes in zip(said, expected, strict=True):
        # As sure as each other but for rounding: any order is right.
        both = [sorted(some, key=lambda box: (box["label"], *map(box.get, SIDES))) for some in (line["answer"], boxes)]
        assert [box["label"] for box in both[0]] == [box["label"] for box in both[1]]
        own, other = (np.array([[box[name] for name in (*SIDES, "confidence")] for box in some]) for some in both)
        np.testing.assert_allclose(own, other, rtol=0, atol=0.11)
        np.testing.assert_allclose(own[:, 4:], other[:, 4:], rtol=0, atol=2e-4)
        assert sum(line["outputs"].values()) == len(boxes)


def test_a_graph_of_boxes_that_sees_something_else_is_refused(tmp_path, monkeypatch):
    real = finders.with_boxes
    monkeypatch.setattr(finders, "with_boxes", lambda *parts: real(*parts[:-1], (parts[-1][0], parts[-1][1] + 1)))
    with pytest.raises(BundleError, match="the graph must answer as the model up to 0.0001, got up to "):
        export_parts(finder(), tmp_path / "onnx", KnownRows(), PLAIN)
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize("kind", ["spans", "defects", "masks", "boxes"])
def test_what_rounding_makes_of_any_model_is_let_pass_and_said(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(parity, "CLOSE", -1.0)
    if kind == "spans":
        exported = export_onnx(spans(), tmp_path / "onnx", KnownRows(READABLE[:2]), PLAIN)
    else:
        made = {
            "defects": lambda: detector(text(), [item for item in TEXTS if item]),
            "masks": lambda: segmenter((MAPS,)), "boxes": finder,
        }[kind]()  # fmt: skip
        exported = export_parts(made, tmp_path / "onnx", KnownRows(), PLAIN)
    assert exported.notes[0].startswith(f"the graph differs from the model by up to {exported.parity.furthest:.2g}: ")
    assert exported.notes[0].endswith(" on any machine")
    assert (tmp_path / "onnx" / "run.py").is_file()


def test_boxes_in_eight_bits_are_told_and_refused_where_they_change(tmp_path, monkeypatch):
    monkeypatch.setattr(finders, "alike", lambda before, after: 0.9)
    with pytest.raises(OptionError) as error:
        export_parts(finder(), tmp_path / "onnx", KnownRows(), ExportOptions(int8=True))
    assert str(error.value).startswith(
        "weights of eight bits must leave 99% of the answers as they are, got less: 90% of the boxes of "
    )
    asked = ExportOptions(int8=True, even_if_answers_change=True)
    assert set(export_parts(finder(), tmp_path / "onnx", KnownRows(), asked).sizes) == {"float32", "int8"}


def test_boxes_are_the_same_that_lie_over_each_other():
    one, other = np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 9]])
    assert finders.alike([one, one], [one + 0.05, one]) == 1
    assert finders.alike([one, one], [other, one]) == 0.5
    assert finders.alike([one[:0]], [one[:0]]) == 1
    assert finders.astray([one, one], [other, one + 20]) == 0.5
    assert finders.astray([one[:0]], [one[:0]]) == 0


@pytest.mark.parametrize("kind", ["boxes", "defects", "masks"])
def test_what_handful_does_not_answer_from_a_folder_is_said(tmp_path, kind):
    if kind == "boxes":
        export_parts(finder(), tmp_path / "onnx", KnownRows(), PLAIN)
    elif kind == "defects":
        export_parts(detector(image("tiny", 96), normal_pictures()), tmp_path / "onnx", KnownRows(), PLAIN)
    else:
        export_parts(segmenter((FILTERS,)), tmp_path / "onnx", KnownRows(), PLAIN)
    with pytest.raises(BundleError) as error:
        load_onnx(tmp_path / "onnx")
    assert str(error.value) == (
        f"{tmp_path / 'onnx'} must hold a model that answers items as wholes, spans or events, got one of {kind}. Use "
        "the run.py in it, or the run that it was exported from."
    )
    assert not (tmp_path / "onnx" / "handful.service").exists()


def test_the_files_beside_the_runner_are_held_to_their_hashes(sentences):
    _, folder, _ = sentences
    file = folder / "parts.py"
    before = file.read_bytes()
    try:
        file.write_bytes(before + b"\n")
        assert (
            run(folder, "hello") == "parts.py is missing or was changed after it was written. Export the model again."
        )
        with pytest.raises(BundleError, match="parts.py was changed after it was written"):
            load_onnx(folder)
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": None}, "a preparation must have window, cell, first, end, ids"),
        ({"most_tokens": 10**9}, "a preparation must have sizes above 0 that a machine can hold"),
    ],
)
def test_a_preparation_of_words_that_is_none_is_refused(sentences, change, said):
    _, folder, _ = sentences
    entry = json.loads((folder / "preprocessing.json").read_text("utf-8"))["inputs"][0]
    with pytest.raises(ValueError, match=said):
        PartReader("tokens", [{**entry, **change}], {})


@pytest.mark.parametrize(
    "cuts",
    [
        {},
        {"step": 0, "seen": 3},
        {"step": 10, "seen": 4, "margin": 2},
        {"step": 1.5, "seen": 3},
        {"step": 10, "seen": 10**9},
    ],
)
def test_stretches_that_no_machine_can_hold_are_refused(cuts):
    with pytest.raises(ValueError, match="stretches of sounds must have "):
        check_cuts(cuts)


def test_a_card_says_what_to_install_and_nothing_of_handful_predict(tmp_path):
    made = replace(detector(image("tiny", 96), normal_pictures()))
    card = "# What is unlike\n\nIt learned.\n\nUse it: `handful predict RUN NEW`.\n"
    export_parts(made, tmp_path / "onnx", KnownRows(), PLAIN, card)
    told = (tmp_path / "onnx" / "README.md").read_text("utf-8")
    assert "pip install onnxruntime numpy pillow" in told
    assert "handful predict" not in told
    assert "It learned." in told
    assert "of which `run.py` and `parts.py` make the answer" in told


def test_whole_items_are_answered_by_a_runner_alone(tmp_path):
    export_onnx(model([text()], 2), tmp_path / "onnx", KnownRows(), PLAIN)
    assert not (tmp_path / "onnx" / "parts.py").exists()
    assert math.isfinite(json.loads((tmp_path / "onnx" / "manifest.json").read_text())["parity"]["furthest"])
