"""What happened in a study, as values that can wait in a queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scmmlab.tracking.base import TrackedCell
from scmmlab.tracking.datasets import DatasetInfo


@dataclass(frozen=True)
class StudyStarted:
    """A study began or goes on."""

    name: str
    description: str
    plan: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class CellStarted:
    """A cell began or goes on."""

    cell: TrackedCell
    datasets: tuple[DatasetInfo, ...]


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

    cell: TrackedCell
    record: Mapping[str, Any]
    timestamp: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class CellFailed:
    """A cell came to nothing."""

    cell: TrackedCell
    error: str


@dataclass(frozen=True)
class StudyEnded:
    """The study has ended; `complete` is None where it was interrupted."""

    artifacts: Path | None
    complete: bool | None


Event = StudyStarted | CellStarted | Epochs | CellFinished | CellFailed | StudyEnded


def merged(events: Iterable[Event]) -> list[Event]:
    """`events` with the epochs of one key that nothing stands between in one event, so that one request writes them."""
    result: list[Event] = []
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
