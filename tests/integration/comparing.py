"""Running a study on an engine, and comparing what two engines made of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache

import numpy as np
import psutil

from scmmlab.execution.engine import Engine, OnEvent
from scmmlab.execution.events import EngineEvent
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.summary import RunSummary
from scmmlab.study import Plan, ResultStore, result_rows, rows_csv
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker


def ray_engine(plan: Plan, **options: object) -> Engine:
    from scmmlab.execution.ray.engine import RayEngine

    sources = [(transfer.source, plan.channels[transfer.name]) for transfer in plan.study.transfers]
    return RayEngine(plan.study.resources, plan.manifests, sources, **options)


def local_engine(plan: Plan) -> Engine:
    return LocalEngine(plan.study.resources, cache(read_table))


def run(plan: Plan, store: ResultStore, engine: Engine, tracker: Tracker | None = None) -> RunSummary:
    return GridRun(plan, store, engine, cache(read_table), tracker or Tracker()).run()


def csv(plan: Plan, store: ResultStore) -> str:
    """The results as `scmmlab results` prints them."""
    return rows_csv(result_rows(plan.study.name, plan.cells, store.get_cell))


def objects(store: ResultStore) -> dict[str, object]:
    """Every object of a store, byte by byte (but for the order of a header, which safetensors leaves to chance)."""
    found: dict[str, object] = {f"cells/{key}": store.get_cell(key) for key in store.keys("cells")}
    for kind, get in (("pretrain", store.get_pretrain), ("finetune", store.get_finetune)):
        for key in store.keys(kind):
            stored = get(key)
            found[f"{kind}/{key}"] = (stored.record, tensor_bytes(stored.tensors))
    return found


def tensor_bytes(tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[object, ...]]:
    """Arrays byte by byte."""
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in tensors.items()}


def events_of_engine(engine: Engine) -> list[EngineEvent]:
    """Everything that the engine will tell, as it comes."""
    events: list[EngineEvent] = []
    step = engine.step

    def listening(emit: OnEvent, timeout_s: float) -> None:
        step(lambda event: (events.append(event), emit(event)), timeout_s)

    engine.step = listening
    return events


def pids_of_workers(title: str = "ray::RayTrainWorker") -> list[int]:
    """Of the training workers of a Ray that this process has started, or of its other processes of that title."""
    pids = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if title in " ".join(process.cmdline()):
                pids.append(process.pid)
    return pids
