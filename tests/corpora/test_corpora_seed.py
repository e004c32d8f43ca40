"""SEED: whose a file is, which trial is which, and what is refused."""

import shutil

import numpy as np
import pytest
import scipy.io
from reader_conformance import ReaderConformance

from scmmlab.corpora.fakes import fake_class
from scmmlab.corpora.registry import reader_class
from scmmlab.corpora.seed import SeedReader
from scmmlab.corpora.seed_facts import CHANNELS, DATES, LABELS, PREFIXES, SECONDS
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_table


def session_variables(seed=0, kind="de_LDS"):
    """One session by the facts alone: trials in the order of their names as text, which is not that of time."""
    rng = np.random.default_rng(seed)
    trials = sorted(range(1, 16), key=str)
    return {f"{kind}{n}": n + 0.1 * rng.random((62, SECONDS[n - 1], 5)) for n in trials}


def write_session(root, subject, session, seed=None, folder="ExtractedFeatures", **changes):
    path = root / folder / f"{subject}_{DATES[subject][session - 1]}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    variables = {**session_variables(10 * subject + session if seed is None else seed), **changes}
    scipy.io.savemat(path, {name: value for name, value in variables.items() if value is not None})
    return path


def write_labels(root, labels=LABELS, folder="ExtractedFeatures"):
    scipy.io.savemat(root / folder / "label.mat", {"label": np.array([labels], dtype=float)})


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    write_session(root, 1, 1)
    write_labels(root)
    return root


def refusal(root, match, out, reader=None):
    with pytest.raises(CorpusError, match=match):
        build_table(reader or SeedReader(), root, out)
    assert not out.exists()


class TestSeedConformance(ReaderConformance):
    def reader(self):
        return SeedReader()

    def fill(self, root):
        write_session(root, 1, 1)
        write_labels(root)
        (root / "ExtractedFeatures" / "readme.txt").write_text("")

    def alter(self, companion):
        scipy.io.savemat(companion, {"label": np.array([LABELS], dtype=np.int16)})

    def test_the_labels_are_a_companion_wherever_they_lie(self, root):
        assert self.reader().companions(root) == ("ExtractedFeatures/label.mat",)
        assert self.reader().companions(root / "ExtractedFeatures") == ("label.mat",)
        (root / "ExtractedFeatures" / "label.mat").unlink()
        assert self.reader().companions(root) == ()


def test_the_facts_add_up():
    assert sum(SECONDS) == 3394
    assert (sum(SECONDS[:9]), sum(SECONDS[9:])) == (2010, 1384)
    assert [sorted(LABELS[:9]).count(label) for label in (-1, 0, 1)] == [3, 3, 3]
    assert [sorted(LABELS[9:]).count(label) for label in (-1, 0, 1)] == [2, 2, 2]
    assert len(set(CHANNELS)) == 62
    assert [CHANNELS.index(name) for name in ("FP1", "AF3", "F3", "CB1", "O2")] == [0, 3, 7, 57, 60]
    assert all(list(days) == sorted(days) for days in DATES.values())
    assert len(set(PREFIXES.values())) == 15


def test_trials_are_numbered_and_labelled_by_their_numbers(root, tmp_path):
    build_table(SeedReader(), root, tmp_path / "out")
    table = read_table(tmp_path / "out")
    for trial, (seconds, label) in enumerate(zip(SECONDS, LABELS, strict=True), start=1):
        rows = table.trial == trial
        assert rows.sum() == seconds
        assert set(table.label[rows]) == {label + 1}
        assert np.floor(table.features[rows]).min() == np.floor(table.features[rows]).max() == trial
    assert ((table.trial <= 9).sum(), (table.trial > 9).sum()) == (2010, 1384)
    stored = session_variables(11)["de_LDS10"]
    np.testing.assert_array_equal(table.features[table.trial == 10], stored.transpose(1, 0, 2).astype(np.float32))
    assert table.manifest.classes == ("negative", "neutral", "positive")
    assert table.manifest.provenance["origin"] == "shipped"


def test_subjects_and_sessions_are_told_by_numbers_and_dates(tmp_path):
    for subject in (10, 2):
        for session in (3, 1, 2):
            path = tmp_path / "ExtractedFeatures" / f"{subject}_{DATES[subject][session - 1]}.mat"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"")
    assert SeedReader().files(tmp_path) == tuple(
        f"ExtractedFeatures/{subject}_{day}.mat" for subject in (2, 10) for day in DATES[subject]
    )


