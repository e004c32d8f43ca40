"""Events as lines of JSON and back, for a queue on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from scmmlab.tracking.events import (
    CellFailed,
    CellFinished,
    CellStarted,
    Epochs,
    Event,
    Point,
    Progressed,
    ReportMade,
    ShownCell,
    StudyEnded,
    StudyStarted,
    TuneTrialEnded,
)
from scmmlab.tracking.tracker import DataInput, TuneTrialRecord

_KIND = "event"


def to_line(event: Event) -> bytes:
    """`event` as one line, its end included. Numbers read back exactly, NaN too."""
    values = {_KIND: type(event).__name__, **_fields(event)}
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=_plain).encode() + b"\n"


def from_line(line: bytes) -> Event:
    """The event that `to_line` wrote.

    Raises
    ------
    ValueError
        If it is no such line.
    """
    try:
        values = json.loads(line)
        return _READERS[values.pop(_KIND)](values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no event: {error!r}") from error


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, themselves unchanged: records are large, and need no copy to be written."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # of NumPy
        return value.tolist()
    raise TypeError(f"an event holds a {type(value).__name__}")


def _of_cell(values: dict[str, Any]) -> dict[str, Any]:
    inputs = tuple(DataInput(**data) for data in values["inputs"])
    return {**values, "cell": ShownCell(**values["cell"]), "inputs": inputs}


def _epochs(values: dict[str, Any]) -> Epochs:
    return Epochs(values["key"], tuple(Point(**point) for point in values["points"]))


def _tune_trial_ended(values: dict[str, Any]) -> TuneTrialEnded:
    trial = values["trial"]
    intermediate = tuple((epoch, value) for epoch, value in trial["intermediate"])
    return TuneTrialEnded(TuneTrialRecord(**{**trial, "intermediate": intermediate}), values["timestamp"])


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "StudyStarted": lambda values: StudyStarted(**values),
    "CellStarted": lambda values: CellStarted(**_of_cell(values)),
    "Epochs": _epochs,
    "CellFinished": lambda values: CellFinished(**_of_cell(values)),
    "CellFailed": lambda values: CellFailed(**_of_cell(values)),
    "TuneTrialEnded": _tune_trial_ended,
    "Progressed": lambda values: Progressed(**values),
    "ReportMade": lambda values: ReportMade(Path(values["folder"])),
    "StudyEnded": lambda values: StudyEnded(**values),
}
