"""Trials, margins and windows keep away from gaps and from what is marked as bad, in each format."""

import lab_files
import mne
import numpy as np
import pytest
from scipy.io import savemat

from scmmlab.corpora import LeftOut
from scmmlab.corpora.mne_recordings import MARGIN_S, MneReader
from scmmlab.errors import CorpusError
from scmmlab.features import FeatureSpec, lds, moving_average
from scmmlab.tables import build_table, read_table

RATE = lab_files.RATE
COMMENTS = {
    "kind": "description",
    "classes": [{"name": name, "values": [f"Comment/{name}"]} for name in ("calm", "tense")],
}


def write(path, marks, signal_CT=None):
    """The recording of the lab with marks more: onset in s, duration in s, description."""
    raw = lab_files.make_raw()
    if signal_CT is not None:
        raw = mne.io.RawArray(signal_CT * 1e-6, raw.info, verbose="ERROR").set_annotations(raw.annotations)
    for mark in marks:
        raw.annotations.append(*mark)
    if path.suffix == ".fif":
        raw.save(path, verbose="ERROR")
    elif path.suffix == ".vhdr":
        mne.export.export_raw(path, raw, fmt="brainvision", verbose="ERROR")
    elif path.suffix == ".set":
        mne.export.export_raw(path, raw, fmt="eeglab", verbose="ERROR")
    else:
        mne.export.export_raw(path, raw, physical_range=(-300, 300), verbose="ERROR")


def reader(path, labels=None, signal=None, **trials):
    trials = {"kind": "annotations", "seconds": 6, **trials}
    labels = labels or (COMMENTS if path.suffix == ".vhdr" else lab_files.LAYOUT["labels"])
    recordings = {"files": f"sub{{subject}}{path.name[4:]}"}
    return MneReader(layout=lab_files.layout(recordings=recordings, trials=trials, labels=labels, signal=signal or {}))


def read(path, **changes):
    parts = list(reader(path, **changes).read(path.parent, path.name))
    return [part for part in parts if not isinstance(part, LeftOut)], [p for p in parts if isinstance(p, LeftOut)]


def leap(path, record, seconds):
    """Let the records from one on begin so much later, as their own texts say."""
    content = path.read_bytes()
    for number in range(lab_files.SECONDS - 1, record - 1, -1):
        old, new = (b"+%d\x14\x14\x00" % value for value in (number, number + seconds))
        assert content.count(old) == 1
        content = content.replace(old, new)
    path.write_bytes(content)


def gap_of(path, kind):
    """Write a recording that is interrupted at 15 s, in the second trial."""
    if kind == "leap":
        write(path, [])
        leap(path, 15, 30)
    elif kind == "constant":
        signal_CT = lab_files.make_signal(0)
        signal_CT[:, 15 * RATE : 16 * RATE] = signal_CT[:, [15 * RATE]]
        write(path, [], signal_CT)
    elif kind == "new segment":
        write(path, [])
        with path.with_suffix(".vmrk").open("a") as file:
            file.write(f"Mk9=New Segment,,{15 * RATE + 1},1,0,20231114221333000000\n")
    else:
        write(path, [(15.0, 2.0 if kind.casefold() == "bad_acq_skip" else 0.0, kind)])


GAPS = [
    *((ending, "constant") for ending in ("edf", "bdf", "vhdr", "set", "fif")),
    *((ending, "boundary") for ending in ("edf", "bdf", "vhdr", "set", "fif")),
    ("set", "-99"), ("vhdr", "new segment"), ("fif", "BAD_ACQ_SKIP"), ("fif", "bad_acq_skip"),
    ("fif", "EDGE boundary"), ("fif", "BAD boundary"), ("edf", "leap"), ("bdf", "leap"),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "kind"), GAPS)
def test_a_gap_in_a_trial_is_refused(tmp_path, ending, kind):
    path = tmp_path / f"sub1_raw.{ending}"
    gap_of(path, kind)
    with pytest.raises(CorpusError, match=r"Trial 2 goes over a gap in .*: expected .* from 13.000 s .* at 15.000 s"):
        read(path)
    (wrong,) = [finding for finding in reader(path).check_file(tmp_path, path.name) if not finding.ok]
    assert "goes over a gap" in wrong.fact


