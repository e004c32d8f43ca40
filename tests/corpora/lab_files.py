"""Recordings of a made-up lab for tests: one signal, written in each format with its trials marked."""

import struct

import mne
import numpy as np
from scipy.io import savemat

CHANNELS = ("Fz", "Cz", "Pz", "Oz")
RATE = 128
SECONDS = 44
TRIALS = ((3.0, "calm"), (13.0, "tense"), (23.0, "calm"), (33.0, "tense"))
"""Onset in s, and class; each lasts 6 s."""
TRIAL_S = 6.0
CODES = {"calm": 1, "tense": 2}
LAYOUT = {
    "name": "lab",
    "recordings": {"files": "sub{subject}.edf"},
    "trials": {"kind": "annotations"},
    "labels": {
        "kind": "description",
        "classes": [{"name": "calm", "values": ["calm"]}, {"name": "tense", "values": ["tense"]}],
    },
}


def layout(**changes):
    """`LAYOUT` with parts exchanged whole."""
    return {**LAYOUT, **changes}


def make_signal(seed):
    """Noise of 20 µV, shape=(n_channels, n_times), with an alpha rhythm wherever a trial is tense; in µV."""
    rng = np.random.default_rng(seed)
    signal_CT = rng.normal(0, 20, (len(CHANNELS), SECONDS * RATE)).cumsum(axis=1) * 0.05
    signal_CT += rng.normal(0, 10, signal_CT.shape)
    time_s = np.arange(SECONDS * RATE) / RATE
    for onset, name in TRIALS:
        if name == "tense":
            inside = (time_s >= onset) & (time_s < onset + TRIAL_S)
            signal_CT[:, inside] += 20 * np.sin(2 * np.pi * 10 * time_s[inside])
    return signal_CT


def make_raw(seed=0, date=(1_700_000_000, 0)):
    """The signal as MNE has it, its trials as annotations."""
    raw = mne.io.RawArray(make_signal(seed) * 1e-6, mne.create_info(CHANNELS, RATE, "eeg"), verbose="ERROR")
    raw.set_meas_date(date)
    onsets, names = zip(*TRIALS, strict=True)
    raw.set_annotations(mne.Annotations(onsets, TRIAL_S, names, orig_time=raw.info["meas_date"]))
    return raw


def write_edf(path, seed=0, date=(1_700_000_000, 0)):
    mne.export.export_raw(path, make_raw(seed, date), fmt="edf", physical_range=(-300, 300), verbose="ERROR")


def write_brainvision(path, seed=0):
    mne.export.export_raw(path, make_raw(seed), fmt="brainvision", verbose="ERROR")


def write_fif(path, seed=0, **options):
    make_raw(seed).save(path, verbose="ERROR", **options)


def write_eeglab(path, seed=0):
    mne.export.export_raw(path, make_raw(seed), fmt="eeglab", verbose="ERROR")


def write_eeglab_pair(path, seed=0, data_name=None, names=CHANNELS, types=None):
    """A `.set` whose signal lies in a `.fdt`, as EEGLAB itself saves it."""
    places = list(zip(names, types or [""] * len(names), strict=True))
    signal_CT = make_signal(seed)
    events = [{"type": name, "latency": onset * RATE + 1, "duration": TRIAL_S * RATE} for onset, name in TRIALS]
    content = {
        "setname": "lab", "nbchan": len(CHANNELS), "trials": 1, "pnts": signal_CT.shape[1], "srate": float(RATE),
        "xmin": 0.0, "xmax": SECONDS - 1 / RATE, "data": data_name or path.with_suffix(".fdt").name,
        "chanlocs": np.array(places, dtype=[("labels", object), ("type", object)]),
        "event": np.array([tuple(event.values()) for event in events], dtype=[(key, object) for key in events[0]]),
        "epoch": np.array([]), "ref": "common",
    }  # fmt: skip
    savemat(path, {"EEG": content}, appendmat=False)
    path.with_suffix(".fdt").write_bytes(signal_CT.T.astype("<f4").tobytes())


def write_bdf(path, seed=0, offset=0):
    """24-bit samples of 1/32 µV, and the codes of the trials in a status channel, whose upper bits hold `offset`."""
    labels, count = [*CHANNELS, "Status"], len(CHANNELS) + 1
    codes = np.full(SECONDS * RATE, offset << 8)
    for onset, name in TRIALS:
        # a trigger holds for some samples, and another one ends the trial
        codes[int(onset * RATE) :][:10] |= CODES[name]
        codes[int((onset + TRIAL_S) * RATE) :][:10] |= 9

    def texts(values, width):
        return b"".join(str(value).encode("latin-1").ljust(width) for value in values)

    header = b"\xffBIOSEMI" + texts(["", ""], 80) + texts(["01.02.23", "10.00.00"], 8) + texts([256 * (count + 1)], 8)
    header += texts(["24BIT"], 44) + texts([SECONDS, 1], 8) + texts([count], 4)
    header += texts(labels, 16) + texts([""] * count, 80) + texts([*["uV"] * len(CHANNELS), "Boolean"], 8)
    for physical, digital in ((-262144, -8388608), (262143, 8388607)):
        header += texts([*[physical] * len(CHANNELS), digital], 8)
    header += texts([-8388608] * count, 8) + texts([8388607] * count, 8)
    header += texts([""] * count, 80) + texts([RATE] * count, 8) + texts([""] * count, 32)
    samples = np.vstack([np.round(make_signal(seed) * 32), codes]).astype("<i4")
    by_record = samples.reshape(count, SECONDS, RATE).swapaxes(0, 1).copy()
    path.write_bytes(header + by_record.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())


def write_cnt(path, seed=0):
    """A Neuroscan file of 32 bits, its trials as stimulus codes."""
    samples = np.round(make_signal(seed) / 0.01).T.astype("<i4")
    header = bytearray(900 + 75 * len(CHANNELS))
    header[:12] = b"Version 3.0\0"
    header[225:247] = b"04/08/1812:00:00\0\0\0\0\0\0"
    struct.pack_into("<H", header, 370, len(CHANNELS))
    struct.pack_into("<H", header, 376, RATE)
    struct.pack_into("<i", header, 864, len(samples))
    struct.pack_into("<i", header, 886, len(header) + samples.nbytes)
    for number, name in enumerate(CHANNELS):
        at = 900 + 75 * number
        header[at : at + len(name)] = name.encode()
        struct.pack_into("<f", header, at + 19, np.cos(number))
        struct.pack_into("<f", header, at + 23, np.sin(number))
        struct.pack_into("<f", header, at + 59, 204.8 * 0.01)
        struct.pack_into("<f", header, at + 71, 1.0)
    events = b"".join(
        struct.pack("<HBcl", CODES[name], 0, b"\0", len(header) + (int(onset * RATE) + 1) * samples[0].nbytes)
        for onset, name in TRIALS
    )
    path.write_bytes(bytes(header) + samples.tobytes() + struct.pack("<Bii", 1, len(events), 0) + events)


def write_bids(root, subjects=("01", "02"), sessions=("1",), form="BrainVision", names=CHANNELS):
    """A BIDS folder as mne-bids writes it, one recording a subject and session."""
    import mne_bids

    for number, subject in enumerate(subjects):
        for session in sessions:
            raw = make_raw(seed=10 * number + int(session))
            raw.info["line_freq"] = 50
            raw.rename_channels(dict(zip(CHANNELS, names, strict=True)))
            path = mne_bids.BIDSPath(root=root, subject=subject, session=session, task="music", datatype="eeg")
            mne_bids.write_raw_bids(raw, path, allow_preload=True, format=form, overwrite=True, verbose="ERROR")
