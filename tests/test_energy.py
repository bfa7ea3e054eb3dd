"""Energy is a range: of counters where they can be read, which may begin anew, else of processor seconds."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful import energy
from handful.energy import GRAMS, WATTS, Energy, Meter


def counter(folder, microjoules, number=0, largest=10_000_000):
    place = folder / f"intel-rapl:{number}"
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{largest}\n")


@pytest.fixture
def busy(monkeypatch):
    """Seconds of processor and wall, which a test moves on by hand."""
    clock = {"busy": 0.0, "wall": 0.0}
    monkeypatch.setattr(energy, "_busy_seconds", lambda: clock["busy"])
    monkeypatch.setattr(energy.time, "monotonic", lambda: clock["wall"])
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(energy, "gpus", dict)
    return clock


def test_without_counters_it_is_seconds_times_a_stated_range_of_watts(tmp_path, busy):
    meter = Meter(tmp_path)
    busy["busy"] = 4.0
    read = meter.read()
    assert (read.low, read.high) == (4 * WATTS[0], 4 * WATTS[1])
    assert read.source == "4.0 processor seconds at 3 to 15 W"


def test_counters_of_all_packages_are_added_and_the_own_share_is_the_lower_end(tmp_path, busy):
    counter(tmp_path, 1_000_000)
    counter(tmp_path, 2_000_000, 1)
    meter = Meter(tmp_path)
    counter(tmp_path, 3_000_000)
    counter(tmp_path, 8_000_000, 1)
    busy.update(busy=1.0, wall=1.0)
    read = meter.read()
    assert read.low == pytest.approx(4.0)  # half of 8 J: one of two cores was ours
    assert read.high == pytest.approx(9.6)
    assert "RAPL" in read.source


def test_a_counter_that_begins_anew_is_followed(tmp_path, busy):
    counter(tmp_path, 9_000_000)
    meter = Meter(tmp_path)
    counter(tmp_path, 500_000)
    busy.update(busy=2.0, wall=1.0)
    assert meter.read().low == pytest.approx(1.5)


def test_a_counter_that_may_not_be_read_is_none(tmp_path, busy):
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("secret")
    assert energy.rapl(tmp_path) == {}
    assert "processor seconds" in Meter(tmp_path).read().source


def test_grams_span_the_grids():
    grams = Energy(3.6e6, 7.2e6, "x").grams
    assert grams == pytest.approx((GRAMS[0], 2 * GRAMS[1]))
    assert Energy(1.23456, 2.0, "x").as_dict()["joules"] == [1.23, 2.0]


def test_a_meter_counts_the_work_of_this_process():
    meter = Meter()
    before = sum(os.times()[:2])
    while sum(os.times()[:2]) - before < 0.05:
        sum(range(1000))
    assert 0 < meter.read().low < meter.read().high


def test_a_gpu_counts_everybodys_work_so_that_only_the_upper_end_grows(tmp_path, busy, monkeypatch):
    readings = iter([{"gpu 0": 100.0}, {"gpu 0": 160.0}])
    monkeypatch.setattr(energy, "gpus", lambda: next(readings))
    meter = Meter(tmp_path)
    busy["busy"] = 1.0
    read = meter.read()
    assert (read.low, read.high) == (WATTS[0], WATTS[1] + 60)
    assert read.source.endswith(" and the counter of the GPU")


@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9))
def test_any_range_is_the_same_after_writing_and_reading(low, high):
    made = Energy(low, high, "x")
    assert Energy.from_dict(made.as_dict()) == made
    assert Energy.from_dict(made.as_dict()).as_dict() == made.as_dict()


def test_what_was_written_is_read_back_and_told():
    made = Energy(12.0, 60.0, "4.0 processor seconds at 3 to 15 W")
    assert Energy.from_dict(made.as_dict()) == made
    assert made.sentence == (
        "12 to 60 J (4.0 processor seconds at 3 to 15 W); 6.7e-05 to 0.013 g of CO₂ where a kilowatt-hour is 20 to "
        "800 g"
    )
