"""Vectors as a backbone: columns scaled as the rows say, the same after saving, and only what was learned from."""

from __future__ import annotations

import numpy as np
import pytest

from handful.backbones import catalog
from handful.backbones.vectors import Vectors, load
from handful.data.vectors import VECTORS, Vector
from handful.errors import DataError, OptionError
from handful.features.view import unit_rows

ROWS = [Vector(np.array([1e9 + i, 0.01 * i, 7.0]), f"m{i}", ("mass", "charge", "same")) for i in range(4)]


@pytest.fixture
def fitted():
    return catalog.load(VECTORS, VECTORS).fitted(ROWS)


def test_columns_count_the_same_and_those_that_never_change_nothing(fitted):
    seen = fitted.encode(ROWS, (0,))[0]  # (N, D + 1)
    assert np.allclose(seen[:, 0], seen[:, 1], atol=1e-5)
    assert (seen[:, 2] == 0).all()
    assert (seen[:, 3] == 1).all()
    assert np.allclose(np.sqrt(3) * seen[:, 1], (np.arange(4) - 1.5) / np.std(np.arange(4)), atol=1e-5)


def test_rows_that_differ_in_length_alone_still_differ_at_length_one(fitted):
    near, far = (Vector(fitted.centre + share * np.array([1, 0.01, 0]), columns=ROWS[0].columns) for share in (1, 3))
    one, other = unit_rows(fitted.encode([near, far], (0,))[0])
    assert np.linalg.norm(one - other) > 0.2


def test_it_is_the_same_after_it_was_written(fitted, tmp_path):
    for name, content in fitted.state_files().items():
        (tmp_path / name).write_bytes(content)
    copy = load(VECTORS, tmp_path)
    assert copy.fingerprint == fitted.fingerprint
    assert np.array_equal(copy.encode(ROWS, (0,))[0], fitted.encode(ROWS, (0,))[0])


def test_other_rows_or_other_names_make_another_one(fitted):
    plain = [Vector(row.values) for row in ROWS]
    others = {catalog.load(VECTORS, VECTORS).fitted(rows).fingerprint for rows in (ROWS[1:], plain)}
    assert fitted.fingerprint not in others
    assert len(others) == 2


def test_columns_are_read_by_name(fitted):
    turned = Vector(ROWS[1].values[::-1].copy(), "m1", ROWS[1].columns[::-1])
    more = Vector(np.append(ROWS[1].values, 5.0), "m1", (*ROWS[1].columns, "extra"))
    assert all(
        np.array_equal(fitted.encode([row], (0,))[0], fitted.encode(ROWS[1:2], (0,))[0]) for row in (turned, more)
    )


def test_vectors_that_are_not_those_that_were_learned_from(fitted):
    with pytest.raises(DataError) as error:
        fitted.check([*ROWS, Vector(np.zeros(2), "m7")])
    assert str(error.value) == (
        "vectors must have 3 numbers, as those that were learned from, got 2 (m7). Give vectors that were made in the "
        "same way."
    )
    with pytest.raises(DataError) as error:
        fitted.check([Vector(np.zeros(3), "m7", ("mass", "charges", "same"))])
    assert str(error.value) == (
        'vectors must have the column "charge", which was learned from, got "mass", "charges" and "same" (m7). Did you '
        "mean 'charges'?"
    )
    with pytest.raises(DataError) as error:
        catalog.load(VECTORS, VECTORS).fitted([*ROWS, Vector(np.zeros(2), "m7")])
    assert str(error.value) == (
        "vectors must all have as many numbers as the first (3), got 2 in row 4 (m7). Correct it."
    )
    with pytest.raises(OptionError) as error:
        catalog.load(VECTORS, VECTORS).prepare(ROWS)
    assert str(error.value) == "backbone vectors must be fitted to rows first, got none. Use it with tune."


@pytest.mark.parametrize(
    ("spread", "columns", "said"),
    [
        (np.ones(2), (), "must be as many numbers"),
        (np.array([1.0, -1.0, 1.0]), (), "spreads above 0"),
        (np.ones(3), ("a",), "names of columns as many or none"),
    ],
)
def test_a_scaling_that_cannot_be_is_refused(spread, columns, said, tmp_path):
    for name, content in Vectors(VECTORS, np.zeros(3), spread, columns).state_files().items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        load(VECTORS, tmp_path)


def test_numbers_beyond_all_range_are_not_finite_rather_than_wrong(fitted):
    far = Vector(np.array([1e300, 1e300, 1e300]), columns=ROWS[0].columns)
    assert not np.isfinite(fitted.encode([far], (0,))[0]).all()


@pytest.mark.parametrize("size", [1e-300, 1e-320, 1e308])
def test_columns_of_any_size_count_the_same(size):
    shares = np.array([0.5, 1.0, 1.5, 0.7])
    rows = [Vector(np.array([share * size, share])) for share in shares]
    scaled = catalog.load(VECTORS, VECTORS).fitted(rows)
    seen = scaled.encode(rows, (0,))[0]
    assert np.isfinite(scaled.centre).all()
    assert np.allclose(seen[:, 0], seen[:, 1], atol=1e-3)
    assert np.ptp(seen[:, 0]) > 1
