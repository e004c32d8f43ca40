"""An ablation's cells as stages for the scheduler, with their requests and their amount of work."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator

from scmmlab.execution.grid.scheduler import Stage
from scmmlab.execution.task import Request
from scmmlab.methods.contract import InputShape
from scmmlab.methods.registry import method_of
from scmmlab.study import Cell, Plan, ResultStore, cell_request, finetune_steps, pretrain_request, pretrain_steps
from scmmlab.study.checks import selected_subjects
from scmmlab.study.estimate import weight
from scmmlab.training import CellRequest
from scmmlab.training.pack_probe import Workload
from scmmlab.training.packs import pack_signature

PACKED_STEP_WEIGHT = 6.0
"""Time of a pre-training step in fine-tuning steps on CPUs: from 5 in a study's first packs to 8 in full ones
(docs/benchmarks.md); by their operations it would be 12."""


class GridStages:
    """The stages of an ablation.

    Parameters
    ----------
    plan : Plan
        The study.
    done : collection of str
        Keys of finished stages.
    """

    def __init__(self, plan: Plan, done: Collection[str]):
        self._plan = plan
        self.done = frozenset(done)
        """Keys of finished stages."""
        self.finished = {key: cell for key, cell in plan.distinct.items() if key in done}
        """Cells that are finished, by key."""
        self.cells = {key: cell for key, cell in plan.distinct.items() if key not in done}
        """Cells to be run, by key."""
        self.duplicates = Counter(cell.key for cell in plan.cells)
        """Number of cells of the study by key: variants that differ only in settings without effect share one."""
        self.pretraining = {
            key: [cell for cell in cells if cell.key in self.cells]
            for key, cells in plan.pretraining.items()
            if any(cell.key in self.cells for cell in cells)
        }
        """The cells to be run that start from a pre-train stage, by its key, done or not."""

    def stages(self) -> Iterator[Stage]:
        """All of them, each after the one that it needs."""
        plan = self._plan
        for key, (cell, *_) in self.pretraining.items():
            steps = pretrain_steps(cell, plan.source(cell.transfer)) / cell.experiment.epochs("pretrain")
            shapes = pack_signature(cell.experiment, "pretrain", InputShape(len(cell.channels), self.bands(cell)))
            place = method_of(cell.experiment).runs_on
            yield Stage(key, "pretrain", None, shapes, replicas=1, steps=steps, runs_on=place)
        for cell in self.cells.values():
            folds = self.folds(cell)
            steps = finetune_steps(cell, plan.source(cell.transfer), plan.target(cell.transfer))
            shape = InputShape(len(cell.channels), self.bands(cell), self.classes(cell), cell.channels)
            signature = pack_signature(cell.experiment, "finetune", shape)
            each = steps / (folds * cell.experiment.epochs("finetune"))
            place = method_of(cell.experiment).runs_on
            yield Stage(cell.key, "finetune", cell.pretrain_key, signature, folds, each, place)

    def work(self) -> dict[str, float]:
        """Work of each stage that is to be run, in fine-tuning steps of one fold."""
        plan = self._plan
        work = {
            key: PACKED_STEP_WEIGHT
            * weight(cells[0], "pretrain")
            * pretrain_steps(cells[0], plan.source(cells[0].transfer))
            for key, cells in self.pretraining.items()
            if key not in self.done
        }
        for key, cell in self.cells.items():
            steps = finetune_steps(cell, plan.source(cell.transfer), plan.target(cell.transfer))
            work[key] = weight(cell, "finetune") * steps
        return work

    def workload(self, stage: Stage, workers: int) -> Workload:
        """One worker's share of all stages that can share a pack with `stage`."""
        alike = [other for other in self.stages() if (other.kind, other.signature) == (stage.kind, stage.signature)]
        left = [other for other in alike if other.key not in self.done]
        cell = self.cells_of(stage.key)[0]
        share = -(-sum(other.replicas for other in left) // workers)
        work = sum(other.replicas * other.steps * self._epochs(other) for other in left)
        return Workload(
            kind=stage.kind,
            experiment=cell.experiment,
            channels=len(cell.channels),
            bands=self.bands(cell),
            classes=self.classes(cell),
            # the folds of a cell go to one worker, however many workers there are
            replicas=max(share, stage.replicas),
            steps=work / workers,
        )

    def _epochs(self, stage: Stage) -> int:
        return self.cells_of(stage.key)[0].experiment.epochs(stage.kind)

    def cells_of(self, key: str) -> list[Cell]:
        """The cells that a stage is a part of."""
        return self.pretraining[key] if key in self.pretraining else [self.cells[key]]

    def request(self, stage: Stage, store: ResultStore) -> Request | None:
        """A stage's request; None where the encoder that it starts from is missing or damaged."""
        if stage.kind == "pretrain":
            return pretrain_request(self.pretraining[stage.key][0])
        cell = self.cells[stage.key]
        if cell.pretrain_key is None:
            return cell_request(cell, None)
        encoder = store.get_pretrain(cell.pretrain_key)
        return None if encoder is None else cell_request(cell, encoder.tensors)

    def checkpoints(self, request: Request, store: ResultStore) -> dict[tuple[str, str], bytes]:
        """Checkpoints that an earlier run left of a request."""
        stages = ["pretrain"]
        if isinstance(request, CellRequest):
            stages = [f"finetune-{fold}" for fold in range(self.folds(self.cells[request.key]))]
        found = {(request.key, stage): store.load_checkpoint(request.key, stage) for stage in stages}
        return {name: data for name, data in found.items() if data is not None}

    def folds(self, cell: Cell) -> int:
        """Number of folds of a cell."""
        subjects = selected_subjects(cell.transfer.target, self._plan.target(cell.transfer))
        return math.ceil(len(subjects) / cell.experiment.protocol.subjects_per_fold)

    def bands(self, cell: Cell) -> int:
        """Number of bands of a cell's features."""
        return len(self._plan.source(cell.transfer).bands)

    def classes(self, cell: Cell) -> int:
        """Number of classes of a cell's target."""
        return len(cell.transfer.target.classes or self._plan.target(cell.transfer).classes)
