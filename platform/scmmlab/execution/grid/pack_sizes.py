"""How many replicas of a grid's stages train together: as set by the study, measured, or limited by memory.

Measurements are kept in ``packs.json`` in the study's folder, for people to read and for later runs: they go wherever
the store goes, and nothing is written elsewhere. They are a property of a machine, so a worker with another device or
other versions measures again. No result and no key depends on them.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from scmmlab.config import ResourcesSpec
from scmmlab.config.experiment import TrainedStage
from scmmlab.execution.engine import Engine
from scmmlab.execution.grid.scheduler import Stage
from scmmlab.execution.grid.stages import GridStages
from scmmlab.execution.task import AuxiliaryTask, Outcome
from scmmlab.study.folder import StudyFolder
from scmmlab.training import StageFailure, StageOutput
from scmmlab.training.pack_probe import PackRates, Workload, probe_pack_size
from scmmlab.training.packs import finetune_pack_size, packs_pay, pretrain_pack_size

FILE = "packs.json"
FORMAT = 2
LEAST_REPLICAS = 2
"""With fewer per worker, there is nothing to choose."""

NOUNS = {"pretrain": "encoders", "finetune": "folds"}

StageSignature = tuple[TrainedStage, Hashable]
"""Kind of a stage, and its pack signature."""


@dataclass(frozen=True)
class PackProbe(AuxiliaryTask):
    """Have a worker measure which pack is best, on the device that will train it."""

    key: str
    workload: Workload
    share: float
    """Of a GPU, that each worker has."""
    known: tuple[PackRates, ...]
    """Earlier measurements of such packs, on any device."""

    def run(self, device: str) -> StageOutput:
        """An earlier measurement on such a device, or a new one."""
        found = next((rates for rates in self.known if rates.holds_on(device)), None)
        rates = found or probe_pack_size(self.workload, device, self.share)
        return StageOutput(self.key, "auxiliary", rates.to_json(), {})


class PackSizes:
    """Decides how large packs are, each kind by itself.

    Parameters
    ----------
    grid : GridStages
        The stages.
    folder : StudyFolder
        Where measurements are kept.
    resources : ResourcesSpec
        A `pack_size` there overrides everything but a lack of memory.
    engine : Engine
        Whose workers train.
    """

    def __init__(self, grid: GridStages, folder: StudyFolder, resources: ResourcesSpec, engine: Engine):
        self._grid, self._folder, self._resources, self._engine = grid, folder, resources, engine
        self._record = _read(folder)
        self._measured: dict[StageSignature, int] = {}
        self._limits: dict[StageSignature, int] = {}
        self._asked: dict[str, Stage] = {}

    def size(self, stage: Stage) -> int:
        """Replicas that train together with `stage`, at most."""
        signature = (stage.kind, stage.signature)
        if stage.kind == "pretrain" and self._resources.workers_per_cell > 1:
            return 1
        size = self._resources.pack_size or self._measured.get(signature) or self._usual(stage)
        return min(size, self._limits.get(signature, size))

    def _usual(self, stage: Stage) -> int:
        """The size where nothing was measured."""
        device = self._engine.device_for(stage.runs_on)
        return (pretrain_pack_size if stage.kind == "pretrain" else finetune_pack_size)(device)

    def probe(self, stage: Stage) -> PackProbe | None:
        """The measurement needed before packs of such stages are made; None where none is."""
        signature = (stage.kind, stage.signature)
        alone = stage.kind == "pretrain" and self._resources.workers_per_cell > 1
        if self._resources.pack_size is not None or alone or signature in self._measured or self.being_measured(stage):
            return None
        workload = self._grid.workload(stage, self._engine.workers_for(stage.runs_on))
        if not packs_pay(workload.experiment, stage.kind):
            self._measured[signature] = self._usual(stage)
            return None
        if workload.replicas < LEAST_REPLICAS:
            self._measured[signature] = workload.replicas
            return None
        key = f"pack-probe-{len(self._asked)}"
        self._asked[key] = stage
        known = tuple(
            PackRates.from_json(entry["rates"]) for entry in self._record if entry["signature"] == _values(*signature)
        )
        gpus = self._resources.gpus_per_worker if stage.runs_on == "any" else None
        return PackProbe(key, workload, min(1.0, gpus) if gpus else 1.0, known)

    def is_probe(self, key: str) -> bool:
        """Whether a request's key is that of a measurement."""
        return key in self._asked

    def being_measured(self, stage: Stage) -> bool:
        """Whether the size of packs of such stages will be known soon."""
        signature = (stage.kind, stage.signature)
        asked = ((asked.kind, asked.signature) for asked in self._asked.values())
        return signature not in self._measured and signature in asked

    def measured(self, outcome: Outcome) -> str | None:
        """A measurement has ended; returns a message about it, if any."""
        stage = self._asked[outcome.key]
        signature = (stage.kind, stage.signature)
        if isinstance(outcome, StageFailure):
            size = self._measured[signature] = self._usual(stage)
            nouns = NOUNS[stage.kind]
            return f"The pack size of {nouns} could not be measured ({outcome.error}): {size} train together."
        rates = PackRates.from_json(outcome.record)
        self._measured[signature] = rates.size
        self._keep({"signature": _values(*signature), "rates": outcome.record})
        return None

    def halved(self, stage: Stage, replicas: int) -> str | None:
        """A pack of such stages ran out of memory until it was so small; returns a message about it, once."""
        signature = (stage.kind, stage.signature)
        if replicas >= self._limits.get(signature, replicas + 1):
            return None
        self._limits[signature] = replicas
        self._lower(signature, replicas)
        values = _values(*signature)
        shown = [(values.get("width"), "width {}"), (values.get("channels"), "{} channels")]
        shown.append((values.get("batch_size"), "batches of {}"))
        sizes = ", ".join(text.format(value) for value, text in shown if value is not None) or values["method"]
        return (
            f"Packs of {NOUNS[stage.kind]} ({sizes}) ran out of memory: from now on at most {replicas} train together. "
            "Results are the same."
        )

    def _lower(self, signature: StageSignature, replicas: int) -> None:
        """Have the next run start with the size that fits."""
        self._measured[signature] = replicas
        for entry in self._record:
            if entry["signature"] == _values(*signature) and entry["rates"]["size"] > replicas:
                entry["rates"] |= {"size": replicas, "bound": "memory"}
        self._write()

    def _keep(self, entry: dict[str, Any]) -> None:
        same = (entry["signature"], entry["rates"]["device"])
        self._record = [one for one in self._record if (one["signature"], one["rates"]["device"]) != same] + [entry]
        self._write()

    def _write(self) -> None:
        self._folder.write_text(FILE, json.dumps({"format": FORMAT, "packs": self._record}, indent=1) + "\n")


def _values(kind: str, signature: Any) -> dict[str, Any]:
    """A pack signature as plain values, comparable with those of the file."""
    method, alike = signature
    values = asdict(alike) if is_dataclass(alike) and not isinstance(alike, type) else {"alike": repr(alike)}
    return {"kind": kind, "method": method, **values}


def _read(folder: StudyFolder) -> list[dict[str, Any]]:
    """The measurements of earlier runs; none where the file cannot be read, since they can be made again."""
    text = folder.read_text(FILE)
    try:
        found = json.loads(text) if text is not None else {}
        entries: Iterable[Mapping[str, Any]] = found["packs"] if found.get("format") == FORMAT else []
        for entry in entries:
            PackRates.from_json(entry["rates"])
        return [{"signature": dict(entry["signature"]), "rates": dict(entry["rates"])} for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
