"""Rows and status say what the store holds, the same bytes each time."""

import csv
import io
import json

import pytest
from study_fakes import ablation, plan_of, record

from scmmlab.evaluation import METRICS
from scmmlab.study import (
    CellState,
    ResultStore,
    TuneTrialRecord,
    result_rows,
    rows_csv,
    rows_json,
    study_status,
    trial_rows,
)
from scmmlab.study.worker_losses import WorkerLosses, keep_worker_losses, worker_losses


@pytest.fixture
def plan():
    variants = {
        "full": {},
        "no_aggregator": {"set": {"aggregator.enabled": False}},
        "released": {"set": {"protocol.kind": "released"}},
    }
    return plan_of(ablation(variants=variants))


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path)


def fill(store, cells, first=0):
    for number, cell in enumerate(cells, first):
        store.put_cell(cell.key, record(cell, number))


def test_there_is_one_row_for_each_cell_fold_part_and_metric_in_a_fixed_order(plan, store):
    fill(store, plan.cells)
    rows = result_rows("small", plan.cells, store.get_cell)
    expected = [
        (cell.variant, "one-to-two", cell.seed, fold, part, metric)
        for cell in plan.cells
        for fold in ("subjects 0-3", "subjects 4-7")
        for part in (("test",) if cell.variant == "released" else ("validation", "test"))
        for metric in METRICS
    ]
    assert [(row.variant, row.transfer, row.seed, row.fold, row.part, row.metric) for row in rows] == expected
    assert {row.subject for row in rows} == {None}


def test_rows_by_subject_are_of_the_test_part(plan, store):
    fill(store, plan.cells[:1])
    rows = result_rows("small", plan.cells, store.get_cell, by="subject")
    assert [(row.subject, row.metric) for row in rows] == [
        (subject, metric) for subject in range(8) for metric in METRICS
    ]
    assert {row.part for row in rows} == {"test"}


def test_numbers_read_back_exactly(plan, store):
    fill(store, plan.cells)
    rows = result_rows("small", plan.cells, store.get_cell)
    from_csv = [float(line["value"]) for line in csv.DictReader(io.StringIO(rows_csv(rows)))]
    from_json = json.loads(rows_json(rows))
    assert from_csv == [row.value for row in rows] == [line["value"] for line in from_json]
    assert from_json[0]["subjects"] == [0, 1, 2, 3]
    first = rows_csv(rows).splitlines()
    assert first[0] == "study,variant,transfer,seed,fold,subjects,subject,part,metric,value"
    assert first[1].startswith("small,full,one-to-two,0,subjects 0-3,0 1 2 3,,validation,accuracy,0.")


def test_results_do_not_depend_on_the_order_of_finishing(plan, tmp_path):
    texts = []
    for name, cells in (("a", plan.cells), ("b", plan.cells[::-1])):
        store = ResultStore(tmp_path / name)
        for cell in cells:
            store.put_cell(cell.key, record(cell, plan.cells.index(cell)))
        rows = result_rows("small", plan.cells, store.get_cell)
        texts.append((rows_csv(rows), rows_json(rows)))
    assert texts[0] == texts[1]


def test_what_is_not_defined_is_empty_and_what_is_not_finished_is_left_out(plan, store):
    unknown = record(plan.cells[0])
    unknown["folds"][0]["test"]["macro_auroc"] = None
    store.put_cell(plan.cells[0].key, unknown)
    rows = result_rows("small", plan.cells, store.get_cell)
    assert {row.variant for row in rows} == {"full"}
    assert sum(row.value is None for row in rows) == 1
    assert sum(line.endswith("macro_auroc,") for line in rows_csv(rows).splitlines()) == 1
    assert json.loads(rows_json([])) == []


def test_status_reads_the_store(plan, store):
    assert study_status(plan, store).counts == {"finished": 0, "failed": 0, "missing": 6}
    fill(store, plan.cells[:2])
    store.put_pretrain(plan.cells[2].pretrain_key, {}, {})
    store.put_failure(plan.cells[2].key, "finetune", "the loss is not finite")
    store.put_failure(plan.cells[3].pretrain_key, "pretrain", "out of memory")
    store.put_failure(plan.cells[3].pretrain_key, "pretrain", "out of memory")
    status = study_status(plan, store)
    assert status.counts == {"finished": 2, "failed": 2, "missing": 2}
    assert not status.complete
    assert status.done == {plan.cells[0].key, plan.cells[1].key, plan.cells[2].pretrain_key}
    text = status.text()
    assert "6 cells: 2 finished, 2 failed, 2 missing" in text
    assert f"failed   {plan.cells[2].name}  (finetune): the loss is not finite" in text
    assert f"failed   {plan.cells[3].name}  (pretrain, tried 2 times): out of memory" in text
    fill(store, plan.cells[2:], 2)
    assert study_status(plan, store).complete


