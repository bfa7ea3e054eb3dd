"""Pools: sources without labels, of any length, sampled evenly."""

import numpy as np
import pytest

from handful.data.pool import read_pool
from handful.errors import DataError


def read(source, modality, most=1000, seed=0):
    return read_pool(source, modality, most, np.random.default_rng(seed))


def test_a_table_and_a_text_file(table, tmp_path):
    pool, total = read(table([("one", "a"), ("two", "b")]), "text")
    assert (list(pool.items), pool.labels, total) == (["one", "two"], None, 2)
    (tmp_path / "new.txt").write_text("one\n\nthree\n")
    pool, total = read(tmp_path / "new.txt", "text")
    assert (list(pool.items), pool.rows, total) == (["one", "three"], (0, 2), 2)


def test_a_long_pool_is_sampled_evenly(tmp_path):
    (tmp_path / "new.txt").write_text("\n".join(f"text {i}" for i in range(5000)))
    pool, total = read(tmp_path / "new.txt", "text", most=400)
    assert (len(pool), total) == (400, 5000)
    assert list(pool.rows) == sorted(pool.rows)
    assert [f"text {row}" for row in pool.rows] == list(pool.items)
    assert 2200 < np.mean(pool.rows) < 2800
    assert pool.rows == read(tmp_path / "new.txt", "text", most=400)[0].rows


def test_a_folder_of_pictures_with_or_without_classes(pictures):
    pool, total = read(pictures(), "image")
    assert (len(pool), total) == (12, 12)
    assert len(read(pictures() / "dark", "image")[0]) == 6


def test_a_pool_of_another_kind(pictures):
    with pytest.raises(DataError) as error:
        read(pictures(), "text")
    assert str(error.value).endswith(
        "photos must hold texts, as the labelled rows do, got images. Name a pool of the same kind."
    )
    with pytest.raises(DataError) as error:
        read(pictures() / "dark" / "0.png", "sound")
    assert "must hold sounds, as the labelled rows do, got images" in str(error.value)


def test_a_pool_that_is_not_there(tmp_path):
    with pytest.raises(DataError) as error:
        read(tmp_path / "nowhere.csv", "text")
    assert str(error.value) == f"{tmp_path}/nowhere.csv does not exist. Check the path."