@pytest.mark.parametrize(
    ("name", "match"),
    [
        (
            "2_20131027.mat",
            "date: expected one of 20140404, .* for subject 2, found 20131027, a day of subject 1 and 7",
        ),
        ("1_20131028.mat", "found 20131028, a day of no subject"),
        ("16_20131027.mat", "subject: expected 1 to 15"),
        ("01_20131027.mat", "subject: expected 1 to 15"),
        ("1_20131027 (copy).mat", r"name: expected \{subject\}_\{date\}.mat"),
    ],
)
def test_a_renamed_file_is_refused(root, tmp_path, name, match):
    next((root / "ExtractedFeatures").glob("1_*.mat")).rename(root / "ExtractedFeatures" / name)
    refusal(root, match, tmp_path / "out")


def test_a_session_that_other_subjects_have_must_be_there(root, tmp_path):
    write_session(root, 2, 2)
    refusal(root, "session 2 of subject 1 as 1_20131030.mat, .*found no such file", tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"de_LDS11": None}, r"trials: expected de_LDS1 to de_LDS15, found 14 variables, none for trial 11"),
        ({"de_LDS16": np.ones((62, 9, 5))}, r"found 16 variables, and de_LDS16"),
        ({"de_LDS3": np.ones((62, 205, 5))}, r"shape of de_LDS3: expected \(62, 206, 5\) .*found \(62, 205, 5\)"),
        ({"de_LDS3": np.ones((61, 206, 5))}, r"shape of de_LDS3: .*found \(61, 206, 5\)"),
        ({"de_LDS3": np.ones((62, 206))}, r"shape of de_LDS3: .*found \(62, 206\)"),
        ({"de_LDS3": np.full((62, 206, 5), np.nan)}, r": expected finite numbers, found nan at de_LDS3"),
        ({"de_LDS3": "text"}, r"shape of de_LDS3"),
    ],
)
def test_variables_that_are_not_what_is_known_are_refused(tmp_path, changes, match):
    root = tmp_path / "corpus"
    path = write_session(root, 1, 1, **changes)
    refusal(root, rf"{path.name}.*{match}", tmp_path / "out")
    assert any(not finding.ok and finding.remedy for finding in SeedReader().check(root))


def test_axes_in_another_order_are_told_by_their_sizes(tmp_path):
    turned = session_variables(11)["de_LDS2"]
    root = tmp_path / "corpus"
    write_session(root, 1, 1, de_LDS2=turned.transpose(1, 2, 0))
    manifest = build_table(SeedReader(), root, tmp_path / "out").manifest
    table = read_table(tmp_path / "out")
    np.testing.assert_array_equal(table.features[table.trial == 2], turned.transpose(1, 0, 2).astype(np.float32))
    assert "de_LDS2 has its axes in another order" in manifest.provenance["notes"][0]


