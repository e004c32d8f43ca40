from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from scmmlab.tracking import MlflowTracker, Tracker, default_tracking_uri, git_commit, ui_command, versions
from tracking.tracker_conformance import INPUTS, TrackerConformance, example_cell, example_record, tell

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty database of MLflow's: its fifty migrations take longer than the tests."""
    folder = tmp_path_factory.mktemp("mlflow")
    with MlflowTracker(default_tracking_uri(folder)) as tracker:
        tracker.start_study("empty", {}, "", {})
    return (folder / "mlflow.db").read_bytes()


class TestMlflowTracker(TrackerConformance):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path, migrated: bytes) -> None:
        (tmp_path / "mlflow.db").write_bytes(migrated)
        self.uri = default_tracking_uri(tmp_path)
        self.artifacts = tmp_path / "artifacts"

    def make_tracker(self) -> Tracker:
        return MlflowTracker(self.uri, self.artifacts.as_uri())

    def remembered(self, tracker: Tracker) -> dict[tuple[str, int], str]:
        assert isinstance(tracker, MlflowTracker)
        assert tracker.refused == 0
        runs = self.runs("tags.`scmmlab.role` = 'cell'")
        names = [run.data.tags["scmmlab.name"] for run in runs]
        assert len(set(names)) == len(names), "a run was duplicated"
        return {(run.data.tags["variant"], int(run.data.params["seed"])): run.info.status.lower() for run in runs}

    def runs(self, condition: str = "") -> list:
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name("demo")
        return list(client.search_runs([experiment.experiment_id], condition))

    def test_children_stand_under_one_parent_with_parameters_curves_and_data(self) -> None:
        with self.make_tracker() as tracker:
            tell(tracker, epochs=1000)
        (parent,) = self.runs("tags.`scmmlab.role` = 'study'")
        assert parent.data.metrics["cells.finished"] == 2
        children = [run for run in self.runs() if run.info.run_id != parent.info.run_id]
        assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
        (run,) = (run for run in children if run.data.tags.get("variant") == "full")
        assert run.data.params["masking.ratio"] == "0.5"
        assert run.data.params["finetune.optimizer.learning_rate"] == "0.0005"
        assert run.data.metrics["test.balanced_accuracy"] == pytest.approx(0.7)
        assert run.data.metrics["pretrain.loss"] == pytest.approx(1 / 1000)
        assert run.data.tags["mlflow.source.git.commit"] == "abc"
        assert {data.dataset.name for data in run.inputs.dataset_inputs} == {"eegmat"}
        from mlflow import MlflowClient

        history = MlflowClient(self.uri).get_metric_history(run.info.run_id, "pretrain.loss")
        assert [point.step for point in history] == list(range(1, 1001))

    def test_a_leak_is_tagged_and_a_failure_names_its_error(self) -> None:
        with self.make_tracker() as tracker:
            tell(tracker)
        tags = {run.data.tags.get("variant"): run.data.tags for run in self.runs()}
        assert tags["twin"]["scmmlab.leaks"] == "epoch chosen on test labels"
        assert tags["no_contrast"]["error"] == "loss is not finite in epoch 2"
        assert "scmmlab.leaks" not in tags["full"]

    def test_every_setting_of_a_sweep_has_a_run(self) -> None:
        with self.make_tracker() as tracker:
            tell(tracker)
        runs = {run.data.tags["state"]: run for run in self.runs("tags.`scmmlab.role` = 'tune_trial'")}
        assert set(runs) == {"complete", "pruned"}
        assert runs["complete"].data.metrics["objective"] == 0.6
        assert runs["pruned"].data.metrics["validation.probe"] == 0.4

    def test_the_report_and_the_fold_table_are_artifacts(self, tmp_path: Path) -> None:
        report = tmp_path / "report"
        report.mkdir()
        (report / "report.html").write_text("<p>figures</p>")
        with self.make_tracker() as tracker:
            tell(tracker)
            tracker.finish_study(report, complete=True)
        texts = {path.name: path.read_text() for path in self.artifacts.rglob("*") if path.is_file()}
        assert texts["report.html"] == "<p>figures</p>"
        assert texts["plan.txt"] == "the plan"
        rows = texts["folds.csv"].splitlines()
        assert rows[0].startswith("fold,subjects,test_windows,epoch,validation.accuracy")
        assert rows[2].startswith("subjects 21-23,18 19 20,40,3,,,,,,0.75")


def test_a_study_goes_on_where_mlflow_cannot_be_reached(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    with MlflowTracker(f"sqlite:///{tmp_path / 'a file' / 'mlflow.db'}") as tracker:
        tell(tracker)
        tracker.finish_cell(example_cell(seed=7), INPUTS, example_record())
    assert tracker.refused > 1
    assert len([record for record in caplog.records if "The study goes on" in record.message]) == 1


def test_the_commit_says_when_files_differ_from_it(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b.invalid", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (tmp_path / "a.txt").write_text("1")
    subprocess.run(["git", "add", "a.txt"], cwd=tmp_path, check=True)
    assert git_commit(tmp_path) == f"{commit}+changes"
    assert versions(tmp_path)["commit"] == f"{commit}+changes"


def test_the_ui_listens_on_loopback_only() -> None:
    command = ui_command("sqlite:////runs/demo/mlflow.db", 5001)
    assert command[command.index("--host") + 1] == "127.0.0.1"
