"""Running a grid's task in this process, on any engine (a sweep's: see `run_sweep_tasks`). Imports torch."""

from __future__ import annotations

from scmmlab.execution.task import AuxiliaryTask, Outcome, Task, failures
from scmmlab.training import CellRequest, PretrainRequest, Reporter
from scmmlab.training.data import Tables
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage


def run_task(
    task: Task,
    tables: Tables,
    reporter: Reporter,
    device: str,
    checkpoint_every: int,
    pack_size: int | None = None,
) -> list[Outcome]:
    """Run `task` here and now.

    Parameters
    ----------
    task : Task
        What is to be done, of a grid.
    tables : callable
        Location → feature table.
    reporter : Reporter
        Is notified of progress.
    device : str
        ``cpu`` or ``cuda``.
    checkpoint_every : int
        Epochs between checkpoints.
    pack_size : int | None
        Replicas that are trained together, at most, where the task does not say; chosen by the device when None.

    Returns
    -------
    list of StageOutput or StageFailure
        One a request, in their order. What the stage raises becomes the failure of all of them; what the reporter
        raises to interrupt it (no ``Exception``) is raised.
    """
    try:
        return _stage(task, tables, reporter, device, checkpoint_every, task.pack_size or pack_size)
    except Exception as error:
        return failures(task, error)


def _stage(
    task: Task, tables: Tables, reporter: Reporter, device: str, checkpoint_every: int, pack_size: int | None
) -> list[Outcome]:
    pretrainings = [request for request in task.requests if isinstance(request, PretrainRequest)]
    cells = [request for request in task.requests if isinstance(request, CellRequest)]
    auxiliary = [request for request in task.requests if isinstance(request, AuxiliaryTask)]
    assert len(task.requests) in (len(pretrainings), len(cells), len(auxiliary)), (
        "requests of a grid's task are of one type"
    )
    if pretrainings:
        return run_pretrain_stage(pretrainings, tables, reporter, device, checkpoint_every, pack_size)
    if auxiliary:
        return [work.run(device) for work in auxiliary]
    return run_cell_stage(cells, tables, reporter, device, checkpoint_every, pack_size)
