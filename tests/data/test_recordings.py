"""Recordings with tracks: what is read, what is changed and said, and what is refused; moments of a track."""

import numpy as np
import pytest
import soundfile

from handful.data.readers import load
from handful.data.sounds import load_stretch
from handful.data.targets import missed_and_given
from handful.data.tracks import Track, events_in, going_on, met, moments, overlaps
from handful.errors import DataError, OptionError

RATE = 2000


def recordings(folder, tracks, suffix=".csv", seconds=3.0):
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(tracks):
        rng = np.random.default_rng(number)
        soundfile.write(folder / f"r{number}.wav", 0.1 * rng.normal(size=int(RATE * seconds)), RATE)
        if text is not None:
            (folder / f"r{number}{suffix}").write_text(text, "utf-8")
    return folder


def tracks_of(data):
    return [Track.of_cell(cell).events for cell in data.labels]


CSV = "start,end,label\n0.5,1.0,bell\n1.5,2.0,knock\n"


def test_tracks_beside_recordings_are_read(tmp_path):
    data = load(recordings(tmp_path / "in", [CSV, CSV, CSV]), task="events")
    assert data.task == "events"
    assert data.modality == "sound"
    assert [path.name for path in data.items] == ["r0.wav", "r1.wav", "r2.wav"]
    assert tracks_of(data)[0] == ((0.5, 1.0, "bell"), (1.5, 2.0, "knock"))
    assert data.classes == ("bell", "knock")


def test_labels_of_audacity_are_read(tmp_path):
    text = "0.500000\t1.000000\tbell\n\\\t100.0\t200.0\n1.5\t2.0\tknock knock\n"
    data = load(recordings(tmp_path / "in", [text] * 3, ".txt"), task="events")
    assert tracks_of(data)[1] == ((0.5, 1.0, "bell"), (1.5, 2.0, "knock knock"))


def test_one_table_for_all_is_read_from_the_folder_or_by_its_name(tmp_path):
    folder = recordings(tmp_path / "in", [None] * 3)
    table = folder / "all.csv"
    table.write_text("filename;onset;offset;event_label\nr0.wav;0,5;1,0;bell\nr2;1;2;knock\n", "utf-8")
    for source in (folder, table):
        data = load(source, task="events")
        assert tracks_of(data) == [((0.5, 1.0, "bell"),), (), ((1.0, 2.0, "knock"),)]
        assert "1 recording has a track without events: nothing happens there" in data.notes


def test_an_event_that_ends_behind_its_recording_is_cut_and_that_is_said(tmp_path):
    late = "start,end,label\n2.5,3.9,bell\n"
    data = load(recordings(tmp_path / "in", [CSV, late, CSV]), task="events")
    assert tracks_of(data)[1] == ((2.5, 3.0, "bell"),)
    assert "1 event ends behind its recording: cut there" in data.notes


def test_overlapping_events_are_counted_and_that_is_said(tmp_path):
    both = "start,end,label\n0.5,2.5,bell\n1.0,1.4,knock\n"
    data = load(recordings(tmp_path / "in", [CSV, both, CSV]), task="events")
    assert any(note.startswith("1 event begins while another one goes on: of every fifth") for note in data.notes)


def test_empty_tracks_and_recordings_without_one_are_told_apart(tmp_path):
    data = load(recordings(tmp_path / "in", [CSV, "", "start,end,label\n", CSV, None]), task="events")
    assert len(data) == 4
    assert "2 recordings have a track without events: nothing happens there" in data.notes
    assert "1 recording has no track and is left out" in data.notes


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("3.5,3.9,bell", "must begin before it ends and within its recording of 3.0 s, got 3.5 to 3.9"),
        ("2,1,bell", "must begin before it ends and within its recording of 3.0 s, got 2 to 1"),
        ("-1,1,bell", "must begin before it ends and within its recording of 3.0 s, got -1 to 1"),
        ("nan,1,bell", "must begin before it ends and within its recording of 3.0 s, got nan to 1"),
        ("one,two,bell", 'line 2 of r0.csv must have a start and an end in seconds, got "one" and "two"'),
        ("1,2,", "line 2 of r0.csv must have a label, got none"),
    ],
)
def test_an_event_that_cannot_be_is_told_by_its_line(tmp_path, row, why):
    folder = recordings(tmp_path / "in", [f"start,end,label\n{row}\n", *[CSV] * 12], seconds=3)
    data = load(folder, task="events")
    assert list(data.unreadable) == [0]
    assert why in data.unreadable[0]


def test_a_recording_that_cannot_be_decoded_is_left_out_and_named(tmp_path):
    folder = recordings(tmp_path / "in", [CSV] * 12)
    (folder / "r3.wav").write_bytes(b"no sound")
    data = load(folder, task="events")
    assert list(data.unreadable) == [5]  # r10 and r11 come before r2
    assert "r3.wav cannot be decoded as a sound" in data.unreadable[5]


