"""Nothing outside the corpus is opened, whatever links and headers point to, and mistakes are one sentence each."""

import struct

import lab_files
import pytest

from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError

OUTSIDE = r"lies outside the corpus: expected a path below .*corpus', found .*elsewhere"


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    return root


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def reader(ending, **changes):
    return MneReader(layout=lab_files.layout(recordings={"files": f"sub{{subject}}{ending}"}, **changes))


def move_away(path, folder):
    """Move a file out of the corpus and leave a link."""
    (folder / path.name).write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(folder / path.name)


def read_all(a_reader, root):
    return [list(a_reader.read(root, file)) for file in a_reader.files(root)]


def refused(a_reader, root, message=OUTSIDE):
    """Each way to a table refuses the folder."""
    with pytest.raises(CorpusError, match=message):
        read_all(a_reader, root)
    with pytest.raises(CorpusError, match=message):
        a_reader.companions(root)


def test_a_recording_that_is_a_link_out_is_refused(root, elsewhere):
    lab_files.write_edf(root / "sub1.edf")
    move_away(root / "sub1.edf", elsewhere)
    refused(reader(".edf"), root)


def test_a_folder_that_is_a_link_out_is_refused_where_recordings_may_lie_in_it(root, elsewhere):
    lab_files.write_edf(root / "sub1.edf")
    (elsewhere / "sub2").mkdir()
    lab_files.write_edf(elsewhere / "sub2" / "sub2.edf")
    (root / "sub2").symlink_to(elsewhere / "sub2")
    assert len(read_all(reader(".edf"), root)) == 1
    refused(reader("/sub{subject}.edf"), root)


def test_a_link_that_stays_inside_is_followed(root):
    (root / "store").mkdir()
    lab_files.write_edf(root / "store" / "content.edf")
    (root / "sub1.edf").symlink_to(root / "store" / "content.edf")
    assert len(list(reader(".edf").read(root, "sub1.edf"))) == 4


@pytest.mark.parametrize("ending", [".eeg", ".vmrk"])
def test_a_brainvision_part_that_is_a_link_out_is_refused(root, elsewhere, ending):
    lab_files.write_brainvision(root / "sub1.vhdr")
    move_away(root / f"sub1{ending}", elsewhere)
    refused(reader(".vhdr"), root)


@pytest.mark.parametrize("key", ["DataFile", "MarkerFile"])
@pytest.mark.parametrize("pointer", ["../elsewhere/sub1", "{elsewhere}/sub1"])
@pytest.mark.parametrize("form", ["{key}={value}", "{lower} : {value}"])
def test_a_brainvision_header_that_points_out_is_refused(root, elsewhere, key, pointer, form):
    lab_files.write_brainvision(root / "sub1.vhdr")
    ending = ".eeg" if key == "DataFile" else ".vmrk"
    (elsewhere / f"sub1{ending}").write_bytes((root / f"sub1{ending}").read_bytes())
    header = (root / "sub1.vhdr").read_text(encoding="utf-8")
    value = pointer.format(elsewhere=elsewhere) + ending
    new = header.replace(f"{key}=sub1{ending}", form.format(key=key, lower=key.lower(), value=value))
    assert new != header
    (root / "sub1.vhdr").write_text(new, encoding="utf-8")
    refused(reader(".vhdr"), root)


def test_a_brainvision_header_in_a_code_that_hides_slashes_is_refused(root):
    lab_files.write_brainvision(root / "sub1.vhdr")
    header = (root / "sub1.vhdr").read_text(encoding="utf-8").replace("Codepage=UTF-8", "Codepage=UTF-7")
    (root / "sub1.vhdr").write_text(header, encoding="utf-8")
    refused(reader(".vhdr"), root, r"wrong about Codepage: expected UTF-8 or ANSI, found UTF-7")


def test_a_brainvision_part_that_is_missing_is_named(root):
    lab_files.write_brainvision(root / "sub1.vhdr")
    (root / "sub1.eeg").unlink()
    refused(reader(".vhdr"), root, r"sub1.vhdr' names a file that is not there: expected .*sub1.eeg', found nothing")


def test_a_brainvision_signal_that_is_cut_within_a_sample_is_refused(root):
    lab_files.write_brainvision(root / "sub1.vhdr")
    content = (root / "sub1.eeg").read_bytes()
    (root / "sub1.eeg").write_bytes(content[:-3])
    refused(reader(".vhdr"), root, rf"sub1.eeg' is truncated .*: expected a multiple of .*, found {len(content) - 3} ")


@pytest.mark.parametrize("pointer", ["../elsewhere/secret.fdt", "{elsewhere}/secret.fdt", "other.fdt"])
def test_an_eeglab_header_that_points_elsewhere_is_refused(root, elsewhere, pointer):
    for name in (elsewhere / "secret.fdt", root / "other.fdt"):
        name.write_bytes(lab_files.make_signal(1).T.astype("<f4").tobytes())
    lab_files.write_eeglab_pair(root / "sub1.set", data_name=pointer.format(elsewhere=elsewhere))
    with pytest.raises(
        CorpusError, match=r"sub1.set' has its signal in another file: expected .*sub1.set below .*, found"
    ):
        next(reader(".set").read(root, "sub1.set"))