# after a leap the marks of the later trials lie in it
@pytest.mark.parametrize(("ending", "kind"), [gap for gap in GAPS if gap[1] != "leap"])
def test_a_gap_in_a_trial_ends_it_or_drops_it(tmp_path, ending, kind):
    path = tmp_path / f"sub1_raw.{ending}"
    gap_of(path, kind)
    kept, left_out = read(path, at_gaps="cut")
    assert [each.trials[0].trial for each in kept] == [1, 2, 3, 4]
    assert kept[1].trials[0].stop - kept[1].trials[0].start == 2 * RATE
    (only,) = left_out
    assert (only.what, only.trials) == ("4.000 s of trial 2", 0)

    kept, left_out = read(path, at_gaps="drop")
    assert [each.trials[0].trial for each in kept] == [1, 3, 4]
    (only,) = left_out
    assert (only.what, only.trials) == ("trial 2", 1)
    found = [finding.left_out for finding in reader(path, at_gaps="drop").check_file(tmp_path, path.name)]
    assert [each for each in found if each] == left_out


@pytest.mark.parametrize(("ending", "kind"), [("edf", "leap"), ("fif", "EDGE boundary"), ("set", "constant")])
def test_no_margin_reaches_over_a_gap(tmp_path, ending, kind):
    path = tmp_path / f"sub1_raw.{ending}"
    gap_of(path, kind)
    kept, _ = read(path, seconds=2, at_gaps="cut")
    margin = round(MARGIN_S * RATE)
    assert [each.signal.shape[1] for each in kept][:2] == [3 * RATE + 2 * RATE + margin, margin + 2 * RATE]


def test_after_a_leap_onsets_count_on_the_clock_of_the_file(tmp_path):
    path = tmp_path / "sub1_raw.edf"
    write(path, [(52.0, 6.0, "tense"), (44.0, 3.0, "other")])
    # 40 s follow 60 s of nothing, between the trials
    leap(path, 12, 30)
    signal_CT = lab_files.make_signal(0)
    with pytest.raises(CorpusError, match=r"Trial 2 goes over a gap in .* found 30.000 s that are missing"):
        read(path)
    kept, left_out = read(path, at_gaps="drop")
    assert [each.what for each in left_out] == ["marks 'other'", "trial 2", "trial 3", "trial 4"]
    assert [each.trials[0].trial for each in kept] == [1, 5]
    (span,) = kept[1].trials
    expected = signal_CT[:, 22 * RATE : 28 * RATE]
    found = kept[1].signal[:, span.start : span.stop]
    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), atol=0.02
    )


def test_records_that_go_back_in_time_are_refused(tmp_path):
    path = tmp_path / "sub1_raw.edf"
    write(path, [])
    path.write_bytes(path.read_bytes().replace(b"+31\x14\x14\x00", b"+11\x14\x14\x00"))
    with pytest.raises(CorpusError, match=r"not in chronological order: expected record 32 at 31 s or later.* 11 s"):
        read(path)


def test_records_of_one_time_keep_none(tmp_path):
    path = tmp_path / "sub1_raw.edf"
    write(path, [])
    content = path.read_bytes()
    for record in range(1, lab_files.SECONDS):
        old = b"+%d\x14\x14\x00" % record
        content = content.replace(old, b"+0\x14\x14\x00".ljust(len(old), b"\x00"))
    path.write_bytes(content)
    kept, left_out = read(path)
    assert ([each.trials[0].trial for each in kept], left_out) == ([1, 2, 3, 4], [])


def test_a_gap_is_no_mark_that_ends_a_trial(tmp_path):
    """Else a trial until the next mark would end there without a word."""
    path = tmp_path / "sub1_raw.set"
    write(path, [(15.0, 0.0, "boundary")])
    with pytest.raises(CorpusError, match="Trial 2 goes over a gap"):
        read(path, seconds=None, length="until_next")
    kept, _ = read(path, seconds=None, length="until_next", ends=["boundary"])
    assert kept[1].trials[0].stop - kept[1].trials[0].start == 2 * RATE


def test_the_first_segment_and_gaps_between_trials_are_no_matter(tmp_path):
    path = tmp_path / "sub1_raw.vhdr"
    write(path, [])
    markers = path.with_suffix(".vmrk")
    assert "New Segment,,1,1" in markers.read_text()
    with markers.open("a") as file:
        file.write(f"Mk9=New Segment,,{11 * RATE + 1},1,0\nMk10=New Segment,,{19 * RATE + 1},1,0\n")
    kept, left_out = read(path)
    assert [each.trials[0].trial for each in kept] == [1, 2, 3, 4]
    assert left_out == []


