"""Which channels of a lab's recordings are taken, by whose word, and in which unit."""

import struct

import edf_files
import lab_files
import mne
import numpy as np
import pytest
from edf_files import spoil

from scmmlab.corpora import LeftOut
from scmmlab.corpora.lab.channels import is_no_eeg_by_name
from scmmlab.corpora.lab.layout import read_layout
from scmmlab.corpora.lab.units import is_no_voltage, volts_in
from scmmlab.corpora.mne_recordings import MneReader
from scmmlab.errors import CorpusError, SpecError
from scmmlab.tables import build_table, read_table

COMMENTS = {
    "kind": "description",
    "classes": [{"name": name, "values": [f"Comment/{name}", name]} for name in ("calm", "tense")],
}
CODES = {"kind": "description", "classes": [{"name": "calm", "values": [1]}, {"name": "tense", "values": [2]}]}
WHOLE = {
    "trials": {"kind": "file", "block_s": 11},
    "labels": {
        "kind": "field",
        "field": "part",
        "classes": [{"name": "calm", "values": ["a"]}, {"name": "tense", "values": ["b"]}],
    },
}


def reader(ending, **changes):
    own = {"set": {"trials": {"kind": "annotations", "seconds": 6}}, "cnt": {"labels": CODES}}.get(ending, {})
    own |= {"trials": {"kind": "annotations", "seconds": 6}} if ending == "cnt" else {}
    recordings = {"files": f"sub{{subject}}.{ending}"}
    return MneReader(layout=lab_files.layout(**{"recordings": recordings, "labels": COMMENTS, **own, **changes}))


def first(root, ending, **changes):
    return next(reader(ending, **changes).read(root, f"sub1.{ending}"))


def left_out(root, ending, **changes):
    parts = list(reader(ending, **changes).read(root, f"sub1.{ending}"))
    return [part for part in parts if isinstance(part, LeftOut)]


def replace(path, old, new):
    content = path.read_bytes()
    assert old.encode() in content
    path.write_bytes(content.replace(old.encode(), new if isinstance(new, bytes) else new.encode()))


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volts", "spellings"),
    [
        (1e-6, ["uV", "µV", "μV", "UV", "uv", " µV ", "Âµ" + "V", "Î¼V", "\ufffdV", "\x83ÊV", "microV", "microvolts"]),
        (1e-6, ["Microvolt", "[µV]", "(uV)", "µVolt", "mcV", "uV\0x"]),
        (1e-9, ["nV", "NV", "nanovolt"]),
        (1e-3, ["mV", "MV", "milliVolts"]),
        (1.0, ["V", "v", "Volts", "volt"]),
        (None, ["", "n/a", "%", "uS", "°C", "Boolean", "uV/s", "dB", "arbitrary", "m", "u"]),
    ],
)
def test_a_unit_is_read_however_it_is_spelt(volts, spellings):
    assert {spelling: volts_in(spelling) for spelling in spellings} == dict.fromkeys(spellings, volts)


def test_other_quantities_are_told_from_units_that_nobody_knows():
    assert all(map(is_no_voltage, ["%", "uS", "µS", "°C", "degC", "Boolean", "bpm", "kOhm", "g", "m/s^2"]))
    assert not any(map(is_no_voltage, ["", "n/a", "µV", "nV", "V", "arbitrary", "ADC", "x"]))


LATIN1 = "µV".encode("latin-1")


@pytest.mark.parametrize(
    ("unit", "factor"), [("nV", 1000), ("UV", 1), ("microV", 1), (LATIN1, 1), ("mV", 0.001), ("V", 1e-6)]
)
@pytest.mark.parametrize("ending", ["edf", "bdf", "vhdr"])
def test_each_channel_has_the_unit_that_it_states(tmp_path, ending, unit, factor):
    path = tmp_path / f"sub1.{ending}"
    changes = {"labels": CODES, "trials": {"kind": "status"}} if ending == "bdf" else {}
    if ending == "vhdr":
        lab_files.write_brainvision(path)
        right = first(tmp_path, ending).signal
        unit = unit if isinstance(unit, bytes) else unit.encode()
        replace(path, "Ch2=Cz,,0.1,µV", f"Ch2=Cz,,{0.1 * factor:.12f},".encode() + unit)
    else:
        (lab_files.write_edf if ending == "edf" else lab_files.write_bdf)(path)
        right = first(tmp_path, ending, **changes).signal
        spoil(path, "unit", unit if isinstance(unit, str) else unit.decode("latin-1"), signal=1)
        for field in ("physical_min", "physical_max"):
            number = float(edf_files.field_of(path, field, signal=1)) * factor
            # in the eight letters that there are
            spoil(
                path,
                field,
                next(text for text in (f"{number:.8g}", f"{number:.3g}".replace("e+0", "e")) if len(text) <= 8),
                signal=1,
            )
    np.testing.assert_allclose(first(tmp_path, ending, **changes).signal, right, atol=0.1)


