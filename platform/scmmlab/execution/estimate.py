"""How long a study will take here: a probe of seconds on made-up windows of the study's shape, and the plan's steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch

from scmmlab.config import CorpusSelection, ExperimentSpec, HonestProtocol, ResourcesSpec, TransferSpec
from scmmlab.execution.progress import duration
from scmmlab.study import Plan, Rates, estimate_seconds
from scmmlab.tables import FeatureTable, Manifest
from scmmlab.training import CellRequest, PretrainRequest, Reporter, StageFailure
from scmmlab.training.packs import finetune_pack_size, pretrain_pack_size
from scmmlab.training.stages import run_cell_stage, run_pretrain_stage

START_UP_S = 20.0
"""Seconds that Ray and its workers take to start."""
PRETRAIN_STEPS = 3
"""Of an epoch of the probe."""
EPOCHS = 3
"""Of the probe; the first is not counted, as it warms up."""
TRIALS_A_CLASS, WINDOWS_A_TRIAL = 4, 32
"""Of each made-up subject; enough for a split."""


def estimate(plan: Plan, done: Collection[str] = ()) -> str:
    """The time that what is missing of a study takes on this machine, as a sentence.

    Parameters
    ----------
    plan : Plan
        The study.
    done : collection of str
        Keys of finished stages.
    """
    workers, device = local_workers(plan.study.resources)
    rates = measure(plan, workers, device)
    if isinstance(rates, StageFailure):
        return f"No estimate of the time: {rates.error}"
    seconds = estimate_seconds(plan, done, rates)
    each = "GPU" if device == "cuda" else "CPU"
    return (
        f"About {duration(seconds)} on this machine ({workers} worker{'s' if workers > 1 else ''}, one a {each}; "
        f"{rates.pretrain_steps:.0f} pre-training and {rates.finetune_steps:.0f} fine-tuning steps a second, together)."
    )


def local_workers(resources: ResourcesSpec) -> tuple[int, str]:
    """Workers that a study has on this machine alone, and the kind of their device."""
    gpus = torch.cuda.device_count() if resources.gpus_per_worker != 0 else 0
    if gpus:
        room = int(gpus / (resources.gpus_per_worker or 1.0))
    else:
        room = int((os.cpu_count() or 1) / resources.cpus_per_worker)
    return max(1, min(room, resources.workers or room)), "cuda" if gpus else "cpu"


def measure(plan: Plan, workers: int, device: str) -> Rates | StageFailure:
    """Steps a second of the study's base on all workers, from one of them; or why it cannot be trained."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(plan.study.resources.cpus_per_worker)))
    try:
        transfer = plan.study.transfers[0]
        probe = _Probe(plan.study.base, plan.source(transfer), plan.channels[transfer.name], device)
        pretrain, finetune = probe.pretrain(plan.study.resources.pack_size), probe.finetune()
    except _ProbeError as error:
        return error.failure
    finally:
        torch.set_num_threads(threads)
    return Rates(pretrain_steps=workers * pretrain, finetune_steps=workers * finetune, start_up=START_UP_S)


class _ProbeError(Exception):
    def __init__(self, failure: StageFailure):
        super().__init__(failure.error)
        self.failure = failure


class _Clock(Reporter):
    """Notes when the first epoch and when the last one of the last training ended."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        self.last = time.perf_counter()
        if epoch == 1:
            self.first = self.last
        return True


class _Probe:
    """Made-up windows, and trainings of the study's shape on them."""

    def __init__(self, base: ExperimentSpec, manifest: Manifest, channels: tuple[str, ...], device: str):
        self._channels, self._device = channels, device
        self._folds = finetune_pack_size(device)
        pretrain = base.pretrain.model_copy(update={"epochs": EPOCHS})
        finetune = base.finetune.model_copy(update={"epochs": EPOCHS})
        protocol = HonestProtocol(trial_order="time_within_class", finetune_share=0.75)
        self._experiment = base.model_copy(update={"pretrain": pretrain, "finetune": finetune, "protocol": protocol})
        self._table = _made_up(manifest, self._folds)

    def pretrain(self, pack_size: int | None) -> float:
        """Steps a second of one worker, all replicas of a pack together."""
        size = pack_size or pretrain_pack_size(self._device)
        batch = self._experiment.pretrain.batch_size
        needed = PRETRAIN_STEPS * batch
        rows = np.resize(np.arange(len(self._table)), needed)
        table = _rows(self._table, rows)
        requests = [
            PretrainRequest(f"probe-{n}", self._experiment, n, CorpusSelection(table="probe"), self._channels)
            for n in range(size)
        ]
        return (
            size
            * PRETRAIN_STEPS
            * (EPOCHS - 1)
            / self._time(
                lambda clock: run_pretrain_stage(requests, lambda _: table, clock, self._device, pack_size=size)
            )
        )

    def finetune(self) -> float:
        """Steps a second of one worker, all folds of a pack together."""
        everything = CorpusSelection(table="probe")
        transfer = TransferSpec(name="probe", source=everything, target=everything)
        experiment = self._experiment.model_copy(
            update={"pretrain": self._experiment.pretrain.model_copy(update={"enabled": False})}
        )
        request = CellRequest("probe", experiment, 0, transfer, self._channels, encoder=None)
        seconds = self._time(lambda clock: run_cell_stage([request], lambda _: self._table, clock, self._device))
        # 3 of 4 trials of a class are fine-tuned on, and one of those validates
        windows = 2 * len(self._table.manifest.classes) * WINDOWS_A_TRIAL
        steps = -(-windows // experiment.finetune.batch_size)
        return self._folds * steps * (EPOCHS - 1) / seconds

    def _time(self, run: Callable[[Reporter], Sequence[object]]) -> float:
        """Seconds from the end of the first epoch to that of the last."""
        clock = _Clock()
        for outcome in run(clock):
            if isinstance(outcome, StageFailure):
                raise _ProbeError(outcome)
        assert clock.first is not None
        return max(clock.last - clock.first, 1e-6)


def _made_up(manifest: Manifest, subjects: int) -> FeatureTable:
    """Windows with the channels, bands and classes of `manifest`."""
    classes = len(manifest.classes)
    trials = TRIALS_A_CLASS * classes
    keys = np.array([(s, t, w) for s in range(subjects) for t in range(trials) for w in range(WINDOWS_A_TRIAL)])
    shape = (len(keys), len(manifest.channels), len(manifest.bands))
    return FeatureTable.assemble(
        manifest.model_copy(update={"subjects": {number: str(number) for number in range(subjects)}}),
        subject=keys[:, 0],
        session=np.ones(len(keys)),
        trial=keys[:, 1],
        window=keys[:, 2],
        label=keys[:, 1] % classes,
        features=np.random.default_rng(0).normal(size=shape),
    )


def _rows(table: FeatureTable, rows: np.ndarray) -> FeatureTable:
    """These rows of `table`, which may come twice: pre-training does not mind."""
    return FeatureTable(
        table.manifest,
        table.subject[rows],
        table.session[rows],
        table.trial[rows],
        table.window[rows],
        table.label[rows],
        table.features[rows],
    )
