"""The sweep stage: one setting pre-trained, probed on validation parts at its rungs, and stopped when told."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from scmmlab.model import initial_pretraining
from scmmlab.model.version import NUMERICS_VERSION
from scmmlab.training.data import CellData, PretrainData
from scmmlab.training.pretrain import LOSSES, Encoder, pretrain_shape
from scmmlab.training.pretrain_stage import RECORD_FORMAT, train_encoders
from scmmlab.training.probe import EmbeddingProbe
from scmmlab.training.reporter import Reporter
from scmmlab.training.requests import StageFailure, StageOutput, SweepRequest
from scmmlab.training.seeding import PRETRAIN, derive_seed
from scmmlab.training.windows import WindowPool


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
        self.request, self.source, self.data, self.device = request, source, data, device
        self.probe = EmbeddingProbe(request.experiment, data, device)
        self.encoder = (
            Encoder(request.key, request.experiment, request.seed, source)
            if request.experiment.pretrain.enabled
            else None
        )

    def run(self, reporter: Reporter, checkpoint_every: int) -> StageOutput | StageFailure:
        """Pre-train, with a probe every `report_every` epochs and at the last.

        Each probe goes to ``reporter.epoch(key, "probe", epoch, epochs, {"probe": …, "loss": …, …})``; the reporter
        stops the training by returning False. Where the setting has no pre-training, the initial encoder is probed
        once.
        """
        if self.encoder is None:
            return self._probe_initial(reporter)
        pool = WindowPool([self.source.features], self.device, torch.float32)
        (outcome,) = train_encoders([self.encoder], pool, reporter, checkpoint_every, "probe", self._figures)
        if isinstance(outcome, StageFailure):
            return outcome
        return _output(self.request, self.data, outcome.state, outcome.encoder.probes, outcome.encoder.curve)

    def _figures(self, encoder: Encoder, tensors: Callable[[], dict[str, Tensor]]) -> dict[str, float] | None:
        if encoder.epoch % self.request.report_every and encoder.epoch != encoder.epochs:
            return None
        value = self.probe(tensors())
        encoder.probes.append({"epoch": encoder.epoch, "probe": value})
        return {"probe": value, **{name: encoder.curve[-1][name] for name in LOSSES}}

    def _probe_initial(self, reporter: Reporter) -> StageOutput:
        request, epochs = self.request, self.request.experiment.pretrain.epochs
        shape = pretrain_shape(request.experiment, len(request.channels), self.data.bands)
        seed_R = torch.tensor([derive_seed(request.seed, PRETRAIN)])
        value = self.probe(initial_pretraining(shape, seed_R, self.device, torch.float32).replica_state(0))
        reporter.epoch(request.key, "probe", epochs, epochs, {"probe": value})
        return _output(request, self.data, "finished", [{"epoch": epochs, "probe": value}], [])


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
            "transfer": request.transfer.model_dump(mode="json"),
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
