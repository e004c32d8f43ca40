"""What the execution layer costs per cell: runs of cells whose fine-tuning does nothing.

Everything else is as in a run: plan, scheduler, queue, leases, workers, the outcome on its way back, the store, and the
evaluation of the cell on its 24 test windows. Each cell is a task of its own.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scmmlab.config import AblationSpec
from scmmlab.execution.engine import Engine, OnEvent
from scmmlab.execution.engines import EngineName, make_engine
from scmmlab.execution.events import TaskEnded
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.progress import Progress
from scmmlab.execution.task import AuxiliaryTask, Task
from scmmlab.study import Plan, ResultStore, cell_request, make_plan
from scmmlab.tables import FeatureTable, Manifest, read_manifest, read_table, write_table
from scmmlab.tracking import Tracker
from scmmlab.training import CellRequest, Reporter, StageOutput
from scmmlab.training.stages import run_cell_stage

CELLS = (100, 1_000, 10_000)
"""Cells of each run."""


@dataclass(frozen=True)
class NoTraining(AuxiliaryTask):
    """A cell's fine-tuning that brings its outcome with it."""

    key: str
    outcome: StageOutput

    def run(self, device: str) -> StageOutput:
        """The outcome."""
        return self.outcome


class WithoutTraining(Engine):
    """An engine whose workers return the outcomes that they are given.

    Parameters
    ----------
    engine : Engine
        What moves the tasks.
    outcome : StageOutput
        Of one cell; those of the others differ in key and seed.
    """

    def __init__(self, engine: Engine, outcome: StageOutput):
        self._engine, self._outcome = engine, outcome
        self.ended_at: list[float] = []
        """When each task ended."""

    def open(self) -> None:
        """Open the engine."""
        self._engine.useful_workers = self.useful_workers
        self._engine.open()
        self.workers, self.device, self.logs = self._engine.workers, self._engine.device, self._engine.logs

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def submit(self, task: Task) -> None:
        """Queue tasks that do nothing in place of those that train."""
        self._engine.submit(
            replace(task, requests=[self._without_training(r) for r in task.requests if isinstance(r, CellRequest)])
        )

    def _without_training(self, request: CellRequest) -> NoTraining:
        record = self._outcome.record | {"key": request.key, "seed": request.seed}
        return NoTraining(request.key, replace(self._outcome, key=request.key, record=record))

    def cancel(self, key: str) -> None:
        """Nothing runs that could be stopped."""

    def step(self, on_event: OnEvent, timeout_s: float) -> None:
        """Let tasks run, and note when they end."""

        def listen(event: Any) -> None:
            if isinstance(event, TaskEnded):
                self.ended_at.append(time.perf_counter())
            on_event(event)

        self._engine.step(listen, timeout_s)


def benchmark_overhead(engine: EngineName = "ray", cells: tuple[int, ...] = CELLS) -> dict[str, Any]:
    """Run that many cells that do nothing, without a tracker.

    Parameters
    ----------
    engine : {"ray", "local"}
        Which engine.
    cells : tuple of int
        Cells of each run.

    Returns
    -------
    dict
        For each number: ``start_s`` (plan, engine, first outcome), ``ms_per_trial`` (from the first outcome on) and
        ``load`` (running processes of the machine before it).
    """
    found: dict[str, Any] = {}
    for count in cells:
        with tempfile.TemporaryDirectory(prefix="scmmlab-bench-") as folder:
            load = os.getloadavg()[0]
            began = time.perf_counter()
            plan = make_plan(nothing_study(Path(folder), count), read_manifest)
            idle = without_training(engine, plan)
            store = ResultStore(Path(folder) / "store")
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                progress = Progress(count, {}, stream=nowhere)
                summary = GridRun(plan, store, idle, cache(read_table), Tracker(), progress).run()
            ended = time.perf_counter()
            assert summary.complete, summary.failures
            first = idle.ended_at[0]
            found[str(count)] = {
                "start_s": first - began,
                "ms_per_trial": 1e3 * (ended - first) / (count - 1),
                "load": load,
            }
    return found


def without_training(engine: EngineName, plan: Plan) -> WithoutTraining:
    """An engine for a plan whose cells are to do nothing: the first one trains here, and all have its outcome."""
    (outcome,) = run_cell_stage([cell_request(plan.cells[0], None)], read_table, Reporter())
    assert isinstance(outcome, StageOutput), outcome
    return WithoutTraining(make_engine(engine, plan), outcome)


def nothing_study(folder: Path, count: int, variants: int = 1) -> AblationSpec:
    """A study of so many tiny cells, without pre-training, each a task of its own.

    Parameters
    ----------
    folder : Path
        Where its feature tables are written.
    count : int
        Cells; a multiple of `variants`.
    variants : int
        Of the learning rate.
    """
    changes = {f"rate_{number}": {"finetune.optimizer.learning_rate": 1.1e-4 * number} for number in range(1, variants)}
    return AblationSpec.model_validate(
        {
            "name": "nothing",
            "base": nothing_base() | {"pretrain": {"enabled": False}},
            "variants": {"full": {}} | {name: {"set": change} for name, change in changes.items()},
            "transfers": [nothing_transfer(folder)],
            "seeds": list(range(count // variants)),
            # a trial a task
            "resources": {"pack_size": 1},
        }
    )


def nothing_base() -> dict[str, Any]:
    """A tiny experiment."""
    return {
        "network": {"width": 8, "classifier_width": 8},
        "pretrain": {"batch_size": 8},
        "finetune": {"epochs": 1},
        "protocol": {"kind": "loso"},
    }


def nothing_transfer(folder: Path) -> dict[str, Any]:
    """From one table of three subjects to another, both written to `folder`."""
    return {
        "name": "a-to-b",
        "source": {"table": str(_table(folder / "a"))},
        "target": {"table": str(_table(folder / "b"))},
    }


def _table(place: Path) -> Path:
    """Three subjects with two trials of four windows."""
    rows = np.array([(subject, trial, window) for subject in range(3) for trial in range(2) for window in range(4)])
    manifest = Manifest(
        corpus=place.name,
        channels=("Fz", "Cz", "Pz"),
        bands={"delta": (1, 4), "theta": (4, 8), "alpha": (8, 14), "beta": (14, 31), "gamma": (31, 45)},
        window_s=1.0,
        classes=("calm", "tense"),
        unit="nat",
        provenance={"origin": "synthetic", "log_base": "e", "form": "half log variance"},
        subjects={number: f"{place.name}-{number}" for number in range(3)},
    )
    table = FeatureTable.assemble(
        manifest,
        subject=rows[:, 0],
        session=np.zeros(len(rows), dtype=np.int64),
        trial=rows[:, 1],
        window=rows[:, 2],
        label=rows[:, 1] % 2,
        features=np.random.default_rng(0).normal(size=(len(rows), 3, 5)),
    )
    write_table(table, place)
    return place
