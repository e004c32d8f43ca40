"""The small parts: parameters, figures, versions, datasets and the page's command."""

import json
import subprocess

import pytest
from tracker_conformance import FULL, record

from scmmlab.config import CorpusSelection
from scmmlab.errors import StoreError
from scmmlab.tables import Manifest
from scmmlab.tracking import dataset_info, git_commit, software_versions, ui_command
from scmmlab.tracking.figures import confusion_matrices, curves, fold_table, mean_figures
from scmmlab.tracking.parameters import cell_parameters


def test_parameters_are_flat_text_with_names_that_mlflow_takes():
    parameters = cell_parameters(FULL)
    assert parameters["variant"] == "full"
    assert parameters["masking.ratio"] == "0.5"
    assert parameters["aggregator.top_k"] == "null"
    assert parameters["protocol.kind"] == "honest"
    assert parameters["pretrain.optimizer.learning_rate"] == "0.0005"
    assert len(parameters) <= 100
    assert not any(set(name) & set("= ,") for name in parameters)


def test_means_leave_out_what_is_not_defined():
    assert mean_figures(record(FULL)) == {
        "validation/accuracy": 0.75,
        "validation/balanced_accuracy": 0.75,
        "test/accuracy": 0.625,
        "test/balanced_accuracy": 0.25,
    }
    assert mean_figures({"probe": 0.5}) == {"validation/probe": 0.5}


def test_the_fold_table_has_a_row_for_each_fold_and_part():
    assert fold_table(record(FULL)).splitlines() == [
        "fold,subjects,epoch,part,windows,accuracy,balanced_accuracy",
        "subject 0,0,3,validation,10,0.75,0.75",
        "subject 0,0,3,test,20,0.5,0.25",
        "subject 1,1,3,validation,10,0.75,0.75",
        "subject 1,1,3,test,20,0.75,",
    ]


def test_confusion_matrices_add_up():
    assert confusion_matrices(record(FULL))["all"] == [[12, 8], [4, 16]]


def test_curves_come_from_records_of_both_kinds():
    assert [(stage, epoch) for stage, epoch, _ in curves(record(FULL))][:4] == [
        ("pretrain", 1),
        ("pretrain", 2),
        ("pretrain", 3),
        ("finetune", 1),
    ]
    sweep = {"curve": [{"epoch": 1, "loss": 0.5}], "probes": [{"epoch": 1, "probe": 0.7}]}
    assert list(curves(sweep)) == [("pretrain", 1, {"loss": 0.5}), ("probe", 1, {"probe": 0.7})]


def test_a_dataset_tells_no_names_and_no_place():
    manifest = Manifest(
        corpus="one",
        channels=("Fp1", "Fp2"),
        bands={"alpha": (8.0, 14.0)},
        window_s=1.0,
        classes=("rest", "task"),
        unit="nat",
        provenance={"origin": "computed"},
        subjects={0: "Jane", 1: "John"},
        windows=10,
        fingerprint="f" * 64,
    )
    info = dataset_info("source", CorpusSelection(table="/home/jane/one", subjects=(1,)), manifest)
    assert (info.corpus, info.subjects, info.classes, info.windows) == ("one", 1, ("rest", "task"), 10)
    assert "jane" not in repr(info).lower()


def test_versions_name_the_software():
    versions = software_versions()
    assert {"scmmlab", "python", "torch", "mlflow"} <= versions.keys()


def test_a_commit_is_known_in_a_repository_alone(tmp_path, monkeypatch):
    assert git_commit(tmp_path) is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True, capture_output=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], cwd=tmp_path, check=True)
    assert git_commit(tmp_path) == f"{commit}-dirty"
    monkeypatch.setenv("PATH", "")
    assert git_commit(tmp_path) is None


def test_the_page_is_served_on_this_machine_alone(tmp_path):
    with pytest.raises(StoreError, match=r"There is no MLflow data in .*: expected mlflow.db"):
        ui_command(tmp_path)
    (tmp_path / "mlflow.db").write_text("")
    command, environment = ui_command(tmp_path, port=5055)
    joined = " ".join(command)
    assert f"--backend-store-uri sqlite:///{tmp_path}/mlflow.db" in joined
    assert "--host 127.0.0.1 --port 5055 --workers 1" in joined
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "postgresql://x" in ui_command("postgresql://x")[0]
    with pytest.raises(StoreError, match="open it in a browser"):
        ui_command("http://host:5000")
    assert json.dumps(command)
