"""Everything in the folder of a lab's corpus is read, refused, or named as left out with the reason."""

import shutil
import time

import lab_files
import pytest

from scmmlab.corpora import LeftOut, summarize
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.corpora.unused import walk
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table

ANNEX = "../../.git/annex/objects/aa/bb/MD5E-s1--0.edf/MD5E-s1--0.edf"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    return root


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A BIDS folder of two subjects with the least that it needs."""
    root = tmp_path_factory.mktemp("bids")
    for subject in ("01", "02"):
        folder = root / f"sub-{subject}/eeg"
        folder.mkdir(parents=True)
        lab_files.write_edf(folder / f"sub-{subject}_task-music_eeg.edf", seed=int(subject))
        rows = "".join(f"{onset}\t6\t{name}\n" for onset, name in lab_files.TRIALS)
        (folder / f"sub-{subject}_task-music_events.tsv").write_text(f"onset\tduration\ttrial_type\n{rows}")
    return root


@pytest.fixture
def bids(root, written):
    shutil.copytree(written, root, dirs_exist_ok=True)
    return root


def pattern_reader(files="sub{subject}.edf"):
    return MneReader(layout=lab_files.layout(recordings={"files": files}))


def bids_reader(task="music", **bids):
    recordings = {"bids": {"task": task, **bids}}
    return MneReader(layout=lab_files.layout(recordings=recordings, trials={"kind": "events"}))


def left_out(reader, root):
    """By place: what, and why."""
    return {each.where: (each.what, each.why) for each in reader.left_out(root)}


def second(root, name=None):
    """The second subject's recording, under another name where one is given."""
    path = root / "sub-02/eeg/sub-02_task-music_eeg.edf"
    return path if name is None else path.rename(path.with_name(name))


def test_nothing_is_said_where_everything_is_used(bids):
    assert bids_reader().left_out(bids) == ()
    assert all(finding.ok and finding.left_out is None for finding in bids_reader().check(bids))


# --- content that is not there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pointer", ["link", "/annex/objects/MD5E-s1--0.edf\n", LFS])
def test_a_recording_that_was_not_fetched_is_refused_with_the_command(bids, pointer):
    path = second(bids)
    path.unlink()
    if pointer == "link":
        path.symlink_to(ANNEX)
    else:
        path.write_text(pointer)
    with pytest.raises(CorpusError, match=r"sub-02_task-music_eeg.edf' was not fetched: expected .*, found a pointer"):
        bids_reader().files(bids)
    (wrong,) = [finding for finding in bids_reader().check(bids) if not finding.ok]
    assert ("git lfs pull" if pointer == LFS else "datalad get") in wrong.remedy
    flat = pattern_reader("sub-{subject}/eeg/{name}.edf")
    with pytest.raises(CorpusError, match="was not fetched"):
        flat.files(bids)


def test_a_signal_or_a_table_beside_a_recording_that_was_not_fetched_is_refused(root, bids):
    lab_files.write_brainvision(root / "subA.vhdr")
    (root / "subA.eeg").unlink()
    (root / "subA.eeg").symlink_to(".git/annex/objects/aa/bb/MD5E-s1--0.eeg/MD5E-s1--0.eeg")
    with pytest.raises(CorpusError, match=r"subA.eeg' was not fetched"):
        pattern_reader("sub{subject}.vhdr").companions(root)
    events = bids / "sub-02/eeg/sub-02_task-music_events.tsv"
    events.write_text("/annex/objects/MD5E-s1--0.tsv\n")
    with pytest.raises(CorpusError, match=r"events.tsv' was not fetched"):
        list(bids_reader().read(bids, second(bids).relative_to(bids).as_posix()))


def test_a_link_to_nothing_is_named(root):
    lab_files.write_edf(root / "sub1.edf")
    (root / "sub2.edf").symlink_to("gone.edf")
    with pytest.raises(CorpusError, match=r"sub2.edf' is a link to nothing: expected a recording, found no file"):
        pattern_reader().files(root)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".EDF", ".Edf", ".eDf"])
def test_endings_that_mne_reads_in_capitals_are_read(bids, ending):
    second(bids, f"sub-02_task-music_eeg{ending}")
    assert len(bids_reader().files(bids)) == 2
    assert len(list(bids_reader().read(bids, bids_reader().files(bids)[1]))) == 4


