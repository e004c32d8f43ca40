"""The interface of a tracker: what it is shown of a study, by methods that do nothing unless it overrides them.

A tracker is a view of what the result store already holds: it may be lost, or shown things twice, without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from scmmlab.study import Cell, TuneTrialRecord
from scmmlab.tables import Manifest


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


def data_inputs(cell: Cell, source: Manifest, target: Manifest) -> tuple[DataInput, DataInput]:
    """What `cell` reads, from the manifests of its two tables."""
    transfer = cell.transfer
    return (
        DataInput("source", source.corpus, transfer.source.table, source.fingerprint, source.windows),
        DataInput("target", target.corpus, transfer.target.table, target.fingerprint, target.windows),
    )


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

    def epoch(self, key: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch has ended.

        Parameters
        ----------
        key : str
            Of a cell, or of a pre-train stage: then it is one of every cell that starts from it.
        stage : str
            ``pretrain``, ``finetune`` or ``probe``.
        epoch : int
            From 1. After a resume some epochs come once more, with the same figures.
        metrics : mapping
            Figures of the epoch.
        """

    def finish_cell(self, cell: Cell, inputs: tuple[DataInput, ...], record: Mapping[str, Any]) -> None:
        """`cell` is in the store, with the record of its evaluate stage."""

    def fail_cell(self, cell: Cell, inputs: tuple[DataInput, ...], error: str) -> None:
        """`cell` came to nothing, for the reason that `error` gives in a line."""

    def finish_tune_trial(self, trial: TuneTrialRecord) -> None:
        """A setting of a sweep has ended."""

    def progress(self, finished: int, failed: int, total: int, slots_used: float | None = None) -> None:
        """So many cells (or tune_trials) of `total` have ended; of a sweep, the share of slot-epochs in use so far."""

    def finish_study(self, report: Path | None, complete: bool) -> None:
        """Nothing more will come for now; `report` is the folder of the report, if one was written."""

    def close(self) -> None:
        """Release everything; what was shown is kept."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
