"""A sweep from plan to report, by the commands that a user types."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

SWEEP = """
kind: sweep
name: tiny-sweep
base:
  network: {width: 16, classifier_width: 8}
  pretrain: {epochs: 4, batch_size: 32}
  protocol: {kind: honest, finetune_trials: 6}
space:
  masking.threshold: {low: 0.0, high: 1.0, when: {masking.mode: hybrid}}
  masking.mode: {choices: [none, hybrid]}
  pretrain.epochs: {low: 2, high: 6, type: int}
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
objectives: [probe, epochs]
tune_trials: 10
concurrency: 2
report_every: 2
asha: null
points:
  - {masking.mode: none}
  - {masking.mode: hybrid, masking.threshold: 0.25}
"""


@pytest.fixture
def search(study: Path) -> Path:
    """A sweep's file beside its two tables."""
    path = study.with_name("sweep.yaml")
    path.write_text(SWEEP)
    return path


def test_the_plan_says_where_a_path_is_searched(scmmlab, search, tmp_path: Path) -> None:
    done = scmmlab("plan", search, "--store", tmp_path, "--no-estimate")
    assert done.status == 0
    assert "masking.threshold  numbers from 0 to 1, where masking.mode is hybrid\n" in done.out


def test_a_mistake_in_a_condition_ends_with_status_2(scmmlab, search, tmp_path: Path) -> None:
    change = "space.masking.threshold.when={masking.mod: hybrid}"
    done = scmmlab("run", search, "--store", tmp_path, "--set", change)
    assert done.status == 2
    assert "Unknown key 'space.masking.threshold.when.masking.mod'" in done.err
    assert "did you mean 'masking.mode'?" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sweep_with_conditions_and_two_objectives_runs_and_is_reported(scmmlab, search, tmp_path: Path) -> None:
    done = scmmlab("run", search, "--engine", "local", "--store", tmp_path)
    assert done.status == 0, done.err
    assert "10/10 settings done" in done.err
    assert "slots" in done.err
    assert scmmlab("status", search, "--store", tmp_path).out.startswith("10 settings: 10 complete")
    rows = list(csv.DictReader(io.StringIO(scmmlab("results", search, "--store", tmp_path).out)))
    assert {row["masking.threshold"] == "" for row in rows if row["masking.mode"] == "none"} == {True}
    assert {row["masking.threshold"] == "" for row in rows if row["masking.mode"] == "hybrid"} == {False}
    report = (tmp_path / "studies" / "tiny-sweep" / "report" / "report.md").read_text()
    assert "## Accuracy and epochs" in report
    assert "could not be computed" not in report

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/studies/tiny-sweep/mlflow.db")
    (experiment,) = (found for found in client.search_experiments() if found.name == "tiny-sweep")
    runs = {run.info.run_name: run.data for run in client.search_runs([experiment.experiment_id])}
    assert "masking.threshold" not in runs["tune_trial 0"].params
    assert runs["tune_trial 1"].params["masking.threshold"] == "0.25"
    assert 0 < runs["study tiny-sweep"].metrics["slots/used"] <= 1

    # a changed search is refused by every command, and leaves the folder as it was
    folder = tmp_path / "studies" / "tiny-sweep"
    before = (folder / "spec.yaml").read_bytes()
    for command in ("run", "status", "results", "report"):
        done = scmmlab(command, search, "--store", tmp_path, "--set", "space.pretrain.epochs.high=5")
        assert done.status == 2
        assert "10 tune_trials of another search" in done.err
    assert (folder / "spec.yaml").read_bytes() == before