def test_axes_that_sizes_do_not_tell_are_refused(tmp_path):
    root = tmp_path / "corpus"
    folder = "ExtractedFeatures_4s"
    fours = {name: value[:, : value.shape[1] // 4] for name, value in session_variables().items()}
    write_session(root, 1, 1, folder=folder, **fours)
    assert build_table(SeedReader(shipped_window_s=4), root, tmp_path / "out").manifest.window_s == 4
    write_session(root, 1, 1, folder=folder, **{**fours, "de_LDS9": np.ones((62, 62, 5))})
    refusal(root, "shape of de_LDS9: .*about 66.25", tmp_path / "other", SeedReader(shipped_window_s=4))


def test_label_mat_of_another_corpus_is_refused(root, tmp_path):
    write_labels(root, LABELS[::-1])
    refusal(root, r"label.mat', labels: expected \(1, 15\): 1, 0, -1.*found \(1, 15\): -1, 1, 0", tmp_path / "out")
    write_labels(root, (0, 1) * 12)
    refusal(root, r"label.mat', labels: .*found label \(1, 24\)", tmp_path / "out")
    (root / "ExtractedFeatures" / "label.mat").write_bytes(b"MATLAB 5.0")
    refusal(root, r"label.mat', labels: ", tmp_path / "out")


def test_swapped_raw_files_are_known_by_the_names_in_them(tmp_path):
    """Subjects 1 and 7 were recorded on the same day."""
    path = tmp_path / "Preprocessed_EEG" / "1_20131027.mat"
    path.parent.mkdir()
    signal = np.random.default_rng(0).normal(0, 20, (62, 265 * 200 + 1)).astype(np.float32)
    variables = {f"phl_eeg{n}": signal[:, : s * 200 + 1].astype(float) for n, s in enumerate(SECONDS, start=1)}
    scipy.io.savemat(path, variables)
    reader = SeedReader(source="raw")
    refusal(
        tmp_path, "names of variables: expected 'djc_eeg' at the start of each, found 'phl_eeg'", tmp_path / "o", reader
    )
    path.rename(path.with_name("7_20131027.mat"))
    findings = list(reader._trials(reader._session("Preprocessed_EEG/7_20131027.mat"), _open(path.parent))[1])
    assert all(finding.ok for finding in findings)
    first = next(reader.read(tmp_path, "Preprocessed_EEG/7_20131027.mat"))
    assert (first.subject, first.session) == (7, 1)
    assert first.signal.shape == (62, 47001)
    assert (first.trials[0].start, first.trials[0].stop) == (0, 47000)


def _open(folder):
    from scmmlab.corpora.matlab import open_matlab

    return open_matlab(folder / "7_20131027.mat")


def test_a_link_out_of_the_folder_is_refused(root, tmp_path):
    file = next((root / "ExtractedFeatures").glob("1_*.mat"))
    outside = tmp_path / "outside.mat"
    shutil.move(file, outside)
    file.symlink_to(outside)
    refusal(root, "lies outside the corpus", tmp_path / "out")


def test_two_layouts_at_once_are_refused(root, tmp_path):
    (root / "SEED_EEG" / "ExtractedFeatures_1s").mkdir(parents=True)
    refusal(root, "expected one folder, found ExtractedFeatures and SEED_EEG/ExtractedFeatures_1s", tmp_path / "out")


@pytest.mark.parametrize(("layout", "version"), [("old", "v5"), ("new", "v7.3")])
def test_a_fake_passes_the_check_and_makes_the_table(tmp_path, layout, version):
    fake = fake_class("seed")(subjects=1, small=True, parts="features", layout=layout, version=version)
    written = list(fake.write(tmp_path))
    # label.mat and readme.txt beside the three sessions; in the new layout twice, and the order of the channels
    assert len(written) == (5 if layout == "old" else 11)
    findings = list(SeedReader().check(tmp_path))
    assert all(finding.ok for finding in findings), [finding for finding in findings if not finding.ok]
    manifest = build_table(SeedReader(smoothing="moving_average"), tmp_path, tmp_path / "out").manifest
    assert manifest.windows == 3 * 3394
    if layout == "new":
        fours = SeedReader(shipped_window_s=4)
        assert all(finding.ok for finding in fours.check(tmp_path))
        manifest = build_table(fours, tmp_path, tmp_path / "fours").manifest
        assert (manifest.windows, manifest.window_s) == (3 * sum(seconds // 4 for seconds in SECONDS), 4)
    assert reader_class("seed") is SeedReader


@pytest.mark.parametrize("above", ["ExtractedFeatures", "ExtractedFeatures_1s", "SEED_EEG/ExtractedFeatures", "."])
def test_files_that_were_sorted_into_folders_by_session_are_refused_with_the_remedy(root, tmp_path, above):
    for session in (1, 2, 3):
        path = tmp_path / "sorted" / above / str(session) / f"1_{DATES[1][session - 1]}.mat"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    folder = "ExtractedFeatures" if above == "." else above
    with pytest.raises(CorpusError, match=r"expected .*, found no ") as error:
        SeedReader().files(tmp_path / "sorted")
    assert error.value.hint == (
        f"move the files of 1, 2, 3 into {folder}, side by side; the day in a name tells its session"
    )
    (wrong,) = [finding for finding in SeedReader().check(tmp_path / "sorted") if not finding.ok]
    assert wrong.remedy == error.value.hint


def test_what_else_lies_in_the_folder_is_named(root):
    write_session(root, 1, 1, folder="ExtractedFeatures_4s")
    (root / "ExtractedFeatures" / "readme.txt").write_text("")
    assert [str(each) for each in SeedReader().left_out(root)] == [
        "ExtractedFeatures_4s: the folder with its 1 file left out: not read with these settings",
        "ExtractedFeatures: 1 file: readme.txt left out: not read",
    ]
    shown = [finding.left_out for finding in SeedReader().check(root) if finding.left_out]
    assert tuple(shown) == SeedReader().left_out(root)


@pytest.mark.slow
def test_a_raw_fake_is_read(tmp_path):
    list(fake_class("seed")(subjects=1, small=True, parts="raw").write(tmp_path))
    reader = SeedReader(source="raw")
    assert all(finding.ok for finding in reader.check(tmp_path))
    manifest = build_table(reader, tmp_path, tmp_path / "out").manifest
    assert (manifest.windows, manifest.window_s) == (3394, 1.0)
    assert manifest.provenance["origin"] == "computed"
