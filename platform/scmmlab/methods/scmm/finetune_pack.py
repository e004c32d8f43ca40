"""Fine-tuning of a pack: folds, of one cell or of several, train together, each exactly as if it were alone.

| symbol | meaning |
|---|---|
| R | replicas of the pack: folds |
| B | windows of a batch |
| N | windows of the part that is predicted |
| K | classes |
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scmmlab.config.protocol import EpochSelection, ReleasedEpochSelection
from scmmlab.evaluation.metrics import json_scores
from scmmlab.methods.contract import Checkpoint, FoldPack, FoldResult, FoldRun
from scmmlab.methods.fold_figures import (
    PREDICTED_ROWS,
    divergence,
    judged_by,
    not_begun,
    progress,
    restore_progress,
    validation_figures,
)
from scmmlab.methods.scmm.finetune_step import FinetuneEpoch, FinetuneStep
from scmmlab.methods.scmm.finetuning import classify
from scmmlab.methods.scmm.parameters import encoder_sizes, initial_classifier
from scmmlab.methods.scmm.shape import Shape
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.replica.batches import epoch_batches
from scmmlab.replica.collectives import SINGLE_PROCESS
from scmmlab.replica.cuda_graph import GraphedTensor, stays_on_device
from scmmlab.replica.learner import Learner, below
from scmmlab.replica.parameters import Parameters
from scmmlab.replica.precision import multiplications
from scmmlab.replica.replicas import threads_for_replicas
from scmmlab.replica.schedule import learning_rate
from scmmlab.replica.seeding import FINETUNE_BATCHES, derive_seed, finetune_purpose
from scmmlab.replica.windows import Scaling, WindowPool, padded


@dataclass(frozen=True)
class Mode:
    """What all folds of a pack do alike."""

    selection: EpochSelection | ReleasedEpochSelection
    """Which epoch's predictions count. `best_test` keeps those of every epoch, and chooses nothing in training."""
    freeze_encoder: bool
    """Whether only the classifier learns."""
    zero_grad: bool
    """Whether gradients are zeroed between steps; if not they add up over the whole fine-tuning."""
    reload_best_training: bool
    """Whether each epoch starts from the weights of the best training accuracy so far."""

    @staticmethod
    def of(experiment: ScmmSpec) -> Mode:
        """The mode of `experiment`'s protocol and fine-tuning."""
        return Mode(
            selection=experiment.protocol.epoch_selection,
            freeze_encoder=experiment.finetune.freeze_encoder,
            zero_grad=experiment.zeroes_gradients,
            reload_best_training=experiment.reloads_best_training,
        )


