"""What a report is made from: the cells of a study and what is known about them, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scmmlab.config import AblationSpec, ExperimentSpec, SweepSpec
from scmmlab.study import CellState, TuneTrialRecord
from scmmlab.tables import Manifest


@dataclass(frozen=True)
class CellResult:
    """One cell of the plan, whether it was run or not.

    Parameters
    ----------
    variant, transfer, seed
        Which cell it is.
    key : str
        Its identity.
    experiment : ExperimentSpec
        What it does, with the variant's changes made.
    state : CellState
        Finished, failed or missing: which cells are running is no part of a report.
    record : dict | None
        The record of its evaluate stage; finished cells have one.
    error : str | None
        One line; failed cells have one.
    """

    variant: str
    transfer: str
    seed: int
    key: str
    experiment: ExperimentSpec
    state: CellState
    record: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class StudyResults:
    """A study as far as it got.

    Parameters
    ----------
    study : AblationSpec | SweepSpec
        What was asked for.
    cells : tuple of CellResult
        Every cell of the plan, the missing ones too; empty for a sweep.
    corpora : mapping of str to Manifest
        By the `table` of the corpus selections that name it.
    versions : mapping of str to str
        Versions of what computed the results, by name, in the order in which they are shown.
    sweep : tuple of TuneTrialRecord
        The settings that a sweep tried.
    """

    study: AblationSpec | SweepSpec
    cells: tuple[CellResult, ...] = ()
    corpora: Mapping[str, Manifest] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    sweep: tuple[TuneTrialRecord, ...] = ()

    @property
    def ablation(self) -> AblationSpec:
        """The study, known to be an ablation."""
        assert isinstance(self.study, AblationSpec)
        return self.study

    @property
    def search(self) -> SweepSpec:
        """The study, known to be a sweep."""
        assert isinstance(self.study, SweepSpec)
        return self.study

    def experiments(self) -> dict[str, ExperimentSpec]:
        """The experiment of each variant that has a cell."""
        found: dict[str, ExperimentSpec] = {}
        for cell in self.cells:
            found.setdefault(cell.variant, cell.experiment)
        return found

    def finished(self, variant: str, transfer: str) -> list[CellResult]:
        """The finished cells of a variant and a transfer, by seed."""
        chosen = [
            cell
            for cell in self.cells
            if cell.state == "finished" and (cell.variant, cell.transfer) == (variant, transfer)
        ]
        return sorted(chosen, key=lambda cell: cell.seed)
