"""The sweep stage: settings that are pre-trained in slots, probed on validation parts at their rungs, and stopped
when told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from scmmlab.config.code_digest import NUMERICS_VERSION
from scmmlab.methods.contract import InputShape, PretrainData, PretrainRun
from scmmlab.methods.registry import method_of, trainer_of
from scmmlab.replica.windows import WindowPool
from scmmlab.training.data import CellData, Selections, Tables, cell_data, pretrain_data
from scmmlab.training.encoder_slots import EncoderSlots, Ended, pretrain_run, stage_failure
from scmmlab.training.finetune_stage import cell_run, finetune_cells
from scmmlab.training.memory import MemoryLimit
from scmmlab.training.packs import finetune_pack_size
from scmmlab.training.pretrain_stage import RECORD_FORMAT
from scmmlab.training.probe import EmbeddingProbe, check_validates
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import CellRequest, StageFailure, StageOutput, SweepRequest, data_of


class Sweep:
    """One setting of a sweep, ready to be pre-trained and probed.

    Parameters
    ----------
    request : SweepRequest
        The setting.
    source, data : PretrainData, CellData
        What it is pre-trained on, and the folds it is probed by.
    device
        Where it is trained.

    Raises
    ------
    SpecError, TrainingError
        If the protocol has no validation part, or the source not one full batch.
    """

    def __init__(self, request: SweepRequest, source: PretrainData, data: CellData, device: torch.device | str):
        self.request, self.data, self.device = request, data, device
        experiment = request.experiment
        check_validates(experiment, data)
        self.probe = EmbeddingProbe(experiment, data, device) if experiment.budget else None
        self.run = pretrain_run(request.key, experiment, request.seed, source) if experiment.pretrains else None

    def figures(self, run: PretrainRun, tensors: Callable[[], dict[str, Tensor]]) -> dict[str, float] | None:
        """The probe of an epoch and its losses, every `report_every` epochs and at the last; None at the others."""
        if run.epoch % self.request.report_every and run.epoch != run.epochs:
            return None
        assert self.probe is not None, "a method that pre-trains has a budget and is probed"
        value = self.probe(tensors())
        run.probes.append({"epoch": run.epoch, "probe": value})
        return {"probe": value, **{name: run.curve[-1][name] for name in method_of(run.experiment).names("pretrain")}}

    def judge_at_once(self, reporter: Reporter) -> StageOutput | StageFailure:
        """The outcome of a setting without pre-training: its initial embedding probed once, or, of a method without
        one, the validation score of its fine-tuned folds.
        """
        request, experiment = self.request, self.request.experiment
        epochs = experiment.epochs("pretrain")
        if self.probe is None:
            judged = self._validation_score()
            if isinstance(judged, StageFailure):
                return judged
            value = judged
        else:
            shape = InputShape(len(request.channels), self.data.bands)
            state = trainer_of(experiment).initial_state(experiment, shape, request.seed)
            value = self.probe(state)
        reporter.epoch(request.key, "probe", epochs, epochs, {"probe": value})
        return _output(request, self.data, "finished", [{"epoch": epochs, "probe": value}], [])

    def _validation_score(self) -> float | StageFailure:
        """Validation balanced accuracy, mean over folds; or why there is none."""
        asked = self.request
        request = CellRequest(asked.key, asked.experiment, asked.seed, asked.transfer, asked.channels, encoder=None)
        cell = cell_run(request, self.data)
        size = finetune_pack_size(self.device)
        (outcome,) = finetune_cells([cell], Reporter(), self.device, 1, size, MemoryLimit())
        if isinstance(outcome, StageFailure):
            return replace(outcome, kind="sweep")
        return float(np.mean([fold["validation"]["balanced_accuracy"] for fold in outcome.record["folds"]]))


class SweepSlots:
    """Settings of a sweep on their way: they enter when a slot is free, and leave when they end or are stopped.

    Each probe goes to ``reporter.epoch(key, "probe", epoch, epochs, {"probe": …, "loss": …, …})``; the reporter stops
    a setting by returning False.

    Parameters
    ----------
    tables : callable
        Location → feature table. No test label is read.
    reporter : Reporter
        Is told of every probe and keeps checkpoints. What it raises is raised here.
    device : str
        ``cpu`` or ``cuda``.
    checkpoint_every : int
        Epochs between checkpoints.
    """

    def __init__(self, tables: Tables, reporter: Reporter, device: str = "cpu", checkpoint_every: int = 10):
        self._selections = Selections(tables)
        self._reporter, self._device, self._checkpoint_every = reporter, device, checkpoint_every
        self._sweeps: dict[str, Sweep] = {}
        self._slots: EncoderSlots | None = None

    @property
    def used(self) -> int:
        """Settings that are being trained."""
        return self._slots.used if self._slots else 0

    def join(self, requests: Sequence[SweepRequest]) -> list[StageOutput | StageFailure]:
        """Let settings in.

        Parameters
        ----------
        requests : sequence of SweepRequest
            Of one transfer, and of the same `packs.sweep_signature` as those that are here.

        Returns
        -------
        list of StageOutput or StageFailure
            Those that need no training, and those that cannot be trained.
        """
        ended: list[StageOutput | StageFailure] = []
        entering: list[PretrainRun] = []
        for request in requests:
            try:
                sweep = self._ready(request)
                if sweep.run is None:
                    ended.append(sweep.judge_at_once(self._reporter))
                else:
                    self._sweeps[request.key] = sweep
                    entering.append(sweep.run)
            except Exception as error:
                ended.append(stage_failure(request.key, "sweep", error))
        if entering:
            if self._slots is None:
                pool = WindowPool([entering[0].data.features], self._device, torch.float32)
                self._slots = EncoderSlots(pool, self._reporter, self._checkpoint_every, "probe", self._figures)
            ended += map(self._outcome, self._slots.join(entering))
        return ended

    def epoch(self) -> list[StageOutput | StageFailure]:
        """Train everyone through an epoch; the outcomes of those that leave with it."""
        return [self._outcome(ended) for ended in self._slots.epoch()] if self._slots else []

    def _ready(self, request: SweepRequest) -> Sweep:
        return Sweep(
            request, pretrain_data(request, self._selections), cell_data(request, self._selections), self._device
        )

    def _figures(self, run: PretrainRun, tensors: Callable[[], dict[str, Tensor]]) -> dict[str, float] | None:
        return self._sweeps[run.key].figures(run, tensors)

    def _outcome(self, ended: Ended) -> StageOutput | StageFailure:
        if isinstance(ended, StageFailure):
            del self._sweeps[ended.key]
            return ended
        sweep = self._sweeps.pop(ended.run.key)
        return _output(sweep.request, sweep.data, ended.state, ended.run.probes, ended.run.curve)


def _output(
    request: SweepRequest, data: CellData, state: str, probes: list[dict[str, float]], curve: list[dict[str, float]]
) -> StageOutput:
    """What a sweep keeps of a setting: its probes and curve. Its tensors are not kept: a sweep makes many."""
    return StageOutput(
        key=request.key,
        kind="sweep",
        record={
            "format": RECORD_FORMAT,
            "key": request.key,
            "experiment": request.experiment.model_dump(mode="json"),
            "transfer": data_of(request.transfer),
            "seed": request.seed,
            "channels": list(request.channels),
            "protocol": request.experiment.protocol.kind,
            "state": state,
            "epochs": len(curve),
            "probe": probes[-1]["probe"] if probes else None,
            "probes": probes,
            "curve": curve,
            "source_fingerprint": data.source_fingerprint,
            "target_fingerprint": data.target_fingerprint,
            "numerics": NUMERICS_VERSION,
        },
        tensors={},
    )
