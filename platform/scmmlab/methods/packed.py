"""Methods that are a `Network`: folds, of one cell or of several, train together, each exactly as if it were alone.

A method gives its network; batches, steps, figures, the epoch that counts, checkpoints and failures are everybody's:

    class MyTrainer(PackedTrainer):
        def network(self, spec, shape):
            return MyNetwork(spec, shape)

| symbol | meaning |
|---|---|
| R | replicas of the pack: folds |
| S, B | steps of an epoch, windows of a batch |
| N | windows of the part that is predicted |
| C, F, K | channels, bands, classes |
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from scmmlab.config.base import canonical_json
from scmmlab.config.experiment import TrainedStage
from scmmlab.evaluation.metrics import json_scores
from scmmlab.methods.contract import Checkpoint, FoldPack, FoldResult, FoldRun, InputShape, Trainer
from scmmlab.methods.fold_figures import (
    PREDICTED_ROWS,
    divergence,
    judged_by,
    not_begun,
    progress,
    restore_progress,
    validation_figures,
)
from scmmlab.methods.network import Network, network_gradient, network_logits
from scmmlab.methods.packed_spec import PackedSpec
from scmmlab.methods.sequences import first_rows, sequence_rows
from scmmlab.replica.batches import epoch_batches, steps_per_epoch
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.cuda_graph import GraphedTensor, stays_on_device
from scmmlab.replica.graphed_epoch import EpochBuffers, GraphedEpoch
from scmmlab.replica.learner import Learner
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.precision import multiplications
from scmmlab.replica.random import streams
from scmmlab.replica.replicas import threads_for_replicas
from scmmlab.replica.schedule import learning_rate
from scmmlab.replica.seeding import FINETUNE_BATCHES, derive_seed, finetune_purpose
from scmmlab.replica.windows import Scaling, WindowPool, padded


@dataclass(frozen=True)
class PackedSignature:
    """What folds that share a pack have in common; seeds, data, epochs, step rules and scaling may differ."""

    shape: InputShape
    selection: str
    """Which epoch's predictions count."""
    validates: bool
    """Whether there is a validation part."""
    settings: str
    """All settings of the method but those that each replica has for itself."""


class PackedTrainer(Trainer):
    """A method without pre-training whose spec extends `PackedSpec`."""

    @abstractmethod
    def network(self, spec: Any, shape: InputShape) -> Network:
        """The network of those settings on inputs of that shape.

        Raises
        ------
        SpecError
            If they do not go together.
        """

    def steps(self, spec: PackedSpec, stage: TrainedStage, windows: int) -> int:
        """Steps of one epoch on so many windows."""
        return max(1, steps_per_epoch(windows, spec.finetune.batch_size, drop_last=False))

    def pack_signature(self, spec: PackedSpec, stage: TrainedStage, shape: InputShape) -> PackedSignature:
        """Equal for those that may share a pack."""
        shared = spec.model_dump(mode="json", exclude={"scaling", "protocol", "finetune"})
        shared["finetune"] = spec.finetune.model_dump(mode="json", exclude={"epochs", "optimizer"})
        return PackedSignature(
            shape=shape,
            selection=spec.protocol.epoch_selection,
            validates=spec.protocol.validates,
            settings=canonical_json(shared),
        )

    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> NetworkPack:
        """Folds that train together."""
        _, channels, bands = runs[0].data.seen_features.shape
        shape = InputShape(channels, bands, runs[0].classes, runs[0].channels)
        return NetworkPack(runs, pool, self.network(runs[0].experiment, shape))


