"""Small tables, experiments and reporters for the tests of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from scmmlab.config import CorpusSelection, TransferSpec
from scmmlab.methods.scmm.spec import ScmmSpec
from scmmlab.tables import FeatureTable, Manifest
from scmmlab.training import CellRequest, PretrainRequest, Reporter, StageFailure, StageOutput
from scmmlab.training.data import Selections, cell_data
from scmmlab.training.finetune_stage import CellRun, cell_run
from scmmlab.training.stages import run_pretrain_stage

# these tensors are so small that a second thread costs more than it does
torch.set_num_threads(1)

CHANNELS = ("Fp1", "Fp2", "Cz")
TRANSFER = TransferSpec(name="a-b", source=CorpusSelection(table="source"), target=CorpusSelection(table="target"))

PROTOCOLS: dict[str, dict[str, Any]] = {
    "honest": {"kind": "honest", "trial_order": "time"},
    "honest_best": {"kind": "honest", "trial_order": "time", "epoch_selection": "best_validation"},
    "loso": {"kind": "loso", "subjects_per_fold": 2},
    "loso_best": {"kind": "loso", "epoch_selection": "best_validation"},
    "zero_shot": {"kind": "zero_shot"},
    "uda_inductive": {"kind": "uda_inductive"},
    "uda_transductive": {"kind": "uda_transductive"},
    "released": {"kind": "released", "pretrain_batches": 2},
    "released_loso": {"kind": "released", "split": "leave_subjects_out", "epoch_selection": "last"},
}


def make_table(corpus: str, subjects: int = 4, trials: int = 8, windows: int = 6, seed: int = 0) -> FeatureTable:
    """A table of one session; classes alternate by trial, and shift the features a little."""
    rng = np.random.default_rng(seed)
    subject, trial, window = (
        column.ravel() for column in np.meshgrid(range(subjects), range(trials), range(windows), indexing="ij")
    )
    label = trial % 2
    features = rng.normal(size=(len(label), len(CHANNELS), 5)) + 0.8 * label[:, None, None] + subject[:, None, None]
    manifest = Manifest(
        corpus=corpus,
        channels=CHANNELS,
        bands={"delta": (1, 4), "theta": (4, 8), "alpha": (8, 14), "beta": (14, 31), "gamma": (31, 50)},
        window_s=1.0,
        classes=("calm", "busy"),
        unit="1",
        provenance={"origin": "synthetic"},
        subjects={number: f"S{number}" for number in range(subjects)},
    )
    return FeatureTable.assemble(
        manifest,
        subject=subject,
        session=np.zeros_like(subject),
        trial=trial,
        window=window,
        label=label,
        features=features,
    )


SOURCE, TARGET = make_table("source", seed=1), make_table("target", seed=2)
TABLES: dict[str, FeatureTable] = {"source": SOURCE, "target": TARGET}


def tables_with(**changed: FeatureTable) -> Callable[[str], FeatureTable]:
    """The tables, some of them exchanged."""
    return {**TABLES, **changed}.__getitem__


TABLES_OF = tables_with()


def with_columns(table: FeatureTable, **columns: np.ndarray) -> FeatureTable:
    """`table` with other columns, under the same fingerprint."""
    return replace(table, **columns)


def experiment(**changes: Any) -> ScmmSpec:
    """A tiny experiment; `changes` are top-level parts, as in YAML."""
    base: dict[str, Any] = {
        "network": {"width": 16, "classifier_width": 16},
        "pretrain": {"epochs": 4, "batch_size": 32},
        "finetune": {"epochs": 4, "batch_size": 16},
        "protocol": PROTOCOLS["honest"],
    }
    for name, part in changes.items():
        base[name] = {**base[name], **part} if name in base and name != "protocol" else part
    return ScmmSpec.model_validate(base)


def pretrain_request(key: str = "p", seed: int = 0, **changes: Any) -> PretrainRequest:
    return PretrainRequest(key, experiment(**changes), seed, TRANSFER.source, CHANNELS)


_ENCODERS: dict[str, Mapping[str, np.ndarray]] = {}


def cell_request(key: str = "c", seed: int = 0, **changes: Any) -> CellRequest:
    """A cell with an encoder, pre-trained once for all tests that change nothing of pre-training."""
    spec = experiment(**changes)
    encoder = None
    if spec.pretrain.enabled:
        name = spec.model_dump_json(exclude={"finetune", "protocol"}) + str(seed)
        if name not in _ENCODERS:
            request = PretrainRequest("e", spec, seed, TRANSFER.source, CHANNELS)
            (output,) = run_pretrain_stage([request], TABLES_OF, Reporter())
            assert isinstance(output, StageOutput), output
            _ENCODERS[name] = output.tensors
        encoder = dict(_ENCODERS[name])
    return CellRequest(key, spec, seed, TRANSFER, CHANNELS, encoder)


def cell_run_of(request: CellRequest) -> CellRun:
    """The cell of `request` with its folds, of the unchanged tables."""
    return cell_run(request, cell_data(request, Selections(TABLES_OF)))


class Interruption(Exception):
    """What an engine raises to break a training off."""


class MemoryReporter(Reporter):
    """Keeps everything in memory; breaks off at the n-th report, and stops those that `stop` names."""

    def __init__(self, interrupt_at: int | None = None, stop: Callable[[str, int], bool] = lambda key, epoch: False):
        self.interrupt_at, self.stop = interrupt_at, stop
        self.events: list[tuple[str, str, int, int, dict[str, float]]] = []
        self.checkpoints: dict[tuple[str, str], bytes] = {}

    def epoch(self, key: str, stage: str, epoch: int, epochs: int, metrics: dict[str, float]) -> bool:
        if self.interrupt_at is not None and len(self.events) == self.interrupt_at:
            self.interrupt_at = None
            raise Interruption
        self.events.append((key, stage, epoch, epochs, dict(metrics)))
        return not self.stop(key, epoch)

    def save_checkpoint(self, key: str, stage: str, data: bytes) -> None:
        self.checkpoints[key, stage] = data

    def load_checkpoint(self, key: str, stage: str) -> bytes | None:
        return self.checkpoints.get((key, stage))


def assert_same(first: StageOutput | StageFailure, second: StageOutput | StageFailure) -> None:
    """Equal to the last bit: record and tensors."""
    assert isinstance(first, StageOutput), first
    assert isinstance(second, StageOutput), second
    assert first.record == second.record
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        np.testing.assert_array_equal(tensor, second.tensors[name], err_msg=name, strict=True)