def test_a_letter_of_greek_is_no_other_unit(tmp_path):
    lab_files.write_brainvision(tmp_path / "sub1.vhdr")
    right = first(tmp_path, "vhdr")
    replace(tmp_path / "sub1.vhdr", "µV", "μV")
    found = first(tmp_path, "vhdr")
    assert found.channels == right.channels
    np.testing.assert_allclose(found.signal, right.signal)


def test_scale_is_for_channels_without_a_unit_alone(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    right = first(tmp_path, "edf").signal
    for signal in (0, 1, 2):
        spoil(tmp_path / "sub1.edf", "unit", "", signal=signal)
    np.testing.assert_allclose(first(tmp_path, "edf", signal={"scale": 1e-6}).signal, right)


def test_one_channel_in_another_unit_is_named_whatever_the_reference(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    spoil(tmp_path / "sub1.edf", "unit", "V", signal=2)
    for signal in ({}, {"reference": "average"}, {"reference_channels": ["Fz"]}, {"reference_channels": ["Pz"]}):
        with pytest.raises(CorpusError, match=r"sub1.edf' cannot be in the unit .* found .* µV in channel Pz") as error:
            first(tmp_path, "edf", signal=signal)
        assert "stated as V, and signal.scale does not apply" in error.value.hint


@pytest.mark.parametrize(("unit", "numbers"), [("nV", 1000), ("mV", 0.001)])
def test_a_unit_of_channels_tsv_counts_where_the_file_has_none(tmp_path, unit, numbers):
    lab_files.write_bids(tmp_path, subjects=("01",), form="EEGLAB")
    layout = lab_files.layout(recordings={"bids": {}}, trials={"kind": "events"})
    (file,) = MneReader(layout=layout).files(tmp_path)
    right = next(MneReader(layout=layout).read(tmp_path, file)).signal
    raw = mne.io.read_raw(tmp_path / file, preload=True, verbose="ERROR")
    raw.apply_function(lambda row: row * numbers)
    mne.export.export_raw(tmp_path / file, raw, overwrite=True, verbose="ERROR")
    replace(next(tmp_path.rglob("*_channels.tsv")), "µV", unit)
    np.testing.assert_allclose(next(MneReader(layout=layout).read(tmp_path, file)).signal, right, atol=1e-2)
    # mne-bids writes V where it does not know, and EEGLAB's numbers are µV
    replace(next(tmp_path.rglob("*_channels.tsv")), unit, "V")
    with pytest.raises(AssertionError) if unit == "nV" else pytest.raises(CorpusError, match="cannot be in the unit"):
        found = next(MneReader(layout=layout).read(tmp_path, file)).signal
        np.testing.assert_allclose(found, right, atol=1e-2)


def test_a_unit_of_channels_tsv_that_is_not_the_recordings_is_said(tmp_path):
    lab_files.write_bids(tmp_path, subjects=("01",), form="EDF")
    a_reader = MneReader(layout=lab_files.layout(recordings={"bids": {}}, trials={"kind": "events"}))
    (file,) = a_reader.files(tmp_path)
    right = next(a_reader.read(tmp_path, file))
    replace(next(tmp_path.rglob("*_channels.tsv")), "Cz\tEEG\tµV", "Cz\tEEG\tmV")
    found = next(a_reader.read(tmp_path, file))
    np.testing.assert_array_equal(found.signal, right.signal)
    assert not right.notes
    assert "and not in that of channels.tsv: Cz (uV, mV)" in found.notes[0]


def write_three(root, factor):
    """Three recordings, the last of which has another amplitude."""
    for number in (1, 2, 3):
        raw = lab_files.make_raw(number)
        scaled = mne.io.RawArray(raw.get_data() * (factor if number == 3 else 1), raw.info, verbose="ERROR")
        scaled.set_annotations(raw.annotations).save(root / f"sub{number}_raw.fif", verbose="ERROR")
    return MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}_raw.fif"}))


@pytest.mark.parametrize(("factor", "text"), [(1000, "larger"), (1 / 200, "smaller")])
def test_a_recording_in_another_unit_than_the_others_is_refused(tmp_path, factor, text):
    (tmp_path / "c").mkdir()
    a_reader = write_three(tmp_path / "c", factor)
    message = rf"sub3_raw.fif' is in another unit than the other .*expected .*found .* times {text} ones"
    with pytest.raises(CorpusError, match=message):
        build_table(a_reader, tmp_path / "c", tmp_path / "table")
    assert not (tmp_path / "table").exists()
    (wrong,) = [finding for finding in a_reader.check(tmp_path / "c") if not finding.ok]
    assert (wrong.where, wrong.fact) == ("sub3_raw.fif", "amplitude like that of the other recordings")
    assert wrong.found.endswith(f"times {text}")


def test_a_person_of_large_amplitudes_is_none_of_another_unit(tmp_path):
    (tmp_path / "c").mkdir()
    a_reader = write_three(tmp_path / "c", 30)
    build_table(a_reader, tmp_path / "c", tmp_path / "table")
    assert all(finding.ok for finding in a_reader.check(tmp_path / "c"))


def test_a_channel_unlike_the_others_of_its_recording_is_said_and_taken(tmp_path):
    (tmp_path / "c").mkdir()
    lab_files.write_edf(tmp_path / "c" / "sub1.edf")
    for field, value in (("physical_min", "-1"), ("physical_max", "1")):
        spoil(tmp_path / "c" / "sub1.edf", field, value, signal=1)
    (wrong,) = [finding for finding in reader("edf").check(tmp_path / "c") if not finding.ok]
    assert wrong.fact == "amplitude of channel Cz like that of the others"
    build_table(reader("edf"), tmp_path / "c", tmp_path / "table")
    (note,) = read_table(tmp_path / "table").manifest.provenance["notes"]
    assert "sub1.edf: the amplitude of channel Cz is" in note


# --- what is EEG ------------------------------------------------------------------------------------------------------

NO_EEG = """
ECG EKG EOG HEOG VEOG EOG1 hEOG HEO VEOL EOG_L EMG EMG1 Resp Respiration GSR GSR1 EDA Temp Temperature Plet
SpO2 SaO2 EXG1 EXG8 Status Trigger TRIG Marker STI014 Photo Photodiode Acc AccX ACC_Y GYROX aux1 BIP1 DC01 DIN1 Erg1
Pulse PPG LOC ROC Thorax Airflow Event"""
PHRASES = ["STI 014", "ECG II", "EOG left", "left EOG", "chin EMG", "EKG1-EKG2", "Resp oro-nasal", "POL ECG", "Acc X"]
ELECTRODES = ["Fz-Ref", "Fp1-A2", "EEG 1", "EEG 001", "E1", "E257", "A1", "A32", "H32", "M1", "TP9", "T3", "Ch1", "1",
              "EEG Fp1-LE", "Fp1-F7", "C3-M2", "Fp1-GND", "REF", "O2", "CB1", "SP1"]  # fmt: skip


def test_no_electrode_of_a_standard_montage_has_a_name_of_something_else():
    montages = map(mne.channels.make_standard_montage, mne.channels.get_builtin_montages())
    names = {name for montage in montages for name in montage.ch_names}
    assert len(names) > 1000
    assert [name for name in (*sorted(names), *ELECTRODES) if is_no_eeg_by_name(name)] == []
    assert [name for name in (*NO_EEG.split(), *PHRASES) if not is_no_eeg_by_name(name)] == []


def write_named(path, names):
    """The signal under other names of channels, in a format without types."""
    raw = lab_files.make_raw()
    raw.rename_channels(dict(zip(lab_files.CHANNELS, names, strict=True)))
    if path.suffix == ".cnt":
        lab_files.write_cnt(path)
        content = bytearray(path.read_bytes())
        for number, name in enumerate(names):
            struct.pack_into("10s", content, 900 + 75 * number, name.encode())
        path.write_bytes(bytes(content))
    elif path.suffix == ".bdf":
        lab_files.write_bdf(path)
        for number, name in enumerate(names):
            spoil(path, "label", name, signal=number)
    else:
        options = {"physical_range": (-300, 300)} if path.suffix == ".edf" else {}
        mne.export.export_raw(path, raw, verbose="ERROR", **options)


@pytest.mark.parametrize("ending", ["edf", "bdf", "vhdr", "set", "cnt"])
def test_what_is_no_eeg_by_name_is_left_out_and_said_once(tmp_path, ending):
    changes = {"labels": CODES, "trials": {"kind": "status"}} if ending == "bdf" else {}
    root = tmp_path / "c"
    root.mkdir()
    for number in (1, 2):
        write_named(root / f"sub{number}.{ending}", ("Fz", "HEOG", "ECG II" if ending != "cnt" else "EKG", "A1"))
        content = bytearray((root / f"sub{number}.{ending}").read_bytes())
        content[40] ^= number
        if ending in ("edf", "bdf"):
            (root / f"sub{number}.{ending}").write_bytes(content)
    a_reader = reader(ending, **changes)
    parts = [part for file in (f"sub{number}.{ending}" for number in (1, 2)) for part in a_reader.read(root, file)]
    assert {part.channels for part in parts if not isinstance(part, LeftOut)} == {("Fz", "A1")}
    said = [finding.left_out for finding in a_reader.check(root) if finding.left_out]
    named = " ".join(each.what for each in said)
    assert "HEOG" in named
    assert ("ECG II" in named) or ("EKG" in named) or "II" in named
    assert len(said) == len(set(said))
    of_files = {part for part in parts if isinstance(part, LeftOut) and part.where == "."}
    assert of_files == {each for each in said if "channel" in each.what}
    # whoever names it gets it
    taken = first(root, ending, signal={"channels": ["HEOG", "Fz"]}, **changes)
    assert taken.channels == ("HEOG", "Fz")
    assert first(root, ending, signal={"rename": {"HEOG": "M1"}}, **changes).channels == ("Fz", "M1", "A1")


def test_the_manifest_keeps_what_is_left_out_as_no_eeg(tmp_path):
    root = tmp_path / "c"
    root.mkdir()
    for number in (1, 2):
        lab_files.write_edf(root / f"sub{number}.edf", seed=number)
        spoil(root / f"sub{number}.edf", "label", "Resp", signal=2)
    build_table(reader("edf"), root, tmp_path / "table")
    manifest = read_table(tmp_path / "table").manifest
    assert manifest.channels == ("Fz", "Cz", "Oz")
    assert [str(each) for each in manifest.left_out] == [".: channel Resp left out: no EEG by name"]


def test_a_type_that_is_stated_decides_alone(tmp_path):
    raw = lab_files.make_raw()
    raw.rename_channels({"Fz": "EXG1", "Pz": "P1"}).set_channel_types({"P1": "misc"}, verbose="ERROR")
    raw.save(tmp_path / "sub1_raw.fif", verbose="ERROR")
    parts = list(
        MneReader(layout=lab_files.layout(recordings={"files": "sub{subject}_raw.fif"})).read(tmp_path, "sub1_raw.fif")
    )
    assert parts[0].channels == ("EXG1", "Cz", "Oz")
    assert "no EEG by name, and taken because the recording says that it is EEG: EXG1" in parts[0].notes[0]
    assert [(part.what, part.why) for part in parts if isinstance(part, LeftOut)] == [
        ("channel P1", "no EEG: of type misc")
    ]


def test_types_of_eeglab_count_where_they_say_what_a_channel_is(tmp_path):
    lab_files.write_eeglab_pair(
        tmp_path / "sub1.set", types=("EEG", "EOG", "AUX", "scalp"), names=("EXG1", "X", "Y", "Oz")
    )
    assert first(tmp_path, "set").channels == ("EXG1", "Oz")


@pytest.mark.parametrize("missing", ["file", "rows"])
@pytest.mark.parametrize("form", ["BrainVision", "EDF", "EEGLAB"])
def test_what_channels_tsv_does_not_name_is_told_by_its_name(tmp_path, form, missing):
    names = {"BrainVision": "vhdr", "EDF": "edf", "EEGLAB": "set"}
    lab_files.write_bids(tmp_path, subjects=("01",), form=form, names=("Fz", "ECG", "Pz", "EXG2"))
    table = next(tmp_path.rglob("*_channels.tsv"))
    lines = table.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.split("\t")[0] not in ("ECG", "Pz")]
    if missing == "file":
        table.unlink()
    else:
        table.write_text("\n".join(kept) + "\n", encoding="utf-8")
    a_reader = MneReader(layout=lab_files.layout(recordings={"bids": {}}, trials={"kind": "events"}))
    (file,) = a_reader.files(tmp_path)
    assert file.endswith(names[form])
    # the table says that EXG2 is EEG, and where it says nothing the name tells that it is none
    expected = ("Fz", "Pz", "EXG2") if missing == "rows" else ("Fz", "Pz")
    assert next(a_reader.read(tmp_path, file)).channels == expected