@pytest.mark.parametrize(("write", "ending"), [("write_brainvision", ".VHDR"), ("write_eeglab", ".Set")])
def test_endings_that_mne_reads_in_small_letters_alone_are_refused(bids, write, ending):
    path = bids / f"sub-03/eeg/sub-03_task-music_eeg{ending.lower()}"
    path.parent.mkdir(parents=True)
    getattr(lab_files, write)(path)
    path.rename(path.with_suffix(ending))
    with pytest.raises(CorpusError, match=rf"expected the ending {ending.lower()} in small letters, found {ending}"):
        bids_reader().files(bids)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.rename(path.with_name(path.name.replace("music", "Music"))), "the task music, found Music"),
        (lambda path: path.rename(path.with_name(path.name.replace("_eeg", "_EEG"))), "the suffix eeg, found EEG"),
        (lambda path: path.parent.rename(path.parent.with_name("EEG")), "the folder eeg, found EEG"),
        (lambda path: path.parents[1].rename(path.parents[2] / "Sub-02"), "the folder sub-02, found Sub-02"),
    ],
)
def test_what_differs_in_case_alone_is_refused(bids, change, message):
    change(second(bids))
    with pytest.raises(CorpusError, match=rf"ub-02.*differs in small and capital letters .*: expected {message}"):
        bids_reader().files(bids)


def test_a_task_that_nobody_has_is_answered_with_those_that_there_are(bids):
    with pytest.raises(CorpusError, match=r"no recordings of task musik .*found no .*only tasks music") as error:
        bids_reader("musik").files(bids)
    assert error.value.hint == "did you mean 'music'?"


def test_a_recording_in_the_folder_of_another_subject_is_refused(bids):
    second(bids, "sub-03_task-music_eeg.edf")
    with pytest.raises(CorpusError, match=r"contradicts its folder: expected sub-02, found sub-03"):
        bids_reader().files(bids)


def test_two_files_of_one_name_are_refused(bids):
    path = second(bids)
    lab_files.write_fif(path.with_suffix(".fif"), seed=2)
    with pytest.raises(
        CorpusError, match="differ in their ending alone: expected each recording once, found two formats"
    ):
        bids_reader().files(bids)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sub-02/eeg/sub-02_task-rest_eeg.edf", "of task rest and not music"),
        ("sub-02/eeg/sub-02_eeg.edf", "of no task"),
        ("sub-02/eeg/sub-02_task-music_physio.edf", "of the suffix physio and not eeg"),
        ("sub-02/meg/sub-02_task-music_meg.fif", "in a folder meg and not in eeg"),
        ("sub-02/sub-02_task-music_eeg.edf", "in a folder sub-02 and not in eeg"),
        ("sub-02/eeg/old/sub-02_task-music_eeg.edf", "in a folder old and not in eeg"),
        ("sub-02/eeg/sub-02_task-music_run-2_eeg.edf.gz", "packed (.gz); unpack it"),
        ("sub-02/eeg/sub-02_task-music_run-2_eeg.zip", "packed (.zip); unpack it"),
        ("sub-02/eeg/sub-02_task-music_run-2_eeg.gdf", "of a format that is not read (.gdf)"),
        ("sub-02/eeg/sub-02_task-music_run-2_eeg.mff/signal1.bin", "of a format that is not read (.mff)"),
        ("pilot/eeg/sub-03_task-music_eeg.edf", "not in a folder of a subject (sub-*)"),
        ("extra.edf", "not in a folder of a subject (sub-*)"),
    ],
)
def test_recordings_of_a_bids_folder_that_are_not_asked_for_are_named(bids, name, why):
    (bids / name).parent.mkdir(parents=True, exist_ok=True)
    (bids / name).write_bytes(b"x")
    where = name.split("/signal1")[0]
    assert left_out(bids_reader(), bids) == {where: ("the recording", why)}
    assert bids_reader().files(bids) == tuple(f"sub-{n}/eeg/sub-{n}_task-music_eeg.edf" for n in ("01", "02"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sub2.EDF", "like 'recordings.files' but for small and capital letters"),
        ("Sub2.edf", "like 'recordings.files' but for small and capital letters"),
        ("sub2.edf.gz", "packed (.gz); unpack it"),
        ("sub2.7z", "packed (.7z); unpack it"),
        ("subject2.vhdr", "not like 'recordings.files'"),
        ("pilot/sub2.edf", "not like 'recordings.files'"),
        ("sub2.gdf", "of a format that is not read (.gdf)"),
    ],
)
def test_recordings_that_do_not_fit_the_pattern_are_named(root, name, why):
    lab_files.write_edf(root / "sub1.edf")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"x")
    assert left_out(pattern_reader(), root) == {name: ("the recording", why)}


