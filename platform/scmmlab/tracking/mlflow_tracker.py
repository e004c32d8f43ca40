"""The MLflow tracker: events go to a queue in memory, and from there to MLflow as fast as it takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scmmlab.study import Cell, TuneTrialRecord
from scmmlab.tracking.direct import DirectWriter
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
    TuneTrialEnded,
)
from scmmlab.tracking.mounts import refuse_sqlite_over_network
from scmmlab.tracking.moved import artifact_root
from scmmlab.tracking.owner import Owner
from scmmlab.tracking.tracker import DataInput, Tracker
from scmmlab.tracking.uris import default_tracking_uri, shown_uri
from scmmlab.tracking.writer import View, Writer


class MlflowTracker(Tracker):
    """Shows a study in MLflow: one experiment, a parent run, a child run for each cell.

    Parameters
    ----------
    tracking_uri : str
        Of MLflow: `sqlite:///…`, `http://…`.
    artifact_root : str | None
        URI of a folder for artifacts of a new experiment; MLflow's own when None.
    owner : Owner | None
        Whose study it is; None for one of no store, which all of its name are.
    notify : callable | None
        Is given a sentence on where the study is recorded, as soon as that is known.
    make_view : callable | None
        Makes what the events are written to; MLflow when None.
    direct : bool
        Whether methods wait until MLflow has what they write, and raise where it does not take it.
    **writer
        Settings of the `Writer`.

    Raises
    ------
    StoreError
        If `tracking_uri` is a SQLite database on a network file system.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: str | None = None,
        make_view: Callable[[], View] | None = None,
        direct: bool = False,
        owner: Owner | None = None,
        notify: Callable[[str], None] | None = None,
        **writer: Any,
    ):
        refuse_sqlite_over_network(tracking_uri)
        self.tracking_uri, self.artifact_root = tracking_uri, artifact_root
        self._owner, self._notify = owner, notify
        make_view = make_view or self._mlflow
        self._writer = DirectWriter(make_view, shown_uri(tracking_uri)) if direct else Writer(make_view, **writer)
        self._open = False

    @classmethod
    def in_folder(
        cls,
        study_folder: Path,
        direct: bool = False,
        owner: Owner | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> MlflowTracker:
        """The tracker of a study whose MLflow is a SQLite database in its own folder, artifacts beside it."""
        uri = default_tracking_uri(study_folder)
        owner = owner and replace(owner, alone=True)
        return cls(uri, artifact_root(study_folder), direct=direct, owner=owner, notify=notify)

    @property
    def dropped(self) -> int:
        """Events that were not written so far."""
        return self._writer.dropped

    @property
    def errors(self) -> int:
        """Times that MLflow did not take an event."""
        return self._writer.errors

    def start_study(self, name: str, spec: Mapping[str, Any], plan: str, versions: Mapping[str, str]) -> None:
        """See `Tracker`."""
        self._writer.put(StudyStarted(name, spec, plan, dict(versions)))
        self._open = True

    def start_cell(self, cell: Cell, inputs: tuple[DataInput, ...] = ()) -> None:
        """See `Tracker`."""
        self._writer.put(CellStarted(ShownCell.of(cell), tuple(inputs)))

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._writer.put(Epochs(key, (Point(stage, epoch, dict(metrics), _now_ms()),)))

    def finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        self._writer.put(CellFinished(ShownCell.of(cell), tuple(inputs), record, _now_ms()))

    def fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        """See `Tracker`."""
        self._writer.put(CellFailed(ShownCell.of(cell), tuple(inputs), error))

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """See `Tracker`."""
        self._writer.put(TuneTrialEnded(trial, _now_ms()))

    def progress(self, finished: int, failed: int, total: int, slots_used: float | None = None) -> None:
        """See `Tracker`."""
        self._writer.put(Progressed(finished, failed, total, _now_ms(), slots_used))

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """See `Tracker`."""
        if report is not None:
            self._writer.put(ReportMade(report))
        self._writer.put(StudyEnded(complete))
        self._open = False

    def close(self) -> None:
        """See `Tracker`. A study that has not ended was interrupted."""
        if self._open:
            self._writer.put(StudyEnded(None))
            self._open = False
        self._writer.close()

    def _mlflow(self) -> View:
        from scmmlab.tracking.mlflow_view import MlflowView

        return MlflowView(self.tracking_uri, self.artifact_root, self._owner, self._notify)


def _now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000
