"""The MLflow tracker: events go to a queue at once, and from there to MLflow as fast as it takes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scmmlab.tracking.base import TrackedCell, Tracker
from scmmlab.tracking.datasets import DatasetInfo
from scmmlab.tracking.events import CellFailed, CellFinished, CellStarted, Epochs, Point, StudyEnded, StudyStarted
from scmmlab.tracking.writer import View, Writer


def default_tracking_uri(study_folder: Path) -> str:
    """SQLite in the study's folder: `sqlite:///…/mlflow.db`."""
    return f"sqlite:///{study_folder.absolute() / 'mlflow.db'}"


def default_artifact_root(study_folder: Path) -> str:
    """A folder beside it."""
    return (study_folder.absolute() / "mlflow-artifacts").as_uri()


class MlflowTracker(Tracker):
    """Shows a study in MLflow: one experiment, a parent run, a child run for each cell.

    Parameters
    ----------
    tracking_uri : str
        Of MLflow: `sqlite:///…`, `http://…`.
    artifact_root : str | None
        URI of a folder for artifacts of a new experiment; MLflow's own when None.
    make_view : callable | None
        Makes what the events are written to; MLflow when None.
    **writer
        Settings of the `Writer`.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: str | None = None,
        make_view: Callable[[], View] | None = None,
        **writer: Any,
    ):
        self.tracking_uri, self.artifact_root = tracking_uri, artifact_root
        self._writer = Writer(make_view or self._mlflow, **writer)
        self._open = False

    @classmethod
    def in_folder(cls, study_folder: Path) -> MlflowTracker:
        """A tracker with MLflow's data in a study's folder."""
        study_folder.mkdir(parents=True, exist_ok=True)
        return cls(default_tracking_uri(study_folder), default_artifact_root(study_folder))

    @property
    def left_out(self) -> int:
        """Events that were given up so far."""
        return self._writer.left_out

    def start_study(self, name: str, description: str, plan: str, versions: Mapping[str, str]) -> None:
        """See `Tracker`."""
        self._writer.put(StudyStarted(name, description, plan, dict(versions)))
        self._open = True

    def start_cell(self, cell: TrackedCell, datasets: Sequence[DatasetInfo] = ()) -> None:
        """See `Tracker`."""
        self._writer.put(CellStarted(cell, tuple(datasets)))

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker`."""
        self._writer.put(Epochs(key, (Point(stage, epoch, dict(metrics), _now_ms()),)))

    def finish_cell(self, cell: TrackedCell, record: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        self._writer.put(CellFinished(cell, record, _now_ms()))

    def fail_cell(self, cell: TrackedCell, error: str) -> None:
        """See `Tracker`."""
        self._writer.put(CellFailed(cell, error))

    def finish_study(self, artifacts: Path | None = None, complete: bool = True) -> None:
        """See `Tracker`."""
        self._writer.put(StudyEnded(artifacts, complete))
        self._open = False

    def close(self) -> None:
        """See `Tracker`. A study that has not ended was interrupted."""
        if self._open:
            self._writer.put(StudyEnded(None, None))
            self._open = False
        self._writer.close()

    def _mlflow(self) -> View:
        from scmmlab.tracking.mlflow_view import MlflowView

        return MlflowView(self.tracking_uri, self.artifact_root)


def _now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000
