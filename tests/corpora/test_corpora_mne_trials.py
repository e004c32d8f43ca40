"""Trials of any marks: in time order, inside the recording, whole, each in one block or several."""

from pathlib import Path

import lab_files
import mne
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scmmlab.corpora.lab import LayoutSpec
from scmmlab.corpora.lab.recordings import LabRecording
from scmmlab.corpora.lab.trials import find_trials

RATE = 64
NAMES = ("calm", "tense", "other")
MARKS = st.lists(
    # gap before, length, both in samples, and what it is
    st.tuples(st.integers(0, 300), st.integers(RATE, 900), st.sampled_from(NAMES)),
    min_size=1,
    max_size=8,
).filter(lambda marks: any(name != "other" for *_, name in marks))


def spans_of(marks, trials, run=0, first_samp=0):
    """The trials that are found, and where marks start and stop, in samples."""
    edges, position = [], 0
    for gap, length, _ in marks:
        edges.append((position + gap, position + gap + length))
        position = edges[-1][1]
    raw = mne.io.RawArray(
        np.zeros((1, position + 100)), mne.create_info(["Fz"], RATE, "eeg"), first_samp=first_samp, verbose="ERROR"
    )
    onsets = [start / RATE for start, _ in edges]
    raw.set_annotations(mne.Annotations(onsets, [(b - a) / RATE for a, b in edges], [name for *_, name in marks]))
    layout = LayoutSpec.model_validate({**lab_files.LAYOUT, "trials": {"kind": "annotations", **trials}})
    recording = LabRecording("sub1.edf", {"subject": "1"}, 1, 1, run)
    return find_trials(layout, Path("root"), recording, raw).spans, edges, position + 100


@settings(max_examples=60, deadline=None)
@given(marks=MARKS, run=st.integers(0, 3), first_samp=st.sampled_from([0, 777]))
def test_trials_are_the_marks_of_a_class(marks, run, first_samp):
    spans, edges, _ = spans_of(marks, {}, run, first_samp)
    expected = [
        (NAMES.index(name), start, stop)
        for (start, stop), (*_, name) in zip(edges, marks, strict=True)
        if name != "other"
    ]
    assert [(span.label, span.start, span.stop) for span in spans] == expected
    assert [span.trial for span in spans] == [run * 10_000 + number for number in range(1, len(expected) + 1)]


@settings(max_examples=60, deadline=None)
@given(marks=MARKS)
def test_until_the_next_mark_trials_fill_the_recording_but_for_what_has_no_class(marks):
    spans, edges, samples = spans_of(marks, {"length": "until_next"})
    borders = [start for start, _ in edges] + [samples]
    expected = [(borders[i], borders[i + 1]) for i in range(len(marks)) if marks[i][2] != "other"]
    assert [(span.start, span.stop) for span in spans] == expected


@settings(max_examples=60, deadline=None)
@given(marks=MARKS, skip=st.integers(0, RATE - 1), block=st.integers(RATE // 2, 600))
def test_blocks_of_a_trial_are_whole_but_for_the_last_which_takes_the_remainder(marks, skip, block):
    whole, *_ = spans_of(marks, {"skip_s": skip / RATE})
    blocks, *_ = spans_of(marks, {"skip_s": skip / RATE, "block_s": block / RATE})
    for span in whole:
        inside = [part for part in blocks if span.start <= part.start < span.stop]
        lengths = [part.stop - part.start for part in inside]
        assert sum(lengths) == span.stop - span.start
        assert [part.start for part in inside[1:]] == [part.stop for part in inside[:-1]]
        assert all(length == block for length in lengths[:-1])
        assert len(inside) == 1 or block <= lengths[-1] < 2 * block
        assert {part.label for part in inside} == {span.label}
