"""A process that is preempted saves what it trains between two epochs, and another resumes from there."""

from __future__ import annotations

import pytest
from training_cases import TABLES_OF, MemoryReporter, assert_same, cell_request, pretrain_request

from scmmlab.training import Reporter
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage

NEVER = 1000


class Gone(BaseException):
    """Ends the trainings of a preempted process."""


class PreemptedReporter(MemoryReporter):
    """Receives a preemption notice in the middle of an epoch: when the first of a pack reports it."""

    def __init__(self, epoch: int):
        super().__init__()
        self._epoch = epoch
        self.notified = False
        self.epochs: list[tuple[str, int]] = []

    @property
    def preempted(self) -> bool:
        return self.notified

    def end_preempted(self) -> None:
        raise Gone

    def epoch(self, key, stage, epoch, epochs, metrics):
        self.epochs.append((key, epoch))
        self.notified = self.notified or epoch == self._epoch
        return super().epoch(key, stage, epoch, epochs, metrics)


@pytest.mark.parametrize(
    ("stage", "requests"),
    [
        (run_pretrain_stage, [pretrain_request("a"), pretrain_request("b", 1)]),
        (run_cell_stage, [cell_request("a"), cell_request("b", 1)]),
    ],
    ids=["pretrain", "finetune"],
)
def test_no_epoch_is_trained_twice(stage, requests):
    whole = stage(requests, TABLES_OF, Reporter())
    preempted = PreemptedReporter(epoch=2)
    with pytest.raises(Gone):
        stage(requests, TABLES_OF, preempted, checkpoint_every=NEVER)
    assert sorted(preempted.epochs) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    other_process = PreemptedReporter(epoch=NEVER)
    other_process.checkpoints = preempted.checkpoints
    resumed = stage(requests, TABLES_OF, other_process, checkpoint_every=NEVER)
    assert sorted(other_process.epochs) == [("a", 3), ("a", 4), ("b", 3), ("b", 4)]
    for one, other in zip(whole, resumed, strict=True):
        assert_same(one, other)
