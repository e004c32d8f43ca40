"""SEED-IV: the folder is the session, four classes or SEED's three, windows of 4 s."""

import numpy as np
import pytest
import scipy.io
from reader_conformance import ReaderConformance

from scmmlab.corpora.fakes import fake_class
from scmmlab.corpora.seed_facts_iv import DATES, LABELS, WINDOWS
from scmmlab.corpora.seed_iv import SeedIVReader
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_table


def write_session(root, subject, session, folder=None, base="eeg_feature_smooth", **changes):
    rng = np.random.default_rng(10 * subject + session)
    path = root / base / str(folder or session) / f"{subject}_{DATES[subject][session - 1]}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    trials = sorted(range(1, 25), key=str)
    variables = {f"de_LDS{n}": n + 0.1 * rng.random((62, WINDOWS[session - 1][n - 1], 5)) for n in trials}
    variables |= changes
    scipy.io.savemat(path, {name: value for name, value in variables.items() if value is not None})
    return path


class TestSeedIVConformance(ReaderConformance):
    def reader(self):
        return SeedIVReader()

    def fill(self, root):
        write_session(root, 1, 1)


def test_the_facts_add_up():
    assert [sum(windows) for windows in WINDOWS] == [851, 832, 822]
    assert all(len(windows) == len(labels) == 24 for windows, labels in zip(WINDOWS, LABELS, strict=True))
    assert DATES[1] == (20160518, 20161125, 20161126)
    assert DATES[15] == (20150508, 20150514, 20150527)
    assert all(list(days) == sorted(days) and len(days) == 3 for days in DATES.values())


@pytest.mark.parametrize("session", [1, 2, 3])
def test_trials_have_their_windows_and_labels(tmp_path, session):
    write_session(tmp_path, 10, session)
    build_table(SeedIVReader(), tmp_path, tmp_path / "out")
    table = read_table(tmp_path / "out")
    assert set(table.session) == {session}
    assert set(table.subject) == {10}
    for trial in range(1, 25):
        rows = table.trial == trial
        assert rows.sum() == WINDOWS[session - 1][trial - 1]
        assert set(table.label[rows]) == {LABELS[session - 1][trial - 1]}
        assert np.floor(table.features[rows]).min() == trial
    assert table.manifest.window_s == 4


def test_three_classes_are_those_of_seed(tmp_path):
    windows = []
    for session in (1, 2, 3):
        write_session(tmp_path, 1, session)
    build_table(SeedIVReader(emotions="three"), tmp_path, tmp_path / "out")
    table = read_table(tmp_path / "out")
    assert table.manifest.classes == ("negative", "neutral", "positive")
    for session in (1, 2, 3):
        of_session = table.session == session
        windows.append(int(of_session.sum()))
        assert len(np.unique(table.trial[of_session])) == 18
    assert windows == [669, 562, 659]
    # sad is negative: the first trial of session 1
    assert set(table.label[(table.session == 1) & (table.trial == 1)]) == {0}


def test_a_file_in_the_folder_of_another_session_is_refused(tmp_path):
    write_session(tmp_path, 1, 2, folder=1)
    with pytest.raises(CorpusError, match=r"1_20161125.mat', date: expected 20160518, .*found 20161125, .* session 2"):
        SeedIVReader().files(tmp_path)


def test_a_file_of_another_session_under_this_name_is_refused(tmp_path):
    right = write_session(tmp_path, 1, 2)
    wrong = tmp_path / "eeg_feature_smooth" / "1" / "1_20160518.mat"
    wrong.parent.mkdir()
    right.rename(wrong)
    with pytest.raises(CorpusError, match=r"shape of de_LDS1: expected \(62, 42, 5\) of numbers, found \(62, 55, 5\)"):
        list(SeedIVReader().read(tmp_path, "eeg_feature_smooth/1/1_20160518.mat"))


def test_a_trial_that_is_missing_is_named(tmp_path):
    write_session(tmp_path, 1, 1, de_LDS24=None)
    with pytest.raises(CorpusError, match=r"found 23 variables, none for trial 24"):
        build_table(SeedIVReader(), tmp_path, tmp_path / "out")


def test_raw_trials_have_as_many_samples_as_their_windows_take(tmp_path):
    rng = np.random.default_rng(0)
    raw = {f"cz_eeg{n}": rng.normal(0, 20, (62, w * 800 + 799)) for n, w in enumerate(WINDOWS[1], start=1)}
    folder = tmp_path / "eeg_raw_data" / "2"
    folder.mkdir(parents=True)
    reader = SeedIVReader(source="raw")
    scipy.io.savemat(folder / "1_20161125.mat", raw)
    recording = next(reader.read(tmp_path, "eeg_raw_data/2/1_20161125.mat"))
    assert recording.session == 2
    assert recording.signal.shape == (62, 55 * 800 + 799)
    raw["ha_eeg5"] = raw.pop("cz_eeg5")
    scipy.io.savemat(folder / "1_20161125.mat", raw)
    with pytest.raises(CorpusError, match=r"expected one start of all names, found 'cz_eeg' and 'ha_eeg'"):
        next(reader.read(tmp_path, "eeg_raw_data/2/1_20161125.mat"))


def test_a_fake_passes_the_check_and_makes_the_table(tmp_path):
    list(fake_class("seed_iv")(subjects=2, small=True, parts="features").write(tmp_path))
    findings = list(SeedIVReader().check(tmp_path))
    assert all(finding.ok for finding in findings), [finding for finding in findings if not finding.ok]
    manifest = build_table(SeedIVReader(), tmp_path, tmp_path / "out").manifest
    assert manifest.windows == 2 * (851 + 832 + 822)