@pytest.mark.parametrize("date", [None, (1_700_000_000, 0)])
def test_where_mne_joined_recordings_is_a_gap(tmp_path, date):
    whole = lab_files.make_raw(date=date)
    raw = mne.concatenate_raws([whole.copy().crop(2, 16), whole.copy().crop(21, 43)], verbose="ERROR")
    raw.save(tmp_path / "sub1_raw.fif", verbose="ERROR")
    with pytest.raises(
        CorpusError, match=r"Trial 2 goes over a gap .* from 11.000 s .* found BAD boundary at 14.008 s"
    ):
        read(tmp_path / "sub1_raw.fif")
    # 5 s were taken out: what was the trial's sixth second is of the next one
    kept, _ = read(tmp_path / "sub1_raw.fif", at_gaps="cut")
    assert [each.trials[0].stop - each.trials[0].start for each in kept] == [6 * RATE, 3 * RATE + 1, 6 * RATE, 6 * RATE]
    kept, left_out = read(tmp_path / "sub1_raw.fif", at_gaps="drop", block_s=2)
    assert [each.trials[0].trial for each in kept] == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
    assert [each.what for each in left_out] == ["trial 5", "trial 6"]
    # as MNE has it, the trial ends at the joint: the rest of its mark was cut off
    kept, left_out = read(tmp_path / "sub1_raw.fif", seconds=None)
    assert [each.trials[0].stop - each.trials[0].start for each in kept] == [6 * RATE, 3 * RATE + 1, 6 * RATE, 6 * RATE]
    assert left_out == []


def test_a_recording_ends_where_it_was_filled_up(tmp_path):
    path = tmp_path / "sub1_raw.edf"
    # the last record of 1 s is filled up
    raw = lab_files.make_raw().crop(0, 36.3)
    mne.export.export_raw(path, raw, physical_range=(-300, 300), verbose="ERROR")
    assert "BAD_ACQ_SKIP" in mne.io.read_raw(path, verbose="ERROR").annotations.description
    kept, left_out = read(path, seconds=None, length="until_next")
    assert (kept[-1].trials[0].stop - kept[-1].trials[0].start) / RATE == pytest.approx(3.3, abs=0.02)
    assert left_out == []


@pytest.mark.parametrize("length", [384, 385])
def test_a_trial_that_ends_at_a_joint_does_not_go_over_it(tmp_path, length):
    """Joints stand half-way between two samples in EEGLAB, and half of these numbers are rounded up."""
    path = tmp_path / "sub1_raw.set"
    write(path, [((lab_files.TRIALS[1][0] * RATE + length - 0.5) / RATE, 0.0, "boundary")])
    kept, left_out = read(path, seconds=length / RATE)
    assert [each.trials[0].stop - each.trials[0].start for each in kept] == [length] * 4
    assert left_out == []


@pytest.mark.parametrize("kind", ["events", "annotations"])
def test_a_bids_folder_tells_of_gaps_and_bad_stretches_beside_a_recording_and_in_it(tmp_path, kind):
    lab_files.write_bids(tmp_path, subjects=("01",))
    (events,) = tmp_path.glob("sub-01/ses-1/eeg/*_events.tsv")
    (markers,) = tmp_path.glob("sub-01/ses-1/eeg/*.vmrk")
    lines, own = events.read_text(), markers.read_text()
    names = lines.splitlines()[0].split("\t")
    layout = lab_files.layout(recordings={"bids": {}}, trials={"kind": kind, "length": "until_next"})
    bids = MneReader(layout=layout)
    (file,) = bids.files(tmp_path)

    def row(onset, duration, name):
        values = {"onset": onset, "duration": duration, "trial_type": name, "value": "9"}
        return "\t".join(values.get(column, "1") for column in names) + "\n"

    markers.write_text(own + f"Mk9=New Segment,,{15 * RATE + 1},1,0\n")
    with pytest.raises(CorpusError, match=r"Trial 2 goes over a gap .* found New Segment/ at 15.000 s"):
        list(bids.read(tmp_path, file))
    markers.write_text(own)
    events.write_text(lines + row("15", "0", "boundary"))
    with pytest.raises(CorpusError, match=r"Trial 2 goes over a gap .* found boundary at 15.000 s"):
        list(bids.read(tmp_path, file))
    # what is bad ends no trial
    events.write_text(lines + row("15", "1.5", "BAD_x"))
    spans = [each.trials[0] for each in bids.read(tmp_path, file)]
    assert [(each.stop - each.start) / RATE for each in spans] == [10, 10, 10, 11]
    assert [[(bad.why, bad.stop - bad.start) for bad in each.bad] for each in spans] == [[], [("BAD_x", 192)], [], []]


