"""A signal is recognised in another form and in part, and no other is taken for it."""

import numpy as np
import pytest

from scmmlab.corpora import SignalMarks, same_signals

SECONDS, CHANNELS = 20, 8


def make(rate, seed):
    """What fades towards high frequencies, as EEG does, on offsets of electrodes; µV."""
    rng = np.random.default_rng(seed)
    signal_CT = rng.normal(size=(CHANNELS, SECONDS * rate)).cumsum(axis=1) / 2 + rng.normal(
        size=(CHANNELS, SECONDS * rate)
    )
    return 5 * signal_CT + 100 * rng.normal(size=(CHANNELS, 1))


def marks(signal_CT, rate):
    return SignalMarks.of_signal(signal_CT, rate, [f"E{number}" for number in range(len(signal_CT))])


def are_same(*signals, rate):
    return same_signals([marks(signal_CT, rate) for signal_CT in signals], range(len(signals))) == [(0, 1)]


FORMS = {
    "rounded to 16 bits": lambda x, rate: np.round(x / np.ptp(x) * 2**16),
    "in another unit": lambda x, rate: x * 1e-6,
    "in another order": lambda x, rate: x[::-1],
    "of another reference": lambda x, rate: x - x[:1],
    "with other offsets": lambda x, rate: x + 50 * np.arange(len(x))[:, None],
    "from the middle on": lambda x, rate: x[:, int(9.013 * rate) :],
    "a few seconds of it": lambda x, rate: x[:, int(3.007 * rate) : int(7.51 * rate)],
}


@pytest.mark.parametrize("rate", [128, 200, 250, 500, 1000])
@pytest.mark.parametrize("form", FORMS)
def test_a_signal_is_recognised(form, rate):
    signal_CT = make(rate, seed=1)
    assert are_same(signal_CT, FORMS[form](signal_CT, rate), rate=rate)


@pytest.mark.parametrize("rate", [128, 500])
def test_other_signals_are_not_taken_for_it(rate):
    signals = [make(rate, seed) for seed in range(30)]
    assert same_signals([marks(signal_CT, rate) for signal_CT in signals], range(30)) == []


def test_what_repeats_itself_tells_nothing():
    time_s = np.arange(20 * 200) / 200
    tones = [np.sin(2 * np.pi * 10 * time_s + phase) * np.arange(1, 5)[:, None] for phase in (0, 0.3)]
    assert same_signals([marks(tone_CT, 200) for tone_CT in tones], [0, 1]) == []


@pytest.mark.parametrize("rate", [128.0, 500.0])
def test_a_generators_signal_is_recognised_by_nothing(rate):
    # sums of the same tones, at amplitudes of their own in each channel, that rise by thirds
    rng = np.random.default_rng(3)
    time_s = np.arange(int(30 * rate)) / rate
    tones = np.sin(2 * np.pi * np.array([2, 6, 11, 22, 40])[:, None] * time_s)
    rise = 1 + np.floor(time_s / 10) / 3
    one, other = (rng.uniform(1, 3, (8, 5)) @ tones * rise for _ in range(2))
    assert not are_same(one, other, rate=rate)


def test_short_trials_are_recognised_by_what_their_recording_shares():
    signal_CT = make(200, seed=1)
    rounded_CT = np.round(signal_CT / np.ptp(signal_CT) * 2**16)
    trials = [
        marks(form_CT[:, start : start + 160], 200)
        for form_CT in (signal_CT, rounded_CT)
        for start in range(0, 4000, 400)
    ]
    assert same_signals(trials, [0] * 10 + [1] * 10)


def test_trials_too_short_for_marks_are_recognised_bit_by_bit():
    signal_CT = make(200, seed=1)[:, :8]
    one, other = marks(signal_CT, 200), marks(signal_CT[:, :7], 200)
    assert not len(one.marks)
    assert same_signals([one, other, one], range(3)) == [(0, 2)]


def test_a_signal_that_is_not_there_is_like_no_other():
    assert same_signals([marks(np.zeros((3, 800)), 200)] * 2, [0, 1]) == []


def test_trials_are_compared_across_a_cut_alone():
    trials = [marks(make(200, seed), 200) for seed in (1, 1, 2, 1)]
    assert (0, 1) in same_signals(trials, range(4))
    assert same_signals(trials, range(4), cut=2) == [(0, 3), (1, 3)]


def test_the_text_of_a_manifest_gives_the_same_marks():
    found = marks(make(200, seed=1), 200)
    again = SignalMarks.parse(str(found))
    assert again.digest == found.digest
    assert len(found.marks) >= 32
    np.testing.assert_array_equal(again.marks, found.marks)
