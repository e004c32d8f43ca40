"""Running a sweep's tasks in a worker: its slots are kept full, the way a language-model server batches requests.

A slot is a place on the replica axis of the pack that :class:`SweepSlots` trains; a setting takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from scmmlab.execution.task import Outcome, Task, failures
from scmmlab.training import Reporter, SweepRequest
from scmmlab.training.data import Tables
from scmmlab.training.packs import pretrain_pack_size
from scmmlab.training.sweep_stage import SweepSlots

TakeMore = Callable[[Hashable, int], Sequence[Task]]
"""A signature and a number of free slots → tasks of that signature, at most so many."""
MakeSweepSlots = Callable[[Tables, Reporter, str, int], SweepSlots]
"""Tables, reporter, device and epochs between checkpoints → the stage that trains what is in the slots."""


def slots_per_worker(device: str, pack_size: int | None, at_a_time: int | None, workers: int) -> int:
    """How many settings a worker trains at a time.

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


class SweepTaskRunner:
    """Runs settings in a worker's slots, from a first one until all slots are free and no other setting fits.

    Parameters
    ----------
    first : Task
        One setting of a sweep.
    tables : callable
        Location → feature table.
    reporter : Reporter
        Is notified of progress.
    device : str
        ``cpu`` or ``cuda``.
    checkpoint_every : int
        Epochs between checkpoints.
    slots : int
        How many settings train at a time.
    make_sweep_slots : callable
        Makes what trains them.
    """

    def __init__(
        self,
        first: Task,
        tables: Tables,
        reporter: Reporter,
        device: str,
        checkpoint_every: int,
        slots: int,
        make_sweep_slots: MakeSweepSlots = SweepSlots,
    ):
        self._first: Task | None = first
        self._signature = first.signature
        self._slots = slots
        self._tasks: dict[str, Task] = {}
        self._reporter = reporter
        self._stage = make_sweep_slots(tables, reporter, device, checkpoint_every)

    @property
    def done(self) -> bool:
        """Whether nothing is being trained."""
        return self._first is None and not self._tasks

    def step(self, more: TakeMore) -> list[tuple[Task, list[Outcome]]]:
        """Fill free slots, train all settings for an epoch, and return the tasks that have ended, with their outcomes.

        What the stage raises becomes the failure of all settings in slots; what the reporter raises to interrupt it (no
        ``Exception``) is raised.
        """
        tasks = [self._first] if self._first is not None else []
        self._first = None
        if self._signature is not None and (free := self._slots - len(self._tasks) - len(tasks)) > 0:
            tasks += more(self._signature, free)
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
