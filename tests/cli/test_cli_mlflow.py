"""`scmmlab mlflow sync` makes MLflow's view of a study again from the store, as often as one likes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from scmmlab.tables import read_table, write_table

pytestmark = pytest.mark.slow

SWEEP = """
kind: sweep
name: search
base:
  network: {width: 16, classifier_width: 8}
  pretrain: {epochs: 2, batch_size: 32}
  finetune: {epochs: 2, batch_size: 32}
  protocol: {kind: honest, finetune_trials: 6}
space:
  masking.ratio: {low: 0.1, high: 0.9}
tune_trials: 3
concurrency: 1
transfers:
  - {name: a-to-b, source: {table: a}, target: {table: b}}
"""


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def janes(tmp_path, study):
    """The study on tables in Jane's folder, whose subjects have names."""
    folder = tmp_path / "home-of-jane"
    for name in ("a", "b"):
        table = read_table(study.parent / name)
        named = {number: f"Jane-{number}" for number in table.manifest.subjects}
        write_table(replace(table, manifest=table.manifest.model_copy(update={"subjects": named})), folder / name)
    shutil.copy(study, folder / "tiny.yaml")
    (folder / "search.yaml").write_text(SWEEP)
    return folder


def runs_of(database: Path, name: str) -> dict[str, dict]:
    """Everything that MLflow shows of each run, by its name."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    shown = {run.info.run_name: {**client.get_run(run.info.run_id).to_dictionary()} for run in found}
    assert len(shown) == len(found), "a run is there twice"
    for run in shown.values():
        run["histories"] = {
            metric: [(point.step, point.value) for point in client.get_metric_history(run["info"]["run_id"], metric)]
            for metric in run["data"]["metrics"]
        }
    return shown


def stable(runs: dict[str, dict]) -> dict[str, tuple]:
    """What a second sync must leave as it is: all but the times of the parent run."""
    return {
        name: (run["info"]["run_id"], run["info"]["status"], run["data"], run["inputs"], run["histories"])
        for name, run in runs.items()
    }


def rebuilt(runs: dict[str, dict], artifacts: Path) -> dict[str, tuple]:
    """What a sync rebuilds: all but IDs, times, and of the parent run how its counts came about."""
    shown = {}
    for name, run in runs.items():
        parent = name.startswith("study ")
        tags = {tag: text for tag, text in run["data"]["tags"].items() if tag != "mlflow.parentRunId"}
        counts = {metric: value for metric, value in run["data"]["metrics"].items() if metric.startswith("cells/")}
        folder = artifacts / run["info"]["run_id"] / "artifacts"
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        shown[name] = (
            run["info"]["status"],
            run["data"]["params"],
            tags,
            run["inputs"],
            counts if parent else run["histories"],
            sorted(files) if parent else {file: path.read_bytes() for file, path in files.items()},
        )
    return shown


def test_the_view_is_made_again_and_nothing_is_there_twice(scmmlab, janes, tmp_path, empty_database) -> None:
    from scmmlab.study import ResultStore

    store, study = tmp_path / "runs", janes / "tiny.yaml"
    # similarities over so small a temperature overflow float32 at the first step
    given = ("--store", store, "--set", "variants.no_aggregator={contrast.temperature: 1.0e-40}")
    database = store / "studies" / "tiny" / "mlflow.db"
    artifacts = store / "studies" / "tiny" / "mlflow-artifacts"
    database.parent.mkdir(parents=True)
    shutil.copy(empty_database, database)
    assert scmmlab("run", study, "--engine", "local", *given).status == 1
    live = rebuilt(runs_of(database, "tiny"), artifacts)
    assert len(live) == 7
    # MLflow has lost everything, or never had it: what a run told while it was away is nowhere
    shutil.rmtree(artifacts)
    shutil.copy(empty_database, database)
    assert scmmlab("mlflow", "sync", study, *given).status == 0
    assert rebuilt(runs_of(database, "tiny"), artifacts) == live
    shutil.rmtree(artifacts)
    shutil.copy(empty_database, database)
    planned = json.loads((store / "studies" / "tiny" / "plan.json").read_text())["cells"]
    (broken,) = (cell["key"] for cell in planned if (cell["variant"], cell["seed"]) == ("no_aggregator", 0))
    ResultStore(store).put_failure(broken, "finetune", f"There is no feature table in {janes / 'a'}: it is gone.")
    done = scmmlab("mlflow", "sync", study, *given)
    assert done.status == 0, done.err
    assert "4 finished, 2 failed, 0 missing" in done.out
    told = [line for line in done.err.splitlines() if line.startswith("Writing cells to MLflow: ")]
    assert [line.split()[4] for line in told] == ["1", "2", "3", "4"]
    assert told[-1] == "Writing cells to MLflow: 4 of 4 done"
    first = runs_of(database, "tiny")
    records = ResultStore(store)
    states = {name: run["info"]["status"] for name, run in first.items()}
    assert states == {
        "study tiny": "FAILED",
        **{f"{variant} · a-to-b · {seed}": "FINISHED" for variant in ("full", "released") for seed in (0, 1)},
        **{f"no_aggregator · a-to-b · {seed}": "FAILED" for seed in (0, 1)},
    }
    for name, run in first.items():
        tags = run["data"]["tags"]
        if run["info"]["status"] == "FINISHED":
            record = records.get_cell(tags["scmmlab.cell_key"])
            assert tags["scmmlab.version.torch"] == metadata.version("torch")
            curve = [(row["epoch"], row["loss"]) for row in record["curves"]["pretrain"]]
            assert len(curve) == 2
            assert run["histories"]["pretrain/loss"] == curve
        elif name == "no_aggregator · a-to-b · 0":
            assert tags["scmmlab.error"] == "finetune: There is no feature table in a: it is gone."
        elif name != "study tiny":
            assert "epoch" in tags["scmmlab.error"]
    assert first["study tiny"]["data"]["metrics"] == {"cells/finished": 4, "cells/failed": 2, "cells/total": 6}
    assert list(artifacts.rglob("report/report.html"))

    assert scmmlab("mlflow", "sync", study, *given).status == 0
    assert stable(runs_of(database, "tiny")) == stable(first)

    def assert_nobody_is_named() -> None:
        for path in (database, *artifacts.rglob("*")):
            told = path.read_bytes() if path.is_file() else b""
            assert not any(name in told for name in (b"Jane", b"home-of-jane")), path

    assert (b"Jane" in (janes / "a" / "manifest.json").read_bytes()) is True
    assert_nobody_is_named()

    # a run that goes on from here uses the same runs
    assert scmmlab("run", study, "--engine", "local", *given).status == 1
    after = runs_of(database, "tiny")
    assert {name: run["info"]["run_id"] for name, run in after.items()} == {
        name: run["info"]["run_id"] for name, run in first.items()
    }
    assert_nobody_is_named()


def test_a_store_on_s3_is_shown_too_but_not_beside_a_run(
    scmmlab, study, finished, s3, tmp_path, monkeypatch, empty_database
) -> None:
    from scmmlab.study import ResultStore, study_lease
    from scmmlab.study.files import Files

    monkeypatch.chdir(tmp_path)
    store, database = s3.uri("synced"), tmp_path / "central.db"
    files = Files(store)
    for path in sorted(finished.rglob("*")):
        if path.is_file():
            files.write(path.relative_to(finished).as_posix(), path.read_bytes())
    shutil.copy(empty_database, database)
    given = (study, "--store", store, "--tracking-uri", f"sqlite:///{database}")

    done = scmmlab("mlflow", "sync", *given)
    assert done.status == 0, done.err
    first = runs_of(database, "tiny")
    assert len(first) == 7

    with study_lease(ResultStore(store).study_folder("tiny"), "tiny", "wait"):
        done = scmmlab("mlflow", "sync", *given)
        assert done.status == 2
        assert "Study 'tiny' in s3://results/synced is already running" in done.err
        assert "Hint: wait until it has ended: it writes to MLflow itself" in done.err
    assert scmmlab("mlflow", "sync", *given).status == 0
    assert stable(runs_of(database, "tiny")) == stable(first)


def test_each_cell_shows_the_versions_that_computed_it(scmmlab, study, finished, tmp_path, empty_database) -> None:
    store, database = tmp_path / "runs", tmp_path / "central.db"
    shutil.copytree(finished, store)
    shutil.copy(empty_database, database)
    notes = store / "studies" / "tiny" / "attempts.json"
    (attempt,) = json.loads(notes.read_text())
    key, *others = sorted(path.stem for path in (store / "cells").iterdir())
    newer = {"versions": attempt["versions"] | {"torch": "99.0"}, "found": others}
    notes.write_text(json.dumps([attempt, newer]))
    assert scmmlab("mlflow", "sync", study, "--store", store, "--tracking-uri", f"sqlite:///{database}").status == 0
    shown = {
        run["data"]["tags"].get("scmmlab.cell_key", name): run["data"]["tags"]
        for name, run in runs_of(database, "tiny").items()
    }
    versions = {name: tags["scmmlab.version.torch"] for name, tags in shown.items()}
    assert versions == {
        **dict.fromkeys(others, attempt["versions"]["torch"]),
        **dict.fromkeys((key, "study tiny"), "99.0"),
    }
    assert {tags.get("scmmlab.in_plan") for name, tags in shown.items() if name != "study tiny"} == {"true"}


def test_a_sweep_is_shown_with_all_its_settings(scmmlab, janes, tmp_path, empty_database) -> None:
    store, study, database = tmp_path / "runs", janes / "search.yaml", tmp_path / "central.db"
    own = store / "studies" / "search" / "mlflow.db"
    own.parent.mkdir(parents=True)
    shutil.copy(empty_database, own)
    done = scmmlab("run", study, "--engine", "local", "--store", store)
    assert done.status == 0, done.err
    live = rebuilt(runs_of(own, "search"), own.parent / "mlflow-artifacts")
    shutil.rmtree(own.parent / "mlflow-artifacts")
    shutil.copy(empty_database, own)
    assert scmmlab("mlflow", "sync", study, "--store", store).status == 0
    assert rebuilt(runs_of(own, "search"), own.parent / "mlflow-artifacts") == live
    shutil.copy(empty_database, database)
    given = ("--store", store, "--tracking-uri", f"sqlite:///{database}")
    shown = []
    for _ in range(2):
        done = scmmlab("mlflow", "sync", study, *given)
        assert done.status == 0, done.err
        shown.append(stable(runs_of(database, "search")))
    assert shown[0] == shown[1]
    assert set(shown[0]) == {"study search", "tune_trial 0", "tune_trial 1", "tune_trial 2"}
    assert {status for _, status, *_ in shown[0].values()} == {"FINISHED"}


def test_a_server_that_is_away_is_named_without_its_password(scmmlab, study, finished, tmp_path) -> None:
    store = tmp_path / "runs"
    shutil.copytree(finished, store)
    done = scmmlab("mlflow", "sync", study, "--store", store, "--tracking-uri", "http://me:secret@127.0.0.1:9")
    assert done.status == 2
    assert "Cannot write to MLflow at http://me:***@127.0.0.1:9: " in done.err
    assert "secret" not in done.err
    done = scmmlab("mlflow", "sync", study, "--store", store, "--tracking-uri", "none")
    assert done.status == 2
    assert "no MLflow" in done.err


@pytest.mark.parametrize("command", [("run", "--engine", "local"), ("mlflow", "sync"), ("ui",)])
def test_sqlite_on_a_network_file_system_is_refused(
    scmmlab, study, finished, tmp_path, monkeypatch, command, empty_database
) -> None:
    store = tmp_path / "network drive" / "runs"
    shutil.copytree(finished, store)
    shutil.copy(empty_database, store / "studies" / "tiny" / "mlflow.db")
    listing = tmp_path / "proc" / "self" / "mounts"
    listing.parent.mkdir(parents=True)
    place = str(tmp_path / "network drive").replace(" ", r"\040")
    listing.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/export {place} nfs4 rw,vers=4.2 0 0\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"))
    before = sorted(path for path in store.rglob("*"))
    name, *rest = command
    done = scmmlab(name, *rest, study, "--store", store)
    assert done.status == 2
    assert "SQLite relies on file locks, which nfs4" in done.err
    assert "Hint: name a server" in done.err
    assert sorted(path for path in store.rglob("*")) == before
