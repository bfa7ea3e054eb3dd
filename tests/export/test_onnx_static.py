"""A static copy has no transformer: it learns from what the model answers, and is refused where it costs too much."""

from __future__ import annotations

import numpy as np
import pytest

from exportable import image, model, text
from handful.backbones.static_graph import StaticEncoder, distilled
from handful.errors import OptionError
from handful.export.onnx.exporting import ExportOptions, KnownRows
from handful.export.onnx.model import load_onnx
from handful.export.onnx.static import HOW, export_static
from handful.export.students import MOST_LOST, Student

WORDS = {"late": ["the parcel is late", "parcel late", "late is late"], "money": ["money back", "refund money", "back"]}
ITEMS = [f"{item} {more}".strip() for rows in WORDS.values() for item in rows for more in ("", "a", "b", "please")]
LABELS = [label for label, rows in WORDS.items() for _ in rows for _ in range(4)]


def taught(backbone):
    """A model of two classes that knows its rows: a head fitted to what it sees in them below its drawn blocks."""
    made = model([backbone], 0, labels=("late", "money"))
    seen = backbone.encode(ITEMS, [0])[0]
    wanted = np.array([[4.0, -4.0] if label == "late" else [-4.0, 4.0] for label in LABELS])
    student = Student.of(seen, wanted, 1e-6)
    made.coef, made.intercept = student.coef, student.intercept
    return made


def test_a_static_copy_answers_as_its_model_and_is_told_with_its_cost(tmp_path):
    made = taught(text())
    right = [i % 3 == 0 for i in range(len(ITEMS))]
    exported, cost = export_static(made, tmp_path / "static", KnownRows(ITEMS, LABELS), right, ExportOptions())
    copy = load_onnx(tmp_path / "static")
    assert np.mean([a == b for a, b in zip(copy.predict(ITEMS), made.predict(ITEMS), strict=True)]) > 0.7
    assert cost.before == pytest.approx(1 / 3)
    assert cost.lost.value <= MOST_LOST
    assert cost.sentence(HOW).startswith("without a transformer ")
    assert cost.sentence(HOW) in (tmp_path / "static" / "README.md").read_text("utf-8")
    assert exported.parity.items > len(ITEMS)


def test_a_copy_that_costs_too_much_is_refused_with_the_figure(tmp_path):
    made = taught(text())
    random = [LABELS[(7 * i) % len(LABELS)] for i in range(len(LABELS))]
    with pytest.raises(OptionError) as error:
        export_static(made, tmp_path / "static", KnownRows(ITEMS, random), [True] * len(ITEMS), ExportOptions())
    told = str(error.value)
    assert told.startswith("a static copy must cost at most 3 points, got more: without a transformer ")
    assert " of the rows are answered right while held out, with it 100%: " in told
    assert told.endswith(" Use --format onnx --int8, or add --even-if-answers-change.")
    forced = ExportOptions(even_if_answers_change=True)
    export_static(made, tmp_path / "static", KnownRows(ITEMS, random), [True] * len(ITEMS), forced)
    assert (tmp_path / "static" / "run.py").is_file()


@pytest.mark.parametrize("kind", ["pictures", "pairs"])
def test_what_no_transformer_reads_has_no_static_copy(tmp_path, kind):
    made = model([image()], 8) if kind == "pictures" else model([text()], 2, pairs=True)
    with pytest.raises(OptionError, match="--format static is for single texts that a transformer reads, got "):
        export_static(made, tmp_path / "static", KnownRows(), [], ExportOptions())


def test_without_labelled_rows_there_is_no_static_copy(tmp_path):
    with pytest.raises(OptionError) as error:
        export_static(model([text()], 2), tmp_path / "static", KnownRows(ITEMS), [], ExportOptions())
    assert str(error.value) == (
        "--format static needs the run folder with its labelled rows, and a model that answers with names. Name the "
        "rows with --rows, or use --format onnx."
    )


def test_a_token_that_stands_alone_has_the_vector_of_the_text_that_it_is():
    backbone = text(prefix="")
    encoder = distilled(backbone, 2)
    assert isinstance(encoder, StaticEncoder)
    both = encoder.encode(backbone, ["late", "late late", ""])
    np.testing.assert_allclose(both[0], both[1], atol=1e-5)
    assert not np.array_equal(both[0], both[2])


def test_a_student_of_exact_scores_gives_them_back():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 6)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    wanted = features @ rng.normal(size=(6, 3)) + [1.0, 2.0, 3.0]
    np.testing.assert_allclose(Student.of(features, wanted, 1e-9).scores(features), wanted, atol=1e-4)