def test_status_tells_what_a_failure_was_and_where_to_read_on(plan, store):
    first, second, third = plan.cells[:3]
    store.put_failure(first.key, "finetune", "KeyError: 'x'", "trace", log="worker.err on 10.0.0.1")
    store.put_failure(second.key, "finetune", "There is not enough memory.", cause="out_of_memory")
    store.put_failure(third.key, "finetune", "its worker was lost 2 times", cause="lost")
    text = study_status(plan, store).text()
    assert f"failed   {first.name}  (finetune): KeyError: 'x'\n           its trace is in {store.uri}" in text
    assert "\n           its log is in worker.err on 10.0.0.1\n" in text
    assert f"{second.name}  (finetune): out of memory: There is not enough memory.\n           to do: a lower" in text
    assert f"{third.name}  (finetune): worker lost: its worker was lost 2 times" in text


def test_status_tells_which_workers_the_last_run_lost(plan, store):
    folder = store.study_folder(plan.study.name)
    keep_worker_losses(folder, WorkerLosses())
    assert not folder.has("workers.json")
    losses = WorkerLosses().plus("crash", "worker 0 was lost: it broke").plus("preemption", "worker 1 was preempted")
    losses = losses.plus("machine", "worker 2 was lost: its machine was lost").plus("preemption", losses.last)
    keep_worker_losses(folder, losses)
    text = study_status(plan, store, ask_drivers=True).text()
    assert "The last run lost workers: 1 crashed, 1 machine lost, 2 preempted; the last time" in text
    assert "worker 1 was preempted.\n" in text
    keep_worker_losses(folder, WorkerLosses())
    assert "lost workers" not in study_status(plan, store, ask_drivers=True).text()
    folder.write_text("workers.json", "no JSON")
    assert worker_losses(folder) == WorkerLosses()


def test_a_damaged_record_counts_as_missing(plan, store, tmp_path):
    fill(store, plan.cells)
    path = tmp_path / "cells" / f"{plan.cells[0].key}.json"
    path.write_bytes(path.read_bytes()[:-40])
    status = study_status(plan, store)
    assert status.cells[0].state is CellState.MISSING
    assert status.counts["finished"] == 5


def test_cells_of_one_key_are_finished_together(store):
    plan = plan_of(ablation(variants={"full": {}, "same": {"set": {"loss.contrast_weight": 0.5}}}))
    fill(store, plan.distinct.values())
    assert study_status(plan, store).complete
    rows = result_rows("small", plan.cells, store.get_cell)
    assert {row.variant for row in rows} == {"full", "same"}


def trial(number, intermediate, state="complete", **params):
    stored = {"number": number, "key": "k", "params": params, "intermediate": intermediate, "value": None}
    return TuneTrialRecord.parse({**stored, "state": state})


def test_a_sweep_has_a_row_for_each_time_that_a_setting_was_judged():
    records = [
        trial(1, [], "failed", **{"masking.ratio": 0.25}),
        trial(0, [[3, 0.5], [6, 0.1 + 0.2]], **{"masking.ratio": 0.7, "aggregator.top_k": None}),
    ]
    rows = trial_rows("sweep", records)
    assert [(row["tune_trial"], row["state"], row["epoch"], row["value"]) for row in rows] == [
        (0, "complete", 3, 0.5),
        (0, "complete", 6, 0.1 + 0.2),
        (1, "failed", None, None),
    ]
    lines = rows_csv(rows).splitlines()
    assert lines[0] == "study,tune_trial,state,error,aggregator.top_k,masking.ratio,epoch,metric,value"
    assert lines[2] == "sweep,0,complete,,,0.7,6,validation_balanced_accuracy,0.30000000000000004"
    assert json.loads(rows_json(rows))[1]["value"] == 0.1 + 0.2