def test_a_channels_tsv_of_other_names_is_refused(tmp_path):
    lab_files.write_bids(tmp_path, subjects=("01",))
    replace(next(tmp_path.rglob("*_channels.tsv")), "Cz\t", "CZZ\t")
    a_reader = MneReader(layout=lab_files.layout(recordings={"bids": {}}, trials={"kind": "events"}))
    message = r"channels.tsv' names channels that .* does not have: expected Cz, found CZZ"
    with pytest.raises(CorpusError, match=message):
        next(a_reader.read(tmp_path, a_reader.files(tmp_path)[0]))


def test_eeg_and_ecg_of_one_number_are_two_channels(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    for number, label in enumerate(("EEG 1", "ECG 1", "EEG 2", "EEG EKG1-REF")):
        spoil(tmp_path / "sub1.edf", "label", label, signal=number)
    assert first(tmp_path, "edf").channels == ("1", "2")
    assert {each.what for each in left_out(tmp_path, "edf")} == {"channel ECG 1", "channel EKG1-REF"}


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [{"drop": ["Ozz"]}, {"rename": {"Ozz": "O1"}}, {"reference_channels": ["Ozz"]}])
def test_a_name_that_no_recording_has_is_refused_with_the_nearest(tmp_path, signal):
    for number in (1, 2):
        lab_files.write_edf(tmp_path / f"sub{number}.edf", seed=number)
    a_reader = reader("edf", signal=signal)
    with pytest.raises(
        CorpusError, match=rf"No recording .* has channel Ozz, which signal.{next(iter(signal))} names"
    ) as error:
        a_reader.files(tmp_path)
    assert error.value.hint == "did you mean 'Oz'?"
    assert any("has channel Ozz" in finding.fact for finding in a_reader.check(tmp_path) if not finding.ok)