def test_only_the_blocks_that_go_over_a_gap_are_dropped(tmp_path):
    path = tmp_path / "sub1_raw.fif"
    write(path, [(15.0, 1.0, "BAD_ACQ_SKIP")])
    kept, left_out = read(path, block_s=3, at_gaps="drop")
    assert [each.trials[0].trial for each in kept] == [1, 2, 4, 5, 6, 7, 8]
    assert [each.what for each in left_out] == ["trial 3"]


def test_a_stretch_that_some_channels_alone_hold_is_no_gap(tmp_path):
    signal_CT = lab_files.make_signal(0)
    signal_CT[:-1, 15 * RATE : 17 * RATE] = 0
    write(tmp_path / "sub1_raw.fif", [], signal_CT)
    kept, left_out = read(tmp_path / "sub1_raw.fif")
    assert (len(kept), left_out) == (4, [])


def test_a_trial_of_which_less_than_a_window_remains_is_left_out(tmp_path):
    write(tmp_path / "sub1_raw.fif", [(13.5, 0.0, "EDGE boundary")])
    build_table(reader(tmp_path / "sub1_raw.fif", at_gaps="cut"), tmp_path, tmp_path / "table")
    table = read_table(tmp_path / "table")
    assert sorted(set(table.trial.tolist())) == [1, 3, 4]
    assert {(each.what, each.trials) for each in table.manifest.left_out if each.where != "."} == {
        ("5.500 s of trial 2", 0),
        ("the rest of trial 2", 1),
    }


BAD = [(14.5, 1.0, "BAD_blink"), (18.9, 0.0, "bad_muscle"), (23.0, 6.0, "Bad segment"), (10.0, 1.0, "BAD_blink")]


@pytest.mark.parametrize("ending", ["edf", "bdf", "vhdr", "set", "fif"])
def test_windows_that_are_marked_as_bad_are_left_out_and_the_others_keep_their_places(tmp_path, ending):
    path = tmp_path / f"sub1_raw.{ending}"
    write(path, BAD)
    build_table(reader(path), tmp_path, tmp_path / "dropped")
    build_table(reader(path, bad="ignore"), tmp_path, tmp_path / "taken")
    fewer, all_of_them = read_table(tmp_path / "dropped"), read_table(tmp_path / "taken")
    expected = {1: [0, 1, 2, 3, 4, 5], 2: [0, 3, 4], 4: [0, 1, 2, 3, 4, 5]}
    found = {trial: fewer.window[fewer.trial == trial].tolist() for trial in np.unique(fewer.trial).tolist()}
    assert found == expected
    second, third = (each for each in fewer.manifest.left_out if each.where != ".")
    assert (second.what, second.trials) == ("3 windows of trial 2", 0)
    assert "BAD_blink, " in second.why
    assert (third.what, third.trials) == ("trial 3", 1)
    assert len(all_of_them) == 24
    assert all(each.where == "." for each in all_of_them.manifest.left_out)
    assert any(
        "taken all the same" in note and "BAD_blink" in note for note in all_of_them.manifest.provenance["notes"]
    )
    rows = [row for row in range(24) if all_of_them.window[row] in expected.get(all_of_them.trial[row], [])]
    np.testing.assert_array_equal(fewer.features, all_of_them.features[rows])
    stated = [finding.left_out for finding in reader(path).check_file(tmp_path, path.name) if finding.left_out]
    assert len(stated) == 3


