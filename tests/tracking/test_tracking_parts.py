"""The small parts: parameters, figures, versions, datasets and the page's command."""

import re
import subprocess

from tracker_conformance import FULL, record

from scmmlab.tables import Manifest
from scmmlab.tracking import data_inputs, default_tracking_uri, git_commit, ui_command, versions
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


def test_curves_are_those_of_the_record():
    assert [(stage, epoch) for stage, epoch, _ in curves(record(FULL))] == [
        (stage, epoch) for stage in ("pretrain", "finetune") for epoch in (1, 2, 3)
    ]


def test_what_a_cell_reads_comes_from_its_manifests():
    source, target = (
        Manifest(
            corpus=corpus,
            channels=("Fp1", "Fp2"),
            bands={"alpha": (8.0, 14.0)},
            window_s=1.0,
            classes=("rest", "task"),
            unit="nat",
            provenance={"origin": "computed"},
            subjects={0: "Jane"},
            windows=windows,
            fingerprint=corpus * 64,
        )
        for corpus, windows in (("a", 10), ("b", 20))
    )
    of_source, of_target = data_inputs(FULL, source, target)
    assert (of_source.role, of_source.name, of_source.location, of_source.windows) == ("source", "a", "a", 10)
    assert (of_target.role, of_target.fingerprint, of_target.windows) == ("target", "b" * 64, 20)


def test_the_commit_says_when_files_differ_from_it(tmp_path, monkeypatch):
    assert git_commit(tmp_path) is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True, capture_output=True)
    commit = git_commit(tmp_path)
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (tmp_path / "a").write_text("1")
    subprocess.run([*git, "add", "a"], cwd=tmp_path, check=True)
    assert git_commit(tmp_path) == f"{commit}+changes"
    assert versions(tmp_path)["commit"] == f"{commit}+changes"
    assert {"scmmlab", "numerics", "python", "torch", "mlflow"} <= versions(tmp_path).keys()
    monkeypatch.setenv("PATH", "")
    assert git_commit(tmp_path) is None


def test_the_ui_listens_on_loopback_alone(tmp_path):
    command = ui_command(default_tracking_uri(tmp_path), 5055)
    joined = " ".join(command)
    assert f"--backend-store-uri sqlite:///{tmp_path}/mlflow.db" in joined
    assert "--host 127.0.0.1 --port 5055" in joined
