"""Methods that are a torch module: replicas train one after another, so that each is trivially as if it were alone.

A method gives its module; batches, steps, figures, the epoch that counts, checkpoints and failures are everybody's:

    class MyTrainer(SequentialTrainer):
        def module(self, spec, shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(shape.channels * shape.bands, shape.classes))

| symbol | meaning |
|---|---|
| N, B | windows that are predicted, of a batch |
| C, F, K | channels, bands, classes |
| n | parameters |
"""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from scmmlab.config.experiment import TrainedStage
from scmmlab.evaluation.metrics import confusion, json_scores
from scmmlab.methods.contract import Checkpoint, FoldData, FoldPack, FoldResult, FoldRun, InputShape, Trainer
from scmmlab.methods.fold_figures import (
    PREDICTED_ROWS,
    divergence,
    fold_failure,
    judged_by,
    not_begun,
    progress,
    restore_progress,
    validation_figures,
)
from scmmlab.replica.batches import epoch_batches, steps_per_epoch
from scmmlab.replica.learner import below
from scmmlab.replica.optimizer import Adam
from scmmlab.replica.precision import multiplications
from scmmlab.replica.schedule import learning_rate
from scmmlab.replica.seeding import FINETUNE_BATCHES, derive_seed, finetune_purpose
from scmmlab.replica.shortage import out_of_memory
from scmmlab.replica.windows import Scaling, WindowPool


class SequentialTrainer(Trainer):
    """A method without pre-training whose spec has `finetune.epochs`, `.batch_size` and `.optimizer`."""

    @abstractmethod
    def module(self, spec: Any, shape: InputShape) -> nn.Module:
        """A new module from scaled windows [B, C, F] to logits [B, K].

        What it draws, here or in training, comes from PyTorch's generator, which is seeded for the fold and set back
        afterwards. What it remembers is in its `state_dict`.

        Parameters
        ----------
        spec : ExperimentSpec
            The cell's settings, of the method's spec.
        shape : InputShape
            C, F and K.
        """

    def fold_data(self, run: FoldRun, pool: WindowPool) -> tuple[FoldData, WindowPool]:
        """What a fold is trained on, and the pool that holds its windows: what it was granted, unless a method makes
        something else of it.
        """
        return run.data, pool

    def steps(self, spec: Any, stage: TrainedStage, windows: int) -> int:
        """Batches of an epoch."""
        return max(1, steps_per_epoch(windows, spec.finetune.batch_size, drop_last=False))

    def finetune_pack(self, runs: Sequence[FoldRun], pool: WindowPool) -> SequentialPack:
        """Folds that train one after the other."""
        return SequentialPack(runs, pool, self)


class SequentialPack(FoldPack):
    """Folds that train one after the other, an epoch at a time, by Adam on cross-entropy.

    A last batch of a single window joins the one before it, since batch norm has no variance of one.

    Parameters
    ----------
    runs : sequence of FoldRun
        The folds.
    pool : WindowPool
        Holds their windows.
    trainer : SequentialTrainer
        Makes their modules.
    """

    def __init__(self, runs: Sequence[FoldRun], pool: WindowPool, trainer: SequentialTrainer):
        self._replicas = [_Replica(not_begun(run), pool, trainer) for run in runs]
        self.runs = [replica.run for replica in self._replicas]

    def train_epoch(self) -> list[Exception | None]:
        """Train each fold through its next epoch and validate it; the errors of those that fail."""
        errors: list[Exception | None] = []
        for replica in self._replicas:
            try:
                errors.append(replica.train_epoch())
            except Exception as error:
                if out_of_memory(error):
                    raise
                errors.append(fold_failure(replica.run, error))
        return errors

    def results(self) -> list[FoldResult]:
        """Predictions of the epoch that counts."""
        return [replica.result() for replica in self._replicas]

    def checkpoint(self, r: int) -> Checkpoint:
        """The state of one fold."""
        return self._replicas[r].checkpoint()

    def restore(self, r: int, checkpoint: Checkpoint) -> None:
        """Let one fold go on from `checkpoint`."""
        self._replicas[r].restore(checkpoint)

    def only(self, rs: Sequence[int]) -> SequentialPack:
        """The pack without its other folds."""
        rest = copy.copy(self)
        rest._replicas, rest.runs = [self._replicas[r] for r in rs], [self.runs[r] for r in rs]
        return rest


