"""The interface of a tracker: what is told of a study, by methods that do nothing unless a tracker has a use for it.

A tracker is a view. It is told what the result store already holds, so it may be lost, or told twice, without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from scmmlab.study.cells import Cell


@dataclass(frozen=True)
class DataInput:
    """A feature table that a cell read."""

    role: Literal["source", "target"]
    """What it was read for."""
    name: str
    """Corpus."""
    location: str
    """Folder or URI of the table."""
    fingerprint: str
    """Of the table's content."""
    windows: int
    """Rows of the whole table."""


@dataclass(frozen=True)
class TuneTrialRecord:
    """A setting that a sweep tried, as it ended."""

    number: int
    """In the order of sampling, from 0."""
    key: str
    """Identity of its training."""
    params: Mapping[str, bool | int | float | str | None]
    """Dotted path → value."""
    intermediate: tuple[tuple[int, float], ...]
    """(epoch, probe), in the order of epochs."""
    value: float | None
    """The last probe of a complete one."""
    state: Literal["complete", "pruned", "failed"]
    """How it ended."""
    error: str | None = None
    """One line, of failed ones."""


class Tracker:
    """Base of trackers, and the tracker that keeps nothing."""

    def start_study(self, name: str, spec: Mapping[str, Any], plan: str, versions: Mapping[str, str]) -> None:
        """A study is about to run (again).

        Parameters
        ----------
        name : str
            Name of the study.
        spec : mapping
            The study as plain values.
        plan : str
            The plan, for people.
        versions : mapping of str to str
            What computes it.
        """

    def start_cell(self, cell: Cell, inputs: tuple[DataInput, ...]) -> None:
        """Work on `cell` has begun."""

    def finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """`cell` is in the store, with the record of its evaluate stage."""

    def fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        """`cell` came to nothing, for the reason that `error` gives in a line."""

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """A setting of a sweep has ended."""

    def progress(self, finished: int, failed: int, total: int) -> None:
        """So many cells (or tune_trials) of `total` have ended."""

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """Nothing more will come for now; `report` is the folder of the report, if one was written."""

    def close(self) -> None:
        """Let go of everything; what was told is kept."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