class FinetunePack(FoldPack):
    """Folds that fine-tune together, an epoch at a time, each at an epoch of its own.

    Parameters
    ----------
    runs : sequence of FoldRun
        The replicas. They have the same shapes (channels, bands, widths, classes, batch size) and the same `Mode`; how
        many windows they have may differ.
    pool : WindowPool
        Holds their data; its device and precision are those of the training.
    """

    def __init__(self, runs: Sequence[FoldRun], pool: WindowPool):
        self.runs = [not_begun(run) for run in runs]
        self.pool = pool
        self.device, self.dtype = pool.windows.device, pool.windows.dtype
        experiments = [run.experiment for run in self.runs]
        data = [run.data for run in self.runs]
        self.mode = Mode.of(experiments[0])
        self.batch_size = experiments[0].finetune.batch_size
        self.classes = self.runs[0].classes

        self.windows = [len(own.finetune_label) for own in data]
        self.rows_RN, _ = padded([pool.rows(own.seen_features, own.fold.finetune) for own in data])
        self.label_RN, _ = padded([torch.from_numpy(own.finetune_label).to(self.device) for own in data])
        self.validation_rows_RN, self.validation_real_RN = padded(
            [pool.rows(own.seen_features, own.fold.validation) for own in data]
        )
        self.validation_label_RN, _ = padded([torch.from_numpy(own.validation_label).to(self.device) for own in data])
        self.test_rows_RN, _ = padded([pool.rows(own.test_features, own.fold.test) for own in data])
        self.scaling = Scaling.stack([own.scaler for own in data], self.device, self.dtype)
        self.test_scaling = Scaling.stack([own.test_scaler for own in data], self.device, self.dtype)

        network = experiments[0].network
        _, channels, bands = data[0].seen_features.shape
        shape = Shape(
            channels=channels,
            bands=bands,
            width=network.width,
            classifier_width=network.classifier_width,
            classes=self.classes,
        )
        seeds = [derive_seed(run.seed, finetune_purpose(run.data.fold.name)) for run in self.runs]
        self.seed_R = torch.tensor(seeds, device=self.device)
        self.classifier = initial_classifier(shape, self.seed_R, self.device, self.dtype)
        self.encoder = Parameters(encoder_sizes(shape), len(self.runs), self.device, self.dtype)
        for replica, run in enumerate(self.runs):
            self.encoder.load_replica(replica, run.start)

        optimizers = [experiment.finetune.optimizer for experiment in experiments]
        learning = {"classifier": self.classifier} | ({} if self.mode.freeze_encoder else {"encoder": self.encoder})
        self.learners = {
            name: Learner(
                parameters,
                optimizers,
                sum_gradients=not self.mode.zero_grad,
                keep_best=self.mode.reload_best_training or self.mode.selection == "best_validation",
            )
            for name, parameters in learning.items()
        }
        self.test_logits = [
            torch.zeros(run.epochs, len(run.data.fold.test), self.classes)
            for run in self.runs
            if self.mode.selection == "best_test"
        ]
        """With `best_test`: each replica's predictions at each epoch, on the host."""
        self.step = FinetuneStep(
            self.encoder, self.classifier, self.learners, pool, self.scaling, experiments[0].precision
        )
        self.epoch: FinetuneEpoch | None = None
        """Where the steps are taken on a GPU; None before the first of them, and elsewhere."""
        self._graphed = {part: GraphedTensor(self.device) for part in ("validation", "test")}

    def train_epoch(self) -> list[Exception | None]:
        """Train each replica through its next epoch, validate it, and put the figures on its curve.

        Returns
        -------
        list of TrainingError or None
            For each replica that diverged, the error; it has had no influence on the others.
        """
        if self.mode.reload_best_training:
            self._reload_best([run.epoch > 0 for run in self.runs])
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
        rate_R = torch.tensor(
            [
                learning_rate(r.experiment.finetune.optimizer, r.epoch, r.epochs, r.experiment.constant_learning_rate)
                for r in self.runs
            ],
            device=self.device,
            dtype=self.dtype,
        )
        epoch_R = torch.tensor([run.epoch for run in self.runs], device=self.device)
        batches = epoch_batches(self.seed_R, FINETUNE_BATCHES, epoch_R, self.windows, self.batch_size, drop_last=False)
        window_RN = batches.window_RSB.flatten(1)
        rows_SRB, label_SRB = (
            own_RN.gather(1, window_RN).view_as(batches.window_RSB).transpose(0, 1)
            for own_RN in (self.rows_RN, self.label_RN)
        )
        real_SRB, active_SR = batches.real_RSB.transpose(0, 1), batches.active_RS.T
        extras = self.step_extras(epoch_R, batches.steps)
        if stays_on_device(self.device, SINGLE_PROCESS):
            if self.epoch is None:
                self.epoch = FinetuneEpoch(self.step, batches.steps, self.batch_size)
            with multiplications():
                loss_R, correct_R = self.epoch.run(rows_SRB, label_SRB, real_SRB, active_SR, rate_R, **extras)
        else:
            loss_R = torch.zeros(len(self.runs), device=self.device, dtype=torch.float64)
            correct_R = torch.zeros(len(self.runs), device=self.device, dtype=torch.int64)
            self.step.begin_epoch()
            for step, full in enumerate(batches.full):
                active_R = None if full else active_SR[step]
                own = {name: entries[step] for name, entries in extras.items()}
                losses_R, right_R = self.step(rows_SRB[step], label_SRB[step], real_SRB[step], rate_R, active_R, **own)
                loss_R += losses_R
                correct_R += right_R
        figures_R3 = torch.stack((loss_R, correct_R.double(), self._finite().double()), 1)
        return torch.cat((figures_R3, self._validation_confusions().double()), 1)

    def step_extras(self, epoch_R: Tensor, steps: int) -> dict[str, Tensor]:
        """What each step of an epoch is given beside its windows, [steps, …], by the names of the step's `extras`."""
        return {}

    def _end_epoch(self, found: Sequence[Sequence[float]]) -> None:
        """Choose, and write the curves, from what `run_epoch` gave."""
        better = []
        for run, windows, (loss, correct, _, *cells) in zip(self.runs, self.windows, found, strict=True):
            run.epoch += 1
            figures = {"loss": loss / windows, "train_accuracy": correct / windows}
            figures |= validation_figures(cells, self.classes)
            run.curve.append({"epoch": run.epoch, **json_scores(figures)})
            judged = judged_by(figures, self.mode.selection)
            # strictly better: of equal epochs the earliest is kept
            better.append(judged > run.best)
            if better[-1]:
                run.best, run.best_epoch = judged, run.epoch
        if any(better):
            chosen_R = torch.tensor(better, device=self.device)
            for learner in self.learners.values():
                if learner.best is not None:
                    learner.best.take(chosen_R)
        if self.mode.selection == "best_test":
            logits_RNK = self._predict_each_epoch("test", self.test_rows_RN, self.test_scaling).float().cpu()
            for run, kept, own in zip(self.runs, self.test_logits, logits_RNK, strict=True):
                kept[run.epoch - 1] = own[: kept.shape[1]]

    def _validation_confusions(self) -> Tensor:
        """Confusion matrices of the validation parts, int64 [R, K²]; [R, 0] without one."""
        windows = self.validation_rows_RN.shape[1]
        if windows == 0:
            return self.validation_label_RN
        logits_RNK = self._predict_each_epoch("validation", self.validation_rows_RN, self.scaling)
        predicted_RN = logits_RNK[:, :windows].argmax(-1)
        # confusion matrices of all replicas by one sum over the cells (label, prediction)
        cell_RN = self.validation_label_RN * self.classes + predicted_RN
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
        rows_RN = torch.nn.functional.pad(rows_RN, (0, -rows_RN.shape[1] % PREDICTED_ROWS))
        with threads_for_replicas(len(rows_RN), self.device):
            return torch.cat(
                [
                    classify(self.encoder, self.classifier, scaling.apply(self.pool.gather(rows)))
                    for rows in rows_RN.split(PREDICTED_ROWS, dim=1)
                ],
                dim=1,
            )

    def _reload_best(self, which: Sequence[bool]) -> None:
        which_R = torch.tensor(which, device=self.device)
        for learner in self.learners.values():
            assert learner.best is not None
            learner.best.give_back(which_R)

    def _finite(self) -> Tensor:
        finite_R = torch.ones(len(self.runs), dtype=torch.bool, device=self.device)
        for learner in self.learners.values():
            finite_R &= learner.parameters.values.isfinite().all(1)
        return finite_R

    def results(self) -> list[FoldResult]:
        """Predictions of the epoch that counts. To be called when all replicas have ended; the pack ends with it."""
        if self.mode.selection == "best_validation":
            self._reload_best([True] * len(self.runs))
        if self.mode.selection == "best_test":
            test = [logits.numpy() for logits in self.test_logits]
        else:
            test = [row.numpy() for row in self._predict(self.test_rows_RN, self.test_scaling).float().cpu()]
        validation = None
        if self.validation_rows_RN.shape[1]:
            validation = self._predict(self.validation_rows_RN, self.scaling).float().cpu().numpy()
        chosen: dict[str, Callable[[FoldRun], int | None]] = {
            "last": lambda run: run.epochs,
            "best_validation": lambda run: run.best_epoch,
            "best_test": lambda _: None,
        }
        results = []
        for replica, run in enumerate(self.runs):
            tested, validated = len(run.data.fold.test), len(run.data.fold.validation)
            results.append(
                FoldResult(
                    run=run,
                    epoch=chosen[self.mode.selection](run),
                    test_logits=test[replica][..., :tested, :].copy(),
                    validation_logits=None if validation is None else validation[replica, :validated],
                    model_digest=self._model_digest(replica),
                )
            )
        return results

    def _model_digest(self, replica: int) -> str:
        digest = hashlib.sha256()
        for parameters in (self.encoder, self.classifier):
            for tensor in parameters.replica_state(replica).values():
                digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    def checkpoint(self, replica: int) -> Checkpoint:
        """The state of one replica."""
        run = self.runs[replica]
        tensors = {
            f"{name}/{tensor}": value
            for name, learner in self.learners.items()
            for tensor, value in learner.replica_state(replica).items()
        }
        if self.test_logits:
            tensors["test_logits"] = self.test_logits[replica].clone()
        return Checkpoint(run.epoch, tensors, progress(run))

    def restore(self, replica: int, checkpoint: Checkpoint) -> None:
        """Let one replica go on from `checkpoint`."""
        for name, learner in self.learners.items():
            learner.load_replica(replica, below(f"{name}/", checkpoint.tensors))
        if self.test_logits:
            self.test_logits[replica].copy_(checkpoint.tensors["test_logits"])
        restore_progress(self.runs[replica], checkpoint)

    def only(self, rs: Sequence[int]) -> FinetunePack:
        """The pack without its other replicas, whose work is spared from then on."""
        rest = self._of([self.runs[r] for r in rs])
        for new, old in enumerate(rs):
            rest.restore(new, self.checkpoint(old))
        return rest

    def _of(self, runs: Sequence[FoldRun]) -> FinetunePack:
        """A pack like this one, of other folds."""
        return FinetunePack(runs, self.pool)
