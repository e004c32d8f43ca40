"""A study in MLflow: one experiment, a parent run with plan and report, a child run for each cell.

Runs are recognised by tags, so that a study that is run again goes on in the runs that it has: a finished one is left
as it is, another one is opened again. The tags say of which store the study is, too: strangers' runs are left alone.
Everything goes through `MlflowClient`, in one thread, in batches. MLflow gets hashes and figures: no path, no subject's
name, no recording.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, assert_never

from scmmlab.tracking.events import (
    CellFailed,
    CellFinished,
    CellStarted,
    Epochs,
    Point,
    Progressed,
    ReportMade,
    ShownCell,
    StudyEnded,
    StudyStarted,
    TrackingEvent,
    TuneTrialEnded,
)
from scmmlab.tracking.experiments import CELL_KEY, CELL_NAME, ROLE, Experiments, runs_of
from scmmlab.tracking.figures import confusion_matrices, curves, fold_table, mean_figures
from scmmlab.tracking.moved import bring_artifacts_along
from scmmlab.tracking.new_database import make_database
from scmmlab.tracking.owner import Owner
from scmmlab.tracking.parameters import flat_parameters
from scmmlab.tracking.redact_paths import redact_paths, redact_spec
from scmmlab.tracking.tracker import DataInput
from scmmlab.tracking.ui import MLFLOW_ENVIRONMENT
from scmmlab.tracking.uris import shown_uri

if TYPE_CHECKING:  # it is imported where it is opened: that takes seconds
    from mlflow.entities import DatasetInput, Run

PARENT = "mlflow.parentRunId"
ERROR = "scmmlab.error"
STATE = "scmmlab.state"
"""Tag of a tune_trial's run: how it ended."""
LOST = "lost"
"""In that tag: it failed because its worker was lost, and will be tried again."""
IN_PLAN = "scmmlab.in_plan"
"""Tag of a child run: whether its cell was in the plan when the study was last run. One that a change of the study left
behind stays, and says so."""

METRICS_A_REQUEST = 1000
PARAMETERS_A_REQUEST = 100
LONGEST_TAG = 5000
LONGEST_DIGEST = 36
_TEXTS = (".html", ".md", ".tex")
"""Of the report's files."""

_CLIENT_ENVIRONMENT = {
    # retries are the writer's, so that closing need not wait for MLflow's
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # a line for each run, and one for each of fifty migrations
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}

ItemT = TypeVar("ItemT")
_Row = tuple[str, float, int, int]
"""Name, value, milliseconds since 1970, step."""


@dataclass
class _Child:
    """A cell's run."""

    run_id: str
    finished: bool
    failed: bool = False
    """Whether an error stands in it."""
    logged: dict[str, set[int]] | None = field(default_factory=dict)
    """Epochs that are written, by stage; None until they were asked for."""


