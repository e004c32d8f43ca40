"""What of a study is not there: cells that are missing, cells that failed, and subjects that no fold tested."""

from __future__ import annotations

from dataclasses import dataclass

from scmmlab.report.inputs import CellResult, StudyResults
from scmmlab.report.measures import plural
from scmmlab.report.values import subject_scores


@dataclass(frozen=True)
class Completeness:
    """How far a study got.

    Parameters
    ----------
    cells : int
        Cells (of a sweep: settings) that were asked for.
    missing : tuple of (variant, transfer, seed)
        Cells that were not run.
    failed : tuple of CellResult
        Cells that ended in an error.
    untested : tuple of (CellResult, tuple of int)
        Finished cells whose folds do not test every subject, and the subjects that they lack.
    settings_missing, settings_failed : int
        The same for a sweep.
    """

    cells: int
    missing: tuple[tuple[str, str, int], ...] = ()
    failed: tuple[CellResult, ...] = ()
    untested: tuple[tuple[CellResult, tuple[int, ...]], ...] = ()
    settings_missing: int = 0
    settings_failed: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not (self.missing or self.failed or self.untested or self.settings_missing or self.settings_failed)

    def in_words(self) -> str:
        """`Incomplete: 3 of 48 cells missing, 1 failed`, for the banner."""
        parts = []
        if self.settings_missing:
            parts.append(f"{self.settings_missing} of {plural(self.cells, 'setting')} missing")
        if self.settings_failed:
            parts.append(f"{self.settings_failed} of {plural(self.cells, 'setting')} failed")
        if self.missing:
            parts.append(f"{len(self.missing)} of {plural(self.cells, 'cell')} missing")
        if self.failed:
            parts.append(f"{len(self.failed)} of {plural(self.cells, 'cell')} failed")
        if self.untested:
            parts.append(f"{len(self.untested)} of {plural(self.cells, 'cell')} with folds missing")
        return f"Incomplete: {', '.join(parts)}." if parts else "Complete."


def completeness(results: StudyResults) -> Completeness:
    """What of `results` is not there."""
    if results.study.kind == "sweep":
        failed = sum(trial.state == "failed" for trial in results.sweep)
        asked = max(results.search.tune_trials, len(results.sweep))
        return Completeness(asked, settings_missing=asked - len(results.sweep), settings_failed=failed)

    lacking = []
    for cell in results.cells:
        if cell.state == "finished":
            assert cell.record is not None
            lacks = sorted(_expected_subjects(results, cell) - set(subject_scores(cell.record, "accuracy")))
            if lacks:
                lacking.append((cell, tuple(lacks)))
    study = results.ablation
    there = {(cell.variant, cell.transfer, cell.seed) for cell in results.cells if cell.state != "missing"}
    grid = [(variant, one.name, seed) for one in study.transfers for variant in study.variants for seed in study.seeds]
    return Completeness(
        len(grid),
        tuple(name for name in grid if name not in there),
        tuple(cell for cell in results.cells if cell.state == "failed"),
        tuple(lacking),
    )


def _expected_subjects(results: StudyResults, cell: CellResult) -> set[int]:
    """Whom the folds of a cell should test: every subject of its target."""
    target = next(transfer.target for transfer in results.ablation.transfers if transfer.name == cell.transfer)
    if target.subjects is not None:
        return set(target.subjects)
    if target.table in results.corpora:
        return set(results.corpora[target.table].subjects)
    # without the manifest, the subjects that any other cell of the transfer tested
    records = [other.record for other in results.cells if other.transfer == cell.transfer and other.record]
    return {subject for record in records for subject in subject_scores(record, "accuracy")}
