"""The command that answers new items: predict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from handful.cli.given import check_model, items_of, place
from handful.cli.printing import put, put_notes
from handful.cli.weights import Flag
from handful.errors import OptionError
from handful.plan import share_of
from handful.progress import Bars
from handful.run_folder import answers_parts, heads_of, is_detector, is_finder, is_language, is_segmenter

if TYPE_CHECKING:
    from handful.answer_files import Form
    from handful.data.streams import Source
    from handful.engines import Engine
    from handful.prediction import Written


def predict(
    run: str,
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],  # - is standard input
    *,
    out: str | None = None,
    input: str | None = None,  # noqa: A002 - the name of the flag
    only: Literal["answers"] | None = None,
    probabilities: Flag = False,
    reject: str | None = None,
    conformal: str | None = None,
    together: Flag = False,
    maps: str | None = None,
    engine: str | None = None,
) -> None:
    """Answer new items: every row with its answer and confidence (of numbers: an interval), in the order of the source.

    Args:
        run: the run folder that `handful tune` wrote, or its model folder.
        source: a folder, table or single file of new items; a .txt file holds one text per line; a text in quotation
            marks; or - for standard input, with one item per line or a table.
        out: the file to write: .csv, .tsv, .xlsx, .jsonl or .parquet; by default a CSV on standard output.
        input: the column that holds the text or the file name, or two joined by a comma; by default what was learned
            from.
        only: answers: leave out the other columns of the table. All rows keep the line that they have in their file.
        probabilities: add a column per class.
        reject: refuse inputs that are stranger than all but this share of the training rows, for example 5%: their
            label is empty, and a column says so.
        conformal: add a column with all that an answer may be (classes, or an interval of numbers), so that the right
            one is among it this often, for example 90%.
        together: take into account how frequent the classes are among the inputs themselves, which are read twice; good
            where the training rows were picked class by class and the inputs come as they come.
        maps: a folder for one PNG per picture: of defects with what is unusual in it coloured, of masks the mask, of
            boxes with these drawn; by default masks go to a folder beside --out.
        engine: where items are answered: inline (default: here), processes (one per core) or ray (on a cluster; needs
            handful[ray]). Beside --out what is done is remembered, so that the same command goes on after an end.
    """
    heads = heads_of(run)
    model = str(next(iter(heads.values()), run))
    check_model(model, "predict", source)
    file = place(out) if out else None
    if file:
        from handful.data.row_files import check_written

        check_written(file)
        if file.exists() and Path(source).exists() and file.samefile(source):
            raise OptionError(
                f"--out must be another file than {source}, whose rows would be lost. Choose another name."
            )
    _check_follows(model, bool(probabilities or reject or conformal or together), bool(maps))
    if heads and (together or engine):
        raise OptionError(
            f"--together and --engine are for one target, got several ({', '.join(heads)}). Leave them out, or name "
            f"the folder of one: {model}."
        )
    elsewhere = _engine(engine, model, out)
    asked = ((reject, "--reject"), (conformal, "--conformal"))
    shares = tuple(None if share is None else share_of(share, name) for share, name in asked)
    with Bars() as bars, items_of(source, model) as items:
        bars.now("start")
        done = 0

        def tick(more: int) -> None:
            nonlocal done
            done += more
            bars("answering", done, 0)

        from handful.answer_files import Form

        form = Form(file, probabilities, only is not None, bars.hide)
        if heads:
            from handful.cli.heads import answer_heads
            from handful.prediction import Doubts

            written = answer_heads(run, items, form, input, tick, Doubts(*shares))
        elif is_language(run):
            from handful.answer_files import write_texts

            written = write_texts(run, items, form, input, tick, _say)
        elif is_detector(run):
            written = _detected(run, items, form, input, tick, maps)
        elif is_segmenter(run):
            written = _segmented(run, items, form, input, tick, maps)
        elif is_finder(run):
            written = _found(run, items, form, input, tick, maps)
        else:
            written = _classified(run, items, form, input, tick, shares, together, elsewhere)
    put_notes([written.warning] * bool(written.warning))
    if file:
        put(f"{written.sentence}: {file}")
    elif written.refused:
        put_notes([f"{written.sentence}."])


def _check_follows(run: str, doubted: bool, maps: bool) -> None:
    """Refuse options that a kind of model cannot follow.

    Args:
        run: the run or model folder.
        doubted: whether one of those was given that only classifiers follow.
        maps: whether pictures are to be written.
    """
    if doubted and is_language(run):
        raise OptionError(
            "--probabilities, --reject, --conformal and --together are for classifiers, got a language model. "
            "Leave them."
        )
    if doubted and is_detector(run):
        raise OptionError(
            "--probabilities, --reject, --conformal and --together are for classifiers, got a model of defects, whose "
            "score says how unusual an item is. Leave them out."
        )
    if doubted and is_segmenter(run):
        raise OptionError(
            "--probabilities, --reject, --conformal and --together are for classifiers, got a model of masks, which "
            "answers every pixel. Leave them out."
        )
    if doubted and is_finder(run):
        raise OptionError(
            "--probabilities, --reject, --conformal and --together are for classifiers, got a model of boxes, which "
            "says of every box how sure it is. Leave them out."
        )
    if maps and not answers_parts(run):
        raise OptionError(
            "--maps draws what is unusual, masks or boxes, which models of these alone see. Leave it out."
        )


def _classified(
    run: str, items: Source, form: Form, column: str | None, tick: Callable[[int], None],
    shares: tuple[float | None, ...], together: bool, engine: Engine | None,
) -> Written:  # fmt: skip
    """Let a model of labelled items answer."""
    from handful.answer_files import write_answers
    from handful.export.bundle import Bundle
    from handful.prediction import Doubts, answers, put_together
    from handful.prediction_shards import ShardRecord, judging_in_shards

    model = Bundle.load(run)
    if form.probabilities and not model.labels:
        raise OptionError("--probabilities is for classes, labels and ratings, got a model of numbers. Leave it.")
    if together and model.task.decided(model.labels):
        raise OptionError(
            "--together moves probabilities, got a model that answers by a threshold of theirs (--must-find). Leave it "
            "out."
        )
    if together:
        model, asked = put_together(model, items, column, tick)
        _say(f"answered together: {asked} inputs say how frequent the classes are")
    put_notes([one for one in (model.warning, model.task.decided(model.labels)) if one])
    # What a text answers is called like the column of labels; what holds lists has a name of its own.
    doubts, name = Doubts(*shares), model.columns[1] if model.task.structured else model.columns[0]
    if engine is None:
        return write_answers(answers(model, items, column, tick, doubts), name, form, _say)
    assert form.file is not None
    record = ShardRecord(form.file.with_name(f"{form.file.name}.shards"))
    with engine, judging_in_shards(model, engine, record, _say) as judging:
        return write_answers(answers(model, items, column, tick, doubts, judging), name, form, _say)


def _engine(name: str | None, run: str, out: str | None) -> Engine | None:
    """The engine of this name; None for this process."""
    if name is None or name == "inline":
        return None
    from handful.engines import engine

    made = engine(name)
    kinds = ((is_language, "a language model"), (is_detector, "a model of defects"), (is_segmenter, "a model of masks"),
             (is_finder, "a model of boxes"))  # fmt: skip
    what = next((told for is_one, told in kinds if is_one(run)), "")
    if what:
        raise OptionError(f"--engine is for models of labelled items, got {what}. Leave it out.")
    if not out:
        raise OptionError("--engine needs --out, beside which what is done is remembered. Name a file.")
    return made


def _detected(
    run: str, items: Source, form: Form, column: str | None, tick: Callable[[int], None], maps: str | None
) -> Written:
    """Let a detector answer, and draw what it sees where that is asked for."""
    from handful.answer_files import write_answers
    from handful.detection import detections
    from handful.export.detector import Detector

    model = Detector.load(run)
    folder = None if maps is None else _folder_for(maps)
    put_notes([model.warning] * bool(model.warning))
    return write_answers(detections(model, items, column, tick, folder), model.columns[0], form, _say)


def _segmented(
    run: str, items: Source, form: Form, column: str | None, tick: Callable[[int], None], maps: str | None
) -> Written:
    """Let a model of masks answer, and write its masks."""
    from handful.answer_files import write_answers
    from handful.export.segmenter import Segmenter
    from handful.segmentation import segmentations

    model = Segmenter.load(run)
    beside = None if form.file is None else str(form.file.with_name(f"{form.file.stem}_masks"))
    wanted = maps or beside
    folder = None if wanted is None else _folder_for(wanted)
    put_notes([model.warning] * bool(model.warning))
    written = write_answers(segmentations(model, items, column, tick, folder), model.columns[0], form, _say)
    _say("no masks were written: name a folder for them with --maps" if folder is None else f"masks: {folder}")
    return written


def _found(
    run: str, items: Source, form: Form, column: str | None, tick: Callable[[int], None], maps: str | None
) -> Written:
    """Let a model of boxes answer, and draw its boxes where that is asked for."""
    from handful.answer_files import write_answers
    from handful.box_answers import box_answers
    from handful.export.finder import Finder

    model = Finder.load(run)
    folder = None if maps is None else _folder_for(maps)
    put_notes([model.warning] * bool(model.warning))
    return write_answers(box_answers(model, items, column, tick, folder), model.columns[0], form, _say)


def _folder_for(maps: str) -> Path:
    """The folder that pictures go to, made where it is not there.

    Raises:
        OptionError: it is a file.
    """
    folder = place(maps)
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"--maps must be a folder, got the file {folder}. Choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _say(note: str) -> None:
    put_notes([note])
