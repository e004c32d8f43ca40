"""What a worker does with a sweep: its slots are kept full with settings, the way a server batches requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from scmmlab.execution.task import Outcome, Tables, Task, failures
from scmmlab.training import Reporter, SweepRequest
from scmmlab.training.packs import pretrain_pack_size
from scmmlab.training.sweep_stage import SweepSlots

More = Callable[[Hashable, int], Sequence[Task]]
"""A fit and a number of free slots → tasks of that fit, at most so many."""
SweepStage = Callable[[Tables, Reporter, str, int], SweepSlots]
"""Tables, reporter, device and epochs between checkpoints → the stage that trains what is in the slots."""


def slots_of(device: str, pack_size: int | None, at_a_time: int | None, workers: int) -> int:
    """Slots of a worker.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.
    pack_size : int | None
        Replicas that train together, at most; chosen by the device when None.
    at_a_time : int | None
        Settings that are tried at a time by all workers; None where that is not known.
    workers : int
        How many there are: settings are spread over them before slots are filled.
    """
    size = pack_size or pretrain_pack_size(device)
    return size if at_a_time is None else max(1, min(size, -(-at_a_time // workers)))


class Slots:
    """A worker's slots, from the task that opens them until none is in use and no more fits.

    Parameters
    ----------
    first : Task
        One setting of a sweep.
    tables : callable
        Location → feature table.
    reporter : Reporter
        Is told how it goes.
    device : str
        ``cpu`` or ``cuda``.
    checkpoint_every : int
        Epochs between checkpoints.
    slots : int
        How many.
    stage : callable
        Makes the stage that trains.
    """

    def __init__(
        self,
        first: Task,
        tables: Tables,
        reporter: Reporter,
        device: str,
        checkpoint_every: int,
        slots: int,
        stage: SweepStage = SweepSlots,
    ):
        self._first: Task | None = first
        self._fit = first.fit
        self._slots = slots
        self._tasks: dict[str, Task] = {}
        self._reporter = reporter
        self._stage = stage(tables, reporter, device, checkpoint_every)

    @property
    def done(self) -> bool:
        """Whether nothing is being trained."""
        return self._first is None and not self._tasks

    def step(self, more: More) -> list[tuple[Task, list[Outcome]]]:
        """Let settings into free slots, train all through an epoch, and say which tasks have ended, and how.

        What the stage raises becomes the failure of all that are here; what the reporter raises to interrupt it (no
        ``Exception``) is raised.
        """
        tasks = [self._first] if self._first is not None else []
        self._first = None
        if self._fit is not None and (free := self._slots - len(self._tasks) - len(tasks)) > 0:
            tasks += more(self._fit, free)
        try:
            return self._train(tasks)
        except Exception as error:
            lost, self._tasks = list(self._tasks.values()), {}
            return [(task, failures(task, error)) for task in lost]

    def _train(self, arriving: Sequence[Task]) -> list[tuple[Task, list[Outcome]]]:
        self._tasks |= {task.keys[0]: task for task in arriving}
        requests = [request for task in arriving for request in task.requests]
        ended = self._stage.join([request for request in requests if isinstance(request, SweepRequest)])
        if self._stage.used:
            self._reporter.slots(self._stage.used, self._slots)
            ended += self._stage.epoch()
        return [(self._tasks.pop(outcome.key), [outcome]) for outcome in ended]
