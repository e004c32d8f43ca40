"""What a tracker hears of a study: a few methods that do nothing by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from scmmlab.config import ExperimentSpec, TransferSpec
from scmmlab.tracking.datasets import DatasetInfo


class TrackedCell(Protocol):
    """What a tracker needs to know of a cell; `study.Cell` is one."""

    @property
    def name(self) -> str:
        """For people: `variant · transfer · seed`."""

    @property
    def variant(self) -> str:
        """Name of the variant."""

    @property
    def transfer(self) -> TransferSpec:
        """Source and target."""

    @property
    def seed(self) -> int:
        """Seed."""

    @property
    def experiment(self) -> ExperimentSpec:
        """Everything that decides its numbers."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that the model sees."""

    @property
    def key(self) -> str:
        """Identity of the cell."""

    @property
    def pretrain_key(self) -> str | None:
        """Identity of the pre-train stage that it starts from."""


class Tracker:
    """Shows a study to people as it runs. This base class does nothing; a subclass overrides what it needs.

    The store is the truth and a tracker a view of it: no method may raise because of what is outside (a server that is
    down), or make training wait. A study that is run again tells its tracker again what is finished already; nothing
    may stand twice for that. As a context, a tracker is closed at the end.
    """

    def start_study(self, name: str, description: str, plan: str, versions: Mapping[str, str]) -> None:
        """A study begins, or goes on.

        Parameters
        ----------
        name : str
            Of the study.
        description : str
            What it asks.
        plan : str
            What will be run, as text.
        versions : mapping
            Of the software (`software_versions`).
        """

    def start_cell(self, cell: TrackedCell, datasets: Sequence[DatasetInfo] = ()) -> None:
        """The first stage of a cell begins, or one that began earlier goes on."""

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

    def finish_cell(self, cell: TrackedCell, record: Mapping[str, Any]) -> None:
        """A cell is finished.

        Parameters
        ----------
        cell : TrackedCell
            The cell; one that was finished earlier, too.
        record : mapping
            Of the evaluate stage, or of the sweep stage.
        """

    def fail_cell(self, cell: TrackedCell, error: str) -> None:
        """A cell came to nothing; it may be started again."""

    def finish_study(self, artifacts: Path | None = None, complete: bool = True) -> None:
        """The study has ended.

        Parameters
        ----------
        artifacts : Path | None
            Folder of what belongs to it as a whole, such as the report.
        complete : bool
            Whether all of its cells are finished.
        """

    def close(self) -> None:
        """Write what is not written yet. Nothing is told after it; closing again does nothing."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
