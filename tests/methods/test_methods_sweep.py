"""A sweep of a method without pre-training: each setting is judged once, by its validation score."""

from __future__ import annotations

import json

import numpy as np
import pytest
from training_cases import CHANNELS, TRANSFER, make_table, tables_with

from scmmlab.config import ExperimentSpec
from scmmlab.tables import write_table
from scmmlab.training import CellRequest, Reporter, StageFailure, StageOutput, SweepRequest
from scmmlab.training.stages import run_cell_stage
from scmmlab.training.sweep_stage import SweepSlots

STUDY = """
kind: sweep
name: search
base: {method: linear, protocol: {kind: honest}}
space:
  c: {low: 0.001, high: 100, log: true}
  class_weight: {choices: [none, balanced]}
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
tune_trials: 5
"""


def test_settings_are_judged_by_their_validation_scores_and_never_twice(scmmlab, tmp_path):
    source, target = make_table("a", seed=1), make_table("b", seed=2)
    write_table(source, tmp_path / "a")
    write_table(target, tmp_path / "b")
    study, store = tmp_path / "search.yaml", tmp_path / "runs"
    study.write_text(STUDY, encoding="utf-8")
    command = ("run", study, "--engine", "local", "--tracking-uri", "none", "--store", store)
    done = scmmlab(*command)
    assert done.status == 0, done.err

    rows = json.loads(scmmlab("results", study, "--store", store, "--format", "json").out)
    assert len(rows) == len({row["c"] for row in rows}) == 5
    for row in rows:
        assert (row["metric"], row["epoch"], row["state"]) == ("validation_balanced_accuracy", 1, "complete")
        spec = ExperimentSpec.model_validate({"method": "linear", "c": row["c"], "class_weight": row["class_weight"]})
        request = CellRequest("c", spec, 0, TRANSFER, CHANNELS, None)
        (output,) = run_cell_stage([request], tables_with(source=source, target=target), Reporter())
        scores = [fold["validation"]["balanced_accuracy"] for fold in output.record["folds"]]
        assert row["value"] == pytest.approx(np.mean(scores))

    stored = {path: path.stat().st_mtime_ns for path in (store / "studies" / "search" / "trials").iterdir()}
    assert len(stored) == 5
    assert scmmlab(*command).status == 0
    assert {path: path.stat().st_mtime_ns for path in stored} == stored


def test_setting_that_fails_says_what_it_was_and_others_are_judged():
    def asked(key, **changes):
        spec = ExperimentSpec.model_validate({"method": "mlp", "finetune": {"epochs": 2, **changes}})
        return SweepRequest(key, spec, 0, TRANSFER, CHANNELS, 1)

    slots = SweepSlots(tables_with(), Reporter())
    bad, good = slots.join([asked("bad", optimizer={"weight_decay": 1e39}), asked("good")])
    assert isinstance(bad, StageFailure)
    assert (bad.key, bad.kind, bad.cause) == ("bad", "sweep", "diverged")
    assert "diverged on 'subject 0' in epoch 1 of 2" in bad.error
    assert "DivergedError" in bad.traceback
    assert isinstance(good, StageOutput)
    assert good.record["state"] == "finished"
