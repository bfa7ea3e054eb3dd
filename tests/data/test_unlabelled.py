"""Items without labels: what is read, what is left out and said, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from handful.data.dataset import Dataset
from handful.data.readers import load
from handful.data.unlabelled import FEWEST, read_unlabelled
from handful.errors import DataError, OptionError

LABELLED = [(f"some words {i}", "ants" if i % 2 else "bees") for i in range(12)]
NEW = [f"other words {i}" for i in range(20)]


@pytest.fixture
def rows(table):
    return load(table(LABELLED))


@pytest.fixture
def texts(tmp_path):
    def write(lines, name="pool.txt"):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def refusal(tmp_path):
    def refused(source, known, kind=DataError):
        with pytest.raises(kind) as error:
            read(source, known)
        return str(error.value).replace(f"{tmp_path}/", "")

    return refused


def read(source, known, most=1000):
    return read_unlabelled(source, known, most, np.random.default_rng(0))


def test_a_text_file_a_table_a_list_and_a_dataset(rows, texts, table):
    sources = [
        texts(NEW), table([(text,) for text in NEW], ["text"], "new.csv"), NEW, Dataset(NEW, "text", labels=("x",) * 20)
    ]  # fmt: skip
    for source in sources:
        pool, notes = read(source, rows)
        assert (list(pool.items), pool.labels, notes) == (NEW, None, [])


def test_rows_without_a_label_and_a_pool_are_one(table, texts):
    known = load(table([*LABELLED, ("who knows", "")]))
    pool, _ = read(texts(NEW), known)
    assert list(pool.items) == [*NEW, "who knows"]
    alone, _ = read(None, load(table([*LABELLED, *[(text, "") for text in NEW]])))
    assert list(alone.items) == NEW


def test_labelled_rows_and_repeats_are_left_out(rows, texts):
    pool, notes = read(texts([*NEW, "some words 3", "some words 4", NEW[0]]), rows)
    assert list(pool.items) == NEW
    assert notes == [
        "2 items of the pool are labelled rows too and are left out of it.",
        "1 item of the pool repeats another and is left out.",
    ]


def test_test_rows_are_refused(table, texts, refusal):
    known = load(
        table([(*row, "test" if i > 8 else "train") for i, row in enumerate(LABELLED)], ("text", "label", "split"))
    )
    assert refusal(texts([*NEW, "some words 10", "some words 9"]), known) == (
        "unlabelled items of pool.txt must not be test rows of insects.csv, got 2 of them (line 11 first): what is "
        "learned from cannot be tested on. Remove them from the pool."
    )


def test_another_modality_is_refused(rows, pictures, refusal, table, tmp_path):
    assert refusal(pictures(), rows) == (
        "pool photos must hold texts, as the labelled rows do, got images. Name a pool of the same kind."
    )
    names = table([(f"photos/dark/{i}.png",) for i in range(5)], ["text"], "names.csv")
    must = "must be texts, as the labelled rows of insects.csv are, got"
    assert refusal(names, rows) == (f"unlabelled items of names.csv {must} images. Name a pool of the same kind.")
    assert refusal([np.zeros((4, 4, 3), np.uint8)] * 3, rows) == (
        f"unlabelled items of the list {must} images. Name a pool of the same kind."
    )
    assert refusal(Dataset([tmp_path / "a.png"], "image", source="photos"), rows) == (
        f"unlabelled items of photos {must} image items. Name a pool of the same kind."
    )


def test_what_is_no_source_is_refused(rows, refusal):
    assert refusal(7, rows, OptionError) == (
        "unlabelled= must be a path, a Dataset or a list of items, got int. Give one of these."
    )
    assert refusal("nowhere.csv", rows).startswith("nowhere.csv does not exist.")


def test_rows_for_a_language_model_are_refused(rows, table, refusal):
    asked = table([(f"say {i}", str(i)) for i in range(20)], ("prompt", "response"), "asked.csv")
    assert refusal(asked, rows) == (
        "unlabelled items of asked.csv must be items like the labelled ones, got rows for a language model (prompts, "
        "answers or messages). Name a table with a column of items."
    )
    prompts = load(
        table([(text, label) for text, label in LABELLED], ("prompt", "label"), "prompts.csv"), input="prompt"
    )
    assert len(read(asked, prompts)[0]) == 20  # the column that was learned from is there


def test_pairs_are_read_as_the_labelled_ones(table, texts, refusal):
    known = load(table([(a, a.upper(), b) for a, b in LABELLED], ("premise", "hypothesis", "label")))
    new = table([(text, text.upper()) for text in NEW], ("premise", "hypothesis"), "new.csv")
    pool, _ = read(new, known)
    assert pool.pairs
    assert pool.items[0].second == NEW[0].upper()
    assert refusal(texts(NEW), known) == (
        "unlabelled items of pool.txt must be pairs of texts, as the labelled rows of insects.csv are, got one text "
        "each. Name a pool of the same kind."
    )
    assert "must be texts, as the labelled rows of insects.csv are, got pairs of texts" in refusal(
        [(a, a) for a in NEW], load(table(LABELLED))
    )


def test_one_item_is_used_for_nothing(rows, texts):
    pool, notes = read(texts(["other words"]), rows)
    assert pool is None
    assert notes == [f"1 unlabelled item is left, of which nothing can be learned: at least {FEWEST} are needed."]
    assert "0 unlabelled items are left" in read(texts(["some words 3"]), rows)[1][-1]


def test_a_long_pool_is_sampled(rows, texts):
    pool, notes = read(texts([f"other words {i}" for i in range(5000)]), rows, most=300)
    assert len(pool) == 300
    assert notes == ["300 of about 5,000 unlabelled items are learned from, drawn by chance."]
    again, _ = read(texts([f"other words {i}" for i in range(5000)]), rows, most=300)
    assert again.items == pool.items
    assert len(read([f"other words {i}" for i in range(5000)], rows, most=300)[0]) == 300


def test_unreadable_items_are_skipped_and_counted(rows, texts, pictures):
    pool, notes = read(texts([*NEW, "", " "]), rows)
    assert (len(pool), len(notes)) == (20, 1)
    assert notes[0].startswith("2 items of ")
    assert notes[0].endswith("pool.txt cannot be read and are skipped; the first: the text is empty")
    assert read([*NEW, None], rows)[1] == [
        "1 item of the list cannot be read and is skipped; the first: the text is empty"
    ]


def test_a_pool_in_another_language_is_said():
    rows = Dataset(["where is my parcel, it should be here", "the invoice is wrong again"] * 5, "text")
    german = [f"Mein Paket ist noch nicht angekommen und ich warte seit {i} Tagen darauf" for i in range(12)]
    _, notes = read_unlabelled(german, rows, 100, np.random.default_rng(0))
    assert notes == ["The unlabelled items look German, the labelled rows English: little can be learned from these."]
