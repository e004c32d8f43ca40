"""A study in MLflow: one experiment, a parent run with plan and report, a child run for each cell.

Everything is written through `MlflowClient` by one thread, in batches, so that training never waits for MLflow; what
it refuses is warned of once and counted. A cell's run is found again by its tags, so running a study a second time
duplicates nothing.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scmmlab.study.cells import Cell
from scmmlab.tracking.tracker import DataInput, Tracker, TuneTrialRecord
from scmmlab.tracking.ui import MLFLOW_ENVIRONMENT

log = logging.getLogger(__name__)

PARENT_TAG = "mlflow.parentRunId"
ROLE_TAG = "scmmlab.role"
NAME_TAG = "scmmlab.name"
KEY_TAG = "scmmlab.key"
METRICS_A_REQUEST = 1000
PARAMS_A_REQUEST = 100
PARAM_LENGTH = 6000
DIGEST_LENGTH = 36
"""Limits of MLflow's interface."""

Curve = tuple[str, float, int]
"""Metric, value, step."""


class MlflowTracker(Tracker):
    """Writes a study to an MLflow tracking server or database.

    Parameters
    ----------
    tracking_uri : str
        ``sqlite:///…/mlflow.db``, or the address of a server.
    artifact_root : str | None
        Where a new experiment's artifacts go; the server's choice when None.
    """

    def __init__(self, tracking_uri: str, artifact_root: str | None = None):
        self.tracking_uri = tracking_uri
        self.refused = 0
        """Calls that MLflow did not take."""
        self._artifact_root = artifact_root
        self._connection: Any = None
        self._experiment: str | None = None
        self._parent: str | None = None
        self._versions: Mapping[str, str] = {}
        self._runs: dict[tuple[str, str], tuple[str, str]] = {}  # (name, key) → (run id, status)
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._writer = threading.Thread(target=self._write, name="mlflow-writer", daemon=True)
        self._writer.start()

    def start_study(self, name: str, spec: Mapping[str, Any], plan: str, versions: Mapping[str, str]) -> None:
        """Open the experiment and its parent run, and learn which runs are there."""
        self._versions = dict(versions)
        self._later(lambda: self._open(name, spec, plan))

    def start_cell(self, cell: Cell, inputs: tuple[DataInput, ...]) -> None:
        """Open the cell's run."""
        self._later(lambda: self._start_cell(cell, inputs))

    def finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """Log figures, curves and tables, and finish the run; one that is finished is left alone."""
        self._later(lambda: self._finish_cell(cell, inputs, record))

    def fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        """Mark the run as failed, with its error."""
        self._later(lambda: self._fail_cell(cell, inputs, error))

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """Log a setting of a sweep as a run of its own; one that is there is left alone."""
        self._later(lambda: self._finish_tune_trial(trial))

    def progress(self, finished: int, failed: int, total: int) -> None:
        """Log the counts on the parent run."""
        counts = {"cells.finished": finished, "cells.failed": failed, "cells.total": total}
        self._later(lambda: self._log(self._the_parent(), curves=[(name, n, 0) for name, n in counts.items()]))

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """Put the report on the parent run, and finish it."""
        self._later(lambda: self._close(report, complete))

    def close(self) -> None:
        """Write what is queued."""
        self._queue.put(None)
        self._writer.join()
        if self.refused:
            log.warning(
                "MLflow at %s did not take %d of the calls; the result store has everything.",
                self.tracking_uri,
                self.refused,
            )

    # -- the writer's thread ------------------------------------------------------------------------------------------

    def _later(self, call: Callable[[], None]) -> None:
        self._queue.put(call)

    def _write(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                call()
            except Exception as error:  # whatever MLflow raises, the study goes on
                self.refused += 1
                if self.refused == 1:
                    log.warning("MLflow at %s: %s. The study goes on.", self.tracking_uri, _first_line(error))

    @property
    def _client(self) -> Any:
        """The connection, made when it is first needed: MLflow takes seconds to import, and the server may be away."""
        if self._connection is None:
            for name, value in MLFLOW_ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            from mlflow import MlflowClient

            logging.getLogger("alembic").setLevel(logging.ERROR)  # one line for each of fifty migrations
            self._connection = MlflowClient(tracking_uri=self.tracking_uri)
        return self._connection

    def _open(self, name: str, spec: Mapping[str, Any], plan: str) -> None:
        client = self._client
        found = client.get_experiment_by_name(name)
        self._experiment = (
            found.experiment_id if found else client.create_experiment(name, artifact_location=self._artifact_root)
        )
        for run in self._all_runs():
            tags = run.data.tags
            if tags.get(ROLE_TAG) == "study":
                self._parent = run.info.run_id
            elif KEY_TAG in tags:
                self._runs[tags[NAME_TAG], tags[KEY_TAG]] = (run.info.run_id, run.info.status)
        if self._parent is None:
            self._parent = client.create_run(
                self._experiment, run_name=name, tags={ROLE_TAG: "study", **self._version_tags()}
            ).info.run_id
        else:
            client.update_run(self._parent, status="RUNNING")
        if spec.get("description"):
            client.set_tag(self._parent, "mlflow.note.content", str(spec["description"]))
        client.log_text(self._parent, plan, "plan.txt")
        client.log_text(self._parent, json.dumps(spec, indent=2, ensure_ascii=False), "study.json")

    def _all_runs(self) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _start_cell(self, cell: Cell, inputs: tuple[DataInput, ...]) -> None:
        run_id, status = self._open_cell(cell, inputs)
        if status == "FAILED":  # it is tried again
            self._client.update_run(run_id, status="RUNNING")
            self._runs[cell.name, cell.key] = (run_id, "RUNNING")

    def _open_cell(self, cell: Cell, inputs: tuple[DataInput, ...]) -> tuple[str, str]:
        """The run of `cell` and its status, made if it is not there."""
        run = self._runs.get((cell.name, cell.key))
        if run:
            return run
        tags = {"variant": cell.variant, "transfer": cell.transfer.name, "protocol": cell.experiment.protocol.kind}
        params = {
            **_flatten(cell.experiment.model_dump(mode="json")),
            "seed": cell.seed,
            "channels": len(cell.channels),
        }
        return self._create(cell.name, cell.key, "cell", tags, params, inputs)

    def _create(
        self,
        name: str,
        key: str,
        role: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        inputs: Sequence[DataInput] = (),
    ) -> tuple[str, str]:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run_id = self._client.create_run(
            self._experiment,
            run_name=name,
            tags={
                PARENT_TAG: self._the_parent(),
                ROLE_TAG: role,
                NAME_TAG: name,
                KEY_TAG: key,
                **tags,
                **self._version_tags(),
            },
        ).info.run_id
        self._log(run_id, params=params)
        if inputs:
            self._client.log_inputs(
                run_id,
                [
                    DatasetInput(
                        Dataset(
                            name=data.name,
                            digest=data.fingerprint[:DIGEST_LENGTH],
                            source_type="feature table",
                            source=json.dumps({"location": data.location, "fingerprint": data.fingerprint}),
                            profile=json.dumps({"windows": data.windows}),
                        ),
                        [InputTag("mlflow.data.context", data.role)],
                    )
                    for data in inputs
                ],
            )
        self._runs[name, key] = run = (run_id, "RUNNING")
        return run

    def _finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        run_id, status = self._open_cell(cell, inputs)
        if status == "FINISHED":
            return
        self._log(run_id, curves=[*_figures(record), *_curves(record)])
        self._client.log_text(run_id, _fold_table(record), "folds.csv")
        self._client.log_dict(
            run_id,
            {"classes": record["classes"], "folds": {fold["name"]: fold["confusion"] for fold in record["folds"]}},
            "confusion.json",
        )
        if record["leaks"]:
            self._client.set_tag(run_id, "scmmlab.leaks", "; ".join(record["leaks"]))
        self._end(cell.name, cell.key, run_id, "FINISHED")

    def _fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        run_id, status = self._open_cell(cell, inputs)
        if status != "FINISHED":
            self._client.set_tag(run_id, "error", error[:PARAM_LENGTH])
            self._end(cell.name, cell.key, run_id, "FAILED")

    def _finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        name = f"tune_trial {trial.number}"
        if (name, trial.key) in self._runs:
            return
        tags = {"state": trial.state, **({"error": trial.error[:PARAM_LENGTH]} if trial.error else {})}
        run_id, _ = self._create(name, trial.key, "tune_trial", tags, trial.params)
        curves: list[Curve] = [("validation.probe", value, epoch) for epoch, value in trial.intermediate]
        if trial.value is not None:
            curves.append(("objective", trial.value, 0))
        self._log(run_id, curves=curves)
        self._end(name, trial.key, run_id, "FAILED" if trial.state == "failed" else "FINISHED")

    def _close(self, report: Path | None, complete: bool) -> None:
        parent = self._the_parent()
        if report is not None:
            self._client.log_artifacts(parent, str(report), "report")
        self._client.set_terminated(parent, "FINISHED" if complete else "FAILED")

    def _end(self, name: str, key: str, run_id: str, status: str) -> None:
        self._client.set_terminated(run_id, status)
        self._runs[name, key] = (run_id, status)

    def _the_parent(self) -> str:
        if self._parent is None:
            raise RuntimeError("the experiment could not be opened")
        return self._parent

    def _version_tags(self) -> dict[str, str]:
        return {
            "mlflow.source.git.commit" if name == "commit" else f"version.{name}": version
            for name, version in self._versions.items()
        }

    def _log(self, run_id: str, curves: Sequence[Curve] = (), params: Mapping[str, Any] | None = None) -> None:
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        entries = [Param(name, _text(value)) for name, value in (params or {}).items()]
        for start in range(0, len(entries), PARAMS_A_REQUEST):
            self._client.log_batch(run_id, params=entries[start : start + PARAMS_A_REQUEST])
        points = [Metric(name, value, now, step) for name, value, step in curves]
        for start in range(0, len(points), METRICS_A_REQUEST):
            self._client.log_batch(run_id, metrics=points[start : start + METRICS_A_REQUEST])


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, part in value.items():
        if isinstance(part, Mapping):
            flat |= _flatten(part, f"{prefix}{name}.")
        else:
            flat[prefix + name] = part
    return flat


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:PARAM_LENGTH]


