"""What happened in a study, as values that can wait in a queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scmmlab.study import Cell, TuneTrialRecord
from scmmlab.tracking.parameters import cell_parameters
from scmmlab.tracking.tracker import DataInput


@dataclass(frozen=True)
class ShownCell:
    """What is shown of a cell, without the places of its tables."""

    key: str
    pretrain_key: str | None
    name: str
    variant: str
    transfer: str
    protocol: str
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, cell: Cell) -> ShownCell:
        """What is shown of `cell`."""
        return cls(
            key=cell.key,
            pretrain_key=cell.pretrain_key,
            name=cell.name,
            variant=cell.variant,
            transfer=cell.transfer.name,
            protocol=cell.experiment.protocol.kind,
            parameters=cell_parameters(cell),
        )

    @property
    def place(self) -> tuple[str, str]:
        """Key and name: two cells of one key are shown each by its name."""
        return self.key, self.name


@dataclass(frozen=True)
class StudyStarted:
    """A study began or goes on."""

    name: str
    spec: Mapping[str, Any]
    plan: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class CellStarted:
    """A cell began or goes on."""

    cell: ShownCell
    inputs: tuple[DataInput, ...]


@dataclass(frozen=True)
class Point:
    """The figures of one epoch."""

    stage: str
    epoch: int
    metrics: Mapping[str, float]
    timestamp: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Epochs:
    """Epochs of one cell or pre-train stage have ended."""

    key: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class CellFinished:
    """A cell is finished."""

    cell: ShownCell
    inputs: tuple[DataInput, ...]
    record: Mapping[str, Any]
    timestamp: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class CellFailed:
    """A cell came to nothing."""

    cell: ShownCell
    inputs: tuple[DataInput, ...]
    error: str


@dataclass(frozen=True)
class TuneTrialEnded:
    """A setting of a sweep has ended."""

    trial: TuneTrialRecord
    timestamp: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Progressed:
    """So many cells (or tune_trials) have ended."""

    finished: int
    failed: int
    total: int
    timestamp: int
    """Milliseconds since 1970."""
    slots_used: float | None = None
    """Of a sweep: the share of slot-epochs that were in use."""


@dataclass(frozen=True)
class ReportMade:
    """The report is in this folder."""

    folder: Path


@dataclass(frozen=True)
class StudyEnded:
    """The study has ended; `complete` is None where it was interrupted."""

    complete: bool | None


TrackingEvent = (
    StudyStarted
    | CellStarted
    | Epochs
    | CellFinished
    | CellFailed
    | TuneTrialEnded
    | Progressed
    | ReportMade
    | StudyEnded
)


def merged(events: Iterable[TrackingEvent]) -> list[TrackingEvent]:
    """`events` with the epochs of one key that nothing stands between in one event, so that one request writes them."""
    result: list[TrackingEvent] = []
    place: dict[str, int] = {}
    for event in events:
        if not isinstance(event, Epochs):
            place.clear()
            result.append(event)
        elif event.key in place:
            earlier = result[place[event.key]]
            assert isinstance(earlier, Epochs)
            result[place[event.key]] = replace(earlier, points=earlier.points + event.points)
        else:
            place[event.key] = len(result)
            result.append(event)
    return result