def test_bad_intervals_of_brainvision_analyzer_are_bad(tmp_path):
    path = tmp_path / "sub1_raw.vhdr"
    write(path, [])
    with path.with_suffix(".vmrk").open("a") as file:
        file.write(f"Mk9=Bad Interval,Bad Min-Max,{14 * RATE + 1},{RATE},3\n")
    kept, _ = read(path, seconds=None, length="until_next")
    assert [[bad.why for bad in each.trials[0].bad] for each in kept] == [[], ["Bad Interval/Bad Min-Max"], [], []]


def test_a_class_whose_name_begins_with_bad_is_a_class(tmp_path):
    classes = [{"name": "calm", "values": ["calm"]}, {"name": "bad", "values": ["bad mood"]}]
    write(tmp_path / "sub1_raw.fif", [(40.0, 3.0, "bad mood")])
    kept, _ = read(tmp_path / "sub1_raw.fif", seconds=3, labels={"kind": "description", "classes": classes})
    assert [each.trials[0].label for each in kept] == [0, 0, 1]
    assert all(each.trials[0].bad == () for each in kept)


def test_smoothing_takes_windows_that_are_left_out_for_missing():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 2, 3))
    kept = np.ones(12, dtype=bool)
    kept[[0, 4, 5]] = False
    spoiled = np.where(kept[:, None, None], features, -np.inf)
    averaged = moving_average(spoiled, 3, kept)
    np.testing.assert_allclose(averaged[6], features[6])
    np.testing.assert_allclose(averaged[7], features[6:8].mean(axis=0))
    np.testing.assert_allclose(averaged[3], features[1:4].mean(axis=0))
    smoothed = lds(spoiled, process_variance=0.1, kept=kept)
    np.testing.assert_allclose(smoothed[1], features[1])
    # the longer nothing was seen, the more the next window counts
    whole = lds(features[kept], process_variance=0.1)
    gain = (smoothed[6] - smoothed[3]) / (features[6] - smoothed[3])
    without = (whole[3] - whole[2]) / (features[6] - whole[2])
    assert (gain > without).all()
    everything = np.ones(12, dtype=bool)
    np.testing.assert_array_equal(lds(features, kept=everything), lds(features))
    np.testing.assert_array_equal(moving_average(features, 3, everything), moving_average(features, 3))


@pytest.mark.parametrize("smoothing", ["moving_average", "lds"])
def test_a_bad_window_bears_on_no_other_by_smoothing(tmp_path, smoothing):
    tables = []
    for name, artefact in (("clean", 1.0), ("spoiled", 50.0)):
        signal_CT = lab_files.make_signal(0)
        # so short that the filters spread nothing beyond the windows left out
        signal_CT[:, 16 * RATE] += artefact
        (tmp_path / name).mkdir()
        write(tmp_path / name / "sub1_raw.fif", [(14.0, 4.0, "BAD_x")], signal_CT)
        features = FeatureSpec(smoothing=smoothing)
        build_table(reader(tmp_path / name / "sub1_raw.fif"), tmp_path / name, tmp_path / f"{name}.t", features)
        tables.append(read_table(tmp_path / f"{name}.t"))
    clean, spoiled = tables
    assert clean.window[clean.trial == 2].tolist() == [0, 5]
    np.testing.assert_allclose(spoiled.features, clean.features, atol=0.05)


def test_eeglab_states_how_much_was_removed_and_not_how_much_is_there(tmp_path):
    path = tmp_path / "sub1_raw.set"
    signal_CT = lab_files.make_signal(0)
    events = [
        *((name, onset * RATE + 1, 6 * RATE) for onset, name in lab_files.TRIALS),
        ("boundary", 11 * RATE + 0.5, 500),
    ]
    fields = [("type", object), ("latency", object), ("duration", object)]
    content = {
        "setname": "lab", "nbchan": 4, "trials": 1, "pnts": signal_CT.shape[1], "srate": float(RATE), "xmin": 0.0,
        "xmax": lab_files.SECONDS - 1 / RATE, "data": signal_CT.astype(np.float32),
        "chanlocs": np.array([(name,) for name in lab_files.CHANNELS], dtype=[("labels", object)]),
        "event": np.array(events, dtype=fields), "epoch": np.array([]), "ref": "common",
    }  # fmt: skip
    savemat(path, {"EEG": content}, appendmat=False)
    # 500 samples would reach into the second trial
    kept, left_out = read(path, seconds=None)
    assert (len(kept), left_out) == (4, [])