def test_a_recording_in_several_files_is_named_once(root):
    lab_files.write_brainvision(root / "sub1.vhdr")
    lab_files.write_brainvision(root / "test.vhdr", seed=1)
    found = pattern_reader("sub{subject}.vhdr").left_out(root)
    assert found == (LeftOut(where="test.vhdr", what="the recording", why="not like 'recordings.files'"),)


def test_many_recordings_of_one_reason_are_one_line(bids):
    for number in range(9):
        (bids / f"sub-02/eeg/sub-02_task-rest_run-{number}_eeg.edf").write_bytes(b"x")
    (what, why) = left_out(bids_reader(), bids)["."]
    assert what.startswith("9 recordings: sub-02/eeg/sub-02_task-rest_run-0_eeg.edf, ")
    assert what.endswith(" and 1 more")
    assert why == "of task rest and not music"


def test_folders_that_bids_sets_apart_are_named_once_and_other_files_together(bids):
    for name in ("derivatives/clean/sub-01_eeg.edf", "derivatives/a.txt", "code/run.m", "README", "participants.tsv"):
        (bids / name).parent.mkdir(parents=True, exist_ok=True)
        (bids / name).write_bytes(b"x")
    (bids / ".git").mkdir()
    (bids / ".git/config").write_bytes(b"x")
    (bids / "sub-01/eeg/._sub-01_task-music_eeg.edf").write_bytes(b"x")
    assert [(each.where, each.what) for each in bids_reader().left_out(bids)] == [
        ("code", "the folder with its 1 file"),
        ("derivatives", "the folder with its 2 files, 1 recording among them"),
        (".", "2 other files: README, participants.tsv"),
        (".", "hidden: .git, sub-01/eeg/._sub-01_task-music_eeg.edf"),
    ]


def test_what_is_left_out_stands_in_the_manifest_and_makes_no_other_table(root, tmp_path):
    lab_files.write_edf(root / "sub1.edf")
    before = build_table(pattern_reader(), root, tmp_path / "table").manifest
    (root / "sub2.edf.gz").write_bytes(b"x")
    after = build_table(pattern_reader(), root, tmp_path / "other").manifest
    assert after.left_out == (LeftOut(where="sub2.edf.gz", what="the recording", why="packed (.gz); unpack it"),)
    assert after.fingerprint == before.fingerprint


def test_what_is_left_out_is_said_in_a_line_for_each_reason_that_names_the_places():
    same = [LeftOut(where=f"{number}.edf", what="the recording", why="packed") for number in range(10)]
    lines = summarize(
        [*same, LeftOut(where=".", what="1 other file: a", why="none"), LeftOut(where="b", what="x", why="y")]
    )
    assert lines == [
        "the recording in each of " + ", ".join(f"{number}.edf" for number in range(8)) + " and 2 more (packed)",
        "1 other file: a (none)",
        "x in b (y)",
    ]


def test_a_check_lists_the_folder_as_often_for_many_recordings_as_for_few(root, monkeypatch):
    walks = []
    monkeypatch.setattr("scmmlab.corpora.lab.files.walk", lambda folder: walks.append(folder) or walk(folder))
    counts = []
    for subject in (1, 2, 3):
        lab_files.write_edf(root / f"sub{subject}.edf", seed=subject)
        walks.clear()
        list(pattern_reader().check(root))
        counts.append(len(walks))
    assert counts[0] == counts[1] == counts[2] > 0


def test_links_that_go_round_are_not_followed(root):
    lab_files.write_edf(root / "sub1.edf")
    (root / "round").symlink_to(root)
    started = time.monotonic()
    assert left_out(pattern_reader(), root) == {
        ".": ("1 other file: round", "no recordings, nor anything that bears on them")
    }
    assert time.monotonic() - started < 30