def test_an_eeglab_signal_that_is_a_link_out_is_refused(root, elsewhere):
    lab_files.write_eeglab_pair(root / "sub1.set")
    move_away(root / "sub1.fdt", elsewhere)
    refused(reader(".set"), root)


def test_an_eeglab_signal_of_another_length_is_refused(root):
    lab_files.write_eeglab_pair(root / "sub1.set")
    content = (root / "sub1.fdt").read_bytes()
    (root / "sub1.fdt").write_bytes(content[:-16])
    with pytest.raises(CorpusError, match=rf"sub1.fdt' does not fit .*: expected {len(content)} bytes .*, found"):
        next(reader(".set").read(root, "sub1.set"))


def split_fif(root):
    raw = lab_files.make_raw().resample(1024, verbose="ERROR")
    raw.save(root / "sub1_raw.fif", split_size=1_300_000, buffer_size_sec=1, verbose="ERROR")


def test_a_fif_part_that_is_a_link_out_is_refused(root, elsewhere):
    split_fif(root)
    move_away(root / "sub1_raw-1.fif", elsewhere)
    refused(reader("_raw.fif"), root)


def test_a_fif_file_whose_next_part_is_named_outside_is_refused(root, elsewhere):
    split_fif(root)
    content = (root / "sub1_raw.fif").read_bytes()
    assert content.count(b"sub1_raw-1.fif") == 1
    at = content.index(b"sub1_raw-1.fif")
    name = b"../elsewhere/a"
    assert len(name) == len(b"sub1_raw-1.fif")
    assert struct.unpack(">i", content[at - 8 : at - 4]) == (len(name),)
    (root / "sub1_raw.fif").write_bytes(content.replace(b"sub1_raw-1.fif", name))
    (elsewhere / "a").write_bytes((root / "sub1_raw-1.fif").read_bytes())
    refused(reader("_raw.fif"), root)


def test_a_fif_chain_of_tags_that_leads_back_is_refused(root):
    lab_files.write_fif(root / "sub1_raw.fif")
    content = bytearray((root / "sub1_raw.fif").read_bytes())
    # the first tag, whose last number says where the next one is
    content[12:16] = struct.pack(">i", 0)
    second = 16 + struct.unpack(">i", content[8:12])[0]
    content[second + 12 : second + 16] = struct.pack(">i", 4)
    (root / "sub1_raw.fif").write_bytes(content)
    refused(
        reader("_raw.fif"), root, r"is not a complete FIF file: expected tags one behind the other, found a tag at byte"
    )


@pytest.mark.parametrize("name", ["sub-01/ses-1/eeg/sub-01_ses-1_task-music_events.tsv", "sub-01/ses-1/eeg", "sub-01"])
def test_a_link_out_of_a_bids_folder_is_refused(root, elsewhere, name):
    lab_files.write_bids(root)
    path = root / name
    path.rename(elsewhere / path.name)
    path.symlink_to(elsewhere / path.name)
    a_reader = MneReader(layout=lab_files.layout(recordings={"bids": {}}, trials={"kind": "events"}))
    with pytest.raises(CorpusError, match=OUTSIDE):
        read_all(a_reader, root)


@pytest.mark.parametrize("where", ["table", "participants"])
def test_a_table_that_is_a_link_out_is_refused(root, elsewhere, where):
    lab_files.write_edf(root / "sub1.edf")
    (root / "t.csv").write_text("subject,onset,duration,mood\n1,3,6,calm\n")
    move_away(root / "t.csv", elsewhere)
    classes = lab_files.LAYOUT["labels"]["classes"]
    if where == "table":
        changes = {
            "trials": {"kind": "table", "file": "t.csv", "match": {"subject": "subject"}},
            "labels": {"kind": "column", "column": "mood", "classes": classes},
        }
    else:
        labels = {"kind": "participant", "file": "t.csv", "subject": "subject", "column": "mood", "classes": classes}
        changes = {"labels": labels}
    refused(reader(".edf", **changes), root)


def test_a_field_of_a_name_cannot_lead_a_table_out(root, elsewhere):
    lab_files.write_edf(root / "sub...edf")
    (elsewhere / "t.csv").write_text("onset,duration,mood\n3,6,calm\n")
    labels = {"kind": "column", "column": "mood", "classes": lab_files.LAYOUT["labels"]["classes"]}
    changes = {"trials": {"kind": "table", "file": "{subject}/elsewhere/t.csv"}, "labels": labels}
    refused(reader(".edf", **changes), root)


@pytest.mark.parametrize("ending", [".edf", ".bdf", ".vhdr", "_raw.fif", ".set", ".cnt"])
def test_a_file_of_another_kind_is_refused_in_one_sentence(root, ending):
    (root / f"sub1{ending}").write_bytes(b"This is a letter and no recording.\n" * 200)
    with pytest.raises(CorpusError, match=rf"sub1{ending}.* expected .*found ") as error:
        next(reader(ending).read(root, f"sub1{ending}"))
    assert "\n" not in error.value.message


@pytest.mark.parametrize("ending", [".edf", ".bdf", ".vhdr", "_raw.fif", ".set", ".cnt"])
def test_a_folder_in_place_of_a_recording_is_refused(root, ending):
    (root / f"sub1{ending}").mkdir()
    with pytest.raises(CorpusError, match=rf"sub1{ending}.* expected .*found "):
        next(reader(ending).read(root, f"sub1{ending}"))
