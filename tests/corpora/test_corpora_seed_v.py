"""SEED-V: pickled features that run nothing, raw recordings cut where the trials are."""

import pickle
import struct

import numpy as np
import pytest
from reader_conformance import ReaderConformance

from scmmlab.corpora import seed_facts_v, seed_v
from scmmlab.corpora.fakes import fake_class
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.seed_facts import CHANNELS
from scmmlab.corpora.seed_facts_v import LABELS, STARTS, STOPS
from scmmlab.corpora.seed_v import SeedVReader
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_table


def arrays():
    rng = np.random.default_rng(0)
    data, label = {}, {}
    for key in range(45):
        session, trial = divmod(key, 15)
        windows = (STOPS[session][trial] - STARTS[session][trial]) // 4
        # a value tells its channel and band
        data[key] = np.arange(310.0) + 0.1 * rng.random((windows, 310))
        label[key] = np.full(windows, LABELS[session][trial])
    return data, label


def write(root, data, label, subject=1):
    (root / "EEG_DE_features").mkdir(exist_ok=True)
    np.savez(root / "EEG_DE_features" / f"{subject}_123.npz", data=pickle.dumps(data), label=pickle.dumps(label))


class TestSeedVConformance(ReaderConformance):
    def reader(self):
        return SeedVReader()

    def fill(self, root):
        write(root, *arrays())


def test_trials_have_their_sessions_and_labels(tmp_path):
    data, label = arrays()
    write(tmp_path, data, label, 10)
    build_table(SeedVReader(), tmp_path, tmp_path / "out")
    table = read_table(tmp_path / "out")
    for session, trial in ((1, 1), (2, 5), (3, 15)):
        rows = (table.session == session) & (table.trial == trial)
        assert rows.sum() == len(data[(session - 1) * 15 + trial - 1])
        assert set(table.label[rows]) == {LABELS[session - 1][trial - 1]}
    np.testing.assert_array_equal(np.floor(table.features[0]), np.arange(310).reshape(62, 5))


class Evil:
    def __reduce__(self):
        return print, ("a command ran",)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data, label: data.pop(44), "data cannot be right: expected a dictionary of 45 trials"),
        (lambda data, label: data.update({3: np.zeros((5, 310))}), r"data\[3\].*about \(46.75, 310\)"),
        (lambda data, label: data.update({3: data[3][:, :309]}), r"data\[3\].*found \(46, 309\)"),
        (lambda data, label: data.update({3: data[3] * np.nan}), r"data\[3\].*finite numbers"),
        (lambda data, label: label.update({3: label[3] + 1}), r"label\[3\].*expected 2 for each of 46 windows"),
        (lambda data, label: data.update({3: Evil()}), "expected a pickle of arrays"),
    ],
)
def test_what_is_not_as_known_is_refused(tmp_path, capsys, change, match):
    data, label = arrays()
    change(data, label)
    write(tmp_path, data, label)
    with pytest.raises(CorpusError, match=match):
        build_table(SeedVReader(), tmp_path, tmp_path / "out")
    assert "a command ran" not in capsys.readouterr().out


def write_cnt(path, names, samples, begin, signal_CT):
    """A 32-bit Neuroscan file, empty but for `signal_CT` (in steps of 0.1 µV) from sample `begin` on."""
    header = bytearray(900 + 75 * len(names))
    header[:12] = b"Version 3.0\0"
    header[225:247] = b"04/08/1812:00:00\0\0\0\0\0\0"
    struct.pack_into("<H", header, 370, len(names))
    struct.pack_into("<H", header, 376, 1000)
    struct.pack_into("<i", header, 864, samples)
    end = len(header) + 4 * samples * len(names)
    struct.pack_into("<i", header, 886, end)
    for number, name in enumerate(names):
        at = 900 + 75 * number
        header[at : at + len(name)] = name.encode()
        struct.pack_into("<f", header, at + 19, np.cos(number))
        struct.pack_into("<f", header, at + 23, np.sin(number))
        struct.pack_into("<f", header, at + 59, 20.48)
        struct.pack_into("<f", header, at + 71, 1.0)
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + 4 * begin * len(names))
        file.write(signal_CT.T.astype("<i4").tobytes())
        file.truncate(end)
        file.seek(end)
        file.write(struct.pack("<Bii", 1, 0, 0))


def test_a_raw_trial_is_cut_where_it_lies_and_in_microvolts(tmp_path):
    (tmp_path / "EEG_raw").mkdir()
    # two channels that are no EEG lie between the others, as in the real recordings
    names = [*CHANNELS[:32], "M1", *CHANNELS[32:41], "M2", *CHANNELS[41:], "VEO", "HEO"]
    signal = np.random.default_rng(0).integers(-500, 500, (66, 72_000))
    path = tmp_path / "EEG_raw" / "10_1_20180507.cnt"
    write_cnt(path, names, STOPS[0][-1] * 1000, 30_000, signal)
    reader = SeedVReader(source="raw")
    assert reader.files(tmp_path) == ("EEG_raw/10_1_20180507.cnt",)
    first = next(reader.read(tmp_path, "EEG_raw/10_1_20180507.cnt"))
    assert (first.subject, first.session, first.trials[0].label) == (10, 1, 4)
    wanted = signal[[names.index(name) for name in CHANNELS]] * 0.1
    np.testing.assert_allclose(first.signal, wanted, atol=1e-4)
    write_cnt(path, names, 3_000_000, 30_000, signal)
    with pytest.raises(CorpusError, match=r"the length cannot be right: expected at least 3359000 samples"):
        next(reader.read(tmp_path, "EEG_raw/10_1_20180507.cnt"))


def test_a_fake_passes_the_check_and_makes_the_table(tmp_path):
    list(fake_class("seed_v")(subjects=2).write(tmp_path))
    assert all(finding.ok for finding in SeedVReader().check(tmp_path))
    assert len(build_table(SeedVReader(), tmp_path, tmp_path / "out").manifest.subjects) == 2


def test_a_raw_fake_is_read_and_has_its_trials_where_they_are_known_to_lie(tmp_path, monkeypatch):
    # clips of 4 s, 2 s apart, since whole sessions take 900 MB
    starts = tuple(tuple(range(3, 93, 6)) for _ in range(3))
    stops = tuple(tuple(start + 4 for start in session) for session in starts)
    for module in (seed_facts_v, seed_v):
        monkeypatch.setattr(module, "STARTS", starts)
        monkeypatch.setattr(module, "STOPS", stops)
    fake = fake_class("seed_v")(subjects=1, small=True, parts="raw")
    (path,) = fake.write(tmp_path)
    reader = SeedVReader(source="raw")
    assert reader.files(tmp_path) == (f"EEG_raw/{path.name}",)
    assert all(finding.ok for finding in reader.check(tmp_path))
    recordings = list(reader.read(tmp_path, f"EEG_raw/{path.name}"))
    assert [recording.trials[0].label for recording in recordings] == list(LABELS[0])
    brain = Brain("seed_v", CHANNELS, 1)
    for trial, recording in enumerate(recordings, start=1):
        wanted = brain.signal(1, trial, seed_facts_v.CLASSES[LABELS[0][trial - 1]], 4000, 1000.0)
        np.testing.assert_allclose(recording.signal, wanted, atol=2.0**-6 + 1e-6)
    table = build_table(reader, tmp_path, tmp_path / "out").manifest
    assert (table.windows, table.provenance["origin"]) == (15 * 4, "computed")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CorpusError, match="cannot be right: expected"):
        build_table(reader, tmp_path, tmp_path / "out")
