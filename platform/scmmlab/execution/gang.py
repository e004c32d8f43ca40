"""The gang: one long-lived ``TorchTrainer`` whose workers stay, each with its device and its copy of the tables.

Starting a trainer takes ten seconds or so; starting one a task would take longer than most tasks. Its workers train
independently, so there is no process group among them, and one that dies is replaced alone.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
from typing import Any

import ray.train
from ray.train.torch import TorchTrainer

from scmmlab.execution.independent_workers import IndependentConfig
from scmmlab.execution.shared_tables import SharedTable
from scmmlab.execution.worker import gang_worker
from scmmlab.execution.worker_plan import WorkerPlan


class Gang:
    """Runs the trainer in a thread of the driver.

    Parameters
    ----------
    broker : ActorHandle
        Where the workers ask for work.
    plan : WorkerPlan
        How many workers, and what each has.
    tables : dict
        The feature tables, from ``share_tables``.
    checkpoint_every : int
        Epochs between checkpoints.
    max_failures : int
        Workers that may be lost before the trainer gives up.
    """

    def __init__(
        self,
        broker: Any,
        plan: WorkerPlan,
        tables: dict[str, SharedTable],
        checkpoint_every: int,
        max_failures: int,
    ):
        # Train wants a folder for the checkpoints that we do not give it
        self._folder = tempfile.mkdtemp(prefix="scmmlab-train-")
        self._trainer = TorchTrainer(
            gang_worker,
            train_loop_config={
                "broker": broker,
                "tables": tables,
                "device": plan.device,
                "threads": plan.threads,
                "checkpoint_every": checkpoint_every,
            },
            torch_config=IndependentConfig(),
            scaling_config=ray.train.ScalingConfig(
                num_workers=plan.workers,
                use_gpu=plan.gpus > 0,
                resources_per_worker=plan.resources_per_worker,
            ),
            run_config=ray.train.RunConfig(
                name=f"gang-{uuid.uuid4().hex[:8]}",
                storage_path=self._folder,
                failure_config=ray.train.FailureConfig(max_failures=max_failures, controller_failure_limit=2),
            ),
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._fit, name="scmmlab-gang", daemon=True)

    def start(self) -> None:
        """Start the workers; returns at once."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether there are workers, or will be."""
        return self._thread.is_alive()

    @property
    def error(self) -> BaseException | None:
        """Why the gang has ended, where it did not end in order."""
        return self._error

    def join(self, timeout_s: float) -> None:
        """Wait until the workers, who have been told to stop, are gone."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _fit(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:  # handed to the driver's thread, which decides
            self._error = error
