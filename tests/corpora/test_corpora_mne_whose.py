"""Whose a recording is: each stands once, and its name can be read in one way."""

import unicodedata

import lab_files
import mne
import numpy as np
import pytest

from scmmlab.corpora.lab.layout import RecordingsSpec
from scmmlab.corpora.lab.recordings import find_recordings, not_recordings
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError, SpecError
from scmmlab.tables import build_table, read_manifest

VALUES = [{"name": name, "values": [name, f"Comment/{name}"]} for name in ("calm", "tense")]
LABELS = {"kind": "description", "classes": VALUES}


def reader(**recordings):
    return MneReader(layout=lab_files.layout(recordings=recordings, labels=LABELS))


def touched(root, *files):
    """Recordings of whose names alone it is about; empty files."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def found(root, **spec):
    return [(each.fields, each.subject) for each in find_recordings(RecordingsSpec(**spec), root)]


# --- the same signal twice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "write"),
    [(".fif", lab_files.write_fif), (".set", lab_files.write_eeglab)],
)
def test_one_recording_in_two_formats_is_refused_whatever_its_names(tmp_path, ending, write):
    root = tmp_path / "corpus"
    root.mkdir()
    for subject in (1, 2):
        lab_files.write_edf(root / f"sub{subject}_raw.edf", seed=subject)
    write(root / f"sub3_raw{ending}", seed=2)
    with pytest.raises(CorpusError, match=rf"sub3_raw{ending}' to have the signal of trial 1 .* in 'sub2_raw.edf'"):
        build_table(reader(files="sub{subject}_raw.{format}"), root, tmp_path / "table")
    (wrong,) = [finding for finding in reader(files="sub{subject}_raw.{format}").check(root) if not finding.ok]
    assert (wrong.where, wrong.fact) == (f"sub3_raw{ending}", "signal")
    assert "'sub2_raw.edf'" in wrong.found
    assert not (tmp_path / "table").exists()


def test_two_formats_of_one_name_are_refused_before_they_are_read(tmp_path):
    touched(tmp_path, "s1.edf", "s1.fif")
    with pytest.raises(CorpusError, match=r"s1.edf' and .*s1.fif' differ in their ending alone"):
        found(tmp_path, files="s{subject}.{format}")
    assert len(found(tmp_path, files="s{subject}.edf")) == 1


def test_a_copy_with_another_header_is_refused(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    for name, date in (("a", 1_700_000_000), ("b", 1_600_000_000)):
        lab_files.write_edf(root / f"{name}.edf", seed=1, date=(date, 0))
    with pytest.raises(CorpusError, match=r"'b.edf' to have the signal of trial 1 of subject 1, session 1, in 'a.edf'"):
        build_table(reader(files="{subject}.edf"), root, tmp_path / "table")


def test_a_part_that_was_cut_out_is_refused(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    lab_files.write_edf(root / "a.edf", seed=1)
    raw = lab_files.make_raw(seed=1).crop(10.51, 30)
    mne.export.export_raw(root / "b.edf", raw, fmt="edf", physical_range=(-300, 300), verbose="ERROR")
    with pytest.raises(CorpusError, match=r"in 'b.edf' to have the signal of trial . of subject 1, session 1, in 'a"):
        build_table(reader(files="{subject}.edf"), root, tmp_path / "table")


def test_the_parts_of_a_split_recording_are_no_recordings_and_are_named(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    raw = lab_files.make_raw(seed=1)
    many = mne.io.RawArray(
        np.random.default_rng(0).normal(0, 2e-5, (128, raw.n_times)),
        mne.create_info([f"E{number}" for number in range(128)], lab_files.RATE, "eeg"),
        verbose="ERROR",
    )
    many.set_annotations(mne.Annotations(*zip(*[(onset, 6, name) for onset, name in lab_files.TRIALS], strict=True)))
    many.save(root / "s1_raw.fif", split_size="2MB", verbose="ERROR")
    build_table(reader(files="{subject}_{run}.fif"), root, tmp_path / "table")
    manifest = read_manifest(tmp_path / "table")
    assert (list(manifest.raw_files), manifest.windows) == (["s1_raw.fif"], 24)
    assert [each.where for each in manifest.left_out] == ["s1_raw-1.fif", "s1_raw-2.fif"]
    assert manifest.left_out[0].why == "'s1_raw.fif' goes on in it"
    left_out = [finding.where for finding in reader(files="{subject}.fif").check(root) if finding.left_out]
    assert left_out == ["s1_raw-1.fif", "s1_raw-2.fif"]


@pytest.mark.parametrize("entity", ["desc-clean", "proc-filtered", "recording-x", "space-head", "split-01"])
def test_versions_that_a_bids_name_tells_apart_and_no_setting_are_refused(tmp_path, entity):
    plain = "sub-01/eeg/sub-01_task-rest_run-1_eeg.edf"
    other = plain.replace("_eeg.edf", f"_{entity}_eeg.edf")
    name, value = entity.split("-")
    touched(tmp_path, plain, other)
    with pytest.raises(CorpusError, match=f"differ only in what no setting tells apart: .*{name} .*{value}") as caught:
        found(tmp_path, bids={})
    assert "recordings.bids.only" in caught.value.hint
    (one,) = find_recordings(RecordingsSpec(bids={"only": {name: value}}), tmp_path)
    spec = RecordingsSpec(bids={"only": {name: None}})
    (two,) = find_recordings(spec, tmp_path)
    assert (one.file, two.file) == (other, plain)
    assert [each.where for each in not_recordings(spec, tmp_path)] == [other]


def test_runs_tasks_and_acquisitions_of_a_bids_folder_are_recordings_of_their_own(tmp_path):
    names = ("task-a_run-1", "task-a_run-2", "task-b", "task-b_acq-open")
    touched(tmp_path, *(f"sub-01/eeg/sub-01_{name}_eeg.edf" for name in names))
    assert len(found(tmp_path, bids={})) == 4


def test_an_entity_that_no_name_has_is_named(tmp_path):
    touched(tmp_path, "sub-01/eeg/sub-01_task-rest_eeg.edf")
    with pytest.raises(CorpusError, match="expected 'dsc' in some name, found ending, sub, task"):
        found(tmp_path, bids={"only": {"dsc": "clean"}})


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_name_that_can_be_read_in_two_ways_is_refused_with_both(tmp_path):
    touched(tmp_path, "P_01_1.edf")
    with pytest.raises(CorpusError, match="'P', session '01_1', or subject 'P_01', session '1'") as caught:
        found(tmp_path, files="{subject}_{session}.edf")
    assert "{session:d}" in caught.value.hint


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("P_{subject}_{session}.edf", ["01", "02"]),
        ("{subject}_{session:d}.edf", ["P_01", "P_02"]),
        ("{group:w}_{subject:w}_{session}.edf", ["01", "02"]),
    ],
)
def test_a_pattern_says_how_a_name_is_to_be_read(tmp_path, files, names):
    touched(tmp_path, "P_01_1.edf", "P_02_1.edf")
    assert [fields["subject"] for fields, _ in found(tmp_path, files=files)] == names


def test_a_field_that_stands_twice_makes_a_name_plain(tmp_path):
    touched(tmp_path, "P_01/P_01_1.edf", "P_02/P_02_1.edf")
    assert [fields["subject"] for fields, _ in found(tmp_path, files="{subject}/{subject}_{run}.edf")] == [
        "P_01",
        "P_02",
    ]


def test_two_fields_with_nothing_between_are_ambiguous(tmp_path):
    touched(tmp_path, "ab12.edf")
    with pytest.raises(CorpusError, match="can be read in more than one way"):
        found(tmp_path, files="{subject}{run}.edf")


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (("s1.edf", "S1.edf"), "{subject}.edf"),
        (("s1/a.edf", "S1/b.edf"), "{subject}/{run}.edf"),
        (("s01.edf", "s1.edf", "x2.edf"), "{subject}.edf"),
        (("1/dayA.edf", "2/daya.edf"), "{subject}/{session}.edf"),
        (("1/runA.edf", "1/runa.edf"), "{subject}/{run}.edf"),
        (("1/run1.edf", "1/run01.edf"), "{subject}/run{run}.edf"),
        ((unicodedata.normalize("NFC", "Zoë.edf"), unicodedata.normalize("NFD", "Zoë.edf")), "{subject}.edf"),
        (("s1_Rest.edf", "s1_rest.edf"), "s{subject}_{condition}.edf"),
    ],
)
def test_names_that_are_nearly_the_same_are_refused(tmp_path, files, pattern):
    touched(tmp_path, *files)
    with pytest.raises(CorpusError, match="are nearly the same"):
        found(tmp_path, files=pattern)


def test_an_unknown_kind_of_field_is_refused():
    with pytest.raises((SpecError, ValueError), match="must have its fields as in"):
        RecordingsSpec(files="{subject:x}.edf")