class NetworkPack(FoldPack):
    """Folds that train together, an epoch at a time, each at an epoch of its own.

    Parameters
    ----------
    runs : sequence of FoldRun
        The replicas, of one `PackedSignature`; how many windows they have may differ.
    pool : WindowPool
        Holds their data; its device and precision are those of the training.
    network : Network
        What they train.
    """

    def __init__(self, runs: Sequence[FoldRun], pool: WindowPool, network: Network):
        self.runs = [not_begun(run) for run in runs]
        self.pool, self.network = pool, network
        self.device, self.dtype = pool.windows.device, pool.windows.dtype
        data = [run.data for run in self.runs]
        first = self.runs[0].experiment
        self.selection: str = first.protocol.epoch_selection
        self.batch_size: int = first.finetune.batch_size
        self.classes = self.runs[0].classes

        self.windows = [len(own.finetune_label) for own in data]
        self.rows_RN, _ = padded([pool.rows(own.seen_features, own.fold.finetune) for own in data])
        self.label_RN, _ = padded([torch.from_numpy(own.finetune_label).to(self.device) for own in data])
        self.validation_rows_RN, self.validation_real_RN = padded(
            [pool.rows(own.seen_features, own.fold.validation) for own in data]
        )
        self.validation_label_RN, _ = padded([torch.from_numpy(own.validation_label).to(self.device) for own in data])
        self.test_rows_RN, _ = padded([pool.rows(own.test_features, own.fold.test) for own in data])
        self.first_rows = None if network.time_steps is None else first_rows(data, pool)
        """Where the network sees sequences: row of the pool → the row where its trial begins."""
        scaling = Scaling.stack([own.scaler for own in data], self.device, self.dtype)
        test_scaling = Scaling.stack([own.test_scaler for own in data], self.device, self.dtype)
        self.scaling, self.test_scaling = scaling, test_scaling

        seeds = [derive_seed(run.seed, finetune_purpose(run.data.fold.name)) for run in self.runs]
        self.seed_R = torch.tensor(seeds, device=self.device)
        self.parameters = Parameters(network.sizes(), len(runs), self.device, self.dtype)
        network.initialise(self.parameters, self.seed_R)
        self.learner = Learner(
            self.parameters,
            [run.experiment.finetune.optimizer for run in self.runs],
            keep_best=self.selection == "best_validation",
        )
        self.test_logits = [
            torch.zeros(run.epochs, len(run.data.fold.test), self.classes)
            for run in self.runs
            if self.selection == "best_test"
        ]
        """With `best_test`: each replica's predictions at each epoch, on the host."""
        self.epoch: NetworkEpoch | None = None
        """Where the steps are taken on a GPU; None before the first of them, and elsewhere."""
        self._graphed = {part: GraphedTensor(self.device) for part in ("validation", "test")}

    def train_epoch(self) -> list[Exception | None]:
        """Train each replica through its next epoch, validate it, and put the figures on its curve.

        Returns
        -------
        list of TrainingError or None
            For each replica that diverged, the error; it has had no influence on the others.
        """
        # the one question of an epoch to the device
        found = self.run_epoch().tolist()
        self._end_epoch(found)
        return [divergence(run, finite == 1) for run, (_, _, finite, *_) in zip(self.runs, found, strict=True)]

    def run_epoch(self) -> Tensor:
        """Take the steps of the next epoch and predict the validation part, without a question to the device.

        Returns
        -------
        Tensor, float64, shape=(R, 3 + K²)
            Of each fold the sum of the losses of its windows, how many of them were told right, 1 if its parameters are
            finite, and the confusion matrix of its validation part, if there is one.
        """
        rates = [learning_rate(run.experiment.finetune.optimizer, run.epoch, run.epochs) for run in self.runs]
        rate_R = torch.tensor(rates, device=self.device, dtype=self.dtype)
        epoch_R = torch.tensor([run.epoch for run in self.runs], device=self.device)
        batches = epoch_batches(self.seed_R, FINETUNE_BATCHES, epoch_R, self.windows, self.batch_size, drop_last=False)
        window_RN = batches.window_RSB.flatten(1)
        rows_SRB, label_SRB = (
            own_RN.gather(1, window_RN).view_as(batches.window_RSB).transpose(0, 1)
            for own_RN in (self.rows_RN, self.label_RN)
        )
        real_SRB, active_SR = batches.real_RSB.transpose(0, 1), batches.active_RS.T
        streams_S2R1 = _epoch_streams(self.seed_R, epoch_R, batches.steps)
        with multiplications():
            if stays_on_device(self.device, SINGLE_PROCESS):
                if self.epoch is None:
                    self.epoch = NetworkEpoch(self, batches.steps)
                loss_R, correct_R = self.epoch.run(rows_SRB, label_SRB, real_SRB, active_SR, streams_S2R1, rate_R)
            else:
                loss_R = torch.zeros(len(self.runs), device=self.device, dtype=torch.float64)
                correct_R = torch.zeros(len(self.runs), device=self.device, dtype=torch.int64)
                for step, full in enumerate(batches.full):
                    active_R = None if full else active_SR[step]
                    inputs = rows_SRB[step], label_SRB[step], real_SRB[step], streams_S2R1[step]
                    losses_R, right_R = self.step(*inputs, rate_R, active_R)
                    loss_R += losses_R
                    correct_R += right_R
        finite_R = self.parameters.values.isfinite().all(1)
        figures_R3 = torch.stack((loss_R, correct_R.double(), finite_R.double()), 1)
        return torch.cat((figures_R3, self._validation_confusions().double()), 1)

    def step(
        self,
        rows_RB: Tensor,
        label_RB: Tensor,
        real_RB: Tensor,
        streams_2R1: Tensor,
        rate_R: Tensor,
        active_R: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Take a step: gather, scale, gradient, Adam.

        Parameters
        ----------
        rows_RB : Tensor, int64, shape=(R, B)
            Rows of the pool.
        label_RB : Tensor, int64, shape=(R, B)
            Their classes.
        real_RB : Tensor, bool, shape=(R, B)
            Which of them count: the others fill a batch up.
        streams_2R1 : Tensor, int32, shape=(2, R, 1)
            Random words of the dropout.
        rate_R : Tensor, shape=(R,)
            Step sizes.
        active_R : Tensor, bool, shape=(R,), or None
            Replicas that have such a step: those with a row that counts. All when None.

        Returns
        -------
        loss_R : Tensor
            Sum of the losses of the windows that count.
        correct_R : Tensor, int64
            How many of them were told right, before the step.
        """
        with threads_for_replicas(len(rows_RB), self.device):
            x_RBCF = self._windows(rows_RB, self.scaling)
            # rows are always masked, also where all are real: a replica's arithmetic must not depend on its neighbours'
            found = network_gradient(self.network, self.parameters, x_RBCF, label_RB, real_RB, streams_2R1)
            self.learner.step(self.parameters.gradient, rate_R, active_R)
        correct_R = ((found.logits_RBK.argmax(-1) == label_RB) & real_RB).sum(1)
        return found.loss_R * real_RB.sum(1), correct_R

    def _windows(self, rows_RB: Tensor, scaling: Scaling) -> Tensor:
        """Scaled windows [R, B, C, F] of these rows, or sequences [R, B, T, C, F] that end with them."""
        if self.first_rows is None:
            return scaling.apply(self.pool.gather(rows_RB))
        sequences_RBT = sequence_rows(rows_RB, self.first_rows, self.network.time_steps or 1)
        x_RNCF = scaling.apply(self.pool.gather(sequences_RBT.flatten(1)))
        return x_RNCF.view(*sequences_RBT.shape, *x_RNCF.shape[2:])

    def _end_epoch(self, found: Sequence[Sequence[float]]) -> None:
        """Choose, and write the curves, from what `run_epoch` gave."""
        better = []
        for run, windows, (loss, correct, _, *cells) in zip(self.runs, self.windows, found, strict=True):
            run.epoch += 1
            figures = {"loss": loss / windows, "train_accuracy": correct / windows}
            figures |= validation_figures(cells, self.classes)
            run.curve.append({"epoch": run.epoch, **json_scores(figures)})
            judged = judged_by(figures, self.selection)
            # strictly better: of equal epochs the earliest is kept
            better.append(judged > run.best)
            if better[-1]:
                run.best, run.best_epoch = judged, run.epoch
        if any(better) and self.learner.best is not None:
            self.learner.best.take(torch.tensor(better, device=self.device))
        if self.selection == "best_test":
            logits_RNK = self._predict_each_epoch("test", self.test_rows_RN, self.test_scaling).float().cpu()
            for run, kept, own in zip(self.runs, self.test_logits, logits_RNK, strict=True):
                kept[run.epoch - 1] = own[: kept.shape[1]]

    def _validation_confusions(self) -> Tensor:
        """Confusion matrices of the validation parts, int64 [R, K²]; [R, 0] without one."""
        windows = self.validation_rows_RN.shape[1]
        if windows == 0:
            return self.validation_label_RN
        logits_RNK = self._predict_each_epoch("validation", self.validation_rows_RN, self.scaling)
        # confusion matrices of all replicas by one sum over the cells (label, prediction)
        cell_RN = self.validation_label_RN * self.classes + logits_RNK[:, :windows].argmax(-1)
        flat = torch.zeros(len(self.runs), self.classes**2, dtype=torch.int64, device=self.device)
        return flat.scatter_add_(1, cell_RN, self.validation_real_RN.to(torch.int64))

    def _predict_each_epoch(self, part: str, rows_RN: Tensor, scaling: Scaling) -> Tensor:
        """What `_predict` gives, replayed on a GPU."""
        if not stays_on_device(self.device, SINGLE_PROCESS):
            return self._predict(rows_RN, scaling)
        with multiplications():
            return self._graphed[part](lambda: self._predict(rows_RN, scaling))

    @torch.no_grad()
    def _predict(self, rows_RN: Tensor, scaling: Scaling) -> Tensor:
        """Logits [R, at least N, K], with running statistics."""
        rows_RN = pad(rows_RN, (0, -rows_RN.shape[1] % PREDICTED_ROWS))
        with multiplications(), threads_for_replicas(len(rows_RN), self.device):
            return torch.cat(
                [
                    network_logits(self.network, self.parameters, self._windows(rows, scaling))
                    for rows in rows_RN.split(PREDICTED_ROWS, dim=1)
                ],
                dim=1,
            )

    def results(self) -> list[FoldResult]:
        """Predictions of the epoch that counts. To be called when all replicas have ended; the pack ends with it."""
        if self.learner.best is not None:
            self.learner.best.give_back(torch.ones(len(self.runs), dtype=torch.bool, device=self.device))
        if self.selection == "best_test":
            test = [logits.numpy() for logits in self.test_logits]
        else:
            test = [row.numpy() for row in self._predict(self.test_rows_RN, self.test_scaling).float().cpu()]
        validation = None
        if self.validation_rows_RN.shape[1]:
            validation = self._predict(self.validation_rows_RN, self.scaling).float().cpu().numpy()
        results = []
        for r, run in enumerate(self.runs):
            tested, validated = len(run.data.fold.test), len(run.data.fold.validation)
            chosen = {"last": run.epochs, "best_validation": run.best_epoch, "best_test": None}
            digest = hashlib.sha256()
            for tensor in self.parameters.replica_state(r).values():
                digest.update(tensor.cpu().numpy().tobytes())
            results.append(
                FoldResult(
                    run=run,
                    epoch=chosen[self.selection],
                    test_logits=test[r][..., :tested, :].copy(),
                    validation_logits=None if validation is None else validation[r, :validated],
                    model_digest=digest.hexdigest(),
                )
            )
        return results

    def checkpoint(self, r: int) -> Checkpoint:
        """The state of one replica."""
        tensors = self.learner.replica_state(r)
        if self.test_logits:
            tensors["test_logits"] = self.test_logits[r].clone()
        return Checkpoint(self.runs[r].epoch, tensors, progress(self.runs[r]))

    def restore(self, r: int, checkpoint: Checkpoint) -> None:
        """Let one replica go on from `checkpoint`."""
        self.learner.load_replica(r, checkpoint.tensors)
        if self.test_logits:
            self.test_logits[r].copy_(checkpoint.tensors["test_logits"])
        restore_progress(self.runs[r], checkpoint)

    def only(self, rs: Sequence[int]) -> NetworkPack:
        """The pack without its other replicas, whose work is spared from then on."""
        rest = NetworkPack([self.runs[r] for r in rs], self.pool, self.network)
        for new, old in enumerate(rs):
            rest.restore(new, self.checkpoint(old))
        return rest


class NetworkEpoch(GraphedEpoch):
    """The steps of an epoch over buffers that stay where they are, on a GPU replayed as one CUDA graph.

    Parameters
    ----------
    pack : NetworkPack
        Whose steps they are.
    steps : int
        The most that an epoch may have.
    cuda_graph : bool
        False to launch each kernel by itself on a GPU too.
    """

    def __init__(self, pack: NetworkPack, steps: int, cuda_graph: bool = True):
        replicas, device = len(pack.runs), pack.device
        self._step = pack.step
        self._rate_R = torch.zeros(replicas, device=device, dtype=pack.dtype)
        self._loss_R = torch.zeros(replicas, device=device, dtype=torch.float64)
        self._correct_R = torch.zeros(replicas, device=device, dtype=torch.int64)
        buffers = EpochBuffers(
            steps,
            device,
            windows=(torch.int64, (2, replicas, pack.batch_size)),  # their rows, their labels
            real=(torch.bool, (replicas, pack.batch_size)),
            active=(torch.bool, (replicas,)),
            streams=(torch.int32, (2, replicas, 1)),
        )
        super().__init__(buffers, device, cuda_graph)

    def run(
        self,
        rows_SRB: Tensor,
        label_SRB: Tensor,
        real_SRB: Tensor,
        active_SR: Tensor,
        streams_S2R1: Tensor,
        rate_R: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Take the steps of an epoch; arguments as of `NetworkPack.step`, for each step.

        Returns
        -------
        loss_R, correct_R : Tensor
            Sums over the steps, float64 and int64; the next epoch overwrites them.
        """
        self._graph.prepare(self._take_step, self._buffers.idle)
        windows_S2RB = torch.stack((rows_SRB, label_SRB), 1)
        self._buffers.load(windows=windows_S2RB, real=real_SRB, active=active_SR, streams=streams_S2R1)
        self._rate_R.copy_(rate_R)
        self._loss_R.zero_()
        self._correct_R.zero_()
        for _ in range(len(rows_SRB)):
            self._graph.run(self._take_step)
        return self._loss_R, self._correct_R

    def _take_step(self) -> None:
        # not in inference mode: autograd cannot keep what is made there
        now = self._buffers.now
        rows_RB, label_RB = now("windows")
        loss_R, correct_R = self._step(rows_RB, label_RB, now("real"), now("streams"), self._rate_R, now("active"))
        self._loss_R += loss_R
        self._correct_R += correct_R
        self._buffers.advance()


def _epoch_streams(seed_R: Tensor, epoch_R: Tensor, steps: int) -> Tensor:
    """Random words of the dropout of all steps of an epoch, int32 [S, 2, R, 1]."""
    step_N = torch.arange(steps, device=seed_R.device).repeat_interleave(len(seed_R))
    streams_2N1 = streams(seed_R.repeat(steps), "dropout", epoch_R.repeat(steps), step_N)
    return streams_2N1.view(2, steps, len(seed_R), 1).transpose(0, 1)