def test_a_name_that_some_recording_has_is_none_of_no_recording(tmp_path):
    for number in (1, 2):
        lab_files.write_edf(tmp_path / f"sub{number}.edf", seed=number)
    spoil(tmp_path / "sub2.edf", "label", "VEO", signal=3)
    assert reader("edf", signal={"drop": ["VEO"], "rename": {"Oz": "O1"}}).files(tmp_path)


def test_a_scale_that_applies_to_no_channel_is_refused(tmp_path):
    lab_files.write_edf(tmp_path / "sub1.edf")
    with pytest.raises(CorpusError, match=r"signal.scale applies to no channel .*: expected .*, found a voltage"):
        reader("edf", signal={"scale": 1e-6}).files(tmp_path)


@pytest.mark.parametrize("ending", ["edf", "bdf", "vhdr", "set", "cnt"])
def test_a_channel_that_stands_twice_is_refused_unless_it_is_left_out(tmp_path, ending):
    changes = {"labels": CODES, "trials": {"kind": "status"}} if ending == "bdf" else {}
    path = tmp_path / f"sub1.{ending}"
    write_named(path, lab_files.CHANNELS)
    if ending == "vhdr":
        replace(path, "=Cz,", "=Fz,")
    elif ending == "set":
        path.unlink()
        lab_files.write_eeglab_pair(path, names=("Fz", "Fz", "Pz", "Oz"))
    elif ending == "cnt":
        content = bytearray(path.read_bytes())
        struct.pack_into("10s", content, 975, b"Fz")
        path.write_bytes(bytes(content))
    else:
        spoil(path, "label", "Fz", signal=1)
    with pytest.raises(CorpusError, match=r"has channel Fz 2 times: expected it once, found Fz, Fz, Pz, Oz"):
        first(tmp_path, ending, **changes)
    # MNE reads no BrainVision header that names a channel twice
    if ending == "vhdr":
        return
    assert first(tmp_path, ending, signal={"drop": ["Fz"]}, **changes).channels == ("Pz", "Oz")
    assert first(tmp_path, ending, signal={"channels": ["Oz"]}, **changes).channels == ("Oz",)


@pytest.mark.parametrize("ending", ["edf", "vhdr", "set"])
def test_names_that_differ_in_capitals_alone_are_refused_in_a_sentence(tmp_path, ending):
    write_named(tmp_path / f"sub1.{ending}", ("Fz", "FZ", "Pz", "Oz"))
    with pytest.raises(CorpusError, match=r"differ in capitals alone: expected names that differ, found Fz, FZ"):
        first(tmp_path, ending)
    assert first(tmp_path, ending, signal={"drop": ["FZ"]}).channels == ("Fz", "Pz", "Oz")


def test_a_layout_of_names_that_differ_in_capitals_alone_is_refused(tmp_path):
    (tmp_path / "lab.yaml").write_text(
        'name: lab\nrecordings: {files: "{subject}.edf"}\ntrials: {kind: annotations}\nsignal: {channels: [Fz, FZ]}\n'
        "labels: {kind: description, classes: [{name: a, values: [a]}, {name: b, values: [b]}]}\n"
    )
    with pytest.raises(SpecError, match=r"'signal' in .*: it must have 'channels' that differ in more than capitals"):
        read_layout(tmp_path / "lab.yaml")
