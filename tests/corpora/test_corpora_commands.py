"""`scmmlab corpus`, as a user types it."""

import argparse
import shutil
from pathlib import Path

import pytest

from scmmlab.cli import corpus
from scmmlab.errors import CorpusError, SpecError
from scmmlab.tables import read_manifest, read_table

REAL_PAIR = Path(__file__).parent.parent / "data" / "eegmat"


def scmmlab(*words):
    parser = argparse.ArgumentParser()
    corpus.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["corpus", *map(str, words)])
    return arguments.func(arguments)


def build(out, *options):
    return scmmlab("build", "eegmat", "--root", REAL_PAIR, "--out", out, "--engine", "local", *options)


def test_list_says_what_each_corpus_needs(capsys):
    assert scmmlab("list") == 0
    printed = capsys.readouterr().out
    assert "SubjectNN_1.edf (rest)" in printed
    assert "--set block_seconds=" in printed
    assert "shipped:eegmat  4392 windows, 36 subjects" in printed


def test_build_makes_a_table_and_says_so(tmp_path, capsys):
    assert build(tmp_path / "table") == 0
    printed = capsys.readouterr()
    assert "Note: Subject00_1.edf: 20 s of rest instead of 60 s." in printed.out
    assert "has 40 windows of 1 subjects of 'eegmat'" in printed.out
    assert "2 of 2 done" in printed.err
    assert len(read_table(tmp_path / "table")) == 40


def test_build_does_nothing_when_the_table_is_up_to_date(tmp_path, capsys):
    build(tmp_path / "table")
    capsys.readouterr()
    before = (tmp_path / "table" / "part-00000.parquet").stat().st_mtime_ns
    assert build(tmp_path / "table") == 0
    printed = capsys.readouterr()
    assert "Up to date" in printed.out
    assert not printed.err
    assert (tmp_path / "table" / "part-00000.parquet").stat().st_mtime_ns == before


def test_settings_of_the_corpus_and_of_the_features_can_be_set(tmp_path):
    build(tmp_path / "table", "--set", "block_seconds=5", "--set", "features.window_s=2.5", "--set",
          "features.bands={low: [2, 10], high: [10, 30]}")  # fmt: skip
    manifest = read_manifest(tmp_path / "table")
    assert manifest.window_s == 2.5
    assert manifest.bands == {"low": (2, 10), "high": (10, 30)}
    assert manifest.windows == 16


def test_an_unknown_setting_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(SpecError, match=r"Unknown key 'blok_seconds'.*did you mean 'block_seconds'"):
        build(tmp_path / "table", "--set", "blok_seconds=5")


def test_a_setting_out_of_range_is_refused(tmp_path):
    with pytest.raises(SpecError, match=r"Invalid value for 'block_seconds'.*it must be above 0, got -1"):
        build(tmp_path / "table", "--set", "block_seconds=-1")


def test_settings_of_features_that_are_not_computed_here_are_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"The features of 'eegmat_features' are not computed here"):
        scmmlab("build", "eegmat_features", "--root", tmp_path, "--out", tmp_path / "o", "--set", "features.window_s=2",
                "--engine", "local")  # fmt: skip


def test_an_unknown_corpus_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"Unknown corpus 'egmat'"):
        scmmlab("build", "egmat", "--root", tmp_path, "--out", tmp_path / "table")


def test_fake_makes_a_corpus_of_the_size_asked_for(tmp_path, capsys):
    assert scmmlab("fake", "--out", tmp_path / "fake", "--subjects", 2, "--trials", 4, "--windows", 3, "--classes",
                   "low, high", "--channels", "Fz,Cz", "--name", "mine", "--seed", 5) == 0  # fmt: skip
    manifest = read_manifest(tmp_path / "fake")
    assert (manifest.corpus, manifest.windows, manifest.classes) == ("mine", 24, ("low", "high"))
    assert manifest.channels == ("Fz", "Cz")
    assert manifest.provenance["settings"]["seed"] == 5


def test_fake_refuses_a_wrong_number(tmp_path):
    with pytest.raises(SpecError, match=r"Invalid value for 'subjects'.*must be a whole number, got 'many'"):
        scmmlab("fake", "--out", tmp_path / "fake", "--subjects", "many")


def test_show_prints_the_manifest_and_the_windows_by_subject_and_class(capsys):
    assert scmmlab("show", "shipped:eegmat") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "windows 4392 of 1 s" in lines
    assert "licence ODC-By 1.0" in lines
    assert "subject sessions trials rest arithmetic" in lines
    assert "35 1 12 60 62" in lines
    assert "all 2160 2232" in lines


def test_show_refuses_a_folder_without_a_table(tmp_path):
    with pytest.raises(CorpusError, match=r"There is no feature table in"):
        scmmlab("show", tmp_path)


@pytest.mark.slow
def test_ray_and_local_build_the_same_bytes(tmp_path):
    build(tmp_path / "local")
    scmmlab("build", "eegmat", "--root", REAL_PAIR, "--out", tmp_path / "ray")
    for name in ("manifest.json", "part-00000.parquet"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


@pytest.mark.slow
def test_a_damaged_file_is_named_by_ray_as_well(tmp_path):
    shutil.copytree(REAL_PAIR, tmp_path / "raw")
    damaged = tmp_path / "raw" / "Subject00_2.edf"
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    with pytest.raises(CorpusError, match=r"Subject00_2.edf is truncated: expected 20 data records") as error:
        scmmlab("build", "eegmat", "--root", tmp_path / "raw", "--out", tmp_path / "tables" / "ray")
    assert error.value.hint == "copy or download the file again."
    assert not list(tmp_path.glob("tables/*"))
