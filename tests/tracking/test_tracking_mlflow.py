"""MLflow shows a study as a parent run with a child for each cell, each once, whatever was interrupted."""

import json
import shutil
import threading
from dataclasses import replace

import pytest
from tracker_conformance import (
    BARE,
    BROKEN,
    COMPLETE,
    FROZEN,
    FULL,
    INPUTS,
    PRUNED,
    SPEC,
    VERSIONS,
    Conformance,
    Seen,
    record,
)

from scmmlab.tracking import MlflowTracker, default_tracking_uri, study_page

pytestmark = pytest.mark.slow

STATES = {"RUNNING": "running", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}


def client_of(folder):
    from mlflow.tracking import MlflowClient

    return MlflowClient(default_tracking_uri(folder))


def runs_of(folder, name="small"):
    client = client_of(folder)
    return client.search_runs([client.get_experiment_by_name(name).experiment_id])


def split(runs):
    parents = [run for run in runs if run.data.tags["scmmlab.role"] == "study"]
    children = {run.info.run_name: run for run in runs if run.data.tags["scmmlab.role"] != "study"}
    assert len(parents) == 1
    assert len(children) == len(runs) - 1
    return parents[0], children


class TestMlflowTracker(Conformance):
    @pytest.fixture(autouse=True)
    def _database(self, empty_database):
        self.empty_database = empty_database

    def make(self, folder):
        if not (folder / "mlflow.db").exists():
            shutil.copy(self.empty_database, folder / "mlflow.db")
        return MlflowTracker(default_tracking_uri(folder), (folder / "mlflow-artifacts").as_uri())

    def seen(self, tracker, folder):
        client = client_of(folder)
        parent, runs = split(runs_of(folder))
        trials = {name: run for name, run in runs.items() if run.data.tags["scmmlab.role"] == "tune_trial"}
        children = {name: run for name, run in runs.items() if name not in trials}
        shown = {}
        for name, run in children.items():
            for metric in run.data.metrics:
                stage, _, figure = metric.partition("/")
                if figure == "loss":
                    history = client.get_metric_history(run.info.run_id, metric)
                    shown[name, stage] = sorted(point.step for point in history)
        return Seen(
            client.get_experiment(parent.info.experiment_id).name,
            {"FINISHED": True, "FAILED": False}.get(parent.info.status),
            {name: STATES[run.info.status] for name, run in children.items()},
            shown,
            {n: r.data.tags["scmmlab.error"] for n, r in children.items() if "scmmlab.error" in r.data.tags},
            {int(name.removeprefix("tune_trial ")): run.data.tags["scmmlab.state"] for name, run in trials.items()},
            tuple(int(parent.data.metrics.get(f"cells/{name}", 0)) for name in ("finished", "failed", "total")),
        )

    def test_counts_of_the_parent_draw_a_curve_over_cells_which_later_runs_go_on_with(self, tmp_path):
        for counts in ([(0, 0), (1, 0), (2, 0), (2, 1)], [(2, 0), (3, 0)]):
            with self.start(tmp_path) as tracker:
                for finished, failed in counts:
                    tracker.progress(finished, failed, 3)
                tracker.finish_study(None, complete=True)
        parent, _ = split(runs_of(tmp_path))
        finished = client_of(tmp_path).get_metric_history(parent.info.run_id, "cells/finished")
        assert [(point.step, point.value) for point in finished] == [(0, 0), (1, 1), (2, 2), (3, 3)]
        assert self.seen(tracker, tmp_path).counts == (3, 0, 3), "the latest, though a cell had failed before"

    def test_a_child_has_parameters_figures_tables_datasets_and_versions(self, tmp_path):
        (tmp_path / "figures").mkdir()
        (tmp_path / "figures" / "forest.svg").write_text("<svg>")
        (tmp_path / "report.html").write_text("<html>")
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        tracker.finish_study(tmp_path, complete=True)  # MLflow's own data lies there too
        tracker.close()
        client = client_of(tmp_path)
        parent, children = split(runs_of(tmp_path))
        child = children["full · a-to-b · 0"]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["scmmlab.cell_key"] == FULL.key
        assert child.data.tags["mlflow.source.git.commit"] == "0123abc"
        assert child.data.tags["scmmlab.version.scmmlab"] == "0.1"
        assert child.data.params["masking.ratio"] == "0.5"
        assert child.data.metrics["test/accuracy"] == 0.625
        assert child.data.metrics["validation/accuracy"] == 0.75
        inputs = {i.tags[0].value: i.dataset for i in client.get_run(child.info.run_id).inputs.dataset_inputs}
        assert set(inputs) == {"source", "target"}
        assert inputs["source"].digest == INPUTS[0].fingerprint[:36]
        assert json.loads(inputs["source"].profile)["fingerprint"] == INPUTS[0].fingerprint
        folder = tmp_path / "mlflow-artifacts"
        assert (folder / parent.info.run_id / "artifacts" / "plan.txt").read_text() == "the plan"
        report = folder / parent.info.run_id / "artifacts" / "report"
        assert sorted(str(path.relative_to(report)) for path in report.rglob("*.*")) == [
            "figures/forest.svg",
            "report.html",
        ]
        assert child.data.tags["scmmlab.variant"] == "full"
        assert json.loads((folder / parent.info.run_id / "artifacts" / "study.json").read_text())["name"] == "small"
        artifacts = folder / child.info.run_id / "artifacts"
        assert (artifacts / "folds.csv").read_text().startswith("fold,subjects,epoch,part")
        assert json.loads((artifacts / "confusion.json").read_text())["all"] == [[12, 8], [4, 16]]

    def test_no_place_of_this_machine_leaves_for_mlflow(self, tmp_path):
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        tracker.finish_study(None, complete=True)
        tracker.close()
        client = client_of(tmp_path)
        told = [str(client.get_run(run.info.run_id).to_dictionary()) for run in runs_of(tmp_path)]
        told += [path.read_text() for path in (tmp_path / "mlflow-artifacts").rglob("*") if path.is_file()]
        assert len(told) == 6
        assert not any("jane" in text for text in told)

    def test_a_leak_is_tagged(self, tmp_path):
        with self.start(tmp_path) as tracker:
            tracker.finish_cell(FULL, INPUTS, record(FULL, leaks=("epoch chosen on test labels",)))
            tracker.finish_cell(BARE, INPUTS, record(BARE))
            tracker.finish_study(None, complete=True)
        _, children = split(runs_of(tmp_path))
        assert children[FULL.name].data.tags["scmmlab.leaks"] == "epoch chosen on test labels"
        assert "scmmlab.leaks" not in children[BARE.name].data.tags

    def test_a_setting_has_parameters_and_probes(self, tmp_path):
        with self.start(tmp_path) as tracker:
            tracker.finish_tune_trial(COMPLETE)
            tracker.finish_tune_trial(PRUNED)
            tracker.finish_study(None, complete=True)
        _, children = split(runs_of(tmp_path))
        complete, pruned = children["tune_trial 0"], children["tune_trial 1"]
        assert complete.data.metrics == {"objective": 0.6, "probe/probe": 0.6}
        assert pruned.data.metrics == {"probe/probe": 0.4}
        assert complete.data.params == {"masking.ratio": "0.3"}

    def test_a_setting_that_was_lost_with_its_worker_is_tried_again_in_the_same_run(self, tmp_path):
        lost = replace(BROKEN, key=COMPLETE.key, number=COMPLETE.number, params=COMPLETE.params, cause="lost")
        for told in (lost, COMPLETE):
            with self.start(tmp_path) as tracker:
                tracker.finish_tune_trial(told)
                tracker.finish_study(None, complete=told is COMPLETE)
            _, children = split(runs_of(tmp_path))
            run = children["tune_trial 0"]
            assert run.info.status == ("FINISHED" if told is COMPLETE else "FAILED")
            assert run.data.tags["scmmlab.state"] == ("complete" if told is COMPLETE else "lost")
            assert ("scmmlab.error" in run.data.tags) == (told is lost)
        assert run.data.metrics == {"objective": 0.6, "probe/probe": 0.6}

    def test_an_epoch_of_a_shared_pretraining_is_one_of_every_cell_that_starts_from_it(self, tmp_path):
        tracker = self.start(tmp_path)
        for cell in (FULL, FROZEN, BARE):
            tracker.start_cell(cell, INPUTS)
        for epoch in (1, 2):
            tracker.epoch("p-shared", "pretrain", epoch, {"loss": 1.0 / epoch})
        tracker.finish_study(None, complete=False)
        tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert seen.epochs == {(FULL.name, "pretrain"): [1, 2], (FROZEN.name, "pretrain"): [1, 2]}

    def test_a_thousand_epochs_are_a_few_requests(self, tmp_path, monkeypatch):
        from mlflow.tracking import MlflowClient

        requests = []
        log_batch = MlflowClient.log_batch

        def counted(client, run_id, metrics=(), params=(), tags=(), synchronous=None):
            assert len(metrics) <= 1000
            assert len(params) <= 100
            requests.append(len(metrics))
            return log_batch(client, run_id, metrics, params, tags, synchronous)

        monkeypatch.setattr(MlflowClient, "log_batch", counted)
        tracker = self.start(tmp_path)
        self.run(tracker, FULL, epochs=1000)
        tracker.finish_study(None, complete=True)
        tracker.close()
        assert sum(requests) == 3000 + 4
        assert sum(size > 0 for size in requests) <= 12
        seen = self.seen(tracker, tmp_path)
        assert seen.epochs[FULL.name, "pretrain"] == list(range(1, 1001))

    def test_an_interrupted_study_says_so(self, tmp_path):
        with self.start(tmp_path) as tracker:
            tracker.start_cell(FULL, INPUTS)
        parent, children = split(runs_of(tmp_path))
        assert parent.info.status == "KILLED"
        assert children[FULL.name].info.status == "KILLED"

    def test_a_finished_run_is_left_alone(self, tmp_path):
        def session():
            tracker = self.start(tmp_path)
            self.run(tracker, FULL)
            tracker.finish_study(None, complete=True)
            tracker.close()
            _, children = split(runs_of(tmp_path))
            return children[FULL.name].to_dictionary()

        assert session() == session()

    def test_a_cell_that_a_change_of_the_study_left_behind_says_so(self, tmp_path):
        for cells in ((FULL, BARE), (FULL,)):
            with self.start(tmp_path) as tracker:
                for cell in cells:
                    self.run(tracker, cell)
                tracker.finish_study(None, complete=True)
        _, children = split(runs_of(tmp_path))
        assert children[FULL.name].data.tags["scmmlab.in_plan"] == "true"
        assert children[BARE.name].data.tags["scmmlab.in_plan"] == "false"

    def test_curves_that_were_missed_are_taken_from_the_record(self, tmp_path):
        tracker = self.start(tmp_path)
        tracker.start_cell(FULL, INPUTS)
        tracker.epoch(FULL.key, "finetune", 2, {"loss": 1.0, "train_accuracy": 0.5})
        tracker.finish_cell(FULL, INPUTS, record(FULL))
        tracker.finish_study(None, complete=True)
        tracker.close()
        seen = self.seen(tracker, tmp_path)
        assert seen.epochs[FULL.name, "finetune"] == [1, 2, 3]
        assert seen.epochs[FULL.name, "pretrain"] == [1, 2, 3]

    def test_a_server_that_is_away_for_a_while_loses_nothing(self, tmp_path, monkeypatch):
        from mlflow.tracking import MlflowClient

        monkeypatch.setattr("scmmlab.tracking.writer._FIRST_PAUSE_S", 0.001)
        monkeypatch.setattr("scmmlab.tracking.writer._LONGEST_PAUSE_S", 0.001)
        away, noticed = threading.Event(), threading.Event()

        def failing(name):
            method = getattr(MlflowClient, name)

            def call(*arguments, **options):
                if away.is_set():
                    noticed.set()
                    raise ConnectionError("the server is away")
                return method(*arguments, **options)

            monkeypatch.setattr(MlflowClient, name, call)

        for name in ("create_run", "log_batch", "search_runs", "search_experiments", "update_run", "set_terminated"):
            failing(name)
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        away.set()
        self.run(tracker, FROZEN)
        assert noticed.wait(120)
        away.clear()
        self.run(tracker, BARE)
        tracker.finish_study(None, complete=True)
        tracker.close()
        assert tracker.dropped == 0
        seen = self.seen(tracker, tmp_path)
        assert seen.cells == {cell.name: "finished" for cell in (FULL, FROZEN, BARE)}
        assert all(steps == [1, 2, 3] for steps in seen.epochs.values())

    def test_a_deleted_experiment_comes_back(self, tmp_path):
        tracker = self.start(tmp_path)
        tracker.finish_study(None, complete=True)
        tracker.close()
        client = client_of(tmp_path)
        client.delete_experiment(client.get_experiment_by_name("small").experiment_id)
        tracker = self.start(tmp_path)
        self.run(tracker, FULL)
        tracker.finish_study(None, complete=True)
        tracker.close()
        assert client.get_experiment_by_name("small").lifecycle_stage == "active"


def test_a_wrong_address_stops_nothing(tmp_path):
    tracker = MlflowTracker("http://127.0.0.1:9", retry_s=0.1)
    tracker.start_study("small", SPEC, "", VERSIONS)
    tracker.start_cell(FULL, INPUTS)
    tracker.close()


def test_the_ui_opens_on_the_runs_of_the_study(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = default_tracking_uri(tmp_path)
    assert study_page(uri, SPEC["name"], 5001) == "http://127.0.0.1:5001/"
    with MlflowTracker(uri, (tmp_path / "artifacts").as_uri()) as tracker:
        tracker.start_study(SPEC["name"], SPEC, "the plan", VERSIONS)
    experiment = client_of(tmp_path).get_experiment_by_name(SPEC["name"])
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert study_page(uri, SPEC["name"], 5001) == f"http://127.0.0.1:5001/#/experiments/{experiment.experiment_id}/runs"