def test_what_holds_no_tracks_is_refused(tmp_path):
    for made, why in (
        (recordings(tmp_path / "none", [None] * 3), "must hold tracks of what happens in its recordings, got none"),
        (recordings(tmp_path / "quiet", [""] * 3), "in some of which something happens, got no event in any"),
        (recordings(tmp_path / "few", [CSV] * 2), "must hold at least 3 recordings with tracks"),
    ):
        with pytest.raises(DataError, match=why):
            load(made, task="events")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="must hold recordings, got no sound file"):
        load(tmp_path / "empty", task="events")


def test_tables_that_name_no_recording_or_lack_columns_are_refused(tmp_path):
    folder = recordings(tmp_path / "in", [None] * 3)
    table = folder / "all.csv"
    table.write_text("file,start,end,label\nother.wav,0,1,bell\n", "utf-8")
    with pytest.raises(DataError, match="line 2 of .*all.csv must name a recording in .*in, got 'other.wav'"):
        load(folder, task="events")
    table.write_text("start,end,label\n0,1,bell\n", "utf-8")
    with pytest.raises(DataError, match="all.csv must have columns file, start, end and label, got columns: start"):
        load(table, task="events")
    table.write_text("file,start,end,label\n", "utf-8")
    (folder / "more.csv").write_text("file,start,end,label\n", "utf-8")
    with pytest.raises(DataError, match='must hold one table of events, got "all.csv" and "more.csv"'):
        load(folder, task="events")


def test_options_that_say_nothing_of_recordings_are_refused(tmp_path):
    folder = recordings(tmp_path / "in", [CSV] * 3)
    with pytest.raises(OptionError, match="label=, input=, group=, split= and other modalities say nothing"):
        load(folder, task="events", group="speaker")
    with pytest.raises(OptionError, match="events are read from a folder of recordings or a table of tracks, got list"):
        load(["a.wav"], ["bell"], task="events")


# Moments --------------------------------------------------------------------------------------------------------------


def test_a_recording_is_cut_into_fifths_of_a_second():
    assert moments(0.5).tolist() == [[0, 200], [200, 400], [400, 500]]
    assert moments(0.4).tolist() == [[0, 200], [200, 400]]
    assert moments(0).tolist() == [[0, 1]]


def test_what_fills_most_of_a_moment_goes_on_in_it():
    names = ["bell", "knock"]
    assert going_on(Track(1.0, ((0.1, 0.5, "bell"),)), names).tolist() == [1, 1, 1, 0, 0]
    assert going_on(Track(1.0, ((0.15, 0.45, "bell"),)), names).tolist() == [0, 1, 0, 0, 0]
    # One that fills no moment by half is not lost; a short one within a long one is heard.
    assert going_on(Track(1.0, ((0.41, 0.45, "knock"),)), names).tolist() == [0, 0, 2, 0, 0]
    assert going_on(Track(1.0, ((0.0, 1.0, "bell"), (0.4, 0.6, "knock"))), names).tolist() == [1, 1, 2, 1, 1]


def test_overlaps_are_events_that_begin_while_another_goes_on():
    assert overlaps([(0, 1, "a"), (1, 2, "a"), (1.5, 3, "b"), (1.6, 1.7, "c")]) == 2


def test_an_event_is_met_by_one_that_shares_half_of_the_time_of_both():
    assert met((0, 2, "a"), [(1, 3, "b"), (0.5, 2.5, "a")])
    assert met((0, 1, "a"), [(0, 2, "a")])
    assert not met((0, 1, "a"), [(0, 2.1, "a")])
    assert not met((0, 1, "a"), [(2, 3, "a")])
    assert missed_and_given('[[0, 1, "a"], [2, 3, "b"]]', '[[0, 1.2, "a"], [4, 5, "c"]]', "events") == (("b",), ("c",))


def test_a_track_survives_being_written_and_nothing_else_is_one():
    track = Track(2.5, ((0.5, 1.0, "bell, low"),))
    assert Track.of_cell(track.cell) == track
    assert events_in(track.cell) == list(track.events)
    with pytest.raises(DataError, match="labels of events must be tracks as load reads them from a folder, got 'bell'"):
        Track.of_cell("bell")


@pytest.mark.parametrize("as_file", [True, False])
def test_a_stretch_of_a_sound_is_its_own_samples_and_silence_where_it_ends(tmp_path, as_file):
    samples = np.linspace(-0.5, 0.5, 3 * RATE, dtype=np.float32)
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    item = tmp_path / "long.wav" if as_file else (samples, RATE)
    stretch, rate = load_stretch(item, 1.0, 2.0)
    assert rate == RATE
    assert np.array_equal(stretch, samples[RATE : 2 * RATE])
    late, _ = load_stretch(item, 2.5, 3.5)
    assert np.array_equal(late[: RATE // 2], samples[5 * RATE // 2 :])
    assert not late[RATE // 2 :].any()