class MlflowView:
    """Writes a study's events to MLflow; each may be written again, and stands once.

    Parameters
    ----------
    tracking_uri : str
        Of MLflow: `sqlite:///…`, `http://…`.
    artifact_root : str | None
        URI of a folder for artifacts; MLflow's own when None.
    owner : Owner | None
        Whose study it is; None for one of no store, which all of its name are.
    notify : callable | None
        Is given a sentence on where the study is recorded, as soon as that is known.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: str | None = None,
        owner: Owner | None = None,
        notify: Callable[[str], None] | None = None,
    ):
        for name, value in {**MLFLOW_ENVIRONMENT, **_CLIENT_ENVIRONMENT}.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient
        from mlflow.tracking._tracking_service import utils

        logging.getLogger("alembic").setLevel(logging.ERROR)
        # it prints a trace of whatever it raises as well
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        make_database(tracking_uri)
        if owner is not None and owner.alone:
            bring_artifacts_along(tracking_uri)
            # where this process has written a run's artifacts before, it was moved or copied since
            getattr(utils, "_artifact_repos_cache", {}).clear()
        self._client = MlflowClient(tracking_uri=tracking_uri)
        self._tracking_uri, self._artifact_root = tracking_uri, artifact_root
        self._owner, self._notify = owner, notify
        self._study: StudyStarted | None = None
        self._experiment_id = ""
        self._parent_id = ""
        self._children: dict[tuple[str, str], _Child] = {}
        self._planned: set[tuple[str, str]] = set()
        self._started: dict[tuple[str, str], CellStarted] = {}
        self._of_key: dict[str, set[tuple[str, str]]] = {}
        self._counts: dict[str, float] = {}
        self._in_doubt = True

    def reachable(self) -> bool:
        """Whether MLflow answers."""
        try:
            self._client.search_experiments(max_results=1)
        except Exception:
            return False
        return True

    def may_pass(self, error: Exception) -> bool:
        """Whether MLflow itself was in trouble (its disk full, its database away), or nobody to be spoken to."""
        from mlflow.exceptions import MlflowException

        if isinstance(error, MlflowException):
            return error.get_http_status_code() >= 500 or error.get_http_status_code() in (401, 403, 408, 429)
        return isinstance(error, OSError)

    def write(self, event: TrackingEvent) -> None:
        """Write an event. Where it raises, what is there is looked up again before the next one."""
        in_doubt, self._in_doubt = self._in_doubt, True
        if isinstance(event, StudyStarted):
            self._study, self._planned, self._started, self._of_key = event, set(), {}, {}
            self._start_study(event)
        else:
            assert self._study is not None, "a study is started before anything of it"
            if in_doubt:
                self._start_study(self._study)
            match event:
                case CellStarted():
                    self._start_cell(event)
                case Epochs():
                    for place in self._of_key.get(event.key, ()):
                        self._log_points(self._child(place), event.points)
                case CellFinished():
                    self._finish_cell(event)
                case CellFailed():
                    self._fail_cell(event)
                case TuneTrialEnded():
                    self._end_tune_trial(event)
                case Progressed():
                    self._log_progress(event)
                case ReportMade():
                    self._log_report(event.folder)
                case StudyEnded():
                    self._end_study(event)
                case _:
                    assert_never(event)
        self._in_doubt = False

    # --- study

    def _start_study(self, event: StudyStarted) -> None:
        owner = self._owner or Owner(event.name, "", alone=True)
        self._experiments = Experiments(self._client, owner, self._artifact_root)
        experiment = self._experiments.mine(_description(event))
        self._experiment_id, self._mine = experiment.experiment_id, owner
        self._experiments.note_deleted(self._experiment_id)
        self._parent_id = ""
        self._counts, self._step = {}, 0
        self._children = {}
        parent_of: dict[str, str] = {}
        for run in self._runs():
            tags = run.data.tags
            if tags.get(ROLE) == "study":
                if not self._parent_id:  # of several, which people may have brought back, the latest one
                    self._parent_id, name = run.info.run_id, run.info.run_name
                    self._counts = dict(run.data.metrics)
                    names = ("cells/finished", "cells/failed")
                    shown = [self._client.get_metric_history(self._parent_id, name) for name in names]
                    self._step = max((metric.step for history in shown for metric in history), default=0)
            elif CELL_KEY in tags:
                parent_of[run.info.run_id] = tags.get(PARENT, "")
                # a failed cell is run again; so is a tune_trial that was lost, and any other failed one is what it is
                stays = tags.get(ROLE) == "tune_trial" and tags.get(STATE) != LOST
                ended = ("FINISHED", "FAILED") if stays else ("FINISHED",)
                child = _Child(run.info.run_id, run.info.status in ended, ERROR in tags, None)
                self._children.setdefault((tags[CELL_KEY], tags.get(CELL_NAME, "")), child)
        tags = {**owner.marks, ROLE: "study", "mlflow.note.content": _description(event)}
        tags |= _version_tags(event.versions)
        if self._parent_id:
            self._client.update_run(self._parent_id, status="RUNNING")
            for tag, value in tags.items():
                self._client.set_tag(self._parent_id, tag, value)
        else:
            name = f"study {experiment.name}"
            self._parent_id = self._client.create_run(self._experiment_id, tags=tags, run_name=name).info.run_id
        for run_id, parent_id in parent_of.items():
            if parent_id != self._parent_id:  # which people have deleted
                self._client.set_tag(run_id, PARENT, self._parent_id)
        self._client.log_text(self._parent_id, event.plan, "plan.txt")
        self._client.log_dict(self._parent_id, redact_spec(event.spec), "study.json")
        if self._notify is not None:
            namesake = f" ('{owner.study}' is another store's)" if self._experiments.has_namesake(experiment) else ""
            place = f"experiment '{experiment.name}'{namesake}, run '{name}'"
            self._notify(f"{shown_uri(self._tracking_uri)}, {place}")
            self._notify = None

    def _runs(self) -> Iterator[Run]:
        """The study's runs, the one that began last first; strangers' may be there where two took one experiment."""
        return (run for run in runs_of(self._client, self._experiment_id) if self._mine.owns(run.data.tags))

    def _log_report(self, folder: Path) -> None:
        """The files of `folder`, but what MLflow itself keeps there. An error may name a table's folder in them."""
        inputs = [data for event in self._started.values() for data in event.inputs]
        names = {data.location: data.name for data in inputs if "/" in data.location}
        files = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.relative_to(folder).parts[0].startswith(("mlflow", "."))
        ]
        for path in files:
            place = "/".join(("report", *path.relative_to(folder).parts[:-1]))
            text = path.read_text(encoding="utf-8") if path.suffix in _TEXTS else ""
            if any(location in text for location in names):
                for location, name in names.items():
                    text = text.replace(location, name)
                self._client.log_text(self._parent_id, text, f"{place}/{path.name}")
            else:
                self._client.log_artifact(self._parent_id, str(path), place)

    def _log_progress(self, event: Progressed) -> None:
        from mlflow.entities import Metric

        counts: dict[str, float] = {
            "cells/finished": event.finished,
            "cells/failed": event.failed,
            "cells/total": event.total,
        }
        if event.slots_used is not None:
            counts["slots/used"] = event.slots_used
        new = {name: number for name, number in counts.items() if self._counts.get(name) != number}
        if new:
            # MLflow takes the figure of the highest step for the latest, and a cell that failed may be run again
            self._step = max(self._step, event.finished + event.failed)
            metrics = [Metric(name, number, event.timestamp, self._step) for name, number in new.items()]
            self._client.log_batch(self._parent_id, metrics=metrics)
            self._counts.update(new)

    def _end_study(self, event: StudyEnded) -> None:
        for run in self._runs():
            if run.info.status == "RUNNING" and run.data.tags.get(ROLE) != "study":
                self._client.set_terminated(run.info.run_id, "KILLED")
        self._experiments.note_deleted(self._experiment_id)
        if event.complete is not None:
            self._tag_what_is_in_the_plan()
        status = {True: "FINISHED", False: "FAILED", None: "KILLED"}[event.complete]
        self._client.set_terminated(self._parent_id, status)

    def _tag_what_is_in_the_plan(self) -> None:
        for run in self._runs():
            tags = run.data.tags
            if tags.get(ROLE) == "cell":
                planned = str((tags[CELL_KEY], tags[CELL_NAME]) in self._planned).lower()
                if tags.get(IN_PLAN) != planned:
                    self._client.set_tag(run.info.run_id, IN_PLAN, planned)

    # --- cells

    def _start_cell(self, event: CellStarted) -> None:
        cell, place = event.cell, event.cell.place
        self._begins(event)
        for key in {cell.key, cell.pretrain_key or cell.key}:
            self._of_key.setdefault(key, set()).add(place)
        child = self._children.get(place)
        if child is None:
            self._create(event)
        elif not child.finished:
            self._client.update_run(child.run_id, status="RUNNING")
            self._describe(child.run_id, event)

    def _begins(self, event: CellStarted) -> None:
        """Remember what its run is made of: until it is finished, as a study may have ten thousand cells."""
        self._planned.add(event.cell.place)
        self._started[event.cell.place] = event

    def _ends(self, cell: ShownCell) -> None:
        self._started.pop(cell.place, None)
        for key in {cell.key, cell.pretrain_key or cell.key} & self._of_key.keys():
            self._of_key[key].discard(cell.place)
            if not self._of_key[key]:
                del self._of_key[key]

    def _child(self, place: tuple[str, str]) -> _Child:
        if place not in self._children:
            self._create(self._started[place])
        return self._children[place]

    def _create(self, event: CellStarted) -> None:
        cell = event.cell
        tags = {
            "scmmlab.variant": cell.variant,
            "scmmlab.transfer": cell.transfer,
            "scmmlab.protocol": cell.protocol,
        }
        child = self._create_child("cell", cell.key, cell.name, tags)
        self._log_parameters(child.run_id, cell.parameters)
        self._log_inputs(child.run_id, event)

    def _create_child(self, role: str, key: str, name: str, tags: Mapping[str, str]) -> _Child:
        assert self._study is not None
        ours = {**self._mine.marks, ROLE: role, PARENT: self._parent_id, CELL_KEY: key, CELL_NAME: name}
        run = self._client.create_run(
            self._experiment_id, tags={**ours, **tags, **_version_tags(self._study.versions)}, run_name=name
        )
        child = self._children[key, name] = _Child(run.info.run_id, False)
        return child

    def _describe(self, run_id: str, event: CellStarted) -> None:
        """Parameters and datasets, where they are not there yet."""
        run = self._client.get_run(run_id)
        parameters = event.cell.parameters  # of which none can be written twice
        self._log_parameters(run_id, {name: parameters[name] for name in parameters.keys() - run.data.params.keys()})
        if not (run.inputs and run.inputs.dataset_inputs):
            self._log_inputs(run_id, event)

    def _log_inputs(self, run_id: str, event: CellStarted) -> None:
        if event.inputs:
            self._client.log_inputs(run_id, datasets=[_dataset_input(data) for data in event.inputs])

    def _finish_cell(self, event: CellFinished) -> None:
        child, record = self._child_of(event), event.record
        self._ends(event.cell)
        if child.finished:
            return
        points = [Point(stage, epoch, metrics, event.timestamp) for stage, epoch, metrics in curves(record)]
        means = [(name, value, event.timestamp, 0) for name, value in mean_figures(record).items()]
        self._log_points(child, points, means)
        self._client.log_text(child.run_id, fold_table(record), "folds.csv")
        self._client.log_dict(child.run_id, confusion_matrices(record), "confusion.json")
        if record["leaks"]:
            self._client.set_tag(child.run_id, "scmmlab.leaks", "; ".join(record["leaks"])[:LONGEST_TAG])
        self._tag_error(child, None)
        self._client.set_terminated(child.run_id, "FINISHED")
        child.finished = True
        child.logged = {}

    def _fail_cell(self, event: CellFailed) -> None:
        child = self._child_of(event)
        if not child.finished:
            self._tag_error(child, event.error)
            self._client.set_terminated(child.run_id, "FAILED")

    def _child_of(self, event: CellFinished | CellFailed) -> _Child:
        """The cell's run, made where the cell was never started here."""
        place = event.cell.place
        if place not in self._started:
            self._begins(CellStarted(event.cell, event.inputs))
        return self._child(place)

    def _end_tune_trial(self, event: TuneTrialEnded) -> None:
        trial = event.trial
        name = f"tune_trial {trial.number}"
        child = self._children.get((trial.key, name)) or self._create_child("tune_trial", trial.key, name, {})
        if child.finished:
            return
        written = self._client.get_run(child.run_id).data.params
        parameters = flat_parameters(trial.params)
        self._log_parameters(child.run_id, {path: parameters[path] for path in parameters.keys() - written.keys()})
        points = [Point("probe", epoch, {"probe": value}, event.timestamp) for epoch, value in trial.intermediate]
        objective = [] if trial.value is None else [("objective", trial.value, event.timestamp, 0)]
        self._log_points(child, points, objective)
        self._client.set_tag(child.run_id, STATE, trial.state if trial.settled else LOST)
        self._tag_error(child, trial.error)
        self._client.set_terminated(child.run_id, "FAILED" if trial.state == "failed" else "FINISHED")
        child.finished = trial.settled

    def _tag_error(self, child: _Child, error: str | None) -> None:
        """Have the error stand in a run, or none, where one of an earlier try stood."""
        if error:
            self._client.set_tag(child.run_id, ERROR, redact_paths(error)[:LONGEST_TAG])
        elif child.failed:
            self._client.delete_tag(child.run_id, ERROR)
        child.failed = bool(error)

    # --- figures

    def _log_points(self, child: _Child, points: Sequence[Point], more: Sequence[_Row] = ()) -> None:
        """Write the epochs that are not written yet, and `more` in the same requests."""
        if child.finished:
            return
        if child.logged is None:
            child.logged = self._written_epochs(child.run_id)
        new = {(p.stage, p.epoch): p for p in points if p.epoch not in child.logged.get(p.stage, ())}
        rows = [
            (f"{point.stage}/{name}", value, point.timestamp, point.epoch)
            for point in new.values()
            for name, value in point.metrics.items()
            if value is not None
        ]
        self._log_metrics(child, [*rows, *more])
        for stage, epoch in new:
            child.logged.setdefault(stage, set()).add(epoch)

    def _written_epochs(self, run_id: str) -> dict[str, set[int]]:
        """Epochs that an earlier session wrote, by stage."""
        written: dict[str, set[int]] = {}
        for name in self._client.get_run(run_id).data.metrics:
            stage, slash, _ = name.partition("/")
            if slash and stage in ("pretrain", "finetune", "probe"):
                history = self._client.get_metric_history(run_id, name)
                written.setdefault(stage, set()).update(metric.step for metric in history)
        return written

    def _log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        for some in _batches([Param(name, value) for name, value in parameters.items()], PARAMETERS_A_REQUEST):
            self._client.log_batch(run_id, params=some)

    def _log_metrics(self, child: _Child, rows: Sequence[_Row]) -> None:
        from mlflow.entities import Metric

        for some in _batches(rows, METRICS_A_REQUEST):
            self._client.log_batch(child.run_id, metrics=[Metric(*row) for row in some])


def _description(event: StudyStarted) -> str:
    return str(event.spec.get("description", ""))


def _version_tags(versions: Mapping[str, str]) -> dict[str, str]:
    return {
        "mlflow.source.git.commit" if name == "commit" else f"scmmlab.version.{name}": text
        for name, text in versions.items()
    }


def _dataset_input(data: DataInput) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(
        Dataset(
            name=data.name,
            digest=data.fingerprint[:LONGEST_DIGEST],
            source_type="scmmlab feature table",
            source=json.dumps({"corpus": data.name, "fingerprint": data.fingerprint}),
            profile=json.dumps({"windows": data.windows, "fingerprint": data.fingerprint}),
        ),
        tags=[InputTag("mlflow.data.context", data.role)],
    )


def _batches(items: Sequence[ItemT], size: int) -> Iterator[list[ItemT]]:
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
