"""Wrong input ends in one sentence and exit status 2, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

COMMANDS = ("plan", "run", "status", "results", "report", "ui", "doctor")


def test_an_unknown_command_is_answered_with_the_nearest(scmmlab) -> None:
    done = scmmlab("stauts", "x.yaml")
    assert done.status == 2
    assert "Did you mean 'status'?" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_that_is_not_there_is_named(scmmlab, command: str, tmp_path: Path) -> None:
    done = scmmlab(command, tmp_path / "nothing.yaml", "--store", tmp_path / "runs")
    assert done.status == 2
    assert "nothing.yaml" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("base.masking.ratio=1.5", "base.masking.ratio"),
        ("base.maskin.ratio=0.5", "did you mean 'masking'"),
        ("base.pretrain.epochs=many", "base.pretrain.epochs"),
        ("variants.full={masking.mod: none}", "did you mean"),
        ("transfers=[{name: x, source: {table: nowhere}, target: {table: nowhere}}]", "nowhere"),
        ("base.protocol.finetune_trials=9", "trial"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_starts(scmmlab, study, tmp_path, override, expected) -> None:
    done = scmmlab("run", study, "--engine", "local", "--store", tmp_path / "runs", "--set", override)
    assert done.status == 2
    assert expected in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "runs").exists()


def test_a_path_that_a_setting_had_is_read_and_the_new_one_said(scmmlab, study, tmp_path: Path) -> None:
    plain = scmmlab("plan", study, "--json", "--store", tmp_path, "--set", "base.finetune.zero_grad=false")
    done = scmmlab("plan", study, "--json", "--store", tmp_path, "--set", "base.protocol.zero_grad=false")
    assert (done.status, done.out) == (0, plain.out)
    note = "Note: 'protocol.zero_grad' is now 'finetune.zero_grad'; the old path still means the same.\n"
    assert done.err == note
    assert plain.err == ""


def test_the_ui_of_a_study_that_never_ran_says_how_to_run_it(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("ui", study, "--store", tmp_path / "runs")
    assert done.status == 2
    assert "scmmlab run" in done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("bench", "--device", "abacus"), "this machine has cpu"),
        (("bench", "--threads", "0"), "at least 1, got '0'"),
        (("verify", "x.npz", "--device", "cuda:99"), "got 'cuda:99'"),
    ],
)
def test_a_device_that_is_not_there_is_refused(scmmlab, arguments, expected: str) -> None:
    done = scmmlab(*arguments)
    assert done.status == 2
    assert expected in done.err


@pytest.mark.parametrize("command", ["plan", "run", "status", "results", "report"])
def test_a_store_that_is_a_file_is_refused(scmmlab, study, tmp_path: Path, command: str) -> None:
    place = tmp_path / "taken"
    place.write_text("mine")
    done = scmmlab(command, study, "--store", place)
    assert done.status == 2
    assert "must be a folder" in done.err
    assert place.read_text() == "mine"


def test_a_report_of_nothing_is_refused(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("report", study, "--store", tmp_path / "runs")
    assert done.status == 2
    assert "There is nothing to report" in done.err
    assert f"scmmlab run {study}" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_plan_for_a_larger_machine_than_this_is_printed_without_an_estimate(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("plan", study, "--store", tmp_path / "runs", "--set", "resources.workers=100000")
    assert done.status == 0
    assert "this machine alone could not run it" in done.out
    assert "100000 CPU needed" in done.out


def test_a_report_cannot_take_the_place_of_a_file(scmmlab, study, finished, tmp_path: Path) -> None:
    place = tmp_path / "taken"
    place.write_text("mine")
    done = scmmlab("report", study, "--store", finished, "--out", place)
    assert done.status == 2
    assert "Cannot write the report" in done.err
    assert place.read_text() == "mine"


@pytest.mark.parametrize("command", [*COMMANDS, "corpus", "verify", "bench", "schema"])
def test_every_command_explains_itself(scmmlab, command: str) -> None:
    done = scmmlab(command, "--help")
    assert done.status == 0
    assert done.out.startswith(f"usage: scmmlab {command}")


def test_a_tracking_server_that_mlflow_cannot_use_is_refused(scmmlab, study, tmp_path: Path) -> None:
    done = scmmlab("run", study, "--engine", "local", "--store", tmp_path / "runs", "--tracking-uri", "file:///runs")
    assert done.status == 2
    assert "--tracking-uri" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_too_long_for_ray_is_refused_before_anything_is_written(scmmlab, study, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", f"/tmp/{'x' * 80}")
    done = scmmlab("run", study, "--store", tmp_path / "runs")
    assert done.status == 2
    assert done.err.startswith("scmmlab: Ray cannot start with RAY_TMPDIR=/tmp/xxx")
    assert done.err.count("\n") == 2
    assert not (tmp_path / "runs").exists()
    built = scmmlab("corpus", "build", "eegmat", "--root", tmp_path, "--out", tmp_path / "table")
    assert built.status == 2
    assert "RAY_TMPDIR" in built.err
