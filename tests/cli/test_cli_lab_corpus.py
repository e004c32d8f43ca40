"""A lab's BIDS folder from the command line: check, build, plan; no code."""

import subprocess
import sys

import pytest
import yaml

from corpora import lab_files

STUDY = """
kind: ablation
name: lab
base:
  pretrain: {batch_size: 16}
  finetune: {batch_size: 16}
  protocol: {kind: loso, subjects_per_fold: 1}
variants: {full: {}, no_aggregator: {aggregator.enabled: false}}
transfers:
  - name: within
    source: {table: table, subjects: 1-2}
    target: {table: table, subjects: 3-5}
seeds: [0]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    lab_files.write_bids(folder / "bids", subjects=("01", "02", "03", "04", "05"))
    layout = lab_files.layout(recordings={"bids": {"task": "music"}}, trials={"kind": "events"})
    (folder / "lab.yaml").write_text(yaml.safe_dump(layout))
    (folder / "study.yaml").write_text(STUDY)
    return folder


def test_a_bids_folder_is_checked_built_and_planned_on(folder, scmmlab):
    options = ("mne", "--root", folder / "bids", "--layout", folder / "lab.yaml")
    checked = scmmlab("corpus", "check", *options, "--verbose")
    assert checked.status == 0, checked.out + checked.err
    assert "calm 2, tense 2" in checked.out
    assert " other files: README, dataset_description.json, participants.json, " in checked.out
    assert ["05", "5", "1", "1", "2", "2"] in [line.split() for line in checked.out.splitlines()]
    assert checked.out.splitlines()[-1].endswith("all hold; left out: 1, each named above.")
    built = scmmlab("corpus", "build", *options, "--out", folder / "table", "--engine", "local")
    assert built.status == 0, built.err
    assert "has 120 windows of 5 subjects of 'lab'" in built.out
    again = scmmlab("corpus", "build", *options, "--out", folder / "table", "--engine", "local")
    assert "Up to date" in again.out
    planned = scmmlab("plan", folder / "study.yaml")
    assert planned.status == 0, planned.err
    assert "no_aggregator" in planned.out
    shown = scmmlab("corpus", "show", folder / "table")
    assert shown.status == 0


def test_a_setting_of_the_layout_can_be_set_for_once(folder, scmmlab):
    options = ("mne", "--root", folder / "bids", "--layout", folder / "lab.yaml", "--engine", "local")
    built = scmmlab("corpus", "build", *options, "--out", folder / "half", "--set", "layout.trials.skip_s=3",
                    "--set", "features.window_s=0.5")  # fmt: skip
    assert "has 120 windows" in built.out
    wrong = scmmlab("corpus", "build", *options, "--out", folder / "x", "--set", "layout.trials.skip=3")
    assert wrong.status == 2
    assert "did you mean 'skip_s'?" in wrong.err


def test_what_is_wrong_with_a_folder_is_said_and_nothing_is_built(folder, scmmlab, tmp_path):
    (tmp_path / "lab.yaml").write_text((folder / "lab.yaml").read_text().replace("- tense", "- tens"))
    options = ("mne", "--root", folder / "bids", "--layout", tmp_path / "lab.yaml")
    checked = scmmlab("corpus", "check", *options)
    assert checked.status == 1
    assert "class tense" in checked.out
    assert "trials in 0 recordings" in checked.out


def test_without_a_layout_the_option_is_named(folder, scmmlab):
    done = scmmlab("corpus", "build", "mne", "--root", folder / "bids", "--out", folder / "no")
    assert done.status == 2
    assert "'mne' needs a layout: expected --layout FILE, found none" in done.err
    done = scmmlab("corpus", "check", "eegmat", "--root", folder, "--layout", folder / "lab.yaml")
    assert done.status == 2
    assert "Unknown key 'layout'" in done.err


def test_the_list_shows_the_reader_and_its_option(scmmlab):
    listed = scmmlab("corpus", "list").out
    assert "mne: a lab's own recordings: EDF, BDF, BrainVision, FIF, EEGLAB, CNT, or a BIDS folder" in listed
    assert "--layout FILE" in listed


@pytest.mark.slow
def test_neither_help_nor_list_waits_for_mne(tmp_path):
    code = (
        "import sys; from scmmlab.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "assert not {'mne', 'mne_bids'} & set(sys.modules), 'imported'\n"
    )
    for arguments in (["--help"], ["corpus", "list"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_ray_builds_the_same_bytes(folder, scmmlab):
    options = ("mne", "--root", folder / "bids", "--layout", folder / "lab.yaml")
    for engine in ("local", "ray"):
        done = scmmlab("corpus", "build", *options, "--out", folder / engine, "--engine", engine)
        assert done.status == 0, done.err
    for name in ("manifest.json", "part-00000.parquet"):
        assert (folder / "ray" / name).read_bytes() == (folder / "local" / name).read_bytes()


@pytest.mark.parametrize("protocol", ["honest", "loso", "zero_shot", "released"])
def test_one_folder_under_two_names_is_refused_before_anything_is_run(folder, scmmlab, protocol):
    for name in ("valence", "arousal"):
        built = scmmlab("corpus", "build", "mne", "--root", folder / "bids", "--layout", folder / "lab.yaml",
                        "--engine", "local", "--out", folder / name, "--set", f"layout.name={name}")  # fmt: skip
        assert built.status == 0, built.err
    study = yaml.safe_load(STUDY)
    study["base"]["protocol"] = {"kind": protocol}
    sides = {"source": {"table": "valence"}, "target": {"table": "arousal"}}
    study["transfers"] = [{"name": "leak", **sides}]
    (folder / "leak.yaml").write_text(yaml.safe_dump(study))
    store = folder / f"runs-{protocol}"
    for command in (("plan",), ("run", "--engine", "local")):
        said = scmmlab(*command, folder / "leak.yaml", "--store", store)
        assert said.status == 2
        assert "would leak: source and target hold the same recordings: subjects 1-5 of 'valence' are" in said.err
    assert not list(store.glob("**/cells/*"))