class _Replica:
    """One fold: its module, whose parameters and gradients are views of two flat tensors, and its optimiser."""

    def __init__(self, run: FoldRun, pool: WindowPool, trainer: SequentialTrainer):
        self.run, device, dtype = run, pool.windows.device, pool.windows.dtype
        data, self.pool = trainer.fold_data(run, pool)
        self.device = device
        self.seed = derive_seed(run.seed, finetune_purpose(data.fold.name))
        self.label = torch.from_numpy(data.finetune_label).to(device)
        self.rows = self.pool.rows(data.seen_features, data.fold.finetune)
        self.validation_rows = self.pool.rows(data.seen_features, data.fold.validation)
        self.test_rows = self.pool.rows(data.test_features, data.fold.test)
        self.scaling = Scaling.stack([data.scaler], device, dtype)
        self.test_scaling = Scaling.stack([data.test_scaler], device, dtype)
        _, channels, bands = data.seen_features.shape
        with _drawing_from(derive_seed(self.seed, "weights"), device):
            module = trainer.module(run.experiment, InputShape(channels, bands, run.classes))
        self.module = module.to(device, dtype)
        self.values_1n, self.gradient_1n = _flattened(self.module)
        self.adam = Adam(self.values_1n, [run.experiment.finetune.optimizer])
        self.selection = run.experiment.protocol.epoch_selection
        self.best = self._state() if self.selection == "best_validation" else {}
        """Parameters and buffers of the best epoch so far."""
        self.test_by_epoch = torch.zeros(run.epochs, len(data.fold.test), run.classes)
        """With `best_test`: predictions at each epoch, on the host."""

    def train_epoch(self) -> Exception | None:
        """Train through the next epoch; the error of one that diverged."""
        run = self.run
        rate = learning_rate(run.experiment.finetune.optimizer, run.epoch, run.epochs)
        rate_1 = torch.tensor([rate], device=self.device, dtype=self.values_1n.dtype)
        loss = torch.zeros((), device=self.device, dtype=torch.float64)
        correct = torch.zeros((), device=self.device, dtype=torch.int64)
        self.module.train()
        with multiplications(), _drawing_from(derive_seed(self.seed, f"epoch {run.epoch}"), self.device):
            for batch in self._batches():
                x_BCF = self.scaling.apply(self.pool.gather(self.rows[batch].unsqueeze(0)))[0]
                label = self.label[batch]
                self.gradient_1n.zero_()
                logits_BK = self.module(x_BCF)
                own = cross_entropy(logits_BK, label)
                own.backward()
                self.adam.step(self.values_1n, self.gradient_1n, rate_1)
                loss += own.detach() * len(batch)
                correct += (logits_BK.detach().argmax(-1) == label).sum()
        return self._end_epoch(float(loss) / len(self.rows), int(correct) / len(self.rows))

    def _batches(self) -> list[Tensor]:
        """Numbers of windows among the fold's own, batch by batch."""
        size = self.run.experiment.finetune.batch_size
        seed_R = torch.tensor([self.seed], device=self.device)
        epoch_R = torch.tensor([self.run.epoch], device=self.device)
        made = epoch_batches(seed_R, FINETUNE_BATCHES, epoch_R, [len(self.rows)], size, drop_last=False)
        batches = [window[real] for window, real in zip(made.window_RSB[0], made.real_RSB[0], strict=True)]
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def _end_epoch(self, loss: float, accuracy: float) -> Exception | None:
        """Validate, choose, and write the curve."""
        run = self.run
        run.epoch += 1
        figures = {"loss": loss, "train_accuracy": accuracy}
        if len(self.validation_rows):
            predicted = self._predict(self.validation_rows, self.scaling).argmax(-1).numpy()
            matrix = confusion(run.data.validation_label, predicted, run.classes)
            figures |= validation_figures(matrix.ravel().tolist(), run.classes)
        run.curve.append({"epoch": run.epoch, **json_scores(figures)})
        judged = judged_by(figures, self.selection)
        # strictly better: of equal epochs the earliest is kept
        if judged > run.best:
            run.best, run.best_epoch = judged, run.epoch
            if self.best:
                self.best = self._state()
        if self.selection == "best_test":
            self.test_by_epoch[run.epoch - 1] = self._predict(self.test_rows, self.test_scaling)
        return divergence(run, bool(self.values_1n.isfinite().all()))

    @torch.no_grad()
    def _predict(self, rows: Tensor, scaling: Scaling) -> Tensor:
        """Logits [N, K] on the host, as in evaluation."""
        self.module.eval()
        padded = pad(rows, (0, -len(rows) % PREDICTED_ROWS))
        with multiplications():
            parts = [
                self.module(scaling.apply(self.pool.gather(part.unsqueeze(0)))[0])
                for part in padded.split(PREDICTED_ROWS)
            ]
        return torch.cat(parts)[: len(rows)].float().cpu()

    def result(self) -> FoldResult:
        """Predictions of the epoch that counts."""
        run = self.run
        if self.best:
            self._load(self.best)
        digest = hashlib.sha256()
        for tensor in self._state().values():
            digest.update(tensor.cpu().numpy().tobytes())
        by_test = self.selection == "best_test"
        test = self.test_by_epoch if by_test else self._predict(self.test_rows, self.test_scaling)
        validation = self._predict(self.validation_rows, self.scaling) if len(self.validation_rows) else None
        return FoldResult(
            run=run,
            epoch=None if by_test else run.best_epoch if self.best else run.epochs,
            test_logits=test.numpy().copy(),
            validation_logits=None if validation is None else validation.numpy(),
            model_digest=digest.hexdigest(),
        )

    def checkpoint(self) -> Checkpoint:
        run = self.run
        tensors = {f"module/{name}": tensor for name, tensor in self._state().items()}
        tensors |= {f"best/{name}": tensor.clone() for name, tensor in self.best.items()}
        tensors |= {f"adam/{name}": tensor for name, tensor in self.adam.replica_state(0).items()}
        if self.selection == "best_test":
            tensors["test_by_epoch"] = self.test_by_epoch.clone()
        return Checkpoint(run.epoch, tensors, progress(run))

    def restore(self, checkpoint: Checkpoint) -> None:
        tensors = checkpoint.tensors
        self._load(below("module/", tensors))
        self.best = {name: tensor.to(self.device, copy=True) for name, tensor in below("best/", tensors).items()}
        self.adam.load_replica(0, below("adam/", tensors))
        if self.selection == "best_test":
            self.test_by_epoch.copy_(tensors["test_by_epoch"])
        restore_progress(self.run, checkpoint)

    def _state(self) -> dict[str, Tensor]:
        """Clones of parameters and buffers."""
        return {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}

    def _load(self, state: Mapping[str, Tensor]) -> None:
        # copies into the tensors that there are, so that parameters stay views
        self.module.load_state_dict(state)


def _flattened(module: nn.Module) -> tuple[Tensor, Tensor]:
    """The parameters that learn and their gradients as two tensors [1, n], of which they are views from now on."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    values_1n = torch.cat([p.detach().reshape(-1) for p in parameters]).unsqueeze(0)
    gradient_1n = torch.zeros_like(values_1n)
    start = 0
    for p in parameters:
        end = start + p.numel()
        p.data = values_1n[0, start:end].view_as(p)
        p.grad = gradient_1n[0, start:end].view_as(p)
        start = end
    return values_1n, gradient_1n


@contextmanager
def _drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block PyTorch draws from a stream of its own; its generators are set back afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
