"""Pre-training of one encoder by several workers, each of which holds a part of the corpus.

A step's batch is the one that a single process would take: the same windows in the same order, the same masks, losses
over the whole batch. So the number of workers changes a result by rounding alone. The windows of a batch are exchanged
(B·C·F numbers a step, less than the embeddings and inputs that the losses exchange anyway); then worker w of W computes
on windows w·B/W … (w + 1)·B/W − 1 of it.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scmmlab.config.experiment import ExperimentSpec, ScalingKind
from scmmlab.errors import ResourceError, SpecError, TrainingError
from scmmlab.features import Scaler
from scmmlab.methods.contract import PretrainData
from scmmlab.methods.pretraining_view import pretraining_view
from scmmlab.replica.collectives import Collectives
from scmmlab.training.encoder_slots import pretrain_run, stage_failure, train_encoders
from scmmlab.training.pretrain_stage import pretrain_output
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import PretrainRequest, StageFailure, StageOutput


def pretrain_data_parallel(
    request: PretrainRequest,
    rows: NDArray[np.int64],
    features: NDArray[np.float32],
    fingerprint: str,
    group: Collectives,
    reporter: Reporter,
    device: torch.device | str = "cpu",
    checkpoint_every: int = 10,
) -> StageOutput | StageFailure:
    """Pre-train `request` together with the other workers of `group`, each of which makes this call with its own part.

    Parameters
    ----------
    request : PretrainRequest
        The same on all workers.
    rows : array of int64, shape=(n,)
        Which row of the source selection each of this worker's windows is, from 0; a negative number marks padding
        (of a split into equal parts), which is left out. Over all workers each row must occur exactly once.
    features : array, shape=(n, C, F)
        Those windows, with the request's channels, not scaled.
    fingerprint : str
        Of the source's table.
    group : Collectives
        The workers.
    reporter : Reporter
        That of rank 0 is told of epochs, decides, and keeps checkpoints; the other workers follow it.
    device, checkpoint_every
        As in `stages.run_pretrain_stage`.

    Returns
    -------
    StageOutput | StageFailure
        The same on all workers.
    """
    try:
        experiment = pretraining_view(request.experiment)
        _check(experiment, group)
        real = rows >= 0
        pool = ShardedPool(rows[real], np.ascontiguousarray(features[real]), group, device)
        data = PretrainData(
            features=pool.shard,
            windows=pool.total,
            scaler=fit_together(experiment.scaling, pool.shard, group, pool.windows.device),
            fingerprint=fingerprint,
            trial=np.zeros(0, dtype=np.int64),
            time_s=np.zeros(0),
        )
        run = pretrain_run(request.key, experiment, request.seed, data)
    except Exception as error:
        return stage_failure(request.key, "pretrain", error)
    shared = SharedReporter(reporter, group, pool.windows.device)
    (outcome,) = train_encoders([run], pool, shared, checkpoint_every, group=group)
    return outcome if isinstance(outcome, StageFailure) else pretrain_output(request, outcome)


def _check(experiment: ExperimentSpec, group: Collectives) -> None:
    if experiment.pretrain_batch % group.workers:
        raise ResourceError(
            f"The workers of a cell must share its batch evenly, but 'pretrain.batch_size' is "
            f"{experiment.pretrain_batch} and 'resources.workers_per_cell' {group.workers}.",
            hint="choose a number of workers that divides the batch.",
        )
    if reason := experiment.unshared():
        raise SpecError(
            f"Several workers a cell cannot share the batches of '{experiment.method}': {reason}, and each has a "
            "part of them alone.",
            hint="set resources.workers_per_cell: 1.",
        )
    # which windows come first is known to nobody who has a part of them
    some = experiment.pretrain_windows(sys.maxsize)
    if some < sys.maxsize:
        raise SpecError(
            f"With several workers a cell, 'pretrain.batches' must be 'all', got {some // experiment.pretrain_batch}: "
            "so few batches of windows need no second worker.",
            hint="set resources.workers_per_cell: 1.",
        )


class ShardedPool:
    """Windows that several workers hold, gathered by their row in the whole.

    Parameters
    ----------
    rows : array of int64, shape=(n,)
        Row of each window of this worker.
    shard : array, shape=(n, C, F)
        The windows.
    group : Collectives
        The workers.
    device, dtype
        Of the windows.

    Raises
    ------
    TrainingError
        If a row is at no worker, or at two.
    """

    def __init__(
        self,
        rows: NDArray[np.int64],
        shard: NDArray[np.float32],
        group: Collectives,
        device: torch.device | str,
        dtype: torch.dtype = torch.float32,
    ):
        self.shard, self.group = shard, group
        self.windows = torch.from_numpy(shard).to(device, dtype)
        own = torch.from_numpy(rows).to(device)
        last = own.max().view(1).to(torch.float64) if len(own) else torch.full((1,), -1.0, device=device).double()
        self.total = int(group.maximum(last).item()) + 1
        holders = torch.zeros(self.total, device=device).index_add_(0, own, torch.ones(len(own), device=device))
        holders = group.sum(holders)
        if (wrong := int((holders != 1).sum().item())) or not self.total:
            raise TrainingError(
                f"Each of the {self.total} windows of the source must be with exactly one worker, but {wrong} are with "
                "none or with several.",
                hint="hand out every row once; pad with rows of number -1 where parts must be equal.",
            )
        # row of the whole → row of the shard; −1: another worker has it
        self._place = torch.full((self.total,), -1, dtype=torch.int64, device=device)
        self._place[own] = torch.arange(len(own), device=device)

    def first_row(self, array: NDArray[np.float32]) -> int:
        """0: there is one array."""
        assert array is self.shard
        return 0

    def gather(self, rows_RN: Tensor) -> Tensor:
        """The windows of these rows, [R, N, C, F], the same on all workers."""
        place_RN = self._place[rows_RN]
        mine = place_RN >= 0
        x_RNCF = self.windows.new_zeros(*rows_RN.shape, *self.windows.shape[1:])
        x_RNCF[mine] = self.windows[place_RN[mine]]
        return self.group.sum(x_RNCF)


def fit_together(
    kind: ScalingKind, features: NDArray[np.float32], group: Collectives, device: torch.device | str
) -> Scaler:
    """`Scaler.fit` of the windows of all workers, without any of them seeing all."""
    x = torch.from_numpy(features).to(device, torch.float64)
    # extremes are asked for by maxima alone, and an empty part must not win
    nothing = torch.full(x.shape[1:], -torch.inf, dtype=torch.float64, device=x.device)
    high = group.maximum(x.amax(0) if len(x) else nothing)
    low = -group.maximum((-x).amax(0) if len(x) else nothing)
    if kind == "min_max":
        offset, span = low, high - low
    elif kind == "standard":
        count = group.sum(torch.tensor([float(len(x))], dtype=torch.float64, device=x.device))
        offset = group.sum(x.sum(0)) / count
        # around the mean, not from Σx² − (Σx)²/n, which cancels
        span = (group.sum((x - offset).square().sum(0)) / count).sqrt()
        span = torch.where(high > low, span, 0.0)
    else:
        offset, span = torch.zeros_like(low), torch.ones_like(low)
    span = torch.where(span > 0, span, 1.0)
    return Scaler(kind, offset.cpu().numpy(), span.cpu().numpy())


class SharedReporter(Reporter):
    """Rank 0's reporter, whose decisions and checkpoints the other workers share.

    Parameters
    ----------
    reporter : Reporter
        This worker's; only that of rank 0 is called.
    group : Collectives
        The workers.
    device
        On which they exchange.
    """

    def __init__(self, reporter: Reporter, group: Collectives, device: torch.device):
        self._reporter, self._group, self._device = reporter, group, device
        self._preempted = False

    @property
    def _leads(self) -> bool:
        return self._group.rank == 0

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        """Rank 0's decision; and whether any of the workers is about to go, which all are then."""
        go_on = self._reporter.epoch(key, stage, epoch, epochs, metrics) if self._leads else False
        news = self._group.sum(torch.tensor([int(go_on), int(self._reporter.preempted)]).to(self._device)).cpu()
        self._preempted = bool(news[1])
        return bool(news[0])

    @property
    def preempted(self) -> bool:
        """Whether any of the workers was about to go when the last epoch ended."""
        return self._preempted

    def end_preempted(self) -> None:
        """Each worker ends its own part."""
        self._reporter.end_preempted()

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        """Rank 0 keeps it; parameters are the same everywhere."""
        if self._leads:
            self._reporter.save_checkpoint(key, stage, data)

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        """Rank 0's checkpoint."""
        data = self._reporter.load_checkpoint(key, stage) if self._leads else None
        length = int(self._from_leader(torch.tensor([-1 if data is None else len(data)])).item())
        if length < 0:
            return None
        content = torch.zeros(length, dtype=torch.int32)
        if data is not None:
            content = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(torch.int32)
        return self._from_leader(content).to(torch.uint8).numpy().tobytes()

    def _from_leader(self, numbers: Tensor) -> Tensor:
        """Rank 0's numbers, by a sum to which the others add nothing."""
        sent = numbers if self._leads else torch.zeros_like(numbers)
        return self._group.sum(sent.to(self._device)).cpu()
