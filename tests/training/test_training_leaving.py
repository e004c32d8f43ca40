"""A process that is about to go saves what it trains between two epochs, and another goes on from there."""

from __future__ import annotations

import pytest
from training_cases import TABLES_OF, MemoryReporter, assert_same, cell_request, pretrain_request

from scmmlab.training import Reporter
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage

NEVER = 1000


class Gone(BaseException):
    """What ends the trainings of a process that goes."""


class LeavingReporter(MemoryReporter):
    """Is told to go in the middle of an epoch: when the first of a pack reports it."""

    def __init__(self, epoch: int):
        super().__init__()
        self._epoch = epoch
        self.told = False
        self.epochs: list[tuple[str, int]] = []

    @property
    def leaving(self) -> bool:
        return self.told

    def leave(self) -> None:
        raise Gone

    def epoch(self, key, stage, epoch, epochs, metrics):
        self.epochs.append((key, epoch))
        self.told = self.told or epoch == self._epoch
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
    going = LeavingReporter(epoch=2)
    with pytest.raises(Gone):
        stage(requests, TABLES_OF, going, checkpoint_every=NEVER)
    assert sorted(going.epochs) == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    staying = LeavingReporter(epoch=NEVER)
    staying.checkpoints = going.checkpoints
    resumed = stage(requests, TABLES_OF, staying, checkpoint_every=NEVER)
    assert sorted(staying.epochs) == [("a", 3), ("a", 4), ("b", 3), ("b", 4)]
    for one, other in zip(whole, resumed, strict=True):
        assert_same(one, other)