def _figures(record: Mapping[str, Any]) -> list[Curve]:
    """The mean over folds of each figure, by part."""
    figures: list[Curve] = []
    for part in ("validation", "test"):
        scores = [fold[part] for fold in record["folds"] if fold.get(part)]
        for metric in scores[0] if scores else ():
            known = [score[metric] for score in scores if score[metric] is not None]
            if known:
                figures.append((f"{part}.{metric}", sum(known) / len(known), 0))
    return figures


def _curves(record: Mapping[str, Any]) -> list[Curve]:
    return [
        (f"{stage}.{name}", value, point["epoch"])
        for stage, points in record["curves"].items()
        for point in points
        for name, value in point.items()
        if name != "epoch" and value is not None
    ]


def _fold_table(record: Mapping[str, Any]) -> str:
    """One row a fold: subjects, windows, the epoch that was judged, every figure."""
    metrics = list(record["folds"][0]["test"]) if record["folds"] else []
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    parts = ("validation", "test")
    table.writerow(
        ["fold", "subjects", "test_windows", "epoch", *(f"{part}.{name}" for part in parts for name in metrics)]
    )
    for fold in record["folds"]:
        figures = [(fold.get(part) or {}).get(name) for part in parts for name in metrics]
        subjects = " ".join(map(str, fold["subjects"]))
        table.writerow([fold["name"], subjects, fold["windows"]["test"], fold["epoch"], *figures])
    return text.getvalue()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
